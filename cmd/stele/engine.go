package main

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/stele-ml/stele/client"
	"github.com/stele-ml/stele/internal/ledger"
	"github.com/stele-ml/stele/internal/server"
	"github.com/stele-ml/stele/internal/solo"
	"github.com/stele-ml/stele/statement"
)

// engine is an open ledger: one in a directory, or one that a server keeps. What
// findLedger returns says which: a directory, or an address with "://" in it.
type engine interface {
	// View is the ledger as of the newest commit that is known.
	View() *ledger.View
	// Submit puts an envelope into the ledger. Its errors are those of solo.Engine,
	// whoever keeps the ledger, and those of client.
	Submit(ctx context.Context, env *statement.Envelope) (*solo.Proof, error)
	Close() error
}

// isAddress reports whether a ledger is at a server.
func isAddress(at string) bool { return strings.Contains(at, "://") }

// engineAt opens a ledger: over its server if it has an address, or if one runs on
// this machine that has the directory open.
func (a *app) engineAt(ctx context.Context, at string, readOnly bool) (engine, error) {
	if isAddress(at) {
		return a.remoteEngine(ctx, at)
	}
	if socket := runningServer(at); socket != "" {
		e, err := a.remoteEngine(ctx, socketScheme+socket)
		if !errors.Is(err, client.ErrUnreachable) || runningServer(at) != "" {
			return e, err
		} // it ended meanwhile: the directory is free
	}
	o := a.options(at)
	o.ReadOnly = readOnly
	e, err := a.openSolo(ctx, o)
	if err != nil {
		if socket := runningServer(at); socket != "" && errors.Is(err, solo.ErrLocked) { // it was just started
			return a.remoteEngine(ctx, socketScheme+socket)
		}
		return nil, anothers(err)
	}
	_, err = a.memory.Ask(e.View().ID()) // it is ours alone: nobody moves on meanwhile
	if err != nil {
		a.close(e)
		return nil, err
	}
	return e, nil
}

// anothers says what to do about a directory that is another user's, as its server's
// socket is.
func anothers(err error) error {
	if !errors.Is(err, fs.ErrPermission) {
		return err
	}
	return describe(err).hinted("the ledger is another user's: ask its server, with --ledger https://…, or read a copy that is yours")
}

// socketScheme begins the address of a server's socket on this machine.
const socketScheme = "unix://"

// socketPatience is how long somebody at a socket may take to take a connection.
const socketPatience = time.Second

// runningServer returns the socket of the server that has a ledger's directory
// open; empty where none answers.
func runningServer(dir string) string {
	path := filepath.Join(dir, socketFile)
	if text, err := readSmall(filepath.Join(dir, socketAddrFile), maxAddress); err == nil {
		path = strings.TrimSuffix(string(text), "\n")
	}
	if !filepath.IsAbs(path) || len(path) > server.MaxSocketPath {
		return ""
	}
	if info, err := os.Lstat(path); err != nil || info.Mode()&os.ModeSocket == 0 {
		return ""
	}
	c, err := net.DialTimeout("unix", path, socketPatience)
	if err != nil {
		return "" // what a server that was killed left there
	}
	c.Close()
	return path
}

// findLedgerHere is findLedger for what is done to the directory itself.
func (a *app) findLedgerHere(verb string) (string, error) {
	at, err := a.findLedger()
	if err == nil && isAddress(at) {
		err = notFromHere(verb, at)
	}
	return at, err
}

// notFromHere says that a verb works on a ledger's directory alone.
func notFromHere(verb, at string) error {
	return usagef("%s works on a ledger's directory, and %s is the address of a server", verb, at).
		withHint("run it on the machine that keeps the ledger, with --ledger DIRECTORY")
}
