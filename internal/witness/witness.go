package witness

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"golang.org/x/mod/sumdb/note"

	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/internal/durable"
)

// Options are what a witness is opened with.
type Options struct {
	FS    vfs.FS           // of the state directory; durable.Private() for a real one
	Dir   string           // the state directory; it has a key (CreateKey)
	Logs  []evidence.VKey  // the logs that it witnesses; CheckLogs holds
	Taken [][32]byte       // public keys of others, identities as well as logs, that its own must not be
	Now   func() time.Time // the clock
	// Holder is written into the lock file, for people.
	Holder durable.Holder
	// Logf, if set, is told of what an operator should look into, and of
	// checkpoints that show a log's misbehaviour.
	Logf func(format string, args ...any)
}

// Witness cosigns checkpoints. Its methods may be called concurrently.
type Witness struct {
	key    *Key
	memory memory
	now    func() time.Time
	logf   func(format string, args ...any)
	lock   io.Closer

	answers counters

	logsMu sync.RWMutex    // guards logs; taken last
	logs   map[string]*log // by origin

	// mu guards what all logs share. It is taken with a log's mu held, never
	// the other way round.
	mu      sync.Mutex
	last    int64 // the newest time that was signed, Unix seconds
	opened  time.Time
	jumps   jumps
	known   []string // origins with a record on the disk, sorted
	stopped error    // ErrRestored, once it was noticed
}

// log is one log. Its mu is held from the comparison with the record until the
// new record is on the disk: that makes it exactly one order.
type log struct {
	origin string
	keys   atomic.Pointer[[]evidence.VKey] // nil while it is not witnessed
	rate   rate

	mu     sync.Mutex
	record *record // nil: nothing was cosigned yet
	unsure bool    // a write failed: the disk has the record, or the one after it
}

// Open opens a witness on its state directory, which it locks. Whatever of its
// memory is missing or damaged is an error: it never starts again from nothing.
func Open(o Options) (*Witness, error) {
	if err := CheckLogs(o.Logs); err != nil {
		return nil, err
	}
	key, err := ReadKey(o.FS, o.Dir)
	if err != nil {
		return nil, fmt.Errorf("open witness: %w", err)
	}
	if err := apart(key.vkey, o.Logs); err != nil {
		return nil, fmt.Errorf("open witness: %w", err)
	}
	if slices.Contains(o.Taken, key.vkey.Public) {
		return nil, fmt.Errorf("open witness: %w: somebody's signing key, or a log's, is the witness's own", ErrKeys)
	}
	w := &Witness{key: key, memory: memory{o.FS, o.Dir, key.vkey}, now: o.Now, logf: o.Logf, logs: map[string]*log{}, opened: o.Now()}
	if w.logf == nil {
		w.logf = func(string, ...any) {}
	}
	if err := durable.MkdirAll(o.FS, w.memory.path(logsDir), durable.PrivateDir); err != nil {
		return nil, err
	}
	if w.lock, err = durable.Lock(o.FS, w.memory.path(lockFile), o.Holder, false); err != nil {
		return nil, fmt.Errorf("open witness: %w", err)
	}
	if err := w.load(o.Logs); err != nil {
		_ = w.lock.Close()
		return nil, fmt.Errorf("open witness: %w", err)
	}
	return w, nil
}

// Close gives the state directory back.
func (w *Witness) Close() error { return w.lock.Close() }

// VKey is the witness's public key.
func (w *Witness) VKey() evidence.VKey { return w.key.vkey }

const newWitness = "a witness whose memory cannot be relied on is replaced: make another in a new directory, and tell those whose policies name this one"

// load reads the whole memory: of logs that are no longer witnessed too, for
// their times, and because they may come back.
func (w *Witness) load(logs []evidence.VKey) error {
	err := w.memory.stopped()
	if err != nil {
		return err
	}
	if w.known, err = w.memory.known(); err != nil {
		return err
	}
	for origin, keys := range keysOf(logs) {
		w.logs[origin] = withKeys(origin, keys)
	}
	for _, origin := range w.known {
		r, err := w.memory.read(origin)
		if err != nil {
			return err
		}
		if r == nil {
			return withHint(newWitness, "%w: the record of %s is gone (%s)", ErrState, origin, w.memory.path(logsDir, OriginID(origin)))
		}
		w.last = max(w.last, r.time)
		if l := w.logs[origin]; l != nil {
			l.record = r
		}
	}
	// A process that was killed may have left a name that is not durable yet.
	if err := durable.SyncDir(w.memory.fsys, w.memory.path(logsDir)); err != nil {
		return err
	}
	for _, l := range w.logs {
		if err := w.settle(l); err != nil {
			return err
		}
	}
	return nil
}

