package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/stele-ml/stele/internal/durable"
	"github.com/stele-ml/stele/internal/solo"
)

// latency measures how long one writer waits for an acknowledgement, and how
// much of that is the disk's syncs.
func (f *fixtures) latency(ctx context.Context) error {
	fmt.Println("One writer, from the call to the acknowledgement: signature, rules, index, checkpoint signed, database synced, guard synced.")
	fmt.Println()
	fmt.Println("| signature | acknowledged (median) | in the disk's syncs | the rest | the rest, 99 of 100 |")
	fmt.Println("|---|---|---|---|---|")
	for _, algorithm := range []string{"p256", "ed25519"} {
		dir, err := os.MkdirTemp(*base, "append-")
		if err != nil {
			return err
		}
		if err := f.latencyOf(ctx, dir, algorithm); err != nil {
			return err
		}
		os.RemoveAll(dir)
	}
	return nil
}

func (f *fixtures) latencyOf(ctx context.Context, dir, algorithm string) error {
	timed := &timedFS{FS: vfs.Default}
	private := &timedFS{FS: durable.Private(), total: timed}
	e, err := f.create(ctx, solo.Options{
		Dir: filepath.Join(dir, ".stele"), State: filepath.Join(dir, "state"),
		FS: timed, StateFS: private,
	})
	if err != nil {
		return err
	}
	defer e.Close()
	const warm, n = 200, 2000
	var all, syncs, rest []time.Duration
	for i, env := range f.stamps[algorithm][:warm+n] {
		before := timed.synced.Load()
		begin := time.Now()
		if _, err := e.Submit(ctx, env); err != nil {
			return err
		}
		took, sync := time.Since(begin), time.Duration(timed.synced.Load()-before)
		if i >= warm {
			all, syncs, rest = append(all, took), append(syncs, sync), append(rest, took-sync)
		}
	}
	slices.Sort(all)
	slices.Sort(syncs)
	slices.Sort(rest)
	us := func(d time.Duration) string { return fmt.Sprintf("%d µs", d.Microseconds()) }
	fmt.Printf("| %s | %s | %s | %s | %s |\n", algorithm, us(all[n/2]), us(syncs[n/2]), us(rest[n/2]), us(rest[n*99/100]))
	return nil
}

// timedFS adds up the time that syncs take.
type timedFS struct {
	vfs.FS
	synced atomic.Int64 // nanoseconds
	total  *timedFS     // adds them up instead, if set
}

func (t *timedFS) Unwrap() vfs.FS { return t.FS }

func (t *timedFS) wrap(f vfs.File, err error) (vfs.File, error) {
	if err != nil {
		return nil, err
	}
	return &timedFile{f, t}, nil
}

func (t *timedFS) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return t.wrap(t.FS.Create(name, c))
}

func (t *timedFS) OpenReadWrite(name string, c vfs.DiskWriteCategory, o ...vfs.OpenOption) (vfs.File, error) {
	return t.wrap(t.FS.OpenReadWrite(name, c, o...))
}

func (t *timedFS) ReuseForWrite(a, b string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return t.wrap(t.FS.ReuseForWrite(a, b, c))
}

type timedFile struct {
	vfs.File
	t *timedFS
}

func (f *timedFile) Sync() error     { return f.time(f.File.Sync) }
func (f *timedFile) SyncData() error { return f.time(f.File.SyncData) }

func (f *timedFile) time(sync func() error) error {
	begin := time.Now()
	err := sync()
	t := f.t
	if t.total != nil {
		t = t.total
	}
	t.synced.Add(int64(time.Since(begin)))
	return err
}
