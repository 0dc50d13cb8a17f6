package static_test

import (
	"context"
	"errors"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/internal/ledger"
	"github.com/stele-ml/stele/internal/ledger/ledgertest"
	"github.com/stele-ml/stele/internal/place"
	"github.com/stele-ml/stele/internal/server"
	"github.com/stele-ml/stele/internal/static"
)

func anything([]byte) error { return nil }

func folder(t *testing.T, dir string) *place.Folder {
	t.Helper()
	p, err := place.Parse(dir)
	if err != nil {
		t.Fatal(err)
	}
	f, err := p.OpenFolder(t.Context(), place.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func export(t *testing.T, v *ledger.View, dir string, all bool) *static.Exported {
	t.Helper()
	out, err := static.Export(t.Context(), v, folder(t, dir), static.Options{All: all, Contains: anything})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// names lists the files of a folder.
func names(t *testing.T, dir string) (list []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			rel, _ := filepath.Rel(dir, path)
			list = append(list, filepath.ToSlash(rel))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// serves holds a folder, behind a plain file server, to what the server of the
// same log answers: every file, byte for byte, and no tile missing.
func serves(t *testing.T, v *ledger.View, dir string) {
	t.Helper()
	files := httptest.NewServer(http.FileServer(http.Dir(dir)))
	defer files.Close()
	honest := httptest.NewServer(server.NewHandler(server.LogFunc(func() (server.View, error) { return v, nil }), server.Options{NotFound: ledger.ErrNotFound}))
	defer honest.Close()
	get := func(url string) (int, string) {
		resp, err := http.Get(url)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		var b strings.Builder
		buf := make([]byte, 32<<10)
		for {
			n, err := resp.Body.Read(buf)
			b.Write(buf[:n])
			if err != nil {
				return resp.StatusCode, b.String()
			}
		}
	}
	for _, name := range names(t, dir) {
		_, want := get(honest.URL + "/" + name)
		if status, got := get(files.URL + "/" + name); status != 200 || got != want {
			t.Errorf("%s: %d, %d bytes; the server answers with %d", name, status, len(got), len(want))
		}
	}
	complete(t, v, dir)
}

// complete: every proof can be made of the tiles there, and they lead to the root.
func complete(t *testing.T, v *ledger.View, dir string) {
	t.Helper()
	root, err := v.Root()
	if err != nil {
		t.Fatal(err)
	}
	reader := tlog.TileHashReader(tlog.Tree{N: int64(v.Size()), Hash: root}, tiles{t, dir})
	for i := range v.Size() {
		leaf, err := v.Leaf(i)
		if err != nil {
			t.Fatal(err)
		}
		proof, err := evidence.ProveInclusion(v.Size(), i, reader)
		if err != nil {
			t.Fatalf("entry %d: %v", i, err)
		}
		if err := evidence.CheckInclusion(evidence.Checkpoint{Origin: v.Origin(), Size: v.Size(), Root: root}, i, evidence.LeafHash(leaf), proof); err != nil {
			t.Fatal(err)
		}
	}
}

// tiles reads a folder as a client would.
type tiles struct {
	t   *testing.T
	dir string
}

func (t tiles) Height() int { return 8 }
func (t tiles) ReadTiles(want []tlog.Tile) ([][]byte, error) {
	var all [][]byte
	for _, w := range want {
		data, err := os.ReadFile(filepath.Join(t.dir, strings.Replace(w.Path(), "tile/8/", "tile/", 1)))
		if err != nil {
			return nil, err
		}
		all = append(all, data)
	}
	return all, nil
}
func (tiles) SaveTiles([]tlog.Tile, [][]byte) {}

func TestExport(t *testing.T) {
	l := ledgertest.New(t)
	dir := filepath.Join(t.TempDir(), "public")
	first := export(t, l.View(), dir, false)
	if want := []string{"checkpoint", "tile/0/000.p/1", "tile/entries/000.p/1"}; !slices.Equal(names(t, dir), want) {
		t.Errorf("of one entry: %v, want %v", names(t, dir), want)
	}
	if first.Files != 2 || first.Before != 0 || first.Size != 1 {
		t.Errorf("%+v", first)
	}
	l.Put(l.Stamps(l.Ada, "data", 600)...)
	if out := export(t, l.View(), dir, false); out.Before != 1 || out.Size != 601 || out.Files != 7 {
		// level 0: two full, one part; level 1: one part; entries: three
		t.Errorf("%+v", out)
	}
	serves(t, l.View(), dir)
	if out := export(t, l.View(), dir, false); out.Files != 0 || out.Had != 0 {
		t.Errorf("nothing is new, and: %+v", out)
	}
	if out := export(t, l.View(), dir, true); out.Files != 0 || out.Had != 7 {
		t.Errorf("everything is there, and: %+v", out)
	}
	// Somebody deleted one; only --all sees it.
	if err := os.Remove(filepath.Join(dir, "tile/0/001")); err != nil {
		t.Fatal(err)
	}
	if out := export(t, l.View(), dir, true); out.Files != 1 {
		t.Errorf("the one that was deleted: %+v", out)
	}
	l.Put(l.Stamps(l.Ada, "more", 1)...)
	if out := export(t, l.View(), dir, false); out.Files != 2 {
		t.Errorf("one entry more: %+v", out)
	}
	serves(t, l.View(), dir)
}

// killer is a folder whose process is killed after so many files.
type killer struct {
	static.Folder
	mu   sync.Mutex
	left int
}

var errKilled = errors.New("killed")

func (k *killer) Add(ctx context.Context, name string, data []byte, h place.Headers) (bool, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.left == 0 {
		return false, errKilled
	}
	k.left--
	return k.Folder.Add(ctx, name, data, h)
}

// An export that is killed after any file leaves what was published before whole,
// and the next finishes it.
func TestExportIsKilled(t *testing.T) {
	l := ledgertest.New(t)
	l.Put(l.Stamps(l.Ada, "data", 300)...)
	for left := range 6 {
		dir := filepath.Join(t.TempDir(), "public")
		v, err := l.View().AsOf(1)
		if err != nil {
			t.Fatal(err)
		}
		export(t, v, dir, false)
		_, err = static.Export(t.Context(), l.View(), &killer{Folder: folder(t, dir), left: left}, static.Options{Contains: anything, Parallel: 2})
		if killed := left < 5; killed != errors.Is(err, errKilled) {
			t.Fatalf("after %d files: %v", left, err)
		}
		if left < 5 {
			published, err := os.ReadFile(filepath.Join(dir, "checkpoint"))
			if err != nil {
				t.Fatal(err)
			}
			if cp, _, err := evidence.ReadCheckpoint(published); err != nil || cp.Size != 1 {
				t.Errorf("after %d files the checkpoint is of size %d, %v", left, cp.Size, err)
			}
		}
		export(t, l.View(), dir, false)
		serves(t, l.View(), dir)
	}
}

// conditional is a folder that replaces only what was read, as a bucket does.
type conditional struct {
	*place.Folder
	one *sync.Mutex
}

func (c *conditional) Replace(ctx context.Context, name string, data []byte, h place.Headers, was *place.Published) error {
	c.one.Lock()
	defer c.one.Unlock()
	now, err := c.Read(ctx, name, 1<<16)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if (err == nil) != (was != nil) || err == nil && string(now.Data) != string(was.Data) {
		return fs.ErrExist
	}
	return c.Folder.Replace(ctx, name, data, h, was)
}

// TestTwoExportsAtOnce: two machines publish to one place, of different sizes. Whatever
// they do to each other, the checkpoint that stands there is of files that are there, and
// never smaller than one that stood there.
func TestTwoExportsAtOnce(t *testing.T) {
	l := ledgertest.New(t)
	l.Put(l.Stamps(l.Ada, "data", 600)...)
	small, err := l.View().AsOf(1)
	if err != nil {
		t.Fatal(err)
	}
	for round := range 4 {
		dir := filepath.Join(t.TempDir(), "public")
		if round%2 == 0 { // else both find nothing there
			export(t, small, dir, false)
		}
		middle, err := l.View().AsOf(l.View().Size())
		if err != nil {
			t.Fatal(err)
		}
		l.Put(l.Stamps(l.Ada, "more"+strings.Repeat("x", round), 100)...)
		views := []*ledger.View{middle, l.View()}
		var one sync.Mutex
		to := []*conditional{{folder(t, dir), &one}, {folder(t, dir), &one}}
		errs := make([]error, len(views))
		var all sync.WaitGroup
		for i, v := range views {
			all.Go(func() {
				_, errs[i] = static.Export(t.Context(), v, to[i], static.Options{Parallel: 3, Contains: func(signed []byte) error {
					if cp, _, err := evidence.ReadCheckpoint(signed); err != nil || cp.Size > v.Size() {
						return errors.New("larger")
					}
					return nil
				}})
			})
		}
		all.Wait()
		published, err := os.ReadFile(filepath.Join(dir, "checkpoint"))
		if err != nil {
			t.Fatal(err)
		}
		cp, _, err := evidence.ReadCheckpoint(published)
		if err != nil {
			t.Fatal(err)
		}
		for i, v := range views {
			switch {
			case cp.Size == v.Size():
				if errs[i] != nil {
					t.Errorf("round %d: what stands there failed: %v", round, errs[i])
				}
			case errs[i] == nil && v.Size() > cp.Size:
				t.Errorf("round %d: %d entries were published, and %d are", round, v.Size(), cp.Size)
			}
		}
		for _, v := range views { // all that the checkpoint needs is there, and perhaps more
			if v.Size() == cp.Size {
				complete(t, v, dir)
			}
		}
		export(t, l.View(), dir, false) // and the next puts it right
		serves(t, l.View(), dir)
	}
}

// Somebody changed a published file: it is neither replaced nor gone on from.
func TestAttackerChangesAPublishedFile(t *testing.T) {
	l := ledgertest.New(t)
	l.Put(l.Stamps(l.Ada, "data", 300)...)
	dir := t.TempDir()
	export(t, l.View(), dir, false)
	name := filepath.Join(dir, "tile/entries/000")
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	data[100] ^= 1
	if err := os.WriteFile(name, data, 0o644); err != nil {
		t.Fatal(err)
	}
	_, err = static.Export(t.Context(), l.View(), folder(t, dir), static.Options{All: true, Contains: anything})
	if !errors.Is(err, evidence.ErrTampered) {
		t.Errorf("want tampered: %v", err)
	}
}

// What is there may not be gone on from: nothing is written.
func TestExportRefused(t *testing.T) {
	l := ledgertest.New(t)
	dir := t.TempDir()
	export(t, l.View(), dir, false)
	before := names(t, dir)
	l.Put(l.Stamps(l.Ada, "data", 3)...)
	no := errors.New("another log")
	_, err := static.Export(t.Context(), l.View(), folder(t, dir), static.Options{Contains: func([]byte) error { return no }})
	if !errors.Is(err, no) || !slices.Equal(names(t, dir), before) {
		t.Errorf("%v; %v", err, names(t, dir))
	}
}
