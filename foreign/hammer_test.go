package foreign

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/stele-ml/stele/client"
	"github.com/stele-ml/stele/statement"
)

// add is what the product does not have: it takes any bytes, wraps them in a
// signed stamp, and answers the entry's index.
func (l *testLedger) add(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<16))
	if err == nil {
		var index uint64
		if index, err = l.stamp(r.Context(), body); err == nil {
			fmt.Fprint(w, index)
			return
		}
	}
	http.Error(w, err.Error(), http.StatusInternalServerError)
}

// Tessera's hammer writes from many tasks at once while readers follow the
// whole log and pick entries from it; every new checkpoint has to be
// consistent with the one before.
func TestHammerFindsNoCrack(t *testing.T) {
	program(t, "hammer")
	l := newLedger(t)
	url := serve(t, l.log(), http.HandlerFunc(l.add))
	hammer(t, l.vkey, url, url, 3000)
}

// The same at the program itself. What the hammer writes becomes a signed stamp on
// its way; what it reads comes from stele serve with nothing in between.
func TestHammerFindsNoCrackInTheProgram(t *testing.T) {
	program(t, "hammer")
	p := startProgram(t, "--rate-address", "0")
	c, err := client.New(client.Options{URL: p.address})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	info, err := c.Ledger(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ada := p.ada(t)
	var mu sync.Mutex
	signed := map[string]*statement.Envelope{}
	write := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(io.LimitReader(r.Body, 1<<16))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		// What is sent again was signed once: another ECDSA signature is another envelope.
		mu.Lock()
		env := signed[string(body)]
		if env == nil {
			env, err = stampOf(body, info.ID, ada)
			signed[string(body)] = env
		}
		mu.Unlock()
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		receipt, err := c.Submit(r.Context(), env, client.SubmitOptions{})
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		fmt.Fprint(w, receipt.Entry.Index)
	}))
	t.Cleanup(write.Close)
	hammer(t, p.vkey, p.address+"/", write.URL+"/", 1000)
	p.stop(t)
}

// hammer has Tessera's hammer read a log at one address and write at another, until
// the log has so many entries.
func hammer(t *testing.T, vkey, read, write string, goal int) {
	t.Helper()
	out, err := output(t, 11*time.Minute, program(t, "hammer"),
		"-log_public_key="+vkey, "-log_url="+read, "-write_log_url="+write, "-show_ui=false", "-v=1",
		"-num_writers=64", "-num_readers_full=1", "-num_readers_random=2",
		"-max_write_ops=4000", "-max_read_ops=1000", // 0 is none at all
		fmt.Sprintf("-leaf_write_goal=%d", goal), "-max_runtime=10m")
	if err != nil {
		t.Errorf("hammer: %v\n%s", err, out)
	}
	if !strings.Contains(out, "Reached tree size goal of ") {
		t.Error("the goal was not reached")
	}
	for _, line := range strings.Split(out, "\n") {
		// klog's lines begin with the severity: E is an error, F fatal. Work
		// under way when the goal is reached is cancelled.
		if (strings.HasPrefix(line, "E") || strings.HasPrefix(line, "F") || strings.Contains(line, "nconsisten")) && !strings.Contains(line, "context canceled") {
			t.Errorf("hammer says: %s", line)
		}
	}
	v, err := note.NewVerifier(vkey)
	if err != nil {
		t.Fatal(err)
	}
	checkpoint := fetchCheckpoint(t, read, v)
	if checkpoint.Size < uint64(goal) {
		t.Errorf("the log has %d entries, want %d", checkpoint.Size, goal)
	}
	t.Logf("%d entries", checkpoint.Size)
}
