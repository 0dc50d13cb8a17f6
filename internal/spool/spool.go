package spool

import (
	"cmp"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/stele-ml/stele/internal/durable"
	"github.com/stele-ml/stele/statement"
)

// MaxItems is the most envelopes that one spool keeps. Whoever has more has a
// server that is gone, and not one that is away.
const MaxItems = 100_000

const (
	envelopeName = "envelope.json"
	skippedName  = "skipped"
	lockName     = "lock"
	unfinished   = ".new-" // before it is an item

	digits = 10 // of an item's number
)

// The classes of error that callers act on.
var (
	// ErrFull: there are MaxItems envelopes.
	ErrFull = errors.New("the spool is full")
	// ErrDamaged: what is kept is not what was added. It will never be admitted.
	ErrDamaged = errors.New("damaged")
)

// Spool is a directory of envelopes that wait, in the order in which they were
// added. Each is a directory of its own that is there whole or not at all:
//
//	0000000001-<the statement's id, 16 digits>/envelope.json       the DSSE envelope
//	                                          /<SHA-256>.attachment
//	                                          /<fingerprint, - for :>.manifest
//
// Of the documents that an envelope names by digest it has those that are not at the
// server yet: they go there before the envelope does.
//
// Several programs may add at once; one at a time may take out, under Lock.
type Spool struct{ dir string }

// At returns the spool in dir, which is made when something is added.
func At(dir string) *Spool { return &Spool{dir} }

// Dir returns where it is.
func (s *Spool) Dir() string { return s.dir }

// Item is one envelope that waits.
type Item struct {
	Number uint64
	Name   string // of its directory
	dir    string
}

// Add keeps an envelope, after all that are there. When it returns, it is
// on the disk.
// The documents are copied; what they hold is not checked here.
func (s *Spool) Add(env *statement.Envelope, documents ...Document) (Item, error) {
	body, err := env.MarshalJSON()
	if err != nil {
		return Item{}, err
	}
	disk := durable.Private()
	if err := durable.MkdirAll(disk, s.dir, durable.PrivateDir); err != nil {
		return Item{}, err
	}
	var random [8]byte
	_, _ = rand.Read(random[:])
	begun := filepath.Join(s.dir, unfinished+hex.EncodeToString(random[:]))
	if err := os.Mkdir(begun, durable.PrivateDir); err != nil {
		return Item{}, err
	}
	defer os.RemoveAll(begun) // where it was not renamed
	if err := durable.WriteFile(disk, filepath.Join(begun, envelopeName), body); err != nil {
		return Item{}, err
	}
	for _, d := range documents {
		if err := d.copyTo(begun); err != nil {
			return Item{}, err
		}
	}
	items, err := s.Items()
	if err != nil {
		return Item{}, err
	}
	if len(items) >= MaxItems {
		return Item{}, fmt.Errorf("%w: %d envelopes wait in %s", ErrFull, len(items), s.dir)
	}
	number := uint64(1)
	if n := len(items); n > 0 {
		number = items[n-1].Number + 1
	}
	// Two programs that add at once may take one number: neither knows of the
	// other's envelope, so that either order is right, and the names differ.
	item := s.item(number, fmt.Sprintf("%0*d-%s", digits, number, shortID(env)))
	if err := os.Rename(begun, item.dir); err != nil {
		return Item{}, err
	}
	return item, durable.SyncDir(disk, s.dir)
}

func (s *Spool) item(number uint64, name string) Item {
	return Item{Number: number, Name: name, dir: filepath.Join(s.dir, name)}
}

// Items lists what waits, in order. What is not of a spool's form is passed over.
func (s *Spool) Items() ([]Item, error) {
	list, err := os.ReadDir(s.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var items []Item
	for _, e := range list {
		number, _, ok := strings.Cut(e.Name(), "-")
		if !ok || len(number) != digits || !e.IsDir() {
			continue
		}
		if n, err := strconv.ParseUint(number, 10, 64); err == nil {
			items = append(items, s.item(n, e.Name()))
		}
	}
	slices.SortFunc(items, func(x, y Item) int {
		return cmp.Or(cmp.Compare(x.Number, y.Number), strings.Compare(x.Name, y.Name))
	})
	return items, nil
}

// shortID is what of a statement's id is in the name of its item.
func shortID(env *statement.Envelope) string {
	id := env.ID()
	return hex.EncodeToString(id[:8])
}

// Envelope reads an item's envelope: the bytes that were signed. Its error is
// ErrDamaged where they are not those that were added; of a signature only the
// ledger can tell.
func (i Item) Envelope() (*statement.Envelope, error) {
	path := filepath.Join(i.dir, envelopeName)
	body, err := durable.ReadFile(durable.Private(), path, statement.MaxDSSE)
	var disk *fs.PathError
	if errors.As(err, &disk) && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var env *statement.Envelope
	if err == nil {
		env, err = statement.ParseEnvelope(body)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %w", path, ErrDamaged, err)
	}
	if _, id, _ := strings.Cut(i.Name, "-"); id != shortID(env) {
		return nil, fmt.Errorf("%s: %w: it is the statement %s, and %s was kept", path, ErrDamaged, shortID(env), id)
	}
	return env, nil
}

// Remove takes out an item that was acknowledged.
func (s *Spool) Remove(i Item) error {
	gone := filepath.Join(s.dir, unfinished+"gone-"+i.Name)
	if err := os.Rename(i.dir, gone); err != nil {
		return err
	}
	if err := durable.SyncDir(durable.Private(), s.dir); err != nil {
		return err
	}
	return os.RemoveAll(gone)
}

// Skip sets an item aside, where it is kept and no longer waits, and returns where.
func (s *Spool) Skip(i Item) (string, error) {
	disk := durable.Private()
	aside := filepath.Join(s.dir, skippedName)
	if err := durable.MkdirAll(disk, aside, durable.PrivateDir); err != nil {
		return "", err
	}
	to := filepath.Join(aside, i.Name)
	if err := os.Rename(i.dir, to); err != nil {
		return "", err
	}
	if err := durable.SyncDir(disk, aside); err != nil {
		return to, err
	}
	return to, durable.SyncDir(disk, s.dir)
}

// Lock keeps others from taking out, and clears up what a crash left behind. It
// fails with durable.ErrLocked if somebody does.
func (s *Spool) Lock(h durable.Holder) (io.Closer, error) {
	disk := durable.Private()
	if err := durable.MkdirAll(disk, s.dir, durable.PrivateDir); err != nil {
		return nil, err
	}
	held, err := durable.Lock(disk, filepath.Join(s.dir, lockName), h, false)
	if err != nil {
		return nil, err
	}
	durable.RemoveAbandoned(s.dir, unfinished+"gone-", 0)
	durable.RemoveAbandoned(s.dir, unfinished, durable.Abandoned) // others may be adding now
	return held, nil
}
