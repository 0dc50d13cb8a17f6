package source

import (
	"bytes"
	"context"
	"path/filepath"
)

// walk is one listing of a folder.
type walk struct {
	s      *Local
	ctx    context.Context
	skip   Skip
	emit   func(Object) error
	levels []*names // one for each folder between the root and here, reused
}

// List implements [Source].
func (s *Local) List(ctx context.Context, skip Skip, emit func(Object) error) error {
	if s.single != "" {
		return emit(s.singleObject())
	}
	if skip == nil {
		skip = func(string, bool) bool { return false }
	}
	w := &walk{s: s, ctx: ctx, skip: skip, emit: emit}
	return w.folder(&folder{real: s.root}, 0)
}

// checkEvery is how many names pass between two looks at the context.
const checkEvery = 256

// folder lists one folder and, in their places, those inside it.
func (w *walk) folder(f *folder, level int) error {
	if err := w.ctx.Err(); err != nil {
		return context.Cause(w.ctx)
	}
	if level == len(w.levels) {
		w.levels = append(w.levels, new(names))
	}
	l := w.levels[level]
	l.reset()
	if err := w.read(f, l); err != nil {
		return err
	}
	for i, e := range l.entries {
		if i%checkEvery == checkEvery-1 && w.ctx.Err() != nil {
			return context.Cause(w.ctx)
		}
		if err := w.entry(f, l, e, level); err != nil {
			return err
		}
	}
	return nil
}

// read fills l with the sorted names of a folder.
func (w *walk) read(f *folder, l *names) error {
	if err := w.s.disk.names(f, l); err != nil {
		if f.up == nil {
			return failed(w.s.given, err)
		}
		return vanished(f.prefix[:len(f.prefix)-1], err)
	}
	for i, e := range l.entries {
		if e.kind != kindLink {
			continue
		}
		if err := l.follow(i, w.s.resolve(filepath.Join(f.real, string(l.name(e))))); err != nil {
			return failed(f.prefix, err)
		}
	}
	l.sort()
	return nil
}

// entry passes one name on. What is wrong with it counts only if it is not
// skipped, and only now, when its turn in the order has come.
func (w *walk) entry(f *folder, l *names, e entry, level int) error {
	name := l.name(e)
	bare := bytes.TrimSuffix(name, []byte{'/'})
	isFolder := len(bare) < len(name)
	path := f.prefix + string(bare)
	if w.skip(path, isFolder) {
		return nil
	}
	if why := checkName(f.prefix, bare); why != "" {
		return &Error{Path: path, Class: ErrName, Detail: why}
	}
	switch e.kind {
	case kindFile:
		return w.emit(Object{Path: path, Size: UnknownSize, Pin: f})
	case kindFolder:
		return w.folder(&folder{
			prefix: path + "/",
			real:   f.real + string(filepath.Separator) + string(bare),
			up:     f,
			links:  f.links,
		}, level+1)
	case kindLink:
		return w.link(f, path, l.links[string(bare)], level)
	}
	return &Error{Path: path, Class: ErrIrregular, Detail: "it is a socket, a device or a pipe"}
}

// link passes on what a symbolic link leads to, under the link's own path.
func (w *walk) link(f *folder, path string, to link, level int) error {
	if to.err != nil {
		return at(path, to.err)
	}
	if !to.folder {
		return w.emit(Object{Path: path, Size: UnknownSize, Pin: &linkedFile{to.real}})
	}
	if f.links == maxLinks {
		return &Error{Path: path, Class: ErrLink, Detail: "too many links to folders inside one another"}
	}
	for up := f; up != nil; up = up.up {
		if inside(to.real, up.real) {
			return &Error{Path: path, Class: ErrLink, Detail: "it loops: it leads to a folder that it lies in"}
		}
	}
	return w.folder(&folder{prefix: path + "/", real: to.real, up: f, links: f.links + 1}, level+1)
}
