package audit

import (
	"encoding/hex"
	"errors"
	"iter"
	"strconv"
	"testing"

	"github.com/stele-ml/stele/fingerprint"
)

const chunk = fingerprint.ChunkSize

func seedOf(t *testing.T, text string) (s Seed) {
	t.Helper()
	if n, err := hex.Decode(s[:], []byte(text)); err != nil || n != len(s) {
		t.Fatalf("seed %q: %v", text, err)
	}
	return s
}

// seq gives files as Draw takes them.
func seq(files []fingerprint.File) iter.Seq2[fingerprint.File, error] {
	return func(yield func(fingerprint.File, error) bool) {
		for _, f := range files {
			if !yield(f, nil) {
				return
			}
		}
	}
}

func totalOf(files []fingerprint.File) (n uint64) {
	for _, f := range files {
		n += f.Size
	}
	return n
}

func TestVectorPositions(t *testing.T) {
	for _, w := range readVectors(t).Positions {
		got := seedOf(t, w.Seed).positions(w.Total, uint64(len(w.Positions)))
		for i := range got {
			if strconv.FormatUint(got[i], 10) != w.Positions[i] {
				t.Errorf("%s of %d: position %d is %d, want %s", w.Seed, w.Total, i, got[i], w.Positions[i])
			}
		}
	}
}

func TestVectorPlans(t *testing.T) {
	v := readVectors(t)
	for _, w := range v.Plans {
		var files []fingerprint.File
		for _, tree := range v.Trees {
			if tree.Name == w.Tree {
				for _, f := range tree.Files {
					files = append(files, fingerprint.File{Path: f.Path, Size: f.Size})
				}
			}
		}
		p, err := Draw(seq(files), w.Bytes, seedOf(t, w.Seed), w.Draws)
		if err != nil {
			t.Fatal(err)
		}
		if p.All != w.All || p.Bytes != w.Bytes || p.Files != uint64(len(files)) || p.ToRead != uint64(len(w.Chunks)) || (p.starts == nil) != w.All {
			t.Errorf("%s, %d draws: %+v", w.Tree, w.Draws, p)
			continue
		}
		// The chunks of the vector, as places in the concatenation of the files.
		var starts []uint64
		length := uint64(0)
		for _, c := range w.Chunks {
			at := uint64(0)
			for _, f := range files {
				if f.Path == c.Path {
					break
				}
				at += f.Size
			}
			starts = append(starts, at+c.Start)
			length += c.End - c.Start
		}
		if p.BytesToRead != length {
			t.Errorf("%s, %d draws: %d bytes to read, want %d", w.Tree, w.Draws, p.BytesToRead, length)
		}
		for i := range p.starts {
			if p.starts[i] != starts[i] {
				t.Errorf("%s, %d draws: chunk %d begins at %d, want %d", w.Tree, w.Draws, i, p.starts[i], starts[i])
			}
		}
	}
}

func TestDrawRefuses(t *testing.T) {
	files := []fingerprint.File{{Path: "a", Size: 10}, {Path: "b", Size: 5}}
	for _, n := range []uint64{0, MaxDraws + 1, 1 << 63} {
		if _, err := Draw(seq(files), 15, Seed{}, n); !errors.Is(err, ErrDraws) {
			t.Errorf("%d draws: %v", n, err)
		}
	}
	for _, total := range []uint64{0, 9, 10, 14, 16, 1 << 63} {
		if _, err := Draw(seq(files), total, Seed{}, 1); !errors.Is(err, fingerprint.ErrMismatch) {
			t.Errorf("%d bytes: %v, want ErrMismatch", total, err)
		}
	}
	broken := errors.New("broken")
	_, err := Draw(func(yield func(fingerprint.File, error) bool) {
		if yield(files[0], nil) {
			yield(fingerprint.File{}, broken)
		}
	}, 15, Seed{}, 1)
	if err != broken {
		t.Errorf("a broken manifest: %v", err)
	}
}

// TestAnotherSeedAnotherDraw: any change of the seed gives another draw, and the
// same seed the same one.
func TestAnotherSeedAnotherDraw(t *testing.T) {
	const total = 1 << 50
	first := Seed{}.positions(total, 4)
	for bit := range 256 {
		var s Seed
		s[bit/8] ^= 1 << (bit % 8)
		for i, p := range s.positions(total, 4) {
			if p == first[i] {
				t.Errorf("bit %d: draw %d is the same", bit, i)
			}
		}
	}
	// More draws of a seed begin with the fewer.
	for i, p := range (Seed{}).positions(total, 1000)[:4] {
		if p != first[i] {
			t.Errorf("draw %d of 1000 is %d, of 4 %d", i, p, first[i])
		}
	}
}
