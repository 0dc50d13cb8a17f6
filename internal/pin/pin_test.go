package pin

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stele-ml/stele/fingerprint"
	"github.com/stele-ml/stele/internal/scan"
	"github.com/stele-ml/stele/internal/source"
)

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// tree writes files below a new folder.
func tree(t *testing.T, files map[string][]byte) string {
	t.Helper()
	dir := t.TempDir()
	for name, data := range files {
		at := filepath.Join(dir, filepath.FromSlash(name))
		check(t, os.MkdirAll(filepath.Dir(at), 0o755))
		check(t, os.WriteFile(at, data, 0o755))
	}
	return dir
}

func bigFile() []byte {
	big := make([]byte, 3*fingerprint.ChunkSize+17)
	for i := range big {
		big[i] = byte(i * 31 >> 3)
	}
	return big
}

// scanned scans a source.
func scanned(t *testing.T, src source.Source) (fingerprint.Fingerprint, error) {
	t.Helper()
	defer src.Close()
	result, err := scan.Run(t.Context(), src, scan.Options{Algorithm: fingerprint.SHA256, UseExact: true, Workers: 4}, nil)
	return result.Fingerprint, err
}

func local(t *testing.T, path string) source.Source {
	t.Helper()
	src, err := source.OpenLocal(path, source.LocalOptions{})
	check(t, err)
	return src
}

// TestCopy: what was hashed is what was written, and nothing else.
func TestCopy(t *testing.T) {
	t.Parallel()
	from := tree(t, map[string][]byte{"a": {}, "b/c/small.json": []byte("{}"), "b/net.bin": bigFile(), "z": bytes.Repeat([]byte("z"), fingerprint.ChunkSize)})
	folder, err := Open(filepath.Join(t.TempDir(), "kept"))
	check(t, err)
	for range 2 { // the second takes the first one's place
		c, err := folder.Begin("lab/net@1")
		check(t, err)
		want, err := scanned(t, c.Source(local(t, from)))
		check(t, err)
		if files, n := c.Size(); files != 4 || n != uint64(2+len(bigFile())+fingerprint.ChunkSize) {
			t.Errorf("%d files, %d bytes", files, n)
		}
		at, err := c.Keep()
		check(t, err)
		if at != filepath.Join(folder.Path(), "lab", "net@1") {
			t.Errorf("it is at %s", at)
		}
		if got, err := scanned(t, local(t, at)); err != nil || got != want {
			t.Errorf("the copy is %v, %v; want %v", got, err, want)
		}
		if info, err := os.Stat(filepath.Join(at, "b", "net.bin")); err != nil || runtime.GOOS != "windows" && info.Mode() != fileMode {
			t.Errorf("%v, %v", info.Mode(), err)
		}
		c.Discard() // after Keep it does nothing
	}
	if list, err := os.ReadDir(folder.Path()); err != nil || len(list) != 1 {
		t.Errorf("%v, %v", list, err)
	}
	check(t, folder.Remove()) // of Open's, nothing is taken away
	if _, err := os.Stat(filepath.Join(folder.Path(), "lab", "net@1", "a")); err != nil {
		t.Error(err)
	}
}

// TestTemp: nothing is left.
func TestTemp(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	folder, err := Temp()
	check(t, err)
	c, err := folder.Begin("net@1")
	check(t, err)
	from := tree(t, map[string][]byte{"net.bin": bigFile()})
	_, err = scanned(t, c.Source(local(t, filepath.Join(from, "net.bin"))))
	check(t, err)
	at, err := c.Keep()
	check(t, err)
	if got, err := os.ReadFile(filepath.Join(at, "net.bin")); err != nil || !bytes.Equal(got, bigFile()) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	check(t, folder.Remove())
	if _, err := os.Stat(folder.Path()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%s: %v", folder.Path(), err)
	}
}

// swapping is a source whose bytes are other ones the next time they are read.
type swapping struct {
	source.Source
	reads atomic.Int64
}

