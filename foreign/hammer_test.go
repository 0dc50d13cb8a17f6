package foreign

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"
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
	tool := program(t, "hammer")
	l := newLedger(t)
	url := serve(t, l.log(), http.HandlerFunc(l.add))
	const goal = 3000
	out, err := output(t, 2*time.Minute, tool,
		"-log_public_key="+l.vkey, "-log_url="+url, "-write_log_url="+url, "-show_ui=false", "-v=1",
		"-num_writers=64", "-num_readers_full=1", "-num_readers_random=2",
		"-max_write_ops=4000", "-max_read_ops=1000", // 0 is none at all
		fmt.Sprintf("-leaf_write_goal=%d", goal), "-max_runtime=90s")
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
	v, err := note.NewVerifier(l.vkey)
	if err != nil {
		t.Fatal(err)
	}
	checkpoint := fetchCheckpoint(t, url, v)
	if checkpoint.Size < goal {
		t.Errorf("the log has %d entries, want %d", checkpoint.Size, goal)
	}
	t.Logf("%d entries", checkpoint.Size)
}
