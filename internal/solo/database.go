package solo

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/stele-ml/stele/internal/durable"
)

// dbFormat is Pebble's format: the first whose log tells a torn tail from
// damage in the middle.
const dbFormat = pebble.FormatWALSyncChunks

const (
	dbCache    = 64 << 20 // bytes of blocks kept in memory
	dbMemTable = 32 << 20 // bytes written between two flushes
)

// errDatabase says that the database could not be opened.
var errDatabase = errors.New("open database")

// database is a Pebble database that cannot end the process and that, once it
// failed, changes nothing on the disk any more.
type database struct {
	*pebble.DB
	fence *durable.Fence

	mu     sync.Mutex
	err    error
	failed chan struct{} // closed once err is set
}

// DatabaseOptions returns how a ledger's database is tuned. Logger and
// EventListener are the caller's.
func DatabaseOptions() *pebble.Options {
	opts := &pebble.Options{
		FormatMajorVersion: dbFormat,
		CacheSize:          dbCache,
		MemTableSize:       dbMemTable,
	}
	opts.Levels[0].FilterPolicy = bloom.FilterPolicy(10) // the other levels take it over
	return opts
}

// openDatabase opens the database in dir. The caller holds the ledger's lock;
// Pebble's own is left out.
func openDatabase(fsys vfs.FS, dir string, readOnly bool) (db *database, err error) {
	db = &database{fence: durable.NewFence(fsys), failed: make(chan struct{})}
	opts := DatabaseOptions()
	opts.FS, opts.ReadOnly, opts.Logger = db.fence, readOnly, logger{db}
	opts.EventListener = &pebble.EventListener{
		BackgroundError: db.background,
		DataCorruption: func(i pebble.DataCorruptionInfo) {
			db.fail(fmt.Errorf("%s: damaged: %w", i.Path, i.Details))
		},
	}
	defer func() {
		if p := recover(); p != nil {
			err = db.abandon(fmt.Errorf("%w: %v", errDatabase, p))
		}
	}()
	db.DB, err = pebble.Open(dir, opts)
	if err == nil {
		err = db.failure()
	}
	if err != nil {
		return nil, db.abandon(fmt.Errorf("%w: %w", errDatabase, err))
	}
	return db, nil
}

// abandon leaves a database that did not open behind its fence.
func (db *database) abandon(err error) error {
	db.fence.Trip(ErrFailed)
	if db.DB != nil {
		go db.closeQuietly()
	}
	return err
}

func (db *database) closeQuietly() (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("close database: %v", p)
		}
	}()
	return db.DB.Close()
}

// fail makes the database one that failed: the first error counts. What is
// under way on the disk is waited for, what comes later does not reach it.
func (db *database) fail(err error) {
	db.mu.Lock()
	first := db.err == nil
	if first {
		db.err = err
	}
	db.mu.Unlock()
	if first {
		// Not in this goroutine, which may be within a change.
		go func() {
			db.fence.Trip(ErrFailed)
			close(db.failed)
		}()
	}
}

// failure returns the first error, or nil.
func (db *database) failure() error {
	db.mu.Lock()
	defer db.mu.Unlock()
	return db.err
}

// backoff slows Pebble down, which retries a failed flush at once and for ever.
const backoff = 50 * time.Millisecond

// background is told of failed flushes and compactions.
func (db *database) background(err error) {
	if errors.Is(err, pebble.ErrClosed) {
		return
	}
	if db.failure() != nil {
		time.Sleep(backoff)
		return
	}
	db.fail(err)
}

// closeWait is how long a failed database may take to close before it is left
// behind its fence, where it can do no harm.
const closeWait = 2 * time.Second

// Close closes the database. One that failed is first cut off from the disk;
// its closing may get stuck and is not waited for.
func (db *database) Close() error {
	failure := db.failure()
	if failure == nil {
		if err := db.closeQuietly(); err != nil {
			db.fence.Trip(ErrFailed)
			return err
		}
		return db.failure()
	}
	db.fence.Trip(ErrFailed)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = db.closeQuietly()
	}()
	timer := time.NewTimer(closeWait)
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C:
	}
	return nil
}

// logger is Pebble's. Its Fatalf is called where Pebble would rather end the
// process than go on: here the database is cut off from the disk, and whoever
// waits for the commit is told.
type logger struct{ db *database }

func (logger) Infof(string, ...any)  {}
func (logger) Errorf(string, ...any) {}

func (l logger) Fatalf(format string, args ...any) {
	l.db.fail(fmt.Errorf(format, args...))
}
