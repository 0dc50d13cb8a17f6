package ledger_test

import (
	"fmt"
	"testing"

	"github.com/stele-ml/stele/internal/ledger"
	"github.com/stele-ml/stele/internal/ledger/ledgertest"
	"github.com/stele-ml/stele/statement"
)

// BenchmarkAdmitContracts admits releases, one hundred to a block, their
// signatures checked before, of models that were trained on ten data sets and
// approved by two: with no contract in force, with five that are about other
// stages, and with five that ask of approvals, lineage, metrics, authors and age.
func BenchmarkAdmitContracts(b *testing.B) {
	asks := []string{
		twoApprovals,
		`ledger.ancestors(subject).all(a, a.standing == "good")`,
		`ledger.evaluations(subject).exists(e, "auc" in e.metrics && e.metrics["auc"] >= 0.9)`,
		`ledger.approvers(subject).all(p, !(p in ledger.allAuthors(subject)))`,
		`entry.time - subject.time < duration("720h") && ledger.inputs(subject).all(a, a.kind == "dataset")`,
	}
	for _, bc := range []struct {
		name, stage string
		contracts   int
	}{{"none", prod, 0}, {"passed by", "staging", 5}, {"asked", prod, 5}} {
		b.Run(bc.name, func(b *testing.B) {
			l := ledgertest.New(b)
			ann, ben, bob := l.Person("ann", statement.RoleApprover), l.Person("ben", statement.RoleApprover), l.Person("bob")
			var data []statement.Ref
			for i := range 10 {
				data = append(data, l.Stamped(bob, "data", fmt.Sprint(i), fmt.Sprint("d", i)))
			}
			for i := range bc.contracts {
				l.Contract(ledgertest.Rule(fmt.Sprintf("p%d@1", i), "statements: [release], stages: ["+bc.stage+"]", asks[i]))
			}
			b.ResetTimer()
			b.StopTimer()
			for n := 0; n < b.N; {
				var models []statement.Ref
				var envs []*statement.Envelope
				for range min(100, b.N-n) {
					out := l.Made(fmt.Sprint("model/", n), "1", fmt.Sprint("m", n))
					models = append(models, out.Ref)
					at := l.View().Size() + uint64(len(envs))
					envs = append(envs, l.Run(bob, data, []statement.Output{out}), l.Evaluate(bob, out.Ref, "auc", "0.95", data[0]),
						l.Approve(ann, out.Ref, prod, at+1), l.Approve(ben, out.Ref, prod, at+2))
					n++
				}
				l.Put(envs...)
				var cands []*ledger.Candidate
				for _, ref := range models {
					c, err := l.PrepareVerifiedUnsafe(l.Release(l.Ada, ref, prod, l.Saw(&statement.Release{Stage: prod}, ref)))
					if err != nil {
						b.Fatal(err)
					}
					cands = append(cands, c)
				}
				l.Now += 1000
				block, err := l.Begin(l.Now)
				if err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
				for _, c := range cands {
					if _, err := block.Admit(c); err != nil {
						b.Fatal(err)
					}
				}
				b.StopTimer()
				block.Drop()
			}
		})
	}
}
