package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stele-ml/stele/client"
	"github.com/stele-ml/stele/client/clienttest"
	"github.com/stele-ml/stele/cmd/stele/jsonv1"
	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/internal/ledger/ledgertest"
	"github.com/stele-ml/stele/internal/spool"
	"github.com/stele-ml/stele/statement"
)

// freeAddress is one on loopback where nobody listens: a server that is started
// again must come back where it was. Its port is below those that systems give to
// whoever asks for any, or calls somebody: in between, nobody else gets it.
func freeAddress(t interface{ Fatal(...any) }) string {
	for range 100 {
		address := net.JoinHostPort("127.0.0.1", strconv.Itoa(10_000+rand.IntN(20_000)))
		l, err := net.Listen("tcp", address)
		if err != nil {
			continue
		}
		l.Close()
		if _, given := givenAddresses.LoadOrStore(address, true); !given {
			return address
		}
	}
	t.Fatal("no free port in a hundred")
	return ""
}

var givenAddresses sync.Map // of this process: tests run side by side

// serves starts a server of the person's ledger, and returns when it answers.
func (p *person) serves(address string) *exec.Cmd {
	p.t.Helper()
	var log bytes.Buffer
	cmd := p.command("serve", "--listen", address)
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	c, err := client.New(client.Options{URL: "http://" + address, Attempts: 1000, Sleep: soon})
	if err != nil {
		p.t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Ledger(p.t.Context()); err != nil {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // before its log is read
		p.t.Fatalf("the server does not answer: %v\n%s", err, log.String())
	}
	return cmd
}

func soon(ctx context.Context, _ time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(20 * time.Millisecond):
		return nil
	}
}

func (p *person) signs() statement.Signer {
	p.t.Helper()
	s, closer, err := p.app().signer(p.t.Context())
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(closer)
	return s
}

func TestPush(t *testing.T) {
	t.Parallel()
	p := newPerson(t)
	p.must("init", "--handle", "ada", "-q")
	a, by, id := p.app(), p.signs(), p.ledgerID()
	a.quiet = true
	m := &ledgertest.Maker{Ledger: id}
	for _, env := range []*statement.Envelope{
		m.Stamp(by, m.Ref("team/a", "1", "one")),
		m.Stamp(by, m.Ref("team/a", "1", "not one")), // the name is taken by then
		m.Stamp(by, m.Ref("team/b", "1", "two")),
		m.Stamp(by, m.Ref("team/c", "1", "three")),
	} {
		if _, err := a.keepForLater(id, env); err != nil {
			t.Fatal(err)
		}
	}
	if out := p.must("push", "--list"); !strings.Contains(out, "  4  stamp team/c@1") {
		t.Errorf("what waits:\n%s", out)
	}
	address := freeAddress(t)
	url := "http://" + address
	if _, errs, status := p.stele("push"); status != exitUsage {
		t.Errorf("without an address: status %d: %s", status, errs)
	}
	p.serves(address)

	// The first refusal ends it, and what was signed later stays where it is.
	out, errs, status := p.stele("push", "--ledger", url)
	if status != exitRefused || !strings.Contains(out, "number 1 is entry 1") || !strings.Contains(errs, "3 statements still wait") || !strings.Contains(errs, "--skip") {
		t.Errorf("status %d\n%s%s", status, out, errs)
	}
	var pushed jsonv1.Push
	out, errs, status = p.stele("push", "--skip", "--json", "--ledger", url)
	if err := json.Unmarshal([]byte(out), &pushed); err != nil || status != exitRefused || len(pushed.Pushed) != 2 || len(pushed.Skipped) != 1 || len(pushed.Waiting) != 0 {
		t.Fatalf("status %d, %v\n%s%s", status, err, out, errs)
	}
	if _, err := os.Stat(filepath.Join(pushed.Skipped[0].Path, "envelope.json")); err != nil || pushed.Skipped[0].Number != 2 {
		t.Errorf("skipped %+v", pushed.Skipped[0])
	}
	if out, errs, status := p.stele("push", "--ledger", url); status != exitHolds || !strings.Contains(out, "nothing waits") {
		t.Errorf("again: status %d\n%s%s", status, out, errs)
	}
	// Pushed once more, as after a crash between the receipt and its removal; and
	// stamped once more, of which the ledger takes the first.
	env := m.Stamp(by, m.Ref("team/d", "1", "four"))
	for _, env := range []*statement.Envelope{env, env, m.Stamp(by, m.Ref("team/d", "1", "four"))} {
		if _, err := a.spoolOf(id).Add(env); err != nil {
			t.Fatal(err)
		}
	}
	out = p.must("push", "--ledger", url)
	if strings.Count(out, "is entry 4") != 3 || strings.Count(out, "had already") != 2 {
		t.Errorf("the same three times:\n%s", out)
	}
	if _, err := a.keepForLater(id, m.Stamp(by, m.Ref("team/e", "1", "five"))); err != nil {
		t.Fatal(err)
	}
	if _, errs, status := p.stele("push", "--ledger", "http://"+freeAddress(t)); status != exitUnreachable {
		t.Errorf("a server that is not there: status %d: %s", status, errs)
	}
}

