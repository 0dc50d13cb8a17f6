package main

import (
	"context"

	"github.com/stele-ml/stele/cmd/stele/jsonv1"
	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/internal/ledger"
	"github.com/stele-ml/stele/internal/terminal"
	"github.com/stele-ml/stele/statement"
)

// readContents reads the data as `stele verify` does. The ledger is looked at for
// the stamp alone: reading may take hours, and everything else is to be true at
// the end of them.
func (g *gated) readContents(ctx context.Context, dir string) (_ *evidence.Contents, err error) {
	a, o := g.a, g.o
	v := &verifyOrder{name: o.name, version: o.version, path: o.path, recheck: "full", all: o.all, flags: o.flags}
	s := new(subjectOf)
	err = a.readUntrusted(ctx, dir, func(r *reading) error {
		b, st, err := r.boundBy(o.name, o.version)
		if err != nil {
			return err
		}
		s.stamp, s.fp = st.Stamp, b.Fingerprint
		if s.search, err = a.searchFor(r, st, o.flags.reach()); err != nil {
			return err
		}
		s.earlier = &earlierStamp{b, st.Stamp, s.search.details}
		if s.root, err = r.unfold(b, st.Stamp); err != nil {
			return err
		}
		s.file, err = r.Evidence(evidence.Claim{Entry: b.Entry, Name: b.Name, Version: b.Version, Fingerprint: b.Fingerprint}, a.detailsAtHand(ctx, dir, st.Stamp))
		return err
	})
	if err != nil {
		return nil, err
	}
	if v.manifest, err = g.manifestOf(ctx, s); err != nil {
		return nil, err
	}
	if v.data, err = a.openData(ctx, "gate", o.path, &v.flags); err != nil {
		return nil, err
	}
	defer func() { err = v.data.end(err) }()
	found := &jsonv1.Verify{Changes: []jsonv1.Change{}}
	contents, err := a.readContents(ctx, v, s, found)
	g.out.Found, g.out.Counts, g.out.Changes, g.out.Truncated = found.Found, found.Counts, found.Changes, found.Truncated
	g.out.Hidden = found.Hidden
	return contents, err
}

// manifestOf is which of --manifest is the artifact's own, or empty.
func (g *gated) manifestOf(ctx context.Context, s *subjectOf) (string, error) {
	if s.parted() {
		return "", nil // a collection has none
	}
	for _, text := range g.o.manifests {
		m, _, err := manifestAt(ctx, text, g.o.flags.reach())
		if err != nil {
			return "", err
		}
		fp := m.Fingerprint
		m.Close()
		if fp == s.fp {
			return text, nil
		}
	}
	return "", nil
}

// verify verifies what the ledger shows of the artifact and of the entries beside it,
// as anybody else would.
func (g *gated) verify(r *reading, b ledger.Binding, stamp *statement.Stamp, beside []uint64, contents *evidence.Contents) (*evidence.Verdict, bool, error) {
	file, err := r.Evidence(evidence.Claim{Entry: b.Entry, Name: b.Name, Version: b.Version, Fingerprint: b.Fingerprint}, nil, beside...)
	if err != nil {
		return nil, false, err
	}
	past, proof, err := g.a.memory.History(g.a.shown(r), r.View)
	if err != nil {
		return nil, false, err
	}
	v, trusted, err := g.a.verdictOn(file, evidence.Options{
		Now: g.Question.Now, MaxAge: milliseconds(g.o.maxAge), Name: b.Name, Version: b.Version, StampOnly: true,
		Contents: contents, Remembered: past, Proof: proof,
	})
	if err != nil {
		return nil, false, err
	}
	if len(stamp.Members) > 0 {
		root, err := r.unfold(b, stamp)
		if err != nil {
			return nil, false, err
		}
		members, err := r.judgeMembers(root)
		if err != nil {
			return nil, false, err
		}
		withMembers(v, members)
	}
	if v.AsOf != nil {
		at := asOfJSON(v.AsOf)
		g.out.AsOf = &at
	}
	return v, trusted, nil
}

// changesText names what changed, as much as a line has room for.
func (g *gated) changesText() string {
	if g.out.Counts == nil || len(g.out.Changes) == 0 {
		return ""
	}
	var list []string
	for _, c := range g.out.Changes {
		list = append(list, c.Path+" ("+c.Change+")")
	}
	return countsText(*g.out.Counts) + ": " + terminal.Some(list, 5)
}
