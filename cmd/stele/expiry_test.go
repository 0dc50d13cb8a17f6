package main

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

// TestExpiredKey: from its time on a key signs nothing more, and what it signed
// before stays good. Here a command says so before it reads or signs anything; that
// the ledger refuses it as well is internal/ledger's to test.
func TestExpiredKey(t *testing.T) {
	t.Parallel()
	p := newPerson(t)
	p.must("init", "--handle", "ada", "-q")
	p.must("key", "new", "carol")
	p.must("key", "request", "--key", "carol", "--handle", "carol", "-o", "carol.json")
	p.must("key", "add", "carol.json", "--names", "lab/*", "--expires", "1h")
	p.write("data.csv", "1,2,3")
	p.must("stamp", "data.csv", "--key", "carol", "--as", "lab/carol@1")
	for _, c := range []struct {
		in     time.Duration
		args   []string
		status int
		says   string
	}{
		{time.Minute, []string{"stamp", p.at("data.csv"), "--key", "carol", "--as", "lab/carol@2", "--dry-run"}, exitHolds, ""},
		{time.Hour, []string{"stamp", p.at("data.csv"), "--key", "carol", "--as", "lab/carol@2", "--dry-run"}, exitUntrusted, "expired"},
		{time.Hour, []string{"stamp", p.at("data.csv"), "--key", "carol", "--as", "lab/carol@2"}, exitUntrusted, "expired"},
		{time.Hour, []string{"key", "list", "--json"}, exitHolds, `"standing":"expired"`},
		{time.Hour, []string{"verify", "lab/carol@1", p.at("data.csv")}, exitHolds, ""},
	} {
		var out bytes.Buffer
		a := newApp(new(bytes.Buffer), &out, &out, p.getenv)
		a.now = func() time.Time { return time.Now().Add(c.in) }
		status := a.run(t.Context(), append(c.args, "--ledger", p.at(".stele")))
		if status != c.status || !strings.Contains(out.String(), c.says) {
			t.Errorf("in %v %v: status %d, want %d and %q: %s", c.in, c.args, status, c.status, c.says, &out)
		}
	}
}
