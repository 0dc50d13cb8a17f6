package contract

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"cel.dev/cel-go/common/cost"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
	"cel.dev/cel-go/interpreter"

	"github.com/stele-ml/stele/statement"
)

// InForce is a contract and the entry that put it in force; 0 in tests.
type InForce struct {
	*Contract
	Entry uint64
}

// Verdict is what contracts say of one statement.
type Verdict struct {
	Results []RuleResult // of every contract that is about the statement, in order
	Cost    uint64       // of all of them; MaxCost where that was not enough
}

// Refused returns the results that refuse, in order: those that are decided,
// and are not OK.
func (v *Verdict) Refused() []RuleResult {
	var list []RuleResult
	for _, r := range v.Results {
		if !r.OK && !r.Undecided {
			list = append(list, r)
		}
	}
	return list
}

// RuleResult is what one validation of one contract says of one artifact of a
// statement.
type RuleResult struct {
	Contract string // its name and version: production@3
	Entry    uint64 // where it was put; 0 in tests
	Rule     string // the validation's id
	Subject  string // name@version, or empty: the statement is about no artifact

	OK        bool
	Undecided bool   // it depends on a signer who is not known; then not OK
	Message   string // why it refuses, or is undecided: one line, at most MaxMessage bytes; empty where OK
	Hint      string // what to do, or empty; empty where OK
	Error     string // why it could not be evaluated, which refuses; else empty
	Cost      uint64 // of this result, its message included
}

// Evaluate evaluates all contracts that are about the statement, in the order
// given, once for each of its artifacts that they match. The error says that the
// state could not be read; a rule that cannot be evaluated refuses instead. The
// same input gives the same results and costs.
//
// It does not ask [Governs].
func Evaluate(contracts []InForce, in *Input) (*Verdict, error) {
	return evaluate(contracts, in, MaxCost)
}

// evaluate is Evaluate with so much to spend.
func evaluate(contracts []InForce, in *Input, limit uint64) (*Verdict, error) {
	v := new(Verdict)
	about := func(c InForce) bool { return c.document.Match.about(in.Statement) }
	if !slices.ContainsFunc(contracts, about) {
		return v, nil
	}
	ev, err := newEvaluation(in, limit)
	if err != nil {
		return nil, err
	}
	for _, c := range contracts {
		subjects, err := c.document.Match.Subjects(in.Statement, ev.record)
		if err != nil {
			return nil, err
		}
		for _, s := range subjects {
			v.Results = slices.Grow(v.Results, len(c.rules))
			sc := ev.scope(c, s)
			for i := range c.rules {
				v.Results = append(v.Results, sc.judge(&c.rules[i]))
				if ev.err != nil {
					return nil, ev.err
				}
			}
		}
	}
	v.Cost = ev.spent()
	return v, nil
}

// evaluation is what is evaluated of one statement.
type evaluation struct {
	in      *Input
	record  *record
	tracker *cost.Tracker
	limit   uint64 // what there is to spend
	price   *price // of what is being charged
	answers map[question]answer
	err     error // the state could not be read

	statement, signer, entry, ledger *object
}

func newEvaluation(in *Input, limit uint64) (*evaluation, error) {
	tracker, err := meterOf.Clone()
	if err != nil {
		return nil, err
	}
	tracker.Limit = &limit
	record, err := newRecord(in)
	if err != nil {
		return nil, err
	}
	ev := &evaluation{in: in, record: record, tracker: tracker, limit: limit, price: new(price), answers: make(map[question]answer)}
	ev.statement = &object{statementClass, ev, in.Statement}
	ev.signer = &object{signerClass, ev, in}
	ev.entry = &object{entryClass, ev, in}
	ev.ledger = &object{ledgerClass, ev, in}
	return ev, nil
}

// spent returns what was spent, which is no more than there is.
func (ev *evaluation) spent() uint64 { return min(ev.tracker.ActualCost(), ev.limit) }

// tooMuch ends what costs more than is left.
func (ev *evaluation) tooMuch() ref.Val {
	return types.NewErr("the rules for this statement cost more than %s together", marked(ev.limit))
}

// errUnread is what a rule is told where the state could not be read. Nobody
// else is: the evaluation ends with the real error.
var errUnread = errors.New("the ledger could not be read")

// unread keeps the error with which the state could not be read.
func (ev *evaluation) unread(err error) ref.Val {
	if ev.err == nil {
		ev.err = err
	}
	return types.WrapErr(errUnread)
}

// scope is what the rules of a contract see of one artifact: an activation.
type scope struct {
	*evaluation
	contract  InForce
	id        string // of the artifact
	subject   *object
	variables *object
	values    []ref.Val // of the variables; nil: not evaluated yet
}

func (ev *evaluation) scope(c InForce, s Subject) *scope {
	sc := &scope{evaluation: ev, contract: c, values: make([]ref.Val, len(c.variables))}
	x := &artifact{ref: s.Ref, read: s.Artifact}
	switch st := ev.in.Statement; {
	case s.Ref.Name != "":
		sc.id = s.Ref.String()
	case st.Contract != nil:
		x.ref = statement.Ref{Name: st.Contract.Name, Version: fmt.Sprint(st.Contract.Version)}
	case st.Identity != nil:
		x.ref.Name = st.Identity.Handle
	}
	sc.subject = &object{artifactClass, ev, x}
	sc.variables = &object{c.variablesClass, ev, sc}
	return sc
}

