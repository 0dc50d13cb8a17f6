package scan

import (
	"bytes"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func compile(t testing.TB, rules ...string) *Rules {
	t.Helper()
	r, err := CompileRules(rules)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestVectors: testdata/rules.json, those of docs/formats/ignore.md. A path of a
// folder ends with '/'.
func TestVectors(t *testing.T) {
	data, err := os.ReadFile("testdata/rules.json")
	if err != nil {
		t.Fatal(err)
	}
	var vectors []struct{ Rules, Hidden, Seen []string }
	if err := json.Unmarshal(data, &vectors); err != nil {
		t.Fatal(err)
	}
	for _, v := range vectors {
		r := compile(t, v.Rules...)
		for _, p := range v.Hidden {
			if !r.HidesWithin(strings.TrimSuffix(p, "/"), strings.HasSuffix(p, "/")) {
				t.Errorf("%q do not hide %s", v.Rules, p)
			}
		}
		for _, p := range v.Seen {
			if r.HidesWithin(strings.TrimSuffix(p, "/"), strings.HasSuffix(p, "/")) {
				t.Errorf("%q hide %s", v.Rules, p)
			}
		}
	}
}

// TestDefaultsHideNoCode: the rules that nobody asked for leave in what an
// interpreter, a loader or a framework would run.
func TestDefaultsHideNoCode(t *testing.T) {
	r := compile(t, DefaultRules()...)
	for _, p := range []string{
		"__pycache__/train.cpython-312.pyc", "train.py", "setup.sh", "Makefile", "modeling_x.py", "lib/x.so",
		".venv/bin/python", "node_modules/x/index.js", ".github/workflows/ci.yml", ".gitignore", ".gitattributes",
		".cache/x.py", ".cache/torch/x.so", "data/.cache/huggingface/x.py", ".env", ".bashrc", "sitecustomize.py", "x.ipynb",
	} {
		if r.HidesWithin(p, false) {
			t.Errorf("a default hides %s", p)
		}
	}
	for _, p := range []string{".git/config", "sub/.git/HEAD", ".stele/db/1.sst", ".stele", ".DS_Store", "a/Thumbs.db", ".cache/huggingface/download/x.metadata", "nb/.ipynb_checkpoints/x.ipynb"} {
		if !r.HidesWithin(p, false) {
			t.Errorf("the defaults leave %s", p)
		}
	}
}

func TestParseIgnoreFile(t *testing.T) {
	got, err := ParseIgnoreFile([]byte("\uFEFF# comment\n\n*.tmp\r\n  lead\ntrail  \nkept\\ \nesc\\\\  \n!x\n\\#y\n   \nlast"))
	want := []string{"*.tmp", "  lead", "trail", `kept\ `, `esc\\`, "!x", `\#y`, "last"}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("got %q, %v\nwant %q", got, err, want)
	}
	for _, bad := range []string{"a\xff", "a\x00b", strings.Repeat("x", MaxRule+1), strings.Repeat("x\n", MaxIgnoreFile/2+1)} {
		if _, err := ParseIgnoreFile([]byte(bad)); !errors.Is(err, ErrRule) {
			t.Errorf("%.20q: %v, want ErrRule", bad, err)
		}
	}
}

func TestCheckRule(t *testing.T) {
	for _, bad := range []string{"", "#x", "x ", " ", "x\n", "x\r", "a\x00", "\xff", strings.Repeat("x", MaxRule+1), `x\\ `} {
		if err := CheckRule(bad); !errors.Is(err, ErrRule) {
			t.Errorf("CheckRule(%.20q) = %v, want ErrRule", bad, err)
		}
	}
	for _, good := range []string{"x", " x", `x\ `, "!", "/", "[", `\`, strings.Repeat("x", MaxRule)} {
		if err := CheckRule(good); err != nil {
			t.Errorf("CheckRule(%.20q) = %v", good, err)
		}
	}
	if _, err := CompileRules(slices.Repeat([]string{"x"}, MaxRules+1)); !errors.Is(err, ErrRule) {
		t.Errorf("too many rules: %v", err)
	}
	if _, err := CompileRules(slices.Repeat([]string{strings.Repeat("x", MaxRule)}, MaxRulesBytes/MaxRule+1)); !errors.Is(err, ErrRule) {
		t.Errorf("too many bytes of rules: %v", err)
	}
}

// TestAttackSlowRule: rules whose matching takes git's way of trying
// exponential time.
func TestAttackSlowRule(t *testing.T) {
	name := strings.Repeat("a", 3000)
	deep := strings.Repeat("a/", 2000) + "a"
	for _, rule := range []string{
		strings.Repeat("*a", 400) + "b",
		strings.Repeat("**/", 300) + "b",
		strings.Repeat("**/a*/", 150) + "b",
		strings.Repeat("[a-z]*", 150) + "b",
	} {
		r := compile(t, rule)
		if r.Hides(name, false) || r.Hides(deep, false) {
			t.Errorf("%.20q matches", rule)
		}
	}
}

// TestAgainstGit asks the real git the same questions.
func TestAgainstGit(t *testing.T) {
	g := newGit(t)
	for _, c := range []string{
		"*.tmp", "a/*.b", "/a", "a/", "**/b", "a/**", "a/**/b", "a**/b", "/a**", "a/b**/c", "**", "**/", "/**", "*/", "*/*", "/*\n!/a",
		"!a\na", "a\n!a", "a/\n!a/b", "*\n!*/\n!b", "[ab]", "[!ab]", "[^ab]", "[]]", "[a-]", "[-a]", "[a", "[[:alpha:]]", "[[:foo:]]", "[[:alpha:]-z]",
		"[[:]", `[\]]`, `\a`, `a\`, "a//", "//a", "/", "!", "!/", "a /", " a", "?", "a?b", "***", "a/***/b", "***/b", "**a", "*a*", "a*b*c", `**\/b`, `\*`, "{a,b}",
		"[b-a]", "[a-b-c]", "[!]", "[!]]", "[*]", "a[/]b", "a[!x]b", "[[:space:]]", "[[:punct:]]", "[[:graph:]]", "[[:cntrl:]]", "[[:print:]]", "[[:xdigit:]]", "[[:upper:]]", "[[:blank:]]",
		"ab*", "a/b", "/a/b/", "a/b/c", "b/c", "é", "?é", "[é]", "??",
	} {
		g.compare(t, strings.Split(c, "\n"))
	}
	rng := rand.New(rand.NewPCG(1, 2))
	pieces := []string{"a", "b", "c", "ab", "/", "/", "*", "**", "**/", "/**/", "?", "[ab]", "[!a]", "[a-c]", `\a`, ".", "x", "[[:lower:]]", "!"}
	n := 400
	if testing.Short() {
		n = 40
	}
	for range n {
		var rules []string
		for range 1 + rng.IntN(4) {
			rule := ""
			if rng.IntN(4) == 0 {
				rule = "!"
			}
			for range 1 + rng.IntN(5) {
				rule += pieces[rng.IntN(len(pieces))]
			}
			if rng.IntN(4) == 0 {
				rule += "/"
			}
			rules = append(rules, rule)
		}
		g.compare(t, rules)
	}
}

// git is a repository with a tree of many names.
type git struct {
	dir   string
	paths []string // folders end with '/'
}

func newGit(t *testing.T) *git {
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip(err)
	}
	g := &git{dir: t.TempDir()}
	if out, err := g.command("init", "-q").CombinedOutput(); err != nil {
		t.Fatalf("git init: %v: %s", err, out)
	}
	segments := []string{"a", "b", "c", "ab", "abc", "xa", "a.b", "x.tmp", "a b", "é", "-", "]", "[", "*", "#", "A", "1", `\`, "{a,b}", "a\tb"}
	for i, s := range segments {
		g.file(t, s+"f") // files of their own, since a name is a folder or a file
		for j, s2 := range segments[:7] {
			g.file(t, filepath.Join(s, s2+"f"))
			g.file(t, filepath.Join(s, s2, segments[(i+j)%len(segments)]))
		}
		g.file(t, filepath.Join("b", "deep", s))
		g.file(t, filepath.Join("only", s))
	}
	return g
}

func (g *git) command(args ...string) *exec.Cmd {
	cmd := exec.Command("git", append([]string{"-C", g.dir, "-c", "core.excludesFile=/dev/null", "-c", "core.ignoreCase=false"}, args...)...)
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1")
	return cmd
}

func (g *git) file(t *testing.T, path string) {
	full := filepath.Join(g.dir, path)
	if err := os.MkdirAll(filepath.Dir(full), 0o777); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(full); err == nil && info.IsDir() {
		return
	}
	if err := os.WriteFile(full, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	g.paths = append(g.paths, path)
	for d := filepath.Dir(path); d != "."; d = filepath.Dir(d) {
		if !slices.Contains(g.paths, d+"/") {
			g.paths = append(g.paths, d+"/")
		}
	}
}

func (g *git) compare(t *testing.T, rules []string) {
	t.Helper()
	file := strings.Join(rules, "\n") + "\n"
	parsed, err := ParseIgnoreFile([]byte(file))
	if err != nil {
		t.Fatalf("%q: %v", rules, err)
	}
	r := compile(t, parsed...)
	if err := os.WriteFile(filepath.Join(g.dir, ".gitignore"), []byte(file), 0o666); err != nil {
		t.Fatal(err)
	}
	cmd := g.command("check-ignore", "--no-index", "-z", "--stdin")
	var in bytes.Buffer
	for _, p := range g.paths {
		in.WriteString(strings.TrimSuffix(p, "/") + "\x00")
	}
	cmd.Stdin = &in
	out, err := cmd.Output()
	if exit := (*exec.ExitError)(nil); err != nil && !(errors.As(err, &exit) && exit.ExitCode() == 1) {
		t.Fatalf("git check-ignore: %v", err)
	}
	ignored := make(map[string]bool)
	for p := range strings.SplitSeq(string(out), "\x00") {
		ignored[p] = true
	}
	for _, p := range g.paths {
		bare := strings.TrimSuffix(p, "/")
		if got := r.HidesWithin(bare, bare != p); got != ignored[bare] {
			t.Errorf("rules %q: %s hidden %v, git says %v", rules, p, got, ignored[bare])
		}
	}
}

func FuzzRules(f *testing.F) {
	f.Add("*.tmp\n!x", "a/b.tmp")
	f.Add("a/**/b\n[[:alpha:]]", "a/x/b")
	f.Fuzz(func(t *testing.T, file, path string) {
		rules, err := ParseIgnoreFile([]byte(file))
		if err != nil {
			return
		}
		r, err := CompileRules(rules)
		if err != nil {
			return
		}
		// A list that was parsed is its own canonical form.
		again, err := ParseIgnoreFile([]byte(strings.Join(rules, "\n")))
		if err != nil || !slices.Equal(again, rules) {
			t.Errorf("%q parses again as %q, %v", rules, again, err)
		}
		r.HidesWithin(path, false)
		if r.Hides(IgnoreFile, false) {
			t.Errorf("%q hide %s", rules, IgnoreFile)
		}
	})
}
