package scan

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stele-ml/stele/fingerprint"
	"github.com/stele-ml/stele/internal/hint"
	"github.com/stele-ml/stele/internal/source"
)

// later is a clock by which what a test has just written is old enough to be
// known again.
func later() time.Time { return time.Now().Add(time.Hour) }

// counted counts what is read of a source, and stops for ever where it is told
// to.
type counted struct {
	source.Source
	bytes atomic.Int64
	files sync.Map // path → bytes that were read of it
	stop  func(path string, off uint64)
}

func (c *counted) count(path string, off uint64, n uint64) {
	if c.stop != nil {
		c.stop(path, off)
	}
	c.bytes.Add(int64(n))
	was, _ := c.files.LoadOrStore(path, new(atomic.Uint64))
	was.(*atomic.Uint64).Add(n)
}

// of is how many bytes were read of a file.
func (c *counted) of(path string) uint64 {
	n, ok := c.files.Load(path)
	if !ok {
		return 0
	}
	return n.(*atomic.Uint64).Load()
}

func (c *counted) Fetch(ctx context.Context, o source.Object, buf []byte) (source.Fetched, error) {
	got, err := c.Source.Fetch(ctx, o, buf)
	if got.Reader != nil {
		got.Reader = &countedReader{got.Reader, c, o.Path}
	} else if err == nil {
		c.count(o.Path, 0, uint64(got.N))
	}
	return got, err
}

type countedReader struct {
	source.Reader
	c    *counted
	path string
}

func (r *countedReader) Range(ctx context.Context, off, n uint64, buf []byte, use func([]byte)) error {
	r.c.count(r.path, off, n)
	return r.Reader.Range(ctx, off, n, buf, use)
}

func countLocal(t *testing.T, dir string) *counted {
	t.Helper()
	src, err := source.OpenLocal(dir, source.LocalOptions{Clock: later})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { src.Close() })
	return &counted{Source: src}
}

func openJournal(t *testing.T, dir string, plain bool) *hint.Journal {
	t.Helper()
	j, err := hint.OpenJournal(dir, hint.Key{Place: "here", Algorithm: fingerprint.SHA256, Plain: plain})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { j.Close() })
	return j
}

// The child of TestResumeAfterKill scans a folder, says when it has come to a
// place, and waits there until it is killed.
const (
	childData    = "STELE_TEST_SCAN_DATA"
	childJournal = "STELE_TEST_SCAN_JOURNAL"
	childReady   = "at the place"
)