// TestPushOfWhatIsDamaged: what is not what was signed is named, and goes out of the way
// of what waits behind it.
func TestPushOfWhatIsDamaged(t *testing.T) {
	t.Parallel()
	p := newPerson(t)
	p.must("init", "--handle", "ada", "-q")
	a, by, id := p.app(), p.signs(), p.ledgerID()
	a.quiet = true
	m := &ledgertest.Maker{Ledger: id}
	document := filepath.Join(t.TempDir(), "document")
	if err := os.WriteFile(document, []byte("it was something else"), 0o600); err != nil {
		t.Fatal(err)
	}
	env := func(name string) *statement.Envelope { return m.Stamp(by, m.Ref(name, "1", name)) }
	s := a.spoolOf(id)
	var damaged []string
	for i, add := range []func() (spool.Item, error){
		func() (spool.Item, error) { return s.Add(env("team/a")) },
		func() (spool.Item, error) { return s.Add(env("team/b")) },
		func() (spool.Item, error) {
			return s.Add(env("team/c"), spool.Document{Attachment: statement.AttachmentOf([]byte("something")), Path: document})
		},
		func() (spool.Item, error) { return s.Add(env("team/d")) },
	} {
		item, err := add()
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(s.Dir(), item.Name, "envelope.json")
		switch i {
		case 0: // a bit of the payload, which stays a JSON text in base64
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			at := bytes.Index(text, []byte(`"payload":"`)) + len(`"payload":"`) + 40
			text[at] ^= 'A' ^ 'B'
			if err := os.WriteFile(path, text, 0o600); err != nil {
				t.Fatal(err)
			}
			damaged = append(damaged, path)
		case 1: // half of it
			if err := os.Truncate(path, 100); err != nil {
				t.Fatal(err)
			}
			damaged = append(damaged, path)
		}
	}
	damaged = append(damaged, ".attachment")
	address := freeAddress(t)
	p.serves(address)
	for range 2 { // it stays where it is until --skip
		_, errs, status := p.stele("push", "--ledger", "http://"+address)
		if status != exitTampered || !strings.Contains(errs, damaged[0]) || !strings.Contains(errs, "--skip") || !strings.Contains(errs, "4 statements still wait") {
			t.Errorf("status %d\n%s", status, errs)
		}
	}
	out, errs, status := p.stele("push", "--skip", "--json", "--ledger", "http://"+address)
	var pushed jsonv1.Push
	if err := json.Unmarshal([]byte(out), &pushed); err != nil || status != exitRefused || len(pushed.Pushed) != 1 || pushed.Pushed[0].Number != 4 || len(pushed.Skipped) != 3 || len(pushed.Waiting) != 0 {
		t.Fatalf("status %d, %v\n%s%s", status, err, out, errs)
	}
	for i, one := range pushed.Skipped {
		if !strings.Contains(one.Reason, damaged[i]) {
			t.Errorf("number %d: %s does not name %s", one.Number, one.Reason, damaged[i])
		}
	}
}

