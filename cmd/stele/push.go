package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/stele-ml/stele/client"
	"github.com/stele-ml/stele/cmd/stele/jsonv1"
	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/internal/durable"
	"github.com/stele-ml/stele/internal/ledger"
	"github.com/stele-ml/stele/internal/source"
	"github.com/stele-ml/stele/internal/spool"
	"github.com/stele-ml/stele/statement"
)

func (a *app) pushCommand() *cobra.Command {
	var skip, list bool
	c := &cobra.Command{
		Use:   "push",
		Short: "Give the server what was signed and kept for later",
		Long: `Gives a ledger's server the statements that --spool kept, in the order in which
they were signed. What the ledger has already is not written again, so that push
may be interrupted, and repeated, at any time.

It stops at the first statement that the ledger refuses, or that is damaged
where it waits: what was signed later may rest on it. With --skip such a
statement is set aside, where it is kept, and push goes on. --list shows what
waits, without asking anybody.`,
		Example: `  stele push --ledger https://ledger.example
  stele push --list`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if list {
				if skip {
					return usagef("--list and --skip exclude each other")
				}
				return a.listSpools()
			}
			return a.push(c.Context(), skip)
		},
	}
	c.Flags().BoolVar(&skip, "skip", false, "set aside what the ledger refuses, or is damaged, and go on")
	c.Flags().BoolVar(&list, "list", false, "only show what waits")
	return c
}

// push empties the spool of the ledger that a server keeps.
func (a *app) push(ctx context.Context, skip bool) error {
	address, err := a.pushAddress()
	if err != nil {
		return err
	}
	c, err := a.dial(address)
	if err != nil {
		return err
	}
	defer c.Close()
	info, err := c.Ledger(ctx)
	if err != nil {
		return pushFailure(a.accessHint(address, err))
	}
	s := a.spoolOf(info.ID)
	out := jsonv1.Push{Ledger: info.ID.String(), Address: address, Pushed: []jsonv1.Pushed{}, Skipped: []jsonv1.PushSkipped{}, Waiting: []jsonv1.Waiting{}}
	if items, err := s.Items(); err != nil || len(items) == 0 {
		if err == nil {
			err = a.printPushed(&out)
		}
		return err
	}
	held, err := s.Lock(durable.Holder{PID: os.Getpid(), Since: a.now().UnixMilli(), Command: "stele push"})
	if errors.Is(err, durable.ErrLocked) {
		return failf(exitError, "another `stele push` is at work on %s", s.Dir()).withPath(s.Dir())
	}
	if err != nil {
		return err
	}
	defer held.Close()
	log, err := a.followServer(ctx, c, info)
	if err != nil {
		return pushFailure(a.accessHint(address, err))
	}
	p := &pushing{a: a, client: c, log: log, id: info.ID, spool: s, skip: skip, out: &out}
	err = p.all(ctx)
	if rest, listErr := s.Items(); listErr == nil {
		for _, item := range rest {
			out.Waiting = append(out.Waiting, waitingJSON(s, item))
		}
	}
	if err != nil {
		n := len(out.Waiting)
		if !a.json && !a.quiet {
			_ = a.printPushed(&out)
		}
		f := describe(pushFailure(a.accessHint(address, err)))
		f.message = fmt.Sprintf("%s; %s", f.message, waitText(n))
		return f
	}
	if err := a.printPushed(&out); err != nil {
		return err
	}
	if len(out.Skipped) > 0 {
		return verdictError{exitRefused}
	}
	return nil
}

// pushAddress is where the ledger's server is.
func (a *app) pushAddress() (string, error) {
	for _, place := range []string{a.ledgerFlag, a.getenv("STELE_LEDGER")} {
		if strings.Contains(place, "://") {
			return place, nil
		}
		if place != "" {
			break
		}
	}
	return "", usagef("push needs the address of a ledger's server").withHint("--ledger https://… or $STELE_LEDGER; `stele push --list` shows what waits")
}

