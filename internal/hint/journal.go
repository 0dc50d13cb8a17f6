package hint

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/stele-ml/stele/fingerprint"
	"github.com/stele-ml/stele/internal/durable"
)

// journalMagic begins a journal. Its form is private: another version's is
// dropped.
const journalMagic = "stele journal v1\n"

const (
	// MaxAge is how long a journal is kept that nothing was added to.
	MaxAge = 7 * 24 * time.Hour
	// GroupChunks is how many chunks of a large file are remembered together:
	// 64 MiB of it.
	GroupChunks = 64
	// maxPlace bounds a Key's Place, in bytes.
	maxPlace = 16 << 10
	// maxNotes bounds how many records are found again, for 1 GiB of memory.
	maxNotes = 1 << 26
)

// The kinds of record.
const (
	kindFile  = 1 // a finished file of at most one chunk
	kindGroup = 2 // finished chunks of a larger one
	kindPlain = 3 // the plain SHA-256 of a larger one
)

const (
	// sumSize is how many bytes of a record's SHA-256 follow it.
	sumSize = 8
	// maxNote is the most bytes of a record between its length and its sum.
	maxNote = 1 + 2 + fingerprint.MaxPath + binary.MaxVarintLen64 + maxMark + binary.MaxVarintLen64 + GroupChunks*32
)

// Key says which scan a journal is of.
type Key struct {
	// Place is where the bytes lie, and whatever else tells one scan from
	// another that may run at the same time: a shard.
	Place     string
	Algorithm fingerprint.Algorithm
	Plain     bool // plain SHA-256 digests are recorded besides
}

// header is what a journal of this key begins with.
func (k Key) header() []byte {
	b := append([]byte(journalMagic), byte(k.Algorithm), 0)
	if k.Plain {
		b[len(b)-1] = 1
	}
	b = binary.AppendUvarint(b, uint64(len(k.Place)))
	return append(b, k.Place...)
}

// ErrBusy: another process has the journal open.
var ErrBusy = errors.New("another scan of the same place is under way")

// Journal is of a scan under way: the files that are finished, and the finished
// parts of large ones, each with its mark. Its methods may be called
// concurrently, but Done and Close only at the end.
//
// It is a file that is only ever appended to, in one call of the system for each
// group of records, so that what was remembered survives the process, however
// it ends. It is not synced: a crash of the machine may cost the last minute.
// Each record carries a part of its digest; the first that is damaged or cut off
// ends what is found.
//
// It is no database, on purpose: a scan of many hours must not end because its
// notes cannot be written. The first failure ends the notes, and nothing else.
//
// Who can write to the folder can make a scan take digests for read that nobody
// read. The folder is the user's own, as are the keys and the trust beside it:
// who can write there can do worse.
type Journal struct {
	name string // of the file
	key  Key
	lock io.Closer

	seed  maphash.Seed
	notes []note   // what an earlier run left behind, by key, then offset
	old   *os.File // where that is; nil if there is none
	end   int64    // of its last whole record

	mu   sync.Mutex // held while something is added
	file *os.File   // nil until there is something to remember
	err  error      // why nothing is added any more
}

// note is where a record lies.
type note struct {
	key uint64 // of kind, path and group, in this process
	at  int64  // in the file
}

// journalName is the ending of a journal's file; lockName of its lock's.
const (
	journalName = ".journal"
	lockName    = ".lock"
)

// OpenJournal opens the journal of a scan in dir, the folder of the user's own
// state where all journals are. No journal is made there before there is
// something to remember. One that is older than MaxAge, or of another version,
// is dropped; one that another process has open is ErrBusy.
func OpenJournal(dir string, key Key) (*Journal, error) {
	if len(key.Place) > maxPlace || !key.Algorithm.Valid() {
		return nil, fmt.Errorf("open journal: %d bytes of place, %v", len(key.Place), key.Algorithm)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("open journal: %w", err)
	}
	sweep(dir, time.Now().Add(-MaxAge))
	j := &Journal{key: key, seed: maphash.MakeSeed()}
	sum := sha256.Sum256(key.header())
	base := filepath.Join(dir, hex.EncodeToString(sum[:]))
	j.name = base + journalName
	var err error
	j.lock, err = durable.Lock(durable.Private(), base+lockName, durable.Holder{PID: os.Getpid()}, false)
	switch {
	case errors.Is(err, durable.ErrLocked):
		return nil, ErrBusy
	case err != nil:
		return nil, fmt.Errorf("open journal: %w", err)
	}
	if err := j.load(); err != nil {
		j.Close()
		return nil, fmt.Errorf("open journal: %w", err)
	}
	return j, nil
}

