package source

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/stele-ml/stele/fingerprint"
)

// LocalOptions are choices about a tree on a disk.
type LocalOptions struct {
	// FollowOutside follows symbolic links that leave the tree, which are an
	// error otherwise.
	FollowOutside bool
	// Clock tells the time that marks are given at; nil is the system's.
	Clock func() time.Time
}

// settled is how long ago a file must have changed last for its mark to be
// given. A change that comes later has then other times, whatever the tick of
// the file system's clock: FAT's modification time, the coarsest, has two
// seconds.
const settled = 2 * time.Second

// Local is a folder or a single file on a disk. Make it with [OpenLocal].
//
// A file that changes while it is read is found by its size, its modification
// time and its change time, before and after. The tree as a whole is not
// frozen: a file that comes or goes while others are read is in or out as the
// listing of its folder saw it.
//
// BUG: a change that leaves the size and falls into the same tick of the file
// system's clock as the reading cannot be seen (up to 10 ms on Linux before
// 6.13), nor can a write through a shared mapping that the system has not yet
// written back. The two seconds that a mark keeps away from a change are by
// this machine's clock: on a network file system whose clock is far behind, a
// change in the same tick as the reading may be taken for none.
type Local struct {
	given  string // as the user wrote it
	root   string // canonical, absolute
	blobs  string // canonical folder outside root that links may lead into, or empty
	single string // base name if the root is one file, else empty
	opts   LocalOptions
	disk   disk

	// afterRead is called between the reading of a whole small file and the
	// check that it is unchanged; only tests set it.
	afterRead func(path string)
}

// disk is how a Local reads folders and files: fast on Linux, plain elsewhere.
type disk interface {
	// names reads the names in a folder, with their kinds, none unknown.
	names(f *folder, l *names) error
	// open opens a file where the listing saw it. One that is no regular file
	// any more is ErrChanged; a link in its place is an error.
	open(o Object) (file, error)
	// stat looks at a file as open would find it, without reading it.
	stat(o Object) (stamp, error)
	close() error
}

// file is an open file. It implements Reader.
type file interface {
	Reader
	// whole reads all Size bytes of the file into p.
	whole(p []byte) error
	// opened is what Unchanged compares with.
	opened() stamp
}

// folder is one folder of a walk.
type folder struct {
	prefix string  // path in the tree with '/' at the end; empty for the root
	real   string  // canonical path on the disk
	up     *folder // the folder that holds it in the tree; nil for the root
	links  int     // how many links to folders were followed on the way here
	handle
}

// linkedFile pins a file that is reached through a symbolic link.
type linkedFile struct{ real string }

// OpenLocal opens a folder or a file. The path may itself be, or lie behind, a
// symbolic link: the user named it. One that does not exist is fs.ErrNotExist;
// a socket, device or pipe is ErrIrregular.
func OpenLocal(path string, opts LocalOptions) (*Local, error) {
	return openLocal(path, opts, newDisk)
}

func openLocal(path string, opts LocalOptions, with func(root string) (disk, error)) (*Local, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, failed(path, err)
	}
	real, err := filepath.EvalSymlinks(abs)
	if err != nil {
		return nil, failed(path, err)
	}
	info, err := os.Stat(real)
	if err != nil {
		return nil, failed(path, err)
	}
	if opts.Clock == nil {
		opts.Clock = time.Now
	}
	s := &Local{given: path, root: real, blobs: huggingFaceBlobs(real), opts: opts}
	switch {
	case info.IsDir():
	case info.Mode().IsRegular():
		s.single = filepath.Base(abs)
		if why := checkName("", []byte(s.single)); why != "" {
			return nil, &Error{Path: s.single, Class: ErrName, Detail: why}
		}
		real = filepath.Dir(real)
	default:
		return nil, &Error{Path: path, Class: ErrIrregular, Detail: describe(info.Mode())}
	}
	if s.disk, err = with(real); err != nil {
		return nil, failed(path, err)
	}
	return s, nil
}

// Single reports whether the root is one file.
func (s *Local) Single() bool { return s.single != "" }

// Close closes the folders that are still open.
func (s *Local) Close() error { return s.disk.close() }