// settle makes what the disk has of a log durable and the log's record: after
// a failed write, and after a crash before its origin was noted as known.
func (w *Witness) settle(l *log) error {
	r, err := w.memory.read(l.origin)
	if err != nil {
		return err
	}
	if r == nil {
		if l.record != nil {
			return withHint(newWitness, "%w: the record of %s is gone", ErrState, l.origin)
		}
		l.unsure = false
		return nil
	}
	if _, _, err := evidence.OpenExtended(r.signed, l.verifiers()); err != nil {
		return withHint("while a log's key changes, name both keys, until a checkpoint by the new one was cosigned",
			"%w: log %s: no key named for it signed the checkpoint of %d entries that was cosigned last", ErrKeys, l.origin, r.Size)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if l.unsure {
		if err := w.memory.write(r); err != nil {
			return err
		}
	}
	if err := w.note(l.origin); err != nil {
		return err
	}
	w.last = max(w.last, r.time)
	l.record, l.unsure = r, false
	return nil
}

// note puts an origin among those known, on the disk. The caller holds mu.
func (w *Witness) note(origin string) error {
	if slices.Contains(w.known, origin) {
		return nil
	}
	list := append(slices.Clone(w.known), origin)
	if err := w.memory.writeKnown(list); err != nil {
		return err
	}
	w.known = list
	return nil
}

// Status is how a request was answered: an HTTP status of tlog-witness.
type Status int

// The answers of add-checkpoint.
const (
	OK            Status = 200 // cosigned
	BadRequest    Status = 400 // malformed, or older than it says the old one is
	Forbidden     Status = 403 // no key of the log signed it
	NotFound      Status = 404 // not a log that is witnessed here
	Conflict      Status = 409 // not from the size that was cosigned last, or the same size with another root
	Unprocessable Status = 422 // the proof does not show that the log has grown from there
	TooMany       Status = 429 // too many requests at once, or of this log
	Failed        Status = 500 // the witness could not write, or has stopped
)

// Answer is what a witness says.
type Answer struct {
	Status Status
	Line   string // OK: the cosignature's line, with its newline
	Size   uint64 // Conflict, if Stale: what was cosigned last
	Stale  bool   // Conflict because of the old size
	Reason string // otherwise: why not, in words that may be told to anybody
}

func refuse(s Status, format string, args ...any) Answer {
	return Answer{Status: s, Reason: fmt.Sprintf(format, args...)}
}

// Add answers one request. By the time it answers OK the checkpoint is on the
// disk.
func (w *Witness) Add(r Request) Answer {
	a := w.add(r)
	w.answers.add(a.Status)
	return a
}

func (w *Witness) add(r Request) Answer {
	c, _, err := evidence.ReadExtended(r.Checkpoint)
	if err != nil {
		return refuse(BadRequest, "%v", err)
	}
	l := w.logOf(c.Origin)
	if l == nil {
		return refuse(NotFound, "this witness does not know the log %s", c.Origin)
	}
	_, n, err := evidence.OpenExtended(r.Checkpoint, l.verifiers())
	if err != nil {
		return refuse(Forbidden, "%v", err)
	}
	if !l.rate.take(w.now()) {
		return refuse(TooMany, "more than %d requests a second of this log", logRate)
	}
	if r.Old > c.Size {
		return refuse(BadRequest, "the old size, %d, is above the checkpoint's, %d", r.Old, c.Size)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if a, ok := w.ready(l, r.Checkpoint); !ok {
		return a
	}
	older := evidence.Checkpoint{Origin: c.Origin, Root: evidence.EmptyRoot}
	if l.record != nil {
		older = l.record.Checkpoint
	}
	switch {
	case r.Old != older.Size:
		return Answer{Status: Conflict, Stale: true, Size: older.Size}
	case c.Size == older.Size && c.Root != older.Root:
		w.logf("%s shows two trees of %d entries: %v was cosigned, now it signed %v", c.Origin, c.Size, older.Root, c.Root)
		return refuse(Conflict, "another root of %d entries was cosigned", c.Size)
	}
	if err := evidence.CheckConsistency(older, c, r.Proof); err != nil {
		w.logf("%s: %v", c.Origin, err)
		return refuse(Unprocessable, "%v", err)
	}
	return w.cosign(l, c, n)
}

// ready reports whether a log can be answered for. The caller holds l.mu.
func (w *Witness) ready(l *log, signed []byte) (Answer, bool) {
	if l.unsure {
		if err := w.settle(l); err != nil {
			w.logf("%s: %v", l.origin, err)
			return refuse(Failed, "the witness could not read its memory"), false
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.stopped == nil {
		w.stopped = w.setBack(l, signed)
	}
	if w.stopped != nil {
		w.logf("%v", w.stopped)
		return refuse(Failed, "this witness has stopped"), false
	}
	return Answer{}, true
}

// setBack looks for the witness's own cosignature on what a log submits: one
// that the memory does not cover shows that the memory was put back from a
// copy. Nobody else can make one. The caller holds mu and l.mu.
func (w *Witness) setBack(l *log, signed []byte) error {
	own, err := w.memory.cosigned(signed)
	if err != nil {
		return nil // none of ours, or a false one: like any unknown signature
	}
	r := l.record
	if r != nil && own.time <= r.time && own.Size <= r.Size && (own.Size < r.Size || own.Root == r.Root) {
		return nil
	}
	why := fmt.Sprintf("%s has a checkpoint of %d entries that this witness cosigned at Unix time %d, and does not remember", l.origin, own.Size, own.time)
	if err := w.memory.stop(why, signed); err != nil {
		why += fmt.Sprintf("; noting that failed: %v", err)
	}
	return withHint(newWitness, "%w: %s", ErrRestored, why)
}

// time returns the time to sign: the clock's, and never before one that was
// signed. The caller holds mu.
func (w *Witness) time() (int64, error) {
	read := w.now()
	if err := w.jumps.look(read.Round(0), read.Sub(w.opened)); err != nil { // Sub goes by the monotonic clock
		return 0, err
	}
	now := read.Unix()
	if now < 0 || now < w.last-maxClockBack {
		return 0, fmt.Errorf("%w: it says Unix time %d, and %d was signed", ErrClock, now, w.last)
	}
	w.last = max(w.last, now)
	return w.last, nil
}

// cosign signs, stores, and then answers. The caller holds l.mu.
func (w *Witness) cosign(l *log, c evidence.Checkpoint, n *note.Note) Answer {
	failed := func(err error) Answer {
		w.logf("%s: %v", c.Origin, err)
		return refuse(Failed, "the witness could not cosign")
	}
	w.mu.Lock()
	seconds, err := w.time()
	w.mu.Unlock()
	if err != nil {
		return failed(err)
	}
	signer, vkey, err := evidence.NewCosigner(w.key.vkey.Name, w.key.private, seconds)
	if err != nil {
		return failed(err)
	}
	sig, err := signer.Sign([]byte(n.Text))
	if err != nil {
		return failed(err)
	}
	line := signatureLine(vkey.Name, vkey.ID(), sig)
	// The log's signatures that verified, and ours: of the others nobody knows
	// what they are.
	var signed strings.Builder
	signed.WriteString(n.Text + "\n")
	for _, s := range n.Sigs {
		signed.WriteString("— " + s.Name + " " + s.Base64 + "\n")
	}
	signed.WriteString(line)
	if signed.Len() > evidence.MaxCheckpoint { // by its extension lines: it could not be read again
		return refuse(BadRequest, "with the cosignature the checkpoint has more than %d bytes", evidence.MaxCheckpoint)
	}
	next := &record{Checkpoint: c, time: seconds, signed: []byte(signed.String())}
	if err := w.memory.write(next); err != nil {
		l.unsure = true
		return failed(err)
	}
	l.record = next
	w.mu.Lock()
	err = w.note(l.origin)
	w.mu.Unlock()
	if err != nil {
		l.unsure = true
		return failed(err)
	}
	return Answer{Status: OK, Line: line}
}

func signatureLine(name string, id uint32, sig []byte) string {
	raw := append(binary.BigEndian.AppendUint32(nil, id), sig...)
	return "— " + name + " " + base64.StdEncoding.EncodeToString(raw) + "\n"
}

// errNone says that nothing was cosigned of a log.
var errNone = errors.New("nothing was cosigned of that log")

// Latest returns the newest cosigned checkpoint of the log of that OriginID.
func (w *Witness) Latest(id string) ([]byte, error) {
	for _, l := range w.allLogs() {
		if OriginID(l.origin) != id {
			continue
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.record == nil || l.unsure {
			return nil, errNone
		}
		return l.record.signed, nil
	}
	return nil, errNone
}
