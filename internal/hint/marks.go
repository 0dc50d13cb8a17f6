package hint

import (
	"bufio"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
	"math"
	"math/bits"

	"github.com/stele-ml/stele/fingerprint"
	"github.com/stele-ml/stele/internal/source"
)

// marksMagic begins a marks file.
const marksMagic = "stele marks v1\n"

const (
	// MaxOpaque is the most bytes that a version or an ETag may have: S3's
	// version ids have at most 1,024 ("Versioning workflows").
	MaxOpaque = 1024
	// MaxEntry is the largest index of an entry.
	MaxEntry = math.MaxInt64
)

// The parts of a record's tag.
const (
	tagFile    = 1 << iota // always; 0 is the end of the records
	tagVersion             // a version follows
	tagETag                // an ETag follows
	tagTimes               // times, inode and device follow
)

const (
	// maxMark is the most bytes of a mark with its tag.
	maxMark = 1 + 2*(2+MaxOpaque) + 4*binary.MaxVarintLen64
	// maxRecord is the most bytes of a record.
	maxRecord = maxMark + binary.MaxVarintLen64
	// trailer is how many bytes follow the last record.
	trailer = 1 + 8 + 1 + sha256.Size + sha256.Size
)

// coder writes and reads marks. A mark with times is written by its differences
// to the last one before it.
type coder struct{ mtime, inode, device uint64 }

// tag says what of a mark is written. Nothing is of one that nothing can be
// known again by.
func tag(m *source.Mark) byte {
	t := byte(tagFile)
	if n := len(m.Version); n > 0 && n <= MaxOpaque {
		t |= tagVersion
	}
	if n := len(m.ETag); n > 0 && n <= MaxOpaque {
		t |= tagETag
	}
	if t == tagFile && m.Version == "" && m.ETag == "" && m.MTime != 0 && m.CTime != 0 {
		t |= tagTimes
	}
	return t
}

// append writes what of a mark follows the tag and the entry.
func (c *coder) append(b []byte, t byte, m *source.Mark) []byte {
	if t&tagVersion != 0 {
		b = binary.AppendUvarint(b, uint64(len(m.Version)))
		b = append(b, m.Version...)
	}
	if t&tagETag != 0 {
		b = binary.AppendUvarint(b, uint64(len(m.ETag)))
		b = append(b, m.ETag...)
	}
	if t&tagTimes != 0 {
		mtime, ctime := uint64(m.MTime), uint64(m.CTime)
		b = binary.AppendVarint(b, int64(mtime-c.mtime))
		b = binary.AppendVarint(b, int64(ctime-mtime))
		b = binary.AppendVarint(b, int64(m.Inode-c.inode))
		b = binary.AppendVarint(b, int64(m.Device-c.device))
		*c = coder{mtime, m.Inode, m.Device}
	}
	return b
}

// read reads what append wrote. The mark has no size.
func (c *coder) read(d *decoder, t byte) (m source.Mark) {
	switch t {
	case tagFile, tagFile | tagVersion, tagFile | tagETag, tagFile | tagVersion | tagETag, tagFile | tagTimes:
	default:
		d.fail(fingerprint.ErrFormat, fmt.Sprintf("a record that begins with %d", t))
		return m
	}
	if t&tagVersion != 0 {
		m.Version = d.opaque()
	}
	if t&tagETag != 0 {
		m.ETag = d.opaque()
	}
	if t&tagTimes != 0 {
		mtime := c.mtime + d.difference()
		ctime := mtime + d.difference()
		*c = coder{mtime, c.inode + d.difference(), c.device + d.difference()}
		m.MTime, m.CTime, m.Inode, m.Device = int64(mtime), int64(ctime), c.inode, c.device
		if d.err == nil && (mtime == 0 || ctime == 0) {
			d.fail(fingerprint.ErrFormat, "a time that is none")
		}
	}
	return m
}

// MarksWriter writes a marks file: docs/formats/marks.md. The same marks give
// the same bytes.
type MarksWriter struct {
	w     io.Writer
	coder coder
	count uint64
	hash  hash.Hash
	buf   []byte
	err   error // sticky
}

// marksBuffer is how many bytes a MarksWriter holds.
const marksBuffer = 64 << 10

var errMarksClosed = errors.New("marks writer is closed")

