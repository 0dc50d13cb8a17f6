package solo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/internal/durable"
	"github.com/stele-ml/stele/internal/ledger"
	"github.com/stele-ml/stele/internal/strictjson"
	"github.com/stele-ml/stele/statement"
)

// fileMirror says, in a ledger's directory, that it is a copy which another
// machine's ledger is replayed into: nobody else writes to it.
const fileMirror = "mirror.json"

const mirrorVersion = "mirror/v1"

// MirrorInfo is what mirror.json says.
type MirrorInfo struct {
	Stele   string `json:"stele"`   // mirrorVersion
	Primary string `json:"primary"` // the address that it follows
}

// readMirrorInfo reads whose mirror a directory is: fs.ErrNotExist if it is none.
func readMirrorInfo(fsys vfs.FS, dir string) (info MirrorInfo, err error) {
	name := fsys.PathJoin(dir, fileMirror)
	data, err := durable.ReadFile(fsys, name, maxInfo)
	if err != nil {
		return info, err
	}
	if err := strictjson.Unmarshal(data, &info, maxInfo, 2); err != nil {
		return info, fmt.Errorf("%s: %w", name, err)
	}
	if info.Stele != mirrorVersion {
		return info, fmt.Errorf("%s: version %.40q; this program knows %s", name, info.Stele, mirrorVersion)
	}
	return info, nil
}

