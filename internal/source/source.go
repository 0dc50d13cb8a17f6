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

	// Fetch reads an object of at most len(buf) bytes whole into buf, returns
	// its size, and is certain that it did not change meanwhile. For a larger
	// one it returns a Reader instead, to be closed by the caller.
	//
	// An object that is not what the listing saw, or changed while it was read,
	// is ErrChanged.
	Fetch(ctx context.Context, o Object, buf []byte) (n int, r Reader, err error)

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

// Measurer is a source that can tell how much there is without reading it.
type Measurer interface {
	// Measure calls add for every file that List would emit, in any order, with
	// the file's size in bytes. It passes over what it cannot measure: the
	// listing will report it.
	Measure(ctx context.Context, skip Skip, add func(bytes uint64)) error
}