// followServer goes on to a server's newest checkpoint: a key that this person
// trusts leads to its signature, it goes on from what they saw, and the ledger is
// the one that the server says.
func (a *app) followServer(ctx context.Context, c *client.Client, info *client.Info) (*client.Log, error) {
	policy, err := a.trustedLog(info.Origin)
	if err != nil {
		return nil, err
	}
	past, err := a.memory.Newest(info.ID)
	if err != nil {
		return nil, err
	}
	log, err := c.FollowNewest(ctx, policy, past)
	var history *evidence.HistoryError
	if errors.As(err, &history) {
		a.memory.Convict(info.ID, history.Old, history.New)
	}
	if err != nil {
		return nil, err
	}
	at, signed := log.Checkpoint()
	genesis, err := log.HashReader(ctx).ReadHashes([]int64{tlog.StoredHashIndex(0, 0)})
	if err != nil {
		return nil, err
	}
	if statement.LedgerID(genesis[0]) != info.ID {
		return nil, fmt.Errorf("%s says that it keeps the ledger %s: %w: the log %s begins with another entry", c.URL(), info.ID, evidence.ErrTampered, at.Origin)
	}
	if err := a.memory.FirstSight(info.ID, past, signed); err != nil {
		return nil, err
	}
	return log, a.memory.Forward(info.ID, signed)
}

// pushing is one push under way.
type pushing struct {
	a      *app
	client *client.Client
	log    *client.Log
	id     statement.LedgerID
	spool  *spool.Spool
	skip   bool
	out    *jsonv1.Push
}

// all pushes until nothing waits, what was added meanwhile included.
func (p *pushing) all(ctx context.Context) error {
	for {
		items, err := p.spool.Items()
		if err != nil || len(items) == 0 {
			return err
		}
		for _, item := range items {
			err := p.one(ctx, item)
			if p.skip && neverAdmitted(err) {
				path, skipErr := p.spool.Skip(item)
				if skipErr != nil {
					return skipErr
				}
				p.out.Skipped = append(p.out.Skipped, jsonv1.PushSkipped{Number: item.Number, Path: path, Reason: err.Error()})
				continue
			}
			if err != nil {
				return fmt.Errorf("number %d: %w", item.Number, err)
			}
		}
	}
}

// neverAdmitted reports whether a statement that was not pushed is of no use: it was
// refused, or is not what was kept.
func neverAdmitted(err error) bool {
	return errors.Is(err, client.ErrRefused) || errors.Is(err, spool.ErrDamaged)
}

func (p *pushing) one(ctx context.Context, item spool.Item) error {
	env, err := item.Envelope()
	if err != nil {
		return err
	}
	if err := p.documents(ctx, item); err != nil {
		return err
	}
	r, err := p.log.Submit(ctx, p.delegated(ctx, env), client.SubmitOptions{})
	var history *evidence.HistoryError
	if errors.As(err, &history) {
		p.a.memory.Convict(p.id, history.Old, history.New)
	}
	if errors.Is(err, client.ErrRefused) {
		if e := p.stampedAlready(ctx, env, err); e != nil {
			return p.pushed(item, jsonv1.Pushed{ID: env.ID().String(), Entry: e.Index, Time: jsonv1.At(e.Time), Existed: true})
		}
	}
	if err != nil {
		return err
	}
	_, signed := p.log.Checkpoint()
	p.a.saw(p.id, signed)
	return p.pushed(item, jsonv1.Pushed{ID: r.ID.String(), Entry: r.Entry.Index, Time: jsonv1.At(r.Entry.Time), Existed: r.Existed})
}

// delegated gives the statement of a job whose delegation is over the one that its key
// has now, if it has one or its CI system still says whose it is: which of them an
// envelope carries is no part of the statement (docs/formats/delegation.md).
func (p *pushing) delegated(ctx context.Context, env *statement.Envelope) *statement.Envelope {
	d, err := env.Delegated()
	if err != nil || d == nil || p.a.now().Add(renewAhead).UnixMilli() < d.NotAfter {
		return env
	}
	s, closer, err := p.a.signer(ctx)
	if err != nil {
		return env
	}
	closer() // a delegated key is in a file
	if s.PublicKey().ID() != env.KeyID {
		return env
	}
	if s, err = p.a.renewed(ctx, s); err != nil || statement.DelegationOf(s) == nil {
		return env
	}
	again := *env
	again.Delegation = statement.DelegationOf(s).Encode()
	return &again
}

// pushed takes out what the ledger has.
func (p *pushing) pushed(item spool.Item, entry jsonv1.Pushed) error {
	if err := p.spool.Remove(item); err != nil {
		return err
	}
	entry.Number = item.Number
	p.out.Pushed = append(p.out.Pushed, entry)
	return nil
}

// documents gives the server what an envelope names by digest.
func (p *pushing) documents(ctx context.Context, item spool.Item) error {
	list, err := item.Documents()
	if err != nil {
		return err
	}
	for _, d := range list {
		if err := p.document(ctx, d); err != nil {
			return err
		}
	}
	return nil
}

