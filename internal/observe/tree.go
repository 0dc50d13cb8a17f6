package observe

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/stele-ml/stele/fingerprint"
	"github.com/stele-ml/stele/internal/scan"
	"github.com/stele-ml/stele/internal/source"
)

// fingerprint makes the fingerprint of a dirty tree: the files that git tracks
// and those that it would, as they are. A tree that has none, as one that
// changes while it is read, is dirty all the same.
func (c *Code) fingerprint(ctx context.Context, w *worktree, a fingerprint.Algorithm) error {
	if w.odd != "" {
		c.Notes = append(c.Notes, fmt.Sprintf("the code is dirty, and has no fingerprint: %s cannot be read, or has no name that one could hold", source.Show(w.odd)))
		return nil
	}
	if w.leftOut > 0 {
		c.Notes = append(c.Notes, fmt.Sprintf("links and other things that are no files are left out of the code's fingerprint (%d)", w.leftOut))
	}
	slices.Sort(w.files)
	files := slices.Compact(w.files)
	if files == nil {
		files = []string{}
	}
	src, err := source.OpenLocal(w.root, source.LocalOptions{})
	if err != nil {
		return err
	}
	defer src.Close()
	result, err := scan.Run(ctx, src, scan.Options{Algorithm: a, Only: files}, nil)
	var unreadable *source.Error
	switch {
	case err == nil:
		c.Tree = &result.Fingerprint
		return nil
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.As(err, &unreadable), errors.Is(err, fs.ErrNotExist), errors.Is(err, fs.ErrPermission):
		c.Notes = append(c.Notes, fmt.Sprintf("the code is dirty, and has no fingerprint: %v", err))
		return nil
	}
	return err
}
