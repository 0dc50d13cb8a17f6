package api_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/stele-ml/stele/internal/api"
	"github.com/stele-ml/stele/internal/ledger"
	"github.com/stele-ml/stele/internal/ledger/ledgertest"
	"github.com/stele-ml/stele/internal/server"
	"github.com/stele-ml/stele/internal/wire"
	"github.com/stele-ml/stele/statement"
)

// The document is one that a wrong answer does not follow.
func TestTheDocumentCanBeBroken(t *testing.T) {
	schema := load(t).Components.Schemas["Receipt"].Value
	good := map[string]any{"index": 1.0, "time": 1.0, "id": "x", "existed": false, "leaf": "AA==", "inclusion": []any{}, "checkpoint": "c"}
	if err := schema.VisitJSON(good, openapi3.EnableJSONSchema2020()); err != nil {
		t.Error(err)
	}
	for name, bad := range map[string]any{"index": "1", "leaf": 1.0, "inclusion": "none", "existed": nil} {
		broken := map[string]any{}
		for k, v := range good {
			broken[k] = v
		}
		if broken[name] = bad; schema.VisitJSON(broken, openapi3.EnableJSONSchema2020()) == nil {
			t.Errorf("%s: %v is accepted", name, bad)
		}
		if delete(broken, name); schema.VisitJSON(broken, openapi3.EnableJSONSchema2020()) == nil {
			t.Errorf("without %s it is accepted", name)
		}
	}
}

