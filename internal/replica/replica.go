package replica

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/internal/ledger"
	"github.com/stele-ml/stele/internal/solo"
	"github.com/stele-ml/stele/statement"
)

// DefaultParallel is how many bundles are asked for at once.
const DefaultParallel = 8

// Options say what is followed, and where the copy lies.
type Options struct {
	URL   string       // of the primary: https://HOST, or http:// on this machine
	HTTP  *http.Client // how it is reached; a client of its own if nil
	Token string       // sent to it, or empty

	Dir string // of the copy: as a ledger's, `.stele`

	// Trust returns the policy for a log of that origin: an error if it is not
	// trusted. It is asked once for each catch-up.
	Trust func(origin string) (*evidence.Policy, error)

	Parallel    int  // bundles asked for at once; 0 is DefaultParallel
	Attachments bool // copy attachments and manifests too

	// Progress, if set, is told how many of how many entries are there.
	Progress func(done, total uint64)
}

// Replica is a copy of a ledger that follows its primary. CatchUp and Close
// belong to one goroutine; the others may be called by all.
type Replica struct {
	opts   Options
	from   *primary
	mirror *solo.Mirror
	policy *evidence.Policy // the last that was asked for

	documented uint64 // entries whose documents were asked for
	latched    bool   // that the log has two histories is on the disk

	mu     sync.Mutex
	view   *ledger.View // what is shown: trusted, and on the disk
	status Status
	grown  chan struct{} // closed when the view changes, and made anew
}

// Status is how a replica stands to its primary.
type Status struct {
	Size      uint64    // entries here
	Primary   uint64    // entries that the primary last said it has, by a signed checkpoint
	Contact   time.Time // when it last answered so that nothing was wrong; zero: never since the start
	Behind    error     // why the last catch-up ended early; nil if it did not
	Stopped   bool      // the log has two histories: nothing more is taken in
	Withheld  uint64    // attachments and manifests that the primary did not give, since the start
	Documents uint64    // attachments and manifests that were copied, since the start
}

// Open opens the copy in o.Dir, or begins one. The primary is not asked yet.
func Open(ctx context.Context, o Options) (*Replica, error) {
	if o.HTTP == nil {
		o.HTTP = &http.Client{}
	}
	if o.Parallel <= 0 {
		o.Parallel = DefaultParallel
	}
	if o.Progress == nil {
		o.Progress = func(uint64, uint64) {}
	}
	from, err := newPrimary(&o)
	if err != nil {
		return nil, err
	}
	m, err := solo.OpenMirror(ctx, solo.Options{Dir: o.Dir}, o.URL)
	if err != nil {
		return nil, err
	}
	r := &Replica{opts: o, from: from, mirror: m, grown: make(chan struct{})}
	if err := r.resume(); err != nil {
		return nil, errors.Join(err, m.Close())
	}
	return r, nil
}

// resume shows what was there before, if it is trusted still. One whose first
// catch-up was cut short is shown once that has ended: trust in it may rest on
// what is yet to come.
func (r *Replica) resume() error {
	if f := r.mirror.Fork(); f != nil {
		r.latched = true
		r.status.Stopped, r.status.Behind = true, &evidence.HistoryError{Kind: evidence.ErrFork, Old: f.Old, New: f.New,
			Detail: "the log shows two histories, which this mirror found before; it copies nothing more until somebody has judged them and removed " + r.mirror.ForkPath()}
	}
	v := r.mirror.View()
	if v == nil {
		return nil
	}
	signed, err := v.LatestCheckpoint()
	if err != nil {
		return err
	}
	if r.policy, err = r.opts.Trust(v.Origin()); err != nil {
		return err
	}
	if _, err := judge(v, r.policy, signed); err != nil {
		if errors.Is(err, evidence.ErrUntrusted) {
			return nil
		}
		return err
	}
	r.show(v)
	return nil
}

// judge applies the policy's log keys, and rotations from them, to a signed
// checkpoint of the ledger of v.
func judge(v *ledger.View, policy *evidence.Policy, signed []byte) (*evidence.Opened, error) {
	control, err := v.Control()
	if err != nil {
		return nil, err
	}
	return control.Judge(policy, signed)
}

// show makes a view what others see.
func (r *Replica) show(v *ledger.View) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.view != nil && r.view.Size() == v.Size() {
		r.view = v // cosignatures
		return
	}
	r.view, r.status.Size = v, v.Size()
	close(r.grown)
	r.grown = make(chan struct{})
}

