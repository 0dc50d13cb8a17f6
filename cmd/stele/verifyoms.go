package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/stele-ml/stele/cmd/stele/jsonv1"
	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/internal/oms"
	"github.com/stele-ml/stele/internal/place"
	"github.com/stele-ml/stele/internal/scan"
	"github.com/stele-ml/stele/internal/source"
	"github.com/stele-ml/stele/internal/terminal"
)

// omsOrder is `stele verify --oms`: no ledger is needed.
type omsOrder struct {
	file  string // the signature
	trust foreignTrust
}

func (o *omsOrder) register(c *cobra.Command) {
	c.Flags().StringVar(&o.file, "oms", "", "check against this OpenSSF model signature, a `file` or a URL; needs no ledger")
	o.trust.register(c, true)
}

// given reports whether the flags ask for it, and refuses what does not go with it.
func (o *omsOrder) given(v *verifyOrder) (bool, error) {
	t := &o.trust
	switch {
	case o.file == "" && (t.publicKey != "" || len(t.chain) > 0 || t.at != ""):
		return false, usagef("--public-key and --certificate-chain go with --oms FILE")
	case o.file == "":
		return false, nil
	case v.name != "":
		return true, usagef("--oms checks a PATH against a model signature, not %s@%s", v.name, v.version).
			withHint(fmt.Sprintf("`stele import oms %s %s@%s` records that it is about that artifact", o.file, v.name, v.version))
	case v.path == "":
		return true, usagef("verify --oms needs the PATH of the model")
	case v.flags.fresh:
		return true, usagef("--fresh: with --oms everything is read anew in any case")
	case v.evidence != "" || v.manifest != "" || v.recheck != "full" || v.removedBy != "" || v.maxAge != 0:
		return true, usagef("--oms: no --evidence, --manifest, --recheck, --removed-by or --max-age with it")
	}
	return true, t.check(true)
}

// The checks of a model signature.
const (
	checkOMSSignature = "signature"
	checkOMSFiles     = "files"
)

// verifyOMS checks a model against a model signature.
func (a *app) verifyOMS(ctx context.Context, o *verifyOrder) error {
	at, data, err := readForeign(ctx, o.oms.file, o.flags.reach(), oms.MaxFile)
	if err != nil {
		return err
	}
	s, err := oms.Parse(data)
	if err != nil {
		return foreignFailure(o.oms.file, err)
	}
	if o.data, err = a.openData(ctx, "verify", o.path, &o.flags); err != nil {
		return err
	}
	out := &jsonv1.VerifyOMS{Path: o.path, Signature: o.oms.file, Signer: jsonv1.ForeignKey{Method: string(s.Method)}, Changes: []jsonv1.Change{}, Ignored: []jsonv1.IgnoredPath{}, Notes: []string{}}
	v, judged, err := o.oms.trust.verifyOMS(a, s)
	if err != nil {
		return a.omsNotSigned(out, o, err)
	}
	describeOMS(out, v, judged)
	r, err := a.compareOMS(ctx, v.Statement, o.data, oms.VerifyOptions{Signature: pathWithin(o.data.place, at)})
	if err != nil {
		return err
	}
	fillOMS(out, r, o.all)
	return a.printOMS(out, r, o)
}

// describeOMS is what is signed, and by whom.
func describeOMS(out *jsonv1.VerifyOMS, v *oms.Verified, judged time.Time) {
	st := v.Statement
	out.Signer, out.Model, out.PredicateType, out.Hash, out.ShardSize = foreignKey(v, judged), st.Name, st.PredicateType, string(st.Hash), st.ShardSize
	out.Listed, out.Resources, out.Void = uint64(st.Files()), uint64(len(st.Resources)), st.Void
	out.Notes = append(out.Notes, v.Notes...)
	passed := true
	out.Checks = append(out.Checks, jsonv1.Check{Name: checkOMSSignature, OK: &passed, Detail: "by " + foreignSigner(out.Signer)})
}

// omsNotSigned is the verdict where the signature does not hold: nothing in the
// file is believed then.
func (a *app) omsNotSigned(out *jsonv1.VerifyOMS, o *verifyOrder, err error) error {
	status := foreignStatus(err)
	outcome := evidence.Tampered
	switch {
	case errors.Is(err, oms.ErrOtherKey):
		outcome = evidence.Untrusted
	case status != exitTampered:
		return foreignFailure(o.oms.file, err)
	}
	failed := false
	out.Verdict = string(outcome)
	out.Checks = []jsonv1.Check{{Name: checkOMSSignature, OK: &failed, Detail: err.Error()}, {Name: checkOMSFiles, Detail: "the list of files is not signed by whom you trust"}}
	if a.json {
		a.printJSON(out)
		return verdictError{status}
	}
	a.headline(o.path, outcome, "against "+o.oms.file)
	a.term.Checks([]terminal.Check{{Name: checkOMSSignature, Outcome: terminal.Failed, Detail: terminal.Brief(err.Error())}, {Name: checkOMSFiles, Detail: out.Checks[1].Detail}})
	var hinted interface{ Hint() string }
	if errors.As(err, &hinted) && hinted.Hint() != "" {
		a.term.Hintf("%s", hinted.Hint())
	}
	return verdictError{status}
}

