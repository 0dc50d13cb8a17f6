package shard

import (
	"container/heap"
	"fmt"
	"io"
	"iter"

	"github.com/stele-ml/stele/fingerprint"
)

// Merge joins the parts of one scan, given in any order, into the files that one
// scan would have given, in path order.
//
// Parts that are missing, given twice, or of different scans (another listing,
// other rules, another hash) are ErrParts at once. A file in a part that it does
// not belong to, and files that are not together what was listed, are ErrParts
// too, the latter at the end: what was passed on counts only once that has been
// reached without an error. An error is the last pair.
func Merge(parts []*Reader) iter.Seq2[fingerprint.File, error] {
	return func(yield func(fingerprint.File, error) bool) {
		if err := merge(parts, yield); err != nil {
			yield(fingerprint.File{}, fmt.Errorf("merge shards: %w", err))
		}
	}
}

// CheckParts refuses parts that cannot be merged, by their headers alone.
func CheckParts(parts []*Reader) error {
	if len(parts) == 0 {
		return fmt.Errorf("%w: there is none", ErrParts)
	}
	first := parts[0]
	have := make(map[uint32]bool, len(parts))
	for _, p := range parts {
		switch {
		case p.Count != first.Count:
			return fmt.Errorf("%w: shard %v beside shard %v", ErrParts, p.Part, first.Part)
		case have[p.Index]:
			return fmt.Errorf("%w: shard %v is there twice", ErrParts, p.Part)
		case p.Listing != first.Listing:
			return fmt.Errorf("%w: shards %v and %v did not list the same files (%d and %d): something came or went between them", ErrParts, first.Part, p.Part, first.Listing.Files, p.Listing.Files)
		case !p.sameScan(&first.Header):
			return fmt.Errorf("%w: shards %v and %v had other ignore rules", ErrParts, first.Part, p.Part)
		case p.Manifest.Algorithm() != first.Manifest.Algorithm() || p.Manifest.PlainSHA256() != first.Manifest.PlainSHA256():
			return fmt.Errorf("%w: shards %v and %v had another hash", ErrParts, first.Part, p.Part)
		}
		have[p.Index] = true
	}
	for i := range first.Count {
		if !have[i] {
			return fmt.Errorf("%w: shard %v is missing", ErrParts, Part{i, first.Count})
		}
	}
	return nil
}

func merge(parts []*Reader, yield func(fingerprint.File, error) bool) error {
	if err := CheckParts(parts); err != nil {
		return err
	}
	var q queue
	for _, p := range parts {
		head := &head{part: p}
		if more, err := head.next(); err != nil {
			return err
		} else if more {
			q = append(q, head)
		}
	}
	heap.Init(&q)
	l := NewLister()
	for len(q) > 0 {
		f := q[0].file
		l.Add(f.Path)
		if !yield(f, nil) {
			return nil
		}
		if more, err := q[0].next(); err != nil {
			return err
		} else if more {
			heap.Fix(&q, 0)
		} else {
			heap.Pop(&q)
		}
	}
	if got, want := l.Listing(), parts[0].Listing; got != want {
		return fmt.Errorf("%w: they have %d files and not exactly the %d that were listed", ErrParts, got.Files, want.Files)
	}
	return nil
}

// head is the next file of a part.
type head struct {
	part *Reader
	file fingerprint.File
}

// next goes to the part's next file, and reports whether there is one.
func (h *head) next() (bool, error) {
	f, err := h.part.Manifest.Next()
	if err == io.EOF {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("shard %v: %w", h.part.Part, err)
	}
	if !h.part.Holds(f.Path) {
		return false, fmt.Errorf("%w: %.200q is not of shard %v", ErrParts, f.Path, h.part.Part)
	}
	h.file = f
	return true, nil
}

// queue has the part with the smallest path in front. No two have the same: a
// path belongs to one part.
type queue []*head

func (q queue) Len() int           { return len(q) }
func (q queue) Less(i, j int) bool { return q[i].file.Path < q[j].file.Path }
func (q queue) Swap(i, j int)      { q[i], q[j] = q[j], q[i] }
func (q *queue) Push(x any)        { *q = append(*q, x.(*head)) }
func (q *queue) Pop() any {
	old := *q
	last := old[len(old)-1]
	*q = old[:len(old)-1]
	return last
}
