package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/stele-ml/stele/fingerprint"
	"github.com/stele-ml/stele/internal/manifest"
	"github.com/stele-ml/stele/internal/place"
	"github.com/stele-ml/stele/internal/shard"
	"github.com/stele-ml/stele/internal/source"
	"github.com/stele-ml/stele/internal/terminal"
	"github.com/stele-ml/stele/statement"
)

// shardMagic is how a part of a sharded scan begins (docs/formats/shard.md).
const shardMagic = "stele shard v1\n"

func (a *app) manifestMerge() *cobra.Command {
	var out string
	var reach place.Options
	c := &cobra.Command{
		Use:   "merge PART… -o FILE",
		Short: "Join the parts of a sharded scan, or manifests that do not overlap",
		Long: `Each PART is what one worker of a sharded scan wrote, with stele fingerprint
--shard; or a folder of such parts, in a bucket too, with a / at its end.
Joined, they are the manifest that one scan would have given. Parts that are
missing, given twice, or of another listing or other rules are refused.

Plain manifests are joined where no path stands in two of them.`,
		Example: "  stele manifest merge s3://lab/parts/ -o events.manifest\n  stele manifest merge 1-of-2 2-of-2 -o events.manifest",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if out == "" {
				return usagef("merge needs -o FILE")
			}
			return a.merge(c.Context(), args, reach, out)
		},
	}
	c.Flags().StringVarP(&out, "output", "o", "", "the `file` to write")
	c.Flags().BoolVar(&reach.Anonymous, "anonymous", false, "read a public bucket without credentials")
	return c
}

func (a *app) merge(ctx context.Context, args []string, reach place.Options, out string) error {
	m := &merging{ctx: ctx, reach: reach}
	defer m.close()
	for _, arg := range args {
		if err := a.addParts(m, arg); err != nil {
			return err
		}
	}
	if err := m.spared(out); err != nil {
		return err
	}
	files, algorithm, plain, err := m.files()
	if err != nil {
		return err
	}
	var summary fingerprint.Summary
	err = writeWhole(out, func(f *os.File) error {
		w := fingerprint.NewWriter(f, algorithm, fingerprint.WriterOptions{PlainSHA256: plain})
		for f, err := range files {
			if err == nil {
				err = ctx.Err()
			}
			if err == nil {
				err = w.Add(f)
			}
			if err != nil {
				return err
			}
		}
		var err error
		summary, err = w.Close()
		return err
	})
	if err != nil {
		return err
	}
	if n := len(m.shards); n > 0 {
		a.term.Notef("joined %s", terminal.Plural(uint64(n), "shard"))
	}
	return a.printManifest(out, summary.Fingerprint(algorithm), summary)
}

// merging is what is to be joined: parts of a sharded scan, or manifests.
type merging struct {
	ctx       context.Context
	reach     place.Options
	manifests []*manifest.File
	shards    []*shard.Reader
	names     []string // of shards
	open      []io.Closer
	local     []string // paths of what lies on this machine
}

// spared refuses to write over a part: it may be a worker's only one.
func (m *merging) spared(out string) error {
	there, err := os.Stat(out)
	if err != nil {
		return nil // nothing to be written over
	}
	for _, path := range m.local {
		if part, err := os.Stat(path); err == nil && os.SameFile(part, there) {
			return usagef("-o %s is one of the parts, and would be written over", out)
		}
	}
	return nil
}

func (m *merging) close() {
	for _, c := range m.open {
		c.Close()
	}
}

// passedShown is how many files of a folder are named that are no parts.
const passedShown = 5

// addParts opens what an argument names: a part, a manifest, a stamp's manifest,
// or all parts in a folder.
func (a *app) addParts(m *merging, arg string) error {
	if _, _, err := statement.ParseNameVersion(arg); err == nil && !isPath(arg) {
		f, err := a.openManifest(m.ctx, arg)
		if err == nil {
			m.manifests, m.open = append(m.manifests, f), append(m.open, f)
		}
		return err
	}
	p, err := parsePlace(arg)
	if err != nil {
		return err
	}
	if !strings.HasSuffix(arg, "/") {
		known, err := m.add(p)
		if err == nil && !known {
			err = failf(exitError, "%s is neither a manifest nor a part of a sharded scan: it does not begin as one", p).withPath(p.String())
		}
		return err
	}
	list, err := m.list(p)
	if err != nil {
		return err
	}
	found, passed := 0, 0
	for _, rel := range list {
		before := len(m.shards)
		known, err := m.add(p.Join(rel))
		if err != nil {
			return err
		}
		if known && len(m.shards) == before {
			return failf(exitError, "%s is a manifest: of a folder, only parts of a sharded scan are taken", p.Join(rel)).withPath(p.Join(rel).String())
		}
		if !known {
			if passed++; passed <= passedShown {
				a.term.Notef("passed over: %s", source.Show(rel))
			}
			continue
		}
		found++
	}
	if passed > passedShown {
		a.term.Notef("… and %s more", terminal.Plural(uint64(passed-passedShown), "file"))
	}
	if found == 0 {
		return failf(exitNotFound, "%s holds no part of a sharded scan", p).withPath(p.String()).
			withHint("`stele fingerprint PLACE --shard 1/16 --manifest-to " + arg + "1-of-16` writes one")
	}
	return nil
}

