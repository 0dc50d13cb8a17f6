package statement

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/stele-ml/stele/fingerprint"
	"github.com/stele-ml/stele/internal/strictjson"
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

// Sorted members put the predicate before its type, and of an import a foreign
// predicate type before its own: what is read is the same.
func TestParseReadsSortedMembers(t *testing.T) {
	for _, s := range samples() {
		payload := must(s.st.Marshal())
		want := must(Parse(payload))
		sorted := must(strictjson.Canonical(payload))
		spaced := bytes.ReplaceAll(payload, []byte(`"predicateType":`), []byte("\"predicateType\" :\n"))
		for how, other := range map[string][]byte{"sorted": sorted, "spaced": spaced} {
			if bytes.Equal(other, payload) {
				t.Fatalf("%s: nothing is %s", s.name, how)
			}
			if got, err := Parse(other); err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("%s, %s: got %+v, %v", s.name, how, got, err)
			}
		}
	}
}

// A member that looks like the predicate's type, where it is first seen, does not
// make it one.
func TestAttackAnotherTypeIsSeenFirst(t *testing.T) {
	payload := string(must(testRelease().Marshal()))
	for _, kind := range []Kind{KindRelease, KindApproval, KindStamp, KindRun, "decisions"} {
		decoy := `"predicateType":"` + kind.PredicateType() + `"`
		for name, changed := range map[string]string{
			"outside":            strings.Replace(payload, `{"_type"`, `{`+decoy+`,"_type"`, 1),
			"in the subject":     strings.Replace(payload, `"subject":[{`, `"subject":[{`+decoy+`,`, 1),
			"as a digest":        strings.Replace(payload, `"digest":{`, `"digest":{`+decoy+`,`, 1),
			"in a member before": strings.Replace(payload, `{"_type"`, `{"x":{`+decoy+`},"_type"`, 1),
			"in place of it":     strings.Replace(strings.Replace(payload, `"predicateType"`, `"x"`, 1), `{"_type"`, `{"x":{`+decoy+`},"_type"`, 1),
		} {
			if st, err := Parse([]byte(changed)); !errors.Is(err, ErrFormat) {
				t.Errorf("%s, %s: got %+v, %v", kind, name, st, err)
			}
		}
	}
	// In text it is text.
	st := testRelease()
	st.Release.Reason = `"predicateType":"` + KindStamp.PredicateType() + `"`
	if got, err := Parse(must(strictjson.Canonical(must(st.Marshal())))); err != nil || got.Release.Reason != st.Release.Reason {
		t.Errorf("a reason: %+v, %v", got, err)
	}
}

