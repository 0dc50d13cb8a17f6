package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/stele-ml/stele/cmd/stele/jsonv1"
	"github.com/stele-ml/stele/fingerprint"
	"github.com/stele-ml/stele/internal/ledger"
	"github.com/stele-ml/stele/internal/oms"
	"github.com/stele-ml/stele/internal/place"
	"github.com/stele-ml/stele/internal/source"
	"github.com/stele-ml/stele/internal/terminal"
	"github.com/stele-ml/stele/statement"
)

// importOMSOrder is one call of `stele import oms`.
type importOMSOrder struct {
	file          string
	name, version string
	path          string // the data, or empty: the manifest
	all           bool
	trust         foreignTrust
	flags         scanFlags

	data *data // open, where there is a path
}

func (a *app) importOMS() *cobra.Command {
	var o importOMSOrder
	c := &cobra.Command{
		Use:   "oms FILE NAME@VERSION [PATH|URL]",
		Short: "Record an OpenSSF model signature over a stamped model",
		Long: `Checks the model signature in FILE by a key or certificates that you give, makes
sure that it is about the very bytes that were stamped as NAME@VERSION, and
records it on the ledger as a claim of its key, the file itself beside it.

With PATH every byte is read, once, against both. Without, the digests are
compared with the stamp's manifest: it has to have plain SHA-256 digests, as
those of files of up to 1 MiB are on a ledger with SHA-256, and all of them
after ` + "`stele stamp --sha256`" + `.

The paths that the signature leaves out are printed and recorded with it: it
says nothing of them. With more than 256 of them it is refused.`,
		Example: `  stele import oms model.sig vendor/net@2.1 net --public-key vendor.pem
  stele import oms model.sig vendor/net@2.1 s3://models/net \
      --certificate-chain vendor-ca.pem`,
		Args: cobra.RangeArgs(2, 3),
		RunE: func(c *cobra.Command, args []string) (err error) {
			o.file = args[0]
			if o.name, o.version, err = statement.ParseNameVersion(args[1]); err != nil {
				return usagef("%v", err)
			}
			if len(args) > 2 {
				o.path = args[2]
			}
			if err := o.trust.check(true); err != nil {
				return err
			}
			err = a.importModel(c.Context(), &o)
			if o.data != nil {
				err = o.data.end(err)
			}
			return err
		},
	}
	c.Flags().BoolVar(&o.all, "all", false, "show every change, and every path that is left out")
	o.trust.register(c, true)
	o.flags.registerReading(c)
	return c
}

// importModel checks a model signature and records it.
func (a *app) importModel(ctx context.Context, o *importOMSOrder) error {
	at, document, err := readForeign(ctx, o.file, o.flags.reach(), oms.MaxFile)
	if err != nil {
		return err
	}
	s, err := oms.Parse(document)
	if err != nil {
		return foreignFailure(o.file, err)
	}
	v, judged, err := o.trust.verifyOMS(a, s)
	if err != nil {
		return foreignFailure(o.file, err)
	}
	st := v.Statement
	if n := len(st.Ignored); n > statement.MaxIgnored {
		return failf(exitRefused, "%s leaves out %s, and a ledger records at most %s", source.Show(o.file), terminal.Plural(uint64(n), "path"), terminal.Count(statement.MaxIgnored)).withPath(o.file).
			withHint("a signature that leaves out so much says little; ask its signer for another")
	}
	dir, signer, closeSigner, err := a.writer(ctx)
	if err != nil {
		return err
	}
	defer closeSigner()
	b, stamp, search, err := a.planImport(ctx, dir, signer, o.name, o.version, o.flags.reach())
	if err != nil {
		return err
	}
	result, against, err := a.compareForImport(ctx, o, at, st, b, stamp, search)
	if err != nil {
		return err
	}
	if !result.Same() {
		return a.notThisModel(o, v, judged, result)
	}
	key := foreignKey(v, judged)
	m := &importing{
		name: o.name, version: o.version, document: document, key: key,
		statement: statement.Import{
			Format: statement.ImportOMS, PredicateType: st.PredicateType,
			Key:  statement.ImportKey{Method: string(v.Method), SHA256: v.Key.ID(), Subject: v.Subject},
			Hash: string(st.Hash), Resources: uint64(len(st.Resources)), Ignored: slices.Clone(st.Ignored),
		},
		out: &jsonv1.Import{Fingerprint: b.Fingerprint.String(), Against: against, Ignored: ignoredJSON(result.Ignored), Notes: append([]string{}, v.Notes...)},
	}
	if err := a.recordImport(ctx, dir, signer, m); err != nil || a.json || a.quiet {
		return err
	}
	a.printIgnored(result.Ignored, o.all)
	noted := &jsonv1.VerifyOMS{Verdict: "verified", Path: o.path, Counts: &jsonv1.Counts{}, Notes: v.Notes, Void: st.Void, Empty: result.Empty, Renamed: result.Renamed, Signer: key}
	a.noteOMS(noted, &verifyOrder{path: o.path})
	return nil
}

