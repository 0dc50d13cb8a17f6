package solo

import (
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// dbFormat is Pebble's format: the first whose log tells a torn tail from
// damage in the middle.
const dbFormat = pebble.FormatWALSyncChunks

const (
	dbMemTable = 32 << 20 // bytes written between two flushes

	// dbCache is how many bytes of memory are for blocks that were read and for
	// memtables together. Pebble takes the memtables' out of it, also while they
	// are empty: one that is written to, and one that is flushed or kept for the
	// next. Without them there would be none left for blocks after two flushes,
	// and every walk would read the disk again; so 64 MiB of blocks remain.
	dbCache = 64<<20 + 2*dbMemTable
)

// errDatabase says that the database could not be opened.
var errDatabase = errors.New("open database")

// database is a Pebble database that cannot end the process and that, once it
// failed, changes nothing on the disk any more.
type database struct {
	*pebble.DB
	disk *disk
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
func openDatabase(fsys vfs.FS, dir string, readOnly bool) (_ *database, err error) {
	disk := newDisk(fsys)
	opts := DatabaseOptions()
	opts.FS, opts.ReadOnly, opts.Logger = disk, readOnly, logger{disk}
	opts.EventListener = &pebble.EventListener{
		// A flush or a compaction: Pebble would try again for ever.
		BackgroundError: disk.fail,
		DataCorruption: func(i pebble.DataCorruptionInfo) {
			disk.fail(fmt.Errorf("%s: damaged: %w", i.Path, i.Details))
		},
	}
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %v", errDatabase, p)
		}
		if err != nil {
			disk.fail(err)
		}
	}()
	inner, err := pebble.Open(dir, opts)
	db := &database{inner, disk}
	if failure := disk.err(); failure != nil {
		// It was opened in memory, in part: the failure came first.
		if err == nil {
			_ = db.closeQuietly()
		}
		err = failure
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errDatabase, err)
	}
	return db, nil
}

func (db *database) closeQuietly() (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("close database: %v", p)
		}
	}()
	return db.DB.Close()
}

// Close closes the database. What one that failed says is of no interest.
func (db *database) Close() error {
	failed := db.disk.err() != nil
	err := db.closeQuietly()
	if err == nil {
		err = db.disk.err()
	}
	if err != nil {
		db.disk.fail(err) // whatever still runs
	}
	if failed {
		return nil
	}
	return err
}

// logger is Pebble's. Its Fatalf is called where Pebble would rather end the
// process than go on: here the database is cut off from the disk, and whoever
// waits for a commit is told.
type logger struct{ disk *disk }

func (logger) Infof(string, ...any)  {}
func (logger) Errorf(string, ...any) {}

func (l logger) Fatalf(format string, args ...any) {
	l.disk.fail(fmt.Errorf(format, args...))
}
