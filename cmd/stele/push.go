package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/stele-ml/stele/client"
	"github.com/stele-ml/stele/cmd/stele/jsonv1"
	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/internal/durable"
	"github.com/stele-ml/stele/internal/spool"
	"github.com/stele-ml/stele/statement"
)

// spoolOf is where envelopes wait that are for a ledger.
func (a *app) spoolOf(id statement.LedgerID) *spool.Spool {
	return spool.At(filepath.Join(a.dirs.Ledger(id.String()), "spool"))
}

// keepForLater is --spool: it keeps a signed envelope until `stele push`. What it
// names by digest is at the server before it is signed.
func (a *app) keepForLater(id statement.LedgerID, env *statement.Envelope) error {
	s := a.spoolOf(id)
	item, err := s.Add(env)
	if err != nil {
		return fmt.Errorf("keep for later: %w", err)
	}
	w := waitingJSON(s, item)
	if a.json {
		a.printJSON(jsonv1.Push{Ledger: id.String(), Pushed: []jsonv1.Pushed{}, Skipped: []jsonv1.PushSkipped{}, Waiting: []jsonv1.Waiting{w}})
		return nil
	}
	if !a.quiet {
		a.term.Printf("kept for later: number %d, %s\n", w.Number, waitingText(w))
		a.term.Notef("it is signed, and no ledger has acknowledged it: `stele push` gives it to the server")
	}
	return nil
}

// heldBack is what a verb ends with whose envelope a server did not take: with
// --spool it is kept, where nobody answered. Whether the server has it is then not
// known either; push finds out, and nothing is written twice.
func (a *app) heldBack(id statement.LedgerID, env *statement.Envelope, cause error) error {
	if !a.spool || !errors.Is(cause, client.ErrUnreachable) {
		return cause
	}
	if err := a.keepForLater(id, env); err != nil {
		return failf(exitUnreachable, "%w; and it was not kept: %w", cause, err)
	}
	return failf(exitUnreachable, "not acknowledged by the ledger so far: %w", cause).
		withHint("`stele push` gives it to the server, once, when it answers again")
}

func (a *app) pushCommand() *cobra.Command {
	var skip, list bool
	c := &cobra.Command{
		Use:   "push",
		Short: "Give the server what was signed and kept for later",
		Long: `Gives a ledger's server the statements that --spool kept, in the order in which
they were signed. What the ledger has already is not written again, so that push
may be interrupted, and repeated, at any time.

It stops at the first statement that the ledger refuses: what was signed later
may rest on it. With --skip such a statement is set aside, where it is kept, and
push goes on. --list shows what waits, without asking anybody.`,
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
	c.Flags().BoolVar(&skip, "skip", false, "set aside what the ledger refuses, and go on")
	c.Flags().BoolVar(&list, "list", false, "only show what waits")
	return c
}

// push empties the spool of the ledger that a server keeps.
func (a *app) push(ctx context.Context, skip bool) error {
	address, err := a.pushAddress()
	if err != nil {
		return err
	}
	c, err := a.dialServer(address)
	if err != nil {
		return err
	}
	defer c.Close()
	info, err := c.Ledger(ctx)
	if err != nil {
		return pushFailure(err)
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
		return pushFailure(err)
	}
	p := &pushing{a: a, log: log, id: info.ID, spool: s, skip: skip, out: &out}
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
		f := describe(pushFailure(err))
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
	policy, path, err := a.policyFor(info.Origin)
	if err != nil {
		return nil, err
	}
	if policy == nil {
		return nil, failf(exitUntrusted, "the log %s is not trusted: no key is pinned for it", info.Origin).withPath(path).
			withHint("get its trust file from whoever runs it, by a way you trust, then `stele trust add FILE`")
	}
	past, err := a.remembered(info.ID)
	if err != nil {
		return nil, err
	}
	judge := c.Following(ctx, client.ByLog(policy))
	log, err := c.FollowNewest(ctx, judge, past)
	var history *evidence.HistoryError
	if errors.As(err, &history) {
		a.keepConflict(info.ID, history.Old, history.New)
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
	if err := a.onlyLedger(info.ID, past, signed); err != nil {
		return nil, err
	}
	return log, a.forward(info.ID, signed)
}

// pushing is one push under way.
type pushing struct {
	a     *app
	log   *client.Log
	id    statement.LedgerID
	spool *spool.Spool
	skip  bool
	out   *jsonv1.Push
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
			if p.skip && errors.Is(err, client.ErrRefused) {
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

func (p *pushing) one(ctx context.Context, item spool.Item) error {
	env, err := item.Envelope()
	if err != nil {
		return err
	}
	r, err := p.log.Submit(ctx, env, client.SubmitOptions{}, nil)
	var history *evidence.HistoryError
	if errors.As(err, &history) {
		p.a.keepConflict(p.id, history.Old, history.New)
	}
	if err != nil {
		return err
	}
	_, signed := p.log.Checkpoint()
	p.a.saw(p.id, signed)
	if err := p.spool.Remove(item); err != nil {
		return err
	}
	p.out.Pushed = append(p.out.Pushed, jsonv1.Pushed{
		Number: item.Number, ID: r.ID.String(), Entry: r.Entry.Index, Time: jsonv1.At(r.Entry.Time), Existed: r.Existed,
	})
	return nil
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
	}
	f := describe(err)
	f.status = status
	var said *client.Error
	if errors.As(err, &said) {
		f.rule, f.entry = said.Problem.Rule, said.Problem.Entry
	}
	if errors.Is(err, client.ErrRefused) {
		const aside = "`stele push --skip` sets it aside, and goes on with the others"
		f.hint = strings.TrimPrefix(f.hint+"; "+aside, "; ")
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
		a.term.Warnf("number %d was refused: %s; it is kept in %s", one.Number, one.Reason, one.Path)
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

// waitingJSON says of an item that waits what its envelope tells. One that cannot
// be read is named all the same: push will say why.
func waitingJSON(s *spool.Spool, item spool.Item) jsonv1.Waiting {
	w := jsonv1.Waiting{Number: item.Number, Path: filepath.Join(s.Dir(), item.Name)}
	env, err := item.Envelope()
	if err != nil {
		return w
	}
	w.ID = env.ID().String()
	if st, err := statement.Parse(env.Payload); err == nil {
		w.Kind, w.About = string(st.Kind), subject(st)
	}
	return w
}

func waitingText(w jsonv1.Waiting) string {
	if w.Kind == "" {
		return "an envelope that cannot be read: " + w.Path
	}
	return w.Kind + " " + w.About
}

func waitText(n int) string {
	if n == 1 {
		return "1 statement still waits"
	}
	return fmt.Sprintf("%d statements still wait", n)
}
