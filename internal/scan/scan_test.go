package scan

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stele-ml/stele/fingerprint"
	"github.com/stele-ml/stele/internal/source"
)

const chunk = fingerprint.ChunkSize

func numbered(n, size int) []memoryObject {
	objects := make([]memoryObject, n)
	for i := range objects {
		objects[i] = memoryObject{fmt.Sprintf("f%07d", i), size}
	}
	return objects
}

// wantSummary is the summary of files by the core alone.
func wantSummary(t *testing.T, a fingerprint.Algorithm, files []fingerprint.File) fingerprint.Summary {
	t.Helper()
	tree := fingerprint.NewTree(a)
	for _, f := range files {
		if err := tree.Add(f); err != nil {
			t.Fatal(err)
		}
	}
	s, err := tree.Summary()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestRun(t *testing.T) {
	mixed := []memoryObject{
		{"a", 0}, {"b", 1}, {"c", chunk - 1}, {"d", chunk}, {"e", chunk + 1}, {"f", 100},
		{"g", 5*chunk + 17}, {"h", piece}, {"i", 2 * chunk}, {"j", 3}, {"k", chunk + piece + 1},
	}
	for _, c := range []struct {
		name    string
		objects []memoryObject
	}{
		{"nothing", nil},
		{"one", mixed[4:5]},
		{"mixed sizes", mixed},
		{"more than the window", numbered(2*window*batchSize+5, 10)},
	} {
		for _, a := range []fingerprint.Algorithm{fingerprint.SHA256, fingerprint.BLAKE3} {
			var want []fingerprint.File
			for _, o := range c.objects {
				want = append(want, o.file(a))
			}
			for _, workers := range []int{1, 2, 7} {
				for _, plain := range []bool{false, true} {
					t.Run(fmt.Sprintf("%s/%v/%d/%v", c.name, a, workers, plain), func(t *testing.T) {
						m := &memory{objects: c.objects}
						p := new(Progress)
						var got []fingerprint.File
						res, err := Run(context.Background(), m, Options{Algorithm: a, Workers: workers, PlainSHA256: plain, Progress: p},
							func(f fingerprint.File) error { got = append(got, f); return nil })
						if err != nil {
							t.Fatal(err)
						}
						if s := wantSummary(t, a, want); res.Summary != s || res.Fingerprint != s.Fingerprint(a) {
							t.Errorf("summary %+v, want %+v", res.Summary, s)
						}
						if p.FilesDone.Load() != res.Summary.Files || p.BytesDone.Load() != res.Summary.Bytes ||
							p.FilesTotal.Load() != res.Summary.Files || p.BytesTotal.Load() != res.Summary.Bytes {
							t.Errorf("progress %d/%d files, %d/%d bytes of %+v", p.FilesDone.Load(), p.FilesTotal.Load(), p.BytesDone.Load(), p.BytesTotal.Load(), res.Summary)
						}
						for i, f := range got {
							if plain {
								sum := sha256.Sum256(c.objects[i].contents(0, f.Size))
								if f.SHA256 == nil || *f.SHA256 != sum {
									t.Errorf("%s: plain SHA-256 %v", f.Path, f.SHA256)
								}
								f.SHA256 = nil
							}
							if !reflect.DeepEqual(f, want[i]) {
								t.Errorf("file %d is %+v, want %+v", i, f, want[i])
							}
						}
						if len(got) != len(want) {
							t.Errorf("%d files, want %d", len(got), len(want))
						}
						m.CheckClosed(t)
					})
				}
			}
		}
	}
}

// TestParallel: as many files of one folder, and parts of one file, are read at
// once as there are workers. Each call waits for the others.
func TestParallel(t *testing.T) {
	const workers = 5
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for name, m := range map[string]*memory{
		"files of one folder": {objects: numbered(batchSize, 10)},
		"parts of one file":   {objects: []memoryObject{{"large", 20 * chunk}}},
	} {
		t.Run(name, func(t *testing.T) {
			all := newMeeting(workers)
			if len(m.objects) == 1 {
				m.onRange = func(string, uint64) error { all.come(ctx); return nil }
			} else {
				m.onFetch = func(string) error { all.come(ctx); return nil }
			}
			if _, err := Run(ctx, m, Options{Algorithm: fingerprint.SHA256, Workers: workers}, nil); err != nil {
				t.Errorf("%v: no %d were read at once", err, workers)
			}
		})
	}
}

// TestWindow: while the first file is slow the listing does not run away.
func TestWindow(t *testing.T) {
	const most = (window + 2) * batchSize
	m := &memory{objects: numbered(20*window*batchSize, 1)}
	var listed, fetched, emitted atomic.Int64
	enough := make(chan struct{})
	m.listed = func(string) {
		if n := listed.Add(1) - emitted.Load(); n > most {
			t.Errorf("%d files between the listing and emit", n)
		}
	}
	m.onFetch = func(path string) error {
		if path == m.objects[0].path {
			<-enough
		} else if fetched.Add(1) == window*batchSize/8-1 {
			close(enough) // the least that the window holds: all but the first
		}
		return nil
	}
	_, err := Run(context.Background(), m, Options{Algorithm: fingerprint.BLAKE3, Workers: 3}, func(fingerprint.File) error {
		emitted.Add(1)
		return nil
	})
	if err != nil || emitted.Load() != int64(len(m.objects)) {
		t.Errorf("%d files, %v", emitted.Load(), err)
	}
}

// TestFirstErrorWins: whichever worker fails first, the error is that of the
// smallest path, and what was emitted is all before it.
func TestFirstErrorWins(t *testing.T) {
	denied := func(path string) error { return &source.Error{Path: path, Err: fs.ErrPermission} }
	for i := range 30 {
		m := &memory{objects: numbered(1000, 1), listErr: denied("z")}
		m.objects[300].size, m.objects[301].size, m.objects[500].size = 3*chunk, 3*chunk, 3*chunk
		m.onFetch = func(path string) error {
			if path >= "f0000400" {
				return denied(path)
			}
			return nil
		}
		m.onRange = func(path string, off uint64) error {
			if path == "f0000301" && off > 0 {
				return fmt.Errorf("%w at %d", denied(path), off)
			}
			return nil
		}
		n := 0
		_, err := Run(context.Background(), m, Options{Algorithm: fingerprint.BLAKE3, Workers: 8, PlainSHA256: i%2 == 0}, func(f fingerprint.File) error {
			if f.Path != m.objects[n].path {
				t.Fatalf("file %d is %s", n, f.Path)
			}
			n++
			return nil
		})
		if !errors.Is(err, fs.ErrPermission) || !strings.HasPrefix(err.Error(), "f0000301: ") || n > 301 {
			t.Fatalf("%v after %d files, want that of f0000301", err, n)
		}
		m.CheckClosed(t)
	}
}

func TestErrors(t *testing.T) {
	boom := errors.New("boom")
	for _, c := range []struct {
		name string
		m    *memory
		emit error
		want error
	}{
		{"the listing fails at its end", &memory{objects: numbered(3, 1), listErr: boom}, nil, boom},
		{"the listing fails at once", &memory{listErr: boom}, nil, boom},
		{"a large file changed", &memory{objects: []memoryObject{{"a", 1}, {"b", 3 * chunk}}, onCheck: func(p string) error {
			return &source.Error{Path: p, Class: source.ErrChanged}
		}}, nil, ErrChanged},
		{"emit fails", &memory{objects: append(numbered(500, 1), memoryObject{"z", 40 * chunk})}, boom, boom},
		{"paths out of order", &memory{objects: []memoryObject{{"b", 1}, {"a", 1}}}, nil, fingerprint.ErrOrder},
		{"a file too large to be one", &memory{objects: []memoryObject{{"b", 1 << 50}}}, nil, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Run(context.Background(), c.m, Options{Algorithm: fingerprint.SHA256, Workers: 3}, func(fingerprint.File) error { return c.emit })
			if err == nil || c.want != nil && !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
			c.m.CheckClosed(t)
		})
	}
	if _, err := Run(context.Background(), &memory{}, Options{}, nil); err == nil {
		t.Error("a scan without a hash succeeds")
	}
}