// Lookup implements [Source].
func (s *Local) Lookup(_ context.Context, path string) (Object, error) {
	if s.single != "" {
		if path != s.single {
			return Object{}, &Error{Path: path, Err: fs.ErrNotExist}
		}
		return s.singleObject(), nil
	}
	if err := fingerprint.CheckPath(path); err != nil {
		return Object{}, &Error{Path: path, Class: ErrName, Err: err}
	}
	real := filepath.Join(s.root, filepath.FromSlash(path))
	if dir := filepath.Dir(real); dir != s.root {
		l := s.resolve(dir)
		if errors.Is(l.err, fs.ErrNotExist) || l.err == nil && !l.folder {
			return Object{}, &Error{Path: path, Err: fs.ErrNotExist}
		}
		if l.err != nil {
			return Object{}, at(path, l.err)
		}
		real = filepath.Join(l.real, filepath.Base(real))
	}
	info, err := os.Lstat(real)
	if err != nil {
		return Object{}, failed(path, err)
	}
	if info.Mode()&fs.ModeSymlink != 0 {
		l := s.resolve(real)
		if l.folder {
			return Object{}, &Error{Path: path, Err: fs.ErrNotExist}
		}
		if l.err != nil {
			return Object{}, at(path, l.err)
		}
		return Object{Path: path, Size: UnknownSize, Pin: &linkedFile{l.real}}, nil
	}
	switch {
	case info.IsDir():
		return Object{}, &Error{Path: path, Err: fs.ErrNotExist}
	case !info.Mode().IsRegular():
		return Object{}, &Error{Path: path, Class: ErrIrregular, Detail: describe(info.Mode())}
	}
	return Object{Path: path, Size: UnknownSize, Pin: &linkedFile{real}}, nil
}

func (s *Local) singleObject() Object {
	return Object{Path: s.single, Size: UnknownSize, Pin: &linkedFile{s.root}}
}

// Fetch implements [Source].
func (s *Local) Fetch(_ context.Context, o Object, buf []byte) (Fetched, error) {
	// The clock is read first: what changes from here on is seen by Unchanged,
	// or has other times than the mark.
	now := s.opts.Clock()
	f, err := s.disk.open(o)
	if err != nil {
		return Fetched{}, vanished(o.Path, err)
	}
	got := Fetched{Mark: f.opened().mark(now)}
	if f.Size() > uint64(len(buf)) {
		got.Reader = f
		return got, nil
	}
	got.N = int(f.Size())
	err = f.whole(buf[:got.N])
	if s.afterRead != nil {
		s.afterRead(o.Path)
	}
	if err == nil {
		err = f.Unchanged(context.Background())
	}
	if e := f.Close(); err == nil && e != nil {
		err = failed(o.Path, e)
	}
	if err != nil {
		return Fetched{}, err
	}
	return got, nil
}

// Mark implements [Source].
func (s *Local) Mark(_ context.Context, o Object) (Mark, error) {
	now := s.opts.Clock()
	st, err := s.disk.stat(o)
	if err != nil {
		return Mark{}, vanished(o.Path, err)
	}
	return st.mark(now), nil
}

// Measure implements [Measurer].
func (s *Local) Measure(ctx context.Context, skip Skip, add func(bytes uint64)) error {
	// A source of its own, so that its walk does not push the folders of the
	// walk that is being measured out of the table of open ones.
	m, err := OpenLocal(s.given, s.opts)
	if err != nil {
		return err
	}
	defer m.Close()
	return m.List(ctx, skip, func(o Object) error {
		if size, err := m.size(o); err == nil {
			add(size)
		}
		return nil
	})
}

func (s *Local) size(o Object) (uint64, error) {
	info, err := os.Lstat(s.where(o))
	if err != nil {
		return 0, err
	}
	return uint64(info.Size()), nil
}

// where is the path of an object on the disk.
func (s *Local) where(o Object) string {
	if l, ok := o.Pin.(*linkedFile); ok {
		return l.real
	}
	f := o.Pin.(*folder)
	return f.real + string(filepath.Separator) + o.Path[len(f.prefix):]
}

// describe names a kind of thing that is not a regular file.
func describe(m fs.FileMode) string {
	switch {
	case m.IsDir():
		return "it is a folder"
	case m&fs.ModeSymlink != 0:
		return "it is a symbolic link"
	case m&fs.ModeNamedPipe != 0:
		return "it is a named pipe"
	case m&fs.ModeSocket != 0:
		return "it is a socket"
	case m&fs.ModeDevice != 0:
		return "it is a device"
	}
	return "it is neither a file nor a folder"
}

// at gives an error of resolve its path in the tree.
func at(path string, err error) error {
	var e *Error
	if errors.As(err, &e) {
		with := *e
		with.Path = path
		return &with
	}
	return failed(path, err)
}

// OpenRegular opens a file to read, and nothing else that stands at its path: a
// pipe that lies beside the data would be waited on for ever. What is no regular
// file is ErrIrregular.
func OpenRegular(path string) (*os.File, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, &Error{Path: path, Class: ErrIrregular, Detail: describe(info.Mode())}
	}
	return os.Open(path)
}
