package audit

import (
	"context"
	"fmt"
	"iter"
	"strings"

	"github.com/stele-ml/stele/fingerprint"
	"github.com/stele-ml/stele/internal/scan"
	"github.com/stele-ml/stele/internal/source"
)

const (
	// jobTasks is how many tasks that cost little travel together.
	jobTasks = 64
	// jobFiles is after how many files, of which most may need no task, a job is
	// handed on, so that progress is seen.
	jobFiles = 1024
)

// fate is what became of a file.
type fate uint8

const (
	unknown  fate = iota // a worker finds out
	stays                // it has its size
	appeared             // it is not in the manifest
	vanished             // it is only there
	resized
)

// task is one thing to know about a file: its fate, and whether one chunk is
// what it was. Tasks of one file follow one another.
type task struct {
	object source.Object // its path is all that is known where lookup is set
	lookup bool
	from   string // the manifest's name for it, where that is another
	want   uint64 // its size in the manifest

	read   bool              // a chunk is to be compared
	chunk  fingerprint.Range // of the file
	digest fingerprint.Digest
	missed uint64 // drawn chunks that are not read, because fate was clear at once

	// What was found.
	fate    fate
	size    uint64 // its present size
	differs bool   // the chunk
	err     error
}

func (t *task) path() string { return t.object.Path }

// job is some consecutive tasks for one worker: several that cost little, or
// one that reads.
type job struct {
	tasks []task
	files uint64 // of the manifest, settled with it
	done  chan struct{}
}

func newJob() *job { return &job{done: make(chan struct{})} }

// lister compares the names of a source with those of the manifest, both in
// path order, and makes jobs of what is to be found out.
type lister struct {
	ctx    context.Context
	src    source.Source
	rules  *scan.Rules
	plan   *Plan
	listed bool // look each file up rather than list
	far    bool // the source is behind a network

	next  func() (fingerprint.File, error, bool)
	file  fingerprint.File // the manifest's current one, if more
	more  bool
	files uint64
	at    uint64   // where it begins in the concatenation of all
	own   []uint64 // where its chunks that are to be read begin, there
	// starts are those of the files after it.
	starts []uint64

	// The manifest has one file, and so has the source, whose root it is: it is
	// that file, by whatever name. In a folder a name is what was stamped.
	alone bool

	hidden      []string
	hiddenCount uint64

	job     *job
	work    chan *job
	ordered chan *job // closed at the end
	err     error     // set before that
	voided  bool      // the error is the manifest's
}

func (l *lister) run(files iter.Seq2[fingerprint.File, error]) {
	defer close(l.ordered)
	defer close(l.work)
	var stop func()
	l.next, stop = iter.Pull2(files)
	defer stop()
	err := l.all()
	// What came before an error is told even so.
	if e := l.hand(); err == nil {
		err = e
	}
	l.err = err
}

func (l *lister) all() error {
	if err := l.advance(); err != nil {
		return err
	}
	if l.listed {
		return l.lookUp()
	}
	if err := l.src.List(l.ctx, l.skip, l.one); err != nil {
		return err
	}
	return l.rest()
}

// skip leaves out what the rules leave out, and notes it.
func (l *lister) skip(path string, folder bool) bool {
	if !l.rules.Hides(path, folder) {
		return false
	}
	if l.hiddenCount++; len(l.hidden) < scan.MaxHidden {
		if folder {
			path += "/"
		}
		l.hidden = append(l.hidden, strings.ToValidUTF8(path, "\uFFFD"))
	}
	return true
}

// lookUp makes tasks for the files of the manifest alone.
func (l *lister) lookUp() error {
	for l.more {
		if err := l.same(task{object: source.Object{Path: l.file.Path, Size: source.UnknownSize}, lookup: true}); err != nil {
			return err
		}
	}
	return nil
}

// one takes the next file of the listing.
func (l *lister) one(o source.Object) error {
	if l.alone && l.more {
		t := task{object: o}
		if o.Path != l.file.Path {
			t.from = l.file.Path
		}
		return l.same(t)
	}
	for l.more && l.file.Path < o.Path {
		if err := l.gone(); err != nil {
			return err
		}
	}
	if l.more && l.file.Path == o.Path {
		return l.same(task{object: o})
	}
	return l.add(task{object: o, fate: appeared, size: uint64(max(0, o.Size))})
}

