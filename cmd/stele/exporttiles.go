package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"github.com/stele-ml/stele/cmd/stele/jsonv1"
	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/internal/durable"
	"github.com/stele-ml/stele/internal/place"
	"github.com/stele-ml/stele/internal/static"
	"github.com/stele-ml/stele/internal/terminal"
)

func (a *app) exportTiles() *cobra.Command {
	var all bool
	c := &cobra.Command{
		Use:   "tiles DIR|BUCKET",
		Short: "Publish the log as files that any C2SP client reads",
		Long: `Writes the log's checkpoint, tiles and entries as files (c2sp.org/tlog-tiles) to
a folder, or to s3://BUCKET/PREFIX, gs://… or azblob://…: behind a file server
or a CDN it is a log that other people's tools read and check, with no server of
ours. Whoever can read it there can read every entry.

What is there already is not written again; the checkpoint is written last, and
never goes back: a folder that holds a larger log, or another one, is refused.`,
		Example: "  stele export tiles ./public\n  stele export tiles s3://models-log/v1",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return a.read(c.Context(), func(r *reading) error { return a.exportTilesTo(c.Context(), r, args[0], all) })
		},
	}
	c.Flags().BoolVar(&all, "all", false, "look at every file, also at those that an earlier export wrote")
	return c
}

func (a *app) exportTilesTo(ctx context.Context, r *reading, address string, all bool) error {
	to, err := place.Parse(address)
	if err != nil {
		return usagef("%v", err)
	}
	folder, err := to.OpenFolder(ctx, place.Options{})
	if err != nil {
		return err
	}
	defer folder.Close()
	if !to.Remote() {
		unlock, err := lockExport(to.String())
		if err != nil {
			return err
		}
		defer unlock.Close()
	}
	var done, total atomic.Uint64
	stop := a.term.Progress(ctx, func() terminal.Snapshot {
		return terminal.Snapshot{Label: "files written", FilesDone: done.Load(), FilesTotal: total.Load()}
	})
	out, err := static.Export(ctx, r.View, folder, static.Options{
		All:      all,
		Contains: func(signed []byte) error { return a.publishedBefore(r, signed, to) },
		Progress: func(d, t uint64) { done.Store(d); total.Store(t) },
	})
	stop()
	if err != nil {
		if errors.Is(err, evidence.ErrTampered) {
			return failf(exitTampered, "%w", err).withHint("somebody changed a published file; delete it and export again with --all")
		}
		return err
	}
	if a.json {
		a.printJSON(jsonv1.ExportTiles{Origin: r.Origin(), To: to.String(), Before: out.Before, Entries: out.Size, Written: out.Files, There: out.Had})
		return nil
	}
	if a.quiet {
		return nil
	}
	if out.Files == 0 && out.Before == out.Size {
		a.term.Printf("%s has all %s entries of %s already\n", to, terminal.Count(out.Size), r.Origin())
		return nil
	}
	a.term.Printf("%s has %s entries of %s: %s files written, then the checkpoint\n", to, terminal.Count(out.Size), r.Origin(), terminal.Count(out.Files))
	return nil
}

// exportLock is a file in the folder that is exported to. A bucket replaces a checkpoint
// only where it is the one that was read; a folder has no such condition, and the
// checkpoint of the slower of two exports could take the place of a larger one.
const exportLock = ".stele-export"

func lockExport(dir string) (io.Closer, error) {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return nil, err
	}
	host, _ := os.Hostname() // for people
	lock, err := durable.Lock(durable.Private(), filepath.Join(dir, exportLock), durable.Holder{PID: os.Getpid(), Host: host, Since: time.Now().UnixMilli(), Command: "stele export tiles"}, false)
	if errors.Is(err, durable.ErrLocked) {
		return nil, failf(exitError, "another export to %s is under way", dir).withPath(dir).withHint("run it again when that has ended: it writes what is missing")
	}
	return lock, err
}

// publishedBefore: the checkpoint that is published is one of this log, and part
// of what is to be published.
func (a *app) publishedBefore(r *reading, signed []byte, at place.Place) error {
	refused := func(why string, more ...any) error {
		return failf(exitUntrusted, "%s holds %s: it is not replaced", at, fmt.Sprintf(why, more...)).
			withHint("choose an empty place, or look which of the two is right")
	}
	published, _, err := evidence.ReadCheckpoint(signed)
	if err != nil {
		return refused("a checkpoint that cannot be read (%v)", err)
	}
	if published.Origin != r.Origin() {
		return refused("another log, %s", published.Origin)
	}
	if key, ok := r.Control.LogKey(published.Size); !ok {
		return refused("a checkpoint of no size that a log has")
	} else if _, _, err := evidence.OpenCheckpoint(signed, evidence.Verifiers(key)); err != nil {
		return refused("a checkpoint that this log did not sign")
	}
	ours, err := r.LatestCheckpoint()
	if err != nil {
		return err
	}
	now, _, err := evidence.ReadCheckpoint(ours)
	if err != nil {
		return err
	}
	if published.Size > now.Size {
		return refused("%s entries, and the ledger has %s", terminal.Count(published.Size), terminal.Count(now.Size))
	}
	then, err := r.AsOf(published.Size)
	if err != nil {
		return err
	}
	root, err := then.Root()
	if err != nil {
		return err
	}
	if root != published.Root {
		a.memory.Convict(r.ID(), signed, ours)
		return refused("another history of this log, from before entry %s", terminal.Count(published.Size))
	}
	return nil
}
