// Package sourcetest holds every source to the words of the interface.
package sourcetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stele-ml/stele/fingerprint"
	"github.com/stele-ml/stele/internal/source"
)

// Store is a place that a source under test reads.
type Store interface {
	// Put writes or replaces one object; Delete removes it.
	Put(t *testing.T, path string, data []byte)
	Delete(t *testing.T, path string)
	// Holds reports whether the place can hold an object of that name beside
	// the others: not every disk takes a quote, or tells case from Case.
	Holds(path string) bool
	// Open opens the whole store, or one object of it as a single root.
	Open(t *testing.T, single string) source.Source
}

// Run holds a source to its interface. Each call of make gives an empty store.
func Run(t *testing.T, make func(t *testing.T) Store) {
	for _, c := range []struct {
		name string
		test func(t *testing.T, s Store)
	}{
		{"Order", order},
		{"Empty", empty},
		{"Names", goodNames},
		{"Skip", skip},
		{"EmitError", emitError},
		{"Cancel", cancel},
		{"Fetch", fetch},
		{"Range", ranges},
		{"Single", single},
		{"Lookup", lookup},
		{"Measure", measure},
		{"Marks", marks},
		{"ReplacedBeforeUnchanged", replaced},
		{"ShortenedBeforeRange", shortened},
		{"VanishedBeforeFetch", vanished},
		{"ManyFolders", manyFolders},
		{"Concurrent", concurrent},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, make(t)) })
	}
}

// List lists a source and fails the test on an error.
func List(t *testing.T, s source.Source, skip source.Skip) []source.Object {
	t.Helper()
	var all []source.Object
	if err := s.List(context.Background(), skip, func(o source.Object) error {
		all = append(all, o)
		return nil
	}); err != nil {
		t.Fatalf("list: %v", err)
	}
	return all
}

// Paths lists a source's paths.
func Paths(t *testing.T, s source.Source, skip source.Skip) []string {
	t.Helper()
	var paths []string
	for _, o := range List(t, s, skip) {
		paths = append(paths, o.Path)
	}
	return paths
}

func wantPaths(t *testing.T, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("listed %q\nwant   %q", got, want)
	}
}

// pattern is data in which every range is recognisable.
func pattern(n int) []byte {
	b := make([]byte, 0, n+8)
	for i := 0; len(b) < n; i++ {
		b = fmt.Appendf(b, "%07x\n", i)
	}
	return b[:n]
}

func order(t *testing.T, s Store) {
	// '-' and '.' sort before '/', '0' after it: a folder's files come where
	// its name with the slash belongs.
	want := []string{"A", "a-b", "a.txt", "a/b", "a/b-c", "a/b.d/e", "a/c/d/e", "a/c/d0", "a0", "b/z", "é", "日本/x", "𝄞"}
	slices.Sort(want)
	shuffled := slices.Clone(want)
	slices.Reverse(shuffled)
	want = slices.DeleteFunc(want, func(p string) bool { return p == "a/b" })
	for _, p := range shuffled {
		if p != "a/b" {
			s.Put(t, p, []byte(p))
		}
	}
	src := s.Open(t, "")
	defer src.Close()
	wantPaths(t, Paths(t, src, nil), want)
	wantPaths(t, Paths(t, src, nil), want) // a second listing is the same
	if src.Single() {
		t.Error("a folder is Single")
	}
}

func empty(t *testing.T, s Store) {
	s.Put(t, "gone/x", nil)
	s.Delete(t, "gone/x") // on a disk the folder stays, and does not count
	s.Put(t, "zero", nil)
	src := s.Open(t, "")
	defer src.Close()
	all := List(t, src, nil)
	if len(all) != 1 || all[0].Path != "zero" {
		t.Fatalf("listed %v, want zero alone", all)
	}
	if got, err := src.Fetch(context.Background(), all[0], nil); got.N != 0 || got.Reader != nil || err != nil {
		t.Errorf("Fetch of an empty file = %+v, %v", got, err)
	}
}

