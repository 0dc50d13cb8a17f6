package model

import (
	"errors"
	"io"
)

const (
	// blockSize is how many bytes one look into a file reads. A bucket is asked
	// once for each.
	blockSize = 64 << 10
	// maxBlocks is how many blocks of one file are looked at, besides a
	// safetensors header.
	maxBlocks = 64
	// fewBlocks is how many are of a file that is what its name says, to see
	// whether it is something else as well.
	fewBlocks = 4
)

// errEnough: a file has had its share of looking.
var errEnough = errors.New("no more of this file is looked at")

// probe reads a file in whole blocks, each but once in a row, and only so many.
// The errors of the file itself are kept apart from what readers of formats
// make of them.
type probe struct {
	r     io.ReaderAt
	size  uint64
	at    int64 // of block; -1: none
	block []byte
	left  int
	err   error // the first that reading met
}

func newProbe(r io.ReaderAt, size uint64) *probe {
	return &probe{r: r, size: size, at: -1, left: maxBlocks}
}

// ReadAt is io.ReaderAt's.
func (p *probe) ReadAt(b []byte, off int64) (n int, err error) {
	if off < 0 {
		return 0, errors.New("negative offset")
	}
	for n < len(b) {
		if uint64(off) >= p.size {
			return n, io.EOF
		}
		if err := p.load(off - off%blockSize); err != nil {
			return n, err
		}
		from := int(off - p.at)
		if from >= len(p.block) {
			return n, io.EOF
		}
		c := copy(b[n:], p.block[from:])
		n += c
		off += int64(c)
	}
	return n, nil
}

// load makes the block that begins at off the current one.
func (p *probe) load(off int64) error {
	if p.at == off {
		return nil
	}
	if p.err != nil {
		return p.err
	}
	if p.left == 0 {
		return errEnough
	}
	p.left--
	if p.block == nil {
		p.block = make([]byte, blockSize)
	}
	want := min(blockSize, p.size-uint64(off))
	p.at, p.block = -1, p.block[:want]
	if p.err = readFull(p.r, p.block, off); p.err != nil {
		return p.err
	}
	p.at = off
	return nil
}

// head is the first n bytes, or all of a shorter file.
func (p *probe) head(n uint64) ([]byte, error) {
	b := make([]byte, min(n, p.size))
	_, err := p.ReadAt(b, 0)
	return b, err
}