// planImport finds what is imported to, and refuses early what would be refused
// late.
func (a *app) planImport(ctx context.Context, dir string, signer statement.Signer, name, version string, reach place.Options) (b ledger.Binding, stamp *statement.Stamp, search manifestSearch, err error) {
	err = a.readAt(ctx, dir, func(r *reading) error {
		if err := a.importAllowed(r, signer); err != nil {
			return err
		}
		var st *statement.Statement
		if b, st, err = r.boundBy(name, version); err != nil {
			return err
		}
		entry, err := r.Entry(b.Entry)
		if err != nil {
			return err
		}
		if err := r.proveIncluded(entry); err != nil {
			return err // its fingerprint is what is signed
		}
		if stamp = st.Stamp; len(stamp.Members) > 0 {
			return usagef("%s is a collection: a foreign statement is about files", b.Ref()).withHint("import it to a member of it")
		}
		search, err = a.searchFor(r, st, reach)
		return err
	})
	return b, stamp, search, err
}

// compareForImport compares a signature with the artifact: with the data, which
// has to be the artifact, or with its manifest.
func (a *app) compareForImport(ctx context.Context, o *importOMSOrder, at place.Place, st *oms.Statement, b ledger.Binding, stamp *statement.Stamp, search manifestSearch) (*oms.Result, string, error) {
	if o.path == "" {
		files, err := a.plainDigests(ctx, search, stamp)
		if err != nil {
			return nil, "", err
		}
		r, err := st.Compare(oms.SHA256, files, stamp.Files == 1)
		if err != nil {
			return nil, "", failf(exitError, "%w", err).withHint("give the PATH of the data")
		}
		return r, againstManifest, nil
	}
	var err error
	if o.data, err = a.openData(ctx, "import", o.path, &o.flags); err != nil {
		return nil, "", err
	}
	e := &exported{binding: b, stamp: stamp, search: search}
	hides, err := a.stampHides(ctx, e, o.data)
	if err != nil {
		return nil, "", err
	}
	own := pathWithin(o.data.place, at)
	r, err := a.compareOMS(ctx, st, o.data, oms.VerifyOptions{Signature: own, Tree: &oms.TreeOptions{Algorithm: b.Fingerprint.Algorithm, Hides: hides}})
	if err != nil {
		return nil, "", err
	}
	return r, againstData, a.isArtifact(ctx, o.data, b, stamp, search, hides, r.Found, own)
}

