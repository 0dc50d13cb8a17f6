package statement

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stele-ml/stele/fingerprint"
)

// Another writer may order members and white space as it likes; what it says is
// the same.
func TestParseAcceptsAnyOrder(t *testing.T) {
	const payload = `
{ "predicate": {
    "nonce": "00000000000000000000000000000001",
    "basis": {"read": 5}, "bytes": 5, "files": 1, "kind": "m\u006fdel", "ignore": [],
    "ledger": "0000000000000000000000000000000000000000000000000000000000000002" },
  "predicateType": "https://stele.dev/stamp/v1",
  "subject": [ {"digest": {"stele-blake3": "0000000000000000000000000000000000000000000000000000000000000003"}, "name": "m@1"} ],
  "_type": "https://in-toto.io/Statement/v1" }
`
	st, err := Parse([]byte(payload))
	if err != nil {
		t.Fatal(err)
	}
	ref := must(st.Ref())
	if st.Kind != KindStamp || st.Stamp.Kind != ArtifactModel || ref.Name != "m" || ref.Version != "1" || ref.Fingerprint.Algorithm != fingerprint.BLAKE3 {
		t.Errorf("got %+v", st)
	}
	if st.Control() {
		t.Error("a stamp is no control entry")
	}
}

// Every payload that says something in a second way, or says too much, is
// refused, whoever signed it.
func TestParseRefuses(t *testing.T) {
	type change struct{ name, old, new string }
	zeros := strings.Repeat("0", 64)
	tests := map[string][]change{
		"stamp": {
			{"an unknown predicate", "stele.dev/stamp/v1", "stele.dev/stamp/v2"},
			{"a foreign predicate", "https://stele.dev/stamp/v1", "https://slsa.dev/provenance/v1"},
			{"the predicate of another kind", "stele.dev/stamp/v1", "stele.dev/withdrawal/v1"},
			{"another statement type", "in-toto.io/Statement/v1", "in-toto.io/Statement/v0.1"},
			{"an unknown member outside", `{"_type"`, `{"x":1,"_type"`},
			{"an unknown member inside", `"kind":`, `"stage":"production","kind":`},
			{"an unknown member in the subject", `"digest":`, `"uri":"x","digest":`},
			{"an unknown member in the basis", `{"read":1234}`, `{"read":1234,"x":1}`},
			{"a case-folded name", `"kind":`, `"Kind":`},
			{"a case-folded twin", `"kind":`, `"KIND":"model","kind":`},
			{"a duplicate name", `"kind":`, `"kind":"model","kind":`},
			{"a duplicate name, escaped", `"kind":`, `"k\u0069nd":"model","kind":`},
			{"a duplicate digest", `"digest":{`, `"digest":{"stele-sha256":"` + zeros + `",`},
			{"a second digest", `"digest":{`, `"digest":{"sha256":"` + zeros + `",`},
			{"a second hash", `"digest":{`, `"digest":{"stele-blake3":"` + zeros + `",`},
			{"a second subject", `"subject":[`, `"subject":[{"name":"b@1","digest":{"stele-sha256":"` + zeros + `"}},`},
			{"a plain digest", "stele-sha256", "sha256"},
			{"an unknown kind", `"dataset"`, `"picture"`},
			{"a member missing", `"files":3,`, ``},
			{"the ignore rules missing", `"ignore":[".git/","*.tmp"],`, ``},
			{"the nonce missing", `"nonce"`, `"Nonce"`},
			{"a null member", `[".git/","*.tmp"]`, `null`},
			{"an empty member that says nothing", `"basis":`, `"annotations":{},"basis":`},
			{"an empty list that says nothing", `"basis":`, `"from":[],"basis":`},
			{"a zero that says nothing", `{"read":1234}`, `{"read":1234,"etag":0}`},
			{"a fraction", `"files":3`, `"files":3.0`},
			{"an exponent", `"files":3`, `"files":3e0`},
			{"1e400", `"files":3`, `"files":1e400`},
			{"a negative number", `"files":3`, `"files":-3`},
			{"minus zero", `"files":3`, `"files":-0`},
			{"a leading zero", `"files":3`, `"files":03`},
			{"2^53", `"files":3`, `"files":9007199254740992`},
			{"a huge number", `"files":3`, `"files":` + strings.Repeat("9", 10000)},
			{"a number as a string", `"files":3`, `"files":"3"`},
			{"a boolean", `"files":3`, `"files":true`},
			{"upper-case hexadecimal", `"nonce":"`, `"nonce":"A`},
			{"no ledger", testLedger.String(), zeros},
			{"a basis that does not add up", `{"read":1234}`, `{"read":1233}`},
			{"a basis without its entry", `{"read":1234}`, `{"read":1000,"etag":234}`},
			{"an entry without its basis", `{"read":1234}`, `{"read":1234,"entry":7}`},
			{"an overflowing basis", `{"read":1234}`, `{"read":9007199254740991,"version":9007199254740991}`},
			{"an empty ignore rule", `"*.tmp"`, `""`},
			{"a control character in a rule", `"*.tmp"`, `"\u001b[2J"`},
			{"a control character in the name", `raw/cards@7`, `raw/cards\u0000@7`},
			{"no version", `raw/cards@7`, `raw/cards`},
			{"an empty version", `raw/cards@7`, `raw/cards@`},
			{"an upper-case name", `raw/cards@7`, `Raw/cards@7`},
			{"a name that climbs", `raw/cards@7`, `raw/../cards@7`},
			{"invalid UTF-8", `raw/cards@7`, "raw/\xff@7"},
			{"an unpaired surrogate", `"*.tmp"`, `"\ud800"`},
			{"trailing data", `}}}`, `}}}{}`},
			{"deep nesting", `[".git/","*.tmp"]`, strings.Repeat("[", 5000) + strings.Repeat("]", 5000)},
		},
		"stamp-full": {
			{"from out of order", `raw/accounts@12`, `raw/zebra@12`},
			{"from twice", `raw/accounts@12`, `raw/cards@7`},
			{"from itself", `raw/accounts@12`, `fraud/train@2026.11`},
			{"since itself", `fraud/train@2026.10`, `fraud/train@2026.11`},
			{"from under another hash", `{"name":"raw/accounts@12","digest":{"stele-sha256"`, `{"name":"raw/accounts@12","digest":{"stele-blake3"`},
			{"an upper-case annotation", `"team"`, `"Team"`},
			{"an empty annotation", `"team":"fraud"`, `"team":""`},
			{"an annotation that clears the screen", `"team":"fraud"`, `"team":"\u009b2J"`},
			{"an annotation that turns the text", `"team":"fraud"`, `"team":"\u202efraud"`},
			{"an annotation of many lines", `"team":"fraud"`, `"team":"a\nb"`},
			{"an empty attachment", `"size":394`, `"size":0`},
			{"a long annotation", `"team":"fraud"`, `"team":"` + strings.Repeat("x", MaxAnnotationValue+1) + `"`},
			{"a long annotation key", `"team"`, `"` + strings.Repeat("x", MaxAnnotationKey+1) + `"`},
		},
		"withdrawal": {
			{"a location for contents", `"effect"`, `"location":"s3://b","effect"`},
			{"an unknown effect", `no-new-use`, `delete`},
			{"an unknown target", `"contents"`, `"everything"`},
			{"no reason", `consent was revoked`, ``},
			{"after the genesis", `"after":12`, `"after":0`},
			{"no after", `,"after":12`, ``},
		},
		"withdrawal-location": {
			{"no location", `"location":"s3://bucket/train",`, ``},
			{"an empty location", `"location":"s3://bucket/train",`, `"location":"",`},
		},
		"reinstatement": {
			{"after, before the withdrawal", `"after":13`, `"after":12`},
			{"of the genesis", `"withdrawal":13`, `"withdrawal":0`},
		},
		"identity-register": {
			{"the key id of another key", `"stele-key":"f0`, `"stele-key":"f1`},
			{"roles out of order", `["approver","member"]`, `["member","approver"]`},
			{"a role twice", `["approver","member"]`, `["member","member"]`},
			{"an unknown role", `"approver"`, `"root"`},
			{"no roles", `["approver","member"]`, `[]`},
			{"name patterns missing", `,"names":["fraud/train","raw/*"]`, ``},
			{"a pattern with a star inside", `"raw/*"`, `"raw/*/x"`},
			{"a pattern twice", `"raw/*"`, `"fraud/train"`},
			{"expires zero", `"raw/*"]`, `"raw/*"],"expires":0`},
			{"since on a registration", `"raw/*"]`, `"raw/*"],"since":3`},
			{"an unknown action", `"register"`, `"promote"`},
			{"another algorithm", `"algorithm":"ed25519"`, `"algorithm":"ecdsa-p256"`},
			{"an unknown algorithm", `"algorithm":"ed25519"`, `"algorithm":"none"`},
			{"a handle with a space", `"name":"bob"`, `"name":"bob x"`},
			{"an upper-case handle", `"name":"bob"`, `"name":"Bob"`},
			{"an empty handle", `"name":"bob"`, `"name":""`},
			{"a long handle", `"name":"bob"`, `"name":"` + strings.Repeat("b", MaxHandle+1) + `"`},
		},
		"identity-retire": {
			{"a retirement with roles", `"action":"retire"`, `"action":"retire","roles":["member"]`},
			{"a retirement with no roles", `"action":"retire"`, `"action":"retire","roles":[]`},
			{"a retirement with since", `"action":"retire"`, `"action":"retire","since":3`},
			{"no key id", `"stele-key"`, `"sha256"`},
		},
		"identity-compromised": {
			{"since the genesis", `"since":4`, `"since":0`},
			{"no since", `,"since":4`, ``},
		},
		"genesis": {
			{"a ledger", `{"nonce"`, `{"ledger":"` + testLedger.String() + `","nonce"`},
			{"an unknown hash", `"hash":"sha256"`, `"hash":"md5"`},
			{"rules zero", `"rules":1`, `"rules":0`},
			{"no administrators", `"administrators":[`, `"administrators":[],"x":[`},
			{"the digest of another log key", `"sha256":"c6`, `"sha256":"c7`},
			{"another origin than the log key's", `"name":"stele.example/fraud-4f7a20c1"`, `"name":"stele.example/other"`},
			{"an administrator called recovery", `"handle":"alice"`, `"handle":"recovery"`},
			{"a log key with another hash", `+927124cb+`, `+927124cc+`},
			{"an upper-case log key hash", `+927124cb+`, `+927124CB+`},
		},
		"genesis-successor": {
			{"a predecessor of size 0", `"size":41`, `"size":0`},
			{"a predecessor without id", `"ledger":"` + testLedger.String(), `"ledger":"` + zeros},
			{"a null predecessor", `"predecessor":{`, `"predecessor":null,"x":{`},
		},
		"log-key": {
			{"a signature cut short", `DA==`, ``},
			{"the signature of another", `"current":"nL9`, `"current":"nL8`},
			{"unpadded base64", `Bg==`, `Bg`},
			{"another nonce than signed", `"nonce":"6b`, `"nonce":"6c`},
			{"another ledger than signed", testLedger.String(), strings.Repeat("1", 64)},
		},
	}
	for _, s := range samples() {
		payload := string(must(s.st.Marshal()))
		for _, c := range tests[s.name] {
			changed := strings.Replace(payload, c.old, c.new, 1)
			if changed == payload {
				t.Fatalf("%s: %s: %q is not in %s", s.name, c.name, c.old, payload)
			}
			if st, err := Parse([]byte(changed)); !errors.Is(err, ErrFormat) && !(s.name == "log-key" && errors.Is(err, ErrSignature)) {
				t.Errorf("%s: %s: got %+v, %v", s.name, c.name, st, err)
			}
		}
		delete(tests, s.name)
		for n := range len(payload) {
			if _, err := Parse([]byte(payload[:n])); err == nil {
				t.Errorf("%s cut at %d was accepted", s.name, n)
			}
		}
	}
	if len(tests) > 0 {
		t.Errorf("no sample for %v", tests)
	}
}

