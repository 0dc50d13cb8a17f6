package main

import (
	"context"
	"errors"
	"fmt"
	"net"

	"github.com/spf13/cobra"

	"github.com/stele-ml/stele/cmd/stele/jsonv1"
	"github.com/stele-ml/stele/internal/ledger"
	"github.com/stele-ml/stele/internal/server"
	"github.com/stele-ml/stele/internal/solo"
)

func (a *app) serveCommand() *cobra.Command {
	var listen string
	var anyHost bool
	c := &cobra.Command{
		Use:   "serve",
		Short: "Serve the log's read paths (C2SP tiles), for other tools",
		Long: `Serves checkpoint, tiles and entries of the log over HTTP, read-only, as
c2sp.org/tlog-tiles describes them. Whoever reaches the address can read every
entry; it listens on this machine only unless told otherwise. While it runs it
holds the ledger: other commands wait, then say so.`,
		Example: "  stele serve\n  curl http://127.0.0.1:7777/checkpoint",
		Args:    cobra.NoArgs,
		RunE:    func(c *cobra.Command, _ []string) error { return a.serve(c.Context(), listen, anyHost) },
	}
	c.Flags().StringVar(&listen, "listen", "127.0.0.1:7777", "the `address` to listen on; port 0 takes a free one")
	c.Flags().BoolVar(&anyHost, "any-host", false, "answer to any Host name, behind a public address")
	return c
}

func (a *app) serve(ctx context.Context, listen string, anyHost bool) error {
	dir, err := a.findLedger()
	if err != nil {
		return err
	}
	e, err := solo.Open(ctx, a.readOnly(dir))
	if err != nil {
		return err
	}
	defer e.Close()
	l, err := net.Listen("tcp", listen)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	opts := server.Options{NotFound: ledger.ErrNotFound, Logf: func(format string, args ...any) { a.term.Warnf(format, args...) }}
	if server.Loopback(l) && !anyHost {
		opts.Hosts = server.LoopbackHosts()
	}
	log := server.LogFunc(func() (server.View, error) { return e.View(), nil })
	url := "http://" + l.Addr().String()
	if a.json {
		a.printJSON(jsonv1.Serve{Origin: e.Info().Origin, URL: url})
	} else {
		a.term.Printf("serving %s at %s\n", e.Info().Origin, url)
	}
	if !server.Loopback(l) {
		a.term.Warnf("everybody who reaches this address can read every entry")
	}
	err = server.Serve(ctx, l, server.NewHandler(log, opts))
	if errors.Is(err, context.Canceled) {
		err = nil
	}
	return err
}