// View returns the copy as of the last commit that was taken in; nil before the
// first catch-up has ended.
func (r *Replica) View() *ledger.View {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.view
}

// Grown returns a channel that is closed when the view changes next.
func (r *Replica) Grown() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.grown
}

// Status returns how the replica stands to its primary.
func (r *Replica) Status() Status {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.status
}

// Primary returns the address that is followed, to which one writes.
func (r *Replica) Primary() string { return r.from.base.String() }

// Shelf returns the copy's attachments and manifests.
func (r *Replica) Shelf() *solo.Shelf { return r.mirror.Shelf() }

// Healthy returns why the copy's disk failed, or nil.
func (r *Replica) Healthy() error { return r.mirror.Healthy() }

// ID returns which ledger it is, once anything is there.
func (r *Replica) ID() (statement.LedgerID, bool) { return r.mirror.ID() }

// Close closes the copy.
func (r *Replica) Close() error { return r.mirror.Close() }

// Submit refuses: a replica is written to by its primary alone.
func (r *Replica) Submit(context.Context, *statement.Envelope) (*solo.Proof, error) {
	return nil, fmt.Errorf("%w: this is a mirror; write to %s", solo.ErrReadOnly, r.Primary())
}

// CatchUp takes in what the primary has, up to its newest checkpoint at the
// beginning. The errors: ErrUnreachable; client.ErrAccess, where the primary lets this
// mirror read nothing; evidence.ErrUntrusted, where the log is
// not trusted; evidence.ErrTampered; *evidence.HistoryError, after which, if it is
// a fork, every further CatchUp returns the same without asking, also after the copy
// was closed and opened again; those of the disk.
func (r *Replica) CatchUp(ctx context.Context) error {
	if s := r.Status(); s.Stopped {
		return r.latch(s.Behind)
	}
	err := r.latch(r.catchUp(ctx))
	r.mu.Lock()
	defer r.mu.Unlock()
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return err
	}
	r.status.Behind = err
	if err == nil {
		r.status.Contact = time.Now()
	}
	// Two signed histories do not become one. Bytes that are wrong, and an old copy
	// of the primary, may be replaced by the right ones.
	r.status.Stopped = errors.Is(err, evidence.ErrFork)
	return err
}

// latch keeps on the disk that the log has two histories: they do not become one.
func (r *Replica) latch(err error) error {
	var h *evidence.HistoryError
	if r.latched || !errors.Is(err, evidence.ErrFork) || !errors.As(err, &h) {
		return err
	}
	if kerr := r.mirror.Stop(solo.Fork{Old: h.Old, New: h.New}); kerr != nil {
		return fmt.Errorf("%w (which could not be kept, and is tried again: %w)", err, kerr)
	}
	r.latched = true
	return err
}

func (r *Replica) catchUp(ctx context.Context) error {
	signed, err := r.from.checkpoint(ctx)
	if err != nil {
		return err
	}
	target, _, err := evidence.ReadCheckpoint(signed)
	if err != nil {
		return fmt.Errorf("%w: /checkpoint: %w", ErrUnreachable, err)
	}
	if r.policy, err = r.opts.Trust(target.Origin); err != nil {
		return err
	}
	have := r.mirror.View()
	switch {
	case have == nil:
		if err := r.known(ctx, signed); err != nil {
			return err
		}
	case have.Origin() != target.Origin:
		return fmt.Errorf("%w: %s serves the log %s; this is a mirror of %s", evidence.ErrUntrusted, r.Primary(), target.Origin, have.Origin())
	case target.Size <= have.Size():
		if err := r.notAhead(ctx, have, target, signed); err != nil {
			return err
		}
	}
	if have == nil || target.Size > have.Size() {
		r.told(target.Size)
		if err := r.takeIn(ctx, target.Size); err != nil {
			return r.blame(ctx, err, target, signed)
		}
	}
	if err := r.conclude(target, signed); err != nil {
		return err
	}
	if r.opts.Attachments {
		return r.copyDocuments(ctx)
	}
	return nil
}

func (r *Replica) told(size uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.status.Primary = max(r.status.Primary, size)
}