// ResolveName implements interpreter.Activation.
func (sc *scope) ResolveName(name string) (any, bool) {
	switch name {
	case "statement":
		return sc.statement, true
	case "subject":
		return sc.subject, true
	case "signer":
		return sc.signer, true
	case "entry":
		return sc.entry, true
	case "ledger":
		return sc.ledger, true
	case "params":
		return sc.contract.params, true
	case "variables":
		return sc.variables, true
	}
	return nil, false
}

// Parent implements interpreter.Activation.
func (sc *scope) Parent() interpreter.Activation { return nil }

// eval evaluates an expression: to a value, an unknown or an error.
func (sc *scope) eval(p *program) ref.Val {
	frame, err := interpreter.NewExecutionFrame(sc)
	if err != nil {
		return types.WrapErr(err)
	}
	defer frame.Close()
	frame.SetCostTracker(sc.tracker)
	v, _, err := p.Eval(frame)
	switch {
	case sc.tracker.ActualCost() > sc.limit:
		return sc.tooMuch()
	case err != nil:
		return types.WrapErr(err)
	}
	return v
}

// variable returns the value of a variable, which is found once.
func (sc *scope) variable(i int) ref.Val {
	if sc.values[i] == nil {
		sc.charge(priceRule)
		v := sc.eval(&sc.contract.variables[i])
		if !types.IsUnknownOrError(v) {
			v = sc.settle(v)
		}
		sc.values[i] = v
	}
	return sc.values[i]
}

// settle bounds the value of a variable, and makes a plain list of one that is
// added together of others, which would be slow to go through.
func (ev *evaluation) settle(v ref.Val) ref.Val {
	switch v := v.(type) {
	case types.String:
		if len(v) > MaxText {
			return types.NewErr("a variable of more than %d bytes", MaxText)
		}
	case types.Bytes:
		if len(v) > MaxText {
			return types.NewErr("a variable of more than %d bytes", MaxText)
		}
	case traits.Lister:
		n := int(v.Size().(types.Int))
		if n > MaxFound {
			return types.NewErr("a variable of more than %d elements", MaxFound)
		}
		ev.charge(uint64(n))
		list := make([]ref.Val, n)
		for i := range list {
			list[i] = ev.settle(v.Get(types.Int(i)))
			if types.IsError(list[i]) {
				return list[i]
			}
		}
		return values(list)
	}
	return v
}

// judge evaluates a rule.
func (sc *scope) judge(r *rule) RuleResult {
	before := sc.spent()
	out := RuleResult{Contract: sc.contract.id, Entry: sc.contract.Entry, Rule: r.ID, Subject: sc.id}
	switch v := sc.begin(&r.holds).(type) {
	case types.Bool:
		if out.OK = bool(v); !out.OK {
			out.Message, out.Hint = sc.message(r), r.Hint
		}
	case *types.Unknown:
		out.Undecided, out.Message = true, "it depends on who signs, and that is not known"
	default:
		out.Error = failure(v)
		out.Message, out.Hint = plainLine("the rule could not be evaluated: "+out.Error), r.Hint
	}
	out.Cost = sc.spent() - before
	return out
}

// begin evaluates an expression that nothing else is waiting for.
func (sc *scope) begin(p *program) ref.Val {
	if sc.tracker.ActualCost()+priceRule > sc.limit {
		return sc.tooMuch()
	}
	sc.charge(priceRule)
	return sc.eval(p)
}

// message returns why a rule refuses. One that cannot be made does not keep it
// from refusing.
func (sc *scope) message(r *rule) string {
	if r.message == nil {
		return plainLine(r.Message)
	}
	switch v := sc.begin(r.message).(type) {
	case types.String:
		if strings.TrimSpace(string(v)) != "" {
			return plainLine(string(v))
		}
	case *types.Unknown:
		return "the rule " + r.ID + " does not hold (its message names who signs, and that is not known)"
	}
	return "the rule " + r.ID + " does not hold (its message could not be made)"
}

// failure is what is said of a value that is no verdict.
func failure(v ref.Val) string {
	err, ok := v.(*types.Err)
	if !ok {
		return "it came to no verdict"
	}
	said := err.Error()
	if strings.HasPrefix(said, "internal error:") {
		return "internal error" // what follows is Go's, and not the same everywhere
	}
	return plainLine(said)
}

// plainLine makes one line of a text, of at most MaxMessage bytes, without
// characters that could make it look like another.
func plainLine(s string) string {
	const dots = "…"
	var b strings.Builder
	fits := 0 // as much as leaves room for dots
	for _, r := range s {
		switch {
		case r == '\n' || r == '\t' || r == '\r':
			r = ' '
		case r >= 0x20 && r < 0x7f:
		case statement.CheckText("", string(r), utf8.UTFMax) != nil:
			r = utf8.RuneError
		}
		b.WriteRune(r)
		if b.Len() > MaxMessage {
			return b.String()[:fits] + dots
		}
		if b.Len() <= MaxMessage-len(dots) {
			fits = b.Len()
		}
	}
	return b.String()
}

// Governs reports whether contracts are evaluated for a statement at all: for
// all but a genesis, a declaration that a key is compromised, and what the
// recovery key signs. These are the way out when rules or keys fail.
func Governs(st *statement.Statement, recovery bool) bool {
	switch {
	case recovery, st.Kind == statement.KindGenesis:
		return false
	case st.Kind == statement.KindIdentity:
		return st.Identity == nil || st.Identity.Action != statement.ActionCompromised
	}
	return true
}

// marked writes a number with commas between its thousands.
func marked(n uint64) string {
	text := strconv.FormatUint(n, 10)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}
