package source

import (
	"errors"
	"io/fs"
	"strconv"
	"syscall"
)

// The classes of error, compared with errors.Is. What carries one is an [Error].
var (
	// ErrChanged: a file changed, appeared or vanished while it was read.
	ErrChanged = errors.New("changed while it was read")
	// ErrLink: a symbolic link leaves the tree, loops, or leads nowhere.
	ErrLink = errors.New("symbolic link cannot be followed")
	// ErrIrregular: a socket, a device, a pipe: nothing whose bytes stand still.
	ErrIrregular = errors.New("not a regular file")
	// ErrName: a name that a fingerprint cannot hold: not UTF-8, too long.
	ErrName = errors.New("name cannot be fingerprinted")
	// ErrDenied: a store refuses these credentials, or refuses them this object.
	ErrDenied = errors.New("permission denied")
	// ErrArchived: an object must be restored before it can be read (Glacier,
	// Azure's archive tier).
	ErrArchived = errors.New("archived")
	// ErrUnreachable: a store does not answer, or goes on failing after all
	// attempts: no such host, no connection, a timeout, 5xx, 429.
	ErrUnreachable = errors.New("unreachable")
	// ErrOrder: a store lists keys in another order than that of their bytes, or
	// one of them twice.
	ErrOrder = errors.New("not listed in byte order")
)

// Error is a failure at one path.
type Error struct {
	Path   string // in the tree, or as the user gave it for the root; may be no valid UTF-8
	Class  error  // one of the classes above, or nil
	Detail string // what exactly, or empty
	Err    error  // the cause, or nil
}

// maxShown bounds how many bytes of a path a message repeats.
const maxShown = 200

// Show makes a path of any kind fit for a message: unusual bytes escaped, a
// long one shortened in the middle.
func Show(path string) string {
	if len(path) > maxShown {
		path = path[:maxShown*2/3] + "…" + path[len(path)-maxShown/3:]
	}
	q := strconv.Quote(path)
	if q[1:len(q)-1] == path && path != "" {
		return path
	}
	return q
}

func (e *Error) Error() string {
	text := Show(e.Path)
	if e.Class != nil {
		text += ": " + e.Class.Error()
	}
	if e.Detail != "" {
		text += ": " + e.Detail
	}
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

// Unwrap gives errors.Is both the class and the cause.
func (e *Error) Unwrap() []error {
	var errs []error
	if e.Class != nil {
		errs = append(errs, e.Class)
	}
	if e.Err != nil {
		errs = append(errs, e.Err)
	}
	return errs
}

// Hint says what a person can do about it, or nothing.
func (e *Error) Hint() string {
	switch {
	case errors.Is(e.Class, ErrChanged):
		return "let what writes there finish, then run it again; or leave the file out with an ignore rule"
	case errors.Is(e.Class, ErrLink):
		return "copy the file to where the link is, ask for links out of the tree to be followed, or leave it out with an ignore rule"
	case errors.Is(e.Class, ErrIrregular):
		return "only regular files have a fingerprint; leave it out with an ignore rule"
	case errors.Is(e.Class, ErrName):
		return "rename it, or leave it out with an ignore rule"
	case errors.Is(e.Class, ErrDenied):
		return "check which credentials are used and what they may list and read; a public bucket can be read with --anonymous"
	case errors.Is(e.Class, ErrArchived):
		return "restore it in the store first, or leave it out with an ignore rule"
	case errors.Is(e.Class, ErrUnreachable):
		return "check the address, the region and the network, then run it again; if the store asks for fewer requests, bound them with --workers"
	case errors.Is(e.Class, ErrOrder):
		return "ask with --sort-listing for the whole listing to be sorted in memory first"
	case errors.Is(e.Err, fs.ErrPermission):
		return "make it readable for this user, or leave it out with an ignore rule"
	case errors.Is(e.Err, syscall.EMFILE):
		return "raise the limit of open files (ulimit -n)"
	}
	return ""
}

// failed wraps an error of the system at a path. The system's own repetition of
// operation and path is left out; an Error says all of it already.
func failed(path string, err error) error {
	if e := (*Error)(nil); errors.As(err, &e) {
		return err
	}
	var pe *fs.PathError
	if errors.As(err, &pe) {
		err = pe.Err
	}
	return &Error{Path: path, Err: err}
}

// vanished wraps an error of opening what a listing saw: not finding it there
// any more is a change, as is finding a link or another kind of thing.
func vanished(path string, err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR):
		return &Error{Path: path, Class: ErrChanged, Detail: "it vanished"}
	case isLinkError(err):
		return &Error{Path: path, Class: ErrChanged, Detail: "it became a symbolic link"}
	}
	return failed(path, err)
}
