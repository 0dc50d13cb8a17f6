package evidence

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"iter"
	"testing"

	"golang.org/x/mod/sumdb/note"

	"github.com/stele-ml/stele/fingerprint"
	"github.com/stele-ml/stele/statement"
)

const testOrigin = "example.com/ledger-5f3a"

// testSigner is a signer whose key is the same in every run.
func testSigner(t testing.TB, label string) statement.Signer {
	t.Helper()
	seed := sha256.Sum256([]byte("stele test signer " + label))
	key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), seed[:])
	if err != nil {
		t.Fatal(err)
	}
	s, err := statement.NewP256(key, nil)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// testLedger is a ledger in memory that admits whatever it is given: a
// dishonest one, where a test wants that.
type testLedger struct {
	testTree
	t       testing.TB
	origin  string
	leaves  [][]byte
	control *Control
	listed  []uint64 // indexes of control entries
	now     int64    // Unix ms
	nonce   uint64
	id      statement.LedgerID
	log     note.Signer
	logKey  VKey
	admin   statement.Signer
	member  statement.Signer
}

// emptyLedger is a ledger before its genesis. The label decides its keys.
func emptyLedger(t testing.TB, label string) *testLedger {
	l := &testLedger{t: t, origin: testOrigin, control: NewControl(), now: 1790000000000}
	l.log, l.logKey = logKey(t, l.origin, label+" log")
	l.admin = testSigner(t, label+" admin")
	l.member = testSigner(t, label+" member")
	return l
}

// newLedger has a genesis, and a member "mara" who may write "scans/*".
func newLedger(t testing.TB, label string) *testLedger {
	l := emptyLedger(t, label)
	l.genesis(label)
	l.register("mara", l.member, "scans/*")
	return l
}

func (l *testLedger) Leaf(index uint64) ([]byte, error) {
	if index >= uint64(len(l.leaves)) {
		return nil, fmt.Errorf("no leaf %d", index)
	}
	return l.leaves[index], nil
}

func (l *testLedger) ControlEntries(below uint64) ([]uint64, error) {
	var out []uint64
	for _, i := range l.listed {
		if i < below {
			out = append(out, i)
		}
	}
	return out, nil
}

func (l *testLedger) nextNonce() (n statement.Nonce) {
	l.nonce++
	binary.BigEndian.PutUint64(n[8:], l.nonce)
	return n
}

func (l *testLedger) genesis(label string) *Entry {
	return l.say(l.admin, &statement.Statement{
		Kind: statement.KindGenesis,
		Genesis: &statement.Genesis{
			Origin: l.origin, Hash: fingerprint.SHA256, Rules: statement.Rules, LogKey: l.logKey.String(),
			Administrators: []statement.Administrator{{Handle: "ada", Key: l.admin.PublicKey()}},
			Recovery:       testSigner(l.t, label+" recovery").PublicKey(),
		},
	})
}

// sign makes the envelope of a statement for this ledger.
func (l *testLedger) sign(s statement.Signer, st *statement.Statement) *statement.Envelope {
	l.t.Helper()
	if st.Nonce.IsZero() {
		st.Nonce = l.nextNonce()
	}
	if st.Kind != statement.KindGenesis && st.Ledger.IsZero() {
		st.Ledger = l.id
	}
	env, err := statement.Sign(st, s)
	if err != nil {
		l.t.Fatal(err)
	}
	return env
}

// say signs a statement and appends it.
func (l *testLedger) say(s statement.Signer, st *statement.Statement) *Entry {
	l.t.Helper()
	return l.append(l.sign(s, st), st.Control())
}

// append gives an envelope the next place in the log, one second after the
// last. A control entry must be one that the fold takes.
func (l *testLedger) append(env *statement.Envelope, control bool) *Entry {
	l.t.Helper()
	l.now += 1000
	e := &Entry{Index: l.size, Time: l.now, ControlCount: l.control.Count(), ControlRoot: l.control.Root(), Envelope: env}
	l.put(e)
	if control {
		if err := l.control.Add(e); err != nil {
			l.t.Fatal(err)
		}
		l.listed = append(l.listed, e.Index)
	}
	if e.Index == 0 {
		l.id = l.control.Ledger()
	}
	return e
}

// put appends a leaf as it is.
func (l *testLedger) put(e *Entry) {
	leaf := e.Leaf()
	l.leaves = append(l.leaves, leaf)
	l.testTree.add(leaf)
}

func (l *testLedger) register(handle string, s statement.Signer, names ...string) *Entry {
	l.t.Helper()
	return l.identity(l.admin, statement.Identity{
		Action: statement.ActionRegister, Handle: handle, Key: s.PublicKey(), Roles: []string{statement.RoleMember}, Names: names,
	})
}

func (l *testLedger) identity(by statement.Signer, id statement.Identity) *Entry {
	l.t.Helper()
	return l.say(by, &statement.Statement{Kind: statement.KindIdentity, Identity: &id})
}

// data is a small data set and what is needed to prove things about it.
type data struct {
	files    []fingerprint.File
	contents map[string][]byte
	sum      fingerprint.Summary
	fp       fingerprint.Fingerprint
}

