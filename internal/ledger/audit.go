package ledger

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"iter"

	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/statement"
)

// Audit is an audit that was announced, and what came of it.
type Audit struct {
	Announced AuditEntry
	Result    *AuditEntry // nil: it has not ended
}

// AuditEntry is an entry of an audit. Statement.Audit is not nil, and has the
// announcement or the result.
type AuditEntry struct {
	*evidence.Entry
	Statement *statement.Statement
}

// Audits goes through the announced audits of an artifact's contents, in order,
// under whatever name they were announced. The last pair may be an error.
func (v *View) Audits(ref statement.Ref) iter.Seq2[Audit, error] {
	return func(yield func(Audit, error) bool) {
		for index, err := range v.indexes(auditPrefix(ref.Fingerprint)) {
			var a Audit
			if err == nil {
				if a, err = v.Audit(index); errors.Is(err, ErrNotFound) {
					err = damaged("the index: %w", err)
				}
			}
			if err == nil {
				if of, e := a.Announced.Statement.Ref(); e != nil || of.Fingerprint != ref.Fingerprint {
					err = damaged("the index says that entry %d announces an audit of %s, and it does not", index, ref.Fingerprint)
				}
			}
			if !yield(a, err) || err != nil {
				return
			}
		}
	}
}

// Audit returns the audit that an entry announces. An entry that announces none
// is ErrNotFound.
func (v *View) Audit(announcement uint64) (Audit, error) {
	var a Audit
	var err error
	if a.Announced, err = v.auditEntry(announcement); err != nil {
		return Audit{}, err
	}
	if a.Announced.Statement.Audit == nil || a.Announced.Statement.Audit.Announcement == nil {
		return Audit{}, fmt.Errorf("entry %d: %w: it announces no audit", announcement, ErrNotFound)
	}
	index, ok, err := v.auditResult(announcement)
	if err != nil || !ok {
		return a, err
	}
	result, err := v.auditEntry(index)
	if err != nil {
		return Audit{}, err
	}
	if of := result.Statement.Audit; of == nil || of.Result == nil || of.Result.Announcement != announcement {
		return Audit{}, damaged("the index says that entry %d ends the audit of entry %d, and it does not", index, announcement)
	}
	a.Result = &result
	return a, nil
}

func (v *View) auditEntry(index uint64) (AuditEntry, error) {
	e, err := v.Entry(index)
	if err != nil {
		return AuditEntry{}, err
	}
	st, err := e.Statement()
	if err != nil {
		return AuditEntry{}, damaged("%w", err)
	}
	return AuditEntry{e, st}, nil
}

// auditResult returns the entry that ends an audit; ok is false if there is none.
func (v *View) auditResult(announcement uint64) (index uint64, ok bool, err error) {
	value, ok, err := v.l.store.get(resultKey(announcement))
	if err != nil || !ok {
		return 0, false, err
	}
	index, err = parseU64(value)
	return index, err == nil && index < v.n, err
}

// CheckpointOver returns the first checkpoint that covers an entry: what the
// seed of an audit takes. If none does yet, it is ErrNotFound.
func (v *View) CheckpointOver(index uint64) (evidence.Checkpoint, error) {
	if index < v.n {
		for c, err := range v.Checkpoints(index + 1) {
			if err != nil {
				return evidence.Checkpoint{}, err
			}
			cp, _, err := evidence.ReadCheckpoint(c.Signed)
			if err != nil || cp.Size != c.Size {
				return evidence.Checkpoint{}, damaged("the checkpoint of size %d", c.Size)
			}
			return cp, nil
		}
	}
	return evidence.Checkpoint{}, fmt.Errorf("a checkpoint over entry %d: %w", index, ErrNotFound)
}

