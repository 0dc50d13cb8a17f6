package fingerprint

import (
	"encoding/binary"
	"math/bits"
	"sync"

	zeebo "github.com/zeebo/blake3"
	"lukechampine.com/blake3/guts"
)

// BLAKE3 is built here from the compression functions of package guts, because
// the one-shot and streaming calls of the library above them start a goroutine
// for every 16 KiB, which costs up to half the speed, and more where the callers
// are parallel already.

// blake3Batch is how many bytes guts compresses at once: 16 BLAKE3 chunks.
const blake3Batch = guts.MaxSIMD * guts.ChunkSize

// blake3Depth bounds the tree above batches: 2^50 batches are 2^64 bytes.
const blake3Depth = 50

// blake3Scratch holds batches for ends of inputs: the vector code reads a whole
// batch even where fewer bytes count.
var blake3Scratch = sync.Pool{New: func() any { return new([blake3Batch]byte) }}

// blake3Tail returns the node over the last bytes of an input, at most a batch,
// that follow the given number of batches.
func blake3Tail(p []byte, batches uint64) guts.Node {
	counter := batches * guts.MaxSIMD
	if len(p) <= guts.ChunkSize {
		return guts.CompressChunk(p, &guts.IV, counter, 0)
	}
	if len(p) == blake3Batch {
		return guts.CompressBuffer((*[blake3Batch]byte)(p), blake3Batch, &guts.IV, counter, 0)
	}
	scratch := blake3Scratch.Get().(*[blake3Batch]byte)
	n := guts.CompressBuffer(scratch, copy(scratch[:], p), &guts.IV, counter, 0)
	blake3Scratch.Put(scratch)
	return n
}

// blake3Root finishes the tree's root node.
func blake3Root(n guts.Node) (d Digest) {
	n.Flags |= guts.FlagRoot
	words := guts.CompressNode(n)
	for i := range 8 {
		binary.LittleEndian.PutUint32(d[4*i:], words[i])
	}
	return d
}

// blake3Stack holds the chaining values of complete subtrees, one per height:
// the one at height h is occupied where bit h of batches is set.
type blake3Stack struct {
	batches uint64
	cvs     [blake3Depth][8]uint32
}

// push adds a whole batch that is not the end of the input.
func (s *blake3Stack) push(p *[blake3Batch]byte) {
	cv := guts.ChainingValue(guts.CompressBuffer(p, blake3Batch, &guts.IV, s.batches*guts.MaxSIMD, 0))
	h := 0
	for ; s.batches&(1<<h) != 0; h++ {
		cv = guts.ChainingValue(guts.ParentNode(s.cvs[h], cv, &guts.IV, 0))
	}
	s.cvs[h] = cv
	s.batches++
}

// sum returns the hash of the batches pushed followed by p, which is at most a
// batch, and empty only if the whole input is. The stack stays as it is.
func (s *blake3Stack) sum(p []byte) Digest {
	n := blake3Tail(p, s.batches)
	for left := s.batches; left != 0; left &= left - 1 {
		n = guts.ParentNode(s.cvs[bits.TrailingZeros64(left)], guts.ChainingValue(n), &guts.IV, 0)
	}
	return blake3Root(n)
}

// Between these lengths zeebo's kernel is the faster one, by up to 1.5 times:
// guts hashes the last, partial chunk of an input apart and without vectors,
// which counts there. See BenchmarkSum and BenchmarkSumZeebo.
const (
	zeeboFrom = 2*guts.ChunkSize + 1
	zeeboTo   = 8 * guts.ChunkSize
)

func blake3Sum(p []byte) Digest {
	if len(p) >= zeeboFrom && len(p) <= zeeboTo {
		return zeebo.Sum256(p)
	}
	if len(p) <= blake3Batch {
		return blake3Root(blake3Tail(p, 0))
	}
	return blake3SumLong(p)
}

// blake3SumLong is apart from blake3Sum so that short inputs do not pay for
// clearing the stack.
func blake3SumLong(p []byte) Digest {
	var s blake3Stack
	for ; len(p) > blake3Batch; p = p[blake3Batch:] {
		s.push((*[blake3Batch]byte)(p))
	}
	return s.sum(p)
}

// blake3Hasher implements hash.Hash. Its zero value is ready.
type blake3Hasher struct {
	stack blake3Stack
	buf   [blake3Batch]byte
	n     int // bytes in buf; a full buf waits, as it may be the end of the input
}

func (h *blake3Hasher) Write(p []byte) (int, error) {
	written := len(p)
	if h.n > 0 {
		k := copy(h.buf[h.n:], p)
		h.n += k
		p = p[k:]
		if len(p) == 0 {
			return written, nil
		}
		h.stack.push(&h.buf)
		h.n = 0
	}
	for ; len(p) > blake3Batch; p = p[blake3Batch:] {
		h.stack.push((*[blake3Batch]byte)(p))
	}
	h.n = copy(h.buf[:], p)
	return written, nil
}

func (h *blake3Hasher) Sum(b []byte) []byte {
	d := h.stack.sum(h.buf[:h.n])
	return append(b, d[:]...)
}

func (h *blake3Hasher) Reset()         { h.stack.batches, h.n = 0, 0 }
func (h *blake3Hasher) Size() int      { return len(Digest{}) }
func (h *blake3Hasher) BlockSize() int { return guts.BlockSize }
