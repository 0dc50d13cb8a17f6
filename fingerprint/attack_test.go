package fingerprint

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
)

// The tests of this file are named for what an attacker tries.

func TestAttackerCraftsAFileThatEqualsATree(t *testing.T) {
	for _, a := range algorithms {
		// A 65-byte file whose digest is the root of a large file's chunks.
		large := fileOf(a, "weights.bin", contents(2*ChunkSize, 7))
		left, right := a.chunkLeaf(&large.Chunks[0]), a.chunkLeaf(&large.Chunks[1])
		node := fileOf(a, "weights.bin", slices.Concat([]byte{1}, left[:], right[:]))
		if node.Size != 65 || node.Digest != a.chunkRoot(large.Chunks) {
			t.Fatal("the attack is not made right")
		}
		// A 54-byte file whose digest is the large file's itself.
		root := a.chunkRoot(large.Chunks)
		twin := fileOf(a, "weights.bin", slices.Concat(binary.BigEndian.AppendUint64([]byte(fileDomain), large.Size), root[:]))
		if twin.Digest != large.Digest {
			t.Fatal("the attack is not made right")
		}
		honest := summaryOf(t, a, []File{large})
		for _, f := range []File{node, twin} {
			if got := summaryOf(t, a, []File{f}); got.Root == honest.Root || got.Fingerprint(a) == honest.Fingerprint(a) {
				t.Errorf("%v: a file of %d bytes has the tree's fingerprint", a, f.Size)
			}
			counts, err := Diff(seq([]File{large}), seq([]File{f}), func(Change) error { return nil })
			if err != nil || counts.Modified != 1 || counts.Equal() {
				t.Errorf("%v: %d bytes compare as %+v, %v", a, f.Size, counts, err)
			}
			if a.DigestText(f.Size, f.Digest) == a.DigestText(large.Size, large.Digest) {
				t.Errorf("%v: the same text", a)
			}
			// Nor can it be moved in under another name.
			f.Path = "z"
			counts, err = Diff(seq([]File{large}), seq([]File{f}), func(Change) error { return nil })
			if err != nil || counts.Added != 1 || counts.Removed != 1 {
				t.Errorf("%v: %d bytes compare as %+v, %v", a, f.Size, counts, err)
			}
		}
		// The twin's bytes do not pass for a range of the large file.
		p, err := ProveRange(a, twin, 0, twin.Size)
		if err != nil {
			t.Fatal(err)
		}
		data := slices.Concat(binary.BigEndian.AppendUint64([]byte(fileDomain), large.Size), root[:])
		if err := p.Verify(a, large.Size, large.Digest, data); !errors.Is(err, ErrMismatch) {
			t.Errorf("%v: %v", a, err)
		}

		// A file whose bytes are a node, or a leaf, of the manifest tree.
		files := []File{fileOf(a, "a", []byte("x")), fileOf(a, "b", []byte("y"))}
		l := a.Sum(appendLeaf(nil, "a", 1, &files[0].Digest))
		r := a.Sum(appendLeaf(nil, "b", 1, &files[1].Digest))
		for _, crafted := range [][]byte{
			appendText(slices.Concat([]byte{1}, l[:], r[:]), "b"),
			appendLeaf(nil, "a", 1, &files[0].Digest),
		} {
			f := fileOf(a, "a", crafted)
			if summaryOf(t, a, []File{f}).Root == summaryOf(t, a, files).Root || summaryOf(t, a, []File{f}).Root == l {
				t.Errorf("%v: a crafted file equals a tree", a)
			}
		}
	}
}

// An attacker shows a tree of n files as one of another count or size, so that
// nodes pass for leaves or leaves for nodes.
func TestAttackerClaimsAnotherCountOrSize(t *testing.T) {
	r := newRand(40)
	for n := range 20 {
		files := randomFiles(r, SHA256, n)
		fp := naive{SHA256}.fingerprint(files)
		for i := range max(n, 1) {
			path := "a"
			if n > 0 {
				path = files[i].Path
			}
			p, err := ProvePath(SHA256, seq(files), path)
			if err != nil {
				t.Fatal(err)
			}
			for count := range uint64(40) {
				for _, bytes := range []uint64{0, p.bytes, p.bytes + 1, p.bytes - 1, p.leaf.Size, math.MaxUint64} {
					if count == p.files && bytes == p.bytes {
						continue
					}
					q := *p
					q.files, q.bytes = count, bytes
					if got, err := q.Verify(fp); err == nil {
						t.Fatalf("%d files shown as %d of %d bytes: %+v", n, count, bytes, got)
					}
				}
			}
		}
	}
}

