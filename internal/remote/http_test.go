package remote_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stele-ml/stele/client"
	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/internal/api"
	"github.com/stele-ml/stele/internal/ledger"
	"github.com/stele-ml/stele/internal/remote"
	"github.com/stele-ml/stele/internal/server"
	"github.com/stele-ml/stele/internal/wire"
	"github.com/stele-ml/stele/lineage"
	"github.com/stele-ml/stele/statement"
)

// served is a ledger that a server reads.
type served struct{ view func() *ledger.View }

func (s served) View() *ledger.View { return s.view() }

func (served) Submit(context.Context, *statement.Envelope) (*api.Submitted, error) {
	return nil, api.ErrReadOnly
}

// overHTTP serves a ledger on loopback, as a server does, and returns a client of
// it.
func overHTTP(t testing.TB, view func() *ledger.View, requests *int) *client.Client {
	t.Helper()
	mux := http.NewServeMux()
	front := server.NewFront(server.FrontOptions{
		Access: server.Access{Anonymous: server.ScopeEntries}, Limits: server.Limits{AddressRate: 1000},
	})
	api.New(api.Options{Engine: served{view}}).Mount(mux, front)
	handler := front.Handler(mux)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		*requests++
		handler.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	c, err := client.New(client.Options{URL: s.URL, Attempts: 2})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// TestOverHTTP: the client's own requests, a lineage of a thousand in a handful of
// them, and the errors of a server that is behind.
func TestOverHTTP(t *testing.T) {
	l, model := lineageOf(t, 1000)
	requests := 0
	c := overHTTP(t, l.View, &requests)
	r, err := remote.Open(t.Context(), remote.Over(c), signed(t, l.View()))
	if err != nil {
		t.Fatal(err)
	}
	x, err := r.View().Lineage()
	if err != nil {
		t.Fatal(err)
	}
	a, err := x.Artifact(model.Name, model.Version)
	if err != nil {
		t.Fatal(err)
	}
	g, err := lineage.Up(x, a, 0)
	if err != nil || len(g.Nodes) != 1000 {
		t.Fatalf("%d artifacts: %v", len(g.Nodes), err)
	}
	entries, _, err := r.View().LineageEntries(model, 0)
	if err != nil {
		t.Fatal(err)
	}
	file, err := r.View().Evidence(evidence.Claim{Name: model.Name, Version: model.Version, Fingerprint: model.Fingerprint, Entry: a.Entry, Lineage: true}, nil, entries...)
	if err != nil || len(file.Entries) != 1000 {
		t.Fatalf("evidence: %v", err)
	}
	if requests > 5 || r.Requests() != requests {
		t.Errorf("%d requests, of which the ledger knows %d", requests, r.Requests())
	}

	behind := overHTTP(t, func() *ledger.View {
		v, err := l.View().AsOf(5)
		if err != nil {
			t.Error(err)
		}
		return v
	}, &requests)
	var problem *client.Error
	if _, err := remote.Open(t.Context(), remote.Over(behind), signed(t, l.View())); !errors.As(err, &problem) || problem.Problem.Code != string(wire.CodeSize) || problem.Problem.Size == nil || *problem.Problem.Size != 5 || !errors.Is(err, client.ErrUnreachable) {
		t.Errorf("a server that is behind: %v", err)
	}
	_, err = remote.Over(c).Read(t.Context(), &wire.ReadRequest{Size: 5, Index: "1", Ops: []wire.ReadOp{{Get: []byte("n")}}})
	if !errors.As(err, &problem) || problem.Problem.Code != string(wire.CodeIndex) {
		t.Errorf("another index: %v", err)
	}
}
