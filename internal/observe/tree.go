package observe

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/stele-ml/stele/internal/scan"
	"github.com/stele-ml/stele/internal/source"
	"github.com/stele-ml/stele/statement"
)

// What the fingerprint of a dirty tree takes of files that no commit has: the
// smallest first, so that code is in it, and the data that lies about is not
// read before every run.
const (
	MaxUntracked      = 16 << 20  // bytes of one file
	MaxUntrackedBytes = 256 << 20 // of all together
	MaxUntrackedFiles = 10_000
)

// mostBytes is as much as a document can say, and sparse files can be said to
// have more: 2^53-1, the last integer that every JSON implementation holds.
const mostBytes = 1<<53 - 1

// maxLarge is how many of the files that are too large are named.
const maxLarge = 3

// fingerprint makes the fingerprint of a dirty tree: the files that are not as
// the commit has them, and those that it does not have, as they are. A tree that
// has none, as one that changes while it is read, is dirty all the same.
func (c *Code) fingerprint(ctx context.Context, w *worktree, opts GitOptions) error {
	if w.odd != "" {
		c.Notes = append(c.Notes, fmt.Sprintf("the code is dirty, and has no fingerprint: %s cannot be read, or has no name that one could hold", source.Show(w.odd)))
		return nil
	}
	if w.links > 0 {
		c.Notes = append(c.Notes, fmt.Sprintf("links and other things that are no files are left out of the code's fingerprint (%d)", w.links))
	}
	files := c.choose(w)
	src, err := source.OpenLocal(w.root, source.LocalOptions{})
	if err != nil {
		return err
	}
	defer src.Close()
	result, err := scan.Run(ctx, src, scan.Options{Algorithm: opts.Algorithm, Only: files, Progress: opts.Progress}, nil)
	var unreadable *source.Error
	switch {
	case err == nil:
		c.Tree = &result.Fingerprint
		return nil
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.As(err, &unreadable), errors.Is(err, fs.ErrNotExist), errors.Is(err, fs.ErrPermission):
		c.Covers, c.Large = statement.TreeDetails{}, nil
		c.Notes = append(c.Notes, fmt.Sprintf("the code is dirty, and has no fingerprint: %v", err))
		return nil
	}
	return err
}

// choose are the files that the fingerprint is of, in its order.
func (c *Code) choose(w *worktree) []string {
	slices.Sort(w.changed)
	files := append([]string{}, slices.Compact(w.changed)...)
	c.Covers = statement.TreeDetails{Changed: uint64(len(files)), Deleted: w.deleted}

	slices.SortFunc(w.loose, func(a, b loose) int {
		return cmp.Or(cmp.Compare(a.size, b.size), strings.Compare(a.path, b.path))
	})
	w.loose = slices.Compact(w.loose)
	var taken int
	var total uint64
	for taken < min(len(w.loose), MaxUntrackedFiles) {
		size := w.loose[taken].size
		if size > MaxUntracked || total+size > MaxUntrackedBytes {
			break
		}
		total += size
		files = append(files, w.loose[taken].path)
		taken++
	}
	c.Covers.Untracked = uint64(taken)
	for _, l := range slices.Backward(w.loose[taken:]) {
		c.Covers.LeftOut++
		c.Covers.LeftOutBytes = min(c.Covers.LeftOutBytes+l.size, mostBytes)
		if len(c.Large) < maxLarge {
			c.Large = append(c.Large, l.path)
		}
	}
	slices.Sort(files)
	return slices.Compact(files)
}
