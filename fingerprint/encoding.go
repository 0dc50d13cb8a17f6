package fingerprint

import (
	"encoding/binary"
	"fmt"
	"math/bits"
)

// decoder reads a small binary document that is wholly in memory. Its first
// error stays; reads after it give zero values.
type decoder struct {
	what string // for errors
	data []byte
	err  error
}

func (d *decoder) fail(class error, why string) {
	if d.err == nil {
		d.err = fmt.Errorf("%s: %w: %s", d.what, class, why)
	}
}

// bytes returns the next n bytes, which are data's own.
func (d *decoder) bytes(n int) []byte {
	if d.err == nil && len(d.data) < n {
		d.fail(ErrTruncated, fmt.Sprintf("%d bytes left where %d are due", len(d.data), n))
	}
	if d.err != nil {
		return nil
	}
	b := d.data[:n]
	d.data = d.data[n:]
	return b
}

func (d *decoder) domain(want string) {
	if got := d.bytes(min(len(want), len(d.data))); d.err == nil && string(got) != want[:len(got)] {
		d.fail(ErrFormat, "it does not begin with "+quote(want))
	} else if d.err == nil && len(got) < len(want) {
		d.fail(ErrTruncated, "in its first line")
	}
}

func (d *decoder) algorithm() Algorithm {
	b := d.bytes(1)
	if d.err != nil {
		return 0
	}
	a := Algorithm(b[0])
	if !a.Valid() {
		d.fail(ErrFormat, a.String())
		return 0
	}
	return a
}

func (d *decoder) u64() uint64 {
	b := d.bytes(8)
	if d.err != nil {
		return 0
	}
	return binary.BigEndian.Uint64(b)
}

func (d *decoder) digest() (out Digest) {
	copy(out[:], d.bytes(len(out)))
	return out
}

func (d *decoder) uvarint() uint64 {
	if d.err != nil {
		return 0
	}
	v, n, err := uvarint(d.data)
	if err != nil {
		d.err = fmt.Errorf("%s: %w", d.what, err)
		return 0
	}
	d.data = d.data[n:]
	return v
}

// path reads uvarint(len) ‖ bytes and checks that the bytes are a path.
func (d *decoder) path() string {
	n := d.uvarint()
	if n > MaxPath {
		d.fail(ErrFormat, fmt.Sprintf("a path of %d bytes, more than %d", n, MaxPath))
	}
	p := string(d.bytes(int(n)))
	if d.err != nil {
		return ""
	}
	if err := CheckPath(p); err != nil {
		d.fail(ErrFormat, err.Error())
	}
	return p
}

func (d *decoder) size() uint64 {
	n := d.uvarint()
	if n > MaxFileSize {
		d.fail(ErrFormat, fmt.Sprintf("a file of %d bytes, more than %d", n, uint64(MaxFileSize)))
	}
	return n
}

// end returns the first error, or one if data is left over.
func (d *decoder) end() error {
	if len(d.data) != 0 {
		d.fail(ErrFormat, fmt.Sprintf("%d bytes follow its end", len(d.data)))
	}
	return d.err
}

// uvarint reads a minimal unsigned LEB128 number and how many bytes it has.
func uvarint(b []byte) (uint64, int, error) {
	v, n := binary.Uvarint(b)
	switch {
	case n == 0:
		return 0, 0, fmt.Errorf("%w: in a number", ErrTruncated)
	case n < 0:
		return 0, 0, fmt.Errorf("%w: a number over 2^64-1", ErrFormat)
	case n != uvarintLen(v):
		return 0, 0, fmt.Errorf("%w: a number in more bytes than it needs", ErrFormat)
	}
	return v, n, nil
}

// uvarintLen returns the length of v's only encoding.
func uvarintLen(v uint64) int { return (bits.Len64(v|1) + 6) / 7 }
