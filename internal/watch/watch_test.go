package watch_test

import (
	"context"
	"errors"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/fingerprint"
	"github.com/stele-ml/stele/internal/hint"
	"github.com/stele-ml/stele/internal/manifest"
	"github.com/stele-ml/stele/internal/scan"
	"github.com/stele-ml/stele/internal/source"
	"github.com/stele-ml/stele/internal/watch"
)

// watched is a folder with two files that is watched from an hour later on, so that no
// clock's tick is in doubt.
type watched struct {
	t    *testing.T
	dir  string
	kept string // of the watch's two files
	*watch.Watch
}

func begin(t *testing.T) *watched {
	t.Helper()
	w := &watched{t: t, dir: t.TempDir(), kept: filepath.Join(t.TempDir(), "input-0")}
	w.write("a", "one")
	w.write("sub/b", "two")
	var err error
	if w.Watch, err = watch.New(w.kept, fingerprint.SHA256, 1, time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	src := w.open()
	opts := scan.Options{Algorithm: fingerprint.SHA256}
	w.Begin(&opts)
	if _, err := scan.Run(context.Background(), src, opts, func(fingerprint.File) error { return nil }); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(w.Seal(), w.Follow(src, w.dir)); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *watched) write(path, text string) {
	w.t.Helper()
	path = filepath.Join(w.dir, filepath.FromSlash(path))
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644)); err != nil {
		w.t.Fatal(err)
	}
}

func (w *watched) open() source.Source {
	w.t.Helper()
	src, err := source.OpenLocal(w.dir, source.LocalOptions{Clock: func() time.Time { return time.Now().Add(time.Hour) }})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { src.Close() })
	return src
}

// look is what became of the folder, and whether its files are the same.
func (w *watched) look() (*watch.Seen, bool, error) {
	w.t.Helper()
	src, same := w.open(), false
	seen, err := w.Look(context.Background(), src, w.dir, func(before iter.Seq2[fingerprint.File, error], opts scan.Options) error {
		now := func(yield func(fingerprint.File, error) bool) {
			stopped := errors.New("stopped")
			if _, err := scan.Run(context.Background(), src, opts, func(f fingerprint.File) error {
				if !yield(f, nil) {
					return stopped
				}
				return nil
			}); err != nil && !errors.Is(err, stopped) {
				yield(fingerprint.File{}, err)
			}
		}
		counts, err := fingerprint.Diff(before, now, func(fingerprint.Change) error { return nil })
		same = counts.Equal()
		return err
	})
	return seen, same, err
}

func TestNothingHappened(t *testing.T) {
	w := begin(t)
	seen, same, err := w.look()
	if err != nil || !same || seen.Count != 0 || seen.Trail != "" {
		t.Errorf("%+v, the same %v, %v", seen, same, err)
	}
	var none *watch.Watch // a run that is told
	none.Begin(&scan.Options{})
	none.Close()
}

// Other bytes meanwhile, and then the old ones again: the files are the same, and
// that they were touched is told.
func TestAttackerPutsTheOldBytesBack(t *testing.T) {
	w := begin(t)
	w.write("a", "six")
	w.write("a", "one")
	later := time.Now().Add(time.Minute)
	if err := os.Chtimes(filepath.Join(w.dir, "a"), later, later); err != nil {
		t.Fatal(err)
	}
	seen, same, err := w.look()
	if err != nil || !same || seen.Count != 1 || len(seen.Touched) != 1 || seen.Touched[0] != "a" {
		t.Errorf("%+v, the same %v, %v", seen, same, err)
	}
}

// A folder is put in the place of another, with the same files in it.
func TestAttackerSwapsAFolder(t *testing.T) {
	w := begin(t)
	at := filepath.Join(w.dir, "sub")
	if err := errors.Join(os.Rename(at, at+".old"), os.Mkdir(at, 0o755), os.Rename(filepath.Join(at+".old", "b"), filepath.Join(at, "b")), os.Remove(at+".old")); err != nil {
		t.Fatal(err)
	}
	seen, _, err := w.look()
	if err != nil || seen.Trail == "" {
		t.Errorf("%+v, %v", seen, err)
	}
}

func TestOtherBytes(t *testing.T) {
	w := begin(t)
	w.write("sub/b", "other")
	if seen, same, err := w.look(); err != nil || same {
		t.Errorf("%+v, %v", seen, err)
	}
	if err := os.RemoveAll(w.dir); err != nil {
		t.Fatal(err)
	}
	if _, err := source.OpenLocal(w.dir, source.LocalOptions{}); !watch.Gone(err) {
		t.Errorf("it is gone: %v", err)
	}
	if watch.Gone(errors.New("anything")) || !watch.Gone(fs.ErrNotExist) {
		t.Error("not every error says that it is gone")
	}
}

// The command writes to the notes themselves.
func TestAttackerEditsWhatFilesAreKnownBy(t *testing.T) {
	w := begin(t)
	edit := func(path string) {
		t.Helper()
		text, err := os.ReadFile(path)
		if err == nil {
			text[len(text)/2] ^= 1
			err = os.WriteFile(path, text, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	edit(w.kept + ".marks")
	if _, _, err := w.look(); err == nil {
		t.Error("other marks pass")
	}
	edit(w.kept + ".marks") // back
	if _, same, err := w.look(); err != nil || !same {
		t.Fatal(err)
	}
	edit(w.kept + ".manifest")
	var damaged *manifest.Error
	if _, _, err := w.look(); !errors.As(err, &damaged) && !errors.Is(err, evidence.ErrTampered) {
		t.Errorf("another manifest: %v", err)
	}
}

// A file that had changed a moment before it was read is read again.
func TestSettled(t *testing.T) {
	const began = 100_000 // ms
	at := func(ms int64) source.Mark { return source.Mark{MTime: ms * 1e6, CTime: ms * 1e6, Inode: 7} }
	list := []hint.Hint{{Mark: at(began - 60_000)}, {Mark: at(began - 1_000)}, {Mark: at(began + 1)}, {}}
	var kept []string
	for h, err := range watch.Settled(func(yield func(hint.Hint, error) bool) {
		for _, h := range list {
			if !yield(h, nil) {
				return
			}
		}
	}, began) {
		if err != nil {
			t.Fatal(err)
		}
		kept = append(kept, map[bool]string{true: "-", false: "+"}[h.Mark == source.Mark{}])
	}
	if text := strings.Join(kept, ""); text != "+---" {
		t.Errorf("kept %s", text)
	}
}
