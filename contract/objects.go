package contract

import (
	"encoding/hex"
	"errors"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"

	"github.com/stele-ml/stele/lineage"
	"github.com/stele-ml/stele/statement"
)

// The classes of the engine. Their fields are set in init functions beside what
// reads them: the types of some are others of these.
var (
	statementClass  = newClass("stele.Statement")
	artifactClass   = newClass("stele.Artifact")
	basisClass      = newClass("stele.Basis")
	signerClass     = newClass("stele.Signer")
	entryClass      = newClass("stele.Entry")
	ledgerClass     = newClass("stele.Ledger")
	codeClass       = newClass("stele.Code")
	identityClass   = newClass("stele.Identity")
	contractClass   = newClass("stele.Contract")
	runClass        = newClass("stele.Run")
	approvalClass   = newClass("stele.Approval")
	evaluationClass = newClass("stele.Evaluation")
	releaseClass    = newClass("stele.Release")
	withdrawalClass = newClass("stele.Withdrawal")
	auditClass      = newClass("stele.Audit")
	proposalClass   = newClass("stele.Proposal")
	paramsClass     = newClass("stele.Params")    // of a contract: in name only
	variablesClass  = newClass("stele.Variables") // the same
	classes         = make(map[string]*class)
	artifacts       = types.NewListType(artifactClass.typ)
	stringList      = types.NewListType(types.StringType)
	stringsByString = types.NewMapType(types.StringType, types.StringType)
	numbersByString = types.NewMapType(types.StringType, types.DoubleType)
)

func init() {
	for _, c := range []*class{
		statementClass, artifactClass, basisClass, signerClass, entryClass, ledgerClass, codeClass, identityClass,
		contractClass, runClass, approvalClass, evaluationClass, releaseClass, withdrawalClass, auditClass, proposalClass,
		paramsClass, variablesClass,
	} {
		classes[c.name] = c
	}
}

// artifact is what an Artifact is read from.
type artifact struct {
	ref  statement.Ref     // its fingerprint is zero where the statement is about none
	read *lineage.Artifact // nil: not yet
	walk *walk             // that it was found by, or nil
	node *lineage.Node     // in it
}

// same reports whether two things that are in objects of one class are equal.
func same(a, b any) bool {
	switch a := a.(type) {
	case *artifact:
		b, ok := b.(*artifact)
		return ok && a.ref == b.ref
	case *said:
		b, ok := b.(*said)
		return ok && a.index() == b.index() && a.ref == b.ref
	case *run:
		b, ok := b.(*run)
		return ok && a.id == b.id
	}
	return a == b
}

// artifact returns an artifact that is read when more than its name is asked
// for.
func (ev *evaluation) artifact(ref statement.Ref) ref.Val {
	return &object{artifactClass, ev, &artifact{ref: ref}}
}

func (ev *evaluation) have(a *lineage.Artifact) ref.Val {
	return &object{artifactClass, ev, &artifact{ref: a.Ref, read: a}}
}

// artifacts returns a list of what a statement names.
func (ev *evaluation) artifacts(refs []statement.Ref) ref.Val {
	ev.charge(priceLook * uint64(len(refs)))
	list := make([]ref.Val, len(refs))
	for i, r := range refs {
		list[i] = ev.artifact(r)
	}
	return values(list)
}

// load reads an artifact. The second value is nil, or an error for CEL.
func (o *object) load() (*lineage.Artifact, ref.Val) {
	x := o.in.(*artifact)
	if x.read != nil {
		return x.read, nil
	}
	if !x.ref.Fingerprint.Algorithm.Valid() {
		return nil, types.NewErr("the statement is about no artifact")
	}
	a, err := o.ev.record.Artifact(x.ref.Name, x.ref.Version)
	switch {
	case errors.Is(err, lineage.ErrNotFound), err == nil && a.Ref != x.ref:
		return nil, types.NewErr("%s is not on the ledger", x.ref)
	case err != nil:
		return nil, o.ev.unread(err)
	}
	x.read = a
	return a, nil
}

