package contract

import (
	"slices"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"

	"github.com/stele-ml/stele/internal/strictjson"
	"github.com/stele-ml/stele/lineage"
	"github.com/stele-ml/stele/statement"
)

// said is an entry that says something about an artifact.
type said struct {
	*lineage.Said                              // nil, of what is in a stage: not read yet
	entry         uint64                       // where Said is nil
	ref           statement.Ref                // what of it is about: of a release, the artifact or one that it replaces
	action        string                       // of a release
	announced     *statement.AuditAnnouncement // of an audit
	began         int64                        // when it was announced, Unix ms
}

// index returns the entry that says it.
func (s *said) index() uint64 {
	if s.Said == nil {
		return s.entry
	}
	return s.Entry
}

// saidField makes the reader of a field for which the entry has to be read.
func saidField(read func(*evaluation, *said) ref.Val) func(*object) ref.Val {
	return func(o *object) ref.Val {
		s := o.in.(*said)
		if s.Said == nil {
			var err error
			if s.Said, err = o.ev.in.State.Said(s.entry); err != nil {
				return o.ev.unread(err)
			}
		}
		return read(o.ev, s)
	}
}

// signed are the fields of what is said in an entry.
func signed(more ...field) []field {
	who := func(read func(*said) ref.Val) func(*object) ref.Val {
		return saidField(func(ev *evaluation, s *said) ref.Val {
			if s.Said != ev.record.said || ev.in.Signer.Known {
				return read(s)
			}
			return unknown
		})
	}
	return append([]field{
		{"handle", types.StringType, who(func(s *said) ref.Val { return text(s.Handle) })},
		{"key", types.StringType, who(func(s *said) ref.Val { return text(s.Signer.String()) })},
		{"entry", types.IntType, func(o *object) ref.Val { return count(o.in.(*said).index()) }},
		{"time", types.TimestampType, saidField(func(_ *evaluation, s *said) ref.Val { return at(s.Time) })},
	}, more...)
}

func init() {
	s := saidField
	approval := func(read func(*statement.Approval) string) func(*object) ref.Val {
		return func(o *object) ref.Val { return text(read(o.in.(*said).Statement.Approval)) }
	}
	approvalClass.fields = signed(
		field{"stage", types.StringType, approval(func(a *statement.Approval) string { return a.Stage })},
		field{"decision", types.StringType, approval(func(a *statement.Approval) string { return a.Decision })},
		field{"reason", types.StringType, approval(func(a *statement.Approval) string { return a.Reason })},
	)
	evaluationClass.fields = signed(
		field{"metrics", numbersByString, s(func(_ *evaluation, s *said) ref.Val { return metrics(s.Statement.Evaluation) })},
		field{"datasets", artifacts, s(func(ev *evaluation, s *said) ref.Val { return ev.artifacts(s.Statement.Evaluation.Datasets) })},
	)
	releaseClass.fields = signed(
		field{"artifact", artifactClass.typ, func(o *object) ref.Val {
			o.ev.charge(priceLook)
			return o.ev.artifact(o.in.(*said).ref)
		}},
		field{"stage", types.StringType, s(func(_ *evaluation, s *said) ref.Val { return text(s.Statement.Release.Stage) })},
		field{"action", types.StringType, func(o *object) ref.Val { return text(o.in.(*said).action) }},
		field{"reason", types.StringType, s(func(_ *evaluation, s *said) ref.Val { return text(s.Statement.Release.Reason) })},
	)
	result := func(typ *types.Type, name string, read func(*evaluation, *said, *statement.AuditResult) ref.Val) field {
		return field{name, typ, s(func(ev *evaluation, s *said) ref.Val {
			if r := s.Statement.Audit.Result; r != nil {
				return read(ev, s, r)
			}
			return zero(ev, typ)
		})}
	}
	odds := func(name string, read func(*statement.AuditAnnouncement) statement.Fraction) field {
		return field{name, types.DoubleType, s(func(_ *evaluation, s *said) ref.Val {
			if s.announced == nil {
				return types.Double(0)
			}
			return types.Double(float64(read(s.announced)) / 1e9)
		})}
	}
	auditClass.fields = signed(
		result(types.IntType, "announced", func(_ *evaluation, _ *said, r *statement.AuditResult) ref.Val { return count(r.Announcement) }),
		result(types.TimestampType, "announcedTime", func(_ *evaluation, s *said, _ *statement.AuditResult) ref.Val { return at(s.began) }),
		result(types.StringType, "outcome", func(_ *evaluation, _ *said, r *statement.AuditResult) ref.Val { return text(r.Outcome) }),
		odds("altered", func(a *statement.AuditAnnouncement) statement.Fraction { return a.Altered }),
		odds("confidence", func(a *statement.AuditAnnouncement) statement.Fraction { return a.Confidence }),
		result(types.IntType, "chunks", func(_ *evaluation, _ *said, r *statement.AuditResult) ref.Val { return count(r.ChunksAsked) }),
		result(types.IntType, "chunksRead", func(_ *evaluation, _ *said, r *statement.AuditResult) ref.Val { return count(r.ChunksRead) }),
		result(types.BoolType, "conclusive", func(ev *evaluation, s *said, r *statement.AuditResult) ref.Val { return ev.conclusive(s, r) }),
	)
	withdrawal := func(read func(*lineage.Withdrawal) ref.Val) func(*object) ref.Val {
		return func(o *object) ref.Val { return read(o.in.(*lineage.Withdrawal)) }
	}
	withdrawalClass.fields = []field{
		{"target", types.StringType, withdrawal(func(w *lineage.Withdrawal) ref.Val { return text(w.Target) })},
		{"effect", types.StringType, withdrawal(func(w *lineage.Withdrawal) ref.Val { return text(w.Effect) })},
		{"reason", types.StringType, withdrawal(func(w *lineage.Withdrawal) ref.Val { return text(w.Reason) })},
		{"handle", types.StringType, withdrawal(func(w *lineage.Withdrawal) ref.Val { return text(w.Handle) })},
		{"entry", types.IntType, withdrawal(func(w *lineage.Withdrawal) ref.Val { return count(w.Entry) })},
		{"time", types.TimestampType, withdrawal(func(w *lineage.Withdrawal) ref.Val { return at(w.Time) })},
	}
	proposal := func(read func(*Proposal) ref.Val) func(*object) ref.Val {
		return func(o *object) ref.Val { return read(o.in.(*Proposal)) }
	}
	proposalClass.fields = []field{
		{"handle", types.StringType, proposal(func(p *Proposal) ref.Val { return text(p.Handle) })},
		{"key", types.StringType, proposal(func(p *Proposal) ref.Val { return text(p.Key.String()) })},
		{"entry", types.IntType, proposal(func(p *Proposal) ref.Val { return count(p.Entry) })},
		{"time", types.TimestampType, proposal(func(p *Proposal) ref.Val { return at(p.Time) })},
	}
}

