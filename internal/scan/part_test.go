package scan

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stele-ml/stele/fingerprint"
	"github.com/stele-ml/stele/internal/shard"
	"github.com/stele-ml/stele/internal/source"
)

func pathsOf(s scanned) (paths []string) {
	for _, f := range s.files {
		paths = append(paths, f.Path)
	}
	return paths
}

func TestOnly(t *testing.T) {
	m := versioned(mixed)
	all := versioned(numbered(1000, 3))
	var many []string
	for i := range 500 {
		many = append(many, fmt.Sprintf("f%07d", 2*i))
	}
	for _, c := range []struct {
		name   string
		m      *memory
		only   []string
		looked bool // up one by one
	}{
		{"nothing", m, []string{}, true},
		{"some", m, []string{"b", "e", "h"}, true},
		{"all", m, []string{"a", "b", "c", "d", "e", "f", "g", "h"}, true},
		{"many", all, many, false},
	} {
		c.m.looked.Store(0)
		// No rule hides what is on the list.
		got := mustScan(t, c.m, Options{Only: c.only, Ignore: []string{"*"}}, 1)
		if want := append([]string(nil), c.only...); !slices.Equal(pathsOf(got), want) || len(got.Rules) != 0 || got.HiddenCount != 0 {
			t.Errorf("%s: %q, rules %q, %d hidden; want %q", c.name, pathsOf(got), got.Rules, got.HiddenCount, want)
		}
		if n := c.m.looked.Load(); (n > 0) != (c.looked && len(c.only) > 0) {
			t.Errorf("%s: %d were looked up", c.name, n)
		}
	}
	// Hints on more than the list are used where they fit, and read to the end.
	first := mustScan(t, m, Options{}, 5)
	if got := mustScan(t, m, Options{Only: []string{"b", "e"}, Hints: hintsOf(first.hints, nil)}, 6); got.read != 0 || got.Summary.Files != 2 {
		t.Errorf("with hints: %d bytes read, %+v", got.read, got.Summary)
	}
	boom := errors.New("boom")
	if _, err := scanOf(t, m, m, Options{Only: []string{"b"}, Hints: hintsOf(first.hints, boom)}, 6); !errors.Is(err, boom) {
		t.Errorf("hints that fail behind the list: %v", err)
	}
}

// TestOnlyMissing names the first file of a list that is not there.
func TestOnlyMissing(t *testing.T) {
	all := versioned(numbered(1000, 3))
	many := func(replace int, by ...string) (only []string) {
		for i := range 500 {
			if i == replace {
				only = append(only, by...)
			} else {
				only = append(only, fmt.Sprintf("f%07d", 2*i))
			}
		}
		return only
	}
	for name, c := range map[string]struct {
		only []string
		path string
		want error
	}{
		"few, the first":                {[]string{"a", "f0000001"}, "a", fs.ErrNotExist},
		"few, the last":                 {[]string{"f0000001", "z"}, "z", fs.ErrNotExist},
		"many, the first":               {many(0, "a", "b"), "a", fs.ErrNotExist},
		"many, one in the middle":       {many(100, "f0000200x", "f0000201"), "f0000200x", fs.ErrNotExist},
		"many, the last":                {many(499, "y", "z"), "y", fs.ErrNotExist},
		"out of order":                  {[]string{"b", "a"}, "", fingerprint.ErrOrder},
		"twice":                         {[]string{"a", "a"}, "", fingerprint.ErrOrder},
		"a name that is no path":        {[]string{"a", "b/"}, "b/", ErrName},
		"a name that leaves the folder": {[]string{"../a"}, "../a", ErrName},
	} {
		_, err := scanOf(t, all, all, Options{Only: c.only}, 1)
		var e *source.Error
		if !errors.Is(err, c.want) || c.path != "" && (!errors.As(err, &e) || e.Path != c.path) {
			t.Errorf("%s: %v, want %v at %s", name, err, c.want, c.path)
		}
	}
}

// TestOnlyOnDisk: folders that hold nothing of the list are not looked into.
func TestOnlyOnDisk(t *testing.T) {
	files := map[string]string{".git/config": "x", "d/.steleignore": "*", IgnoreFile: "*.csv\n", "e/x": "1", "e-/x": "2"}
	var only []string
	for i := range 100 {
		files[fmt.Sprintf("d/%03d.csv", i)] = "1"
		only = append(only, fmt.Sprintf("d/%03d.csv", i))
	}
	only = append([]string{".git/config"}, append(only, "e/x")...)
	dir := folder(t, files)
	for _, list := range [][]string{only, only[:3]} {
		got, res := paths(t, dir, Options{Only: list})
		if !slices.Equal(got, list) || len(res.Rules) != 0 || res.HiddenCount != 0 {
			t.Errorf("%q, %+v", got, res)
		}
	}
	skip := OnlyThese(only)
	for path, want := range map[string]bool{".git": false, "d": false, "e": false, "e-": true, "f": true, "a": true, "d/0": true} {
		if skip(path, true) != want {
			t.Errorf("folder %s is left out: %v", path, !want)
		}
	}
	// A single file is listed by its name, and is not offered to skip.
	one := dir + "/e/x"
	if got, _ := paths(t, one, Options{Only: []string{"x"}}); !slices.Equal(got, []string{"x"}) {
		t.Errorf("of a single file: %q", got)
	}
	if _, err := Local(context.Background(), one, Options{Algorithm: fingerprint.SHA256, Only: only}, nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("of a single file that is not on the list: %v", err)
	}
}

