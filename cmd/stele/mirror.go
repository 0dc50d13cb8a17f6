package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/http"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"github.com/stele-ml/stele/client"
	"github.com/stele-ml/stele/cmd/stele/jsonv1"
	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/internal/config"
	"github.com/stele-ml/stele/internal/ledger"
	"github.com/stele-ml/stele/internal/replica"
	"github.com/stele-ml/stele/internal/terminal"
)

// The longest that a mirror waits before it asks again, after errors.
const mirrorPatience = time.Minute

func (a *app) mirrorCommand() *cobra.Command {
	settings := newMirrorSettings()
	section := settings.section()
	var flags settingsFlags
	var once bool
	c := &cobra.Command{
		Use:   "mirror [URL]",
		Short: "Keep and serve a second copy of a ledger, replaying every entry",
		Long: `Copies the ledger behind URL into .stele in this folder (or --dir), follows it,
and serves what it has. Every entry goes through the ledger's rules again, every
signature is checked, and every commit must come out with the root that the log
signed: what does not follow is not taken in, and said. The log must be one that
you trust.

If the log shows another history, both checkpoints are kept as evidence, nothing
more is taken in, and the mirror goes on serving what it has; it ends with 6,
and stays stopped when it is started again.

A mirror has no log key and takes over nothing. Its directory is a complete
backup: any verb reads it with --ledger, and ` + "`stele restore`" + ` makes a ledger
of it.

It is set up as stele serve is, by the same names: flags, variables
($STELE_MIRROR_LISTEN) and the section mirror of the file; --listen '' serves
nobody.`,
		Example: "  stele mirror https://stele.example.com --dir /srv/mirror\n  stele mirror https://stele.example.com --once --attachments\n  stele mirror --config stele.yaml",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if done, err := flags.load(a, c, section); err != nil || done {
				return err
			}
			if len(args) == 1 {
				settings.primary = config.Text(args[0])
			}
			if settings.primary == "" {
				return usagef("no ledger to follow").withHint("name its address: stele mirror https://stele.example.com")
			}
			if err := settings.check(); err != nil {
				return err
			}
			return a.mirror(c.Context(), settings, once)
		},
	}
	c.Flags().BoolVar(&once, "once", false, "catch up, say how far, and end")
	flags.add(c, section)
	return c
}

func (a *app) mirror(ctx context.Context, s *mirrorSettings, once bool) error {
	client, err := a.mirrorHTTP()
	if err != nil {
		return err
	}
	defer client.CloseIdleConnections()
	url := string(s.primary)
	token, err := a.tokenFor(url)
	if err != nil {
		return err
	}
	dir, err := filepath.Abs(filepath.Join(string(s.dir), ledgerName))
	if err != nil {
		return err
	}
	var done, total atomic.Uint64
	r, err := replica.Open(ctx, replica.Options{
		URL: url, HTTP: client, Token: token, Dir: dir, Trust: a.trustedLog, Attachments: bool(s.documents),
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
	if once {
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
	v := newMirroring(a, s, dir, r)
	return v.follow(ctx)
}

// mirrorTrusted compares what a mirror shows with what this person saw of the log
// before, and remembers it.
func (a *app) mirrorTrusted(r *replica.Replica) error {
	now, err := newReading(r.View())
	if err != nil {
		return err
	}
	past, err := a.memory.Newest(now.ID())
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
	if id, ok := r.ID(); ok { // before the primary is asked
		if _, err := a.memory.Ask(id); err != nil {
			return err
		}
	}
	err := r.CatchUp(ctx)
	var h *evidence.HistoryError
	if errors.As(err, &h) {
		if id, ok := r.ID(); ok {
			a.memory.Convict(id, h.Old, h.New)
		}
	}
	if errors.Is(err, replica.ErrNoHistory) {
		return failf(exitNotFound, "%w", err).withHint("name the server's own address; `stele monitor` reads a static copy")
	}
	if errors.Is(err, replica.ErrUnreachable) {
		return a.noServerThere(err)
	}
	if errors.Is(err, client.ErrAccess) {
		return failf(exitRefused, "%w", err).withHint(a.tokenHint())
	}
	if errors.Is(err, ledger.ErrDamaged) {
		return failf(exitTampered, "%w", err).withHint("either that is false, or the copy here is damaged: `stele fsck` on its directory says which")
	}
	if err == nil {
		err = a.mirrorTrusted(r)
	}
	return err
}

// noServerThere says what may help where a log's server was not read.
func (a *app) noServerThere(err error) error {
	hint := cmp.Or(certificateHint(err), "what is here stays; the next try goes on from there")
	return failf(exitUnreachable, "%w", err).withHint(hint)
}

// certificateHint says what may help where a server's certificate does not hold;
// empty: that is not what is wrong.
func certificateHint(err error) string {
	var certificate *tls.CertificateVerificationError
	var name x509.HostnameError
	switch {
	case !errors.As(err, &certificate):
		return ""
	case errors.As(err, &name):
		return "give the address by a name that the certificate has"
	}
	return "$STELE_TLS_CA names the file of an authority of your own; otherwise ask whoever runs the server"
}

// tokenHint says what opens a server to those whom it knows.
func (a *app) tokenHint() string { return tokenKeptIn(filepath.Join(a.dirs.Config, "tokens")) }

// tokenKeptIn is tokenHint for the server whose token is kept at path.
func tokenKeptIn(path string) string {
	return "whoever runs the server makes a token with `stele token new`; give it with --token-file, $STELE_TOKEN, or in " + path + "; a certificate of yours goes into $STELE_TLS_CERT"
}

// mirrorGoesOn reports whether a mirror stays up after an error: what is wrong at
// the primary is no reason to serve nobody.
func mirrorGoesOn(err error) bool {
	for _, class := range []error{replica.ErrUnreachable, client.ErrAccess, evidence.ErrTampered, evidence.ErrFork, evidence.ErrRollback, evidence.ErrUntrusted} {
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
