package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/stele-ml/stele/fingerprint"
	"github.com/stele-ml/stele/internal/account"
	"github.com/stele-ml/stele/internal/report"
	"github.com/stele-ml/stele/internal/terminal"
	"github.com/stele-ml/stele/lineage"
	"github.com/stele-ml/stele/statement"
)

// A fingerprint stands for all files of an artifact: one that lies in two
// artifacts can be seen only in their manifests, which are no part of the ledger.
// Without them these checks are not made.

const (
	// smallFile is the size in bytes below which a file that is the same says
	// nothing: an empty one, a header, a licence's name.
	smallFile = 64

	// maxUnasked is how many files a gate looks through that nobody asked to, and
	// maxUnaskedArtifacts in how many manifests.
	maxUnasked          = 200_000
	maxUnaskedArtifacts = 100

	// maxCompared is how many files are held in memory to be compared with, at
	// some 60 bytes each: those of the smaller side. More are not compared.
	maxCompared = 4_000_000
)

// filesOfMany are digests of files of many artifacts, each with whose it is.
type filesOfMany struct {
	of     []statement.Ref
	at     map[fileKey]int32 // into of
	skip   uint64            // files below smallFile
	absent []statement.Ref   // whose manifest is nowhere
	tooBig bool
}

// fileKey is a file by its contents: a digest means something only together with
// the size.
type fileKey struct {
	size   uint64
	digest fingerprint.Digest
}

// shared is a file that is in two artifacts.
type shared struct {
	of, other statement.Ref
	path      string // in the first
}

// manifestsAtHand opens manifests that lie beside the ledger or were given.
type manifestsAtHand struct {
	shelf shelf
	given map[fingerprint.Fingerprint]*foundManifest
}

func (g *gated) manifestsAtHand(ctx context.Context, dir string) (*manifestsAtHand, error) {
	s, err := g.a.shelfOf(ctx, dir)
	if err != nil {
		return nil, err
	}
	m := &manifestsAtHand{shelf: s, given: map[fingerprint.Fingerprint]*foundManifest{}}
	for _, text := range g.o.manifests {
		found, _, err := manifestAt(ctx, text, g.o.flags.reach())
		if err != nil {
			m.close()
			return nil, err
		}
		if m.given[found.fp] != nil {
			found.close()
			continue
		}
		m.given[found.fp] = found
	}
	return m, nil
}

func (m *manifestsAtHand) close() {
	for _, found := range m.given {
		found.close()
	}
}

// each goes through the files of an artifact, to the end of its manifest: only
// then is it known to be the right one. ErrNotExist: there is none.
func (m *manifestsAtHand) each(ctx context.Context, fp fingerprint.Fingerprint, do func(fingerprint.File)) error {
	found := m.given[fp]
	if found == nil {
		path := m.shelf.ManifestPath(fp)
		found = &foundManifest{name: path, path: path, fp: fp}
	}
	f, err := found.open()
	if err != nil {
		return err
	}
	defer f.Close()
	n := 0
	for file, err := range f.All() {
		if err != nil {
			return f.explain(err)
		}
		if n++; n%(1<<16) == 0 && ctx.Err() != nil {
			return context.Cause(ctx)
		}
		do(file)
	}
	return nil
}

// has reports whether there is a manifest.
func (m *manifestsAtHand) has(fp fingerprint.Fingerprint) bool {
	return m.given[fp] != nil || exists(m.shelf.ManifestPath(fp)) == nil
}

// gather takes the files of artifacts into memory.
func (m *manifestsAtHand) gather(ctx context.Context, refs []statement.Ref) (*filesOfMany, error) {
	all := &filesOfMany{at: map[fileKey]int32{}}
	for _, ref := range refs {
		all.of = append(all.of, ref)
		err := m.each(ctx, ref.Fingerprint, func(f fingerprint.File) {
			switch key := (fileKey{f.Size, f.Digest}); {
			case f.Size < smallFile:
				all.skip++
			case len(all.at) >= maxCompared:
				all.tooBig = true
			default:
				if _, ok := all.at[key]; !ok {
					all.at[key] = int32(len(all.of) - 1)
				}
			}
		})
		if errors.Is(err, fs.ErrNotExist) {
			all.absent = append(all.absent, ref)
			continue
		}
		if err != nil {
			return nil, err
		}
	}
	return all, nil
}

// compare finds files of artifacts among others: the first of each pair, and how
// many there are.
func (m *manifestsAtHand) compare(ctx context.Context, refs []statement.Ref, with *filesOfMany) (found []shared, n uint64, absent []statement.Ref, err error) {
	const most = 8
	for _, ref := range refs {
		err := m.each(ctx, ref.Fingerprint, func(f fingerprint.File) {
			i, ok := with.at[fileKey{f.Size, f.Digest}]
			if !ok {
				return
			}
			if n++; len(found) < most {
				found = append(found, shared{ref, with.of[i], f.Path})
			}
		})
		if errors.Is(err, fs.ErrNotExist) {
			absent = append(absent, ref)
			continue
		}
		if err != nil {
			return nil, 0, nil, err
		}
	}
	return found, n, absent, nil
}

