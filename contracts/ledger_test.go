package contracts_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stele-ml/stele/contracts"
	"github.com/stele-ml/stele/internal/ledger"
	"github.com/stele-ml/stele/internal/ledger/ledgertest"
	"github.com/stele-ml/stele/statement"
)

// scene is a ledger with a ready contract in force and a few people.
type scene struct {
	*ledgertest.Ledger
	t                                          *testing.T
	yaml                                       string
	trainer, keeper, ci, judge, bob, dan, cleo statement.Signer // the last three: two approvers, a releaser
	bea                                        statement.Signer // an administrator, beside ada
}

func newScene(t *testing.T, name string) *scene {
	t.Helper()
	yaml, _, err := contracts.Read(name)
	if err != nil {
		t.Fatal(err)
	}
	s := &scene{Ledger: ledgertest.New(t), t: t, yaml: string(yaml)}
	s.trainer, s.keeper, s.ci, s.judge = s.Person("trainer"), s.Person("keeper"), s.Person("ci"), s.Person("judge")
	s.bob, s.dan = s.Person("bob", statement.RoleApprover, statement.RoleMember), s.Person("dan", statement.RoleApprover)
	s.cleo = s.Person("cleo", statement.RoleReleaser)
	s.bea = s.Person("bea", statement.RoleAdministrator)
	s.Contract(s.yaml)
	return s
}

// stamp returns a stamp with an artifact of a kind, which more may change.
func (s *scene) stamp(by statement.Signer, ref statement.Ref, kind string, more ...func(*statement.Stamp)) *statement.Envelope {
	return s.Stamp(by, ref, append([]func(*statement.Stamp){func(x *statement.Stamp) { x.Kind = kind }}, more...)...)
}

// model trains a model on data, by a wrapped run of a clean commit.
func (s *scene) model(by statement.Signer, version string, inputs ...statement.Ref) statement.Ref {
	s.t.Helper()
	out := s.Made("fraud/model", version, "model "+version)
	s.Put(s.Run(by, inputs, []statement.Output{out}, func(r *statement.Run) {
		r.Code = &statement.Code{Remote: "https://git.example/fraud/train.git", Commit: strings.Repeat("9505cacb", 5)}
	}))
	return out.Ref
}

// release makes a release to production by somebody who has seen everything.
func (s *scene) release(by statement.Signer, ref statement.Ref) *statement.Envelope {
	s.t.Helper()
	return s.Release(by, ref, "production", s.Saw(&statement.Release{Stage: "production"}, ref))
}

// audited makes an announced audit of an artifact that held, and whose result is
// kept back for a time.
func (s *scene) audited(by statement.Signer, ref statement.Ref, kept time.Duration) {
	s.t.Helper()
	entry := s.Put(s.Announce(by, ref, "n"))
	s.pass(kept)
	v := s.View()
	e, err := v.Entry(entry)
	if err != nil {
		s.t.Fatal(err)
	}
	cp, err := v.CheckpointOver(entry)
	if err != nil {
		s.t.Fatal(err)
	}
	s.Put(s.Result(by, ref, e, cp, "n"))
}

// pass lets time go by.
func (s *scene) pass(d time.Duration) { s.Now += d.Milliseconds() }

func licensed(licence string) func(*statement.Stamp) {
	return func(x *statement.Stamp) { x.Annotations = map[string]string{"licence": licence} }
}

