package source

import (
	"math"
	"time"
)

// stamp is what a system says of a file: what must not change while it is read,
// and what it is known again by.
type stamp struct {
	regular       bool
	size          uint64
	mtime, ctime  int64 // nanoseconds since 1970; ctime 0 where the system has none
	inode, device uint64
}

// check refuses what is no regular file.
func (s stamp) check(path string) error {
	if !s.regular {
		return &Error{Path: path, Class: ErrChanged, Detail: "it is no regular file any more"}
	}
	return nil
}

// difference says what differs between two stamps of one open file, or "".
func (s stamp) difference(after stamp) string {
	switch {
	case s.size != after.size:
		return "its size is not what it was"
	case s.mtime != after.mtime:
		return "its modification time is not what it was"
	case s.ctime != after.ctime || s.regular != after.regular:
		return "its change time is not what it was"
	}
	return ""
}

// mark is the mark of a file with this stamp, or zero: if there is no change
// time, if the file changed within the last two seconds before now, or after it
// by a clock that is wrong.
func (s stamp) mark(now time.Time) Mark {
	latest := now.Add(-settled).UnixNano()
	if s.mtime == 0 || s.ctime == 0 || s.mtime > latest || s.ctime > latest || s.size > math.MaxInt64 {
		return Mark{}
	}
	return Mark{Size: int64(s.size), MTime: s.mtime, CTime: s.ctime, Inode: s.inode, Device: s.device}
}