func TestPathsAndParameters(t *testing.T) {
	w := stand(t)
	w.fill()
	key := w.Ada.PublicKey().ID().String()
	for _, c := range []struct {
		method, path string
		status       int
		code         wire.Code
	}{
		{"GET", "/v1", 404, wire.CodeNoRoute},
		{"POST", "/v1", 404, wire.CodeNoRoute},
		{"GET", "/v1/", 404, wire.CodeNoRoute},
		{"GET", "/v1/nothing", 404, wire.CodeNoRoute},
		{"GET", "/v2/ledger", 404, wire.CodeNoRoute},
		{"GET", "/v1/ledger/", 404, wire.CodeNoRoute},
		{"GET", "/v1/entries%2F1", 404, wire.CodeNoRoute},
		{"GET", "/v1/entries/%31", 404, wire.CodeNoRoute},
		{"GET", "/v1//ledger", 404, wire.CodeNoRoute},
		{"GET", "/v1/./ledger", 404, wire.CodeNoRoute},
		{"GET", "/v1/nothing/../ledger", 404, wire.CodeNoRoute},
		{"POST", "/v1/nothing", 404, wire.CodeNoRoute},
		{"GET", "/v1/stages/produ%2Fction", 404, wire.CodeNoRoute},
		{"GET", "/v1/attachments/..%2f..%2fkey", 404, wire.CodeNoRoute},
		{"GET", "/v1/attachments/" + strings.Repeat("A", 64), 400, wire.CodeMalformed},
		{"GET", "/v1/attachments/" + strings.Repeat("a", 63), 400, wire.CodeMalformed},
		{"GET", "/v1/attachments/" + strings.Repeat("a", 64), 404, wire.CodeNotFound},
		{"GET", "/v1/manifests/stele-sha256:../../key", 404, wire.CodeNoRoute},
		{"GET", "/v1/manifests/stele-sha256:" + strings.Repeat("A", 64), 400, wire.CodeMalformed},
		{"GET", "/v1/manifests/%73tele-sha256:" + strings.Repeat("a", 64), 404, wire.CodeNoRoute},
		{"GET", "/v1/manifests/stele-sha256%3a" + strings.Repeat("a", 64), 404, wire.CodeNoRoute},
		{"GET", "/v1/manifests/stele-sha256%3A" + strings.Repeat("%61", 64), 404, wire.CodeNoRoute},
		{"PUT", "/v1/manifests/%73tele-sha256:" + strings.Repeat("a", 64), 404, wire.CodeNoRoute},
		{"GET", "/v1/manifests/stele-sha256%3A" + strings.Repeat("a", 64), 404, wire.CodeNotFound}, // as URI templates write it
		{"GET", "/v1/manifests/stele-sha256:" + strings.Repeat("a", 64), 404, wire.CodeNotFound},
		{"PUT", "/v1/manifests/stele-blake3:" + strings.Repeat("a", 64), 400, wire.CodeMalformed},
		{"DELETE", "/v1/entries/1", 405, wire.CodeNoRoute},
		{"POST", "/v1/names", 405, wire.CodeNoRoute},
		{"GET", "/v1/read", 405, wire.CodeNoRoute},
		{"GET", "/v1/ledger?pretty=1", 400, wire.CodeMalformed},
		{"GET", "/v1/ledger?%zz", 400, wire.CodeMalformed},
		{"GET", "/v1/ledger?a;b", 400, wire.CodeMalformed},
		{"GET", "/v1/entries/01", 400, wire.CodeMalformed},
		{"GET", "/v1/entries/-1", 400, wire.CodeMalformed},
		{"GET", "/v1/entries/999", 404, wire.CodeNotFound},
		{"GET", "/v1/entries/9223372036854775807/proof", 404, wire.CodeNotFound},
		{"GET", "/v1/entries/9223372036854775808", 400, wire.CodeMalformed},
		{"GET", "/v1/entries/5?size=5", 404, wire.CodeNotFound},
		{"GET", "/v1/entries?size=999", 409, wire.CodeSize},
		{"GET", "/v1/entries?limit=0", 400, wire.CodeMalformed},
		{"GET", "/v1/entries?limit=501", 400, wire.CodeMalformed},
		{"GET", "/v1/entries?limit=1&limit=2", 400, wire.CodeMalformed},
		{"GET", "/v1/entries?kind=", 400, wire.CodeMalformed},
		{"GET", "/v1/entries?kind=nonsense", 400, wire.CodeMalformed},
		{"GET", "/v1/entries?signer=nobody", 400, wire.CodeMalformed},
		{"GET", "/v1/entries?fingerprint=none", 400, wire.CodeMalformed},
		{"GET", "/v1/entries?kind=stamp&signer=" + key, 400, wire.CodeMalformed},
		{"GET", "/v1/entries?kind=stamp&order=descending", 400, wire.CodeMalformed},
		{"GET", "/v1/entries?order=sideways", 400, wire.CodeMalformed},
		{"GET", "/v1/proofs/inclusion", 400, wire.CodeMalformed},
		{"GET", "/v1/proofs/inclusion?index=999", 404, wire.CodeNotFound},
		{"GET", "/v1/proofs/inclusion?index=1&size=0", 404, wire.CodeNotFound},
		{"GET", "/v1/proofs/consistency?from=0", 400, wire.CodeMalformed},
		{"GET", "/v1/proofs/consistency?from=3&to=2", 400, wire.CodeMalformed},
		{"GET", "/v1/proofs/consistency?from=1&to=999", 409, wire.CodeSize},
		{"GET", "/v1/artifacts", 400, wire.CodeMalformed},
		{"GET", "/v1/artifacts?name=fraud/model", 400, wire.CodeMalformed},
		{"GET", "/v1/artifacts?name=a&version=1&fingerprint=b", 400, wire.CodeMalformed},
		{"GET", "/v1/artifacts?name=fraud/model&version=9", 404, wire.CodeNotFound},
		{"GET", "/v1/artifacts?fingerprint=stele-sha256:" + strings.Repeat("a", 64), 404, wire.CodeNotFound},
		{"GET", "/v1/artifacts?name=fraud/model&version=1&size=1", 404, wire.CodeNotFound},
		{"GET", "/v1/lineage?name=fraud/model&version=9", 404, wire.CodeNotFound},
		{"GET", "/v1/lineage?name=%00&version=1", 404, wire.CodeNotFound},
		{"GET", "/v1/lineage?name=a&version=%ff", 400, wire.CodeMalformed},
		{"GET", "/v1/names?prefix=%ff", 400, wire.CodeMalformed},
		{"GET", "/v1/stages/NO", 400, wire.CodeMalformed},
		{"GET", "/v1/contracts/none", 404, wire.CodeNotFound},
		{"GET", "/v1/contracts/prod@1", 404, wire.CodeNotFound},
		{"GET", "/v1/contracts/prod?size=1", 404, wire.CodeNotFound},
		{"GET", "/v1/lineage/edges?name=fraud/model&version=9", 404, wire.CodeNotFound},
		{"GET", "/v1/lineage/edges?name=fraud/model&version=1&direction=sideways", 400, wire.CodeMalformed},
		{"GET", "/v1/evidence?name=fraud/model&version=9", 404, wire.CodeNotFound},
		{"POST", "/v1/delegations", 404, wire.CodeNoRoute},
	} {
		t.Run(c.method+" "+c.path, func(t *testing.T) {
			w.t = t
			var body any
			if c.method == "POST" || c.method == "PUT" {
				body = "{}"
			}
			a := w.ask(c.method, c.path, body)
			if c.status < 400 {
				if a.status != c.status {
					t.Errorf("%d: %s", a.status, a.body)
				}
				return
			}
			if p := a.problem(t); a.status != c.status || p.Code != c.code {
				t.Errorf("%d %s, want %d %s: %s", a.status, p.Code, c.status, c.code, a.body)
			}
			if allow := a.header.Get("Allow"); (c.status == http.StatusMethodNotAllowed) != (allow != "") {
				t.Errorf("Allow: %q", allow)
			}
		})
	}
	if a := w.ask("DELETE", "/v1/entries/1", nil); a.header.Get("Allow") != "GET, HEAD" {
		t.Errorf("Allow: %q", a.header.Get("Allow"))
	}
}