// run is a run, of an entry or of the statement under evaluation.
type run struct {
	*statement.Run
	id     string
	handle string
	entry  uint64
	time   int64
}

func init() {
	r := func(read func(*evaluation, *run) ref.Val) func(*object) ref.Val {
		return func(o *object) ref.Val { return read(o.ev, o.in.(*run)) }
	}
	runClass.fields = []field{
		{"id", types.StringType, r(func(_ *evaluation, r *run) ref.Val { return text(r.id) })},
		{"handle", types.StringType, r(func(ev *evaluation, r *run) ref.Val {
			if r.entry == ev.in.Entry && !ev.in.Signer.Known {
				return unknown
			}
			return text(r.handle)
		})},
		{"entry", types.IntType, r(func(_ *evaluation, r *run) ref.Val { return count(r.entry) })},
		{"time", types.TimestampType, r(func(_ *evaluation, r *run) ref.Val { return at(r.time) })},
		{"observation", types.StringType, r(func(_ *evaluation, r *run) ref.Val { return text(r.Observation) })},
		{"failed", types.BoolType, r(func(_ *evaluation, r *run) ref.Val { return types.Bool(r.Failed) })},
		{"exit", types.IntType, r(func(_ *evaluation, r *run) ref.Val { return exit(r.Run) })},
		{"inputs", artifacts, r(func(ev *evaluation, r *run) ref.Val { return ev.artifacts(r.Inputs) })},
		{"outputs", artifacts, r(func(ev *evaluation, r *run) ref.Val { return ev.artifacts(outputs(r.Run)) })},
		{"code", codeClass.typ, r(func(ev *evaluation, r *run) ref.Val { return ev.code(r.Code) })},
		{"image", types.StringType, r(func(_ *evaluation, r *run) ref.Val { return text(image(r.Image)) })},
		{"started", types.TimestampType, r(func(_ *evaluation, r *run) ref.Val { return at(r.Started) })},
		{"finished", types.TimestampType, r(func(_ *evaluation, r *run) ref.Val { return at(r.Finished) })},
	}
}

