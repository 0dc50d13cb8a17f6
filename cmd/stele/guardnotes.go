package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/stele-ml/stele/fingerprint"
	"github.com/stele-ml/stele/internal/hint"
	"github.com/stele-ml/stele/internal/scan"
	"github.com/stele-ml/stele/internal/source"
	"github.com/stele-ml/stele/internal/terminal"
)

// What the files of a model are known again by lies in the user's own state
// directory, a manifest and its marks for each full check: for a second look just
// before the server starts, and for --check cached the next time. Whoever may
// write there decides what is not read, so it is nobody else's.

// maxGuardChecks is how many checks of a ledger's models are kept.
const maxGuardChecks = 64

// leftAfter is how long no check takes.
const leftAfter = 7 * 24 * time.Hour

// guardCheck is an earlier full check of the same files.
type guardCheck struct {
	path  string // of its files, without their extensions
	began int64  // Unix ms
	fp    fingerprint.Fingerprint
	when  string // for people
}

// guardSpot tells one model in one place from all others, for this person.
func (m *guardModel) guardSpot() string {
	host, _ := os.Hostname() // several machines may share a home
	sum := sha256.Sum256([]byte(host + ":" + m.spot.String()))
	return fmt.Sprintf("%d-%x", m.standing.judged.Artifact.Entry, sum[:8])
}

// beginWatch begins to note what a model's files are known again by.
func (g *guarding) beginWatch(m *guardModel) error {
	dir := g.app.guardState(m.standing.asOf.Ledger)
	err := os.MkdirAll(dir, 0o700)
	if err == nil {
		m.temp, err = os.MkdirTemp(dir, "new-")
	}
	if err != nil { // a home that cannot be written to, as in many containers
		if m.temp, err = os.MkdirTemp("", "stele-guard-"); err != nil {
			return failf(exitError, "nowhere to note the files of %s: %w", m.what(), err).withHint("$STELE_STATE, or $TMPDIR, names a folder that can be written to")
		}
	}
	fp := m.standing.judged.Artifact.Ref.Fingerprint
	m.watch, err = newInputWatch(filepath.Join(m.temp, "check"), fp.Algorithm, 1, g.app.now())
	return err
}

// sealWatch ends the notes.
func (g *guarding) sealWatch(m *guardModel, d *data) error {
	if err := m.watch.seal(); err != nil {
		return fmt.Errorf("note the files of %s: %w", m.what(), err)
	}
	if err := m.watch.follow(d); err != nil {
		return fmt.Errorf("note the files of %s: %w", m.what(), err)
	}
	return nil
}

// keepWatch keeps the notes of a full check for the next time. Where they cannot
// be kept, everything is read again then.
func (g *guarding) keepWatch(m *guardModel) {
	dir := filepath.Dir(m.temp)
	if dir != g.app.guardState(m.standing.asOf.Ledger) {
		return
	}
	// Whatever was there of this place is older.
	list, _ := filepath.Glob(filepath.Join(dir, m.guardSpot()+"-*"))
	name := fmt.Sprintf("%s-%d-%s", m.guardSpot(), m.watch.settled/1e6+settledAfter.Milliseconds(), strings.ReplaceAll(m.watch.fp.String(), ":", "_"))
	for _, ext := range []string{".manifest", ".marks"} {
		if err := keepFile(m.watch.path+ext, filepath.Join(dir, name+ext)); err != nil {
			return
		}
	}
	for _, old := range list {
		if !strings.HasPrefix(filepath.Base(old), name+".") {
			os.Remove(old)
		}
	}
	pruneGuardChecks(dir)
}

// keepFile gives a file a second name, or copies it where files have but one.
func keepFile(from, to string) error {
	err := os.Link(from, to)
	if err == nil || errors.Is(err, fs.ErrExist) {
		return nil
	}
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, data, 0o600)
}

