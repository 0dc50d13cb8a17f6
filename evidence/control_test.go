package evidence

import (
	"errors"
	"reflect"
	"testing"

	"github.com/stele-ml/stele/statement"
)

func TestControlFold(t *testing.T) {
	l := newLedger(t, "control")
	d := testData(t, 1)
	ref := d.ref("scans/train", "1")
	l.stamp(l.member, d, "scans/train", "1")
	w := l.withdraw(l.member, ref, statement.TargetContents, "")

	c := l.control
	if c.Count() != 3 || c.Origin() != l.origin || c.Hash() != d.fp.Algorithm || c.Ledger() != statement.LedgerID(LeafHash(l.leaves[0])) {
		t.Fatalf("%d entries, %s, %s, %s", c.Count(), c.Origin(), c.Hash(), c.Ledger())
	}
	tree := new(testTree)
	for _, i := range l.listed {
		tree.add(l.leaves[i])
	}
	if c.Root() != tree.root(3) {
		t.Fatal("the control root is not the RFC 6962 root over the control leaves")
	}

	same := d.ref("elsewhere", "9") // the same contents under another name
	for _, r := range []statement.Ref{ref, same} {
		got := c.Withdrawals(r)
		if len(got) != 1 || got[0].Entry != w.Index || !got[0].Stands() || got[0].Handle != "mara" {
			t.Fatalf("%s: %+v", r, got)
		}
	}
	if got := c.Withdrawals(testData(t, 2).ref("scans/train", "1")); len(got) != 0 {
		t.Fatalf("other contents: %+v", got)
	}

	before := c.Clone()
	r := l.reinstate(l.admin, ref, w.Index)
	if got := c.Withdrawals(ref); got[0].Stands() || *got[0].EndedBy != r.Index {
		t.Fatalf("reinstated: %+v", got)
	}
	if got := before.Withdrawals(ref); !got[0].Stands() {
		t.Fatal("a clone changed with its original")
	}
	b := l.withdraw(l.member, ref, statement.TargetBinding, "")
	if got := c.Withdrawals(ref); len(got) != 2 || !got[1].Stands() || got[1].Entry != b.Index {
		t.Fatalf("withdrawn again: %+v", got)
	}
	if got := c.Withdrawals(same); len(got) != 1 {
		t.Fatalf("a binding is of one name: %+v", got)
	}
	if len(c.AllWithdrawals()) != 2 || before.Count() != 3 {
		t.Fatal("lists")
	}
}

func TestControlLogKeys(t *testing.T) {
	l := newLedger(t, "rotate")
	_, first := l.rotate("second")
	at := l.size - 1
	_, second := l.rotate("third")
	want := []LogKey{{first, 0}, {second, at}, {l.logKey, at + 1}}
	if got := l.control.LogKeys(); !reflect.DeepEqual(got, want) {
		t.Fatalf("got %v, want %v", got, want)
	}
	for size, key := range map[uint64]VKey{1: first, at: first, at + 1: second, at + 2: l.logKey, MaxSize: l.logKey} {
		if got, ok := l.control.LogKey(size); !ok || got != key {
			t.Errorf("at size %d: %v, want %v", size, got, key)
		}
	}
	if _, ok := NewControl().LogKey(5); ok {
		t.Error("a key before genesis")
	}
}

// Add refuses what does not follow, and is then as it was.
func TestControlRefuses(t *testing.T) {
	l := newLedger(t, "refuse")
	d := testData(t, 1)
	l.stamp(l.member, d, "scans/train", "1")
	next := func() *Entry {
		return &Entry{Index: l.size, Time: l.now + 1, ControlCount: l.control.Count(), ControlRoot: l.control.Root(),
			Envelope: l.sign(l.admin, &statement.Statement{Kind: statement.KindIdentity, Identity: &statement.Identity{
				Action: statement.ActionRegister, Handle: "noor", Key: testSigner(t, "noor").PublicKey(), Roles: []string{"member"}}})}
	}
	genesis := must(ParseEntry(l.leaves[0]))
	other := newLedger(t, "other")
	foreign := must(ParseEntry(other.leaves[1]))
	cases := map[string]struct {
		change func(e *Entry)
		class  error
	}{
		"a stamp":                   {func(e *Entry) { e.Envelope = must(ParseEntry(l.leaves[2])).Envelope }, ErrFormat},
		"garbage":                   {func(e *Entry) { e.Envelope.Payload = []byte("{") }, ErrFormat},
		"a count too high":          {func(e *Entry) { e.ControlCount++ }, ErrTampered},
		"a count too low":           {func(e *Entry) { e.ControlCount-- }, ErrTampered},
		"another root":              {func(e *Entry) { e.ControlRoot[0] ^= 1 }, ErrTampered},
		"an index that is taken":    {func(e *Entry) { e.Index = 1 }, ErrTampered},
		"a time before the last":    {func(e *Entry) { e.Time = 5 }, ErrTampered},
		"another ledger's":          {func(e *Entry) { e.Envelope = foreign.Envelope }, ErrTampered},
		"a second genesis":          {func(e *Entry) { e.Envelope = genesis.Envelope }, ErrTampered},
		"genesis again, at 0":       {func(e *Entry) { *e = *genesis }, ErrTampered},
		"a signature of nothing":    {func(e *Entry) { e.Envelope.Signature[9] ^= 1 }, ErrTampered},
		"an unregistered signer":    {func(e *Entry) { e.Envelope.KeyID[0] ^= 1 }, ErrUntrusted},
		"a member, where admins":    {func(e *Entry) { e.Envelope = l.sign(l.member, must(e.Statement())) }, ErrUntrusted},
		"the key that is there":     {func(e *Entry) { e.Envelope = must(ParseEntry(l.leaves[1])).Envelope }, ErrUntrusted},
		"the payload of somebody's": {func(e *Entry) { e.Envelope.Payload = must(ParseEntry(l.leaves[1])).Envelope.Payload }, ErrTampered},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			e := next()
			c.change(e)
			count, root := l.control.Count(), l.control.Root()
			if err := l.control.Add(e); !errors.Is(err, c.class) {
				t.Fatalf("got %v, want %v", err, c.class)
			}
			if l.control.Count() != count || l.control.Root() != root {
				t.Fatal("it was folded in")
			}
		})
	}
	if err := l.control.Add(next()); err != nil {
		t.Fatalf("after all refusals: %v", err)
	}
	if err := NewControl().Add(must(ParseEntry(l.leaves[1]))); !errors.Is(err, ErrTampered) {
		t.Fatalf("no genesis: %v", err)
	}
}