// list finds the files of a folder. Names that begin with a dot are passed over:
// what is still being written has such a name.
func (m *merging) list(p place.Place) (list []string, err error) {
	src, err := p.Open(m.ctx, m.reach)
	if err != nil {
		return nil, notThere(p, err)
	}
	defer src.Close()
	err = src.List(m.ctx, nil, func(o source.Object) error {
		if !strings.HasPrefix(path.Base(o.Path), ".") {
			list = append(list, o.Path)
		}
		if len(list) > shard.MaxCount {
			return failf(exitError, "%s holds more than %d files: that is no folder of parts", p, shard.MaxCount).withPath(p.String())
		}
		return nil
	})
	return list, err
}

// add opens one file; known is false where it is neither part nor manifest.
func (m *merging) add(p place.Place) (known bool, err error) {
	if !p.Remote() {
		if info, err := os.Stat(p.Path()); err == nil && info.IsDir() {
			return false, usagef("%s is a folder", p).withHint("with a / at its end, all parts in it are taken")
		}
	}
	r, _, err := p.Read(m.ctx, m.reach, math.MaxInt64)
	if err != nil {
		return false, notThere(p, err)
	}
	m.open = append(m.open, r)
	if !p.Remote() {
		m.local = append(m.local, p.Path())
	}
	buffer := bufio.NewReaderSize(r, 256<<10)
	head, err := buffer.Peek(len(manifest.Magic))
	if err != nil && !errors.Is(err, io.EOF) {
		return false, err
	}
	switch {
	case strings.HasPrefix(string(head), shardMagic):
		s, err := shard.NewReader(buffer)
		if err != nil {
			return true, damagedPart(p.String(), err)
		}
		m.shards, m.names = append(m.shards, s), append(m.names, p.String())
	case string(head) == manifest.Magic:
		f, err := manifest.New(p.String(), buffer, r, fingerprint.Fingerprint{})
		if err != nil {
			return true, err
		}
		m.manifests = append(m.manifests, f)
	default:
		return false, nil
	}
	return true, nil
}

// damagedPart tells a damaged part from what cannot be read.
func damagedPart(name string, err error) error {
	if errors.Is(err, fingerprint.ErrMismatch) || errors.Is(err, fingerprint.ErrFormat) || errors.Is(err, fingerprint.ErrTruncated) || errors.Is(err, fingerprint.ErrOrder) {
		return failf(exitTampered, "%s: %w", name, err).withPath(name).withHint("it was altered or cut short; have that worker write it again")
	}
	return failf(statusOf(err), "%s: %w", name, err).withPath(name)
}

// files joins what was opened.
func (m *merging) files() (files iter.Seq2[fingerprint.File, error], a fingerprint.Algorithm, plain bool, err error) {
	switch {
	case len(m.shards) > 0 && len(m.manifests) > 0:
		return nil, 0, false, usagef("%s is a part of a sharded scan and %s is a manifest: one or the other is joined", m.names[0], m.manifests[0].Name)
	case len(m.shards) > 0:
		first := m.shards[0].Manifest
		return m.joined(), first.Algorithm(), first.PlainSHA256(), m.checkShards()
	}
	plain = true
	for _, p := range m.manifests {
		if p.Algorithm() != m.manifests[0].Algorithm() {
			return nil, 0, false, usagef("%s is a %v manifest and %s a %v one", p.Name, p.Algorithm(), m.manifests[0].Name, m.manifests[0].Algorithm())
		}
		plain = plain && p.PlainSHA256()
	}
	return manifest.Join(m.manifests), m.manifests[0].Algorithm(), plain, nil
}

// checkShards says by their files' names which parts do not belong together.
func (m *merging) checkShards() error {
	have := map[uint32]string{}
	for i, s := range m.shards {
		if other, ok := have[s.Index]; ok && s.Count == m.shards[0].Count {
			return failf(exitError, "shard %v is there twice: %s and %s", s.Part, other, m.names[i]).withPath(m.names[i])
		}
		have[s.Index] = m.names[i]
		first := m.shards[0]
		why := ""
		switch {
		case s.Count != first.Count:
			why = fmt.Sprintf("one is a part of %d, the other of %d", first.Count, s.Count)
		case s.Listing != first.Listing:
			why = fmt.Sprintf("they did not list the same files (%s and %s): something came or went between them",
				terminal.Count(first.Listing.Files), terminal.Count(s.Listing.Files))
		case !slices.Equal(s.Rules, first.Rules) || s.Listed != first.Listed:
			why = "they had other ignore rules"
		}
		if why != "" {
			return failf(exitError, "%s (shard %v) and %s (shard %v) do not belong together: %s", m.names[0], first.Part, m.names[i], s.Part, why).
				withPath(m.names[i]).withHint("have all workers scan again with the same options, while nothing is written to the data")
		}
	}
	if err := shard.CheckParts(m.shards); err != nil {
		return failf(exitError, "%w", err).withHint("have that worker write its part, and merge again")
	}
	return nil
}

// joined goes through the files of all shards.
func (m *merging) joined() iter.Seq2[fingerprint.File, error] {
	return func(yield func(fingerprint.File, error) bool) {
		for f, err := range shard.Merge(m.shards) {
			if err != nil {
				err = m.explain(err)
			}
			if !yield(f, err) {
				return
			}
		}
	}
}

// explain tells a damaged part from parts that do not fit.
func (m *merging) explain(err error) error {
	if errors.Is(err, shard.ErrParts) {
		return failf(exitError, "%w", err)
	}
	return damagedPart("the parts", err)
}
