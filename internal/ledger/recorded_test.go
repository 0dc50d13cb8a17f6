package ledger_test

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stele-ml/stele/contract"
	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/internal/ledger"
	"github.com/stele-ml/stele/internal/ledger/ledgertest"
	"github.com/stele-ml/stele/statement"
)

// recorded is a stream of envelopes as they once reached a ledger, in blocks.
type recorded struct {
	times  []int64 // of the blocks, Unix ms
	blocks [][]*statement.Envelope
}

func (r *recorded) String() string {
	var b strings.Builder
	for i, block := range r.blocks {
		fmt.Fprintf(&b, "block %d\n", r.times[i])
		for _, env := range block {
			fmt.Fprintln(&b, base64.StdEncoding.EncodeToString(env.Encode()))
		}
	}
	return b.String()
}

func parseRecorded(t *testing.T, text []byte) *recorded {
	t.Helper()
	r := new(recorded)
	s := bufio.NewScanner(bytes.NewReader(text))
	s.Buffer(nil, 1<<20)
	for s.Scan() {
		var at int64
		if n, _ := fmt.Sscanf(s.Text(), "block %d", &at); n == 1 {
			r.times, r.blocks = append(r.times, at), append(r.blocks, nil)
			continue
		}
		raw, err := base64.StdEncoding.DecodeString(s.Text())
		if err != nil {
			t.Fatal(err)
		}
		env, err := statement.DecodeEnvelope(raw)
		if err != nil {
			t.Fatal(err)
		}
		r.blocks[len(r.blocks)-1] = append(r.blocks[len(r.blocks)-1], env)
	}
	if s.Err() != nil {
		t.Fatal(s.Err())
	}
	return r
}

// answer is what became of one envelope, in words that never change.
func answer(receipt ledger.Receipt, err error) string {
	var r *ledger.Refusal
	if !errors.As(err, &r) {
		return fmt.Sprintf("entry %d %d %s %t, cost %d %v", receipt.Index, receipt.Time, receipt.ID, receipt.Existed, receipt.Cost, err)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "refused %s %s, cost %d, entry %v: %s [%s]", r.Rule, r.Class, r.Cost, deref(r.Entry), r.Message, r.Hint)
	for _, v := range r.Violations {
		fmt.Fprintf(&b, "\n  %s (entry %d) / %s of %s, cost %d: %s [%s] %s", v.Contract, v.Entry, v.Rule, v.Subject, v.Cost, v.Message, v.Hint, v.Error)
	}
	return b.String()
}

// replay admits the stream into a new ledger, asks before about each block's
// first envelope, and writes down all answers and roots.
func (r *recorded) replay(t *testing.T) (*bench, []string) {
	t.Helper()
	b := emptyBench(t)
	var answers []string
	for i, envs := range r.blocks {
		view := b.l.View()
		block, err := b.l.Begin(r.times[i])
		if err != nil {
			t.Fatal(err)
		}
		for n, env := range envs {
			var receipt ledger.Receipt
			c, err := b.l.Prepare(env)
			if err == nil {
				receipt, err = block.Admit(c)
			}
			answers = append(answers, answer(receipt, err))
			if n == 0 && i > 0 && !receipt.Existed {
				tryAgrees(t, view, env, r.times[i], receipt, err)
			}
		}
		if block.Len() == 0 {
			block.Drop()
			continue
		}
		if err := block.Commit(signBlock(t, block, "1")); err != nil {
			t.Fatal(err)
		}
		answers = append(answers, fmt.Sprintf("size %d root %s", b.l.View().Size(), rootAt(t, b.l.View())))
	}
	return b, answers
}

// tryAgrees holds a trial to what admission says of the same statement: the same
// refusal first, or the same cost.
func tryAgrees(t *testing.T, v *ledger.View, env *statement.Envelope, at int64, receipt ledger.Receipt, err error) {
	t.Helper()
	st, perr := statement.Parse(env.Payload)
	if perr != nil {
		return
	}
	trial, terr := v.Try(st, contract.Signer{Key: env.KeyID, Known: true}, at)
	if terr != nil {
		t.Fatal(terr)
	}
	var r *ledger.Refusal
	switch {
	case errors.As(err, &r) && r.Rule == ledger.RuleContract:
		if len(trial.Refusals) > 0 || len(trial.Verdict.Refused()) == 0 || trial.Verdict.Cost != r.Cost {
			t.Fatalf("admission refuses by contracts at cost %d (%v), a trial says %v, %+v", r.Cost, r, trial.Refusals, trial.Verdict)
		}
	case r != nil:
		if len(trial.Refusals) == 0 || trial.Refusals[0].Rule != r.Rule || trial.Refusals[0].Message != r.Message {
			t.Fatalf("admission refuses by %s (%v), a trial says %v", r.Rule, r, trial.Refusals)
		}
	case len(trial.Refusals) > 0 || len(trial.Verdict.Refused()) > 0 || trial.Verdict.Cost != receipt.Cost:
		t.Fatalf("admitted as entry %d at cost %d, and a trial says %v, %+v", receipt.Index, receipt.Cost, trial.Refusals, trial.Verdict)
	}
}

