package ci

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// job is the action before a site, with these inputs beside the usual ones.
func (p *published) job(t *testing.T, s *site, inputs map[string]string) *job {
	j := &job{
		t: t, action: readAction(t), dir: s.dir, env: append(s.env, "CURL_CA_BUNDLE="+p.certificates),
		uploads: func(step, map[string]string) error { return nil },
		program: p.program,
		inputs: map[string]string{
			"artifact": s.good, "stage": "production", "ledger": s.ledger, "trust": s.trust,
			"version": p.version, "checksum": p.sum, "download-url": p.url,
		},
	}
	for name, v := range inputs {
		j.inputs[name] = v
	}
	return j
}

// TestAction asks gates that are open and shut, and has uploads fail.
func TestAction(t *testing.T) {
	p, s := before(t)
	for name, c := range map[string]struct {
		inputs map[string]string
		broken bool // the uploads fail
		status string
		kept   int // how many times the report is uploaded
	}{
		"open":                     {nil, false, "0", 1},
		"open, with the files":     {map[string]string{"path": filepath.Join(s.models, "2")}, false, "0", 1},
		"open, no upload":          {map[string]string{"upload": "none"}, false, "0", 0},
		"open, both uploads":       {map[string]string{"upload": "artifact,code-scanning"}, false, "0", 2},
		"open, a junit report":     {map[string]string{"report": "junit", "upload": "artifact,code-scanning"}, false, "0", 1},
		"open, the upload fails":   {nil, true, "0", 1},
		"withdrawn":                {map[string]string{"artifact": s.withdrawn}, false, "4", 1},
		"withdrawn, upload fails":  {map[string]string{"artifact": s.withdrawn, "upload": "artifact,code-scanning"}, true, "4", 2},
		"withdrawn, no upload":     {map[string]string{"artifact": s.withdrawn, "upload": "none", "format": "text"}, false, "4", 0},
		"other files":              {map[string]string{"path": filepath.Join(s.models, "1")}, false, "3", 1},
		"no such artifact":         {map[string]string{"artifact": "fraud/net@9"}, false, "5", 1},
		"no trust":                 {map[string]string{"trust": ""}, false, "6", 1},
		"a rule refuses":           {map[string]string{"artifact": s.unready}, false, "4", 1},
		"a rule about nobody":      {map[string]string{"artifact": s.personal}, false, "5", 1},
		"a rule about somebody":    {map[string]string{"artifact": s.personal, "by": "ada"}, false, "4", 1},
		"no ledger":                {map[string]string{"ledger": "/nowhere"}, false, "5", 1},
		"a format there is not":    {map[string]string{"format": "xml"}, false, "2", 0},
		"a report there is not":    {map[string]string{"report": "pdf"}, false, "", 0},
		"a version there is not":   {map[string]string{"version": "9.9.9"}, false, "", 0},
		"another archive's digest": {map[string]string{"checksum": strings.Repeat("0", 64)}, false, "", 0},
		"one of several digests":   {map[string]string{"checksum": strings.Repeat("0", 64) + "\n" + strings.ToUpper(p.sum)}, false, "0", 1},
		"half a digest":            {map[string]string{"checksum": p.sum[:32]}, false, "", 0},
		"an unencrypted mirror":    {map[string]string{"download-url": "http" + strings.TrimPrefix(p.url, "https")}, false, "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			j := p.job(t, s, c.inputs)
			_, version := c.inputs["version"]
			_, pin := c.inputs["checksum"]
			_, url := c.inputs["download-url"]
			j.installs = version || pin || url || c.inputs == nil
			kept := 0
			j.uploads = func(by step, with map[string]string) error {
				kept++
				path := with["path"] + with["sarif_file"]
				text, err := os.ReadFile(path)
				if err != nil {
					t.Errorf("%s: %v", by.Name, err)
				}
				if j.inputs["report"] == "junit" {
					err = xml.Unmarshal(text, new(struct {
						XMLName xml.Name `xml:"testsuites"`
					}))
				} else {
					var sarif struct{ Version string }
					if err = json.Unmarshal(text, &sarif); err == nil && sarif.Version != "2.1.0" {
						err = fmt.Errorf("version %q", sarif.Version)
					}
				}
				if err != nil {
					t.Errorf("%s: %v", path, err)
				}
				if strings.ContainsAny(with["name"], "/@\n") {
					t.Errorf("%q is no name of an artifact of a job", with["name"])
				}
				if c.broken {
					return errors.New("no room")
				}
				return nil
			}
			failed := j.run()
			if failed != (c.status != "0") || j.outputs["gate.status"] != c.status || kept != c.kept {
				t.Errorf("failed %t, status %q, %d uploads; want status %q, %d uploads\n%s", failed, j.outputs["gate.status"], kept, c.status, c.kept, &j.log)
			}
			if c.broken != strings.Contains(j.log.String(), "::warning title=stele gate::the report could not be uploaded") {
				t.Errorf("of uploads that failed: %t\n%s", c.broken, &j.log)
			}
			if j.inputs["format"] == "text" && !regexp.MustCompile(`(?s)^::stop-commands::([0-9a-f]{32})\n.*refused.*\n::[0-9a-f]{32}::\n`).Match(j.log.Bytes()) {
				t.Errorf("the runner reads what is on the ledger:\n%s", &j.log)
			}
			if refused := j.inputs["artifact"] == s.unready; refused != strings.Contains(j.log.String(), "production needs an approval") {
				t.Errorf("the rule's sentence stands in the log: %t\n%s", !refused, &j.log)
			}
			if (c.status == "") != strings.Contains(j.log.String(), "nothing was let through") {
				t.Errorf("the log says:\n%s", &j.log)
			}
			if c.status == "" {
				return
			}
			if j.installs {
				path, err := os.ReadFile(filepath.Join(j.temp, "path"))
				if err != nil {
					t.Fatal(err)
				}
				if _, err := os.Stat(filepath.Join(strings.TrimSpace(string(path)), "stele")); err != nil {
					t.Errorf("what the PATH of later steps has: %v", err)
				}
			}
			if c.kept == 0 || j.inputs["format"] == "text" {
				return
			}
			if summary, err := os.ReadFile(filepath.Join(j.temp, "summary.md")); err != nil || !strings.Contains(string(summary), " may ") {
				t.Errorf("the job's summary: %v\n%s", err, summary)
			}
		})
	}
}