func TestCancel(t *testing.T) {
	why := errors.New("the user went away")
	for name, step := range map[string]func(m *memory, cancel func()){
		"before it begins": func(_ *memory, cancel func()) { cancel() },
		"while listing": func(m *memory, cancel func()) {
			m.listed = func(p string) {
				if p == "f0000700" {
					cancel()
				}
			}
		},
		"while a small file is read": func(m *memory, cancel func()) {
			m.onFetch = func(p string) error {
				if p == "f0000700" {
					cancel()
				}
				return nil
			}
		},
		"while a large file is read": func(m *memory, cancel func()) {
			m.objects[700].size = 50 * chunk
			m.onRange = func(_ string, off uint64) error {
				if off == 3*chunk {
					cancel()
				}
				return nil
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			for range 10 {
				m := &memory{objects: numbered(3*window*batchSize, 1)}
				ctx, cancel := context.WithCancelCause(context.Background())
				step(m, func() { cancel(why) })
				_, err := Run(ctx, m, Options{Algorithm: fingerprint.SHA256, Workers: 4, Progress: new(Progress)}, nil)
				if err != why {
					t.Fatalf("got %v, want the cause", err)
				}
				m.CheckClosed(t)
			}
		})
	}
}

// folder makes a folder of files.
func folder(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for path, data := range files {
		put(t, dir, path, data)
	}
	return dir
}

