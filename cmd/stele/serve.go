package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/internal/config"
	"github.com/stele-ml/stele/internal/cosign"
	"github.com/stele-ml/stele/internal/server"
	"github.com/stele-ml/stele/internal/solo"
)

func (a *app) serveCommand() *cobra.Command {
	settings := newServeSettings()
	section := settings.section()
	var file string
	var show bool
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
			from, err := a.loadSettings(section, file, c)
			if err != nil {
				return err
			}
			if show {
				return section.Print(a.stdout, from)
			}
			if err := settings.check(); err != nil {
				return err
			}
			return a.serve(c.Context(), settings)
		},
	}
	c.Flags().StringVar(&file, "config", "", "a `file` of settings (default $STELE_CONFIG_FILE)")
	c.Flags().BoolVar(&show, "print-config", false, "print every setting, with where it was set, and end")
	addFlags(c, section)
	return c
}

// loadSettings sets what flags did not.
func (a *app) loadSettings(s *config.Section, file string, c *cobra.Command) (map[string]string, error) {
	if file == "" {
		file = a.getenv("STELE_CONFIG_FILE")
	}
	from, err := s.Load(file, a.getenv, c.Flags().Changed)
	var wrong *config.Error
	if errors.As(err, &wrong) {
		return nil, usagef("%v", err).withPath(file).withHint("docs/operating.md has the settings; `stele serve --print-config` shows what holds")
	}
	if errors.Is(err, os.ErrNotExist) {
		return nil, failf(exitNotFound, "%s is not there", file).withPath(file)
	}
	return from, err
}

// serving is a server that runs: its parts, in the order in which they are closed.
type serving struct {
	app      *app
	settings *serveSettings
	dir      string
	engine   *solo.Engine
	cosigner *cosign.Worker // nil: nobody is to be asked
	log      *slog.Logger
	metrics  *server.Metrics
	doors    []server.Door
	url      string
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
	v := &serving{app: a, settings: s, dir: dir, engine: e, log: s.logger(a.stderr), metrics: server.NewMetrics()}
	if err := v.startCosigning(); err != nil {
		return err
	}
	if v.cosigner != nil {
		defer v.cosigner.Close()
	}
	exchange, jobs, closeKey, err := a.exchange(ctx, s, e.View)
	if err != nil {
		return err
	}
	defer closeKey()
	access, err := v.access()
	if err != nil {
		return err
	}
	access.Jobs = jobs
	defer func() {
		for _, d := range v.doors { // those that were opened before something else failed
			_ = d.Listener.Close()
		}
	}()
	main, err := v.listen()
	if err != nil {
		return err
	}
	proxies, err := server.ParseProxies(s.proxies.Items())
	if err != nil {
		return usagef("proxy: %v", err)
	}
	front := server.NewFront(server.FrontOptions{
		Access: access, Limits: s.limits(), Proxies: proxies, Hosts: v.hosts(main), Log: v.log, Metrics: v.metrics, Now: a.now,
	})
	health := server.NewHealth(front, server.HealthOptions{Condition: v.condition, CosignedAge: time.Duration(s.cosignedAge), Now: a.now})
	v.metrics.Watch(health, version)
	routes, err := v.routes(front, health, exchange)
	if err != nil {
		return err
	}
	if err := v.open(main, front.Handler(routes), proxies); err != nil {
		return err
	}
	v.announce(main)
	err = server.OpenDoors(ctx, v.doors, server.DoorOptions{Stop: time.Duration(s.stopTimeout), Log: v.log})
	return errors.Join(err, v.ended())
}

// ended is how a server ends that went on answering what is read although it took
// nothing any more: as the failure that ended that.
func (v *serving) ended() error {
	err := v.engine.Healthy()
	if errors.Is(err, evidence.ErrFork) {
		return failf(exitUntrusted, "the ledger took nothing more: %w", err).withHint(describe(err).hint)
	}
	if err != nil {
		return failf(exitError, "the ledger took nothing more: %w", err).withHint("what was acknowledged is on the disk; start it again once the cause is gone")
	}
	return nil
}
