package observe

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/stele-ml/stele/fingerprint"
)

// maxNested is how deep repositories in repositories are looked into.
const maxNested = 8

// worktree is what git says of a working tree, and of those within it: what is
// not as the commit has it.
type worktree struct {
	root    string
	beside  []string // absolute, without links
	dirty   bool
	changed []string // tracked files that are others now, below root, with '/' between segments
	loose   []loose  // files that the commit says nothing of
	deleted uint64   // files of the commit that are not there
	links   int      // that a fingerprint cannot follow
	odd     string   // a name that it cannot hold, or empty
}

// loose is a file that the commit says nothing of.
type loose struct {
	path string
	size uint64 // bytes
}

// checkout is a repository in a working tree: that of its root, or one nested
// in it.
type checkout struct {
	prefix string // where it lies below the root; with a slash at its end, or empty
	depth  int
	pinned bool // the commit of the root says which its commit is
}

// look asks git about one repository.
func (w *worktree) look(ctx context.Context, r checkout) error {
	dir := filepath.Join(w.root, filepath.FromSlash(r.prefix))
	ask := func(args ...string) ([]string, error) {
		out, err := git(ctx, dir, args...)
		return strings.FieldsFunc(out, func(r rune) bool { return r == 0 }), err
	}
	status, err := ask("status", "--porcelain=v2", "-z", "--untracked-files=no", "--ignore-submodules=none", "--no-renames")
	if err != nil {
		return err
	}
	tracked, err := ask("ls-files", "-z", "-v", "--stage")
	if err != nil {
		return err
	}
	others := []string{"ls-files", "-z", "--others", "--exclude-standard", "--", ":(top)"}
	untracked, err := ask(append(others, w.excludes(dir)...)...)
	if err != nil {
		return err
	}
	moved := map[string]bool{}
	for _, line := range status {
		if c, ok := parseStatus(line); ok {
			w.dirty = true
			moved[c.path] = c.moved
			if err := w.differs(ctx, r, c); err != nil {
				return err
			}
		}
	}
	for _, line := range tracked {
		if err := w.tracked(ctx, r, line, moved); err != nil {
			return err
		}
	}
	w.dirty = w.dirty || len(untracked) > 0
	for _, path := range untracked {
		if err := w.take(ctx, r, path, true); err != nil {
			return err
		}
	}
	return nil
}

// change is one line of git's status.
type change struct {
	path      string
	deleted   bool
	submodule bool
	moved     bool // it is a submodule whose commit is another one
}

// parseStatus reads a line of `git status --porcelain=v2`: a file that changed,
// or one that could not be merged (git-status(1)).
func parseStatus(line string) (c change, ok bool) {
	before := map[byte]int{'1': 8, 'u': 10}[line[0]] // fields before the path
	fields := strings.SplitN(line, " ", before+1)
	if before == 0 || len(fields) != before+1 {
		return c, false
	}
	xy, sub := fields[1], fields[2]
	return change{
		path: fields[before], deleted: strings.Contains(xy, "D") && line[0] == '1',
		submodule: strings.HasPrefix(sub, "S"), moved: strings.HasPrefix(sub, "SC"),
	}, true
}

// differs takes a file that differs from the commit's.
func (w *worktree) differs(ctx context.Context, r checkout, c change) error {
	switch {
	case c.deleted:
		w.deleted++
		return nil
	case c.submodule: // its own repository says what differs
		return nil
	}
	return w.take(ctx, r, c.path, !r.pinned)
}