// exit returns a run's exit status, -1 where it is not known.
func exit(r *statement.Run) ref.Val {
	if r.Exit == nil {
		return types.IntNegOne
	}
	return count(*r.Exit)
}

func outputs(r *statement.Run) []statement.Ref {
	refs := make([]statement.Ref, len(r.Outputs))
	for i, o := range r.Outputs {
		refs[i] = o.Ref
	}
	return refs
}

func (ev *evaluation) code(c *statement.Code) ref.Val {
	if c == nil {
		return &object{class: codeClass, ev: ev}
	}
	return &object{codeClass, ev, c}
}

// image returns a container image as registries write it: name@sha256:digest.
func image(i *statement.Image) string {
	switch {
	case i == nil:
		return ""
	case i.Name == "":
		return digest(i.SHA256)
	}
	return i.Name + "@" + digest(i.SHA256)
}

func metrics(e *statement.Evaluation) ref.Val {
	m := make(map[ref.Val]ref.Val, len(e.Metrics))
	for name, value := range e.Metrics {
		m[types.String(name)] = types.Double(value.Float64())
	}
	return types.NewRefValMap(adapter, m)
}

// The statement under evaluation. A field that its kind does not have is empty.
func init() {
	s := func(read func(*evaluation, *statement.Statement) ref.Val) func(*object) ref.Val {
		return func(o *object) ref.Val { return read(o.ev, o.in.(*statement.Statement)) }
	}
	words := func(read func(*statement.Statement) string) func(*object) ref.Val {
		return s(func(_ *evaluation, st *statement.Statement) ref.Val { return text(read(st)) })
	}
	ofRun := func(read func(*evaluation, *statement.Run) ref.Val) func(*object) ref.Val {
		return s(func(ev *evaluation, st *statement.Statement) ref.Val {
			if st.Run == nil {
				return nil
			}
			return read(ev, st.Run)
		})
	}
	statementClass.fields = optional([]field{
		{"kind", types.StringType, words(func(st *statement.Statement) string { return string(st.Kind) })},
		{"action", types.StringType, words(action)},
		{"stage", types.StringType, words(stage)},
		{"reason", types.StringType, words(reason)},
		{"observation", types.StringType, ofRun(func(_ *evaluation, r *statement.Run) ref.Val { return text(r.Observation) })},
		{"failed", types.BoolType, ofRun(func(_ *evaluation, r *statement.Run) ref.Val { return types.Bool(r.Failed) })},
		{"exit", types.IntType, ofRun(func(_ *evaluation, r *statement.Run) ref.Val { return exit(r) })},
		{"outputs", artifacts, ofRun(func(ev *evaluation, r *statement.Run) ref.Val { return ev.artifacts(outputs(r)) })},
		{"code", codeClass.typ, ofRun(func(ev *evaluation, r *statement.Run) ref.Val { return ev.code(r.Code) })},
		{"image", types.StringType, ofRun(func(_ *evaluation, r *statement.Run) ref.Val { return text(image(r.Image)) })},
		{"started", types.TimestampType, ofRun(func(_ *evaluation, r *statement.Run) ref.Val { return at(r.Started) })},
		{"finished", types.TimestampType, ofRun(func(_ *evaluation, r *statement.Run) ref.Val { return at(r.Finished) })},
		{"inputs", artifacts, s(func(ev *evaluation, st *statement.Statement) ref.Val { return ev.artifacts(inputs(st)) })},
		{"datasets", artifacts, s(func(ev *evaluation, st *statement.Statement) ref.Val {
			if st.Evaluation == nil {
				return nil
			}
			return ev.artifacts(st.Evaluation.Datasets)
		})},
		{"metrics", numbersByString, s(func(_ *evaluation, st *statement.Statement) ref.Val {
			if st.Evaluation == nil {
				return nil
			}
			return metrics(st.Evaluation)
		})},
		{"replaces", artifacts, s(func(ev *evaluation, st *statement.Statement) ref.Val {
			if st.Release == nil {
				return nil
			}
			return ev.artifacts(st.Release.Replaces)
		})},
		{"target", types.StringType, words(func(st *statement.Statement) string {
			if st.Withdrawal == nil {
				return ""
			}
			return st.Withdrawal.Target
		})},
		{"effect", types.StringType, words(func(st *statement.Statement) string {
			if st.Withdrawal == nil {
				return ""
			}
			return st.Withdrawal.Effect
		})},
		{"format", types.StringType, words(func(st *statement.Statement) string {
			if st.Import == nil {
				return ""
			}
			return st.Import.Format
		})},
		{"builder", types.StringType, words(func(st *statement.Statement) string {
			if st.Import == nil {
				return ""
			}
			return st.Import.Builder
		})},
		{"audit", auditClass.typ, s(func(ev *evaluation, st *statement.Statement) ref.Val { return ev.audit(st) })},
		{"identity", identityClass.typ, s(func(ev *evaluation, st *statement.Statement) ref.Val {
			if st.Identity == nil {
				return nil
			}
			return &object{identityClass, ev, st.Identity}
		})},
		{"contract", contractClass.typ, s(func(ev *evaluation, st *statement.Statement) ref.Val {
			if st.Contract == nil {
				return nil
			}
			return &object{contractClass, ev, st.Contract}
		})},
	})
	identity := func(read func(*statement.Identity) ref.Val) func(*object) ref.Val {
		return func(o *object) ref.Val { return read(o.in.(*statement.Identity)) }
	}
	identityClass.fields = []field{
		{"handle", types.StringType, identity(func(i *statement.Identity) ref.Val { return text(i.Handle) })},
		{"key", types.StringType, identity(func(i *statement.Identity) ref.Val {
			if i.KeyID.IsZero() && i.Key != nil {
				return text(i.Key.ID().String())
			}
			return text(i.KeyID.String())
		})},
		{"roles", stringList, identity(func(i *statement.Identity) ref.Val { return texts(i.Roles) })},
		{"names", stringList, identity(func(i *statement.Identity) ref.Val { return texts(i.Names) })},
		{"expires", types.TimestampType, identity(func(i *statement.Identity) ref.Val { return at(i.Expires) })},
	}
	contract := func(read func(*evaluation, *statement.Contract) ref.Val) func(*object) ref.Val {
		return func(o *object) ref.Val { return read(o.ev, o.in.(*statement.Contract)) }
	}
	contractClass.fields = []field{
		{"name", types.StringType, contract(func(_ *evaluation, c *statement.Contract) ref.Val { return text(c.Name) })},
		{"version", types.IntType, contract(func(_ *evaluation, c *statement.Contract) ref.Val { return count(c.Version) })},
		{"digest", types.StringType, contract(func(_ *evaluation, c *statement.Contract) ref.Val { return text(digest(c.Digest)) })},
		{"action", types.StringType, contract(func(_ *evaluation, c *statement.Contract) ref.Val { return text(c.Action) })},
		{"rules", types.IntType, contract(func(ev *evaluation, c *statement.Contract) ref.Val {
			ev.charge(priceDocument)
			if c.Document == nil {
				return types.IntZero
			}
			// No more is read than this: documents of other engines have rules, too.
			var d struct {
				Spec struct {
					Validations []strictjson.Raw `json:"validations"`
				} `json:"spec"`
			}
			if err := strictjson.UnmarshalForeign(c.Document, &d, MaxDocument, maxDocumentDepth); err != nil {
				return types.NewErr("the document cannot be read")
			}
			return count(len(d.Spec.Validations))
		})},
	}
}

