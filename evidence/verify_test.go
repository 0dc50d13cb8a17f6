package evidence

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"

	"github.com/stele-ml/stele/fingerprint"
	"github.com/stele-ml/stele/statement"
)

// sample is evidence with one of everything, and the policy it verifies under.
func sample(t testing.TB) (*testLedger, *File, *Policy, *data) {
	t.Helper()
	l := newLedger(t, "sample")
	d := testData(t, 1)
	details := statement.Details{Salt: sha256.Sum256([]byte("salt")), Locations: []string{"s3://bucket/scans"}}
	doc, err := details.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	st := d.stamping("scans/train", "1")
	st.Stamp.Details = &statement.Attachment{SHA256: sha256.Sum256(doc), Size: uint64(len(doc))}
	st.Stamp.Ignore = []string{".git/"}
	e := l.say(l.member, st)
	l.withdraw(l.admin, testData(t, 7).ref("scans/other", "1"), statement.TargetContents, "")
	l.stamp(l.member, testData(t, 2), "scans/train", "2")
	w1, k1 := witnessKey(t, "w1.example", "w1", l.now/1000+60)
	w2, k2 := witnessKey(t, "w2.example", "w2", l.now/1000+90)
	p := l.policy()
	p.Witnesses = []PolicyWitness{{Name: "a", Key: k1}, {Name: "b", Key: k2}}
	p.Groups = []PolicyGroup{{Name: "both", K: 2, Members: []string{"a", "b"}}}
	p.Quorum = "both"
	claim := Claim{
		Entry: e.Index, Name: "scans/train", Version: "1", Fingerprint: d.fp,
		Paths:  []PathClaim{d.path(t, "part-03.csv", true), d.path(t, "patients.csv", false)},
		Ranges: []RangeClaim{d.byteRange(t, "part-03.csv", 3, 9)},
	}
	f, err := Collect(l, l.checkpoint(w1, w2), claim, [][]byte{doc})
	if err != nil {
		t.Fatal(err)
	}
	return l, f, p, d
}

func options(l *testLedger, d *data) Options {
	return Options{
		Now: l.now + 120_000, MaxAge: 3600_000, Ledger: l.id, Name: "scans/train", Version: "1",
		Contents:   &Contents{Fingerprint: d.fp, Files: d.sum.Files, Bytes: d.sum.Bytes},
		Remembered: Remembered{Signed: l.checkpointAt(2, l.log)},
		Proof:      must(ProveConsistency(2, l.size, l)),
	}
}

func want(t testing.TB, v *Verdict, verdict Outcome, failed ...string) {
	t.Helper()
	var got []string
	for _, c := range v.Checks {
		if c.OK == Failed {
			got = append(got, c.Name)
		}
		if c.Detail == "" {
			t.Errorf("the check %q says nothing", c.Name)
		}
	}
	if v.Verdict != verdict || !reflect.DeepEqual(got, failed) {
		t.Fatalf("got %s with %q failed, want %s with %q\n%s", v.Verdict, got, verdict, failed, v)
	}
}

func TestVerify(t *testing.T) {
	l, f, p, d := sample(t)
	data, err := f.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	v := VerifyBytes(data, p, options(l, d))
	want(t, v, Verified)
	// Every check there is was made, each in its place.
	var names []string
	for _, c := range v.Checks {
		names = append(names, c.Name)
		if (c.OK == NotMade) != slices.Contains([]string{CheckLineage, CheckNotTainted, CheckRules}, c.Name) {
			t.Errorf("%s: %s: %s", c.Name, c.OK, c.Detail)
		}
	}
	order := slices.DeleteFunc(slices.Clone(checkOrder), func(name string) bool {
		return name == CheckMembers || name == CheckReleased || name == CheckAbsentFromAll
	})
	if !reflect.DeepEqual(names, order) {
		t.Errorf("checks %q, want %q", names, order)
	}
	if v.AsOf.Size != l.size || v.Stamp.Handle != "mara" || v.Stamp.Fingerprint != d.fp.String() || len(v.Cosignatures) != 2 || v.Exit() != 0 {
		t.Errorf("%+v %+v", v.AsOf, v.Stamp)
	}

	// The JSON is what other programs read.
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	var back struct {
		Verdict string
		Checks  []struct {
			Name string
			OK   *bool
		}
	}
	if err := json.Unmarshal(b, &back); err != nil || back.Verdict != "verified" || len(back.Checks) != len(v.Checks) {
		t.Fatalf("%v: %s", err, b)
	}
	var again Verdict
	if err := json.Unmarshal(b, &again); err != nil || !reflect.DeepEqual(again.Checks, v.Checks) {
		t.Fatalf("%v: %+v", err, again.Checks)
	}
}

