package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/stele-ml/stele/cmd/stele/jsonv1"
	"github.com/stele-ml/stele/fingerprint"
	"github.com/stele-ml/stele/internal/collection"
	"github.com/stele-ml/stele/internal/manifest"
	"github.com/stele-ml/stele/internal/scan"
	"github.com/stele-ml/stele/internal/source"
	"github.com/stele-ml/stele/internal/terminal"
	"github.com/stele-ml/stele/statement"
)

// Limits of what is shown of a comparison, unless --all.
const (
	changesInJSON = 1000
	changesShown  = 20
)

func (a *app) diffCommand() *cobra.Command {
	var flags scanFlags
	var all, exitCode bool
	var hash string
	c := &cobra.Command{
		Use:   "diff A B",
		Short: "Show what changed between two versions, places or manifests",
		Long: `A and B are each NAME@VERSION of a stamp whose manifest can be found, a path (./
forces one), a URL (s3://, gs://, azblob://), or a manifest. Where one side is a
stamp, a place on the other side is read with the stamp's ignore rules.`,
		Example: `  stele diff clinic/wdbc@2026-11-01 clinic/wdbc@2026-11-02
  stele diff clinic/wdbc@2026-11-01 ./training
  stele diff s3://clinic/wdbc gs://clinic-copy/wdbc`,
		Args: cobra.ExactArgs(2),
		RunE: func(c *cobra.Command, args []string) error {
			algorithm, err := fingerprint.ParseAlgorithm(hash)
			if err != nil {
				return usagef("--hash: %v", err)
			}
			var d *jsonv1.Diff
			err = a.withSides(c.Context(), args[0], args[1], &flags, func(left, right *side) error {
				d, err = a.diff(c.Context(), left, right, flags.options(algorithm), all)
				return err
			})
			if err != nil {
				return err
			}
			if a.json {
				a.printJSON(d)
			} else {
				a.printDiff(d, all)
			}
			if exitCode && !d.Same {
				return verdictError{exitTampered}
			}
			return nil
		},
	}
	flags.register(c, true)
	c.Flags().BoolVar(&all, "all", false, "show every change")
	c.Flags().BoolVar(&exitCode, "exit-code", false, "end with status 3 where the two differ")
	c.Flags().StringVar(&hash, "hash", "sha256", "for two folders: sha256 or blake3")
	return c
}

// side is one side of a comparison.
type side struct {
	name     string
	manifest *manifest.File   // a stamp's manifest, or a file
	stamp    *statement.Stamp // where it is a stamp
	list     []string         // of a stamp of a list: its files
	data     *data            // a place to read
	root     *collection.Node // a collection, with the manifests of its members
	known    *manifests
}

// end closes a side. err is how the command went, and is returned.
func (s *side) end(err error) error {
	if s.manifest != nil {
		s.manifest.Close()
	}
	if s.known != nil {
		s.known.close()
	}
	if s.data != nil {
		err = s.data.end(err)
	}
	return err
}

// withSides opens both sides of a comparison before anything is read.
func (a *app) withSides(ctx context.Context, left, right string, flags *scanFlags, fn func(left, right *side) error) error {
	if flags.filesFrom != "" {
		return usagef("--files-from: a list says what a stamp or a fingerprint covers; diff takes what is there")
	}
	l, err := a.side(ctx, left, flags)
	if err != nil {
		return err
	}
	r, err := a.side(ctx, right, flags)
	if err != nil {
		return l.end(err)
	}
	return l.end(r.end(fn(l, r)))
}

