package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/stele-ml/stele/cmd/stele/jsonv1"
	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/internal/audit"
	"github.com/stele-ml/stele/internal/collection"
	"github.com/stele-ml/stele/internal/guard"
	"github.com/stele-ml/stele/internal/pin"
	"github.com/stele-ml/stele/internal/place"
	"github.com/stele-ml/stele/internal/source"
	"github.com/stele-ml/stele/internal/terminal"
	"github.com/stele-ml/stele/internal/watch"
)

// guardModel is a model that is to be served.
type guardModel struct {
	name, version string
	place         string         // as it was given
	evidence      string         // the file's name, or empty
	file          *evidence.File // offline

	standing *guard.Standing
	spot     place.Place // where it is read: on this machine without links on the way
	subject  *subjectOf
	verdict  *evidence.Verdict // with its contents
	watch    *watch.Watch      // what the files are known again by; nil: they were copied
	temp     string            // the folder of the watch's files, where these are not kept
	path     string            // that the server is given
	pin      jsonv1.GuardPin
	odds     []string // of an audit, a sentence each
}

func (m *guardModel) what() string { return m.name + "@" + m.version }

// close gives up what is not kept.
func (m *guardModel) close() {
	if m.watch != nil {
		m.watch.Close()
		m.watch = nil
	}
	if m.temp != "" {
		os.RemoveAll(m.temp)
		m.temp = ""
	}
}

// The words for what keeps the files as they were verified.
const (
	pinnedCopy  = "copy"
	pinnedMount = "read-only-mount"
	onlyChecked = "only-checked"
)

// checkContents verifies a model's files, as `stele verify` and `stele audit` do.
func (g *guarding) checkContents(ctx context.Context, m *guardModel) (err error) {
	if m.spot, err = servedFrom(m.place); err != nil {
		return err
	}
	if m.path = m.spot.Path(); g.order.check == checkAudit {
		err = g.auditContents(ctx, m)
	} else {
		err = g.readContents(ctx, m)
	}
	if err != nil || m.pin.Kind == pinnedCopy {
		return err
	}
	return g.pinned(ctx, m)
}

// servedFrom is where a model really lies: a link on the way to it, which can be
// turned, is followed now. The name of a single file stays as it is, for its
// ending tells servers what it is.
func servedFrom(text string) (place.Place, error) {
	p, err := parsePlace(text)
	if err != nil {
		return p, err
	}
	if p, err = p.Absolute(); err != nil || p.Remote() {
		return p, err
	}
	info, err := os.Stat(p.Path())
	if errors.Is(err, fs.ErrNotExist) {
		return p, notThere(p, err)
	}
	if err != nil {
		return p, err
	}
	dir, base := p.Path(), ""
	if !info.IsDir() {
		dir, base = filepath.Split(p.Path())
	}
	if dir, err = filepath.EvalSymlinks(dir); err != nil {
		return p, err
	}
	return place.Parse(filepath.Join(dir, base))
}

// readContents reads every byte, or those that no earlier check read, into the
// copy if there is to be one.
func (g *guarding) readContents(ctx context.Context, m *guardModel) (err error) {
	a := g.app
	o := &verifyOrder{name: m.name, version: m.version, path: m.spot.String(), recheck: "full", manifest: g.order.manifest, flags: g.order.flags}
	o.flags.watched = true // nothing is taken over from an interrupted check
	if m.file != nil {
		m.subject, err = g.subjectOffline(m)
	} else {
		m.subject, err = a.subjectOn(ctx, g.dir, o)
	}
	if err != nil {
		return err
	}
	a.warnOfPlaces(m.standing.Judged.Artifact.Ref, m.subject.places, m.place)
	var copied *pin.Copy
	if g.folder != nil {
		if copied, err = g.beginCopy(m); err != nil {
			return err
		}
		defer copied.Discard()
	} else if err = g.beginWatch(m); err != nil {
		return err
	}
	if g.order.check == checkCached {
		if o.known, err = g.earlierCheck(m); err != nil {
			return err
		}
	}
	o.watch = m.watch
	if o.data, err = a.openData(ctx, "guard", o.path, &o.flags); err != nil {
		return err
	}
	if copied != nil {
		o.data.source = copied.Source(o.data.source)
	}
	single := o.data.source.Single()
	j, err := a.judgement(ctx, o, m.subject)
	if err == nil {
		err = g.holds(m, j)
	}
	if err == nil && m.watch != nil {
		err = g.sealWatch(m, o.data)
	}
	if err = o.data.end(err); err != nil {
		return err
	}
	if copied != nil {
		return g.keepCopy(m, copied, single)
	}
	if m.verdict.How == "" { // every byte was read
		g.keepWatch(m)
	}
	return nil
}

