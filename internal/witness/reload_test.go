package witness

import (
	"bytes"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/internal/durable"
)

// TestSetLogs: logs come and go while the witness runs, and what was cosigned of
// them counts when they come back.
func TestSetLogs(t *testing.T) {
	a, b := newLog(t, "log.example/a", 1, "a", 9), newLog(t, "log.example/b", 2, "b", 9)
	w, mem, c := start(t, a)
	mustAdd(t, w, a.request(0, 5))
	if ans := w.Add(b.request(0, 5)); ans.Status != NotFound {
		t.Fatalf("%+v", ans)
	}
	set := func(want error, keys ...evidence.VKey) {
		t.Helper()
		if err := w.SetLogs(keys); !errors.Is(err, want) || err == nil != (want == nil) {
			t.Fatalf("%v, want %v", err, want)
		}
	}
	set(nil, b.vkey)
	mustAdd(t, w, b.request(0, 5))
	if ans := w.Add(a.request(5, 7)); ans.Status != NotFound {
		t.Fatalf("%+v", ans)
	}
	if _, err := w.Latest(OriginID("log.example/a")); err == nil {
		t.Fatal("it shows a log that it does not witness")
	}
	set(nil, a.vkey, b.vkey)
	if ans := w.Add(a.request(0, 7)); ans.Status != Conflict || ans.Size != 5 {
		t.Fatalf("it forgot: %+v", ans)
	}
	mustAdd(t, w, a.request(5, 7))

	// Another key for the same origin is not the same log; beside the old one it is.
	other := newLog(t, "log.example/a", 3, "a", 9)
	set(ErrKeys, other.vkey)
	set(ErrKeys, w.VKey())
	if ans := w.Add(b.request(5, 6)); ans.Status != OK { // nothing has changed
		t.Fatalf("%+v", ans)
	}
	set(nil, a.vkey, other.vkey)
	mustAdd(t, w, other.request(7, 8))
	set(nil, other.vkey)

	// One that was cosigned before this process, and not witnessed since.
	w.Close()
	w = open(t, mem, c, other.vkey)
	set(nil, other.vkey, b.vkey)
	if ans := w.Add(b.request(0, 9)); ans.Status != Conflict || ans.Size != 6 {
		t.Fatalf("%+v", ans)
	}
	w.Close()
	w = open(t, mem, c, other.vkey)
	defer w.Close()
	if err := mem.Remove("/w/" + logsDir + "/" + OriginID("log.example/b")); err != nil {
		t.Fatal(err)
	}
	if err := durable.SyncDir(mem, "/w/"+logsDir); err != nil {
		t.Fatal(err)
	}
	set(ErrState, other.vkey, b.vkey)
}

func TestMetrics(t *testing.T) {
	a := newLog(t, "log.example/a", 1, "a", 9)
	w, _, _ := start(t, a)
	mustAdd(t, w, a.request(0, 5))
	w.Add(a.request(0, 5))
	rec := httptest.NewRecorder()
	w.Metrics().ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/metrics", bytes.NewReader(nil)))
	for _, line := range []string{
		`stele_witness_answers_total{status="200"} 1`, `stele_witness_answers_total{status="409"} 1`,
		`stele_witness_log_entries{origin="log.example/a"} 5`, `stele_witness_logs 1`, `stele_witness_stopped 0`,
	} {
		if !strings.Contains(rec.Body.String(), line+"\n") {
			t.Errorf("no %s in\n%s", line, rec.Body)
		}
	}
}
