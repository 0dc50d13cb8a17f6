// Server is Tessera's POSIX appender behind HTTP, with the settings of bench/append,
// which are the fastest for it: what bench/serve puts beside `stele serve`. It takes
// what is posted to /add, whatever it is, and answers with the entry's index once a
// published checkpoint covers it, or as soon as it is durably in the tree.
//
//	go run ./server -dir DIR -key FILE -listen ADDRESS -batch N [-integrated]
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/transparency-dev/tessera"
	"github.com/transparency-dev/tessera/storage/posix"
	"golang.org/x/mod/sumdb/note"
)

// The settings, as bench/append has them.
const (
	batchAge           = 5 * time.Millisecond
	checkpointInterval = 100 * time.Millisecond // the least that Tessera accepts
	poll               = time.Millisecond
	maxEntry           = 1 << 16
)

var (
	dir        = flag.String("dir", "", "directory of the log")
	key        = flag.String("key", "", "file of its private key, a note signer's")
	listen     = flag.String("listen", "127.0.0.1:2025", "address")
	batch      = flag.Uint("batch", 256, "the most entries in a batch: as many as write at once is fastest")
	integrated = flag.Bool("integrated", false, "answer before a checkpoint is published")
)

func main() {
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "server:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	text, err := os.ReadFile(*key)
	if err != nil {
		return err
	}
	signer, err := note.NewSigner(string(text))
	if err != nil {
		return err
	}
	driver, err := posix.New(ctx, posix.Config{Path: *dir})
	if err != nil {
		return err
	}
	// It goes on until shutdown has seen all that was added published.
	work, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	appender, shutdown, reader, err := tessera.NewAppender(work, driver, tessera.NewAppendOptions().
		WithCheckpointSigner(signer).
		WithBatching(*batch, batchAge).
		WithCheckpointInterval(checkpointInterval).
		WithGarbageCollectionInterval(0).
		WithPushback(1<<16))
	if err != nil {
		return err
	}
	awaiter := tessera.NewPublicationAwaiter(work, reader.ReadCheckpoint, poll)
	mux := http.NewServeMux()
	mux.HandleFunc("POST /add", func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxEntry))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		added := appender.Add(r.Context(), tessera.NewEntry(body))
		var index tessera.Index
		if *integrated {
			index, err = added()
		} else {
			index, _, err = awaiter.Await(r.Context(), added)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		fmt.Fprint(w, index.Index)
	})
	mux.HandleFunc("GET /checkpoint", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-cache")
		http.ServeFile(w, r, filepath.Join(*dir, "checkpoint"))
	})
	mux.Handle("GET /tile/", http.FileServer(http.Dir(*dir)))
	s := &http.Server{Addr: *listen, Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	ended := make(chan error, 1)
	go func() { ended <- s.ListenAndServe() }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	return errors.Join(s.Close(), shutdown(work))
}
