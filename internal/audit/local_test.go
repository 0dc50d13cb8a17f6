package audit

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"

	"github.com/stele-ml/stele/fingerprint"
	"github.com/stele-ml/stele/internal/scan"
	"github.com/stele-ml/stele/internal/source"
)

// place is a folder and the manifest that was made of it.
type place struct {
	dir      string
	stamped  scan.Result
	manifest []byte
}

// files is the manifest, read anew and checked.
func (p *place) files(t *testing.T) func(func(fingerprint.File, error) bool) {
	t.Helper()
	r, err := fingerprint.NewReader(bytes.NewReader(p.manifest), p.stamped.Fingerprint)
	if err != nil {
		t.Fatal(err)
	}
	return r.All()
}

func (p *place) path(name string) string { return filepath.Join(p.dir, filepath.FromSlash(name)) }

func (p *place) write(t *testing.T, name string, data []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(p.path(name)), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(p.path(name), data, 0o644); err != nil {
		t.Fatal(err)
	}
}

// flip changes one bit of a file and leaves its size.
func (p *place) flip(t *testing.T, name string, at int) {
	t.Helper()
	data, err := os.ReadFile(p.path(name))
	if err != nil {
		t.Fatal(err)
	}
	data[at] ^= 4
	p.write(t, name, data)
}

// noise are bytes of which no two chunks are the same.
func noise(n, salt int) []byte {
	b := make([]byte, 0, n+8)
	for i := 0; len(b) < n; i++ {
		b = fmt.Appendf(b, "%d,%d\n", i, salt)
	}
	return b[:n]
}

// aPlace makes a folder of 1,200 small files, up to 30 KB each, one of 8 MiB and
// a half, and an empty one.
func aPlace(t *testing.T) *place { return aPlaceOf(t, 1200, 100, 8) }

// aPlaceOf makes a folder of small files, so many a day, a model of some chunks
// and a half, and an empty file.
func aPlaceOf(t *testing.T, files, perDay, chunks int) *place {
	p := &place{dir: t.TempDir()}
	for i := range files {
		p.write(t, fmt.Sprintf("day=%02d/%04d.csv", i/perDay, i), noise(100+(i*7919)%30_000, i))
	}
	p.write(t, "model.bin", noise(chunks*chunk+chunk/2, -1))
	p.write(t, "_SUCCESS", nil)
	p.stamp(t)
	return p
}

func (p *place) stamp(t *testing.T) {
	t.Helper()
	var out bytes.Buffer
	w := fingerprint.NewWriter(&out, algorithm, fingerprint.WriterOptions{})
	var err error
	if p.stamped, err = scan.Local(context.Background(), p.dir, scan.Options{Algorithm: algorithm}, w.Add); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Close(); err != nil {
		t.Fatal(err)
	}
	p.manifest = out.Bytes()
}

