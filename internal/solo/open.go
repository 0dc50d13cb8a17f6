package solo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/internal/durable"
	"github.com/stele-ml/stele/internal/ledger"
	"github.com/stele-ml/stele/internal/strictjson"
	"github.com/stele-ml/stele/statement"
)

// DefaultWait is how long Open waits for another process to end.
const DefaultWait = 5 * time.Second

// Options say which ledger to open and how. Dir and State must be set.
type Options struct {
	Dir   string // the ledger's own directory, ".stele"
	State string // the directory with one state directory per ledger id

	ReadOnly bool // nothing is written: no log key is needed, and no guard
	Adopt    bool // write a new guard if it is missing: ErrNoGuard otherwise

	Wait    time.Duration // for the lock; 0 is DefaultWait, below it none
	Command string        // what a waiting process is told; default os.Args
	Clock   Clock         // default SystemClock

	// For tests: where files are. Defaults are the operating system's, and
	// for State the same with mode 0600.
	FS, StateFS vfs.FS
}

func (o Options) withDefaults() Options {
	if o.FS == nil {
		o.FS = vfs.Default
	}
	if o.StateFS == nil {
		o.StateFS = durable.Private()
	}
	if o.Clock == nil {
		o.Clock = SystemClock()
	}
	if o.Wait == 0 {
		o.Wait = DefaultWait
	}
	if o.Command == "" {
		o.Command = strings.Join(os.Args, " ")
	}
	return o
}

// Names in the ledger's directory.
const (
	fileInfo     = "ledger.json"
	fileLock     = "lock"
	fileCreating = "creating" // there while a ledger is being made
	fileIgnore   = ".gitignore"
	dirDB        = "db"

	fileGuard = "guard" // in the state directory
)

// Info is what ledger.json says.
type Info struct {
	Stele  string             `json:"stele"` // infoVersion
	ID     statement.LedgerID `json:"id"`
	Origin string             `json:"origin"`
}

const (
	infoVersion = "ledger/v1"
	maxInfo     = 4096 // bytes
)

// ReadInfo reads which ledger is in a directory, without opening it. It fails
// with ErrNoLedger if there is none.
func ReadInfo(dir string) (Info, error) { return readInfo(vfs.Default, dir) }

func readInfo(fsys vfs.FS, dir string) (Info, error) {
	var info Info
	name := fsys.PathJoin(dir, fileInfo)
	data, err := durable.ReadFile(fsys, name, maxInfo)
	if errors.Is(err, fs.ErrNotExist) {
		return info, fmt.Errorf("%w in %s", ErrNoLedger, dir)
	}
	if err != nil {
		return info, err
	}
	if err := strictjson.Unmarshal(data, &info, maxInfo, 2); err != nil {
		return info, fmt.Errorf("%s: %w", name, err)
	}
	if info.Stele != infoVersion {
		return info, fmt.Errorf("%s: version %.40q; this program knows %s", name, info.Stele, infoVersion)
	}
	return info, nil
}

func (i Info) text() []byte {
	text, err := json.Marshal(i)
	if err != nil {
		panic(err) // three strings
	}
	return append(text, '\n')
}

// lockLedger takes the ledger's lock, waiting for it.
func lockLedger(ctx context.Context, o Options) (io.Closer, error) {
	name := o.FS.PathJoin(o.Dir, fileLock)
	host, _ := os.Hostname()
	h := durable.Holder{PID: os.Getpid(), Host: host, Since: time.Now().UnixMilli(), Command: o.Command}
	deadline := time.Now().Add(o.Wait)
	const poll = 20 * time.Millisecond
	for {
		lock, err := durable.Lock(o.FS, name, h, o.ReadOnly)
		switch {
		case err == nil:
			return lock, nil
		case o.ReadOnly && errors.Is(err, fs.ErrNotExist):
			// A copy without the file, or nobody ever wrote here.
			return io.NopCloser(strings.NewReader("")), nil
		case !errors.Is(err, durable.ErrLocked):
			return nil, openError(o, fmt.Errorf("lock ledger: %w", err))
		}
		if time.Now().After(deadline) {
			holder, _ := durable.ReadHolder(o.FS, name)
			return nil, &LockedError{Dir: o.Dir, Holder: holder, Waited: max(o.Wait, 0)}
		}
		timer := time.NewTimer(poll)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil, ctx.Err()
		case <-timer.C:
		}
	}
}