// TestSpool has a server that answers every read and breaks off every submission.
// What was signed is kept, and pushed when the server is well again.
func TestSpool(t *testing.T) {
	t.Parallel()
	p := newPerson(t)
	p.must("init", "--handle", "ada", "-q")
	p.write("data.csv", "1,2,3")
	address := freeAddress(t)
	p.serves(address)
	behind := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: address})
	front := httptest.NewServer(&clienttest.Proxy{Next: behind, Choose: func(r *http.Request) clienttest.Fault {
		if r.Method == http.MethodPost && r.URL.Path == "/v1/entries" {
			return clienttest.Cut // it is written, and nobody hears of it
		}
		return clienttest.None
	}})
	defer front.Close()
	out, errs, status := p.stele("stamp", "data.csv", "--as", "fraud/data@1", "--kind", "dataset", "--spool", "--ledger", front.URL)
	if status != exitUnreachable || !strings.Contains(out, "kept for later: number 1, stamp fraud/data@1") || !strings.Contains(errs, "stele push") {
		t.Fatalf("status %d\n%s%s", status, out, errs)
	}
	if out := p.must("push", "--list", "--json"); !strings.Contains(out, `"about":"fraud/data@1"`) {
		t.Errorf("what waits: %s", out)
	}
	// Another refusal than that of the network keeps nothing.
	if out, errs, status := p.stele("stamp", "data.csv", "--as", "Not A Name@1", "--spool", "--ledger", front.URL); status != exitUsage {
		t.Errorf("status %d\n%s%s", status, out, errs)
	}
	if out := p.must("push", "--ledger", "http://"+address); !strings.Contains(out, "is entry 1, which the ledger had already") {
		t.Errorf("pushed: %s", out)
	}
	p.must("verify", "fraud/data@1", "data.csv", "--ledger", "http://"+address)
}