func TestMaxRead(t *testing.T) {
	sum := total(mixed)
	large := uint64(chunk + 1 + 5*chunk + 17 + 3*chunk) // read once more for plain digests
	first := mustScan(t, versioned(mixed), Options{}, 5)
	known := hintsOf(first.hints, nil)
	other := versioned(mixed)
	other.marks["e"] = source.Mark{Version: "another"}
	for _, c := range []struct {
		name string
		m    *memory
		opts Options
		will uint64 // what would be read; 0: it fits
		max  uint64
	}{
		{"exactly", versioned(mixed), Options{}, 0, sum},
		{"one too many", versioned(mixed), Options{}, sum, sum - 1},
		{"with plain digests", versioned(mixed), Options{PlainSHA256: true}, sum + large, sum + large - 1},
		{"with plain digests, exactly", versioned(mixed), Options{PlainSHA256: true}, 0, sum + large},
		{"a list", versioned(mixed), Options{Only: []string{"b", "f"}}, 101, 100},
		{"a list, exactly", versioned(mixed), Options{Only: []string{"b", "f"}}, 0, 101},
		{"all known", versioned(mixed), Options{Hints: known}, 0, 1},
		{"one changed", other, Options{Hints: known}, 5*chunk + 17, 100},
		{"one changed, exactly", other, Options{Hints: known}, 0, 5*chunk + 17},
		{"a shard", versioned(numbered(1000, 1)), Options{Shard: shard.Part{Index: 1, Count: 2}}, 0, 600},
	} {
		c.opts.MaxRead = c.max
		for _, kind := range []string{"told beforehand", "found while reading"} {
			src := source.Source(c.m)
			if kind == "told beforehand" {
				src = &measured{c.m}
			}
			got, err := scanOf(t, c.m, src, c.opts, 6)
			var e *TooMuchError
			switch {
			case c.will == 0 && err != nil:
				t.Errorf("%s, %s: %v", c.name, kind, err)
			case c.will != 0 && (!errors.As(err, &e) || e.Max != c.max):
				t.Errorf("%s, %s: %v, want too much", c.name, kind, err)
			case c.will != 0 && kind == "told beforehand" && (got.read != 0 || e.Will != c.will):
				t.Errorf("%s: read %d bytes until %v", c.name, got.read, err)
			case c.will != 0 && (e.Will <= c.max || e.Will > c.will):
				t.Errorf("%s, %s: %v, want at most %d", c.name, kind, err, c.will)
			}
		}
	}
	// On a disk too.
	dir := folder(t, map[string]string{"a": "123", "b": "4567", ".git/x": "89"})
	if _, err := Local(context.Background(), dir, Options{Algorithm: fingerprint.SHA256, MaxRead: 6}, nil); err == nil || err.Error() != "7 bytes would have to be read, more than the 6 allowed" {
		t.Errorf("on a disk: %v", err)
	}
}

// TestShards: the parts of a scan, merged, are the scan.
func TestShards(t *testing.T) {
	for name, m := range map[string]*memory{"nothing": versioned(nil), "mixed": versioned(mixed), "many": versioned(numbered(3000, 2))} {
		whole := mustScan(t, m, Options{}, 1)
		if whole.Listing != (shard.Listing{}) {
			t.Errorf("%s: a listing without shards: %+v", name, whole.Listing)
		}
		for _, count := range []uint32{1, 2, 3, 7, 40} {
			var parts []*shard.Reader
			for i := range count {
				var manifest, file bytes.Buffer
				w := fingerprint.NewWriter(&manifest, fingerprint.SHA256, fingerprint.WriterOptions{})
				p := shard.Part{Index: i, Count: count}
				res, err := Run(context.Background(), m, Options{Algorithm: fingerprint.SHA256, Shard: p, Workers: 2}, w.Add)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := w.Close(); err != nil {
					t.Fatal(err)
				}
				if err := shard.Write(&file, shard.Header{Part: p, Listing: res.Listing, Rules: res.Rules}, &manifest); err != nil {
					t.Fatal(err)
				}
				r, err := shard.NewReader(&file)
				if err != nil {
					t.Fatal(err)
				}
				parts = append(parts, r)
			}
			tree := fingerprint.NewTree(fingerprint.SHA256)
			for f, err := range shard.Merge(parts) {
				if err == nil {
					err = tree.Add(f)
				}
				if err != nil {
					t.Fatalf("%s in %d: %v", name, count, err)
				}
			}
			if s, err := tree.Summary(); err != nil || s.Fingerprint(fingerprint.SHA256) != whole.Fingerprint {
				t.Errorf("%s in %d: %+v, %v; want %+v", name, count, s, err, whole.Summary)
			}
		}
	}
	// What came between two parts' scans is found.
	m := versioned(numbered(100, 1))
	one := mustScan(t, m, Options{Shard: shard.Part{Index: 0, Count: 2}}, 1)
	m.objects = numbered(101, 1)
	two := mustScan(t, m, Options{Shard: shard.Part{Index: 1, Count: 2}}, 1)
	if one.Listing == two.Listing || one.Listing.Files != 100 || two.Listing.Files != 101 {
		t.Errorf("listings %+v, %+v", one.Listing, two.Listing)
	}
}

