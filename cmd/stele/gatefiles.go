package main

import (
	"context"

	"github.com/stele-ml/stele/fingerprint"
)

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

// Each goes through the files of an artifact, to the end of its manifest: only
// then is it known to be the right one. ErrNotExist: there is none.
func (m *manifestsAtHand) Each(ctx context.Context, fp fingerprint.Fingerprint, do func(fingerprint.File)) error {
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

// Has reports whether there is a manifest.
func (m *manifestsAtHand) Has(fp fingerprint.Fingerprint) bool {
	return m.given[fp] != nil || exists(m.shelf.ManifestPath(fp)) == nil
}
