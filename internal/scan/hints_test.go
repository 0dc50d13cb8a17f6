package scan

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"reflect"
	"sync/atomic"
	"testing"

	"github.com/stele-ml/stele/fingerprint"
	"github.com/stele-ml/stele/internal/hint"
	"github.com/stele-ml/stele/internal/source"
)

// versioned gives every object of a source a version of its own.
func versioned(objects []memoryObject) *memory {
	m := &memory{objects: objects, marks: make(map[string]source.Mark)}
	for _, o := range objects {
		m.marks[o.path] = source.Mark{Version: "v of " + o.path, ETag: "e of " + o.path}
	}
	return m
}

// scanned is what a scan passed on.
type scanned struct {
	Result
	files []fingerprint.File
	hints []hint.Hint // what it would write down
	read  uint64      // bytes
}

// scanOf scans a source and keeps all of it. entry is that of the stamp to come.
func scanOf(t *testing.T, m *memory, src source.Source, opts Options, entry uint64) (s scanned, err error) {
	t.Helper()
	if !opts.Algorithm.Valid() {
		opts.Algorithm = fingerprint.SHA256
	}
	opts.Kept = func(f fingerprint.File, mark source.Mark, read uint64) error {
		if read == 0 {
			read = entry
		}
		s.hints = append(s.hints, hint.Hint{File: f, Mark: mark, Entry: read})
		return nil
	}
	before := m.read.Load()
	s.Result, err = Run(context.Background(), src, opts, func(f fingerprint.File) error {
		if n := len(s.hints); n != len(s.files)+1 || s.hints[n-1].File.Path != f.Path {
			t.Errorf("%s: Kept was not called just before emit", f.Path)
		}
		s.files = append(s.files, f)
		return nil
	})
	s.read = m.read.Load() - before
	m.CheckClosed(t)
	return s, err
}

