package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/stele-ml/stele/client"
	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/internal/durable"
	"github.com/stele-ml/stele/internal/home"
	"github.com/stele-ml/stele/internal/remote"
	"github.com/stele-ml/stele/internal/terminal"
	"github.com/stele-ml/stele/statement"
)

// With --spool a command goes on without its server. One that goes away while the
// command is at work is as it was read before; one that is away from the start is as
// this person saw it last, of which the identities, contracts and log keys are known,
// and no names: what a statement cites must wait in the spool as well, for whoever
// signs must have looked at what they sign.

// unaskedHint is for what cannot be known without the server.
const unaskedHint = "nothing was signed, so that --spool had nothing to keep: what a statement cites is looked up, or waits in the spool as well. Say it again when the server answers"

// wentAway reports whether an error says that the server does not answer, and this
// command shall go on without it.
// A server of this machine leaves its directory to the command.
func (a *app) wentAway(c *client.Client, err error) bool {
	if !a.spool || !errors.Is(err, client.ErrUnreachable) || strings.HasPrefix(c.URL(), socketScheme) {
		return false
	}
	a.unsent.away = err
	return true
}

// unknown reports whether an error says that something is not known for want of the
// server, and this command goes on without it.
func (a *app) unknown(err error) bool {
	return a.unsent.away != nil && errors.Is(err, client.ErrUnreachable)
}

// serverFile names the ledger that a server kept when this person asked it last.
func (a *app) serverFile(address string) string {
	sum := sha256.Sum256([]byte(address))
	return filepath.Join(a.cacheDir(), "servers", hex.EncodeToString(sum[:16]))
}

// keptAt remembers which ledger a server keeps. It is only of use while the server is
// away, so that it is no error if it cannot be written.
func (a *app) keptAt(address string, id statement.LedgerID) {
	if strings.HasPrefix(address, socketScheme) {
		return
	}
	name, text := a.serverFile(address), id.String()
	if old, err := readSmall(name, int64(len(text))); err == nil && string(old) == text {
		return
	}
	if os.MkdirAll(filepath.Dir(name), durable.PrivateDir) == nil {
		_ = home.Replace(name, []byte(text))
	}
}

// asSeenBefore is the ledger of a server that is away from the start.
func (a *app) asSeenBefore(ctx context.Context, c *connection, address string, away error) (engine, error) {
	text, err := readSmall(a.serverFile(address), maxAddress)
	if err != nil {
		return nil, fmt.Errorf("you have not read it so far: %w", away)
	}
	id, err := statement.ParseLedgerID(string(text))
	if err != nil {
		return nil, away
	}
	a.unsent.away = describe(away).withHint(unaskedHint)
	l, err := remote.OpenKept(ctx, filepath.Join(a.cacheDir(), id.String()), a.unsent.away)
	if err != nil {
		return nil, away
	}
	signed, err := l.View().LatestCheckpoint()
	if err != nil {
		return nil, err
	}
	cp, _, err := evidence.ReadCheckpoint(signed)
	if err != nil {
		return nil, err
	}
	before, err := a.memory.Seen(id)
	if err != nil {
		return nil, err
	}
	if l.View().ID() != id || cp.Size < before.Size() {
		return nil, away // what is kept is older than what was seen, and does not go on from it
	}
	a.term.Notef("%s does not answer: this is the ledger as you saw it last, with %s", address, terminal.Plural(cp.Size, "entry", "entries"))
	c.ledger, c.ctx, c.signed = l, ctx, signed
	return a.asReadBefore(c), nil
}

// waiting finds an artifact that a statement in the spool binds. No ledger has it so
// far; when it is refused, so is what cites it.
func (a *app) waiting(id statement.LedgerID, text string) (statement.Ref, bool) {
	name, version, err := statement.ParseNameVersion(text)
	if err != nil {
		return statement.Ref{}, false
	}
	items, err := a.spoolOf(id).Items()
	if err != nil {
		return statement.Ref{}, false
	}
	for _, item := range items {
		env, err := item.Envelope()
		if err != nil {
			continue // push will say what is wrong with it
		}
		st, err := statement.Parse(env.Payload)
		if err != nil {
			continue
		}
		for _, o := range st.Stamps() {
			if o.Ref.Name == name && o.Ref.Version == version {
				return o.Ref, true
			}
		}
	}
	return statement.Ref{}, false
}
