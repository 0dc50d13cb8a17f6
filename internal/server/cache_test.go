package server

import (
	"net/http"
	"testing"
)

// TestCacheBetween: a cache between a client and the server, which several people
// share, keeps nothing that not everybody may have.
func TestCacheBetween(t *testing.T) {
	clock := newTestClock()
	path, text := clock.tokens(t, map[string]string{"ci": "entries"})
	tile := func(scope Scope) func(*http.ServeMux, *Front) {
		return func(mux *http.ServeMux, f *Front) {
			mux.Handle("GET /kept", f.Route(Rule{Name: "GET /kept", Scope: scope}, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Cache-Control", cacheForever)
				_, _ = w.Write([]byte("entries"))
			})))
		}
	}
	for _, c := range []struct {
		scope Scope
		want  string
	}{
		{ScopeProofs, cacheForever}, // open to everybody here
		{ScopeEntries, "private, max-age=31536000, immutable"},
	} {
		s := stand(t, FrontOptions{Access: Access{Tokens: openTokens(t, path, clock.Now), Anonymous: ScopeProofs}}, tile(c.scope))
		got := s.expect(200, "GET", "/kept", nil, "Authorization", "Bearer "+text["ci"]).Header
		if got.Get("Cache-Control") != c.want || (got.Get("Vary") == "Authorization") != (c.scope == ScopeEntries) {
			t.Errorf("scope %s: Cache-Control %q, Vary %q; want %q", c.scope, got.Get("Cache-Control"), got.Get("Vary"), c.want)
		}
	}
}
