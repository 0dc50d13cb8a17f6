package fingerprint

import (
	"encoding/binary"
	"fmt"
)

// rangeProofDomain begins a range proof.
const rangeProofDomain = "stele range proof v1\n"

// MaxRangeProof is the most bytes that a range proof may have: two hashes for
// each level but the first of a tree over 2^28 chunks.
const MaxRangeProof = len(rangeProofDomain) + 1 + 3*8 + 2*27*len(Digest{})

// RangeProof shows that some bytes are those of a file at a given place:
// docs/formats/range-proof.md. It proves nothing until Verify has returned no
// error.
type RangeProof struct {
	algorithm Algorithm
	size      uint64
	want      Range
	hashes    []Digest
}

// ProveRange makes the proof for the bytes from start up to but not including
// end of a file, which must have its chunk digests if it is over ChunkSize
// (ErrFormat). An empty range, or one outside the file, is ErrRange.
func ProveRange(a Algorithm, f File, start, end uint64) (*RangeProof, error) {
	mustBeValid(a)
	if err := f.check(a); err != nil {
		return nil, fmt.Errorf("prove range: %w", err)
	}
	if f.Size > ChunkSize && len(f.Chunks) == 0 {
		return nil, fmt.Errorf("prove range: file %s: %w: no chunk digests", quote(f.Path), ErrFormat)
	}
	if start >= end || end > f.Size {
		return nil, fmt.Errorf("prove range: file %s: %w: %d to %d of %d bytes", quote(f.Path), ErrRange, start, end, f.Size)
	}
	p := &RangeProof{algorithm: a, size: f.Size, want: Range{start, end}}
	p.outside(func(lo, hi uint64) {
		p.hashes = append(p.hashes, a.chunkRoot(f.Chunks[lo:hi]))
	})
	return p, nil
}

// Range returns the bytes in question.
func (p *RangeProof) Range() Range { return p.want }

// Size returns the size of the file that the proof says it is about.
func (p *RangeProof) Size() uint64 { return p.size }

// Covering returns the bytes that Verify must be given: the whole chunks that
// cover Range.
func (p *RangeProof) Covering() Range {
	first, last := p.chunks()
	return Range{first * ChunkSize, min(last*ChunkSize, p.size)}
}

// chunks returns the covering chunks, the last exclusive.
func (p *RangeProof) chunks() (first, last uint64) {
	return p.want.Start / ChunkSize, ChunkCount(p.want.End)
}

// outside calls visit, from left to right, for each greatest subtree of chunks
// outside the covering ones. A file of one chunk has none.
func (p *RangeProof) outside(visit func(lo, hi uint64)) {
	first, last := p.chunks()
	walkChunks(0, ChunkCount(p.size), func(lo, hi uint64) (down bool) {
		if hi <= first || lo >= last {
			visit(lo, hi)
			return false
		}
		return lo < first || hi > last
	})
}

// walkChunks visits the tree over the chunks lo to hi from the root down, the
// left side first. It goes down from a subtree where visit says so.
func walkChunks(lo, hi uint64, visit func(lo, hi uint64) bool) {
	if !visit(lo, hi) {
		return
	}
	k := splitPoint(hi - lo)
	walkChunks(lo, lo+k, visit)
	walkChunks(lo+k, hi, visit)
}

// Verify checks that data, exactly the bytes of Covering, are those of the file
// whose size and digest are known from elsewhere, a [PathProof] or a manifest.
// What does not hold is ErrMismatch.
func (p *RangeProof) Verify(a Algorithm, size uint64, digest Digest, data []byte) error {
	cover := p.Covering()
	switch {
	case !p.algorithm.Valid():
		return fmt.Errorf("range proof: %w: %v", ErrFormat, p.algorithm)
	case p.algorithm != a:
		return fmt.Errorf("range proof: its hash %v %w %v", p.algorithm, ErrMismatch, a)
	case p.size != size:
		return fmt.Errorf("range proof: its file's size %w: %d, not %d", ErrMismatch, p.size, size)
	case uint64(len(data)) != cover.Len():
		return fmt.Errorf("range proof: the data's length %w: %d bytes, where %d to %d are %d", ErrMismatch, len(data), cover.Start, cover.End, cover.Len())
	}
	var got Digest
	if size <= ChunkSize {
		got = a.Sum(data)
	} else {
		hashes := p.hashes
		root, err := p.root(0, ChunkCount(size), &hashes, &data)
		if err != nil {
			return err
		}
		if len(hashes) != 0 {
			return fmt.Errorf("range proof: %w: hashes are left over", ErrFormat)
		}
		got = a.fileDigest(size, root)
	}
	if got != digest {
		return fmt.Errorf("range proof: bytes %d to %d: the file's digest %w", cover.Start, cover.End, ErrMismatch)
	}
	return nil
}

// root computes the root over the chunks lo to hi, taking those outside from
// hashes and those inside from data.
func (p *RangeProof) root(lo, hi uint64, hashes *[]Digest, data *[]byte) (Digest, error) {
	first, last := p.chunks()
	switch {
	case hi <= first || lo >= last:
		if len(*hashes) == 0 {
			return Digest{}, fmt.Errorf("range proof: %w: too few hashes", ErrFormat)
		}
		h := (*hashes)[0]
		*hashes = (*hashes)[1:]
		return h, nil
	case hi-lo == 1:
		n := ChunkLen(p.size, lo)
		chunk := p.algorithm.Sum((*data)[:n])
		*data = (*data)[n:]
		return p.algorithm.chunkLeaf(&chunk), nil
	}
	k := splitPoint(hi - lo)
	left, err := p.root(lo, lo+k, hashes, data)
	if err != nil {
		return Digest{}, err
	}
	right, err := p.root(lo+k, hi, hashes, data)
	if err != nil {
		return Digest{}, err
	}
	return p.algorithm.chunkNode(&left, &right), nil
}

// MarshalBinary returns the proof's only encoding.
func (p *RangeProof) MarshalBinary() ([]byte, error) {
	if !p.algorithm.Valid() {
		return nil, fmt.Errorf("range proof: %w: %v", ErrFormat, p.algorithm)
	}
	b := append([]byte(rangeProofDomain), byte(p.algorithm))
	b = binary.BigEndian.AppendUint64(b, p.size)
	b = binary.BigEndian.AppendUint64(b, p.want.Start)
	b = binary.BigEndian.AppendUint64(b, p.want.End)
	for i := range p.hashes {
		b = append(b, p.hashes[i][:]...)
	}
	return b, nil
}

// UnmarshalBinary reads what MarshalBinary writes and nothing else. It keeps
// nothing of data. Errors are ErrFormat and ErrTruncated. What it has read is
// not verified.
func (p *RangeProof) UnmarshalBinary(data []byte) error {
	d := decoder{what: "range proof", data: data}
	d.domain(rangeProofDomain)
	var q RangeProof
	q.algorithm = d.algorithm()
	q.size = d.u64()
	q.want = Range{d.u64(), d.u64()}
	if q.size > MaxFileSize {
		d.fail(ErrFormat, fmt.Sprintf("a file of %d bytes, more than %d", q.size, uint64(MaxFileSize)))
	}
	if q.want.Start >= q.want.End || q.want.End > q.size {
		d.fail(ErrFormat, fmt.Sprintf("bytes %d to %d of %d", q.want.Start, q.want.End, q.size))
	}
	if d.err != nil {
		return d.err
	}
	q.outside(func(_, _ uint64) { q.hashes = append(q.hashes, d.digest()) })
	if err := d.end(); err != nil {
		return err
	}
	*p = q
	return nil
}