// compareOMS reads a model with a progress line, against a signature.
func (a *app) compareOMS(ctx context.Context, st *oms.Statement, d *data, o oms.VerifyOptions) (*oms.Result, error) {
	o.FollowLinks, o.MaxRead = d.flags.followLinks, uint64(d.flags.maxRead)
	if !d.place.Remote() {
		o.Workers = d.flags.workers
	}
	progress := new(scan.Progress)
	o.Progress = progress
	defer a.reading(ctx, progress)()
	r, err := st.Verify(ctx, d.source, o)
	return r, tooMuch(d.place, err)
}

// reading shows how far a reading has come, until stop is called.
func (a *app) reading(ctx context.Context, progress *scan.Progress) (stop func()) {
	return a.term.Progress(ctx, func() terminal.Snapshot {
		return terminal.Snapshot{
			Label: "reading", BytesDone: progress.BytesDone.Load(), BytesTotal: progress.BytesTotal.Load(),
			FilesDone: progress.FilesDone.Load(), FilesTotal: progress.FilesTotal.Load(),
		}
	})
}

// tooMuch tells a reading past --max-read as scans do.
func tooMuch(p place.Place, err error) error {
	var much *scan.TooMuchError
	if !errors.As(err, &much) {
		return err
	}
	return failf(exitError, "%s: more than the %s that --max-read allows would have to be read", p, terminal.Bytes(much.Max)).withPath(p.String()).
		withHint("raise --max-read, or name a smaller part")
}

// pathWithin is the path of a file below a place, or empty where it lies elsewhere.
func pathWithin(folder, file place.Place) string {
	if folder.Remote() || file.Remote() {
		rel, err := folder.Rel(file.String())
		if err != nil || !folder.Remote() || !file.Remote() {
			return ""
		}
		return rel
	}
	real := func(path string) (string, error) {
		// The file need not be there yet; its folder is.
		dir, err := filepath.EvalSymlinks(filepath.Dir(path))
		if err != nil {
			return "", err
		}
		return filepath.Abs(filepath.Join(dir, filepath.Base(path)))
	}
	at, err := real(file.Path())
	if err != nil {
		return ""
	}
	root, err := filepath.EvalSymlinks(folder.Path())
	if err == nil {
		root, err = filepath.Abs(root)
	}
	if err != nil {
		return ""
	}
	rel, err := filepath.Rel(root, at)
	if err != nil || !filepath.IsLocal(rel) || rel == "." {
		return ""
	}
	return filepath.ToSlash(rel)
}

// fillOMS turns a comparison into what --json prints.
func fillOMS(out *jsonv1.VerifyOMS, r *oms.Result, all bool) {
	counts := jsonv1.Counts{Same: r.Files}
	for _, c := range r.Changes {
		switch c.Change {
		case "added":
			counts.Added++
		case "removed":
			counts.Removed++
		default:
			counts.Modified++
		}
		if !all && len(out.Changes) == changesInJSON {
			out.Truncated = true
			continue
		}
		change := jsonv1.Change{Path: c.Path, Change: c.Change}
		for _, g := range c.Ranges {
			change.Ranges = append(change.Ranges, jsonv1.Range{Start: g.Start, End: g.End})
		}
		out.Changes = append(out.Changes, change)
	}
	out.Files, out.Bytes, out.Counts = r.Files, r.Bytes, &counts
	out.Links, out.Empty, out.Renamed = r.Links, r.Empty, r.Renamed
	out.Ignored = ignoredJSON(r.Ignored)
	same := r.Same()
	out.Verdict = string(evidence.Verified)
	if here := leftOutHere(r.Ignored); len(here) > 0 {
		out.Verdict, out.How = string(evidence.Sampled), fmt.Sprintf("left out by the signature, and here: %s", terminal.Some(here, 4))
	}
	detail := fmt.Sprintf("%s, %s, each by its name and its %s", terminal.Plural(r.Files, "file"), terminal.Bytes(r.Bytes), out.Hash)
	if !same {
		out.Verdict, out.How, detail = string(evidence.Tampered), "", countsText(counts)
	}
	out.Checks = append(out.Checks, jsonv1.Check{Name: checkOMSFiles, OK: &same, Detail: detail})
}