func put(t *testing.T, dir, path, data string) {
	t.Helper()
	full := filepath.Join(dir, filepath.FromSlash(path))
	if err := os.MkdirAll(filepath.Dir(full), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(full, []byte(data), 0o666); err != nil {
		t.Fatal(err)
	}
}

func paths(t *testing.T, dir string, opts Options) ([]string, Result) {
	t.Helper()
	opts.Algorithm = fingerprint.SHA256
	var got []string
	res, err := Local(context.Background(), dir, opts, func(f fingerprint.File) error { got = append(got, f.Path); return nil })
	if err != nil {
		t.Fatal(err)
	}
	return got, res
}

func TestLocal(t *testing.T) {
	big := strings.Repeat("0123456789abcdef", 3*chunk/16) + "tail"
	dir := folder(t, map[string]string{"d/x": "1", "d-": "2", "big": big, "empty": ""})
	got, res := paths(t, dir, Options{})
	if want := []string{"big", "d-", "d/x", "empty"}; !slices.Equal(got, want) || res.Single || !slices.Equal(res.Rules, DefaultRules()) {
		t.Errorf("%q, %+v; want %q", got, res, want)
	}
	// The core's word on the same bytes.
	chunks := []fingerprint.Digest{}
	for off := 0; off < len(big); off += chunk {
		chunks = append(chunks, fingerprint.SHA256.Sum([]byte(big[off:min(off+chunk, len(big))])))
	}
	want := wantSummary(t, fingerprint.SHA256, []fingerprint.File{
		{Path: "big", Size: uint64(len(big)), Digest: fingerprint.SHA256.FileDigest(uint64(len(big)), chunks)},
		{Path: "d-", Size: 1, Digest: sha256.Sum256([]byte("2"))},
		{Path: "d/x", Size: 1, Digest: sha256.Sum256([]byte("1"))},
		{Path: "empty", Digest: sha256.Sum256(nil)},
	})
	if res.Summary != want {
		t.Errorf("summary %+v, want %+v", res.Summary, want)
	}

	got, res = paths(t, filepath.Join(dir, "d", "x"), Options{Ignore: []string{"*"}})
	if !slices.Equal(got, []string{"x"}) || !res.Single || len(res.Rules) != 0 || res.HiddenCount != 0 {
		t.Errorf("single file: %q, %+v", got, res)
	}
	if _, err := Local(context.Background(), filepath.Join(dir, "no"), Options{Algorithm: fingerprint.SHA256}, nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing path: %v", err)
	}
	got, res = paths(t, t.TempDir(), Options{})
	if len(got) != 0 || res.Summary.Files != 0 || res.Fingerprint.IsZero() {
		t.Errorf("empty folder: %q, %+v", got, res)
	}
}

// meddled is a local source that lets a test change the disk between two steps.
type meddled struct {
	source.Source
	afterFetch func(path string)
	afterRange func(off uint64)
}

func (m *meddled) Fetch(ctx context.Context, o source.Object, buf []byte) (source.Fetched, error) {
	got, err := m.Source.Fetch(ctx, o, buf)
	if m.afterFetch != nil {
		m.afterFetch(o.Path)
	}
	if got.Reader != nil {
		got.Reader = &meddledReader{got.Reader, m}
	}
	return got, err
}

type meddledReader struct {
	source.Reader
	m *meddled
}

func (r *meddledReader) Range(ctx context.Context, off, n uint64, buf []byte, use func([]byte)) error {
	err := r.Reader.Range(ctx, off, n, buf, use)
	if r.m.afterRange != nil {
		r.m.afterRange(off)
	}
	return err
}

func meddle(t *testing.T, dir string) *meddled {
	src, err := source.OpenLocal(dir, source.LocalOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { src.Close() })
	return &meddled{Source: src}
}

// TestChangedWhileScanned changes a large file after one of its parts was read.
func TestChangedWhileScanned(t *testing.T) {
	big := strings.Repeat("x", 4*chunk)
	for name, change := range map[string]func(path string) error{
		"appended to": func(path string) error {
			f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
			if err == nil {
				_, err = f.WriteString("y")
				err = errors.Join(err, f.Close())
			}
			return err
		},
		"cut short": func(path string) error { return os.Truncate(path, chunk) },
		"replaced": func(path string) error {
			if runtime.GOOS == "windows" {
				return os.Truncate(path, 0) // what is open cannot be replaced there
			}
			if err := os.WriteFile(path+".new", []byte(big), 0o666); err != nil {
				return err
			}
			return os.Rename(path+".new", path)
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := folder(t, map[string]string{"a": "", "big": big})
			src := meddle(t, dir)
			var once sync.Once
			src.afterRange = func(uint64) {
				once.Do(func() {
					if err := change(filepath.Join(dir, "big")); err != nil {
						t.Errorf("cannot change the file: %v", err)
					}
				})
			}
			_, err := Run(context.Background(), src, Options{Algorithm: fingerprint.BLAKE3, Workers: 2}, nil)
			var e *source.Error
			if !errors.Is(err, ErrChanged) || !errors.As(err, &e) || e.Path != "big" || e.Hint() == "" {
				t.Errorf("got %v, want ErrChanged at big, with a hint", err)
			}
		})
	}
}

