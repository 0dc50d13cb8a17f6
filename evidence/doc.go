// Package evidence is what can be shown: it turns a ledger's checkpoints,
// proofs and control entries into one file that proves a claim offline, with
// all that the artifact was made of, and checks such a file against what a
// person trusts.
//
// The formats of the log are those of C2SP (signed notes, tlog-checkpoint,
// tlog-cosignature, tlog-policy, tlog-proof) over RFC 6962 trees, so that
// tools from elsewhere read and check them; the leaf and the evidence file are
// Stele's own. Each has a page under docs/formats.
//
// Nothing here opens a file, dials an address or reads a clock: bytes, trust
// and the time come in as values, a verdict goes out. Trust never comes out of
// the data that is being checked.
package evidence

import "errors"

// The classes of error. Test with errors.Is; the message says what and where.
var (
	// ErrFormat: the bytes are not in the format, or not in its one encoding.
	ErrFormat = errors.New("malformed")

	// ErrTampered: well formed, but a hash, a proof or the signature of a
	// known key does not fit what it stands for.
	ErrTampered = errors.New("tampered")

	// ErrUntrusted: nothing is wrong with the bytes, but nobody whom the
	// trust policy names vouches for them.
	ErrUntrusted = errors.New("not trusted")

	// ErrFork: the log showed two histories, neither of which contains the
	// other. An ErrFork is also an ErrUntrusted.
	ErrFork error = untrusted("the log shows two histories")

	// ErrRollback: the log shows less than it showed before. An ErrRollback
	// is also an ErrUntrusted.
	ErrRollback error = untrusted("the log went back")
)

// untrusted is a kind of ErrUntrusted.
type untrusted string

func (e untrusted) Error() string        { return string(e) }
func (e untrusted) Is(target error) bool { return target == ErrUntrusted }
