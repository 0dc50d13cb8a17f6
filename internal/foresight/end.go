package foresight

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/stele-ml/stele/contract"
	"github.com/stele-ml/stele/internal/account"
	"github.com/stele-ml/stele/internal/ledger"
	"github.com/stele-ml/stele/statement"
)

// The best that anybody who wants to end a contract can hope for: much time has
// passed, and every administrator has proposed the same, again and again, the
// first time years ago and the last an hour.
const (
	laterEntries  = 1_000_000
	laterMS       = 10 * 365 * 24 * hourMS
	hourMS        = 3600 * 1000
	proposedTimes = 17 // each twice as long ago as the next
)

// everybodyProposed is a ledger's state on which every administrator has proposed
// whatever is asked about.
type everybodyProposed struct {
	contract.State
	proposals []contract.Proposal
}

func (s everybodyProposed) Proposals([32]byte) []contract.Proposal { return s.proposals }

// repeated are proposals by everybody, in order, as of an entry and a time.
func repeated(by []statement.Member, entry uint64, time int64) (list []contract.Proposal) {
	for i := proposedTimes - 1; i >= 0; i-- {
		back := min(uint64(1)<<(2*i), laterEntries)
		for _, m := range by {
			list = append(list, contract.Proposal{Handle: m.Handle, Key: m.Key.ID(), Entry: entry - back, Time: time - hourMS<<i})
		}
	}
	return list
}

// LocksOut warns of a contract that nobody but the recovery key could end: not one
// of the administrators could lift it, or put its next version, even if all of
// them had proposed that and years had passed. It is judged as the ledger is now, in
// Unix ms; nil: there is a way.
func LocksOut(b *account.Book, c *contract.Contract, now int64) (*contract.Warning, error) {
	if !slices.Contains(c.Document().Match.Statements, statement.KindContract) {
		return nil, nil
	}
	state, err := b.ContractState()
	if err != nil {
		return nil, err
	}
	admins := administrators(b, now)
	best := everybodyProposed{State: state, proposals: repeated(admins, b.Size()+laterEntries, now+laterMS)}
	all := []contract.InForce{{Contract: c, Entry: b.Size()}}
	inForce, err := b.Contracts()
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
			v, err := contract.Evaluate(all, &contract.Input{
				Statement: &statement.Statement{Kind: statement.KindContract, Ledger: b.ID(), Contract: said},
				Signer:    contract.Signer{Handle: m.Handle, Key: m.Key.ID(), Roles: m.Roles, Known: true},
				Entry:     b.Size() + laterEntries, Time: now + laterMS, State: best,
			})
			if err != nil {
				return nil, err
			}
			refused := v.Refused()
			if len(refused) == 0 {
				return nil, nil // there is a way
			}
			stops = append(stops, refused...)
		}
	}
	who, could := fmt.Sprintf("none of its %d administrators", len(admins)), "could lift %s or put its next version"
	if len(admins) == 1 {
		who, could = "its only administrator", "could neither lift %s nor put its next version"
	}
	why := ""
	if len(stops) > 0 {
		why = fmt.Sprintf(": %s (%s)", strings.Join(Rules(stops), ", "), stops[0].Message)
	}
	return &contract.Warning{
		Code:    contract.WarnLocksOut,
		Message: "as this ledger is now, " + who + " " + fmt.Sprintf(could, c.ID()) + ", whatever is proposed and however long they wait" + why,
		Hint:    "then " + recoveryLifts(c.Name()),
	}, nil
}

// WayBack is a hint for whoever is refused by a contract that nobody but the recovery
// key could end any more; it is empty where the refusal is another.
func WayBack(b *account.Book, refusal error, now int64) (string, error) {
	var by *ledger.Refusal
	if !errors.As(refusal, &by) || len(by.Violations) == 0 {
		return "", nil
	}
	inForce, err := b.Contracts()
	if err != nil {
		return "", err
	}
	for _, c := range inForce {
		if !slices.ContainsFunc(by.Violations, func(v contract.RuleResult) bool { return v.Contract == c.ID() && v.Entry == c.Entry }) {
			continue
		}
		locks, err := LocksOut(b, c.Contract, now)
		if err != nil {
			return "", err
		}
		if locks != nil {
			return "as this ledger is now, no administrator can meet it; " + recoveryLifts(c.Name()), nil
		}
	}
	return "", nil
}

// recoveryLifts is the way back from a contract that locks everybody out.
func recoveryLifts(name string) string {
	return "the recovery key alone can lift it: `stele contract lift " + name + " --key RECOVERY`"
}

// administrators are the keys that may put contracts now, but for the recovery key.
func administrators(b *account.Book, now int64) (list []statement.Member) {
	roster := b.Control.Roster()
	for _, m := range roster.Members() {
		if !m.Recovery && slices.Contains(m.Roles, statement.RoleAdministrator) && roster.Standing(m.Key.ID(), b.Size(), now).OK {
			list = append(list, m)
		}
	}
	return list
}

// Rules names rules, each once: production@3/two-approvals.
func Rules(list []contract.RuleResult) (ids []string) {
	for _, rule := range list {
		if id := rule.Contract + "/" + rule.Rule; !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	return ids
}
