package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"

	"github.com/stele-ml/stele/cmd/stele/jsonv1"
	"github.com/stele-ml/stele/fingerprint"
	"github.com/stele-ml/stele/internal/manifest"
	"github.com/stele-ml/stele/internal/scan"
	"github.com/stele-ml/stele/internal/solo"
	"github.com/stele-ml/stele/internal/source"
	"github.com/stele-ml/stele/statement"
)

// stamping is one stamp of a place under way.
type stamping struct {
	order  *stampOrder
	plan   *stampPlan
	dir    string // the ledger's
	data   *data
	target *manifestTarget // of --manifest-to

	manifest *solo.Pending
	marks    *marking        // nil: none
	earlier  *manifest.Found // nil: it is nowhere
	result   scan.Result
	diff     *jsonv1.Diff     // against earlier, or nil
	model    *modelFound      // nil: it is none
	file     fingerprint.File // the last; of a single one, the one
}

// close gives up what was not kept.
func (s *stamping) close() {
	if s.manifest != nil {
		s.manifest.Discard()
	}
	s.marks.discard()
	if s.earlier != nil {
		s.earlier.Close()
	}
}

// readForStamp reads the data once: into the fingerprint, into the manifest and
// the marks, and against the manifest of the earlier version, where it is found.
func (a *app) readForStamp(ctx context.Context, s *stamping) (err error) {
	shelf, err := a.shelfOf(ctx, s.dir)
	if err != nil {
		return err
	}
	s.manifest, err = shelf.NewManifest()
	if errors.Is(err, fs.ErrPermission) {
		return failf(exitError, "keep the manifest: %w", err).withPath(s.dir).withHint("nothing was stamped; the ledger can still be read, and is written to as the user who made it")
	}
	if err != nil {
		return fmt.Errorf("keep the manifest: %w", err)
	}
	if err := a.findEarlier(ctx, s); err != nil {
		return err
	}
	var files iter.Seq2[fingerprint.File, error]
	plain := s.order.flags.plain
	if s.order.manifest != "" {
		m, err := a.readElsewhere(ctx, s)
		if err != nil {
			return err
		}
		defer m.Close()
		files, plain = m.All(), m.PlainSHA256()
	} else {
		opts, err := a.optionsForStamp(ctx, s)
		if err != nil {
			return err
		}
		files = a.scanning(ctx, s.data, opts, &s.result)
	}
	w := fingerprint.NewWriter(s.manifest, s.plan.algorithm, fingerprint.WriterOptions{PlainSHA256: plain})
	models := newModelFiles(s.order.kind)
	last := func(f fingerprint.File) error { s.file = f; return nil }
	if s.diff, err = a.compareWithEarlier(s, watched(watched(watched(files, models.add), last), w.Add)); err != nil {
		return err
	}
	if _, err = w.Close(); err != nil {
		return err
	}
	s.model = a.lookAtModel(ctx, s.data.source, models)
	if s.marks != nil {
		if err := s.marks.close(s.result.Fingerprint); err != nil {
			a.term.Warnf("the next version will be read whole: %v", err)
			s.marks.discard()
			s.marks = nil
		}
	}
	return nil
}

// watched passes files on, and each to see first: a manifest's writer, say.
func watched(files iter.Seq2[fingerprint.File, error], see func(fingerprint.File) error) iter.Seq2[fingerprint.File, error] {
	return func(yield func(fingerprint.File, error) bool) {
		for f, err := range files {
			if err == nil {
				err = see(f)
			}
			if !yield(f, err) || err != nil {
				return
			}
		}
	}
}

// findEarlier finds the manifest of the version to compare with. A stamp does
// not rest on it.
func (a *app) findEarlier(ctx context.Context, s *stamping) error {
	e := s.plan.earlier
	if e == nil || len(e.stamp.Members) > 0 {
		return nil
	}
	var bad, err error
	s.earlier, bad, err = a.findManifest(ctx, manifestSearch{
		what: e.Ref().String(), fp: e.Fingerprint, files: e.stamp.Files, bytes: e.stamp.Bytes,
		ledger: s.dir, details: e.details, data: s.data, reach: s.order.flags.reach(),
	})
	if bad != nil {
		a.term.Warnf("no comparison with %s: %v", e.Ref(), bad)
	}
	return err
}

// compareWithEarlier goes through the files, and compares them where there is
// something to compare with.
func (a *app) compareWithEarlier(s *stamping, files iter.Seq2[fingerprint.File, error]) (*jsonv1.Diff, error) {
	if s.earlier == nil {
		for _, err := range files {
			if err != nil {
				return nil, err
			}
		}
		return nil, nil
	}
	old, err := s.earlier.Open()
	if err != nil {
		return nil, err
	}
	defer old.Close()
	return compare(s.plan.earlier.Ref().String(), "now", old.All(), files, s.order.all)
}

// optionsForStamp are how the data is read: what was read for the earlier
// version is not read again, if so asked.
func (a *app) optionsForStamp(ctx context.Context, s *stamping) (scan.Options, error) {
	o := s.order
	opts := o.flags.options(s.plan.algorithm)
	if !o.dryRun {
		if s.marks = a.newMarks(s.plan.ledger); s.marks != nil {
			opts.Kept = s.marks.add
		}
	}
	if o.unchangedBy == "" {
		return opts, nil
	}
	if o.unchangedBy == "version" {
		opts.MinStrength = source.ByVersion
	}
	var err error
	switch {
	case s.plan.earlier == nil:
		a.term.Notef("%s has no earlier version: everything is read", o.name)
	case s.earlier == nil:
		a.term.Notef("the manifest of %s is not found: everything is read", s.plan.earlier.Ref())
	default:
		opts.Hints, err = a.hints(ctx, s.dir, s.plan.ledger, s.plan.earlier, s.earlier, s.data.place)
	}
	return opts, err
}

