package ledger

import (
	"bytes"
	"encoding/binary"

	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/fingerprint"
	"github.com/stele-ml/stele/statement"
)

// Rows returns the pairs by which the index leads to an entry, as far as they
// follow from the entry alone. Admission writes these; who reads somebody else's
// store holds its answers to them. What depends on what was on the ledger before
// is not among them: see [Follows]. A pair may be in the list twice.
func Rows(e *evidence.Entry, st *statement.Statement) []Pair {
	r := rows{index: e.Index, kind: kindBytes[st.Kind]}
	r.add(idKey(e.Envelope.ID()), u64value(e.Index))
	r.add(kindKey(r.kind, e.Index), nil)
	r.add(signerKey(e.Envelope.KeyID, e.Index), []byte{r.kind})
	if by := e.Envelope.By(); by != e.Envelope.KeyID {
		r.add(signerKey(by, e.Index), []byte{r.kind})
	}
	if st.Control() {
		r.add(controlKey(e.ControlCount), u64value(e.Index))
	}
	for _, o := range st.Stamps() {
		r.add(nameKey(o.Ref.Name, o.Ref.Version), bindingValue(e.Index, o.Ref.Fingerprint))
		r.add(versionKey(o.Ref.Name, e.Index, o.Ref.Version), nil)
		r.add(fingerprintKey(o.Ref.Fingerprint, e.Index), stampValue(r.kind))
	}
	switch {
	case st.Stamp != nil:
		r.inputs(st.Stamp.From)
		for _, m := range st.Stamp.Members {
			r.inputs([]statement.Ref{m.Ref})
		}
	case st.Run != nil:
		r.run(st)
	default:
		if ref, err := st.Ref(); err == nil {
			r.about(ref, st)
		}
	}
	return r.list
}

// rows are the pairs of one entry.
type rows struct {
	index uint64
	kind  byte
	list  []Pair
}

func (r *rows) add(key, value []byte) { r.list = append(r.list, Pair{key, value}) }

func (r *rows) inputs(inputs []statement.Ref) {
	for _, ref := range inputs {
		r.add(lineageKey(ref.Fingerprint, r.index), []byte{r.kind})
	}
}

// run adds those of a run: what it is made of, and what it names that another
// entry stamped.
func (r *rows) run(st *statement.Statement) {
	r.add(runKey(st.Nonce), u64value(r.index))
	r.inputs(st.Run.Inputs)
	for _, o := range st.Run.Outputs {
		if o.Stamp == nil {
			r.add(onKey(o.Ref.Fingerprint, statement.KindRun, r.index), nil)
		}
	}
}

// about adds those of the kinds that are about one artifact and stamp nothing.
func (r *rows) about(ref statement.Ref, st *statement.Statement) {
	fp := ref.Fingerprint
	switch {
	case st.Audit != nil && st.Audit.Announcement != nil:
		r.add(auditKey(fp, r.index), nil)
	case st.Audit != nil:
		r.add(resultKey(st.Audit.Result.Announcement), u64value(r.index))
	case st.Withdrawal != nil, st.Reinstatement != nil:
		r.add(fingerprintKey(fp, r.index), []byte{r.kind})
	case st.Evaluation != nil:
		r.add(fingerprintKey(fp, r.index), []byte{r.kind})
		r.add(onKey(fp, statement.KindEvaluation, r.index), nil)
	case st.Import != nil:
		r.inputs(st.Import.Inputs)
		r.add(onKey(fp, statement.KindImport, r.index), nil)
	case st.Approval != nil:
		r.add(onKey(fp, statement.KindApproval, r.index), []byte(st.Approval.Stage))
	case st.Release != nil:
		for _, c := range changes(r.index, ref, st.Release) {
			r.add(onKey(c.Ref.Fingerprint, statement.KindRelease, r.index), []byte(st.Release.Stage))
			r.add(placeKey(st.Release.Stage, c.Ref, r.index), placeValue(c.Action, c.Ref.Fingerprint))
		}
	}
}

// stamperRow is what the index has besides [Rows] of a run that names contents
// which its signer's handle stamped before.
func stamperRow(fp fingerprint.Fingerprint, index uint64) Pair {
	return Pair{fingerprintKey(fp, index), stampersRun}
}

// Follows reports whether a pair of the index that is not among the [Rows] of the
// entry that it leads to may be there all the same: of a run, that it names
// contents which its signer stamped before. Whether he did, the entry does not
// say.
func Follows(p Pair, e *evidence.Entry, st *statement.Statement) bool {
	if st.Run == nil || !bytes.Equal(p.Value, stampersRun) {
		return false
	}
	for _, o := range st.Run.Outputs {
		if o.Stamp == nil && bytes.Equal(p.Key, fingerprintKey(o.Ref.Fingerprint, e.Index)) {
			return !stampsContents(st, o.Ref.Fingerprint)
		}
	}
	return false
}

func stampsContents(st *statement.Statement, fp fingerprint.Fingerprint) bool {
	for _, o := range st.Stamps() {
		if o.Ref.Fingerprint == fp {
			return true
		}
	}
	return false
}

// Leads returns the entry that a pair of the index leads to. A pair that is of no
// family of the index is an ErrDamaged.
func Leads(p Pair) (index uint64, err error) {
	key := p.Key
	if len(key) == 0 {
		return 0, damaged("an empty key")
	}
	switch key[0] {
	case famID, famResult, famRun, famControl:
		return parseU64(p.Value)
	case famName:
		index, _, err = parseBinding(p.Value)
		return index, err
	case famFingerprint, famAudit, famLineage:
		return endsInU64(key, 1+fingerprintSize)
	case famOn:
		return endsInU64(key, 1+fingerprintSize+1)
	case famSigner:
		return endsInU64(key, 1+len(statement.KeyID{}))
	case famKind:
		return endsInU64(key, 2)
	case famVersion:
		name, _, ok := bytes.Cut(key[1:], []byte{sep})
		if !ok {
			return 0, damaged("the key %q", clip(key))
		}
		index, _, err = parseVersion(key, key[:1+len(name)+1])
		return index, err
	case famPlace:
		stage, _, ok := bytes.Cut(key[1:], []byte{sep})
		if !ok {
			return 0, damaged("the key %q", clip(key))
		}
		c, err := parsePlace(key, p.Value, key[:1+len(stage)+1])
		return c.Entry, err
	}
	return 0, damaged("the key %q is of no family of the index", clip(key))
}

// endsInU64 returns the number that follows the first bytes of a key.
func endsInU64(key []byte, prefix int) (uint64, error) {
	if len(key) != prefix+8 {
		return 0, damaged("the key %q", clip(key))
	}
	return binary.BigEndian.Uint64(key[prefix:]), nil
}
