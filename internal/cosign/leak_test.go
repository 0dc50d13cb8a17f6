package cosign

import (
	"io"
	"net/http"
	"runtime"
	"strings"
	"testing"
)

// TestCloseLeavesNothing: a worker that is closed while a witness hangs, another is left
// alone and somebody waits, leaves no goroutine, and whoever waits is told.
func TestCloseLeavesNothing(t *testing.T) {
	c, l := newClock(), newLog(t, "true", 4)
	hangs, fails := startWitness(t, "w/a", 11, c.Now, l.vkey), startWitness(t, "w/b", 12, c.Now, l.vkey)
	hangs.set(func(_ http.Handler, _ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // only then the server hears that the client went away
		<-r.Context().Done()
	})
	fails.set(func(_ http.Handler, rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(503) })
	for round := range 5 {
		w, err := Start(l, Options{Policy: policy(l, 2, hangs, fails), HTTP: &http.Client{Transport: &http.Transport{}}, Now: c.Now, After: c.After, Pace: -1})
		if err != nil {
			t.Fatal(err)
		}
		told := make(chan error, 1)
		go func() { _, err := w.Wait(t.Context(), 4); told <- err }()
		until(t, "both are asked", func() bool { return hangs.asked() > round && w.Status().Witnesses[1].State == StateUnreachable })
		w.Close()
		if err := <-told; err == nil {
			t.Error("whoever waits was not told")
		}
	}
	until(t, "no goroutine is left", func() bool {
		stacks := make([]byte, 1<<20)
		text := string(stacks[:runtime.Stack(stacks, true)])
		return !strings.Contains(text, "cosign.(*Worker)")
	})
}
