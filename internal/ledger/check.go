package ledger

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// MaxProblems is how many differences of the index a report lists.
const MaxProblems = 100

// Report is what Check found.
type Report struct {
	Entries     uint64   // replayed: through the rules, with their signatures
	Checkpoints uint64   // compared: root and signatures
	Keys        uint64   // of the index, compared with those of the replay
	Problems    []string // what is wrong; empty for a sound store
	More        uint64   // problems that are not listed
}

// OK reports whether the store is sound.
func (r *Report) OK() bool { return len(r.Problems) == 0 }

func (r *Report) problem(format string, args ...any) {
	if len(r.Problems) >= MaxProblems {
		r.More++
		return
	}
	r.Problems = append(r.Problems, fmt.Sprintf(format, args...))
}

// Check replays every entry through the rules into an empty store in memory
// and compares: every leaf, every kept checkpoint's root and signatures, every
// key and value of the index, every tile. It needs some 500 bytes of memory an
// entry. The error is of ctx or of the machine; what is wrong with the store is
// in the report.
func Check(ctx context.Context, db *pebble.DB, progress func(done, total uint64)) (*Report, error) {
	mem, err := pebble.Open("", &pebble.Options{FS: vfs.NewMem(), Logger: silent{}, DisableWAL: true, FormatMajorVersion: db.FormatMajorVersion()})
	if err != nil {
		return nil, fmt.Errorf("check: %w", err)
	}
	defer mem.Close()
	report := new(Report)
	dst := replica(mem, reads{}, Options{NoSync: true, inPlace: true, derivedOnly: true})
	r, err := newReplay(db, dst, progress)
	if err == nil {
		dst.source = r.src.store
		err = r.run(ctx)
		report.Entries, report.Checkpoints = dst.View().Size(), r.checkpoints
	}
	switch {
	case err == nil:
		err = compare(ctx, db, mem, report)
		if errors.Is(err, ErrDamaged) {
			report.problem("%v", err)
			err = nil
		}
	case errors.Is(err, ErrDamaged) || pebble.IsCorruptionError(err):
		report.problem("%v", err)
		err = nil
	}
	if err != nil {
		return nil, fmt.Errorf("check: %w", err)
	}
	return report, nil
}

type silent struct{}

func (silent) Infof(string, ...any)  {}
func (silent) Errorf(string, ...any) {}
func (silent) Fatalf(string, ...any) {}

// compare goes through both databases in step.
func compare(ctx context.Context, db, mem *pebble.DB, report *Report) error {
	index := reads{&store{db: db}}
	if v, _, err := index.get(metaKey(metaIndex)); err != nil {
		return err
	} else if string(v) != indexVersion {
		report.problem("the index is of version %.40q; this program writes %q", v, indexVersion)
	}
	if err := checkCosigned(index, report); err != nil {
		return err
	}
	have, err := db.NewIter(nil)
	if err != nil {
		return readError(nil, err)
	}
	defer have.Close()
	want, err := mem.NewIter(nil)
	if err != nil {
		return readError(nil, err)
	}
	defer want.Close()
	h, w := have.First(), want.First()
	for n := 0; h || w; n++ {
		if n%4096 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		if h && !isDerived(have.Key()) {
			if !isKept(have.Key()) {
				report.problem("a key that no family has: %q", clip(have.Key()))
			}
			h = have.Next()
			continue
		}
		order := -1
		switch {
		case h && w:
			order = bytes.Compare(have.Key(), want.Key())
		case w:
			order = 1
		}
		switch {
		case order < 0:
			report.problem("the index has %q, which follows from no entry", clip(have.Key()))
			h = have.Next()
		case order > 0:
			report.problem("the index lacks %q", clip(want.Key()))
			w = want.Next()
		default:
			if !bytes.Equal(have.Value(), want.Value()) {
				report.problem("the index has another value under %q", clip(have.Key()))
			}
			report.Keys++
			h, w = have.Next(), want.Next()
		}
	}
	if err := errors.Join(have.Error(), want.Error()); err != nil {
		return readError(nil, err)
	}
	return nil
}

func isDerived(key []byte) bool { return len(key) > 0 && strings.IndexByte(derived, key[0]) >= 0 }

// isKept reports whether a key is one that the replay has read, or a word.
func isKept(key []byte) bool {
	if len(key) == 0 {
		return false
	}
	switch key[0] {
	case famEntry, famCheckpoint:
		return len(key) == 9
	case famMeta:
		word := string(key[1:])
		return word == metaFormat || word == metaIndex || word == metaCosigned
	}
	return false
}

func clip(key []byte) []byte { return key[:min(len(key), 120)] }