// endless is a body without an end.
type endless struct{}

func (endless) Read(p []byte) (int, error) { return copy(p, bytes.Repeat([]byte(" "), len(p))), nil }

func TestHostileBodies(t *testing.T) {
	w := stand(t)
	good := envelope(t, w.Stamp(w.Ada, w.Ref("a", "1", "a")))
	member := func(text string) string { return strings.Replace(string(good), "{", "{"+text+",", 1) }
	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	if _, err := io.CopyN(z, endless{}, 32<<20); err != nil {
		t.Fatal(err)
	}
	z.Close()
	for _, c := range []struct {
		name   string
		body   any
		header []string
		status int
		code   wire.Code
	}{
		{"empty", "", nil, 400, wire.CodeMalformed},
		{"huge", strings.Repeat(" ", api.MaxEnvelopeBody+1), nil, 413, wire.CodeTooLarge},
		{"endless", io.LimitReader(endless{}, 8<<20), nil, 413, wire.CodeTooLarge},
		{"a gzip bomb", bomb.Bytes(), []string{"Content-Encoding", "gzip"}, 415, wire.CodeMalformed},
		{"deep", strings.Repeat("[", 60_000), nil, 400, wire.CodeMalformed},
		{"deep objects", strings.Repeat(`{"payload":`, 10_000), nil, 400, wire.CodeMalformed},
		{"not JSON", "<xml/>", nil, 400, wire.CodeMalformed},
		{"a list", "[]", nil, 400, wire.CodeMalformed},
		{"null", "null", nil, 400, wire.CodeMalformed},
		{"a member twice", member(`"payloadType":"x"`), nil, 400, wire.CodeMalformed},
		{"an unknown member", member(`"x":1`), nil, 400, wire.CodeMalformed},
		{"two values", string(good) + string(good), nil, 400, wire.CodeMalformed},
		{"UTF-16", "\xff\xfe{\x00}\x00", nil, 400, wire.CodeMalformed},
		{"form", good, []string{"Content-Type", "application/x-www-form-urlencoded"}, 415, wire.CodeMalformed},
		{"no type", good, []string{"Content-Type", ""}, 415, wire.CodeMalformed},
		{"another charset", good, []string{"Content-Type", "application/json; charset=utf-7"}, 415, wire.CodeMalformed},
		{"a broken type", good, []string{"Content-Type", "application/json; charset"}, 415, wire.CodeMalformed},
	} {
		for _, path := range []string{"/v1/entries", "/v1/admission", "/v1/read", "/v1/trace"} {
			if path != "/v1/entries" && (c.name == "huge" || c.name == "endless" && path != "/v1/admission") {
				continue // their limits are others
			}
			t.Run(c.name+" "+path, func(t *testing.T) {
				w.t = t
				body := c.body
				if _, ok := body.(*io.LimitedReader); ok { // one each: the one before may still be read from
					body = io.LimitReader(endless{}, 8<<20)
				}
				a := w.ask("POST", path, body, c.header...)
				if p := a.problem(t); a.status != c.status || p.Code != c.code {
					t.Errorf("%d %s, want %d %s: %.300s", a.status, p.Code, c.status, c.code, a.body)
				}
			})
		}
	}
	for _, media := range []string{"application/json; charset=UTF-8", wire.EnvelopeType, "Application/JSON"} {
		w.t = t
		if a := w.ask("POST", "/v1/entries", good, "Content-Type", media); a.status >= 300 {
			t.Errorf("%s: %d %s", media, a.status, a.body)
		}
	}
	for _, body := range []string{
		`{"size":1,"index":"none","ops":[{"get":"ZQ=="}]}`, `{"size":99,"index":"` + ledger.IndexVersion + `","ops":[{"get":"ZQ=="}]}`,
	} {
		if a := w.ask("POST", "/v1/read", body); a.status != http.StatusConflict {
			t.Errorf("%s: %d %s", body, a.status, a.body)
		}
	}
	if a := w.ask("PUT", "/v1/attachments/"+strings.Repeat("a", 64), "forged"); a.status != 422 || a.problem(t).Code != wire.CodeTampered {
		t.Errorf("a forged document: %d %s", a.status, a.body)
	}
	if a := w.ask("PUT", "/v1/attachments/"+strings.Repeat("a", 64), io.LimitReader(endless{}, api.MaxAttachmentBody+1)); a.status != 413 {
		t.Errorf("a document beyond the limit: %d %s", a.status, a.body)
	}
	if a := w.ask("GET", "/v1/ledger", "a body"); a.status != 413 {
		t.Errorf("a body where none is taken: %d", a.status)
	}
}