func TestAttackerSwapsTwoFilesNames(t *testing.T) {
	for _, a := range algorithms {
		cat, dog := []byte("cat"), []byte("dog")
		was := []File{fileOf(a, "cat.jpg", cat), fileOf(a, "dog.jpg", dog)}
		is := []File{fileOf(a, "cat.jpg", dog), fileOf(a, "dog.jpg", cat)}
		before, after := summaryOf(t, a, was), summaryOf(t, a, is)
		if before.Files != after.Files || before.Bytes != after.Bytes {
			t.Fatal("the attack is not made right")
		}
		if before.Fingerprint(a) == after.Fingerprint(a) {
			t.Error("the same fingerprint")
		}
		counts, err := Diff(seq(was), seq(is), func(Change) error { return nil })
		if err != nil || counts.Modified != 2 || counts.Equal() {
			t.Errorf("%+v, %v", counts, err)
		}
	}
}

// Whatever order the attacker puts files in, and whichever leaf each proof
// leads to, no root shows a name both present and absent; and no reader takes
// the manifest.
func TestAttackerDoesNotSortTheTree(t *testing.T) {
	var files []File
	for i, path := range []string{"b", "d", "f", "h", "j"} {
		files = append(files, File{Path: path, Size: uint64(i), Digest: SHA256.Sum([]byte(path))})
	}
	names := []string{"a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k"}
	unsorted := 0
	permute(files, func(order []File) {
		fp := naive{SHA256}.fingerprint(order)
		for _, name := range names {
			var present, absent bool
			for i := range order {
				if got, err := (naive{SHA256}).proofFor(order, i, name).Verify(fp); err == nil {
					present = present || got.Present
					absent = absent || !got.Present
				}
			}
			if present && absent {
				t.Fatalf("%v: %q is present and absent", order, name)
			}
			if present && !strings.Contains("bdfhj", name) {
				t.Fatalf("%v: %q is present", order, name)
			}
		}
		if slices.IsSortedFunc(order, func(a, b File) int { return strings.Compare(a.Path, b.Path) }) {
			return
		}
		unsorted++
		records := ""
		for _, f := range order {
			records += "\x01\x00" + f.Path + string(binary.AppendUvarint(nil, f.Size)) + string(f.Digest[:])
		}
		s := Summary{Files: 5, Bytes: 10, Root: Digest([]byte(naive{SHA256}.root(order)))}
		if s.Fingerprint(SHA256) != fp {
			t.Fatal("the attack is not made right")
		}
		if _, _, err := readManifest(bytes.NewReader(rawManifest(SHA256, 0, records, s)), fp); !errors.Is(err, ErrOrder) {
			t.Fatalf("%v: %v", order, err)
		}
	})
	if unsorted != 119 {
		t.Errorf("%d orders tried", unsorted)
	}
}

func permute(files []File, visit func([]File)) {
	var rec func(done int)
	rec = func(done int) {
		if done == len(files) {
			visit(files)
			return
		}
		for i := done; i < len(files); i++ {
			files[done], files[i] = files[i], files[done]
			rec(done + 1)
			files[done], files[i] = files[i], files[done]
		}
	}
	rec(0)
}

// Disorder that a proof shows is refused even where every hash is right.
func TestAttackerHidesAFileInAnUnsortedTree(t *testing.T) {
	file := func(path string) File { return File{Path: path, Size: 1, Digest: SHA256.Sum([]byte(path))} }
	for _, paths := range [][]string{
		{"a", "z", "m", "n"},      // "z" is on the left of "m"
		{"m", "n", "a", "b"},      // halves swapped
		{"a", "b", "b", "c"},      // twice
		{"b", "a"},                // two
		{"x", "b", "c", "d", "a"}, // first and last
	} {
		var files []File
		for _, p := range paths {
			files = append(files, file(p))
		}
		fp := naive{SHA256}.fingerprint(files)
		refused := 0
		for _, name := range []string{"!", "a", "b", "c", "m", "n", "x", "z"} {
			for i := range files {
				_, err := naive{SHA256}.proofFor(files, i, name).Verify(fp)
				if err != nil && strings.Contains(err.Error(), "sorted tree") && errors.Is(err, ErrMismatch) {
					refused++
				}
			}
		}
		if refused == 0 {
			t.Errorf("%q: no proof shows the disorder", paths)
		}
	}
}