func goodNames(t *testing.T, s Store) {
	want := []string{" ", "#x", "...", "..x", "Case", "a b", "case", "e\u0301", "new\nline", `q"uote`, "{a,b}", "~", "\u00e9", strings.Repeat("n", 255)}
	// A path of exactly fingerprint.MaxPath bytes.
	long := strings.Repeat(strings.Repeat("d", 250)+"/", fingerprint.MaxPath/251)
	long += strings.Repeat("f", fingerprint.MaxPath-len(long))
	want = append(want, long)
	slices.Sort(want)
	want = slices.DeleteFunc(want, func(p string) bool { return !s.Holds(p) })
	for _, p := range want {
		s.Put(t, p, []byte("at "+p))
	}
	src := s.Open(t, "")
	defer src.Close()
	all := List(t, src, nil)
	if len(all) != len(want) {
		t.Fatalf("listed %d objects, want %d", len(all), len(want))
	}
	buf := make([]byte, 2*fingerprint.MaxPath)
	for i, o := range all {
		if o.Path != want[i] || fingerprint.CheckPath(o.Path) != nil {
			t.Errorf("path %d is %q, want %q", i, o.Path, want[i])
		}
		if got, err := src.Fetch(context.Background(), o, buf); err != nil || string(buf[:got.N]) != "at "+want[i] {
			t.Errorf("Fetch(%s) = %q, %v", source.Show(o.Path), buf[:got.N], err)
		}
	}
}

func skip(t *testing.T, s Store) {
	for _, p := range []string{"a", "d/x", "d/y/z", "e/x", "e/y/z", "f"} {
		s.Put(t, p, nil)
	}
	src := s.Open(t, "")
	defer src.Close()
	var asked []string
	got := Paths(t, src, func(path string, folder bool) bool {
		if folder {
			path += "/"
		}
		asked = append(asked, path)
		return path == "d/" || path == "e/x" || path == "f/"
	})
	wantPaths(t, got, []string{"a", "e/y/z", "f"})
	wantPaths(t, asked, []string{"a", "d/", "e/", "e/x", "e/y/", "e/y/z", "f"})
}

func emitError(t *testing.T, s Store) {
	for _, p := range []string{"a", "b/c", "d"} {
		s.Put(t, p, nil)
	}
	src := s.Open(t, "")
	defer src.Close()
	stop := errors.New("stop")
	n := 0
	err := src.List(context.Background(), nil, func(o source.Object) error {
		if n++; o.Path == "b/c" {
			return stop
		}
		return nil
	})
	if err != stop || n != 2 {
		t.Errorf("List = %v after %d objects, want the error of emit after 2", err, n)
	}
}

func cancel(t *testing.T, s Store) {
	for i := range 40 {
		s.Put(t, fmt.Sprintf("%02d/x", i), nil)
	}
	src := s.Open(t, "")
	defer src.Close()
	ctx, stop := context.WithCancelCause(context.Background())
	why := errors.New("the user went away")
	n := 0
	err := src.List(ctx, nil, func(source.Object) error {
		if n++; n == 3 {
			stop(why)
		}
		return nil
	})
	if !errors.Is(err, why) && !errors.Is(err, context.Canceled) {
		t.Errorf("List = %v, want the cause of the cancelling", err)
	}
}

