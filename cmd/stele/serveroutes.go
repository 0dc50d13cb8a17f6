package main

import (
	"net/http"

	"github.com/stele-ml/stele/internal/ledger"
	"github.com/stele-ml/stele/internal/oidc"
	"github.com/stele-ml/stele/internal/server"
)

// routes are what is behind the front.
func (v *serving) routes(front *server.Front, health *server.Health, exchange *oidc.Exchange) (http.Handler, error) {
	mux := http.NewServeMux()
	log := server.LogFunc(func() (server.View, error) { return v.engine.View(), nil })
	tiles := server.NewHandler(log, server.Options{NotFound: ledger.ErrNotFound, Logf: v.warnf})
	mux.Handle("/", front.Route(server.Rule{Name: "GET /tile/…", Scope: server.ScopeEntries}, tiles))
	for _, r := range health.Routes() {
		mux.Handle(r.Method+" "+r.Path, front.Route(r.Rule, r.Handler))
	}
	return mux, nil
}
