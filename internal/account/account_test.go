package account_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/internal/account"
	"github.com/stele-ml/stele/internal/ledger/ledgertest"
	"github.com/stele-ml/stele/statement"
)

// TestAttackerClaims: whoever says that my model was made of what is withdrawn
// taints neither it nor what is made of it.
func TestAttackerClaims(t *testing.T) {
	l := ledgertest.New(t)
	mallory := l.Person("mallory")
	bad := l.Stamped(mallory, "bad", "1", "bad")
	model := l.Stamped(l.Ada, "model", "1", "model")
	l.Put(l.Run(mallory, []statement.Ref{bad}, []statement.Output{ledgertest.Old(model)}))
	l.Stamped(mallory, "mine", "1", "model", bad)
	l.Put(l.Import(mallory, model, bad))
	l.Withdrawn(mallory, bad, statement.TargetContents, statement.EffectStop)
	r, err := account.Open(l.View())
	if err != nil {
		t.Fatal(err)
	}
	all, err := r.Words(0)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"model": "good", "mine": "tainted", "bad": "withdrawn"} {
		b, err := r.ByName(name, "1")
		if err != nil {
			t.Fatal(err)
		}
		c, err := r.Of(b)
		if err != nil {
			t.Fatal(err)
		}
		if against, err := all.On(b.Ref()); err != nil || against.Word() != want || c.Standing() != want {
			t.Errorf("%s: %+v in a list, %s on its own (%v), want %s", name, against, c.Standing(), err, want)
		}
	}
	// She cannot keep it out of production either.
	l.Released(l.Ada, model, "production")
}

// TestWordsAgree: what is found downwards from all that is withdrawn
// is what is found upwards from each artifact, in ledgers of all kinds of origins.
func TestWordsAgree(t *testing.T) {
	count := map[string]int{}
	for seed := range uint64(20) {
		l, refs := ledgertest.Troubled(t, seed)
		r, err := account.Open(l.View())
		if err != nil {
			t.Fatal(err)
		}
		all, err := r.Words(0)
		if err != nil {
			t.Fatal(err)
		}
		for _, ref := range refs {
			b, err := r.ByName(ref.Name, ref.Version)
			if err != nil {
				t.Fatal(err)
			}
			c, err := r.Of(b)
			if err != nil {
				t.Fatal(err)
			}
			against, err := all.On(ref)
			if err != nil {
				t.Fatal(err)
			}
			word := against.Word()
			count[word]++
			if word != c.Standing() {
				t.Errorf("seed %d: %s: %s in a list, %s on its own", seed, ref, word, c.Standing())
			}
		}
	}
	for _, word := range []string{"good", "withdrawn", "tainted", "untrusted"} {
		if count[word] < 10 {
			t.Errorf("%d artifacts are %s: this tests little (%v)", count[word], word, count)
		}
	}
}

// TestNearly: what may be a stage that was meant.
func TestNearly(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want bool
	}{
		{"production", "prodution", true},
		{"production", "product1on", true},
		{"production", "porduction", true},
		{"production", "prod", true},
		{"production", "production2", true},
		{"production", "staging", false},
		{"eu-1", "us-1", false},
		{"canary", "", true},
		{"production", "", false},
		{"a", "b", true},
	} {
		if got := account.Nearly(c.a, c.b); got != c.want || account.Nearly(c.b, c.a) != c.want {
			t.Errorf("%s, %s: %v", c.a, c.b, got)
		}
	}
}

// TestLastWords: of several decisions by one person on a stage the last counts,
// whatever others say, and only as long as its key stands.
func TestLastWords(t *testing.T) {
	l := ledgertest.New(t)
	bob := l.Person("bob", statement.RoleApprover)
	model := l.Stamped(l.Ada, "model", "1", "weights")
	first := l.Approved(bob, model, "production")
	l.Approved(l.Ada, model, "production")
	elsewhere := l.Approved(bob, model, "staging")
	last := l.Rejected(bob, model, "production")
	counting := func() (list []uint64) {
		r, err := account.Open(l.View())
		if err != nil {
			t.Fatal(err)
		}
		decisions, err := r.Decisions(model)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range decisions {
			if d.Counts(r) {
				list = append(list, d.Index)
			}
		}
		return list
	}
	if got := counting(); slices.Contains(got, first) || !slices.Contains(got, elsewhere) || !slices.Contains(got, last) || len(got) != 3 {
		t.Errorf("entries %v count", got)
	}
	l.Put(l.Compromised(l.Ada, bob.PublicKey(), "bob", last))
	if got := counting(); !slices.Contains(got, first) || slices.Contains(got, last) || len(got) != 3 {
		t.Errorf("once the key is compromised since %d, entries %v count", last, got)
	}
}

