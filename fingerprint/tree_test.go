package fingerprint

import (
	"encoding/binary"
	"errors"
	"slices"
	"strings"
	"testing"
)

// naive is the tree as docs/formats/fingerprint.md writes it: recursive, over
// all files at once. It does not mind files that are out of order.
type naive struct{ a Algorithm }

func (n naive) text(s string) string {
	return string(binary.AppendUvarint(nil, uint64(len(s)))) + s
}

func (n naive) h(parts ...string) string {
	d := n.a.Sum([]byte(strings.Join(parts, "")))
	return string(d[:])
}

func (n naive) leaf(f File) string {
	return n.h("\x00", n.text(f.Path), string(binary.AppendUvarint(nil, f.Size)), string(f.Digest[:]))
}

func (n naive) half(count int) int {
	k := 1
	for k*2 < count {
		k *= 2
	}
	return k
}

func (n naive) root(files []File) string {
	switch len(files) {
	case 0:
		return n.h()
	case 1:
		return n.leaf(files[0])
	}
	k := n.half(len(files))
	return n.h("\x01", n.root(files[:k]), n.root(files[k:]), n.text(files[k].Path))
}

func (n naive) chunks(chunks []Digest) string {
	if len(chunks) == 1 {
		return n.h("\x00", string(chunks[0][:]))
	}
	k := n.half(len(chunks))
	return n.h("\x01", n.chunks(chunks[:k]), n.chunks(chunks[k:]))
}

func (n naive) fingerprint(files []File) Fingerprint {
	var total uint64
	for _, f := range files {
		total += f.Size
	}
	b := binary.BigEndian.AppendUint64([]byte("stele fingerprint v1\n"), uint64(len(files)))
	b = binary.BigEndian.AppendUint64(b, total)
	return Fingerprint{n.a, Digest([]byte(n.h(string(b), n.root(files))))}
}

// proofFor is the way down to leaf i, whatever the splits say, with path as the
// path in question. An attacker can make it.
func (n naive) proofFor(files []File, i int, path string) *PathProof {
	p := &PathProof{algorithm: n.a, path: path, files: uint64(len(files))}
	for _, f := range files {
		p.bytes += f.Size
	}
	for len(files) > 1 {
		k := n.half(len(files))
		other := files[:k]
		split := files[k].Path
		if i < k {
			other, files = files[k:], files[:k]
		} else {
			files, i = files[k:], i-k
		}
		p.steps = append(p.steps, step{split, Digest([]byte(n.root(other)))})
	}
	if len(files) == 1 {
		p.leaf = File{Path: files[0].Path, Size: files[0].Size, Digest: files[0].Digest}
	}
	return p
}

func TestTreeAgreesWithNaive(t *testing.T) {
	r := newRand(20)
	for _, a := range algorithms {
		for n := range 70 {
			files := randomFiles(r, a, n)
			s := summaryOf(t, a, files)
			if want := (naive{a}).root(files); string(s.Root[:]) != want {
				t.Errorf("%v, %d files: root %v, want %x", a, n, s.Root, want)
			}
			if want := (naive{a}).fingerprint(files); s.Fingerprint(a) != want {
				t.Errorf("%v, %d files: %v, want %v", a, n, s.Fingerprint(a), want)
			}
		}
	}
}

func TestTreeSummaryLeavesItAsItWas(t *testing.T) {
	files := randomFiles(newRand(21), SHA256, 40)
	tree := NewTree(SHA256)
	for i, f := range files {
		if err := tree.Add(f); err != nil {
			t.Fatal(err)
		}
		s, _ := tree.Summary()
		if want := (naive{SHA256}).fingerprint(files[:i+1]); s.Fingerprint(SHA256) != want {
			t.Errorf("after %d files: %v, want %v", i+1, s.Fingerprint(SHA256), want)
		}
		// A refused file leaves it as it was, too.
		if err := tree.Add(f); !errors.Is(err, ErrOrder) {
			t.Errorf("twice: %v", err)
		}
	}
}

func TestChunkTreeAgreesWithNaive(t *testing.T) {
	r := newRand(22)
	for _, a := range algorithms {
		for n := 2; n < 70; n++ {
			chunks := make([]Digest, n)
			for i := range chunks {
				chunks[i] = randomDigest(r)
			}
			size := uint64(n-1)*ChunkSize + 1
			want := naive{a}.h("stele file v1\n", string(binary.BigEndian.AppendUint64(nil, size)), naive{a}.chunks(chunks))
			if got := a.FileDigest(size, chunks); string(got[:]) != want {
				t.Errorf("%v, %d chunks: %v, want %x", a, n, got, want)
			}
		}
	}
}

func TestSortedByBytes(t *testing.T) {
	// As bytes, not by segment and not by letter.
	paths := []string{"A", "a", "a-b", "a.txt", "a/b", "a0", "aB", "ab", "z", "é", "\U0001F5FF"}
	tree := NewTree(SHA256)
	for _, p := range paths {
		if err := tree.Add(File{Path: p}); err != nil {
			t.Error(err)
		}
	}
	slices.Reverse(paths)
	tree = NewTree(SHA256)
	for i, p := range paths {
		if err := tree.Add(File{Path: p}); i > 0 && !errors.Is(err, ErrOrder) {
			t.Errorf("%q after %q: %v", p, paths[i-1], err)
		}
	}
}
