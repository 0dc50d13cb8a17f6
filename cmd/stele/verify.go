package main

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/stele-ml/stele/cmd/stele/jsonv1"
	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/fingerprint"
	"github.com/stele-ml/stele/internal/account"
	"github.com/stele-ml/stele/internal/collection"
	"github.com/stele-ml/stele/internal/ledger"
	"github.com/stele-ml/stele/internal/place"
	"github.com/stele-ml/stele/internal/solo"
	"github.com/stele-ml/stele/internal/watch"
	"github.com/stele-ml/stele/lineage"
	"github.com/stele-ml/stele/statement"
)

// verifyOrder is one call of `stele verify`.
type verifyOrder struct {
	name, version       string
	path                string // the data, or empty
	evidence            string // an evidence file: offline
	manifest            string // to name the changes with
	recheck             string // full, version or audit
	removedBy           string // the entry that accounts for what is missing
	altered, confidence string // of audit
	maxAge              time.Duration
	all, checks         bool
	noLineage           bool     // of evidence: the stamp alone
	oms                 omsOrder // against a model signature
	flags               scanFlags

	data  *data        // open, where there is a path
	watch *watch.Watch // of a run's input, or a guard's model: what it is known again by; nil elsewhere
	known *guardCheck  // an earlier check of the same files; nil: none, or nobody asked for it
}

func (a *app) verifyCommand() *cobra.Command {
	var o verifyOrder
	c := &cobra.Command{
		Use:   "verify [NAME@VERSION] [PATH|URL]",
		Short: "Check data against its stamp, every byte; or evidence, offline",
		Long: `Reads every byte below PATH again, with the stamp's ignore rules, and checks it
against NAME@VERSION on the ledger: fingerprint, signature, the signer's
standing, inclusion, checkpoint, trust, withdrawal. Names every changed, added
and removed file, and the byte ranges. Without PATH, the place where the data
lay when it was stamped. Without NAME@VERSION, the data is looked up by its
fingerprint; in a bucket, by the place first.

--recheck version reads only files that have not the object version (or ETag, or
times) that they had when they were stamped; --recheck audit reads random
chunks, as ` + "`stele audit`" + ` does. The verdict is then "sampled", not "verified".

With --evidence, all that is checked offline, against the file and your trust
alone: the stamp, all that it was made of, and that nothing of it was withdrawn;
and it is told as a story. PATH adds the data. Evidence without what it was made
of is "unknown", unless --no-lineage asks about the stamp alone.

With --oms, a model is checked against an OpenSSF model signature that somebody
else made, by a key or certificates that you give. No ledger is needed.`,
		Example: `  stele verify clinic/wdbc@2026-11-01 training
  stele verify clinic/wdbc@2026-11-01 s3://clinic/wdbc --recheck version
  stele verify --evidence evidence.json --trust clinic.policy training
  stele verify model --oms model.sig --public-key signer.pem`,
		Args: cobra.MaximumNArgs(2),
		RunE: func(c *cobra.Command, args []string) error {
			if err := o.parse(args); err != nil {
				return err
			}
			err := a.verify(c.Context(), &o)
			if o.data != nil {
				err = o.data.end(err)
			}
			return err
		},
	}
	c.Flags().StringVar(&o.evidence, "evidence", "", "check this evidence `file`, offline; - is standard input")
	c.Flags().BoolVar(&o.noLineage, "no-lineage", false, "with --evidence: the stamp alone, whatever it was made of")
	c.Flags().StringVar(&o.manifest, "manifest", "", "the manifest to name changes with, a `path` or a URL (default where it is found)")
	c.Flags().StringVar(&o.recheck, "recheck", "full", "`how`: full (every byte is read), version or audit")
	c.Flags().StringVar(&o.altered, "altered", usualAltered, "with --recheck audit: find it if this `share` of the bytes lies in altered chunks")
	c.Flags().StringVar(&o.confidence, "confidence", usualConfidence, "with --recheck audit: with this `probability`")
	c.Flags().StringVar(&o.removedBy, "removed-by", "", "files that the later version in this `entry` does not list any more were removed on purpose")
	maxAgeFlag(c.Flags(), &o.maxAge, "how old the newest cosignature may be, for example 24h; needs witnesses")
	c.Flags().BoolVar(&o.all, "all", false, "show every change")
	c.Flags().BoolVar(&o.checks, "checks", false, "show what each check found")
	o.oms.register(c)
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
	if err := oneOf("--recheck", o.recheck, "full", "version", "audit"); err != nil {
		return err
	}
	if o.noLineage && o.evidence == "" {
		return usagef("--no-lineage goes with --evidence: the ledger has what it was made of")
	}
	if o.recheck != "full" && o.evidence != "" {
		return usagef("--recheck %s needs the ledger: with --evidence every byte is read", o.recheck)
	}
	if o.removedBy != "" && (o.recheck != "full" || o.evidence != "" || o.name == "") {
		return usagef("--removed-by needs NAME@VERSION and the ledger, and reads every byte that is left")
	}
	if o.recheck == "audit" && o.name == "" {
		return usagef("--recheck audit needs NAME@VERSION")
	}
	return nil
}