func ignoredJSON(list []oms.Ignored) []jsonv1.IgnoredPath {
	out := []jsonv1.IgnoredPath{}
	for _, i := range list {
		out = append(out, jsonv1.IgnoredPath{Path: i.Path, Here: i.Here, Folder: i.Folder, Rule: i.Rule})
	}
	return out
}

// printOMS prints the verdict on a model whose signature holds.
func (a *app) printOMS(out *jsonv1.VerifyOMS, r *oms.Result, o *verifyOrder) error {
	status := exitHolds
	if !r.Same() {
		status = exitTampered
	}
	if a.json {
		a.printJSON(out)
	} else if !a.quiet || status != exitHolds {
		against := "against " + o.oms.file
		if n := len(leftOutHere(r.Ignored)); n > 0 && r.Same() {
			against += ", but for " + terminal.Plural(uint64(n), "path") + " left out"
		}
		a.headline(o.path, evidence.Outcome(out.Verdict), against)
		if !r.Same() {
			a.term.Printf("%s\n", countsText(*out.Counts))
			a.printChanges(out.Changes, *out.Counts, o.all)
			a.term.Printf("\n")
		}
		var checks []terminal.Check
		for _, c := range out.Checks {
			checks = append(checks, terminal.Check{Name: c.Name, Outcome: map[bool]terminal.Outcome{true: terminal.Passed, false: terminal.Failed}[*c.OK], Detail: c.Detail})
		}
		a.term.Checks(checks)
		a.printIgnored(r.Ignored, o.all)
		a.noteOMS(out, o)
	} else if out.How != "" {
		a.term.Warnf("%s is not verified whole: %s", o.path, out.How)
	}
	if status != exitHolds {
		return verdictError{status}
	}
	return nil
}

// leftOutHere are the paths that a signature leaves out, where something stands:
// nobody looked at that.
func leftOutHere(list []oms.Ignored) (paths []string) {
	for _, i := range list {
		if i.Here {
			paths = append(paths, i.Path)
		}
	}
	return paths
}

// printIgnored lists what a signature leaves out: its signer chose that, and it
// was not looked at.
func (a *app) printIgnored(list []oms.Ignored, all bool) {
	var rows [][]terminal.Cell
	var absent []string
	more := 0
	for _, i := range list {
		switch {
		case !i.Here:
			absent = append(absent, i.Path)
			continue
		case !all && len(rows) == changesShown:
			more++
			continue
		}
		what, by := "file", "the signer"
		if i.Folder {
			what = "folder, with all in it"
		}
		if i.Rule {
			by = "the format"
		}
		rows = append(rows, []terminal.Cell{{Text: i.Path}, {Text: what, Style: terminal.Caution}, {Text: by, Style: terminal.Dim}})
	}
	if len(rows) > 0 {
		a.term.Printf("not looked at, as it is left out:\n")
		a.term.Table([]terminal.Column{{Title: "PATH", Trim: terminal.TrimPath}, {Title: "IS A"}, {Title: "LEFT OUT BY"}}, rows)
	}
	if more > 0 {
		a.term.Notef("… and %s more; --all shows them", terminal.Count(uint64(more)))
	}
	if len(absent) > 0 {
		shown := 4
		if all {
			shown = len(absent)
		}
		a.term.Printf("left out, and not here: %s\n", terminal.Some(absent, shown))
	}
}

// noteOMS tells what a verdict on a model signature does not say by itself.
func (a *app) noteOMS(out *jsonv1.VerifyOMS, o *verifyOrder) {
	for _, n := range out.Notes {
		a.term.Notef("%s", n)
	}
	if out.Renamed != "" {
		a.term.Notef("it was signed as %s: renamed, and the same bytes", source.Show(out.Renamed))
	}
	if n := len(out.Empty); n > 0 {
		a.term.Notef("a list of shards cannot hold files of no bytes, so these may be anybody's: %s", terminal.Some(out.Empty, 3))
	}
	if n := len(out.Void); n > 0 {
		a.term.Notef("its signer also left out what is no path in a model: %s", terminal.Some(out.Void, 3))
	}
	if out.Signer.At != "" {
		a.term.Notef("its certificates were judged as of %s; nothing proves that it was signed then, and nobody was asked whether they were revoked", a.timeOf(out.Signer.At))
	} else {
		a.term.Notef("it carries no time: when it was signed is not known")
	}
	for _, c := range out.Changes {
		if c.Change == oms.Linked {
			a.term.Hintf("its signer had no symbolic links; --follow-links takes what they lead to")
			break
		}
	}
	if out.Verdict == string(evidence.Tampered) && strings.HasSuffix(o.path, "/") && len(out.Changes) == int(out.Counts.Added+out.Counts.Removed) && out.Files == 0 {
		a.term.Hintf("not one file is as signed: is this the model's own folder?")
	}
}
