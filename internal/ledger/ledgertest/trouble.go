package ledgertest

import (
	"bytes"
	"math/rand/v2"
	"strconv"
	"testing"

	"github.com/stele-ml/stele/statement"
)

// Troubled is a ledger with all kinds of origins, withdrawals, and for even
// seeds a key that was stolen; with its artifacts, of which about half were
// released to p or q when they were new.
func Troubled(tb testing.TB, seed uint64) (*Ledger, []statement.Ref) {
	tb.Helper()
	random := rand.New(rand.NewPCG(seed, 0))
	l := New(tb)
	roles := []string{statement.RoleApprover, statement.RoleMember, statement.RoleReleaser}
	people := []statement.Signer{l.Ada, l.Person("bob", roles...), l.Person("carol", roles...)}
	stolen := uint64(0)
	var refs []statement.Ref
	pick := func() statement.Ref { return refs[random.IntN(len(refs))] }
	for i := range 60 {
		if i == 25 {
			stolen = l.View().Size()
		}
		before := len(refs)
		by := people[random.IntN(len(people))]
		version := strconv.Itoa(i)
		contents := strconv.Itoa(random.IntN(40)) // some bytes under several names
		switch kind := random.IntN(10); {
		case kind < 3 || len(refs) < 3:
			refs = append(refs, l.Stamped(by, "data", version, contents))
		case kind < 5:
			refs = append(refs, l.Stamped(by, "derived", version, contents, pick()))
		case kind < 7:
			inputs := []statement.Ref{pick()}
			if more := pick(); more != inputs[0] {
				inputs = append(inputs, more)
			}
			refs = append(refs, l.Ran(by, "made", version, contents, inputs...))
		case kind == 7:
			refs = append(refs, l.Collected(by, "all", version, pick()))
		case kind == 8:
			if in, out := pick(), pick(); in.String() != out.String() { // a claim, a late run, a cycle
				l.Put(l.Run(by, []statement.Ref{in}, []statement.Output{Old(out)}))
			}
		default:
			target := []string{statement.TargetContents, statement.TargetContents, statement.TargetBinding}[random.IntN(3)]
			ref := pick()
			w := l.Withdrawn(l.Ada, ref, target, statement.EffectNoNewUse)
			if random.IntN(3) == 0 {
				l.Reinstated(l.Ada, ref, w)
			}
		}
		if len(refs) > before && random.IntN(2) == 0 {
			stage, ref := []string{"p", "q"}[random.IntN(2)], refs[before]
			l.Try(l.Release(by, ref, stage, l.Saw(&statement.Release{Stage: stage}, ref))) // refused, where it is tainted
			if random.IntN(4) == 0 {
				l.Rejected(people[random.IntN(len(people))], ref, stage)
			}
		}
	}
	if seed%2 == 0 {
		l.Put(l.Compromised(l.Ada, people[1].PublicKey(), "bob", stolen))
	}
	return l, refs
}

// Forge changes the time of an entry in the store, and leaves the rest as it is.
func (l *Ledger) Forge(tb testing.TB, entry uint64) {
	tb.Helper()
	leaf, err := l.View().Leaf(entry)
	if err != nil {
		tb.Fatal(err)
	}
	rows, err := l.DB.NewIter(nil)
	if err != nil {
		tb.Fatal(err)
	}
	defer rows.Close()
	n := 0
	for rows.First(); rows.Valid(); rows.Next() {
		if !bytes.Equal(rows.Value(), leaf) {
			continue
		}
		forged := bytes.Clone(leaf)
		forged[len("stele entry v1\n")+8+7] ^= 1
		if err := l.DB.Set(bytes.Clone(rows.Key()), forged, nil); err != nil {
			tb.Fatal(err)
		}
		n++
	}
	if n != 1 {
		tb.Fatalf("the entry is in the store %d times", n)
	}
}
