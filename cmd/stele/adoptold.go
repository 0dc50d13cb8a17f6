package main

import (
	"context"

	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/internal/solo"
	"github.com/stele-ml/stele/internal/terminal"
	"github.com/stele-ml/stele/statement"
)

// readOld looks at the ledger that is adopted from. Where the new one is its successor,
// this machine may know of entries that are lost: then the copy that the successor names
// is read as it is, for nothing newer will come.
func (a *app) readOld(ctx context.Context, from, to string, fn func(*reading) error) error {
	info, err := solo.ReadInfo(from)
	if err != nil {
		return err
	}
	var before *statement.Predecessor
	err = a.readAt(ctx, to, func(r *reading) error {
		before = r.Control.Roster().Genesis().Predecessor
		return nil
	})
	if err != nil {
		return err
	}
	if before == nil || before.Ledger != info.ID {
		return a.readAt(ctx, from, fn)
	}
	return a.withCopy(ctx, from, func(r *reading) error {
		root, err := r.Root()
		if err != nil {
			return err
		}
		if r.Size() != before.Size || root != before.Root {
			return failf(exitUntrusted, "%s has %s entries of %s, and the successor names other %s: %w", from, terminal.Count(r.Size()), r.Origin(), terminal.Count(before.Size), evidence.ErrUntrusted).
				withHint("adopt from the copy that the successor was made of")
		}
		r.ctx = ctx
		return fn(r)
	})
}
