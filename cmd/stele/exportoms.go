package main

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"github.com/stele-ml/stele/cmd/stele/jsonv1"
	"github.com/stele-ml/stele/fingerprint"
	"github.com/stele-ml/stele/internal/account"
	"github.com/stele-ml/stele/internal/ledger"
	"github.com/stele-ml/stele/internal/oms"
	"github.com/stele-ml/stele/internal/place"
	"github.com/stele-ml/stele/internal/scan"
	"github.com/stele-ml/stele/internal/source"
	"github.com/stele-ml/stele/internal/terminal"
	"github.com/stele-ml/stele/statement"
)

// exportOMSOrder is one call of `stele export oms`.
type exportOMSOrder struct {
	name, version string
	path          string
	out           string
	publicKey     string // where the public key goes besides, or empty
	flags         scanFlags
}

func (a *app) exportOMS() *cobra.Command {
	var o exportOMSOrder
	c := &cobra.Command{
		Use:   "oms NAME@VERSION PATH|URL -o FILE",
		Short: "Sign a stamped model as OpenSSF Model Signing has it",
		Long: `Reads every byte below PATH once, makes sure that it is what was stamped as
NAME@VERSION, and writes a model signature over it that OpenSSF Model Signing
tools accept: each file by its name and SHA-256. If one byte is not as stamped,
nothing is written.

The key has to be ECDSA P-256, as ` + "`stele key new`" + ` makes them. What the stamp's
ignore rules hide goes into the signature as paths that are left out, and so do
.git, .gitattributes, .github and .gitignore at the top, which that format never
signs, even where the stamp covers them.

A model signature has no time and no log, and says nothing of how the model was
made: the ledger does.`,
		Example: `  stele export oms clinic/net@1.0 net -o net.sig --public-key net.pub.pem
  model_signing verify key net --signature net.sig --public_key net.pub.pem`,
		Args: cobra.ExactArgs(2),
		RunE: func(c *cobra.Command, args []string) (err error) {
			if o.name, o.version, err = statement.ParseNameVersion(args[0]); err != nil {
				return usagef("%v", err)
			}
			o.path = args[1]
			if o.out == "" {
				return usagef("export oms needs -o FILE").withHint("other tools look for model.sig")
			}
			if err := a.checkOut(o.out); err != nil {
				return err
			}
			d, err := a.openData(c.Context(), "export", o.path, &o.flags)
			if err != nil {
				return err
			}
			return d.end(a.exportModel(c.Context(), d, &o))
		},
	}
	c.Flags().StringVarP(&o.out, "output", "o", "", "the `file` to write, - for standard output; required")
	c.Flags().StringVar(&o.publicKey, "public-key", "", "write the public key there, too: a PEM `file`, as those who check it need")
	o.flags.registerReading(c)
	return c
}

// exported is what the ledger says of a model that is to be signed.
type exported struct {
	binding ledger.Binding
	stamp   *statement.Stamp
	search  manifestSearch
}

// exportModel reads a model, compares it with its stamp and signs it.
func (a *app) exportModel(ctx context.Context, d *data, o *exportOMSOrder) error {
	signer, closeSigner, err := a.signer(ctx)
	if err != nil {
		return err
	}
	defer closeSigner()
	if signer.PublicKey().Algorithm() != statement.AlgorithmP256 {
		return failf(exitError, "the key is %s, and a model signature takes ECDSA alone", signer.PublicKey().Algorithm()).
			withHint("`stele key new` makes a key that both take; --key chooses one")
	}
	key, err := oms.ParsePublicKey(signer.PublicKey().PEM())
	if err != nil {
		return err
	}
	e, err := a.planExport(ctx, o)
	if err != nil {
		return err
	}
	m, renamed, err := a.readForExport(ctx, d, o, e)
	if err != nil {
		return err
	}
	at, err := d.place.Absolute() // the name of `.` is that of its folder
	if err != nil {
		return err
	}
	st, err := oms.NewStatement(oms.Model{Name: at.Base(), Files: m.files, Ignored: slices.Sorted(maps.Keys(m.ignored)), Linked: m.links > 0})
	if err != nil {
		return failf(exitError, "%w", err).withPath(o.path)
	}
	document, err := oms.Sign(st, key, signer)
	if err != nil {
		return err
	}
	if o.publicKey != "" {
		if err := writeWhole(o.publicKey, func(f *os.File) error { _, err := f.Write(key.PEM()); return err }); err != nil {
			return err
		}
	}
	if err := a.writeOut(o.out, document); err != nil {
		return err
	}
	id := key.ID()
	out := &jsonv1.ExportOMS{
		Name: o.name, Version: o.version, Fingerprint: e.binding.Fingerprint.String(), Entry: e.binding.Entry, Path: o.path, File: o.out, PublicKey: o.publicKey,
		Model: st.Name, Signer: jsonv1.ForeignKey{Method: string(oms.ByKey), Key: hexOf(id), Algorithm: key.Algorithm()},
		Files: uint64(len(m.files)), Bytes: m.bytes, Ignored: st.Ignored, NotSigned: m.notSigned, Links: m.links, Renamed: renamed,
	}
	a.printExportedModel(out, m.inside)
	return nil
}

