package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/stele-ml/stele/cmd/stele/jsonv1"
	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/fingerprint"
	"github.com/stele-ml/stele/internal/ledger"
	"github.com/stele-ml/stele/internal/scan"
	"github.com/stele-ml/stele/internal/solo"
	"github.com/stele-ml/stele/statement"
)

// verifyOrder is one call of `stele verify`.
type verifyOrder struct {
	name, version string
	path          string // the data, or empty
	evidence      string // an evidence file: offline
	manifest      string // to name the changes with
	maxAge        time.Duration
	all, checks   bool
	flags         scanFlags
}

func (a *app) verifyCommand() *cobra.Command {
	var o verifyOrder
	c := &cobra.Command{
		Use:   "verify [NAME@VERSION] [PATH]",
		Short: "Check data against its stamp, every byte; or evidence, offline",
		Long: `Reads every byte below PATH again, with the stamp's ignore rules, and checks it
against NAME@VERSION on the ledger: fingerprint, signature, the signer's
standing, inclusion, checkpoint, trust, withdrawal. Names every changed, added
and removed file, and the byte ranges. Without PATH, the place where the data
lay when it was stamped. Without NAME@VERSION, the data is looked up by its
fingerprint.

With --evidence, all that is checked offline, against the file and your trust
alone; PATH adds the data.`,
		Example: `  stele verify clinic/wdbc@2026-11-01 training
  stele verify --evidence evidence.json --trust clinic.policy training`,
		Args: cobra.MaximumNArgs(2),
		RunE: func(c *cobra.Command, args []string) error {
			if err := o.parse(args); err != nil {
				return err
			}
			for _, path := range []string{o.path, o.evidence, o.manifest} {
				if path != "" {
					if err := exists(path); err != nil {
						return err
					}
				}
			}
			if o.evidence != "" {
				return a.verifyEvidence(c.Context(), &o)
			}
			return a.verifyLedger(c.Context(), &o)
		},
	}
	c.Flags().StringVar(&o.evidence, "evidence", "", "check this evidence `file`, offline")
	c.Flags().StringVar(&o.manifest, "manifest", "", "the manifest `file` to name changes with (default the ledger's)")
	c.Flags().DurationVar(&o.maxAge, "max-age", 0, "how old the newest cosignature may be, for example 24h; needs witnesses")
	c.Flags().BoolVar(&o.all, "all", false, "show every change")
	c.Flags().BoolVar(&o.checks, "checks", false, "show what each check found")
	o.flags.register(c, false)
	return c
}

func (o *verifyOrder) parse(args []string) error {
	if len(args) > 0 && !isPath(args[0]) {
		name, version, err := statement.ParseNameVersion(args[0])
		switch {
		case err == nil:
			o.name, o.version = name, version
			args = args[1:]
		case len(args) == 2:
			return usagef("%v", err)
		}
	}
	if len(args) > 1 {
		return usagef("%q is a path; the first of two arguments is NAME@VERSION", args[0])
	}
	if len(args) == 1 {
		o.path = args[0]
	}
	if o.name == "" && o.path == "" && o.evidence == "" {
		return usagef("verify needs NAME@VERSION, PATH, or --evidence FILE")
	}
	if o.maxAge < 0 {
		return usagef("--max-age %v is negative", o.maxAge)
	}
	return nil
}

// subjectOf is what a verification is about, before anything is checked.
type subjectOf struct {
	file     *evidence.File
	stamp    *statement.Stamp
	fp       fingerprint.Fingerprint
	manifest string // path of a manifest that must hash to fp, or empty
	past     evidence.Remembered
	proof    tlog.TreeProof // from past to the checkpoint, where the ledger is at hand
}

// verifyLedger checks against the ledger: its evidence is made and then
// verified as anybody else would verify it.
func (a *app) verifyLedger(ctx context.Context, o *verifyOrder) error {
	dir, err := a.findLedger()
	if err != nil {
		return err
	}
	if o.name == "" {
		if err := a.identify(ctx, dir, o); err != nil {
			return err
		}
	}
	s := new(subjectOf)
	err = a.readUntrusted(ctx, dir, func(r *reading) error {
		b, err := r.binding(o.name, o.version)
		if err != nil {
			return err
		}
		_, st, err := r.statement(b.Entry)
		if err != nil {
			return err
		}
		s.stamp, s.fp = st.Stamp, b.Fingerprint
		s.manifest = solo.OpenShelf(dir).ManifestPath(b.Fingerprint)
		if o.path == "" {
			if o.path, err = a.stampedLocation(r, st); err != nil {
				return err
			}
		}
		var attached [][]byte
		if st.Stamp.Details != nil {
			if data, err := solo.OpenShelf(dir).Get(*st.Stamp.Details); err == nil {
				attached = append(attached, data)
			}
		}
		s.file, err = r.Evidence(evidence.Claim{Entry: b.Entry, Name: b.Name, Version: b.Version, Fingerprint: b.Fingerprint}, attached)
		if err != nil {
			return err
		}
		s.past, s.proof, err = a.historyOf(r)
		return err
	})
	if err != nil {
		return err
	}
	return a.judge(ctx, o, s)
}

