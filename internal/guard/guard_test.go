package guard_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/internal/account"
	"github.com/stele-ml/stele/internal/guard"
	"github.com/stele-ml/stele/internal/ledger"
	"github.com/stele-ml/stele/internal/ledger/ledgertest"
	"github.com/stele-ml/stele/lineage"
	"github.com/stele-ml/stele/statement"
)

// serving is a ledger with a model in production, and somebody who trusts its log.
type serving struct {
	*ledgertest.Ledger
	raw, model, all statement.Ref // the model was made of raw; all is a collection of both
	mia             statement.Signer
}

func newServing(t *testing.T) *serving {
	s := &serving{Ledger: ledgertest.New(t)}
	s.mia = s.Person("mia")
	s.raw = s.Stamped(s.mia, "raw", "1", "raw")
	s.model = s.Ran(s.Ada, "model", "1", "model", s.raw)
	s.all = s.Collected(s.Ada, "all", "1", s.raw, s.model)
	s.Released(s.Ada, s.model, "production")
	s.Released(s.Ada, s.all, "production")
	return s
}

// asked is what a guard is asked, and by whom.
type asked struct {
	guard.Model
	maxAge  time.Duration
	after   time.Duration // the last entry, by this machine's clock
	nobody  bool          // no key of the log is pinned
	seen    uint64
	pretend func(*guard.Known)
}

// judge asks whether an artifact may be served.
func (s *serving) judge(t *testing.T, ref statement.Ref, with ...func(*asked)) (*guard.Standing, error) {
	t.Helper()
	a := &asked{Model: guard.Model{Name: ref.Name, Version: ref.Version, Stage: "production"}}
	for _, f := range with {
		f(a)
	}
	b, err := account.Open(s.View())
	if err != nil {
		t.Fatal(err)
	}
	at, err := b.ByName(ref.Name, ref.Version)
	if err != nil {
		t.Fatal(err)
	}
	entries, _, err := b.LineageEntries(ref, lineage.MaxWalk)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range must(b.InStage(a.Stage))(t) {
		entries = append(entries, p.Entry)
	}
	entries = append(entries, at.Entry)
	slices.Sort(entries)
	file, err := b.Evidence(evidence.Claim{Entry: at.Entry, Name: at.Name, Version: at.Version, Fingerprint: at.Fingerprint, Lineage: true}, nil, slices.Compact(entries)...)
	if err != nil {
		t.Fatal(err)
	}
	var policy *evidence.Policy
	if !a.nobody {
		_, vkey := ledgertest.LogKey("1")
		policy = evidence.NewPolicy(vkey, "")
	}
	now := b.Time() + a.after.Milliseconds()
	k := &guard.Known{Trusted: policy != nil, Seen: a.seen}
	k.Verdict = evidence.Verify(file, policy, evidence.Options{Now: now, Name: a.Name, Version: a.Version, Stage: a.Stage})
	k.Judged = k.Verdict.Judged
	if a.pretend != nil {
		a.pretend(k)
	}
	return a.Judge(k, a.maxAge, now)
}

func must[T any](value T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
}

// refused asserts that a model must not be served, with which status and why.
func refused(t *testing.T, s *guard.Standing, err error, exit int, why string) *guard.Refusal {
	t.Helper()
	var r *guard.Refusal
	switch {
	case !errors.As(err, &r):
		t.Fatalf("it is served: %+v, %v", s, err)
	case r.Exit != exit || !strings.Contains(r.Message, why) || s != nil:
		t.Errorf("%d, %q; want %d, %q", r.Exit, r.Message, exit, why)
	}
	return r
}

// TestServed: what was released and is in good standing, without a word.
func TestServed(t *testing.T) {
	w := newServing(t)
	for _, ref := range []statement.Ref{w.model, w.all} {
		s, err := w.judge(t, ref)
		if err != nil {
			t.Fatal(err)
		}
		if len(s.Warnings)+len(s.Notes) > 0 || s.Release.Stage != "production" || s.Release.Handle != "ada" || s.AsOf.Size != w.View().Size() || s.Judged.Artifact.Ref != ref {
			t.Errorf("%+v", s)
		}
	}
}

