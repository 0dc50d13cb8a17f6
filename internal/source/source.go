// Package source is where bytes lie. A [Source] lists the files of one artifact
// in the order that its fingerprint needs and reads each of them as the listing
// saw it. [OpenLocal] is a folder or a file on a disk; object stores stand
// behind the same interface. What any of them must keep is written here and
// held by package sourcetest.
package source

import "context"

// UnknownSize says that a listing did not learn an object's size.
const UnknownSize = -1

// Object is one file, as a listing saw it.
type Object struct {
	// Path is relative to the root, with '/' between segments, and passes
	// fingerprint.CheckPath.
	Path string
	// Size is in bytes, or UnknownSize.
	Size int64
	// Pin is the source's own: what it needs to read this object and no other
	// (a version, an ETag, the folder it lies in). Nobody else looks at it.
	Pin any
}

// Strength says how sure it is that an object is what it was, from what is said
// of it alone, without reading it. A larger one is surer.
type Strength uint8

// The strengths, in the words of a stamp's basis.
const (
	Unsure    Strength = iota
	ByMTime            // local: size, modification time, change time, inode and device are the same
	ByETag             // an object store's ETag: of many stores an MD5, for which collisions can be made
	ByVersion          // an object store's version or generation, which is never given twice
)

// Mark is what is said of an object, to know it again without reading it. The
// zero Mark knows nothing again.
type Mark struct {
	Size          int64  // in bytes
	Version       string // version id or generation, or empty
	ETag          string // as the store spells it, or empty
	MTime, CTime  int64  // local: nanoseconds since 1970, or 0
	Inode, Device uint64 // local
	// Modified is when a store says that an object was written, in Unix seconds,
	// or 0. It is not kept, and Same does not ask for it: it only tells that an
	// object with the same ETag was written again.
	Modified int64
}

// Same says how sure it is that the object now marked is the one that m marked.
func (m Mark) Same(now Mark) Strength {
	switch {
	case m.Size != now.Size:
		return Unsure
	case m.Version != "" && now.Version != "":
		if m.Version == now.Version {
			return ByVersion
		}
		return Unsure
	case m.ETag != "" && m.ETag == now.ETag:
		return ByETag
	case m.MTime != 0 && m.CTime != 0 && m.MTime == now.MTime && m.CTime == now.CTime && m.Inode == now.Inode && m.Device == now.Device:
		return ByMTime
	}
	return Unsure
}

// Fetched is what Fetch found: a small object's bytes, or a Reader.
type Fetched struct {
	N      int    // how many bytes of a small object are in the buffer
	Mark   Mark   // of exactly what was read, or will be through Reader; zero where none can be given
	Reader Reader // of a larger object, to be closed by the caller; nil for a small one
}

// Skip decides what a listing leaves out. A source calls it exactly once for
// each folder before it looks into it, and exactly once for each file that no
// skipped folder holds, in path order; never for a root that is a single file.
// A folder's path has no slash at its end.
// On an object store a folder is a prefix that ends with '/'.
type Skip func(path string, folder bool) bool

// Source is one artifact's bytes: a tree of files, or one file. Its methods may
// be called concurrently.
type Source interface {
	// Single reports whether the root is one file rather than a folder. It is
	// then listed alone, under its base name.
	Single() bool

	// List calls emit for every file in strictly increasing byte order of the
	// paths, which is the order of a tree whose folders sort as their name
	// followed by '/'. A nil skip leaves nothing out. Objects are passed on as
	// they are found: memory is bounded by the largest folder, not the tree.
	//
	// Whatever cannot stand in a fingerprint (a name that is no valid path, a
	// device, a link that leaves the tree) ends the listing with an error when
	// its turn in the order comes, never earlier, unless skip leaves it out. An
	// error of emit, or of ctx, ends the listing and is returned as it is.
	List(ctx context.Context, skip Skip, emit func(Object) error) error

	// Lookup finds the one object that List would emit for path. One that does
	// not exist, or is a folder, is fs.ErrNotExist.
	Lookup(ctx context.Context, path string) (Object, error)

	// Fetch reads an object of at most len(buf) bytes whole into buf, and is
	// certain that it did not change meanwhile. For a larger one it returns a
	// Reader instead.
	//
	// An object that is not what the listing saw, or changed while it was read,
	// is ErrChanged.
	Fetch(ctx context.Context, o Object, buf []byte) (Fetched, error)

	// Mark returns what is said of an object now, without reading it. Of an
	// object that changed within the last two seconds, by the clock of a local
	// disk, it is the zero Mark: its times may not tell the next change.
	Mark(ctx context.Context, o Object) (Mark, error)

	// Close releases what the source holds. No other call may be under way.
	Close() error
}

// Reader reads ranges of one pinned object. Its methods may be called
// concurrently, except Close.
type Reader interface {
	// Size is in bytes and does not change.
	Size() uint64

	// Range passes the n bytes at offset off to use, in consecutive pieces of
	// at most len(buf) bytes that lie in buf. A range that is no longer there
	// is ErrChanged.
	Range(ctx context.Context, off, n uint64, buf []byte, use func(p []byte)) error

	// Unchanged returns ErrChanged unless the object is still exactly what it
	// was when it was opened. What Range passed on counts only once this has
	// returned nil.
	Unchanged(ctx context.Context) error

	Close() error
}

// Remote is a source behind a network, where many requests at once and large
// ranges pay.
type Remote interface {
	// Requests is how many calls of Fetch and Range should be under way at once.
	Requests() int
	// RangeSize is how many bytes of a large object one call of Range should ask
	// for, a multiple of fingerprint.ChunkSize.
	RangeSize() uint64
}

// Measurer is a source that can tell how much there is without reading it.
type Measurer interface {
	// Measure calls add for every file that List would emit, in any order, with
	// the file's size in bytes. It passes over what it cannot measure: the
	// listing will report it.
	Measure(ctx context.Context, skip Skip, add func(bytes uint64)) error
}
