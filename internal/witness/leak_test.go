package witness

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// TestCloseLeavesNothing: neither a witness that is closed nor the requests that it
// answered leave a goroutine.
func TestCloseLeavesNothing(t *testing.T) {
	l := newLog(t, "log.example/a", 1, "true", 9)
	fsys, c := vfs.NewMem(), newClock()
	makeKey(t, fsys)
	for range 3 {
		w := open(t, fsys, c, l.vkey)
		s := httptest.NewServer(NewHandler(w))
		var all sync.WaitGroup
		for i := range 8 {
			all.Go(func() {
				resp, err := s.Client().Post(s.URL+"/add-checkpoint", "text/plain", bytes.NewReader(l.request(i, 9).Marshal()))
				if err != nil {
					t.Error(err)
					return
				}
				resp.Body.Close()
			})
		}
		all.Wait()
		s.Close()
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	}
	http.DefaultClient.CloseIdleConnections()
	for end := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		stacks := make([]byte, 1<<20)
		text := string(stacks[:runtime.Stack(stacks, true)])
		if !strings.Contains(text, "witness.(*") && !strings.Contains(text, "net/http.(*conn)") {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("left:\n%s", text)
		}
	}
}
