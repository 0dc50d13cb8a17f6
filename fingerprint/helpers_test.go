package fingerprint

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"iter"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
)

var algorithms = []Algorithm{SHA256, BLAKE3}

// contents is the generator that vectors.json states.
func contents(size uint64, seed int) []byte {
	p := make([]byte, size)
	for i := range p {
		p[i] = byte(31*i + 7*(i>>8) + 3*(i>>16) + seed)
	}
	return p
}

// fileOf makes a File from its contents.
func fileOf(a Algorithm, path string, p []byte) File {
	f := File{Path: path, Size: uint64(len(p))}
	plain := SHA256.Sum(p)
	f.SHA256 = &plain
	if len(p) <= ChunkSize {
		f.Digest = a.Sum(p)
		return f
	}
	for chunk := range slices.Chunk(p, ChunkSize) {
		f.Chunks = append(f.Chunks, a.Sum(chunk))
	}
	f.Digest = a.FileDigest(f.Size, f.Chunks)
	return f
}

// seq gives files as Diff and the provers take them.
func seq(files []File) iter.Seq2[File, error] {
	return func(yield func(File, error) bool) {
		for _, f := range files {
			if !yield(f, nil) {
				return
			}
		}
	}
}

// seqErr ends with an error.
func seqErr(files []File, err error) iter.Seq2[File, error] {
	return func(yield func(File, error) bool) {
		for f := range seq(files) {
			if !yield(f, nil) {
				return
			}
		}
		yield(File{}, err)
	}
}

// randomFiles returns n sorted files of small invented digests, with paths that
// share prefixes; every third is over a chunk.
func randomFiles(r *rand.Rand, a Algorithm, n int) []File {
	byPath := map[string]File{}
	for len(byPath) < n {
		var segments []string
		for range 1 + r.IntN(3) {
			segments = append(segments, []string{"a", "b", "train", "train-2", "é", "z.csv", "0"}[r.IntN(7)])
		}
		path := strings.Join(segments, "/") + fmt.Sprint(r.IntN(4*n))
		byPath[path] = randomFile(r, a, path)
	}
	files := make([]File, 0, n)
	for _, f := range byPath {
		files = append(files, f)
	}
	slices.SortFunc(files, func(a, b File) int { return strings.Compare(a.Path, b.Path) })
	return files
}

func randomFile(r *rand.Rand, a Algorithm, path string) File {
	f := File{Path: path, Size: r.Uint64N(ChunkSize + 1), Digest: randomDigest(r)}
	if r.IntN(3) == 0 {
		f.Size = ChunkSize + 1 + r.Uint64N(5*ChunkSize)
		for range ChunkCount(f.Size) {
			f.Chunks = append(f.Chunks, randomDigest(r))
		}
		f.Digest = a.FileDigest(f.Size, f.Chunks)
	}
	return f
}

func randomDigest(r *rand.Rand) (d Digest) {
	for i := range d {
		d[i] = byte(r.Uint32())
	}
	return d
}

func newRand(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 2026)) }

// summaryOf is the sum of files by the code under test.
func summaryOf(t testing.TB, a Algorithm, files []File) Summary {
	t.Helper()
	tree := NewTree(a)
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

type fileVector struct {
	Algorithm string
	Path      string
	Size      uint64
	Seed      int
	Digest    string
	Text      string
	Chunks    []string
	SHA256    string
}

type vectorFile struct {
	Files []fileVector
	Trees []struct {
		Algorithm, Name   string
		Bytes             uint64
		Root, Fingerprint string
		Files             []fileVector
	}
	Manifests []struct {
		Algorithm, Tree, Manifest string
		PlainSHA256               bool
	}
	PathProofs []struct {
		Algorithm, Tree, Path string
		Present               bool
		Index                 uint64
		Disclosed             []string
		Proof                 string
	}
	RangeProofs []struct {
		Algorithm, Digest, Proof                     string
		Size, Start, End, CoveringStart, CoveringEnd uint64
		Seed                                         int
	}
	Collections []struct {
		Algorithm, Name, Fingerprint, Document string
		Members                                []struct {
			Prefix, Fingerprint string
			Files, Bytes        uint64
		}
	}
}

func readVectors(t testing.TB) *vectorFile {
	t.Helper()
	data, err := os.ReadFile("testdata/vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	v := new(vectorFile)
	if err := json.Unmarshal(data, v); err != nil {
		t.Fatal(err)
	}
	return v
}

func algorithmOf(t testing.TB, s string) Algorithm {
	t.Helper()
	a, err := ParseAlgorithm(s)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// vectorTrees returns the files of every tree by algorithm and name.
func vectorTrees(t testing.TB, v *vectorFile) map[string][]File {
	t.Helper()
	out := map[string][]File{}
	for _, tree := range v.Trees {
		a := algorithmOf(t, tree.Algorithm)
		files := []File{}
		for _, f := range tree.Files {
			files = append(files, fileOf(a, f.Path, contents(f.Size, f.Seed)))
		}
		out[tree.Algorithm+"/"+tree.Name] = files
	}
	return out
}
