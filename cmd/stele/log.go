package main

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/internal/account"
	"github.com/stele-ml/stele/internal/terminal"
	"github.com/stele-ml/stele/statement"
)

type logFilter struct {
	limit        uint64
	from         int64 // first entry shown, -1: not given
	kind, signer string
	since, until string

	sinceMS, untilMS int64 // unix ms
}

func (a *app) logCommand() *cobra.Command {
	f := logFilter{}
	c := &cobra.Command{
		Use:     "log",
		Short:   "Show the entries of the log, the newest first",
		Example: "  stele log\n  stele log --kind withdrawal --since 2026-11-01\n  stele log --from 0 --limit 0   # all, the oldest first",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := a.parseLogFilter(&f); err != nil {
				return err
			}
			return a.read(c.Context(), func(r *reading) error { return a.log(r, &f) })
		},
	}
	c.Flags().Uint64VarP(&f.limit, "limit", "n", 50, "at most so many entries (0: all)")
	takesEntry(c, &f.from, "from", "start at this `entry` and go forwards")
	c.Flags().StringVar(&f.kind, "kind", "", "only entries of this `kind`: "+strings.Join(statementKinds, ", "))
	c.Flags().StringVar(&f.signer, "signer", "", "only what this `handle` or key id signed")
	c.Flags().StringVar(&f.since, "since", "", "only entries of this `time` or later")
	c.Flags().StringVar(&f.until, "until", "", "only entries before this `time`")
	return c
}

// parseLogFilter reads the words before any ledger is opened.
func (a *app) parseLogFilter(f *logFilter) (err error) {
	if f.kind != "" {
		if err := oneOf("--kind", f.kind, statementKinds...); err != nil {
			return err
		}
	}
	if f.since != "" {
		if f.sinceMS, err = a.when("--since", f.since); err != nil {
			return err
		}
	}
	if f.until != "" {
		if f.untilMS, err = a.when("--until", f.until); err != nil {
			return err
		}
	}
	return nil
}

func (a *app) log(r *reading, f *logFilter) error {
	low, high, err := timeBounds(r, f)
	if err != nil {
		return err
	}
	var rows [][]terminal.Cell
	var shown uint64
	more := false
	visit := func(index uint64) (bool, error) {
		e, st, err := r.Statement(index)
		if err != nil {
			return false, err
		}
		signer := r.Signer(e)
		if f.kind != "" && f.kind != string(st.Kind) || f.signer != "" && f.signer != signer.Handle && !strings.HasPrefix(signer.Key, f.signer) {
			return true, nil
		}
		if f.limit > 0 && shown == f.limit {
			more = true
			return false, nil
		}
		shown++
		if a.json {
			a.printJSON(r.entryJSON(e, st))
			return true, nil
		}
		rows = append(rows, a.logRow(r, e, st))
		return true, nil
	}
	for i, ok := uint64(0), true; i < high-low && ok; i++ {
		index := high - 1 - i
		if f.from >= 0 {
			index = low + i
		}
		if ok, err = visit(index); err != nil {
			return err
		}
	}
	if a.json {
		return nil
	}
	a.term.Table([]terminal.Column{
		{Title: "ENTRY", Right: true}, {Title: "TIME", Trim: terminal.TrimLate}, {Title: "KIND"}, {Title: "SIGNER"}, {Title: "SUBJECT", Trim: terminal.TrimMiddle},
	}, rows)
	if more {
		a.term.Notef("… and older ones; -n 0 shows all %s", terminal.Count(r.Size()))
	}
	return nil
}

func (a *app) logRow(r *reading, e *evidence.Entry, st *statement.Statement) []terminal.Cell {
	signer := terminal.Cell{Text: account.SignerText(r.Signer(e))}
	if s := r.Standing(e); !s.OK {
		signer.Text += " (" + s.State + ")"
		signer.Style = terminal.Bad
	}
	return []terminal.Cell{{Text: entryText(e.Index)}, {Text: a.term.Time(e.Time), Style: terminal.Dim}, {Text: string(st.Kind)}, signer, {Text: subject(st)}}
}

// timeBounds turns the filter into entries [low, high): times never go
// backwards along the log.
func timeBounds(r *reading, f *logFilter) (low, high uint64, err error) {
	high = r.Size()
	if f.since != "" {
		if low, err = r.AtTime(f.sinceMS - 1); err != nil {
			return 0, 0, err
		}
	}
	if f.until != "" {
		if high, err = r.AtTime(f.untilMS - 1); err != nil {
			return 0, 0, err
		}
	}
	if f.from >= 0 {
		if uint64(f.from) >= r.Size() {
			return 0, 0, failf(exitNotFound, "there is no entry %d; the log has %d", f.from, r.Size())
		}
		low = max(low, uint64(f.from))
	}
	return min(low, high), high, nil
}
