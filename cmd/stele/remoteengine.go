package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/stele-ml/stele/client"
	"github.com/stele-ml/stele/contract"
	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/internal/home"
	"github.com/stele-ml/stele/internal/ledger"
	"github.com/stele-ml/stele/internal/remote"
	"github.com/stele-ml/stele/internal/solo"
	"github.com/stele-ml/stele/internal/wire"
	"github.com/stele-ml/stele/statement"
)

// servers are the servers that this command talks to, and what it knows of them.
type servers struct {
	mu   sync.Mutex
	open map[string]*connection // by address: see connect

	fromFile    map[string]bool // addresses that a .stele file gave
	unsentToken map[string]bool // addresses that were not given the token, for that

	documents map[statement.Attachment][]byte // that were fetched
}

func newServers() *servers {
	return &servers{
		open: map[string]*connection{}, fromFile: map[string]bool{}, unsentToken: map[string]bool{},
		documents: map[statement.Attachment][]byte{},
	}
}

// connection is a server that this command talks to.
type connection struct {
	client *client.Client
	ctx    context.Context // of the reads of ledger
	ledger *remote.Ledger  // as it was found last, or nil
	signed []byte          // the checkpoint of that
}

// connect returns the one client of a server that this command has.
func (a *app) connect(address string) (*connection, error) {
	a.servers.mu.Lock()
	defer a.servers.mu.Unlock()
	if c := a.servers.open[address]; c != nil {
		return c, nil
	}
	c, err := a.dial(address)
	if err != nil {
		return nil, err
	}
	a.servers.open[address] = &connection{client: c}
	return a.servers.open[address], nil
}

// disconnect ends what connect began.
func (a *app) disconnect() {
	a.servers.mu.Lock()
	defer a.servers.mu.Unlock()
	for _, c := range a.servers.open {
		c.client.Close()
	}
	clear(a.servers.open)
	if a.unsent.dir != "" {
		_ = os.RemoveAll(a.unsent.dir) // the spool has copies
	}
}

// remoteEngine opens the ledger that a server keeps, as of the newest checkpoint
// that it shows. What is read is checked against that; whose signature it has, and
// that the log goes on from what was seen before, is checked as of a directory: by
// trusting, before anything is made of it.
func (a *app) remoteEngine(ctx context.Context, address string) (engine, error) {
	c, err := a.connect(address)
	if err != nil {
		return nil, err
	}
	if a.unsent.away != nil && c.ledger != nil {
		return a.asReadBefore(c), nil
	}
	info, err := a.newestOf(ctx, c.client)
	if err != nil && c.ledger != nil && a.wentAway(c.client, err) {
		return a.asReadBefore(c), nil
	}
	if err != nil && c.ledger == nil && a.wentAway(c.client, err) {
		e, err := a.asSeenBefore(ctx, c, address, err)
		if err != nil {
			return nil, a.noLedgerThere(address, err)
		}
		return e, nil
	}
	if err != nil {
		return nil, a.noLedgerThere(address, err)
	}
	a.servers.mu.Lock()
	defer a.servers.mu.Unlock()
	if info.Primary != "" {
		a.mirrorOf = map[statement.LedgerID]string{info.ID: info.Primary}
	}
	signed := []byte(info.Checkpoint)
	if c.ledger == nil || c.ctx != ctx || !bytes.Equal(c.signed, signed) {
		l, err := a.openRemote(ctx, c.client, signed, info.ID)
		if err != nil {
			return nil, a.accessHint(address, err)
		}
		c.ledger, c.ctx, c.signed = l, ctx, signed
		a.keptAt(address, info.ID)
	}
	return &remoteEngine{app: a, c: c, ledger: c.ledger, id: info.ID}, nil
}

// asReadBefore is the ledger of a server that has gone away since: see unsent.
func (a *app) asReadBefore(c *connection) engine {
	return &remoteEngine{app: a, c: c, ledger: c.ledger, id: c.ledger.View().ID()}
}

// newestOf asks a server for its newest checkpoint, after looking up what was seen of
// its ledger. Which ledger it keeps is only known once it was asked, so
// that it may have to be asked again.
func (a *app) newestOf(ctx context.Context, c *client.Client) (*client.Info, error) {
	info, err := c.Ledger(ctx)
	if err != nil {
		return nil, err
	}
	before, err := a.memory.Ask(info.ID)
	if err != nil {
		return nil, err
	}
	cp, _, err := evidence.ReadCheckpoint([]byte(info.Checkpoint))
	if err != nil || cp.Size >= before.Size() { // what it is is judged where it is opened
		return info, nil
	}
	again, err := c.Ledger(ctx)
	if err == nil && again.ID != info.ID {
		err = fmt.Errorf("%s keeps the ledger %s, and a moment ago it kept %s: %w", c.URL(), again.ID, info.ID, evidence.ErrTampered)
	}
	return again, err
}

