package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/stele-ml/stele/cmd/stele/jsonv1"
	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/fingerprint"
	"github.com/stele-ml/stele/internal/collection"
	"github.com/stele-ml/stele/internal/manifest"
	"github.com/stele-ml/stele/internal/terminal"
	"github.com/stele-ml/stele/lineage"
	"github.com/stele-ml/stele/statement"
)

// prover makes the proofs about files that go into one evidence file.
type prover struct {
	app    *app
	ctx    context.Context
	o      *proveOrder
	proven *proven
	claim  *evidence.Claim
	result *jsonv1.Prove

	own, others *manifests // of the artifact itself, for which --manifest is, and of what it was made of
	made        map[jsonv1.PathProof]bool
	disclosed   map[string]map[string]bool // by artifact
}

// provenFile is a file as it is proved: of which artifact, by its path there.
type provenFile struct {
	artifact *lineage.Artifact
	path     string
	asked    string // the path as it was asked for, of the artifact or of what has it as a member
}

func (a *app) prover(ctx context.Context, dir string, o *proveOrder, p *proven, claim *evidence.Claim, result *jsonv1.Prove) *prover {
	flags := &scanFlags{anonymous: o.anonymous}
	return &prover{
		app: a, ctx: ctx, o: o, proven: p, claim: claim, result: result,
		own: a.manifests(ctx, dir, o.manifest, flags), others: a.manifests(ctx, dir, "", flags),
		made: map[jsonv1.PathProof]bool{}, disclosed: map[string]map[string]bool{},
	}
}

func (p *prover) close() {
	p.own.close()
	p.others.close()
}

// paths adds all proofs that were asked for.
func (p *prover) paths() error {
	ranges, err := parseRanges(p.o.ranges)
	if err != nil {
		return err
	}
	for _, text := range p.o.present {
		if _, err := p.present("--path", text); err != nil {
			return err
		}
	}
	for _, r := range ranges {
		at, err := p.present("--range", r.path)
		if err == nil {
			err = p.addRange(at, r)
		}
		if err != nil {
			return err
		}
	}
	for _, text := range p.o.absent {
		if err := p.absent(text); err != nil {
			return err
		}
	}
	p.result.AbsentFromAll = p.claim.Absent
	for _, name := range sortedKeys(p.disclosed) {
		p.result.Disclosed = append(p.result.Disclosed, jsonv1.Disclosed{Artifact: name, Paths: sortedKeys(p.disclosed[name])})
		p.result.Discloses = append(p.result.Discloses, sortedKeys(p.disclosed[name])...)
	}
	slices.Sort(p.result.Discloses)
	p.result.Discloses = slices.Compact(p.result.Discloses)
	return nil
}

// asked reads FILE or NAME@VERSION:FILE; the node is nil where no artifact is
// named.
func (p *prover) asked(flag, text string) (n *lineage.Node, path string, err error) {
	path = text
	if what, rest, ok := strings.Cut(text, ":"); ok {
		if name, version, err := statement.ParseNameVersion(what); err == nil {
			n = p.proven.graph.Node(statement.Ref{Name: name, Version: version})
			if n == nil {
				return nil, "", failf(exitNotFound, "%s %s: %s was not made of %s, as far as the ledger says", flag, text, p.proven.root.Ref, what).
					withHint("`stele trace " + p.proven.root.Ref.String() + "` shows what it was made of; a file of that name is " + p.proven.root.Ref.String() + ":" + text)
			}
			path = rest
		}
	}
	if err := fingerprint.CheckPath(path); err != nil {
		return nil, "", usagef("%s: %v", flag, err)
	}
	return n, path, nil
}

// fileAt finds where a path of an artifact lies among files: of a collection,
// in a member. It is nil where a collection has no member that it could lie in.
func (p *prover) fileAt(a *lineage.Artifact, path string) (*provenFile, error) {
	at := &provenFile{artifact: a, path: path, asked: path}
	for range collection.MaxNesting {
		members := at.artifact.Stamp.Members
		if len(members) == 0 {
			return at, nil
		}
		m, rest, ok := evidence.MemberAt(members, at.path)
		if !ok {
			return nil, nil
		}
		n := p.proven.graph.Node(m.Ref)
		if n == nil {
			return nil, usagef("%s: the files of the collection %s are its members', whose stamps --no-lineage leaves out", path, at.artifact.Ref).
				withHint("leave out --no-lineage, or prove it of " + m.Ref.String())
		}
		at.artifact, at.path = n.Artifact, rest
	}
	return nil, failf(exitError, "%s: collections are nested more than %d deep", a.Ref, collection.MaxNesting)
}

// of is how a claim names an artifact.
func (p *prover) of(a *lineage.Artifact) string {
	if a == p.proven.root {
		return ""
	}
	return a.Ref.String()
}

