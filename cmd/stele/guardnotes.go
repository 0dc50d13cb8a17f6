package main

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"time"

	"github.com/stele-ml/stele/cmd/stele/jsonv1"
	"github.com/stele-ml/stele/internal/collection"
	"github.com/stele-ml/stele/internal/guard"
	"github.com/stele-ml/stele/internal/hint"
	"github.com/stele-ml/stele/internal/manifest"
	"github.com/stele-ml/stele/internal/scan"
	"github.com/stele-ml/stele/internal/source"
	"github.com/stele-ml/stele/internal/terminal"
	"github.com/stele-ml/stele/internal/watch"
)

// What the files of a model are known again by lies in the user's own state
// directory, a manifest and its marks for each full check: for a second look just
// before the server starts, and for --check cached the next time.

// guardCheck is an earlier full check of the same files.
type guardCheck struct {
	guard.Check
	when string // for people
}

// checks are those of the ledger that a model is judged on.
func (g *guarding) checks(m *guardModel) guard.Checks {
	return guard.Checks{Dir: filepath.Join(g.app.dirs.State, "guard", m.standing.AsOf.Ledger.String())}
}

// guardSpot tells one model in one place from all others, for this person.
func (m *guardModel) guardSpot() string {
	host, _ := os.Hostname()
	return guard.Spot(m.standing.Judged.Artifact.Entry, host, m.spot.String())
}

// beginWatch begins to note what a model's files are known again by.
func (g *guarding) beginWatch(m *guardModel) error {
	var err error
	m.temp, err = g.checks(m).Begin()
	if err != nil { // a home that cannot be written to, as in many containers
		if m.temp, err = os.MkdirTemp("", "stele-guard-"); err != nil {
			return failf(exitError, "nowhere to note the files of %s: %w", m.what(), err).withHint("$STELE_STATE, or $TMPDIR, names a folder that can be written to")
		}
	}
	fp := m.standing.Judged.Artifact.Ref.Fingerprint
	m.watch, err = watch.New(filepath.Join(m.temp, "check"), fp.Algorithm, 1, g.app.now())
	return err
}

// sealWatch ends the notes.
func (g *guarding) sealWatch(m *guardModel, d *data) error {
	if err := m.watch.Seal(); err != nil {
		return fmt.Errorf("note the files of %s: %w", m.what(), err)
	}
	if err := m.watch.Follow(d.source, d.folder()); err != nil {
		return fmt.Errorf("note the files of %s: %w", m.what(), err)
	}
	return nil
}

// keepWatch keeps the notes of a full check for the next time. Where they cannot
// be kept, everything is read again then.
func (g *guarding) keepWatch(m *guardModel) {
	if checks := g.checks(m); filepath.Dir(m.temp) == checks.Dir {
		_ = checks.Keep(m.watch.Path(), m.guardSpot(), m.watch.Began(), m.watch.Manifest().Fingerprint, time.Now())
	}
}

// earlierCheck finds the notes of the last full check of a model in its place;
// nil: there are none that can be used, and everything is read.
func (g *guarding) earlierCheck(m *guardModel) (*guardCheck, error) {
	if len(m.subject.stamp.Members) > 0 {
		return nil, usagef("--check %s: %s is a collection, whose members are read one by one", checkCached, m.what()).withHint("--check full, or audit")
	}
	for _, check := range g.checks(m).Of(m.guardSpot(), g.app.now().UnixMilli()) {
		c := &guardCheck{Check: check, when: g.app.term.Time(check.Began)}
		if _, err := entriesOf(c.hints()); err != nil {
			g.app.leftAside(err)
			continue
		}
		return c, nil
	}
	g.note(m.what() + ": there was no earlier full check by this user in this place, so everything was read")
	return nil, nil
}

// hints are what that check read, without the files that had changed a moment
// before it began: their marks may not tell the next change.
func (c *guardCheck) hints() iter.Seq2[hint.Hint, error] {
	m := &manifest.Found{Name: c.Path, Path: c.Path + guard.ManifestExt, Fingerprint: c.Files}
	marks := func() (io.ReadCloser, error) { return source.OpenRegular(c.Path + guard.MarksExt) }
	return watch.Settled(m.Hints(marks, 1), c.Began)
}

// takeOver has a scan read only what the check does not know again.
func (c *guardCheck) takeOver(opts *scan.Options) {
	if c != nil {
		opts.Hints = c.hints()
	}
}

// how says by what the bytes were known that were not read.
func (c *guardCheck) how(b scan.Basis) string {
	if c == nil || b.MTime == 0 {
		return howTaken(b)
	}
	return fmt.Sprintf("%s by the same size, times and inode as at the full check of %s", terminal.Bytes(b.MTime), c.when)
}

// lookAgain looks once more at files that nothing keeps as they were: one that
// was touched since it was verified is refused, whatever it holds now.
func (g *guarding) lookAgain(ctx context.Context, m *guardModel) error {
	if m.watch == nil || m.pin.Kind == pinnedCopy {
		return nil
	}
	flags := g.order.flags
	flags.watched = true
	d, err := g.reopen(ctx, m, &flags)
	var seen *watch.Seen
	var diff *jsonv1.Diff
	if err == nil {
		seen, diff, err = g.app.lookAgain(ctx, m.watch, d)
		err = d.end(err)
	}
	changed := func(why string) error {
		return failf(exitTampered, "%s changed after it was verified: %s", m.what(), why).withPath(m.place).
			withHint("nothing was started; --pin copy serves what was verified, whatever happens to the files")
	}
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case watch.Gone(err):
		return changed(err.Error())
	case err != nil:
		return fmt.Errorf("look at %s again: %w", m.what(), err)
	case !diff.Same:
		return changed(countsText(diff.Counts))
	case seen.Count > 0:
		return changed(someOf(seen.Touched, seen.Count) + " was touched")
	case seen.Trail != "":
		return changed(seen.Trail)
	}
	return nil
}

// reopen opens a model's files once more, as they were opened to verify them.
func (g *guarding) reopen(ctx context.Context, m *guardModel, flags *scanFlags) (*data, error) {
	d, err := g.app.openData(ctx, "guard", m.spot.String(), flags)
	if err != nil && statusOf(err) == exitNotFound {
		return nil, fmt.Errorf("%w: it is gone", fs.ErrNotExist)
	}
	if err != nil || !m.subject.parted() {
		return d, err
	}
	known := g.app.manifests(ctx, g.dir, "", flags)
	defer known.close()
	known.data = d
	src, _, err := collection.SourceOf(d.source, m.subject.root.Parts, known.open)
	if err != nil {
		return nil, d.end(err)
	}
	d.source = src
	return d, nil
}
