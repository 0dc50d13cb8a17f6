package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/stele-ml/stele/cmd/stele/jsonv1"
	"github.com/stele-ml/stele/fingerprint"
	"github.com/stele-ml/stele/internal/ledger"
	"github.com/stele-ml/stele/internal/oms"
	"github.com/stele-ml/stele/internal/provenance"
	"github.com/stele-ml/stele/internal/scan"
	"github.com/stele-ml/stele/internal/source"
	"github.com/stele-ml/stele/internal/terminal"
	"github.com/stele-ml/stele/statement"
)

// importInTotoOrder is one call of `stele import intoto`.
type importInTotoOrder struct {
	file          string
	name, version string
	path          string // the data, or empty
	trust         foreignTrust
	flags         scanFlags

	data *data // open, where there is a path
}

func (a *app) importInToto() *cobra.Command {
	var o importInTotoOrder
	c := &cobra.Command{
		Use:   "intoto FILE NAME@VERSION [PATH|URL]",
		Short: "Record provenance that another builder signed of an artifact",
		Long: `Checks the DSSE envelope in FILE by a public key that you give (ECDSA, Ed25519
or RSA), makes sure that its in-toto statement is about the very bytes that were
stamped as NAME@VERSION, and records it on the ledger as a claim of that key,
the file itself beside it. SLSA provenance v0.2 and v1 is understood; other
predicates are recorded by their type.

A statement is about an artifact if a subject is its fingerprint (another
ledger's run), or if its subjects have the SHA-256 of the single file, or the
name and SHA-256 of every file of a tree. With PATH the files are read; without,
their digests come from the stamp's manifest, as far as it has plain ones.

What it says the artifact was made of, and is on this ledger by its bytes, is
recorded as its inputs: a claim, that carries no taint.`,
		Example: `  stele import intoto net.intoto.jsonl vendor/net@2.1 net.safetensors \
      --public-key builder.pem`,
		Args: cobra.RangeArgs(2, 3),
		RunE: func(c *cobra.Command, args []string) (err error) {
			o.file = args[0]
			if o.name, o.version, err = statement.ParseNameVersion(args[1]); err != nil {
				return usagef("%v", err)
			}
			if len(args) > 2 {
				o.path = args[2]
			}
			if err := o.trust.check(false); err != nil {
				return err
			}
			err = a.importProvenance(c.Context(), &o)
			if o.data != nil {
				err = o.data.end(err)
			}
			return err
		},
	}
	o.trust.register(c, false)
	o.flags.registerReading(c)
	return c
}

