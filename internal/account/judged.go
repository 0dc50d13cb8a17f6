package account

import (
	"github.com/stele-ml/stele/internal/ledger"
	"github.com/stele-ml/stele/lineage"
	"github.com/stele-ml/stele/statement"
)

// Artifact is an artifact with what is known of it, and where that is known from.
func (b *Book) Artifact(ref statement.Ref) (*ledger.Lineage, *lineage.Artifact, error) {
	made, err := b.Lineage()
	if err != nil {
		return nil, nil, err
	}
	of, err := made.Artifact(ref.Name, ref.Version)
	return made, of, err
}

// Judgement is what is against an artifact, as far as the ledger knows.
func (b *Book) Judgement(ref statement.Ref) (*lineage.Judgement, error) {
	made, of, err := b.Artifact(ref)
	if err != nil {
		return nil, err
	}
	if j := b.judged[ref.String()]; j != nil && j.Artifact == of {
		return j, nil
	}
	return lineage.Judge(made, of)
}

// Judged takes a judgement that was made by a walk of the caller's own: nobody
// walks again for it.
func (b *Book) Judged(j *lineage.Judgement) {
	if b.judged == nil {
		b.judged = map[string]*lineage.Judgement{}
	}
	b.judged[j.Artifact.Ref.String()] = j
}

// JudgeAll judges artifacts before they are asked about one by one: what they share
// is walked once. Where that is too much for one walk, each has its own.
func (b *Book) JudgeAll(refs []statement.Ref) error {
	list := make([]*lineage.Artifact, len(refs))
	var made *ledger.Lineage
	for i, ref := range refs {
		var err error
		if made, list[i], err = b.Artifact(ref); err != nil {
			return err
		}
	}
	b.judged = nil
	if len(list) < 2 {
		return nil
	}
	all, err := lineage.JudgeAll(made, list)
	if err != nil {
		return err
	}
	for _, j := range all {
		if !j.Unknown {
			b.Judged(j)
		}
	}
	return nil
}

// Words are what is against all artifacts of a ledger that are not good. They are
// found from what is wrong downwards: that is little, and artifacts are many.
type Words struct {
	Cut bool // there is more than was walked: each is judged on its own

	book    *Book
	against map[string]lineage.Against // by name@version
}

// Words judges the whole ledger, walking from what is wrong to at most limit
// artifacts at a time; 0: to as many as a lineage may have.
func (b *Book) Words(limit int) (*Words, error) {
	made, err := b.Lineage()
	if err != nil {
		return nil, err
	}
	bad, err := b.wrong(made)
	if err != nil {
		return nil, err
	}
	all := &Words{book: b}
	all.against, all.Cut, err = lineage.AllAgainst(made, bad, limit)
	return all, err
}

// wrong are the artifacts that withdrawals in force are about, and those that keys
// stamped which have no standing for it.
func (b *Book) wrong(made *ledger.Lineage) (bad []*lineage.Artifact, err error) {
	for _, w := range b.Control.AllWithdrawals() {
		if !w.Stands() || w.Target == statement.TargetLocation {
			continue
		}
		bindings, err := made.Bindings(w.Ref.Fingerprint)
		if err != nil {
			return nil, err
		}
		bad = append(bad, bindings...)
	}
	for _, m := range b.Control.Roster().Members() {
		if !m.Void && m.Since == nil {
			continue
		}
		for i, err := range b.BySigner(m.Key.ID()) {
			if err != nil {
				return nil, err
			}
			e, st, err := b.Statement(i)
			if err != nil {
				return nil, err
			}
			if b.Standing(e).OK {
				continue
			}
			for _, s := range st.Stamps() {
				of, err := made.Artifact(s.Ref.Name, s.Ref.Version)
				if err != nil {
					return nil, err
				}
				bad = append(bad, of)
			}
		}
	}
	return bad, nil
}

// On is what is against an artifact.
func (all *Words) On(ref statement.Ref) (lineage.Against, error) {
	if !all.Cut {
		return all.against[ref.String()], nil
	}
	j, err := all.book.Judgement(ref)
	if err != nil {
		return lineage.Against{}, err
	}
	return j.Against(), nil
}
