package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"github.com/stele-ml/stele/cmd/stele/jsonv1"
	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/internal/replica"
	"github.com/stele-ml/stele/internal/terminal"
)

// The longest that a mirror waits before it asks again, after errors.
const mirrorPatience = time.Minute

type mirrorFlags struct {
	dir, listen       string
	every             time.Duration
	once, attachments bool
	anyHost           bool
	tlsCert, tlsKey   string
	tokens            string
}

func (a *app) mirrorCommand() *cobra.Command {
	var f mirrorFlags
	c := &cobra.Command{
		Use:   "mirror URL",
		Short: "Keep and serve a second copy of a ledger, replaying every entry",
		Long: `Copies the ledger behind URL into .stele in this folder (or --dir), follows it,
and serves what it has. Every entry goes through the ledger's rules again, every
signature is checked, and every commit must come out with the root that the log
signed: what does not follow is not taken in, and said. The log must be one that
you trust.

If the log shows another history, both checkpoints are kept as evidence, nothing
more is taken in, and the mirror goes on serving what it has; it ends with 6.

A mirror has no log key and takes over nothing. Its directory is a complete
backup: any verb reads it with --ledger, and ` + "`stele restore`" + ` makes a ledger
of it.`,
		Example: "  stele mirror https://stele.example.com --dir /srv/mirror\n  stele mirror https://stele.example.com --once --attachments",
		Args:    cobra.ExactArgs(1),
		RunE:    func(c *cobra.Command, args []string) error { return a.mirror(c.Context(), args[0], f) },
	}
	c.Flags().StringVar(&f.dir, "dir", ".", "the `directory` in which .stele is kept")
	c.Flags().StringVar(&f.listen, "listen", "127.0.0.1:7777", "the `address` to serve at; port 0 takes a free one; empty: none")
	c.Flags().BoolVar(&f.anyHost, "any-host", false, "answer to any Host name, behind a public address")
	c.Flags().StringVar(&f.tlsCert, "tls-cert", "", "serve by TLS, with the certificates of this `file`")
	c.Flags().StringVar(&f.tlsKey, "tls-key", "", "the `file` with their private key")
	c.Flags().StringVar(&f.tokens, "tokens", "", "let in only who has a token of this `file` (stele token)")
	c.Flags().DurationVar(&f.every, "every", 2*time.Second, "how often to look for more")
	c.Flags().BoolVar(&f.once, "once", false, "catch up, say how far, and end")
	c.Flags().BoolVar(&f.attachments, "attachments", false, "copy attachments and manifests too, as far as they are there")
	return c
}

func (a *app) mirror(ctx context.Context, url string, f mirrorFlags) error {
	if f.every < 100*time.Millisecond {
		return usagef("--every %s: at least 100ms", f.every)
	}
	if (f.tlsCert == "") != (f.tlsKey == "") {
		return usagef("--tls-cert and --tls-key go together")
	}
	client, err := a.mirrorHTTP()
	if err != nil {
		return err
	}
	token, err := a.tokenFor(url)
	if err != nil {
		return err
	}
	dir, err := filepath.Abs(filepath.Join(f.dir, ledgerName))
	if err != nil {
		return err
	}
	var done, total atomic.Uint64
	r, err := replica.Open(ctx, replica.Options{
		URL: url, HTTP: client, Token: token, Dir: dir, Trust: a.mirrorTrust, Attachments: f.attachments,
		Progress: func(d, t uint64) { done.Store(d); total.Store(t) },
	})
	if errors.Is(err, replica.ErrAddress) {
		return usagef("%v", err)
	}
	if err != nil {
		return err
	}
	defer func() {
		if err := r.Close(); err != nil {
			a.term.Warnf("closing the mirror: %v; what was shown is safe", err)
		}
	}()
	if r.View() != nil {
		if err := a.mirrorTrusted(r); err != nil {
			return err
		}
	}
	if f.once {
		stop := a.term.Progress(ctx, func() terminal.Snapshot {
			return terminal.Snapshot{Label: "entries replayed", FilesDone: done.Load(), FilesTotal: total.Load()}
		})
		err := a.mirrorStep(ctx, r)
		stop()
		if err == nil {
			a.printMirror(r, dir)
		}
		return err
	}
	return a.mirrorOn(ctx, r, f)
}

// mirrorTrust returns the policy for the log that a mirror is of.
func (a *app) mirrorTrust(origin string) (*evidence.Policy, error) {
	policy, path, err := a.policyFor(origin)
	if err == nil && policy == nil {
		err = failf(exitUntrusted, "the log %s is not trusted: no key is pinned for it", origin).withPath(path).
			withHint("get its trust file from whoever runs it, by a way you trust, then `stele trust add FILE`")
	}
	return policy, err
}