// What a ledger refuses comes with rule, sentence and hint, and each class of
// refusal has its status.
func TestRefusals(t *testing.T) {
	w := stand(t)
	_, model := w.fill()
	w.Contract(ledgertest.Rule("names@1", "names: [secret/*], statements: [stamp]", "false", "message: secrets are not stamped", "hint: ask ada"))
	submit := func(env *statement.Envelope) (int, *wire.Problem) {
		t.Helper()
		a := w.ask("POST", "/v1/entries", envelope(t, env))
		return a.status, a.problem(t)
	}
	status, p := submit(w.Stamp(w.Ada, w.Ref("secret/x", "1", "x")))
	if status != 422 || p.Code != wire.CodeRefused || len(p.Violations) != 1 {
		t.Fatalf("%d %+v", status, p)
	}
	if v := p.Violations[0]; v.Contract != "names@1" || v.Rule != "rule" || v.Message != "secrets are not stamped" || v.Hint != "ask ada" || v.Subject != "secret/x@1" || v.Entry == 0 {
		t.Errorf("%+v", v)
	}
	if !strings.Contains(p.Detail, "secrets are not stamped") || p.Rule == "" {
		t.Errorf("%+v", p)
	}
	if status, p := submit(w.Stamp(w.Ada, w.Ref("fraud/model", "1", "another"))); status != 422 || p.Code != wire.CodeRefused || p.Entry == nil {
		t.Errorf("a name that is taken: %d %+v", status, p)
	}
	if status, p := submit(w.Stamp(ledgertest.P256("stranger"), w.Ref("x", "1", "x"))); status != 403 || p.Code != wire.CodeUntrusted {
		t.Errorf("a stranger: %d %+v", status, p)
	}
	broken := w.Stamp(w.Ada, w.Ref("x", "1", "x"))
	broken.Signature = bytes.Clone(broken.Signature)
	broken.Signature[len(broken.Signature)-1] ^= 1
	if status, p := submit(broken); status != 403 && status != 400 {
		t.Errorf("a broken signature: %d %+v", status, p)
	}
	if status, p := submit(w.Withdraw(w.Ada, model, statement.TargetBinding, 1)); status != 409 || p.Code != wire.CodeStale {
		t.Errorf("a withdrawal by somebody who has not seen everything: %d %+v", status, p)
	}
	if w.logs.Len() > 0 {
		t.Errorf("the server takes refusals for its own failures: %s", w.logs)
	}
}

