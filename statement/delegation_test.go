package statement

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stele-ml/stele/internal/strictjson"
)

// A world with an issuer: alice registers ci in entry 1.
const (
	issued = int64(1_700_000_000_000) // unix ms
	within = issued + 60_000
)

func testClaims() DelegationClaims {
	return DelegationClaims{
		Ledger: testLedger, Key: p256("job").PublicKey(),
		Subject: "repo:acme/fraud@refs/heads/main", Source: "https://token.actions.githubusercontent.com",
		Names: []string{"fraud/train", "fraud/model*"}, Kinds: []Kind{KindStamp, KindRun, KindEvaluation},
		NotBefore: issued, NotAfter: issued + 15*60_000,
	}
}

func testIssuer() *Statement {
	st := testRegister("ci", ed("issuer").PublicKey(), []string{RoleIssuer}, []string{"fraud/*"})
	st.Identity.Kinds = []Kind{KindStamp, KindEvaluation, KindRun, KindImport}
	return st
}

func testDelegation(change ...func(*DelegationClaims)) *Delegation {
	claims := testClaims()
	for _, c := range change {
		c(&claims)
	}
	return must(NewDelegation(claims, ed("issuer")))
}

func testDelegated(d *Delegation) Signer { return must(NewDelegated(p256("job"), d)) }

func issuerRoster(t *testing.T) *Roster {
	t.Helper()
	g := testGenesis()
	r := must(NewRoster(issued-1000, p256("alice").PublicKey().ID(), g))
	if err := r.Apply(1, issued-1000, p256("alice").PublicKey().ID(), testIssuer()); err != nil {
		t.Fatal(err)
	}
	return r
}

