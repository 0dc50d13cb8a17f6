package main

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/stele-ml/stele/cmd/stele/jsonv1"
	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/internal/home"
	"github.com/stele-ml/stele/internal/memory"
	"github.com/stele-ml/stele/internal/monitor"
	"github.com/stele-ml/stele/internal/server"
	"github.com/stele-ml/stele/internal/solo"
	"github.com/stele-ml/stele/statement"
)

const (
	monitorInterval = time.Minute
	monitorPatience = 10 * time.Minute
)

type monitorFlags struct {
	keys, names                []string
	state                      string
	once, all                  bool
	maxAge, interval, patience time.Duration
}

func (a *app) monitorCommand() *cobra.Command {
	f := monitorFlags{interval: monitorInterval, patience: monitorPatience}
	c := &cobra.Command{
		Use:   "monitor [URL|DIR]",
		Short: "Watch a log for its owner: what is signed, that it only grows",
		Long: `Follows a log from where it was the last time: every new entry is checked, and
that the log only grew. It reports who was registered, retired or declared
compromised, contracts, withdrawals and what ends them, new keys of the log; of
entries those by a key (--watch-key) or about a name (--watch-name) that you
watch; forks and rollbacks, with both checkpoints; a log that stands still or
cannot be reached.

The first time it begins at the log's newest checkpoint; --all reports what is
there already. It needs the log's key in your trust file, and nothing else: any
copy of the log's read paths will do. With --once it looks once, for cron.`,
		Example: `  stele monitor https://ledger.example --watch-key ada --watch-name 'fraud/*'
  stele monitor https://ledger.example --once --max-age 1h --json`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error { return a.monitor(c.Context(), &f, args) },
	}
	fl := c.Flags()
	fl.StringArrayVar(&f.keys, "watch-key", nil, "a `key`'s id, or a handle, whose entries to report; may be repeated")
	fl.StringArrayVar(&f.names, "watch-name", nil, "a `pattern` of names whose entries to report, 'fraud/*'; may be repeated")
	fl.BoolVar(&f.once, "once", false, "look once, and end")
	fl.BoolVar(&f.all, "all", false, "the first time, report the entries that are there already")
	fl.StringVar(&f.state, "state", "", "the `file` that remembers where it was (default with your own files)")
	maxAgeFlag(fl, &f.maxAge, "how old the newest checkpoint may be, for example 1h")
	fl.DurationVar(&f.interval, "interval", f.interval, "how long between two looks")
	fl.DurationVar(&f.patience, "unreachable-after", f.patience, "how long a log may be unreachable before it is told")
	return c
}

func (a *app) monitor(ctx context.Context, f *monitorFlags, args []string) error {
	if f.interval <= 0 || f.patience < 0 {
		return usagef("--interval and --unreachable-after are lengths of time above zero")
	}
	watch, err := monitorWatch(f)
	if err != nil {
		return err
	}
	source, where, closeSource, err := a.monitorSource(args)
	if err != nil {
		return err
	}
	defer closeSource()
	if f.state == "" {
		sum := sha256.Sum256([]byte(where))
		f.state = filepath.Join(a.dirs.State, "monitor", hex.EncodeToString(sum[:8])+".json")
	}
	state, err := readMonitorState(f.state)
	if err != nil {
		return err
	}
	m, err := monitor.New(monitor.Options{
		Source: source, Watch: *watch, All: f.all, MaxAge: f.maxAge, Patience: f.patience, Now: a.now,
		Policy: func(origin string) (*evidence.Policy, error) { p, _, err := a.policyFor(origin); return p, err },
		Seen:   a.seenOfLog,
		Report: a.reportMonitored,
	}, state)
	if err != nil {
		return failf(exitError, "%s: %w", f.state, err).withPath(f.state).withHint("remove it to begin anew: what happened meanwhile is not reported then")
	}
	var strangers []string // that were told of
	if f.all && state.Checkpoint != "" {
		a.term.Notef("--all is for a first look; this monitor goes on from where it was: %s", f.state)
	}
	look := func() error {
		err := a.lookOnce(ctx, m, f.state)
		for _, who := range m.Strangers() {
			if !slices.Contains(strangers, who) {
				strangers = append(strangers, who)
				a.term.Warnf("--watch-key %s: nobody on this log is called that so far, and no key of it has that id", who)
			}
		}
		return err
	}
	if f.once {
		return look()
	}
	for {
		pause := f.interval
		err := look()
		closeSource() // a directory: others may write until the next look
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, monitor.ErrUnreachable):
			pause = min(pause, max(f.patience, time.Second)) // so that it can be told in time
		case err == nil, errors.Is(err, monitor.ErrStill), errors.Is(err, monitor.ErrDenied):
		default:
			return err // a fork, or what else only a person can judge
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
		}
	}
}