// verify opens what is given, and checks it.
func (a *app) verify(ctx context.Context, o *verifyOrder) error {
	if foreign, err := o.oms.given(o); err != nil {
		return err
	} else if foreign {
		return a.verifyOMS(ctx, o)
	}
	if o.recheck == "audit" {
		return a.recheckAudit(ctx, o)
	}
	for _, path := range []string{o.evidence, o.manifest} {
		if path != "" && (path != "-" || path == o.manifest) && !strings.Contains(path, "://") {
			if err := exists(path); err != nil {
				return err
			}
		}
	}
	if o.path != "" {
		var err error
		if o.data, err = a.openData(ctx, "verify", o.path, &o.flags); err != nil {
			return err
		}
	}
	if o.evidence != "" {
		return a.verifyEvidence(ctx, o)
	}
	return a.verifyLedger(ctx, o)
}

// recheckAudit is `stele audit` by another name.
func (a *app) recheckAudit(ctx context.Context, o *verifyOrder) (err error) {
	audit := auditOrder{
		name: o.name, version: o.version, place: o.path, manifest: o.manifest, maxAge: o.maxAge, all: o.all, checks: o.checks, flags: o.flags,
	}
	if audit.altered, audit.confidence, audit.draws, err = parseOdds(o.altered, o.confidence); err != nil {
		return err
	}
	return a.auditAlone(ctx, &audit)
}

// subjectOf is what a verification is about, before anything is checked.
type subjectOf struct {
	file  *evidence.File
	stamp *statement.Stamp
	fp    fingerprint.Fingerprint
	past  evidence.Remembered
	proof tlog.TreeProof // from past to the checkpoint, where the ledger is at hand

	search   manifestSearch   // for the manifest to name changes with
	earlier  *earlierStamp    // what was stamped, where the ledger is at hand
	root     *collection.Node // the same, with its members
	members  []memberVerdict
	places   []evidence.Withdrawal // that were withdrawn
	removal  *removal              // --removed-by
	large    *lineage.Judgement    // what the ledger says of a lineage that is too large for evidence
	nameless bool                  // see judged
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
	s, err := a.subjectOn(ctx, dir, o)
	if err != nil {
		return err
	}
	a.warnOfPlaces(s.earlier.Ref(), s.places, o.path)
	if o.data == nil {
		if o.data, err = a.openData(ctx, "verify", o.path, &o.flags); err != nil {
			return err
		}
	}
	return a.judge(ctx, o, s)
}

// subjectOn makes the evidence of what is to be verified, and finds where its
// data lies if nobody has said.
func (a *app) subjectOn(ctx context.Context, dir string, o *verifyOrder) (*subjectOf, error) {
	s := new(subjectOf)
	err := a.readUntrusted(ctx, dir, func(r *reading) error {
		b, st, err := r.boundBy(o.name, o.version)
		if err != nil {
			return err
		}
		s.stamp, s.fp, s.places = st.Stamp, b.Fingerprint, r.WithdrawnPlaces(b.Ref())
		if s.search, err = a.searchFor(r, st, o.flags.reach()); err != nil {
			return err
		}
		s.earlier = &earlierStamp{b, st.Stamp, s.search.details}
		if err := a.unfoldSubject(r, b, st.Stamp, o, s); err != nil {
			return err
		}
		if o.path == "" {
			if o.path, err = a.stampedLocation(r, st); err != nil {
				return err
			}
		}
		claim, further, large, err := r.lineageClaim(b)
		if err != nil {
			return err
		}
		s.large = large
		if s.file, err = r.Evidence(claim, a.detailsAtHand(ctx, dir, st.Stamp), further...); err != nil {
			return err
		}
		s.past, s.proof, err = a.memory.History(a.shown(r), r.View)
		return err
	})
	return s, err
}

