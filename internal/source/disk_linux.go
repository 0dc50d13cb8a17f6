package source

import (
	"context"
	"encoding/binary"
	"errors"
	"strings"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// linux is a disk by system calls: names in large pieces, files opened relative
// to their folder, nothing looked up that is not needed.
type linux struct {
	root int // descriptor of the root

	mu   sync.Mutex
	ring [maxFolders]*folder // those held open; the oldest is given up for the newest
	next int
}

// maxFolders is how many folders are held open at once. A file in one that was
// given up is opened by its whole path.
const maxFolders = 256

// direntBuffer is how many bytes of names are asked for at once.
const direntBuffer = 256 << 10

var direntBuffers = sync.Pool{New: func() any { return new([direntBuffer]byte) }}

func newDisk(root string) (disk, error) { return newLinux(root) }

func newLinux(root string) (disk, error) {
	fd, err := retry(func() (int, error) {
		return unix.Open(root, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	})
	if err != nil {
		return nil, err
	}
	return &linux{root: fd}, nil
}

// handle is a folder's descriptor. users is how many hold it, one of them the
// ring; below 1 the descriptor is closed, or was never there.
type handle struct {
	fd    int
	users atomic.Int32
}

// acquire reports whether the descriptor may be used until release.
func (h *handle) acquire() bool {
	for {
		n := h.users.Load()
		if n < 1 {
			return false
		}
		if h.users.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

func (h *handle) release() {
	if h.users.Add(-1) == 0 {
		unix.Close(h.fd)
	}
}

func (d *linux) close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	for i, f := range d.ring {
		if f != nil {
			f.release()
			d.ring[i] = nil
		}
	}
	return unix.Close(d.root)
}

// keep puts an open folder into the ring.
func (d *linux) keep(f *folder, fd int) {
	f.fd = fd
	f.users.Store(1)
	d.mu.Lock()
	old := d.ring[d.next]
	d.ring[d.next] = f
	d.next = (d.next + 1) % maxFolders
	d.mu.Unlock()
	if old != nil {
		old.release()
	}
}

func (d *linux) names(f *folder, l *names) error {
	const flags = unix.O_RDONLY | unix.O_DIRECTORY | unix.O_NOFOLLOW | unix.O_CLOEXEC
	var fd int
	var err error
	switch {
	case f.up == nil:
		fd, err = retry(func() (int, error) { return unix.Openat(d.root, ".", flags, 0) })
	case f.links == f.up.links:
		fd, err = d.openIn(f.up, f.prefix[len(f.up.prefix):len(f.prefix)-1], flags)
	default:
		fd, err = d.openPath(unix.AT_FDCWD, f.real, flags)
	}
	if err != nil {
		return err
	}
	if err := readNames(fd, l); err != nil {
		unix.Close(fd)
		return err
	}
	d.keep(f, fd)
	return nil
}

// openIn opens a name in a folder: relative to its descriptor while it has one,
// else by its path.
func (d *linux) openIn(f *folder, name string, flags int) (int, error) {
	if f.acquire() {
		fd, err := retry(func() (int, error) { return unix.Openat(f.fd, name, flags, 0) })
		f.release()
		return fd, err
	}
	if f.links == 0 {
		return d.openPath(d.root, f.prefix+name, flags)
	}
	return d.openPath(unix.AT_FDCWD, f.real+"/"+name, flags)
}

// openPath opens a canonical path; a symbolic link anywhere in it took the
// place of something else and is ELOOP.
func (d *linux) openPath(at int, path string, flags int) (int, error) {
	fd, err := retry(func() (int, error) {
		return unix.Openat2(at, path, &unix.OpenHow{Flags: uint64(flags), Resolve: unix.RESOLVE_NO_SYMLINKS})
	})
	switch {
	case errors.Is(err, unix.ENAMETOOLONG) && len(path) >= unix.PathMax:
		return d.openLong(at, path, flags)
	case errors.Is(err, unix.ENOSYS), errors.Is(err, unix.EPERM):
		// Linux before 5.6, or a sandbox that does not know the call: the
		// last segment is guarded by O_NOFOLLOW.
		return retry(func() (int, error) { return unix.Openat(at, path, flags, 0) })
	}
	return fd, err
}

// openLong opens a path that is longer than a system call takes, in two steps
// or more.
func (d *linux) openLong(at int, path string, flags int) (int, error) {
	cut := strings.LastIndexByte(path[:unix.PathMax-1], '/')
	if cut < 1 {
		return -1, unix.ENAMETOOLONG
	}
	fd, err := d.openPath(at, path[:cut], unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC)
	if err != nil {
		return -1, err
	}
	defer unix.Close(fd)
	return d.openPath(fd, path[cut+1:], flags)
}

// readNames reads a folder's names with getdents64(2).
func readNames(fd int, l *names) error {
	buf := direntBuffers.Get().(*[direntBuffer]byte)
	defer direntBuffers.Put(buf)
	for {
		n, err := retry(func() (int, error) { return unix.Getdents(fd, buf[:]) })
		if err != nil {
			return err
		}
		if n == 0 {
			return nil
		}
		for b := buf[:n]; len(b) > 0; {
			// struct linux_dirent64: u64 ino, s64 off, u16 length, u8 type, name NUL
			length := binary.NativeEndian.Uint16(b[16:])
			name := b[19:length]
			for i, c := range name {
				if c == 0 {
					name = name[:i]
					break
				}
			}
			k := kindOfDirent(b[18])
			b = b[length:]
			if string(name) == "." || string(name) == ".." {
				continue
			}
			if k == kindUnknown {
				// Some file systems do not say. A name that is gone already
				// was never there.
				if k, err = kindOfName(fd, string(name)); errors.Is(err, unix.ENOENT) {
					continue
				} else if err != nil {
					return err
				}
			}
			if err := l.add(name, k); err != nil {
				return err
			}
		}
	}
}

func kindOfDirent(t byte) kind {
	switch t {
	case unix.DT_REG:
		return kindFile
	case unix.DT_DIR:
		return kindFolder
	case unix.DT_LNK:
		return kindLink
	case unix.DT_UNKNOWN:
		return kindUnknown
	}
	return kindOther
}

func kindOfName(fd int, name string) (kind, error) {
	var st unix.Stat_t
	if err := unix.Fstatat(fd, name, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return 0, err
	}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFREG:
		return kindFile, nil
	case unix.S_IFDIR:
		return kindFolder, nil
	case unix.S_IFLNK:
		return kindLink, nil
	}
	return kindOther, nil
}

func (d *linux) open(o Object) (file, error) {
	const flags = unix.O_RDONLY | unix.O_NOFOLLOW | unix.O_NONBLOCK | unix.O_CLOEXEC
	fd, err := d.openObject(o, flags)
	if err != nil {
		return nil, err
	}
	f := &linuxFile{fd: fd, path: o.Path}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		f.Close()
		return nil, err
	}
	f.before = stampOfStat(&st)
	if err := f.before.check(o.Path); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

func (d *linux) stat(o Object) (stamp, error) {
	var st unix.Stat_t
	var err error
	if pin, ok := o.Pin.(*folder); ok && pin.acquire() {
		err = unix.Fstatat(pin.fd, o.Path[len(pin.prefix):], &st, unix.AT_SYMLINK_NOFOLLOW)
		pin.release()
	} else {
		var fd int
		if fd, err = d.openObject(o, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC); err != nil {
			return stamp{}, err
		}
		err = unix.Fstat(fd, &st)
		unix.Close(fd)
	}
	if err != nil {
		return stamp{}, err
	}
	s := stampOfStat(&st)
	return s, s.check(o.Path)
}

// openObject opens an object where the listing saw it.
func (d *linux) openObject(o Object, flags int) (int, error) {
	switch pin := o.Pin.(type) {
	case *folder:
		return d.openIn(pin, o.Path[len(pin.prefix):], flags)
	case *linkedFile:
		return d.openPath(unix.AT_FDCWD, pin.real, flags)
	}
	return -1, errForeign
}

// linuxFile is an open file by its descriptor.
type linuxFile struct {
	fd     int
	path   string
	before stamp
}

func (f *linuxFile) Size() uint64  { return f.before.size }
func (f *linuxFile) opened() stamp { return f.before }

func (f *linuxFile) Close() error {
	fd := f.fd
	f.fd = -1 // a second Close must not close somebody else's descriptor
	return unix.Close(fd)
}

func (f *linuxFile) whole(p []byte) error {
	for n := 0; n < len(p); {
		k, err := retry(func() (int, error) { return unix.Read(f.fd, p[n:]) })
		if k <= 0 || err != nil {
			return readError(f.path, n, len(p), err)
		}
		n += k
	}
	return nil
}

// Range uses pread(2). Mapped memory was measured to be slower, and a file that
// is cut short while it is mapped ends the process.
func (f *linuxFile) Range(_ context.Context, off, n uint64, buf []byte, use func([]byte)) error {
	return pieces(off, n, buf, use, func(b []byte, at int64) error {
		for n := 0; n < len(b); {
			k, err := retry(func() (int, error) { return unix.Pread(f.fd, b[n:], at+int64(n)) })
			if k <= 0 || err != nil {
				return readError(f.path, n, len(b), err)
			}
			n += k
		}
		return nil
	})
}

func (f *linuxFile) Unchanged(context.Context) error {
	var st unix.Stat_t
	if err := unix.Fstat(f.fd, &st); err != nil {
		return failed(f.path, err)
	}
	if why := f.before.difference(stampOfStat(&st)); why != "" {
		return &Error{Path: f.path, Class: ErrChanged, Detail: why}
	}
	return nil
}

// retry repeats a call that a signal interrupted.
func retry(call func() (int, error)) (int, error) {
	for {
		n, err := call()
		if err != unix.EINTR {
			return n, err
		}
	}
}
