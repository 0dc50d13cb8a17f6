package statement

import (
	"errors"
	"fmt"
)

// The classes of error of this package, for errors.Is.
var (
	// ErrFormat is a malformed envelope, statement, key or name, or one beyond a
	// limit.
	ErrFormat = errors.New("malformed")
	// ErrSignature is a signature that does not verify, or that is not the one
	// encoding of itself.
	ErrSignature = errors.New("bad signature")
	// ErrStanding is a key that did not have standing at the entry in question:
	// unknown, retired, expired, compromised or void.
	ErrStanding = errors.New("no standing")
	// ErrNotAllowed is a key in good standing whose role or name patterns do not
	// cover the statement.
	ErrNotAllowed = errors.New("not allowed")
	// ErrRule is an identity or log-key statement that the roster's rules refuse,
	// whoever signs it: the last administrator, a key registered twice.
	ErrRule = errors.New("refused by the roster")
)

// classError is an error of one of the classes above, with a hint for people.
type classError struct {
	class error
	text  string
	hint  string
}

func (e *classError) Error() string { return e.text }
func (e *classError) Unwrap() error { return e.class }

// Hint says what to do about it, or nothing.
func (e *classError) Hint() string { return e.hint }

// refuse makes an error of the class, with a hint that may be empty.
func refuse(class error, hint, format string, args ...any) error {
	return &classError{class: class, text: fmt.Sprintf(format, args...), hint: hint}
}

// malformed makes an ErrFormat.
func malformed(format string, args ...any) error {
	return fmt.Errorf("%w: %w", ErrFormat, fmt.Errorf(format, args...))
}