// action is what a statement does, where its kind does several things.
func action(st *statement.Statement) string {
	switch {
	case st.Release != nil:
		return st.Release.Action
	case st.Approval != nil:
		return st.Approval.Decision
	case st.Identity != nil:
		return st.Identity.Action
	case st.Contract != nil:
		return st.Contract.Action
	}
	return ""
}

func stage(st *statement.Statement) string {
	switch {
	case st.Release != nil:
		return st.Release.Stage
	case st.Approval != nil:
		return st.Approval.Stage
	}
	return ""
}

func reason(st *statement.Statement) string {
	switch {
	case st.Release != nil:
		return st.Release.Reason
	case st.Approval != nil:
		return st.Approval.Reason
	case st.Withdrawal != nil:
		return st.Withdrawal.Reason
	case st.Reinstatement != nil:
		return st.Reinstatement.Reason
	case st.Contract != nil:
		return st.Contract.Reason
	}
	return ""
}

// inputs are what the statement says that its artifact was made of.
func inputs(st *statement.Statement) []statement.Ref {
	switch {
	case st.Run != nil:
		return st.Run.Inputs
	case st.Stamp != nil:
		return slices.Concat(st.Stamp.From, members(st.Stamp))
	case st.Import != nil:
		return st.Import.Inputs
	}
	return nil
}