func TestVerifyWithoutExtras(t *testing.T) {
	l := newLedger(t, "plain")
	d := testData(t, 1)
	e := l.stamp(l.member, d, "scans/train", "1")
	f := l.prove(l.checkpoint(), e, d, "scans/train", "1")
	v := Verify(f, l.policy(), Options{})
	want(t, v, Verified)
	for _, name := range []string{CheckWitnesses, CheckFresh, CheckHistory, CheckContents, CheckAttachments, CheckTime, CheckRules} {
		if r := v.Result(name); r != NotMade {
			t.Errorf("%s: %s", name, r)
		}
	}
	if v.Result("no such check") != NotMade {
		t.Error("a check that there is not")
	}

	// The evidence of entry 0 alone: genesis is the last leaf.
	g := newLedgerOfOne(t)
	gf := &File{Ledger: g.id, Checkpoint: g.checkpoint(), Last: Proven{Leaf: g.leaves[0]}, Entries: []Proven{{Leaf: g.leaves[0]}}, Claim: Claim{Fingerprint: d.fp}}
	want(t, Verify(gf, g.policy(), Options{}), Tampered, CheckClaim)
}

func newLedgerOfOne(t testing.TB) *testLedger {
	l := emptyLedger(t, "one")
	l.genesis("one")
	return l
}

func TestVerifyTrust(t *testing.T) {
	l, f, p, d := sample(t)
	opts := options(l, d)
	t.Run("no policy", func(t *testing.T) {
		v := Verify(f, nil, Options{})
		want(t, v, Untrusted, CheckTrustedLog)
		if v.LogKey != l.logKey.String() {
			t.Error("the key to pin is not told")
		}
	})
	t.Run("no policy, unsafe", func(t *testing.T) {
		v := Verify(f, nil, Options{TrustAnyLogUnsafe: true})
		want(t, v, Verified)
		if v.Result(CheckTrustedLog) != NotMade {
			t.Error("the trust was not checked")
		}
		want(t, Verify(f, &Policy{Quorum: QuorumNone}, Options{TrustAnyLogUnsafe: true}), Untrusted, CheckTrustedLog)
	})
	t.Run("max age", func(t *testing.T) {
		o := opts
		o.Now += 2 * o.MaxAge
		want(t, Verify(f, p, o), Untrusted, CheckFresh)
		o.Now = 0
		want(t, Verify(f, p, o), Untrusted)
		o = opts
		o.Now -= 3600_000
		want(t, Verify(f, p, o), Untrusted, CheckFresh)
		o = opts
		want(t, Verify(f, l.policy(), o), Untrusted) // no witnesses, so nothing says how old it is
	})
	t.Run("another ledger than asked", func(t *testing.T) {
		o := opts
		o.Ledger[0] ^= 1
		want(t, Verify(f, p, o), Untrusted, CheckLedger)
	})
	t.Run("a policy that makes no sense", func(t *testing.T) {
		want(t, Verify(f, &Policy{Logs: p.Logs, Quorum: "nobody"}, opts), Untrusted, CheckTrustedLog)
	})
	t.Run("unknown signatures are ignored", func(t *testing.T) {
		w3, _ := witnessKey(t, "w3.example", "w3", 1)
		g := *f
		g.Checkpoint = must(SignCheckpoint(Checkpoint{l.origin, l.size, l.root(l.size)}, append([]note.Signer{w3}, signersOf(t, l)...)...))
		want(t, Verify(&g, p, opts), Verified)
	})
}