// subjectOffline is what evidence says of the files.
func (g *guarding) subjectOffline(m *guardModel) (*subjectOf, error) {
	_, st, err := m.file.Stamp()
	if err != nil {
		return nil, failf(exitTampered, "evidence %s: %w", m.evidence, err).withPath(m.evidence)
	}
	s := &subjectOf{file: m.file, stamp: st.Stamp, fp: m.file.Claim.Fingerprint}
	if s.root, err = unfoldEvidence(m.file, st); err != nil {
		return nil, err
	}
	s.search = manifestSearch{what: st.Ref.String(), fp: s.fp, files: s.stamp.Files, bytes: s.stamp.Bytes, reach: g.order.flags.reach()}
	s.past, err = g.app.memory.Newest(m.file.Ledger)
	return s, err
}

// holds refuses a model whose files are not what was stamped. Everything else
// that a verdict may have against it is asked of its standing, before this and
// again after it; so what the files were held against must be what that is of.
func (g *guarding) holds(m *guardModel, j *judged) error {
	v := j.verdict
	m.verdict = v
	if v.Result(evidence.CheckContents) == evidence.Failed {
		if !g.app.json {
			_ = g.app.pronounce(&verifyOrder{path: m.spot.String()}, j)
		}
		return failf(exitTampered, "%s is not what was stamped, read at %s", m.what(), source.Show(m.place)).withPath(m.place).
			withHint("nothing was started; `stele verify " + m.what() + " " + shellText([]string{m.place}) + "` shows all of it")
	}
	if v.Result(evidence.CheckContents) != evidence.Passed && v.How == "" {
		return failf(exitError, "%s: its contents were not checked", m.what())
	}
	if g.folder == nil {
		g.beside(m, j.out.Hidden)
	}
	if stands := m.standing.Judged.Artifact.Ref; m.subject.fp != stands.Fingerprint {
		return failf(exitTampered, "%s is %s, and its files were held against %s", m.what(), stands.Fingerprint, m.subject.fp).
			withHint("nothing was started; the ledger was another while they were read")
	}
	return nil
}

// beside warns of files that lie where the server looks, and are no part of what
// was stamped. A copy does not have them.
func (g *guarding) beside(m *guardModel, hidden uint64) {
	const served = "it was not verified, and the server can read it (--pin copy leaves it out)"
	switch {
	case hidden > 0:
		g.warn(fmt.Sprintf("%s: the stamp's ignore rules leave out %s: %s", m.what(), terminal.Plural(hidden, "path"), served))
	case m.subject.stamp.Listed:
		g.warn(fmt.Sprintf("%s was stamped as the files of a list; of what else lies there, %s", m.what(), served))
	}
}

// auditContents reads random chunks.
func (g *guarding) auditContents(ctx context.Context, m *guardModel) (err error) {
	a := g.app
	o := &auditOrder{name: m.name, version: m.version, place: m.spot.String(), manifest: g.order.manifest, flags: g.order.flags}
	o.flags.watched = true
	if o.altered, o.confidence, o.draws, err = parseOdds(g.order.altered, g.order.confidence); err != nil {
		return err
	}
	o.seed = new(audit.Seed)
	if _, err := rand.Read(o.seed[:]); err != nil {
		return err
	}
	w, err := g.beginAudit(ctx, m, o)
	if err != nil {
		return err
	}
	defer func() { err = w.end(err) }()
	m.subject = &w.subjectOf
	m.subject.root = w.root
	if err := g.beginWatch(m); err != nil {
		return err
	}
	if err := w.listTo(ctx, m.watch); err != nil {
		return err
	}
	plan, err := w.draw(*o.seed, o.draws)
	if err != nil {
		return err
	}
	out := newAudit(o, w, plan)
	found, err := a.runAudit(ctx, o, w, plan, out)
	if err != nil {
		return err
	}
	v, trusted, err := a.auditVerdict(o, w, plan, found, out)
	if err != nil {
		return err
	}
	m.odds = plan.Odds(o.altered)
	if !found.Held() && !a.json {
		_ = a.judgeAudit(o, w, plan, found, out)
	}
	if err := g.holds(m, &judged{out: &out.Verify, verdict: v, trusted: trusted}); err != nil {
		return err
	}
	return g.sealWatch(m, w.data)
}

// beginAudit is beginAudit of the ledger, or of evidence.
func (g *guarding) beginAudit(ctx context.Context, m *guardModel, o *auditOrder) (*auditing, error) {
	if m.file == nil {
		return g.app.beginAudit(ctx, o)
	}
	s, err := g.subjectOffline(m)
	if err != nil {
		return nil, err
	}
	w := &auditing{subjectOf: *s, root: s.root, touched: map[int]bool{}}
	if w.root == nil { // no collection
		_, st, err := m.file.Stamp()
		if err != nil {
			return nil, err
		}
		if w.root, err = collection.Unfold(bindingOf(evidence.Stamping{Entry: m.file.Claim.Entry, Output: st}), st.Stamp, nil); err != nil {
			return nil, err
		}
	}
	return w, w.openPlace(ctx, g.app, "", o)
}

