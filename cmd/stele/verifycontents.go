package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/stele-ml/stele/cmd/stele/jsonv1"
	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/fingerprint"
	"github.com/stele-ml/stele/internal/manifest"
	"github.com/stele-ml/stele/internal/place"
	"github.com/stele-ml/stele/internal/scan"
	"github.com/stele-ml/stele/internal/source"
	"github.com/stele-ml/stele/internal/terminal"
	"github.com/stele-ml/stele/statement"
)

// readContents reads the data as the stamp saw it, once: against the manifest
// where there is one, so that each change is named.
func (a *app) readContents(ctx context.Context, o *verifyOrder, s *subjectOf, out *jsonv1.Verify) (*evidence.Contents, error) {
	if s.parted() {
		return a.readParts(ctx, o, s, out)
	}
	s.search.given, s.search.data = o.manifest, o.data
	m, bad, err := a.findManifest(ctx, s.search)
	if err != nil {
		return nil, err
	}
	if bad != nil {
		a.term.Warnf("changes cannot be named: %v", bad)
	}
	if m != nil {
		defer m.Close()
	}
	opts := o.flags.options(s.fp.Algorithm)
	opts.UseExact, opts.Exact = true, s.stamp.Ignore
	if s.stamp.Listed && !o.data.source.Single() {
		if opts.Only, err = listed(s, m); err != nil {
			return nil, err
		}
	}
	if o.recheck == "version" {
		if opts.Hints, err = a.recheckHints(ctx, s, m, o.data.place); err != nil {
			return nil, err
		}
	}
	r := &contentsReader{o: o, m: m}
	o.watch.Begin(&opts)
	o.known.takeOver(&opts)
	err = r.read(ctx, a, opts)
	if opts.Only != nil && errors.Is(err, fs.ErrNotExist) {
		// Some of the listed files are gone: told with what became of the others.
		if opts.Only, err = source.Present(ctx, o.data.source, opts.Only); err == nil {
			err = r.read(ctx, a, opts)
		}
	}
	if err != nil {
		return nil, err
	}
	result := r.result
	if d := r.diff; d != nil {
		out.Changes, out.Counts, out.Truncated = d.Changes, &d.Counts, d.Truncated
	}
	out.Found, out.Hidden = result.Fingerprint.String(), result.HiddenCount
	b := result.Basis
	out.Basis = &jsonv1.Basis{Read: b.Read, Version: b.Version, ETag: b.ETag, MTime: b.MTime, Entry: b.Entry}
	out.Resumed = b.Resumed
	a.noteHidden(result)
	contents := &evidence.Contents{
		Fingerprint: result.Fingerprint, Files: result.Summary.Files, Bytes: result.Summary.Bytes,
		Unread: b.Version + b.ETag + b.MTime, How: o.known.how(b),
	}
	if from, ok := renamedFrom(s, out, result, r.last); ok {
		out.Changes = []jsonv1.Change{{Path: r.last.Path, Change: fingerprint.Renamed, From: from}}
		out.Counts = &jsonv1.Counts{Renamed: 1}
		contents.Fingerprint = s.fp
		a.term.Notef("%s was stamped as %s: renamed, and the same bytes", r.last.Path, from)
	}
	return contents, nil
}

// contentsReader is one reading of data against a manifest.
type contentsReader struct {
	o *verifyOrder
	m *manifest.Found // nil: none

	result scan.Result
	diff   *jsonv1.Diff // nil without a manifest
	last   fingerprint.File
}

func (r *contentsReader) read(ctx context.Context, a *app, opts scan.Options) error {
	files := func(yield func(fingerprint.File, error) bool) {
		for f, err := range a.scanning(ctx, r.o.data, opts, &r.result) {
			r.last = f
			if !yield(f, err) {
				return
			}
		}
	}
	if r.m == nil {
		for _, err := range files {
			if err != nil {
				return err
			}
		}
		return nil
	}
	old, err := r.m.Open()
	if err != nil {
		return err
	}
	defer old.Close()
	r.diff, err = compare(r.o.name, r.o.path, old.All(), files, r.o.all)
	return err
}

// howTaken says by what the bytes were known that were not read.
func howTaken(b scan.Basis) string {
	var by []string
	for _, t := range []struct {
		bytes uint64
		by    string
	}{{b.Version, "object version"}, {b.ETag, "ETag"}, {b.MTime, "size, times and inode"}} {
		if t.bytes > 0 {
			by = append(by, fmt.Sprintf("%s by the same %s", terminal.Bytes(t.bytes), t.by))
		}
	}
	if len(by) == 0 {
		return ""
	}
	text := strings.Join(by, ", ")
	if b.Entry != nil {
		text += fmt.Sprintf(", last read for entry %d, or later", *b.Entry)
	}
	return text
}

// listed is which files a stamp covers that was made from a list: those of its
// manifest.
func listed(s *subjectOf, m *manifest.Found) ([]string, error) {
	if m == nil {
		return nil, failf(exitNotFound, "%s was stamped from a list of files, and its manifest, which has the list, is nowhere to be found", s.search.what).
			withHint("give it with --manifest, a path or a URL")
	}
	return m.Paths()
}

// renamedFrom finds the name under which a single file was stamped, if it is
// the stamped file under another name: a file's name is where somebody put it,
// so that is said and is no failure. The old name comes from the manifest or
// the evidence, whoever wrote it there, and counts because with it the
// fingerprint is the stamp's.
func renamedFrom(s *subjectOf, out *jsonv1.Verify, result scan.Result, file fingerprint.File) (from string, ok bool) {
	if !result.Single || s.stamp.Files != 1 || result.Fingerprint == s.fp {
		return "", false
	}
	names := namesInEvidence(s)
	for _, c := range out.Changes {
		names = append(names, c.From)
	}
	s.nameless = len(names) == 0 && result.Summary.Bytes == s.stamp.Bytes
	for _, name := range names {
		tree := fingerprint.NewTree(s.fp.Algorithm)
		file.Path = name
		if tree.Add(file) != nil {
			continue
		}
		if summary, err := tree.Summary(); err == nil && summary.Fingerprint(s.fp.Algorithm) == s.fp {
			return name, true
		}
	}
	return "", false
}

// namesInEvidence are the names that the evidence knows a single file by: those
// of path proofs, and of the places in its stamp's details.
func namesInEvidence(s *subjectOf) (names []string) {
	for _, c := range s.file.Claim.Paths {
		if c.Of == "" && c.Present {
			names = append(names, c.Path)
		}
	}
	for _, at := range s.file.Attachments {
		if s.stamp.Details == nil || at.SHA256 != s.stamp.Details.SHA256 {
			continue
		}
		d, err := statement.ParseDetails(at.Data)
		if err != nil {
			continue
		}
		for _, location := range d.Locations {
			if p, err := place.Parse(location); err == nil {
				names = append(names, p.Base())
			}
		}
	}
	return names
}
