package main

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stele-ml/stele/internal/ledger/ledgertest"
)

// between is an address whose server can be changed, and that can look at each
// request first: false, and nobody answers it.
type between struct {
	url   string
	to    atomic.Pointer[string] // the server's address
	watch atomic.Pointer[func(r *http.Request) bool]
}

func newBetween(t *testing.T, address string) *between {
	t.Helper()
	b := new(between)
	b.to.Store(&address)
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(&url.URL{Scheme: "http", Host: *b.to.Load()}) },
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) {
			w.WriteHeader(http.StatusBadGateway) // a client that was killed is no news
		},
	}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if watch := b.watch.Load(); watch != nil && !(*watch)(r) {
			panic(http.ErrAbortHandler)
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	b.url = s.URL
	return b
}

// doomed is a process that is killed by what it asks for.
type doomed struct {
	mu  sync.Mutex
	cmd *exec.Cmd
}

func (d *doomed) start(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	d.cmd = cmd
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
}

func (d *doomed) kill() {
	d.mu.Lock()
	defer d.mu.Unlock()
	_ = d.cmd.Process.Kill()
}

// fetched is what an address answers, and its status; 0 and why, if nobody does.
func fetched(t *testing.T, address string) (int, string) {
	t.Helper()
	res, err := http.Get(address)
	if err != nil {
		return 0, err.Error()
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err != nil {
		return 0, err.Error()
	}
	return res.StatusCode, string(body)
}

// trustsLogOf has the person trust the log of another.
func (p *person) trustsLogOf(other *person) {
	p.t.Helper()
	file := filepath.Join(p.dir, "trust.policy")
	other.must("trust", "export", "-o", file)
	p.must("trust", "add", file)
}

// mirrors follows a ledger into the folder copy, and returns where it is served.
func (p *person) mirrors(d *doomed, primary string, stderr io.Writer) (cmd *exec.Cmd, address string) {
	p.t.Helper()
	cmd = p.command("mirror", primary, "--dir", "copy", "--listen", "127.0.0.1:0", "--every", "100ms")
	cmd.Stderr = stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		p.t.Fatal(err)
	}
	d.start(p.t, cmd)
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		p.t.Fatalf("the mirror says nothing: %v", err)
	}
	if address = regexp.MustCompile(`http://127\.0\.0\.1:[0-9]+`).FindString(line); address == "" {
		p.t.Fatalf("no address in %q", line)
	}
	return cmd, address
}

// fills puts many stamps on the ledger, many in a commit.
func (p *person) fills(n int) {
	p.t.Helper()
	a := p.app()
	envs := (&ledgertest.Maker{Ledger: p.ledgerID()}).Stamps(p.signs(), "team/many", n)
	e, err := a.open(p.t.Context(), filepath.Join(p.dir, ledgerName))
	if err != nil {
		p.t.Fatal(err)
	}
	defer a.close(e)
	const workers = 256
	var all sync.WaitGroup
	for w := range workers {
		all.Go(func() {
			for i := w; i < n; i += workers {
				if _, err := e.Submit(p.t.Context(), envs[i]); err != nil {
					p.t.Errorf("stamp %d: %v", i, err)
					return
				}
			}
		})
	}
	all.Wait()
}

// TestKilledMirror kills a mirror at one request after another while it catches up,
// and then each time that it learns of more. It goes on, and comes to the same.
func TestKilledMirror(t *testing.T) {
	t.Parallel()
	ada, bob := newPerson(t), newPerson(t)
	ada.must("init", "--handle", "ada", "-q")
	ada.fills(4500) // more than is made durable at once
	bob.trustsLogOf(ada)
	bob.write("copy/README", "a mirror\n")
	address := freeAddress(t)
	ada.with("STELE_SERVE_RATE_ADDRESS=0").serves(address)
	b := newBetween(t, address)

	// While it catches up.
	killed := 0
	for at := int64(1); ; at += 4 {
		var d doomed
		var asked atomic.Int64
		watch := func(*http.Request) bool {
			if asked.Add(1) < at {
				return true
			}
			d.kill()
			return false
		}
		b.watch.Store(&watch)
		var errs bytes.Buffer
		cmd := bob.command("mirror", b.url, "--dir", "copy", "--once")
		cmd.Stderr = &errs
		d.start(t, cmd)
		err := cmd.Wait()
		if err == nil {
			break
		}
		if cmd.ProcessState.ExitCode() != -1 {
			t.Fatalf("it was not killed, and ended with %v:\n%s", err, &errs)
		}
		killed++
		if at > 200 {
			t.Fatal("it never ends")
		}
	}
	if killed < 3 {
		t.Errorf("only %d were killed", killed)
	}
	bob.must("--ledger", "copy", "fsck")

	// While it follows: it is killed when it asks for the entries that are new.
	for _, name := range []string{"team/a@1", "team/b@1", "team/c@1"} {
		var d doomed
		none := func(*http.Request) bool { return true }
		b.watch.Store(&none)
		cmd, _ := bob.mirrors(&d, b.url, nil)
		atEntries := func(r *http.Request) bool {
			if !strings.HasPrefix(r.URL.Path, "/tile/entries/") {
				return true
			}
			d.kill()
			return false
		}
		b.watch.Store(&atEntries)
		ada.write("data.csv", name)
		ada.must("stamp", "data.csv", "--as", name, "-q")
		if err := cmd.Wait(); err == nil || cmd.ProcessState.ExitCode() != -1 {
			t.Fatalf("it was not killed: %v", err)
		}
	}
	none := func(*http.Request) bool { return true }
	b.watch.Store(&none)
	var d doomed
	cmd, mirror := bob.mirrors(&d, b.url, nil)
	_, want := fetched(t, "http://"+address+"/checkpoint")
	bob.until("the mirror has the primary's checkpoint", func() bool {
		status, got := fetched(t, mirror+"/checkpoint")
		return status == http.StatusOK && got == want
	})
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("interrupted: %v", err)
	}
	bob.must("--ledger", "copy", "fsck")
	t.Logf("%d were killed while they caught up", killed)
}