// openRemote opens the ledger of that id as of a checkpoint.
func (a *app) openRemote(ctx context.Context, c *client.Client, signed []byte, id statement.LedgerID) (*remote.Ledger, error) {
	l, err := remote.OpenCached(ctx, remote.Over(c), signed, filepath.Join(a.cacheDir(), id.String()))
	if err != nil {
		return nil, err
	}
	if l.View().ID() != id {
		return nil, fmt.Errorf("%s says that it keeps the ledger %s: %w: it is the ledger %s", c.URL(), id, evidence.ErrTampered, l.View().ID())
	}
	return l, nil
}

// cacheDir is where copies of what servers keep lie. All of it is checked when it is
// read, and may be deleted at any time.
func (a *app) cacheDir() string { return filepath.Join(a.dirs.State, "cache") }

// remoteEngine is a ledger that a server keeps.
type remoteEngine struct {
	app    *app
	c      *connection
	ledger *remote.Ledger
	id     statement.LedgerID
}

// View implements engine.
func (e *remoteEngine) View() *ledger.View { return e.ledger.View() }

// Close implements engine. The connection stays for what this command reads next.
func (e *remoteEngine) Close() error { return nil }

// Submit implements engine: the receipt's checkpoint is signed by the trusted log
// and goes on from what was seen, and the entry is in its tree, and is this
// statement.
func (e *remoteEngine) Submit(ctx context.Context, env *statement.Envelope) (*solo.Proof, error) {
	if away := e.app.unsent.away; away != nil {
		return nil, away
	}
	r, err := newReading(e.View())
	if err != nil {
		return nil, err
	}
	o := client.SubmitOptions{}
	if key, _, ok := r.Control.Roster().Key(env.KeyID); ok {
		o.Key = key
	}
	receipt, err := e.c.client.Submit(ctx, env, o)
	if err != nil {
		return nil, refusalOf(err)
	}
	policy, now, err := e.acknowledged(ctx, receipt)
	if err != nil {
		return nil, fmt.Errorf("the receipt of entry %d: %w", receipt.Entry.Index, err)
	}
	signed, err := now.LatestCheckpoint()
	if err != nil {
		return nil, err
	}
	proof := &solo.Proof{
		Receipt:    ledger.Receipt{Index: receipt.Entry.Index, Time: receipt.Entry.Time, ID: receipt.ID, Existed: receipt.Existed},
		Checkpoint: signed, View: now.View,
	}
	e.waitCosigned(ctx, env, o, policy, now, proof)
	return proof, nil
}

// acknowledged is the ledger as of a receipt, or later, if this person trusts it.
func (e *remoteEngine) acknowledged(ctx context.Context, receipt *client.Receipt) (*evidence.Policy, *reading, error) {
	cp, _, err := evidence.ReadCheckpoint(receipt.Checkpoint)
	if err != nil {
		return nil, nil, err
	}
	if cp.Size > e.View().Size() {
		if e.ledger, err = e.app.openRemote(ctx, e.c.client, receipt.Checkpoint, e.id); err != nil {
			return nil, nil, err
		}
	}
	now, err := newReading(e.View())
	if err != nil {
		return nil, nil, err
	}
	policy, err := e.app.trustingNewest(now)
	if err != nil {
		return nil, nil, err
	}
	entry, err := now.Entry(receipt.Entry.Index)
	if err != nil {
		return nil, nil, err
	}
	if !bytes.Equal(entry.Leaf(), receipt.Leaf) {
		return nil, nil, fmt.Errorf("%w: the log has another entry there", evidence.ErrTampered)
	}
	return policy, now, nil
}

