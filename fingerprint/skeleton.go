package fingerprint

import (
	"errors"
	"io"
	"iter"
)

var errSkeleton = errors.New("not built yet")

type Summary struct {
	Files, Bytes uint64
	Root         Digest
}

func (s Summary) Fingerprint(a Algorithm) Fingerprint { return Fingerprint{} }

type Tree struct{}

func NewTree(a Algorithm) *Tree               { return nil }
func (t *Tree) Add(f File) error              { return errSkeleton }
func (t *Tree) Summary() (Summary, error)     { return Summary{}, errSkeleton }
func (a Algorithm) chunkRoot([]Digest) Digest { return Digest{} }

type WriterOptions struct{ PlainSHA256 bool }
type Writer struct{}

func NewWriter(w io.Writer, a Algorithm, opts WriterOptions) *Writer { return nil }
func (w *Writer) Add(f File) error                                   { return errSkeleton }
func (w *Writer) Close() (Summary, error)                            { return Summary{}, errSkeleton }

type Reader struct{}

func NewReader(r io.Reader, want Fingerprint) (*Reader, error) { return nil, errSkeleton }
func (r *Reader) Next() (File, error)                          { return File{}, errSkeleton }
func (r *Reader) All() iter.Seq2[File, error]                  { return nil }
func (r *Reader) Algorithm() Algorithm                         { return 0 }
func (r *Reader) PlainSHA256() bool                            { return false }
func (r *Reader) Summary() Summary                             { return Summary{} }
func (r *Reader) Fingerprint() Fingerprint                     { return Fingerprint{} }

type Range struct {
	Start uint64 `json:"start"`
	End   uint64 `json:"end"`
}

const (
	Modified = "modified"
	Added    = "added"
	Removed  = "removed"
	Moved    = "moved"
	Renamed  = "renamed"
)

type Change struct {
	Path    string  `json:"path"`
	Change  string  `json:"change"`
	From    string  `json:"from,omitempty"`
	OldSize uint64  `json:"oldSize"`
	NewSize uint64  `json:"newSize"`
	Ranges  []Range `json:"ranges,omitempty"`
}

type Counts struct {
	Same          uint64 `json:"same"`
	Modified      uint64 `json:"modified"`
	Added         uint64 `json:"added"`
	Removed       uint64 `json:"removed"`
	Moved         uint64 `json:"moved"`
	Renamed       uint64 `json:"renamed"`
	SameBytes     uint64 `json:"sameBytes"`
	ModifiedBytes uint64 `json:"modifiedBytes"`
	AddedBytes    uint64 `json:"addedBytes"`
	RemovedBytes  uint64 `json:"removedBytes"`
	MovedBytes    uint64 `json:"movedBytes"`
	MovesCut      bool   `json:"movesCut,omitempty"`
}

func (c Counts) Equal() bool { return false }

func Diff(old, new iter.Seq2[File, error], emit func(Change) error) (Counts, error) {
	return Counts{}, errSkeleton
}

type PathProof struct{}
type PathResult struct {
	Present bool
	Index   uint64
	File    File
}

func ProvePath(a Algorithm, files iter.Seq2[File, error], path string) (*PathProof, error) {
	return nil, errSkeleton
}
func (p *PathProof) Path() string                              { return "" }
func (p *PathProof) Verify(fp Fingerprint) (PathResult, error) { return PathResult{}, errSkeleton }
func (p *PathProof) MarshalBinary() ([]byte, error)            { return nil, errSkeleton }
func (p *PathProof) UnmarshalBinary(data []byte) error         { return errSkeleton }
func (p *PathProof) Disclosed() []string                       { return nil }

type RangeProof struct{}

func ProveRange(a Algorithm, f File, start, end uint64) (*RangeProof, error) { return nil, errSkeleton }
func (p *RangeProof) Range() Range                                           { return Range{} }
func (p *RangeProof) Covering() Range                                        { return Range{} }
func (p *RangeProof) Verify(a Algorithm, size uint64, digest Digest, data []byte) error {
	return errSkeleton
}
func (p *RangeProof) MarshalBinary() ([]byte, error)    { return nil, errSkeleton }
func (p *RangeProof) UnmarshalBinary(data []byte) error { return errSkeleton }

type Member struct {
	Prefix       string
	Fingerprint  Fingerprint
	Files, Bytes uint64
}

func Collection(a Algorithm, members []Member) (Fingerprint, error) {
	return Fingerprint{}, errSkeleton
}
func MarshalCollection(a Algorithm, members []Member) ([]byte, error) { return nil, errSkeleton }
func ParseCollection(data []byte) (Algorithm, []Member, error)        { return 0, nil, errSkeleton }