// TestSpoolDocuments has a server that goes away while the data are read: a manifest
// and details are the first that it does not get.
func TestSpoolDocuments(t *testing.T) {
	t.Parallel()
	p := newPerson(t)
	p.must("init", "--handle", "ada", "-q")
	p.write("data.csv", "1,2,3")
	address := freeAddress(t)
	p.serves(address)
	var gone atomic.Bool
	front := httptest.NewServer(&clienttest.Proxy{
		Next: httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: address}),
		Choose: func(r *http.Request) clienttest.Fault {
			if r.Method == http.MethodPut {
				gone.Store(true)
			}
			if gone.Load() {
				return clienttest.Drop
			}
			return clienttest.None
		},
	})
	defer front.Close()
	var failed jsonv1.Failure
	for range 2 { // said again, the same stamp is kept once
		gone.Store(false)
		out, errs, status := p.stele("stamp", "data.csv", "--as", "fraud/data@1", "--spool", "--json", "--ledger", front.URL)
		if err := json.Unmarshal([]byte(out), &failed); err != nil || status != exitUnreachable || strings.Contains(errs, "left aside") {
			t.Fatalf("status %d, %v\n%s%s", status, err, out, errs)
		}
	}
	list, err := os.ReadDir(failed.Error.Path)
	if err != nil || len(list) != 3 {
		t.Fatalf("%s has %v, %v: want an envelope, a manifest and details", failed.Error.Path, list, err)
	}
	if out := p.must("push", "--list"); strings.Contains(out, "  2  ") {
		t.Errorf("what waits:\n%s", out)
	}
	if out := p.must("push", "--ledger", "http://"+address); !strings.Contains(out, "number 1 is entry 1\n") {
		t.Errorf("pushed: %s", out)
	}
	// The server has the documents as well.
	for _, what := range []string{"manifests/*.manifest", "attachments/*/*"} {
		if found, _ := filepath.Glob(filepath.Join(p.dir, ".stele", what)); len(found) != 1 {
			t.Errorf("%s: the server has %v", what, found)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(p.app().cacheDir(), "unsent-*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// TestKilledServer kills a server at random moments while many clients submit over
// a network that fails. What was acknowledged is in the log, and nothing is twice.
func TestKilledServer(t *testing.T) {
	t.Parallel()
	p := newPerson(t)
	p.must("init", "--handle", "ada", "-q")
	by, id := p.signs(), p.ledgerID()
	policy, _, err := p.app().policyFor(p.logOrigin())
	if err != nil || policy == nil {
		t.Fatalf("policy %v, %v", policy, err)
	}
	const workers, each, kills = 16, 9, 5
	envs := (&ledgertest.Maker{Ledger: id}).Stamps(by, "team/many", workers*each)

	address := freeAddress(t)
	server := p.serves(address)
	behind := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: address})
	behind.ErrorHandler = func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) }
	rng := rand.New(rand.NewPCG(5, 6))
	var mu sync.Mutex
	proxy := &clienttest.Proxy{
		Next: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			defer func() {
				if recover() != nil {
					w.WriteHeader(http.StatusBadGateway)
				}
			}()
			behind.ServeHTTP(w, r)
		}),
		Choose: func(*http.Request) clienttest.Fault {
			mu.Lock()
			defer mu.Unlock()
			if rng.IntN(4) > 0 {
				return clienttest.None
			}
			return clienttest.Faults[rng.IntN(len(clienttest.Faults))]
		},
	}
	front := httptest.NewServer(proxy)
	defer front.Close()
	c, err := client.New(client.Options{URL: front.URL, Attempts: 2000, Budget: time.Minute, Sleep: soon})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	log, err := c.FollowNewest(t.Context(), policy, evidence.Remembered{})
	if err != nil {
		t.Fatal(err)
	}

	acknowledged := make([]*client.Receipt, len(envs))
	told := make(chan struct{}, len(envs))
	var done sync.WaitGroup
	for n := range workers {
		done.Go(func() {
			for i := n; i < len(envs); i += workers {
				r, err := log.Submit(t.Context(), envs[i], client.SubmitOptions{})
				if err != nil {
					t.Errorf("envelope %d: %v", i, err)
					return
				}
				acknowledged[i] = r
				told <- struct{}{}
			}
		})
	}
	go func() { done.Wait(); close(told) }() // nobody is waited for who gave up
	// Each kill is while many submit: so many are told between two of them that the
	// last comes before all are.
	for range kills {
		for range len(envs) / (kills + 1) {
			<-told
		}
		mu.Lock()
		pause := time.Duration(rng.IntN(3)) * time.Millisecond
		mu.Unlock()
		time.Sleep(pause) // a random moment: nothing is waited for
		_ = server.Process.Kill()
		_ = server.Wait()
		server = p.serves(address)
	}
	done.Wait()
	_ = server.Process.Kill()
	_ = server.Wait()

	p.must("fsck")
	entries := map[string]int{}
	dec := json.NewDecoder(strings.NewReader(p.must("log", "--json", "-n", "0")))
	for dec.More() {
		var e struct {
			Entry   uint64 `json:"entry"`
			Subject string `json:"subject"`
		}
		if err := dec.Decode(&e); err != nil {
			t.Fatal(err)
		}
		entries[fmt.Sprint(e.Entry, " ", e.Subject)]++
	}
	if len(entries) != len(envs)+1 {
		t.Errorf("%d entries, want genesis and %d", len(entries), len(envs))
	}
	existed := 0
	for i, r := range acknowledged {
		if r == nil {
			continue
		}
		st, err := r.Entry.Statement()
		if err != nil {
			t.Fatal(err)
		}
		if r.ID != envs[i].ID() || entries[fmt.Sprint(r.Entry.Index, " ", subject(st))] != 1 {
			t.Errorf("envelope %d was acknowledged as entry %d, which it is not", i, r.Entry.Index)
		}
		if r.Existed {
			existed++
		}
	}
	t.Logf("%d kills; %d of %d receipts came only with another try", kills, existed, len(envs))
}

func (p *person) logOrigin() (origin string) {
	p.t.Helper()
	if err := p.app().read(p.t.Context(), func(r *reading) error { origin = r.Origin(); return nil }); err != nil {
		p.t.Fatal(err)
	}
	return origin
}
