package main

import (
	"net/http"

	"github.com/stele-ml/stele/internal/api"
	"github.com/stele-ml/stele/internal/ledger"
	"github.com/stele-ml/stele/internal/server"
)

// published is what the tile paths show: the log as of the newest checkpoint that its
// witnesses cosigned, if it has any, so that nobody is shown what they have not seen.
func (v *serving) published() server.View {
	view := v.engine.View()
	if v.cosigner == nil {
		return view
	}
	return publishedView{view, v.cosigner.Published()}
}

type publishedView struct {
	*ledger.View
	checkpoint []byte
}

// LatestCheckpoint implements server.View.
func (p publishedView) LatestCheckpoint() ([]byte, error) { return p.checkpoint, nil }

// routes are all that is behind the front.
func (v *serving) routes(front *server.Front, health *server.Health, exchange http.Handler) (http.Handler, error) {
	mux := http.NewServeMux()
	server.Mount(mux, front, server.LogFunc(func() (server.View, error) { return v.published(), nil }),
		server.Options{NotFound: ledger.ErrNotFound})
	health.Mount(mux)
	shelf, have, err := newShelf(v.engine, string(v.settings.attachments), v.dir)
	if err != nil {
		return nil, err
	}
	o := api.Options{
		Engine: servedEngine{v.engine}, Shelf: shelf, MaxDocuments: int64(v.settings.documents), Documents: have, Delegations: exchange,
		Software: "stele/" + version, ReadOnly: bool(v.settings.readOnly), Now: v.app.now,
	}
	if v.cosigner != nil {
		o.Witnesses = v.cosigner
	}
	api.New(o).Mount(mux, front)
	mux.Handle("/", server.NoRoute())
	return mux, nil
}
