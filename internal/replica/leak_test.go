package replica_test

import (
	"context"
	"net/http"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stele-ml/stele/internal/ledger/ledgertest"
	"github.com/stele-ml/stele/internal/replica"
)

// TestStoppedMirrorLeavesNothing: a mirror that is stopped while its primary hangs, and
// closed, leaves no goroutine of its own, of the store, or of a request.
func TestStoppedMirrorLeavesNothing(t *testing.T) {
	l := ledgertest.New(t)
	fill(l, "data", 600)
	s := serve(t, l)
	asked := make(chan struct{}, 100)
	s.lies(func(_ http.ResponseWriter, r *http.Request) bool {
		if !strings.HasPrefix(r.URL.Path, "/tile/entries/") {
			return false
		}
		asked <- struct{}{}
		<-r.Context().Done()
		return true
	})
	o := options(s, filepath.Join(t.TempDir(), "m"))
	r, err := replica.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-asked; cancel() }()
	if err := r.CatchUp(ctx); err == nil {
		t.Fatal("it caught up with a primary that hangs")
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	o.HTTP.CloseIdleConnections()
	var left string
	for end := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		stacks := make([]byte, 1<<20)
		left = string(stacks[:runtime.Stack(stacks, true)])
		if !strings.Contains(left, "replica.(*Replica)") && !strings.Contains(left, "solo.(*") && !strings.Contains(left, "net/http.(*persistConn)") {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("left:\n%s", left)
		}
	}
}