// Every payload that says something in a second way, or says too much, is
// refused, whoever signed it.
func TestParseRefuses(t *testing.T) {
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
		"stamp-collection": {
			{"a member's files", `"files":7`, `"files":8`},
			{"a member's bytes", `"bytes":21`, `"bytes":22`},
			{"bytes moved between members", `"files":7,"bytes":21},{"prefix":"2026-01-02-late","name":"raw/late@1","digest":{"stele-sha256":"` + testRef("raw/late", "1").Fingerprint.Sum.String() + `"},"files":1,"bytes":11`,
				`"files":7,"bytes":20},{"prefix":"2026-01-02-late","name":"raw/late@1","digest":{"stele-sha256":"` + testRef("raw/late", "1").Fingerprint.Sum.String() + `"},"files":1,"bytes":12`},
			{"another prefix", `"prefix":"2026-01-01"`, `"prefix":"2026-01-00"`},
			{"a prefix that climbs", `"prefix":"2026-01-01"`, `"prefix":"../01"`},
			{"an empty prefix", `"prefix":"2026-01-01"`, `"prefix":""`},
			{"a prefix that ends", `"prefix":"2026-01-01"`, `"prefix":"2026-01-01/"`},
			{"a prefix that clears the screen", `"prefix":"2026-01-01"`, `"prefix":"\u001b[2J"`},
			{"members out of order", `"prefix":"2026-01-02-late"`, `"prefix":"2026-01-03"`},
			{"a member in a member", `"prefix":"2026-01-02-late"`, `"prefix":"2026-01-01/x"`},
			{"a prefix twice", `"prefix":"2026-01-02-late"`, `"prefix":"2026-01-01"`},
			{"itself", `raw/day@2026-01-01`, `raw/days@2026-01-02`},
			{"a member's other bytes", testRef("raw/late", "1").Fingerprint.Sum.String(), testRef("raw/late", "2").Fingerprint.Sum.String()},
			{"a member of another hash", `"name":"raw/late@1","digest":{"stele-sha256"`, `"name":"raw/late@1","digest":{"stele-blake3"`},
			{"a member without a name", `"name":"raw/late@1",`, ``},
			{"a member without files", `"files":7,`, ``},
			{"an unknown member of a member", `"files":7,`, `"files":7,"kind":"dataset",`},
			{"another count of files", `"files":10`, `"files":11`},
			{"another count of bytes", `"bytes":46`, `"bytes":47`},
			{"the empty list", `"since"`, `"from":[],"since"`},
			{"ignore rules", `"ignore":[]`, `"ignore":["*.tmp"]`},
			{"a list", `"basis"`, `"listed":true,"basis"`},
			{"bytes that were read", `{"stamped":46}`, `{"read":46}`},
			{"some bytes that were read", `{"stamped":46}`, `{"read":6,"stamped":40}`},
			{"changes since nothing", `"since":{`, `"x":{`},
			{"changes that do not add up", `"same":6`, `"same":7`},
			{"changes that wrap around", `"same":6`, `"same":18446744073709551615`},
			{"a count of changes missing", `"removed":4,`, ``},
			{"a count that is none", `"moved":1`, `"moved":1,"renamed":0`},
			{"the members gone", `"members":[`, `"x":[`},
		},
		"stamp-listed": {
			{"ignore rules", `"ignore":[]`, `"ignore":["*.tmp"]`},
			{"not listed, said", `"listed":true`, `"listed":false`},
			{"listed as a number", `"listed":true`, `"listed":1`},
			{"changes since nothing", `"basis":`, `"changes":{"same":3,"modified":0,"added":0,"removed":0,"moved":0},"basis":`},
			{"no members, said", `"basis":`, `"members":[],"basis":`},
			{"bytes of members", `{"read":1234}`, `{"stamped":1234}`},
			{"some bytes of members", `{"read":1234}`, `{"read":1200,"stamped":34}`},
		},
		"stamp-claimed": {
			{"more than there is", `{"claimed":1234}`, `{"claimed":1235}`},
			{"read as well", `{"claimed":1234}`, `{"read":1234,"claimed":1234}`},
			{"nothing claimed, said", `{"claimed":1234}`, `{"read":1234,"claimed":0}`},
			{"an entry that it was not taken over from", `{"claimed":1234}`, `{"claimed":1234,"entry":3}`},
		},
		"audit-announcement": {
			{"a result as well", `"announcement":{`, `"result":{"announcement":1},"announcement":{`},
			{"neither", `"announcement":{`, `"x":{`},
			{"a fraction as a number", `"0.005"`, `0.005`},
			{"a fraction with a zero at its end", `"0.005"`, `"0.0050"`},
			{"a fraction without its zero", `"0.005"`, `".005"`},
			{"a fraction with two", `"0.005"`, `"00.005"`},
			{"an exponent", `"0.005"`, `"5e-3"`},
			{"a sign", `"0.005"`, `"+0.005"`},
			{"a percentage", `"0.005"`, `"0.5%"`},
			{"ten digits", `"0.005"`, `"0.0000000001"`},
			{"nothing altered", `"0.005"`, `"0"`},
			{"nothing altered, at length", `"0.005"`, `"0.0"`},
			{"no digits", `"0.005"`, `"0."`},
			{"everything altered", `"0.005"`, `"1"`},
			{"more than everything", `"0.005"`, `"1.5"`},
			{"certainty", `"0.99"`, `"1"`},
			{"Arabic digits", `"0.99"`, `"0.٩٩"`},
			{"no chunks", `"chunks":919`, `"chunks":0`},
			{"chunks left out", `"chunks":919,`, ``},
			{"no hash of a nonce", `,"nonceSHA256":"` + fmt.Sprintf("%x", sha256.Sum256(testAuditNonce[:])) + `"`, ``},
			{"a hash of zeros", fmt.Sprintf("%x", sha256.Sum256(testAuditNonce[:])), zeros},
			{"the place in the open", `"chunks":919,`, `"chunks":919,"location":"s3://bucket",`},
			{"an empty attachment", `"size":394`, `"size":0`},
		},
		"audit-result": {
			{"an announcement as well", `"result":{`, `"announcement":{"altered":"0.5","confidence":"0.5","chunks":1,"nonceSHA256":"` + strings.Repeat("1", 64) + `"},"result":{`},
			{"of the genesis", `"announcement":17`, `"announcement":0`},
			{"a checkpoint before the announcement", `"size":19`, `"size":17`},
			{"a short root", `"root":"`, `"root":"00`},
			{"no nonce", `"nonce":"` + fmt.Sprintf("%x", testAuditNonce) + `",`, ``},
			{"a nonce of zeros", fmt.Sprintf("%x", testAuditNonce), zeros},
			{"no seed", `"seed":`, `"sead":`},
			{"an unknown outcome", `"altered"`, `"fine"`},
			{"held, with differences", `"altered"`, `"held"`},
			{"incomplete, with differences", `"altered"`, `"incomplete"`},
			{"more read than asked", `"chunksRead":900`, `"chunksRead":920`},
			{"more differing than read", `"chunksDiffering":2`, `"chunksDiffering":901`},
			{"a count left out", `"namesDiffering":1`, `"x":1`},
			{"a huge count", `"bytesRead":943718400`, `"bytesRead":9007199254740992`},
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
		"contract": {
			{"no document", `"document":`, `"documents":`},
			{"a document as text", `"document":{`, `"document":"x","x":{`},
			{"an unknown action", `"action":"put"`, `"action":"amend"`},
			{"a put without an action", `"action":"put",`, ``},
			{"the name said again", `"action":"put"`, `"action":"put","name":"production"`},
			{"the version said again", `"action":"put"`, `"action":"put","version":3`},
			{"the digest said again", `"action":"put"`, `"action":"put","sha256":"21b6ba4bdd1d102e315915c6aed50993d216e33b8344058dda500d9bf29117d3"`},
			{"a reason", `"action":"put"`, `"action":"put","reason":"because"`},
			{"the digest of another document", `"sha256":"21b6ba4b`, `"sha256":"21b6ba4a`},
			{"another contract's name", `"name":"production@3"`, `"name":"production@4"`},
			{"a document with a space", `"kind":"Contract"`, `"kind": "Contract"`},
			{"a number with another spelling", `"minAUC":0.9`, `"minAUC":0.90`},
			{"a document of another kind", `"kind":"Contract"`, `"kind":"contract"`},
		},
		"contract-lift": {
			{"a document", `"name":"production","version"`, `"document":{},"name":"production","version"`},
			{"no name", `"name":"production",`, ``},
			{"no version", `,"version":3`, ``},
			{"version 0", `"version":3`, `"version":0`},
			{"a version past the limit", `"version":3`, `"version":1000000001`},
			{"no digest", `,"sha256":"21b6ba4bdd1d102e315915c6aed50993d216e33b8344058dda500d9bf29117d3","reason"`, `,"reason"`},
			{"the digest of zeros is another", `"version":3,"sha256":"21b6ba4bdd1d102e315915c6aed50993d216e33b8344058dda500d9bf29117d3"`, `"version":3,"sha256":"` + zeros + `"`},
			{"an empty reason", `"the stage is closed"`, `""`},
			{"a reason of two lines", `the stage is closed`, `the stage\nis closed`},
			{"put, and named", `"action":"lift"`, `"action":"put"`},
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
		"an unknown kind":   {Kind: "decisions", Ledger: testLedger, Nonce: testNonce("x")},
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
	collection := func(change func(*Stamp)) *Statement {
		st := testCollection()
		change(st.Stamp)
		return st
	}
	for name, st := range map[string]*Statement{
		"101 members": collection(func(s *Stamp) {
			s.Members = nil
			for i := range MaxMembers + 1 {
				s.Members = append(s.Members, CollectionMember{fmt.Sprint(i), testRef("x", fmt.Sprint(i)), 1, 1})
			}
		}),
		"bytes that wrap around":  collection(func(s *Stamp) { s.Members[0].Bytes, s.Members[1].Bytes = 1<<63, 1<<63+35 }),
		"a long prefix":           collection(func(s *Stamp) { s.Members[0].Prefix = strings.Repeat("x", MaxPrefix+1) }),
		"an audit without either": testAudit("x", &Audit{}),
		"an audit of nothing":     func() *Statement { st := testAnnouncement(); st.Subject = nil; return st }(),
		"a fraction of 1":         func() *Statement { st := testAnnouncement(); st.Audit.Announcement.Altered = 1e9; return st }(),
		"a fraction of 0":         func() *Statement { st := testAnnouncement(); st.Audit.Announcement.Confidence = 0; return st }(),
		"held, with chunks left": func() *Statement {
			st := testResult()
			r := st.Audit.Result
			r.Outcome, r.ChunksDiffering, r.NamesDiffering = OutcomeHeld, 0, 0
			return st
		}(),
		"altered, with nothing": func() *Statement {
			st := testResult()
			st.Audit.Result.ChunksDiffering, st.Audit.Result.NamesDiffering = 0, 0
			return st
		}(),
	} {
		if payload, err := st.Marshal(); !errors.Is(err, ErrFormat) {
			t.Errorf("%s: got %s, %v", name, payload, err)
		}
	}
	most := testStamp("a", "1")
	most.Stamp.From, most.Stamp.Annotations = refs(MaxReferences), annotations(MaxAnnotations)
	if _, err := Parse(must(most.Marshal())); err != nil {
		t.Errorf("a stamp at its limits: %v", err)
	}
	full := testCollection()
	full.Stamp.Members, full.Stamp.Since, full.Stamp.Changes = nil, nil, nil
	for i := range MaxMembers {
		full.Stamp.Members = append(full.Stamp.Members, CollectionMember{fmt.Sprintf("day=%d", i), testRef("raw/day", fmt.Sprint(i)), 1 << 40, 1 << 46})
	}
	ref := testRef("all", "1")
	ref.Fingerprint, full.Stamp.Files, full.Stamp.Bytes, _ = Collection(fingerprint.SHA256, full.Stamp.Members)
	full.Subject, full.Stamp.Basis = []Subject{ref.Subject()}, Basis{Stamped: full.Stamp.Bytes}
	if _, err := Parse(must(full.Marshal())); err != nil {
		t.Errorf("a collection at its limits: %v", err)
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