// detailsAtHand are the details of a stamp, where they are at hand: they may have the
// name that a single file was stamped under.
func (a *app) detailsAtHand(ctx context.Context, dir string, st *statement.Stamp) [][]byte {
	if st.Details == nil {
		return nil
	}
	data, err := a.documentOf(ctx, dir, *st.Details)
	if err != nil {
		if !errors.Is(err, solo.ErrWithheld) {
			a.term.Warnf("the details are left aside: %v", err)
		}
		return nil
	}
	return [][]byte{data}
}

// identify finds the stamp of data that came without a name: by its
// fingerprint under the rules that stand in the folder now, then by stamps that
// were made of this place. A bucket is read once: by the place first.
func (a *app) identify(ctx context.Context, dir string, o *verifyOrder) error {
	at, err := o.data.place.Absolute()
	if err != nil {
		return err
	}
	var algorithm fingerprint.Algorithm
	var here ledger.Binding
	var found bool
	err = a.readUntrusted(ctx, dir, func(r *reading) error {
		algorithm = r.Algorithm()
		here, found, err = a.stampedHere(r, at)
		return err
	})
	if err != nil {
		return err
	}
	if found && at.Remote() {
		a.term.Notef("comparing with %s, which was stamped here", here.Ref())
		o.name, o.version = here.Name, here.Version
		return nil
	}
	result, err := a.scan(ctx, o.data, o.flags.options(algorithm), nil)
	if err != nil {
		return err
	}
	o.data.readAgain()
	return a.readUntrusted(ctx, dir, func(r *reading) error {
		for i, err := range r.ByFingerprint(result.Fingerprint) {
			if err != nil {
				return err
			}
			_, st, err := r.Statement(i)
			if err != nil {
				return err
			}
			for _, s := range st.Stamps() {
				if s.Ref.Fingerprint == result.Fingerprint {
					o.name, o.version = s.Ref.Name, s.Ref.Version
					return nil
				}
			}
		}
		if !found {
			return failf(exitNotFound, "%s is %s, which is not on this ledger", o.path, result.Fingerprint).withPath(o.path).
				withHint("give NAME@VERSION to compare with a stamp; `stele stamp` puts it on the ledger")
		}
		a.term.Notef("not on the ledger by its fingerprint; comparing with %s, which was stamped here", here.Ref())
		o.name, o.version = here.Name, here.Version
		return nil
	})
}

// stampedHere finds the last stamp whose details say that it was made of a
// place.
func (a *app) stampedHere(r *reading, at place.Place) (found ledger.Binding, ok bool, err error) {
	for _, kind := range []statement.Kind{statement.KindStamp, statement.KindRun} {
		for i, err := range r.ByKind(kind) {
			if err != nil {
				return found, false, err
			}
			_, st, err := r.Statement(i)
			if err != nil {
				return found, false, err
			}
			for _, s := range st.Stamps() {
				d, _, err := a.detailsOf(r, account.AsStamp(st, s))
				if err != nil || d == nil || ok && i < found.Entry ||
					!slices.ContainsFunc(d.Locations, func(l string) bool { p, err := place.Parse(l); return err == nil && p.Same(at) }) {
					continue
				}
				if found, err = r.ByName(s.Ref.Name, s.Ref.Version); err != nil {
					return found, false, err
				}
				ok = true
			}
		}
	}
	return found, ok, nil
}

// stampedLocation is where the data lay when it was stamped.
func (a *app) stampedLocation(r *reading, st *statement.Statement) (string, error) {
	if len(st.Stamp.Members) > 0 {
		return a.membersLocation(r, st)
	}
	d, _, err := a.detailsOf(r, st)
	if err == nil && d != nil && len(d.Locations) > 0 {
		at := d.Locations[0]
		p, err := place.Parse(at)
		if err == nil && !p.Remote() {
			_, err = os.Stat(at)
		}
		if err == nil {
			a.term.Notef("reading %s, where it was stamped", at)
			return at, nil
		}
		return "", failf(exitNotFound, "%s was stamped at %s, which is not there", st.Subject[0].Name, at).
			withPath(at).withHint("give the PATH where the data is now")
	}
	if err != nil && !errors.Is(err, solo.ErrWithheld) {
		a.term.Warnf("the details are left aside: %v", err)
	}
	return "", usagef("where %s was stamped is not known here", st.Subject[0].Name).withHint("give the PATH of the data")
}