// known looks whether a log of which nothing is here so far can turn out to be
// trusted, before its entries fill the disk: a key that the policy names signed
// its newest checkpoint, or its genesis names such a key.
func (r *Replica) known(ctx context.Context, signed []byte) error {
	log := &evidence.Policy{Logs: r.policy.Logs, Quorum: evidence.QuorumNone}
	_, err := log.Verify(signed)
	if err == nil || !errors.Is(err, evidence.ErrUntrusted) {
		return err
	}
	first, ferr := r.from.bundle(ctx, 0, 1)
	if ferr != nil {
		return ferr
	}
	e, ferr := evidence.ParseEntry(first[0])
	if ferr != nil {
		return fmt.Errorf("%w: entry 0: %w", evidence.ErrTampered, ferr)
	}
	st, ferr := e.Statement()
	if ferr != nil || st.Genesis == nil {
		return fmt.Errorf("%w: entry 0 is no genesis", evidence.ErrTampered)
	}
	key, ferr := evidence.ParseVKey(st.Genesis.LogKey)
	if ferr != nil || !r.policy.Trusts(key) {
		return err
	}
	return nil
}

// notAhead: the primary shows a checkpoint of no more entries than are here. That
// must be part of what is here, and the primary must still have what is here.
func (r *Replica) notAhead(ctx context.Context, have *ledger.View, target evidence.Checkpoint, signed []byte) error {
	if _, err := judge(have, r.policy, signed); err != nil {
		return err
	}
	ours, err := have.LatestCheckpoint()
	if err != nil {
		return err
	}
	history := func(kind error, detail string) error {
		return &evidence.HistoryError{Kind: kind, Old: ours, New: signed, Detail: detail}
	}
	then, err := have.AsOf(target.Size)
	if err == nil && target.Size == 0 {
		return history(evidence.ErrRollback, "the primary shows an empty log")
	}
	if err != nil {
		return err
	}
	root, err := then.Root()
	if err != nil {
		return err
	}
	if root != target.Root {
		return history(evidence.ErrFork, fmt.Sprintf("the log %s shows two histories: at %d entries the primary's checkpoint has another root than this mirror's tree", target.Origin, target.Size))
	}
	if target.Size == have.Size() {
		return nil
	}
	// It may show an older checkpoint that witnesses have cosigned, and have more.
	theirs, err := r.from.checkpointAt(ctx, have.Size())
	switch {
	case errors.Is(err, errAbsent):
		return history(evidence.ErrRollback, fmt.Sprintf("the log %s went back: this mirror has %d entries, the primary has %d now", target.Origin, have.Size(), target.Size))
	case err != nil:
		return err
	}
	if same, err := sameCheckpoint(ours, theirs); err != nil || same {
		return err
	}
	if _, err := judge(have, r.policy, theirs); err != nil {
		return err
	}
	return &evidence.HistoryError{Kind: evidence.ErrFork, Old: ours, New: theirs,
		Detail: fmt.Sprintf("the log %s shows two histories: its checkpoint of size %d is not this mirror's", target.Origin, have.Size())}
}

func sameCheckpoint(a, b []byte) (bool, error) {
	one, _, err := evidence.ReadCheckpoint(a)
	if err != nil {
		return false, err
	}
	other, _, err := evidence.ReadCheckpoint(b)
	if err != nil {
		return false, fmt.Errorf("%w: a checkpoint: %w", ErrUnreachable, err)
	}
	return one == other, nil
}

// conclude judges the newest checkpoint by the keys as they are now, keeps its
// cosignatures, and shows what was taken in.
func (r *Replica) conclude(target evidence.Checkpoint, signed []byte) error {
	v := r.mirror.View()
	opened, err := judge(v, r.policy, signed)
	if err != nil {
		return err
	}
	var witnesses []evidence.VKey
	for _, w := range r.policy.Witnesses {
		witnesses = append(witnesses, w.Key)
	}
	if len(opened.Cosignatures) > 0 {
		if err := r.mirror.Cosign(signed, opened.Quorum && r.policy.Quorum != evidence.QuorumNone, witnesses...); err != nil {
			return fmt.Errorf("keep the cosignatures of size %d: %w", target.Size, err)
		}
	}
	v = r.mirror.View()
	if now := r.View(); now != nil && now.Size() == v.Size() {
		a, _ := now.LatestCheckpoint()
		b, _ := v.LatestCheckpoint()
		if bytes.Equal(a, b) {
			return nil
		}
	}
	r.show(v)
	return nil
}