func testData(t testing.TB, seed byte) *data {
	t.Helper()
	d := &data{contents: make(map[string][]byte)}
	tree := fingerprint.NewTree(fingerprint.SHA256)
	for i := range 5 {
		path := fmt.Sprintf("part-%02d.csv", i)
		body := bytes.Repeat([]byte{seed, byte(i), '\n'}, 7)
		f := fingerprint.File{Path: path, Size: uint64(len(body)), Digest: fingerprint.SHA256.Sum(body)}
		d.files = append(d.files, f)
		d.contents[path] = body
		if err := tree.Add(f); err != nil {
			t.Fatal(err)
		}
	}
	var err error
	if d.sum, err = tree.Summary(); err != nil {
		t.Fatal(err)
	}
	d.fp = d.sum.Fingerprint(fingerprint.SHA256)
	return d
}

func (d *data) all() iter.Seq2[fingerprint.File, error] {
	return func(yield func(fingerprint.File, error) bool) {
		for _, f := range d.files {
			if !yield(f, nil) {
				return
			}
		}
	}
}

func (d *data) path(t testing.TB, path string, present bool) PathClaim {
	t.Helper()
	p, err := fingerprint.ProvePath(fingerprint.SHA256, d.all(), path)
	if err != nil {
		t.Fatal(err)
	}
	b, err := p.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	return PathClaim{Path: path, Present: present, Proof: b}
}

func (d *data) byteRange(t testing.TB, path string, start, end uint64) RangeClaim {
	t.Helper()
	for _, f := range d.files {
		if f.Path != path {
			continue
		}
		p, err := fingerprint.ProveRange(fingerprint.SHA256, f, start, end)
		if err != nil {
			t.Fatal(err)
		}
		b, err := p.MarshalBinary()
		if err != nil {
			t.Fatal(err)
		}
		c := p.Covering()
		return RangeClaim{Path: path, Start: start, End: end, Proof: b, Data: d.contents[path][c.Start:c.End]}
	}
	t.Fatalf("no file %s", path)
	panic("unreachable")
}

func (d *data) ref(name, version string) statement.Ref {
	return statement.Ref{Name: name, Version: version, Fingerprint: d.fp}
}

// stamping is the statement that stamps the data.
func (d *data) stamping(name, version string) *statement.Statement {
	return &statement.Statement{
		Kind:    statement.KindStamp,
		Subject: []statement.Subject{d.ref(name, version).Subject()},
		Stamp: &statement.Stamp{
			Kind: statement.ArtifactDataset, Files: d.sum.Files, Bytes: d.sum.Bytes,
			Basis: statement.Basis{Read: d.sum.Bytes},
		},
	}
}

func (l *testLedger) stamp(s statement.Signer, d *data, name, version string) *Entry {
	l.t.Helper()
	return l.say(s, d.stamping(name, version))
}

func (l *testLedger) withdraw(s statement.Signer, ref statement.Ref, target, location string) *Entry {
	l.t.Helper()
	return l.say(s, &statement.Statement{
		Kind: statement.KindWithdrawal, Subject: []statement.Subject{ref.Subject()},
		Withdrawal: &statement.Withdrawal{Target: target, Location: location, Effect: statement.EffectNoNewUse, Reason: "a wrong label", After: l.size - 1},
	})
}

func (l *testLedger) reinstate(s statement.Signer, ref statement.Ref, withdrawal uint64) *Entry {
	l.t.Helper()
	return l.say(s, &statement.Statement{
		Kind: statement.KindReinstatement, Subject: []statement.Subject{ref.Subject()},
		Reinstatement: &statement.Reinstatement{Withdrawal: withdrawal, Reason: "it was right", After: l.size - 1},
	})
}

// rotation is the statement that changes the log's key.
func (l *testLedger) rotation(next note.Signer, nextKey VKey) *statement.Statement {
	st := &statement.Statement{Kind: statement.KindLogKey, Ledger: l.id, Nonce: l.nextNonce()}
	st.LogKey = &statement.LogKey{Current: l.logKey.String(), Next: nextKey.String()}
	msg := statement.LogKeyMessage(l.id, st.LogKey.Current, st.LogKey.Next, st.Nonce)
	st.LogKey.Signatures.Current = must(l.log.Sign(msg))
	st.LogKey.Signatures.Next = must(next.Sign(msg))
	return st
}

// rotate changes the log's key and returns the one before.
func (l *testLedger) rotate(label string) (note.Signer, VKey) {
	l.t.Helper()
	next, key := logKey(l.t, l.origin, label)
	l.say(l.admin, l.rotation(next, key))
	old, oldKey := l.log, l.logKey
	l.log, l.logKey = next, key
	return old, oldKey
}

func (l *testLedger) checkpoint(also ...note.Signer) []byte {
	l.t.Helper()
	return l.checkpointAt(l.size, append([]note.Signer{l.log}, also...)...)
}

func (l *testLedger) checkpointAt(size uint64, signers ...note.Signer) []byte {
	l.t.Helper()
	b, err := SignCheckpoint(Checkpoint{Origin: l.origin, Size: size, Root: l.root(size)}, signers...)
	if err != nil {
		l.t.Fatal(err)
	}
	return b
}

// prove collects the evidence that an entry stamps the data.
func (l *testLedger) prove(signed []byte, e *Entry, d *data, name, version string) *File {
	l.t.Helper()
	f, err := Collect(l, signed, Claim{Entry: e.Index, Name: name, Version: version, Fingerprint: d.fp}, nil)
	if err != nil {
		l.t.Fatal(err)
	}
	return f
}

// policy trusts the log's present key and asks for no witness.
func (l *testLedger) policy() *Policy { return NewPolicy(l.logKey, "") }

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
