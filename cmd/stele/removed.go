package main

import (
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/stele-ml/stele/cmd/stele/jsonv1"
	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/fingerprint"
	"github.com/stele-ml/stele/internal/collection"
	"github.com/stele-ml/stele/internal/ledger"
	"github.com/stele-ml/stele/internal/manifest"
	"github.com/stele-ml/stele/internal/scan"
	"github.com/stele-ml/stele/internal/terminal"
	"github.com/stele-ml/stele/statement"
)

// Data that is kept for a time only loses files on purpose. What was removed by
// whoever may do so is on the ledger: a later version of the same artifact,
// signed, that does not list them any more. verify --removed-by holds what is
// missing against that version; whatever it does not account for is tampering.

// removal is a later version that is said to account for what is missing.
type removal struct {
	entry  uint64
	root   *collection.Node
	rules  []*scan.Rules // of each of its parts
	time   int64
	signer jsonv1.Signer
}

// removalBy finds the version that --removed-by names, and checks that it is one
// to be believed: signed and standing, and a later version of the target.
func (a *app) removalBy(r *reading, what string, target *collection.Node) (*removal, error) {
	const flag = "--removed-by"
	if err := checkWhat(what); err != nil {
		return nil, usagef("%s: %v", flag, err)
	}
	at, err := r.find(what)
	if err != nil {
		return nil, err
	}
	b, err := r.artifactAt(at)
	if err != nil {
		return nil, err
	}
	if b == nil {
		_, st, err := r.Statement(at.entry)
		if err != nil {
			return nil, err
		}
		return nil, usagef("%s %s: entry %d is no stamp but %s", flag, what, at.entry, st.Kind.Noun()).
			withHint("name the first version without the removed files, as NAME@VERSION or by its stamp")
	}
	e, st, err := r.StampAt(*b)
	if err != nil {
		return nil, err
	}
	if err := r.follows(*b, target); err != nil {
		return nil, err
	}
	v, err := a.verdictOfStamp(r, *b)
	if err != nil {
		return nil, err
	}
	if v.Verdict != evidence.Verified {
		f := failf(v.Exit(), "%s, entry %d, is %s and accounts for nothing: %s", b.Ref(), b.Entry, v.Verdict, failedChecks(v))
		return nil, f.withEntry(b.Entry)
	}
	m := &removal{entry: b.Entry, time: e.Time, signer: r.Signer(e)}
	if m.root, err = r.unfold(*b, st.Stamp); err == nil {
		m.rules, err = collection.Rules(m.root.Parts)
	}
	return m, err
}

// leavesOut reports whether the version's own ignore rules leave out a path. It
// then says nothing of that file, not that it is gone.
func (m *removal) leavesOut(path string) bool {
	i, ok := collection.Within(m.root.Parts, path)
	return ok && m.rules[i].HidesWithin(strings.TrimPrefix(path, m.root.Parts[i].Key()), false)
}

// verdictOfStamp verifies a stamp without its data.
func (a *app) verdictOfStamp(r *reading, b ledger.Binding) (*evidence.Verdict, error) {
	claim, further, large, err := r.lineageClaim(b)
	if err != nil {
		return nil, err
	}
	f, err := r.Evidence(claim, nil, further...)
	if err != nil {
		return nil, err
	}
	policy, _, err := a.policyFor(r.Origin())
	if err != nil {
		return nil, err
	}
	v := evidence.Verify(f, policy, evidence.Options{Now: a.now().UnixMilli(), Name: b.Name, Version: b.Version, StampOnly: large != nil})
	withLarge(v, large)
	return v, nil
}

// follows checks that the stamp in an entry is a later version of the target:
// each says since which one, until it is the target. A stamp can refer to
// earlier entries only, so this ends.
//
// Anybody may say that a name of his own follows any other. So each of these
// stamps has to be by one who may write the target's name: nobody else has a
// say in what becomes of it.
func (r *reading) follows(later ledger.Binding, target *collection.Node) error {
	entry := later.Entry
	for b := later; ; {
		at := b.Entry
		e, st, err := r.StampAt(b)
		if err != nil {
			return err
		}
		if err := r.proveIncluded(e); err != nil {
			return err
		}
		if s := r.Standing(e); !s.OK {
			return failf(exitUntrusted, "entry %d, between %s and entry %d, does not stand: %s", at, target.Binding.Ref(), entry, s.Detail).withEntry(at)
		}
		if err := r.maySpeakFor(e, target); err != nil {
			return err
		}
		since := st.Stamp.Since
		if since == nil {
			return failf(exitRefused, "entry %d is no later version of %s: the versions it follows begin with %s", entry, target.Binding.Ref(), st.Subject[0].Name).
				withEntry(entry).withHint("a version says what it follows with `stele stamp --since`")
		}
		if *since == target.Binding.Ref() {
			return nil
		}
		if b, err = r.Bound(since.Name, since.Version); err != nil {
			return err
		}
		if b.Fingerprint != since.Fingerprint || b.Entry >= at {
			return failf(exitTampered, "entry %d follows %s, which entry %d does not stamp", at, since, b.Entry).withEntry(at)
		}
	}
}