// waitCosigned is --wait cosigned: the server asks the witnesses, and the quorum is
// that of this person's policy. What was written stays written either way.
func (e *remoteEngine) waitCosigned(ctx context.Context, env *statement.Envelope, o client.SubmitOptions, policy *evidence.Policy, now *reading, proof *solo.Proof) {
	a := e.app
	if policy.Quorum == evidence.QuorumNone {
		return
	}
	if a.wait != waitCosigned {
		a.term.Notef("entry %s is in the log, and not cosigned so far: the server asks its witnesses; --wait cosigned waits for them", entryText(proof.Index))
		return
	}
	a.askedWitnesses = true
	timeUp := fmt.Errorf("the quorum %q was not reached within %s", policy.Quorum, a.waitTimeout)
	ctx, cancel := context.WithTimeoutCause(ctx, a.waitTimeout, timeUp)
	defer cancel()
	o.Cosigned = true
	receipt, err := e.c.client.Submit(ctx, env, o) // the same statement: nothing is written twice
	if err == nil {
		var opened *evidence.Opened
		if opened, err = now.Control.Judge(policy, receipt.Checkpoint); err == nil && !opened.Quorum {
			err = fmt.Errorf("%w: the server's checkpoint has not the quorum %q", client.ErrNotCosigned, policy.Quorum)
		}
	}
	if err == nil {
		if _, _, err = e.acknowledged(ctx, receipt); err == nil {
			proof.Checkpoint = receipt.Checkpoint
			return
		}
	}
	switch {
	case errors.Is(err, client.ErrUnreachable) && context.Cause(ctx) == timeUp: // it was the wait that ended
		err = timeUp
	case errors.Is(err, client.ErrNotCosigned):
		err = fmt.Errorf("the server shows no checkpoint with the quorum %q", policy.Quorum)
	}
	f := failf(exitUnreachable, "entry %s is in the log, and not cosigned so far: %w", entryText(proof.Index), err).
		withHint("nothing is lost: the server goes on asking its witnesses; its /health/log says how they answer").withEntry(proof.Index)
	if errors.Is(err, evidence.ErrFork) || errors.Is(err, evidence.ErrRollback) {
		f.status, f.hint = exitUntrusted, describe(err).hint
	}
	a.unwitnessed = f
}

// refusalOf gives a refusal that a server answered with the form that it has where
// the ledger is in a directory; another error stays as it is.
func refusalOf(err error) error {
	var said *client.Error
	if !errors.As(err, &said) || said.Problem.Rule == "" {
		return err
	}
	p := said.Problem
	class, ok := map[wire.Code]ledger.Class{
		wire.CodeRefused: ledger.ClassRefused, wire.CodeUntrusted: ledger.ClassUntrusted, wire.CodeNotFound: ledger.ClassNotFound,
		wire.CodeMalformed: ledger.ClassMalformed, wire.CodeStale: ledger.ClassStale,
	}[wire.Code(p.Code)]
	if !ok {
		return err
	}
	r := &ledger.Refusal{Rule: ledger.Rule(p.Rule), Class: class, Message: p.Detail, Hint: p.Hint, Entry: p.Entry, Cost: p.Cost}
	for _, v := range p.Violations {
		r.Violations = append(r.Violations, contract.RuleResult{
			Contract: v.Contract, Entry: v.Entry, Rule: v.Rule, Subject: v.Subject, Message: v.Message, Hint: v.Hint, Error: v.Error,
		})
	}
	return r
}

// noLedgerThere says what to do where the first thing that a server is asked, what
// ledger it keeps, has no answer.
func (a *app) noLedgerThere(address string, err error) error {
	switch hint := certificateHint(err); {
	case hint != "":
		return failf(exitUnreachable, "%w", err).withHint(hint)
	case errors.Is(err, client.ErrNotFound), errors.Is(err, client.ErrAnswer):
		return failf(exitNotFound, "no ledger is served at %s: %w", address, err).
			withHint("is it the address of `stele serve`? It ends at the host, or the port: no path, and https where there is TLS")
	}
	if a.spool && errors.Is(err, client.ErrUnreachable) {
		return describe(err).hinted("nothing was signed, so that --spool had nothing to keep. Say it again when the server answers")
	}
	return a.accessHint(address, err)
}

// accessHint says to whom a server is closed what would open it.
func (a *app) accessHint(address string, err error) error {
	if !errors.Is(err, client.ErrAccess) {
		return err
	}
	hint := a.tokenHint()
	if a.servers.unsentToken[address] {
		hint = "the address comes from a .stele file, and --token-file and $STELE_TOKEN go only where you say: give the address with --ledger or $STELE_LEDGER"
	} else if path, err := a.serverTokenPath(address); err == nil {
		hint = tokenKeptIn(path)
		if kept, err := home.ReadSecret(path); err == nil && strings.HasPrefix(string(kept), jobTokenPrefix) {
			hint = "`stele login` gets another token for this job"
		}
	}
	return failf(exitRefused, "%s: %w", address, err).withHint(hint)
}
