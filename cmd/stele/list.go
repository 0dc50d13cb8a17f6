package main

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/stele-ml/stele/cmd/stele/jsonv1"
	"github.com/stele-ml/stele/fingerprint"
	"github.com/stele-ml/stele/internal/account"
	"github.com/stele-ml/stele/internal/ledger"
	"github.com/stele-ml/stele/internal/terminal"
	"github.com/stele-ml/stele/statement"
)

// listFilter is what `stele list` selects by.
type listFilter struct {
	pattern, kind, signer, print string
	since, until                 string
	withdrawn, tainted           bool

	fp       fingerprint.Fingerprint
	from, to int64 // unix ms; 0: no bound
}

func (a *app) listCommand() *cobra.Command {
	var f listFilter
	c := &cobra.Command{
		Use:   "list [NAME|PATTERN]",
		Short: "List artifacts: names, versions, who stamped them, standing",
		Long: `The standing is good; withdrawn; tainted: made of something that is withdrawn;
that of the signer's key (compromised, void) where the stamp counts for nothing;
untrusted: made of such a thing; or unknown: of too large a lineage.`,
		Example: "  stele list\n  stele list 'fraud/*' --kind model\n  stele list --fingerprint stele-sha256:6f1c…",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 1 {
				f.pattern = args[0]
			}
			if err := a.parseFilter(&f); err != nil {
				return err
			}
			return a.read(c.Context(), func(r *reading) error { return a.list(r, &f) })
		},
	}
	c.Flags().StringVar(&f.kind, "kind", "", "only dataset, model, code or other")
	c.Flags().StringVar(&f.signer, "signer", "", "only what this `handle` or key id stamped")
	c.Flags().StringVar(&f.print, "fingerprint", "", "only what has this fingerprint")
	c.Flags().StringVar(&f.since, "since", "", "only what was stamped at this `time` or later")
	c.Flags().StringVar(&f.until, "until", "", "only what was stamped before this `time`")
	c.Flags().BoolVar(&f.withdrawn, "withdrawn", false, "only what is withdrawn")
	c.Flags().BoolVar(&f.tainted, "tainted", false, "only what was made of something that is withdrawn")
	return c
}

func (a *app) parseFilter(f *listFilter) (err error) {
	if f.kind != "" {
		if err := oneOf("--kind", f.kind, artifactKinds...); err != nil {
			return err
		}
	}
	if f.pattern != "" {
		if err := statement.CheckPattern(f.pattern); err != nil {
			return usagef("%v", err)
		}
	}
	if f.print != "" {
		if f.fp, err = fingerprint.Parse(f.print); err != nil {
			return usagef("--fingerprint: %v", err)
		}
	}
	if f.since != "" {
		if f.from, err = a.when("--since", f.since); err != nil {
			return err
		}
	}
	if f.until != "" {
		if f.to, err = a.when("--until", f.until); err != nil {
			return err
		}
	}
	return nil
}

func (a *app) list(r *reading, f *listFilter) error {
	var rows [][]terminal.Cell
	all, err := r.Words(0)
	if err != nil {
		return err
	}
	emit := func(b ledger.Binding) error {
		item, ok, err := r.artifact(b, f, all)
		if err != nil || !ok {
			return err
		}
		if a.json {
			a.printJSON(item)
			return nil
		}
		rows = append(rows, []terminal.Cell{
			{Text: item.Name + "@" + item.Version}, {Text: item.Kind}, {Text: terminal.Count(item.Files)}, {Text: terminal.Bytes(item.Bytes)},
			{Text: entryText(item.Entry)}, {Text: account.SignerText(item.Signer)}, {Text: item.Standing, Style: standingStyle(item.Standing)},
		})
		return nil
	}
	if err := r.artifacts(f, emit); err != nil {
		return err
	}
	if a.json {
		return nil
	}
	if len(rows) == 0 {
		a.term.Notef("nothing is stamped%s", map[bool]string{true: "", false: " that fits"}[*f == listFilter{}])
		return nil
	}
	a.term.Table([]terminal.Column{
		{Title: "NAME@VERSION", Trim: terminal.TrimMiddle}, {Title: "KIND"}, {Title: "FILES", Right: true}, {Title: "SIZE", Right: true},
		{Title: "ENTRY", Right: true}, {Title: "SIGNER"}, {Title: "STANDING"},
	}, rows)
	return nil
}

// artifacts visits the stamps that can fit, by the index that narrows most.
func (r *reading) artifacts(f *listFilter, emit func(ledger.Binding) error) error {
	if !f.fp.IsZero() {
		for i, err := range r.ByFingerprint(f.fp) {
			if err != nil {
				return err
			}
			if err := r.stampsOf(i, f.fp, emit); err != nil {
				return err
			}
		}
		return nil
	}
	prefix, _ := strings.CutSuffix(f.pattern, "*")
	for name, err := range r.Names(prefix) {
		if err != nil {
			return err
		}
		if f.pattern != "" && !statement.MatchName(f.pattern, name) {
			continue
		}
		for b, err := range r.Versions(name) {
			if err != nil {
				return err
			}
			if err := emit(b); err != nil {
				return err
			}
		}
	}
	return nil
}

// stampsOf visits what an entry binds of one fingerprint.
func (r *reading) stampsOf(index uint64, fp fingerprint.Fingerprint, emit func(ledger.Binding) error) error {
	_, st, err := r.Statement(index)
	if err != nil {
		return err
	}
	for _, s := range st.Stamps() {
		if s.Ref.Fingerprint != fp {
			continue
		}
		if err := emit(ledger.Binding{Name: s.Ref.Name, Version: s.Ref.Version, Fingerprint: fp, Entry: index}); err != nil {
			return err
		}
	}
	return nil
}

// artifact reads one stamp; ok is false where the filter leaves it out.
func (r *reading) artifact(b ledger.Binding, f *listFilter, all *account.Words) (item jsonv1.Artifact, ok bool, err error) {
	e, st, err := r.StampAt(b)
	if err != nil {
		return item, false, err
	}
	ref := b.Ref()
	signer := r.Signer(e)
	item = jsonv1.Artifact{
		Name: ref.Name, Version: ref.Version, Kind: st.Stamp.Kind, Fingerprint: ref.Fingerprint.String(), Files: st.Stamp.Files,
		Bytes: st.Stamp.Bytes, Entry: b.Entry, Time: jsonv1.At(e.Time), Signer: signer,
		Members: len(st.Stamp.Members),
	}
	against, err := all.On(ref)
	if err != nil {
		return item, false, err
	}
	item.Standing = against.Word()
	wanted := !f.withdrawn && !f.tainted || f.withdrawn && against.Withdrawn || f.tainted && against.Tainted && !against.Withdrawn
	switch {
	case f.pattern != "" && !statement.MatchName(f.pattern, ref.Name),
		f.kind != "" && f.kind != item.Kind,
		f.signer != "" && f.signer != signer.Handle && !strings.HasPrefix(signer.Key, f.signer),
		f.from != 0 && e.Time < f.from,
		f.to != 0 && e.Time >= f.to,
		!wanted:
		return item, false, nil
	}
	return item, true, nil
}