// Each contract in force on a ledger: what it is for is admitted, and each way
// round is refused by exactly the rules that are named.
func TestInForce(t *testing.T) {
	for _, c := range []struct {
		contract, what string
		last           func(s *scene) *statement.Envelope
		refusedBy      []string
	}{
		{"inputs-clean", "raw data, a run", func(s *scene) *statement.Envelope {
			raw := s.Stamped(s.keeper, "raw/cards", "1", "cards")
			return s.release(s.cleo, s.model(s.trainer, "1", raw))
		}, nil},
		{"inputs-clean", "a stamp of nowhere", func(s *scene) *statement.Envelope {
			return s.release(s.cleo, s.Stamped(s.trainer, "fraud/model", "1", "model"))
		}, []string{"has-origin", "made-of-data"}},
		{"inputs-clean", "data of one's own", func(s *scene) *statement.Envelope {
			scraped := s.Stamped(s.trainer, "fraud/scraped", "1", "scraped")
			return s.release(s.cleo, s.model(s.trainer, "1", scraped))
		}, []string{"known-roots"}},
		{"inputs-clean", "withdrawn with advice", func(s *scene) *statement.Envelope {
			raw := s.Stamped(s.keeper, "raw/cards", "1", "cards")
			model := s.model(s.trainer, "1", raw)
			s.Withdrawn(s.keeper, raw, statement.TargetContents, statement.EffectAdvise)
			return s.release(s.cleo, model)
		}, []string{"clean"}},

		{"two-approvals", "two", func(s *scene) *statement.Envelope {
			m := s.model(s.trainer, "1")
			s.Approved(s.bob, m, "production")
			s.Approved(s.dan, m, "production")
			return s.release(s.cleo, m)
		}, nil},
		{"two-approvals", "one person with two keys", func(s *scene) *statement.Envelope {
			second := ledgertest.Ed25519("bob's second")
			s.Put(s.Register(s.Ada, second.PublicKey(), "bob", 0, []string{"*"}, statement.RoleApprover))
			m := s.model(s.trainer, "1")
			s.Approved(s.bob, m, "production")
			s.Approved(second, m, "production")
			return s.release(s.cleo, m)
		}, []string{"enough-approvals"}},
		{"two-approvals", "one's own", func(s *scene) *statement.Envelope {
			m := s.model(s.bob, "1")
			s.Approved(s.bob, m, "production")
			s.Approved(s.dan, m, "production")
			return s.release(s.cleo, m)
		}, []string{"enough-approvals"}},
		{"two-approvals", "rejected under another name", func(s *scene) *statement.Envelope {
			m := s.model(s.trainer, "1")
			s.Rejected(s.dan, m, "production")
			copied := s.Stamped(s.trainer, "fraud/fresh", "1", "model 1")
			s.Approved(s.bob, copied, "production")
			s.Approved(s.Ada, copied, "production")
			return s.release(s.cleo, copied)
		}, []string{"none-rejected"}},

		{"two-approvals", "rejected, in a collection of one", func(s *scene) *statement.Envelope {
			m := s.model(s.trainer, "1")
			s.Rejected(s.dan, m, "production")
			bundle := s.Collected(s.keeper, "fraud/bundle", "1", m)
			s.Approved(s.bob, bundle, "production")
			s.Approved(s.Ada, bundle, "production")
			return s.release(s.cleo, bundle)
		}, []string{"none-rejected"}},
		{"two-approvals", "one's own, in a collection of a friend's", func(s *scene) *statement.Envelope {
			bundle := s.Collected(s.keeper, "fraud/bundle", "1", s.model(s.bob, "1"))
			s.Approved(s.bob, bundle, "production")
			s.Approved(s.dan, bundle, "production")
			return s.release(s.cleo, bundle)
		}, []string{"enough-approvals"}},

		{"separation-of-duty", "one's own, in a collection of a friend's", func(s *scene) *statement.Envelope {
			bundle := s.Collected(s.keeper, "fraud/bundle", "1", s.model(s.Ada, "1"))
			return s.release(s.Ada, bundle)
		}, []string{"releaser-is-no-maker"}},
		{"separation-of-duty", "three people", func(s *scene) *statement.Envelope {
			m := s.model(s.trainer, "1")
			s.Approved(s.bob, m, "production")
			return s.release(s.cleo, m)
		}, nil},
		{"separation-of-duty", "one person with every role", func(s *scene) *statement.Envelope {
			m := s.model(s.Ada, "1")
			s.Approved(s.Ada, m, "production")
			return s.release(s.Ada, m)
		}, []string{"releaser-is-no-maker", "releaser-is-no-approver"}},

		{"metrics-floor", "good enough", func(s *scene) *statement.Envelope {
			test := s.Stamped(s.keeper, "bench/test", "1", "test")
			m := s.model(s.trainer, "1")
			s.Evaluated(s.judge, m, "auc", "0.93", test)
			return s.release(s.cleo, m)
		}, nil},
		{"metrics-floor", "not good enough", func(s *scene) *statement.Envelope {
			test := s.Stamped(s.keeper, "bench/test", "1", "test")
			m := s.model(s.trainer, "1")
			s.Evaluated(s.judge, m, "auc", "0.89999", test)
			return s.release(s.cleo, m)
		}, []string{"floor"}},
		{"metrics-floor", "measured by oneself", func(s *scene) *statement.Envelope {
			test := s.Stamped(s.keeper, "bench/test", "1", "test")
			m := s.model(s.trainer, "1")
			s.Evaluated(s.trainer, m, "auc", "0.99", test)
			return s.release(s.cleo, m)
		}, []string{"measured"}},
		{"metrics-floor", "measured by oneself, in a collection of a friend's", func(s *scene) *statement.Envelope {
			test := s.Stamped(s.keeper, "bench/test", "1", "test")
			bundle := s.Collected(s.keeper, "fraud/bundle", "1", s.model(s.trainer, "1"))
			s.Evaluated(s.trainer, bundle, "auc", "0.99", test)
			return s.release(s.cleo, bundle)
		}, []string{"measured"}},
		{"metrics-floor", "worse than before", func(s *scene) *statement.Envelope {
			test := s.Stamped(s.keeper, "bench/test", "1", "test")
			m := s.model(s.trainer, "1")
			s.Evaluated(s.judge, m, "auc", "0.95", test)
			s.Put(s.release(s.cleo, m))
			m = s.model(s.trainer, "2")
			s.Evaluated(s.judge, m, "auc", "0.91", test)
			return s.release(s.cleo, m)
		}, []string{"no-worse"}},

		{"held-out-data", "a split", func(s *scene) *statement.Envelope {
			raw := s.Stamped(s.keeper, "raw/cards", "1", "cards")
			train, test := s.Made("fraud/train", "1", "train"), s.Made("bench/test", "1", "test")
			train.Stamp.Kind, test.Stamp.Kind = statement.ArtifactDataset, statement.ArtifactDataset
			s.Put(s.Run(s.trainer, []statement.Ref{raw}, []statement.Output{test, train}))
			m := s.model(s.trainer, "1", train.Ref)
			s.Evaluated(s.judge, m, "auc", "0.93", test.Ref)
			return s.release(s.cleo, m)
		}, nil},
		{"held-out-data", "a copy of the test data", func(s *scene) *statement.Envelope {
			test := s.Stamped(s.keeper, "bench/test", "1", "test")
			mine := s.Stamped(s.trainer, "fraud/mine", "1", "test")
			m := s.model(s.trainer, "1", mine)
			s.Evaluated(s.judge, m, "auc", "0.99", test)
			return s.release(s.cleo, m)
		}, []string{"not-trained-on"}},
		{"held-out-data", "a collection that has it, in a collection", func(s *scene) *statement.Envelope {
			day := s.Stamped(s.keeper, "raw/day", "1", "day")
			month := s.Collected(s.keeper, "raw/month", "1", day)
			test := s.Collected(s.keeper, "bench/test", "1", month)
			m := s.model(s.trainer, "1", day)
			s.Evaluated(s.judge, m, "auc", "0.99", test)
			return s.release(s.cleo, m)
		}, []string{"no-member-trained-on", "not-made-of-training-data"}},

		{"licence", "licensed data", func(s *scene) *statement.Envelope {
			raw := s.Ref("raw/cards", "1", "cards")
			s.Put(s.stamp(s.keeper, raw, statement.ArtifactDataset, licensed("CC0-1.0")))
			return s.release(s.cleo, s.model(s.trainer, "1", raw))
		}, nil},
		{"licence", "a stamp without one", func(s *scene) *statement.Envelope {
			return s.stamp(s.keeper, s.Ref("raw/cards", "1", "cards"), statement.ArtifactOther)
		}, []string{"named"}},
		{"licence", "one that is not on the list", func(s *scene) *statement.Envelope {
			return s.stamp(s.keeper, s.Ref("raw/cards", "1", "cards"), statement.ArtifactDataset, licensed("CC-BY-NC-4.0"))
		}, []string{"on-the-list"}},
		{"licence", "relabelled", func(s *scene) *statement.Envelope {
			s.Put(s.LiftContract(s.Ada, s.yaml)) // as if it had not been in force then
			s.Put(s.stamp(s.keeper, s.Ref("raw/cards", "1", "cards"), statement.ArtifactDataset, licensed("CC-BY-NC-4.0")))
			s.Contract(strings.Replace(s.yaml, "version: 1", "version: 2", 1))
			return s.stamp(s.trainer, s.Ref("raw/mine", "1", "cards"), statement.ArtifactDataset, licensed("MIT"))
		}, []string{"not-relabelled"}},
		{"licence", "a run out of nothing", func(s *scene) *statement.Envelope {
			return s.Run(s.trainer, nil, []statement.Output{s.Made("fraud/model", "1", "model")})
		}, []string{"named"}},

		{"freshly-read", "today", func(s *scene) *statement.Envelope {
			return s.release(s.cleo, s.model(s.trainer, "1", s.Stamped(s.keeper, "raw/cards", "1", "cards")))
		}, nil},
		{"freshly-read", "old data", func(s *scene) *statement.Envelope {
			raw := s.Stamped(s.keeper, "raw/cards", "1", "cards")
			s.pass(31 * 24 * time.Hour)
			return s.release(s.cleo, s.model(s.trainer, "1", raw))
		}, []string{"ancestors-read"}},
		{"freshly-read", "old data, looked up again", func(s *scene) *statement.Envelope {
			s.Stamped(s.keeper, "raw/cards", "1", "cards")
			entry := s.View().Size() - 1
			s.pass(31 * 24 * time.Hour)
			again := s.Ref("raw/cards", "2", "cards")
			s.Put(s.stamp(s.keeper, again, statement.ArtifactDataset, func(x *statement.Stamp) {
				x.Basis = statement.Basis{Version: 7, Entry: &entry}
			}))
			return s.release(s.cleo, s.model(s.trainer, "1", again))
		}, []string{"ancestors-read"}},
		{"freshly-read", "old data, read again", func(s *scene) *statement.Envelope {
			raw := s.Stamped(s.keeper, "raw/cards", "1", "cards")
			s.pass(31 * 24 * time.Hour)
			s.Stamped(s.judge, "raw/cards-again", "1", "cards")
			return s.release(s.cleo, s.model(s.trainer, "1", raw))
		}, nil},
		{"freshly-read", "old data, audited", func(s *scene) *statement.Envelope {
			raw := s.Stamped(s.keeper, "raw/cards", "1", "cards")
			s.pass(31 * 24 * time.Hour)
			s.audited(s.judge, raw, 0)
			return s.release(s.cleo, s.model(s.trainer, "1", raw))
		}, nil},
		{"freshly-read", "old data, and an old audit told today", func(s *scene) *statement.Envelope {
			raw := s.Stamped(s.keeper, "raw/cards", "1", "cards")
			s.audited(s.judge, raw, 31*24*time.Hour)
			return s.release(s.cleo, s.model(s.trainer, "1", raw))
		}, []string{"ancestors-read"}},

		{"audited", "by somebody else", func(s *scene) *statement.Envelope {
			raw := s.Stamped(s.keeper, "raw/cards", "1", "cards")
			s.audited(s.judge, raw, 0)
			return s.release(s.cleo, s.model(s.trainer, "1", raw))
		}, nil},
		{"audited", "by its stamper", func(s *scene) *statement.Envelope {
			raw := s.Stamped(s.keeper, "raw/cards", "1", "cards")
			s.audited(s.keeper, raw, 0)
			return s.release(s.cleo, s.model(s.trainer, "1", raw))
		}, []string{"audited"}},
		{"audited", "too long ago", func(s *scene) *statement.Envelope {
			raw := s.Stamped(s.keeper, "raw/cards", "1", "cards")
			s.audited(s.judge, raw, 0)
			s.pass(31 * 24 * time.Hour)
			return s.release(s.cleo, s.model(s.trainer, "1", raw))
		}, []string{"audited"}},
		{"audited", "the second try, as the first was not told", func(s *scene) *statement.Envelope {
			raw := s.Stamped(s.keeper, "raw/cards", "1", "cards")
			s.Put(s.Announce(s.judge, raw, "first"))
			s.audited(s.judge, raw, 0)
			return s.release(s.cleo, s.model(s.trainer, "1", raw))
		}, []string{"audited"}},
		{"audited", "a month ago, and told today", func(s *scene) *statement.Envelope {
			raw := s.Stamped(s.keeper, "raw/cards", "1", "cards")
			s.audited(s.judge, raw, 31*24*time.Hour)
			return s.release(s.cleo, s.model(s.trainer, "1", raw))
		}, []string{"audited"}},

		{"wrapped-runs", "in CI", func(s *scene) *statement.Envelope {
			return s.release(s.cleo, s.model(s.ci, "1", s.Stamped(s.keeper, "raw/cards", "1", "cards")))
		}, nil},
		{"wrapped-runs", "on a laptop", func(s *scene) *statement.Envelope {
			return s.release(s.cleo, s.model(s.trainer, "1", s.Stamped(s.keeper, "raw/cards", "1", "cards")))
		}, []string{"runners"}},
		{"wrapped-runs", "told, of no commit", func(s *scene) *statement.Envelope {
			out := s.Made("fraud/model", "1", "model")
			s.Put(s.Run(s.ci, nil, []statement.Output{out}, func(r *statement.Run) { r.Observation = statement.ObservationReported }))
			return s.release(s.cleo, out.Ref)
		}, []string{"wrapped", "committed"}},
		{"wrapped-runs", "without a run", func(s *scene) *statement.Envelope {
			return s.release(s.cleo, s.Stamped(s.ci, "fraud/model", "1", "model", s.Stamped(s.keeper, "raw/cards", "1", "cards")))
		}, []string{"made-by-a-run"}},

		{"capped-ignore", "the defaults", func(s *scene) *statement.Envelope {
			return s.stamp(s.keeper, s.Ref("raw/cards", "1", "cards"), statement.ArtifactDataset, func(x *statement.Stamp) {
				x.Ignore = []string{".git/", ".stele", ".stele/", ".DS_Store", "Thumbs.db", ".ipynb_checkpoints/", ".cache/huggingface/"}
			})
		}, nil},
		{"capped-ignore", "weights, in a run", func(s *scene) *statement.Envelope {
			out := s.Made("fraud/model", "1", "model")
			out.Stamp.Ignore = []string{"*.safetensors"}
			return s.Run(s.ci, nil, []statement.Output{out})
		}, []string{"listed", "no-models-or-code"}},

		{"two-administrators", "proposed by the other", func(s *scene) *statement.Envelope {
			next := ledgertest.Rule("next@1", "statements: [release]", "true")
			s.Put(s.ProposeContract(s.bea, next))
			return s.PutContract(s.Ada, next)
		}, nil},
		{"two-administrators", "proposed by oneself", func(s *scene) *statement.Envelope {
			next := ledgertest.Rule("next@1", "statements: [release]", "true")
			s.Put(s.ProposeContract(s.Ada, next))
			return s.PutContract(s.Ada, next)
		}, []string{"proposed-by-another"}},
		{"two-administrators", "itself, lifted", func(s *scene) *statement.Envelope {
			return s.LiftContract(s.Ada, s.yaml)
		}, []string{"not-lifted"}},
		{"two-administrators", "a third administrator of one's own making", func(s *scene) *statement.Envelope {
			return s.Register(s.Ada, ledgertest.Ed25519("puppet").PublicKey(), "puppet", 0, nil, statement.RoleAdministrator)
		}, []string{"agreed-key"}},
		{"two-administrators", "a key in the other's name", func(s *scene) *statement.Envelope {
			return s.Register(s.Ada, ledgertest.Ed25519("forged").PublicKey(), "bea", 0, nil, statement.RoleApprover)
		}, []string{"own-keys-alone"}},
		{"two-administrators", "the other, retired", func(s *scene) *statement.Envelope {
			return s.Retire(s.Ada, s.bea.PublicKey(), "bea")
		}, []string{"own-keys-alone"}},
		{"two-administrators", "a member", func(s *scene) *statement.Envelope {
			return s.Register(s.Ada, ledgertest.Ed25519("new").PublicKey(), "new", 0, nil, statement.RoleMember)
		}, nil},
		{"two-administrators", "the recovery key", func(s *scene) *statement.Envelope {
			return s.LiftContract(ledgertest.Ed25519("recovery"), s.yaml)
		}, nil},

		{"waiting-period", "after the wait", func(s *scene) *statement.Envelope {
			next := ledgertest.Rule("next@1", "statements: [release]", "true")
			s.Put(s.ProposeContract(s.Ada, next))
			s.Put(s.Stamps(s.keeper, "raw/x", 20)...)
			s.pass(24 * time.Hour)
			return s.PutContract(s.Ada, next)
		}, nil},
		{"waiting-period", "many entries at once", func(s *scene) *statement.Envelope {
			next := ledgertest.Rule("next@1", "statements: [release]", "true")
			s.Put(s.ProposeContract(s.Ada, next))
			s.Put(s.Stamps(s.keeper, "raw/x", 20)...)
			return s.PutContract(s.Ada, next)
		}, []string{"waited"}},
		{"waiting-period", "the recovery key", func(s *scene) *statement.Envelope {
			return s.LiftContract(ledgertest.Ed25519("recovery"), s.yaml)
		}, nil},
	} {
		t.Run(c.contract+"/"+c.what, func(t *testing.T) {
			s := newScene(t, c.contract)
			env := c.last(s)
			size := s.View().Size()
			_, errs := s.Try(env)
			got := refusedBy(t, errs[0])
			if !slices.Equal(got, c.refusedBy) {
				t.Errorf("refused by %q, want %q: %v", got, c.refusedBy, errs[0])
			}
			if grew := s.View().Size() > size; grew != (len(c.refusedBy) == 0) {
				t.Errorf("an entry was made: %v", grew)
			}
		})
	}
}

