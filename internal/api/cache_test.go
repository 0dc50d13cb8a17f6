package api_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stele-ml/stele/internal/api"
	"github.com/stele-ml/stele/internal/server"
)

// What is as of a size that the request names may be kept, by those who may read it,
// and is asked for again by its tag; what is as of now is not kept.
func TestWhatMayBeKept(t *testing.T) {
	w := stand(t)
	w.fill()
	const none, minute, day = "no-store", "public, max-age=60", "public, max-age=86400"
	for path, want := range map[string]string{
		"/v1/ledger": none, "/v1/entries": none, "/v1/entries/1": none, "/v1/entries/1/proof": none, "/v1/names": none,
		"/v1/stages/production": none, "/v1/proofs/inclusion?index=1": none, "/v1/proofs/consistency?from=1": none, "/v1/checkpoints": none,
		"/v1/evidence?name=fraud/model&version=1": none, "/v1/openapi.json": "public, max-age=300",
		"/v1/entries?size=5": day, "/v1/names?size=5": day, "/v1/artifacts?name=fraud/train&version=1&size=5": day,
		"/v1/contracts?size=9": day, "/v1/identities?size=5": day, "/v1/lineage?name=fraud/train&version=1&size=5": day,
		"/v1/entries/1?size=5": minute, "/v1/proofs/inclusion?index=1&size=5": minute, "/v1/proofs/consistency?from=1&to=5": minute,
	} {
		a := w.ask("GET", path, nil, "Accept-Encoding", "identity")
		tag := a.header.Get("ETag")
		if a.status != http.StatusOK || a.header.Get("Cache-Control") != want || (tag == "") != (want == none) {
			t.Errorf("%s: %d, Cache-Control %q, ETag %q; want %q", path, a.status, a.header.Get("Cache-Control"), tag, want)
		}
		if tag == "" {
			continue
		}
		w.Put(w.Stamp(w.Ada, w.Ref("later", strings.Trim(tag, `"`), "later")))
		for _, method := range []string{"GET", "HEAD"} {
			again := w.ask(method, path, nil, "If-None-Match", tag, "Accept-Encoding", "identity")
			if again.status != http.StatusNotModified || len(again.body) > 0 || again.header.Get("ETag") != tag || again.header.Get("Cache-Control") != want {
				t.Errorf("%s %s again: %d %v %s", method, path, again.status, again.header, again.body)
			}
		}
		if other := w.ask("GET", path, nil, "If-None-Match", `"other"`, "Accept-Encoding", "identity"); other.status != http.StatusOK || string(other.body) != string(a.body) {
			t.Errorf("%s with another tag: %d", path, other.status)
		}
	}
	if a := w.ask("GET", "/v1/entries?size=999", nil, "If-None-Match", "*"); a.status != http.StatusConflict {
		t.Errorf("what is not there: %d", a.status)
	}

	var texts []string
	w = stand(t, func(_ *world, _ *api.Options, f *server.FrontOptions) {
		texts = tokens(t, f, server.ScopeEntries, server.ScopeProofs)
	})
	w.fill()
	a := w.ask("GET", "/v1/entries?size=5", nil, "Authorization", "Bearer "+texts[0])
	if got := a.header.Get("Cache-Control"); got != strings.Replace(day, "public", "private", 1) || !strings.Contains(strings.Join(a.header.Values("Vary"), ","), "Authorization") {
		t.Errorf("of a token: %q, Vary %q", got, a.header.Values("Vary"))
	}
	// A tag is no right: whoever may not read does not learn that it is still so.
	for _, with := range []string{"", "Bearer " + texts[1]} {
		if no := w.ask("GET", "/v1/entries?size=5", nil, "Authorization", with, "If-None-Match", a.header.Get("ETag")); no.status != http.StatusUnauthorized && no.status != http.StatusForbidden {
			t.Errorf("%q: %d", with, no.status)
		}
	}
}