// maySpeakFor checks that an entry's signer may write the target's name.
func (r *reading) maySpeakFor(e *evidence.Entry, target *collection.Node) error {
	_, m, ok := r.Control.Roster().Key(e.Envelope.By())
	if ok && slices.ContainsFunc(m.Names, func(pattern string) bool { return statement.MatchName(pattern, target.Binding.Name) }) {
		return nil
	}
	return failf(exitUntrusted, "entry %d accounts for nothing of %s: %s, who signed it, may not write that name", e.Index, target.Binding.Ref(), m.Handle).
		withEntry(e.Index).withHint("ask who may write " + target.Binding.Name + " to stamp what is left, with --since")
}

// retention compares a version with what is here now, and holds what is missing
// or new against a later version.
type retention struct {
	all       bool
	leavesOut func(path string) bool // the later version says nothing of it
	out       *jsonv1.Diff           // what the later version does not account for

	removed, added fingerprint.Summary // what it does: files and bytes
}

func sameFile(a, b *fingerprint.File) bool { return a.Size == b.Size && a.Digest == b.Digest }

// compare walks all three in path order.
func (t *retention) compare(stamped, later, now iter.Seq2[fingerprint.File, error]) error {
	was, err := manifest.NewCursor(stamped)
	if err != nil {
		return err
	}
	defer was.Stop()
	then, err := manifest.NewCursor(later)
	if err != nil {
		return err
	}
	defer then.Stop()
	for f, err := range now {
		if err != nil {
			return err
		}
		for was.More && was.File.Path < f.Path {
			if err := t.missing(was, then); err != nil {
				return err
			}
		}
		if was.More && was.File.Path == f.Path {
			t.here(&was.File, &f)
			if err := was.Advance(); err != nil {
				return err
			}
			continue
		}
		listed, err := then.To(f.Path)
		if err != nil {
			return err
		}
		if listed && sameFile(&then.File, &f) {
			t.added.Files++
			t.added.Bytes += f.Size
			continue
		}
		t.out.Counts.Added++
		t.emit(jsonv1.Change{Path: f.Path, Change: fingerprint.Added, NewSize: &f.Size})
	}
	for was.More {
		if err := t.missing(was, then); err != nil {
			return err
		}
	}
	t.out.Same = len(t.out.Changes) == 0
	return nil
}

// missing deals with a stamped file that is not here, and moves on.
func (t *retention) missing(was, then *manifest.Cursor) error {
	f := was.File
	listed, err := then.To(f.Path)
	if err != nil {
		return err
	}
	if listed || t.leavesOut(f.Path) {
		t.out.Counts.Removed++
		t.emit(jsonv1.Change{Path: f.Path, Change: fingerprint.Removed, OldSize: &f.Size})
	} else {
		t.removed.Files++
		t.removed.Bytes += f.Size
	}
	return was.Advance()
}

// here deals with a stamped file that is here.
func (t *retention) here(was, is *fingerprint.File) {
	if sameFile(was, is) {
		t.out.Counts.Same++
		return
	}
	t.out.Counts.Modified++
	one := func(f fingerprint.File) iter.Seq2[fingerprint.File, error] {
		return func(yield func(fingerprint.File, error) bool) { yield(f, nil) }
	}
	// The comparison of trees knows which ranges differ.
	_, _ = fingerprint.Diff(one(*was), one(*is), func(c fingerprint.Change) error { t.emit(changeJSON(c)); return nil })
}

func (t *retention) emit(c jsonv1.Change) {
	if !t.all && len(t.out.Changes) == changesInJSON {
		t.out.Truncated = true
		return
	}
	t.out.Changes = append(t.out.Changes, c)
}

// text says what the later version accounts for, or nothing.
func (m *removal) text(t *retention) string {
	var parts []string
	if n := t.removed; n.Files > 0 {
		parts = append(parts, fmt.Sprintf("%s, %s removed", terminal.Plural(n.Files, "file"), terminal.Bytes(n.Bytes)))
	}
	if n := t.added; n.Files > 0 {
		parts = append(parts, fmt.Sprintf("%s, %s added", terminal.Plural(n.Files, "file"), terminal.Bytes(n.Bytes)))
	}
	if len(parts) == 0 {
		return ""
	}
	return fmt.Sprintf("%s by entry %d, %s, signed by %s", strings.Join(parts, " and "), m.entry, m.root.Binding.Ref(), m.signer.Handle)
}

// json is text for programs.
func (m *removal) json(t *retention) *jsonv1.Removal {
	b := m.root.Binding
	return &jsonv1.Removal{
		Entry: m.entry, Name: b.Name, Version: b.Version, Time: jsonv1.At(m.time), Signer: m.signer,
		RemovedFiles: t.removed.Files, RemovedBytes: t.removed.Bytes, AddedFiles: t.added.Files, AddedBytes: t.added.Bytes,
	}
}

// contents is what the verdict is told.
func (m *removal) contents(t *retention, s *collection.Node) *evidence.Contents {
	c := &evidence.Contents{
		Fingerprint: s.Binding.Fingerprint, Files: s.Stamp.Files, Bytes: s.Stamp.Bytes, Unread: t.removed.Bytes, How: m.text(t),
	}
	if !t.out.Same {
		counts, _, _ := strings.Cut(countsText(t.out.Counts), " (")
		c.Differs = fmt.Sprintf("%s, which entry %d does not account for", counts, m.entry)
	}
	return c
}
