package ledger_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stele-ml/stele/contract"
	"github.com/stele-ml/stele/contract/contracttest"
	"github.com/stele-ml/stele/internal/ledger/ledgertest"
	"github.com/stele-ml/stele/internal/strictjson"
	"github.com/stele-ml/stele/lineage"
	"github.com/stele-ml/stele/statement"
)

// replayed is a made-up history on a real ledger, as far as that admits it.
type replayed struct {
	*ledgertest.Ledger
	history *contracttest.History
	before  int                         // entries before it
	items   []contracttest.Item         // those admitted
	signers map[string]statement.Signer // by handle, and "bob second"
	now     int64                       // of the statement, Unix ms
	kinds   map[statement.Kind]int      // how many were admitted
	refused int
}

func asJSON(t *testing.T, v any) []byte {
	t.Helper()
	b, err := strictjson.Marshal(v)
	if err == nil {
		b, err = strictjson.Canonical(b)
	}
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func compiled(t *testing.T, document contracttest.Item) contract.InForce {
	t.Helper()
	c, err := contract.Compile(asJSON(t, document))
	if err != nil {
		t.Fatal(err)
	}
	return contract.InForce{Contract: c, Entry: 1}
}

// newReplayed makes a ledger with the people of made-up histories.
func newReplayed(t *testing.T, h *contracttest.History) *replayed {
	t.Helper()
	r := &replayed{Ledger: ledgertest.New(t), history: h, signers: make(map[string]statement.Signer), kinds: make(map[statement.Kind]int)}
	r.signers["ada"] = r.Ada
	for _, handle := range slices.Sorted(maps.Keys(contracttest.People)) {
		if handle != "ada" {
			r.signers[handle] = r.Person(handle, contracttest.People[handle]...)
		}
	}
	second := ledgertest.Ed25519("bob second")
	r.Put(r.Register(r.Ada, second.PublicKey(), "bob", 0, []string{"*"}, contracttest.People["bob"]...))
	r.signers["bob second"] = second
	r.before = int(r.View().Size()) - 1
	r.now = r.Now + 10_000_000
	return r
}

// given reads what was admitted, and one item more, as a contract's test has it.
func (r *replayed) given(t *testing.T, statement contracttest.Item, more ...contracttest.Item) (*contract.Input, error) {
	t.Helper()
	given := (&contracttest.History{Items: append(slices.Clone(r.items), more...), Statement: statement}).Given(r.before)
	given["time"] = time.UnixMilli(r.now).UTC().Format(time.RFC3339)
	document := contracttest.Contract()
	document["spec"].(contracttest.Item)["tests"] = []contracttest.Item{{"name": "made up", "given": given, "expect": contracttest.Item{"allow": true}}}
	d, err := contract.ParseDocument(asJSON(t, document))
	if err != nil {
		return nil, err
	}
	return d.Tests[0].Given.Input(), nil
}

// replay puts an item on the ledger, and keeps it if it is admitted.
func (r *replayed) replay(t *testing.T, it contracttest.Item) {
	t.Helper()
	if _, ok := it["pass"]; ok {
		return
	}
	it = maps.Clone(it)
	it["age"] = fmt.Sprintf("%ds", (r.now-r.Now-1000)/1000)
	size := r.View().Size()
	in, err := r.given(t, contracttest.Item{"put": "any@1", "by": "ada"}, it)
	if err != nil {
		r.refused++ // it is about something that the ledger refused
		return
	}
	for index := size; index < in.Entry; index++ {
		said, err := in.State.Said(index)
		if err != nil {
			t.Fatal(err)
		}
		env := r.envelope(t, in.State, said, it)
		_, errs := r.Try(env)
		if errs[0] != nil {
			if index > size {
				t.Fatalf("the ledger has half of %v: %v", it, errs[0])
			}
			r.refused++
			return
		}
		r.kinds[said.Statement.Kind]++
		r.Now -= 1000 // the next one of the same item is of the same time
	}
	r.Now += 1000
	r.items = append(r.items, it)
}

// envelope signs what the fixture says with the real key, and with what only a
// real ledger can give.
func (r *replayed) envelope(t *testing.T, state contract.State, said *lineage.Said, it contracttest.Item) *statement.Envelope {
	t.Helper()
	st := *said.Statement
	st.Ledger = r.Maker.Ledger
	key := said.Handle
	if it["key"] == "second" {
		key = "bob second"
	}
	signer := r.signers[key]
	var err error
	switch v := r.View(); {
	case st.Identity != nil:
		id := *st.Identity
		id.KeyID, st.Subject, st.Identity = signer.PublicKey().ID(), nil, &id
	case st.Approval != nil:
		a := *st.Approval
		a.After, err = v.After(&st)
		st.Approval = &a
	case st.Release != nil:
		x := *st.Release
		x.After, err = v.After(&st)
		st.Release = &x
	case st.Withdrawal != nil:
		w := *st.Withdrawal
		w.After, err = v.After(&st)
		st.Withdrawal = &w
	case st.Reinstatement != nil:
		x := *st.Reinstatement
		x.After, err = v.After(&st)
		st.Reinstatement = &x
	case st.Audit != nil && st.Audit.Result != nil:
		x := *st.Audit.Result
		announced, aerr := v.Entry(x.Announcement)
		root, rerr := v.Root()
		if aerr != nil || rerr != nil {
			t.Fatal(aerr, rerr)
		}
		x.Checkpoint = statement.AuditCheckpoint{Size: v.Size(), Root: root}
		x.Seed = statement.AuditSeed(announced.LeafHash(), x.Nonce, x.Checkpoint.Size, x.Checkpoint.Root)
		st.Audit = &statement.Audit{Result: &x}
	}
	if err != nil {
		t.Fatal(err)
	}
	env, err := statement.Sign(&st, signer)
	if err != nil {
		t.Fatal(err)
	}
	return env
}

// compare judges a statement over the fixture and over the ledger, and returns
// how many results there were.
func (r *replayed) compare(t *testing.T, rules []contract.InForce, statement contracttest.Item) int {
	t.Helper()
	in, err := r.given(t, statement)
	if err != nil {
		return 0 // it is about something that is not there yet, or was refused
	}
	state, err := r.View().ContractState()
	if err != nil {
		t.Fatal(err)
	}
	real := *in
	real.State = state
	if size := r.View().Size(); real.Entry != size {
		t.Fatalf("the fixture goes on with entry %d, the ledger with %d", real.Entry, size)
	}
	want, err := contract.Evaluate(rules, &real)
	if err != nil {
		t.Fatal(err)
	}
	got, err := contract.Evaluate(rules, in)
	if err != nil {
		t.Fatal(err)
	}
	if got.Cost != want.Cost || len(got.Results) != len(want.Results) {
		t.Errorf("entry %d: %d results for %d, on the ledger %d for %d", in.Entry, len(got.Results), got.Cost, len(want.Results), want.Cost)
	}
	for i := range min(len(got.Results), len(want.Results)) {
		if got.Results[i] != want.Results[i] {
			t.Errorf("entry %d:\nthe fixture %+v\nthe ledger  %+v", in.Entry, got.Results[i], want.Results[i])
		}
	}
	return len(got.Results)
}

// TestFixtureIsALedger: what a contract's tests are given is what a ledger with
// the same entries says: every rule has the same verdict, message and cost over
// both.
func TestFixtureIsALedger(t *testing.T) {
	if testing.Short() {
		t.Skip("it judges a thousand times, one after another")
	}
	rules := []contract.InForce{compiled(t, contracttest.Contract()), compiled(t, contracttest.TextContract())}
	kinds, refused, results := make(map[statement.Kind]int), 0, 0
	for seed := range uint64(6) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			chance := rand.New(rand.NewPCG(seed, 1))
			h := contracttest.Random(1000+seed, 40)
			r := newReplayed(t, h)
			for i, it := range h.Items {
				r.replay(t, it)
				switch {
				case i == len(h.Items)-1:
					for range 8 {
						results += r.compare(t, rules, h.Judged())
					}
				case chance.IntN(4) == 0:
					results += r.compare(t, rules, h.Statement)
				}
				if t.Failed() {
					return
				}
			}
			for k, n := range r.kinds {
				kinds[k] += n
			}
			refused += r.refused
		})
	}
	t.Logf("%d results, over %v; %d refused", results, kinds, refused)
	for _, k := range []statement.Kind{statement.KindStamp, statement.KindRun, statement.KindEvaluation, statement.KindApproval, statement.KindRelease,
		statement.KindWithdrawal, statement.KindReinstatement, statement.KindAudit, statement.KindImport, statement.KindIdentity} {
		if kinds[k] == 0 {
			t.Errorf("no %s was admitted", k)
		}
	}
	if results < 1000 {
		t.Errorf("only %d results", results)
	}
}