// planExport finds the stamp, and refuses one that does not stand: a signature
// outlives what was said against the model.
func (a *app) planExport(ctx context.Context, o *exportOMSOrder) (*exported, error) {
	e := new(exported)
	err := a.read(ctx, func(r *reading) error {
		b, st, err := r.boundBy(o.name, o.version)
		if err != nil {
			return err
		}
		entry, err := r.Entry(b.Entry)
		if err != nil {
			return err
		}
		if err := r.proveIncluded(entry); err != nil {
			return err
		}
		j, err := r.Judgement(b.Ref())
		if err != nil {
			return err
		}
		if standing := j.Word(); standing != standingGood {
			return failf(exitOf(standing), "%s is not to be signed: its standing is %s (%s)", b.Ref(), standing, account.WrongText(j)).withEntry(b.Entry).
				withHint(fmt.Sprintf("`stele show %s` says why", b.Ref()))
		}
		if len(st.Stamp.Members) > 0 {
			return usagef("%s is a collection: a model signature is over the files of one folder", b.Ref()).withHint("export a member of it")
		}
		e.binding, e.stamp = b, st.Stamp
		e.search, err = a.searchFor(r, st, o.flags.reach())
		return err
	})
	return e, err
}

// exportedModel is what was read of a model that is to be signed.
type exportedModel struct {
	files     []oms.Found
	bytes     uint64
	ignored   map[string]bool
	notSigned []string // covered by the stamp
	links     uint64
	inside    bool // the signature will lie within the data
}

// readForExport reads every file once: for the signature, and against the
// stamp's fingerprint. renamed is the name under which a single file was stamped.
func (a *app) readForExport(ctx context.Context, d *data, o *exportOMSOrder, e *exported) (m *exportedModel, renamed string, err error) {
	hides, err := a.stampHides(ctx, e, d)
	if err != nil {
		return nil, "", err
	}
	algorithm := e.binding.Fingerprint.Algorithm
	m = &exportedModel{ignored: map[string]bool{}, notSigned: []string{}}
	single := d.source.Single()
	own := "" // the signature's own path in the model
	if out, err := place.Parse(o.out); err == nil && !single && o.out != "-" {
		own = pathWithin(d.place, out)
	}
	unsigned := func(path string) bool { return !single && slices.Contains(oms.LeftOut(), top(path)) }
	progress := new(scan.Progress)
	stop := a.reading(ctx, progress)
	read := oms.ReadOptions{
		Skip:   hides,
		Hidden: func(path string, _ bool) { m.ignored[path] = true },
		Want: func(path string) oms.Want {
			w := oms.Want{Tree: algorithm}
			if path != own && !unsigned(path) {
				w.Hash = oms.SHA256
			}
			return w
		},
		MaxRead: uint64(d.flags.maxRead), Progress: progress,
	}
	if !d.place.Remote() {
		read.Workers = d.flags.workers
	}
	found, err := oms.Read(ctx, d.source, read)
	stop()
	if err != nil {
		return nil, "", tooMuch(d.place, err)
	}
	renamed, err = a.asStamped(ctx, d, o, e, found, own)
	if err != nil {
		return nil, "", err
	}
	for _, f := range found {
		switch {
		case f.Path == own:
		case unsigned(f.Path):
			m.notSigned = append(m.notSigned, f.Path)
		default:
			m.files, m.bytes = append(m.files, f), m.bytes+f.Size
			if f.Linked {
				m.links++
			}
		}
	}
	if !single {
		for _, name := range oms.LeftOut() {
			m.ignored[name] = true
		}
	}
	if m.inside = own != ""; m.inside {
		m.ignored[own] = true
	}
	if n := len(m.ignored); n > oms.MaxIgnoredWritten {
		return nil, "", failf(exitRefused, "the stamp's rules hide %s here, and a model signature names each: at most %s", terminal.Plural(uint64(n), "path"), terminal.Count(oms.MaxIgnoredWritten)).
			withPath(o.path).withHint("export a copy without them")
	}
	return m, renamed, nil
}

// top is the first segment of a path.
func top(path string) string {
	for i := range len(path) {
		if path[i] == '/' {
			return path[:i]
		}
	}
	return path
}

