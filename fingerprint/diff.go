package fingerprint

import (
	"cmp"
	"fmt"
	"iter"
	"slices"
)

// The words for what became of a file.
const (
	Modified = "modified" // other contents under the same path
	Added    = "added"
	Removed  = "removed"
	Moved    = "moved"   // the same contents under another path
	Renamed  = "renamed" // the same, where each side is that one file: no failure
)

// MaxMovePending is how many added and removed files [Diff] remembers to find
// the other half of a move, of the order of 200 bytes and a path each. Those
// past it are reported as added and removed, and Counts.MovesCut says so.
const MaxMovePending = 1 << 20

// Range is a range of bytes of a file, counted from 0, End exclusive.
type Range struct {
	Start uint64 `json:"start"`
	End   uint64 `json:"end"`
}

// Len returns the range's length in bytes.
func (r Range) Len() uint64 { return r.End - r.Start }

// Change is one difference between two trees.
type Change struct {
	// Path is the file's; for a move its new one.
	Path string `json:"path"`
	// Change is Modified, Added, Removed, Moved or Renamed.
	Change string `json:"change"`
	// From is the old path of a file moved or renamed.
	From string `json:"from,omitempty"`
	// OldSize and NewSize are in bytes; 0 where there is no such file.
	OldSize uint64 `json:"oldSize"`
	NewSize uint64 `json:"newSize"`
	// Ranges, for a modified file, are those outside which both are the same:
	// whole chunks, merged, up to the greater size.
	Ranges []Range `json:"ranges,omitempty"`
}

// Counts sums up the differences. Files are counted by what became of them.
type Counts struct {
	Same     uint64 `json:"same"`
	Modified uint64 `json:"modified"`
	Added    uint64 `json:"added"`
	Removed  uint64 `json:"removed"`
	Moved    uint64 `json:"moved"`
	Renamed  uint64 `json:"renamed"`

	SameBytes     uint64 `json:"sameBytes"`
	ModifiedBytes uint64 `json:"modifiedBytes"` // within the ranges of modified files
	AddedBytes    uint64 `json:"addedBytes"`
	RemovedBytes  uint64 `json:"removedBytes"`
	MovedBytes    uint64 `json:"movedBytes"` // of files moved and renamed

	// MovesCut says that MaxMovePending was met: some moves may be among the
	// added and removed.
	MovesCut bool `json:"movesCut,omitempty"`
}

// Equal reports whether both sides have the same names and bytes, but for the
// name of a single file.
func (c Counts) Equal() bool { return c.Modified+c.Added+c.Removed+c.Moved == 0 }

// Diff compares two trees, given in the order of their paths (ErrOrder) and
// under the same algorithm, which the caller has made sure of. It calls emit
// with each change: a modified file as it is met, a move as soon as both its
// halves are, and files added and removed, by path, at the end, because until
// then they may be halves of moves. Files of the same size and digest are
// paired in the order of their paths. An error from either side or from emit
// ends the comparison.
//
// Memory is bounded by the number of changes and by MaxMovePending.
func Diff(old, new iter.Seq2[File, error], emit func(Change) error) (Counts, error) {
	return diff(old, new, emit, MaxMovePending)
}

func diff(old, new iter.Seq2[File, error], emit func(Change) error, limit int) (Counts, error) {
	d := differ{emit: emit, limit: limit, heads: map[content]pendingList{}}
	d.old.name, d.new.name = "old", "new"
	var stop func()
	d.old.next, stop = iter.Pull2(old)
	defer stop()
	d.new.next, stop = iter.Pull2(new)
	defer stop()
	err := d.run()
	return d.counts, err
}

// side is one of the two trees: its current file, and how many came before.
type side struct {
	name string
	next func() (File, error, bool)
	file File
	more bool
	read uint64
}

// take returns the current file and moves on.
func (s *side) take() (File, error) {
	f := s.file
	return f, s.advance()
}

func (s *side) advance() error {
	f, err, ok := s.next()
	if err != nil {
		return fmt.Errorf("compare: %s side: %w", s.name, err)
	}
	if s.more = ok; !ok {
		s.file = File{}
		return nil
	}
	if err := checkOrder(s.read, s.file.Path, f.Path); err != nil {
		return fmt.Errorf("compare: %s side: %w", s.name, err)
	}
	s.file = f
	s.read++
	return nil
}

// content is what a move keeps.
type content struct {
	size   uint64
	digest Digest
}

// pending is a file seen on one side only, so far.
type pending struct {
	content content
	path    string
	removed bool
	next    int32 // of the same content; -1: none
}

// pendingList is a queue of pending files of one content, all of one side.
type pendingList struct{ head, tail int32 }

type differ struct {
	old, new side
	emit     func(Change) error
	limit    int // of pending files
	counts   Counts
	files    []pending // paired ones have an empty path and are reused
	free     []int32
	heads    map[content]pendingList
}

func (d *differ) run() error {
	if err := d.old.advance(); err != nil {
		return err
	}
	if err := d.new.advance(); err != nil {
		return err
	}
	for d.old.more || d.new.more {
		if err := d.one(); err != nil {
			return err
		}
	}
	return d.rest()
}