// signersOf are those of the sample's checkpoint.
func signersOf(t testing.TB, l *testLedger) []note.Signer {
	w1, _ := witnessKey(t, "w1.example", "w1", l.now/1000+60)
	w2, _ := witnessKey(t, "w2.example", "w2", l.now/1000+90)
	return []note.Signer{l.log, w1, w2}
}

func TestVerifyOutcomes(t *testing.T) {
	l, f, p, d := sample(t)
	t.Run("altered contents", func(t *testing.T) {
		o := options(l, d)
		o.Contents = &Contents{Fingerprint: testData(t, 3).fp, Files: 5, Bytes: 105}
		v := Verify(f, p, o)
		want(t, v, Tampered, CheckContents)
		if v.Exit() != 3 || !strings.Contains(v.String(), d.fp.String()) {
			t.Errorf("%d\n%s", v.Exit(), v)
		}
	})
	t.Run("a stamp that counts wrong", func(t *testing.T) {
		l, d := newLedger(t, "miscounted"), testData(t, 1)
		for i, sum := range []statement.Stamp{{Files: d.sum.Files + 1, Bytes: d.sum.Bytes}, {Files: d.sum.Files, Bytes: d.sum.Bytes + 1}} {
			st := d.stamping("scans/train", fmt.Sprint(i))
			st.Stamp.Files, st.Stamp.Bytes, st.Stamp.Basis.Read = sum.Files, sum.Bytes, sum.Bytes
			e := l.say(l.member, st)
			f := l.prove(l.checkpoint(), e, d, "scans/train", fmt.Sprint(i))
			v := Verify(f, l.policy(), Options{Contents: &Contents{Fingerprint: d.fp, Files: d.sum.Files, Bytes: d.sum.Bytes}})
			want(t, v, Tampered, CheckContents)
		}
	})
	t.Run("not what was asked for", func(t *testing.T) {
		o := options(l, d)
		o.Version = "2"
		v := Verify(f, p, o)
		want(t, v, Unknown, CheckClaim)
		if v.Exit() != 5 {
			t.Error(v.Exit())
		}
	})
	t.Run("withdrawn and reinstated", func(t *testing.T) {
		ref := d.ref("scans/train", "1")
		w := l.withdraw(l.member, ref, statement.TargetBinding, "")
		e := must(ParseEntry(l.leaves[2]))
		v := Verify(l.prove(l.checkpoint(), e, d, "scans/train", "1"), l.policy(), Options{})
		want(t, v, Withdrawn, CheckNotWithdrawn)
		if v.Exit() != 4 || len(v.Withdrawals) != 1 || v.Withdrawals[0].Reason != "a wrong label" {
			t.Errorf("%d %+v", v.Exit(), v.Withdrawals)
		}
		l.reinstate(l.admin, ref, w.Index)
		want(t, Verify(l.prove(l.checkpoint(), e, d, "scans/train", "1"), l.policy(), Options{}), Verified)
		l.withdraw(l.member, ref, statement.TargetLocation, "s3://bucket/scans")
		want(t, Verify(l.prove(l.checkpoint(), e, d, "scans/train", "1"), l.policy(), Options{}), Verified)
		l.withdraw(l.member, d.ref("scans/copy", "1"), statement.TargetContents, "")
		want(t, Verify(l.prove(l.checkpoint(), e, d, "scans/train", "1"), l.policy(), Options{}), Withdrawn, CheckNotWithdrawn)
	})
	t.Run("the worst wins", func(t *testing.T) {
		e := must(ParseEntry(l.leaves[2]))
		f := l.prove(l.checkpoint(), e, d, "scans/train", "1")
		v := Verify(f, nil, Options{Name: "scans/train", Version: "9"})
		want(t, v, Untrusted, CheckTrustedLog, CheckClaim, CheckNotWithdrawn)
		v = Verify(f, nil, Options{Contents: &Contents{Fingerprint: testData(t, 3).fp}})
		want(t, v, Tampered, CheckTrustedLog, CheckNotWithdrawn, CheckContents)
	})
}