func (p *prover) manifest(a *lineage.Artifact) (*manifest.File, error) {
	known := p.others
	if a == p.proven.root {
		known = p.own
	}
	return known.open(&collection.Part{Ref: a.Ref, Stamp: a.Stamp})
}

// prove makes the proof for one path, checks it at once, and adds it to the
// claim if it shows what is wanted.
func (p *prover) prove(at *provenFile, present bool) (found bool, err error) {
	name := at.artifact.Ref.String()
	made := jsonv1.PathProof{Artifact: name, Path: at.path, Present: present}
	if p.made[made] {
		return present, nil
	}
	m, err := p.manifest(at.artifact)
	if err != nil {
		return false, err
	}
	defer m.Close()
	fp := at.artifact.Ref.Fingerprint
	proof, err := fingerprint.ProvePath(fp.Algorithm, m.All(), at.path)
	if err != nil {
		return false, m.Explain(err)
	}
	result, err := proof.Verify(fp)
	if err != nil || result.Present != present {
		return result.Present, err
	}
	raw, err := proof.MarshalBinary()
	if err != nil {
		return false, err
	}
	p.made[made] = true
	p.result.Proofs = append(p.result.Proofs, made)
	p.claim.Paths = append(p.claim.Paths, evidence.PathClaim{Of: p.of(at.artifact), Path: at.path, Present: present, Proof: raw})
	if p.disclosed[name] == nil {
		p.disclosed[name] = map[string]bool{}
	}
	for _, other := range proof.Disclosed() {
		p.disclosed[name][other] = true
	}
	return present, nil
}

// present proves that a path is among the files of the artifact, or else of the
// nearest that it was made of and that has it.
func (p *prover) present(flag, text string) (*provenFile, error) {
	named, path, err := p.asked(flag, text)
	if err != nil {
		return nil, err
	}
	nodes := p.proven.graph.Nodes
	if named != nil {
		nodes = []*lineage.Node{named}
	}
	var unseen []string
	for _, n := range nodes {
		at, err := p.fileAt(n.Artifact, path)
		if err != nil {
			return nil, err
		}
		if at == nil {
			continue
		}
		found, err := p.prove(at, true)
		switch {
		case err != nil && manifestMissing(err) && len(nodes) > 1:
			unseen = append(unseen, at.artifact.Ref.String())
		case err != nil:
			return nil, err
		case found:
			return at, nil
		}
	}
	of := nodes[0].Ref.String()
	f := failf(exitNotFound, "%s is not among the files of %s%s", path, of, p.nor(len(nodes)-1)).withPath(path).withHint("`stele manifest show " + of + "` lists the files")
	if len(unseen) > 0 {
		f = failf(exitNotFound, "%s is not among the files that could be looked through: the manifest of %s is not here", path, strings.Join(first(unseen, 5), ", ")).
			withPath(path).withHint("a manifest can be made again from the data: `stele fingerprint PATH --manifest FILE`")
	}
	return nil, f
}

func (p *prover) nor(others int) string {
	if others == 0 {
		return ""
	}
	return fmt.Sprintf(", nor of the %s it was made of", terminal.Plural(uint64(others), "artifact"))
}

// first cuts a list of names for a sentence.
func first(list []string, most int) []string {
	if n := len(list) - most; n > 0 {
		return append(slices.Clone(list[:most]), fmt.Sprintf("and %d more", n))
	}
	return list
}

// absent proves that a path is among the files of none of the artifacts: the
// artifact itself and all that it was made of, or of the one that is named.
func (p *prover) absent(text string) error {
	named, path, err := p.asked("--absent", text)
	if err != nil {
		return err
	}
	nodes := p.proven.graph.Nodes
	if named != nil {
		nodes = []*lineage.Node{named}
	} else if p.claim.Lineage {
		p.claim.Absent = append(p.claim.Absent, path)
	}
	for _, n := range nodes {
		at, err := p.fileAt(n.Artifact, path)
		if err != nil {
			return err
		}
		if at == nil {
			continue // its statement says that nothing lies there
		}
		found, err := p.prove(at, false)
		if err != nil && manifestMissing(err) && len(nodes) > 1 {
			return failf(exitNotFound, "that %s is in nothing behind %s takes the manifest of each: %w", path, p.proven.root.Ref, err).
				withPath(path).withHint("prove it of one artifact with --absent NAME@VERSION:" + path + "; " +
				"a manifest can be made again from the data: `stele fingerprint PATH --manifest FILE`")
		}
		if err != nil {
			return err
		}
		if found {
			name := at.artifact.Ref.String()
			return failf(exitError, "%s is among the files of %s, so its absence cannot be proved", at.path, name).withPath(path).
				withHint("`stele manifest show " + name + "` lists the files")
		}
	}
	return nil
}
