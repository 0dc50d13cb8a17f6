package solo

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/stele-ml/stele/statement"
)

var errInjected = errors.New("injected")

// faultFS fails one change of the disk, or all from one on: before it is made,
// or after it was made, which whoever asked for it cannot tell apart.
type faultFS struct {
	vfs.FS
	mu    sync.Mutex
	count int  // changes so far
	at    int  // the change that fails; 0 for none
	after bool // it is made all the same
	from  bool // all later ones fail, too
	err   error
	hit   string // what failed
}

func (f *faultFS) Unwrap() vfs.FS { return f.FS }

func (f *faultFS) change(what string, do func() error) error {
	f.mu.Lock()
	f.count++
	fail := f.at != 0 && (f.count == f.at || f.from && f.count > f.at)
	after, injected := f.after, f.err
	if fail && f.hit == "" {
		f.hit = what
	}
	f.mu.Unlock()
	if injected == nil {
		injected = errInjected
	}
	if fail && !after {
		return injected
	}
	err := do()
	if fail {
		return injected
	}
	return err
}

func (f *faultFS) off() (hit string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.at = 0
	return f.hit
}

func (f *faultFS) open(what, name string, do func() (vfs.File, error)) (file vfs.File, err error) {
	err = f.change(what+" "+name, func() error {
		inner, err := do()
		if err == nil {
			file = &faultFile{inner, f, name}
		}
		return err
	})
	if err != nil && file != nil {
		file.Close()
		file = nil
	}
	return file, err
}

func (f *faultFS) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return f.open("create", name, func() (vfs.File, error) { return f.FS.Create(name, c) })
}

func (f *faultFS) OpenReadWrite(name string, c vfs.DiskWriteCategory, o ...vfs.OpenOption) (vfs.File, error) {
	return f.open("open", name, func() (vfs.File, error) { return f.FS.OpenReadWrite(name, c, o...) })
}

func (f *faultFS) ReuseForWrite(a, b string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return f.open("reuse", b, func() (vfs.File, error) { return f.FS.ReuseForWrite(a, b, c) })
}

func (f *faultFS) OpenDir(name string) (vfs.File, error) {
	d, err := f.FS.OpenDir(name)
	if err != nil {
		return nil, err
	}
	return &faultFile{d, f, name}, nil
}

func (f *faultFS) Link(a, b string) error {
	return f.change("link "+b, func() error { return f.FS.Link(a, b) })
}

func (f *faultFS) Remove(name string) error {
	return f.change("remove "+name, func() error { return f.FS.Remove(name) })
}

func (f *faultFS) RemoveAll(name string) error {
	return f.change("remove all "+name, func() error { return f.FS.RemoveAll(name) })
}

func (f *faultFS) Rename(a, b string) error {
	return f.change("rename "+b, func() error { return f.FS.Rename(a, b) })
}

func (f *faultFS) MkdirAll(dir string, perm fs.FileMode) error {
	return f.change("mkdir "+dir, func() error { return f.FS.MkdirAll(dir, perm) })
}

type faultFile struct {
	vfs.File
	fs   *faultFS
	name string
}

func (f *faultFile) Write(p []byte) (n int, err error) {
	err = f.fs.change("write "+f.name, func() (err error) { n, err = f.File.Write(p); return err })
	return n, err
}

func (f *faultFile) WriteAt(p []byte, off int64) (n int, err error) {
	err = f.fs.change("write at "+f.name, func() (err error) { n, err = f.File.WriteAt(p, off); return err })
	return n, err
}

func (f *faultFile) Sync() error     { return f.fs.change("sync "+f.name, f.File.Sync) }
func (f *faultFile) SyncData() error { return f.fs.change("sync "+f.name, f.File.SyncData) }

func (f *faultFile) SyncTo(n int64) (full bool, err error) {
	err = f.fs.change("sync to "+f.name, func() (err error) { full, err = f.File.SyncTo(n); return err })
	return full, err
}

// crashes is how many ways of losing half of what was not synced are tried.
var crashes = 1

// life is what happens to a ledger in the fault tests, and what of it was
// acknowledged.
type life struct {
	h     *home
	envs  []*statement.Envelope
	acked map[int]uint64 // by envelope, its index
	proof bool           // genesis was acknowledged
}

