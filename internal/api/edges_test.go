package api_test

import (
	"net/http"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/stele-ml/stele/internal/api"
	"github.com/stele-ml/stele/internal/server"
	"github.com/stele-ml/stele/internal/wire"
)

// Where nothing that could be shown would help, nobody is told to show something.
func TestNobodyMaySubmitHere(t *testing.T) {
	w := stand(t, func(_ *world, _ *api.Options, f *server.FrontOptions) { f.Access.Anonymous = server.ScopeEntries })
	a := w.ask("POST", "/v1/entries", "{}")
	if p := a.problem(t); a.status != http.StatusForbidden || p.Code != wire.CodeForbidden || strings.Contains(string(a.body), "certificate") || a.header.Get("WWW-Authenticate") != "" {
		t.Errorf("%d %v %s", a.status, a.header, a.body)
	}
}

// Two Content-Types are none, even where either would do, and the second of them is
// never the one that counts.
func TestTwoContentTypes(t *testing.T) {
	w := stand(t)
	body := envelope(t, w.Stamp(w.Ada, w.Ref("a", "1", "a")))
	for _, types := range [][]string{
		{"application/json", "application/json"}, {"application/json", "text/plain"}, {"text/plain", wire.EnvelopeType}, {"application/json, " + wire.EnvelopeType},
	} {
		q, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.url+"/v1/entries", strings.NewReader(string(body)))
		if err != nil {
			t.Fatal(err)
		}
		q.Header["Content-Type"] = types
		res, err := http.DefaultTransport.RoundTrip(q)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != http.StatusUnsupportedMediaType {
			t.Errorf("%q: %d", types, res.StatusCode)
		}
	}
	if w.View().Size() != 1 {
		t.Errorf("something was written: %d entries", w.View().Size())
	}
}

// A cursor of one ledger leads nowhere on another, whose entries may be as many.
func TestCursorOfAnotherLedger(t *testing.T) {
	one, other := stand(t), stand(t)
	one.fill()
	other.fill()
	if one.View().ID() == other.View().ID() {
		t.Skip("the two ledgers of the test are one")
	}
	for _, path := range []string{"/v1/entries", "/v1/names", "/v1/checkpoints"} {
		var page wire.Page
		one.ask("GET", path+"?limit=1", nil).into(t, &page)
		if page.Next == "" {
			t.Fatalf("%s has one page", path)
		}
		if a := one.ask("GET", path+"?limit=1&cursor="+page.Next, nil); a.status != http.StatusOK {
			t.Errorf("%s: %d on its own", path, a.status)
		}
		if a := other.ask("GET", path+"?limit=1&cursor="+page.Next, nil); a.status != http.StatusBadRequest || a.problem(t).Code != wire.CodeMalformed {
			t.Errorf("%s: %d %s", path, a.status, a.body)
		}
	}
}

// An entry as of a size within one commit is shown with the proof for that size, and
// without a checkpoint, for none was ever signed.
func TestEntryOfASizeWithoutCheckpoint(t *testing.T) {
	w := stand(t)
	before := w.View().Size()
	w.Put(w.Stamp(w.Ada, w.Ref("a", "1", "a")), w.Stamp(w.Ada, w.Ref("b", "1", "b")), w.Stamp(w.Ada, w.Ref("c", "1", "c")))
	within := before + 2
	if _, err := w.View().Checkpoint(within); err == nil {
		t.Fatal("there is a checkpoint of that size")
	}
	size := "size=" + decimal(within)
	var e wire.Entry
	w.ask("GET", "/v1/entries/"+decimal(before)+"?"+size, nil).into(t, &e)
	checkProof(t, w, before, within, e.Leaf, e.Inclusion)
	if e.Checkpoint != "" {
		t.Errorf("a checkpoint that nobody signed: %q", e.Checkpoint)
	}
	var p wire.Proof
	w.ask("GET", "/v1/proofs/inclusion?index="+decimal(before)+"&"+size, nil).into(t, &p)
	checkProof(t, w, before, within, e.Leaf, p.Hashes)
	if p.Checkpoint != "" || p.Size != within {
		t.Errorf("%+v", p)
	}
	if a := w.ask("GET", "/v1/entries/"+decimal(within)+"?"+size, nil); a.status != http.StatusNotFound {
		t.Errorf("the entry behind that size: %d", a.status)
	}
}

func decimal(n uint64) string { return strconv.FormatUint(n, 10) }

func checkProof(t *testing.T, w *world, index, size uint64, leaf []byte, hashes [][]byte) {
	t.Helper()
	v, err := w.View().AsOf(size)
	if err != nil {
		t.Fatal(err)
	}
	root, err := v.Root()
	if err != nil {
		t.Fatal(err)
	}
	if err := tlog.CheckRecord(wire.Hashes(hashes), int64(size), root, int64(index), tlog.RecordHash(leaf)); err != nil {
		t.Errorf("entry %d of %d: %v", index, size, err)
	}
}