func mustScan(t *testing.T, m *memory, opts Options, entry uint64) scanned {
	t.Helper()
	s, err := scanOf(t, m, m, opts, entry)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func hintsOf(all []hint.Hint, end error) iter.Seq2[hint.Hint, error] {
	return func(yield func(hint.Hint, error) bool) {
		for _, h := range all {
			if !yield(h, nil) {
				return
			}
		}
		if end != nil {
			yield(hint.Hint{}, end)
		}
	}
}

var mixed = []memoryObject{
	{"a", 0}, {"b", 1}, {"c", chunk}, {"d", chunk + 1}, {"e", 5*chunk + 17}, {"f", 100}, {"g", 7}, {"h", 3 * chunk},
}

func total(objects []memoryObject) (n uint64) {
	for _, o := range objects {
		n += uint64(o.size)
	}
	return n
}

func ptr(n uint64) *uint64 { return &n }

// TestHints: what has not changed is not read again, and the result is the same.
func TestHints(t *testing.T) {
	for _, plain := range []bool{false, true} {
		for _, a := range []fingerprint.Algorithm{fingerprint.SHA256, fingerprint.BLAKE3} {
			t.Run(fmt.Sprint(a, plain), func(t *testing.T) {
				m := versioned(mixed)
				opts := Options{Algorithm: a, PlainSHA256: plain, Workers: 3}
				first := mustScan(t, m, opts, 7)
				if first.Basis != (Basis{Read: total(mixed)}) {
					t.Errorf("basis of a first scan: %+v", first.Basis)
				}
				opts.Hints, opts.Progress = hintsOf(first.hints, nil), new(Progress)
				again := mustScan(t, m, opts, 9)
				if again.read != 0 || again.Basis.Read != 0 || again.Basis.Version != total(mixed) || *again.Basis.Entry != 7 {
					t.Errorf("read %d bytes again, basis %+v", again.read, again.Basis)
				}
				if p := opts.Progress; p.FilesDone.Load() != 8 || p.BytesDone.Load() != total(mixed) || p.BytesTaken.Load() != total(mixed) {
					t.Errorf("progress: %d files, %d bytes, %d of them not read", p.FilesDone.Load(), p.BytesDone.Load(), p.BytesTaken.Load())
				}
				if again.Fingerprint != first.Fingerprint || !reflect.DeepEqual(again.files, first.files) || !reflect.DeepEqual(again.hints, first.hints) {
					t.Error("what was taken over is not what was read")
				}
				// Two are written again, one is weaker known, one comes, one goes.
				m.objects = append(append([]memoryObject{}, mixed[1:]...), memoryObject{"z", 11})
				m.marks["b"] = source.Mark{Version: "another"}
				m.marks["e"] = source.Mark{Version: "another", ETag: "e of e"}
				m.marks["h"] = source.Mark{ETag: "e of h"}
				opts.Hints, opts.Progress = hintsOf(again.hints, nil), nil
				third := mustScan(t, m, opts, 12)
				read := uint64(1 + 5*chunk + 17 + 11)
				if third.Basis.Read != read || third.Basis.ETag != 3*chunk || third.Basis.Version != total(m.objects)-read-3*chunk || *third.Basis.Entry != 7 {
					t.Errorf("basis %+v", third.Basis)
				}
				for _, h := range third.hints {
					want := uint64(7)
					if p := h.File.Path; p == "b" || p == "e" || p == "z" {
						want = 12
					}
					mark := m.mark(memoryObject{h.File.Path, int(h.File.Size)})
					if h.File.Path == "h" { // as it was when it was read
						mark.Version = "v of h"
					}
					if h.Entry != want || h.Mark != mark {
						t.Errorf("%s: last read at %d, want %d; mark %+v", h.File.Path, h.Entry, want, h.Mark)
					}
				}
				if want := mustScan(t, m, Options{Algorithm: a}, 1); third.Fingerprint != want.Fingerprint {
					t.Error("the fingerprint is not that of the bytes")
				}
			})
		}
	}
}

// TestAttackerLaundersAnETag: what was known again by an ETag, which may be an
// MD5 that another object has too, is not known by its version afterwards, for
// nobody has read that version.
func TestAttackerLaundersAnETag(t *testing.T) {
	m := versioned(mixed)
	for path := range m.marks {
		m.marks[path] = source.Mark{ETag: "e of " + path} // the bucket keeps no versions
	}
	first := mustScan(t, m, Options{}, 7)
	for path := range m.marks { // it begins to, with whatever is put there now
		m.marks[path] = source.Mark{Version: "v of " + path, ETag: "e of " + path}
	}
	second := mustScan(t, m, Options{Hints: hintsOf(first.hints, nil)}, 9)
	if second.Basis.ETag != total(mixed) {
		t.Fatalf("basis %+v", second.Basis)
	}
	third := mustScan(t, m, Options{Hints: hintsOf(second.hints, nil)}, 12)
	if third.Basis.Version != 0 || third.Basis.ETag != total(mixed) || *third.Basis.Entry != 7 {
		t.Errorf("what no version was read of is known by one: %+v", third.Basis)
	}
	sure := mustScan(t, m, Options{Hints: hintsOf(second.hints, nil), MinStrength: source.ByVersion}, 12)
	if sure.read != total(mixed) {
		t.Errorf("by versions alone, %d bytes were read of %d", sure.read, total(mixed))
	}
	// Nor by way of the notes of an interrupted scan.
	for path := range m.marks {
		m.marks[path] = source.Mark{ETag: "e of " + path}
	}
	dir := t.TempDir()
	j := openJournal(t, dir, false)
	mustScan(t, m, Options{Journal: j, RememberAfter: 1}, 7)
	j.Close()
	for path := range m.marks {
		m.marks[path] = source.Mark{Version: "v of " + path, ETag: "e of " + path}
	}
	resumed := mustScan(t, m, Options{Journal: openJournal(t, dir, false)}, 9)
	for _, h := range resumed.hints {
		if large := h.File.Size > chunk; (h.Mark.Version != "") != large {
			t.Errorf("%s: mark %+v", h.File.Path, h.Mark)
		}
	}
	var large uint64
	for _, h := range resumed.hints {
		if h.File.Size > chunk {
			large += h.File.Size
		}
	}
	if resumed.read != large {
		t.Errorf("%d bytes were read, not %d", resumed.read, large)
	}
}

// TestMinStrength: what is known less surely than asked for is read.
func TestMinStrength(t *testing.T) {
	objects := []memoryObject{{"etag", 10}, {"mtime", 100}, {"nothing", 1000}, {"version", 10000}}
	m := &memory{objects: objects, marks: map[string]source.Mark{
		"etag": {ETag: "e"}, "mtime": {MTime: 1, CTime: 2, Inode: 3}, "version": {Version: "v"},
	}}
	first := mustScan(t, m, Options{}, 5)
	for least, want := range map[source.Strength]Basis{
		source.Unsure:    {Read: 1000, ETag: 10, MTime: 100, Version: 10000, Entry: ptr(5)},
		source.ByMTime:   {Read: 1000, ETag: 10, MTime: 100, Version: 10000, Entry: ptr(5)},
		source.ByETag:    {Read: 1100, ETag: 10, Version: 10000, Entry: ptr(5)},
		source.ByVersion: {Read: 1110, Version: 10000, Entry: ptr(5)},
	} {
		if got := mustScan(t, m, Options{Hints: hintsOf(first.hints, nil), MinStrength: least}, 6); !reflect.DeepEqual(got.Basis, want) || got.read != want.Read {
			t.Errorf("at least %d: read %d, %+v; want %+v", least, got.read, got.Basis, want)
		}
	}
}

// TestBasisEntry: it is the oldest of those that read a byte that was taken over.
func TestBasisEntry(t *testing.T) {
	m := versioned([]memoryObject{{"a", 0}, {"b", 1}, {"c", 1}, {"d", 1}})
	first := mustScan(t, m, Options{}, 50)
	for i, entry := range []uint64{3, 40, 20, 5} {
		first.hints[i].Entry = entry // a has no bytes
	}
	m.marks["d"] = source.Mark{Version: "another"} // is read
	if got := mustScan(t, m, Options{Hints: hintsOf(first.hints, nil)}, 51); *got.Basis.Entry != 20 {
		t.Errorf("oldest entry %d, want 20", *got.Basis.Entry)
	}
}

// TestAttackHints: hints that do not fit the files are not used, and hints that
// end in an error fail the scan, whatever was taken over before.
func TestAttackHints(t *testing.T) {
	boom := errors.New("boom")
	m := versioned(mixed)
	first := mustScan(t, m, Options{}, 7)
	change := func(path string, f func(h *hint.Hint)) []hint.Hint {
		all := append([]hint.Hint{}, first.hints...)
		for i := range all {
			if all[i].File.Path == path {
				f(&all[i])
			}
		}
		return all
	}
	t.Run("not used", func(t *testing.T) {
		for name, f := range map[string]func(h *hint.Hint){
			"without a mark":            func(h *hint.Hint) { h.Mark = source.Mark{} },
			"with another mark's size":  func(h *hint.Hint) { h.Mark.Size++ },
			"with another file's size":  func(h *hint.Hint) { h.File.Size-- },
			"with another version":      func(h *hint.Hint) { h.Mark.Version = "x" },
			"with too few chunks":       func(h *hint.Hint) { h.File.Chunks = h.File.Chunks[1:] },
			"with no chunks":            func(h *hint.Hint) { h.File.Chunks = nil },
			"of both sizes out of type": func(h *hint.Hint) { h.File.Size, h.Mark.Size = math.MaxUint64, -1 },
		} {
			got := mustScan(t, m, Options{Hints: hintsOf(change("e", f), nil)}, 8)
			if got.Fingerprint != first.Fingerprint || got.Basis.Read != 5*chunk+17 {
				t.Errorf("%s: read %d bytes", name, got.Basis.Read)
			}
		}
	})
	t.Run("fail", func(t *testing.T) {
		swapped := append([]hint.Hint{}, first.hints...)
		swapped[2], swapped[3] = swapped[3], swapped[2]
		for _, c := range []struct {
			name  string
			hints iter.Seq2[hint.Hint, error]
			want  error
		}{
			{"an error at the end", hintsOf(first.hints, boom), boom},
			{"an error behind the last file", hintsOf(append(append([]hint.Hint{}, first.hints...), hint.Hint{File: fingerprint.File{Path: "zz"}, Entry: 1}), boom), boom},
			{"an error in the middle", hintsOf(first.hints[:3], boom), boom},
			{"an error at once", hintsOf(nil, boom), boom},
			{"out of order", hintsOf(swapped, nil), fingerprint.ErrOrder},
			{"out of order behind the last file", hintsOf(append(append([]hint.Hint{}, first.hints...), first.hints[0]), nil), fingerprint.ErrOrder},
			{"twice", hintsOf(append(append([]hint.Hint{}, first.hints...), first.hints[7]), nil), fingerprint.ErrOrder},
			{"without an entry", hintsOf(change("c", func(h *hint.Hint) { h.Entry = 0 }), nil), nil},
			{"chunks that are not the digest's", hintsOf(change("e", func(h *hint.Hint) { h.File.Digest = fingerprint.Digest{1} }), nil), fingerprint.ErrMismatch},
		} {
			if _, err := scanOf(t, m, m, Options{Hints: c.hints}, 8); err == nil || c.want != nil && !errors.Is(err, c.want) {
				t.Errorf("%s: %v, want %v", c.name, err, c.want)
			}
		}
	})
	t.Run("stopped", func(t *testing.T) {
		ended := false
		hints := func(yield func(hint.Hint, error) bool) {
			defer func() { ended = true }()
			for _, h := range first.hints {
				if !yield(h, nil) {
					return
				}
			}
		}
		m := versioned(mixed)
		m.listErr = boom
		if _, err := scanOf(t, m, m, Options{Hints: hints}, 8); err != boom || !ended {
			t.Errorf("%v, and the hints' files are closed: %v", err, ended)
		}
	})
}

// TestHintsHeld: chunk digests from hints count against what may wait in memory,
// and nothing waits for ever.
func TestHintsHeld(t *testing.T) {
	const each = maxHeld / 4
	var objects []memoryObject
	var hints []hint.Hint
	chunks := make([]fingerprint.Digest, each)
	size := each * chunk
	digest := fingerprint.BLAKE3.FileDigest(uint64(size), chunks)
	for i := range 6 {
		path := fmt.Sprintf("f%02d", i)
		objects = append(objects, memoryObject{path, size})
		hints = append(hints, hint.Hint{File: fingerprint.File{Path: path, Size: uint64(size), Digest: digest, Chunks: chunks}, Mark: source.Mark{Size: int64(size), Version: "v of " + path}, Entry: 1})
	}
	m := versioned(objects)
	var emitted atomic.Int64
	opts := Options{Algorithm: fingerprint.BLAKE3, Workers: 2}
	opts.Hints = func(yield func(hint.Hint, error) bool) {
		for i, h := range hints {
			// Those in the window, one that waits to go there, and one more.
			if ahead := int64(i) - emitted.Load(); ahead*each > maxHeld+2*each {
				t.Errorf("%d files' digests are held", ahead)
			}
			if !yield(h, nil) {
				return
			}
		}
	}
	res, err := Run(context.Background(), m, opts, func(fingerprint.File) error { emitted.Add(1); return nil })
	if err != nil || res.Basis.Version != uint64(len(hints)*size) {
		t.Errorf("%v, %+v", err, res.Basis)
	}
}
