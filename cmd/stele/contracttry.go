package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/stele-ml/stele/cmd/stele/jsonv1"
	"github.com/stele-ml/stele/contract"
	"github.com/stele-ml/stele/internal/ledger"
	"github.com/stele-ml/stele/internal/terminal"
	"github.com/stele-ml/stele/statement"
)

// What contracts would say is asked before anybody signs, or runs a command for
// hours. It is a look: what decides is the ledger, when the statement comes.

// tried is what contracts would say of a statement now.
type tried struct {
	refusal   error                 // or nil
	undecided []contract.RuleResult // without knowing who signs
	asked     []string              // the contracts that are about it
}

// try asks the contracts in force about a statement. The zero author is nobody.
func (r *reading) try(st *statement.Statement, by author, now int64) (t tried, err error) {
	if len(r.Control.ContractsInForce()) == 0 && st.Contract == nil {
		return t, nil
	}
	trial, err := r.Try(st, r.signs(by), now)
	if err == nil && st.Contract != nil && len(trial.Refusals) > 0 {
		t.refusal = trial.Refusals[0] // of the ledger's own rules, which come first
		return t, nil
	}
	if err == nil && trial.Verdict != nil {
		t.take(trial.Verdict)
	}
	return t, err
}

// take takes in what contracts say.
func (t *tried) take(v *contract.Verdict) {
	for _, rule := range v.Results {
		if rule.Undecided {
			t.undecided = append(t.undecided, rule)
		}
		if !slices.Contains(t.asked, rule.Contract) {
			t.asked = append(t.asked, rule.Contract)
		}
	}
	t.refusal = byContracts(v)
}

// pairs say it where a person looks before signing.
func (t *tried) pairs() []terminal.Pair {
	p := terminal.Pair{Key: "contracts", Value: terminal.Some(t.asked, 4) + ": it is admitted", Style: terminal.Good}
	switch {
	case len(t.asked) == 0:
		return nil
	case t.refusal != nil:
		p.Value, p.Style = terminal.Some(t.asked, 4)+": REFUSED", terminal.Bad
	case len(t.undecided) > 0:
		p.Value, p.Style = terminal.Some(t.asked, 4)+": depends on who signs", terminal.Caution
	}
	return []terminal.Pair{p}
}

// noteUndecided tells of rules that depend on who will sign.
func (a *app) noteUndecided(list []contract.RuleResult) {
	if len(list) > 0 {
		a.term.Notef("not decided without knowing who signs: %s", terminal.Some(contractRules(list), 4))
	}
}

