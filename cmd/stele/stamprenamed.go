package main

import (
	"context"
	"slices"

	"github.com/stele-ml/stele/internal/ledger"
	"github.com/stele-ml/stele/statement"
)

// A single file's name is in its fingerprint: a copy under another file name has
// another one, and inherits nothing. Who stamps one is told.

// How far a stamp looks for its bytes under another file name: it is a courtesy,
// and takes no time that a person notices.
const (
	maxRenamedStamps    = 5000 // on the ledger; with more nothing is looked for
	maxRenamedManifests = 100  // of single files of its size, the latest first
)

// tellRenamed says of a single file that its bytes are on the ledger under
// another file name, unless --from says so already.
func (a *app) tellRenamed(ctx context.Context, s *stamping) error {
	if !s.result.Single || s.file.Size == 0 {
		return nil
	}
	err := a.readAt(ctx, s.dir, func(r *reading) error {
		if many, err := r.manyStamps(maxRenamedStamps); many || err != nil {
			return err
		}
		if same, err := r.bindingsOf(s.result.Fingerprint); len(same) > 0 || err != nil {
			return err // the very same file: what is said of it counts for this one
		}
		c := copied{standing: standingGood}
		err := a.renamed(ctx, r, s.file, maxRenamedManifests, func(name string, bindings []ledger.Binding) error {
			return c.meet(r, s.plan.from, name, bindings)
		})
		if err != nil || c.said || c.name == "" {
			return err
		}
		tell, but := a.term.Notef, ""
		if c.standing != standingGood {
			tell, but = a.term.Warnf, " is "+c.standing+" and"
		}
		tell("these are the bytes of %s, which%s was stamped as %s: under another file name they have another fingerprint, and %s inherits neither origin nor taint; --from %s says what it is a copy of",
			c.ref, but, c.name, s.order.as, c.ref)
		return nil
	})
	if a.unknown(err) {
		return nil
	}
	return err
}

// copied is what a file is found to be a copy of: of several the first that there
// was, or that something is wrong with.
type copied struct {
	ref      statement.Ref
	name     string // of the file
	standing string
	said     bool // --from says so
}

func (c *copied) meet(r *reading, from []statement.Ref, name string, bindings []ledger.Binding) error {
	for _, b := range bindings {
		ref := b.Ref()
		if c.said = c.said || slices.Contains(from, ref); c.said {
			return errEnough
		}
		if c.standing != standingGood {
			continue
		}
		j, err := r.Judgement(ref)
		if err != nil {
			return err
		}
		c.ref, c.name, c.standing = ref, name, j.Word()
	}
	return nil
}

// manyStamps reports whether there are more than so many entries that stamp.
func (r *reading) manyStamps(most int) (bool, error) {
	n := 0
	for _, kind := range []statement.Kind{statement.KindStamp, statement.KindRun} {
		for _, err := range r.ByKind(kind) {
			if err != nil {
				return false, err
			}
			if n++; n > most {
				return true, nil
			}
		}
	}
	return false, nil
}
