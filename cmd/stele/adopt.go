package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/stele-ml/stele/cmd/stele/jsonv1"
	"github.com/stele-ml/stele/internal/foresight"
	"github.com/stele-ml/stele/internal/ledger"
	"github.com/stele-ml/stele/internal/solo"
	"github.com/stele-ml/stele/internal/terminal"
	"github.com/stele-ml/stele/lineage"
	"github.com/stele-ml/stele/statement"
)

// The annotations of a stamp that was adopted: where its receipt is. They never
// change their meaning.
const (
	adoptedLedger   = "stele.adopted/ledger"   // the id of the ledger that it was on
	adoptedEntry    = "stele.adopted/entry"    // there
	adoptedEvidence = "stele.adopted/evidence" // the SHA-256 of an attachment: the evidence of that stamp
)

// How an artifact fared, in --json.
const (
	adoptNew      = "adopted"
	adoptWould    = "would-adopt"
	adoptExisted  = "existed"
	adoptLeftOut  = "left-out"
	adoptConflict = "conflict"
	adoptRefused  = "refused"
)

type adoptOrder struct {
	dir, prefix string
	dryRun      bool
}

func (a *app) adoptCommand() *cobra.Command {
	var o adoptOrder
	c := &cobra.Command{
		Use:   "adopt DIR",
		Short: "Stamp on the team's ledger what a ledger of your own holds",
		Long: `Stamps on the ledger in use, signed by you, every artifact that stands on the
ledger in DIR, in the order in which they came to be: under its name, with what
it was made of. What a run made is stamped as made of the run's inputs.

Each new stamp cites the old receipt, in annotations: the old ledger's id, the
entry, and the SHA-256 of an evidence file. That goes along as an attachment, as
manifests and details do. The time on the new ledger is that of the adoption;
the evidence says when it was stamped first, and by whom.

The bytes are not read again: the new stamp says that they were read elsewhere.
What was withdrawn, is tainted, or is not trusted stays behind, and so do
approvals, releases, evaluations, contracts and keys: they are people's words to
another ledger. Said twice, nothing is written twice. --dry-run lists what would
be done.`,
		Example: `  stele adopt ~/experiments --ledger https://stele.example.com --dry-run
  stele adopt ~/experiments --ledger https://stele.example.com --prefix ada/`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			o.dir = args[0]
			return a.adoptFrom(c.Context(), &o)
		},
	}
	c.Flags().StringVar(&o.prefix, "prefix", "", "`text` to put before every name, for example ada/")
	c.Flags().BoolVar(&o.dryRun, "dry-run", false, "only list what would be adopted")
	return c
}

// adopting is an adoption under way.
type adopting struct {
	a      *app
	o      *adoptOrder
	from   string // the old ledger's directory
	to     string // where the new one is
	old    *reading
	signer statement.Signer
	out    jsonv1.Adoption
	here   map[string]statement.Ref // what the new ledger has, by the old name@version
}

func (a *app) adoptFrom(ctx context.Context, o *adoptOrder) error {
	if isAddress(o.dir) {
		return usagef("adopt takes a ledger's directory, and %s is an address", o.dir)
	}
	from, err := resolveLedger(o.dir, "")
	if err != nil {
		return err
	}
	to, signer, closeSigner, err := a.writer(ctx)
	if err != nil {
		return err
	}
	defer closeSigner()
	if from == to {
		return nothingToAdopt(o)
	}
	w := &adopting{a: a, o: o, from: from, to: to, signer: signer, here: map[string]statement.Ref{}}
	err = a.readOld(ctx, from, to, func(r *reading) error {
		w.old = r
		return w.all(ctx)
	})
	if err != nil {
		return err
	}
	a.printAdoption(&w.out)
	for _, item := range w.out.Artifacts {
		if item.State == adoptConflict || item.State == adoptRefused {
			return verdictError{exitRefused}
		}
	}
	return nil
}

func nothingToAdopt(o *adoptOrder) error {
	return usagef("%s is the ledger in use: nothing is to be adopted", o.dir).
		withHint("name the team's with --ledger https://… or $STELE_LEDGER")
}

// all goes through the old ledger in the order of its entries: what something was
// made of was there before it.
func (w *adopting) all(ctx context.Context) error {
	w.out = jsonv1.Adoption{
		From:   jsonv1.AdoptedLedger{ID: w.old.ID().String(), Origin: w.old.Origin(), Size: w.old.Size()},
		DryRun: w.o.dryRun, Artifacts: []jsonv1.Adopted{}, LeftOut: map[string]int{},
	}
	err := w.a.readAt(ctx, w.to, func(r *reading) error {
		w.out.To = jsonv1.AdoptedLedger{ID: r.ID().String(), Origin: r.Origin(), Size: r.Size()}
		switch {
		case r.ID() == w.old.ID():
			return nothingToAdopt(w.o)
		case r.Algorithm() != w.old.Algorithm():
			return failf(exitRefused, "the fingerprints of %s are made with %v, and those of %s with %v", r.Origin(), r.Algorithm(), w.old.Origin(), w.old.Algorithm()).
				withHint("the data must be stamped anew: a fingerprint cannot be translated")
		}
		return r.maySign(authorOf(w.signer), w.a.now().UnixMilli())
	})
	if err != nil {
		return err
	}
	// First all of it without writing: a name that is taken, or that the ledger would
	// refuse, stops the adoption before anything of it is there for ever, and every
	// such name is told.
	write := !w.o.dryRun
	w.o.dryRun = true
	if err := w.walk(ctx); err != nil || !write || w.stands() {
		return err
	}
	w.o.dryRun = false
	w.out.Artifacts, w.out.LeftOut = []jsonv1.Adopted{}, map[string]int{}
	clear(w.here)
	return w.walk(ctx)
}