func (p *pushing) document(ctx context.Context, d spool.Document) error {
	f, err := source.OpenRegular(d.Path)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if d.Manifest.IsZero() {
		err = p.client.PutAttachment(ctx, d.Attachment, f)
	} else {
		err = p.client.PutManifest(ctx, d.Manifest, f, info.Size())
	}
	if errors.Is(err, evidence.ErrTampered) {
		err = fmt.Errorf("%s: %w: %w", d.Path, spool.ErrDamaged, err)
	}
	return err
}

// stampedAlready is the entry by which the ledger has, under its name, what a stamp
// that it refused says; nil if it has not. That is what somebody has who stamped the
// same bytes a second time, and no reason to stop.
func (p *pushing) stampedAlready(ctx context.Context, env *statement.Envelope, refused error) *evidence.Entry {
	var said *client.Error
	if !errors.As(refused, &said) || said.Problem.Rule != string(ledger.RuleNameBound) || said.Problem.Entry == nil {
		return nil
	}
	st, err := statement.Parse(env.Payload)
	if err != nil || st.Kind != statement.KindStamp {
		return nil
	}
	e, err := p.log.Entry(ctx, *said.Problem.Entry)
	if err != nil {
		return nil
	}
	there, err := e.Statement()
	if err != nil || there.Kind != statement.KindStamp || e.Envelope.By() != env.By() || !reflect.DeepEqual(there.Subject, st.Subject) {
		return nil
	}
	return e
}

// pushFailure gives a client's error its exit status.
func pushFailure(err error) error {
	status := statusOf(err)
	switch {
	case status != exitError:
	case errors.Is(err, client.ErrUnreachable):
		status = exitUnreachable
	case errors.Is(err, client.ErrAccess), errors.Is(err, client.ErrRefused), errors.Is(err, client.ErrReadOnly):
		status = exitRefused
	case errors.Is(err, client.ErrNotFound):
		status = exitNotFound
	case errors.Is(err, client.ErrAddress):
		status = exitUsage
	case errors.Is(err, spool.ErrDamaged):
		status = exitTampered
	}
	f := describe(err)
	f.status = status
	var said *client.Error
	if errors.As(err, &said) {
		f.rule, f.entry = said.Problem.Rule, said.Problem.Entry
	}
	if neverAdmitted(err) {
		return f.hinted("`stele push --skip` sets it aside, and goes on with the others")
	}
	return f
}

func (a *app) printPushed(p *jsonv1.Push) error {
	if a.json {
		a.printJSON(*p)
		return nil
	}
	if a.quiet {
		return nil
	}
	for _, one := range p.Pushed {
		had := ""
		if one.Existed {
			had = ", which the ledger had already"
		}
		a.term.Printf("number %d is entry %d%s\n", one.Number, one.Entry, had)
	}
	for _, one := range p.Skipped {
		a.term.Warnf("number %d was set aside: %s; it is kept in %s", one.Number, one.Reason, one.Path)
	}
	if len(p.Pushed)+len(p.Skipped)+len(p.Waiting) == 0 {
		a.term.Printf("nothing waits for the ledger %s\n", p.Ledger)
	}
	return nil
}

// listSpools shows what waits for any ledger.
func (a *app) listSpools() error {
	ledgers := filepath.Join(a.dirs.State, "ledgers")
	list, err := os.ReadDir(ledgers)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	out := []jsonv1.Push{}
	for _, e := range list {
		id, err := statement.ParseLedgerID(e.Name())
		if err != nil {
			continue
		}
		s := a.spoolOf(id)
		items, err := s.Items()
		if err != nil {
			return err
		}
		if len(items) == 0 {
			continue
		}
		p := jsonv1.Push{Ledger: e.Name(), Pushed: []jsonv1.Pushed{}, Skipped: []jsonv1.PushSkipped{}}
		for _, item := range items {
			p.Waiting = append(p.Waiting, waitingJSON(s, item))
		}
		out = append(out, p)
	}
	for _, p := range out {
		if a.json {
			a.printJSON(p)
			continue
		}
		a.term.Printf("for the ledger %s:\n", p.Ledger)
		for _, w := range p.Waiting {
			a.term.Printf("  %d  %s\n", w.Number, waitingText(w))
		}
	}
	if len(out) == 0 && !a.quiet && !a.json {
		a.term.Printf("nothing waits\n")
	}
	return nil
}
