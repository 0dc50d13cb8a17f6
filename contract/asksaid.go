package contract

import (
	"slices"
	"strings"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"

	"github.com/stele-ml/stele/lineage"
	"github.com/stele-ml/stele/statement"
)

// What people said of artifacts, and what of that counts.

// about returns the entries of a kind about an artifact's bytes, by signers in
// good standing.
func (ev *evaluation) about(a *lineage.Artifact, kind statement.Kind) ([]*lineage.Said, ref.Val) {
	all, err := ev.record.About(a.Ref.Fingerprint, kind)
	if err != nil {
		return nil, ev.unread(err)
	}
	ev.charge(priceLook * uint64(1+len(all)))
	if fail := limited("entries of one kind about these bytes", len(all)); fail != nil {
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
	name := ""
	if len(args) > 2 {
		if name = string(args[2].(types.String)); name == "" {
			ev.charge(priceLook)
			return emptyList // nothing has no name
		}
	}
	placed, err := ev.in.State.InStage(string(args[1].(types.String)), name)
	if err != nil {
		return ev.unread(err)
	}
	ev.charge(priceLook * uint64(1+2*len(placed)))
	if fail := limited("artifacts in that stage", len(placed)); fail != nil {
		return fail
	}
	list := make([]*said, len(placed))
	for i, p := range placed {
		list[i] = &said{entry: p.Entry, ref: p.Ref, action: statement.ActionJoin}
	}
	return objects(ev, releaseClass, list)
}

func ledgerWithdrawals(ev *evaluation, _ *object, a *lineage.Artifact, _ []ref.Val) ref.Val {
	ev.charge(priceItem * uint64(1+len(a.Withdrawals)))
	if fail := limited("withdrawals of one artifact", len(a.Withdrawals)); fail != nil {
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
	if !slices.Contains(statement.FirstRoles(), role) {
		return types.NewErr("there is no role of that name; there are %s", strings.Join(statement.FirstRoles(), ", "))
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
