package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/stele-ml/stele/statement"
)

func (a *app) approveCommand() *cobra.Command {
	var f decideFlags
	var reject bool
	c := &cobra.Command{
		Use:   "approve NAME@VERSION --stage STAGE",
		Short: "Approve an artifact for a stage, or reject it",
		Long: `Signs that an artifact is fit for a stage, or with --reject that it is not. Who
decides again on the same stage, decides for all that they said before.

On a terminal it shows the artifact first: what it was made of and measured,
who approved it, whether it is tainted, what is in the stage now; and asks.
What was shown is what is signed: if anything comes to the ledger about it in
between, the approval is refused.

What an approval is needed for, a contract says; by itself it is a record. The
role "approver" may approve and reject. A reason is public and for ever.`,
		Example: `  stele approve fraud/model@4 --stage production
  stele approve fraud/model@4 --stage production --reject --reason 'drifts'`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			name, version, err := statement.ParseNameVersion(args[0])
			if err != nil {
				return usagef("%v", err)
			}
			if err := f.check("approve"); err != nil {
				return err
			}
			decision := statement.DecisionApprove
			if reject {
				decision = statement.DecisionReject
				if f.reason == "" {
					return usagef("--reject needs --reason")
				}
			}
			return a.decide(c.Context(), &f, func(r *reading) (*planned, error) {
				return r.planApproval(name, version, decision, &f)
			})
		},
	}
	f.register(c)
	c.Flags().BoolVar(&reject, "reject", false, "it is not fit for the stage; needs --reason")
	return c
}

func (r *reading) planApproval(name, version, decision string, f *decideFlags) (*planned, error) {
	p, err := r.planOn(name, version, f.stage)
	if err != nil {
		return nil, err
	}
	p.st = &statement.Statement{
		Kind: statement.KindApproval, Subject: []statement.Subject{p.account.Ref.Subject()},
		Approval: &statement.Approval{Stage: f.stage, Decision: decision, Reason: f.reason},
	}
	if decision == statement.DecisionReject {
		p.concerns, err = r.newStage(f.stage) // the others speak for it
		if err != nil {
			return nil, err
		}
		p.question = fmt.Sprintf("reject %s for %s?", p.account.Ref, f.stage)
		return p, nil
	}
	p.question = fmt.Sprintf("approve %s for %s?", p.account.Ref, f.stage)
	return p, nil
}

// planOn gathers what there is about an artifact and a stage.
func (r *reading) planOn(name, version, stage string) (*planned, error) {
	b, err := r.binding(name, version)
	if err != nil {
		return nil, err
	}
	p := new(planned)
	if p.account, err = r.Of(b); err != nil {
		return nil, err
	}
	if err := p.account.Fill(r.Book); err != nil {
		return nil, err
	}
	// Whoever signs takes its fingerprint for this name.
	if err := r.proveIncluded(p.account.Bound); err != nil {
		return nil, err
	}
	if p.in, err = r.Released(stage); err != nil {
		return nil, err
	}
	p.concerns = r.concernsOn(p.account, stage)
	others, err := r.newStage(stage)
	p.concerns = append(p.concerns, others...)
	return p, err
}
