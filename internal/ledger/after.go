package ledger

import (
	"fmt"

	"github.com/stele-ml/stele/fingerprint"
	"github.com/stele-ml/stele/statement"
)

// latest is what After is found with: a view, or a block on top of one. Each
// answer is the last entry of its sort; ok is false if there is none.
type latest interface {
	// lastOn: about a fingerprint, as ByFingerprint has them.
	lastOn(fp fingerprint.Fingerprint) (index uint64, ok bool, err error)
	// lastFor: an approval or a release of a fingerprint in a stage.
	lastFor(fp fingerprint.Fingerprint, stage string) (index uint64, ok bool, err error)
	// lastChange: what joined or left a stage under a name.
	lastChange(stage, name string) (index uint64, ok bool, err error)
}

// After returns what the After of a statement must name now: of a withdrawal or
// a reinstatement, an approval or a release. Its subject, and of the latter two
// stage and Replaces, are set; its After is not looked at. Statements of other
// kinds have none: 0. Admission uses the same.
func (v *View) After(st *statement.Statement) (uint64, error) {
	if err := v.l.checkIndex(); err != nil {
		return 0, err
	}
	return lastSeen(v, st)
}

// lastSeen finds the last entry that the author of a statement must have seen:
//
//   - on the artifact, by its fingerprint: stamps and withdrawals of it, whoever
//     made them, under whatever name; what its stamper says it was made of;
//     evaluations;
//   - of an approval or a release: of the artifact in that stage;
//   - of a release: of the names that it moves, in that stage.
func lastSeen(l latest, st *statement.Statement) (uint64, error) {
	var stage string
	switch {
	case st.Withdrawal != nil, st.Reinstatement != nil:
	case st.Approval != nil:
		stage = st.Approval.Stage
	case st.Release != nil:
		stage = st.Release.Stage
	default:
		return 0, nil
	}
	ref, err := st.Ref()
	if err != nil {
		return 0, err
	}
	last, ok, err := l.lastOn(ref.Fingerprint)
	if err == nil && !ok {
		err = fmt.Errorf("%s: %w", ref, ErrNotFound)
	}
	if err != nil {
		return 0, err
	}
	later := func(index uint64, ok bool, e error) {
		if ok {
			last = max(last, index)
		}
		if err == nil {
			err = e
		}
	}
	if stage != "" {
		later(l.lastFor(ref.Fingerprint, stage))
	}
	if st.Release != nil {
		later(l.lastChange(stage, ref.Name))
		for _, r := range st.Release.Replaces {
			later(l.lastChange(stage, r.Name))
		}
	}
	return last, err
}

func (v *View) lastOn(fp fingerprint.Fingerprint) (uint64, bool, error) { return v.l.lastOn(fp, v.n) }

func (v *View) lastFor(fp fingerprint.Fingerprint, stage string) (last uint64, found bool, err error) {
	for _, kind := range []statement.Kind{statement.KindApproval, statement.KindRelease} {
		prefix := onPrefix(fp, kind)
		upper := u64after(prefix, v.n)
		for {
			p, ok, err := v.l.store.last(prefix, upper)
			if err != nil {
				return 0, false, err
			}
			if !ok {
				break
			}
			if string(p.Value) != stage {
				upper = p.Key
				continue
			}
			index, err := lastU64(p.Key, prefix)
			if err != nil {
				return 0, false, err
			}
			last, found = max(last, index), true
			break
		}
	}
	return last, found, nil
}
