package contract

import (
	"errors"
	"slices"
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
		{"authors", "artifact", []*types.Type{a}, strings_, onArtifact(ledgerAuthors), 2 * found, usualFound},
		{"allAuthors", "artifact", []*types.Type{a}, strings_, onArtifact(ledgerAllAuthors), walks + usualLineage*found, usualFound},
		{"approvals", "artifact", []*types.Type{a}, list(approvalClass), onArtifact(ledgerApprovals), found, usualFound},
		{"approvals", "artifact, stage", []*types.Type{a, s}, list(approvalClass), onArtifact(ledgerApprovals), found, usualFound},
		{"approvers", "artifact", []*types.Type{a}, strings_, onArtifact(deciders(statement.DecisionApprove)), found, usualFound},
		{"approvers", "artifact, stage", []*types.Type{a, s}, strings_, onArtifact(deciders(statement.DecisionApprove)), found, usualFound},
		{"rejecters", "artifact", []*types.Type{a}, strings_, onArtifact(deciders(statement.DecisionReject)), found, usualFound},
		{"rejecters", "artifact, stage", []*types.Type{a, s}, strings_, onArtifact(deciders(statement.DecisionReject)), found, usualFound},
		{"evaluations", "artifact", []*types.Type{a}, list(evaluationClass), onArtifact(ledgerEvaluations), found, usualFound},
		{"releases", "artifact", []*types.Type{a}, list(releaseClass), onArtifact(ledgerReleases), found, usualFound},
		{"inStage", "stage", []*types.Type{s}, list(releaseClass), ledgerInStage, 2 * found, usualFound},
		{"withdrawals", "artifact", []*types.Type{a}, list(withdrawalClass), onArtifact(ledgerWithdrawals), found, usualFound},
		{"audits", "artifact", []*types.Type{a}, list(auditClass), onArtifact(ledgerAudits), 2 * found, usualFound},
		{"lastRead", "artifact", []*types.Type{a}, types.TimestampType, onArtifact(ledgerLastRead), 100 * found, 0},
		{"people", "role", []*types.Type{s}, strings_, ledgerPeople, found, usualFound},
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
	takes := []*types.Type{strings_, types.StringType}
	return append(options, cel.Function("join",
		cel.Overload(joinID, takes, types.StringType, cel.BinaryBinding(joinTexts)),
		cel.MemberOverload(memberJoinID, takes, types.StringType, cel.BinaryBinding(joinTexts))))
}

