package fingerprint

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
)

// manifestMagic begins a manifest. It is also the domain of the digest at its
// end.
const manifestMagic = "stele manifest v1\n"

// flagPlain says that records hold plain SHA-256 digests.
const flagPlain = 1

// manifestBuffer is how many bytes a Writer or a Reader holds, at least the
// longest record without its chunk digests.
const manifestBuffer = 64 << 10

// WriterOptions say what a manifest holds besides what the fingerprint binds.
type WriterOptions struct {
	// PlainSHA256 records each file's plain SHA-256. Every file must have it
	// then, but those whose digest it is. Without it File.SHA256 is left out.
	PlainSHA256 bool
}

// Writer writes a manifest file: docs/formats/manifest.md. The same files and
// options give the same bytes.
type Writer struct {
	w     io.Writer
	tree  *Tree
	plain bool
	hash  hash.Hash
	buf   []byte
	err   error // sticky
}

var errWriterClosed = errors.New("manifest writer is closed")

// NewWriter returns a Writer to w, which need not be buffered. It panics if a
// is not valid.
func NewWriter(w io.Writer, a Algorithm, opts WriterOptions) *Writer {
	m := &Writer{w: w, tree: NewTree(a), plain: opts.PlainSHA256, hash: a.New(), buf: make([]byte, 0, manifestBuffer)}
	m.buf = append(m.buf, manifestMagic...)
	var flags byte
	if m.plain {
		flags |= flagPlain
	}
	m.buf = append(m.buf, byte(a), flags)
	return m
}

// plainIsDigest reports whether a file's digest is its plain SHA-256.
func plainIsDigest(a Algorithm, size uint64) bool { return a == SHA256 && size <= ChunkSize }

// Add appends a file. Paths must ascend (ErrOrder), and a file over ChunkSize
// must have its chunk digests. After an error the manifest cannot be continued.
func (m *Writer) Add(f File) error {
	if m.err == nil {
		m.err = m.add(&f)
	}
	return m.err
}

func (m *Writer) add(f *File) error {
	a := m.tree.algorithm
	if err := f.check(a); err != nil {
		return err
	}
	if f.Size > ChunkSize && len(f.Chunks) == 0 {
		return fmt.Errorf("file %s: %w: no chunk digests for %d bytes", quote(f.Path), ErrFormat, f.Size)
	}
	derived := plainIsDigest(a, f.Size)
	switch {
	case !m.plain:
	case derived && f.SHA256 != nil && *f.SHA256 != f.Digest:
		return fmt.Errorf("file %s: plain SHA-256 %w the digest", quote(f.Path), ErrMismatch)
	case !derived && f.SHA256 == nil:
		return fmt.Errorf("file %s: %w: no plain SHA-256", quote(f.Path), ErrFormat)
	}
	last := m.tree.last
	if err := m.tree.add(f, false); err != nil {
		return err
	}
	if err := m.room(2*binary.MaxVarintLen64 + MaxPath + binary.MaxVarintLen64 + len(f.Digest)); err != nil {
		return err
	}
	shared := sharedPrefix(last, f.Path)
	m.buf = binary.AppendUvarint(m.buf, uint64(len(f.Path)-shared))
	m.buf = binary.AppendUvarint(m.buf, uint64(shared))
	m.buf = append(m.buf, f.Path[shared:]...)
	m.buf = binary.AppendUvarint(m.buf, f.Size)
	if f.Size <= ChunkSize {
		m.buf = append(m.buf, f.Digest[:]...)
	}
	for i := range f.Chunks {
		if err := m.room(len(f.Chunks[i])); err != nil {
			return err
		}
		m.buf = append(m.buf, f.Chunks[i][:]...)
	}
	if m.plain && !derived {
		if err := m.room(sha256.Size); err != nil {
			return err
		}
		m.buf = append(m.buf, f.SHA256[:]...)
	}
	return nil
}

// room makes the buffer take n more bytes.
func (m *Writer) room(n int) error {
	if len(m.buf)+n <= cap(m.buf) {
		return nil
	}
	return m.flush()
}

func (m *Writer) flush() error {
	m.hash.Write(m.buf)
	err := m.write()
	m.buf = m.buf[:0]
	return err
}

func (m *Writer) write() error {
	if _, err := m.w.Write(m.buf); err != nil {
		return fmt.Errorf("write manifest: %w", err)
	}
	return nil
}

// Close writes the end of the manifest and returns what its fingerprint is made
// of. It does not close the underlying writer. A manifest is complete only if
// Close returned no error.
func (m *Writer) Close() (Summary, error) {
	if m.err != nil {
		return Summary{}, m.err
	}
	m.err = errWriterClosed
	if err := m.flush(); err != nil {
		return Summary{}, err
	}
	s := m.tree.summary()
	m.buf = append(m.buf, 0)
	m.buf = binary.BigEndian.AppendUint64(m.buf, s.Files)
	m.buf = binary.BigEndian.AppendUint64(m.buf, s.Bytes)
	m.buf = append(m.buf, s.Root[:]...)
	m.hash.Write(m.buf)
	m.buf = m.hash.Sum(m.buf)
	return s, m.write()
}