// The server's own failures have their class, and say nothing that is not a client's.
func TestFailuresKeepSecrets(t *testing.T) {
	w := stand(t, func(_ *world, o *api.Options, _ *server.FrontOptions) { o.Primary = "https://primary.example" })
	body := envelope(t, w.Stamp(w.Ada, w.Ref("a", "1", "a")))
	for _, c := range []struct {
		err    error
		status int
		code   wire.Code
		logged bool
	}{
		{api.ErrReadOnly, 403, wire.CodeReadOnly, false},
		{api.ErrOutcomeUnknown, 503, wire.CodeOutcomeUnknown, true},
		{fmt.Errorf("%w: %w", api.ErrOutcomeUnknown, context.Canceled), 503, wire.CodeOutcomeUnknown, true},
		{context.Canceled, 503, wire.CodeUnavailable, true}, // taken back out of the queue: nothing is written
		{fmt.Errorf("wait: %w", context.DeadlineExceeded), 503, wire.CodeUnavailable, true},
		{fmt.Errorf("%w: /secret/path", api.ErrStopped), 503, wire.CodeUnavailable, true},
		{fmt.Errorf("%w: write /secret/path: %w", api.ErrStopped, syscall.ENOSPC), 503, wire.CodeUnavailable, true},
		{fmt.Errorf("%w: /secret/path", ledger.ErrClosed), 503, wire.CodeUnavailable, true},
		{errors.New("open /secret/path: permission denied"), 500, wire.CodeInternal, true},
		{fmt.Errorf("%w: /secret/path", statement.ErrFormat), 500, wire.CodeInternal, true}, // the store's, not the client's
	} {
		w.fail = c.err
		w.logs.Reset()
		a := w.ask("POST", "/v1/entries", body)
		p := a.problem(t)
		if a.status != c.status || p.Code != c.code || strings.Contains(string(a.body), "secret") {
			t.Errorf("%v: %d %s", c.err, a.status, a.body)
		}
		if strings.Contains(w.logs.String(), p.RequestID) != c.logged {
			t.Errorf("%v: the log has %q", c.err, w.logs)
		}
		if (a.status == 503) != (a.header.Get("Retry-After") != "") {
			t.Errorf("%v: Retry-After %q", c.err, a.header.Get("Retry-After"))
		}
		if c.code == wire.CodeReadOnly && p.Primary != "https://primary.example" {
			t.Errorf("%+v", p)
		}
	}
}

// A thief of a token, or of many, fills the shelf as far as it may be filled, and
// what was on it counts; what is not kept takes no room.
func TestShelfIsBounded(t *testing.T) {
	w := stand(t, func(_ *world, o *api.Options, _ *server.FrontOptions) { o.MaxDocuments, o.Documents = 100, 40 })
	put := func(text, as string, status int) {
		t.Helper()
		a := w.ask("PUT", fmt.Sprintf("/v1/attachments/%x", sha256.Sum256([]byte(as))), []byte(text))
		if a.status != status {
			t.Errorf("%d bytes: %d, want %d: %s", len(text), a.status, status, a.body)
		}
		if status == http.StatusInsufficientStorage {
			if p := a.problem(t); p.Code != wire.CodeUnavailable || !strings.Contains(p.Hint, "max-documents") {
				t.Errorf("%s", a.body)
			}
		}
	}
	fifty := strings.Repeat("x", 50)
	put("forged"+fifty, "forged", http.StatusUnprocessableEntity)
	put("forged"+fifty, "forged", http.StatusUnprocessableEntity)
	put(fifty, fifty, http.StatusNoContent)
	put(fifty, fifty, http.StatusInsufficientStorage) // a second copy has no room while it comes
	put("ten more..", "ten", http.StatusNoContent)
	for range 5 {
		put("", "nothing", http.StatusNoContent)
	}
	put("y", "one more", http.StatusInsufficientStorage)

	w = stand(t, func(_ *world, o *api.Options, _ *server.FrontOptions) { o.MaxDocuments = 101 })
	for range 5 {
		put(fifty, fifty, http.StatusNoContent) // the same takes the same room
	}
	put(fifty, "another", http.StatusNoContent)
	put("yy", "two more", http.StatusInsufficientStorage)
}

func TestReadOnlyTakesNoDocuments(t *testing.T) {
	w := stand(t, func(_ *world, o *api.Options, _ *server.FrontOptions) { o.ReadOnly = true })
	if a := w.ask("PUT", "/v1/attachments/"+strings.Repeat("a", 64), "x"); a.status != 403 || a.problem(t).Code != wire.CodeReadOnly || len(w.docs) > 0 {
		t.Errorf("%d %s", a.status, a.body)
	}
}