// TestAttackerServesWhatWasTakenBack: an effect stops, warns or is noted, whatever
// it is that was withdrawn. What is not known stops.
func TestAttackerServesWhatWasTakenBack(t *testing.T) {
	for _, c := range []struct {
		name   string
		serve  func(*serving) statement.Ref
		taken  func(*serving) statement.Ref
		target string
		why    string
	}{
		{"the model", func(w *serving) statement.Ref { return w.model }, func(w *serving) statement.Ref { return w.model }, statement.TargetContents, "model@1 is withdrawn in entry "},
		{"its name", func(w *serving) statement.Ref { return w.model }, func(w *serving) statement.Ref { return w.model }, statement.TargetBinding, "the name was a mistake"},
		{"its data", func(w *serving) statement.Ref { return w.model }, func(w *serving) statement.Ref { return w.raw }, statement.TargetContents, "model@1 is tainted: made of raw@1, withdrawn in entry "},
		{"a member", func(w *serving) statement.Ref { return w.all }, func(w *serving) statement.Ref { return w.raw }, statement.TargetContents, "all@1 is a collection: raw@1, a member, withdrawn in entry "},
	} {
		for _, effect := range []string{statement.EffectAdvise, statement.EffectNoNewUse, statement.EffectStop} {
			w := newServing(t)
			entry := w.Withdrawn(w.Ada, c.taken(w), c.target, effect)
			s, err := w.judge(t, c.serve(w))
			if effect == statement.EffectStop {
				if r := refused(t, s, err, 4, c.why); r.Entry == nil || *r.Entry != entry || r.Rule != ledger.RuleWithdrawn || !strings.Contains(r.Hint(), "stele rollback") {
					t.Errorf("%s: %+v", c.name, r)
				}
				continue
			}
			if err != nil {
				t.Errorf("%s, %s: %v", c.name, effect, err)
				continue
			}
			told, other := s.Notes, s.Warnings
			if effect == statement.EffectNoNewUse {
				told, other = other, told
			}
			// A member is an ancestor, too: it may be told of as both.
			if len(told) == 0 || !strings.Contains(told[0], c.why) || len(other) > 0 {
				t.Errorf("%s, %s: %+v", c.name, effect, s)
			}
		}
	}
	w := newServing(t)
	w.Withdrawn(w.Ada, w.model, statement.TargetContents, statement.EffectAdvise)
	s, err := w.judge(t, w.model, func(a *asked) {
		a.pretend = func(k *guard.Known) { k.Judged.Artifact.Withdrawals[0].Effect = "halt" }
	})
	refused(t, s, err, 4, "(halt)")
}

