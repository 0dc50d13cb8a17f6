package source

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// maxLinks is how many links to folders may lie inside one another. It keeps a
// tree of a few links from growing without end.
const maxLinks = 16

// resolve follows a symbolic link, given by its path on the disk, to its end.
// Where the link lies in the tree is filled in by at.
func (s *Local) resolve(path string) link {
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		detail := ""
		if target, e := os.Readlink(path); e == nil {
			detail = "it leads to " + Show(target)
		}
		var pe *fs.PathError
		if errors.As(err, &pe) {
			err = pe.Err
		}
		return link{err: &Error{Class: ErrLink, Detail: detail, Err: err}}
	}
	info, err := os.Lstat(real)
	if err != nil {
		return link{err: &Error{Class: ErrLink, Err: err}}
	}
	l := link{real: real, folder: info.IsDir()}
	switch {
	case !s.opts.FollowOutside && !s.allows(real):
		l.err = &Error{Class: ErrLink, Detail: "it leaves the folder, to " + Show(real)}
	case !l.folder && !info.Mode().IsRegular():
		l.err = &Error{Class: ErrIrregular, Detail: "it is a symbolic link to something else: " + describe(info.Mode())}
	}
	return l
}

// allows reports whether a link may lead to a canonical path.
func (s *Local) allows(real string) bool {
	return inside(s.root, real) || s.blobs != "" && real != s.blobs && inside(s.blobs, real)
}

// inside reports whether path is root or lies in it, both canonical.
func inside(root, path string) bool {
	rest, ok := strings.CutPrefix(path, root)
	return ok && (rest == "" || rest[0] == filepath.Separator || strings.HasSuffix(root, string(filepath.Separator)))
}

// huggingFaceKinds begin a repository's folder in a Hugging Face cache, before
// the owner and the name, all joined by "--".
var huggingFaceKinds = []string{"models--", "datasets--", "spaces--"}

// huggingFaceBlobs returns the folder of a Hugging Face repository's contents
// if root is one of its snapshots, or a folder in one, else "". The cache keeps
// <kind>--<owner>--<name>/blobs/<hash>, and in snapshots/<revision>/ links to
// them (huggingface_hub, "Understand caching").
func huggingFaceBlobs(root string) string {
	for dir := root; ; {
		up := filepath.Dir(dir) // dir may be a revision, up its "snapshots"
		if up == dir {
			return ""
		}
		repo := filepath.Dir(up)
		if filepath.Base(up) == "snapshots" {
			for _, k := range huggingFaceKinds {
				if strings.HasPrefix(filepath.Base(repo), k) {
					return filepath.Join(repo, "blobs")
				}
			}
		}
		dir = up
	}
}