// Every operation asks for its scope, and for no less.
func TestTokensByOperation(t *testing.T) {
	scopes := []server.Scope{server.ScopeProofs, server.ScopeEntries, server.ScopeSubmit, server.ScopeNone, server.ScopeEntries | server.ScopeSubmit}
	var texts []string
	w := stand(t, func(_ *world, _ *api.Options, f *server.FrontOptions) { texts = tokens(t, f, scopes...) })
	for _, o := range api.Operations() {
		path := strings.NewReplacer("{index}", "0", "{sha256}", strings.Repeat("a", 64), "{stage}", "production",
			"{fingerprint}", "stele-sha256:"+strings.Repeat("a", 64)).Replace(o.Path)
		var body any
		if o.Method != http.MethodGet {
			body = "forged"
		}
		if a := w.ask(o.Method, path, body); (a.status == http.StatusUnauthorized) != (o.Scope != server.ScopeNone) {
			t.Errorf("%s: %d for nobody", o.ID, a.status)
		}
		if a := w.ask(o.Method, path, body, "Authorization", "Bearer "+texts[0][:len(texts[0])-1]+"x"); (a.status == http.StatusUnauthorized) != (o.Scope != server.ScopeNone) {
			t.Errorf("%s: %d for a forged token", o.ID, a.status)
		}
		for i, s := range scopes {
			a := w.ask(o.Method, path, body, "Authorization", "Bearer "+texts[i])
			if (a.status == http.StatusForbidden) == s.Allows(o.Scope) {
				t.Errorf("%s, of scope %s, with %s: %d %s", o.ID, o.Scope, s, a.status, a.body)
			}
		}
	}
}

// Who may read proofs learns nothing of what entries hold.
func TestProofsTellNoContents(t *testing.T) {
	var texts []string
	w := stand(t, func(_ *world, _ *api.Options, f *server.FrontOptions) { texts = tokens(t, f, server.ScopeProofs) })
	w.fill()
	leaf, err := w.View().Leaf(2)
	if err != nil {
		t.Fatal(err)
	}
	read := 0
	for _, path := range []string{
		"/v1/ledger", "/v1/proofs/inclusion?index=2", "/v1/proofs/consistency?from=2", "/v1/checkpoints", "/v1/entries/2/proof", "/v1/openapi.json",
		"/v1/entries/2", "/v1/entries", "/v1/names", "/v1/evidence?name=fraud/train&version=1", "/v1/contracts", "/v1/identities",
	} {
		a := w.ask("GET", path, nil, "Authorization", "Bearer "+texts[0])
		if a.status == http.StatusOK {
			read++
		}
		for _, secret := range []string{"fraud/train", "bob", base64.StdEncoding.EncodeToString(leaf)[:40]} {
			if path != "/v1/openapi.json" && strings.Contains(string(a.body), secret) {
				t.Errorf("%s tells %q", path, secret)
			}
		}
	}
	if read != 6 {
		t.Errorf("%d were read", read)
	}
}

// A list goes on as of the size that its first page had, while others append.
func TestListsWhileTheLogGrows(t *testing.T) {
	w := stand(t)
	w.fill()
	for i := range 20 {
		w.Put(w.Stamp(w.Ada, w.Ref(fmt.Sprintf("n/%02d", i), "1", "n")), w.Stamp(w.Ada, w.Ref("v", fmt.Sprint(i), "v")))
	}
	data := w.Ref("fraud/train", "1", "train")
	for i := range 20 {
		w.Released(w.Ada, w.Ran(w.Ada, "made", fmt.Sprint(i), fmt.Sprintf("made %d", i), data), "staging")
	}
	key := w.Ada.PublicKey().ID().String()
	shared := w.Fingerprint("n").String()
	items := func(a *answer) (page wire.Page, list []string) {
		t.Helper()
		var any struct {
			wire.Page
			Entries     []wire.Entry
			Names       []string
			Versions    []wire.Binding
			Checkpoints []wire.SignedCheckpoint
			Artifacts   []wire.Binding // or placed: the same names
			Edges       []wire.LineageEdge
		}
		if a.status != 200 {
			t.Fatalf("%d %s", a.status, a.body)
		}
		a.into(t, &any)
		list = any.Names
		for _, e := range any.Entries {
			list = append(list, fmt.Sprint(e.Index))
		}
		for _, e := range any.Edges {
			list = append(list, fmt.Sprint(e.Entry, e.Output))
		}
		for _, v := range append(any.Versions, any.Artifacts...) {
			list = append(list, v.Name+"@"+v.Version)
		}
		for _, c := range any.Checkpoints {
			list = append(list, fmt.Sprint(c.Size))
		}
		return any.Page, list
	}
	grown := 0
	for _, path := range []string{
		"/v1/artifacts?fingerprint=" + shared + "&", "/v1/stages/staging?", "/v1/lineage/edges?name=fraud/train&version=1&direction=down&",
		"/v1/entries?", "/v1/entries?order=descending&", "/v1/entries?from=5&", "/v1/entries?from=30&order=descending&", "/v1/entries?kind=stamp&",
		"/v1/entries?signer=" + key + "&", "/v1/entries?fingerprint=" + shared + "&", "/v1/names?", "/v1/names?prefix=n/&", "/v1/versions?name=v&", "/v1/checkpoints?",
		"/v1/checkpoints?from=3&",
	} {
		_, want := items(w.ask("GET", path+"limit=500", nil))
		if len(want) < 15 {
			t.Fatalf("%s: %d items", path, len(want))
		}
		size := w.View().Size()
		var have []string
		for next := ""; ; {
			page, list := items(w.ask("GET", path+"limit=7"+next, nil))
			if have = append(have, list...); page.Size != size {
				t.Errorf("%s: as of %d, the first page of %d", path, page.Size, size)
			}
			if page.Next == "" {
				break
			}
			next = "&cursor=" + page.Next
			grown++
			if _, errs := w.Try(w.Stamp(w.Ada, w.Ref("aa", fmt.Sprint(grown), "n")), w.Stamp(w.Ada, w.Ref("n/07a", fmt.Sprint(grown), "n")),
				w.Stamp(w.Ada, w.Ref("v", fmt.Sprintf("x%d", grown), "v"))); errors.Join(errs...) != nil {
				t.Fatal(errs)
			}
		}
		if !slices.Equal(have, want) {
			t.Errorf("%s:\n%q, want\n%q", path, have, want)
		}
	}
}