func TestVerifySeveralEntries(t *testing.T) {
	l := newLedger(t, "several")
	d := testData(t, 1)
	var first *Entry
	for i := range 20 {
		e := l.stamp(l.member, testData(t, byte(i+1)), fmt.Sprint("scans/", i), "1")
		if i == 0 {
			first = e
		}
	}
	f, err := Collect(l, l.checkpoint(), Claim{Entry: first.Index, Name: "scans/0", Version: "1", Fingerprint: d.fp}, nil, 21, 4, 4, 9)
	if err != nil {
		t.Fatal(err)
	}
	want(t, Verify(f, l.policy(), Options{}), Verified)
	if len(f.Entries) != 4 {
		t.Fatalf("%d entries", len(f.Entries))
	}
	f.Entries[2].Proof[0][0] ^= 1
	want(t, Verify(f, l.policy(), Options{}), Tampered, CheckIncluded)
	f.Entries[2].Proof[0][0] ^= 1
	f.Entries[1], f.Entries[2] = f.Entries[2], f.Entries[1]
	want(t, Verify(f, l.policy(), Options{}), Tampered, CheckFormat)
}

func TestVerifyLogRotation(t *testing.T) {
	l := newLedger(t, "rotating")
	d := testData(t, 1)
	e := l.stamp(l.member, d, "scans/train", "1")
	pinned := l.policy()
	before := l.prove(l.checkpoint(), e, d, "scans/train", "1")
	old, _ := l.rotate("rotating second")
	l.rotate("rotating third")

	first := Verify(l.prove(l.checkpoint(old), e, d, "scans/train", "1"), pinned, Options{})
	want(t, first, Verified)
	l.stamp(l.member, testData(t, 2), "scans/train", "2")
	f := l.prove(l.checkpoint(), e, d, "scans/train", "1")
	v := Verify(f, pinned, Options{})
	want(t, v, Verified)
	if !v.Followed || v.LogKey != l.logKey.String() {
		t.Errorf("followed %v to %s", v.Followed, v.LogKey)
	}
	if v := Verify(f, l.policy(), Options{}); v.Verdict != Verified || v.Followed {
		t.Errorf("pinned to the new key: %s", v)
	}
	// Trust goes forwards: the new key vouches for no checkpoint from before.
	want(t, Verify(before, l.policy(), Options{}), Untrusted, CheckTrustedLog)

	// Whoever stole the first key leads from it elsewhere; a policy that also
	// names the second one is not led astray.
	both := l.policy()
	both.Logs = append(both.Logs, pinned.Logs...)
	want(t, Verify(f, both, Options{}), Verified)
	thief := newLedger(t, "rotating")
	e2 := thief.stamp(thief.member, d, "scans/train", "1")
	thief.rotate("rotating thief")
	stolen := thief.prove(thief.checkpoint(), e2, d, "scans/train", "1")
	want(t, Verify(stolen, pinned, Options{}), Verified)
	want(t, Verify(stolen, both, Options{}), Untrusted, CheckTrustedLog)

	g := *f
	g.Checkpoint = l.checkpointAt(l.size, old)
	want(t, Verify(&g, pinned, Options{}), Untrusted, CheckCheckpoint)
}

func TestVerifyAttachments(t *testing.T) {
	l, f, p, d := sample(t)
	o := options(l, d)
	doc := f.Attachments[0]
	f.Attachments = nil
	v := Verify(f, p, o)
	want(t, v, Verified)
	if v.Result(CheckAttachments) != NotMade {
		t.Error("withheld details must be said")
	}
	f.Attachments = []Attachment{{SHA256: doc.SHA256, Data: append(bytes.Clone(doc.Data), ' ')}}
	want(t, Verify(f, p, o), Tampered, CheckAttachments)
	f.Attachments = []Attachment{{SHA256: sha256.Sum256([]byte("x")), Data: []byte("x")}}
	want(t, Verify(f, p, o), Tampered, CheckAttachments)
}