// checkFiles makes the checks that compare files.
func (g *gated) checkFiles(ctx context.Context, dir string, c *account.Account) error {
	m, err := g.manifestsAtHand(ctx, dir)
	if err != nil {
		return err
	}
	defer m.close()
	if err := g.checkSeparate(ctx, m, c); err != nil {
		return err
	}
	return g.checkWithdrawnFiles(ctx, m)
}

// comparison is one check that compares files of two groups of artifacts.
type comparison struct {
	name        string // that --require has for it
	left, right []statement.Ref
	nothing     string // why there is nothing to compare: then it passes, or is not made
	passes      bool
	is          string // what it is to share a file
	hint        string // what to do then
	check       report.Check
}

// checkSeparate: what the artifact was evaluated on is not in what it was trained
// on.
func (g *gated) checkSeparate(ctx context.Context, m *manifestsAtHand, c *account.Account) error {
	var measured []statement.Ref
	for _, s := range c.Evaluations {
		if g.r.Standing(s.Entry).OK {
			measured = append(measured, s.Statement.Evaluation.Datasets...)
		}
	}
	var err error
	if measured, err = g.parts(measured); err != nil {
		return err
	}
	trained, err := g.parts(g.trainedOn())
	if err != nil {
		return err
	}
	x := comparison{
		name: gateSeparateFiles, left: trained, right: measured, is: "both trained and evaluated on", hint: "evaluate it on data that no model in its lineage was trained on",
		check: report.Check{
			ID: "files/separate", Group: "files", Title: "separate files",
			Help: "No file that the artifact was evaluated on is among the files that it, or a model it was made of, was made of: by the digests in their manifests. What a data set was cut from does not count.",
		},
	}
	switch {
	case len(measured) == 0:
		x.nothing = "nobody whose word counts recorded on what it was evaluated"
	case len(trained) == 0:
		x.nothing = "nothing is recorded that it was made of"
	}
	return g.compareFiles(ctx, m, &x)
}

// trainedOn is what the artifact was made of directly, and every model behind it.
// What a data set was cut from has both parts, and does not count. Kinds are the
// word of whoever stamps: what is no data set is a step on the way, whatever it is
// called, and every input counts.
func (g *gated) trainedOn() (list []statement.Ref) {
	queue := []*lineage.Node{g.graph.Root}
	for _, n := range g.graph.Nodes {
		if n.Stamp.Kind == statement.ArtifactModel {
			queue = append(queue, n)
		}
	}
	seen := map[*lineage.Node]bool{}
	for ; len(queue) > 0; queue = queue[1:] {
		if seen[queue[0]] {
			continue
		}
		seen[queue[0]] = true
		for _, o := range queue[0].Origins {
			if !o.Counts {
				continue
			}
			list = append(list, o.Inputs...)
			for _, ref := range o.Inputs {
				if n := g.graph.Node(ref); n != nil && n.Stamp.Kind != statement.ArtifactDataset {
					queue = append(queue, n)
				}
			}
		}
	}
	return list
}

// checkWithdrawnFiles: no file of the artifact, or of what it was made of, lies in
// contents that are withdrawn. Taint follows fingerprints, which one changed byte
// evades; this does not see a changed file either, but the others.
func (g *gated) checkWithdrawnFiles(ctx context.Context, m *manifestsAtHand) error {
	x := comparison{
		name: gateWithdrawnFiles, is: "in withdrawn contents", hint: "take the withdrawn files out and make it again, or have the withdrawal ended: `stele reinstate`",
		check: report.Check{
			ID: "files/not-withdrawn", Group: "files", Title: "withdrawn files",
			Help: "No file of the artifact, or of anything it was made of, is also a file of contents that were withdrawn: by the digests in their manifests. Taint follows whole fingerprints alone.",
		},
	}
	withdrawn := map[fingerprint.Fingerprint]bool{}
	for _, w := range g.r.Control.AllWithdrawals() {
		if w.Stands() && w.Target == statement.TargetContents && !withdrawn[w.Ref.Fingerprint] {
			withdrawn[w.Ref.Fingerprint] = true
			x.right = append(x.right, w.Ref)
		}
	}
	if len(x.right) == 0 {
		x.nothing, x.passes = "no contents are withdrawn on this ledger", true
		return g.compareFiles(ctx, m, &x)
	}
	var err error
	if x.right, err = g.parts(x.right); err != nil {
		return err
	}
	for _, n := range g.graph.Nodes {
		if len(n.Stamp.Members) == 0 && !withdrawn[n.Ref.Fingerprint] { // that one is tainted anyway, and told with the way
			x.left = append(x.left, n.Ref)
		}
	}
	return g.compareFiles(ctx, m, &x)
}

