package observe

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/stele-ml/stele/fingerprint"
	"github.com/stele-ml/stele/internal/scan"
	"github.com/stele-ml/stele/statement"
)

// ErrNoCode says that there is no commit to name: no git, no repository, no
// commit in it. What carries it says which, in a clause.
var ErrNoCode = errors.New("no code")

// Code is source code as git knows it.
type Code struct {
	statement.Code
	// Root is the repository's working tree, an absolute path.
	Root string
	// Notes are what a person should know of it, each a sentence without its
	// full stop.
	Notes []string
	// Covers says what Tree is of, where there is one.
	Covers statement.TreeDetails
	// Large names the first of the untracked files that Covers.LeftOut counts,
	// the largest first.
	Large []string
}

// GitOptions are choices about Git.
type GitOptions struct {
	// Algorithm is of the fingerprint of a tree that is dirty.
	Algorithm fingerprint.Algorithm
	// Beside are absolute paths below which files are not in that fingerprint,
	// and make nothing dirty where git does not track them: the inputs and
	// outputs of the run, which are fingerprinted themselves.
	Beside []string
	// Progress, if not nil, is kept up to date while the tree is read.
	Progress *scan.Progress
}

// Git looks at the repository that holds dir, by the git that is installed:
// commit, remote, and whether the files are those of the commit. A file that
// git ignores counts for nothing, nor does git's word that a file be taken as
// unchanged. Nothing is written, and nothing that the repository's own
// configuration names is run but its content filters.
func Git(ctx context.Context, dir string, opts GitOptions) (*Code, error) {
	top, err := git(ctx, dir, "rev-parse", "--show-toplevel")
	if err != nil {
		return nil, err
	}
	root := strings.TrimSuffix(top, "\n")
	if root == "" {
		return nil, fmt.Errorf("%w: %s is not in the working tree of a git repository", ErrNoCode, dir)
	}
	c := &Code{Root: filepath.FromSlash(root)}
	commit, err := git(ctx, c.Root, "rev-parse", "--verify", "--quiet", "HEAD^{commit}")
	if err != nil {
		if errors.Is(err, ErrNoCode) {
			err = fmt.Errorf("%w: the git repository %s has no commit yet", ErrNoCode, c.Root)
		}
		return nil, err
	}
	c.Commit = strings.TrimSuffix(commit, "\n")
	if err := c.findRemote(ctx); err != nil {
		return nil, err
	}
	w := &worktree{root: c.Root, beside: really(opts.Beside)}
	if err := w.look(ctx, checkout{pinned: true}); err != nil {
		return nil, err
	}
	if c.Dirty = w.dirty; c.Dirty {
		if err := c.fingerprint(ctx, w, opts); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// findRemote finds where the code comes from: the upstream's remote, else
// origin, else the only one there is.
func (c *Code) findRemote(ctx context.Context) error {
	config := func(key string) string {
		text, _ := git(ctx, c.Root, "config", "--get", key) // not set
		return strings.TrimSuffix(text, "\n")
	}
	list, err := git(ctx, c.Root, "remote")
	if err != nil {
		return err
	}
	names := strings.Fields(list)
	branch, _ := git(ctx, c.Root, "symbolic-ref", "--quiet", "--short", "HEAD") // none where HEAD is detached
	name := config("branch." + strings.TrimSuffix(branch, "\n") + ".remote")
	switch {
	case slices.Contains(names, name):
	case slices.Contains(names, "origin"):
		name = "origin"
	case len(names) == 1:
		name = names[0]
	default:
		return nil
	}
	address := config("remote." + name + ".url")
	if c.Remote = Remote(address); c.Remote == "" && address != "" {
		c.Notes = append(c.Notes, "the git remote "+name+" is left out: it is no address that others could reach")
	}
	return nil
}

// Remote is what of a git remote's address may be told to everybody: a URL
// without user, password, token, query or fragment. It is empty for a path on a
// machine and for whatever else is no such URL.
func Remote(address string) string {
	scheme, rest, ok := strings.Cut(address, "://")
	if !ok {
		// user@host:path, scp's form; a path on this machine has a slash, or a
		// drive's one letter, before any colon.
		host, path, colon := strings.Cut(address, ":")
		if !colon || len(host) < 2 || strings.ContainsAny(host, `/\`) {
			return ""
		}
		scheme, rest = "ssh", host+"/"+strings.TrimPrefix(path, "/")
	}
	switch scheme = strings.ToLower(scheme); scheme {
	case "git+ssh", "ssh+git":
		scheme = "ssh"
	case "https", "http", "ssh", "git":
	default:
		return ""
	}
	if i := strings.IndexAny(rest, "?#"); i >= 0 {
		rest = rest[:i]
	}
	authority, path, _ := strings.Cut(rest, "/")
	user := ""
	if i := strings.LastIndexByte(authority, '@'); i >= 0 {
		user, authority = authority[:i], authority[i+1:]
	}
	if scheme == "ssh" && user == "git" { // the same for everybody; any other is somebody's
		authority = "git@" + authority
	}
	clean := scheme + "://" + authority + "/" + path
	if statement.CheckRemote(clean) != nil {
		return ""
	}
	return clean
}

// git runs git in a folder and returns what it prints. What the environment
// says of another repository does not count; nothing is written, no other
// program is asked for what changed, and a file's times are taken for what they
// are.
func git(ctx context.Context, dir string, args ...string) (string, error) {
	path, err := exec.LookPath("git")
	if err != nil {
		return "", fmt.Errorf("%w: git is not installed", ErrNoCode)
	}
	cmd := exec.CommandContext(ctx, path, append([]string{
		"-C", dir, "--no-optional-locks",
		"-c", "core.fsmonitor=false", "-c", "core.trustctime=true", "-c", "core.checkStat=default",
	}, args...)...)
	cmd.Env = append(plainEnvironment(os.Environ()), "LC_ALL=C", "GIT_TERMINAL_PROMPT=0", "GIT_OPTIONAL_LOCKS=0")
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err = cmd.Run()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return out.String(), nil
	case ctx.Err() != nil:
		return "", context.Cause(ctx)
	case errors.As(err, &exit):
		line, _, _ := strings.Cut(strings.TrimSpace(errs.String()), "\n")
		if strings.Contains(line, "not a git repository") {
			return "", fmt.Errorf("%w: %s is in no git repository", ErrNoCode, dir)
		}
		return "", fmt.Errorf("%w: git %s: %s", ErrNoCode, args[0], strings.TrimPrefix(line, "fatal: "))
	}
	return "", fmt.Errorf("%w: run git: %w", ErrNoCode, err)
}

// plainEnvironment leaves out what ties git to a certain repository, as in a
// hook (git-rev-parse(1), --local-env-vars), or changes what its output means.
func plainEnvironment(env []string) []string {
	local := []string{
		"GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_CONFIG", "GIT_OBJECT_DIRECTORY",
		"GIT_DIR", "GIT_WORK_TREE", "GIT_IMPLICIT_WORK_TREE", "GIT_GRAFT_FILE", "GIT_INDEX_FILE", "GIT_NO_REPLACE_OBJECTS",
		"GIT_REPLACE_REF_BASE", "GIT_PREFIX", "GIT_SHALLOW_FILE", "GIT_COMMON_DIR", "GIT_NAMESPACE", "GIT_EXTERNAL_DIFF",
		"GIT_LITERAL_PATHSPECS", "GIT_GLOB_PATHSPECS", "GIT_NOGLOB_PATHSPECS", "GIT_ICASE_PATHSPECS", "GIT_TRACE",
	}
	return slices.DeleteFunc(slices.Clone(env), func(kv string) bool {
		name, _, _ := strings.Cut(kv, "=")
		return slices.Contains(local, name)
	})
}