// audit draws and reads as the odds ask for.
func (p *place) audit(t *testing.T, seed Seed, share, confidence Share) (*Plan, Result, []Finding) {
	t.Helper()
	k, err := DrawsFor(share, confidence)
	if err != nil {
		t.Fatal(err)
	}
	plan, err := Draw(p.files(t), p.stamped.Summary.Bytes, seed, k)
	if err != nil {
		t.Fatal(err)
	}
	src, err := source.OpenLocal(p.dir, source.LocalOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	var found []Finding
	res, err := Run(context.Background(), src, p.files(t), plan, Options{Algorithm: algorithm, Rules: p.stamped.Rules}, func(f Finding) error {
		found = append(found, f)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return plan, res, found
}

const (
	halfAPercent = Share(5_000_000)
	surely       = Share(990_000_000)
)

// TestFolder: half a percent of the bytes of a folder is altered, in small
// files, one byte in each; then one byte of the large one; and the audit at
// 0.5 % and 99 % finds it and names files and ranges.
func TestFolder(t *testing.T) {
	p := aPlace(t)
	plan, res, found := p.audit(t, Seed{1}, halfAPercent, surely)
	if plan.All || plan.Draws != 919 || !res.Held() || len(found) != 0 || res.Files != 1202 || res.ChunksRead != plan.ToRead || res.BytesRead != plan.BytesToRead {
		t.Fatalf("%+v: %+v, %v", plan, res, found)
	}
	t.Logf("reads %s", plan.WillRead())

	var flipped []string
	share := uint64(0)
	for i := 0; share < p.stamped.Summary.Bytes/200; i += 61 {
		name := fmt.Sprintf("day=%02d/%04d.csv", i/100, i)
		info, err := os.Stat(p.path(name))
		if err != nil {
			t.Fatal(err)
		}
		share += uint64(info.Size())
		p.flip(t, name, int(info.Size())/2)
		flipped = append(flipped, name)
	}
	_, res, found = p.audit(t, Seed{1}, halfAPercent, surely)
	if len(found) == 0 || res.Modified != uint64(len(found)) || res.Held() {
		t.Fatalf("%d files altered, %.2f%% of the bytes: %+v, %v", len(flipped), 100*float64(share)/float64(p.stamped.Summary.Bytes), res, found)
	}
	for _, f := range found {
		if f.Kind != Modified || !slices.Contains(flipped, f.Path) || !reflect.DeepEqual(f.Ranges, []fingerprint.Range{{Start: 0, End: f.OldSize}}) {
			t.Errorf("found %+v", f)
		}
	}
	t.Logf("%d files altered, %.2f%% of the bytes; %d of them found", len(flipped), 100*float64(share)/float64(p.stamped.Summary.Bytes), len(found))
	for _, name := range flipped {
		info, _ := os.Stat(p.path(name))
		p.flip(t, name, int(info.Size())/2)
	}

	// One byte of 28 MB: its chunk is 3.7 % of the bytes.
	p.flip(t, "model.bin", 3*chunk+77)
	_, _, found = p.audit(t, Seed{2}, halfAPercent, surely)
	want := []Finding{{Path: "model.bin", Kind: Modified, OldSize: 8*chunk + chunk/2, NewSize: 8*chunk + chunk/2, Ranges: []fingerprint.Range{{Start: 3 * chunk, End: 4 * chunk}}}}
	if !reflect.DeepEqual(found, want) {
		t.Errorf("found %+v", found)
	}
}

// TestAttackerChangesNamesAndSizes: whatever is drawn, these are found.
func TestAttackerChangesNamesAndSizes(t *testing.T) {
	p := aPlace(t)
	p.write(t, "day=00/0000.csv", noise(99, 0))                  // one byte less
	p.write(t, "day=03/a.csv", noise(10, 0))                     // a file more
	p.write(t, "_SUCCESS", []byte("x"))                          // an empty file is not empty
	if err := os.Remove(p.path("day=11/1199.csv")); err != nil { // a file less
		t.Fatal(err)
	}
	if err := os.Rename(p.path("model.bin"), p.path("model2.bin")); err != nil {
		t.Fatal(err)
	}
	_, res, found := p.audit(t, Seed{1}, Share(900_000_000), Share(500_000_000)) // one draw
	var got []string
	for _, f := range found {
		got = append(got, f.Path+" "+f.Kind)
	}
	want := []string{"_SUCCESS resized", "day=00/0000.csv resized", "day=03/a.csv added", "day=11/1199.csv removed", "model.bin removed", "model2.bin added"}
	if !slices.Equal(got, want) || res.Held() {
		t.Errorf("%+v: %q, want %q", res, got, want)
	}
}

// TestAttackerSwapsTwoFiles: names and sizes are as they were; the chunks are
// not, and count as altered in both.
func TestAttackerSwapsTwoFiles(t *testing.T) {
	p := &place{dir: t.TempDir()}
	p.write(t, "a", noise(1000, 1))
	p.write(t, "b", noise(1000, 2))
	p.stamp(t)
	for _, c := range [][2]string{{"a", "x"}, {"b", "a"}, {"x", "b"}} {
		if err := os.Rename(p.path(c[0]), p.path(c[1])); err != nil {
			t.Fatal(err)
		}
	}
	plan, res, _ := p.audit(t, Seed{1}, halfAPercent, surely)
	if !plan.All || res.Modified != 2 {
		t.Errorf("%+v", res)
	}
}

// TestAttackerHidesBehindAnIgnoreFile: the rules are the stamp's, not those of
// the folder.
func TestAttackerHidesBehindAnIgnoreFile(t *testing.T) {
	p := &place{dir: t.TempDir()}
	p.write(t, ".steleignore", []byte("*.tmp\n"))
	p.write(t, "a", noise(1000, 1))
	p.write(t, "scratch.tmp", nil)
	p.stamp(t)
	p.write(t, ".steleignore", []byte("*.csv\n"))
	p.write(t, "more.csv", noise(10, 3))
	_, res, found := p.audit(t, Seed{1}, halfAPercent, surely)
	var got []string
	for _, f := range found {
		got = append(got, f.Path+" "+f.Kind)
	}
	if !slices.Equal(got, []string{".steleignore modified", "more.csv added"}) || res.HiddenCount != 1 || !slices.Equal(res.Hidden, []string{"scratch.tmp"}) {
		t.Errorf("%q, %+v", got, res)
	}
}

// TestOneFileOnADisk: the place may be one file, under another name.
func TestOneFileOnADisk(t *testing.T) {
	p := &place{dir: t.TempDir()}
	p.write(t, "train.bin", noise(3*chunk+1, 1))
	dir := p.dir
	p.dir = filepath.Join(dir, "train.bin")
	p.stamp(t)
	if _, res, found := p.audit(t, Seed{1}, halfAPercent, surely); !res.Held() || len(found) != 0 || res.ChunksRead != 4 {
		t.Errorf("%+v, %v", res, found)
	}
	was := p.dir
	p.dir = filepath.Join(dir, "old.bin")
	if err := os.Rename(was, p.dir); err != nil {
		t.Fatal(err)
	}
	if _, res, found := p.audit(t, Seed{1}, halfAPercent, surely); !res.Held() || len(found) != 1 || found[0].Kind != Renamed || found[0].From != "train.bin" {
		t.Errorf("%+v, %v", res, found)
	}
}