// TestAttackerServes: everything else that must not be.
func TestAttackerServes(t *testing.T) {
	t.Run("what a thief stamped", func(t *testing.T) {
		w := newServing(t)
		w.Put(w.Compromised(w.Ada, w.mia.PublicKey(), "mia", 1))
		s, err := w.judge(t, w.model)
		refused(t, s, err, 6, "raw@1")
	})
	t.Run("a log that nobody trusts", func(t *testing.T) {
		w := newServing(t)
		s, err := w.judge(t, w.model, func(a *asked) { a.nobody = true })
		refused(t, s, err, 6, "the log "+ledgertest.Origin+" is not trusted")
	})
	t.Run("what was never released", func(t *testing.T) {
		w := newServing(t)
		r := func(s *guard.Standing, err error) *guard.Refusal {
			return refused(t, s, err, 4, "model@1 is not in staging, as far as the evidence goes")
		}(w.judge(t, w.model, func(a *asked) { a.Stage = "staging" }))
		if !r.About || !strings.Contains(r.Hint(), "stele prove model@1 --stage staging") {
			t.Errorf("%+v", r)
		}
		// What was withdrawn besides does not change what is said of it.
		w.Withdrawn(w.Ada, w.raw, statement.TargetContents, statement.EffectNoNewUse)
		s, err := w.judge(t, w.model, func(a *asked) { a.Stage = "staging" })
		refused(t, s, err, 4, "model@1 is not in staging")
	})
	w := newServing(t)
	for _, c := range []struct {
		name    string
		pretend func(*guard.Known)
		exit    int
		why     string
	}{
		{"a check that failed", func(k *guard.Known) {
			k.Verdict.Verdict = evidence.Tampered
			k.Verdict.Checks = append(k.Verdict.Checks, evidence.Check{Name: evidence.CheckIncluded, OK: evidence.Failed, Detail: "another leaf"})
		}, 3, "model@1 is TAMPERED: " + evidence.CheckIncluded + ": another leaf"},
		{"no trust", func(k *guard.Known) { k.Verdict.Verdict = evidence.Untrusted }, 6, "model@1 is NOT TRUSTED"},
		{"a verdict of another time", func(k *guard.Known) { k.Verdict.Verdict = "probably" }, 1, `the verdict "probably" is not known here`},
		{"withdrawn, and nobody knows by what", func(k *guard.Known) {
			k.Verdict.Verdict = evidence.Withdrawn
			k.Verdict.Checks = append(k.Verdict.Checks, evidence.Check{Name: evidence.CheckNotWithdrawn, OK: evidence.Failed, Detail: "it is"})
		}, 4, "model@1 is WITHDRAWN"},
		{"withdrawn, and more besides", func(k *guard.Known) {
			k.Judged.Artifact.Withdrawals = append(k.Judged.Artifact.Withdrawals, lineage.Withdrawal{Effect: statement.EffectAdvise})
			k.Verdict.Verdict = evidence.Withdrawn
			k.Verdict.Checks = append(k.Verdict.Checks, evidence.Check{Name: evidence.CheckStanding, OK: evidence.Failed, Detail: "fell"})
		}, 4, "model@1 is WITHDRAWN: standing: fell"},
		{"no release", func(k *guard.Known) { k.Verdict.Release = nil }, 1, "could not be told"},
		{"no judgement", func(k *guard.Known) { k.Judged = nil }, 1, "could not be told"},
		{"too large a lineage", func(k *guard.Known) {
			j := *k.Judged
			j.Unknown = true
			k.Judged = &j
		}, 1, "more is recorded"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, err := w.judge(t, w.model, func(a *asked) { a.pretend = c.pretend })
			refused(t, s, err, c.exit, c.why)
		})
	}
}

// TestAttackerHidesWhatCameLater: how old what is known may be is bounded, and told
// where nothing bounds it.
func TestAttackerHidesWhatCameLater(t *testing.T) {
	w := newServing(t)
	for _, c := range []struct {
		name          string
		offline       bool
		after, maxAge time.Duration
		witnessed     bool
		seen          uint64
		why           string // it is refused
		warns         string
	}{
		{"a ledger at rest", false, 1000 * time.Hour, 0, false, 0, "", ""},
		{"young enough", true, 23 * time.Hour, 24 * time.Hour, false, 0, "", ""},
		{"too old", true, 25*time.Hour + 7*time.Minute, 24 * time.Hour, false, 0, "is 25 h 7 min old, and --max-age allows 24h0m0s", ""},
		{"much too old", false, 72 * time.Hour, time.Minute, false, 0, "is 3 days old", ""},
		{"the witnesses' clocks count", true, 72 * time.Hour, time.Minute, true, 0, "", ""},
		{"unbounded", true, time.Hour, 0, false, 0, "", "model@1: no --max-age bounds how old the evidence is"},
		{"a little ahead", true, -4 * time.Minute, time.Hour, false, 0, "", ""},
		{"far ahead", true, -time.Hour, time.Hour, false, 0, "is still to come by this machine's clock, in 1 h 0 min", ""},
		{"far ahead, unbounded", true, -time.Hour, 0, false, 0, "is still to come by this machine's clock", ""},
		{"far ahead, on a ledger", false, -time.Hour, 0, false, 0, "", ""},
		{"behind what was seen", true, time.Hour, 2 * time.Hour, false, 1000, "", "entries of " + ledgertest.Origin + ", and you have seen 1,000"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, err := w.judge(t, w.model, func(a *asked) {
				a.Offline, a.after, a.maxAge, a.seen = c.offline, c.after, c.maxAge, c.seen
				a.pretend = func(k *guard.Known) { k.Witnessed = c.witnessed }
			})
			switch {
			case c.why != "":
				refused(t, s, err, 6, c.why)
			case err != nil:
				t.Error(err)
			case c.warns == "" && len(s.Warnings) > 0, c.warns != "" && (len(s.Warnings) != 1 || !strings.Contains(s.Warnings[0], c.warns)):
				t.Errorf("it warns %q, want %q", s.Warnings, c.warns)
			}
		})
	}
}