func fetch(t *testing.T, s Store) {
	data := pattern(70_001)
	s.Put(t, "d/x", data)
	src := s.Open(t, "")
	defer src.Close()
	o := List(t, src, nil)[0]
	if o.Size != source.UnknownSize && o.Size != int64(len(data)) {
		t.Errorf("listed with %d bytes, has %d", o.Size, len(data))
	}
	for _, extra := range []int{0, 1, 5000} {
		buf := make([]byte, len(data)+extra)
		got, err := src.Fetch(context.Background(), o, buf)
		if err != nil || got.Reader != nil || !bytes.Equal(buf[:got.N], data) {
			t.Errorf("Fetch with a buffer of %d more = %+v, %v", extra, got, err)
		}
	}
	got, err := src.Fetch(context.Background(), o, make([]byte, len(data)-1))
	if err != nil || got.Reader == nil {
		t.Fatalf("Fetch with a buffer of one less = %+v, %v; want a Reader", got, err)
	}
	r := got.Reader
	if r.Size() != uint64(len(data)) {
		t.Errorf("Size = %d, want %d", r.Size(), len(data))
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
}

func ranges(t *testing.T, s Store) {
	data := pattern(3<<20 + 17)
	s.Put(t, "x", data)
	src := s.Open(t, "")
	defer src.Close()
	got, err := src.Fetch(context.Background(), List(t, src, nil)[0], nil)
	if err != nil {
		t.Fatal(err)
	}
	r := got.Reader
	defer r.Close()
	for _, c := range [][2]int{{0, 1}, {0, 1 << 20}, {1 << 20, 1 << 20}, {3 << 20, 17}, {12345, 700_001}, {len(data) - 1, 1}, {0, len(data)}} {
		for _, piece := range []int{c[1], 1 + c[1]/2, 4096} {
			var got []byte
			err := r.Range(context.Background(), uint64(c[0]), uint64(c[1]), make([]byte, piece), func(p []byte) {
				if len(p) == 0 || len(p) > piece {
					t.Errorf("a piece of %d bytes in a buffer of %d", len(p), piece)
				}
				got = append(got, p...)
			})
			if err != nil || !bytes.Equal(got, data[c[0]:c[0]+c[1]]) {
				t.Errorf("Range(%d, %d) in pieces of %d gave %d bytes, %v", c[0], c[1], piece, len(got), err)
			}
		}
	}
	if err := r.Unchanged(context.Background()); err != nil {
		t.Errorf("Unchanged = %v", err)
	}
}

func single(t *testing.T, s Store) {
	s.Put(t, "d/the file.bin", []byte("contents"))
	s.Put(t, "d/other", nil)
	src := s.Open(t, "d/the file.bin")
	defer src.Close()
	if !src.Single() {
		t.Error("a file is not Single")
	}
	all := List(t, src, func(string, bool) bool { t.Error("a single root was offered to skip"); return true })
	if len(all) != 1 || all[0].Path != "the file.bin" {
		t.Fatalf("listed %v", all)
	}
	buf := make([]byte, 100)
	if got, err := src.Fetch(context.Background(), all[0], buf); err != nil || string(buf[:got.N]) != "contents" {
		t.Errorf("Fetch = %q, %v", buf[:got.N], err)
	}
	if _, err := src.Lookup(context.Background(), "the file.bin"); err != nil {
		t.Errorf("Lookup of the root = %v", err)
	}
	if _, err := src.Lookup(context.Background(), "other"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Lookup beside the root = %v", err)
	}
}

func lookup(t *testing.T, s Store) {
	s.Put(t, "d/x", []byte("contents"))
	src := s.Open(t, "")
	defer src.Close()
	o, err := src.Lookup(context.Background(), "d/x")
	if err != nil || o.Path != "d/x" {
		t.Fatalf("Lookup = %v, %v", o, err)
	}
	buf := make([]byte, 100)
	if got, err := src.Fetch(context.Background(), o, buf); err != nil || string(buf[:got.N]) != "contents" {
		t.Errorf("Fetch = %q, %v", buf[:got.N], err)
	}
	for _, p := range []string{"d", "d/y", "x"} {
		if _, err := src.Lookup(context.Background(), p); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("Lookup(%s) = %v, want fs.ErrNotExist", p, err)
		}
	}
}

func measure(t *testing.T, s Store) {
	s.Put(t, "a", pattern(10))
	s.Put(t, "d/b", pattern(1000))
	s.Put(t, "hidden/c", pattern(5))
	src := s.Open(t, "")
	defer src.Close()
	m, ok := src.(source.Measurer)
	if !ok {
		t.Skip("cannot measure")
	}
	files, total := 0, uint64(0)
	err := m.Measure(context.Background(), func(p string, _ bool) bool { return p == "hidden" },
		func(n uint64) { files++; total += n })
	if err != nil || files != 2 || total != 1010 {
		t.Errorf("Measure = %d files, %d bytes, %v; want 2, 1010", files, total, err)
	}
}

// marks holds a source to its word on marks: the one that comes with the bytes
// and the one without them agree, until the object is another. A source may
// have none to give.
func marks(t *testing.T, s Store) {
	s.Put(t, "d/small", pattern(100))
	s.Put(t, "d/large", pattern(2000))
	src := s.Open(t, "")
	defer src.Close()
	all := List(t, src, nil)
	old := make(map[string]source.Mark)
	for _, o := range all {
		got, err := src.Fetch(context.Background(), o, make([]byte, 1000))
		if err != nil {
			t.Fatalf("Fetch(%s): %v", o.Path, err)
		}
		if got.Reader != nil {
			got.Reader.Close()
		}
		now, err := src.Mark(context.Background(), o)
		if err != nil {
			t.Fatalf("Mark(%s): %v", o.Path, err)
		}
		if got.Mark != (source.Mark{}) && now != (source.Mark{}) && (got.Mark.Same(now) == source.Unsure || now.Same(got.Mark) == source.Unsure) {
			t.Errorf("%s is not known again: %+v, then %+v", o.Path, got.Mark, now)
		}
		if (source.Mark{}).Same(now) != source.Unsure {
			t.Errorf("%s is known by no mark", o.Path)
		}
		old[o.Path] = got.Mark
	}
	// The same size, other bytes.
	s.Put(t, "d/small", pattern(200)[100:])
	s.Put(t, "d/large", pattern(2008)[8:])
	again := s.Open(t, "")
	defer again.Close()
	for _, o := range List(t, again, nil) {
		now, err := again.Mark(context.Background(), o)
		if err != nil {
			t.Fatalf("Mark(%s): %v", o.Path, err)
		}
		if old[o.Path].Same(now) != source.Unsure {
			t.Errorf("%s is taken for what it was: %+v, now %+v", o.Path, old[o.Path], now)
		}
	}
	s.Delete(t, "d/small")
	for _, o := range all {
		if _, err := src.Mark(context.Background(), o); o.Path == "d/small" && !errors.Is(err, source.ErrChanged) && err != nil {
			t.Errorf("Mark of a deleted object = %v, want ErrChanged", err)
		}
	}
}

