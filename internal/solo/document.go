package solo

import (
	"bufio"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/stele-ml/stele/internal/durable"
	"github.com/stele-ml/stele/statement"
)

// Copy keeps a document of any size, read from r to its end, and returns its
// digest. It is synced when Copy returns.
func (s *Shelf) Copy(r io.Reader) (a statement.Attachment, err error) {
	return s.copy(r, func(statement.Attachment) error { return nil })
}

// CopyAs is Copy for a document whose digest is known: another is an ErrTampered,
// and is not kept.
func (s *Shelf) CopyAs(sum [32]byte, r io.Reader) error {
	_, err := s.copy(r, func(a statement.Attachment) error {
		if a.SHA256 != sum {
			return fmt.Errorf("attachment %x: %w: what came is %x", sum, ErrTampered, a.SHA256)
		}
		return nil
	})
	return err
}

func (s *Shelf) copy(r io.Reader, check func(statement.Attachment) error) (a statement.Attachment, err error) {
	top := s.fs.PathJoin(s.dir, "attachments")
	if err := durable.MkdirAll(s.fs, top, durable.SharedDir); err != nil {
		return a, err
	}
	var b [6]byte
	_, _ = rand.Read(b[:])
	temp := s.fs.PathJoin(top, "new"+tempMark+hex.EncodeToString(b[:]))
	f, err := s.fs.Create(temp, vfs.WriteCategoryUnspecified)
	if err != nil {
		return a, fmt.Errorf("new attachment: %w", err)
	}
	defer func() {
		if err != nil {
			_ = s.fs.Remove(temp)
		}
	}()
	sum := sha256.New()
	w := bufio.NewWriterSize(f, 256<<10)
	n, err := io.Copy(w, io.TeeReader(r, sum))
	if err == nil {
		err = w.Flush()
	}
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return a, fmt.Errorf("new attachment: %w", err)
	}
	a = statement.Attachment{SHA256: [32]byte(sum.Sum(nil)), Size: uint64(n)}
	if err := check(a); err != nil {
		return a, err
	}
	name := s.path(a.SHA256)
	if err := durable.MkdirAll(s.fs, s.fs.PathDir(name), durable.SharedDir); err != nil {
		return a, err
	}
	// The same document may be there, whole or damaged: this one is whole.
	if err := s.fs.Rename(temp, name); err != nil {
		return a, fmt.Errorf("keep attachment: %w", err)
	}
	return a, durable.SyncDir(s.fs, s.fs.PathDir(name))
}

// Open opens a document of any size: ErrWithheld if it is not there. Its end is
// told only if it was the right one: else reading ends with ErrTampered, and
// nothing that was read before counts.
func (s *Shelf) Open(a statement.Attachment) (io.ReadCloser, error) {
	f, err := s.fs.Open(s.path(a.SHA256))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("attachment %x: %w", a.SHA256, ErrWithheld)
	}
	if err != nil {
		return nil, fmt.Errorf("attachment %x: %w", a.SHA256, err)
	}
	return &document{f: f, want: a, sum: sha256.New()}, nil
}

// OpenSum is Open for whoever does not know the size, which it returns.
func (s *Shelf) OpenSum(sum [32]byte) (io.ReadCloser, uint64, error) {
	info, err := s.fs.Stat(s.path(sum))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, 0, fmt.Errorf("attachment %x: %w", sum, ErrWithheld)
	}
	if err != nil {
		return nil, 0, fmt.Errorf("attachment %x: %w", sum, err)
	}
	size := uint64(info.Size())
	r, err := s.Open(statement.Attachment{SHA256: sum, Size: size})
	return r, size, err
}

// document is an attachment being read.
type document struct {
	f    vfs.File
	want statement.Attachment
	sum  hash.Hash
	n    uint64 // bytes read
	err  error  // once it has ended
}

func (d *document) Read(p []byte) (int, error) {
	if d.err != nil {
		return 0, d.err
	}
	n, err := d.f.Read(p)
	d.sum.Write(p[:n])
	d.n += uint64(n)
	switch {
	case d.n > d.want.Size, err == io.EOF && (d.n < d.want.Size || [32]byte(d.sum.Sum(nil)) != d.want.SHA256):
		d.err = fmt.Errorf("attachment %x: %w", d.want.SHA256, ErrTampered)
		return 0, d.err
	case err != nil && err != io.EOF:
		err = fmt.Errorf("attachment %x: %w", d.want.SHA256, err)
	}
	d.err = err
	return n, err
}

func (d *document) Close() error { return d.f.Close() }
