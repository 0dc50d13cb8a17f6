package server

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

func socketDir(t *testing.T) string {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("sockets without permissions")
	}
	dir, err := os.MkdirTemp("", "s") // t.TempDir's names are too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// TestSocket: only its owner can open it; one that was left is replaced, one that
// answers is not; closing takes it away, and nothing that came in its place.
func TestSocket(t *testing.T) {
	dir := socketDir(t)
	path := filepath.Join(dir, "serve.sock")
	l, err := ListenSocket(path)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Lstat(path)
	if err != nil || info.Mode().Perm() != 0o600 || info.Mode()&os.ModeSocket == 0 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if _, err := ListenSocket(path); !errors.Is(err, ErrSocket) {
		t.Errorf("a second one: %v", err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("it is still there: %v", err)
	}

	left, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	left.SetUnlinkOnClose(false)
	left.Close() // as a kill leaves it
	if l, err = ListenSocket(path); err != nil {
		t.Fatalf("one that was left: %v", err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	l.Close()
	if data, err := os.ReadFile(path); string(data) != "mine" {
		t.Errorf("what came in its place: %q, %v", data, err)
	}
	if _, err := ListenSocket(path); !errors.Is(err, ErrSocket) {
		t.Errorf("a file: %v", err)
	}
	if _, err := ListenSocket(filepath.Join(dir, strings.Repeat("x", MaxSocketPath))); !errors.Is(err, ErrSocket) {
		t.Errorf("a long path: %v", err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
}

// TestSocketMayAll: who can open it has every scope, without a token, and no limit of
// rate counts.
func TestSocketMayAll(t *testing.T) {
	path := filepath.Join(socketDir(t), "serve.sock")
	l, err := ListenSocket(path)
	if err != nil {
		t.Fatal(err)
	}
	front := NewFront(FrontOptions{Hosts: []string{"ledger.example"}, Limits: Limits{AddressRate: 1, IdentityRate: 1, Burst: 1}})
	mux := http.NewServeMux()
	for _, r := range testRules {
		mux.Handle(r.pattern, front.Route(r.rule, http.HandlerFunc(echo)))
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() {
		ended <- OpenDoors(ctx, []Door{{Listener: l, Handler: front.Handler(mux), Socket: true}}, DoorOptions{Stop: time.Second})
	}()
	c := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", path)
	}}}
	for range 5 {
		resp, err := c.Post("http://socket/submit", "text/plain", strings.NewReader("x"))
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != 200 || !strings.HasPrefix(string(body), "socket 1 ") {
			t.Errorf("status %d: %s (%v)", resp.StatusCode, body, err)
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket is still there: %v", err)
	}
}
