package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"

	"github.com/stele-ml/stele/client"
	"github.com/stele-ml/stele/cmd/stele/jsonv1"
	"github.com/stele-ml/stele/internal/durable"
	"github.com/stele-ml/stele/internal/spool"
	"github.com/stele-ml/stele/statement"
)

// With --spool a command whose server does not answer signs all the same, and keeps
// what it signed, and the documents that the server did not get, for `stele push`:
// see wentAway for what it goes by.

// unsent is what --spool keeps for a server that does not answer any more.
type unsent struct {
	away      error // why nothing is asked of the server any more; nil while it answers
	dir       string
	documents []spool.Document
}

// spoolOf is where envelopes wait that are for a ledger.
func (a *app) spoolOf(id statement.LedgerID) *spool.Spool {
	return spool.At(filepath.Join(a.dirs.Ledger(id.String()), "spool"))
}

// sendLater keeps a document for the spool.
func (a *app) sendLater(d spool.Document, from io.Reader) error {
	if from != nil {
		f, err := a.unsentFile()
		if err != nil {
			return err
		}
		_, err = io.Copy(f, from)
		if err = errors.Join(err, f.Close()); err != nil {
			return err
		}
		d.Path = f.Name()
	}
	a.unsent.documents = append(a.unsent.documents, d)
	return nil
}

func (a *app) unsentFile() (f *os.File, err error) {
	if a.unsent.dir == "" {
		if err := os.MkdirAll(a.cacheDir(), durable.PrivateDir); err != nil {
			return nil, err
		}
		durable.RemoveAbandoned(a.cacheDir(), "unsent-", durable.Abandoned)
		if a.unsent.dir, err = os.MkdirTemp(a.cacheDir(), "unsent-*"); err != nil {
			return nil, err
		}
	}
	return os.CreateTemp(a.unsent.dir, "document-*")
}

// keepForLater is --spool: it keeps a signed envelope until `stele push`.
func (a *app) keepForLater(id statement.LedgerID, env *statement.Envelope) (item spool.Item, err error) {
	s := a.spoolOf(id)
	item, found, err := stampWaits(s, env)
	if err == nil && !found {
		item, err = s.Add(env, a.unsent.documents...)
	}
	if err != nil {
		return item, fmt.Errorf("keep for later: %w", err)
	}
	if !a.quiet && !a.json {
		w := waitingJSON(s, item)
		kept := "kept for later"
		if found {
			kept = "is kept for later already"
		}
		a.term.Printf("%s: number %d, %s\n", kept, w.Number, waitingText(w))
		a.term.Notef("it is signed, and no ledger has acknowledged it: `stele push` gives it to the server")
	}
	return item, nil
}

// stampWaits finds the stamp that says what another one says: the same bytes under
// the same name, by the same key. Of the two a ledger takes one.
func stampWaits(s *spool.Spool, env *statement.Envelope) (spool.Item, bool, error) {
	st, err := statement.Parse(env.Payload)
	if err != nil || st.Kind != statement.KindStamp {
		return spool.Item{}, false, err
	}
	items, err := s.Items()
	for _, item := range items {
		waits, err := item.Envelope()
		if err != nil || waits.By() != env.By() {
			continue // push will say what is wrong with it
		}
		other, err := statement.Parse(waits.Payload)
		if err == nil && other.Kind == statement.KindStamp && reflect.DeepEqual(other.Subject, st.Subject) {
			return item, true, nil
		}
	}
	return spool.Item{}, false, err
}

// heldBack is what a verb ends with whose envelope a server did not take: with
// --spool it is kept, where nobody answered. Whether the server has it is then not
// known either; push finds out, and nothing is written twice.
func (a *app) heldBack(id statement.LedgerID, env *statement.Envelope, cause error) (kept bool, err error) {
	if !a.spool || !errors.Is(cause, client.ErrUnreachable) {
		return false, cause
	}
	item, err := a.keepForLater(id, env)
	if err != nil {
		return false, failf(exitUnreachable, "%w; and it was not kept: %w", cause, err)
	}
	return true, failf(exitUnreachable, "not acknowledged by the ledger so far: %w", cause).
		withHint("`stele push` gives it to the server, once, when it answers again").withPath(filepath.Join(a.spoolOf(id).Dir(), item.Name))
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