// TestRecordedStream: envelopes that were recorded once, those that were refused
// included, get the same answers as then, word for word, at the same costs, and
// make the same log. Both files change only with a new version of the rules.
func TestRecordedStream(t *testing.T) {
	const stream, golden = "testdata/contracts.stream", "testdata/contracts.answers"
	if *update {
		if err := os.WriteFile(stream, []byte(record(t).String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(stream)
	if err != nil {
		t.Fatal(err)
	}
	r := parseRecorded(t, text)
	b, answers := r.replay(t)
	if *update {
		if err := os.WriteFile(golden, []byte(strings.Join(answers, "\n")+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(answers, "\n") + "\n"; got != string(want) {
		t.Fatalf("other answers than ever: %s", firstDifference(got, string(want)))
	}
	_, again := r.replay(t)
	if strings.Join(again, "\n") != strings.Join(answers, "\n") {
		t.Fatal("two replays differ")
	}
	rules := map[string]int{}
	for _, a := range answers {
		word, rest, _ := strings.Cut(a, " ")
		if word == "refused" {
			word, _, _ = strings.Cut(rest, " ")
		}
		rules[word]++
	}
	if rules["entry"] < 100 || rules["contract"] < 15 || len(rules) < 8 {
		t.Errorf("it says too little: %v", rules)
	}
	b.sound()
	before := b.dump()
	if err := ledger.Rebuild(t.Context(), b.db, nil); err != nil {
		t.Fatal(err)
	}
	if b.dump() != before {
		t.Error("the index rebuilt is another")
	}
	if err := b.reopen(); err != nil {
		t.Fatal(err)
	}
	judgeAgrees(t, b.l.View(), answers)
}

// judgeAgrees holds Judge to what admission said: every contract that was in
// force allowed every entry, and what they cost together is what its receipt
// says.
func judgeAgrees(t *testing.T, v *ledger.View, answers []string) {
	t.Helper()
	cost := map[uint64]uint64{} // by entry, of those in force then
	inForce := map[uint64]map[string]bool{}
	for size := range v.Size() {
		at, err := v.AsOf(size)
		if err != nil {
			t.Fatal(err)
		}
		inForce[size] = map[string]bool{}
		if size == 0 {
			continue
		}
		list, err := at.Contracts()
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range list {
			inForce[size][c.ID()] = true
		}
	}
	for _, e := range collect(t, v.ByKind(statement.KindContract)) {
		entry, err := v.Entry(e)
		if err != nil {
			t.Fatal(err)
		}
		st, err := entry.Statement()
		if err != nil {
			t.Fatal(err)
		}
		if st.Contract.Action != statement.ContractPut {
			continue
		}
		c, err := contract.Compile(st.Contract.Document)
		if err != nil {
			t.Fatal(err)
		}
		last := uint64(0)
		err = v.Judge(t.Context(), []contract.InForce{{Contract: c, Entry: e}}, func(st *statement.Statement, at *evidence.Entry, verdict *contract.Verdict) error {
			if at.Index <= last || len(verdict.Results) == 0 {
				t.Errorf("entry %d after %d, with %d results", at.Index, last, len(verdict.Results))
			}
			last = at.Index
			if inForce[at.Index][c.ID()] {
				cost[at.Index] += verdict.Cost
				if refused := verdict.Refused(); len(refused) > 0 {
					t.Errorf("%s would have refused entry %d, which it was asked about and allowed: %+v", c.ID(), at.Index, refused)
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, a := range answers {
		var index, spent uint64
		var time int64
		var id, existed string
		if n, _ := fmt.Sscanf(a, "entry %d %d %s %s cost %d", &index, &time, &id, &existed, &spent); n == 5 && existed == "false," && spent != cost[index] {
			t.Errorf("entry %d cost %d, and its contracts say %d", index, spent, cost[index])
		}
	}
	stop := errors.New("enough")
	list, err := v.Contracts()
	if err != nil {
		t.Fatal(err)
	}
	if err := v.Judge(t.Context(), list, func(*statement.Statement, *evidence.Entry, *contract.Verdict) error { return stop }); err != stop {
		t.Errorf("each ends it with %v", err)
	}
}

// record makes the stream: a year of a team, with mistakes.
func record(t *testing.T) *recorded {
	t.Helper()
	b := emptyBench(t)
	m, r := b.m, rand.New(rand.NewPCG(5, 5))
	rec := new(recorded)
	at := int64(start)
	var block []*statement.Envelope
	say := func(env *statement.Envelope) *statement.Envelope {
		block = append(block, env)
		return env
	}
	var now *ledger.View
	flush := func() {
		at += int64(r.IntN(40)) * 3_600_000
		rec.times, rec.blocks = append(rec.times, at), append(rec.blocks, block)
		b.now = at - 1000
		b.admitAll(block...)
		block, now = nil, b.l.View()
	}
	_, vkey := ledgertest.LogKey("1")
	say(m.Genesis(b.ada, vkey))
	flush()
	m.Ledger = b.l.View().ID()

	people := map[string]statement.Signer{"ada": b.ada, "recovery": ledgertest.Ed25519("recovery")}
	for _, p := range []struct{ handle, key, role string }{
		{"bea", "bea", "administrator"}, {"eve", "eve", "administrator"}, {"ci", "ci", "member"}, {"bob", "bob", "member"},
		{"ann", "ann", "approver"}, {"ben", "ben", "approver"}, {"ann", "ann 2", "approver"}, {"rel", "rel", "releaser"}, {"ci", "ci 2", "approver"},
	} {
		people[p.key] = ledgertest.Ed25519(p.key)
		say(m.Register(b.ada, people[p.key].PublicKey(), p.handle, 0, []string{"*"}, p.role))
	}
	flush()
	var models, datasets []statement.Ref
	stamp := func(by, name string, licence string) {
		ref := m.Ref(name, fmt.Sprint(len(datasets)), fmt.Sprint("rows ", len(datasets)))
		say(m.Stamp(people[by], ref, func(s *statement.Stamp) {
			if licence != "" {
				s.Annotations = map[string]string{"licence": licence}
			}
		}))
		datasets = append(datasets, ref)
	}
	train := func(by string, inputs ...statement.Ref) {
		out := m.Made("fraud/model", fmt.Sprint(len(models)), fmt.Sprint("weights ", len(models)))
		say(m.Run(people[by], inputs, []statement.Output{out}, func(run *statement.Run) {
			if len(models)%5 == 4 {
				run.Observation, run.Exit = statement.ObservationReported, nil
			}
		}))
		models = append(models, out.Ref)
	}
	pick := func(list []statement.Ref) statement.Ref { return list[r.IntN(len(list))] }
	saw := func(st *statement.Statement, ref statement.Ref) uint64 {
		st.Subject = []statement.Subject{ref.Subject()}
		after, err := now.After(st)
		if err != nil {
			return 1
		}
		return after
	}
	approve := func(by string, ref statement.Ref) {
		say(m.Approve(people[by], ref, prod, saw(&statement.Statement{Kind: statement.KindApproval, Approval: &statement.Approval{Stage: prod}}, ref)))
	}
	release := func(ref statement.Ref) {
		say(m.Release(people["rel"], ref, prod, saw(&statement.Statement{Kind: statement.KindRelease, Release: &statement.Release{Stage: prod}}, ref)))
	}
	withdraw := func(ref statement.Ref, effect string) {
		say(m.Sign(b.ada, &statement.Statement{Kind: statement.KindWithdrawal, Subject: []statement.Subject{ref.Subject()}, Withdrawal: &statement.Withdrawal{
			Target: statement.TargetContents, Effect: effect, Reason: "consent was revoked",
			After: saw(&statement.Statement{Kind: statement.KindWithdrawal, Withdrawal: &statement.Withdrawal{}}, ref)}}))
	}
	rules := []string{
		releasesNeed("production@1", twoApprovals, `messageExpression: '"production needs 2 approvals, found " + string(ledger.approvers(subject).size()) + " (" + ledger.approvers(subject).join(", ") + ")"'`, "hint: ask another reviewer to run `stele approve`"),
		releasesNeed("clean@1", `ledger.ancestors(subject).all(a, a.standing == "good" && ledger.withdrawals(a).size() == 0)`),
		ledgertest.Rule("licence@1", `statements: [stamp], names: ["open/*"], kinds: [dataset]`, `subject.annotations["licence"] in ["mit", "cc0"]`),
		releasesNeed("auc@1", `ledger.evaluations(subject).exists(e, "auc" in e.metrics && e.metrics["auc"] >= 0.9)`),
		ledgertest.Rule("wrapped@1", "statements: [run]", `statement.observation == "wrapped" || signer.handle == "bob"`),
		releasesNeed("apart@1", `ledger.approvers(subject).all(p, !(p in ledger.allAuthors(subject)))`, "message: who made it does not approve it"),
		releasesNeed("few@1", `ledger.inStage(statement.stage).filter(r, r.entry < entry.index).size() < 4`),
		releasesNeed("age@1", `entry.index - subject.entry < 60 && entry.time - subject.time < duration("2000h")`),
	}
	say(m.PutContract(b.ada, rules[0]))
	for i := range 6 {
		stamp("bob", []string{"open/data", "fraud/data"}[i%2], []string{"", "mit", "gpl"}[i%3])
	}
	say(m.PutContract(people["bob"], rules[1]))
	flush()
	for round := 0; len(block)+countEnvelopes(rec) < 205; round++ {
		switch {
		case round >= 2 && round-1 < len(rules):
			say(m.PutContract(people[[]string{"ada", "bea", "eve"}[round%3]], rules[round-1]))
		case round == 9:
			say(m.PutContract(people["eve"], releasesNeed("production@2", "true"))) // a thief
		case round == 10:
			say(m.LiftContract(people["eve"], rules[1]))
			say(m.PutContract(people["eve"], releasesNeed("clean@2", "ledger.aprovers(subject) == []")))
		case round == 12:
			say(m.Compromised(people["eve"], people["eve"].PublicKey(), "eve", now.Size()-18))
		case round == 14:
			say(m.PutContract(b.ada, ledgertest.Rule("rules@1", "statements: [contract], actions: [put]",
				`ledger.proposals(statement.contract).exists(p, p.handle != signer.handle && entry.index > p.entry)`)))
		case round == 15:
			next := releasesNeed("age@2", `ledger.people("approver").size() >= 2`)
			say(m.PutContract(b.ada, next))
			say(m.ProposeContract(people["bea"], next))
			say(m.PutContract(people["bea"], next))
			say(m.PutContract(b.ada, next))
		case round == 17:
			say(m.LiftContract(people["recovery"], rules[5]))
			say(m.LiftContract(people["bob"], rules[3]))
			say(m.LiftContract(people["ada"], rules[5]))
		}
		if round%4 == 3 {
			// One that goes well, but for what contracts have against it; and while it
			// is released, some of its data is taken back.
			train("ci", pick(datasets))
			flush()
			model, took := models[len(models)-1], pick(datasets)
			if b, err := now.ByName(model.Name, model.Version); err == nil {
				say(m.Evaluate(people["bob"], b.Ref(), "auc", "0.93", datasets[1]))
				flush()
				approve("ann", model)
				flush()
				approve([]string{"ben", "ben", "ci 2", "ann 2"}[r.IntN(4)], model)
				flush()
				if round%8 == 7 {
					withdraw(took, statement.EffectAdvise)
				}
				release(model)
				if round%8 == 3 {
					withdraw(took, statement.EffectAdvise)
				}
				flush()
			}
		}
		for range 1 + r.IntN(4) {
			switch r.IntN(10) {
			case 0:
				stamp([]string{"bob", "ci"}[r.IntN(2)], []string{"open/data", "fraud/data"}[r.IntN(2)], []string{"", "mit", "gpl", "cc0"}[r.IntN(4)])
			case 1, 2:
				inputs := []statement.Ref{datasets[1], pick(datasets)}
				train([]string{"bob", "ci"}[r.IntN(2)], slices.Compact(inputs)...)
			case 3:
				if len(models) > 0 {
					say(m.Evaluate(people["bob"], pick(models), "auc", statement.Decimal(fmt.Sprintf("0.%d", 5+r.IntN(5))), datasets[1]))
				}
			case 4, 5, 6:
				if len(models) > 0 {
					approve([]string{"ann", "ben", "ann 2", "ci 2", "ada"}[r.IntN(5)], models[len(models)-1-r.IntN(min(3, len(models)))])
				}
			case 7, 8:
				if len(models) > 0 {
					release(models[len(models)-1-r.IntN(min(3, len(models)))])
				}
			case 9:
				if round > 4 && r.IntN(3) == 0 {
					withdraw(pick(datasets), []string{statement.EffectAdvise, statement.EffectNoNewUse}[r.IntN(2)])
				} else if len(block) > 0 {
					say(block[len(block)-1]) // a retry
				}
			}
		}
		if len(block) > 0 {
			flush()
		}
	}
	return rec
}

func countEnvelopes(r *recorded) (n int) {
	for _, block := range r.blocks {
		n += len(block)
	}
	return n
}