// rest takes what the manifest has after the end of the listing.
func (l *lister) rest() error {
	for l.more {
		if err := l.gone(); err != nil {
			return err
		}
	}
	return nil
}

// gone takes the manifest's current file, which the listing does not have.
func (l *lister) gone() error {
	l.job.files++
	err := l.add(task{object: source.Object{Path: l.file.Path}, want: l.file.Size, fate: vanished, missed: l.drawn()})
	if err != nil {
		return err
	}
	return l.advance()
}

// same takes the manifest's current file, whose other half t begins.
func (l *lister) same(t task) error {
	t.want = l.file.Size
	l.job.files++
	if s := t.object.Size; s >= 0 {
		if t.size, t.fate = uint64(s), stays; t.size != t.want {
			t.fate, t.missed = resized, l.drawn()
			if err := l.add(t); err != nil {
				return err
			}
			return l.advance()
		}
	}
	n := l.drawn()
	if n == 0 && (t.fate == unknown || t.from != "") {
		if err := l.add(t); err != nil {
			return err
		}
	}
	for i := range n {
		if err := l.read(t, i); err != nil {
			return err
		}
	}
	if l.job.files >= jobFiles {
		if err := l.hand(); err != nil {
			return err
		}
	}
	return l.advance()
}

// drawn returns how many chunks of the manifest's current file are to be read.
func (l *lister) drawn() uint64 {
	if l.plan.All {
		return fingerprint.ChunkCount(l.file.Size)
	}
	return uint64(len(l.own))
}

// read adds a task for one of the chunks to be read, counted from 0.
func (l *lister) read(t task, i uint64) error {
	f := &l.file
	if !l.plan.All {
		i = (l.own[i] - l.at) / fingerprint.ChunkSize
	}
	t.read, t.digest = true, f.Digest
	t.chunk.Start = i * fingerprint.ChunkSize
	t.chunk.End = t.chunk.Start + uint64(fingerprint.ChunkLen(f.Size, i))
	if f.Size > fingerprint.ChunkSize {
		if uint64(len(f.Chunks)) != fingerprint.ChunkCount(f.Size) {
			return l.void(fmt.Errorf("file %s: %w: no chunk digests", source.Show(f.Path), fingerprint.ErrFormat))
		}
		t.digest = f.Chunks[i]
	}
	return l.add(t)
}

// add puts a task into the present job and hands that on where it is enough for
// one worker.
func (l *lister) add(t task) error {
	l.job.tasks = append(l.job.tasks, t)
	if t.read || t.lookup && l.far || len(l.job.tasks) == jobTasks {
		return l.hand()
	}
	return nil
}

// hand gives the present job its place in the order, once there is room, and to
// the workers.
func (l *lister) hand() error {
	j := l.job
	l.job = newJob()
	for _, to := range []chan *job{l.ordered, l.work} {
		select {
		case to <- j:
		case <-l.ctx.Done():
			return context.Cause(l.ctx)
		}
	}
	return nil
}

// advance moves the manifest on. At its end it must have been the one that the
// plan was made of.
func (l *lister) advance() error {
	l.at += l.file.Size
	last := l.file.Path
	var err error
	if l.file, err, l.more = l.next(); l.more && err != nil {
		return l.void(err)
	}
	if !l.more {
		if l.at != l.plan.Bytes || l.files != l.plan.Files {
			return l.void(fmt.Errorf("audit: the manifest %w the plan", fingerprint.ErrMismatch))
		}
		return nil
	}
	if l.files++; l.files > 1 && l.file.Path <= last {
		return l.void(fmt.Errorf("audit: file %s: %w", source.Show(l.file.Path), fingerprint.ErrOrder))
	}
	n := 0
	for n < len(l.starts) && l.starts[n]-l.at < l.file.Size {
		if (l.starts[n]-l.at)%fingerprint.ChunkSize != 0 {
			return l.void(fmt.Errorf("audit: the manifest %w the plan", fingerprint.ErrMismatch))
		}
		n++
	}
	l.own, l.starts = l.starts[:n], l.starts[n:]
	return nil
}

func (l *lister) void(err error) error {
	l.voided = true
	return err
}