// stands reports whether something stands in the way on the new ledger.
func (w *adopting) stands() bool {
	return slices.ContainsFunc(w.out.Artifacts, func(item jsonv1.Adopted) bool {
		return item.State == adoptConflict || item.State == adoptRefused
	})
}

// walk goes through the old ledger once.
func (w *adopting) walk(ctx context.Context) error {
	done := uint64(0)
	stop := w.a.term.Progress(ctx, func() terminal.Snapshot {
		return terminal.Snapshot{Label: "entries looked at", FilesDone: done, FilesTotal: w.old.Size()}
	})
	defer stop()
	for index := range w.old.Size() {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		_, st, err := w.old.Statement(index)
		if err != nil {
			return err
		}
		if st.Stamp == nil && st.Run == nil {
			w.out.LeftOut[string(st.Kind)]++
		}
		for _, stamped := range st.Stamps() {
			if err := w.one(ctx, index, st, stamped); err != nil {
				return fmt.Errorf("%s, entry %d of %s: %w", stamped.Ref, index, w.old.Origin(), err)
			}
		}
		done = index + 1
	}
	return nil
}

// errConflict says that the new ledger has another artifact of that name.
var errConflict = errors.New("the name is taken")

// one adopts an artifact.
func (w *adopting) one(ctx context.Context, index uint64, st *statement.Statement, stamped statement.Output) error {
	old := stamped.Ref
	item := jsonv1.Adopted{Old: old.String(), OldEntry: index, Name: w.o.prefix + old.Name, Version: old.Version, Fingerprint: old.Fingerprint.String()}
	defer func() { w.out.Artifacts = append(w.out.Artifacts, item) }()
	leave := func(state, format string, args ...any) error {
		item.State, item.Reason = state, fmt.Sprintf(format, args...)
		return nil
	}
	b, err := w.old.ByName(old.Name, old.Version)
	if err != nil {
		return err
	}
	if b.Entry != index {
		return leave(adoptLeftOut, "entry %d bound the name", b.Entry)
	}
	j, err := w.old.Judgement(old)
	if err != nil {
		return err
	}
	if word := j.Word(); word != lineage.Good {
		return leave(adoptLeftOut, "it is %s", word)
	}
	ref := statement.Ref{Name: item.Name, Version: old.Version, Fingerprint: old.Fingerprint}
	if _, _, err := statement.ParseNameVersion(ref.String()); err != nil {
		return leave(adoptLeftOut, "%v", err)
	}
	made, missing := w.stamp(st, stamped, index)
	if missing != "" {
		return leave(adoptLeftOut, "it was made of %s, which was not adopted", missing)
	}
	known, err := w.there(ctx, ref, made)
	var refused *failure
	switch {
	case errors.Is(err, errConflict):
		return leave(adoptConflict, "%v", err)
	case w.o.dryRun && errors.As(err, &refused) && refused.status == exitRefused:
		return leave(adoptRefused, "%v", err)
	case err != nil:
		return err
	}
	switch {
	case known != nil:
		item.State, item.Entry = adoptExisted, known
	case w.o.dryRun:
		item.State = adoptWould
	default:
		proof, err := w.submit(ctx, b, ref, made)
		if err != nil {
			return err
		}
		item.State, item.Entry, item.Evidence = adoptNew, &proof.Index, made.Annotations[adoptedEvidence]
		if proof.Existed {
			item.State = adoptExisted
		}
	}
	w.here[old.String()] = ref
	return nil
}

// there returns the entry by which the new ledger has an artifact already; nil if it
// has not, and would admit its stamp as far as that can be told.
func (w *adopting) there(ctx context.Context, ref statement.Ref, made *statement.Stamp) (known *uint64, err error) {
	err = w.a.readAt(ctx, w.to, func(r *reading) error {
		b, err := r.ByName(ref.Name, ref.Version)
		switch {
		case errors.Is(err, ledger.ErrNotFound):
			return w.admits(r, ref, made)
		case err != nil:
			return err
		case b.Fingerprint != ref.Fingerprint:
			return fmt.Errorf("%w: there %s is %s, entry %d; --prefix puts it under another name", errConflict, ref, b.Fingerprint, b.Entry)
		}
		known = &b.Entry
		return nil
	})
	return known, err
}

