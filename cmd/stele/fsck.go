package main

import (
	"context"
	"encoding/base64"
	"sync/atomic"

	"github.com/spf13/cobra"

	"github.com/stele-ml/stele/cmd/stele/jsonv1"
	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/internal/solo"
	"github.com/stele-ml/stele/internal/terminal"
)

func (a *app) fsckCommand() *cobra.Command {
	var rebuild bool
	c := &cobra.Command{
		Use:   "fsck",
		Short: "Check the whole ledger: every entry through the rules again",
		Long: `Replays every entry through the ledger's rules, and compares every signature,
every checkpoint ever signed, every tile, every index, the guard, and every
document kept with the ledger. --rebuild writes the index again first, from the
entries and the checkpoints.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return a.fsck(c.Context(), rebuild) },
	}
	c.Flags().BoolVar(&rebuild, "rebuild", false, "write the index again from the entries")
	return c
}

func (a *app) fsck(ctx context.Context, rebuild bool) error {
	dir, err := a.findLedgerHere("fsck")
	if err != nil {
		return err
	}
	var done, total atomic.Uint64
	stop := a.term.Progress(ctx, func() terminal.Snapshot {
		return terminal.Snapshot{Label: "entries checked", FilesDone: done.Load(), FilesTotal: total.Load()}
	})
	report, err := solo.Fsck(ctx, a.options(dir), solo.FsckOptions{
		Rebuild:  rebuild,
		Progress: func(d, t uint64) { done.Store(d); total.Store(t) },
	})
	stop()
	if err != nil {
		return err
	}
	out := jsonv1.Fsck{
		Directory: dir, Origin: report.Info.Origin, Entries: report.Entries, Checkpoints: report.Checkpoints,
		Clean: report.OK() && report.Guard == nil, Rebuilt: rebuild, Damage: report.Problems, Guarded: report.Guarded,
		Attachments: report.Attachments, Manifests: report.Manifests,
	}
	if cp, _, err := evidence.ReadCheckpoint(report.Checkpoint); err == nil {
		out.Root = base64.StdEncoding.EncodeToString(cp.Root[:])
	}
	var history error
	if out.Clean {
		out.Trust, history = a.whose(ctx, dir)
	}
	if a.json {
		a.printJSON(out)
	} else if !a.quiet || !out.Clean {
		a.printFsck(&out, report)
	}
	switch {
	case !report.OK():
		return verdictError{exitTampered}
	case report.Guard != nil:
		a.printedJSON = a.json
		return report.Guard
	}
	a.printedJSON = a.json && history != nil
	return history
}

// whose asks what no replay can tell: whether this is the log whose key is pinned
// here, and whether it goes on from what this person saw. That no key is pinned is
// said and no error, for a copy may be checked where nobody relies on it.
func (a *app) whose(ctx context.Context, dir string) (trust string, err error) {
	err = a.readUntrusted(ctx, dir, func(r *reading) error {
		policy, _, err := a.policyFor(r.Origin())
		if err != nil || policy == nil {
			trust = "not-pinned"
			return err
		}
		trust = "trusted"
		_, err = a.trustingNewest(r)
		return err
	})
	if err != nil {
		trust = "untrusted"
	}
	return trust, err
}

func (a *app) printFsck(f *jsonv1.Fsck, report *solo.Report) {
	switch {
	case f.Clean:
		a.term.Printf("%s is %s\n", f.Directory, a.term.Style(terminal.Good, "clean"))
	case report.OK():
		a.term.Printf("%s is whole, and %s\n", f.Directory, a.term.Style(terminal.Bad, "NOT WHERE ITS GUARD IS"))
	default:
		a.term.Printf("%s is %s\n", f.Directory, a.term.Style(terminal.Bad, "DAMAGED"))
	}
	guard := "agrees"
	switch {
	case report.Guard != nil:
		guard = "does not agree: rolled back, or forked"
	case !f.Guarded:
		guard = "none here: a rollback would not be noticed"
	}
	var trust string
	switch f.Trust {
	case "trusted":
		trust = "its key is pinned here, and it goes on from what was seen"
	case "not-pinned":
		trust = "no key is pinned for this log here: whose it is was not checked"
	case "untrusted":
		trust = "NOT TRUSTED"
	}
	a.term.KeyValues([]terminal.Pair{
		{Key: "origin", Value: f.Origin},
		{Key: "trust", Value: trust},
		{Key: "entries", Value: terminal.Count(f.Entries) + ", each through the rules again"},
		{Key: "checkpoints", Value: terminal.Count(f.Checkpoints) + ", roots and signatures"},
		{Key: "root", Value: f.Root},
		{Key: "guard", Value: guard},
		{Key: "documents", Value: terminal.Plural(uint64(f.Attachments), "attachment") + ", " + terminal.Plural(uint64(f.Manifests), "manifest")},
	})
	for _, d := range f.Damage {
		a.term.Printf("damage: %s\n", d)
	}
	if report.More > 0 {
		a.term.Printf("damage: and %s more\n", terminal.Count(report.More))
	}
	if !report.OK() {
		a.term.Hintf("keep a copy as it is. `stele fsck --rebuild` mends indexes and tiles; entries and checkpoints come only from a copy")
	}
}
