package contract

import (
	"math/big"
	"slices"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"

	"github.com/stele-ml/stele/lineage"
	"github.com/stele-ml/stele/statement"
)

// audit is what the statement under evaluation says of an audit.
func (ev *evaluation) audit(st *statement.Statement) ref.Val {
	if st.Audit == nil {
		return nil
	}
	s := &said{Said: ev.record.said, announced: st.Audit.Announcement}
	if r := st.Audit.Result; r != nil {
		announced, began, fail := ev.announced(r)
		if fail != nil {
			return fail
		}
		s.announced, s.began = announced, began
	}
	return &object{auditClass, ev, s}
}

// announced returns what was announced of an audit, and when (Unix ms), or nil
// where that counts for nothing.
func (ev *evaluation) announced(r *statement.AuditResult) (*statement.AuditAnnouncement, int64, ref.Val) {
	ev.charge(priceLook)
	s, err := ev.in.State.Said(r.Announcement)
	if err != nil {
		return nil, 0, ev.unread(err)
	}
	if !s.Standing.OK || s.Statement.Audit == nil {
		return nil, 0, nil
	}
	return s.Statement.Audit.Announcement, s.Time, nil
}

func ledgerAudits(ev *evaluation, _ *object, a *lineage.Artifact, _ []ref.Val) ref.Val {
	list, fail := ev.audits(a)
	if fail != nil {
		return fail
	}
	return objects(ev, auditClass, list)
}

// audits returns the results of the audits of an artifact's bytes that were
// announced by somebody in good standing, too.
func (ev *evaluation) audits(a *lineage.Artifact) ([]*said, ref.Val) {
	all, fail := ev.about(a, statement.KindAudit)
	if fail != nil {
		return nil, fail
	}
	var list []*said
	for _, s := range all {
		if s.Statement.Audit.Result == nil {
			continue
		}
		announced, began, fail := ev.announced(s.Statement.Audit.Result)
		if fail != nil {
			return nil, fail
		}
		if announced == nil {
			continue
		}
		about, err := s.Statement.Ref()
		if err != nil {
			continue
		}
		list = append(list, &said{Said: s, ref: about, announced: announced, began: began})
	}
	return list, nil
}

// ledgerAnnouncements returns the audits of an artifact's bytes that were announced
// and have no result: whoever keeps announcing until the chunks suit them, and
// tells of that audit alone, leaves these.
func ledgerAnnouncements(ev *evaluation, _ *object, a *lineage.Artifact, _ []ref.Val) ref.Val {
	all, fail := ev.about(a, statement.KindAudit)
	if fail != nil {
		return fail
	}
	finished := make(map[uint64]bool)
	for _, s := range all {
		if r := s.Statement.Audit.Result; r != nil {
			finished[r.Announcement] = true
		}
	}
	var list []*said
	for _, s := range all {
		announced := s.Statement.Audit.Announcement
		if announced == nil || finished[s.Entry] {
			continue
		}
		if about, err := s.Statement.Ref(); err == nil {
			list = append(list, &said{Said: s, ref: about, announced: announced})
		}
	}
	return objects(ev, auditClass, list)
}

// conclusive reports whether an audit shows what it was announced to show: it
// held, all that was drawn was read, and as much was drawn as its odds take, or
// all bytes were read.
func (ev *evaluation) conclusive(s *said, r *statement.AuditResult) ref.Val {
	if s.announced == nil || r.Outcome != statement.OutcomeHeld || r.ChunksRead < r.ChunksAsked {
		return types.False
	}
	ev.charge(priceOdds)
	if enough(s.announced) {
		return types.True
	}
	about, err := s.Statement.Ref()
	if err != nil {
		return types.False
	}
	a, fail := ev.look(about)
	if fail != nil {
		return fail
	}
	return types.Bool(r.BytesRead == a.Stamp.Bytes)
}

// enough reports whether as many chunks were announced to be drawn as the odds
// take: 1 − (1 − altered)^chunks ≥ confidence, as docs/formats/audit.md has it,
// in arithmetic that is the same on every machine.
func enough(a *statement.AuditAnnouncement) bool {
	const whole, precision, tolerance = 1_000_000_000, 640, 400
	share := func(n uint64) *big.Float {
		f := new(big.Float).SetPrec(precision).SetUint64(n)
		return f.Quo(f, new(big.Float).SetPrec(precision).SetUint64(whole))
	}
	limit := share(whole - uint64(a.Confidence))
	slack := new(big.Float).SetMantExp(big.NewFloat(1), -tolerance)
	limit.Add(limit, slack.Mul(slack, limit))
	missed := new(big.Float).SetPrec(precision).SetUint64(1)
	square := share(whole - uint64(a.Altered))
	for n := min(a.Chunks, 1<<36); n > 0; n >>= 1 {
		if n&1 == 1 {
			missed.Mul(missed, square)
		}
		square.Mul(square, square)
	}
	return missed.Cmp(limit) <= 0
}

func ledgerWasRead(ev *evaluation, _ *object, a *lineage.Artifact, _ []ref.Val) ref.Val {
	_, ok, fail := ev.lastRead(a, nil)
	if fail != nil {
		return fail
	}
	return types.Bool(ok)
}

func ledgerLastRead(ev *evaluation, _ *object, a *lineage.Artifact, _ []ref.Val) ref.Val {
	ms, ok, fail := ev.lastRead(a, nil)
	if fail != nil {
		return fail
	}
	if !ok {
		return types.NewErr("nothing says that somebody in good standing ever read all bytes of %s", a.Ref)
	}
	return at(ms)
}

// lastRead returns when all of an artifact's bytes were last read, as the ledger
// knows it: by somebody in good standing who stamped them, under whatever name,
// and took nothing over from an earlier reading or another's word; or by an audit
// that is conclusive, which read after it was announced. A collection was read
// when the member was that was read the longest ago. The members on the way to
// this one are not asked again.
func (ev *evaluation) lastRead(a *lineage.Artifact, way []statement.Ref) (ms int64, ok bool, fail ref.Val) {
	bindings, fail := ev.bindings(a)
	if fail != nil {
		return 0, false, fail
	}
	later := func(t int64) {
		if !ok || t > ms {
			ms, ok = t, true
		}
	}
	for _, b := range bindings {
		switch s := b.Stamp; {
		case !b.Standing.OK || unread(&s.Basis) > 0:
		case len(s.Members) == 0:
			later(b.Time)
		default:
			t, all, fail := ev.membersRead(b, way)
			if fail != nil {
				return 0, false, fail
			}
			if all {
				later(t)
			}
		}
	}
	audits, fail := ev.audits(a)
	if fail != nil {
		return 0, false, fail
	}
	for _, s := range audits {
		held := ev.conclusive(s, s.Statement.Audit.Result)
		if types.IsError(held) {
			return 0, false, held
		}
		if held == types.True {
			later(s.began) // a result may be kept back for as long as one likes
		}
	}
	return ms, ok, nil
}

// membersRead is lastRead of all members: the earliest of theirs.
func (ev *evaluation) membersRead(b *lineage.Artifact, way []statement.Ref) (ms int64, ok bool, fail ref.Val) {
	if slices.Contains(way, b.Ref) {
		return 0, false, nil
	}
	way = append(way[:len(way):len(way)], b.Ref)
	for i, m := range b.Stamp.Members {
		a, fail := ev.look(m.Ref)
		if fail != nil {
			return 0, false, fail
		}
		t, read, fail := ev.lastRead(a, way)
		if fail != nil || !read {
			return 0, false, fail
		}
		if i == 0 || t < ms {
			ms = t
		}
	}
	return ms, true, nil
}