// checkNoMirror: a mirror is written to by `stele mirror` alone, also where the
// log's key happens to be at hand: it would be a second history.
func checkNoMirror(o Options) error {
	if o.ReadOnly {
		return nil
	}
	info, err := readMirrorInfo(o.FS, o.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return withHint(ErrReadOnly, "write to the ledger itself: --ledger "+info.Primary,
		"%s is a mirror of %s, which is only read", o.Dir, info.Primary)
}

// Mirror is an open copy of a ledger that another machine writes. It takes in
// what that machine has committed, by replay alone, and has neither the log's key
// nor a guard. TakeIn, Cosign, Stop and Close belong to one goroutine; View may be
// called by all.
type Mirror struct {
	opts   Options
	lock   io.Closer
	db     *database
	ledger *ledger.Ledger
	shelf  *Shelf
	named  bool  // ledger.json is there
	fork   *Fork // the log has two histories: nothing more is taken in
	view   atomic.Pointer[ledger.View]

	closeOnce sync.Once
	closeErr  error
}

// OpenMirror opens the mirror in o.Dir, or begins an empty one there that
// follows primary. A directory that holds a ledger of one's own, or anything
// else, is ErrExists. A mirror that follows another address follows this one from
// now on: what it takes in must go on from what it has.
func OpenMirror(ctx context.Context, o Options, primary string) (*Mirror, error) {
	o = o.withDefaults()
	o.ReadOnly = false
	if err := checkMirrorPlace(o); err != nil {
		return nil, err
	}
	if err := durable.MkdirAll(o.FS, o.Dir, durable.SharedDir); err != nil {
		return nil, fmt.Errorf("open mirror: %w", err)
	}
	lock, err := lockLedger(ctx, o)
	if err != nil {
		return nil, err
	}
	m := &Mirror{opts: o, lock: lock, shelf: &Shelf{o.FS, o.Dir}}
	if err := m.open(primary); err != nil {
		return nil, errors.Join(fmt.Errorf("open mirror: %w", err), m.Close())
	}
	return m, nil
}

// checkMirrorPlace: the directory is missing, empty, or a mirror's.
func checkMirrorPlace(o Options) error {
	names, err := o.FS.List(o.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("open mirror: %w", err)
	}
	switch _, err := readMirrorInfo(o.FS, o.Dir); {
	case err == nil:
		return nil
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	for _, name := range names {
		if name != fileLock && !strings.Contains(name, tempMark) {
			return withHint(ErrExists, "choose another directory", "open mirror: %s holds %s, and no mirror", o.Dir, name)
		}
	}
	return nil
}

func (m *Mirror) open(primary string) error {
	o := m.opts
	if err := checkMirrorPlace(o); err != nil { // another may have been faster
		return err
	}
	text, err := json.Marshal(MirrorInfo{mirrorVersion, primary})
	if err != nil {
		return err
	}
	for _, f := range []struct {
		name string
		text []byte
	}{{fileMirror, append(text, '\n')}, {fileIgnore, []byte("*\n")}} { // the mark first: what has it is ours
		if err := durable.WriteFile(o.FS, o.FS.PathJoin(o.Dir, f.name), f.text); err != nil {
			return err
		}
	}
	if m.db, err = openDatabase(o.FS, o.FS.PathJoin(o.Dir, dirDB), false); err != nil {
		return openError(o, err)
	}
	// Commits are made durable a stretch at a time: TakeIn.
	if m.ledger, err = ledger.Open(m.db.DB, ledger.Options{NoSync: true, Failed: m.db.disk.err}); err != nil {
		return err
	}
	if err := m.ledger.Writable(); err != nil {
		return err
	}
	if m.fork, err = readFork(o.FS, o.Dir); err != nil {
		return err
	}
	if m.ledger.View().Size() == 0 {
		return nil
	}
	info, err := readInfo(o.FS, o.Dir)
	if m.named = err == nil; err != nil && !errors.Is(err, ErrNoLedger) {
		return err
	}
	if v := m.ledger.View(); m.named && (v.ID() != info.ID || v.Origin() != info.Origin) {
		return fmt.Errorf("%w: %s names ledger %s (%s), the database holds %s (%s)",
			ledger.ErrDamaged, fileInfo, info.ID, info.Origin, v.ID(), v.Origin())
	}
	return m.publish()
}

// View returns the mirror as of the last stretch that is on the disk; nil before
// the first.
func (m *Mirror) View() *ledger.View { return m.view.Load() }

// Shelf returns the mirror's attachments and manifests.
func (m *Mirror) Shelf() *Shelf { return m.shelf }

// Healthy returns why the disk failed, or nil.
func (m *Mirror) Healthy() error { return m.db.disk.err() }

// Prepare parses a stretch and checks its signatures: see
// ledger.Ledger.PrepareReplay. It may run beside TakeIn.
func (m *Mirror) Prepare(from uint64, leaves [][]byte, kept []ledger.SizedCheckpoint) (*ledger.Stretch, error) {
	return m.ledger.PrepareReplay(from, leaves, kept)
}

// TakeIn replays a stretch, makes it durable and then shows it. After a
// ledger.ErrDamaged what came before in the stretch is there, and shown: all of
// it followed.
func (m *Mirror) TakeIn(s *ledger.Stretch) error {
	if err := m.db.disk.err(); err != nil {
		return fmt.Errorf("%w: %w", ErrFailed, err)
	}
	if m.fork != nil {
		return fmt.Errorf("%w: the mirror has stopped", evidence.ErrFork)
	}
	err := m.ledger.Replay(s)
	if err != nil && !errors.Is(err, ledger.ErrDamaged) {
		m.db.disk.fail(err)
		return err
	}
	if serr := m.publish(); serr != nil {
		return errors.Join(serr, err)
	}
	return err
}

// Cosign keeps cosignatures of a checkpoint that the mirror has: see
// ledger.Ledger.Cosign.
func (m *Mirror) Cosign(signed []byte, reached bool, witnesses ...evidence.VKey) error {
	if err := m.db.disk.err(); err != nil {
		return fmt.Errorf("%w: %w", ErrFailed, err)
	}
	if _, err := m.ledger.Cosign(signed, reached, witnesses...); err != nil {
		return err
	}
	return m.publish()
}

// publish makes durable what is committed, and shows it. The ledger is named with
// the first of it: a directory without that file holds none.
func (m *Mirror) publish() error {
	v := m.ledger.View()
	if v.Size() == 0 {
		return nil
	}
	if err := m.ledger.Sync(); err != nil {
		m.db.disk.fail(err)
		return err
	}
	if !m.named {
		info := Info{Stele: infoVersion, ID: v.ID(), Origin: v.Origin()}
		if err := durable.WriteFile(m.opts.FS, m.opts.FS.PathJoin(m.opts.Dir, fileInfo), info.text()); err != nil {
			return err
		}
		m.named = true
	}
	m.view.Store(v)
	return nil
}

// Fork returns the two histories that ended the mirror's copying, here or before it
// was started; nil if there are none.
func (m *Mirror) Fork() *Fork { return m.fork }

// Stop ends the mirror's copying, durably: the log has two histories. Those that were
// found first stay. After an error nothing is taken in either, until the mirror is
// opened again; Stop may be called again for that.
func (m *Mirror) Stop(f Fork) error {
	if m.fork == nil {
		m.fork = &f
	}
	return durable.WriteFile(m.opts.FS, m.opts.FS.PathJoin(m.opts.Dir, fileFork), m.fork.text())
}

// ID returns which ledger it is a mirror of, once anything is there.
func (m *Mirror) ID() (id statement.LedgerID, ok bool) {
	v := m.View()
	if v == nil {
		return id, false
	}
	return v.ID(), true
}

// Close closes the mirror and gives the lock back.
func (m *Mirror) Close() error {
	m.closeOnce.Do(func() {
		if m.ledger != nil {
			m.ledger.Close()
		}
		if m.db != nil {
			m.closeErr = m.db.Close()
		}
		m.closeErr = errors.Join(m.closeErr, m.lock.Close())
	})
	return m.closeErr
}
