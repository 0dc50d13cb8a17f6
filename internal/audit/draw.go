package audit

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"math"
	"slices"

	"github.com/stele-ml/stele/fingerprint"
)

// MaxDraws is the most draws of one audit: they may come to 16 TiB, and take
// 128 MiB of memory. Who wants more wants every byte read.
const MaxDraws = 1 << 24

// drawDomain begins what is hashed for each drawn number.
const drawDomain = "stele audit draw v1\n"

// ErrDraws: more draws than MaxDraws were asked for, or none.
var ErrDraws = errors.New("impossible number of draws")

// Seed decides which chunks are drawn. Whoever must not choose the chunks must
// not choose the seed.
type Seed [32]byte

// positions returns n byte positions, each uniform in [0, total), in the order
// in which they are drawn.
func (s Seed) positions(total, n uint64) []uint64 {
	var block [len(drawDomain) + len(s) + 8]byte
	copy(block[:], drawDomain)
	copy(block[len(drawDomain):], s[:])
	counter := block[len(drawDomain)+len(s):]
	// The greatest number below a multiple of total: what lies above would make
	// the first positions more likely than the last.
	last := math.MaxUint64 - -total%total
	drawn := make([]uint64, 0, n)
	for i := uint64(0); uint64(len(drawn)) < n; i++ {
		binary.BigEndian.PutUint64(counter, i)
		sum := sha256.Sum256(block[:])
		if x := binary.BigEndian.Uint64(sum[:]); x <= last {
			drawn = append(drawn, x%total)
		}
	}
	return drawn
}

// Plan is which chunks of an artifact an audit reads. Make it with [Draw].
type Plan struct {
	Seed  Seed
	Draws uint64 // positions drawn; 0 if there are no bytes
	Files uint64 // of the artifact
	Bytes uint64 // of the artifact
	// Chunks is how many the artifact has: an empty file has none.
	Chunks uint64
	// All says that there are no more chunks than draws: all of them are read.
	All bool
	// ToRead is how many chunks are read, each once however often it was drawn,
	// and BytesToRead how many bytes they have.
	ToRead      uint64
	BytesToRead uint64

	starts []uint64 // of the chunks to read, in the concatenation of all files; nil if All
}

// Detection returns the probability that this plan meets an altered chunk, where
// altered, from 0 to 1, is the share of the bytes that lie in altered chunks.
func (p *Plan) Detection(altered float64) float64 {
	if p.All && altered > 0 {
		return 1
	}
	return Detection(altered, p.Draws)
}

// Draw draws chunks of the files of a manifest, in path order, which have total
// bytes together; another sum is fingerprint.ErrMismatch. It walks files once
// and needs 8 bytes of memory a draw. Draws from 1 to MaxDraws are possible;
// any other number is ErrDraws.
//
// The plan counts only if files came to its end without an error.
func Draw(files iter.Seq2[fingerprint.File, error], total uint64, seed Seed, draws uint64) (*Plan, error) {
	if draws < 1 || draws > MaxDraws {
		return nil, fmt.Errorf("draw %d chunks: %w: at least 1 and at most %d", draws, ErrDraws, uint64(MaxDraws))
	}
	p := &Plan{Seed: seed, Bytes: total}
	var drawn []uint64
	if total > 0 {
		p.Draws = draws
		drawn = seed.positions(total, draws)
		slices.Sort(drawn)
	}
	at := uint64(0) // where the file begins
	for f, err := range files {
		if err != nil {
			return nil, err
		}
		if f.Size > total-at {
			return nil, fmt.Errorf("draw chunks: %w: the files have more than %d bytes", fingerprint.ErrMismatch, total)
		}
		p.Files++
		p.Chunks += fingerprint.ChunkCount(f.Size)
		for len(drawn) > 0 && drawn[0]-at < f.Size {
			i := (drawn[0] - at) / fingerprint.ChunkSize
			n := uint64(fingerprint.ChunkLen(f.Size, i))
			start := at + i*fingerprint.ChunkSize
			p.starts = append(p.starts, start)
			p.BytesToRead += n
			for len(drawn) > 0 && drawn[0]-start < n {
				drawn = drawn[1:]
			}
		}
		at += f.Size
	}
	if at != total {
		return nil, fmt.Errorf("draw chunks: %w: the files have %d bytes, not %d", fingerprint.ErrMismatch, at, total)
	}
	p.ToRead = uint64(len(p.starts))
	if draws >= p.Chunks {
		p.All, p.starts, p.ToRead, p.BytesToRead = true, nil, p.Chunks, total
	}
	return p, nil
}