// contractRules name rules, each once: production@3/two-approvals.
func contractRules(list []contract.RuleResult) (ids []string) {
	for _, rule := range list {
		if id := ruleID(rule); !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	return ids
}

// The best that anybody who wants to end a contract can hope for: much time has
// passed, and every administrator has proposed the same, again and again, the
// first time years ago and the last an hour.
const (
	laterEntries  = 1_000_000
	laterMS       = 10 * 365 * 24 * hourMS
	hourMS        = 3600 * 1000
	proposedTimes = 17 // each twice as long ago as the next
)

// repeated are proposals by everybody, in order, as of the entry and the time
// that locksOut imagines.
func repeated(by []statement.Member, entry uint64, time int64) (list []contract.Proposal) {
	for i := proposedTimes - 1; i >= 0; i-- {
		back := min(uint64(1)<<(2*i), laterEntries)
		for _, m := range by {
			list = append(list, contract.Proposal{Handle: m.Handle, Key: m.Key.ID(), Entry: entry - back, Time: time - hourMS<<i})
		}
	}
	return list
}

// everybodyProposed is a ledger's state on which every administrator has proposed
// whatever is asked about.
type everybodyProposed struct {
	contract.State
	proposals []contract.Proposal
}

func (s everybodyProposed) Proposals([32]byte) []contract.Proposal { return s.proposals }

// locksOut warns of a contract that nobody but the recovery key could end: not one
// of the administrators could lift it, or put its next version, even if all of
// them had proposed that and years had passed. It is judged as the ledger is now.
func (r *reading) locksOut(c *contract.Contract, now int64) ([]jsonv1.ContractWarning, error) {
	if !slices.Contains(c.Document().Match.Statements, statement.KindContract) {
		return nil, nil
	}
	state, err := r.ContractState()
	if err != nil {
		return nil, err
	}
	admins := r.administrators(now)
	best := everybodyProposed{State: state, proposals: repeated(admins, r.Size()+laterEntries, now+laterMS)}
	all := []contract.InForce{{Contract: c, Entry: r.Size()}}
	inForce, err := r.Contracts()
	if err != nil {
		return nil, err
	}
	for _, other := range inForce {
		if other.Name() != c.Name() { // what it replaces says nothing any more
			all = append(all, other)
		}
	}
	lift := &statement.Contract{Action: statement.ContractLift, Name: c.Name(), Version: c.Version(), Digest: c.Digest()}
	next := &statement.Contract{Action: statement.ContractPut, Name: c.Name(), Version: c.Version() + 1, Digest: c.Digest()}
	var stops []contract.RuleResult
	for _, m := range admins {
		for _, said := range []*statement.Contract{lift, next} {
			refused, err := r.wouldStop(all, said, m, best, now)
			if err != nil {
				return nil, err
			}
			if len(refused) == 0 {
				return nil, nil // there is a way
			}
			stops = append(stops, refused...)
		}
	}
	who := "its only administrator"
	if len(admins) != 1 {
		who = fmt.Sprintf("none of its %d administrators", len(admins))
	}
	why := ""
	if len(stops) > 0 {
		why = fmt.Sprintf(": %s (%s)", strings.Join(contractRules(stops), ", "), stops[0].Message)
	}
	could := map[bool]string{true: "could neither lift %s nor put its next version", false: "could lift %s or put its next version"}[len(admins) == 1]
	return []jsonv1.ContractWarning{{
		Code:    "locks-out",
		Message: "as this ledger is now, " + who + " " + fmt.Sprintf(could, c.ID()) + ", whatever is proposed and however long they wait" + why,
		Hint:    "then " + recoveryLifts(c.Name()),
	}}, nil
}

// wayBack adds to a refusal by a contract that nobody could end any more who can.
func (r *reading) wayBack(refusal error, now int64) (error, error) {
	var by *ledger.Refusal
	if !errors.As(refusal, &by) || len(by.Violations) == 0 {
		return refusal, nil
	}
	inForce, err := r.Contracts()
	if err != nil {
		return nil, err
	}
	for _, c := range inForce {
		if !slices.ContainsFunc(by.Violations, func(v contract.RuleResult) bool { return v.Contract == c.ID() && v.Entry == c.Entry }) {
			continue
		}
		locks, err := r.locksOut(c.Contract, now)
		if err != nil {
			return nil, err
		}
		if len(locks) > 0 {
			return failf(exitRefused, "%w", refusal).withHint("as this ledger is now, no administrator can meet it; " + recoveryLifts(c.Name())), nil
		}
	}
	return refusal, nil
}

// recoveryLifts is the way back from a contract that locks everybody out.
func recoveryLifts(name string) string {
	return "the recovery key alone can lift it: `stele contract lift " + name + " --key RECOVERY`"
}

// wouldStop is what contracts would say of a contract statement by a member.
func (r *reading) wouldStop(all []contract.InForce, said *statement.Contract, m statement.Member, state contract.State, now int64) ([]contract.RuleResult, error) {
	v, err := contract.Evaluate(all, &contract.Input{
		Statement: &statement.Statement{Kind: statement.KindContract, Ledger: r.ID(), Contract: said},
		Signer:    contract.Signer{Handle: m.Handle, Key: m.Key.ID(), Roles: m.Roles, Known: true},
		Entry:     r.Size() + laterEntries, Time: now + laterMS, State: state,
	})
	if err != nil {
		return nil, err
	}
	return v.Refused(), nil
}

// administrators are the keys that may put contracts now, but for the recovery
// key.
func (r *reading) administrators(now int64) (list []statement.Member) {
	roster := r.Control.Roster()
	for _, m := range roster.Members() {
		if !m.Recovery && slices.Contains(m.Roles, statement.RoleAdministrator) && roster.Standing(m.Key.ID(), r.Size(), now).OK {
			list = append(list, m)
		}
	}
	return list
}