// isArtifact checks that files that were read are an artifact: with or without
// the signature that may lie among them, and a single file under any name.
func (a *app) isArtifact(ctx context.Context, d *data, b ledger.Binding, stamp *statement.Stamp, search manifestSearch, hides source.Skip, found []oms.Found, own string) error {
	want := b.Fingerprint
	names := []func(oms.Found) (string, bool){
		func(f oms.Found) (string, bool) { return f.Path, !hides(f.Path, false) },
		func(f oms.Found) (string, bool) { return f.Path, !hides(f.Path, false) && f.Path != own },
	}
	if d.source.Single() && stamp.Files == 1 {
		if m, _, err := a.findManifest(ctx, search); err == nil && m != nil {
			defer m.Close()
			if list, err := m.Paths(); err == nil && len(list) == 1 {
				names = append(names, func(oms.Found) (string, bool) { return list[0], true })
			}
		}
	}
	var is fingerprint.Fingerprint
	for i, name := range names {
		got, err := fingerprintOf(want.Algorithm, found, name)
		if err != nil {
			return err
		}
		if got == want {
			return nil
		}
		if i == 0 {
			is = got
		}
	}
	return failf(exitTampered, "%s is not %s: it is %s, and was stamped as %s", d.place, b.Ref(), terminal.Digest(is.String()), terminal.Digest(want.String())).
		withPath(d.place.String()).withEntry(b.Entry).withHint(fmt.Sprintf("nothing was recorded; `stele verify %s %s` names each change", b.Ref(), d.place))
}

// plainDigests are the plain SHA-256 digests of an artifact's files, as far as
// its manifest has all of them.
func (a *app) plainDigests(ctx context.Context, search manifestSearch, stamp *statement.Stamp) ([]oms.Found, error) {
	if stamp.Files > oms.MaxResources {
		return nil, failf(exitRefused, "%s has %s, and a model signature lists at most %s", search.what, terminal.Plural(stamp.Files, "file"), terminal.Count(oms.MaxResources))
	}
	found, bad, err := a.findManifest(ctx, search)
	if err == nil && found == nil {
		err = search.nowhere(bad)
	}
	if err != nil {
		return nil, err
	}
	defer found.Close()
	m, err := found.Open()
	if err != nil {
		return nil, err
	}
	defer m.Close()
	var files []oms.Found
	for f, err := range m.All() {
		if err != nil {
			return nil, err
		}
		plain := plainSHA256(search.fp.Algorithm, &f)
		if plain == nil {
			return nil, failf(exitNotFound, "the plain SHA-256 of %s is not in the manifest of %s", source.Show(f.Path), search.what).withPath(f.Path).
				withHint("give the PATH of the data, which is then read; `stele stamp --sha256` would have recorded them")
		}
		files = append(files, oms.Found{Path: f.Path, Size: f.Size, Digests: [][]byte{plain[:]}})
	}
	return files, nil
}

// plainSHA256 is the plain SHA-256 of a whole file, where it is known: of a small
// one on a ledger with SHA-256 its digest is that.
func plainSHA256(algorithm fingerprint.Algorithm, f *fingerprint.File) *fingerprint.Digest {
	switch {
	case f.SHA256 != nil:
		return f.SHA256
	case algorithm == fingerprint.SHA256 && f.Size <= fingerprint.ChunkSize:
		return &f.Digest
	}
	return nil
}

// notThisModel is the verdict on a good signature that is about other bytes.
func (a *app) notThisModel(o *importOMSOrder, v *oms.Verified, judged time.Time, r *oms.Result) error {
	what := o.path
	if what == "" {
		what = o.name + "@" + o.version
	}
	out := &jsonv1.VerifyOMS{Path: what, Signature: o.file, Changes: []jsonv1.Change{}, Ignored: []jsonv1.IgnoredPath{}, Notes: []string{}}
	describeOMS(out, v, judged)
	fillOMS(out, r, o.all)
	err := a.printOMS(out, r, &verifyOrder{path: what, oms: omsOrder{file: o.file}, all: o.all})
	if !a.json {
		a.term.Hintf("nothing was recorded: the signature is not about these bytes")
	}
	return err
}