// sweep removes journals that nothing was added to since then. What cannot be
// removed stays; it is found by age again.
func sweep(dir string, then time.Time) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return
	}
	aged := func(e fs.DirEntry) bool {
		info, err := e.Info()
		return err == nil && info.Mode().IsRegular() && info.ModTime().Before(then)
	}
	for _, e := range entries {
		base, ours := strings.CutSuffix(e.Name(), journalName)
		if ours && aged(e) {
			_ = os.Remove(filepath.Join(dir, e.Name()))
			_ = os.Remove(filepath.Join(dir, base+lockName))
		}
	}
	// A lock alone is what a scan left that had nothing to remember.
	for _, e := range entries {
		base, ours := strings.CutSuffix(e.Name(), lockName)
		if ours && aged(e) {
			if _, err := os.Lstat(filepath.Join(dir, base+journalName)); errors.Is(err, fs.ErrNotExist) {
				_ = os.Remove(filepath.Join(dir, e.Name()))
			}
		}
	}
}

// load finds out what an earlier run left behind.
func (j *Journal) load() error {
	f, err := os.Open(j.name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	r := bufio.NewReaderSize(f, 1<<20)
	header := j.key.header()
	if b, _ := r.Peek(len(header)); !bytes.Equal(b, header) {
		// Another version's, or cut off in its first bytes.
		return errors.Join(f.Close(), os.Remove(j.name))
	}
	_, _ = r.Discard(len(header))
	j.old, j.end = f, int64(len(header))
	var buf []byte
	for len(j.notes) < maxNotes {
		rec, n, err := readRecord(r, &buf)
		if err != nil {
			break // the rest was cut off, or is damaged
		}
		if kind, path, group, ok := rec.subject(); ok {
			j.notes = append(j.notes, note{j.noteKey(kind, path, group), j.end})
		}
		j.end += n
	}
	slices.SortFunc(j.notes, func(a, b note) int {
		switch {
		case a.key < b.key || a.key == b.key && a.at < b.at:
			return -1
		case a == b:
			return 0
		}
		return 1
	})
	return nil
}

// noteKey is what a record is found by. Two records may share one; what they are
// of is compared.
func (j *Journal) noteKey(kind byte, path []byte, group uint64) uint64 {
	var h maphash.Hash
	h.SetSeed(j.seed)
	var b [9]byte
	b[0] = kind
	binary.BigEndian.PutUint64(b[1:], group)
	_, _ = h.Write(b[:])
	_, _ = h.Write(path)
	return h.Sum64()
}

// Key returns what the journal was opened for.
func (j *Journal) Key() Key { return j.key }

// Resumed reports whether an earlier run left something behind.
func (j *Journal) Resumed() bool { return len(j.notes) > 0 }

// Kept reports whether the next run will find something, so that it goes on from
// where this one was interrupted.
func (j *Journal) Kept() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.old != nil || j.file != nil
}

// Err returns why nothing is remembered any more, or nil.
func (j *Journal) Err() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.err
}

// Done removes the journal: the scan's result is safe.
func (j *Journal) Done() error {
	err := j.closeFiles()
	if e := os.Remove(j.name); e != nil && !errors.Is(e, fs.ErrNotExist) {
		err = errors.Join(err, e)
	}
	return errors.Join(err, j.unlock())
}

// Close keeps the journal for the next run. After Done it does nothing.
func (j *Journal) Close() error { return errors.Join(j.closeFiles(), j.unlock()) }

func (j *Journal) closeFiles() (err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.err == nil {
		j.err = errJournalClosed
	}
	j.notes = nil
	if j.old != nil {
		err = j.old.Close()
		j.old = nil
	}
	if j.file != nil {
		err = errors.Join(err, j.file.Close())
		j.file = nil
	}
	return err
}

var errJournalClosed = errors.New("journal is closed")

// unlock lets the next run in. Where there is no journal the lock's file goes
// too: of two that meet in this moment, both may hold a lock then, and at worst
// one loses its notes.
func (j *Journal) unlock() error {
	if j.lock == nil {
		return nil
	}
	if _, err := os.Lstat(j.name); errors.Is(err, fs.ErrNotExist) {
		_ = os.Remove(strings.TrimSuffix(j.name, journalName) + lockName)
	}
	err := j.lock.Close()
	j.lock = nil
	return err
}

// add appends whole records.
func (j *Journal) add(b []byte) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.err != nil {
		return
	}
	if j.file == nil {
		if j.err = j.create(); j.err != nil {
			return
		}
	}
	_, j.err = j.file.Write(b)
}

// create opens the file to append to: after the last whole record, or new.
func (j *Journal) create() error {
	f, err := os.OpenFile(j.name, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	if j.old == nil {
		_, err = f.Write(j.key.header())
	} else {
		err = f.Truncate(j.end)
	}
	if err != nil {
		return errors.Join(err, f.Close())
	}
	j.file = f
	return nil
}