// parts are artifacts each once, collections by their members.
func (g *gated) parts(refs []statement.Ref) ([]statement.Ref, error) {
	var list []statement.Ref
	seen := map[statement.Ref]bool{}
	for queue := slices.Clone(refs); len(queue) > 0; queue = queue[1:] {
		ref := queue[0]
		if seen[ref] || len(seen) >= lineage.MaxWalk {
			continue
		}
		seen[ref] = true
		a, err := g.made.Artifact(ref.Name, ref.Version)
		if err != nil {
			return nil, err
		}
		for _, m := range a.Stamp.Members {
			queue = append(queue, m.Ref)
		}
		if len(a.Stamp.Members) == 0 {
			list = append(list, ref)
		}
	}
	slices.SortFunc(list, func(a, b statement.Ref) int { return cmp.Compare(a.String(), b.String()) })
	return list, nil
}

// compareFiles makes a comparison as far as there are manifests, and says what
// came of it: a failure where somebody asked for it, else a warning.
func (g *gated) compareFiles(ctx context.Context, m *manifestsAtHand, x *comparison) error {
	check := &x.check
	defer func() { g.add(g.statusFor(check, exitRefused), *check) }()
	asked := slices.Contains(g.o.required, x.name) || g.demand[x.name] != ""
	hint := "manifests lie beside the ledger where the data was stamped; give others with --manifest FILE"
	if x.nothing != "" {
		check.Outcome, check.Message = report.NotMade, x.nothing
		if x.passes {
			check.Outcome = report.Passed
		}
		g.demanded(x.name, check, "record what it was evaluated on, and trained on: `stele record evaluation`, `stele run`")
		return nil
	}
	left, err := g.filesAtHand(m, x.left)
	if err != nil {
		return err
	}
	right, err := g.filesAtHand(m, x.right)
	if err != nil {
		return err
	}
	files := left + right
	if left < right {
		x.left, x.right = x.right, x.left
	}
	if !asked && (files > maxUnasked || len(x.left)+len(x.right) > maxUnaskedArtifacts) {
		check.Outcome = report.NotMade
		check.Message = fmt.Sprintf("%s in %s would have to be compared, and nobody asked for it",
			terminal.Plural(files, "file"), terminal.Plural(uint64(len(x.left)+len(x.right)), "manifest"))
		check.Hint = "--require " + x.name + " makes it"
		return nil
	}
	with, err := m.gather(ctx, x.right)
	if err != nil {
		return err
	}
	found, n, absent, err := m.compare(ctx, x.left, with)
	if err != nil {
		return err
	}
	absent = append(absent, with.absent...)
	switch {
	case n > 0:
		check.Outcome, check.Hint = report.Warning, x.hint
		check.Message = fmt.Sprintf("%s %s: %s", terminal.Plural(n, "file is", "files are"), x.is, sharedText(found, n))
	case len(absent) > 0:
		check.Outcome, check.Hint = report.NotMade, hint
		check.Message = fmt.Sprintf("the manifest of %s is not at hand", terminal.Some(namesOf(absent), 4))
		if len(absent) > 1 {
			check.Message = fmt.Sprintf("the manifests of %s are not at hand", terminal.Some(namesOf(absent), 4))
		}
	case with.tooBig:
		check.Outcome = report.NotMade
		check.Message = fmt.Sprintf("more than %s files to compare with", terminal.Count(maxCompared))
	default:
		check.Outcome = report.Passed
		check.Message = fmt.Sprintf("%s compared, none in common", terminal.Plural(files, "file"))
	}
	if with.skip > 0 && check.Outcome != report.NotMade {
		check.Message += fmt.Sprintf("; %s below %s did not count", terminal.Plural(with.skip, "file"), terminal.Bytes(smallFile))
	}
	g.demanded(x.name, check, hint)
	return nil
}

// filesAtHand counts the files of artifacts whose manifests are at hand.
func (g *gated) filesAtHand(m *manifestsAtHand, refs []statement.Ref) (n uint64, err error) {
	for _, ref := range refs {
		if !m.has(ref.Fingerprint) {
			continue
		}
		a, err := g.made.Artifact(ref.Name, ref.Version)
		if err != nil {
			return 0, err
		}
		n += a.Stamp.Files
	}
	return n, nil
}

// sharedText names files that are in two artifacts.
func sharedText(list []shared, n uint64) string {
	var names []string
	for _, s := range list {
		names = append(names, fmt.Sprintf("%s of %s, as in %s", s.path, s.of, s.other))
	}
	text := strings.Join(names, "; ")
	if more := n - uint64(len(names)); more > 0 {
		text += fmt.Sprintf("; and %s more", terminal.Count(more))
	}
	return text
}