func (a *app) diff(ctx context.Context, left, right *side, opts scan.Options, all bool) (*jsonv1.Diff, error) {
	// A folder is read as the other side was: its hash, and a stamp's rules.
	for _, s := range []*side{left, right} {
		if s.manifest != nil {
			opts.Algorithm = s.manifest.Algorithm()
		}
		if s.root != nil {
			opts.Algorithm = s.root.Binding.Fingerprint.Algorithm
		}
		if s.stamp != nil {
			opts.UseExact, opts.Exact = true, s.stamp.Ignore
		}
	}
	if m, n := left.manifest, right.manifest; m != nil && n != nil && m.Algorithm() != n.Algorithm() {
		return nil, usagef("%s was made with %v and %s with %v: their digests cannot be compared", left.name, m.Algorithm(), right.name, n.Algorithm())
	}
	if left.root != nil && right.root != nil {
		return compareParts(ctx, left.root, right.root, left.known.open, all)
	}
	for _, s := range [][2]*side{{left, right}, {right, left}} {
		if list, d := s[0].list, s[1].data; list != nil && d != nil && !d.source.Single() {
			var err error
			if opts.Only, err = source.Present(ctx, d.source, list); err != nil {
				return nil, err
			}
			a.term.Notef("%s is of a list: only its files are compared", s[0].name)
		}
	}
	if err := errors.Join(left.beside(right), right.beside(left)); err != nil {
		return nil, err
	}
	return compare(left.name, right.name, a.files(ctx, left, opts), a.files(ctx, right, opts), all)
}

// side finds out what an argument names: a stamp, a manifest, a place.
func (a *app) side(ctx context.Context, arg string, flags *scanFlags) (*side, error) {
	s := &side{name: arg}
	if name, version, err := statement.ParseNameVersion(arg); err == nil && !isPath(arg) {
		err := a.read(ctx, func(r *reading) error {
			b, st, err := r.boundBy(name, version)
			if err != nil {
				return err
			}
			s.stamp = st.Stamp
			if len(st.Stamp.Members) > 0 {
				return a.collectionSide(ctx, r, b, s, flags)
			}
			s.manifest, s.list, err = a.manifestOfStamp(ctx, r, st, flags.reach())
			return err
		})
		return s, err
	}
	p, err := parsePlace(arg)
	if err != nil {
		return s, err
	}
	if p.Remote() && strings.HasSuffix(arg, ".manifest") {
		s.manifest, err = fetchManifest(ctx, p, flags.reach())
		return s, err
	}
	if !p.Remote() {
		if whole, _ := manifest.Is(arg); whole {
			s.manifest, err = manifest.Open(arg, fingerprint.Fingerprint{})
			return s, err
		}
	}
	s.data, err = a.openData(ctx, "read", arg, flags)
	return s, err
}

