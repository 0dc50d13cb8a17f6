package ledger_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stele-ml/stele/contract"
	"github.com/stele-ml/stele/internal/ledger"
	"github.com/stele-ml/stele/internal/ledger/ledgertest"
	"github.com/stele-ml/stele/lineage"
	"github.com/stele-ml/stele/statement"
)

// ruledKinds are those that rules can ask about.
var ruledKinds = []statement.Kind{statement.KindApproval, statement.KindEvaluation, statement.KindRelease, statement.KindAudit}

// told writes down what a state says, of these contents and of everything else
// that rules can ask. Times are left out: those of one block are one.
func told(t *testing.T, s contract.State, refs []statement.Ref, size uint64) string {
	t.Helper()
	var b strings.Builder
	for _, ref := range refs {
		fmt.Fprintf(&b, "%s:", ref)
		bindings, err := s.Bindings(ref.Fingerprint)
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range bindings {
			fmt.Fprintf(&b, " %s=%d", a.Ref, a.Entry)
		}
		for _, kind := range ruledKinds {
			list, err := s.About(ref.Fingerprint, kind)
			if err != nil {
				t.Fatal(err)
			}
			for _, said := range list {
				fmt.Fprintf(&b, " %s %d %s %t", kind, said.Entry, said.Handle, said.Standing.OK)
			}
		}
		switch a, err := s.Artifact(ref.Name, ref.Version); {
		case errors.Is(err, lineage.ErrNotFound):
			b.WriteString(" not there")
		case err != nil:
			t.Fatal(err)
		default:
			j, err := lineage.Judge(s, a)
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(&b, " %s %d", j.Word(), len(a.Withdrawals))
		}
		b.WriteString("\n")
	}
	in, err := s.InStage(prod, "")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range in {
		fmt.Fprintf(&b, "in %s %s since %d\n", prod, p.Ref, p.Entry)
	}
	for _, role := range statement.FirstRoles() {
		fmt.Fprintf(&b, "%s: %v\n", role, s.People(role))
	}
	if size > 0 {
		said, err := s.Said(size - 1)
		if err != nil || said.Entry != size-1 {
			t.Fatal(said, err)
		}
	}
	for _, beyond := range []uint64{size, size + 1, 1 << 60} {
		if said, err := s.Said(beyond); !errors.Is(err, lineage.ErrNotFound) {
			t.Fatalf("entry %d of %d: %+v, %v", beyond, size, said, err)
		}
	}
	return b.String()
}

// decide puts random approvals, rejections and audits on a ledger.
func decide(t *testing.T, l *team, r *rand.Rand, n int) (refs []statement.Ref) {
	t.Helper()
	for name, err := range l.View().Names("") {
		if err != nil {
			t.Fatal(err)
		}
		for b, err := range l.View().Versions(name) {
			if err != nil {
				t.Fatal(err)
			}
			refs = append(refs, b.Ref())
		}
	}
	for range n {
		ref := refs[r.IntN(len(refs))]
		switch r.IntN(4) {
		case 0:
			l.Approved(l.ann, ref, prod)
		case 1:
			l.Approved(l.Ada, ref, "canary")
		case 2:
			l.Rejected(l.ann, ref, prod)
		case 3:
			l.Put(l.Announce(l.bob, ref, ref.String()))
		}
	}
	return refs
}

// TestContractStateIsWhatAScanFinds: rules see what the entries say, and nothing
// else, as of every size.
func TestContractStateIsWhatAScanFinds(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 1))
	l := newTeam(t)
	grow(t, l, r, 40)
	refs := decide(t, l, r, 40)
	l.Put(l.Compromised(l.Ada, l.mallory.PublicKey(), "mallory", l.View().Size()/2))
	for range 6 {
		size := 1 + uint64(r.IntN(int(l.View().Size())))
		v, err := l.View().AsOf(size)
		if err != nil {
			t.Fatal(err)
		}
		s, err := v.ContractState()
		if err != nil {
			t.Fatal(err)
		}
		want := map[string][]uint64{}
		for _, e := range collect(t, v.Entries(0, size)) {
			st, err := e.Statement()
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Contains(ruledKinds, st.Kind) {
				continue
			}
			about := func(ref statement.Ref) {
				key := fmt.Sprint(ref.Fingerprint, st.Kind)
				if list := want[key]; !slices.Contains(list, e.Index) {
					want[key] = append(list, e.Index)
				}
			}
			ref, _ := st.Ref()
			about(ref)
			if st.Release != nil {
				for _, old := range st.Release.Replaces {
					about(old)
				}
			}
		}
		for _, ref := range refs {
			for _, kind := range ruledKinds {
				list, err := s.About(ref.Fingerprint, kind)
				if err != nil {
					t.Fatal(err)
				}
				var got []uint64
				for _, said := range list {
					got = append(got, said.Entry)
				}
				if !slices.Equal(got, want[fmt.Sprint(ref.Fingerprint, kind)]) {
					t.Fatalf("size %d: %s of %s are entries %v, want %v", size, kind, ref, got, want[fmt.Sprint(ref.Fingerprint, kind)])
				}
			}
		}
		placed := scan(t, v).in[prod]
		in, err := s.InStage(prod, "")
		if err != nil || len(in) != len(placed) {
			t.Fatal(in, placed, err)
		}
		for i, p := range in {
			if placed[p.Ref.String()] != p.Entry || i > 0 && in[i-1].Entry >= p.Entry {
				t.Fatalf("size %d: %+v is not in %v, or not in order", size, p, placed)
			}
			of, err := s.InStage(prod, p.Ref.Name)
			if err != nil || !slices.Equal(of, slices.DeleteFunc(slices.Clone(in), func(o contract.Placed) bool { return o.Ref.Name != p.Ref.Name })) {
				t.Fatalf("size %d: of %s there is %v, %v in %v", size, p.Ref.Name, of, err, in)
			}
		}
	}
}

