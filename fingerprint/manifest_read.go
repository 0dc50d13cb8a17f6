package fingerprint

import (
	"encoding/binary"
	"fmt"
	"hash"
	"io"
	"iter"
)

// maxRecordHead is the most bytes of a record before its digests.
const maxRecordHead = 2*binary.MaxVarintLen64 + MaxPath + binary.MaxVarintLen64

// chunksAhead is how many chunk digests a Reader sets memory aside for before
// it has read them: those of 1 GiB.
const chunksAhead = 1 << 10

// Reader reads a manifest file and checks it against itself and against a
// fingerprint: docs/formats/manifest.md.
//
// Nothing that it hands out is proven before Next has returned io.EOF.
type Reader struct {
	r         io.Reader
	algorithm Algorithm
	want      Fingerprint
	plain     bool
	tree      *Tree
	hash      hash.Hash
	buf       []byte // [hashed:pos] is parsed but not hashed yet, [pos:] not parsed
	hashed    int
	pos       int
	ended     bool // r has returned io.EOF
	path      []byte
	summary   Summary
	done      bool
	err       error // sticky
}

// NewReader reads the first bytes of a manifest. Where want is not zero, the
// manifest must be that fingerprint's: another hash is ErrMismatch here, other
// files are ErrMismatch from Next at the end. NewReader and Next buffer what
// they read of r.
func NewReader(r io.Reader, want Fingerprint) (*Reader, error) {
	m := &Reader{r: r, want: want, buf: make([]byte, 0, manifestBuffer)}
	if err := m.header(); err != nil {
		return nil, fmt.Errorf("read manifest: %w", err)
	}
	return m, nil
}

func (m *Reader) header() error {
	const n = len(manifestMagic) + 2
	if err := m.fill(n); err != nil {
		return err
	}
	b := m.buf[m.pos:]
	if k := min(len(b), len(manifestMagic)); string(b[:k]) != manifestMagic[:k] {
		return fmt.Errorf("%w: it does not begin with %q", ErrFormat, manifestMagic)
	}
	if len(b) < n {
		return fmt.Errorf("%w: in its header", ErrTruncated)
	}
	m.algorithm = Algorithm(b[n-2])
	flags := b[n-1]
	switch {
	case !m.algorithm.Valid():
		return fmt.Errorf("%w: %v", ErrFormat, m.algorithm)
	case flags&^flagPlain != 0:
		return fmt.Errorf("%w: unknown flags %#x", ErrFormat, flags)
	case !m.want.IsZero() && m.want.Algorithm != m.algorithm:
		return fmt.Errorf("its hash %v %w %v", m.algorithm, ErrMismatch, m.want)
	}
	m.plain = flags&flagPlain != 0
	m.tree = NewTree(m.algorithm)
	m.hash = m.algorithm.New()
	m.pos += n
	return nil
}

// fill reads until n bytes are there to be parsed, or r has ended. n is at most
// manifestBuffer.
func (m *Reader) fill(n int) error {
	if len(m.buf)-m.pos >= n || m.ended {
		return nil
	}
	m.digestParsed()
	m.buf = m.buf[:copy(m.buf, m.buf[m.pos:])]
	m.pos, m.hashed = 0, 0
	for idle := 0; len(m.buf) < n; {
		k, err := m.r.Read(m.buf[len(m.buf):cap(m.buf)])
		m.buf = m.buf[:len(m.buf)+k]
		if err == io.EOF {
			m.ended = true
			return nil
		}
		if err != nil {
			return err
		}
		if idle++; k > 0 {
			idle = 0
		} else if idle >= 100 { // as bufio does
			return io.ErrNoProgress
		}
	}
	return nil
}

// digestParsed hashes what was parsed since it was last called.
func (m *Reader) digestParsed() {
	if m.hash != nil {
		m.hash.Write(m.buf[m.hashed:m.pos])
		m.hashed = m.pos
	}
}

// take returns the next n bytes, valid until the next call.
func (m *Reader) take(n int) ([]byte, error) {
	if err := m.fill(n); err != nil {
		return nil, err
	}
	if len(m.buf)-m.pos < n {
		return nil, fmt.Errorf("%w after %d files", ErrTruncated, m.tree.nodes.count)
	}
	b := m.buf[m.pos : m.pos+n]
	m.pos += n
	return b, nil
}

func (m *Reader) uvarint() (uint64, error) {
	v, n, err := uvarint(m.buf[m.pos:])
	m.pos += n
	return v, err
}

// Next returns the next file. The caller may keep it: nothing in it is used
// again. After the last file, Next returns io.EOF if the whole manifest has
// checked. Any other error stays: ErrTruncated, ErrFormat, ErrOrder, ErrPath,
// ErrMismatch or the underlying reader's.
func (m *Reader) Next() (File, error) {
	if m.err != nil {
		return File{}, m.err
	}
	f, err := m.next()
	if err != nil {
		if err != io.EOF {
			err = fmt.Errorf("read manifest: %w", err)
		}
		m.err = err
		return File{}, err
	}
	return f, nil
}

