package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/stele-ml/stele/client"
	"github.com/stele-ml/stele/cmd/stele/jsonv1"
	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/internal/api"
	"github.com/stele-ml/stele/internal/ledger"
	"github.com/stele-ml/stele/internal/replica"
	"github.com/stele-ml/stele/internal/server"
	"github.com/stele-ml/stele/internal/terminal"
	"github.com/stele-ml/stele/statement"
)

// mirrorEngine is a replica as the API has it: read, and not written to.
type mirrorEngine struct{ *replica.Replica }

// Submit implements api.Engine.
func (m mirrorEngine) Submit(ctx context.Context, env *statement.Envelope) (*api.Submitted, error) {
	_, err := m.Replica.Submit(ctx, env)
	return nil, engineError(err)
}

// mirroring is a mirror that follows and serves.
type mirroring struct {
	entrance
	settings *mirrorSettings
	replica  *replica.Replica
	started  time.Time

	mu   sync.Mutex
	last error // of the last look at the primary: why it is not followed
}

func newMirroring(a *app, s *mirrorSettings, dir string, r *replica.Replica) *mirroring {
	v := &mirroring{entrance: newEntrance(a, &s.doorSettings, dir), settings: s, replica: r, started: a.now()}
	return v
}

// follow follows the primary until it is told to stop, and serves what is there as soon
// as there is anything.
func (v *mirroring) follow(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	served := make(chan error, 1)
	serving := v.settings.listen == "" // or never
	ended := func(err error) error {   // whoever is being answered is answered first
		stop()
		if serving && v.settings.listen != "" {
			err = errors.Join(err, <-served)
		}
		return err
	}
	pause := time.Duration(v.settings.every)
	for {
		if v.replica.View() != nil && !serving {
			serving = true
			go func() { served <- v.serve(ctx) }()
		}
		err := v.app.mirrorStep(ctx, v.replica)
		if ctx.Err() == nil {
			nothing := v.replica.View() == nil && errors.Is(err, client.ErrAccess) // nor will there be
			if err != nil && (v.replica.Healthy() != nil || nothing || !mirrorGoesOn(err)) {
				return ended(err)
			}
			pause = min(2*pause, mirrorPatience)
			if v.note(err); err == nil {
				pause = time.Duration(v.settings.every)
			}
			if v.replica.View() != nil && !serving {
				continue // the first that can be served
			}
		}
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			var fork error
			if last := v.trouble(); errors.Is(last, evidence.ErrFork) { // found here, or by what this person saw elsewhere
				fork = last
			}
			return ended(fork)
		case err := <-served:
			timer.Stop()
			serving = false
			return ended(err)
		case <-timer.C:
		}
	}
}

// note writes down how the last look went, and says what has changed.
func (v *mirroring) note(err error) {
	v.mu.Lock()
	before := v.last
	v.last = err
	v.mu.Unlock()
	size := terminal.Count(v.replica.Status().Size)
	switch {
	case err == nil && before != nil:
		v.log.Info(fmt.Sprintf("caught up again: %s entries", size))
	case err != nil && (before == nil || before.Error() != err.Error()):
		v.warnf("%v; serving the %s entries that are here", err, size)
	}
}

func (v *mirroring) trouble() error {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.last
}

// serve answers every read from what the mirror has, until ctx is done.
func (v *mirroring) serve(ctx context.Context) error {
	view := v.replica.View()
	return v.answer(ctx, behind{
		id: view.ID(), origin: view.Origin(),
		health: server.HealthOptions{Condition: v.condition, ContactAge: time.Duration(v.settings.contactAge), Now: v.app.now},
		routes: func(front *server.Front, health *server.Health) (http.Handler, error) {
			return v.routes(front, health), nil
		},
		tell: v.announce,
	})
}

func (v *mirroring) routes(front *server.Front, health *server.Health) http.Handler {
	mux := http.NewServeMux()
	server.Mount(mux, front, server.LogFunc(func() (server.View, error) { return v.replica.View(), nil }),
		server.Options{NotFound: ledger.ErrNotFound})
	health.Mount(mux)
	api.New(api.Options{
		Engine: mirrorEngine{v.replica}, Shelf: ledgerShelf{v.replica.Shelf()}, Software: "stele/" + version, Primary: v.replica.Primary(), ReadOnly: true, Now: v.app.now,
	}).Mount(mux, front)
	mux.Handle("/", server.NoRoute())
	return mux
}

func (v *mirroring) announce(net.Listener) {
	a, view := v.app, v.replica.View()
	if a.json {
		a.printJSON(jsonv1.Serve{Origin: view.Origin(), URL: v.url})
	} else {
		a.term.Printf("serving a mirror of %s, of %s entries so far, at %s\n", view.Origin(), terminal.Count(view.Size()), v.url)
	}
}

// condition is how the mirror is. One whose primary shows another history goes
// on answering with what it has, and says that it is not ready: it will not follow
// again, and somebody has to look.
func (v *mirroring) condition() server.Condition {
	view, s := v.replica.View(), v.replica.Status()
	c := server.Condition{
		Failed: v.replica.Healthy(), ReadOnly: true, Size: view.Size(), Time: view.Time(),
		Mirror: &server.MirrorCondition{Known: max(s.Primary, s.Size), Since: s.Contact, Heard: !s.Contact.IsZero()},
	}
	if !c.Mirror.Heard {
		c.Mirror.Since = v.started
	}
	last := v.trouble()
	switch {
	case c.Failed != nil:
	case s.Stopped:
		c.Failed = s.Behind
	case errors.Is(last, evidence.ErrFork):
		c.Failed = last
	}
	return c
}
