package fingerprint

import "errors"

// The classes of error. They are compared with errors.Is; the error that wraps
// one of them names the path or the value at fault.
var (
	// ErrPath: a path is not one that a tree may hold; see [CheckPath].
	ErrPath = errors.New("invalid path")
	// ErrOrder: paths do not strictly increase in byte order.
	ErrOrder = errors.New("paths out of order")
	// ErrMismatch: contents, a manifest or a proof do not match what they are
	// checked against. Something was altered.
	ErrMismatch = errors.New("does not match")
	// ErrFormat: malformed; no writer of this package made it.
	ErrFormat = errors.New("malformed")
	// ErrTruncated: the data ends before it is complete.
	ErrTruncated = errors.New("truncated")
	// ErrRange: a byte range is empty or lies outside its file.
	ErrRange = errors.New("invalid range")
)
