package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"

	"github.com/stele-ml/stele/fingerprint"
	"github.com/stele-ml/stele/internal/api"
	"github.com/stele-ml/stele/internal/ledger"
	"github.com/stele-ml/stele/internal/ledger/ledgertest"
	"github.com/stele-ml/stele/internal/server"
	"github.com/stele-ml/stele/internal/wire"
	"github.com/stele-ml/stele/statement"
)

// world is a ledger in memory behind the API, on loopback.
type world struct {
	*ledgertest.Ledger
	t    *testing.T
	mu   sync.Mutex // of those that write
	fail error      // what every submission ends with
	docs map[string][]byte
	url  string
	doc  *openapi3.T
	logs *bytes.Buffer
	seen map[string]bool // operations that succeeded
}

func (w *world) View() *ledger.View { return w.Ledger.View() }

// Submit implements api.Engine.
func (w *world) Submit(_ context.Context, env *statement.Envelope) (*api.Submitted, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.fail != nil {
		return nil, w.fail
	}
	receipts, errs := w.Try(env)
	if errs[0] != nil {
		return nil, errs[0]
	}
	v := w.View()
	signed, err := v.LatestCheckpoint()
	return &api.Submitted{Receipt: receipts[0], Checkpoint: signed, View: v}, err
}

// The shelf keeps what it is given, after the size of it alone was looked at: who
// checks documents is tested where they are kept.
func (w *world) put(name string, r io.Reader) error {
	data, err := io.ReadAll(r)
	if err != nil {
		return fmt.Errorf("%w: half of it: %w", api.ErrDocument, err) // as a parser would take it
	}
	if bytes.Contains(data, []byte("forged")) {
		return fmt.Errorf("%w: it is forged", api.ErrDocument)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.docs[name] = data
	return nil
}

func (w *world) get(name string) (io.ReadCloser, int64, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	data, ok := w.docs[name]
	if !ok {
		return nil, 0, api.ErrNoDocument
	}
	return io.NopCloser(bytes.NewReader(data)), int64(len(data)), nil
}

func (w *world) Attachment(_ context.Context, sum [32]byte) (io.ReadCloser, int64, error) {
	return w.get(fmt.Sprintf("%x", sum))
}

func (w *world) PutAttachment(_ context.Context, sum [32]byte, r io.Reader, _ int64) error {
	return w.put(fmt.Sprintf("%x", sum), r)
}

func (w *world) Manifest(_ context.Context, fp fingerprint.Fingerprint) (io.ReadCloser, int64, error) {
	return w.get(fp.String())
}

func (w *world) PutManifest(_ context.Context, fp fingerprint.Fingerprint, r io.Reader, _ int64) error {
	return w.put(fp.String(), r)
}

// stand starts an API. Without more it is open to everybody.
func stand(t *testing.T, change ...func(*world, *api.Options, *server.FrontOptions)) *world {
	t.Helper()
	w := &world{Ledger: ledgertest.New(t), t: t, docs: map[string][]byte{}, logs: new(bytes.Buffer), seen: map[string]bool{}}
	o := api.Options{Engine: w, Shelf: w, Software: "stele/test"}
	f := server.FrontOptions{Access: server.Access{Anonymous: server.ScopeAll}, Limits: server.Limits{AddressRate: -1, IdentityRate: -1},
		Log: slog.New(slog.NewTextHandler(locked{w}, &slog.HandlerOptions{Level: slog.LevelWarn}))}
	for _, c := range change {
		c(w, &o, &f)
	}
	front, mux := server.NewFront(f), http.NewServeMux()
	api.New(o).Mount(mux, front)
	mux.Handle("/", server.NoRoute())
	s := httptest.NewServer(front.Handler(mux))
	t.Cleanup(s.Close)
	w.url = s.URL
	w.doc = load(t)
	return w
}

// load reads the document with somebody else's reader.
func load(t *testing.T) *openapi3.T {
	t.Helper()
	data, err := api.Document()
	if err != nil {
		t.Fatal(err)
	}
	doc, err := openapi3.NewLoader().LoadFromData(data)
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

// answer is one answer, that was held to the document.
type answer struct {
	status int
	header http.Header
	body   []byte
}

func (a *answer) into(t *testing.T, v any) {
	t.Helper()
	if err := json.Unmarshal(a.body, v); err != nil {
		t.Fatalf("%v: %s", err, a.body)
	}
}

func (a *answer) problem(t *testing.T) *wire.Problem {
	t.Helper()
	p, err := wire.ParseProblem(a.body)
	if err != nil {
		t.Fatalf("%v: %s", err, a.body)
	}
	return p
}

// ask makes a request and holds its answer to the document: that of an operation by
// its schema, every problem by its form. Headers are in pairs.
func (w *world) ask(method, path string, body any, headers ...string) *answer {
	w.t.Helper()
	var r io.Reader
	switch b := body.(type) {
	case nil:
	case []byte:
		r = bytes.NewReader(b)
	case string:
		r = strings.NewReader(b)
	case io.Reader:
		r = b
	default:
		data, err := json.Marshal(b)
		if err != nil {
			w.t.Fatal(err)
		}
		r = bytes.NewReader(data)
	}
	q, err := http.NewRequest(method, w.url+path, r)
	if err != nil {
		w.t.Fatal(err)
	}
	if body != nil {
		q.Header.Set("Content-Type", "application/json")
		if method == http.MethodPut {
			q.Header.Set("Content-Type", "application/octet-stream")
		}
	}
	for i := 0; i < len(headers); i += 2 {
		q.Header.Del(headers[i])
		if headers[i+1] != "" {
			q.Header.Set(headers[i], headers[i+1])
		}
	}
	res, err := http.DefaultTransport.RoundTrip(q)
	if err != nil {
		w.t.Fatal(err)
	}
	defer res.Body.Close()
	out := &answer{status: res.StatusCode, header: res.Header}
	if out.body, err = io.ReadAll(res.Body); err != nil {
		w.t.Fatal(err)
	}
	w.check(q, out)
	return out
}

func (w *world) check(q *http.Request, a *answer) {
	w.t.Helper()
	if a.status >= 400 && q.Method != http.MethodHead {
		p := a.problem(w.t)
		if a.header.Get("Content-Type") != wire.ProblemType || p.Code == "" || p.Status != a.status || p.Title == "" ||
			p.RequestID == "" || p.RequestID != a.header.Get(wire.HeaderRequestID) || a.header.Get("Cache-Control") != "no-store" {
			w.t.Errorf("%s %s: a problem without its form: %d %v %s", q.Method, q.URL, a.status, a.header, a.body)
		}
	}
	o, ok := operationOf(q)
	if !ok {
		return
	}
	item := w.doc.Paths.Find(o.Path)
	if item == nil || item.GetOperation(o.Method) == nil {
		w.t.Fatalf("the document lacks %s %s", o.Method, o.Path)
	}
	in := &openapi3filter.ResponseValidationInput{
		RequestValidationInput: &openapi3filter.RequestValidationInput{
			Request: q, Route: &routers.Route{Spec: w.doc, Path: o.Path, PathItem: item, Method: o.Method, Operation: item.GetOperation(o.Method)},
		},
		Status: a.status, Header: a.header, Options: &openapi3filter.Options{IncludeResponseStatus: true},
	}
	in.SetBodyBytes(a.body)
	if err := openapi3filter.ValidateResponse(context.Background(), in); err != nil {
		w.t.Errorf("%s %s: not as the document says: %v\n%.500s", q.Method, q.URL, err, a.body)
	}
	if a.status < 300 {
		w.seen[o.ID] = true
		documented := false
		for _, r := range o.Replies {
			documented = documented || r.Status == a.status
		}
		if !documented {
			w.t.Errorf("%s %s: the status %d is not in the document", q.Method, q.URL, a.status)
		}
		return
	}
	if a.status >= 400 && q.Method != http.MethodHead {
		said := item.GetOperation(o.Method).Responses.Default().Value.Description
		if code := string(a.problem(w.t).Code); !strings.Contains(*said, " "+code) {
			w.t.Errorf("%s %s: the document says of its problems: %s; this is %s", q.Method, q.URL, *said, code)
		}
	}
}

func operationOf(q *http.Request) (api.Operation, bool) {
	for _, o := range api.Operations() {
		want, have := strings.Split(o.Path, "/"), strings.Split(q.URL.EscapedPath(), "/")
		same := len(want) == len(have) && (o.Method == q.Method || o.Method == http.MethodGet && q.Method == http.MethodHead)
		for i := range want {
			same = same && (strings.HasPrefix(want[i], "{") || want[i] == have[i])
		}
		if same {
			return o, true
		}
	}
	return api.Operation{}, false
}

func envelope(t *testing.T, env *statement.Envelope) []byte {
	t.Helper()
	data, err := env.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// tokens makes one bearer token for each of some scopes.
func tokens(t *testing.T, f *server.FrontOptions, scopes ...server.Scope) (texts []string) {
	t.Helper()
	var list []server.Token
	for i, s := range scopes {
		text, token, err := server.NewToken(randomBytes{}, fmt.Sprintf("t%d", i), s, time.Now(), time.Time{})
		if err != nil {
			t.Fatal(err)
		}
		texts, list = append(texts, text), append(list, token)
	}
	path := filepath.Join(t.TempDir(), "tokens")
	writePrivate(t, path, server.FormatTokens(list))
	var err error
	if f.Access.Tokens, err = server.OpenTokens(path, time.Now, t.Logf); err != nil {
		t.Fatal(err)
	}
	f.Access.Anonymous = server.ScopeNone
	return texts
}

// locked is the log of a world.
type locked struct{ w *world }

func (l locked) Write(p []byte) (int, error) {
	l.w.mu.Lock()
	defer l.w.mu.Unlock()
	return l.w.logs.Write(p)
}
