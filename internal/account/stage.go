package account

import (
	"fmt"

	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/internal/ledger"
	"github.com/stele-ml/stele/internal/terminal"
	"github.com/stele-ml/stele/statement"
)

// Placed is an artifact in a stage, and the release that put it there.
type Placed struct {
	ledger.Placed
	Release   *evidence.Entry
	Statement *statement.Statement
}

// Released is what is in a stage, with the releases, each held against its entry:
// the index is no more than where to look.
func (b *Book) Released(stage string) ([]Placed, error) {
	list, err := b.InStage(stage)
	if err != nil {
		return nil, err
	}
	in := make([]Placed, len(list))
	for i, p := range list {
		in[i].Placed = p
		e, st, err := b.Statement(p.Entry)
		if err != nil {
			return nil, err
		}
		if ref, err := st.Ref(); err != nil || st.Release == nil || ref != p.Ref || st.Release.Stage != stage || st.Release.Action != statement.ActionJoin {
			return nil, fmt.Errorf("%w: the index says that entry %d releases %s to %s, and it does not", ledger.ErrDamaged, p.Entry, p.Ref, stage)
		}
		in[i].Release, in[i].Statement = e, st
	}
	return in, nil
}

// StagesOf are the stages that an artifact is in.
func (b *Book) StagesOf(ref statement.Ref) (list []Stage, err error) {
	for stage, err := range b.Stages() {
		if err != nil {
			return nil, err
		}
		placed, err := b.InStage(stage)
		if err != nil {
			return nil, err
		}
		for _, p := range placed {
			if p.Ref != ref {
				continue
			}
			e, err := b.Entry(p.Entry)
			if err != nil {
				return nil, err
			}
			list = append(list, Stage{Name: stage, Entry: p.Entry, Time: e.Time})
		}
	}
	return list, nil
}

// AllStages are the stages of all artifacts that are in one, by name@version; since
// when is left out.
func (b *Book) AllStages() (map[string][]Stage, error) {
	in := map[string][]Stage{}
	for stage, err := range b.Stages() {
		if err != nil {
			return nil, err
		}
		list, err := b.InStage(stage)
		if err != nil {
			return nil, err
		}
		for _, p := range list {
			id := p.Ref.String()
			in[id] = append(in[id], Stage{Name: stage, Entry: p.Entry})
		}
	}
	return in, nil
}

// StagesText lists the stages that there are, and the one that was meant, if one is
// spelled nearly so.
func StagesText(meant string, stages []string) string {
	for _, s := range stages {
		if Nearly(meant, s) {
			return "did you mean " + s + "?"
		}
	}
	if len(stages) == 1 {
		return "the only stage is " + stages[0]
	}
	return "the stages are " + terminal.Some(stages, 8)
}

// Nearly reports whether two names are the same but for one letter, or two that
// changed places, or the end of one of them.
func Nearly(a, b string) bool {
	if len(a) > len(b) {
		a, b = b, a
	}
	for a != "" && a[0] == b[0] {
		a, b = a[1:], b[1:]
	}
	for a != "" && a[len(a)-1] == b[len(b)-1] {
		a, b = a[:len(a)-1], b[:len(b)-1]
	}
	return len(a) <= 1 && len(b) <= 1 || len(a) == 2 && len(b) == 2 && a[0] == b[1] && a[1] == b[0] || a == "" && len(b) <= 6
}
