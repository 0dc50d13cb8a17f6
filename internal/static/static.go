// Package static publishes a log as files: its checkpoint, tiles and entries by
// their paths in C2SP tlog-tiles, so that any file server, bucket or CDN serves a
// log that clients of that format read.
package static

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync"

	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/internal/place"
	"github.com/stele-ml/stele/internal/server"
)

// What a store says of the files.
var (
	forever = place.Headers{ContentType: "application/octet-stream", CacheControl: "public, max-age=31536000, immutable"}
	newest  = place.Headers{ContentType: "text/plain; charset=utf-8", CacheControl: "no-cache"}
)

const (
	checkpointName = "checkpoint"
	maxCheckpoint  = 64 << 10 // bytes; see docs/formats/checkpoint.md
	levels         = 8        // of tiles: 256^8 entries are more than a size can count

	// DefaultParallel is how many files are written at once.
	DefaultParallel = 16
)

// View is a log as of one size: a *ledger.View is one.
type View interface {
	Size() uint64
	LatestCheckpoint() ([]byte, error)
	Tile(level int, n uint64, width int) ([]byte, error)
	Bundle(n uint64, width int) ([]byte, error)
}

// Folder is where the files go: a *place.Folder is one.
type Folder interface {
	Read(ctx context.Context, name string, limit int64) (*place.Published, error)
	Add(ctx context.Context, name string, data []byte, h place.Headers) (added bool, err error)
	Replace(ctx context.Context, name string, data []byte, h place.Headers, was *place.Published) error
	Settle() error
}

// Options say how much is looked at.
type Options struct {
	// All looks at every file, also at those that an earlier export must have
	// written. Otherwise the checkpoint that is there says what is.
	All      bool
	Parallel int // files written at once; 0 is DefaultParallel

	// Contains checks a checkpoint that is there already: that it is of this log,
	// and part of the view. An error refuses the export.
	Contains func(signed []byte) error
	// Progress, if set, is told how many of how many files were looked at.
	Progress func(done, total uint64)
}

// Exported says what an export did.
type Exported struct {
	Before uint64 // entries that were published
	Size   uint64 // entries that are published now
	Files  uint64 // written, besides the checkpoint
	Had    uint64 // files that were there already, of those looked at
}

// Export publishes a log as of the view: the tiles and entries that are missing,
// then, when they are there for good, the checkpoint. One that is there is replaced
// only where Contains allows it, by other bytes, and as it was when it was read. What
// is killed in between is finished by the next.
func Export(ctx context.Context, v View, to Folder, o Options) (*Exported, error) {
	signed, err := v.LatestCheckpoint()
	if err != nil {
		return nil, err
	}
	out := &Exported{Size: v.Size()}
	was, err := to.Read(ctx, checkpointName, maxCheckpoint)
	if errors.Is(err, fs.ErrNotExist) {
		was, err = nil, nil
	}
	if err != nil {
		return nil, err
	}
	if was != nil {
		if err := o.Contains(was.Data); err != nil {
			return nil, err
		}
		before, _, err := evidence.ReadCheckpoint(was.Data)
		if err != nil {
			return nil, err
		}
		out.Before = before.Size
	}
	from := out.Before
	if o.All {
		from = 0
	}
	if err := export(ctx, v, to, o, from, out); err != nil {
		return nil, err
	}
	if err := to.Settle(); err != nil {
		return nil, err
	}
	if was != nil && string(was.Data) == string(signed) {
		return out, nil
	}
	if err := to.Replace(ctx, checkpointName, signed, newest, was); err != nil {
		if errors.Is(err, fs.ErrExist) {
			return nil, fmt.Errorf("another export has replaced the checkpoint meanwhile: %w", err)
		}
		return nil, err
	}
	return out, nil
}

// file is one to write, with its bytes' maker.
type file struct {
	name string
	data func() ([]byte, error)
}

// files goes through those that a log of size n has and one of size from has not.
func files(v View, from, n uint64, yield func(file) bool) {
	for level := range levels {
		if !wanted(from>>(8*level), n>>(8*level), func(tile uint64, width int) bool {
			r := server.Resource{Kind: server.KindTile, Level: level, N: tile, Width: width}
			return yield(file{name(r), func() ([]byte, error) {
				data, err := v.Tile(level, tile, width)
				if err == nil && len(data) != width*sha256.Size {
					err = fmt.Errorf("%s has %d bytes", r.Path(), len(data))
				}
				return data, err
			}})
		}) {
			return
		}
	}
	wanted(from, n, func(bundle uint64, width int) bool {
		r := server.Resource{Kind: server.KindBundle, N: bundle, Width: width}
		return yield(file{name(r), func() ([]byte, error) { return v.Bundle(bundle, width) }})
	})
}

// wanted goes through the tiles of a level that has n hashes, and of which the
// first from were published: full ones, then a part.
func wanted(from, n uint64, yield func(tile uint64, width int) bool) bool {
	for tile := from / server.FullWidth; tile*server.FullWidth < n; tile++ {
		width := min(n-tile*server.FullWidth, server.FullWidth)
		if tile*server.FullWidth+width == from {
			continue // the same part
		}
		if !yield(tile, int(width)) {
			return false
		}
	}
	return true
}

func name(r server.Resource) string { return strings.TrimPrefix(r.Path(), "/") }

func export(ctx context.Context, v View, to Folder, o Options, from uint64, out *Exported) error {
	if o.Parallel <= 0 {
		o.Parallel = DefaultParallel
	}
	var total uint64
	files(v, from, v.Size(), func(file) bool { total++; return true })
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	todo := make(chan file)
	var workers sync.WaitGroup
	var mu sync.Mutex // guards out
	for range min(uint64(o.Parallel), total) {
		workers.Go(func() {
			for f := range todo {
				added, err := write(ctx, to, f)
				if err != nil {
					cancel(err)
					continue
				}
				mu.Lock()
				if added {
					out.Files++
				} else {
					out.Had++
				}
				if o.Progress != nil {
					o.Progress(out.Files+out.Had, total)
				}
				mu.Unlock()
			}
		})
	}
	files(v, from, v.Size(), func(f file) bool {
		select {
		case todo <- f:
			return true
		case <-ctx.Done():
			return false
		}
	})
	close(todo)
	workers.Wait()
	return context.Cause(ctx)
}

func write(ctx context.Context, to Folder, f file) (added bool, err error) {
	if err := context.Cause(ctx); err != nil {
		return false, err
	}
	data, err := f.data()
	if err != nil {
		return false, err
	}
	added, err = to.Add(ctx, f.name, data, forever)
	if errors.Is(err, fs.ErrExist) {
		err = fmt.Errorf("%w: %w", evidence.ErrTampered, err)
	}
	return added, err
}
