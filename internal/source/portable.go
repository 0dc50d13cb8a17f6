package source

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// portable is a disk by the standard library alone.
type portable struct{ root string }

func newPortable(root string) (disk, error) { return portable{root}, nil }

func (portable) close() error { return nil }

// openPath opens a canonical path. Where it is longer than the system takes in
// one piece, it is opened segment by segment.
func (p portable) openPath(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|openFlags, 0)
	if errors.Is(err, syscall.ENAMETOOLONG) && path != p.root && inside(p.root, path) {
		return os.OpenInRoot(p.root, strings.TrimPrefix(path[len(p.root):], string(filepath.Separator)))
	}
	return f, err
}

// namesAtOnce bounds how many names of a folder are in memory as directory
// entries of the standard library, which are large.
const namesAtOnce = 1024

func (p portable) names(f *folder, l *names) error {
	d, err := p.openPath(f.real)
	if err != nil {
		return err
	}
	defer d.Close()
	for {
		entries, err := d.ReadDir(namesAtOnce)
		for _, e := range entries {
			if err := l.add([]byte(e.Name()), kindOfMode(e.Type())); err != nil {
				return err
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func kindOfMode(m fs.FileMode) kind {
	switch {
	case m.IsRegular():
		return kindFile
	case m.IsDir():
		return kindFolder
	case m&fs.ModeSymlink != 0:
		return kindLink
	}
	return kindOther
}

func (d portable) open(o Object) (file, error) {
	real := ""
	switch pin := o.Pin.(type) {
	case *linkedFile:
		real = pin.real
	case *folder:
		real = pin.real + string(filepath.Separator) + o.Path[len(pin.prefix):]
	default:
		return nil, errForeign
	}
	f, err := d.openPath(real)
	if err != nil {
		return nil, err
	}
	p := &portableFile{f: f, path: o.Path}
	if p.before, err = stampOf(f); err == nil {
		err = p.before.check(o.Path)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return p, nil
}

func (d portable) stat(o Object) (stamp, error) {
	f, err := d.open(o)
	if err != nil {
		return stamp{}, err
	}
	return f.opened(), f.Close()
}

// errForeign is a mistake of the program: an object of another source.
var errForeign = errors.New("object does not come from this source")

type portableFile struct {
	f      *os.File
	path   string
	before stamp
}

func (p *portableFile) Size() uint64  { return p.before.size }
func (p *portableFile) opened() stamp { return p.before }
func (p *portableFile) Close() error  { return p.f.Close() }

func (p *portableFile) whole(buf []byte) error {
	n, err := io.ReadFull(p.f, buf)
	return readError(p.path, n, len(buf), err)
}

func (p *portableFile) Range(_ context.Context, off, n uint64, buf []byte, use func([]byte)) error {
	return pieces(off, n, buf, use, func(b []byte, at int64) error {
		k, err := p.f.ReadAt(b, at)
		return readError(p.path, k, len(b), err)
	})
}

// pieces reads a range through buf.
func pieces(off, n uint64, buf []byte, use func([]byte), read func(b []byte, at int64) error) error {
	for n > 0 {
		b := buf[:min(uint64(len(buf)), n)]
		if err := read(b, int64(off)); err != nil {
			return err
		}
		use(b)
		off, n = off+uint64(len(b)), n-uint64(len(b))
	}
	return nil
}

// readError judges a read of n bytes where want were asked for.
func readError(path string, n, want int, err error) error {
	switch {
	case n == want:
		return nil
	case err == nil, errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return &Error{Path: path, Class: ErrChanged, Detail: "it is shorter than it was"}
	}
	return failed(path, err)
}

func (p *portableFile) Unchanged(context.Context) error {
	after, err := stampOf(p.f)
	if err != nil {
		return failed(p.path, err)
	}
	if why := p.before.difference(after); why != "" {
		return &Error{Path: p.path, Class: ErrChanged, Detail: why}
	}
	return nil
}