// identify finds the stamp of data that came without a name: by its
// fingerprint under the rules that stand in the folder now, then under the
// rules of stamps that were made of this place.
func (a *app) identify(ctx context.Context, dir string, o *verifyOrder) error {
	var algorithm fingerprint.Algorithm
	if err := a.readUntrusted(ctx, dir, func(r *reading) error { algorithm = r.Algorithm(); return nil }); err != nil {
		return err
	}
	result, err := a.scan(ctx, o.path, o.flags.options(algorithm), func(fingerprint.File) error { return nil })
	if err != nil {
		return err
	}
	abs, err := filepath.Abs(o.path)
	if err != nil {
		return err
	}
	return a.readUntrusted(ctx, dir, func(r *reading) error {
		for i, err := range r.ByFingerprint(result.Fingerprint) {
			if err != nil {
				return err
			}
			_, st, err := r.statement(i)
			if err != nil {
				return err
			}
			if st.Stamp != nil {
				ref, err := st.Ref()
				o.name, o.version = ref.Name, ref.Version
				return err
			}
		}
		b, ok, err := a.stampedHere(r, abs)
		if err != nil {
			return err
		}
		if !ok {
			return failf(exitNotFound, "%s is %s, which is not on this ledger", o.path, result.Fingerprint).withPath(o.path).
				withHint("give NAME@VERSION to compare with a stamp; `stele stamp` puts it on the ledger")
		}
		a.term.Notef("not on the ledger by its fingerprint; comparing with %s, which was stamped here", b.Ref())
		o.name, o.version = b.Name, b.Version
		return nil
	})
}

// stampedHere finds the last stamp whose details say that it was made of path.
func (a *app) stampedHere(r *reading, path string) (found ledger.Binding, ok bool, err error) {
	for i, err := range r.ByKind(statement.KindStamp) {
		if err != nil {
			return found, false, err
		}
		_, st, err := r.statement(i)
		if err != nil {
			return found, false, err
		}
		if d, _, err := a.detailsOf(r, st); err == nil && d != nil && slices.Contains(d.Locations, path) {
			ref, err := st.Ref()
			if err != nil {
				return found, false, err
			}
			if found, err = r.ByName(ref.Name, ref.Version); err != nil {
				return found, false, err
			}
			ok = true
		}
	}
	return found, ok, nil
}

// stampedLocation is where the data lay when it was stamped.
func (a *app) stampedLocation(r *reading, st *statement.Statement) (string, error) {
	d, _, err := a.detailsOf(r, st)
	if err == nil && d != nil && len(d.Locations) > 0 {
		if _, err := os.Stat(d.Locations[0]); err == nil {
			a.term.Notef("reading %s, where it was stamped", d.Locations[0])
			return d.Locations[0], nil
		}
		return "", failf(exitNotFound, "%s was stamped at %s, which is not there", st.Subject[0].Name, d.Locations[0]).
			withPath(d.Locations[0]).withHint("give the PATH where the data is now")
	}
	return "", usagef("where %s was stamped is not known here", st.Subject[0].Name).withHint("give the PATH of the data")
}

// verifyEvidence checks an evidence file offline.
func (a *app) verifyEvidence(ctx context.Context, o *verifyOrder) error {
	data, err := readSmall(o.evidence, evidence.MaxFile)
	if err != nil {
		return err
	}
	s := &subjectOf{manifest: o.manifest}
	if s.file, err = evidence.Parse(data); err != nil {
		return failf(exitTampered, "evidence %s: %w", o.evidence, err).withPath(o.evidence).
			withHint("the file was altered or cut short; ask for it again")
	}
	_, st, err := s.file.Stamp()
	if err != nil {
		return failf(exitTampered, "evidence %s: %w", o.evidence, err).withPath(o.evidence)
	}
	s.stamp, s.fp = st.Stamp, s.file.Claim.Fingerprint
	// Offline, what was seen before can be compared only where the size is the
	// same: an older file is no rollback, and nobody is there to ask for a proof.
	if s.past, err = a.remembered(s.file.Ledger); err != nil {
		return err
	}
	return a.judge(ctx, o, s)
}

