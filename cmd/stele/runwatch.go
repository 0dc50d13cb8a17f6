package main

import (
	"context"
	"iter"

	"github.com/stele-ml/stele/cmd/stele/jsonv1"
	"github.com/stele-ml/stele/fingerprint"
	"github.com/stele-ml/stele/internal/scan"
	"github.com/stele-ml/stele/internal/watch"
)

// folder is where data lies on this machine; empty for what lies in a bucket.
func (d *data) folder() string {
	if d.place.Remote() {
		return ""
	}
	return d.place.Path()
}

// lookAgain looks again at files that were watched, opened anew: what they hold now,
// and whether they were touched.
func (a *app) lookAgain(ctx context.Context, w *watch.Watch, d *data) (seen *watch.Seen, diff *jsonv1.Diff, err error) {
	seen, err = w.Look(ctx, d.source, d.folder(), func(before iter.Seq2[fingerprint.File, error], opts scan.Options) (err error) {
		diff, err = compare("then", "now", before, a.scanning(ctx, d, opts, nil), false)
		return err
	})
	return seen, diff, err
}

// listTo has what is audited be known again by its manifest and a listing.
func (w *auditing) listTo(ctx context.Context, to *watch.Watch) error {
	rules := w.stamp.Ignore
	if w.parts != nil {
		rules = nil
	}
	return to.List(ctx, w.data.source, w.files(), rules, w.stamp.Listed)
}
