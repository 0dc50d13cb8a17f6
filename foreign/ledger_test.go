// Package foreign has tests alone: tools and libraries that nobody here wrote
// read, check and load a ledger of ours over HTTP, and have to agree with us.
// Our own code makes the ledger and serves it; what is concluded is theirs.
//
// The programs come from `./test tools`; a test whose program is missing says
// so and is skipped.
package foreign

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/fingerprint"
	"github.com/stele-ml/stele/internal/ledger"
	"github.com/stele-ml/stele/internal/server"
	"github.com/stele-ml/stele/internal/solo"
	"github.com/stele-ml/stele/statement"
)

// origin is the ledger's, and so the name of its log key.
const origin = "ledger.example/foreign-5f3a"

// chance is bytes that are the same in every run: SHA-256 of the label and a
// counter.
type chance struct {
	label string
	n     int
	rest  []byte
}

func (c *chance) Read(p []byte) (int, error) {
	for i := range p {
		if len(c.rest) == 0 {
			sum := sha256.Sum256(fmt.Appendf(nil, "%s %d", c.label, c.n))
			c.rest = sum[:]
			c.n++
		}
		p[i], c.rest = c.rest[0], c.rest[1:]
	}
	return len(p), nil
}

func signer(t *testing.T, label string) statement.Signer {
	t.Helper()
	key, err := statement.GenerateEd25519(&chance{label: label})
	if err != nil {
		t.Fatal(err)
	}
	s, err := statement.NewEd25519(key)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// A testLedger is a solo ledger in a temporary directory, with one member who
// may stamp what starts with load/.
type testLedger struct {
	options solo.Options
	engine  *solo.Engine
	member  statement.Signer
	vkey    string
}

func newLedger(t *testing.T) *testLedger {
	t.Helper()
	admin := signer(t, "administrator")
	l := &testLedger{member: signer(t, "member")}
	l.options = solo.Options{Dir: filepath.Join(t.TempDir(), ".stele"), State: t.TempDir()}
	key, err := solo.GenerateLogKey(origin, &chance{label: "log key"})
	if err != nil {
		t.Fatal(err)
	}
	l.vkey = key.VKey().String()
	genesis, err := statement.Sign(&statement.Statement{Kind: statement.KindGenesis, Nonce: nonce("genesis"), Genesis: &statement.Genesis{
		Origin: origin, Hash: fingerprint.SHA256, Rules: statement.Rules, LogKey: l.vkey,
		Administrators: []statement.Administrator{{Handle: "ada", Key: admin.PublicKey()}},
		Recovery:       signer(t, "recovery").PublicKey(),
	}}, admin)
	if err != nil {
		t.Fatal(err)
	}
	if l.engine, err = solo.Create(t.Context(), l.options, genesis, key); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.engine.Close(); err != nil && !errors.Is(err, solo.ErrClosed) {
			t.Errorf("close: %v", err)
		}
	})
	register, err := statement.Sign(&statement.Statement{Kind: statement.KindIdentity, Ledger: l.engine.Info().ID, Nonce: nonce("member"), Identity: &statement.Identity{
		Action: statement.ActionRegister, Handle: "mara", Key: l.member.PublicKey(),
		Roles: []string{statement.RoleMember}, Names: []string{"load/*"},
	}}, admin)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.engine.Submit(t.Context(), register); err != nil {
		t.Fatal(err)
	}
	return l
}

func nonce(label string) (n statement.Nonce) {
	sum := sha256.Sum256([]byte(label))
	copy(n[:], sum[:])
	return n
}

// stampOf wraps any bytes in a signed stamp of them. The same bytes give the same
// statement, and so the same entry.
func stampOf(body []byte, id statement.LedgerID, by statement.Signer) (*statement.Envelope, error) {
	digest := fingerprint.SHA256.Sum(body)
	fp := fingerprint.Summary{Files: 1, Bytes: uint64(len(body)), Root: digest}.Fingerprint(fingerprint.SHA256)
	return statement.Sign(&statement.Statement{
		Kind: statement.KindStamp, Ledger: id, Nonce: nonce("stamp " + digest.String()),
		Subject: []statement.Subject{{Name: "load/body@" + digest.String()[:32], Digest: map[string]string{fp.Key(): fp.Sum.String()}}},
		Stamp:   &statement.Stamp{Kind: statement.ArtifactOther, Files: 1, Bytes: uint64(len(body)), Basis: statement.Basis{Read: uint64(len(body))}},
	}, by)
}

// stamp submits a stamp of any bytes, and returns its index.
func (l *testLedger) stamp(ctx context.Context, body []byte) (uint64, error) {
	env, err := stampOf(body, l.engine.Info().ID, l.member)
	if err != nil {
		return 0, err
	}
	proof, err := l.engine.Submit(ctx, env)
	if err != nil {
		return 0, err
	}
	return proof.Index, nil
}

// fill stamps n bodies, many at once, as a group commit wants it.
func (l *testLedger) fill(t *testing.T, n int) {
	t.Helper()
	var wg sync.WaitGroup
	for worker := range 32 {
		wg.Go(func() {
			for i := worker; i < n; i += 32 {
				if _, err := l.stamp(t.Context(), []byte("body "+strconv.Itoa(i))); err != nil {
					t.Errorf("stamp %d: %v", i, err)
					return
				}
			}
		})
	}
	wg.Wait()
	if t.Failed() {
		t.FailNow()
	}
}

// log is the ledger as the server sees it.
func (l *testLedger) log() server.Log {
	return server.LogFunc(func() (server.View, error) { return l.engine.View(), nil })
}

// serve starts the product's server over a log and returns its address, with
// a slash at the end. What is in more is answered first.
func serve(t *testing.T, log server.Log, more http.Handler) string {
	t.Helper()
	read := server.NewHandler(log, server.Options{Hosts: server.LoopbackHosts(), NotFound: ledger.ErrNotFound})
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if more != nil && r.URL.Path == "/add" {
			more.ServeHTTP(w, r)
			return
		}
		read.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	return s.URL + "/"
}

// program finds one of the pinned tools.
func program(t *testing.T, name string) string {
	t.Helper()
	if testing.Short() {
		t.Skip("other people's programs are left out of short tests")
	}
	if path, err := filepath.Abs("../.tools/bin/" + name); err == nil {
		if _, err := os.Stat(path); err == nil {
			return path
		}
	}
	t.Skipf("%s is not installed: `./test tools` does it", name)
	return ""
}

// output runs a program and returns everything that it printed. Whether it
// hangs, or how it exits, is judged by the caller.
func output(t *testing.T, limit time.Duration, name string, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	out, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
	return string(out), err
}

// The views that the product serves are what the server asks for.
var _ server.View = (*ledger.View)(nil)

// policy trusts the ledger's log and no witness.
func (l *testLedger) policy(t *testing.T) *evidence.Policy {
	t.Helper()
	p, err := evidence.ParsePolicy([]byte("log " + l.vkey + "\nquorum none\n"))
	if err != nil {
		t.Fatal(err)
	}
	return p
}