// NewMarksWriter returns a writer to w, which need not be buffered.
func NewMarksWriter(w io.Writer) *MarksWriter {
	m := &MarksWriter{w: w, hash: sha256.New(), buf: make([]byte, 0, marksBuffer)}
	m.buf = append(m.buf, marksMagic...)
	return m
}

// Add appends the mark of the manifest's next file, and the entry that last
// read it: 0 for the stamp that will name this marks file. What of a mark has no
// form here (a version of more than MaxOpaque bytes) is left out.
func (m *MarksWriter) Add(mark source.Mark, entry uint64) error {
	if m.err == nil && entry > MaxEntry {
		m.err = fmt.Errorf("write marks: %w: entry %d", fingerprint.ErrFormat, entry)
	}
	if m.err == nil && len(m.buf)+maxRecord > cap(m.buf) {
		m.err = m.flush()
	}
	if m.err != nil {
		return m.err
	}
	t := tag(&mark)
	m.buf = binary.AppendUvarint(append(m.buf, t), entry)
	m.buf = m.coder.append(m.buf, t, &mark)
	m.count++
	return nil
}

func (m *MarksWriter) flush() error {
	m.hash.Write(m.buf)
	err := m.write()
	m.buf = m.buf[:0]
	return err
}

func (m *MarksWriter) write() error {
	if _, err := m.w.Write(m.buf); err != nil {
		return fmt.Errorf("write marks: %w", err)
	}
	return nil
}

// Close writes the end; fp is the fingerprint of the manifest beside it. It does
// not close the underlying writer. A marks file is complete only if Close
// returned no error.
func (m *MarksWriter) Close(fp fingerprint.Fingerprint) error {
	if m.err != nil {
		return m.err
	}
	m.err = errMarksClosed
	if !fp.Algorithm.Valid() {
		return fmt.Errorf("write marks: %w: %v", fingerprint.ErrFormat, fp.Algorithm)
	}
	if err := m.flush(); err != nil {
		return err
	}
	m.buf = binary.BigEndian.AppendUint64(append(m.buf, 0), m.count)
	m.buf = append(append(m.buf, byte(fp.Algorithm)), fp.Sum[:]...)
	m.hash.Write(m.buf)
	m.buf = m.hash.Sum(m.buf)
	return m.write()
}

// MarksReader reads a marks file and checks it against itself and against the
// fingerprint of the manifest beside it.
//
// Nothing that it hands out is proven before Next has returned io.EOF.
type MarksReader struct {
	r     *bufio.Reader
	want  fingerprint.Fingerprint
	coder coder
	count uint64
	hash  hash.Hash
	err   error // sticky
}

// NewMarksReader reads the first bytes of a marks file. It must be that of the
// manifest with the fingerprint want: another one is ErrMismatch from Next at
// the end. The classes of error are those of package fingerprint. What is read
// of r is buffered.
func NewMarksReader(r io.Reader, want fingerprint.Fingerprint) (*MarksReader, error) {
	m := &MarksReader{r: bufio.NewReaderSize(r, marksBuffer), want: want, hash: sha256.New()}
	b, err := m.r.Peek(len(marksMagic))
	if err != nil && err != io.EOF {
		return nil, fmt.Errorf("read marks: %w", err)
	}
	if string(b) != marksMagic[:len(b)] {
		return nil, fmt.Errorf("read marks: %w: it does not begin with %q", fingerprint.ErrFormat, marksMagic)
	}
	if len(b) < len(marksMagic) {
		return nil, fmt.Errorf("read marks: %w: in its first line", fingerprint.ErrTruncated)
	}
	m.take(b)
	return m, nil
}

// take goes past the first bytes of the buffer.
func (m *MarksReader) take(b []byte) {
	m.hash.Write(b)
	_, _ = m.r.Discard(len(b)) // they were peeked at
}

// Next returns the mark of the next file, without its size, which is the
// manifest's, and the entry that last read it, 0 for the stamp that names this
// marks file. After the last it returns io.EOF if the whole file has checked.
// Any other error stays.
func (m *MarksReader) Next() (source.Mark, uint64, error) {
	if m.err != nil {
		return source.Mark{}, 0, m.err
	}
	mark, entry, err := m.next()
	if err != nil {
		if err != io.EOF {
			err = fmt.Errorf("read marks: %w", err)
		}
		m.err = err
		return source.Mark{}, 0, err
	}
	return mark, entry, nil
}