// mirrorTrusted compares what a mirror shows with what this person saw of the log
// before, and remembers it.
func (a *app) mirrorTrusted(r *replica.Replica) error {
	now, err := newReading(r.View())
	if err != nil {
		return err
	}
	past, err := a.remembered(now.ID())
	if err != nil {
		return err
	}
	if len(past.Signed) > 0 {
		// Behind what was seen elsewhere, before it has caught up, it is no rollback.
		cp, _, err := evidence.ReadCheckpoint(past.Signed)
		if err == nil && cp.Size > now.Size() && r.Status().Contact.IsZero() {
			return nil
		}
	}
	_, err = a.trustingNewest(now)
	return err
}

// mirrorStep catches up once.
func (a *app) mirrorStep(ctx context.Context, r *replica.Replica) error {
	err := r.CatchUp(ctx)
	var h *evidence.HistoryError
	if errors.As(err, &h) {
		if id, ok := r.ID(); ok {
			a.keepConflict(id, h.Old, h.New)
		}
	}
	if errors.Is(err, replica.ErrUnreachable) {
		return failf(exitUnreachable, "%w", err).withHint("what is here stays, and is served; the next try goes on from there")
	}
	if err == nil {
		err = a.mirrorTrusted(r)
	}
	return err
}

// mirrorOn follows until it is told to stop, serving what is there.
func (a *app) mirrorOn(ctx context.Context, r *replica.Replica, f mirrorFlags) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	served := make(chan error, 1)
	serving := false
	var last error
	var said string // so that one trouble is told once
	pause := f.every
	for {
		if r.View() != nil && !serving && f.listen != "" {
			l, err := net.Listen("tcp", f.listen)
			if err != nil {
				return fmt.Errorf("listen: %w", err)
			}
			serving = true
			go func() { served <- a.serveMirror(ctx, r, l, f) }()
		}
		err := a.mirrorStep(ctx, r)
		switch {
		case ctx.Err() != nil:
		case err == nil:
			if last != nil {
				a.term.Notef("caught up again: %s entries", terminal.Count(r.Status().Size))
			}
			last, said, pause = nil, "", f.every
		case r.Healthy() != nil || !mirrorGoesOn(err):
			stop()
			if serving {
				<-served
			}
			return err
		default:
			if last = err; said != err.Error() {
				said = err.Error()
				a.term.Warnf("%v; serving the %s entries that are here", err, terminal.Count(r.Status().Size))
			}
			pause = min(2*pause, mirrorPatience)
		}
		if r.View() != nil && !serving && ctx.Err() == nil && f.listen != "" {
			continue // the first that can be served
		}
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			if serving {
				err = <-served
			}
			if errors.Is(last, evidence.ErrFork) { // found here, or by what this person saw elsewhere
				return last
			}
			if err != nil && !errors.Is(err, context.Canceled) && errors.Is(ctx.Err(), context.Canceled) && serving {
				return err
			}
			return nil
		case err := <-served:
			timer.Stop()
			return err
		case <-timer.C:
		}
	}
}

// mirrorGoesOn reports whether a mirror stays up after an error: what is wrong at
// the primary is no reason to serve nobody.
func mirrorGoesOn(err error) bool {
	for _, class := range []error{replica.ErrUnreachable, evidence.ErrTampered, evidence.ErrFork, evidence.ErrRollback, evidence.ErrUntrusted} {
		if errors.Is(err, class) {
			return true
		}
	}
	return false
}

func (a *app) printMirror(r *replica.Replica, dir string) {
	s := r.Status()
	if a.json {
		signed, err := r.View().LatestCheckpoint()
		if err == nil {
			var cp jsonv1.Checkpoint
			if cp, err = checkpointJSON(signed); err == nil {
				a.printJSON(jsonv1.Mirror{Origin: r.View().Origin(), Primary: r.Primary(), Directory: dir, Entries: s.Size, Documents: s.Documents, Withheld: s.Withheld, Checkpoint: cp})
			}
		}
		return
	}
	if a.quiet {
		return
	}
	a.term.Printf("%s has all %s entries of %s, each through the rules again\n", dir, terminal.Count(s.Size), r.View().Origin())
	if s.Documents+s.Withheld > 0 {
		a.term.Printf("attachments and manifests: %s copied, %s not there\n", terminal.Count(s.Documents), terminal.Count(s.Withheld))
	}
}

// mirrorHTTP returns how the primary is reached: as the environment says.
func (a *app) mirrorHTTP() (*http.Client, error) {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.MaxIdleConnsPerHost = replica.DefaultParallel
	config, err := a.clientTLS()
	if err != nil {
		return nil, err
	}
	t.TLSClientConfig = config
	return &http.Client{Transport: t}, nil
}