// isPath reports whether an argument that could be NAME@VERSION is meant as a
// path: ./ or / forces one, and so does a file of that name.
func isPath(arg string) bool {
	if strings.HasPrefix(arg, ".") || strings.HasPrefix(arg, "/") || strings.HasPrefix(arg, "~") || strings.Contains(arg, `\`) || strings.Contains(arg, "://") {
		return true
	}
	_, err := os.Lstat(arg)
	return err == nil
}

// files goes through one side's files in path order.
func (a *app) files(ctx context.Context, s *side, opts scan.Options) iter.Seq2[fingerprint.File, error] {
	if s.root != nil {
		return collection.Files(s.root.Parts, s.known.open)
	}
	if s.manifest != nil {
		return s.manifest.All()
	}
	return a.scanning(ctx, s.data, opts, nil)
}

// compare lists the differences between two trees, the first of them unless
// all are asked for; the counts are of all.
func compare(a, b string, old, now iter.Seq2[fingerprint.File, error], all bool) (*jsonv1.Diff, error) {
	d := &jsonv1.Diff{A: a, B: b, Changes: []jsonv1.Change{}}
	counts, err := fingerprint.Diff(old, now, func(c fingerprint.Change) error {
		if !all && len(d.Changes) == changesInJSON {
			d.Truncated = true
			return nil
		}
		d.Changes = append(d.Changes, changeJSON(c))
		return nil
	})
	var unreadable *source.Error
	if errors.As(err, &unreadable) {
		return nil, unreadable // the data, not the comparison
	}
	var unusable *manifest.Error
	if errors.As(err, &unusable) {
		return nil, unusable
	}
	var known *failure
	if errors.As(err, &known) {
		return nil, known
	}
	if err != nil {
		return nil, err
	}
	d.Counts = countsJSON(counts)
	d.Same = counts.Equal()
	return d, nil
}

func changeJSON(c fingerprint.Change) jsonv1.Change {
	out := jsonv1.Change{Path: c.Path, Change: c.Change, From: c.From}
	if c.Change != "added" {
		out.OldSize = &c.OldSize
	}
	if c.Change != "removed" {
		out.NewSize = &c.NewSize
	}
	for _, r := range c.Ranges {
		out.Ranges = append(out.Ranges, jsonv1.Range{Start: r.Start, End: r.End})
	}
	return out
}

func countsJSON(c fingerprint.Counts) jsonv1.Counts {
	return jsonv1.Counts{Same: c.Same, Modified: c.Modified, Added: c.Added, Removed: c.Removed, Moved: c.Moved, Renamed: c.Renamed}
}

// printDiff writes a comparison for a person: counts first, then as many changes
// as a person reads, or all.
func (a *app) printDiff(d *jsonv1.Diff, all bool) {
	if d.Same && len(d.Changes) == 0 {
		a.term.Printf("%s and %s are the same: %s\n", d.A, d.B, terminal.Plural(d.Counts.Same, "file"))
		return
	}
	a.term.Printf("from %s to %s: %s\n", d.A, d.B, countsText(d.Counts))
	a.printChanges(d.Changes, d.Counts, all)
}

func countsText(c jsonv1.Counts) string {
	var parts []string
	for _, p := range []struct {
		n    uint64
		word string
	}{{c.Modified, "modified"}, {c.Added, "added"}, {c.Removed, "removed"}, {c.Moved, "moved"}, {c.Renamed, "renamed"}} {
		if p.n > 0 {
			parts = append(parts, terminal.Count(p.n)+" "+p.word)
		}
	}
	if len(parts) == 0 {
		parts = []string{"no change"}
	}
	return strings.Join(parts, ", ") + " (" + terminal.Count(c.Same) + " the same)"
}

// printChanges lists changes, as many as a person reads.
func (a *app) printChanges(changes []jsonv1.Change, counts jsonv1.Counts, all bool) {
	total := counts.Modified + counts.Added + counts.Removed + counts.Moved + counts.Renamed + counts.Resized
	shown := changes
	if !all && len(shown) > changesShown {
		shown = shown[:changesShown]
	}
	var rows [][]terminal.Cell
	for _, c := range shown {
		style := map[string]terminal.Style{"modified": terminal.Caution, "resized": terminal.Caution, "added": terminal.Good, "removed": terminal.Bad}[c.Change]
		rows = append(rows, []terminal.Cell{{Text: c.Change, Style: style}, {Text: c.Path}, {Text: changeDetail(c), Style: terminal.Dim}})
	}
	a.term.Table([]terminal.Column{{Title: "CHANGE"}, {Title: "PATH", Trim: terminal.TrimPath}, {Title: "WHAT", Trim: terminal.TrimEnd}}, rows)
	if rest := total - uint64(len(shown)); rest > 0 {
		a.term.Notef("… and %s more; --all shows them", terminal.Count(rest))
	}
}

// changeDetail says what of a file changed.
func changeDetail(c jsonv1.Change) string {
	switch {
	case c.From != "":
		return "was " + c.From
	case c.Change == "added" && c.NewSize != nil:
		return terminal.Bytes(*c.NewSize)
	case c.Change == "removed" && c.OldSize != nil:
		return terminal.Bytes(*c.OldSize)
	}
	var parts []string
	if c.OldSize != nil && c.NewSize != nil && *c.OldSize != *c.NewSize {
		was, is := terminal.Bytes(*c.OldSize), terminal.Bytes(*c.NewSize)
		if was == is { // too large for the difference to be seen
			was, is = terminal.Count(*c.OldSize), terminal.Count(*c.NewSize)+" bytes"
		}
		parts = append(parts, was+" became "+is)
	}
	for i, r := range c.Ranges {
		if c.NewSize != nil && r.Start == 0 && r.End >= *c.NewSize && *c.NewSize <= fingerprint.ChunkSize {
			if len(parts) == 0 {
				parts = append(parts, terminal.Bytes(*c.NewSize))
			}
			return parts[0] // one chunk: no finer place is known
		}
		if i == 3 {
			parts = append(parts, fmt.Sprintf("and %d more ranges", len(c.Ranges)-i))
			break
		}
		parts = append(parts, fmt.Sprintf("bytes %s to %s", terminal.Count(r.Start), terminal.Count(r.End)))
	}
	return strings.Join(parts, ", ")
}