func (s *swapping) Fetch(ctx context.Context, o source.Object, buf []byte) (source.Fetched, error) {
	got, err := s.Source.Fetch(ctx, o, buf)
	if got.Reader != nil {
		got.Reader = &swappingReader{got.Reader, s}
	}
	return got, err
}

type swappingReader struct {
	source.Reader
	s *swapping
}

func (r *swappingReader) Range(ctx context.Context, off, n uint64, buf []byte, use func([]byte)) error {
	k := r.s.reads.Add(1)
	return r.Reader.Range(ctx, off, n, buf, func(p []byte) {
		q := bytes.Clone(p)
		q[0] ^= byte(k)
		use(q)
	})
}

// TestAttackerChangesWhatIsRead: a place that shows other bytes each time. The
// copy has those that were hashed, or there is none.
func TestAttackerChangesWhatIsRead(t *testing.T) {
	t.Parallel()
	from := tree(t, map[string][]byte{"net.bin": bigFile()})
	folder, err := Open(filepath.Join(t.TempDir(), "kept"))
	check(t, err)
	c, err := folder.Begin("net@1")
	check(t, err)
	want, err := scanned(t, c.Source(&swapping{Source: local(t, from)}))
	check(t, err)
	at, err := c.Keep()
	check(t, err)
	if got, err := scanned(t, local(t, at)); err != nil || got != want {
		t.Errorf("the copy is %v, %v; hashed was %v", got, err, want)
	}
	if original, err := scanned(t, local(t, from)); err != nil || original == want {
		t.Fatalf("a test that changes nothing: %v, %v", original, err)
	}

	// What was passed on twice, or not all of it, is no copy.
	for _, times := range []int{2, 0} {
		c, err = folder.Begin("net@2")
		check(t, err)
		src := c.Source(local(t, from))
		o, err := src.Lookup(t.Context(), "net.bin")
		check(t, err)
		buf := make([]byte, fingerprint.ChunkSize)
		got, err := src.Fetch(t.Context(), o, buf)
		check(t, err)
		for range times {
			check(t, got.Reader.Range(t.Context(), 0, got.Reader.Size(), buf, func([]byte) {}))
		}
		check(t, got.Reader.Close())
		check(t, src.Close())
		if _, err := c.Keep(); err == nil || !strings.Contains(err.Error(), "were written of") {
			t.Errorf("it was kept: %v", err)
		}
	}
	if list, err := os.ReadDir(folder.Path()); err != nil || len(list) != 1 {
		t.Errorf("%v, %v", list, err)
	}
}

// TestUnfinished: a scan that failed leaves no copy, and the earlier one stays.
func TestUnfinished(t *testing.T) {
	t.Parallel()
	from := tree(t, map[string][]byte{"net.bin": bigFile()})
	folder, err := Open(filepath.Join(t.TempDir(), "kept"))
	check(t, err)
	c, err := folder.Begin("net@1")
	check(t, err)
	_, err = scanned(t, c.Source(local(t, from)))
	check(t, err)
	at, err := c.Keep()
	check(t, err)
	c, err = folder.Begin("net@1")
	check(t, err)
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("told to stop"))
	src := c.Source(local(t, from))
	if _, err := scan.Run(ctx, src, scan.Options{Algorithm: fingerprint.SHA256, UseExact: true}, nil); err == nil {
		t.Error("it was not stopped")
	}
	check(t, src.Close())
	c.Discard()
	if list, err := os.ReadDir(folder.Path()); err != nil || len(list) != 1 {
		t.Errorf("%v, %v", list, err)
	}
	if got, err := os.ReadFile(filepath.Join(at, "net.bin")); err != nil || !bytes.Equal(got, bigFile()) {
		t.Errorf("%v", err)
	}
	if runtime.GOOS == "windows" {
		t.Skip("whether somebody is at work cannot be known here")
	}
	// What a process that was killed has left is taken away by the next, but not
	// while somebody may be at work on it.
	left := filepath.Join(folder.Path(), newPrefix+"0123")
	check(t, os.Mkdir(left, 0o700))
	second, err := Open(folder.Path())
	check(t, err)
	if _, err := os.Stat(left); err != nil {
		t.Error(err)
	}
	check(t, second.Close())
	check(t, folder.Close())
	third, err := Open(folder.Path())
	check(t, err)
	defer third.Close()
	if _, err := os.Stat(left); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%s: %v", left, err)
	}
}

