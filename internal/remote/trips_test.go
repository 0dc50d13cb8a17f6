package remote_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stele-ml/stele/contract"
	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/internal/draft"
	"github.com/stele-ml/stele/internal/ledger"
	"github.com/stele-ml/stele/internal/ledger/ledgertest"
	"github.com/stele-ml/stele/lineage"
	"github.com/stele-ml/stele/statement"
)

// TestRoundTrips: what people ask is a handful of requests, whatever it takes to
// answer it.
func TestRoundTrips(t *testing.T) {
	l := ledgertest.New(t)
	bob := l.Person("bob")
	rel := l.Person("rel", statement.RoleApprover, statement.RoleReleaser)
	l.Contract(ledgertest.Rule("prod@1", "statements: [release]", `ledger.approvers(subject).exists(a, a == "rel") && ledger.ancestors(subject).all(a, a.kind != "x")`))
	base := l.Stamped(bob, "base", "1", "base")
	var models []statement.Ref
	for i := range 150 {
		data := l.Stamped(bob, fmt.Sprint("data/n", i), "1", fmt.Sprint("data", i), base)
		models = append(models, l.Ran(bob, fmt.Sprint("model/n", i), "1", fmt.Sprint("model", i), data))
		l.Approved(rel, models[i], "production")
		l.Released(rel, models[i], "production")
	}
	all := func(seq func(func(uint64, error) bool)) error {
		for _, err := range seq {
			if err != nil {
				return err
			}
		}
		return nil
	}
	for _, c := range []struct {
		name string
		most int
		ask  func(*ledger.View) error
	}{
		{"names with their versions", 4, func(v *ledger.View) error {
			for name, err := range v.Names("") {
				if err != nil {
					return err
				}
				for _, err := range v.Versions(name) {
					if err != nil {
						return err
					}
				}
				if _, err := v.Latest(name); err != nil {
					return err
				}
			}
			return nil
		}},
		{"the log", 8, func(v *ledger.View) error {
			for _, err := range v.Entries(0, v.Size()) {
				if err != nil {
					return err
				}
			}
			return nil
		}},
		{"a signer's entries", 8, func(v *ledger.View) error { return all(v.BySigner(bob.PublicKey().ID())) }},
		{"a stage with what is in it", 3, func(v *ledger.View) error {
			in, err := v.InStage("production")
			if err != nil {
				return err
			}
			x, err := v.Lineage()
			if err != nil {
				return err
			}
			for _, p := range in {
				a, err := x.Artifact(p.Ref.Name, p.Ref.Version)
				if err != nil {
					return err
				}
				if _, err := lineage.Judge(x, a); err != nil {
					return err
				}
				for _, kind := range []statement.Kind{statement.KindApproval, statement.KindEvaluation} {
					if err := all(v.About(p.Ref.Fingerprint, kind)); err != nil {
						return err
					}
				}
			}
			return nil
		}},
		{"a trial of a release", 2, func(v *ledger.View) error {
			trial, err := v.Try(&statement.Statement{Kind: statement.KindRelease, Subject: []statement.Subject{models[3].Subject()},
				Release: &statement.Release{Stage: "staging", Action: statement.ActionJoin}}, contract.Signer{Key: rel.PublicKey().ID(), Known: true}, 0)
			if err == nil && (len(trial.Refusals) > 0 || len(trial.Verdict.Results) != 1) {
				err = fmt.Errorf("%v %v", trial.Refusals, trial.Verdict)
			}
			return err
		}},
		{"all that was made of something", 3, func(v *ledger.View) error {
			x, err := v.Lineage()
			if err != nil {
				return err
			}
			a, err := x.Artifact(base.Name, base.Version)
			if err != nil {
				return err
			}
			g, err := lineage.Down(x, a, 0)
			if err == nil && len(g.Nodes) != 301 {
				err = fmt.Errorf("%d artifacts", len(g.Nodes))
			}
			return err
		}},
		{"a contract over the past", 6, func(v *ledger.View) error {
			made, err := draft.Read([]byte(ledgertest.Rule("other@1", "statements: [release]", `ledger.approvers(subject).size() > 0`)))
			if err != nil {
				return err
			}
			compiled, err := contract.Compile(made.Document)
			if err != nil {
				return err
			}
			n := 0
			err = v.Judge(t.Context(), []contract.InForce{{Contract: compiled}}, func(*statement.Statement, *evidence.Entry, *contract.Verdict) error {
				n++
				return nil
			})
			if err == nil && n != 150 {
				err = fmt.Errorf("%d releases", n)
			}
			return err
		}},
		{"evidence", 3, func(v *ledger.View) error {
			entries, _, err := v.LineageEntries(models[0], 0)
			if err != nil {
				return err
			}
			b, err := v.ByName(models[0].Name, "1")
			if err != nil {
				return err
			}
			_, err = v.Evidence(evidence.Claim{Name: models[0].Name, Version: "1", Fingerprint: models[0].Fingerprint, Entry: b.Entry, Lineage: true}, nil, entries...)
			return err
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := serve(l)
			begun := time.Now()
			r := open(t, s, l.View())
			opened := s.requests()
			if err := c.ask(r.View()); err != nil {
				t.Fatal(err)
			}
			if n := s.requests() - opened; n > c.most {
				t.Errorf("%d requests, at most %d are expected", n, c.most)
			} else {
				t.Logf("%d requests, %d bytes, %d entries, %v", n, s.bytes, s.entries, time.Since(begun).Round(time.Millisecond))
			}
		})
	}
}
