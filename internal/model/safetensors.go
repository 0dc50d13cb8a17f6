package model

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/stele-ml/stele/internal/strictjson"
)

const (
	// MaxFormatHeader is the longest safetensors header, in bytes, that the
	// format has (100 MB, as its reference implementation reads it).
	MaxFormatHeader = 100_000_000
	// MaxHeader is the longest that is read here. A header takes about a hundred
	// bytes a tensor; the largest open models have some ten thousand tensors.
	MaxHeader = 16 << 20
	// headerDepth: the header's object, a tensor's object, its shape.
	headerDepth = 3
	// headerStart is what precedes the header: its length, 8 bytes, little-endian.
	headerStart = 8
	// metadataName is the member of a header that is no tensor.
	metadataName = "__metadata__"
	// sizeLimit is more than any file is: what offsets and sizes are held below,
	// so that sums of two of them cannot run over.
	sizeLimit = 1 << 62
)

// Tensor is one tensor of a safetensors file, as its header describes it.
type Tensor struct {
	Name   string
	Type   string   // F32, BF16, …
	Shape  []uint64 // none: a scalar
	Offset uint64   // of its first byte in the file
	Size   uint64   // in bytes
	Count  uint64   // elements
}

// Header is what the header of a safetensors file says.
type Header struct {
	Tensors  []Tensor          // in the order of their bytes
	Metadata map[string]string // free text of whoever wrote it; nil: none
}

type headerTensor struct {
	Type    string   `json:"dtype"`
	Shape   []uint64 `json:"shape"`
	Offsets []uint64 `json:"data_offsets"`
}

// ReadHeader reads the header of a safetensors file of size bytes, and nothing
// else of it. The header must account for every byte of the file: tensors that
// overlap, leave a gap, or end before or after the file are [ErrMalformed], as
// are sizes that do not fit shape and type. A header of more than [MaxHeader]
// is [ErrTooLarge].
func ReadHeader(r io.ReaderAt, size uint64) (*Header, error) {
	var start [headerStart]byte
	if size < headerStart {
		return nil, fmt.Errorf("safetensors: %w: %d bytes, and the header's length alone takes %d", ErrMalformed, size, headerStart)
	}
	if size >= sizeLimit {
		return nil, fmt.Errorf("safetensors: %w: a file of %d bytes", ErrTooLarge, size)
	}
	if err := readFull(r, start[:], 0); err != nil {
		return nil, err
	}
	n := binary.LittleEndian.Uint64(start[:])
	switch {
	case n > MaxFormatHeader:
		return nil, fmt.Errorf("safetensors: %w: a header of %d bytes; the format has at most %d", ErrMalformed, n, MaxFormatHeader)
	case n > size-headerStart:
		return nil, fmt.Errorf("safetensors: %w: a header of %d bytes in a file of %d", ErrMalformed, n, size)
	case n > MaxHeader:
		return nil, fmt.Errorf("safetensors: %w: a header of %d bytes; at most %d are read", ErrTooLarge, n, MaxHeader)
	}
	text := make([]byte, n)
	if err := readFull(r, text, headerStart); err != nil {
		return nil, err
	}
	return parseHeader(text, size-headerStart-n)
}

// parseHeader parses the header's text, for a file with so many bytes after it.
func parseHeader(text []byte, after uint64) (*Header, error) {
	if len(text) == 0 || text[0] != '{' {
		return nil, fmt.Errorf("safetensors: %w: the header does not begin with '{'", ErrMalformed)
	}
	var members map[string]strictjson.Raw
	if err := strictjson.Unmarshal(text, &members, MaxHeader, headerDepth); err != nil {
		return nil, fmt.Errorf("safetensors: %w: header: %w", ErrMalformed, err)
	}
	h := new(Header)
	if raw, ok := members[metadataName]; ok {
		if err := strictjson.Unmarshal(raw, &h.Metadata, MaxHeader, headerDepth); err != nil {
			return nil, fmt.Errorf("safetensors: %w: %s: %w", ErrMalformed, metadataName, err)
		}
		delete(members, metadataName)
	}
	base := headerStart + uint64(len(text))
	h.Tensors = make([]Tensor, 0, len(members))
	for _, name := range slices.Sorted(maps.Keys(members)) {
		t, err := parseTensor(name, members[name], base, after)
		if err != nil {
			return nil, fmt.Errorf("safetensors: %w: tensor %s: %w", ErrMalformed, quote(name), err)
		}
		h.Tensors = append(h.Tensors, t)
	}
	slices.SortStableFunc(h.Tensors, func(a, b Tensor) int {
		return cmp.Or(cmp.Compare(a.Offset, b.Offset), cmp.Compare(a.Size, b.Size))
	})
	next := base
	for _, t := range h.Tensors {
		if t.Offset != next {
			what := "overlaps the one before it"
			if t.Offset > next {
				what = "leaves a gap before it"
			}
			return nil, fmt.Errorf("safetensors: %w: tensor %s %s: it begins at byte %d, and the last ended at %d",
				ErrMalformed, quote(t.Name), what, t.Offset-base, next-base)
		}
		next += t.Size
	}
	if next != base+after {
		return nil, fmt.Errorf("safetensors: %w: the tensors take %d bytes of the %d after the header", ErrMalformed, next-base, after)
	}
	return h, nil
}

func parseTensor(name string, raw strictjson.Raw, base, after uint64) (Tensor, error) {
	var in headerTensor
	if err := strictjson.Unmarshal(raw, &in, MaxHeader, headerDepth); err != nil {
		return Tensor{}, err
	}
	rank := typeRank(in.Type)
	switch {
	case rank < 0:
		return Tensor{}, fmt.Errorf("data type %s is not known", quote(in.Type))
	case in.Shape == nil:
		return Tensor{}, errors.New("no shape")
	case len(in.Offsets) != 2:
		return Tensor{}, fmt.Errorf("%d data offsets, not 2", len(in.Offsets))
	case in.Offsets[0] > in.Offsets[1]:
		return Tensor{}, fmt.Errorf("ends at byte %d before it begins at %d", in.Offsets[1], in.Offsets[0])
	case in.Offsets[1] > after:
		return Tensor{}, fmt.Errorf("ends at byte %d of %d", in.Offsets[1], after)
	}
	count, ok := elements(in.Shape)
	if !ok {
		return Tensor{}, errors.New("its shape has more elements than can be counted")
	}
	want, ok := sizeOf(count, rank)
	if size := in.Offsets[1] - in.Offsets[0]; !ok || want != size {
		return Tensor{}, fmt.Errorf("%d elements of %s are not %d bytes", count, in.Type, size)
	}
	return Tensor{Name: name, Type: in.Type, Shape: in.Shape, Offset: base + in.Offsets[0], Size: want, Count: count}, nil
}

// readFull reads exactly len(p) bytes at an offset that the file has: one that
// ends before is not the file whose size was given.
func readFull(r io.ReaderAt, p []byte, off int64) error {
	n, err := r.ReadAt(p, off)
	switch {
	case n == len(p):
		return nil
	case err == nil || errors.Is(err, io.EOF):
		return fmt.Errorf("%w: the file ends at byte %d", ErrMalformed, off+int64(n))
	}
	return err
}

// quote makes a name of somebody else's fit for a message.
func quote(name string) string {
	const longest = 80
	if len(name) > longest {
		return fmt.Sprintf("%+q…", name[:longest])
	}
	return fmt.Sprintf("%+q", name)
}
