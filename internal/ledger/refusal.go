package ledger

import (
	"errors"
	"fmt"

	"github.com/stele-ml/stele/contract"
	"github.com/stele-ml/stele/statement"
)

var (
	// ErrNotFound says that the ledger has nothing of that name.
	ErrNotFound = errors.New("not found")

	// ErrDamaged says that the store holds what cannot be right.
	ErrDamaged = errors.New("the ledger's store is damaged")

	// ErrIndex says that the store's index is missing, unfinished or of
	// another version; entries and checkpoints can be read, and a rebuild
	// writes it again.
	ErrIndex = errors.New("the ledger's index must be rebuilt")

	// ErrRules says that the ledger's rules are of a version that this program
	// does not know: it may be read but not written to.
	ErrRules = errors.New("the ledger's rules are newer than this program")

	// ErrUnfinished says that a commit failed: whether it was made is only
	// known after the store was opened again.
	ErrUnfinished = errors.New("the last commit failed")
)

// Class is what a refusal means for whoever asked.
type Class string

// The classes of refusals.
const (
	ClassRefused   Class = "refused"   // a rule of the ledger
	ClassUntrusted Class = "untrusted" // the signature, or the signer's standing
	ClassNotFound  Class = "not-found" // it refers to what is not there
	ClassMalformed Class = "malformed" // no envelope, or beyond a limit
	ClassStale     Class = "stale"     // the ledger has newer entries about it
)

// Rule names the rule that refused.
type Rule string

// The rules, in the order in which an envelope meets them.
const (
	RuleLimits     Rule = "limits"     // sizes
	RuleShape      Rule = "shape"      // envelope and statement parse strictly
	RuleSignature  Rule = "signature"  // by the registered key
	RuleStanding   Rule = "standing"   // of that key, now
	RuleWhoMay     Rule = "who-may"    // role and name patterns; the stamper
	RuleReferences Rule = "references" // what it names is there, and is that
	RuleDocument   Rule = "document"   // a contract's document compiles, and its own tests hold
	RuleInForce    Rule = "in-force"   // what is lifted is a contract in force
	RuleAudit      Rule = "audit"      // a result follows from its announcement
	RuleLedger     Rule = "ledger"     // made for this ledger and its hash
	RuleNameBound  Rule = "name-bound" // name@version is bound once and for ever
	RuleAfter      Rule = "after"      // the author saw the last entry
	RuleStage      Rule = "stage"      // it is in the stage that it leaves, not in the one that it joins
	RuleWithdrawn  Rule = "withdrawn"  // nothing withdrawn or tainted joins a stage
	RuleIdentity   Rule = "identity"   // the roster's own rules
	RuleLogKey     Rule = "log-key"    // the log's next key
	RuleContract   Rule = "contract"   // the contracts in force
)

// Refusal is the error of Admit and Prepare for an envelope that the ledger
// does not take. It leaves no trace in the log.
type Refusal struct {
	Rule    Rule
	Class   Class
	Message string  // what is wrong, with values; one line
	Hint    string  // what to do, or empty
	Entry   *uint64 // the entry that stands against it, or nil

	// Violations are what the contracts in force have against it, in their order;
	// of RuleContract, and only there. Message, Hint and Entry are of the first.
	Violations []contract.RuleResult
	// Cost is what the contracts spent on it until then, in their units.
	Cost uint64

	cause error
}

func (r *Refusal) Error() string { return r.Message }

// Unwrap returns what the refusal rests on, if anything: statement's errors.
func (r *Refusal) Unwrap() error { return r.cause }

func refuse(rule Rule, class Class, format string, args ...any) *Refusal {
	return &Refusal{Rule: rule, Class: class, Message: fmt.Sprintf(format, args...)}
}

func (r *Refusal) hint(format string, args ...any) *Refusal {
	r.Hint = fmt.Sprintf(format, args...)
	return r
}

func (r *Refusal) at(entry uint64) *Refusal {
	r.Entry = &entry
	return r
}

// because says what the refusal rests on.
func (r *Refusal) because(err error) *Refusal {
	r.cause = err
	return r
}

// because makes a refusal of an error of statement's.
func because(rule Rule, class Class, err error) *Refusal {
	r := &Refusal{Rule: rule, Class: class, Message: err.Error(), cause: err}
	var h interface{ Hint() string }
	if errors.As(err, &h) {
		r.Hint = h.Hint()
	}
	return r
}

// rosterRefusal classes an error of the roster's.
func rosterRefusal(rule Rule, err error) *Refusal {
	switch {
	case errors.Is(err, statement.ErrStanding):
		return because(RuleStanding, ClassUntrusted, err)
	case errors.Is(err, statement.ErrNotAllowed):
		return because(RuleWhoMay, ClassRefused, err)
	case errors.Is(err, statement.ErrSignature):
		return because(RuleSignature, ClassUntrusted, err)
	}
	return because(rule, ClassRefused, err)
}
