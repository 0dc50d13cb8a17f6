package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/fingerprint"
	"github.com/stele-ml/stele/internal/collection"
	"github.com/stele-ml/stele/internal/ledger"
	"github.com/stele-ml/stele/internal/manifest"
	"github.com/stele-ml/stele/internal/place"
	"github.com/stele-ml/stele/statement"
)

// unfold finds the stamps of all members of an artifact, however deep. A member
// is stamped before what it is a member of, so there is always an end.
func (r *reading) unfold(b ledger.Binding, st *statement.Stamp) (*collection.Node, error) {
	return collection.Unfold(b, st, func(of statement.Ref, m statement.CollectionMember) (ledger.Binding, *statement.Stamp, error) {
		mb, err := r.Bound(m.Ref.Name, m.Ref.Version)
		if err == nil && mb.Fingerprint != m.Ref.Fingerprint {
			err = fmt.Errorf("%w: entry %d stamps it as %s", ledger.ErrDamaged, mb.Entry, mb.Fingerprint)
		}
		if err != nil {
			return mb, nil, fmt.Errorf("%s, a member of %s: %w", m.Ref, of, err)
		}
		e, st, err := r.StampAt(mb)
		if err == nil {
			err = r.proveIncluded(e) // its rules decide what is read
		}
		if err != nil {
			return mb, nil, err
		}
		return mb, st.Stamp, nil
	})
}

// unfoldEvidence is unfold by the stamps that an evidence file carries, verified
// by nobody. It is nil of what is no collection.
func unfoldEvidence(f *evidence.File, root statement.Output) (*collection.Node, error) {
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
	return collection.Unfold(bindingOf(evidence.Stamping{Entry: f.Claim.Entry, Output: root}), root.Stamp, func(_ statement.Ref, m statement.CollectionMember) (ledger.Binding, *statement.Stamp, error) {
		s, ok := stamps[m.Ref]
		if !ok {
			return ledger.Binding{}, nil, failf(exitNotFound, "the evidence does not carry the stamp of %s, whose rules decide what is read below %s", m.Ref, m.Prefix).
				withHint("ask for evidence with its lineage, which `stele prove` makes without --no-lineage; or verify it on the ledger")
		}
		return bindingOf(s), s.Stamp, nil
	})
}

func bindingOf(s evidence.Stamping) ledger.Binding {
	return ledger.Binding{Name: s.Ref.Name, Version: s.Ref.Version, Fingerprint: s.Ref.Fingerprint, Entry: s.Entry}
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
func (m *manifests) open(p *collection.Part) (*manifest.File, error) {
	fp := p.Ref.Fingerprint
	if found, ok := m.found[fp]; ok {
		return found.Open()
	}
	s := manifestSearch{what: p.Ref.String(), fp: fp, files: p.Stamp.Files, bytes: p.Stamp.Bytes, given: m.given, ledger: m.ledger, reach: m.reach}
	if at := p.Stamp.Details; at != nil && m.ledger != "" {
		if raw, err := m.app.documentOf(m.ctx, m.ledger, *at); err == nil {
			s.details, _ = statement.ParseDetails(raw) // as good as none
		}
	}
	if m.data != nil {
		s.data = m.data
		if p.Prefix != "" {
			s.data = &data{place: m.data.place.Join(p.Prefix), source: m.data.source}
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