// announcement returns what a result ends: an announced audit of the same
// artifact.
func (b *Block) announcement(c *Candidate) (*evidence.Entry, *statement.AuditAnnouncement, error) {
	index := c.st.Audit.Result.Announcement
	if index >= b.tree.size {
		return nil, nil, refuse(RuleReferences, ClassNotFound, "entry %d is not on this ledger, which has %d", index, b.tree.size).
			hint("announce the audit first")
	}
	p, err := b.parsed(index)
	if err != nil {
		return nil, nil, err
	}
	e, st := p.entry, p.st
	if st.Audit == nil || st.Audit.Announcement == nil {
		return nil, nil, refuse(RuleReferences, ClassRefused, "entry %d announces no audit: it is %s", index, st.Kind.Noun()).at(index).
			hint("name the entry that announced this audit")
	}
	ref, err := st.Ref()
	if err != nil {
		return nil, nil, damaged("entry %d: %w", index, err)
	}
	if ref != c.ref {
		return nil, nil, refuse(RuleReferences, ClassRefused, "entry %d announces an audit of %s (%s), not of %s (%s)",
			index, ref, ref.Fingerprint, c.ref, c.ref.Fingerprint).at(index).hint("sign a result for the artifact that was announced")
	}
	return e, st.Audit.Announcement, nil
}

// checkAudit: a result is what its announcement bound its author to, and the
// only one. Whoever could end an audit twice, choose among nonces, or wait for
// a checkpoint he likes, could choose which chunks are read.
func (b *Block) checkAudit(c *Candidate) error {
	if c.st.Audit == nil || c.st.Audit.Result == nil {
		return nil
	}
	r := c.st.Audit.Result
	announced, n, err := b.announcement(c)
	if err != nil {
		return err
	}
	index := announced.Index
	no := func(format string, args ...any) *Refusal {
		return refuse(RuleAudit, ClassRefused, format, args...).at(index)
	}
	if s := b.control.Roster().Standing(announced.Envelope.By(), index, announced.Time); !s.OK {
		return no("the announcement in entry %d counts for nothing: %s", index, s.Detail).hint("announce the audit again")
	}
	ended, ok, err := b.auditResult(index)
	switch {
	case err != nil:
		return err
	case ok:
		return no("the audit that entry %d announces was ended by entry %d", index, ended).at(ended).
			hint("announce another audit; one has one result")
	case sha256.Sum256(r.Nonce[:]) != n.NonceSHA256:
		return no("the nonce is not the one that entry %d announces the hash of", index).
			hint("the nonce was kept where the audit was announced; without it, announce another audit")
	case index >= b.base.tree.size:
		return no("no checkpoint covers entry %d yet", index).
			hint("wait for the receipt of the announcement; the seed follows from the checkpoint that comes with it")
	}
	cp, err := b.baseView().CheckpointOver(index)
	if err != nil {
		return err
	}
	if own := (statement.AuditCheckpoint{Size: cp.Size, Root: cp.Root}); r.Checkpoint != own {
		return no("the first checkpoint over entry %d is of size %d with root %x, not of size %d with root %x",
			index, own.Size, own.Root, r.Checkpoint.Size, r.Checkpoint.Root).hint("take the seed from the first checkpoint, and read those chunks")
	}
	if seed := statement.AuditSeed(announced.LeafHash(), r.Nonce, cp.Size, cp.Root); r.Seed != seed {
		return no("the seed is %x, not %x", seed, r.Seed).hint("take the seed from the announcement's leaf, the nonce and the first checkpoint, and read those chunks")
	}
	return b.checkCounts(c, n)
}

// checkCounts: a result does not say less than was announced and call it held.
func (b *Block) checkCounts(c *Candidate, n *statement.AuditAnnouncement) error {
	r := c.st.Audit.Result
	if r.ChunksAsked > n.Chunks {
		return refuse(RuleAudit, ClassRefused, "%d chunks were announced, not %d", n.Chunks, r.ChunksAsked).at(r.Announcement).
			hint("draw as many chunks as were announced")
	}
	if r.Outcome != statement.OutcomeHeld {
		return nil
	}
	bound, stamp, err := b.checkBound(string(c.st.Kind), c.ref)
	if err != nil {
		return err
	}
	if r.FilesCompared != stamp.Files {
		return refuse(RuleAudit, ClassRefused, "%s holds where all its %d files were compared, not %d", c.ref, stamp.Files, r.FilesCompared).
			at(bound.Entry).hint("compare every name and size, or say that the audit is %s", statement.OutcomeIncomplete)
	}
	return nil
}

// auditResult returns the entry of the log or the block that ends an audit.
func (b *Block) auditResult(announcement uint64) (index uint64, ok bool, err error) {
	if index, ok = b.results[announcement]; ok {
		return index, true, nil
	}
	return b.baseView().auditResult(announcement)
}
