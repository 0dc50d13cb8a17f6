package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/stele-ml/stele/internal/ledger/ledgertest"
	"github.com/stele-ml/stele/internal/server"
	"github.com/stele-ml/stele/internal/solo"
	"github.com/stele-ml/stele/internal/wire"
)

// full is a disk without room, once it is on: nothing more is written or made.
func full() *errorfs.Toggle {
	return &errorfs.Toggle{Injector: errorfs.InjectorFunc(func(op errorfs.Op) error {
		switch op.Kind {
		case errorfs.OpCreate, errorfs.OpMkdirAll, errorfs.OpFileWrite, errorfs.OpFileWriteAt, errorfs.OpFilePreallocate,
			errorfs.OpFileSync, errorfs.OpFileSyncData, errorfs.OpFileSyncTo:
			return syscall.ENOSPC
		}
		return nil
	})}
}

// TestServeOnAFullDisk: whoever submits is told that the outcome is not known, whoever
// uploads that there is no room, and whoever asks that the server is not ready. With
// room again, all that was acknowledged is there.
func TestServeOnAFullDisk(t *testing.T) {
	t.Parallel()
	p := newPerson(t)
	p.must("init", "--handle", "ada", "-q")
	a, by := p.app(), p.signs()
	envs := (&ledgertest.Maker{Ledger: p.ledgerID()}).Stamps(by, "team/data", 5)
	o := a.options(filepath.Join(p.dir, ledgerName))
	disk := full()
	o.FS = errorfs.Wrap(vfs.Default, disk)
	e, err := solo.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	v := servingOf(a, newServeSettings(), o.Dir, e)
	v.log = slog.New(slog.DiscardHandler)
	front := server.NewFront(server.FrontOptions{Access: server.Access{Anonymous: server.ScopeAll}, Limits: v.settings.limits(), Now: a.now})
	routes, err := v.routes(front, server.NewHealth(front, server.HealthOptions{Condition: v.condition, Now: a.now}), nil)
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(front.Handler(routes))
	defer s.Close()

	ask := func(method, path, media string, body []byte) (int, []byte) {
		t.Helper()
		q, err := http.NewRequestWithContext(t.Context(), method, s.URL+path, bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		q.Header.Set("Content-Type", media)
		res, err := s.Client().Do(q)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		text, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return res.StatusCode, text
	}
	submit := func(i int) (int, []byte) {
		t.Helper()
		data, err := envs[i].MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		return ask(http.MethodPost, "/v1/entries", "application/json", data)
	}
	upload := func(text string) (int, []byte) {
		t.Helper()
		sum := sha256.Sum256([]byte(text))
		return ask(http.MethodPut, "/v1/attachments/"+hex.EncodeToString(sum[:]), "application/octet-stream", []byte(text))
	}
	fails := func(what string, status int, body []byte, code wire.Code, words string) {
		t.Helper()
		problem, err := wire.ParseProblem(body)
		if err != nil || status != http.StatusServiceUnavailable || problem.Code != code || !strings.Contains(problem.Detail, words) {
			t.Errorf("%s: %d %s (%v), want 503 %s: %s", what, status, body, err, code, words)
		}
	}
	holds := func(what string, status int, body []byte, want int) {
		t.Helper()
		if status != want {
			t.Fatalf("%s: %d %s", what, status, body)
		}
	}

	for i := range 2 {
		status, body := submit(i)
		holds("an entry", status, body, http.StatusCreated)
	}
	status, body := upload("kept")
	holds("a document", status, body, http.StatusNoContent)
	status, body = ask(http.MethodGet, "/health/ready", "", nil)
	holds("ready", status, body, http.StatusOK)

	disk.On()
	// A document that is not kept is no failure of the ledger.
	status, body = upload("not kept")
	fails("a document", status, body, wire.CodeUnavailable, "disk is full")
	fp, manifest := manifestOf(t)
	status, body = ask(http.MethodPut, "/v1/manifests/"+fp.String(), "application/octet-stream", manifest)
	fails("a manifest", status, body, wire.CodeUnavailable, "disk is full")
	status, body = ask(http.MethodGet, "/health/ready", "", nil)
	holds("ready, as nothing of the ledger failed", status, body, http.StatusOK)

	status, body = submit(2)
	fails("the entry that fails", status, body, wire.CodeOutcomeUnknown, "may or may not")
	status, body = submit(3)
	fails("a later one", status, body, wire.CodeUnavailable, "has stopped")
	if status, body = ask(http.MethodGet, "/health/ready", "", nil); status != http.StatusServiceUnavailable {
		t.Errorf("ready: %d %s", status, body)
	}
	status, body = ask(http.MethodGet, "/v1/names", "", nil)
	holds("what is there is read", status, body, http.StatusOK)

	disk.Off() // room again, and a new start
	_ = e.Close()
	o.FS = nil
	if e, err = solo.Open(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	for i := range 2 {
		if _, err := e.View().ByName("team/data", strconv.Itoa(i)); err != nil {
			t.Errorf("acknowledged, and not there: %v", err)
		}
	}
	if _, err := e.Submit(t.Context(), envs[2]); err != nil { // as its sender was told to
		t.Errorf("again: %v", err)
	}
	if r, _, err := e.Shelf().OpenSum(sha256.Sum256([]byte("kept"))); err != nil {
		t.Errorf("the document: %v", err)
	} else {
		r.Close()
	}
	if err := e.Close(); err != nil {
		t.Error(err)
	}
	p.must("fsck")
}