// TestAtTheSameTime: many make the same copy in one folder. Each of them has it,
// and nothing else is left.
func TestAtTheSameTime(t *testing.T) {
	t.Parallel()
	from := tree(t, map[string][]byte{"a/b": []byte("x"), "net.bin": bigFile()})
	kept := filepath.Join(t.TempDir(), "kept")
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			folder, err := Open(kept)
			if err != nil {
				t.Error(err)
				return
			}
			defer folder.Close()
			c, err := folder.Begin("lab/net@1")
			if err != nil {
				t.Error(err)
				return
			}
			src, err := source.OpenLocal(from, source.LocalOptions{})
			if err != nil {
				t.Error(err)
				return
			}
			copying := c.Source(src)
			defer copying.Close()
			if _, err := scan.Run(t.Context(), copying, scan.Options{Algorithm: fingerprint.SHA256, UseExact: true, Workers: 1}, nil); err != nil {
				t.Error(err)
			}
			if _, err := c.Keep(); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if got, err := os.ReadFile(filepath.Join(kept, "lab", "net@1", "net.bin")); err != nil || !bytes.Equal(got, bigFile()) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	for _, dir := range []string{kept, filepath.Join(kept, "lab")} {
		if list, err := os.ReadDir(dir); err != nil || len(list) != 1 {
			t.Errorf("%v, %v", list, err)
		}
	}
}

// TestNames: a copy lies below its folder, whatever it is called.
func TestNames(t *testing.T) {
	t.Parallel()
	folder, err := Open(filepath.Join(t.TempDir(), "kept"))
	check(t, err)
	defer folder.Close()
	for _, name := range []string{"", ".", "..", "/etc", "a/../b", "a//b", "a/"} {
		if _, err := folder.Begin(name); !errors.Is(err, fs.ErrInvalid) {
			t.Errorf("%q: %v", name, err)
		}
	}
}