// one deals with the smaller of the two current paths. Both sides have moved on
// past it when it is judged, so that a side's end is known then.
func (d *differ) one() error {
	order := cmp.Compare(d.old.file.Path, d.new.file.Path)
	switch {
	case !d.new.more || d.old.more && order < 0:
		f, err := d.old.take()
		if err != nil {
			return err
		}
		return d.single(&f, true)
	case !d.old.more || order > 0:
		f, err := d.new.take()
		if err != nil {
			return err
		}
		return d.single(&f, false)
	}
	was, err := d.old.take()
	if err != nil {
		return err
	}
	is, err := d.new.take()
	if err != nil {
		return err
	}
	if was.Size == is.Size && was.Digest == is.Digest {
		d.counts.Same++
		d.counts.SameBytes += is.Size
		return nil
	}
	c := Change{Path: is.Path, Change: Modified, OldSize: was.Size, NewSize: is.Size, Ranges: changedRanges(&was, &is)}
	d.counts.Modified++
	for _, r := range c.Ranges {
		d.counts.ModifiedBytes += r.Len()
	}
	return d.emit(c)
}

// single deals with a file that one side alone has: it is half a move if the
// other side has the same contents waiting, and waits itself if not.
func (d *differ) single(f *File, removed bool) error {
	c := content{f.Size, f.Digest}
	list, ok := d.heads[c]
	if ok && d.files[list.head].removed != removed {
		other := d.unlink(c, list)
		if removed {
			return d.moved(f.Path, other, f.Size)
		}
		return d.moved(other, f.Path, f.Size)
	}
	if len(d.files)-len(d.free) >= d.limit {
		d.counts.MovesCut = true
		return d.alone(f.Path, f.Size, removed)
	}
	p := pending{content: c, path: f.Path, removed: removed, next: -1}
	var at int32
	if n := len(d.free); n > 0 {
		at, d.free = d.free[n-1], d.free[:n-1]
		d.files[at] = p
	} else {
		at = int32(len(d.files))
		d.files = append(d.files, p)
	}
	if ok {
		d.files[list.tail].next = at
		d.heads[c] = pendingList{list.head, at}
	} else {
		d.heads[c] = pendingList{at, at}
	}
	return nil
}

// unlink takes the first file off a list and returns its path.
func (d *differ) unlink(c content, list pendingList) string {
	p := &d.files[list.head]
	path := p.path
	d.free = append(d.free, list.head)
	if p.next < 0 {
		delete(d.heads, c)
	} else {
		d.heads[c] = pendingList{p.next, list.tail}
	}
	*p = pending{}
	return path
}

func (d *differ) moved(from, to string, size uint64) error {
	c := Change{Path: to, Change: Moved, From: from, OldSize: size, NewSize: size}
	d.counts.MovedBytes += size
	if d.old.read == 1 && d.new.read == 1 && !d.old.more && !d.new.more {
		c.Change = Renamed
		d.counts.Renamed++
	} else {
		d.counts.Moved++
	}
	return d.emit(c)
}

// alone reports a file that was added or removed.
func (d *differ) alone(path string, size uint64, removed bool) error {
	if removed {
		d.counts.Removed++
		d.counts.RemovedBytes += size
		return d.emit(Change{Path: path, Change: Removed, OldSize: size})
	}
	d.counts.Added++
	d.counts.AddedBytes += size
	return d.emit(Change{Path: path, Change: Added, NewSize: size})
}

// rest reports the files that found no other half.
func (d *differ) rest() error {
	d.heads = nil
	files := slices.DeleteFunc(d.files, func(p pending) bool { return p.path == "" })
	slices.SortFunc(files, func(a, b pending) int { return cmp.Compare(a.path, b.path) })
	for i := range files {
		if err := d.alone(files[i].path, files[i].content.size, files[i].removed); err != nil {
			return err
		}
	}
	return nil
}

// changedRanges returns the chunks in which two files differ, merged. A file
// whose chunks are not known differs everywhere.
func changedRanges(a, b *File) []Range {
	end := max(a.Size, b.Size)
	as, aok := chunksOf(a)
	bs, bok := chunksOf(b)
	if !aok || !bok {
		return []Range{{0, end}}
	}
	var out []Range
	n := ChunkCount(end)
	for i := range n {
		// Chunks of different lengths have different digests.
		if i < uint64(min(len(as), len(bs))) && as[i] == bs[i] {
			continue
		}
		start, stop := i*ChunkSize, min((i+1)*ChunkSize, end)
		if k := len(out); k > 0 && out[k-1].End == start {
			out[k-1].End = stop
		} else {
			out = append(out, Range{start, stop})
		}
	}
	if out == nil { // the digests differ and no chunk does: the input lies
		return []Range{{0, end}}
	}
	return out
}

// chunksOf returns a file's chunk digests. The digest of a file of one chunk is
// that chunk's.
func chunksOf(f *File) ([]Digest, bool) {
	switch {
	case f.Size == 0:
		return nil, true
	case f.Size <= ChunkSize:
		return []Digest{f.Digest}, true
	}
	return f.Chunks, uint64(len(f.Chunks)) == ChunkCount(f.Size)
}