// admits asks the new ledger, and its contracts, about a stamp before anything is
// written. One that names what is not there so far is judged when that is.
func (w *adopting) admits(r *reading, ref statement.Ref, made *statement.Stamp) error {
	by, now := authorOf(w.signer), max(w.a.now().UnixMilli(), r.Time())
	if err := r.mayWrite(by, ref.Name, now); err != nil || !w.o.dryRun {
		return err
	}
	named := slices.Clone(made.From)
	for _, m := range made.Members {
		named = append(named, m.Ref)
	}
	for _, of := range named {
		if _, err := r.ByName(of.Name, of.Version); err != nil {
			if errors.Is(err, ledger.ErrNotFound) {
				return nil
			}
			return err
		}
	}
	t, err := foresight.Ask(r.Book, &statement.Statement{Kind: statement.KindStamp, Subject: []statement.Subject{ref.Subject()}, Stamp: made}, r.signs(by), now)
	if err != nil || t.Refusal == nil {
		return err
	}
	return failf(exitRefused, "%w", t.Refusal)
}

// stamp makes of an old stamp what is said of it on the new ledger, but for what
// goes along; missing names something that it was made of and that is not there.
func (w *adopting) stamp(st *statement.Statement, stamped statement.Output, index uint64) (made *statement.Stamp, missing string) {
	was := stamped.Stamp
	s := *was
	s.Details, s.From, s.Members = nil, nil, nil
	origins := was.From
	if st.Run != nil {
		origins = slices.Concat(origins, st.Run.Inputs)
	}
	given := map[statement.Ref]bool{}
	for _, ref := range origins {
		now, ok := w.here[ref.String()]
		if !ok {
			return nil, ref.String()
		}
		if !given[now] {
			given[now] = true
			s.From = append(s.From, now)
		}
	}
	for _, m := range was.Members {
		now, ok := w.here[m.Ref.String()]
		if !ok {
			return nil, m.Ref.String()
		}
		m.Ref = now
		s.Members = append(s.Members, m)
	}
	if was.Since != nil {
		s.Since = nil
		if now, ok := w.here[was.Since.String()]; ok {
			s.Since = &now
		} else {
			s.Changes = nil // against what is not there
		}
	}
	if len(was.Members) == 0 {
		s.Basis = statement.Basis{Claimed: was.Bytes}
	}
	s.Annotations = maps.Clone(was.Annotations)
	if s.Annotations == nil {
		s.Annotations = map[string]string{}
	}
	s.Annotations[adoptedLedger] = w.old.ID().String()
	s.Annotations[adoptedEntry] = strconv.FormatUint(index, 10)
	return &s, ""
}

// submit brings along what belongs to an artifact, and stamps it.
func (w *adopting) submit(ctx context.Context, b ledger.Binding, ref statement.Ref, made *statement.Stamp) (*solo.Proof, error) {
	to, err := w.a.shelfOf(ctx, w.to)
	if err != nil {
		return nil, err
	}
	if err := w.bringDocuments(ctx, to, b, made); err != nil {
		return nil, err
	}
	st := &statement.Statement{Kind: statement.KindStamp, Subject: []statement.Subject{ref.Subject()}, Stamp: made}
	return w.a.submit(ctx, w.to, w.signer, func(*reading) (*statement.Statement, error) { return st, nil })
}

func (a *app) printAdoption(out *jsonv1.Adoption) {
	if a.json {
		a.printJSON(out)
		return
	}
	if a.quiet {
		return
	}
	var rows [][]terminal.Cell
	counts := map[string]int{}
	for _, item := range out.Artifacts {
		counts[item.State]++
		entry := "–"
		if item.Entry != nil {
			entry = entryText(*item.Entry)
		}
		rows = append(rows, []terminal.Cell{{Text: item.Name + "@" + item.Version}, {Text: strings.ReplaceAll(item.State, "-", " ")}, {Text: entryText(item.OldEntry)}, {Text: entry}, {Text: item.Reason}})
	}
	if len(rows) > 0 {
		a.term.Table([]terminal.Column{{Title: "NAME@VERSION"}, {Title: "STATE"}, {Title: "ENTRY THERE"}, {Title: "ENTRY HERE"}, {Title: "WHY"}}, rows)
	}
	verb := "adopted"
	n := counts[adoptNew]
	if out.DryRun {
		verb, n = "would be adopted", counts[adoptWould]
	}
	a.term.Printf("%s from %s to %s; there already: %d\n", terminal.Plural(uint64(n), "artifact", "artifacts")+" "+verb, out.From.Origin, out.To.Origin, counts[adoptExisted])
	var kinds []string
	for _, kind := range slices.Sorted(maps.Keys(out.LeftOut)) {
		kinds = append(kinds, fmt.Sprintf("%d %s", out.LeftOut[kind], kind))
	}
	if len(kinds) > 0 {
		a.term.Notef("entries that stay behind, words of people to the other ledger: %s", strings.Join(kinds, ", "))
	}
}
