package main

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/fingerprint"
	"github.com/stele-ml/stele/internal/ledger"
	"github.com/stele-ml/stele/internal/manifest"
	"github.com/stele-ml/stele/internal/place"
	"github.com/stele-ml/stele/statement"
)

// Limits of what a collection may unfold into.
const (
	maxNesting = 16      // collections in collections
	maxParts   = 100_000 // trees of files in all of them together
)

// node is an artifact: a tree of files, or a collection of further nodes.
type node struct {
	prefix  string // folder below the root, with all prefixes above; empty for the root
	binding ledger.Binding
	stamp   *statement.Stamp
	members []*node // in the order of their keys; none for a tree of files
	parts   []part  // the trees of files in it, in the order of their keys; of a tree of files, itself
	first   int     // index of its first part among the root's
}

// part is one stamped tree of files within an artifact: the artifact itself, a
// member of a collection, a member of a member that is a collection.
type part struct {
	prefix string // folder below the root; empty for an artifact that is no collection
	ref    statement.Ref
	stamp  *statement.Stamp
}

// key is what all paths of the part begin with.
func (p *part) key() string {
	if p.prefix == "" {
		return ""
	}
	return p.prefix + "/"
}

// unfolder finds the stamps of members.
type unfolder struct {
	find  func(of statement.Ref, m statement.CollectionMember) (ledger.Binding, *statement.Stamp, error)
	count int // parts so far
}

// unfold finds the stamps of all members of an artifact, however deep. A member
// is stamped before what it is a member of, so there is always an end.
func (r *reading) unfold(b ledger.Binding, st *statement.Stamp) (*node, error) {
	u := unfolder{find: func(of statement.Ref, m statement.CollectionMember) (ledger.Binding, *statement.Stamp, error) {
		mb, err := r.bound(m.Ref.Name, m.Ref.Version)
		if err == nil && mb.Fingerprint != m.Ref.Fingerprint {
			err = fmt.Errorf("%w: entry %d stamps it as %s", ledger.ErrDamaged, mb.Entry, mb.Fingerprint)
		}
		if err != nil {
			return mb, nil, fmt.Errorf("%s, a member of %s: %w", m.Ref, of, err)
		}
		e, st, err := r.stampAt(mb)
		if err == nil {
			err = r.proveIncluded(e) // its rules decide what is read
		}
		if err != nil {
			return mb, nil, err
		}
		return mb, st.Stamp, nil
	}}
	return u.unfold("", b, st, 0)
}

// unfoldEvidence is unfold by the stamps that an evidence file carries, verified
// by nobody. It is nil of what is no collection.
func unfoldEvidence(f *evidence.File, root statement.Output) (*node, error) {
	if len(root.Stamp.Members) == 0 {
		return nil, nil
	}
	list, err := f.Stamps()
	if err != nil {
		return nil, err
	}
	stamps := make(map[statement.Ref]evidence.Stamping, len(list))
	for _, s := range list {
		stamps[s.Ref] = s
	}
	u := unfolder{find: func(_ statement.Ref, m statement.CollectionMember) (ledger.Binding, *statement.Stamp, error) {
		s, ok := stamps[m.Ref]
		if !ok {
			return ledger.Binding{}, nil, failf(exitNotFound, "the evidence does not carry the stamp of %s, whose rules decide what is read below %s", m.Ref, m.Prefix).
				withHint("ask for evidence with its lineage, which `stele prove` makes without --no-lineage; or verify it on the ledger")
		}
		return bindingOf(s), s.Stamp, nil
	}}
	return u.unfold("", bindingOf(evidence.Stamping{Entry: f.Claim.Entry, Output: root}), root.Stamp, 0)
}

func bindingOf(s evidence.Stamping) ledger.Binding {
	return ledger.Binding{Name: s.Ref.Name, Version: s.Ref.Version, Fingerprint: s.Ref.Fingerprint, Entry: s.Entry}
}

func (u *unfolder) unfold(prefix string, b ledger.Binding, st *statement.Stamp, depth int) (*node, error) {
	n := &node{prefix: prefix, binding: b, stamp: st, first: u.count}
	if len(st.Members) == 0 {
		if u.count++; u.count > maxParts {
			return nil, failf(exitError, "a collection of more than %d artifacts is not read", maxParts).
				withHint("name one of the members, and go through them one by one")
		}
		n.parts = []part{{prefix, b.Ref(), st}}
		return n, nil
	}
	if depth == maxNesting {
		return nil, failf(exitError, "%s: collections are nested more than %d deep", prefix, maxNesting)
	}
	for _, m := range st.Members {
		mb, mst, err := u.find(b.Ref(), m)
		if err != nil {
			return nil, err
		}
		inner := m.Prefix
		if prefix != "" {
			inner = prefix + "/" + m.Prefix
		}
		member, err := u.unfold(inner, mb, mst, depth+1)
		if err != nil {
			return nil, err
		}
		n.members = append(n.members, member)
		n.parts = append(n.parts, member.parts...)
	}
	return n, nil
}

