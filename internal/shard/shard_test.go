package shard

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stele-ml/stele/fingerprint"
)

type vectors struct {
	Parts []struct {
		Path         string
		Count, Index uint32
	}
	Shards []struct {
		Name, Listing, Header, Manifest, Algorithm string
		Index, Count                               uint32
		Paths, Rules                               []string
		Listed, Single                             bool
	}
}

func readVectors(t *testing.T) (v vectors) {
	t.Helper()
	data, err := os.ReadFile("testdata/vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &v); err != nil || len(v.Parts) == 0 || len(v.Shards) == 0 {
		t.Fatalf("vectors: %v", err)
	}
	return v
}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestVectors(t *testing.T) {
	v := readVectors(t)
	for _, w := range v.Parts {
		for i := range w.Count {
			if got := (Part{i, w.Count}).Holds(w.Path); got != (i == w.Index) {
				t.Errorf("part %d of %d holds %q: %v", i, w.Count, w.Path, got)
			}
		}
	}
	for _, w := range v.Shards {
		l := NewLister()
		for _, p := range w.Paths {
			l.Add(p)
		}
		if got := l.Listing(); got.Digest.String() != w.Listing || got.Files != uint64(len(w.Paths)) {
			t.Errorf("%s: listing %v, want %s", w.Name, got, w.Listing)
		}
		h := Header{Part: Part{w.Index, w.Count}, Listing: l.Listing(), Rules: w.Rules, Listed: w.Listed, Single: w.Single}
		want := unhex(t, w.Header+w.Manifest)
		var got bytes.Buffer
		if err := Write(&got, h, bytes.NewReader(unhex(t, w.Manifest))); err != nil || !bytes.Equal(got.Bytes(), want) {
			t.Errorf("%s: wrote %x, %v; want %x", w.Name, got.Bytes(), err, want)
		}
		r, err := NewReader(iotest.OneByteReader(bytes.NewReader(want)))
		if err != nil {
			t.Fatalf("%s: %v", w.Name, err)
		}
		if len(h.Rules) == 0 {
			h.Rules = nil
		}
		if !reflect.DeepEqual(r.Header, h) || r.Manifest.Algorithm().String() != w.Algorithm {
			t.Errorf("%s: read %+v, want %+v", w.Name, r.Header, h)
		}
		for _, err := range r.Manifest.All() {
			if err != nil {
				t.Errorf("%s: manifest: %v", w.Name, err)
			}
		}
	}
}

// TestDamaged flips every bit and cuts at every length: no header but the one
// that was written is read from it.
func TestDamaged(t *testing.T) {
	for _, w := range readVectors(t).Shards[:2] {
		header, manifest := unhex(t, w.Header), unhex(t, w.Manifest)
		for i := range header {
			for bit := range 8 {
				bad := slices.Concat(header, manifest)
				bad[i] ^= 1 << bit
				if _, err := NewReader(bytes.NewReader(bad)); err == nil {
					t.Fatalf("%s: read with bit %d of byte %d flipped", w.Name, bit, i)
				}
			}
			if _, err := NewReader(bytes.NewReader(header[:i])); !errors.Is(err, fingerprint.ErrTruncated) {
				t.Errorf("%s: cut at %d: %v, want ErrTruncated", w.Name, i, err)
			}
		}
	}
	boom := errors.New("boom")
	if _, err := NewReader(iotest.ErrReader(boom)); !errors.Is(err, boom) {
		t.Errorf("a reader that fails: %v", err)
	}
}