// seenOfLog is the newest checkpoint of a log that this person has seen, by its origin;
// nil if there is none.
func (a *app) seenOfLog(origin string) (newest []byte, err error) {
	list, err := filepath.Glob(filepath.Join(a.dirs.State, "ledgers", "*", "seen"))
	if err != nil {
		return nil, err
	}
	var size uint64
	for _, path := range list {
		signed, err := readSmall(path, evidence.MaxCheckpoint)
		if err != nil {
			return nil, err
		}
		if cp, _, err := evidence.ReadCheckpoint(signed); err == nil && cp.Origin == origin && (newest == nil || cp.Size > size) {
			newest, size = signed, cp.Size
		}
	}
	return newest, nil
}

// lookOnce looks, keeps where the monitor is, and gives the failure its exit
// status.
func (a *app) lookOnce(ctx context.Context, m *monitor.Monitor, path string) error {
	err := m.Look(ctx)
	if ctx.Err() != nil {
		return err
	}
	if err := cmp.Or(a.term.WriteErr(), a.stdout.err); err != nil { // nobody heard of it: it is for the next look
		return err
	}
	var history *evidence.HistoryError
	if errors.As(err, &history) {
		if kept, kerr := memory.KeepPair(path+".", history.Old, history.New); kerr != nil {
			a.term.Warnf("the two checkpoints were not kept: %v", kerr)
		} else {
			a.term.Warnf("both checkpoints are kept in %s", kept)
		}
	}
	data, kerr := m.State().Marshal()
	if kerr == nil {
		kerr = os.MkdirAll(filepath.Dir(path), 0o700)
	}
	if kerr == nil {
		kerr = home.Replace(path, data)
	}
	if kerr != nil {
		return failf(exitError, "where the monitor is could not be kept: %w", kerr).withPath(path)
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, monitor.ErrUnreachable):
		return a.noServerThere(err)
	case errors.Is(err, monitor.ErrDenied):
		return failf(exitRefused, "%w", err).withHint(a.tokenHint())
	case errors.Is(err, monitor.ErrStill):
		return failf(exitUntrusted, "%w", err).withHint("ask whoever runs the log; with witnesses, whether they are reached")
	case errors.Is(err, evidence.ErrFormat):
		return failf(exitUntrusted, "%w", err)
	}
	return err
}

// partOfKey is what lists show of a key's id, or more of it.
var partOfKey = regexp.MustCompile(`^[0-9a-f]{12,63}$`)

// monitorWatch reads what to report.
func monitorWatch(f *monitorFlags) (*monitor.Watch, error) {
	w := new(monitor.Watch)
	for _, text := range f.keys {
		if id, err := statement.ParseKeyID(text); err == nil {
			w.Keys = append(w.Keys, id)
			continue
		}
		if partOfKey.MatchString(text) {
			return nil, usagef("--watch-key %q: a key's id has 64 digits, and this is its beginning", text).withHint("`stele key list --json` has them whole; a handle will do, too")
		}
		if err := statement.CheckHandle(text); err != nil {
			return nil, usagef("--watch-key %q: neither a key's id, 64 hexadecimal digits, nor a handle", text)
		}
		w.Handles = append(w.Handles, text)
	}
	for _, p := range f.names {
		if err := statement.CheckPattern(p); err != nil {
			return nil, usagef("--watch-name: %v", err)
		}
		w.Patterns = append(w.Patterns, p)
	}
	return w, nil
}

