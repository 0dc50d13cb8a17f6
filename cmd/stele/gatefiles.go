package main

import (
	"context"

	"github.com/stele-ml/stele/fingerprint"
	"github.com/stele-ml/stele/internal/manifest"
)

// manifestsAtHand opens manifests that lie beside the ledger or were given.
type manifestsAtHand struct {
	shelf shelf
	given map[fingerprint.Fingerprint]*manifest.Found
}

func (g *gated) manifestsAtHand(ctx context.Context, dir string) (*manifestsAtHand, error) {
	s, err := g.a.shelfOf(ctx, dir)
	if err != nil {
		return nil, err
	}
	m := &manifestsAtHand{shelf: s, given: map[fingerprint.Fingerprint]*manifest.Found{}}
	for _, text := range g.o.manifests {
		found, _, err := manifestAt(ctx, text, g.o.flags.reach())
		if err != nil {
			m.close()
			return nil, err
		}
		if m.given[found.Fingerprint] != nil {
			found.Close()
			continue
		}
		m.given[found.Fingerprint] = found
	}
	return m, nil
}

func (m *manifestsAtHand) close() {
	for _, found := range m.given {
		found.Close()
	}
}

// Each goes through the files of an artifact, to the end of its manifest: only
// then is it known to be the right one. ErrNotExist: there is none.
func (m *manifestsAtHand) Each(ctx context.Context, fp fingerprint.Fingerprint, do func(fingerprint.File)) error {
	found := m.given[fp]
	if found == nil {
		path := m.shelf.ManifestPath(fp)
		found = &manifest.Found{Name: path, Path: path, Fingerprint: fp}
	}
	f, err := found.Open()
	if err != nil {
		return err
	}
	defer f.Close()
	n := 0
	for file, err := range f.All() {
		if err != nil {
			return err
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