// tracked looks at a line of `git ls-files -v --stage`: TAG MODE OBJECT STAGE,
// a tab, PATH (git-ls-files(1)).
func (w *worktree) tracked(ctx context.Context, r checkout, line string, moved map[string]bool) error {
	const submodule = "160000" // a commit of another repository
	about, path, _ := strings.Cut(line, "\t")
	tag, mode, _ := strings.Cut(about, " ")
	at := filepath.Join(w.root, filepath.FromSlash(r.prefix+path))
	switch {
	case strings.HasPrefix(mode, submodule):
		return w.nested(ctx, checkout{r.prefix + path + "/", r.depth + 1, r.pinned && !moved[path]})
	case tag != "H": // "assume unchanged", "skip": git does not look whether it was changed
		if _, err := os.Lstat(at); errors.Is(err, fs.ErrNotExist) {
			return nil // of a sparse tree; or deleted, which git's status tells
		}
		w.dirty = true
		return w.take(ctx, r, path, !r.pinned)
	case !r.pinned:
		return w.take(ctx, r, path, true)
	}
	return nil
}

// nested looks into a repository within another. A submodule that was not
// fetched has no files.
func (w *worktree) nested(ctx context.Context, r checkout) error {
	if _, err := os.Lstat(filepath.Join(w.root, filepath.FromSlash(r.prefix), ".git")); err != nil || r.depth > maxNested {
		return nil
	}
	return w.look(ctx, r)
}

// take takes one path that git names.
func (w *worktree) take(ctx context.Context, r checkout, path string, isLoose bool) error {
	path = r.prefix + strings.TrimSuffix(path, "/")
	at := filepath.Join(w.root, filepath.FromSlash(path))
	if w.isBeside(at) {
		return nil
	}
	info, err := os.Lstat(at)
	switch {
	case errors.Is(err, fs.ErrPermission):
		w.odd = path
		return nil
	case err != nil:
		return nil // it has gone meanwhile
	case info.IsDir():
		return w.nested(ctx, checkout{path + "/", r.depth + 1, false})
	case info.Mode()&fs.ModeSymlink != 0:
		if info = w.inside(at); info == nil {
			w.links++
			return nil
		}
	case !info.Mode().IsRegular():
		w.links++
		return nil
	}
	switch {
	case fingerprint.CheckPath(path) != nil:
		w.odd = path
	case isLoose:
		w.loose = append(w.loose, loose{path, uint64(info.Size())})
	default:
		w.changed = append(w.changed, path)
	}
	return nil
}

// really are paths without links, as far as they exist.
func really(paths []string) []string {
	var list []string
	for _, p := range paths {
		if to, err := filepath.EvalSymlinks(p); err == nil {
			p = to
		} else if folder, err := filepath.EvalSymlinks(filepath.Dir(p)); err == nil { // an output that is yet to be made
			p = filepath.Join(folder, filepath.Base(p))
		}
		list = append(list, p)
	}
	return list
}

// isBeside reports whether a path is, or lies below, one that is beside the
// code.
func (w *worktree) isBeside(path string) bool {
	for _, b := range w.beside {
		if rel, err := filepath.Rel(b, path); err == nil && filepath.IsLocal(rel) {
			return true
		}
	}
	return false
}

// excludes are the pathspecs of what lies beside the code.
func (w *worktree) excludes(dir string) []string {
	real, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return nil
	}
	var list []string
	for _, b := range w.beside {
		rel, err := filepath.Rel(real, b)
		if err != nil || !filepath.IsLocal(rel) {
			continue
		}
		if rel == "." {
			return []string{":(top,exclude)*"}
		}
		list = append(list, ":(top,exclude,literal)"+filepath.ToSlash(rel))
	}
	return list
}

// inside is the file that a link leads to, where that lies within the tree.
func (w *worktree) inside(link string) fs.FileInfo {
	root, err := filepath.EvalSymlinks(w.root)
	if err != nil {
		return nil
	}
	to, err := filepath.EvalSymlinks(link)
	if err != nil {
		return nil
	}
	rel, err := filepath.Rel(root, to)
	if err != nil || !filepath.IsLocal(rel) {
		return nil
	}
	info, err := os.Stat(to)
	if err != nil || !info.Mode().IsRegular() {
		return nil
	}
	return info
}
