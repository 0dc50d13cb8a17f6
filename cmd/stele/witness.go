package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/stele-ml/stele/cmd/stele/jsonv1"
	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/internal/durable"
	"github.com/stele-ml/stele/internal/server"
	"github.com/stele-ml/stele/internal/witness"
	"github.com/stele-ml/stele/statement"
)

type witnessFlags struct {
	name, state, listen, file string
	logs                      []string
}

func (a *app) witnessCommand() *cobra.Command {
	var f witnessFlags
	c := &cobra.Command{
		Use:   "witness",
		Short: "Cosign the checkpoints of other people's logs (C2SP)",
		Long: `Runs a witness: it cosigns a log's checkpoint if the log proves that it only
grew since the last one that was cosigned. Whoever asks for its cosignature
cannot be shown two histories, nor an old one.

The first time it makes a key, under --name; the key and what was cosigned last
lie in a directory that must never be put back from a copy. Without a log it
shows its verifier key, for others to put into a trust file, and ends.

A log whose key changes is named with both keys, until a checkpoint by the new
one was cosigned.`,
		Example: "  stele witness --name witness.example/w1\n  stele witness --log \"$(cat log.vkey)\" --listen 127.0.0.1:7778",
		Args:    cobra.NoArgs,
		RunE:    func(c *cobra.Command, _ []string) error { return a.witness(c.Context(), f) },
	}
	c.Flags().StringVar(&f.name, "name", "", "the witness's `name`, for ever; a URL without its scheme is usual")
	c.Flags().StringArrayVar(&f.logs, "log", nil, "the verifier `key` of a log to cosign; may be repeated")
	c.Flags().StringVar(&f.file, "logs", "", "a `file` with a line \"log KEY\" for each")
	c.Flags().StringVar(&f.state, "state", "", "the `directory` of the key and the memory (default with your own files)")
	c.Flags().StringVar(&f.listen, "listen", "127.0.0.1:7778", "the `address` to listen on; port 0 takes a free one")
	return c
}

func (a *app) witness(ctx context.Context, f witnessFlags) error {
	logs, err := f.readLogs()
	if err != nil {
		return err
	}
	if f.state == "" {
		f.state = filepath.Join(a.dirs.State, "witness")
	}
	key, made, err := witnessKey(f)
	if err != nil {
		return err
	}
	shown := jsonv1.Witness{VKey: key.VKey().String(), Directory: f.state, Made: made}
	if made {
		a.term.Notef("made a witness key in %s; nothing but this machine's disk should hold it", f.state)
	}
	if len(logs) == 0 {
		if a.json {
			a.printJSON(shown)
		} else {
			a.term.Printf("%s\n", shown.VKey)
		}
		return nil
	}
	taken, err := a.witnessApart(key.VKey())
	if err != nil {
		return err
	}
	host, _ := os.Hostname() // for people; an empty one is no harm
	w, err := witness.Open(witness.Options{
		FS: durable.Private(), Dir: f.state, Logs: logs, Taken: taken, Now: a.now,
		Holder: durable.Holder{PID: os.Getpid(), Host: host, Since: a.now().UnixMilli(), Command: "stele witness"},
		Logf:   func(format string, args ...any) { a.term.Warnf(format, args...) },
	})
	switch {
	case errors.Is(err, durable.ErrLocked):
		return failf(exitError, "%w", err).withHint("another witness runs on that directory; a second one needs its own")
	case errors.Is(err, witness.ErrRestored), errors.Is(err, witness.ErrState), errors.Is(err, witness.ErrKeys):
		d := describe(err)
		return failf(exitUntrusted, "%w", err).withHint(d.hint)
	case err != nil:
		return err
	}
	defer w.Close()
	l, err := net.Listen("tcp", f.listen)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	for _, k := range logs {
		if !slices.Contains(shown.Logs, k.Name) {
			shown.Logs = append(shown.Logs, k.Name)
		}
	}
	slices.Sort(shown.Logs)
	shown.URL = "http://" + l.Addr().String()
	if a.json {
		a.printJSON(shown)
	} else {
		a.term.Printf("%s\n", shown.VKey)
		a.term.Printf("witnessing %s at %s\n", countOf(len(shown.Logs), "log"), shown.URL)
	}
	err = server.Serve(ctx, l, witness.NewHandler(w))
	if errors.Is(err, context.Canceled) {
		err = nil
	}
	return err
}

// readLogs gathers the keys of the logs from the flags and the file.
func (f witnessFlags) readLogs() ([]evidence.VKey, error) {
	var logs []evidence.VKey
	for _, text := range f.logs {
		k, err := evidence.ParseVKey(text)
		if err != nil {
			return nil, usagef("--log: %v", err).withHint("`stele trust export` shows a log's verifier key")
		}
		logs = append(logs, k)
	}
	if f.file != "" {
		data, err := os.ReadFile(f.file)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, failf(exitNotFound, "%s is not there", f.file).withPath(f.file)
		}
		if err != nil {
			return nil, err
		}
		more, err := witness.ParseLogs(data)
		if err != nil {
			return nil, usagef("%s: %v", f.file, err).withPath(f.file)
		}
		if len(more) == 0 {
			return nil, usagef("%s names no log", f.file).withPath(f.file)
		}
		logs = append(logs, more...)
	}
	if err := witness.CheckLogs(logs); err != nil {
		return nil, usagef("%v", err)
	}
	return logs, nil
}

// witnessKey reads the witness's key, or makes it under the name given.
func witnessKey(f witnessFlags) (key *witness.Key, made bool, err error) {
	fsys := durable.Private()
	key, err = witness.ReadKey(fsys, f.state)
	switch {
	case errors.Is(err, fs.ErrNotExist) && f.name == "":
		return nil, false, failf(exitNotFound, "no witness key in %s", f.state).withPath(f.state).withHint("--name NAME makes one")
	case errors.Is(err, fs.ErrNotExist):
		if err := evidence.CheckOrigin(f.name); err != nil {
			return nil, false, usagef("--name: %v", err)
		}
		key, err = witness.CreateKey(fsys, f.state, f.name, rand.Reader)
		return key, err == nil, err
	case err != nil:
		return nil, false, err
	case f.name != "" && f.name != key.VKey().Name:
		return nil, false, usagef("--name %s: the witness in %s is %s", f.name, f.state, key.VKey().Name).withHint("a witness's name never changes; another one needs a --state of its own")
	}
	return key, false, nil
}

// witnessApart refuses a witness key that is also one of this person's signing
// keys, and returns the keys of the logs that are pinned here: the witness's
// must be none of them either.
func (a *app) witnessApart(self evidence.VKey) (taken [][32]byte, err error) {
	mine, err := a.localKeys()
	if err != nil {
		return nil, err
	}
	material, err := statement.VKeyMaterial(self.String())
	if err != nil {
		return nil, err
	}
	for _, k := range mine {
		public, err := statement.ParsePublicKey([]byte(k.Public))
		if err != nil {
			continue // one that needs a passphrase: not known here
		}
		if public.Material() == material {
			return nil, failf(exitUntrusted, "the witness's key is the signing key in %s", k.Local).withHint("a witness needs a key of its own")
		}
	}
	files, err := a.dirs.TrustFiles()
	if err != nil {
		return nil, err
	}
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		p, err := evidence.ParsePolicy(data)
		if err != nil {
			continue // `stele trust show` tells
		}
		for _, l := range p.Logs {
			taken = append(taken, l.Key.Public)
		}
	}
	return taken, nil
}
