package audit

import (
	"context"
	"errors"
	"iter"

	"github.com/stele-ml/stele/fingerprint"
	"github.com/stele-ml/stele/internal/scan"
	"github.com/stele-ml/stele/internal/source"
)

// The words for what differs, as package fingerprint has them, and one more.
const (
	Modified = fingerprint.Modified // of the stamped size, and chunks that were read differ
	Added    = fingerprint.Added
	Removed  = fingerprint.Removed
	Renamed  = fingerprint.Renamed // the only file, under another name: no difference
	Resized  = "resized"           // of another size; its chunks are not read
)

// Finding is one file that is not what was stamped.
type Finding struct {
	Path string // where it is now; of one removed, where it was
	Kind string
	From string // of a file renamed, what it was called; otherwise empty
	// OldSize is the stamped size in bytes, NewSize the present one; 0 where
	// there is no such file.
	OldSize, NewSize uint64
	// Ranges, of one modified, are the chunks that were read and differ, merged.
	// Of the others, which were not read, nothing is known.
	Ranges []fingerprint.Range
}

// Options are choices about an audit. Algorithm must be set.
type Options struct {
	Algorithm fingerprint.Algorithm
	// Rules are the ignore rules that the stamp binds; no others count.
	Rules []string
	// Listed says that the stamp took exactly the files of a list: each is looked
	// up, and what lies beside them is nobody's business. A source that is one
	// file is listed all the same.
	Listed bool
	// Workers is how many chunks are read at once; 0 is as many as the source
	// asks for, on a disk one for each core.
	Workers int
	// Progress, if not nil, is kept up to date: in files compared and bytes read.
	Progress *scan.Progress
}

// Result is what an audit found, counted as far as it came.
type Result struct {
	Files    uint64 // of the manifest, compared by name and size
	Added    uint64
	Removed  uint64
	Resized  uint64
	Modified uint64
	Renamed  uint64 // 1 if the only file has another name: no difference

	ChunksRead    uint64
	ChunksAltered uint64 // read, and not what was stamped
	// ChunksMissed are those that were to be read and have no place any more:
	// their file is removed or has another size.
	ChunksMissed uint64
	BytesRead    uint64
	BytesAltered uint64 // in the altered chunks

	// Hidden are the first scan.MaxHidden paths that the rules left out, in path
	// order; a folder counts once and ends with '/'.
	Hidden      []string
	HiddenCount uint64
}

// Held reports whether nothing was found that differs. It says so of the whole
// audit only if Run returned no error.
func (r Result) Held() bool { return r.Added+r.Removed+r.Resized+r.Modified == 0 }

// Run compares the names and sizes of all files that a source lists under the
// rules with those of a manifest, and the chunks of a plan that Draw made of
// the same manifest with their digests. It calls found, which may be nil, for
// each file that differs, in path order, from the calling goroutine; it goes on
// to the end whatever it finds. Memory is bounded by the workers and the plan,
// not by the data nor by what differs.
//
// What cannot be read is an error, not a finding: the first in path order ends
// the audit, and the result tells what was found until then. An object that
// changed between its listing and its reading is source.ErrChanged. An error of
// files, which walks the manifest anew, voids all that was found. An error of
// found is returned as it is; when ctx ends, its cause.
func Run(ctx context.Context, src source.Source, files iter.Seq2[fingerprint.File, error], plan *Plan, opts Options, found func(Finding) error) (Result, error) {
	return Result{}, errors.New("not yet")
}
