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
	return words, outline
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
