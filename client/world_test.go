package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/stele-ml/stele/client"
	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/internal/ledger"
	"github.com/stele-ml/stele/internal/ledger/ledgertest"
	"github.com/stele-ml/stele/internal/server"
	"github.com/stele-ml/stele/internal/wire"
	"github.com/stele-ml/stele/statement"
)

// world is a ledger and a server of it that lies where a test says so. It speaks
// as much of the API as the client asks for.
type world struct {
	t    *testing.T
	l    *ledgertest.Ledger
	mux  *http.ServeMux
	mu   sync.Mutex                                                   // of the ledger
	lie  func(w http.ResponseWriter, r *http.Request) (answered bool) // before the truth
	bend func(env *statement.Envelope, r *wire.Receipt)               // a receipt
	seen []string                                                     // Authorization headers
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, l: ledgertest.New(t), mux: http.NewServeMux()}
	w.mux.Handle("GET /", server.NewHandler(server.LogFunc(func() (server.View, error) { return w.l.View(), nil }), server.Options{NotFound: ledger.ErrNotFound}))
	w.mux.HandleFunc("GET /v1/ledger", func(rw http.ResponseWriter, r *http.Request) {
		v := w.l.View()
		reply(rw, &wire.Ledger{ID: v.ID(), Origin: v.Origin(), Size: v.Size(), Checkpoint: string(w.checkpoint()), Index: ledger.IndexVersion})
	})
	w.mux.HandleFunc("POST /v1/read", func(rw http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		a, err := server.AnswerRead(w.l.View(), body)
		if err != nil {
			problem(rw, 400, wire.CodeMalformed, err.Error())
			return
		}
		reply(rw, a)
	})
	w.mux.HandleFunc("POST /v1/entries", w.submit)
	w.mux.HandleFunc("GET /v1/evidence", func(rw http.ResponseWriter, r *http.Request) {
		body, err := w.evidence(r.URL.Query().Get("name"), r.URL.Query().Get("version"))
		if err != nil {
			problem(rw, 404, wire.CodeNotFound, err.Error())
			return
		}
		_, _ = rw.Write(body)
	})
	return w
}

func (w *world) checkpoint() []byte {
	signed, err := w.l.View().LatestCheckpoint()
	if err != nil {
		w.t.Error(err)
	}
	return signed
}

func (w *world) evidence(name, version string) ([]byte, error) {
	v := w.l.View()
	b, err := v.ByName(name, version)
	if err != nil {
		return nil, err
	}
	further, _, err := v.LineageEntries(b.Ref(), 100)
	if err != nil {
		return nil, err
	}
	f, err := v.Evidence(evidence.Claim{Entry: b.Entry, Name: b.Name, Version: b.Version, Fingerprint: b.Fingerprint, Lineage: true}, nil, further...)
	if err != nil {
		return nil, err
	}
	return f.Marshal()
}

func (w *world) submit(rw http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, statement.MaxDSSE+1))
	if err != nil {
		return
	}
	env, err := statement.ParseEnvelope(body)
	if err != nil {
		problem(rw, 400, wire.CodeMalformed, err.Error())
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	_, existed, err := w.l.View().ByID(env.ID())
	if err == nil && !existed {
		_, errs := w.l.Try(env)
		err = errs[0]
	}
	var refusal *ledger.Refusal
	if errors.As(err, &refusal) {
		p := wire.NewProblem(422, wire.CodeRefused, refusal.Message)
		p.Rule, p.Hint = string(refusal.Rule), refusal.Hint
		sendProblem(rw, p)
		return
	}
	if err != nil {
		problem(rw, 500, wire.CodeInternal, err.Error())
		return
	}
	receipt := w.receipt(env, existed)
	if w.bend != nil {
		w.bend(env, receipt)
	}
	reply(rw, receipt)
}

// receipt is the true one, as of now.
func (w *world) receipt(env *statement.Envelope, existed bool) *wire.Receipt {
	v := w.l.View()
	index, ok, err := v.ByID(env.ID())
	if err != nil || !ok {
		w.t.Errorf("no such statement: %v", err)
		return nil
	}
	leaf, err := v.Leaf(index)
	if err != nil {
		w.t.Error(err)
	}
	e, err := evidence.ParseEntry(leaf)
	if err != nil {
		w.t.Error(err)
	}
	proof, err := v.Inclusion(index)
	if err != nil {
		w.t.Error(err)
	}
	return &wire.Receipt{Index: index, Time: e.Time, ID: env.ID(), Existed: existed, Leaf: leaf, Inclusion: wire.HashBytes(proof), Checkpoint: string(w.checkpoint())}
}

func (w *world) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	w.seen = append(w.seen, r.Header.Get("Authorization"))
	w.mu.Unlock()
	if w.lie != nil && w.lie(rw, r) {
		return
	}
	w.mux.ServeHTTP(rw, r)
}

// client is one that does not wait.
func (w *world) client(t *testing.T, h http.Handler, more ...func(*client.Options)) *client.Client {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return dial(t, s.URL, more...)
}

func dial(t *testing.T, address string, more ...func(*client.Options)) *client.Client {
	t.Helper()
	o := client.Options{URL: address, Budget: time.Hour, Random: func() float64 { return 0 },
		Sleep: func(ctx context.Context, _ time.Duration) error { return ctx.Err() }}
	for _, f := range more {
		f(&o)
	}
	c, err := client.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func (w *world) policy(key string) *evidence.Policy {
	_, k := ledgertest.LogKey(key)
	return evidence.NewPolicy(k, "")
}

func (w *world) follow(t *testing.T, c *client.Client, past []byte) *client.Log {
	t.Helper()
	l, err := c.Follow(t.Context(), w.policy("1"), evidence.Remembered{Signed: past})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// put admits an envelope under a checkpoint that those keys sign.
func (w *world) put(env *statement.Envelope, keys ...string) {
	w.t.Helper()
	w.l.Now += 1000
	block, err := w.l.Begin(w.l.Now)
	if err != nil {
		w.t.Fatal(err)
	}
	c, err := w.l.Prepare(env)
	if err == nil {
		_, err = block.Admit(c)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	size, root := block.Root()
	var signers []note.Signer
	for _, key := range keys {
		s, _ := ledgertest.LogKey(key)
		signers = append(signers, s)
	}
	signed, err := evidence.SignCheckpoint(evidence.Checkpoint{Origin: block.Origin(), Size: size, Root: root}, signers...)
	if err == nil {
		err = block.Commit(signed)
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

// stamp is an envelope that the ledger takes.
func (w *world) stamp(name string) *statement.Envelope {
	return w.l.Stamp(w.l.Ada, w.l.Ref("team/"+name, "1", name))
}

func reply(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v)
}

func problem(w http.ResponseWriter, status int, code wire.Code, detail string) {
	sendProblem(w, wire.NewProblem(status, code, detail))
}

func sendProblem(w http.ResponseWriter, p *wire.Problem) {
	body, _ := p.Marshal()
	w.Header().Set("Content-Type", wire.ProblemType)
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(p.Status)
	_, _ = w.Write(body)
}
