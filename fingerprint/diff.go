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
	d := differ{emitted: emit, limit: limit, heads: map[content]pendingList{}}
	var stop func()
	d.next, stop = iter.Pull2(old)
	defer stop()
	err := d.run(new)
	return d.counts, err
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

// differ walks both sides. The old one is pulled, the new one pushed: pulling
// costs as much as all else together.
type differ struct {
	next     func() (File, error, bool) // of the old side
	old      File                       // its current file, if more
	more     bool
	oldFiles uint64 // read so far
	newFiles uint64

	emitted func(Change) error
	held    Change // a move, unless Path is empty: a renaming if no other file follows
	counts  Counts

	limit int       // of pending files
	files []pending // paired ones have an empty path and are reused
	free  []int32
	heads map[content]pendingList
}

func (d *differ) run(new iter.Seq2[File, error]) error {
	if err := d.advance(); err != nil {
		return err
	}
	var last string
	for f, err := range new {
		if err == nil {
			err = checkNext(d.newFiles, last, f.Path)
		}
		if err != nil {
			return fmt.Errorf("compare: new side: %w", err)
		}
		d.newFiles++
		last = f.Path
		if err := d.one(&f); err != nil {
			return err
		}
	}
	for d.more {
		if err := d.gone(); err != nil {
			return err
		}
	}
	return d.rest()
}

// advance moves the old side on.
func (d *differ) advance() error {
	f, err, ok := d.next()
	if ok && err == nil {
		err = checkNext(d.oldFiles, d.old.Path, f.Path)
	}
	if err != nil {
		return fmt.Errorf("compare: old side: %w", err)
	}
	if d.more = ok; ok {
		d.old = f
		d.oldFiles++
	}
	return nil
}

// checkNext is checkOrder, and refuses an empty path, which here means none.
func checkNext(count uint64, last, path string) error {
	if path == "" {
		return pathError(path, "it is empty")
	}
	return checkOrder(count, last, path)
}

// gone deals with the old side's current file, which the new side does not
// have, and moves on.
func (d *differ) gone() error {
	if err := d.single(&d.old, true); err != nil {
		return err
	}
	return d.advance()
}

// one deals with a file of the new side and the old side's files up to it.
func (d *differ) one(is *File) error {
	for d.more && d.old.Path < is.Path {
		if err := d.gone(); err != nil {
			return err
		}
	}
	if !d.more || d.old.Path != is.Path {
		return d.single(is, false)
	}
	was := &d.old
	if was.Size == is.Size && was.Digest == is.Digest {
		d.counts.Same++
		d.counts.SameBytes += is.Size
		return d.advance()
	}
	c := Change{Path: is.Path, Change: Modified, OldSize: was.Size, NewSize: is.Size, Ranges: changedRanges(was, is)}
	d.counts.Modified++
	for _, r := range c.Ranges {
		d.counts.ModifiedBytes += r.Len()
	}
	if err := d.emit(c); err != nil {
		return err
	}
	return d.advance()
}

// emit hands a change out, after the one held back.
func (d *differ) emit(c Change) error {
	if err := d.release(); err != nil {
		return err
	}
	return d.emitted(c)
}

// release hands out the move held back, now that it is known what it is.
func (d *differ) release() error {
	c := d.held
	if c.Path == "" {
		return nil
	}
	d.held = Change{}
	if d.oldFiles == 1 && d.newFiles == 1 {
		c.Change = Renamed
		d.counts.Renamed++
	} else {
		d.counts.Moved++
	}
	return d.emitted(c)
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
	if err := d.release(); err != nil {
		return err
	}
	d.counts.MovedBytes += size
	d.held = Change{Path: to, Change: Moved, From: from, OldSize: size, NewSize: size}
	return nil
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
	if err := d.release(); err != nil {
		return err
	}
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
