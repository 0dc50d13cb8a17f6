package source

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Trail is what the way to a place on a disk, and the folders in it, are known
// again by: each symbolic link with where it leads, each folder with its times.
// What was taken away for a while and put back is another trail, though every
// file's own mark be the same: a folder that was renamed, a link that was turned.
//
// What it cannot know again is what lies above the place: a folder renamed
// there, a mount.
type Trail struct {
	steps map[string]step // by path: below the place, where a folder's ends in '/' and its own is "/"; or, on the way to it, absolute
}

type step struct {
	stamp
	target string // of a symbolic link
}

// maxWay is how many symbolic links may lie on the way to a place (as many as
// Linux follows, path_resolution(7)).
const maxWay = 40

// TrailOf looks at the way to a path and at the folders in it but those that
// hides leaves out, which is asked as a [Skip] is, and may be asked more often.
func TrailOf(path string, hides Skip) (*Trail, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, failed(path, err)
	}
	t := &Trail{steps: map[string]step{}}
	t.follow(abs)
	real, err := filepath.EvalSymlinks(abs)
	if err != nil {
		return nil, failed(path, err)
	}
	info, err := os.Stat(real)
	if err != nil {
		return nil, failed(path, err)
	}
	if info.IsDir() {
		err = t.folder(real, "", hides)
	}
	return t, err
}

// follow goes along a path, and notes each link on it, as far as it can.
func (t *Trail) follow(path string) {
	for range maxWay {
		link, err := firstLink(path)
		if err != nil || link == "" {
			return
		}
		target, err := t.link(link, link)
		if err != nil {
			return
		}
		if !filepath.IsAbs(target) {
			target = filepath.Join(filepath.Dir(link), target)
		}
		path = filepath.Join(target, strings.TrimPrefix(path, link))
	}
}

// firstLink is the shortest beginning of a path that is a symbolic link, or "".
func firstLink(path string) (string, error) {
	for i := len(filepath.VolumeName(path)) + 1; i <= len(path); i++ {
		if i < len(path) && !os.IsPathSeparator(path[i]) {
			continue
		}
		info, err := os.Lstat(path[:i])
		if err != nil {
			return "", err
		}
		if info.Mode()&fs.ModeSymlink != 0 {
			return path[:i], nil
		}
	}
	return "", nil
}

// link notes a symbolic link, and where it leads.
func (t *Trail) link(path, name string) (target string, err error) {
	s, err := linkStamp(path)
	if err == nil {
		target, err = os.Readlink(path)
	}
	t.steps[name] = step{s, target}
	return target, err
}

// folder notes a folder, whose name is empty or ends in '/', and what is in it.
func (t *Trail) folder(path, name string, hides Skip) error {
	s, err := linkStamp(path)
	if err != nil {
		return failed(name, err)
	}
	if name == "" {
		t.steps["/"] = step{stamp: s}
	} else {
		t.steps[name] = step{stamp: s}
	}
	list, err := os.ReadDir(path)
	if err != nil {
		return failed(name, err)
	}
	for _, e := range list {
		inner := name + e.Name()
		switch link := e.Type()&fs.ModeSymlink != 0; {
		case !link && !e.IsDir(), hides != nil && hides(inner, e.IsDir()):
			continue
		case link:
			_, err = t.link(filepath.Join(path, e.Name()), inner)
		default:
			err = t.folder(filepath.Join(path, e.Name()), inner+"/", hides)
		}
		if errors.Is(err, fs.ErrNotExist) { // gone since it was listed: the folder's own times tell
			continue
		}
		if err != nil {
			return failed(inner, err)
		}
	}
	return nil
}

// Difference says what another, later trail of the same place has otherwise: the
// first path of those that differ, "/" for the place itself, and what of it;
// empty where they are the same.
func (t *Trail) Difference(later *Trail) (path, what string) {
	tell := func(p, w string) {
		if path == "" || p < path {
			path, what = p, w
		}
	}
	for p, was := range t.steps {
		now, ok := later.steps[p]
		switch {
		case !ok:
			tell(p, "is gone")
		case now.target != was.target:
			tell(p, "leads elsewhere")
		case now.inode != was.inode || now.device != was.device:
			tell(p, "is another one")
		case now.stamp != was.stamp:
			tell(p, "has changed since")
		}
	}
	for p := range later.steps {
		if _, ok := t.steps[p]; !ok {
			tell(p, "was not there")
		}
	}
	return path, what
}
