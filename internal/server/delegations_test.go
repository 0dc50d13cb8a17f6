package server

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stele-ml/stele/internal/oidc"
	"github.com/stele-ml/stele/internal/wire"
	"github.com/stele-ml/stele/statement"
)

// refuses is an exchange that says the same to everybody.
type refuses struct {
	err   error
	asked *oidc.Request
}

func (r *refuses) Delegate(_ context.Context, q oidc.Request) (*statement.Delegation, string, error) {
	r.asked = &q
	return nil, "", r.err
}

func TestDelegationRefusals(t *testing.T) {
	key, err := statement.GenerateP256(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	s, err := statement.NewP256(key, nil)
	if err != nil {
		t.Fatal(err)
	}
	q := wire.DelegationRequest{Token: "a.b.c", Key: s.PublicKey(), Proof: []byte{1}, Life: 1 << 40}
	good, err := q.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	says := func(code string) error { return &oidc.Refusal{Code: code, Message: "because", Hint: "do"} }
	for name, c := range map[string]struct {
		body   string
		err    error
		status int
		code   wire.Code
	}{
		"a token that is not believed":  {string(good), says(oidc.Unauthorized), http.StatusUnauthorized, wire.CodeUnauthorized},
		"no rule":                       {string(good), says(oidc.Forbidden), http.StatusForbidden, wire.CodeForbidden},
		"no proof":                      {string(good), says(oidc.Malformed), http.StatusBadRequest, wire.CodeMalformed},
		"an issuer that does not speak": {string(good), says(oidc.Unavailable), http.StatusServiceUnavailable, wire.CodeUnavailable},
		"a key that cannot sign":        {string(good), errors.New("agent went away: secret detail"), http.StatusInternalServerError, wire.CodeInternal},
		"nothing":                       {"", nil, http.StatusBadRequest, wire.CodeMalformed},
		"no JSON":                       {"<xml>", nil, http.StatusBadRequest, wire.CodeMalformed},
		"a member that is not known":    {strings.Replace(string(good), "{", `{"admin":1,`, 1), nil, http.StatusBadRequest, wire.CodeMalformed},
		"a member twice":                {strings.Replace(string(good), "{", `{"token":"x",`, 1), nil, http.StatusBadRequest, wire.CodeMalformed},
		"an endless body":               {strings.Repeat(" ", wire.MaxDelegationRequest+1), nil, http.StatusRequestEntityTooLarge, wire.CodeTooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			var log strings.Builder
			x := &refuses{err: c.err}
			w := httptest.NewRecorder()
			NewDelegations(x, nil, nil, slog.New(slog.NewTextHandler(&log, nil))).ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/v1/delegations", strings.NewReader(c.body)))
			p, err := wire.ParseProblem(w.Body.Bytes())
			if err != nil || w.Code != c.status || p.Status != c.status || p.Code != c.code {
				t.Errorf("%d %s, %v; want %d %s", w.Code, w.Body, err, c.status, c.code)
			}
			if w.Header().Get("Content-Type") != wire.ProblemType || w.Header().Get("Cache-Control") != "no-store" {
				t.Errorf("%v", w.Header())
			}
			if said := w.Body.String() + log.String(); strings.Contains(said, "a.b.c") || strings.Contains(said, "secret detail") {
				t.Errorf("it says too much: %s", said)
			}
			if !strings.Contains(log.String(), `msg="no delegation"`) || !strings.Contains(log.String(), "code="+string(c.code)) {
				t.Errorf("the log says %q", log.String())
			}
			if (x.asked != nil) != (c.err != nil) {
				t.Errorf("asked %+v", x.asked)
			}
			if x.asked != nil && x.asked.Life != oidc.MaxLife {
				t.Errorf("a life of %v was asked for; %v is the most", x.asked.Life, time.Duration(oidc.MaxLife))
			}
		})
	}
}