func TestHeaderLimits(t *testing.T) {
	good := func() Header { return Header{Part: Part{0, 1}} }
	for name, change := range map[string]func(h *Header){
		"no parts":         func(h *Header) { h.Count = 0 },
		"a part too far":   func(h *Header) { h.Index = 1 },
		"too many parts":   func(h *Header) { h.Count = MaxCount + 1 },
		"too many rules":   func(h *Header) { h.Rules = slices.Repeat([]string{"x"}, MaxRules+1) },
		"a long rule":      func(h *Header) { h.Rules = []string{strings.Repeat("x", MaxRule+1)} },
		"an empty rule":    func(h *Header) { h.Rules = []string{""} },
		"no UTF-8":         func(h *Header) { h.Rules = []string{"\xff"} },
		"a list and rules": func(h *Header) { h.Listed, h.Rules = true, []string{"x"} },
	} {
		h := good()
		change(&h)
		if err := Write(io.Discard, h, strings.NewReader("")); !errors.Is(err, fingerprint.ErrFormat) {
			t.Errorf("%s: wrote it: %v", name, err)
		}
		// As somebody else's writer would, with a check that is right.
		if _, err := NewReader(bytes.NewReader(h.append(nil))); !errors.Is(err, fingerprint.ErrFormat) {
			t.Errorf("%s: read it: %v", name, err)
		}
	}
}