func TestParseRefusesOversizedPayload(t *testing.T) {
	payload := must(testStamp("a", "1").Marshal())
	if _, err := Parse(append(payload, bytes.Repeat([]byte{' '}, MaxPayload-len(payload))...)); err != nil {
		t.Errorf("a payload of MaxPayload bytes: %v", err)
	}
	if _, err := Parse(append(payload, bytes.Repeat([]byte{' '}, MaxPayload-len(payload)+1)...)); !errors.Is(err, ErrFormat) {
		t.Errorf("a payload of MaxPayload+1 bytes: %v", err)
	}
}

// What Parse would refuse is never signed.
func TestMarshalRefuses(t *testing.T) {
	stamp := func(change func(*Statement)) *Statement {
		st := testStamp("a", "1")
		change(st)
		return st
	}
	refs := func(n int) (out []Ref) {
		for i := range n {
			out = append(out, testRef("x", fmt.Sprint(i)))
		}
		return out
	}
	annotations := func(n int) map[string]string {
		m := make(map[string]string)
		for i := range n {
			m[fmt.Sprint("k", i)] = "v"
		}
		return m
	}
	tests := map[string]*Statement{
		"no predicate":      {Kind: KindStamp, Ledger: testLedger, Nonce: testNonce("x")},
		"an unknown kind":   {Kind: "release", Ledger: testLedger, Nonce: testNonce("x")},
		"another predicate": stamp(func(s *Statement) { s.Kind = KindWithdrawal }),
		"two predicates":    stamp(func(s *Statement) { s.Withdrawal = testWithdrawal().Withdrawal }),
		"no nonce":          stamp(func(s *Statement) { s.Nonce = Nonce{} }),
		"no ledger":         stamp(func(s *Statement) { s.Ledger = LedgerID{} }),
		"no subject":        stamp(func(s *Statement) { s.Subject = nil }),
		"101 references":    stamp(func(s *Statement) { s.Stamp.From = refs(MaxReferences + 1) }),
		"33 annotations":    stamp(func(s *Statement) { s.Stamp.Annotations = annotations(MaxAnnotations + 1) }),
		"257 ignore rules":  stamp(func(s *Statement) { s.Stamp.Ignore = make([]string, MaxIgnoreRules+1) }),
		"a zero fingerprint": stamp(func(s *Statement) {
			s.Stamp.From = []Ref{{Name: "x", Version: "1"}}
		}),
		"2^53 bytes": stamp(func(s *Statement) { s.Stamp.Bytes = 1 << 53; s.Stamp.Basis.Read = 1 << 53 }),
		"a basis that wraps around": stamp(func(s *Statement) {
			s.Stamp.Basis = Basis{Read: 1234 + 1<<63, Stamped: 1 << 63}
		}),
		"more than a payload": stamp(func(s *Statement) {
			for range MaxIgnoreRules {
				s.Stamp.Ignore = append(s.Stamp.Ignore, strings.Repeat("x", MaxIgnoreRule))[:min(len(s.Stamp.Ignore)+1, MaxIgnoreRules)]
			}
		}),
		"a ledger in a genesis": func() *Statement { g := testGenesis(); g.Ledger = testLedger; return g }(),
		"another subject": func() *Statement {
			g := testGenesis()
			g.Subject = []Subject{testRef("a", "1").Subject()}
			return g
		}(),
	}
	for name, st := range tests {
		if payload, err := st.Marshal(); !errors.Is(err, ErrFormat) {
			t.Errorf("%s: got %s, %v", name, payload, err)
		}
	}
	most := testStamp("a", "1")
	most.Stamp.From, most.Stamp.Annotations = refs(MaxReferences), annotations(MaxAnnotations)
	if _, err := Parse(must(most.Marshal())); err != nil {
		t.Errorf("a stamp at its limits: %v", err)
	}
}