// artifactField makes the reader of a field of an artifact that has to be read.
func artifactField(read func(ev *evaluation, a *lineage.Artifact) ref.Val) func(*object) ref.Val {
	return func(o *object) ref.Val {
		if o.in.(*artifact).ref.Fingerprint.Algorithm.Valid() {
			a, err := o.load()
			if err != nil {
				return err
			}
			return read(o.ev, a)
		}
		return nil
	}
}

// stampField is artifactField of what its stamp says.
func stampField(read func(ev *evaluation, s *statement.Stamp) ref.Val) func(*object) ref.Val {
	return artifactField(func(ev *evaluation, a *lineage.Artifact) ref.Val { return read(ev, a.Stamp) })
}

func init() {
	name := func(read func(statement.Ref) string) func(*object) ref.Val {
		return func(o *object) ref.Val { return text(read(o.in.(*artifact).ref)) }
	}
	artifactClass.fields = optional([]field{
		{"name", types.StringType, name(func(r statement.Ref) string { return r.Name })},
		{"version", types.StringType, name(func(r statement.Ref) string { return r.Version })},
		{"fingerprint", types.StringType, name(func(r statement.Ref) string {
			if !r.Fingerprint.Algorithm.Valid() {
				return ""
			}
			return r.Fingerprint.String()
		})},
		{"kind", types.StringType, stampField(func(_ *evaluation, s *statement.Stamp) ref.Val { return text(s.Kind) })},
		{"files", types.IntType, stampField(func(_ *evaluation, s *statement.Stamp) ref.Val { return count(s.Files) })},
		{"bytes", types.IntType, stampField(func(_ *evaluation, s *statement.Stamp) ref.Val { return count(s.Bytes) })},
		{"annotations", stringsByString, stampField(func(_ *evaluation, s *statement.Stamp) ref.Val {
			return types.NewStringStringMap(adapter, s.Annotations)
		})},
		{"ignore", stringList, stampField(func(_ *evaluation, s *statement.Stamp) ref.Val { return texts(s.Ignore) })},
		{"listed", types.BoolType, stampField(func(_ *evaluation, s *statement.Stamp) ref.Val { return types.Bool(s.Listed) })},
		{"basis", basisClass.typ, stampField(func(ev *evaluation, s *statement.Stamp) ref.Val {
			return &object{basisClass, ev, &s.Basis}
		})},
		{"from", artifacts, stampField(func(ev *evaluation, s *statement.Stamp) ref.Val { return ev.artifacts(s.From) })},
		{"members", artifacts, stampField(func(ev *evaluation, s *statement.Stamp) ref.Val { return ev.artifacts(members(s)) })},
		{"since", types.StringType, stampField(func(_ *evaluation, s *statement.Stamp) ref.Val {
			if s.Since == nil {
				return text("")
			}
			return text(s.Since.String())
		})},
		{"entry", types.IntType, artifactField(func(ev *evaluation, a *lineage.Artifact) ref.Val {
			if ev.record.ours(a) {
				return types.IntNegOne
			}
			return count(a.Entry)
		})},
		{"time", types.TimestampType, artifactField(func(_ *evaluation, a *lineage.Artifact) ref.Val { return at(a.Time) })},
		{"signer", types.StringType, artifactField(func(ev *evaluation, a *lineage.Artifact) ref.Val { return ev.person(a) })},
		{"key", types.StringType, artifactField(func(ev *evaluation, a *lineage.Artifact) ref.Val {
			if ev.record.ours(a) && !ev.in.Signer.Known {
				return unknown
			}
			return text(a.Signer.String())
		})},
		{"standing", types.StringType, func(o *object) ref.Val { return o.ev.standing(o) }},
		{"known", types.BoolType, func(o *object) ref.Val { return o.ev.known(o) }},
		{"depth", types.IntType, func(o *object) ref.Val {
			if n := o.in.(*artifact).node; n != nil {
				return count(n.Depth)
			}
			return types.IntZero
		}},
	})
	bytes := func(read func(*statement.Basis) uint64) func(*object) ref.Val {
		return func(o *object) ref.Val { return count(read(o.in.(*statement.Basis))) }
	}
	basisClass.fields = []field{
		{"read", types.IntType, bytes(func(b *statement.Basis) uint64 { return b.Read })},
		{"version", types.IntType, bytes(func(b *statement.Basis) uint64 { return b.Version })},
		{"etag", types.IntType, bytes(func(b *statement.Basis) uint64 { return b.ETag })},
		{"mtime", types.IntType, bytes(func(b *statement.Basis) uint64 { return b.MTime })},
		{"claimed", types.IntType, bytes(func(b *statement.Basis) uint64 { return b.Claimed })},
		{"stamped", types.IntType, bytes(func(b *statement.Basis) uint64 { return b.Stamped })},
		{"unread", types.IntType, bytes(unread)},
		{"entry", types.IntType, func(o *object) ref.Val {
			if e := o.in.(*statement.Basis).Entry; e != nil {
				return count(*e)
			}
			return types.IntNegOne
		}},
	}
	entryClass.fields = []field{
		{"index", types.IntType, func(o *object) ref.Val { return count(o.ev.in.Entry) }},
		{"time", types.TimestampType, func(o *object) ref.Val { return at(o.ev.in.Time) }},
	}
	signer := func(read func(*Signer) ref.Val) func(*object) ref.Val {
		return func(o *object) ref.Val {
			if !o.ev.in.Signer.Known {
				return unknown
			}
			return read(&o.ev.in.Signer)
		}
	}
	signerClass.fields = []field{
		{"handle", types.StringType, signer(func(s *Signer) ref.Val { return text(s.Handle) })},
		{"key", types.StringType, signer(func(s *Signer) ref.Val { return text(s.Key.String()) })},
		{"roles", stringList, signer(func(s *Signer) ref.Val { return texts(s.Roles) })},
	}
	codeClass.fields = []field{
		{"remote", types.StringType, func(o *object) ref.Val { return text(o.in.(*statement.Code).Remote) }},
		{"commit", types.StringType, func(o *object) ref.Val { return text(o.in.(*statement.Code).Commit) }},
		{"dirty", types.BoolType, func(o *object) ref.Val { return types.Bool(o.in.(*statement.Code).Dirty) }},
	}
}