func TestVerifyBadFiles(t *testing.T) {
	_, f, p, _ := sample(t)
	good := must(f.Marshal())
	for name, b := range map[string][]byte{
		"empty":           nil,
		"something else":  []byte("hello"),
		"other JSON":      []byte("{}"),
		"cut short":       good[:len(good)/2],
		"no newline":      good[:len(good)-1],
		"two newlines":    append(bytes.Clone(good), '\n'),
		"white space":     bytes.Replace(good, []byte(`,"control"`), []byte(`, "control"`), 1),
		"another order":   bytes.Replace(good, []byte(`"present":true,`), nil, 1),
		"unknown member":  bytes.Replace(good, []byte(`,"control"`), []byte(`,"x":1,"control"`), 1),
		"duplicate":       bytes.Replace(good, []byte(`,"control"`), []byte(`,"checkpoint":"","control"`), 1),
		"another version": bytes.Replace(good, []byte(`evidence/v1`), []byte(`evidence/v2`), 1),
		"deep":            []byte(`{"stele":"evidence/v1","control":` + strings.Repeat("[", 5000) + strings.Repeat("]", 5000) + "}"),
		"huge number":     bytes.Replace(good, []byte(`"entry":2`), []byte(`"entry":1e999999999`), 1),
	} {
		t.Run(name, func(t *testing.T) {
			if bytes.Equal(b, good) {
				t.Fatal("a test that changes nothing")
			}
			v := VerifyBytes(b, p, Options{})
			want(t, v, Tampered, CheckFormat)
			if _, err := Parse(b); !errors.Is(err, ErrFormat) {
				t.Errorf("an error of no class: %v", err)
			}
		})
	}
	// A File made by hand that is nonsense is no crash either.
	for _, g := range []*File{{}, {Checkpoint: f.Checkpoint}, {Checkpoint: f.Checkpoint, Entries: []Proven{{}}}} {
		want(t, Verify(g, p, Options{}), Tampered, CheckFormat)
	}
}

func TestFileRoundTrip(t *testing.T) {
	_, f, _, _ := sample(t)
	b := must(f.Marshal())
	g, err := Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(must(g.Marshal()), b) {
		t.Fatal("written differently")
	}
	e, st, err := g.Stamp()
	if err != nil || e.Index != f.Claim.Entry || st.Stamp.Ignore[0] != ".git/" {
		t.Fatalf("%v %+v", err, st)
	}
	tp, err := g.TLogProof()
	if err != nil {
		t.Fatal(err)
	}
	tp, err = ParseTLogProof(tp.Marshal())
	if err != nil || LeafHash(tp.Extra) != e.LeafHash() {
		t.Fatalf("%v", err)
	}
	if _, err := fingerprint.Parse(g.Claim.Fingerprint.String()); err != nil {
		t.Fatal(err)
	}
	g.Claim.Entry = 77
	if _, _, err := g.Stamp(); !errors.Is(err, ErrFormat) {
		t.Fatal(err)
	}
	if _, err := g.TLogProof(); !errors.Is(err, ErrFormat) {
		t.Fatal(err)
	}
}

func TestCollectRefuses(t *testing.T) {
	l := newLedger(t, "collect")
	d := testData(t, 1)
	empty := must(SignCheckpoint(Checkpoint{Origin: l.origin, Root: EmptyRoot}, l.log))
	if _, err := Collect(l, empty, Claim{}, nil); !errors.Is(err, ErrFormat) {
		t.Errorf("an empty log: %v", err)
	}
	if _, err := Collect(l, l.checkpoint(), Claim{Entry: 9, Fingerprint: d.fp}, nil); !errors.Is(err, ErrFormat) {
		t.Errorf("an entry that is not there: %v", err)
	}
	if _, err := Collect(l, []byte("x"), Claim{}, nil); !errors.Is(err, ErrFormat) {
		t.Errorf("no checkpoint: %v", err)
	}
}

// The sample really is what the JSON of the page shows: its members in order.
func TestFileMembers(t *testing.T) {
	_, f, _, _ := sample(t)
	dec := json.NewDecoder(bytes.NewReader(must(f.Marshal())))
	var got []string
	depth := 0
	for key := true; ; {
		tok, err := dec.Token()
		if err != nil {
			break
		}
		switch d, ok := tok.(json.Delim); {
		case ok && (d == '{' || d == '['):
			depth++
			key = true
		case ok:
			depth--
			key = true
		case depth == 1:
			if key {
				got = append(got, tok.(string))
			}
			key = !key
		}
	}
	if s := strings.Join(got, " "); s != "stele ledger checkpoint control last entries claim attachments sum" {
		t.Fatal(s)
	}
}