// TestIgnoreFileChangedWhileScanned: the rules come from the very bytes that
// are fingerprinted.
func TestIgnoreFileChangedWhileScanned(t *testing.T) {
	dir := folder(t, map[string]string{IgnoreFile: "*.tmp\n", "a.tmp": "1", "x": "2"})
	src := meddle(t, dir)
	var once sync.Once
	src.afterFetch = func(path string) {
		once.Do(func() { put(t, dir, IgnoreFile, "*.tmp\n*.log\n") })
	}
	if _, err := Run(context.Background(), src, Options{Algorithm: fingerprint.SHA256}, nil); !errors.Is(err, ErrChanged) {
		t.Errorf("got %v, want ErrChanged", err)
	}
}

// TestVanishedWhileScanned deletes a file that the listing has seen.
func TestVanishedWhileScanned(t *testing.T) {
	dir := folder(t, map[string]string{"a": "1", "b": "2"})
	src := meddle(t, dir)
	src.afterFetch = func(path string) {
		if path == "a" {
			if err := os.Remove(filepath.Join(dir, "b")); err != nil {
				t.Error(err)
			}
		}
	}
	if _, err := Run(context.Background(), src, Options{Algorithm: fingerprint.SHA256, Workers: 1}, nil); !errors.Is(err, ErrChanged) || !strings.HasPrefix(err.Error(), "b: ") {
		t.Errorf("got %v, want ErrChanged at b", err)
	}
}

// TestProgressCounts: what there is in all is counted beside the scan.
func TestProgressCounts(t *testing.T) {
	dir := folder(t, map[string]string{"a": "123", "d/b": "4567", ".git/x": "8"})
	src := meddle(t, dir)
	p := new(Progress)
	rules := compile(t, DefaultRules()...)
	measure(context.Background(), src.Source.(source.Measurer), rules.Hides, p)
	if p.FilesTotal.Load() != 2 || p.BytesTotal.Load() != 7 {
		t.Errorf("counted %d files, %d bytes", p.FilesTotal.Load(), p.BytesTotal.Load())
	}
}