// A size that the ledger does not have is told with the one that it has, by all
// operations in the same words.
func TestBeyondTheLog(t *testing.T) {
	w := stand(t)
	w.fill()
	have := w.View().Size()
	asked := have + 1
	body := map[string]any{"size": asked, "index": ledger.IndexVersion, "ops": []any{map[string]any{"get": []byte("n")}}}
	for _, o := range api.Operations() {
		path := strings.NewReplacer("{index}", "1", "{stage}", "production", "{name}", "prod").Replace(o.Path) + "?"
		takes := o.ID == "read"
		for _, p := range o.Params {
			switch {
			case p.In == "query" && p.Required && p.Example != "":
				path += p.Name + "=" + p.Example + "&"
			case p.Name == "size", p.Name == "to":
				takes = true
				path += p.Name + "=" + fmt.Sprint(asked) + "&"
			}
		}
		if !takes {
			continue
		}
		var send any
		if o.Method == http.MethodPost {
			path, send = o.Path, body
		}
		a := w.ask(o.Method, path, send)
		p := a.problem(t)
		if a.status != http.StatusConflict || p.Code != wire.CodeSize || p.Size == nil || *p.Size != have || p.Detail != fmt.Sprintf("the ledger has %d entries here, and not %d", have, asked) {
			t.Errorf("%s %s: %d %s", o.Method, path, a.status, a.body)
		}
	}
}

// A cursor that somebody made leads nowhere but into the list that it is given to.
func TestForgedCursors(t *testing.T) {
	w := stand(t)
	w.fill()
	var page wire.Page
	w.ask("GET", "/v1/entries?limit=2", nil).into(t, &page)
	raw, err := base64.RawURLEncoding.DecodeString(page.Next)
	if err != nil {
		t.Fatal(err)
	}
	forge := func(size uint64, after string) string {
		b := binary.BigEndian.AppendUint64(bytes.Clone(raw[:8]), size)
		return base64.RawURLEncoding.EncodeToString(append(b, after...))
	}
	for _, c := range []struct {
		path, cursor string
		status       int
	}{
		{"/v1/entries", page.Next, 200},
		{"/v1/entries", forge(5, "4"), 200},
		{"/v1/entries", forge(5, "99"), 200},
		{"/v1/entries", forge(999, "1"), 409},
		{"/v1/entries", forge(1<<63, "1"), 409},
		{"/v1/entries", forge(5, "-1"), 400},
		{"/v1/entries", forge(5, "01"), 400},
		{"/v1/entries", forge(5, ""), 400},
		{"/v1/entries", "!", 400},
		{"/v1/entries", strings.Repeat("A", 8000), 400},
		{"/v1/entries?kind=stamp", page.Next, 400},
		{"/v1/entries?size=5", page.Next, 400},
		{"/v1/names", page.Next, 400},
		{"/v1/checkpoints", page.Next, 400},
		{"/v1/artifacts?fingerprint=" + w.Fingerprint("train").String(), page.Next, 400},
		{"/v1/stages/production", page.Next, 400},
		{"/v1/lineage/edges?name=fraud/train&version=1", page.Next, 400},
	} {
		sign := "?"
		if strings.Contains(c.path, "?") {
			sign = "&"
		}
		a := w.ask("GET", c.path+sign+"cursor="+c.cursor, nil)
		if a.status != c.status {
			t.Errorf("%s %.60s: %d, want %d: %.200s", c.path, c.cursor, a.status, c.status, a.body)
		}
	}
}

