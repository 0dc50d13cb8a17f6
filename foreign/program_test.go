package foreign

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stele-ml/stele/internal/home"
	"github.com/stele-ml/stele/statement"
)

// A running is the program itself, as people have it: stele init, stele stamp, stele
// serve, at the address that it prints.
type running struct {
	dir, vkey, address string
	serve              *exec.Cmd
}

func startProgram(t *testing.T, flags ...string) *running {
	t.Helper()
	dir := t.TempDir()
	stele := filepath.Join(dir, "stele.exe")
	if out, err := exec.Command("go", "build", "-o", stele, "../cmd/stele").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	env := append(os.Environ(), "STELE_CONFIG="+filepath.Join(dir, "config"), "STELE_STATE="+filepath.Join(dir, "state"))
	command := func(args ...string) *exec.Cmd {
		cmd := exec.CommandContext(t.Context(), stele, args...)
		cmd.Dir, cmd.Env = dir, env
		return cmd
	}
	run := func(args ...string) {
		t.Helper()
		if out, err := command(args...).CombinedOutput(); err != nil {
			t.Fatalf("stele %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "data"), []byte("some data\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	run("init", "--handle", "ada")
	run("stamp", "data", "--as", "lab/data@1")
	run("trust", "export", "-o", "policy")
	policy, err := os.ReadFile(filepath.Join(dir, "policy"))
	if err != nil {
		t.Fatal(err)
	}
	vkey := regexp.MustCompile(`(?m)^log (\S+)`).FindSubmatch(policy)
	if vkey == nil {
		t.Fatalf("no log key in the trust file:\n%s", policy)
	}
	p := &running{dir: dir, vkey: string(vkey[1]), serve: command(append([]string{"serve", "--listen", "127.0.0.1:0"}, flags...)...)}
	stdout, err := p.serve.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.serve.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	p.address = regexp.MustCompile(`http://\S+`).FindString(line)
	return p
}

// ada signs as the one who made the ledger.
func (p *running) ada(t *testing.T) statement.Signer {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(p.dir, "config", "keys", home.DefaultKey+".pem"))
	if err != nil {
		t.Fatal(err)
	}
	s, err := statement.ParsePrivateKey(text, rand.Reader, nil)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (p *running) stop(t *testing.T) {
	t.Helper()
	if err := p.serve.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := p.serve.Wait(); err != nil {
		t.Errorf("stele serve, interrupted: %v", err)
	}
}

func TestFsckAgreesWithTheProgram(t *testing.T) {
	program(t, "fsck")
	p := startProgram(t)
	l := &testLedger{vkey: p.vkey}
	out := fsck(t, l, p.address+"/")
	if !strings.Contains(out, success+"2 ") {
		t.Errorf("fsck does not vouch for what stele serves at %q", p.address)
	}
	// The control: the same server, with one bit of an entry changed on the way.
	if out := fsck(t, l, flippedOnTheWay(t, p.address)); strings.Contains(out, success) || !strings.Contains(out, "checking log of size 2") {
		t.Error("fsck vouches for a log with a flipped bit, or did not check it")
	}
	p.stop(t)
}

// flippedOnTheWay is a server's address behind which a bit of the entries is wrong.
func flippedOnTheWay(t *testing.T, server string) string {
	t.Helper()
	to, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(to)
			r.Out.Header.Del("Accept-Encoding") // so that the bytes are the log's
		},
		ModifyResponse: func(r *http.Response) error {
			if !strings.HasPrefix(r.Request.URL.Path, "/tile/entries/") || r.StatusCode != http.StatusOK {
				return nil
			}
			body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
			if err != nil {
				return err
			}
			body[2+len("stele entry v1\n")+40] ^= 1 // in the first entry's control root
			r.Body = io.NopCloser(bytes.NewReader(body))
			return nil
		},
	}
	s := httptest.NewServer(proxy)
	t.Cleanup(s.Close)
	return s.URL + "/"
}
