package main

import (
	"context"
	"crypto/rand"
	"path/filepath"
	"time"

	"github.com/transparency-dev/tessera"
	"github.com/transparency-dev/tessera/storage/posix"
	"golang.org/x/mod/sumdb/note"
)

// Tessera's settings: whatever is fastest for it. A batch is as many entries as
// there are writers, so it is written as soon as all of them wait; the
// checkpoint interval is the least that it accepts. Its writes are synced by
// itself. Garbage collection and antispam are off.
const (
	tesseraBatchAge   = 5 * time.Millisecond
	tesseraCheckpoint = 100 * time.Millisecond
	tesseraPoll       = time.Millisecond
)

// tessera adds random entries as long as our leaves. Published: each writer
// waits until a published checkpoint covers its entry, which is what an
// acknowledgement of Stele means; otherwise until it is durably in the tree.
func (f *fixtures) tessera(published bool) func(context.Context, string, int) (float64, error) {
	return func(ctx context.Context, dir string, writers int) (float64, error) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		skey, _, err := note.GenerateKey(rand.Reader, "tessera.example/log")
		if err != nil {
			return 0, err
		}
		signer, err := note.NewSigner(skey)
		if err != nil {
			return 0, err
		}
		driver, err := posix.New(ctx, posix.Config{Path: filepath.Join(dir, "log")})
		if err != nil {
			return 0, err
		}
		appender, shutdown, reader, err := tessera.NewAppender(ctx, driver, tessera.NewAppendOptions().
			WithCheckpointSigner(signer).
			WithBatching(uint(writers), tesseraBatchAge).
			WithCheckpointInterval(tesseraCheckpoint).
			WithGarbageCollectionInterval(0).
			WithPushback(1<<16))
		if err != nil {
			return 0, err
		}
		awaiter := tessera.NewPublicationAwaiter(ctx, reader.ReadCheckpoint, tesseraPoll)
		defer shutdown(ctx)
		return hammer(writers, func(int) error {
			data := make([]byte, f.leaf)
			if _, err := rand.Read(data); err != nil {
				return err
			}
			future := appender.Add(ctx, tessera.NewEntry(data))
			if published {
				_, _, err := awaiter.Await(ctx, future)
				return err
			}
			_, err := future()
			return err
		})
	}
}
