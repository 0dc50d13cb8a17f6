package manifest

import (
	"fmt"
	"iter"

	"github.com/stele-ml/stele/fingerprint"
)

// Join goes through the files of all manifests in path order. A path that two of
// them have is an *OverlapError.
func Join(list []*File) iter.Seq2[fingerprint.File, error] {
	return func(yield func(fingerprint.File, error) bool) {
		if err := join(list, yield); err != nil {
			yield(fingerprint.File{}, err)
		}
	}
}

func join(list []*File, yield func(fingerprint.File, error) bool) error {
	heads := make([]*Cursor, len(list))
	for i, m := range list {
		var err error
		if heads[i], err = NewCursor(m.All()); err != nil {
			return err
		}
		defer heads[i].Stop()
	}
	for {
		least := -1
		for i, h := range heads {
			switch {
			case !h.More:
			case least < 0 || h.File.Path < heads[least].File.Path:
				least = i
			case h.File.Path == heads[least].File.Path:
				return &OverlapError{Path: h.File.Path, Manifests: [2]string{list[least].Name, list[i].Name}}
			}
		}
		if least < 0 || !yield(heads[least].File, nil) {
			return nil
		}
		if err := heads[least].Advance(); err != nil {
			return err
		}
	}
}

// OverlapError says that a path stands in two manifests.
type OverlapError struct {
	Path      string
	Manifests [2]string
}

func (e *OverlapError) Error() string {
	return fmt.Sprintf("%s stands in both %s and %s: the parts overlap", e.Path, e.Manifests[0], e.Manifests[1])
}

// Place is the path.
func (e *OverlapError) Place() string { return e.Path }

// Cursor goes through files in path order, one ahead.
type Cursor struct {
	File fingerprint.File // valid where there is More
	More bool

	next func() (fingerprint.File, error, bool)
	stop func()
}

// NewCursor stands at the first of some files. Stop it after use.
func NewCursor(files iter.Seq2[fingerprint.File, error]) (*Cursor, error) {
	c := new(Cursor)
	c.next, c.stop = iter.Pull2(files)
	err := c.Advance()
	if err != nil {
		c.stop()
	}
	return c, err
}

// Stop ends the walk.
func (c *Cursor) Stop() { c.stop() }

// Advance moves on to the next file.
func (c *Cursor) Advance() (err error) {
	c.File, err, c.More = c.next()
	if err != nil {
		c.More = false
	}
	return err
}

// To moves on to a path, or beyond it, and reports whether it is there.
func (c *Cursor) To(path string) (bool, error) {
	for c.More && c.File.Path < path {
		if err := c.Advance(); err != nil {
			return false, err
		}
	}
	return c.More && c.File.Path == path, nil
}