// live creates a ledger, writes, rotates the log's key, closes, opens and
// writes again; it goes on after errors as a person would, by opening again.
func (l *life) live() {
	e, err := l.h.tryCreate()
	if err == nil {
		l.submit(e, 0, 3)
		_, _ = e.RotateLogKey(l.h.t.Context(), l.h.ada)
		l.submit(e, 3, 5)
		_, _ = e.Shelf().Put([]byte("details"))
		e.Close()
	}
	if e, err = l.h.tryOpen(); err == nil {
		l.submit(e, 5, 7)
		e.Close()
	}
}

func (l *life) submit(e *Engine, from, to int) {
	l.proof = true
	for i := from; i < to; i++ {
		for len(l.envs) <= i {
			l.envs = append(l.envs, l.h.stamp(len(l.envs)))
		}
		if p, err := e.Submit(l.h.t.Context(), l.envs[i]); err == nil {
			l.acked[i] = p.Index
		}
	}
}

// check opens the ledger on what is left on a disk and looks for everything
// that was acknowledged; then it goes on.
func (l *life) check(disk vfs.FS, what string) {
	t := l.h.t
	t.Helper()
	h := *l.h
	h.opts.FS, h.opts.StateFS = disk, disk
	e, err := h.tryOpen()
	if errors.Is(err, ErrNoLedger) {
		if l.proof {
			t.Fatalf("%s: the ledger is gone", what)
		}
		if e, err = h.tryCreate(); err != nil {
			t.Fatalf("%s: create again: %v", what, err)
		}
	}
	if err != nil {
		t.Fatalf("%s: open: %v", what, err)
	}
	for i, index := range l.acked {
		entry, err := e.View().Entry(index)
		if err != nil || entry.Envelope.ID() != l.envs[i].ID() {
			t.Fatalf("%s: the acknowledged entry %d is not there: %v", what, index, err)
		}
	}
	// Every retry is safe: at most one entry for each envelope.
	m := *h.m
	for i, env := range l.envs {
		p, err := e.Submit(t.Context(), env)
		if err != nil {
			t.Fatalf("%s: retry: %v", what, err)
		}
		if index, ok := l.acked[i]; ok && (!p.Existed || p.Index != index) {
			t.Fatalf("%s: retry of entry %d: %+v", what, index, p.Receipt)
		}
	}
	if _, err := e.RotateLogKey(t.Context(), h.ada); err != nil {
		t.Fatalf("%s: rotate: %v", what, err)
	}
	h.m = &m
	h.submit(e, h.stamp(1000))
	if err := e.Close(); err != nil {
		t.Fatalf("%s: close: %v", what, err)
	}
	h.sound()
}

// newLife begins one on a disk in memory that forgets, in a crash, what was
// not synced.
func newLife(t *testing.T, fault *faultFS) *life {
	t.Helper()
	if err := fault.FS.MkdirAll("/home", 0o755); err != nil {
		t.Fatal(err)
	}
	if root, err := fault.FS.OpenDir("/"); err == nil {
		_ = root.Sync()
	}
	return &life{h: homeIn(t, "/home", fault), acked: map[int]uint64{}}
}

// TestEveryWriteFails injects an error into each change of the disk in turn, in
// both ways, and looks at what is left: as the disk is, and as it would be if
// the machine then lost its power.
func TestEveryWriteFails(t *testing.T) {
	if err := noFault(t); err != nil {
		t.Fatal(err)
	}
	stride := 5
	if os.Getenv("STELE_TEST_LONG") != "" {
		stride, crashes = 1, 8
	}
	for mode := range 2 {
		name := map[int]string{0: "it failed", 1: "it was made, and reported as failed"}[mode]
		t.Run(name, func(t *testing.T) {
			for at := 1 + mode; ; at += stride {
				hit := oneFault(t, at, mode == 1, false, nil)
				if hit == "" {
					if at < 100 {
						t.Fatalf("only %d changes: the test does not see the disk", at)
					}
					return
				}
			}
		})
	}
}

func noFault(t *testing.T) error {
	if hit := oneFault(t, 0, false, false, nil); hit != "" {
		return fmt.Errorf("%s was hit", hit)
	}
	return nil
}