// Somebody who names an artifact, in a pull request, wants a program of theirs
// to run, or a gate that says yes.
func TestAttackerNamesAnArtifact(t *testing.T) {
	p, s := before(t)
	for _, text := range []string{
		"$(touch pwned)", "`touch pwned`", "'; touch pwned; '", "\"; touch pwned; \"", "a@1\nstatus=0", "a@1\n::set-output name=status::0",
		"--help", "--version", "-h", "--", "", "a@1 --help", "${{ github.token }}", "*",
	} {
		for _, input := range []string{"artifact", "stage"} {
			t.Run(fmt.Sprintf("%s %q", input, text), func(t *testing.T) {
				t.Parallel()
				j := p.job(t, s, map[string]string{input: text})
				j.dir = t.TempDir()
				if failed := j.run(); !failed || j.outputs["gate.status"] == "0" {
					t.Errorf("failed %t, status %q\n%s", failed, j.outputs["gate.status"], &j.log)
				}
				if left, err := os.ReadDir(j.dir); err != nil || len(left) > 0 {
					t.Errorf("a program was run: %v, %v", left, err)
				}
			})
		}
	}
}

// shells are those that run the script here.
func shells(t *testing.T) (list [][]string) {
	for _, words := range [][]string{{"sh"}, {"bash"}, {"dash"}, {"busybox", "sh"}} {
		if _, err := exec.LookPath(words[0]); err == nil {
			list = append(list, words)
		} else {
			t.Logf("no %s here", words[0])
		}
	}
	return list
}