// part is one shard of some files, written and read again.
func part(t *testing.T, p Part, files []fingerprint.File, a fingerprint.Algorithm, change func(h *Header, own []fingerprint.File) []fingerprint.File) *Reader {
	t.Helper()
	l := NewLister()
	var own []fingerprint.File
	for _, f := range files {
		l.Add(f.Path)
		if p.Holds(f.Path) {
			own = append(own, f)
		}
	}
	h := Header{Part: p, Listing: l.Listing(), Rules: []string{"*.tmp"}}
	if change != nil {
		own = change(&h, own)
	}
	var m, out bytes.Buffer
	w := fingerprint.NewWriter(&m, a, fingerprint.WriterOptions{})
	for _, f := range own {
		if err := w.Add(f); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := Write(&out, h, &m); err != nil {
		t.Fatal(err)
	}
	r, err := NewReader(&out)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func someFiles(n int) (files []fingerprint.File) {
	for i := range n {
		path := fmt.Sprintf("d%d/f%04d", i%10, i)
		files = append(files, fingerprint.File{Path: path, Size: uint64(i), Digest: fingerprint.SHA256.Sum([]byte(path))})
	}
	slices.SortFunc(files, func(a, b fingerprint.File) int { return strings.Compare(a.Path, b.Path) })
	return files
}

func collect(parts []*Reader) (files []fingerprint.File, err error) {
	for f, err := range Merge(parts) {
		if err != nil {
			return files, err
		}
		files = append(files, f)
	}
	return files, nil
}

func TestMerge(t *testing.T) {
	for _, n := range []int{0, 1, 5, 500} {
		files := someFiles(n)
		for _, count := range []uint32{1, 2, 3, 16, 100} {
			var parts []*Reader
			for i := range count {
				parts = append(parts, part(t, Part{count - 1 - i, count}, files, fingerprint.SHA256, nil))
			}
			got, err := collect(parts)
			if err != nil || !reflect.DeepEqual(got, files) {
				t.Errorf("%d files in %d parts: %d files, %v", n, count, len(got), err)
			}
		}
	}
}

// TestAttackShards: parts that are not together one scan are refused.
func TestAttackShards(t *testing.T) {
	files := someFiles(60)
	other := slices.Concat(files, []fingerprint.File{{Path: "z"}})
	of := func(i uint32, change func(h *Header, own []fingerprint.File) []fingerprint.File) *Reader {
		return part(t, Part{i, 3}, files, fingerprint.SHA256, change)
	}
	for _, c := range []struct {
		name  string
		parts []*Reader
		says  string
	}{
		{"none", nil, "there is none"},
		{"a gap", []*Reader{of(0, nil), of(2, nil)}, "shard 2/3 is missing"},
		{"an overlap", []*Reader{of(0, nil), of(1, nil), of(2, nil), of(1, nil)}, "shard 2/3 is there twice"},
		{"of another count", []*Reader{of(0, nil), of(1, nil), part(t, Part{2, 4}, files, fingerprint.SHA256, nil)}, "shard 3/4 beside shard 1/3"},
		{"of another listing", []*Reader{of(0, nil), of(1, nil), part(t, Part{2, 3}, other, fingerprint.SHA256, nil)}, "did not list the same files (60 and 61)"},
		{"under other rules", []*Reader{of(0, nil), of(1, nil), of(2, func(h *Header, own []fingerprint.File) []fingerprint.File {
			h.Rules = nil
			return own
		})}, "other ignore rules"},
		{"under another hash", []*Reader{of(0, nil), of(1, nil), part(t, Part{2, 3}, files, fingerprint.BLAKE3, nil)}, "another hash"},
		{"with a file left out", []*Reader{of(0, nil), of(1, nil), of(2, func(_ *Header, own []fingerprint.File) []fingerprint.File {
			return own[:len(own)-1]
		})}, "59 files and not exactly the 60"},
		{"with a file replaced by another of the part", []*Reader{of(0, nil), of(1, nil), of(2, func(_ *Header, own []fingerprint.File) []fingerprint.File {
			for i := 0; ; i++ {
				if p := fmt.Sprintf("z%d", i); (Part{2, 3}).Holds(p) {
					return append(own[:len(own)-1], fingerprint.File{Path: p})
				}
			}
		})}, "60 files and not exactly the 60"},
		{"with a file of another part", []*Reader{of(0, nil), of(1, nil), of(2, func(_ *Header, own []fingerprint.File) []fingerprint.File {
			return files
		})}, "is not of shard 3/3"},
	} {
		if _, err := collect(c.parts); !errors.Is(err, ErrParts) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want ErrParts: %s", c.name, err, c.says)
		}
	}
}

// TestDamagedManifest: what a part's manifest says is checked to its end.
func TestDamagedManifest(t *testing.T) {
	files := someFiles(3)
	var m, out bytes.Buffer
	w := fingerprint.NewWriter(&m, fingerprint.SHA256, fingerprint.WriterOptions{})
	l := NewLister()
	for _, f := range files {
		l.Add(f.Path)
		if err := w.Add(f); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.Close(); err != nil {
		t.Fatal(err)
	}
	damaged := m.Bytes()
	damaged[len(damaged)-1] ^= 1
	if err := Write(&out, Header{Part: Part{0, 1}, Listing: l.Listing()}, bytes.NewReader(damaged)); err != nil {
		t.Fatal(err)
	}
	r, err := NewReader(&out)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := collect([]*Reader{r}); !errors.Is(err, fingerprint.ErrMismatch) {
		t.Errorf("got %v, want ErrMismatch", err)
	}
}

// TestMergeStops when whoever ranges over it wants no more.
func TestMergeStops(t *testing.T) {
	n := 0
	for range Merge([]*Reader{part(t, Part{0, 1}, someFiles(5), fingerprint.SHA256, nil)}) {
		if n++; n == 2 {
			break
		}
	}
	if n != 2 {
		t.Errorf("%d files", n)
	}
}

func FuzzReader(f *testing.F) {
	data, err := os.ReadFile("testdata/vectors.json")
	if err != nil {
		f.Fatal(err)
	}
	var v vectors
	if err := json.Unmarshal(data, &v); err != nil {
		f.Fatal(err)
	}
	for _, w := range v.Shards {
		b, _ := hex.DecodeString(w.Header + w.Manifest)
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := NewReader(bytes.NewReader(data))
		if err != nil {
			return
		}
		head := r.append(nil)
		if !bytes.HasPrefix(data, head) {
			t.Errorf("read a header that is written as %x", head)
		}
		var out bytes.Buffer
		if err := Write(&out, r.Header, bytes.NewReader(data[len(head):])); err != nil || !bytes.Equal(out.Bytes(), data) {
			t.Errorf("written again: %v", err)
		}
	})
}
