package client_test

import (
	"context"
	"errors"
	"net/http"
	"testing"

	"github.com/stele-ml/stele/client"
)

// A token that is over is renewed once for a request, and the request goes on; one that
// cannot be renewed stays refused.
func TestRenew(t *testing.T) {
	for _, c := range []struct {
		name, gives     string
		err             error
		renewals, tries int
	}{
		{"another", "new", nil, 1, 2},
		{"none", "", errors.New("no"), 1, 1},
		{"the same", "old", nil, 1, 1},
		{"one that is refused, too", "bad", nil, 1, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			asked, renewals := 0, 0
			w.lie = func(rw http.ResponseWriter, r *http.Request) bool {
				asked++
				if r.Header.Get("Authorization") == "Bearer new" {
					return false
				}
				rw.WriteHeader(http.StatusUnauthorized)
				return true
			}
			cl := w.client(t, w, func(o *client.Options) {
				o.Token = "old"
				o.Renew = func(_ context.Context, refused string) (string, error) {
					if renewals++; refused != "old" {
						t.Errorf("asked to renew %q", refused)
					}
					return c.gives, c.err
				}
			})
			_, err := cl.Ledger(t.Context())
			if (err == nil) != (c.gives == "new") || err != nil && !errors.Is(err, client.ErrAccess) {
				t.Errorf("error %v", err)
			}
			if renewals != c.renewals || asked != c.tries {
				t.Errorf("%d renewals and %d requests; want %d and %d", renewals, asked, c.renewals, c.tries)
			}
		})
	}
}

// Who waits for somebody else's renewal, and no longer wants to, does not wait.
func TestRenewIsNotWaitedForByWhoGaveUp(t *testing.T) {
	w := newWorld(t)
	w.lie = func(rw http.ResponseWriter, _ *http.Request) bool {
		rw.WriteHeader(http.StatusUnauthorized)
		return true
	}
	begun, end := make(chan struct{}), make(chan struct{})
	cl := w.client(t, w, func(o *client.Options) {
		o.Token = "old"
		o.Renew = func(context.Context, string) (string, error) { close(begun); <-end; return "", errors.New("no") }
	})
	first := make(chan error)
	go func() { _, err := cl.Ledger(t.Context()); first <- err }()
	<-begun
	ctx, cancel := context.WithCancel(t.Context())
	second := make(chan error)
	go func() { _, err := cl.Ledger(ctx); second <- err }()
	cancel()
	if err := <-second; !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	close(end)
	if err := <-first; !errors.Is(err, client.ErrAccess) {
		t.Errorf("error %v", err)
	}
}