// pruneGuardChecks drops the oldest notes of a ledger, and what guards left that
// were killed.
func pruneGuardChecks(dir string) {
	left, _ := filepath.Glob(filepath.Join(dir, "new-*"))
	for _, path := range left {
		if info, err := os.Stat(path); err == nil && time.Since(info.ModTime()) > leftAfter {
			os.RemoveAll(path)
		}
	}
	list, _ := filepath.Glob(filepath.Join(dir, "*.manifest"))
	slices.SortFunc(list, func(x, y string) int { return int(min(1, max(-1, beganOf(x)-beganOf(y)))) })
	for ; len(list) > maxGuardChecks; list = list[1:] {
		os.Remove(list[0])
		os.Remove(strings.TrimSuffix(list[0], ".manifest") + ".marks")
	}
}

// beganOf is when the check began whose notes a file is of, in Unix ms; 0 where
// its name does not tell.
func beganOf(path string) int64 {
	parts := strings.SplitN(filepath.Base(path), "-", 4)
	if len(parts) < 4 {
		return 0
	}
	ms, err := strconv.ParseInt(parts[2], 10, 64)
	if err != nil {
		return 0
	}
	return ms
}

// earlierCheck finds the notes of the last full check of a model in its place;
// nil: there are none that can be used, and everything is read.
func (g *guarding) earlierCheck(m *guardModel) (*guardCheck, error) {
	if len(m.subject.stamp.Members) > 0 {
		return nil, usagef("--check %s: %s is a collection, whose members are read one by one", checkCached, m.what()).withHint("--check full, or audit")
	}
	list, _ := filepath.Glob(filepath.Join(g.app.guardState(m.standing.asOf.Ledger), m.guardSpot()+"-*.manifest"))
	slices.SortFunc(list, func(x, y string) int { return int(min(1, max(-1, beganOf(y)-beganOf(x)))) })
	for _, path := range list {
		began := beganOf(path)
		_, text, _ := strings.Cut(filepath.Base(path), "-"+strconv.FormatInt(began, 10)+"-")
		fp, err := fingerprint.Parse(strings.ReplaceAll(strings.TrimSuffix(text, ".manifest"), "_", ":"))
		if began == 0 || err != nil || began > g.app.now().UnixMilli() {
			continue
		}
		c := &guardCheck{path: strings.TrimSuffix(path, ".manifest"), began: began, fp: fp, when: g.app.term.Time(began)}
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
	settled := c.began*1e6 - settledAfter.Nanoseconds()
	m := &foundManifest{name: c.path, path: c.path + ".manifest", fp: c.fp}
	marks := func() (io.ReadCloser, error) { return openRegular(c.path + ".marks") }
	return func(yield func(hint.Hint, error) bool) {
		for h, err := range joined(m, marks, 1) {
			if err == nil && max(h.Mark.MTime, h.Mark.CTime) > settled {
				h.Mark = source.Mark{}
			}
			if !yield(h, err) {
				return
			}
		}
	}
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
	var seen *seenAgain
	if err == nil {
		seen, err = m.watch.look(ctx, g.app, d)
		err = d.end(err)
	}
	changed := func(why string) error {
		return failf(exitTampered, "%s changed after it was verified: %s", m.what(), why).withPath(m.place).
			withHint("nothing was started; --pin copy serves what was verified, whatever happens to the files")
	}
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case goneSince(err):
		return changed(err.Error())
	case err != nil:
		return fmt.Errorf("look at %s again: %w", m.what(), err)
	case !seen.diff.Same:
		return changed(countsText(seen.diff.Counts))
	case seen.count > 0:
		return changed(someOf(seen.touched, seen.count) + " was touched")
	case seen.trail != "":
		return changed(seen.trail)
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
	src, _, err := ofParts(d.source, m.subject.root.parts, known.open)
	if err != nil {
		return nil, d.end(err)
	}
	d.source = src
	return d, nil
}
