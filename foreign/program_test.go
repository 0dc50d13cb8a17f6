package foreign

import (
	"bufio"
	"bytes"
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
)

// The program itself, as people have it: stele init, stele stamp, stele serve,
// and Tessera's fsck at the address that serve prints.
func TestFsckAgreesWithTheProgram(t *testing.T) {
	program(t, "fsck")
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
	serve := command("serve", "--listen", "127.0.0.1:0")
	stdout, err := serve.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := serve.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	address := regexp.MustCompile(`http://\S+`).FindString(line)
	out := fsck(t, &testLedger{vkey: string(vkey[1])}, address+"/")
	if !strings.Contains(out, success+"2 ") {
		t.Errorf("fsck does not vouch for what stele serves at %q", address)
	}
	// The control: the same server, with one bit of an entry changed on the way.
	if out := fsck(t, &testLedger{vkey: string(vkey[1])}, flippedOnTheWay(t, address)); strings.Contains(out, success) || !strings.Contains(out, "checking log of size 2") {
		t.Error("fsck vouches for a log with a flipped bit, or did not check it")
	}
	if err := serve.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := serve.Wait(); err != nil {
		t.Errorf("stele serve, interrupted: %v", err)
	}
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