// refusedBy returns the rules of contracts that refused.
func refusedBy(t *testing.T, err error) (ids []string) {
	t.Helper()
	if err == nil {
		return nil
	}
	var r *ledger.Refusal
	if !errors.As(err, &r) || r.Rule != ledger.RuleContract {
		t.Fatalf("refused by no contract: %v", err)
	}
	for _, v := range r.Violations {
		ids = append(ids, v.Rule)
		if v.Message == "" && v.Error == "" || v.Hint == "" {
			t.Errorf("%s says %q, with the hint %q", v.Rule, v.Message, v.Hint)
		}
	}
	return ids
}

// All ready contracts at once, and a model that passes them: they do not
// contradict one another, and stay far below what a statement may cost.
func TestAllInForce(t *testing.T) {
	s := newScene(t, "inputs-clean")
	for _, name := range contracts.Names() {
		if name == "inputs-clean" || name == "two-administrators" || name == "waiting-period" {
			continue // the first is in force; with the others in force, nothing else could be put
		}
		yaml, _, err := contracts.Read(name)
		if err != nil {
			t.Fatal(err)
		}
		s.Contract(string(yaml))
	}
	raw, test := s.Ref("raw/cards", "1", "cards"), s.Ref("bench/test", "1", "test")
	s.Put(s.stamp(s.keeper, raw, statement.ArtifactDataset, licensed("MIT")))
	s.Put(s.stamp(s.keeper, test, statement.ArtifactDataset, licensed("MIT")))
	s.audited(s.judge, raw, 0)
	m := s.model(s.ci, "1", raw)
	s.Evaluated(s.judge, m, "auc", "0.93", test)
	s.Approved(s.bob, m, "production")
	_, errs := s.Try(s.release(s.cleo, m))
	if got := refusedBy(t, errs[0]); !slices.Equal(got, []string{"enough-approvals"}) {
		t.Errorf("refused by %q", got)
	}
	s.Approved(s.dan, m, "production")
	s.Put(s.release(s.cleo, m))
}