// A genesis whose keys are not disjoint is refused.
func TestGenesisKeysAreDisjoint(t *testing.T) {
	wrapped := must(NewEd25519(edKey("log"))).PublicKey()
	tests := map[string]func(*Genesis){
		"the recovery key is an administrator's":       func(g *Genesis) { g.Recovery = p256("alice").PublicKey() },
		"the recovery key is the log's":                func(g *Genesis) { g.Recovery = wrapped },
		"the recovery key is the log's, as an SSH key": func(g *Genesis) { g.Recovery = sshEd("log").PublicKey() },
		"no recovery key":                              func(g *Genesis) { g.Recovery = nil },
		"no administrators":                            func(g *Genesis) { g.Administrators = nil },
		"one key for two administrators": func(g *Genesis) {
			g.Administrators = append(g.Administrators, Administrator{"bob", sshEC("alice").PublicKey()})
		},
		"one handle for two administrators": func(g *Genesis) {
			g.Administrators = append(g.Administrators, Administrator{"alice", p256("bob").PublicKey()})
		},
		"an administrator without a key": func(g *Genesis) { g.Administrators = []Administrator{{Handle: "alice"}} },
		"33 administrators": func(g *Genesis) {
			for i := range MaxAdministrators {
				g.Administrators = append(g.Administrators, Administrator{fmt.Sprint("a", i), ed(fmt.Sprint(i)).PublicKey()})
			}
		},
	}
	for name, change := range tests {
		st := testGenesis()
		change(st.Genesis)
		if _, err := st.Marshal(); !errors.Is(err, ErrFormat) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
