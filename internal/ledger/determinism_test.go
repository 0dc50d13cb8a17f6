package ledger_test

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"testing"

	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/internal/ledger"
	"github.com/stele-ml/stele/internal/ledger/ledgertest"
	"github.com/stele-ml/stele/statement"
)

// story is a history with every kind of entry and many refusals.
// The words are all that was said; the outline leaves out what may be bettered:
// the wording of refusals.
func story(t *testing.T, b *bench) (words, outline []byte) {
	say := func(format string, args ...any) { words = fmt.Appendf(words, format+"\n", args...) }
	block := func(envs ...*statement.Envelope) {
		receipts, errs := b.admitAll(envs...)
		for i := range envs {
			var r *ledger.Refusal
			switch {
			case errs[i] == nil:
				say("%d %d %s %t", receipts[i].Index, receipts[i].Time, receipts[i].ID, receipts[i].Existed)
			case errors.As(errs[i], &r):
				say("%s [%s]", r.Message, r.Hint)
				outline = fmt.Appendf(outline, "refused %s %s %v\n", r.Rule, r.Class, deref(r.Entry))
			default:
				t.Fatal(errs[i])
			}
		}
		root, err := b.l.View().Root()
		if err != nil {
			t.Fatal(err)
		}
		outline = fmt.Appendf(outline, "size %d root %v\n", b.l.View().Size(), root)
	}
	bob, eve := ledgertest.Ed25519("bob"), ledgertest.Ed25519("eve")
	x := b.m.Ref("data", "1", "x")
	block(b.m.Register(b.ada, bob.PublicKey(), "bob", 0, []string{"bob/*", "data"}, statement.RoleMember),
		b.m.Stamp(bob, x), b.m.Stamp(eve, b.m.Ref("data", "2", "y")))
	block(b.m.Stamp(bob, b.m.Ref("data", "1", "z")), b.m.Stamp(bob, x))
	block(b.m.Withdraw(bob, x, statement.TargetContents, 2), b.m.Withdraw(b.ada, x, statement.TargetContents, 2))
	block(b.m.Reinstate(bob, x, 3, 3))
	block(b.m.Rotate(b.ada, "1", "2"))
	block(b.m.Stamps(b.ada, "many", 300)...)
	block(b.m.Compromised(b.ada, bob.PublicKey(), "bob", 2))
	block(b.m.Stamp(bob, b.m.Ref("data", "9", "q")), b.m.Stamp(b.ada, b.m.Ref("data", "9", "q")))
	block(b.m.Stamps(b.ada, "more", 250)...)
	more := []statement.CollectionMember{b.m.Member("0", b.m.Ref("more", "0", "more0")), b.m.Member("1", b.m.Ref("more", "1", "more1"))}
	block(b.m.Collect(b.ada, "both", "1", more), b.m.Collect(b.ada, "both", "2", []statement.CollectionMember{{Prefix: "0", Ref: more[0].Ref, Files: 2, Bytes: 7}}))
	both := more[0].Ref
	block(b.m.Announce(b.ada, both, "first"), b.m.Announce(b.ada, both, "second"), b.m.Announce(eve, both, "third"))
	at := b.l.View().Size() - 2
	announced, err := b.l.View().Entry(at)
	if err != nil {
		t.Fatal(err)
	}
	cp, err := b.l.View().CheckpointOver(at)
	if err != nil {
		t.Fatal(err)
	}
	block(b.m.Result(b.ada, both, announced, cp, "second"), b.m.Result(b.ada, both, announced, evidence.Checkpoint{Size: cp.Size + 1}, "first"),
		b.m.Result(b.ada, both, announced, cp, "first"), b.m.Result(b.ada, both, announced, cp, "first"))
	lineageStory(b, block)
	contractStory(b, block)
	return words, outline
}

