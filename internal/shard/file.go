package shard

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
	"math/bits"
	"slices"
	"unicode/utf8"

	"github.com/stele-ml/stele/fingerprint"
)

// magic begins a shard file.
const magic = "stele shard v1\n"

const (
	// MaxRules is the most ignore rules, as in docs/formats/ignore.md.
	MaxRules = 256
	// MaxRule is the most bytes that one of them may have.
	MaxRule = 1024
)

// The flags of a header.
const (
	flagListed = 1 << iota
	flagSingle
)

// Header is what a shard file says of the scan that it is a part of.
type Header struct {
	Part
	Listing Listing
	Rules   []string // the ignore rules in force
	Listed  bool     // the files of a list, without rules
	Single  bool     // the root was one file
}

// check refuses a header that no scan has.
func (h *Header) check() error {
	switch {
	case !h.Valid():
		return fmt.Errorf("%w: shard %d of %d", fingerprint.ErrFormat, h.Index, h.Count)
	case len(h.Rules) > MaxRules:
		return fmt.Errorf("%w: %d rules, more than %d", fingerprint.ErrFormat, len(h.Rules), MaxRules)
	case h.Listed && len(h.Rules) > 0:
		return fmt.Errorf("%w: a list of files with rules", fingerprint.ErrFormat)
	}
	for _, r := range h.Rules {
		if len(r) == 0 || len(r) > MaxRule || !utf8.ValidString(r) {
			return fmt.Errorf("%w: a rule of %d bytes", fingerprint.ErrFormat, len(r))
		}
	}
	return nil
}

func (h *Header) append(b []byte) []byte {
	var flags byte
	if h.Listed {
		flags |= flagListed
	}
	if h.Single {
		flags |= flagSingle
	}
	b = append(append(b, magic...), flags)
	b = binary.BigEndian.AppendUint32(b, h.Index)
	b = binary.BigEndian.AppendUint32(b, h.Count)
	b = binary.BigEndian.AppendUint64(b, h.Listing.Files)
	b = append(b, h.Listing.Digest[:]...)
	b = binary.AppendUvarint(b, uint64(len(h.Rules)))
	for _, r := range h.Rules {
		b = append(binary.AppendUvarint(b, uint64(len(r))), r...)
	}
	sum := sha256.Sum256(b)
	return append(b, sum[:]...)
}

// Write writes a shard file: docs/formats/shard.md. manifest is that of the
// part's files and is copied as it is; it is checked when the parts are merged.
func Write(w io.Writer, h Header, manifest io.Reader) error {
	if err := h.check(); err != nil {
		return fmt.Errorf("write shard: %w", err)
	}
	if _, err := w.Write(h.append(nil)); err != nil {
		return fmt.Errorf("write shard: %w", err)
	}
	if _, err := io.Copy(w, manifest); err != nil {
		return fmt.Errorf("write shard: %w", err)
	}
	return nil
}

// Reader reads a shard file.
type Reader struct {
	Header
	Manifest *fingerprint.Reader // of the part's files
}

// NewReader reads the header of a shard file. The classes of error are those of
// package fingerprint. What is read of r is buffered.
func NewReader(r io.Reader) (*Reader, error) {
	s, err := newReader(r)
	if err != nil {
		return nil, fmt.Errorf("read shard: %w", err)
	}
	return s, nil
}

func newReader(from io.Reader) (*Reader, error) {
	r := &headReader{r: bufio.NewReader(from), hash: sha256.New()}
	s := new(Reader)
	if got := r.bytes(len(magic)); r.err == nil && string(got) != magic {
		return nil, fmt.Errorf("%w: it does not begin with %q", fingerprint.ErrFormat, magic)
	}
	flags := r.bytes(1)[0]
	s.Listed, s.Single = flags&flagListed != 0, flags&flagSingle != 0
	s.Index, s.Count = binary.BigEndian.Uint32(r.bytes(4)), binary.BigEndian.Uint32(r.bytes(4))
	s.Listing.Files = binary.BigEndian.Uint64(r.bytes(8))
	s.Listing.Digest = fingerprint.Digest(r.bytes(len(s.Listing.Digest)))
	for n := r.uvarint(MaxRules); n > 0 && r.err == nil; n-- {
		s.Rules = append(s.Rules, string(r.bytes(int(r.uvarint(MaxRule)))))
	}
	sum := r.hash.Sum(nil)
	check := r.bytes(sha256.Size)
	switch {
	case r.err != nil:
		return nil, r.err
	case !bytes.Equal(check, sum):
		return nil, fmt.Errorf("the digest of its header %w: it is damaged", fingerprint.ErrMismatch)
	case flags&^(flagListed|flagSingle) != 0:
		return nil, fmt.Errorf("%w: unknown flags %#x", fingerprint.ErrFormat, flags)
	}
	if err := s.check(); err != nil {
		return nil, err
	}
	var err error
	s.Manifest, err = fingerprint.NewReader(r.r, fingerprint.Fingerprint{})
	return s, err
}

// headReader reads a header. Its first error stays; reads after it give zeros.
type headReader struct {
	r    *bufio.Reader
	hash hash.Hash // of what was read
	err  error
}

func (r *headReader) bytes(n int) []byte {
	b := make([]byte, n)
	if r.err != nil {
		return b
	}
	if _, err := io.ReadFull(r.r, b); err != nil {
		clear(b)
		if r.err = err; errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			r.err = fmt.Errorf("%w: in its header", fingerprint.ErrTruncated)
		}
		return b
	}
	r.hash.Write(b)
	return b
}

// uvarint reads a minimal unsigned LEB128 number of at most limit.
func (r *headReader) uvarint(limit uint64) uint64 {
	var v uint64
	n := 0
	for last := byte(0x80); last >= 0x80 && r.err == nil; n++ {
		if n == binary.MaxVarintLen32 {
			break
		}
		last = r.bytes(1)[0]
		v |= uint64(last&0x7f) << (7 * n)
	}
	if r.err == nil && (v > limit || n != (bits.Len64(v|1)+6)/7) {
		r.err = fmt.Errorf("%w: a number over %d, or in more bytes than it needs", fingerprint.ErrFormat, limit)
	}
	if r.err != nil {
		return 0
	}
	return v
}

// sameScan reports whether two headers are of one scan.
func (h *Header) sameScan(o *Header) bool {
	return h.Count == o.Count && h.Listing == o.Listing && slices.Equal(h.Rules, o.Rules) && h.Listed == o.Listed && h.Single == o.Single
}