// openPart opens the manifest of a part.
type openPart func(p *part) (*manifest.File, error)

// filesOf goes through the files behind an artifact in path order, as its
// parts' manifests have them. One manifest is open at a time.
func filesOf(parts []part, open openPart) iter.Seq2[fingerprint.File, error] {
	return func(yield func(fingerprint.File, error) bool) {
		for i := range parts {
			if !filesOfPart(&parts[i], open, yield) {
				return
			}
		}
	}
}

func filesOfPart(p *part, open openPart, yield func(fingerprint.File, error) bool) bool {
	m, err := open(p)
	if err != nil {
		yield(fingerprint.File{}, err)
		return false
	}
	defer m.Close()
	for f, err := range m.All() {
		if err != nil {
			yield(fingerprint.File{}, err)
			return false
		}
		f.Path = p.key() + f.Path
		if !yield(f, nil) {
			return false
		}
	}
	return true
}

// checkParts reads the manifests of all parts to their ends, so that what is
// told by them holds.
func checkParts(ctx context.Context, parts []part, open openPart) error {
	for _, err := range filesOf(parts, open) {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// contentsOf puts together what was found below each prefix: the fingerprint
// that the collection would have of it.
func (n *node) contentsOf(t *partTrees) (fingerprint.Member, error) {
	found := fingerprint.Member{}
	if len(n.members) == 0 {
		s, err := t.found(n.first)
		return fingerprint.Member{Fingerprint: s.Fingerprint(t.algorithm), Files: s.Files, Bytes: s.Bytes}, err
	}
	var members []fingerprint.Member
	for i, m := range n.members {
		inner, err := m.contentsOf(t)
		if err != nil {
			return found, err
		}
		inner.Prefix = n.stamp.Members[i].Prefix
		members = append(members, inner)
		found.Files += inner.Files
		found.Bytes += inner.Bytes
	}
	var err error
	found.Fingerprint, err = fingerprint.Collection(t.algorithm, members)
	return found, err
}

// manifestMissing reports whether an error says that there is no manifest that
// can be used: it is nowhere to be found, or damaged.
func manifestMissing(err error) bool {
	var damaged *manifest.Error
	if errors.As(err, &damaged) {
		return damaged.Damaged()
	}
	var f *failure
	return errors.As(err, &f) && (f.status == exitNotFound || f.status == exitTampered)
}

// manifests finds the manifests of an artifact's parts and keeps hold of them
// until close.
type manifests struct {
	app    *app
	ctx    context.Context
	ledger string // directory
	given  string // --manifest, of an artifact that is no collection
	data   *data  // or nil
	reach  place.Options
	found  map[fingerprint.Fingerprint]*manifest.Found
}

func (a *app) manifests(ctx context.Context, ledger, given string, flags *scanFlags) *manifests {
	return &manifests{app: a, ctx: ctx, ledger: ledger, given: given, reach: flags.reach(), found: map[fingerprint.Fingerprint]*manifest.Found{}}
}

// open opens the manifest of a part.
func (m *manifests) open(p *part) (*manifest.File, error) {
	fp := p.ref.Fingerprint
	if found, ok := m.found[fp]; ok {
		return found.Open()
	}
	s := manifestSearch{what: p.ref.String(), fp: fp, files: p.stamp.Files, bytes: p.stamp.Bytes, given: m.given, ledger: m.ledger, reach: m.reach}
	if at := p.stamp.Details; at != nil && m.ledger != "" {
		if raw, err := m.app.documentOf(m.ctx, m.ledger, *at); err == nil {
			s.details, _ = statement.ParseDetails(raw) // as good as none
		}
	}
	if m.data != nil {
		s.data = m.data
		if p.prefix != "" {
			s.data = &data{place: m.data.place.Join(p.prefix), source: m.data.source}
		}
	}
	found, bad, err := m.app.findManifest(m.ctx, s)
	if err == nil && found == nil {
		err = s.nowhere(bad)
	}
	if err != nil {
		return nil, err
	}
	m.found[fp] = found
	return found.Open()
}

func (m *manifests) close() {
	for _, found := range m.found {
		found.Close()
	}
}