// Open opens a ledger and checks it: the tree against the last checkpoint, the
// checkpoint's signature against the log key in force, the whole against the
// guard.
func Open(ctx context.Context, o Options) (e *Engine, err error) {
	o = o.withDefaults()
	if _, err := readInfo(o.FS, o.Dir); err != nil {
		return nil, err
	}
	lock, err := lockLedger(ctx, o)
	if err != nil {
		return nil, err
	}
	e, err = openLocked(o)
	if err != nil {
		lock.Close()
		return nil, err
	}
	e.lock = lock
	if !o.ReadOnly {
		go e.run()
	}
	return e, nil
}

// openLocked opens a ledger whose lock is held.
func openLocked(o Options) (_ *Engine, err error) {
	info, err := readInfo(o.FS, o.Dir) // again: it may have been made while we waited
	if err != nil {
		return nil, err
	}
	if err := checkNoMirror(o); err != nil {
		return nil, err
	}
	e := newEngine(o, info)
	defer func() {
		if err != nil {
			_ = e.release()
		}
	}()
	if e.db, err = openDatabase(o.FS, o.FS.PathJoin(o.Dir, dirDB), o.ReadOnly); err != nil {
		return nil, openError(o, err)
	}
	if e.ledger, err = ledger.Open(e.db.DB, ledger.Options{Failed: e.db.disk.err}); err != nil {
		return nil, err
	}
	if err := e.checkIdentity(); err != nil {
		return nil, err
	}
	if err := e.loadLogKeys(); err != nil {
		return nil, err
	}
	if err := e.checkGuard(); err != nil {
		return nil, err
	}
	return e, e.finishCreate()
}

// finishCreate takes away the mark that a Create left which was cut short after
// all else was done: the ledger is whole.
func (e *Engine) finishCreate() error {
	if e.opts.ReadOnly {
		return nil
	}
	err := e.opts.FS.Remove(e.opts.FS.PathJoin(e.opts.Dir, fileCreating))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("finish creating: %w", err)
	}
	return nil
}

// openError says what to do about a disk that cannot be written to.
func openError(o Options, err error) error {
	if !o.ReadOnly && (errors.Is(err, fs.ErrPermission) || isReadOnlyDisk(err)) {
		return withHint(err, "the ledger can still be read; it is written to as the user who made it", "%s cannot be written to: %v", o.Dir, err)
	}
	return err
}

// stateError says what to do about state that is somebody else's.
func (e *Engine) stateError(err error) error {
	if errors.Is(err, fs.ErrPermission) {
		return withHint(err, "it is your own state, and may have been made by another user (with sudo?): chown gives it back to you", "%v", err)
	}
	return err
}

// checkIdentity: the database is the ledger that ledger.json names, and its
// last checkpoint is signed by the log's key.
func (e *Engine) checkIdentity() error {
	v := e.ledger.View()
	if v.ID() != e.info.ID || v.Origin() != e.info.Origin {
		return fmt.Errorf("%w: %s names ledger %s (%s), the database holds %s (%s)",
			ledger.ErrDamaged, fileInfo, e.info.ID, e.info.Origin, v.ID(), v.Origin())
	}
	signed, err := v.LatestCheckpoint()
	if err != nil {
		return err
	}
	return e.checkSigned(signed)
}

// checkSigned: the log key in force at its size signed a checkpoint. Of a
// ledger whose rules are newer than this program the keys are unknown; it can
// be read all the same.
func (e *Engine) checkSigned(signed []byte) error {
	control, err := e.ledger.View().Control()
	if errors.Is(err, ledger.ErrRules) && e.opts.ReadOnly {
		return nil
	}
	if err != nil {
		return err
	}
	return checkSigned(control, signed)
}

func checkSigned(control *evidence.Control, signed []byte) error {
	cp, _, err := evidence.ReadCheckpoint(signed)
	if err != nil {
		return err
	}
	key, ok := control.LogKey(cp.Size)
	if !ok {
		return fmt.Errorf("checkpoint of size %d: %w: no log key", cp.Size, evidence.ErrUntrusted)
	}
	_, _, err = evidence.OpenCheckpoint(signed, evidence.Verifiers(key))
	return err
}