// TestABlockSaysWhatAViewWould: within one block, a rule sees the entries before
// its own, and none after: exactly what a view of that size shows.
func TestABlockSaysWhatAViewWould(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 9))
	l := newTeam(t)
	grow(t, l, r, 30)
	refs := decide(t, l, r, 20)
	l.Put(l.Compromised(l.Ada, l.ann.PublicKey(), "ann", l.View().Size()-5))
	entries := collect(t, l.View().Entries(0, l.View().Size()))

	b := emptyBench(t)
	base := 1 + r.IntN(len(entries)/2)
	block, err := b.l.Begin(entries[0].Time)
	if err != nil {
		t.Fatal(err)
	}
	for i, e := range entries {
		if i == 1 || i == base {
			if err := block.Commit(signBlock(t, block, "1")); err != nil {
				t.Fatal(err)
			}
			if block, err = b.l.Begin(entries[0].Time); err != nil {
				t.Fatal(err)
			}
		}
		if i > 0 && i%5 == 0 {
			v, err := l.View().AsOf(uint64(i))
			if err != nil {
				t.Fatal(err)
			}
			s, err := v.ContractState()
			if err != nil {
				t.Fatal(err)
			}
			if got, want := told(t, block.ContractState(), refs, uint64(i)), told(t, s, refs, uint64(i)); got != want {
				t.Fatalf("before entry %d, in a block from %d on: %s", i, base, firstDifference(got, want))
			}
		}
		c, err := b.l.Prepare(e.Envelope)
		if err == nil {
			_, err = block.Admit(c)
		}
		if err != nil {
			t.Fatalf("entry %d: %v", i, err)
		}
	}
}

// A result that ends, in a block, an audit which the ledger has from before is
// told once, with its announcement.
func TestAuditsThatRulesSee(t *testing.T) {
	l := newTeam(t)
	ref := l.Stamped(l.bob, "data", "1", "d")
	at := l.Put(l.Announce(l.bob, ref, "n"))
	announced, err := l.View().Entry(at)
	if err != nil {
		t.Fatal(err)
	}
	cp, err := l.View().CheckpointOver(at)
	if err != nil {
		t.Fatal(err)
	}
	block, err := l.Begin(l.Now + 1000)
	if err != nil {
		t.Fatal(err)
	}
	defer block.Drop()
	indexes := func() (list []uint64) {
		said, err := block.ContractState().About(ref.Fingerprint, statement.KindAudit)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range said {
			list = append(list, s.Entry)
		}
		return list
	}
	if got := indexes(); !slices.Equal(got, []uint64{at}) {
		t.Fatalf("before the result: %v", got)
	}
	c, err := l.Prepare(l.Result(l.bob, ref, announced, cp, "n"))
	if err == nil {
		_, err = block.Admit(c)
	}
	if err != nil {
		t.Fatal(err)
	}
	if got := indexes(); !slices.Equal(got, []uint64{at, at + 1}) {
		t.Fatalf("with the result: %v", got)
	}
}

// People are those in good standing at the entry that is evaluated.
func TestPeopleThatRulesSee(t *testing.T) {
	l := newTeam(t)
	second := ledgertest.Ed25519("ann's second")
	l.Put(l.Register(l.Ada, second.PublicKey(), "ann", 0, nil, statement.RoleApprover))
	brief := ledgertest.Ed25519("brief")
	l.Put(l.Register(l.Ada, brief.PublicKey(), "brief", l.Now+5000, nil, statement.RoleApprover))
	people := func(v *ledger.View) string {
		s, err := v.ContractState()
		if err != nil {
			t.Fatal(err)
		}
		return strings.Join(s.People(statement.RoleApprover), " ")
	}
	if got := people(l.View()); got != "ada ann brief" {
		t.Fatalf("approvers are %s", got)
	}
	l.Put(l.Retire(l.Ada, l.ann.PublicKey(), "ann"))
	if got := people(l.View()); got != "ada ann brief" {
		t.Fatalf("with one of ann's keys retired, approvers are %s", got)
	}
	before := l.View()
	l.Put(l.Retire(l.Ada, second.PublicKey(), "ann"))
	l.Now += 10_000
	l.Stamped(l.bob, "data", "1", "d")
	if got := people(l.View()); got != "ada" {
		t.Fatalf("with both retired and brief's expired, approvers are %s", got)
	}
	if got := people(before); got != "ada ann brief" {
		t.Fatalf("as of before, approvers are %s", got)
	}
}

// What the index says that the entries do not is damage, not an answer.
func TestAttackLyingStageIndexUnderARule(t *testing.T) {
	b := newBench(t)
	ref := b.m.Ref("model", "1", "m")
	b.must(b.m.Stamp(b.ada, ref))
	b.must(b.m.Release(b.ada, ref, prod, 1))
	other := b.m.Fingerprint("another")
	key := append([]byte("p"+prod+"\x00model\x00"), 0, 0, 0, 0, 0, 0, 0, 2)
	b.set(append(key, '1'), append([]byte{1, byte(other.Algorithm)}, other.Sum[:]...))
	s, err := b.l.View().ContractState()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"", "model"} {
		if in, err := s.InStage(prod, name); !errors.Is(err, ledger.ErrDamaged) {
			t.Fatalf("%+v, %v", in, err)
		}
	}
}
