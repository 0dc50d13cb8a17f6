package ledger

import (
	"slices"

	"github.com/stele-ml/stele/contract"
	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/statement"
)

// checkDocument: what is put or proposed is a contract that holds by its own
// tests; what is lifted is in force.
func (b *Block) checkDocument(c *Candidate) error {
	if c.st.Contract.Action == statement.ContractLift {
		return b.checkLift(c)
	}
	if c.law == nil && c.bad == nil {
		c.law, c.bad = b.l.examine(c.st.Contract)
	}
	if c.bad != nil {
		return c.bad
	}
	return nil
}

func (b *Block) checkLift(c *Candidate) error {
	against, err := b.control.CheckContract(c.st.Contract)
	if err == nil {
		return nil
	}
	r := because(RuleInForce, ClassRefused, err).hint("stele contract list shows what is in force")
	if against != nil {
		r.at(against.Entry)
	}
	return r
}

// checkContractName: a version of a contract is put once and for ever, and is
// above those before it.
func (b *Block) checkContractName(c *Candidate) error {
	said := c.st.Contract
	if said.Action == statement.ContractLift {
		return nil
	}
	if against, err := b.control.CheckContract(said); err != nil {
		r := because(RuleNameBound, ClassRefused, err).hint("give the document the next version")
		if against != nil {
			r.at(against.Entry)
		}
		return r
	}
	if held := b.control.ContractBytes() + len(said.Document); held > MaxContractBytes {
		return refuse(RuleLimits, ClassRefused, "all contracts that were put or proposed would hold %d bytes; at most %d may", held, MaxContractBytes).
			hint("what was put stays in the log: lift what is no longer needed, and put no more; what a stolen key put counts no more once it is declared compromised")
	}
	inForce := b.control.ContractsInForce()
	named := func(e evidence.ContractEntry) bool { return e.Name == said.Name }
	if said.Action == statement.ContractPut && len(inForce) >= MaxContracts && !slices.ContainsFunc(inForce, named) {
		return refuse(RuleLimits, ClassRefused, "%d contracts are in force; at most %d may be", len(inForce), MaxContracts).
			hint("lift one that is no longer needed, or put these rules into one that is there")
	}
	return nil
}

// checkContracts evaluates the contracts in force, last: over the statement and
// the state that the checks before it have seen.
func (b *Block) checkContracts(c *Candidate) error {
	list, err := b.enacted.about(c.st.Kind)
	if err != nil || len(list) == 0 {
		return err
	}
	_, m, _ := b.control.Roster().Key(c.by)
	if !contract.Governs(c.st, m.Recovery) {
		return nil
	}
	verdict, err := b.evaluate(list, c, contract.Signer{Handle: m.Handle, Key: c.by, Roles: m.Roles, Delegation: c.delegation, Known: true})
	if err != nil {
		return err
	}
	c.cost = verdict.Cost
	var against []contract.RuleResult
	for _, r := range verdict.Results {
		if !r.OK { // what they could not decide is against it, too
			against = append(against, r)
		}
	}
	if r := violated(against, verdict.Cost); r != nil {
		return r
	}
	return nil
}

func (b *Block) evaluate(list []contract.InForce, c *Candidate, signer contract.Signer) (*contract.Verdict, error) {
	return contract.Evaluate(list, &contract.Input{
		Statement: c.st, Signer: signer, Entry: b.tree.size, Time: b.time,
		State: newContractState(b, b.lineage(c), b.tree.size, b.time),
	})
}

// RefusedBy is what the ledger answers a statement of this verdict; nil where no
// rule refuses it. What is undecided, as long as it is not known who signs,
// refuses nothing yet.
func RefusedBy(v *contract.Verdict) *Refusal { return violated(v.Refused(), v.Cost) }

// violated refuses a statement for what contracts have against it.
func violated(against []contract.RuleResult, cost uint64) *Refusal {
	if len(against) == 0 {
		return nil
	}
	first := against[0]
	r := refuse(RuleContract, ClassRefused, "%s / %s: %s%s", first.Contract, first.Rule, first.Message, others(len(against)-1, "rule")).at(first.Entry)
	r.Hint, r.Violations, r.Cost = first.Hint, against, cost
	return r
}