// stampHides is what a stamp leaves out of the data: by its rules, or all that
// its list does not have.
func (a *app) stampHides(ctx context.Context, e *exported, d *data) (source.Skip, error) {
	if !e.stamp.Listed || d.source.Single() {
		rules, err := scan.CompileRules(e.stamp.Ignore)
		if err != nil {
			return nil, err
		}
		return rules.Hides, nil
	}
	e.search.data = d
	found, bad, err := a.findManifest(ctx, e.search)
	if err == nil && found == nil {
		err = e.search.nowhere(bad)
	}
	if err != nil {
		return nil, err
	}
	defer found.Close()
	list, err := found.Paths()
	if err != nil {
		return nil, err
	}
	return scan.OnlyThese(list), nil
}

// asStamped checks that the files that were read are those of the stamp. The
// signature's own file counts for nothing, unless it was stamped with the rest:
// then it must not be written over.
func (a *app) asStamped(ctx context.Context, d *data, o *exportOMSOrder, e *exported, found []oms.Found, own string) (renamed string, err error) {
	want := e.binding.Fingerprint
	without, err := fingerprintOf(want.Algorithm, found, func(f oms.Found) (string, bool) { return f.Path, f.Path != own })
	if err != nil || without == want {
		return "", err
	}
	all, err := fingerprintOf(want.Algorithm, found, func(f oms.Found) (string, bool) { return f.Path, true })
	if err != nil {
		return "", err
	}
	if all == want {
		return "", failf(exitRefused, "%s was stamped with the rest: written over, the data would not be what was stamped", source.Show(own)).withPath(o.out).
			withHint("write the signature elsewhere, beside the folder for example")
	}
	if d.source.Single() && e.stamp.Files == 1 {
		e.search.data = nil
		if m, _, err := a.findManifest(ctx, e.search); err == nil && m != nil {
			defer m.Close()
			if list, err := m.Paths(); err == nil && len(list) == 1 {
				same, err := fingerprintOf(want.Algorithm, found, func(oms.Found) (string, bool) { return list[0], true })
				if err != nil || same == want {
					return list[0], err
				}
			}
		}
	}
	return "", failf(exitTampered, "%s is not %s: it is %s, and was stamped as %s", o.path, e.binding.Ref(), terminal.Digest(without.String()), terminal.Digest(want.String())).
		withPath(o.path).withEntry(e.binding.Entry).withHint(fmt.Sprintf("nothing was signed; `stele verify %s %s` names each change", e.binding.Ref(), o.path))
}

// fingerprintOf is the fingerprint of files that were read, under the names that
// name gives them.
func fingerprintOf(algorithm fingerprint.Algorithm, found []oms.Found, name func(oms.Found) (string, bool)) (fingerprint.Fingerprint, error) {
	tree := fingerprint.NewTree(algorithm)
	for _, f := range found {
		path, counts := name(f)
		if !counts {
			continue
		}
		if err := tree.Add(fingerprint.File{Path: path, Size: f.Size, Digest: f.Tree}); err != nil {
			return fingerprint.Fingerprint{}, err
		}
	}
	sum, err := tree.Summary()
	if err != nil {
		return fingerprint.Fingerprint{}, err
	}
	return sum.Fingerprint(algorithm), nil
}

func (a *app) printExportedModel(out *jsonv1.ExportOMS, inside bool) {
	if a.json {
		a.printJSON(out)
		return
	}
	if inside {
		a.term.Warnf("%s lies within the data, and `stele verify` will tell it as added; other tools leave it out", out.File)
	}
	if a.quiet || out.File == "-" {
		return
	}
	a.term.Printf("wrote %s: a model signature over %s, %s\n", a.term.Style(terminal.Good, out.File), terminal.Plural(out.Files, "file"), terminal.Bytes(out.Bytes))
	pairs := []terminal.Pair{
		{Key: "model", Value: fmt.Sprintf("%s@%s, as stamped in entry %d", out.Name, out.Version, out.Entry)},
		{Key: "signed by", Value: foreignSigner(out.Signer)},
		{Key: "leaves out", Value: terminal.Some(out.Ignored, 8)},
	}
	if len(out.NotSigned) > 0 {
		pairs = append(pairs, terminal.Pair{Key: "not signed", Value: terminal.Some(out.NotSigned, 4) + ": the stamp covers it, that format never does", Style: terminal.Caution})
	}
	if out.Links > 0 {
		pairs = append(pairs, terminal.Pair{Key: "links", Value: fmt.Sprintf("%s behind symbolic links, which the signature says", terminal.Plural(out.Links, "file"))})
	}
	if out.PublicKey != "" {
		pairs = append(pairs, terminal.Pair{Key: "public key", Value: out.PublicKey})
	}
	a.term.KeyValues(pairs)
	if out.Renamed != "" {
		a.term.Notef("it was stamped as %s: renamed, and the same bytes", source.Show(out.Renamed))
	}
	a.term.Notef("it carries no time: `stele prove %s@%s` says when, and that it stands", out.Name, out.Version)
}
