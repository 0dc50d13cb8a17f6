package contract

import (
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"

	"github.com/stele-ml/stele/lineage"
	"github.com/stele-ml/stele/statement"
)

// function is a function of the ledger's: ledger.NAME(ARGUMENTS).
type function struct {
	name  string
	form  string // of its arguments, as a hint says it
	takes []*types.Type
	gives *types.Type
	call  func(ev *evaluation, args []ref.Val) ref.Val
	price uint64 // of a call on a ledger as the estimate takes it to be
	list  uint64 // how long the list is that it gives there
}

// id is the function's overload, as a frozen environment names it.
func (f *function) id() string {
	id := "stele_" + f.name
	for _, t := range f.takes {
		id += "_" + strings.TrimPrefix(strings.ToLower(t.TypeName()), "stele.")
	}
	return id
}

// functions are all of them, in the order of the page docs/formats/contract.md.
var (
	functions     []*function
	functionsByID = make(map[string]*function) // by their overloads
)

func init() {
	a, s := artifactClass.typ, types.StringType
	list := func(c *class) *types.Type { return types.NewListType(c.typ) }
	const walks, found = usualLineage * (priceWalk + 8*priceStep), (1 + usualFound) * priceLook
	functions = []*function{
		{"artifact", `"name@version"`, []*types.Type{s}, a, ledgerArtifact, priceLook, 0},
		{"has", `"name@version"`, []*types.Type{s}, types.BoolType, ledgerHas, priceLook, 0},
		{"stamps", "artifact", []*types.Type{a}, artifacts, onArtifact(ledgerStamps), found, usualFound},
		{"inputs", "artifact", []*types.Type{a}, artifacts, onArtifact(ledgerInputs), found, usualFound},
		{"ancestors", "artifact", []*types.Type{a}, artifacts, onArtifact(ledgerAncestors), walks, usualLineage},
		{"members", "artifact", []*types.Type{a}, artifacts, onArtifact(ledgerMembers), 10 * found, 10 * usualFound},
		{"standing", "artifact", []*types.Type{a}, s, func(ev *evaluation, args []ref.Val) ref.Val { return ev.standing(args[1].(*object)) }, walks, 0},
		{"known", "artifact", []*types.Type{a}, types.BoolType, func(ev *evaluation, args []ref.Val) ref.Val { return ev.known(args[1].(*object)) }, found, 0},
		{"runs", "artifact", []*types.Type{a}, list(runClass), onArtifact(ledgerRuns), found, usualFound},
		{"authors", "artifact", []*types.Type{a}, stringList, onArtifact(ledgerAuthors), 10 * found, usualFound},
		{"allAuthors", "artifact", []*types.Type{a}, stringList, onArtifact(ledgerAllAuthors), walks + usualLineage*found, usualFound},
		{"approvals", "artifact", []*types.Type{a}, list(approvalClass), onArtifact(ledgerApprovals), found, usualFound},
		{"approvals", "artifact, stage", []*types.Type{a, s}, list(approvalClass), onArtifact(ledgerApprovals), found, usualFound},
		{"approvers", "artifact", []*types.Type{a}, stringList, onArtifact(deciders(statement.DecisionApprove)), found, usualFound},
		{"approvers", "artifact, stage", []*types.Type{a, s}, stringList, onArtifact(deciders(statement.DecisionApprove)), found, usualFound},
		{"rejecters", "artifact", []*types.Type{a}, stringList, onArtifact(deciders(statement.DecisionReject)), found, usualFound},
		{"rejecters", "artifact, stage", []*types.Type{a, s}, stringList, onArtifact(deciders(statement.DecisionReject)), found, usualFound},
		{"evaluations", "artifact", []*types.Type{a}, list(evaluationClass), onArtifact(ledgerEvaluations), found, usualFound},
		{"releases", "artifact", []*types.Type{a}, list(releaseClass), onArtifact(ledgerReleases), found, usualFound},
		{"inStage", "stage", []*types.Type{s}, list(releaseClass), ledgerInStage, 2 * found, usualFound},
		{"inStage", "stage, name", []*types.Type{s, s}, list(releaseClass), ledgerInStage, 2 * found, usualFound},
		{"withdrawals", "artifact", []*types.Type{a}, list(withdrawalClass), onArtifact(ledgerWithdrawals), found, usualFound},
		{"audits", "artifact", []*types.Type{a}, list(auditClass), onArtifact(ledgerAudits), 2 * found, usualFound},
		{"announcements", "artifact", []*types.Type{a}, list(auditClass), onArtifact(ledgerAnnouncements), found, usualFound},
		{"wasRead", "artifact", []*types.Type{a}, types.BoolType, onArtifact(ledgerWasRead), 100 * found, 0},
		{"lastRead", "artifact", []*types.Type{a}, types.TimestampType, onArtifact(ledgerLastRead), 100 * found, 0},
		{"people", "role", []*types.Type{s}, stringList, ledgerPeople, found, usualFound},
		{"proposals", "statement.contract", []*types.Type{contractClass.typ}, list(proposalClass), ledgerProposals, found, usualFound},
	}
	for _, f := range functions {
		functionsByID[f.id()] = f
	}
}