// twin is the same person once more, with a copy of everything: an operator who
// tells two histories.
func (p *person) twin() *person {
	p.t.Helper()
	q := newPerson(p.t)
	for from, to := range map[string]string{p.dir: q.dir, p.state(): q.state(), p.config(): q.config()} {
		err := filepath.WalkDir(from, func(name string, e fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			info, err := e.Info()
			if err != nil {
				return err
			}
			rel, err := filepath.Rel(from, name)
			if err != nil {
				return err
			}
			at := filepath.Join(to, rel)
			if e.IsDir() {
				return os.MkdirAll(at, info.Mode().Perm())
			}
			data, err := os.ReadFile(name)
			if err != nil {
				return err
			}
			return os.WriteFile(at, data, info.Mode().Perm())
		})
		if err != nil {
			p.t.Fatal(err)
		}
	}
	return q
}

// TestAttackerForksThePrimary: the operator of the primary shows a mirror that
// follows another history. It answers as before, says that it is not ready, and why.
func TestAttackerForksThePrimary(t *testing.T) {
	t.Parallel()
	ada, bob := newPerson(t), newPerson(t)
	ada.must("init", "--handle", "ada", "-q")
	eve := ada.twin()
	for name, p := range map[string]*person{"team/true@1": ada, "team/false@1": eve} {
		p.write("data.csv", name)
		p.must("stamp", "data.csv", "--as", name, "-q")
	}
	bob.trustsLogOf(ada)
	bob.write("copy/README", "a mirror\n")
	honest, forked := freeAddress(t), freeAddress(t)
	ada.serves(honest)
	eve.serves(forked)
	b := newBetween(t, honest)
	log, err := os.Create(filepath.Join(bob.dir, "mirror.err"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	var d doomed
	cmd, mirror := bob.mirrors(&d, b.url, log)
	_, want := fetched(t, "http://"+honest+"/checkpoint")
	if status, got := fetched(t, mirror+"/checkpoint"); status != http.StatusOK || got != want {
		t.Fatalf("before: %d %s", status, got)
	}
	if status, body := fetched(t, mirror+"/health/ready"); status != http.StatusOK {
		t.Fatalf("before: %d %s", status, body)
	}
	b.to.Store(&forked)
	var said string
	bob.until("the mirror is not ready", func() bool {
		var status int
		status, said = fetched(t, mirror+"/health/ready")
		return status == http.StatusServiceUnavailable
	})
	if !strings.Contains(said, "two histories") {
		t.Errorf("ready says %s", said)
	}
	b.to.Store(&honest) // a fork is not forgotten
	for path, has := range map[string]string{"/checkpoint": want, "/v1/names": "team/true", "/health/live": "true"} {
		if status, got := fetched(t, mirror+path); status != http.StatusOK || !strings.Contains(got, has) || strings.Contains(got, "team/false") {
			t.Errorf("%s: %d %s", path, status, got)
		}
	}
	bob.until("its log says so", func() bool {
		text, err := os.ReadFile(log.Name())
		return err == nil && bytes.Contains(text, []byte("two histories")) && bytes.Contains(text, []byte("serving the 2 entries that are here"))
	})
	if status, _ := fetched(t, mirror+"/health/ready"); status != http.StatusServiceUnavailable {
		t.Error("it is ready again, and a fork does not end")
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	var exit *exec.ExitError
	if err := cmd.Wait(); !errors.As(err, &exit) || exit.ExitCode() != exitUntrusted {
		text, _ := os.ReadFile(log.Name())
		t.Errorf("it ends with %v, want %d\n%s", err, exitUntrusted, text)
	}
	bob.must("--ledger", "copy", "fsck")
	// Nor when it is started again, before the true history; and it is no backup.
	for _, args := range [][]string{{"mirror", b.url, "--dir", "copy", "--once"}, {"restore", "copy", "--to", "again"}} {
		if _, errs, status := bob.stele(args...); status != exitUntrusted || !strings.Contains(errs, "two histories") {
			t.Errorf("%v: %d %s", args, status, errs)
		}
	}
}