// importProvenance checks a foreign statement and records it.
func (a *app) importProvenance(ctx context.Context, o *importInTotoOrder) error {
	_, document, err := readForeign(ctx, o.file, o.flags.reach(), provenance.MaxFile)
	if err != nil {
		return err
	}
	text, err := readTrust(o.trust.publicKey)
	if err != nil {
		return err
	}
	key, err := provenance.ParsePublicKey(text)
	if err != nil {
		return failf(exitError, "%s: %w", o.trust.publicKey, err).withPath(o.trust.publicKey)
	}
	envelope, err := provenance.Parse(document)
	if err != nil {
		return foreignFailure(o.file, err)
	}
	st, err := envelope.Verify(key)
	if err != nil {
		return foreignFailure(o.file, err)
	}
	if err := recordable(o.file, st); err != nil {
		return err
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
	against, err := a.aboutArtifact(ctx, o, st, b, stamp, search)
	if err != nil {
		return err
	}
	inputs, notes, err := a.inputsHere(ctx, dir, st, b.Ref())
	if err != nil {
		return err
	}
	if envelope.Signatures > 1 {
		notes = append(notes, fmt.Sprintf("it has %d signatures: the given key's is good, the others were not checked", envelope.Signatures))
	}
	id := key.ID()
	m := &importing{
		name: o.name, version: o.version, document: document,
		key: jsonv1.ForeignKey{Method: statement.ImportByKey, Key: hex.EncodeToString(id[:]), Algorithm: key.Algorithm()},
		statement: statement.Import{
			Format: statement.ImportInToto, PredicateType: st.PredicateType,
			Key: statement.ImportKey{Method: statement.ImportByKey, SHA256: id}, Inputs: inputs, Builder: st.Builder,
		},
		out: &jsonv1.Import{Fingerprint: b.Fingerprint.String(), Against: against, Dependencies: uint64(len(st.Dependencies)), Notes: append([]string{}, notes...)},
	}
	if err := a.recordImport(ctx, dir, signer, m); err != nil || a.json {
		return err
	}
	for _, n := range notes {
		a.term.Notef("%s", n)
	}
	return nil
}

// recordable refuses what an entry has no room for.
func recordable(file string, st *provenance.Statement) error {
	err := statement.CheckText("its predicate type", st.PredicateType, statement.MaxURI)
	if err == nil && st.Builder != "" {
		err = statement.CheckText("its builder", st.Builder, statement.MaxURI)
	}
	if err != nil {
		return failf(exitRefused, "%s: %w", source.Show(file), err).withPath(file)
	}
	return nil
}

// aboutArtifact makes sure that a statement is about the artifact, and says how.
func (a *app) aboutArtifact(ctx context.Context, o *importInTotoOrder, st *provenance.Statement, b ledger.Binding, stamp *statement.Stamp, search manifestSearch) (against string, err error) {
	if o.path == "" && st.Names(b.Fingerprint) {
		return againstFingerprint, nil
	}
	var found []oms.Found
	against = againstManifest
	if o.path != "" {
		against = againstData
		found, err = a.readForImport(ctx, o, b, stamp, search)
	} else {
		found, err = a.plainDigests(ctx, search, stamp)
	}
	if err != nil || st.Names(b.Fingerprint) {
		return against, err
	}
	files := make([]provenance.File, 0, len(found))
	for _, f := range found {
		files = append(files, provenance.File{Path: f.Path, SHA256: fingerprint.Digest(f.Digests[0])})
	}
	wrong := st.About(files)
	if len(wrong) == 0 {
		return against, nil
	}
	first := wrong[0]
	why := "it does not list " + source.Show(first.Path)
	if first.Listed {
		why = "it gives " + source.Show(first.Path) + " another SHA-256"
	}
	if n := len(wrong); n > 1 {
		why += fmt.Sprintf(", and %s more are not as it says", terminal.Plural(uint64(n-1), "file"))
	}
	return "", failf(exitTampered, "%s is not about %s: %s", source.Show(o.file), b.Ref(), why).withPath(o.file).withEntry(b.Entry).
		withHint("its signature is good; nothing was recorded")
}

// readForImport reads the data, which has to be the artifact, with the plain
// SHA-256 of each file.
func (a *app) readForImport(ctx context.Context, o *importInTotoOrder, b ledger.Binding, stamp *statement.Stamp, search manifestSearch) ([]oms.Found, error) {
	var err error
	if o.data, err = a.openData(ctx, "import", o.path, &o.flags); err != nil {
		return nil, err
	}
	hides, err := a.stampHides(ctx, &exported{binding: b, stamp: stamp, search: search}, o.data)
	if err != nil {
		return nil, err
	}
	progress := new(scan.Progress)
	stop := a.reading(ctx, progress)
	read := oms.ReadOptions{
		Skip:    hides,
		Want:    func(string) oms.Want { return oms.Want{Hash: oms.SHA256, Tree: b.Fingerprint.Algorithm} },
		MaxRead: uint64(o.flags.maxRead), Progress: progress,
	}
	if !o.data.place.Remote() {
		read.Workers = o.flags.workers
	}
	found, err := oms.Read(ctx, o.data.source, read)
	stop()
	if err != nil {
		return nil, tooMuch(o.data.place, err)
	}
	return found, a.isArtifact(ctx, o.data, b, stamp, search, hides, found, "")
}

// inputsHere are the dependencies that are artifacts of this ledger, by their
// fingerprint or by the plain SHA-256 of a single file.
func (a *app) inputsHere(ctx context.Context, dir string, st *provenance.Statement, self statement.Ref) (inputs []statement.Ref, notes []string, err error) {
	if len(st.Dependencies) == 0 {
		return nil, nil, nil
	}
	seen := map[string]bool{self.String(): true}
	add := func(ref statement.Ref) {
		if !seen[ref.String()] {
			seen[ref.String()] = true
			inputs = append(inputs, ref)
		}
	}
	err = a.readAt(ctx, dir, func(r *reading) error {
		plain := map[string]bool{}
		for _, d := range st.Dependencies {
			switch {
			case !d.Fingerprint.IsZero():
				ref, ok, err := r.byFingerprint(d)
				if err != nil {
					return err
				}
				if ok {
					add(ref)
				}
			case d.SHA256 != "":
				plain[d.SHA256] = true
			}
		}
		s, err := a.shelfOf(ctx, dir)
		if err != nil {
			return err
		}
		return r.singleFiles(s, plain, add)
	})
	if len(inputs) > statement.MaxReferences {
		notes = append(notes, fmt.Sprintf("%d of what it names are on this ledger, and an entry names at most %d: the first of them by name", len(inputs), statement.MaxReferences))
	}
	slices.SortFunc(inputs, func(a, b statement.Ref) int { return compareStrings(a.String(), b.String()) })
	return inputs[:min(len(inputs), statement.MaxReferences)], notes, err
}

func compareStrings(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// byFingerprint finds the artifact with a dependency's fingerprint: under the
// name that the dependency has, or the first that has these bytes.
func (r *reading) byFingerprint(d provenance.Thing) (statement.Ref, bool, error) {
	if d.Fingerprint.Algorithm != r.Algorithm() {
		return statement.Ref{}, false, nil
	}
	if name, version, err := statement.ParseNameVersion(d.Name); err == nil {
		b, err := r.Bound(name, version)
		if err == nil && b.Fingerprint == d.Fingerprint {
			return b.Ref(), true, nil
		}
		if err != nil && !errors.Is(err, ledger.ErrNotFound) {
			return statement.Ref{}, false, err
		}
	}
	list, err := r.bindingsOf(d.Fingerprint)
	if err != nil || len(list) == 0 {
		return statement.Ref{}, false, err
	}
	return list[0].Ref(), true, nil
}

// singleFiles finds the artifacts of one file whose plain SHA-256 is wanted, by
// the manifests that lie with the ledger. Those of which there is none are not
// found.
func (r *reading) singleFiles(shelf shelf, wanted map[string]bool, add func(statement.Ref)) error {
	if len(wanted) == 0 {
		return nil
	}
	return r.stamped(func(st *statement.Statement) error {
		ref, err := st.Ref()
		if err != nil || st.Stamp.Files != 1 || len(st.Stamp.Members) > 0 {
			return err
		}
		m, closer, err := shelf.Manifest(ref.Fingerprint)
		if err != nil {
			return nil // erased, or damaged: it is known by no digest here
		}
		defer closer.Close()
		for f, err := range m.All() {
			if err != nil {
				return nil
			}
			if sum := plainSHA256(ref.Fingerprint.Algorithm, &f); sum != nil && wanted[sum.String()] {
				add(ref)
			}
		}
		return nil
	})
}