// functionOptions declares the functions.
func functionOptions() []cel.EnvOption {
	var options []cel.EnvOption
	for _, f := range functions {
		options = append(options, cel.Function(f.name, cel.MemberOverload(f.id(), append([]*types.Type{ledgerClass.typ}, f.takes...), f.gives,
			cel.FunctionBinding(func(args ...ref.Val) ref.Val {
				ledger, ok := args[0].(*object)
				if !ok || ledger.class != ledgerClass {
					return types.NewErr("no such overload: %s", f.name)
				}
				return ledger.ev.ask(f, args)
			}))))
	}
	takes := []*types.Type{stringList, types.StringType}
	return append(options, cel.Function("join",
		cel.Overload(joinID, takes, types.StringType, cel.BinaryBinding(joinTexts)),
		cel.MemberOverload(memberJoinID, takes, types.StringType, cel.BinaryBinding(joinTexts))))
}

// question is a call of a function, as far as its answer depends on it.
type question struct {
	function *function
	of       statement.Ref
	walk     *walk // what is known of an ancestor need not be found out
	texts    [2]string
}

// answer is what came of a call, and what it cost.
type answer struct {
	value ref.Val
	price uint64
}

// ask calls a function of the ledger's. The same question has the same answer all
// through an evaluation, and costs the same each time: several rules, of several
// contracts, ask it.
func (ev *evaluation) ask(f *function, args []ref.Val) ref.Val {
	if ev.err != nil {
		return ev.unread(ev.err)
	}
	q := question{function: f}
	for i, a := range args[1:] {
		switch a := a.(type) {
		case types.String:
			q.texts[i] = string(a)
		case *object:
			x, ok := a.in.(*artifact)
			if !ok {
				return f.call(ev, args)
			}
			q.of, q.walk = x.ref, x.walk
		}
	}
	if known, ok := ev.answers[q]; ok {
		ev.charge(known.price)
		return known.value
	}
	before := ev.tracker.ActualCost()
	v := f.call(ev, args)
	if ev.err == nil {
		ev.answers[q] = answer{v, ev.tracker.ActualCost() - before}
	}
	return v
}

// joinTexts puts texts together, with another between each two.
func joinTexts(list, between ref.Val) ref.Val {
	l, ok := list.(traits.Lister)
	by, ok2 := between.(types.String)
	if !ok || !ok2 {
		return types.NewErr("no such overload: join")
	}
	var b strings.Builder
	n := int(l.Size().(types.Int))
	for i := range n {
		s, ok := l.Get(types.Int(i)).(types.String)
		if !ok {
			return types.NewErr("no such overload: join")
		}
		if i > 0 {
			b.WriteString(string(by))
		}
		if b.Len()+len(s) > MaxText {
			return types.NewErr("a text of more than %d bytes", MaxText)
		}
		b.WriteString(string(s))
	}
	return types.String(b.String())
}

// onArtifact makes a function of one that wants the artifact read. Further
// arguments follow it.
func onArtifact(call func(ev *evaluation, o *object, a *lineage.Artifact, more []ref.Val) ref.Val) func(*evaluation, []ref.Val) ref.Val {
	return func(ev *evaluation, args []ref.Val) ref.Val {
		o, ok := args[1].(*object)
		if !ok || o.class != artifactClass {
			return types.NewErr("no such overload")
		}
		if o.in == nil {
			return types.NewErr("there is no artifact to ask about")
		}
		a, fail := o.load()
		if fail != nil {
			return fail
		}
		return call(ev, o, a, args[2:])
	}
}

// objects makes a list of objects of a class.
func objects[T any](ev *evaluation, c *class, list []T) ref.Val {
	vals := make([]ref.Val, len(list))
	for i := range list {
		vals[i] = &object{c, ev, list[i]}
	}
	return values(vals)
}

// limited is nil, or the error of a function that found more than MaxFound.
func limited(what string, n int) ref.Val {
	if n > MaxFound {
		return types.NewErr("%d %s, and a rule looks at no more than %d", n, what, MaxFound)
	}
	return nil
}
