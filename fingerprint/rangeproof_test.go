package fingerprint

import (
	"errors"
	"math/bits"
	"testing"
)

func TestRangeProofsOfEveryChunkRange(t *testing.T) {
	r := newRand(50)
	for _, a := range algorithms {
		// Chunks are short here but for their count: the tree does not care,
		// and root is what Verify computes from chunk digests.
		for n := uint64(2); n < 20; n++ {
			f := File{Path: "f", Size: (n-1)*ChunkSize + 1}
			for range n {
				f.Chunks = append(f.Chunks, randomDigest(r))
			}
			f.Digest = a.FileDigest(f.Size, f.Chunks)
			for first := range n {
				for last := first + 1; last <= n; last++ {
					p, err := ProveRange(a, f, first*ChunkSize, min(last*ChunkSize, f.Size))
					if err != nil {
						t.Fatal(err)
					}
					// Fill the tree from the proof's hashes and the chunks.
					hashes := p.hashes
					var fill func(lo, hi uint64) Digest
					fill = func(lo, hi uint64) Digest {
						switch {
						case hi <= first || lo >= last:
							h := hashes[0]
							hashes = hashes[1:]
							return h
						case hi-lo == 1:
							return a.chunkLeaf(&f.Chunks[lo])
						}
						k := uint64(naive{}.half(int(hi - lo)))
						left := fill(lo, lo+k)
						right := fill(lo+k, hi)
						return a.chunkNode(&left, &right)
					}
					if got := a.fileDigest(f.Size, fill(0, n)); got != f.Digest || len(hashes) != 0 {
						t.Errorf("chunks %d to %d of %d: %v, %d hashes left", first, last, n, got, len(hashes))
					}
					if most := 2 * bits.Len64(n-1); len(p.hashes) > most {
						t.Errorf("chunks %d to %d of %d: %d hashes", first, last, n, len(p.hashes))
					}
				}
			}
		}
	}
}

func TestRangeProofsOverRealBytes(t *testing.T) {
	data := contents(3*ChunkSize+1234, 9)
	for _, a := range algorithms {
		for _, size := range []uint64{1, 1000, ChunkSize, ChunkSize + 1, 2 * ChunkSize, uint64(len(data))} {
			f := fileOf(a, "f", data[:size])
			for _, want := range []Range{{0, 1}, {0, size}, {size - 1, size}, {size / 2, size/2 + 1}, {size / 3, size}} {
				if want.Start >= want.End || want.End > size {
					continue
				}
				p, err := ProveRange(a, f, want.Start, want.End)
				if err != nil {
					t.Fatal(err)
				}
				enc, _ := p.MarshalBinary()
				if len(enc) > MaxRangeProof {
					t.Errorf("%d bytes", len(enc))
				}
				var q RangeProof
				if err := q.UnmarshalBinary(enc); err != nil {
					t.Fatal(err)
				}
				c := q.Covering()
				if c.Start > want.Start || c.End < want.End || c.Start%ChunkSize != 0 || c.End%ChunkSize != 0 && c.End != size {
					t.Errorf("%v of %d is covered by %v", want, size, c)
				}
				if err := q.Verify(a, size, f.Digest, data[c.Start:c.End]); err != nil {
					t.Errorf("%v of %d: %v", want, size, err)
				}
			}
		}
	}
}

func TestProveRangeErrors(t *testing.T) {
	small := fileOf(SHA256, "f", []byte("hello"))
	large := fileOf(SHA256, "f", contents(ChunkSize+1, 0))
	noChunks, lying := large, large
	noChunks.Chunks = nil
	lying.Digest = small.Digest
	for _, tt := range []struct {
		name       string
		f          File
		start, end uint64
		want       error
	}{
		{"empty", small, 2, 2, ErrRange},
		{"backwards", small, 3, 2, ErrRange},
		{"past the end", small, 0, 6, ErrRange},
		{"far past the end", small, 1 << 63, 1<<64 - 1, ErrRange},
		{"of nothing", fileOf(SHA256, "f", nil), 0, 0, ErrRange},
		{"no chunks", noChunks, 0, 1, ErrFormat},
		{"wrong digest", lying, 0, 1, ErrMismatch},
	} {
		if _, err := ProveRange(SHA256, tt.f, tt.start, tt.end); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
	var zero RangeProof
	if err := zero.Verify(SHA256, 0, Digest{}, nil); !errors.Is(err, ErrFormat) {
		t.Error(err)
	}
	if _, err := zero.MarshalBinary(); !errors.Is(err, ErrFormat) {
		t.Error(err)
	}
}

func TestRangeProofOneEncoding(t *testing.T) {
	f := fileOf(BLAKE3, "f", contents(5*ChunkSize, 1))
	p, err := ProveRange(BLAKE3, f, 2*ChunkSize, 2*ChunkSize+1)
	if err != nil {
		t.Fatal(err)
	}
	data, _ := p.MarshalBinary()
	for n := range data {
		if err := new(RangeProof).UnmarshalBinary(data[:n]); !errors.Is(err, ErrTruncated) {
			t.Errorf("cut after %d of %d bytes: %v", n, len(data), err)
		}
	}
	if err := new(RangeProof).UnmarshalBinary(append(data, data[:32]...)); !errors.Is(err, ErrFormat) {
		t.Errorf("a hash too many: %v", err)
	}
}

// The greatest file and the range with the most hashes stay within the limit.
func TestMaxRangeProof(t *testing.T) {
	p := RangeProof{algorithm: SHA256, size: MaxFileSize}
	most := 0
	for _, chunk := range []uint64{0, 1, 1<<27 - 1, 1 << 27, 1<<28 - 1, 1<<28/3 | 1, 1<<26 + 1<<25 + 1} {
		for _, last := range []uint64{chunk + 1, chunk + 2, 1<<28 - 1} {
			if chunk >= last || last > 1<<28 {
				continue
			}
			p.want = Range{chunk * ChunkSize, last * ChunkSize}
			n := 0
			p.outside(func(_, _ uint64) { n++ })
			most = max(most, n)
		}
	}
	if got := len(rangeProofDomain) + 1 + 24 + 32*most; got > MaxRangeProof || most != 54 {
		t.Errorf("%d hashes, %d bytes, more than %d", most, got, MaxRangeProof)
	}
}