// TestAttackerMadeTheFolder: it was there before, and is not this user's alone.
func TestAttackerMadeTheFolder(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("modes are not looked at here")
	}
	dir := t.TempDir()
	for _, mode := range []fs.FileMode{0o701, 0o710, 0o704, 0o777, 0o707} {
		at := filepath.Join(dir, mode.String())
		check(t, os.Mkdir(at, 0o700))
		check(t, os.Chmod(at, mode))
		if _, err := Open(at); !errors.Is(err, ErrNotPrivate) {
			t.Errorf("%v: %v", mode, err)
		}
	}
	check(t, os.WriteFile(filepath.Join(dir, "file"), nil, 0o600))
	check(t, os.Mkdir(filepath.Join(dir, "real"), 0o700))
	check(t, os.Symlink("real", filepath.Join(dir, "link")))
	for _, name := range []string{"file", "link"} {
		if _, err := Open(filepath.Join(dir, name)); !errors.Is(err, ErrNotPrivate) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// A link on the way to it is where it is: its own name is what counts.
	check(t, os.Symlink(dir, filepath.Join(dir, "real", "up")))
	f, err := Open(filepath.Join(dir, "real", "up", "new"))
	check(t, err)
	defer f.Close()
	resolved, err := filepath.EvalSymlinks(dir)
	check(t, err)
	if f.Path() != filepath.Join(resolved, "new") {
		t.Errorf("it is %s", f.Path())
	}

	// Folders and links in it that it did not make.
	from := tree(t, map[string][]byte{"net.bin": []byte("x")})
	for _, plant := range []func(at string) error{
		func(at string) error { return os.Symlink(dir, at) },
		func(at string) error { return os.Symlink("elsewhere", at) },
		func(at string) error { return os.WriteFile(at, nil, 0o600) },
		func(at string) error {
			return errors.Join(os.Mkdir(at, 0o700), os.Chmod(at, 0o777))
		},
	} {
		at := filepath.Join(f.Path(), "lab")
		check(t, plant(at))
		c, err := f.Begin("lab/net@1")
		check(t, err)
		_, err = scanned(t, c.Source(local(t, from)))
		check(t, err)
		if where, err := c.Keep(); !errors.Is(err, ErrNotPrivate) {
			t.Errorf("%s: %v", where, err)
		}
		check(t, os.RemoveAll(at))
	}
	// A link in the copy's own place is replaced, and what it leads to is not touched.
	check(t, os.Mkdir(filepath.Join(f.Path(), "lab"), 0o700))
	check(t, os.Symlink(from, filepath.Join(f.Path(), "lab", "net@1")))
	c, err := f.Begin("lab/net@1")
	check(t, err)
	_, err = scanned(t, c.Source(local(t, from)))
	check(t, err)
	_, err = c.Keep()
	check(t, err)
	if info, err := os.Lstat(filepath.Join(f.Path(), "lab", "net@1")); err != nil || !info.IsDir() {
		t.Errorf("%v, %v", info, err)
	}
	if _, err := os.Stat(filepath.Join(from, "net.bin")); err != nil {
		t.Error(err)
	}
}

func TestExposed(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("access control lists are not looked at")
	}
	dir, err := filepath.EvalSymlinks(t.TempDir())
	check(t, err)
	open := filepath.Join(dir, "open")
	check(t, os.MkdirAll(filepath.Join(open, "private", "kept"), 0o700))
	before := len(Exposed(filepath.Join(open, "private", "kept")))
	check(t, os.Chmod(open, 0o777))
	list := Exposed(filepath.Join(open, "private", "kept"))
	if len(list) != before+1 || list[0] != open {
		t.Errorf("%v", list)
	}
	check(t, os.Chmod(open, 0o777|fs.ModeSticky)) // as /tmp: nobody renames what is another's
	if list := Exposed(filepath.Join(open, "private", "kept")); len(list) != before {
		t.Errorf("%v", list)
	}
}

// TestNoRoom: a copy that cannot be written is none.
func TestNoRoom(t *testing.T) {
	t.Parallel()
	from := tree(t, map[string][]byte{"net.bin": bigFile()})
	folder, err := Open(filepath.Join(t.TempDir(), "kept"))
	check(t, err)
	c, err := folder.Begin("net@1")
	check(t, err)
	check(t, c.root.Close()) // whatever is written from here on fails
	if _, err := scanned(t, c.Source(local(t, from))); err == nil {
		t.Error("it was read")
	}
	if _, err := c.Keep(); err == nil {
		t.Error("it was kept")
	}
}

// TestSourceIsTheSame: a copy lists and looks up as what it is made of.
func TestSourceIsTheSame(t *testing.T) {
	t.Parallel()
	from := tree(t, map[string][]byte{"a/b": []byte("x"), "c": []byte("yy")})
	folder, err := Open(filepath.Join(t.TempDir(), "kept"))
	check(t, err)
	c, err := folder.Begin("net@1")
	check(t, err)
	defer c.Discard()
	src := c.Source(local(t, from))
	defer src.Close()
	var n uint64
	if m, ok := src.(source.Measurer); !ok || m.Measure(t.Context(), nil, func(bytes uint64) { n += bytes }) != nil || n != 3 {
		t.Errorf("measured %d", n)
	}
	if _, ok := src.(source.Remote); ok {
		t.Error("a folder is not remote")
	}
}