// question is a call of a function, as far as its answer depends on it.
type question struct {
	function *function
	of       statement.Ref
	walk     *walk // what is known of an ancestor need not be found out
	text     string
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
	for _, a := range args[1:] {
		switch a := a.(type) {
		case types.String:
			q.text = string(a)
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

func ledgerArtifact(ev *evaluation, args []ref.Val) ref.Val {
	a, fail := ev.find(args[1])
	switch {
	case fail != nil:
		return fail
	case a == nil:
		return types.NewErr("%s is not on the ledger", args[1].Value())
	}
	return ev.have(a)
}

func ledgerHas(ev *evaluation, args []ref.Val) ref.Val {
	a, fail := ev.find(args[1])
	if fail != nil {
		return fail
	}
	return types.Bool(a != nil)
}

// find returns what name@version is bound to, or nil.
func (ev *evaluation) find(id ref.Val) (*lineage.Artifact, ref.Val) {
	ev.charge(priceLook)
	name, version, err := statement.ParseNameVersion(string(id.(types.String)))
	if err != nil {
		return nil, types.NewErr("want an artifact's name and version, as in example@1")
	}
	a, err := ev.record.Artifact(name, version)
	switch {
	case errors.Is(err, lineage.ErrNotFound):
		return nil, nil
	case err != nil:
		return nil, ev.unread(err)
	}
	return a, nil
}

func ledgerStamps(ev *evaluation, _ *object, a *lineage.Artifact, _ []ref.Val) ref.Val {
	list, fail := ev.bindings(a)
	if fail != nil {
		return fail
	}
	vals := make([]ref.Val, len(list))
	for i, b := range list {
		vals[i] = ev.have(b)
	}
	return values(vals)
}

// bindings returns all names of an artifact's bytes.
func (ev *evaluation) bindings(a *lineage.Artifact) ([]*lineage.Artifact, ref.Val) {
	list, err := ev.record.Bindings(a.Ref.Fingerprint)
	if err != nil {
		return nil, ev.unread(err)
	}
	ev.charge(priceLook * uint64(1+len(list)))
	return list, limited("stamps of "+a.Ref.String(), len(list))
}

// origins returns those of an artifact that count.
func (ev *evaluation) origins(a *lineage.Artifact) ([]lineage.Origin, ref.Val) {
	all, err := ev.record.Origins(a)
	if err != nil {
		return nil, ev.unread(err)
	}
	ev.charge(priceLook * uint64(1+len(all)))
	if fail := limited("origins of "+a.Ref.String(), len(all)); fail != nil {
		return nil, fail
	}
	var list []lineage.Origin
	for _, o := range all {
		if o.Counts {
			list = append(list, o)
		}
	}
	return list, nil
}

func ledgerInputs(ev *evaluation, _ *object, a *lineage.Artifact, _ []ref.Val) ref.Val {
	origins, fail := ev.origins(a)
	if fail != nil {
		return fail
	}
	var refs []statement.Ref
	seen := make(map[statement.Ref]bool)
	for _, o := range origins {
		for _, r := range o.Inputs {
			if !seen[r] {
				seen[r] = true
				refs = append(refs, r)
			}
		}
	}
	if fail := limited("inputs of "+a.Ref.String(), len(refs)); fail != nil {
		return fail
	}
	return ev.artifacts(refs)
}

// walk returns everything that an artifact was made of.
func (ev *evaluation) walk(a *lineage.Artifact) (*walk, ref.Val) {
	w, err := ev.record.Walk(a, ev.afford)
	if err != nil {
		return nil, ev.unread(err)
	}
	ev.charge(w.price)
	return w, nil
}

func ledgerAncestors(ev *evaluation, _ *object, a *lineage.Artifact, _ []ref.Val) ref.Val {
	w, fail := ev.walk(a)
	if fail != nil {
		return fail
	}
	above := w.graph.Nodes[1:]
	if w.graph.Cut || len(above) > MaxAncestors {
		return types.NewErr("%s was made of more than %d artifacts, and a rule looks at no more", a.Ref, MaxAncestors)
	}
	ev.charge(w.judging)
	list := make([]ref.Val, len(above))
	for i, n := range above {
		list[i] = &object{artifactClass, ev, &artifact{ref: n.Ref, read: n.Artifact, walk: w, node: n}}
	}
	return values(list)
}

// ledgerMembers returns what a collection is made of, and what those are of that
// are collections: the nearest first, each once.
func ledgerMembers(ev *evaluation, _ *object, a *lineage.Artifact, _ []ref.Val) ref.Val {
	var refs []statement.Ref
	seen := make(map[statement.Ref]bool)
	for looked := 0; ; looked++ {
		ev.charge(priceItem * uint64(1+len(a.Stamp.Members)))
		for _, m := range a.Stamp.Members {
			if !seen[m.Ref] {
				seen[m.Ref] = true
				refs = append(refs, m.Ref)
			}
		}
		if fail := limited("members of that collection", len(refs)); fail != nil {
			return fail
		}
		if looked == len(refs) {
			return ev.artifacts(refs)
		}
		ev.charge(priceLook)
		var err error
		if a, err = ev.record.Artifact(refs[looked].Name, refs[looked].Version); err != nil {
			return ev.unread(err)
		}
	}
}

// standing returns the word on an artifact.
func (ev *evaluation) standing(o *object) ref.Val {
	if o.in == nil {
		return types.NewErr("there is no artifact to ask about")
	}
	x := o.in.(*artifact)
	w := x.walk
	if w == nil {
		a, fail := o.load()
		if fail != nil {
			return fail
		}
		if w, fail = ev.walk(a); fail != nil {
			return fail
		}
		ev.charge(w.judging)
	}
	return text(w.judged(x.ref).Word())
}

// known reports whether anything that counts says what an artifact was made of.
func (ev *evaluation) known(o *object) ref.Val {
	if o.in == nil {
		return types.NewErr("there is no artifact to ask about")
	}
	if n := o.in.(*artifact).node; n != nil {
		return types.Bool(n.Known())
	}
	a, fail := o.load()
	if fail != nil {
		return fail
	}
	origins, fail := ev.origins(a)
	if fail != nil {
		return fail
	}
	return types.Bool(lineage.Known(origins))
}

func ledgerRuns(ev *evaluation, _ *object, a *lineage.Artifact, _ []ref.Val) ref.Val {
	origins, fail := ev.origins(a)
	if fail != nil {
		return fail
	}
	var list []*run
	for _, o := range origins {
		if o.Way == lineage.WayRun {
			list = append(list, &run{Run: o.Run, id: o.RunID.String(), handle: o.Handle, entry: o.Entry, time: o.Time})
		}
	}
	return objects(ev, runClass, list)
}

// authors adds those who stamped an artifact's bytes, up to and with itself, and
// who signed its origins that count: whoever may judge it less freely than
// others. What became of their keys since does not matter.
func (ev *evaluation) authors(list *[]string, seen map[string]bool, a *lineage.Artifact, origins []lineage.Origin) ref.Val {
	bindings, fail := ev.bindings(a)
	if fail != nil {
		return fail
	}
	add := func(handle string) {
		if !seen[handle] {
			seen[handle] = true
			*list = append(*list, handle)
		}
	}
	for _, b := range bindings {
		if b.Entry > a.Entry {
			continue
		}
		if ev.record.ours(b) && !ev.in.Signer.Known {
			return unknown
		}
		add(b.Handle)
	}
	for _, o := range origins {
		if !o.Counts {
			continue
		}
		if o.Entry == ev.in.Entry && !ev.in.Signer.Known {
			return unknown
		}
		add(o.Handle)
	}
	return nil
}

func ledgerAuthors(ev *evaluation, _ *object, a *lineage.Artifact, _ []ref.Val) ref.Val {
	origins, fail := ev.origins(a)
	if fail != nil {
		return fail
	}
	var list []string
	if fail := ev.authors(&list, make(map[string]bool), a, origins); fail != nil {
		return fail
	}
	return texts(list)
}

func ledgerAllAuthors(ev *evaluation, _ *object, a *lineage.Artifact, _ []ref.Val) ref.Val {
	w, fail := ev.walk(a)
	if fail != nil {
		return fail
	}
	if w.graph.Cut || len(w.graph.Nodes) > MaxAncestors+1 {
		return types.NewErr("%s was made of more than %d artifacts, and a rule looks at no more", a.Ref, MaxAncestors)
	}
	var list []string
	seen := make(map[string]bool)
	for _, n := range w.graph.Nodes {
		if fail := ev.authors(&list, seen, n.Artifact, n.Origins); fail != nil {
			return fail
		}
	}
	return texts(list)
}

// about returns the entries of a kind about an artifact's bytes, by signers in
// good standing.
func (ev *evaluation) about(a *lineage.Artifact, kind statement.Kind) ([]*lineage.Said, ref.Val) {
	all, err := ev.record.About(a.Ref.Fingerprint, kind)
	if err != nil {
		return nil, ev.unread(err)
	}
	ev.charge(priceLook * uint64(1+len(all)))
	if fail := limited("entries of the kind "+string(kind)+" about "+a.Ref.String(), len(all)); fail != nil {
		return nil, fail
	}
	var list []*lineage.Said
	for _, s := range all {
		if s.Standing.OK && s.Entry < ev.in.Entry {
			list = append(list, s)
		}
	}
	return list, nil
}

// approvals returns the approvals and rejections of an artifact under exactly
// its name, for a stage.
func (ev *evaluation) approvals(a *lineage.Artifact, more []ref.Val) ([]*said, ref.Val) {
	of := stage(ev.in.Statement)
	if len(more) > 0 {
		of = string(more[0].(types.String))
	} else if of == "" {
		return nil, types.NewErr("the statement has no stage: name one")
	}
	all, fail := ev.about(a, statement.KindApproval)
	if fail != nil {
		return nil, fail
	}
	var list []*said
	for _, s := range all {
		if r, err := s.Statement.Ref(); err == nil && r == a.Ref && s.Statement.Approval.Stage == of {
			list = append(list, &said{Said: s, ref: r})
		}
	}
	return list, nil
}

func ledgerApprovals(ev *evaluation, _ *object, a *lineage.Artifact, more []ref.Val) ref.Val {
	list, fail := ev.approvals(a, more)
	if fail != nil {
		return fail
	}
	return objects(ev, approvalClass, list)
}

// deciders makes the function that returns the people whose last word is the
// decision, each once however many keys they have, in the order of those words.
func deciders(decision string) func(*evaluation, *object, *lineage.Artifact, []ref.Val) ref.Val {
	return func(ev *evaluation, _ *object, a *lineage.Artifact, more []ref.Val) ref.Val {
		approvals, fail := ev.approvals(a, more)
		if fail != nil {
			return fail
		}
		var people []string
		spoken := make(map[string]bool)
		for _, s := range slices.Backward(approvals) {
			if !spoken[s.Handle] && s.Statement.Approval.Decision == decision {
				people = append(people, s.Handle)
			}
			spoken[s.Handle] = true
		}
		slices.Reverse(people)
		return texts(people)
	}
}

func ledgerEvaluations(ev *evaluation, _ *object, a *lineage.Artifact, _ []ref.Val) ref.Val {
	all, fail := ev.about(a, statement.KindEvaluation)
	if fail != nil {
		return fail
	}
	list := make([]*said, len(all))
	for i, s := range all {
		list[i] = &said{Said: s}
	}
	return objects(ev, evaluationClass, list)
}

func ledgerReleases(ev *evaluation, _ *object, a *lineage.Artifact, _ []ref.Val) ref.Val {
	all, fail := ev.about(a, statement.KindRelease)
	if fail != nil {
		return fail
	}
	var list []*said
	for _, s := range all {
		r := s.Statement.Release
		if about, err := s.Statement.Ref(); err == nil && about.Fingerprint == a.Ref.Fingerprint {
			list = append(list, &said{Said: s, ref: about, action: r.Action})
		}
		for _, replaced := range r.Replaces {
			if replaced.Fingerprint == a.Ref.Fingerprint {
				list = append(list, &said{Said: s, ref: replaced, action: statement.ActionLeave})
			}
		}
	}
	return objects(ev, releaseClass, list)
}

func ledgerInStage(ev *evaluation, args []ref.Val) ref.Val {
	placed, err := ev.in.State.InStage(string(args[1].(types.String)))
	if err != nil {
		return ev.unread(err)
	}
	ev.charge(priceLook * uint64(1+2*len(placed)))
	if fail := limited("artifacts in that stage", len(placed)); fail != nil {
		return fail
	}
	list := make([]*said, len(placed))
	for i, p := range placed {
		list[i] = &said{Said: p.Release, ref: p.Artifact.Ref, action: statement.ActionJoin}
	}
	return objects(ev, releaseClass, list)
}

func ledgerWithdrawals(ev *evaluation, _ *object, a *lineage.Artifact, _ []ref.Val) ref.Val {
	ev.charge(priceItem * uint64(1+len(a.Withdrawals)))
	if fail := limited("withdrawals of "+a.Ref.String(), len(a.Withdrawals)); fail != nil {
		return fail
	}
	list := make([]*lineage.Withdrawal, len(a.Withdrawals))
	for i := range a.Withdrawals {
		list[i] = &a.Withdrawals[i]
	}
	return objects(ev, withdrawalClass, list)
}

func ledgerPeople(ev *evaluation, args []ref.Val) ref.Val {
	role := string(args[1].(types.String))
	if !slices.Contains(statement.Roles(), role) {
		return types.NewErr("there is no role of that name; there are %s", strings.Join(statement.Roles(), ", "))
	}
	list := ev.in.State.People(role)
	ev.charge(priceLook + priceItem*uint64(len(list)))
	if fail := limited("people with that role", len(list)); fail != nil {
		return fail
	}
	return texts(list)
}

func ledgerProposals(ev *evaluation, args []ref.Val) ref.Val {
	o, ok := args[1].(*object)
	if !ok || o.class != contractClass || o.in == nil {
		return types.NewErr("there is no contract to ask about")
	}
	proposals := ev.in.State.Proposals(o.in.(*statement.Contract).Digest)
	ev.charge(priceLook * uint64(1+len(proposals)))
	if fail := limited("proposals of that contract", len(proposals)); fail != nil {
		return fail
	}
	list := make([]*Proposal, len(proposals))
	for i := range proposals {
		list[i] = &proposals[i]
	}
	return objects(ev, proposalClass, list)
}