func TestDelegationVector(t *testing.T) {
	e := must(Sign(testStamp("fraud/train", "1"), testDelegated(testDelegation())))
	issuer, job := ed("issuer").PublicKey(), p256("job").PublicKey()
	got := struct {
		Issuer     string `json:"issuer"` // its key, as ParsePublicKey reads it
		Key        string `json:"key"`
		KeyID      KeyID  `json:"keyID"`
		IssuerID   KeyID  `json:"issuerID"`
		Document   string `json:"document"`
		PAESHA256  string `json:"paeSHA256"`
		Delegation string `json:"delegation"` // hex of the binary form
		ID         ID     `json:"id"`
		Binary     string `json:"binary"`  // hex of the binary envelope
		Request    string `json:"request"` // what the key signs to get one for the token "a.b.c"
	}{
		string(issuer.Text()), string(job.Text()), job.ID(), issuer.ID(), string(testDelegation().payload), "",
		hex.EncodeToString(e.Delegation), e.ID(), hex.EncodeToString(e.Encode()), string(DelegationRequestMessage(testLedger, job.ID(), "a.b.c")),
	}
	pae := AttachmentOf(PAE(DelegationType, testDelegation().payload)).SHA256
	got.PAESHA256 = hex.EncodeToString(pae[:])
	text := append(must(strictjson.Marshal(&got)), '\n')
	dsse := must(e.MarshalJSON())
	file := testDelegatedFile()
	for name, data := range map[string][]byte{"delegation.json": text, "delegation.dsse": dsse, "delegation.key": file} {
		path := filepath.Join("testdata", "delegation", name)
		if *update {
			if err := os.WriteFile(path, data, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if want := must(os.ReadFile(path)); !bytes.Equal(data, want) {
			t.Errorf("%s\n got %s\nwant %s", name, data, want)
		}
	}
	for _, back := range []*Envelope{must(ParseEnvelope(dsse)), must(DecodeEnvelope(e.Encode()))} {
		if !bytes.Equal(back.Encode(), e.Encode()) || back.By() != issuer.ID() || back.KeyID != job.ID() {
			t.Errorf("read back as %x", back.Encode())
		}
		if err := back.Verify(issuer); err != nil {
			t.Error(err)
		}
	}
}

func testDelegatedFile() []byte {
	return slices.Concat(must(MarshalPrivateKey(p256Key("job"))), testDelegation().PEM())
}

func TestDelegatedKeyFile(t *testing.T) {
	file := testDelegatedFile()
	s := must(ParsePrivateKey(file, nil, nil))
	if d := DelegationOf(s); d == nil || d.Subject != testClaims().Subject || By(s) != ed("issuer").PublicKey().ID() {
		t.Errorf("the file gives a delegation of %+v", d)
	}
	other := slices.Concat(must(MarshalPrivateKey(p256Key("somebody"))), testDelegation().PEM())
	for name, bad := range map[string][]byte{
		"another key's":      other,
		"twice":              slices.Concat(file, testDelegation().PEM()),
		"rubbish after it":   append(bytes.Clone(file), 'x'),
		"rubbish between":    bytes.Replace(file, []byte("-----BEGIN STELE"), []byte("x\n-----BEGIN STELE"), 1)[:len(file)/2],
		"before the key":     slices.Concat(testDelegation().PEM(), must(MarshalPrivateKey(p256Key("job")))),
		"alone":              testDelegation().PEM(),
		"a second key":       slices.Concat(must(MarshalPrivateKey(p256Key("job"))), must(MarshalPrivateKey(p256Key("job")))),
		"a header in it":     bytes.Replace(file, []byte("STELE DELEGATION-----\n"), []byte("STELE DELEGATION-----\nA: b\n\n"), 1),
		"a truncated base64": file[:len(file)-60],
	} {
		if _, err := ParsePrivateKey(bad, nil, nil); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// The form of a delegation: what nobody can make, and nothing reads.
func TestDelegationForm(t *testing.T) {
	for name, change := range map[string]func(*DelegationClaims){
		"over-long":              func(c *DelegationClaims) { c.NotAfter = c.NotBefore + MaxDelegationLife + 1 },
		"over before it begins":  func(c *DelegationClaims) { c.NotAfter = c.NotBefore },
		"for ever":               func(c *DelegationClaims) { c.NotBefore, c.NotAfter = 0, strictjson.MaxInteger },
		"no ledger":              func(c *DelegationClaims) { c.Ledger = LedgerID{} },
		"no key":                 func(c *DelegationClaims) { c.Key = nil },
		"an SSH key":             func(c *DelegationClaims) { c.Key = sshEd("job").PublicKey() },
		"no names":               func(c *DelegationClaims) { c.Names = nil },
		"too many names":         func(c *DelegationClaims) { c.Names = strings.Fields(strings.Repeat("a ", MaxDelegationNames+1)) },
		"a name twice":           func(c *DelegationClaims) { c.Names = []string{"a", "a"} },
		"no name":                func(c *DelegationClaims) { c.Names = []string{"../x"} },
		"no kinds":               func(c *DelegationClaims) { c.Kinds = nil },
		"a kind twice":           func(c *DelegationClaims) { c.Kinds = []Kind{KindRun, KindRun} },
		"an approval":            func(c *DelegationClaims) { c.Kinds = []Kind{KindApproval} },
		"an identity":            func(c *DelegationClaims) { c.Kinds = []Kind{KindIdentity} },
		"a contract":             func(c *DelegationClaims) { c.Kinds = []Kind{KindContract} },
		"the log's key":          func(c *DelegationClaims) { c.Kinds = []Kind{KindLogKey} },
		"a withdrawal":           func(c *DelegationClaims) { c.Kinds = []Kind{KindWithdrawal} },
		"a genesis":              func(c *DelegationClaims) { c.Kinds = []Kind{KindGenesis} },
		"nobody":                 func(c *DelegationClaims) { c.Subject = "" },
		"a subject of two lines": func(c *DelegationClaims) { c.Subject = "ci\nroot" },
		"a subject that turns":   func(c *DelegationClaims) { c.Subject = "ci \u202etoor" },
	} {
		claims := testClaims()
		change(&claims)
		if _, err := NewDelegation(claims, ed("issuer")); !errors.Is(err, ErrFormat) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// What is well formed and signed, but not in its one spelling.
	payload := string(testDelegation().payload)
	for name, document := range map[string]string{
		"a space":         strings.Replace(payload, ",", ", ", 1),
		"unsorted":        strings.Replace(payload, `["fraud/model*","fraud/train"]`, `["fraud/train","fraud/model*"]`, 1),
		"another order":   strings.Replace(payload, `{"stele":"delegation/v1",`, `{`, 1)[:len(payload)-len(`"stele":"delegation/v1",`)-1] + `,"stele":"delegation/v1"}`,
		"an empty source": strings.Replace(payload, `"source":"https://token.actions.githubusercontent.com"`, `"source":""`, 1),
		"another form":    strings.Replace(payload, "delegation/v1", "delegation/v2", 1),
		"one member more": strings.Replace(payload, `{`, `{"admin":true,`, 1),
		"twice":           strings.Replace(payload, `{`, `{"stele":"delegation/v1",`, 1),
	} {
		if document == payload {
			t.Fatalf("%s: nothing was changed", name)
		}
		d := &Delegation{Issuer: ed("issuer").PublicKey().ID(), payload: []byte(document)}
		d.signature = must(ed("issuer").Sign(PAE(DelegationType, d.payload)))
		if _, err := ParseDelegation(d.Encode()); !errors.Is(err, ErrFormat) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// A delegation inside a delegation.
	inner := &Envelope{PayloadType: DelegationType, Payload: testDelegation().payload, KeyID: ed("issuer").PublicKey().ID(), Signature: []byte{1}, Delegation: testDelegation().Encode()}
	if _, err := ParseDelegation(inner.Encode()); !errors.Is(err, ErrFormat) {
		t.Errorf("a delegation that is itself delegated: %v", err)
	}
	if _, err := ParseDelegation(make([]byte, MaxDelegation+1)); !errors.Is(err, ErrFormat) {
		t.Errorf("too long: %v", err)
	}
}

// The largest delegation fits an entry with the largest payload and signature, and
// the largest JSON form is within its limit.
func TestDelegationLimits(t *testing.T) {
	if MaxDelegation != 3955 {
		t.Errorf("MaxDelegation is %d; docs/formats says 3,955", MaxDelegation)
	}
	e := &Envelope{PayloadType: PayloadType, Payload: make([]byte, MaxPayload), Signature: make([]byte, MaxSignature), Delegation: make([]byte, MaxDelegation)}
	if n := len(e.Encode()); n != MaxEnvelope {
		t.Errorf("the largest envelope has %d bytes, MaxEnvelope is %d", n, MaxEnvelope)
	}
	json := len(`{"payload":"","payloadType":"","signatures":[{"keyid":"","sig":""}],"delegation":""}`) + len(PayloadType) + 64 +
		base64.StdEncoding.EncodedLen(MaxPayload) + base64.StdEncoding.EncodedLen(MaxSignature) + base64.StdEncoding.EncodedLen(MaxDelegation)
	if json > MaxDSSE {
		t.Errorf("the largest envelope has %d bytes of JSON, MaxDSSE is %d", json, MaxDSSE)
	}
}

// Who has an envelope of a job changes something about its delegation.
func TestAttackDelegationChanged(t *testing.T) {
	issuer := ed("issuer").PublicKey()
	whole := must(Sign(testStamp("fraud/train", "1"), testDelegated(testDelegation())))
	for i := range whole.Delegation {
		e := *whole
		e.Delegation = bytes.Clone(whole.Delegation)
		e.Delegation[i] ^= 1
		if err := e.Verify(issuer); err == nil {
			t.Fatalf("with bit 0 of byte %d of the delegation turned, it verifies", i)
		}
	}
	none := *whole
	none.Delegation = nil
	if err := none.Verify(issuer); !errors.Is(err, ErrSignature) {
		t.Errorf("without its delegation: %v", err)
	}
	// Signed by somebody who is no issuer, in the issuer's name.
	forged := testDelegation()
	forged.signature = must(ed("mallory").Sign(PAE(DelegationType, forged.payload)))
	e := *whole
	e.Delegation = forged.Encode()
	if err := e.Verify(issuer); !errors.Is(err, ErrSignature) {
		t.Errorf("with another's signature under the delegation: %v", err)
	}
	// The issuer's signature under a statement is none under a delegation.
	crossed := testDelegation()
	crossed.signature = must(ed("issuer").Sign(PAE(PayloadType, crossed.payload)))
	if err := crossed.Verify(issuer); !errors.Is(err, ErrSignature) {
		t.Errorf("with a signature of a statement: %v", err)
	}
	// A delegation for another key than signed.
	other := *whole
	other.Delegation = testDelegation(func(c *DelegationClaims) { c.Key = p256("other job").PublicKey() }).Encode()
	if err := other.Verify(issuer); !errors.Is(err, ErrFormat) {
		t.Errorf("with a delegation for another key: %v", err)
	}
	if _, err := DecodeEnvelope(other.Encode()); !errors.Is(err, ErrFormat) {
		t.Errorf("with a delegation for another key, read back: %v", err)
	}
	// The twin of an issuer's P-256 signature is not accepted.
	d := must(NewDelegation(testClaims(), p256("issuer")))
	r, s, err := parseP256Signature(d.signature)
	if err != nil {
		t.Fatal(err)
	}
	d.signature = marshalP256Signature(r, new(big.Int).Sub(p256N, s))
	if err := d.Verify(p256("issuer").PublicKey()); !errors.Is(err, ErrSignature) {
		t.Errorf("with the twin of its signature: %v", err)
	}
}

func TestDelegatedChecks(t *testing.T) {
	approve := &Statement{Kind: KindApproval, Ledger: testLedger, Nonce: testNonce("approve"), Subject: []Subject{testRef("fraud/train", "1").Subject()},
		Approval: &Approval{Decision: DecisionApprove, Stage: "production", After: 1}}
	withdraw := &Statement{Kind: KindWithdrawal, Ledger: testLedger, Nonce: testNonce("withdraw"), Subject: []Subject{testRef("fraud/train", "1").Subject()},
		Withdrawal: &Withdrawal{Target: TargetBinding, Effect: EffectNoNewUse, Reason: "a test", After: 1}}
	stamp := testStamp("fraud/train", "1")
	elsewhere := testStamp("fraud/train", "1")
	elsewhere.Ledger = LedgerID{1}
	evaluate := func(name string) *Statement {
		return &Statement{Kind: KindEvaluation, Ledger: testLedger, Nonce: testNonce("evaluate"), Subject: []Subject{testRef(name, "1").Subject()},
			Evaluation: &Evaluation{Metrics: map[string]Decimal{"auc": "0.9"}}}
	}
	claim := func(name string) *Statement { // a run that names what another entry stamped
		return &Statement{Kind: KindRun, Ledger: testLedger, Nonce: testNonce("run"), Subject: []Subject{testRef(name, "1").Subject()},
			Run: &Run{Outputs: []Output{{Ref: testRef(name, "1")}}}}
	}
	none := func(*DelegationClaims) {}
	for _, test := range []struct {
		name   string
		change func(*DelegationClaims)
		st     *Statement
		time   int64
		want   error // nil: it may
	}{
		{"a stamp", none, stamp, within, nil},
		{"at its first moment", none, stamp, issued, nil},
		{"an evaluation", none, evaluate("fraud/model-7"), within, nil},
		{"early", none, stamp, issued - 1, ErrStanding},
		{"at its end", none, stamp, testClaims().NotAfter, ErrStanding},
		{"late", none, stamp, testClaims().NotAfter + MaxDelegationLife, ErrStanding},
		{"another ledger's delegation", func(c *DelegationClaims) { c.Ledger = LedgerID{1} }, stamp, within, ErrNotAllowed},
		{"another ledger's statement", none, elsewhere, within, ErrNotAllowed},
		{"a name that only the issuer has", none, testStamp("fraud/other", "1"), within, ErrNotAllowed},
		{"a name that only the delegation has", func(c *DelegationClaims) { c.Names = []string{"*"} }, testStamp("vision/train", "1"), within, ErrNotAllowed},
		{"evaluating a name it has not", none, evaluate("fraud/other"), within, ErrNotAllowed},
		{"claiming to have made a name it has not", none, claim("fraud/other"), within, ErrNotAllowed},
		{"a kind that only the issuer has", none, &Statement{Kind: KindImport, Ledger: testLedger, Subject: []Subject{testRef("fraud/train", "1").Subject()}, Import: &Import{}}, within, ErrNotAllowed},
		{"a kind that only the delegation has", func(c *DelegationClaims) { c.Kinds = []Kind{KindAudit} },
			&Statement{Kind: KindAudit, Ledger: testLedger, Subject: []Subject{testRef("fraud/train", "1").Subject()}, Audit: &Audit{}}, within, ErrNotAllowed},
		{"an approval", none, approve, within, ErrNotAllowed},
		{"a withdrawal", none, withdraw, within, ErrNotAllowed},
		{"an identity", none, testRegister("mallory", ed("mallory").PublicKey(), []string{RoleMember}, nil), within, ErrNotAllowed},
		{"for a registered key", func(c *DelegationClaims) { c.Key = p256("alice").PublicKey() }, stamp, within, ErrNotAllowed},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := issuerRoster(t)
			err := r.CheckDelegated(5, test.time, testDelegation(test.change), test.st)
			if !errors.Is(err, test.want) || (test.want == nil) != (err == nil) {
				t.Errorf("%v, want %v", err, test.want)
			}
		})
	}
}

// What becomes of the issuer becomes of what is signed through it.
func TestDelegatedStandsWithItsIssuer(t *testing.T) {
	alice, issuer := p256("alice").PublicKey().ID(), ed("issuer").PublicKey().ID()
	apply := func(r *Roster, index uint64, id Identity) {
		t.Helper()
		id.Handle, id.KeyID = "ci", issuer
		st := &Statement{Kind: KindIdentity, Ledger: testLedger, Nonce: testNonce("fate"), Identity: &id}
		if err := r.Apply(index, within, alice, st); err != nil {
			t.Fatal(err)
		}
	}
	e := must(Sign(testStamp("fraud/train", "1"), testDelegated(testDelegation())))
	check := func(r *Roster, index uint64) error {
		return r.CheckEnvelope(index, within, e, testStamp("fraud/train", "1"))
	}

	r := issuerRoster(t)
	if err := check(r, 5); err != nil {
		t.Fatal(err)
	}
	apply(r, 6, Identity{Action: ActionRetire})
	if err := check(r, 7); !errors.Is(err, ErrStanding) {
		t.Errorf("after the issuer was retired: %v", err)
	}
	if s := r.Standing(e.By(), 5, within); !s.OK {
		t.Errorf("before it was: %+v", s)
	}
	apply(r, 8, Identity{Action: ActionCompromised, Since: 5})
	if s := r.Standing(e.By(), 5, within); s.State != StateCompromised {
		t.Errorf("the issuer is compromised since that entry: %+v", s)
	}
	if s := r.Standing(e.By(), 4, within); !s.OK {
		t.Errorf("the issuer is compromised since a later entry: %+v", s)
	}

	// Nobody but an issuer gives delegations: not an administrator either.
	byAlice := must(NewDelegation(testClaims(), p256("alice")))
	if err := issuerRoster(t).CheckDelegated(5, within, byAlice, testStamp("fraud/train", "1")); !errors.Is(err, ErrNotAllowed) {
		t.Errorf("an administrator's delegation: %v", err)
	}
	unknown := must(NewDelegation(testClaims(), ed("mallory")))
	if err := issuerRoster(t).CheckDelegated(5, within, unknown, testStamp("fraud/train", "1")); !errors.Is(err, ErrStanding) {
		t.Errorf("a stranger's delegation: %v", err)
	}
	// A key that was registered since signs for itself, and through no delegation.
	r = issuerRoster(t)
	if err := r.Apply(2, within, alice, testRegister("job", p256("job").PublicKey(), []string{RoleMember}, []string{"*"})); err != nil {
		t.Fatal(err)
	}
	if err := check(r, 5); !errors.Is(err, ErrNotAllowed) {
		t.Errorf("a delegation for a key that was registered: %v", err)
	}
}

func TestIssuerRegistration(t *testing.T) {
	for name, test := range map[string]struct {
		roles []string
		kinds []Kind
		ok    bool
	}{
		"an issuer":                    {[]string{RoleIssuer}, []Kind{KindStamp}, true},
		"an issuer and member":         {[]string{RoleIssuer, RoleMember}, []Kind{KindStamp}, true},
		"that delegates releases":      {[]string{RoleIssuer, RoleReleaser}, []Kind{KindRelease}, true},
		"that may not release":         {[]string{RoleIssuer}, []Kind{KindRelease}, false},
		"without kinds":                {[]string{RoleIssuer}, nil, false},
		"kinds without the role":       {[]string{RoleMember}, []Kind{KindStamp}, false},
		"an administrator":             {[]string{RoleIssuer, RoleAdministrator}, []Kind{KindStamp}, false},
		"an approver":                  {[]string{RoleIssuer, RoleApprover}, []Kind{KindStamp}, false},
		"that delegates approvals":     {[]string{RoleIssuer}, []Kind{KindApproval}, false},
		"that delegates a kind twice":  {[]string{RoleIssuer}, []Kind{KindStamp, KindStamp}, false},
		"that delegates nobody's kind": {[]string{RoleIssuer}, []Kind{"anything"}, false},
	} {
		st := testRegister("ci", ed("issuer").PublicKey(), test.roles, []string{"fraud/*"})
		st.Identity.Kinds = test.kinds
		payload, err := st.Marshal()
		if (err == nil) != test.ok {
			t.Errorf("%s: %v", name, err)
		}
		if err == nil {
			if back := must(Parse(payload)).Identity; !slices.Equal(back.Kinds, test.kinds) {
				t.Errorf("%s: read back as %v", name, back.Kinds)
			}
		}
	}
	// The issuer's key does not stamp by itself, but takes back.
	r := issuerRoster(t)
	if err := r.Check(5, within, ed("issuer").PublicKey().ID(), testStamp("fraud/train", "1")); !errors.Is(err, ErrNotAllowed) {
		t.Errorf("the issuer's key stamps: %v", err)
	}
}

func FuzzParseDelegation(f *testing.F) {
	f.Add(testDelegation().Encode())
	f.Add(must(NewDelegation(testClaims(), p256("issuer"))).Encode())
	f.Fuzz(func(t *testing.T, bin []byte) {
		d, err := ParseDelegation(bin)
		if err != nil {
			return
		}
		if !bytes.Equal(d.Encode(), bin) {
			t.Fatalf("%x is a second form of %x", bin, d.Encode())
		}
		if d.NotAfter-d.NotBefore > MaxDelegationLife || len(d.Names) == 0 || len(d.Kinds) == 0 {
			t.Fatalf("%+v", d.DelegationClaims)
		}
	})
}