// verifyEvidence checks an evidence file offline.
func (a *app) verifyEvidence(ctx context.Context, o *verifyOrder) error {
	data, err := a.readIn(o.evidence, evidence.MaxFile)
	if err != nil {
		return err
	}
	s := new(subjectOf)
	if s.file, err = evidence.Parse(data); err != nil {
		return failf(exitTampered, "evidence %s: %w", o.evidence, err).withPath(o.evidence).
			withHint("the file was altered or cut short; ask for it again")
	}
	_, st, err := s.file.Stamp()
	if err != nil {
		return failf(exitTampered, "evidence %s: %w", o.evidence, err).withPath(o.evidence)
	}
	s.stamp, s.fp = st.Stamp, s.file.Claim.Fingerprint
	// Nothing is fetched because the evidence says so: that would not be offline.
	if o.data != nil {
		if s.root, err = unfoldEvidence(s.file, st); err != nil {
			return err
		}
	}
	s.search = manifestSearch{what: st.Ref.String(), fp: s.fp, files: s.stamp.Files, bytes: s.stamp.Bytes, reach: o.flags.reach()}
	// Offline, what was seen before can be compared only where the size is the
	// same: an older file is no rollback, and nobody is there to ask for a proof.
	if s.past, err = a.memory.Newest(s.file.Ledger); err != nil {
		return err
	}
	return a.judge(ctx, o, s)
}

// judge reads the data, if any is given, verifies the evidence and prints the
// verdict.
func (a *app) judge(ctx context.Context, o *verifyOrder, s *subjectOf) error {
	j, err := a.judgement(ctx, o, s)
	if err != nil {
		return err
	}
	return a.pronounce(o, j)
}

// judged is a verdict and how it is told.
type judged struct {
	out     *jsonv1.Verify
	verdict *evidence.Verdict
	trusted bool // some trust in the log is pinned
	// nameless: the data is one file, as large as the one that was stamped, and
	// what that was called is not known
	nameless bool
}

// judgement is the verdict, before it is printed.
func (a *app) judgement(ctx context.Context, o *verifyOrder, s *subjectOf) (*judged, error) {
	out := &jsonv1.Verify{Path: o.path, Changes: []jsonv1.Change{}, Ignore: s.stamp.Ignore, Fingerprint: s.fp.String()}
	opts := evidence.Options{Now: a.now().UnixMilli(), MaxAge: milliseconds(o.maxAge), Name: o.name, Version: o.version, StampOnly: o.noLineage || s.large != nil}
	if o.data != nil {
		contents, err := a.readContents(ctx, o, s, out)
		if err != nil {
			return nil, err
		}
		opts.Contents = contents
	}
	opts.Remembered, opts.Proof = s.past, s.proof
	v, trusted, err := a.verdictOn(s.file, opts)
	if err != nil {
		return nil, err
	}
	withMembers(v, s.members)
	withLarge(v, s.large)
	out.Members = memberVerdicts(out.Members, s.members)
	a.fillVerdict(out, v)
	return &judged{out, v, trusted, s.nameless && v.Result(evidence.CheckContents) == evidence.Failed}, nil
}

// pronounce prints a verdict. The error is how the command ends.
func (a *app) pronounce(o *verifyOrder, j *judged) error {
	if a.json {
		a.printJSON(j.out)
	} else if !a.quiet || j.verdict.Exit() != exitHolds {
		a.printVerdict(o, j.out, j.verdict)
		if !j.trusted {
			a.hintTrust(j.verdict)
		}
		if j.nameless {
			a.term.Hintf("the name of a single file is part of its fingerprint, and what it was is not known here: if it was renamed, give it back its name")
		}
	}
	if status := j.verdict.Exit(); status != exitHolds {
		return verdictError{status}
	}
	return nil
}
