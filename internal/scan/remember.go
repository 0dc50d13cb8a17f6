package scan

import (
	"sync/atomic"
	"time"

	"github.com/stele-ml/stele/fingerprint"
	"github.com/stele-ml/stele/internal/hint"
	"github.com/stele-ml/stele/internal/source"
)

// A scan is noted from here on: a shorter one is sooner done again than the
// notes are worth.
const (
	rememberAfter      = 5 * time.Second
	rememberAfterBytes = 4 << 30
)

// notebook is a scan's use of its journal. The zero notebook has none.
type notebook struct {
	j     *hint.Journal
	began time.Time
	after uint64 // bytes; 0: chosen
	read  atomic.Uint64
	on    atomic.Bool
}

func (n *notebook) begin(opts *Options) {
	n.j, n.after, n.began = opts.Journal, opts.RememberAfter, time.Now()
	n.on.Store(n.j != nil && n.j.Resumed())
}

// past reports whether there may be something of an earlier run.
func (n *notebook) past() bool { return n.j != nil && n.j.Resumed() }

// count notes that bytes were read.
func (n *notebook) count(bytes uint64) {
	if n.j != nil {
		n.read.Add(bytes)
	}
}

// worth reports whether what is found is to be noted.
func (n *notebook) worth() bool {
	if n.j == nil || n.on.Load() {
		return n.j != nil
	}
	read := n.read.Load()
	switch {
	case n.after > 0 && read < n.after:
		return false
	case n.after == 0 && read < rememberAfterBytes && time.Since(n.began) < rememberAfter:
		return false
	}
	n.on.Store(true)
	return true
}

// files notes the small files of a batch that this run has read.
func (n *notebook) files(b *batch) {
	if !n.worth() {
		return
	}
	var all []hint.Hint
	for i := range b.found {
		f := &b.found[i]
		if f.err == nil && f.how == source.Unsure && f.resumed == 0 && f.file.Size <= fingerprint.ChunkSize {
			all = append(all, hint.Hint{File: f.file, Mark: f.mark})
		}
	}
	n.j.Remember(all)
}

// follow prepares to note a large file as it is read, and finds what an earlier
// run has read of it under the same mark.
func (n *notebook) follow(l *large) {
	if n.j == nil || l.mark == (source.Mark{}) || l.mark.Size != int64(l.r.Size()) {
		return
	}
	count := (uint64(len(l.chunks)) + hint.GroupChunks - 1) / hint.GroupChunks
	had := make([]bool, count)
	if n.past() {
		for g := range count {
			if chunks := n.j.Chunks(l.path(), l.mark, g); chunks != nil {
				copy(l.chunks[g*hint.GroupChunks:], chunks)
				had[g] = true
			}
		}
		if l.plain != nil {
			if sum, ok := n.j.Plain(l.path(), l.mark); ok {
				*l.plain = sum
				l.have[0] = true
			}
		}
	}
	l.groups = make([]atomic.Int32, count)
	for i := l.firstPart(); i < l.parts; i++ {
		from, to := l.span(i)
		first, last := from/hint.GroupChunks, (to-1)/hint.GroupChunks
		all := true
		for g := first; g <= last; g++ {
			all = all && had[g]
		}
		if all {
			l.have[i] = true
			continue
		}
		for g := first; g <= last; g++ {
			l.groups[g].Add(1)
		}
	}
}

// notePart notes the groups that a finished part completes. A file that changed
// since it was opened is not noted under its mark.
func (w *worker) notePart(l *large, i int64) {
	if l.groups == nil {
		return
	}
	path := l.path()
	if l.plain != nil && i == 0 {
		if w.notes.worth() && l.r.Unchanged(w.ctx) == nil {
			w.notes.j.RememberPlain(path, l.mark, *l.plain)
		}
		return
	}
	from, to := l.span(i)
	for g := from / hint.GroupChunks; g <= (to-1)/hint.GroupChunks; g++ {
		if l.groups[g].Add(-1) == 0 && w.notes.worth() && l.r.Unchanged(w.ctx) == nil {
			end := min((g+1)*hint.GroupChunks, uint64(len(l.chunks)))
			w.notes.j.RememberChunks(path, l.mark, g, l.chunks[g*hint.GroupChunks:end])
		}
	}
}