// applets is a folder with busybox under every name that it has, and curl: what
// Alpine has after `apk add curl`.
func applets(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	list, err := exec.Command("busybox", "--list").Output()
	if err != nil {
		t.Fatal(err)
	}
	for name := range strings.FieldsSeq(string(list)) {
		if path, err := exec.LookPath("busybox"); err != nil || os.Symlink(path, filepath.Join(dir, name)) != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	path, err := exec.LookPath("curl")
	if err == nil {
		err = os.Symlink(path, filepath.Join(dir, "curl"))
	}
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// A script run has the script's own answer.
func (p *published) script(t *testing.T, shell []string, dir string, env []string, args ...string) (string, int) {
	t.Helper()
	path, err := filepath.Abs("gate.sh")
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command(shell[0], append(append(shell[1:len(shell):len(shell)], path), args...)...)
	c.Dir, c.Env = dir, env
	out, err := c.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return string(out), c.ProcessState.ExitCode()
}

// environment is what the script needs to know.
func (p *published) environment(s *site) []string {
	return append(s.env[:len(s.env):len(s.env)], "CURL_CA_BUNDLE="+p.certificates, "STELE_VERSION="+p.version, "STELE_CHECKSUM="+p.sum, "STELE_DOWNLOAD_URL="+p.url,
		"STELE_LEDGER="+s.ledger, "STELE_TRUST="+s.trust)
}

// TestScript runs gate.sh in every shell that is here.
func TestScript(t *testing.T) {
	p, s := before(t)
	for i, shell := range shells(t) {
		for name, c := range map[string]struct {
			args   []string
			status int
			report bool
		}{
			"open":      {[]string{s.good, "--stage", "production", filepath.Join(s.models, "2")}, 0, true},
			"withdrawn": {[]string{s.withdrawn, "--stage", "production"}, 4, true},
			"tampered":  {[]string{s.good, "--stage", "production", filepath.Join(s.models, "1")}, 3, true},
			"no name":   {nil, 2, false},
			"no stage":  {[]string{s.good}, 2, false},
		} {
			if i > 0 && name != "open" && name != "no name" {
				continue // the shells differ in how they read the script, and not in what it says
			}
			t.Run(shell[0]+" "+name, func(t *testing.T) {
				t.Parallel()
				dir, temp := t.TempDir(), t.TempDir()
				env := append(p.environment(s), "TMPDIR="+temp)
				if shell[0] == "busybox" {
					env = append(env, "PATH="+applets(t))
				}
				out, status := p.script(t, shell, dir, env, c.args...)
				if status != c.status {
					t.Errorf("status %d, want %d\n%s", status, c.status, out)
				}
				text, err := os.ReadFile(filepath.Join(dir, "stele-gate.xml"))
				if (err == nil) != c.report || c.report && strings.Contains(string(text), "<failure") != (c.status != 0) {
					t.Errorf("the report: %v\n%s", err, text)
				}
				if left, err := os.ReadDir(temp); err != nil || len(left) > 0 {
					t.Errorf("left behind: %v, %v", left, err)
				}
			})
		}
	}
}

// Somebody who has the mirror, or the way to it, gives another program. None of
// it is unpacked, or run.
func TestAttackerReplacesTheRelease(t *testing.T) {
	p, s := before(t)
	program, err := unpack(p.files["/v"+p.version+"/"+p.archive])
	if err != nil {
		t.Fatal(err)
	}
	sum := func(data []byte) string {
		h := sha256.Sum256(data)
		return hex.EncodeToString(h[:])
	}
	good := p.files["/v"+p.version+"/"+p.archive]
	altered := append([]byte{}, good...)
	altered[len(altered)/2] ^= 1
	plain := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write(p.files[r.URL.Path]) }))
	t.Cleanup(plain.Close)
	other := "1.2.4"
	renamed := strings.Replace(p.archive, p.version, other, 1)
	repacked := pack(t, strings.TrimSuffix(renamed, ".tar.gz"), program)
	line := func(sum, name string) string { return sum + "  " + name + "\n" }
	for name, c := range map[string]struct {
		version, sums, archive string // "": as they are
		data                   []byte // of the archive; nil: as it is
		pin                    string
		redirect               string
		status                 int
		says                   string
	}{
		"a bit of the archive":            {data: altered, status: 3, says: "and SHA256SUMS says"},
		"the archive and SHA256SUMS":      {data: altered, sums: line(sum(altered), p.archive), pin: p.sum, status: 3, says: "STELE_CHECKSUM does not name"},
		"an archive that is not listed":   {sums: line(p.sum, "x"+p.archive), status: 3, says: "does not list"},
		"an archive that is listed twice": {sums: line(p.sum, p.archive) + line(sum(altered), p.archive), status: 3, says: "does not list"},
		"a list of nothing":               {sums: "\n", status: 3, says: "does not list"},
		"another version's archive":       {version: other, archive: renamed, sums: line(p.sum, renamed), status: 3, says: "does not hold"},
		"another version's program":       {version: other, archive: renamed, sums: line(sum(repacked), renamed), data: repacked, status: 3, says: "another version"},
		"a way without TLS":               {redirect: plain.URL, status: 7, says: "could not be downloaded"},
		"a version that climbs":           {version: "1.2.3/../1", status: 2, says: "is no version"},
		"no version":                      {version: " ", status: 2, says: "is no version"},
		"a server that has nothing":       {version: "1.0.0", status: 5, says: "no such file"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			version, archive, sums, data := p.version, p.archive, string(p.files["/v"+p.version+"/SHA256SUMS"]), good
			if c.version != "" {
				version = c.version
			}
			if c.archive != "" {
				archive = c.archive
			}
			if c.sums != "" {
				sums = c.sums
			}
			if c.data != nil {
				data = c.data
			}
			files := map[string][]byte{}
			if version != "1.0.0" {
				files["/v"+version+"/SHA256SUMS"], files["/v"+version+"/"+archive] = []byte(sums), data
			}
			server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if c.redirect != "" {
					http.Redirect(w, r, c.redirect+r.URL.Path, http.StatusFound)
				} else if data, ok := files[r.URL.Path]; ok {
					_, _ = w.Write(data)
				} else {
					http.NotFound(w, r)
				}
			}))
			t.Cleanup(server.Close) // its certificate is that of every httptest server
			env := append(p.environment(s), "STELE_VERSION="+version, "STELE_DOWNLOAD_URL="+server.URL, "STELE_CHECKSUM="+c.pin)
			into := filepath.Join(t.TempDir(), "bin")
			out, status := p.script(t, []string{"sh"}, s.dir, env, "--install", into)
			if status != c.status || !strings.Contains(out, c.says) {
				t.Errorf("status %d, want %d and %q\n%s", status, c.status, c.says, out)
			}
			if left, _ := os.ReadDir(into); len(left) > 0 {
				t.Errorf("installed: %v", left)
			}
		})
	}
}