// TestAttackerEditsAnEntry: an entry that was changed in the store is not the one
// that the log's checkpoint covers.
func TestAttackerEditsAnEntry(t *testing.T) {
	l := ledgertest.New(t)
	l.Stamped(l.Ada, "raw", "1", "raw")
	entry := l.View().Size() - 1
	l.Stamped(l.Ada, "raw", "2", "raw 2")
	prove := func(entries ...uint64) error {
		b, err := account.Open(l.View())
		if err != nil {
			t.Fatal(err)
		}
		set := map[uint64]bool{}
		for _, e := range entries {
			set[e] = true
		}
		return b.Prove(set)
	}
	if err := prove(); err != nil {
		t.Error(err)
	}
	if err := prove(0, entry, entry+1); err != nil {
		t.Error(err)
	}
	l.Forge(t, entry)
	if err := prove(0, entry+1); err != nil {
		t.Error(err)
	}
	if err := prove(0, entry, entry+1); !errors.Is(err, evidence.ErrTampered) {
		t.Errorf("%v", err)
	}
}

// TestFilled: what there is about an artifact, by all who said it, and in words.
func TestFilled(t *testing.T) {
	l := ledgertest.New(t)
	mia := l.Person("mia")
	raw := l.Stamped(mia, "raw", "1", "raw")
	model := l.Ran(l.Ada, "model", "1", "model", raw)
	next := l.Ran(l.Ada, "model", "2", "model 2", raw)
	l.Evaluated(l.Ada, model, "auc", "0.9", raw)
	l.Released(l.Ada, model, "production")
	l.Released(l.Ada, model, "staging")
	l.Released(l.Ada, next, "staging", model)
	withdrawn := l.Withdrawn(l.Ada, raw, statement.TargetContents, statement.EffectStop)
	of := func(ref statement.Ref) (*account.Book, *account.Account) {
		b, err := account.Open(l.View())
		if err != nil {
			t.Fatal(err)
		}
		at, err := b.ByName(ref.Name, ref.Version)
		if err != nil {
			t.Fatal(err)
		}
		c, err := b.Of(at)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Fill(b); err != nil {
			t.Fatal(err)
		}
		return b, c
	}
	b, c := of(model)
	if len(c.Evaluations) != 1 || len(c.Releases) != 3 || len(c.Stages) != 1 || c.Stages[0].Name != "production" || c.Standing() != "tainted" || c.Bound.Index != c.Artifact.Entry {
		t.Errorf("%+v", c)
	}
	if in, err := b.Released("staging"); err != nil || len(in) != 1 || in[0].Ref != next || in[0].Statement.Release.Replaces[0] != model || b.Handle(in[0].Release) != "ada" {
		t.Errorf("%+v, %v", in, err)
	}
	if got := account.WrongText(c.Judged); !strings.HasPrefix(got, "raw@1, withdrawn in entry ") || !strings.Contains(got, "by ada (stop): ") {
		t.Error(got)
	}
	l.Put(l.Compromised(l.Ada, mia.PublicKey(), "mia", 1))
	_, c = of(model)
	if lines := c.Against(); c.Standing() != "untrusted" || len(lines) != 2 || !strings.HasPrefix(lines[0], "made of raw@1, whose stamp in entry ") ||
		!strings.HasPrefix(lines[1], "model@1 (run, entry ") || !strings.HasSuffix(lines[1], ", made of raw@1") {
		t.Errorf("%s: %q", c.Standing(), lines)
	}
	if w := c.Judged.Taint.Worst(); w.Withdrawal.Entry != withdrawn || account.PathText(w.Path(), false) != c.Against()[1] {
		t.Errorf("%+v", w)
	}
}