// The attacker has proofs of other names and relabels them, or leads the search
// to another leaf.
func TestAttackerForgesAbsence(t *testing.T) {
	r := newRand(41)
	for _, a := range algorithms {
		for n := 1; n < 18; n++ {
			files := randomFiles(r, a, n)
			fp := naive{a}.fingerprint(files)
			for _, f := range files {
				for i := range files {
					got, err := naive{a}.proofFor(files, i, f.Path).Verify(fp)
					if err == nil && !got.Present {
						t.Fatalf("%d files: %q is absent by leaf %d", n, f.Path, i)
					}
				}
			}
			for _, name := range around(files) {
				for i := range files {
					got, err := naive{a}.proofFor(files, i, name).Verify(fp)
					if err == nil && got.Present {
						t.Fatalf("%d files: %q is present by leaf %d", n, name, i)
					}
				}
			}
		}
	}
}

// Every bit of a proof flipped: what still verifies must be true.
func TestAttackerEditsAPathProof(t *testing.T) {
	r := newRand(42)
	for _, a := range algorithms {
		files := randomFiles(r, a, 13)
		fp := naive{a}.fingerprint(files)
		for _, path := range append(around(files)[:4], files[0].Path, files[7].Path, files[12].Path) {
			p, err := ProvePath(a, seq(files), path)
			if err != nil {
				t.Fatal(err)
			}
			data, _ := p.MarshalBinary()
			for i := range data {
				for bit := range 8 {
					bad := bytes.Clone(data)
					bad[i] ^= 1 << bit
					var q PathProof
					if q.UnmarshalBinary(bad) != nil {
						continue
					}
					got, err := q.Verify(fp)
					if err != nil {
						continue
					}
					at := slices.IndexFunc(files, func(f File) bool { return f.Path == q.Path() })
					if got.Present != (at >= 0) || q.Path() == path {
						t.Fatalf("%q: bit %d of byte %d flipped: %q: %+v", path, bit, i, q.Path(), got)
					}
				}
			}
		}
	}
}

func TestAttackerChangesTheHash(t *testing.T) {
	data := []byte("the same bytes")
	for _, a := range algorithms {
		other := SHA256 + BLAKE3 - a
		files := []File{fileOf(a, "a", data), fileOf(a, "b", data)}
		fp := summaryOf(t, a, files).Fingerprint(a)
		relabelled := Fingerprint{other, fp.Sum}
		if summaryOf(t, other, files).Fingerprint(other) == relabelled {
			t.Error("the same under another hash")
		}
		p, err := ProvePath(a, seq(files), "a")
		if err != nil {
			t.Fatal(err)
		}
		for _, claimed := range algorithms {
			q := *p
			q.algorithm = claimed
			for _, want := range []Fingerprint{fp, relabelled} {
				if _, err := q.Verify(want); (err == nil) != (claimed == a && want == fp) {
					t.Errorf("a proof under %v said to be under %v, for %v: %v", a, claimed, want, err)
				}
			}
		}
		m := writeManifest(t, a, files, false)
		if _, _, err := readManifest(bytes.NewReader(m), relabelled); !errors.Is(err, ErrMismatch) {
			t.Errorf("a manifest under %v: %v", a, err)
		}
		m[len(manifestMagic)] = byte(other)
		if _, _, err := readManifest(bytes.NewReader(m), relabelled); !errors.Is(err, ErrMismatch) {
			t.Errorf("a manifest under %v said to be under %v: %v", a, other, err)
		}
		rp, err := ProveRange(a, files[0], 0, 1)
		if err != nil {
			t.Fatal(err)
		}
		if err := rp.Verify(other, files[0].Size, files[0].Digest, data); !errors.Is(err, ErrMismatch) {
			t.Error(err)
		}
		if _, err := Collection(a, []Member{{"x", relabelled, 2, 28}}); !errors.Is(err, ErrFormat) {
			t.Error(err)
		}
	}
}