// judge reads the data, if any is given, verifies the evidence and prints the
// verdict.
func (a *app) judge(ctx context.Context, o *verifyOrder, s *subjectOf) error {
	if o.manifest != "" {
		s.manifest = o.manifest
	}
	out := &jsonv1.Verify{Path: o.path, Changes: []jsonv1.Change{}, Ignore: s.stamp.Ignore, Fingerprint: s.fp.String()}
	opts := evidence.Options{Now: a.now().UnixMilli(), MaxAge: milliseconds(o.maxAge), Name: o.name, Version: o.version}
	if o.path != "" {
		contents, err := a.readContents(ctx, o, s, out)
		if err != nil {
			return err
		}
		opts.Contents = contents
	}
	opts.Remembered, opts.Proof = s.past, s.proof
	v, trusted, err := a.verdictOn(s.file, opts)
	if err != nil {
		return err
	}
	a.fillVerdict(out, v)
	if a.json {
		a.printJSON(out)
	} else if !a.quiet || v.Exit() != exitHolds {
		a.printVerdict(o, out, v)
		if !trusted {
			a.hintTrust(v)
		}
	}
	if status := v.Exit(); status != exitHolds {
		return verdictError{status}
	}
	return nil
}

// readContents reads the data with the stamp's rules, once: against the
// manifest where there is one, so that each change is named.
func (a *app) readContents(ctx context.Context, o *verifyOrder, s *subjectOf, out *jsonv1.Verify) (*evidence.Contents, error) {
	opts := o.flags.options(s.fp.Algorithm)
	opts.UseExact, opts.Exact = true, s.stamp.Ignore
	var result scan.Result
	var last fingerprint.File
	files := func(yield func(fingerprint.File, error) bool) {
		for f, err := range a.scanning(ctx, o.path, opts, &result) {
			last = f
			if !yield(f, err) {
				return
			}
		}
	}
	old, err := a.wholeManifest(s)
	switch {
	case err != nil:
		return nil, err
	case old == nil:
		for _, err := range files {
			if err != nil {
				return nil, err
			}
		}
	default:
		defer old.Close()
		d, err := compare(o.name, o.path, old.All(), files, o.all)
		if err != nil {
			return nil, err
		}
		out.Changes, out.Counts, out.Truncated = d.Changes, &d.Counts, d.Truncated
	}
	out.Found, out.Hidden = result.Fingerprint.String(), result.HiddenCount
	out.Basis = &jsonv1.Basis{Read: result.Summary.Bytes}
	a.noteHidden(result)
	contents := &evidence.Contents{Fingerprint: result.Fingerprint, Files: result.Summary.Files, Bytes: result.Summary.Bytes}
	if from, ok := renamedFrom(s, out, result, last); ok {
		out.Changes = []jsonv1.Change{{Path: last.Path, Change: fingerprint.Renamed, From: from}}
		out.Counts = &jsonv1.Counts{Renamed: 1}
		contents.Fingerprint = s.fp
		a.term.Notef("%s was stamped as %s: renamed, and the same bytes", last.Path, from)
	}
	return contents, nil
}

// renamedFrom finds the name under which a single file was stamped, if it is
// the stamped file under another name: a file's name is where somebody put it,
// so that is said and is no failure. The old name comes from the manifest or
// the evidence, and counts because with it the fingerprint is the stamp's.
func renamedFrom(s *subjectOf, out *jsonv1.Verify, result scan.Result, file fingerprint.File) (from string, ok bool) {
	if !result.Single || s.stamp.Files != 1 || result.Fingerprint == s.fp {
		return "", false
	}
	var names []string
	for _, c := range out.Changes {
		names = append(names, c.From)
	}
	for _, c := range s.file.Claim.Paths {
		names = append(names, c.Path)
	}
	for _, name := range names {
		tree := fingerprint.NewTree(s.fp.Algorithm)
		file.Path = name
		if tree.Add(file) != nil {
			continue
		}
		if summary, err := tree.Summary(); err == nil && summary.Fingerprint(s.fp.Algorithm) == s.fp {
			return name, true
		}
	}
	return "", false
}

// wholeManifest opens the manifest to name changes with, checked whole; nil
// where there is none. It is trusted only because it hashes to the stamp's
// fingerprint; a damaged one that lies with the ledger is told and left aside.
func (a *app) wholeManifest(s *subjectOf) (*manifestFile, error) {
	if s.manifest == "" {
		return nil, nil
	}
	m, err := checkedManifest(s.manifest, s.fp)
	switch {
	case err == nil:
		return m, nil
	case errors.Is(err, os.ErrNotExist):
		return nil, nil
	}
	a.term.Warnf("changes cannot be named: %v", err)
	return nil, nil
}