func TestOptionsThatDoNotGo(t *testing.T) {
	m := versioned(nil)
	for name, opts := range map[string]Options{
		"no such shard":        {Shard: shard.Part{Index: 2, Count: 2}},
		"a shard of nothing":   {Shard: shard.Part{Index: 1}},
		"too many shards":      {Shard: shard.Part{Count: shard.MaxCount + 1}},
		"a shard with hints":   {Shard: shard.Part{Count: 2}, Hints: hintsOf(nil, nil)},
		"an unsorted list":     {Only: []string{"b", "a"}},
		"an algorithm unknown": {Algorithm: 9},
	} {
		if opts.Algorithm == 0 {
			opts.Algorithm = fingerprint.SHA256
		}
		if _, err := Run(context.Background(), m, opts, nil); err == nil {
			t.Errorf("%s: it was scanned", name)
		}
	}
}

// TestRemote: as many workers as the source asks for, and ranges of its size.
func TestRemote(t *testing.T) {
	objects := []memoryObject{{"a", 3}, {"b", 20*chunk + 5}, {"c", 8 * chunk}, {"d", chunk}, {"e", chunk + 1}, {"f", 16*chunk + 1}}
	for _, a := range []fingerprint.Algorithm{fingerprint.SHA256, fingerprint.BLAKE3} {
		for _, plain := range []bool{false, true} {
			near := versioned(objects)
			want := mustScan(t, near, Options{Algorithm: a, PlainSHA256: plain}, 1)
			far := versioned(objects)
			got, err := scanOf(t, far, &remote{far, 5, 8 * chunk}, Options{Algorithm: a, PlainSHA256: plain, Progress: new(Progress)}, 1)
			if err != nil {
				t.Fatal(err)
			}
			if got.Fingerprint != want.Fingerprint || !reflect.DeepEqual(got.files, want.files) {
				t.Errorf("%v: in ranges it has another fingerprint", a)
			}
			calls := int64(3 + 1 + 1 + 3)
			if plain {
				calls *= 2
			}
			if far.ranges.Load() != calls {
				t.Errorf("%d ranges were asked for, want %d", far.ranges.Load(), calls)
			}
		}
	}
	const requests = 9 // more than there are cores, in all likelihood
	for name, c := range map[string]struct{ asked, workers, want int }{
		"as the source asks": {requests, 0, requests},
		"as the user asks":   {requests, 3, 3},
		"at least one":       {0, 0, 1},
	} {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		m := versioned(numbered(batchSize, 1))
		all := newMeeting(c.want)
		m.onFetch = func(string) error { all.come(ctx); return nil }
		if _, err := Run(ctx, &remote{m, c.asked, chunk}, Options{Algorithm: fingerprint.SHA256, Workers: c.workers}, nil); err != nil {
			t.Errorf("%s: %v: no %d were read at once", name, err, c.want)
		}
		cancel()
	}
}

// wrongRanges gives fewer or more bytes than it is asked for.
type wrongRanges struct {
	source.Source
	by int
}

func (w *wrongRanges) Fetch(ctx context.Context, o source.Object, buf []byte) (source.Fetched, error) {
	got, err := w.Source.Fetch(ctx, o, buf)
	if got.Reader != nil {
		got.Reader = &wrongReader{got.Reader, w.by}
	}
	return got, err
}

type wrongReader struct {
	source.Reader
	by int
}

func (w *wrongReader) Range(ctx context.Context, off, n uint64, buf []byte, use func([]byte)) error {
	return w.Reader.Range(ctx, off, uint64(int(n)+w.by), buf, use)
}

// TestAttackRanges: a source that gives other than it was asked for is not
// fingerprinted, though it says that all is well.
func TestAttackRanges(t *testing.T) {
	for _, by := range []int{-1, -chunk, 1, chunk} {
		m := versioned([]memoryObject{{"a", 5 * chunk}})
		_, err := scanOf(t, m, &wrongRanges{m, by}, Options{Workers: 2}, 1)
		var e *source.Error
		if !errors.As(err, &e) || e.Path != "a" || !strings.Contains(e.Detail, "more or fewer bytes") {
			t.Errorf("%+d bytes: %v", by, err)
		}
	}
}