func TestGzip(t *testing.T) {
	w := stand(t)
	w.fill()
	plain := w.ask("GET", "/v1/entries", nil, "Accept-Encoding", "identity")
	packed := func() *answer {
		q, _ := http.NewRequest("GET", w.url+"/v1/entries", nil)
		q.Header.Set("Accept-Encoding", "gzip")
		res, err := http.DefaultTransport.RoundTrip(q)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return &answer{res.StatusCode, res.Header, body}
	}()
	if packed.header.Get("Content-Encoding") != "gzip" || packed.header.Get("Vary") != "Accept-Encoding" || plain.header.Get("Content-Encoding") != "" {
		t.Fatalf("%v, plain %v", packed.header, plain.header)
	}
	z, err := gzip.NewReader(bytes.NewReader(packed.body))
	if err != nil {
		t.Fatal(err)
	}
	if body, err := io.ReadAll(z); err != nil || !bytes.Equal(body, plain.body) || len(packed.body) >= len(body) {
		t.Errorf("%v: %d bytes of %d", err, len(packed.body), len(body))
	}
	if small := w.ask("GET", "/v1/stages", nil, "Accept-Encoding", "gzip"); small.header.Get("Content-Encoding") != "" {
		t.Error("a small answer is compressed")
	}
}

// TestSubmitterAsksByDryRuns: whoever may submit and not read learns nothing of the
// ledger by trying statements that nobody has signed.
func TestSubmitterAsksByDryRuns(t *testing.T) {
	var texts []string
	w := stand(t, func(_ *world, _ *api.Options, f *server.FrontOptions) {
		texts = tokens(t, f, server.ScopeSubmit, server.ScopeSubmit|server.ScopeEntries)
	})
	w.Stamped(w.Ada, "secret/project", "1", "x")
	env := w.Stamp(w.Ada, w.Ref("secret/project", "1", "y"))
	body := map[string]any{"payload": env.Payload, "key": env.By()}
	if a := w.ask("POST", "/v1/admission", body, "Authorization", "Bearer "+texts[0]); a.status != http.StatusForbidden || strings.Contains(string(a.body), "secret") {
		t.Errorf("who may not read: %d %s", a.status, a.body)
	}
	if a := w.ask("POST", "/v1/admission", body, "Authorization", "Bearer "+texts[1]); a.status != http.StatusOK || !strings.Contains(string(a.body), "name-bound") {
		t.Errorf("who may: %d %s", a.status, a.body)
	}
}

// TestReadersOfDocumentsThatDoNotRead: documents that nobody takes hold memory and open
// files. There are so many of one client, and no more.
func TestReadersOfDocumentsThatDoNotRead(t *testing.T) {
	w := stand(t, func(_ *world, _ *api.Options, f *server.FrontOptions) { f.Limits.HeldAnswers = 8 * 320 << 10 })
	document := make([]byte, 16<<20) // more than a connection's buffers take
	path := fmt.Sprintf("/v1/attachments/%x", sha256.Sum256(document))
	w.ask("PUT", path, document)
	for range 2 { // a quarter
		c, err := net.Dial("tcp", strings.TrimPrefix(w.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", path)
		if line, err := bufio.NewReader(io.LimitReader(c, 12)).ReadString('\n'); line != "HTTP/1.1 200" {
			t.Fatalf("%q, %v", line, err)
		}
	}
	if a := w.ask("GET", path, nil); a.status != http.StatusServiceUnavailable || a.header.Get("Retry-After") == "" || a.header.Get("Content-Disposition") != "" {
		t.Errorf("a third: %d %v", a.status, a.header)
	}
	if a := w.ask("HEAD", path, nil); a.status != http.StatusOK {
		t.Errorf("its head: %d", a.status)
	}
}
