package main

import (
	"context"
	"path/filepath"
	"strings"

	"github.com/stele-ml/stele/cmd/stele/jsonv1"
	"github.com/stele-ml/stele/fingerprint"
	"github.com/stele-ml/stele/internal/collection"
	"github.com/stele-ml/stele/internal/ledger"
	"github.com/stele-ml/stele/statement"
)

// compareParts compares two artifacts of which parts may be the same: those are
// counted and not read.
func compareParts(ctx context.Context, old, now *collection.Node, open collection.Open, all bool) (*jsonv1.Diff, error) {
	left, right, untouched := collection.Differing(old.Parts, now.Parts)
	for _, parts := range [][]collection.Part{left, right} {
		if err := collection.Check(ctx, parts, open); err != nil {
			return nil, err
		}
	}
	d, err := compare(old.Binding.Ref().String(), now.Binding.Ref().String(), collection.Files(left, open), collection.Files(right, open), all)
	if err != nil {
		return nil, err
	}
	d.Counts.Same += untouched
	asMoved(d)
	return d, nil
}

// asMoved corrects what a comparison of parts says of the only file on either
// side: it is one file of many, so it is moved and not renamed.
func asMoved(d *jsonv1.Diff) {
	d.Counts.Moved, d.Counts.Renamed = d.Counts.Moved+d.Counts.Renamed, 0
	for i := range d.Changes {
		if d.Changes[i].Change == fingerprint.Renamed {
			d.Changes[i].Change = fingerprint.Moved
		}
	}
	d.Same = d.Same && d.Counts.Moved == 0
}

// membersLocation is the place below which all members of a collection lay, each
// under its prefix, when they were stamped.
func (a *app) membersLocation(r *reading, st *statement.Statement) (string, error) {
	ref, err := st.Ref()
	if err != nil {
		return "", err
	}
	root, err := r.unfoldRef(ref)
	if err != nil {
		return "", err
	}
	at := ""
	for _, p := range root.Parts {
		d, _, err := a.detailsOf(r, &statement.Statement{Kind: statement.KindStamp, Stamp: p.Stamp})
		below := ""
		if err == nil && d != nil && len(d.Locations) > 0 {
			below = placeAbove(d.Locations[0], p.Prefix)
		}
		if below == "" || at != "" && at != below {
			return "", usagef("the members of %s were not stamped below one place, each under its prefix", ref).withHint("give the PLACE where the data is now")
		}
		at = below
	}
	a.term.Notef("reading %s, where its members were stamped", at)
	return at, nil
}

// placeAbove is the place that has a location under a prefix, or nothing.
func placeAbove(location, prefix string) string {
	location = strings.TrimSuffix(location, "/")
	for _, end := range []string{"/" + prefix, string(filepath.Separator) + filepath.FromSlash(prefix)} {
		if above, ok := strings.CutSuffix(location, end); ok {
			return above
		}
	}
	return ""
}

// collectionSide makes a collection one side of a comparison.
func (a *app) collectionSide(ctx context.Context, r *reading, b ledger.Binding, s *side, flags *scanFlags) error {
	dir, err := a.findLedger()
	if err != nil {
		return err
	}
	if s.root, err = r.unfold(b, s.stamp); err != nil {
		return err
	}
	s.known = a.manifests(ctx, dir, "", flags)
	return collection.Check(ctx, s.root.Parts, s.known.open)
}

// beside makes a place that is compared with a collection be read as the
// collection sees it.
func (s *side) beside(other *side) (err error) {
	if other.root == nil || s.data == nil {
		return nil
	}
	s.data.source, _, err = collection.SourceOf(s.data.source, other.root.Parts, other.known.open)
	return err
}