func (m *Reader) next() (File, error) {
	if err := m.fill(maxRecordHead); err != nil {
		return File{}, err
	}
	rest, err := m.uvarint()
	if err != nil {
		return File{}, err
	}
	if rest == 0 {
		return File{}, m.end()
	}
	var f File
	if f.Path, err = m.readPath(rest); err != nil {
		return File{}, err
	}
	if f.Size, err = m.uvarint(); err != nil {
		return File{}, err
	}
	if f.Size > MaxFileSize {
		return File{}, fmt.Errorf("file %s: %w: %d bytes, more than %d", quote(f.Path), ErrFormat, f.Size, uint64(MaxFileSize))
	}
	if f.Size > ChunkSize {
		if f.Chunks, err = m.readChunks(ChunkCount(f.Size)); err != nil {
			return File{}, err
		}
		f.Digest = m.algorithm.FileDigest(f.Size, f.Chunks)
	} else if f.Digest, err = m.readDigest(); err != nil {
		return File{}, err
	}
	if m.plain {
		plain := f.Digest
		if !plainIsDigest(m.algorithm, f.Size) {
			if plain, err = m.readDigest(); err != nil {
				return File{}, err
			}
		}
		f.SHA256 = &plain
	}
	return f, m.tree.add(&f, false)
}

// readPath reads a path whose last rest bytes differ from the one before. The
// head of the record is in the buffer, as far as there is one.
func (m *Reader) readPath(rest uint64) (string, error) {
	shared, err := m.uvarint()
	if err != nil {
		return "", err
	}
	if rest > MaxPath || shared > uint64(len(m.path)) || shared+rest > MaxPath {
		return "", fmt.Errorf("%w: a path of %d bytes after %d shared", ErrFormat, rest, shared)
	}
	b, err := m.take(int(rest))
	if err != nil {
		return "", err
	}
	if shared < uint64(len(m.path)) {
		// One comparison shows both that the path is greater than the one
		// before and that shared is as long as it can be.
		if was := m.path[shared]; b[0] == was {
			return "", fmt.Errorf("%w: a path shares more than %d bytes with the one before", ErrFormat, shared)
		} else if b[0] < was {
			return "", fmt.Errorf("%w: %s follows %s", ErrOrder, quote(string(m.path[:shared])+string(b)), quote(string(m.path)))
		}
	}
	m.path = append(m.path[:shared], b...)
	return string(m.path), nil
}

func (m *Reader) readDigest() (d Digest, err error) {
	b, err := m.take(len(d))
	copy(d[:], b)
	return d, err
}

// readChunks sets memory aside only as the digests arrive.
func (m *Reader) readChunks(n uint64) ([]Digest, error) {
	chunks := make([]Digest, 0, min(n, chunksAhead))
	for uint64(len(chunks)) < n {
		d, err := m.readDigest()
		if err != nil {
			return nil, err
		}
		chunks = append(chunks, d)
	}
	return chunks, nil
}

// end reads and checks what follows the last record. It returns io.EOF if the
// manifest is whole and right.
func (m *Reader) end() error {
	b, err := m.take(8 + 8 + len(Digest{}))
	if err != nil {
		return err
	}
	said := Summary{Files: binary.BigEndian.Uint64(b), Bytes: binary.BigEndian.Uint64(b[8:]), Root: Digest(b[16:])}
	m.digestParsed()
	var sum Digest
	m.hash.Sum(sum[:0])
	check, err := m.readDigest()
	if err != nil {
		return err
	}
	if err := m.fill(1); err != nil {
		return err
	}
	found := m.tree.summary()
	switch fp := found.Fingerprint(m.algorithm); {
	case check != sum:
		return fmt.Errorf("the digest at its end %w its bytes: it is damaged", ErrMismatch)
	case said != found:
		return fmt.Errorf("the summary at its end %w its files: it is damaged", ErrMismatch)
	case len(m.buf) != m.pos:
		return fmt.Errorf("%w: bytes follow its end", ErrFormat)
	case !m.want.IsZero() && fp != m.want:
		return fmt.Errorf("its fingerprint %v %w %v", fp, ErrMismatch, m.want)
	}
	m.summary, m.done = found, true
	return io.EOF
}

// All returns the files that Next returns; an error is the last pair, and comes
// with a zero File.
func (m *Reader) All() iter.Seq2[File, error] {
	return func(yield func(File, error) bool) {
		for {
			f, err := m.Next()
			if err == io.EOF { // itself: a reader's error may wrap it
				return
			}
			if !yield(f, err) || err != nil {
				return
			}
		}
	}
}

// Algorithm returns the manifest's hash.
func (m *Reader) Algorithm() Algorithm { return m.algorithm }

// PlainSHA256 reports whether the manifest records plain SHA-256 digests.
func (m *Reader) PlainSHA256() bool { return m.plain }

// Summary returns what the fingerprint is made of; zero before Next has
// returned io.EOF.
func (m *Reader) Summary() Summary { return m.summary }

// Fingerprint returns the fingerprint of the files read; zero before Next has
// returned io.EOF.
func (m *Reader) Fingerprint() Fingerprint {
	if !m.done {
		return Fingerprint{}
	}
	return m.summary.Fingerprint(m.algorithm)
}