func (m *MarksReader) next() (mark source.Mark, entry uint64, err error) {
	b, err := m.r.Peek(maxRecord)
	if len(b) > 0 && b[0] == 0 {
		return mark, 0, m.end()
	}
	d := decoder{data: b}
	t := d.byte()
	entry = d.uvarint()
	mark = m.coder.read(&d, t)
	switch {
	case errors.Is(d.err, fingerprint.ErrTruncated) && err != nil && err != io.EOF:
		return mark, 0, err
	case errors.Is(d.err, fingerprint.ErrTruncated):
		return mark, 0, fmt.Errorf("%w after %d files", fingerprint.ErrTruncated, m.count)
	case d.err != nil:
		return mark, 0, d.err
	case entry > MaxEntry:
		return mark, 0, fmt.Errorf("%w: entry %d", fingerprint.ErrFormat, entry)
	}
	m.take(b[:len(b)-len(d.data)])
	m.count++
	return mark, entry, nil
}

// end reads and checks what follows the last record. It returns io.EOF if the
// file is whole and right.
func (m *MarksReader) end() error {
	b, err := m.r.Peek(trailer + 1)
	if err != nil && err != io.EOF {
		return err
	}
	switch {
	case len(b) < trailer:
		return fmt.Errorf("%w after %d files", fingerprint.ErrTruncated, m.count)
	case len(b) > trailer:
		return fmt.Errorf("%w: bytes follow its end", fingerprint.ErrFormat)
	}
	m.hash.Write(b[:trailer-sha256.Size])
	check := fingerprint.Digest(b[trailer-sha256.Size:])
	count := binary.BigEndian.Uint64(b[1:])
	fp := fingerprint.Fingerprint{Algorithm: fingerprint.Algorithm(b[9]), Sum: fingerprint.Digest(b[10:42])}
	switch {
	case check != fingerprint.Digest(m.hash.Sum(nil)):
		return fmt.Errorf("the digest at its end %w its bytes: it is damaged", fingerprint.ErrMismatch)
	case count != m.count:
		return fmt.Errorf("the count at its end, %d, %w its %d records: it is damaged", count, fingerprint.ErrMismatch, m.count)
	case !fp.Algorithm.Valid():
		return fmt.Errorf("%w: %v", fingerprint.ErrFormat, fp.Algorithm)
	case fp != m.want:
		return fmt.Errorf("the manifest that it was written for, %v, %w %v", fp, fingerprint.ErrMismatch, m.want)
	}
	return io.EOF
}

// decoder reads the beginning of some bytes. Its first error stays; reads after
// it give zero values.
type decoder struct {
	data []byte
	err  error
}

func (d *decoder) fail(class error, why string) {
	if d.err == nil {
		d.err = fmt.Errorf("%w: %s", class, why)
	}
}

// bytes returns the next n bytes, which are data's own.
func (d *decoder) bytes(n int) []byte {
	if d.err == nil && len(d.data) < n {
		d.fail(fingerprint.ErrTruncated, fmt.Sprintf("%d bytes left where %d are due", len(d.data), n))
	}
	if d.err != nil {
		return nil
	}
	b := d.data[:n]
	d.data = d.data[n:]
	return b
}

func (d *decoder) byte() byte {
	if b := d.bytes(1); b != nil {
		return b[0]
	}
	return 0
}

// uvarint reads a minimal unsigned LEB128 number.
func (d *decoder) uvarint() uint64 {
	if d.err != nil {
		return 0
	}
	v, n := binary.Uvarint(d.data)
	switch {
	case n == 0:
		d.fail(fingerprint.ErrTruncated, "in a number")
	case n < 0:
		d.fail(fingerprint.ErrFormat, "a number over 2^64-1")
	case n != (bits.Len64(v|1)+6)/7:
		d.fail(fingerprint.ErrFormat, "a number in more bytes than it needs")
	}
	if d.err != nil {
		return 0
	}
	d.data = d.data[n:]
	return v
}

// difference reads a signed number, for arithmetic modulo 2^64.
func (d *decoder) difference() uint64 {
	v := d.uvarint()
	return v>>1 ^ -(v & 1)
}

// opaque reads a version or an ETag.
func (d *decoder) opaque() string {
	n := d.uvarint()
	if d.err == nil && (n == 0 || n > MaxOpaque) {
		d.fail(fingerprint.ErrFormat, fmt.Sprintf("a version or an ETag of %d bytes", n))
	}
	return string(d.bytes(int(n)))
}
