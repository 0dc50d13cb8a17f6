package scan

import (
	"fmt"
	"iter"
	"sync/atomic"

	"github.com/stele-ml/stele/fingerprint"
	"github.com/stele-ml/stele/internal/hint"
	"github.com/stele-ml/stele/internal/shard"
	"github.com/stele-ml/stele/internal/source"
)

// MaxHidden is how many of the hidden paths a Result names.
const MaxHidden = 100

// Options are choices about a scan. Algorithm must be set.
type Options struct {
	// Algorithm is the ledger's hash.
	Algorithm fingerprint.Algorithm
	// Workers is how many files, or parts of one, are read at once; 0 is what
	// the source asks for, where it is a [source.Remote], and else one for each
	// core.
	Workers int
	// Ignore are further ignore rules, which outweigh the defaults and those of
	// the IgnoreFile.
	Ignore []string
	// UseExact makes the rules in Exact the only ones: what verification needs,
	// which uses the stamp's rules and never the folder's.
	UseExact bool
	Exact    []string
	// Only, if not nil, are exactly the files to scan, in strictly increasing
	// byte order. There are no ignore rules then, not even the defaults, and
	// one that is not found is fs.ErrNotExist, naming the first.
	Only []string
	// FollowOutside follows symbolic links that leave the folder.
	FollowOutside bool
	// PlainSHA256 records the plain SHA-256 of each whole file besides.
	PlainSHA256 bool

	// Hints are what an earlier scan under the same Algorithm read, in path
	// order, each with the entry that last read it. A file whose mark is still
	// the same is taken over and not read. An error among them, at their very
	// end too, fails the scan: what was taken over until then is not proven.
	// The sequence must begin anew whenever it is ranged over: that happens
	// twice where MaxRead is set.
	Hints iter.Seq2[hint.Hint, error]
	// MinStrength is how sure it must be that a file is the same; zero is any
	// strength above source.Unsure.
	MinStrength source.Strength

	// Journal, if not nil, is where a long scan notes what it has read, and
	// what it goes on from after an interruption. It stays the caller's, who
	// calls Done once the result is safe, and Close.
	Journal *hint.Journal
	// RememberAfter is how many bytes must have been read until a scan begins
	// to note them; 0 is after some seconds or some GiB. One that goes on from
	// an earlier one notes everything.
	RememberAfter uint64

	// MaxRead, if not 0, is the most bytes to read. More is *TooMuchError:
	// before anything is read, where the source can tell how much there is, and
	// else when it is reached.
	MaxRead uint64
	// Shard, if its Count is not 0, scans only the files of one shard. Result
	// and emit are of these; Result.Listing is of all. It excludes Hints: a
	// shard file has no place for what was not read.
	Shard shard.Part

	// Progress, if not nil, is kept up to date.
	Progress *Progress
	// Kept, if not nil, is called just before emit with each file, its mark
	// when its bytes were read (zero where it had none) and the entry that last
	// read them: 0 if this scan did.
	Kept func(f fingerprint.File, m source.Mark, entry uint64) error
}

// Progress is how far a scan has come. It may be read at any time.
type Progress struct {
	// FilesDone and BytesDone are read or taken over.
	FilesDone, BytesDone atomic.Uint64
	// BytesTaken are those of BytesDone that this scan did not read.
	BytesTaken atomic.Uint64
	// FilesTotal and BytesTotal are 0 until they are known, which a scan that
	// takes long enough to show progress counts for this purpose alone. They
	// are what was counted; the tree may still change.
	FilesTotal, BytesTotal atomic.Uint64
}

// Result is what a scan found.
type Result struct {
	Fingerprint fingerprint.Fingerprint
	Summary     fingerprint.Summary
	// Rules is every ignore rule in force, in the order of their weight, the
	// last the strongest: the list that a stamp binds. A single file has none.
	Rules []string
	// Hidden are the first MaxHidden paths that the rules left out, in path
	// order. A folder counts once, whatever it holds, and ends with '/'. Bytes
	// that are not UTF-8 are replaced by U+FFFD.
	Hidden      []string
	HiddenCount uint64
	// Single is set if the path was one file.
	Single bool
	// Basis is how it is known that the bytes are these.
	Basis Basis
	// Listing is of all files, of which Options.Shard took its own; zero
	// without Shard.
	Listing shard.Listing
}

// Basis counts the bytes of a scan by how they are known. Read, Version, ETag
// and MTime add up to Summary.Bytes.
type Basis struct {
	Read    uint64 // read by this scan
	Version uint64 // not read: the version or generation is the same
	ETag    uint64 // not read: the ETag is the same
	MTime   uint64 // not read: size, times, inode and device are the same
	// Entry is the oldest entry that last read some byte that was taken over;
	// nil if none was.
	Entry *uint64
	// Resumed are those of Read that an earlier, interrupted run of the same
	// scan read, of files that have not changed since.
	Resumed uint64
}

// TooMuchError says that a scan would read more than Options.MaxRead.
type TooMuchError struct {
	Will uint64 // bytes that would be read, at least
	Max  uint64 // bytes
}

func (e *TooMuchError) Error() string {
	return fmt.Sprintf("%d bytes would have to be read, more than the %d allowed", e.Will, e.Max)
}
