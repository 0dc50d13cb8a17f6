package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

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
	tlsCert, tlsKey, metrics  string
	anyHost                   bool
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
	c.Flags().StringVar(&f.file, "logs", "", "a `file` with a line \"log KEY\" for each; read again when it changes")
	c.Flags().StringVar(&f.state, "state", "", "the `directory` of the key and the memory (default with your own files)")
	c.Flags().StringVar(&f.listen, "listen", "127.0.0.1:7778", "the `address` to listen on; port 0 takes a free one")
	c.Flags().StringVar(&f.tlsCert, "tls-cert", "", "a certificate `file`, to answer over TLS; read again when it changes")
	c.Flags().StringVar(&f.tlsKey, "tls-key", "", "the private key `file` of --tls-cert")
	c.Flags().BoolVar(&f.anyHost, "any-host", false, "on this machine's own address, answer to any Host name: behind a proxy")
	c.Flags().StringVar(&f.metrics, "metrics-listen", "", "the `address` of Prometheus metrics at /metrics, apart from the rest")
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
	doors, url, err := a.witnessDoors(f, w)
	if err != nil {
		return err
	}
	for _, k := range logs {
		if !slices.Contains(shown.Logs, k.Name) {
			shown.Logs = append(shown.Logs, k.Name)
		}
	}
	slices.Sort(shown.Logs)
	shown.URL = url
	if a.json {
		a.printJSON(shown)
	} else {
		a.term.Printf("%s\n", shown.VKey)
		a.term.Printf("witnessing %s at %s\n", countOf(len(shown.Logs), "log"), shown.URL)
	}
	ctx, stop := context.WithCancel(ctx)
	reloading := make(chan struct{})
	go func() { defer close(reloading); a.reloadLogs(ctx, f, w) }()
	err = server.OpenDoors(ctx, doors, server.DoorOptions{})
	stop()
	<-reloading
	if errors.Is(err, context.Canceled) {
		err = nil
	}
	return err
}

// briefTime is how long a request, and then its answer, may take where none is long.
const briefTime = 15 * time.Second

// witnessDoors opens what a witness answers at, and says where.
func (a *app) witnessDoors(f witnessFlags, w *witness.Witness) (doors []server.Door, url string, err error) {
	defer func() {
		if err != nil {
			for _, d := range doors {
				d.Listener.Close()
			}
		}
	}()
	var config *tls.Config
	url = "http://"
	switch {
	case (f.tlsCert == "") != (f.tlsKey == ""):
		return nil, "", usagef("--tls-cert and --tls-key go together")
	case f.tlsCert != "":
		url = "https://"
		if config, err = server.OpenTLS(&server.TLSFiles{Cert: f.tlsCert, Key: f.tlsKey}, a.now, a.term.Warnf); err != nil {
			return nil, "", err
		}
	}
	l, err := listenAt(f.listen, "listen")
	if err != nil {
		return nil, "", err
	}
	h := witness.NewHandler(w)
	if server.Loopback(l) && !f.anyHost {
		h = loopbackOnly(h)
	}
	bounded := server.Bounded(l, server.Limits{}, nil, server.NewMetrics())
	doors = append(doors, server.Door{Listener: bounded, Handler: h, TLS: config, Time: briefTime})
	if f.metrics != "" {
		m, err := listenAt(f.metrics, "metrics")
		if err != nil {
			return doors, "", err
		}
		mux := http.NewServeMux()
		mux.Handle("GET /metrics", w.Metrics())
		doors = append(doors, server.Door{Listener: m, Handler: mux, Time: briefTime})
		a.term.Notef("metrics at http://%s/metrics", m.Addr())
	}
	return doors, url + l.Addr().String(), nil
}

// loopbackOnly refuses host names other than this machine's own: a web page could
// point a name of its own at it (DNS rebinding).
func loopbackOnly(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := r.Host
		if name, _, err := net.SplitHostPort(host); err == nil {
			host = name
		}
		if !slices.Contains(server.LoopbackHosts(), strings.Trim(host, "[]")) {
			http.Error(w, "this witness does not answer to that host name", http.StatusMisdirectedRequest)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// reloadEvery is how often the file of logs is looked at.
const reloadEvery = 5 * time.Second

// reloadLogs takes the file of logs over when it has changed, until ctx is done. A
// file that will not do changes nothing, and is told once.
func (a *app) reloadLogs(ctx context.Context, f witnessFlags, w *witness.Witness) {
	if f.file == "" {
		return
	}
	last, _ := os.ReadFile(f.file)
	tick := time.NewTicker(reloadEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now, err := readSmall(f.file, witness.MaxLogsFile)
		if err != nil || bytes.Equal(now, last) {
			continue // while it is being replaced it may be missing
		}
		last = now
		logs, err := f.readLogs()
		if err == nil {
			err = w.SetLogs(logs)
		}
		if err != nil {
			a.term.Warnf("the logs stay those that they were: %v", err)
			continue
		}
		a.term.Notef("the logs were read again: %s", countOf(len(logs), "key"))
	}
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