// monitorSource is the log that is watched: at an address, or in a directory,
// which is opened for the length of a look.
func (a *app) monitorSource(args []string) (source monitor.Source, where string, closer func(), err error) {
	if len(args) == 1 && isAddress(args[0]) {
		return a.monitorAddress(args[0])
	}
	dir := ""
	if len(args) == 1 {
		dir = args[0]
		if _, err := os.Stat(filepath.Join(dir, ".stele")); err == nil {
			dir = filepath.Join(dir, ".stele")
		}
	} else if dir, err = a.findLedger(); err != nil {
		return nil, "", nil, err
	}
	if isAddress(dir) {
		return a.monitorAddress(dir)
	}
	if where, err = filepath.Abs(dir); err != nil {
		return nil, "", nil, err
	}
	s := &ledgerSource{a: a, dir: where} // absolute, as a server's socket is
	return s, where, s.close, nil
}

// monitorAddress is a log at an address: any C2SP log's. The token that this person
// has for it is sent over https alone, or within this machine.
func (a *app) monitorAddress(address string) (monitor.Source, string, func(), error) {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || u.User != nil {
		return nil, "", nil, usagef("%q is not the address of a log", address).withHint("https://ledger.example")
	}
	http, err := a.mirrorHTTP()
	if err != nil {
		return nil, "", nil, err
	}
	source := &monitor.HTTP{URL: address, Client: http}
	if host := u.Hostname(); u.Scheme == "https" || slices.Contains(server.LoopbackHosts(), host) {
		if source.Token, err = a.tokenFor(address); err != nil {
			return nil, "", nil, err
		}
	}
	return source, strings.TrimSuffix(address, "/"), http.CloseIdleConnections, nil
}

// ledgerSource is a log in a directory. Its checkpoint opens it, so that all of a
// look is of one moment.
type ledgerSource struct {
	a   *app
	dir string
	e   engine
}

func (s *ledgerSource) open(ctx context.Context) (err error) {
	s.close()
	s.e, err = s.a.engineAt(ctx, s.dir, true)
	return err
}

func (s *ledgerSource) close() {
	if s.e != nil {
		_ = s.e.Close() // it was only read
		s.e = nil
	}
}

// Checkpoint implements monitor.Source.
func (s *ledgerSource) Checkpoint(ctx context.Context) ([]byte, error) {
	if err := s.open(ctx); err != nil {
		if errors.Is(err, solo.ErrLocked) {
			return nil, fmt.Errorf("%w: %w", monitor.ErrUnreachable, err)
		}
		return nil, err
	}
	r, err := newReading(s.e.View())
	if err != nil {
		return nil, err
	}
	if r, err = s.a.cosigned(r); err != nil { // as a server does
		return nil, err
	}
	return r.LatestCheckpoint()
}

// Bundle implements monitor.Source.
func (s *ledgerSource) Bundle(_ context.Context, n uint64, width int) ([]byte, error) {
	return s.e.View().Bundle(n, width)
}

func readMonitorState(path string) (*monitor.State, error) {
	data, err := readSmall(path, monitor.MaxState)
	if errors.Is(err, fs.ErrNotExist) {
		return &monitor.State{}, nil
	}
	if err != nil {
		return nil, err
	}
	s, err := monitor.ParseState(data)
	if err != nil {
		return nil, failf(exitError, "%s: %w", path, err).withPath(path).withHint("remove it to begin anew: what happened meanwhile is not reported then")
	}
	return s, nil
}

// reportMonitored prints an event: a line, or a JSON object.
func (a *app) reportMonitored(e *monitor.Event) {
	out := jsonv1.Monitored{
		Type: string(e.Type), Time: jsonv1.At(a.now().UnixMilli()), Origin: e.Origin, Size: e.Size,
		Message: e.Message, Matched: e.Matched, Old: string(e.Old), New: string(e.New),
	}
	at := a.now().UnixMilli()
	if e.Entry != nil {
		at = e.Entry.Time
		what := subject(e.Statement)
		out.Entry = &jsonv1.MonitoredEntry{
			Index: e.Entry.Index, Time: jsonv1.At(at), Kind: string(e.Statement.Kind), Subject: what,
			Signer: jsonv1.Signer{Handle: e.Handle, Key: e.Entry.Envelope.By().String()},
		}
		out.Message = fmt.Sprintf("entry %d: %s %s, by %s", e.Entry.Index, e.Statement.Kind, what, e.Handle)
	}
	if a.json {
		a.printJSON(out)
		return
	}
	text := out.Message
	if len(e.Matched) > 0 {
		text += " (" + strings.Join(e.Matched, ", ") + ")"
	}
	a.term.Printf("%s  %-13s  %s\n", a.term.Time(at), e.Type, text)
}
