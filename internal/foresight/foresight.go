// Package foresight is what the contracts in force would say of a statement that
// nobody has signed: of one that is known, of a draft of which much is not known
// yet, and of how a contract could be ended. It is a look: what decides is the
// ledger, when the statement comes.
package foresight

import (
	"slices"

	"github.com/stele-ml/stele/contract"
	"github.com/stele-ml/stele/internal/account"
	"github.com/stele-ml/stele/internal/ledger"
	"github.com/stele-ml/stele/statement"
)

// Answer is what contracts would say.
type Answer struct {
	Refusal   error                 // a *ledger.Refusal, or nil
	Undecided []contract.RuleResult // without knowing who signs
	Asked     []string              // the contracts that are about the statement, production@3
}

// Ask asks the contracts in force about a statement by somebody, at a time in Unix
// ms. Of a statement about contracts it also says what the ledger's own rules refuse.
func Ask(b *account.Book, st *statement.Statement, by contract.Signer, now int64) (Answer, error) {
	if len(b.Control.ContractsInForce()) == 0 && st.Contract == nil {
		return Answer{}, nil
	}
	trial, err := b.Try(st, by, now)
	switch {
	case err != nil:
		return Answer{}, err
	case st.Contract != nil && len(trial.Refusals) > 0:
		return Answer{Refusal: trial.Refusals[0]}, nil // of the ledger's own rules, which come first
	case trial.Verdict == nil:
		return Answer{}, nil
	}
	return answer(trial.Verdict), nil
}

// answer is what contracts say in a verdict.
func answer(v *contract.Verdict) (a Answer) {
	for _, rule := range v.Results {
		if rule.Undecided {
			a.Undecided = append(a.Undecided, rule)
		}
		if !slices.Contains(a.Asked, rule.Contract) {
			a.Asked = append(a.Asked, rule.Contract)
		}
	}
	if r := ledger.RefusedBy(v); r != nil {
		a.Refusal = r
	}
	return a
}

// Unknown is what a draft does not know, as the words that rules have for it.
type Unknown struct {
	Words []string
	New   bool // whose contents are not known: what is asked of the ledger by them is not known, either
}

// What a draft of a stamp or a run does not know before its work is done.
var (
	Unread  = []string{"fingerprint", "files", "bytes", "ignore", "listed", "basis", "unread", "stamps", "entry"}
	Unended = []string{"exit", "failed", "started", "finished"}
	Code    = []string{"code", "image", "remote", "commit", "dirty"}
)

// What is asked of the ledger by contents, which of a new artifact are not known;
// of its inputs they are.
var (
	contentWords = []string{"approvals", "approvers", "rejecters", "evaluations", "releases", "withdrawals", "withdrawn", "audits",
		"announcements", "wasRead", "lastRead", "standing", "known", "runs", "authors", "allAuthors"}
	newWords = []string{"subject", "outputs"}
)

// Foreseen is what contracts would say of a draft.
type Foreseen struct {
	Answer                        // by rules that look at nothing that the draft makes up
	Perhaps []contract.RuleResult // would refuse the draft, and look at it
	Later   []contract.RuleResult // would admit the draft, and look at it
}

// Foresee asks the contracts in force about a draft, which has values that nobody
// has in the place of what is not known. A rule that looks at none of those decides
// now as it will decide then, unless the ledger changes; of the others a refusal is
// only a warning, and being admitted means nothing.
func Foresee(b *account.Book, draft *statement.Statement, by contract.Signer, now int64, unknown Unknown) (*Foreseen, error) {
	out := new(Foreseen)
	if len(b.Control.ContractsInForce()) == 0 {
		return out, nil
	}
	trial, err := b.Try(draft, by, now)
	if err != nil || trial.Verdict == nil {
		return out, err
	}
	inForce, err := b.Contracts()
	if err != nil {
		return nil, err
	}
	certain := contract.Verdict{Cost: trial.Verdict.Cost}
	for _, result := range trial.Verdict.Results {
		switch looks := unknown.seenBy(inForce, result); {
		case !looks:
			certain.Results = append(certain.Results, result)
		case result.OK:
			out.Later = append(out.Later, result)
		default:
			out.Perhaps = append(out.Perhaps, result)
		}
	}
	out.Answer = answer(&certain)
	return out, nil
}

// seenBy reports whether a rule may depend on what is not known.
func (u *Unknown) seenBy(inForce []contract.InForce, rule contract.RuleResult) bool {
	at := slices.IndexFunc(inForce, func(c contract.InForce) bool { return c.ID() == rule.Contract && c.Entry == rule.Entry })
	if at < 0 {
		return true
	}
	said := inForce[at].Document().Words(rule.Rule)
	has := func(list []string) bool { return slices.ContainsFunc(list, func(w string) bool { return said[w] }) }
	return has(u.Words) || u.New && has(newWords) && has(contentWords)
}
