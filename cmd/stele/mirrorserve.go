package main

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"

	"github.com/stele-ml/stele/cmd/stele/jsonv1"
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

// serveMirror answers every read from what the mirror has, until ctx is done.
func (a *app) serveMirror(ctx context.Context, r *replica.Replica, l net.Listener, f mirrorFlags) error {
	access := server.Access{Anonymous: server.ScopeProofs | server.ScopeEntries, Realm: r.View().Origin()}
	if f.tokens != "" {
		var err error
		access.Anonymous = server.ScopeNone
		if access.Tokens, err = server.OpenTokens(f.tokens, a.now, a.term.Warnf); errors.Is(err, os.ErrNotExist) {
			return failf(exitNotFound, "there are no tokens so far").withPath(f.tokens)
		} else if err != nil {
			return err
		}
	}
	limits := newServeSettings().limits()
	metrics := server.NewMetrics()
	o := server.FrontOptions{Access: access, Limits: limits, Metrics: metrics, Now: a.now}
	if server.Loopback(l) && !f.anyHost {
		o.Hosts = server.LoopbackHosts()
	}
	front := server.NewFront(o)
	health := server.NewHealth(front, server.HealthOptions{Condition: func() server.Condition { return mirrorCondition(r) }, Now: a.now})
	door := server.Door{Listener: server.Bounded(l, limits, nil, metrics), Handler: front.Handler(a.mirrorRoutes(r, front, health))}
	scheme := "http://"
	if f.tlsCert != "" {
		config, err := server.OpenTLS(&server.TLSFiles{Cert: f.tlsCert, Key: f.tlsKey}, a.now, a.term.Warnf)
		if err != nil {
			return failf(exitUntrusted, "%w", err)
		}
		door.TLS, scheme = config, "https://"
	}
	a.announceMirror(r, l, scheme, access.Anonymous.Allows(server.ScopeEntries))
	return server.OpenDoors(ctx, []server.Door{door}, server.DoorOptions{})
}

func (a *app) mirrorRoutes(r *replica.Replica, front *server.Front, health *server.Health) http.Handler {
	mux := http.NewServeMux()
	mountTiles(mux, front, server.LogFunc(func() (server.View, error) { return r.View(), nil }), a.term.Warnf)
	for _, route := range health.Routes() {
		mux.Handle(route.Method+" "+route.Path, front.Route(route.Rule, route.Handler))
	}
	api.New(api.Options{
		Engine: mirrorEngine{r}, Shelf: ledgerShelf{r.Shelf()}, Software: "stele/" + version, Primary: r.Primary(), ReadOnly: true, Logf: a.term.Warnf, Now: a.now,
	}).Mount(mux, front)
	mux.Handle("/", front.Route(server.Rule{Name: "/"}, server.NoRoute()))
	return mux
}

// mountTiles puts the paths of C2SP tlog-tiles behind a front.
func mountTiles(mux *http.ServeMux, front *server.Front, log server.Log, warnf func(string, ...any)) {
	tiles := server.NewHandler(log, server.Options{NotFound: ledger.ErrNotFound, Logf: warnf})
	for _, r := range []struct {
		pattern, name string
		scope         server.Scope
	}{
		{"/checkpoint", "GET /checkpoint", server.ScopeProofs},
		{"/checkpoint/{size}", "GET /checkpoint/{size}", server.ScopeProofs},
		{"/tile/", "GET /tile/{level}/{index}", server.ScopeProofs},
		{"/tile/entries/", "GET /tile/entries/{index}", server.ScopeEntries},
	} {
		mux.Handle(r.pattern, front.Route(server.Rule{Name: r.name, Scope: r.scope}, tiles))
	}
}

func (a *app) announceMirror(r *replica.Replica, l net.Listener, scheme string, open bool) {
	url := scheme + l.Addr().String()
	if a.json {
		a.printJSON(jsonv1.Serve{Origin: r.View().Origin(), URL: url})
	} else {
		a.term.Printf("serving a mirror of %s, of %s entries so far, at %s\n", r.View().Origin(), terminal.Count(r.View().Size()), url)
	}
	if open && !server.Loopback(l) {
		a.term.Warnf("everybody who reaches this address can read every entry")
	}
}

// mirrorCondition is how the mirror is. One whose primary shows another history goes
// on answering with what it has, and says that it is not ready: it will not follow
// again, and somebody has to look.
func mirrorCondition(r *replica.Replica) server.Condition {
	v, s := r.View(), r.Status()
	c := server.Condition{Failed: r.Healthy(), ReadOnly: true, Size: v.Size(), Time: v.Time(), Mirror: &server.MirrorCondition{Known: max(s.Primary, s.Size)}}
	if c.Failed == nil && s.Stopped {
		c.Failed = s.Behind
	}
	if !s.Contact.IsZero() {
		c.Mirror.Since = s.Contact.UnixMilli()
	}
	return c
}