// statePath returns a file of the ledger's state directory.
func (e *Engine) statePath(name string) string {
	return e.stateFS.PathJoin(e.opts.State, e.info.ID.String(), name)
}

// loadLogKeys reads the key in force. A rotation may have been cut short: the
// ledger says which key it is, and the files follow.
func (e *Engine) loadLogKeys() error {
	if e.opts.ReadOnly {
		return nil
	}
	control, err := e.ledger.View().Control()
	if err != nil {
		return err
	}
	want, _ := control.LogKey(evidence.MaxSize)
	current, err := readLogKey(e.stateFS, e.statePath(logKeyFile))
	if err != nil {
		return e.stateError(err)
	}
	next, err := readLogKey(e.stateFS, e.statePath(nextKeyFile))
	if err != nil {
		return e.stateError(err)
	}
	switch {
	case next != nil && next.vkey == want:
		return e.promote(next)
	case current != nil && current.vkey == want:
		e.keys[current.vkey] = current
		if next != nil {
			e.keys[next.vkey] = next
		}
		return nil
	}
	return withHint(ErrNoLogKey, "copy it from the machine that made the ledger; reading needs none",
		"%v: %s should hold %s", ErrNoLogKey, e.statePath(logKeyFile), want.Short())
}

// promote makes the next key the current one. A crash between the two steps
// leaves the same key twice.
func (e *Engine) promote(k *LogKey) error {
	if err := durable.WriteFile(e.stateFS, e.statePath(logKeyFile), k.text()); err != nil {
		return fmt.Errorf("store log key: %w", err)
	}
	if err := e.stateFS.Remove(e.statePath(nextKeyFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("store log key: %w", err)
	}
	e.keys = map[evidence.VKey]*LogKey{k.vkey: k}
	return nil
}

// checkGuard compares the database with the guard, and moves it on.
func (e *Engine) checkGuard() error {
	name := e.statePath(fileGuard)
	g, signed, err := openGuard(e.stateFS, name)
	switch {
	case missingGuard(err):
		return e.adoptGuard(name, err)
	case err != nil:
		return e.stateError(err)
	}
	e.guard = g
	v := e.ledger.View()
	have, err := logSigned(v)
	if err != nil {
		return err
	}
	if err := e.compareGuard(v, signed, have); err != nil {
		return err
	}
	if !e.opts.ReadOnly && string(have) != string(signed) {
		return g.set(have)
	}
	return nil
}

func (e *Engine) adoptGuard(name string, cause error) error {
	switch {
	case e.opts.ReadOnly:
		return nil
	case !e.opts.Adopt:
		return withHint(ErrNoGuard, "if this is the newest copy of the ledger, and no other machine writes to it, adopt it with --adopt",
			"%v: %s: %v", ErrNoGuard, name, cause)
	}
	signed, err := logSigned(e.ledger.View())
	if err != nil {
		return err
	}
	if err := durable.MkdirAll(e.stateFS, e.stateFS.PathDir(name), durable.PrivateDir); err != nil {
		return err
	}
	if err := createGuard(e.stateFS, name, signed); err != nil {
		return err
	}
	e.guard, _, err = openGuard(e.stateFS, name)
	return err
}

// compareGuard: the database, of which have is the newest checkpoint in that
// view, goes on from the guard's checkpoint.
func (e *Engine) compareGuard(v *ledger.View, guard, have []byte) error {
	g, _, err := evidence.ReadCheckpoint(guard)
	if err != nil {
		return fmt.Errorf("guard: %w", err)
	}
	h, _, err := evidence.ReadCheckpoint(have)
	if err != nil {
		return err
	}
	fail := func(class error) error {
		return &GuardError{Class: class, Guard: g, Database: h, GuardSigned: guard, DatabaseSigned: have}
	}
	switch {
	case g.Origin != h.Origin:
		return fail(ErrBesideGuard)
	case g.Size > h.Size:
		return fail(ErrBehindGuard)
	case g.Size == h.Size:
		if g.Root != h.Root {
			return fail(ErrBesideGuard)
		}
	default:
		proof, err := v.Consistency(g.Size)
		if err != nil {
			return err
		}
		if evidence.CheckConsistency(g, h, proof) != nil {
			return fail(ErrBesideGuard)
		}
	}
	return e.checkSigned(guard)
}
