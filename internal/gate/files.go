package gate

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/stele-ml/stele/contract"
	"github.com/stele-ml/stele/fingerprint"
	"github.com/stele-ml/stele/internal/report"
	"github.com/stele-ml/stele/internal/terminal"
	"github.com/stele-ml/stele/lineage"
	"github.com/stele-ml/stele/statement"
)

// maxUnasked is how many files a gate looks through that nobody asked to, and
// maxUnaskedArtifacts in how many manifests.
const (
	maxUnasked          = 200_000
	maxUnaskedArtifacts = 100
)

// Files makes the checks that compare files. Judge has made the others.
func (g *Gate) Files(ctx context.Context, m Manifests) error {
	if err := g.checkSeparate(ctx, m); err != nil {
		return err
	}
	return g.checkWithdrawnFiles(ctx, m)
}

// comparison is one check that compares files of two groups of artifacts.
type comparison struct {
	name        string // among the demands
	left, right []statement.Ref
	nothing     string // why there is nothing to compare: then it passes, or is not made
	passes      bool
	is          string // what it is to share a file
	hint        string // what to do then
	check       report.Check
}

// checkSeparate: what the artifact was evaluated on is not in what it was trained
// on.
func (g *Gate) checkSeparate(ctx context.Context, m Manifests) error {
	var measured []statement.Ref
	for _, s := range g.Account.Evaluations {
		if g.book.Standing(s.Entry).OK {
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
		name: contract.GateSeparateFiles, left: trained, right: measured, is: "both trained and evaluated on", hint: "evaluate it on data that no model in its lineage was trained on",
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
func (g *Gate) trainedOn() (list []statement.Ref) {
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
func (g *Gate) checkWithdrawnFiles(ctx context.Context, m Manifests) error {
	x := comparison{
		name: contract.GateWithdrawnFiles, is: "in withdrawn contents", hint: "take the withdrawn files out and make it again, or have the withdrawal ended: `stele reinstate`",
		check: report.Check{
			ID: "files/not-withdrawn", Group: "files", Title: "withdrawn files",
			Help: "No file of the artifact, or of anything it was made of, is also a file of contents that were withdrawn: by the digests in their manifests. Taint follows whole fingerprints alone.",
		},
	}
	withdrawn := map[fingerprint.Fingerprint]bool{}
	for _, w := range g.book.Control.AllWithdrawals() {
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
func (g *Gate) parts(refs []statement.Ref) ([]statement.Ref, error) {
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
func (g *Gate) compareFiles(ctx context.Context, m Manifests, x *comparison) error {
	check := &x.check
	asked := slices.Contains(g.Question.Demands, x.name) || g.demanded[x.name] != ""
	hint := "manifests lie beside the ledger where the data was stamped; give others with --manifest FILE"
	if x.nothing != "" {
		check.Outcome, check.Message = report.NotMade, x.nothing
		if x.passes {
			check.Outcome = report.Passed
		}
		g.demand(x.name, check, "record what it was evaluated on, and trained on: `stele record evaluation`, `stele run`")
		g.add(unless(check, Refused), *check)
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
		g.add(Undecided, *check)
		return nil
	}
	with, err := gather(ctx, m, x.right)
	if err != nil {
		return err
	}
	found, err := among(ctx, m, x.left, with)
	if err != nil {
		return err
	}
	var absent []string
	for _, ref := range append(found.absent, with.absent...) {
		absent = append(absent, ref.String())
	}
	switch {
	case found.n > 0:
		check.Outcome, check.Hint = report.Warning, x.hint
		check.Message = fmt.Sprintf("%s %s: %s", terminal.Plural(found.n, "file is", "files are"), x.is, found)
	case len(absent) > 0:
		check.Outcome, check.Hint = report.NotMade, hint
		check.Message = fmt.Sprintf("the manifest of %s is not at hand", terminal.Some(absent, 4))
		if len(absent) > 1 {
			check.Message = fmt.Sprintf("the manifests of %s are not at hand", terminal.Some(absent, 4))
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
	g.demand(x.name, check, hint)
	g.add(unless(check, Refused), *check)
	return nil
}

// filesAtHand counts the files of artifacts whose manifests are at hand.
func (g *Gate) filesAtHand(m Manifests, refs []statement.Ref) (n uint64, err error) {
	for _, ref := range refs {
		if !m.Has(ref.Fingerprint) {
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