// openFolder opens the folder for copies, and sees to it that there is room.
func (g *guarding) openFolder() (err error) {
	if g.order.pin != pinCopy {
		return nil
	}
	if err := g.order.besideModels(); err != nil {
		return err
	}
	if g.order.pinDir == "" {
		g.folder, err = pin.Temp()
	} else {
		g.folder, err = pin.Open(g.order.pinDir)
	}
	switch {
	case errors.Is(err, pin.ErrNotPrivate):
		return failf(exitUntrusted, "--pin copy: %w", err).withPath(g.order.pinDir).
			withHint("name a folder that is not there yet, or `chmod 700` one of your own that nobody else has written to")
	case errors.Is(err, fs.ErrNotExist):
		return failf(exitNotFound, "--pin copy: %w", err).withPath(g.order.pinDir).withHint("the folder around it must be there")
	case err != nil:
		return fmt.Errorf("--pin copy: %w", err)
	}
	if above := pin.Exposed(g.folder.Path()); len(above) > 0 {
		g.warn(fmt.Sprintf("the copy lies below %s, where somebody else can put another in its place", source.Show(above[0])))
	}
	var need uint64
	for _, m := range g.order.models {
		need += m.size()
	}
	if have, ok := pin.Free(g.folder.Path()); ok && have < need {
		return failf(exitError, "%s would have to be copied to %s, where %s are free: %w", terminal.Bytes(need), g.folder.Path(), terminal.Bytes(have), syscall.ENOSPC).
			withPath(g.folder.Path()).withHint("--pin copy=DIR, or $TMPDIR, names another folder")
	}
	return nil
}

// besideModels refuses copies in a folder that is verified: they would be what was
// added to it.
func (o *guardOrder) besideModels() error {
	if o.pinDir == "" {
		return nil
	}
	for _, m := range o.models {
		p, err := parsePlace(m.place)
		if err != nil || p.Remote() {
			continue
		}
		if in, err := liesIn(o.pinDir, p.Path()); err != nil {
			return err
		} else if in {
			return usagef("--pin copy=%s lies in %s, which is verified", source.Show(o.pinDir), source.Show(m.place)).withPath(o.pinDir).
				withHint("a copy of it there would be what was added to it; name a folder beside it")
		}
	}
	return nil
}

// size is how many bytes were stamped.
func (m *guardModel) size() uint64 {
	return m.standing.Judged.Artifact.Stamp.Bytes
}

// beginCopy begins the copy of a model.
func (g *guarding) beginCopy(m *guardModel) (*pin.Copy, error) {
	c, err := g.folder.Begin(m.what())
	if err != nil {
		return nil, fmt.Errorf("--pin copy: %w", err)
	}
	return c, nil
}

// keepCopy ends a copy: it holds what was verified, all of it and nothing else.
func (g *guarding) keepCopy(m *guardModel, c *pin.Copy, single bool) error {
	files, bytes := c.Size()
	if stamp := m.subject.stamp; files != stamp.Files || bytes != stamp.Bytes {
		return failf(exitError, "%s: the copy has %d files of %d bytes, and %d of %d were stamped", m.what(), files, bytes, stamp.Files, stamp.Bytes)
	}
	path, err := c.Keep()
	if err != nil {
		return fmt.Errorf("--pin copy: %w", err)
	}
	if m.path = path; single {
		m.path = filepath.Join(path, m.spot.Base())
	}
	m.pin = jsonv1.GuardPin{Kind: pinnedCopy, Detail: "a private copy of the bytes that were verified; this user, and root, can change it", Memory: pin.InMemory(path)}
	if m.pin.Memory {
		g.note(fmt.Sprintf("the copy of %s lies in memory, and takes %s of it", m.what(), terminal.Bytes(m.size())))
	}
	return nil
}

// pinned finds out whether the files can be written to where they lie.
func (g *guarding) pinned(ctx context.Context, m *guardModel) error {
	writable, err := m.writable(ctx)
	if err != nil {
		return err
	}
	if writable == "" {
		m.pin = jsonv1.GuardPin{Kind: pinnedMount, Detail: "a mount that is read-only here; whoever can remount it, or write to it elsewhere, can change it"}
		return nil
	}
	if g.order.pin == pinMount {
		return failf(exitRefused, "%s is not on a read-only mount: %s", m.what(), source.Show(writable)).withPath(writable).
			withHint("mount it read-only, or --pin copy")
	}
	m.pin = jsonv1.GuardPin{Kind: onlyChecked, Detail: "only checked: what is changed from here on is not seen" + onThisSystem()}
	return nil
}

// writable is a path of the model that does not lie on a read-only mount, or "".
func (m *guardModel) writable(ctx context.Context) (string, error) {
	if !pin.ReadOnly(m.path) {
		return m.path, nil
	}
	if m.watch == nil {
		return m.path, nil
	}
	list, err := m.watch.Manifest().Open()
	if err != nil {
		return "", err
	}
	defer list.Close()
	for f, err := range list.All() {
		if err != nil {
			return "", err
		}
		if ctx.Err() != nil {
			return "", context.Cause(ctx)
		}
		at := m.path
		if filepath.Base(at) != f.Path || !isFile(at) {
			at = filepath.Join(at, filepath.FromSlash(f.Path))
		}
		if !pin.ReadOnly(at) {
			return at, nil
		}
	}
	return "", nil
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && !info.IsDir()
}
