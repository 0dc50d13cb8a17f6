package audit

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"runtime"
	"sync"

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
	if !opts.Algorithm.Valid() {
		return Result{}, fmt.Errorf("audit: %v", opts.Algorithm)
	}
	rules, err := scan.CompileRules(opts.Rules)
	if err != nil {
		return Result{}, err
	}
	workers := opts.Workers
	remote, far := src.(source.Remote)
	switch {
	case workers > 0:
	case far:
		workers = max(1, remote.Requests())
	default:
		workers = runtime.GOMAXPROCS(0)
	}
	progress := opts.Progress
	if progress == nil {
		progress = new(scan.Progress)
	}
	progress.FilesTotal.Store(plan.Files)
	progress.BytesTotal.Store(plan.BytesToRead)

	inner, stop := context.WithCancel(ctx)
	window := jobsAhead * workers
	l := &lister{
		ctx: inner, src: src, rules: rules, plan: plan, listed: opts.Listed && !src.Single(), far: far,
		starts: plan.starts, alone: plan.Files == 1 && src.Single(),
		ordered: make(chan *job, window), work: make(chan *job, window), job: newJob(),
	}
	t := &teller{found: found, progress: progress}
	var wg sync.WaitGroup
	wg.Go(func() { l.run(files) })
	for range workers {
		w := &worker{ctx: inner, src: src, algorithm: opts.Algorithm, progress: progress}
		wg.Go(func() { w.run(l.work) })
	}
	err = t.tellAll(ctx, l)
	stop()
	wg.Wait()

	t.Hidden, t.HiddenCount = l.hidden, l.hiddenCount
	switch {
	case l.voided && ctx.Err() == nil:
		return Result{}, l.err
	case err != nil && ctx.Err() != nil && errors.Is(err, ctx.Err()):
		return t.Result, context.Cause(ctx)
	case err != nil:
		return t.Result, err
	}
	progress.FilesTotal.Store(progress.FilesDone.Load())
	progress.BytesTotal.Store(progress.BytesDone.Load())
	return t.Result, nil
}

// jobsAhead is how many jobs for each worker may be between the listing and the
// caller: enough that a slow one holds up nobody.
const jobsAhead = 8

// teller puts together, in order, what the workers found.
type teller struct {
	Result
	found    func(Finding) error
	progress *scan.Progress

	open bool    // now is under way
	now  Finding // about the file of the last task; its Kind may still change
	fate fate    // of that file
}

// tellAll waits for the jobs in order.
func (t *teller) tellAll(ctx context.Context, l *lister) error {
	for {
		var j *job
		select {
		case j = <-l.ordered:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		if j == nil {
			return t.end(l.err)
		}
		select {
		case <-j.done:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		for i := range j.tasks {
			if err := j.tasks[i].err; err != nil {
				return t.end(err)
			}
			if err := t.task(&j.tasks[i]); err != nil {
				return err
			}
		}
		t.Files += j.files
		t.progress.FilesDone.Add(j.files)
	}
}

// end tells what was found of the last file, even where err ends the audit.
func (t *teller) end(err error) error {
	if e := t.flush(); err == nil {
		err = e
	}
	return err
}

// task adds one finished task.
func (t *teller) task(k *task) error {
	if !t.open || t.now.Path != k.path() {
		if err := t.flush(); err != nil {
			return err
		}
		t.open, t.fate = true, k.fate
		t.now = Finding{Path: k.path(), From: k.from, OldSize: k.want, NewSize: k.size}
	} else if t.fate != k.fate || t.now.NewSize != k.size {
		err := &source.Error{Path: k.path(), Class: source.ErrChanged, Detail: "its size is not what it was"}
		return t.end(err)
	}
	t.ChunksMissed += k.missed
	if !k.read {
		return nil
	}
	if k.fate != stays {
		t.ChunksMissed++
		return nil
	}
	t.ChunksRead++
	t.BytesRead += k.chunk.Len()
	if !k.differs {
		return nil
	}
	t.ChunksAltered++
	t.BytesAltered += k.chunk.Len()
	if r := t.now.Ranges; len(r) > 0 && r[len(r)-1].End == k.chunk.Start {
		r[len(r)-1].End = k.chunk.End
	} else {
		t.now.Ranges = append(r, k.chunk)
	}
	return nil
}

// flush tells what was found of one file, all of whose tasks are finished.
func (t *teller) flush() error {
	if !t.open {
		return nil
	}
	t.open = false
	switch {
	case t.fate == appeared:
		t.now.Kind = Added
		t.Added++
	case t.fate == vanished:
		t.now.Kind = Removed
		t.Removed++
	case t.fate == resized:
		t.now.Kind = Resized
		t.Resized++
	case len(t.now.Ranges) > 0:
		t.now.Kind = Modified
		t.Modified++
	case t.now.From != "":
		t.now.Kind = Renamed
		t.Renamed++
	default:
		return nil
	}
	if t.found == nil {
		return nil
	}
	return t.found(t.now)
}