func replaced(t *testing.T, s Store) {
	s.Put(t, "x", pattern(100))
	src := s.Open(t, "")
	defer src.Close()
	got, err := src.Fetch(context.Background(), List(t, src, nil)[0], nil)
	if err != nil {
		t.Fatal(err)
	}
	r := got.Reader
	defer r.Close()
	s.Put(t, "x", pattern(101))
	// A store with versions goes on to read the old one, and says so; one
	// without says that it changed. Neither gives the new bytes.
	err = r.Range(context.Background(), 0, 100, make([]byte, 100), func(p []byte) {
		if !bytes.Equal(p, pattern(100)) {
			t.Errorf("Range gave other bytes than the pinned object's")
		}
	})
	if err == nil {
		err = r.Unchanged(context.Background())
	}
	if !errors.Is(err, source.ErrChanged) {
		t.Errorf("reading a replaced object = %v, want ErrChanged", err)
	}
}

func shortened(t *testing.T, s Store) {
	s.Put(t, "x", pattern(4<<20))
	src := s.Open(t, "")
	defer src.Close()
	got, err := src.Fetch(context.Background(), List(t, src, nil)[0], nil)
	if err != nil {
		t.Fatal(err)
	}
	r := got.Reader
	defer r.Close()
	s.Put(t, "x", pattern(100))
	err = r.Range(context.Background(), 3<<20, 1<<20, make([]byte, 1<<20), func([]byte) {
		t.Error("Range passed bytes on that are not there")
	})
	if !errors.Is(err, source.ErrChanged) {
		t.Errorf("Range behind the new end = %v, want ErrChanged", err)
	}
}

func vanished(t *testing.T, s Store) {
	s.Put(t, "d/x", pattern(100))
	src := s.Open(t, "")
	defer src.Close()
	o := List(t, src, nil)[0]
	s.Delete(t, "d/x")
	if _, err := src.Fetch(context.Background(), o, make([]byte, 1000)); !errors.Is(err, source.ErrChanged) {
		t.Errorf("Fetch of a deleted object = %v, want ErrChanged", err)
	}
}

// manyFolders lists more folders than any source may hold open before the first
// of their files is read.
func manyFolders(t *testing.T, s Store) {
	const n = 300
	for i := range n {
		s.Put(t, fmt.Sprintf("%03d/a/b", i), fmt.Appendf(nil, "file %d", i))
	}
	src := s.Open(t, "")
	defer src.Close()
	all := List(t, src, nil)
	if len(all) != n {
		t.Fatalf("listed %d objects, want %d", len(all), n)
	}
	buf := make([]byte, 100)
	for i, o := range all {
		got, err := src.Fetch(context.Background(), o, buf)
		if want := fmt.Sprintf("file %d", i); err != nil || string(buf[:got.N]) != want {
			t.Fatalf("Fetch(%s) = %q, %v", o.Path, buf[:got.N], err)
		}
	}
}

func concurrent(t *testing.T, s Store) {
	const n = 300
	for i := range n {
		s.Put(t, fmt.Sprintf("%d/%d", i%7, i), pattern(i*100))
	}
	src := s.Open(t, "")
	defer src.Close()
	objects := make(chan source.Object)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			buf := make([]byte, n*100)
			for o := range objects {
				i := 0
				fmt.Sscanf(o.Path[2:], "%d", &i)
				if got, err := src.Fetch(context.Background(), o, buf); err != nil || !bytes.Equal(buf[:got.N], pattern(i*100)) {
					t.Errorf("Fetch(%s) gave %d bytes, %v", o.Path, got.N, err)
				}
			}
		})
	}
	if err := src.List(context.Background(), nil, func(o source.Object) error { objects <- o; return nil }); err != nil {
		t.Error(err)
	}
	close(objects)
	wg.Wait()
}
