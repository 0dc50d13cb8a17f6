package main

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/internal/cosign"
	"github.com/stele-ml/stele/internal/server"
	"github.com/stele-ml/stele/internal/solo"
)

func (a *app) serveCommand() *cobra.Command {
	settings := newServeSettings()
	section := settings.section()
	var flags settingsFlags
	c := &cobra.Command{
		Use:   "serve",
		Short: "Keep the ledger for a team: take entries, answer what is asked",
		Long: `Keeps a ledger for many machines: takes signed entries, answers everything that
can be read, and asks its witnesses. Nobody has to trust it: clients check what
they receive.

It listens on this machine only unless told otherwise. Whoever reaches the
address may read and submit (--access public), or needs a token or a client
certificate; what the ledger admits depends on signatures alone. Commands on
this machine that find the ledger's directory talk to it by themselves.

Each flag is also a setting of the file (serve: listen: …) and a variable
($STELE_SERVE_LISTEN); docs/operating.md has them all. A flag counts more than a
variable, and that more than the file.`,
		Example: "  stele serve\n  stele serve --config stele.yaml\n  stele token new ci --scopes entries,submit",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if done, err := flags.load(a, c, section); err != nil || done {
				return err
			}
			if err := settings.check(); err != nil {
				return err
			}
			return a.serve(c.Context(), settings)
		},
	}
	flags.add(c, section)
	return c
}

// serving is a server that runs: its parts, in the order in which they are closed.
type serving struct {
	entrance
	settings *serveSettings
	engine   *solo.Engine
	cosigner *cosign.Worker // nil: nobody is to be asked
}

func (a *app) serve(ctx context.Context, s *serveSettings) (err error) {
	dir, err := a.findLedgerHere("serve")
	if err != nil {
		return err
	}
	o := a.options(dir)
	o.ReadOnly = bool(s.readOnly)
	e, err := a.openSolo(ctx, o)
	if err != nil {
		return err
	}
	defer a.close(e) // what is queued is committed
	v := servingOf(a, s, dir, e)
	if err := v.startCosigning(); err != nil {
		return err
	}
	if v.cosigner != nil {
		defer v.cosigner.Close()
	}
	exchange, jobs, closeKey, err := a.exchange(ctx, s, v.log, e.View)
	if err != nil {
		return err
	}
	defer closeKey()
	watched, stop := context.WithCancel(ctx)
	var watching sync.WaitGroup
	watching.Go(func() { v.watchTrust(watched) })
	defer watching.Wait()
	defer stop()
	err = v.answer(ctx, behind{
		id: e.Info().ID, origin: e.Info().Origin, jobs: jobs,
		health: server.HealthOptions{Condition: v.condition, CosignedAge: time.Duration(s.cosignedAge), Now: a.now},
		routes: func(front *server.Front, health *server.Health) (http.Handler, error) {
			return v.routes(front, health, exchange)
		},
		tell: v.announce,
	})
	return errors.Join(err, v.ended())
}

func servingOf(a *app, s *serveSettings, dir string, e *solo.Engine) *serving {
	return &serving{entrance: newEntrance(a, &s.doorSettings, dir), settings: s, engine: e}
}

// ended is how a server ends that went on answering what is read although it took
// nothing any more: as the failure that ended that.
func (v *serving) ended() error {
	err := v.engine.Healthy()
	if errors.Is(err, evidence.ErrFork) {
		return failf(exitUntrusted, "the ledger took nothing more: %w", err).withHint(describe(err).hint)
	}
	if err != nil {
		f := failf(exitError, "%v: %v", solo.ErrFailed, err).withHint("what was acknowledged is on the disk; start it again once the cause is gone")
		f.err = errors.Join(solo.ErrFailed, err)
		return f
	}
	return nil
}
