package gcs_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stele-ml/stele/internal/source/bucket"
)

// TestAttackRedirect: no request goes where a store sends it, for it would carry
// credentials.
func TestAttackRedirect(t *testing.T) {
	var strayed atomic.Int64
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { strayed.Add(1) }))
	t.Cleanup(other.Close)
	for _, code := range []int{302, 307, 308} {
		st := canned(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Location", other.URL+r.URL.Path)
			w.WriteHeader(code)
		})
		err := st.List(t.Context(), "", "", func([]bucket.Item) error { return nil })
		if err == nil || !strings.Contains(err.Error(), "elsewhere") {
			t.Errorf("%d: List: %v", code, err)
		}
		if _, err := st.Head(t.Context(), "k"); err == nil {
			t.Errorf("%d: there is an object", code)
		}
		if err := st.Put(t.Context(), "k", strings.NewReader("x"), 1); err == nil {
			t.Errorf("%d: it was stored", code)
		}
	}
	if n := strayed.Load(); n > 0 {
		t.Errorf("%d requests went to another host", n)
	}
}