// statement is what is to be signed, but for the details.
func (s *stamping) statement(annotations map[string]string) *statement.Statement {
	o, p, r := s.order, s.plan, s.result
	ref := statement.Ref{Name: o.name, Version: o.version, Fingerprint: r.Fingerprint}
	basis := statement.Basis{Read: r.Basis.Read, Version: r.Basis.Version, ETag: r.Basis.ETag, MTime: r.Basis.MTime, Entry: r.Basis.Entry}
	if o.manifest != "" {
		basis = statement.Basis{Claimed: r.Summary.Bytes}
	}
	st := &statement.Stamp{
		Kind: o.kind, Files: r.Summary.Files, Bytes: r.Summary.Bytes, Ignore: r.Rules, Listed: s.data.only != nil,
		Basis: basis, From: p.from, Since: p.since, Annotations: annotations,
	}
	if p.since != nil && s.diff != nil {
		counts := s.diff.Counts
		counts.Moved += counts.Renamed // a single file under another name
		st.Changes = changesOf(counts)
	}
	return &statement.Statement{Kind: statement.KindStamp, Subject: []statement.Subject{ref.Subject()}, Stamp: st}
}

// keepForStamp keeps, before the statement that names them is signed: the
// manifest, the marks, the details.
func (a *app) keepForStamp(ctx context.Context, s *stamping, st *statement.Stamp) error {
	fp := s.result.Fingerprint
	shelf, err := a.shelfOf(ctx, s.dir)
	if err != nil {
		return err
	}
	if s.order.flags.plain || !kept(shelf, fp) {
		if err := s.manifest.Keep(fp); err != nil {
			return fmt.Errorf("keep the manifest: %w", err)
		}
	}
	if err := shelf.Offer(fp); err != nil {
		return fmt.Errorf("keep the manifest: %w", err)
	}
	at, err := s.data.place.Absolute()
	if err != nil {
		return err
	}
	d, err := detailsOfPlace(at.String())
	if err != nil {
		return err
	}
	if s.target != nil {
		if err := a.putStamped(ctx, s, d); err != nil {
			return err
		}
	}
	if s.order.noDetails {
		return nil
	}
	if s.marks != nil && s.data.place.Remote() {
		if d.Marks, err = s.marks.shelve(shelf); err != nil {
			return fmt.Errorf("keep the marks: %w", err)
		}
	}
	st.Details, err = a.keepDetails(ctx, s.dir, d)
	return err
}

// detailsOfPlace begins a details document: where the data lies and on which
// host that is seen. It is salted and can be erased; a statement signs only its
// digest.
func detailsOfPlace(at string) (*statement.Details, error) {
	host, _ := os.Hostname() // may be unknown
	return newDetails([]string{at}, host)
}

// keepDetails keeps a details document with the ledger.
func (a *app) keepDetails(ctx context.Context, dir string, d *statement.Details) (*statement.Attachment, error) {
	text, err := d.Marshal()
	if err != nil {
		return nil, fmt.Errorf("details: %w", err)
	}
	attachment, err := a.keepDocument(ctx, dir, text)
	if err != nil {
		return nil, fmt.Errorf("keep the details: %w", err)
	}
	return &attachment, nil
}

// keepLocation keeps details that say where something was seen and nothing else.
func (a *app) keepLocation(ctx context.Context, dir, at string) (*statement.Attachment, error) {
	d, err := detailsOfPlace(at)
	if err != nil {
		return nil, err
	}
	return a.keepDetails(ctx, dir, d)
}

// putStamped copies the manifest that lies with the ledger to where it was
// asked for, and notes that in the details.
func (a *app) putStamped(ctx context.Context, s *stamping, d *statement.Details) error {
	shelf, err := a.shelfOf(ctx, s.dir)
	if err != nil {
		return err
	}
	f, err := os.Open(shelf.ManifestPath(s.result.Fingerprint))
	if err != nil {
		return err
	}
	defer f.Close()
	if d.Manifest, err = attachmentOf(f); err != nil {
		return err
	}
	if err := a.putManifest(ctx, s.target, s.result.Fingerprint, f); err != nil {
		return err
	}
	at, err := s.target.at(s.result.Fingerprint).Absolute()
	if err != nil {
		return err
	}
	d.ManifestLocations = []string{at.String()}
	return nil
}

// stamped gives the marks the entry that the stamp got.
func (s *stamping) stamped(a *app, proof *solo.Proof) {
	if s.marks == nil {
		return
	}
	at, err := s.data.place.Absolute()
	if err == nil {
		err = s.marks.keep(a.marksPath(s.plan.ledger, proof.Receipt.Index, at))
	}
	if err != nil {
		a.term.Warnf("the next version will be read whole: %v", err)
	}
}

// kept reports whether a whole manifest of these files is with the ledger. It
// may have plain digests, which a new one without must not take away.
func kept(s shelf, fp fingerprint.Fingerprint) bool {
	m := manifest.Found{Path: s.ManifestPath(fp), Fingerprint: fp}
	return m.Check() == nil
}