func TestAttackerSwapsTheManifest(t *testing.T) {
	r := newRand(43)
	files, others := randomFiles(r, SHA256, 10), randomFiles(r, SHA256, 10)
	fp := summaryOf(t, SHA256, files).Fingerprint(SHA256)
	got, m, err := readManifest(bytes.NewReader(writeManifest(t, SHA256, others, false)), fp)
	if !errors.Is(err, ErrMismatch) || !strings.Contains(err.Error(), fp.String()) {
		t.Errorf("%v", err)
	}
	if len(got) != 10 || !m.Fingerprint().IsZero() {
		t.Errorf("%d files and %v", len(got), m.Fingerprint())
	}
}

// One who can compute the digest at a manifest's end can still change nothing
// that the fingerprint binds. What it does not bind is documented.
func TestAttackerEditsAManifestAndItsCheck(t *testing.T) {
	for _, a := range algorithms {
		files := withPlain(a, randomFiles(newRand(44), a, 12))
		fp := summaryOf(t, a, files).Fingerprint(a)
		data := writeManifest(t, a, files, true)
		body := data[:len(data)-32]
		passed := 0
		for i := range body {
			for bit := range 8 {
				bad := bytes.Clone(body)
				bad[i] ^= 1 << bit
				sum := a.Sum(bad)
				got, _, err := readManifest(bytes.NewReader(append(bad, sum[:]...)), fp)
				if err != nil {
					continue
				}
				passed++
				// Only a plain SHA-256 can have changed.
				for j := range got {
					got[j].SHA256 = files[j].SHA256
				}
				if fmt.Sprint(got) != fmt.Sprint(files) {
					t.Fatalf("%v: bit %d of byte %d flipped and not found", a, bit, i)
				}
			}
		}
		if passed == 0 {
			t.Errorf("%v: no plain SHA-256 changed: the attack is not made right", a)
		}
	}
}

func TestAttackerEditsARange(t *testing.T) {
	for _, a := range algorithms {
		data := contents(5*ChunkSize+77, 3)
		f := fileOf(a, "f", data)
		p, err := ProveRange(a, f, ChunkSize+5, 2*ChunkSize+5)
		if err != nil {
			t.Fatal(err)
		}
		c := p.Covering()
		shown := bytes.Clone(data[c.Start:c.End])
		if err := p.Verify(a, f.Size, f.Digest, shown); err != nil {
			t.Fatal(err)
		}
		for _, i := range []int{0, 4, ChunkSize - 1, ChunkSize, len(shown) - 1} {
			shown[i] ^= 1
			if err := p.Verify(a, f.Size, f.Digest, shown); !errors.Is(err, ErrMismatch) {
				t.Errorf("byte %d flipped: %v", i, err)
			}
			shown[i] ^= 1
		}
		for name, other := range map[string][]byte{"short": shown[:len(shown)-1], "long": append(bytes.Clone(shown), 0), "none": nil, "elsewhere": data[:len(shown)]} {
			if err := p.Verify(a, f.Size, f.Digest, other); !errors.Is(err, ErrMismatch) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if err := p.Verify(a, f.Size+1, f.Digest, shown); !errors.Is(err, ErrMismatch) {
			t.Errorf("another size: %v", err)
		}

		// Every bit of a proof for the short last chunk.
		p, err = ProveRange(a, f, f.Size-2, f.Size-1)
		if err != nil {
			t.Fatal(err)
		}
		c = p.Covering()
		shown = data[c.Start:c.End]
		enc, _ := p.MarshalBinary()
		for i := range enc {
			for bit := range 8 {
				bad := bytes.Clone(enc)
				bad[i] ^= 1 << bit
				var q RangeProof
				if q.UnmarshalBinary(bad) != nil {
					continue
				}
				// A range within the same chunks is as true as the one before.
				if q.Covering() == c && q.Size() == f.Size && slices.Equal(q.hashes, p.hashes) && q.algorithm == a {
					continue
				}
				if q.Covering().Len() != c.Len() {
					continue // refused before anything is hashed
				}
				if err := q.Verify(a, f.Size, f.Digest, shown); err == nil {
					t.Fatalf("bit %d of byte %d flipped: verifies", bit, i)
				}
			}
		}
	}
}