func TestMain(m *testing.M) {
	if data := os.Getenv(childData); data != "" {
		if err := child(data, os.Getenv(childJournal)); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// killAt is the chunk of the large file that the child never gets.
const killAt = 2*hint.GroupChunks + 5

func child(data, journal string) error {
	local, err := source.OpenLocal(data, source.LocalOptions{Clock: later})
	if err != nil {
		return err
	}
	j, err := hint.OpenJournal(journal, hint.Key{Place: "here", Algorithm: fingerprint.SHA256})
	if err != nil {
		return err
	}
	src := &counted{Source: local, stop: func(path string, off uint64) {
		if path == "large" && off == killAt*chunk {
			fmt.Println(childReady)
			select {}
		}
	}}
	_, err = Run(context.Background(), src, Options{Algorithm: fingerprint.SHA256, Workers: 1, Journal: j, RememberAfter: 1}, nil)
	return errors.Join(errors.New("the scan came to an end"), err)
}

// sparse makes a file of some size, all zeros but for a few bytes.
func sparse(t *testing.T, path string, size int64, marks ...int64) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Truncate(size); err != nil {
		t.Fatal(err)
	}
	for _, at := range marks {
		if _, err := f.WriteAt([]byte("x"), at); err != nil {
			t.Fatal(err)
		}
	}
}

// TestResumeAfterKill kills a scan in the middle of a large file. The next one
// reads what is left, and what has changed since.
func TestResumeAfterKill(t *testing.T) {
	const parts = 3*hint.GroupChunks - 7
	for _, c := range []struct {
		name   string
		change func(t *testing.T, dir string)
		large  uint64 // bytes of it that are read again
		small  []string
	}{
		{"nothing changed", func(*testing.T, string) {}, (parts - 2*hint.GroupChunks) * chunk, nil},
		{"the large file changed", func(t *testing.T, dir string) {
			sparse(t, filepath.Join(dir, "large"), parts*chunk, 5)
		}, parts * chunk, nil},
		{"a small file changed", func(t *testing.T, dir string) { put(t, dir, "d/007", "other") }, (parts - 2*hint.GroupChunks) * chunk, []string{"d/007"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir, journal := t.TempDir(), t.TempDir()
			for i := range 4 * batchSize {
				put(t, dir, fmt.Sprintf("d/%03d", i), fmt.Sprint("file ", i))
			}
			sparse(t, filepath.Join(dir, "large"), parts*chunk, 1, 100*chunk)
			put(t, dir, "z", "after it")

			cmd := exec.Command(os.Args[0], "-test.run=^$")
			cmd.Env = append(os.Environ(), childData+"="+dir, childJournal+"="+journal)
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			line, err := bufio.NewReader(out).ReadString('\n')
			if killErr := cmd.Process.Kill(); killErr != nil {
				t.Error(killErr)
			}
			_, _ = io.Copy(io.Discard, out)
			_ = cmd.Wait()
			if err != nil || strings.TrimSpace(line) != childReady {
				t.Fatalf("the child said %q, %v", line, err)
			}

			c.change(t, dir)
			src := countLocal(t, dir)
			j := openJournal(t, journal, false)
			if !j.Resumed() {
				t.Fatal("nothing was remembered")
			}
			got, err := Run(context.Background(), src, Options{Algorithm: fingerprint.SHA256, Workers: 2, Journal: j}, nil)
			if err != nil {
				t.Fatal(err)
			}
			want, err := Run(context.Background(), countLocal(t, dir), Options{Algorithm: fingerprint.SHA256}, nil)
			if err != nil || got.Fingerprint != want.Fingerprint {
				t.Errorf("gone on with it has fingerprint %v; want %v, %v", got.Fingerprint, want.Fingerprint, err)
			}
			if n := src.of("large"); n != c.large {
				t.Errorf("read %d chunks of the large file again, want %d", n/chunk, c.large/chunk)
			}
			// Those that travelled with the large file were not remembered yet.
			for i := range 3 * batchSize {
				path := fmt.Sprintf("d/%03d", i)
				again := src.of(path) > 0
				if want := len(c.small) > 0 && path == c.small[0]; again != want {
					t.Errorf("%s was read again: %v", path, again)
				}
			}
			if got.Basis.Read != got.Summary.Bytes || got.Basis.Resumed != got.Summary.Bytes-uint64(src.bytes.Load()) || got.Basis.Entry != nil {
				t.Errorf("basis %+v of %d bytes, of which %d were read", got.Basis, got.Summary.Bytes, src.bytes.Load())
			}
			// Done, it leaves nothing to go on from.
			if err := j.Done(); err != nil {
				t.Error(err)
			}
			if openJournal(t, journal, false).Resumed() {
				t.Error("there is still something to go on from")
			}
		})
	}
}

// TestResumeParts: parts of ranges of any size, and the plain digest, are gone
// on with, wherever the interruption came.
func TestResumeParts(t *testing.T) {
	boom := errors.New("boom")
	objects := []memoryObject{{"a", 10}, {"large", (2*hint.GroupChunks+9)*chunk + 1}, {"z", 3 * chunk}}
	for per, plain := range map[uint64]bool{1: false, 8: false, 24: true, 100: false} {
		t.Run(fmt.Sprint(per, plain), func(t *testing.T) {
			m := versioned(objects)
			want := mustScan(t, m, Options{PlainSHA256: plain}, 1)
			dir := t.TempDir()
			// run scans until a range from some chunk on is asked for.
			run := func(until uint64) (scanned, error) {
				m.onRange = func(path string, off uint64) error {
					if path == "large" && off >= until*chunk {
						return boom
					}
					return nil
				}
				j := openJournal(t, dir, plain)
				defer j.Close()
				return scanOf(t, m, &remote{m, 2, per * chunk}, Options{PlainSHA256: plain, Workers: 2, Journal: j, RememberAfter: 1}, 1)
			}
			all := uint64(1 << 40)
			for _, until := range []uint64{0, 70, 100, all} {
				got, err := run(until)
				if until < all && !errors.Is(err, boom) {
					t.Fatalf("until chunk %d: %v", until, err)
				}
				if until < all {
					continue
				}
				if err != nil || got.Fingerprint != want.Fingerprint || !reflect.DeepEqual(got.files, want.files) {
					t.Errorf("gone on with: %v, %v; want %v", err, got.Fingerprint, want.Fingerprint)
				}
				// With one hash, what was not resumed was read, and nothing else.
				if !plain && got.Basis.Resumed+got.read != got.Summary.Bytes {
					t.Errorf("%d bytes resumed and %d read, of %d", got.Basis.Resumed, got.read, got.Summary.Bytes)
				}
				if per == 1 && !plain && got.Basis.Resumed < hint.GroupChunks*chunk {
					t.Errorf("only %d chunks resumed of the 100 that were read", got.Basis.Resumed/chunk)
				}
			}
			// And once more, from the notes alone.
			got, err := run(all)
			if err != nil || got.read != 0 || got.Basis.Resumed != got.Summary.Bytes || !reflect.DeepEqual(got.files, want.files) {
				t.Errorf("from its notes: %v, %d bytes read, %+v", err, got.read, got.Basis)
			}
			// Another version of the large file has nothing in them.
			m.marks["large"] = source.Mark{Version: "another"}
			if got, err = run(all); err != nil || got.Fingerprint != want.Fingerprint || got.Basis.Resumed != 10+3*chunk {
				t.Errorf("another version: %v, %+v", err, got.Basis)
			}
		})
	}
}

// TestRemembersOnlyLongScans: a short scan leaves nothing behind.
func TestRemembersOnlyLongScans(t *testing.T) {
	m := versioned(numbered(1000, 1000))
	for after, want := range map[uint64]bool{0: false, 1: true, 500_000: true, 2_000_000: false} {
		dir := t.TempDir()
		j := openJournal(t, dir, false)
		mustScan(t, m, Options{Journal: j, RememberAfter: after}, 1)
		j.Close()
		if got := openJournal(t, dir, false).Resumed(); got != want {
			t.Errorf("after %d bytes: remembered %v", after, got)
		}
	}
	j := openJournal(t, t.TempDir(), true)
	if _, err := scanOf(t, m, m, Options{Journal: j}, 1); err == nil {
		t.Error("a scan without plain digests took a journal with them")
	}
}