// lineageStory goes on with runs, evaluations, approvals, releases and imports.
func lineageStory(b *bench, block func(...*statement.Envelope)) {
	ci, eve := ledgertest.Ed25519("ci"), ledgertest.Ed25519("eve")
	at := b.l.View().Size()
	block(b.m.Register(b.ada, ci.PublicKey(), "ci", 0, []string{"*"}, statement.RoleMember))
	data, poison := b.m.Ref("fraud", "1", "rows"), b.m.Ref("poison", "1", "more rows")
	model, small, next := b.m.Made("model", "1", "m"), b.m.Made("model", "1-small", "s"), b.m.Made("model", "2", "n")
	block(b.m.Stamp(b.ada, data), b.m.Stamp(b.ada, poison))                     // at + 1
	run := b.m.Run(ci, []statement.Ref{data}, []statement.Output{model, small}) // at + 3
	block(run, run, b.m.Run(eve, nil, []statement.Output{next}), b.m.Run(ci, []statement.Ref{next.Ref}, nil),
		b.m.Evaluate(ci, model.Ref, "auc", "0.91", data, poison), // at + 4
		b.m.Approve(b.ada, model.Ref, "production", at+3), b.m.Approve(ci, model.Ref, "production", at+4),
		b.m.Approve(b.ada, model.Ref, "production", at+4),                                                    // at + 5
		b.m.Release(b.ada, model.Ref, "production", at+5), b.m.Release(b.ada, small.Ref, "production", at+5)) // at + 6
	block(b.m.Run(ci, []statement.Ref{poison, data}, []statement.Output{next}), // at + 7
		b.m.Run(ci, []statement.Ref{poison}, []statement.Output{ledgertest.Old(model.Ref), ledgertest.Old(data)}), // at + 8
		b.m.Import(ci, model.Ref, poison),                           // at + 9
		b.m.Release(b.ada, next.Ref, "production", at+7, model.Ref), // at + 10
		b.m.Withdraw(b.ada, poison, statement.TargetContents, at+2), // at + 11
		b.m.Release(b.ada, model.Ref, "production", at+10), b.m.Release(b.ada, next.Ref, "canary", at+7),
		b.m.Leave(b.ada, next.Ref, "canary", at+7), b.m.Leave(b.ada, next.Ref, "production", at+10), // at + 12
		b.m.Reject(b.ada, next.Ref, "production", at+12)) // at + 13
	block(b.m.Reinstate(b.ada, poison, at+11, at+11), b.m.Release(b.ada, model.Ref, "production", at+12), b.m.Release(b.ada, small.Ref, "production", at+15, model.Ref))
}

// contractStory goes on with contracts: put, proposed, lifted, replaced, and what
// they refuse.
func contractStory(b *bench, block func(...*statement.Envelope)) {
	saw := func(ref statement.Ref) uint64 {
		index, _, _ := b.l.View().LastOn(ref.Fingerprint)
		return index
	}
	at := b.l.View().Size()
	bea, recovery := ledgertest.Ed25519("bea"), ledgertest.Ed25519("recovery")
	model, next := b.m.Ref("model", "1-small", "s"), b.m.Ref("model", "2", "n")
	one := releasesNeed("canary@1", "true")
	two := ledgertest.Rule("canary@2", "statements: [release], stages: [canary]", `ledger.approvers(subject).size() >= 1`)
	none := ledgertest.Rule("nothing@1", "statements: [stamp, contract]", "false")
	block(b.m.Register(b.ada, bea.PublicKey(), "bea", 0, nil, statement.RoleAdministrator),
		b.m.PutContract(b.ada, one), b.m.PutContract(b.ada, one), b.m.PutContract(recovery, two),
		b.m.ProposeContract(bea, two), b.m.PutContract(bea, two), b.m.LiftContract(b.ada, one), // at + 3
		b.m.Release(b.ada, model, "canary", saw(model)),
		b.m.Approve(b.ada, next, "canary", saw(next))) // at + 4
	block(b.m.PutContract(b.ada, none), // at + 5
		b.m.Stamp(b.ada, b.m.Ref("refused", "1", "r")), b.m.LiftContract(b.ada, none), b.m.LiftContract(recovery, none), // at + 6
		b.m.Stamp(b.ada, b.m.Ref("taken", "1", "t")))
	block(b.m.Compromised(bea, bea.PublicKey(), "bea", at+3), // canary@2 falls, and canary@1 is in force again
		b.m.Stamp(b.ada, b.m.Ref("taken", "2", "u")), b.m.PutContract(b.ada, releasesNeed("canary@2", "false")))
}

var update = flag.Bool("update", false, "write testdata/story.golden")

// TestSameEntriesSameAnswers: receipts, refusals and roots are the same on two
// stores, and the same as ever. The golden file changes only with a new version
// of the rules or of a statement's encoding.
func TestSameEntriesSameAnswers(t *testing.T) {
	var firstWords, firstOutline []byte
	for i := range 2 {
		b := newBench(t)
		words, outline := story(t, b)
		if i == 0 {
			firstWords, firstOutline = words, outline
		}
		if !bytes.Equal(words, firstWords) || !bytes.Equal(outline, firstOutline) {
			t.Fatalf("two runs differ:\n%s%s\n%s%s", firstWords, firstOutline, words, outline)
		}
		b.sound()
		if err := b.reopen(); err != nil {
			t.Fatal(err)
		}
	}
	const golden = "testdata/story.golden"
	if *update {
		if err := os.WriteFile(golden, firstOutline, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(firstOutline, want) {
		t.Fatalf("other answers than ever:\n%s\nwant\n%s", firstOutline, want)
	}
}