// optional makes readers that return nil read as an empty value.
func optional(fields []field) []field {
	for i := range fields {
		f := fields[i]
		fields[i].read = func(o *object) ref.Val {
			if v := f.read(o); v != nil {
				return v
			}
			return zero(o.ev, f.typ)
		}
	}
	return fields
}

// unknown is what depends on who would sign, where nobody knows.
var unknown = types.NewUnknown(1, types.NewAttributeTrail("signer"))

// person returns the handle of who stamped an artifact.
func (ev *evaluation) person(a *lineage.Artifact) ref.Val {
	if ev.record.ours(a) && !ev.in.Signer.Known {
		return unknown
	}
	return text(a.Handle)
}

// unread counts the bytes of a stamp that its signer did not read: known by
// their version, ETag or times, or claimed by another. Those of a collection's
// members are for the members to answer for.
func unread(b *statement.Basis) uint64 { return b.Version + b.ETag + b.MTime + b.Claimed }

func members(s *statement.Stamp) []statement.Ref {
	refs := make([]statement.Ref, len(s.Members))
	for i, m := range s.Members {
		refs[i] = m.Ref
	}
	return refs
}

// digest returns the text of a SHA-256.
func digest(d [32]byte) string {
	if d == [32]byte{} {
		return ""
	}
	return "sha256:" + hex.EncodeToString(d[:])
}
