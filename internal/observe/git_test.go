package observe

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stele-ml/stele/fingerprint"
	"github.com/stele-ml/stele/internal/scan"
	"github.com/stele-ml/stele/statement"
)

// repository is a real git repository.
type repository struct {
	t   *testing.T
	dir string
}

func newRepository(t *testing.T) *repository {
	t.Helper()
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("git is not installed")
	}
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{"GIT_CONFIG_GLOBAL": os.DevNull, "GIT_CONFIG_SYSTEM": os.DevNull} {
		t.Setenv(name, value)
	}
	r := &repository{t, dir}
	r.git("init", "-q", "-b", "main")
	r.write("train.py", "print(1)\n")
	r.write(".gitignore", "*.log\n")
	r.commit()
	return r
}

func (r *repository) git(args ...string) string {
	r.t.Helper()
	cmd := exec.Command("git", append([]string{"-C", r.dir, "-c", "user.name=ada", "-c", "user.email=ada@example.org", "-c", "protocol.file.allow=always"}, args...)...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		r.t.Fatalf("git %v: %v\n%s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

func (r *repository) write(name, text string) {
	r.t.Helper()
	at := filepath.Join(r.dir, name)
	if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
		r.t.Fatal(err)
	}
	if err := os.WriteFile(at, []byte(text), 0o644); err != nil {
		r.t.Fatal(err)
	}
}

func (r *repository) commit() string {
	r.t.Helper()
	r.git("add", "-A")
	r.git("commit", "-qm", "x")
	return r.git("rev-parse", "HEAD")
}

func (r *repository) look(beside ...string) *Code {
	r.t.Helper()
	c, err := Git(r.t.Context(), r.dir, GitOptions{Algorithm: fingerprint.SHA256, Beside: beside})
	if err != nil {
		r.t.Fatal(err)
	}
	return c
}

// fingerprintOf is what the fingerprint of exactly these files must be.
func (r *repository) fingerprintOf(files ...string) fingerprint.Fingerprint {
	r.t.Helper()
	slices.Sort(files)
	res, err := scan.Local(r.t.Context(), r.dir, scan.Options{Algorithm: fingerprint.SHA256, Only: files}, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	return res.Fingerprint
}

func TestGitClean(t *testing.T) {
	r := newRepository(t)
	r.write("run.log", "ignored")
	head := r.git("rev-parse", "HEAD")
	c := r.look()
	if c.Commit != head || c.Dirty || c.Tree != nil || c.Remote != "" || c.Root != r.dir || len(c.Notes) > 0 {
		t.Errorf("%+v", c)
	}
	// From a folder below, and whatever the environment of a hook says.
	r.write("sub/x.log", "")
	other := newRepository(t)
	t.Setenv("GIT_DIR", filepath.Join(other.dir, ".git"))
	t.Setenv("GIT_WORK_TREE", other.dir)
	t.Setenv("GIT_INDEX_FILE", filepath.Join(other.dir, "nothing"))
	below, err := Git(t.Context(), filepath.Join(r.dir, "sub"), GitOptions{Algorithm: fingerprint.SHA256})
	if err != nil || below.Commit != head || below.Root != r.dir || below.Dirty {
		t.Errorf("%+v, %v", below, err)
	}
}

func TestGitDirty(t *testing.T) {
	type covers = statement.TreeDetails
	r := newRepository(t)
	for _, c := range []struct {
		name   string
		do     func()
		files  []string
		covers covers
	}{
		{"changed", func() { r.write("train.py", "print(2)\n") }, []string{"train.py"}, covers{Changed: 1}},
		{"staged", func() { r.write("train.py", "print(2)\n"); r.git("add", "-A") }, []string{"train.py"}, covers{Changed: 1}},
		{"added", func() { r.write("new.py", ""); r.git("add", "-A") }, []string{"new.py"}, covers{Changed: 1}},
		{"staged, and changed again", func() { r.write("train.py", "2"); r.git("add", "-A"); r.write("train.py", "3") }, []string{"train.py"}, covers{Changed: 1}},
		{"untracked", func() { r.write("new/mod.py", ""); r.write("train.py", "2") }, []string{"new/mod.py", "train.py"}, covers{Changed: 1, Untracked: 1}},
		{"intended", func() { r.write("new.py", ""); r.git("add", "-N", "new.py") }, []string{"new.py"}, covers{Changed: 1}},
		{"deleted", func() { os.Remove(filepath.Join(r.dir, "train.py")) }, []string{}, covers{Deleted: 1}},
		{"all deleted", func() { r.git("rm", "-q", "-r", ".") }, []string{}, covers{Deleted: 2}},
		{"no longer tracked", func() { r.git("rm", "-q", "--cached", "train.py") }, []string{"train.py"}, covers{Deleted: 1, Untracked: 1}},
		{"renamed", func() { r.git("mv", "train.py", "fit.py") }, []string{"fit.py"}, covers{Changed: 1, Deleted: 1}},
		{"a name with spaces", func() { r.write("a b\tc.py", ""); r.git("add", "-A") }, []string{"a b\tc.py"}, covers{Changed: 1}},
	} {
		c.do()
		got := r.look()
		if want := r.fingerprintOf(c.files...); !got.Dirty || got.Tree == nil || *got.Tree != want || got.Covers != c.covers || len(got.Notes) > 0 {
			t.Errorf("%s: %+v", c.name, got)
		}
		r.git("reset", "-q", "--hard")
		r.git("clean", "-qfd")
	}
	if r.look().Dirty {
		t.Error("dirty after all was taken back")
	}
	// What could not be merged.
	r.git("checkout", "-q", "-b", "other")
	r.write("train.py", "theirs")
	r.commit()
	r.git("checkout", "-q", "main")
	r.write("train.py", "ours")
	r.commit()
	if out, err := exec.Command("git", "-C", r.dir, "-c", "user.name=ada", "-c", "user.email=a@b", "merge", "-q", "other").CombinedOutput(); err == nil {
		t.Fatalf("it was merged: %s", out)
	}
	if c := r.look(); !c.Dirty || *c.Tree != r.fingerprintOf("train.py") || c.Covers != (covers{Changed: 1}) {
		t.Errorf("unmerged: %+v", c)
	}
	r.git("reset", "-q", "--hard")
	// More files than are looked up one by one.
	var files []string
	for i := range 80 {
		name := "many/" + string(rune('a'+i%26)) + strings.Repeat("x", i) + ".py"
		r.write(name, name)
		files = append(files, name)
	}
	r.write("many/skipped.log", "ignored")
	if got := r.look(); got.Tree == nil || *got.Tree != r.fingerprintOf(files...) {
		t.Errorf("many: %+v", got)
	}
}

// TestGitLargeUntracked: the data that lies about beside code is not read before
// every run; small files, which code is, are in the tree all the same.
func TestGitLargeUntracked(t *testing.T) {
	r := newRepository(t)
	sparse := func(name string, size int64) {
		t.Helper()
		r.write(name, "")
		if err := os.Truncate(filepath.Join(r.dir, name), size); err != nil {
			t.Fatal(err)
		}
	}
	r.write("new.py", "x")
	sparse("most", MaxUntracked)
	sparse("big/more", MaxUntracked+1)
	sparse("big/huge", 1<<40) // so that a test that reads it does not pass
	if err := os.Symlink("big/huge", filepath.Join(r.dir, "link")); err != nil {
		t.Fatal(err)
	}
	want := statement.TreeDetails{Untracked: 2, LeftOut: 3, LeftOutBytes: MaxUntracked + 1 + 2<<40}
	c := r.look()
	if !c.Dirty || *c.Tree != r.fingerprintOf("most", "new.py") || c.Covers != want || strings.Join(c.Large, " ") != "link big/huge big/more" {
		t.Errorf("%+v", c)
	}
	// What git tracks is code, whatever its size.
	sparse("most", 0)
	sparse("big/more", MaxUntracked+2)
	r.git("add", "big/more")
	r.git("rm", "-q", "--cached", "train.py")
	c = r.look()
	if *c.Tree != r.fingerprintOf("big/more", "most", "new.py", "train.py") {
		t.Errorf("%+v", c)
	}
	// All together: the smallest first.
	r = newRepository(t)
	for i := range MaxUntrackedBytes/MaxUntracked + 1 {
		sparse(fmt.Sprintf("data/%02d", i), MaxUntracked)
	}
	r.write("z.py", "small, and last by its name")
	c = r.look()
	if want := (statement.TreeDetails{Untracked: MaxUntrackedBytes / MaxUntracked, LeftOut: 2, LeftOutBytes: 2 * MaxUntracked}); c.Covers != want || c.Tree == nil {
		t.Errorf("%+v", c)
	}
}

func TestGitManyUntracked(t *testing.T) {
	var c Code
	w := new(worktree)
	for i := range MaxUntrackedFiles + 5 {
		w.loose = append(w.loose, loose{fmt.Sprintf("%06d", i), 1})
	}
	w.loose = append(w.loose, loose{"sparse", 1 << 62}, loose{"sparser", 1 << 62}, loose{"sparser", 1 << 62})
	if files := c.choose(w); len(files) != MaxUntrackedFiles || c.Covers.LeftOut != 7 || c.Covers.LeftOutBytes != mostBytes {
		t.Errorf("%d files; %+v", len(files), c.Covers)
	}
}

// TestGitBeside: inputs and outputs are not read for the code. Untracked ones make
// nothing dirty; what git tracks does, wherever it lies.
func TestGitBeside(t *testing.T) {
	r := newRepository(t)
	r.write("data/train/a.csv", "1")
	r.write("out/model.bin", "2")
	data, out := filepath.Join(r.dir, "data/train"), filepath.Join(r.dir, "out")
	if c := r.look(data, out, filepath.Join(r.dir, "yet/to/be/made"), t.TempDir()); c.Dirty {
		t.Errorf("%+v", c)
	}
	if c := r.look(data); !c.Dirty || *c.Tree != r.fingerprintOf("out/model.bin") {
		t.Errorf("without the output: %+v", c)
	}
	if c := r.look(r.dir); c.Dirty {
		t.Errorf("all is an input: %+v", c)
	}
	r.write("train.py", "print(3)")
	if c := r.look(r.dir); !c.Dirty || *c.Tree != r.fingerprintOf([]string{}...) || c.Covers != (statement.TreeDetails{}) {
		t.Errorf("tracked code within an input: %+v", c)
	}
	r.write("train.pyc", "a name that begins alike")
	if c := r.look(filepath.Join(r.dir, "train.py"), data, out); !c.Dirty || *c.Tree != r.fingerprintOf("train.pyc") {
		t.Errorf("a tracked file is an input: %+v", c)
	}
	r.git("clean", "-qf", "train.pyc")
	// Special characters are characters.
	r.git("checkout", "-q", "train.py")
	r.write("*/x", "")
	if c := r.look(data, out); !c.Dirty {
		t.Errorf("%+v", c)
	}
	if c := r.look(data, out, filepath.Join(r.dir, "*")); c.Dirty {
		t.Errorf("%+v", c)
	}
}

// TestAttackerHidesFromGit: what git was told not to look at is looked at.
func TestAttackerHidesFromGit(t *testing.T) {
	for _, flag := range []string{"--assume-unchanged", "--skip-worktree"} {
		r := newRepository(t)
		r.git("update-index", flag, "train.py")
		r.write("train.py", "import evil\n")
		if out := r.git("status", "--porcelain"); out != "" {
			t.Fatalf("git sees it: %s", out)
		}
		if c := r.look(); !c.Dirty || c.Tree == nil || *c.Tree != r.fingerprintOf("train.py") {
			t.Errorf("%s: %+v", flag, c)
		}
	}
	// A sparse tree is no attack.
	r := newRepository(t)
	r.write("far/x.py", "")
	r.commit()
	r.git("sparse-checkout", "set", "--no-cone", "/train.py", "/.gitignore")
	if _, err := os.Stat(filepath.Join(r.dir, "far")); err == nil {
		t.Fatal("not sparse")
	}
	if c := r.look(); c.Dirty {
		t.Errorf("sparse: %+v", c)
	}
	// Nor are programs run that the configuration names.
	r.git("config", "core.fsmonitor", "touch "+filepath.Join(r.dir, "pwned")+"; false")
	r.look()
	if _, err := os.Stat(filepath.Join(r.dir, "pwned")); err == nil {
		t.Error("the repository's fsmonitor was run")
	}
	// Times that were put back, and a configuration that trusts them.
	r = newRepository(t)
	r.git("config", "core.trustctime", "false")
	r.git("config", "core.checkStat", "minimal")
	info, err := os.Stat(filepath.Join(r.dir, "train.py"))
	if err != nil {
		t.Fatal(err)
	}
	r.git("update-index", "--refresh")
	r.write("train.py", "print(9)\n") // as long
	if err := os.Chtimes(filepath.Join(r.dir, "train.py"), info.ModTime(), info.ModTime()); err != nil {
		t.Fatal(err)
	}
	if c := r.look(); !c.Dirty {
		t.Errorf("%+v", c)
	}
}

func TestGitLinksAndNested(t *testing.T) {
	r := newRepository(t)
	for link, to := range map[string]string{"same.py": "train.py", "out": "/etc", "passwd": "/etc/passwd", "gone": "nowhere", "folder": "sub"} {
		if err := os.Symlink(to, filepath.Join(r.dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	r.write("sub/mod.py", "x")
	c := r.look()
	if !c.Dirty || *c.Tree != r.fingerprintOf("same.py", "sub/mod.py") || len(c.Notes) != 1 {
		t.Errorf("%+v", c)
	}
	r.commit()
	if c := r.look(); c.Dirty {
		t.Errorf("%+v", c)
	}
	other := newRepository(t)
	r.git("submodule", "add", "-q", other.dir, "lib")
	r.commit()
	if c := r.look(); c.Dirty {
		t.Errorf("a submodule: %+v", c)
	}
	r.write("lib/train.py", "changed")
	if c := r.look(); !c.Dirty || *c.Tree != r.fingerprintOf("lib/train.py") || c.Covers != (statement.TreeDetails{Changed: 1}) {
		t.Errorf("a changed submodule: %+v", c)
	}
	// At another commit than the one that is recorded, whose files nobody knows by
	// this one.
	lib := &repository{t, filepath.Join(r.dir, "lib")}
	lib.commit()
	if c := r.look(); !c.Dirty || *c.Tree != r.fingerprintOf("lib/.gitignore", "lib/train.py") || c.Covers != (statement.TreeDetails{Untracked: 2}) {
		t.Errorf("a submodule at another commit: %+v", c)
	}
	r.commit()
	if c := r.look(); c.Dirty {
		t.Errorf("recorded: %+v", c)
	}
	lib.git("update-index", "--assume-unchanged", "train.py")
	lib.write("train.py", "hidden")
	if c := r.look(); !c.Dirty || *c.Tree != r.fingerprintOf("lib/train.py") {
		t.Errorf("hidden in a submodule: %+v", c)
	}
	lib.git("update-index", "--no-assume-unchanged", "train.py")
	lib.git("checkout", "-q", "train.py")
	// A repository that git does not know as a submodule: none of its files is the
	// commit's, and its own ignored ones are ignored.
	r.git("clone", "-q", other.dir, "nest")
	r.write("nest/x.log", "")
	if c := r.look(); !c.Dirty || *c.Tree != r.fingerprintOf("nest/.gitignore", "nest/train.py") {
		t.Errorf("a nested repository: %+v", c)
	}
}

func TestNoCode(t *testing.T) {
	r := newRepository(t)
	for _, c := range []struct{ dir, says string }{
		{t.TempDir(), "in no git repository"},
		{filepath.Join(r.dir, ".git"), "work tree"},
		{filepath.Join(r.dir, "nowhere"), "nowhere"},
	} {
		if _, err := Git(t.Context(), c.dir, GitOptions{Algorithm: fingerprint.SHA256}); !errors.Is(err, ErrNoCode) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", c.dir, err)
		}
	}
	empty := &repository{t, t.TempDir()}
	empty.git("init", "-q")
	if _, err := Git(t.Context(), empty.dir, GitOptions{Algorithm: fingerprint.SHA256}); !errors.Is(err, ErrNoCode) || !strings.Contains(err.Error(), "no commit yet") {
		t.Errorf("%v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Git(ctx, r.dir, GitOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	t.Setenv("PATH", t.TempDir())
	if _, err := Git(t.Context(), r.dir, GitOptions{}); !errors.Is(err, ErrNoCode) || !strings.Contains(err.Error(), "not installed") {
		t.Errorf("%v", err)
	}
}

func TestRemote(t *testing.T) {
	for address, want := range map[string]string{
		"https://github.com/a/b.git":                      "https://github.com/a/b.git",
		"https://ada:hunter2@github.com/a/b":              "https://github.com/a/b",
		"https://x-access-token:abc@def@github.com/a/b":   "https://github.com/a/b",
		"HTTPS://oauth2@gitlab.example.org:8443/a/b":      "https://gitlab.example.org:8443/a/b",
		"https://github.com/a/b?token=x#y":                "https://github.com/a/b",
		"git@github.com:a/b.git":                          "ssh://git@github.com/a/b.git",
		"git@github.com:/a/b.git":                         "ssh://git@github.com/a/b.git",
		"ada@host.example.org:src/b":                      "ssh://host.example.org/src/b",
		"ssh://git@github.com:22/a/b":                     "ssh://git@github.com:22/a/b",
		"ssh://ada:hunter2@github.com/a/b":                "ssh://github.com/a/b",
		"git+ssh://git@github.com/a/b":                    "ssh://git@github.com/a/b",
		"git://kernel.org/a":                              "git://kernel.org/a",
		"/home/ada/repo":                                  "",
		"../repo":                                         "",
		"file:///home/ada/repo":                           "",
		`C:\repo`:                                         "",
		"C:/repo":                                         "",
		"ext::sh -c evil":                                 "",
		"https://github.com/a b":                          "",
		"https://":                                        "",
		"":                                                "",
		"https://github.com/" + strings.Repeat("x", 3000): "",
		"https://ada@evil@github.com/x":                   "https://github.com/x",
		"s3://bucket/repo":                                "",
	} {
		if got := Remote(address); got != want {
			t.Errorf("%s: %q, want %q", address, got, want)
		}
	}
	r := newRepository(t)
	r.git("remote", "add", "upstream", "https://ada:hunter2@github.com/up/stream")
	if c := r.look(); c.Remote != "https://github.com/up/stream" {
		t.Errorf("the only remote: %q", c.Remote)
	}
	r.git("remote", "add", "origin", "git@github.com:o/rigin")
	if c := r.look(); c.Remote != "ssh://git@github.com/o/rigin" {
		t.Errorf("origin: %q", c.Remote)
	}
	r.git("config", "branch.main.remote", "upstream")
	if c := r.look(); c.Remote != "https://github.com/up/stream" {
		t.Errorf("the branch's: %q", c.Remote)
	}
	r.git("remote", "set-url", "upstream", r.dir)
	if c := r.look(); c.Remote != "" || len(c.Notes) != 1 || strings.Contains(c.Notes[0], r.dir) {
		t.Errorf("a path: %+v", c)
	}
}