func oneFault(t *testing.T, at int, after, from bool, err error) (hit string) {
	t.Helper()
	mem := vfs.NewCrashableMem()
	fault := &faultFS{FS: mem, at: at, after: after, from: from, err: err}
	l := newLife(t, fault)
	l.live()
	hit = fault.off()
	if hit == "" && at != 0 {
		return ""
	}
	what := fmt.Sprintf("change %d (%s, made: %t)", at, hit, after)
	crashed := mem.CrashClone(vfs.CrashCloneCfg{})
	var torn []vfs.FS
	for i := range crashes {
		torn = append(torn, mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 50, RNG: rand.New(rand.NewPCG(uint64(at), uint64(i)))}))
	}
	l.check(mem, what)
	l.check(crashed, what+", then the power failed")
	for _, disk := range torn {
		l.check(disk, what+", then the power failed in the middle of writing")
	}
	return hit
}

// TestDiskFull: from some moment on nothing more can be written. What was
// acknowledged is there when there is room again.
func TestDiskFull(t *testing.T) {
	stride := 29
	if os.Getenv("STELE_TEST_LONG") != "" {
		stride, crashes = 1, 8
	}
	for at := 1; ; at += stride {
		if hit := oneFault(t, at, false, true, syscall.ENOSPC); hit == "" {
			return
		}
	}
}

// TestFailedCommitIsNotAcknowledged: after a failed sync every later writer is
// refused, until the ledger is opened again, and the message says what to do.
func TestFailedCommitIsNotAcknowledged(t *testing.T) {
	for _, target := range []string{".log", "guard"} {
		t.Run(target, func(t *testing.T) {
			fault := &targetFS{faultFS: faultFS{FS: vfs.NewCrashableMem()}, target: target}
			if err := fault.FS.MkdirAll("/home", 0o755); err != nil {
				t.Fatal(err)
			}
			h := homeIn(t, "/home", fault)
			e := h.create()
			h.submit(e, h.stamp(1))
			fault.arm()
			env := h.stamp(2)
			_, err := e.Submit(t.Context(), env)
			if !errors.Is(err, ErrOutcomeUnknown) {
				t.Fatalf("the failed one: %v", err)
			}
			size := e.View().Size()
			if _, err := e.Submit(t.Context(), h.stamp(3)); !errors.Is(err, ErrFailed) && !errors.Is(err, ErrOutcomeUnknown) {
				t.Fatalf("a later one: %v", err)
			}
			if e.View().Size() != size {
				t.Fatal("the view moved on")
			}
			fault.disarm()
			if _, err := e.Submit(t.Context(), h.stamp(4)); err == nil {
				t.Fatal("acknowledged by an engine that failed")
			}
			e.Close()
			e = h.open()
			if p := h.submit(e, env); p.Index != 2 {
				t.Fatalf("%+v", p.Receipt)
			}
			closed(t, e)
			h.sound()
		})
	}
}

// targetFS fails every sync of files whose name ends in target, once armed.
type targetFS struct {
	faultFS
	target string
	armed  bool
}

func (f *targetFS) arm()    { f.mu.Lock(); f.armed = true; f.mu.Unlock() }
func (f *targetFS) disarm() { f.mu.Lock(); f.armed = false; f.mu.Unlock() }

func (f *targetFS) file(file vfs.File, name string, err error) (vfs.File, error) {
	if err != nil || !strings.HasSuffix(name, f.target) {
		return file, err
	}
	return &targetFile{file, f}, nil
}

func (f *targetFS) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	file, err := f.FS.Create(name, c)
	return f.file(file, name, err)
}

func (f *targetFS) OpenReadWrite(name string, c vfs.DiskWriteCategory, o ...vfs.OpenOption) (vfs.File, error) {
	file, err := f.FS.OpenReadWrite(name, c, o...)
	return f.file(file, name, err)
}

func (f *targetFS) ReuseForWrite(a, b string, c vfs.DiskWriteCategory) (vfs.File, error) {
	file, err := f.FS.ReuseForWrite(a, b, c)
	return f.file(file, b, err)
}

type targetFile struct {
	vfs.File
	fs *targetFS
}

func (f *targetFile) sync(do func() error) error {
	f.fs.mu.Lock()
	armed := f.fs.armed
	f.fs.mu.Unlock()
	if armed {
		return errInjected
	}
	return do()
}

func (f *targetFile) Sync() error     { return f.sync(f.File.Sync) }
func (f *targetFile) SyncData() error { return f.sync(f.File.SyncData) }
