package bucket

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/stele-ml/stele/fingerprint"
	"github.com/stele-ml/stele/internal/source"
)

// List implements [source.Source]. Folders are what lies between the slashes of
// a key. An empty object whose key ends with '/' only marks a folder and is
// passed over.
func (s *Source) List(ctx context.Context, skip source.Skip, emit func(source.Object) error) error {
	if s.single != nil {
		return emit(s.root())
	}
	if skip == nil {
		skip = func(string, bool) bool { return false }
	}
	w := &walk{s: s, skip: skip, emit: emit}
	return w.all(ctx)
}

// Measure implements [source.Measurer], with a listing of its own.
func (s *Source) Measure(ctx context.Context, skip source.Skip, add func(bytes uint64)) error {
	if s.single != nil {
		add(uint64(s.single.Size))
		return nil
	}
	if skip == nil {
		skip = func(string, bool) bool { return false }
	}
	w := &walk{s: s, skip: skip, lenient: true, emit: func(o source.Object) error {
		add(uint64(o.Size))
		return nil
	}}
	return w.all(ctx)
}

// walk is one listing.
type walk struct {
	s       *Source
	skip    source.Skip
	emit    func(source.Object) error
	lenient bool // pass over what cannot stand in a fingerprint

	last string // the last key, "" before the first
	dir  string // the folder, with '/' at its end, that the last file lies in, of those that are not skipped
	from string // keys below this one lie in a folder that is skipped
}

// all goes through the pages of the listing, and begins it anew behind a skipped
// folder that fills more than a page.
func (w *walk) all(ctx context.Context) error {
	if w.s.sort {
		page, err := w.s.sorted(ctx)
		if err != nil {
			return err
		}
		return w.page(ctx, page)
	}
	l := w.s.list(ctx, "")
	defer func() { l.stop() }()
	for {
		page, err := l.next(ctx)
		if err != nil || page == nil {
			return err
		}
		skipping := w.from > w.last && w.last != ""
		if end := page[len(page)-1].Key; skipping && end < w.from && end > w.last {
			// This page, and so perhaps the next thousand, lies in it from its
			// first key to its last.
			w.last = end
			l.stop()
			l = w.s.list(ctx, w.from)
			continue
		}
		if err := w.page(ctx, page); err != nil {
			return err
		}
	}
}

// page goes through some consecutive objects.
func (w *walk) page(ctx context.Context, page []Item) error {
	for i := range page {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		it := &page[i]
		if it.Key <= w.last && w.last != "" {
			if it.Key < w.from {
				continue // a listing that began anew may repeat a few
			}
			return w.disorder(it.Key)
		}
		if !strings.HasPrefix(it.Key, w.s.prefix) {
			return &source.Error{Path: w.s.st.URL(w.s.prefix), Class: source.ErrOrder, Detail: "the store lists " + source.Show(it.Key) + ", which does not lie under it"}
		}
		w.last = it.Key
		if it.Key < w.from {
			continue
		}
		if err := w.item(it); err != nil {
			var e *source.Error
			if w.lenient && errors.As(err, &e) && e.Class == source.ErrName {
				continue
			}
			return err
		}
	}
	return nil
}

func (w *walk) disorder(key string) error {
	e := &source.Error{Path: w.s.st.URL(key), Class: source.ErrOrder, Detail: "it comes after " + source.Show(w.last)}
	if key == w.last {
		e.Detail = "it is listed twice"
	}
	return e
}

// item passes one object on, and before it the folders that it is the first of.
// What is wrong with it counts only if it is not skipped.
func (w *walk) item(it *Item) error {
	path := it.Key[len(w.s.prefix):]
	for !strings.HasPrefix(path, w.dir) {
		w.dir = w.dir[:strings.LastIndexByte(w.dir[:len(w.dir)-1], '/')+1]
	}
	for {
		name, _, inside := strings.Cut(path[len(w.dir):], "/")
		if !inside || name == "" || name == "." || name == ".." {
			break // what is left is one name, if perhaps no valid one
		}
		folder := path[:len(w.dir)+len(name)]
		if w.skip(folder, true) {
			w.from = w.s.prefix + folder + "0" // '0' is the byte after '/'
			return nil
		}
		if err := fingerprint.CheckPath(folder); err != nil {
			// Of all that lies in it, the first is enough.
			w.from = w.s.prefix + folder + "0"
			return &source.Error{Path: folder, Class: source.ErrName, Err: err}
		}
		w.dir = path[:len(folder)+1]
	}
	if strings.HasSuffix(it.Key, "/") && it.Size == 0 {
		return nil
	}
	if path == "" {
		return &source.Error{Path: w.s.st.URL(it.Key), Class: source.ErrName, Detail: "its key ends with '/', but it is no mark of a folder: it has bytes"}
	}
	if w.skip(path, false) {
		return nil
	}
	if err := fingerprint.CheckPath(path); err != nil {
		return &source.Error{Path: path, Class: source.ErrName, Err: err}
	}
	return w.emit(source.Object{Path: path, Size: it.Size, Pin: it})
}

// sorted lists everything and sorts it.
func (s *Source) sorted(ctx context.Context) ([]Item, error) {
	var all []Item
	l := s.list(ctx, "")
	defer l.stop()
	for {
		page, err := l.next(ctx)
		if err != nil {
			return nil, err
		}
		if page == nil {
			break
		}
		all = append(all, page...)
	}
	slices.SortFunc(all, func(a, b Item) int { return strings.Compare(a.Key, b.Key) })
	return all, nil
}

// listing is a store's listing under way, a page ahead of whoever uses it.
type listing struct {
	s     *Source
	pages chan []Item
	end   context.CancelFunc
	err   error // once pages is closed
}

// list begins to list the objects whose keys are not below from.
func (s *Source) list(ctx context.Context, from string) *listing {
	ctx, end := context.WithCancel(ctx)
	l := &listing{s: s, pages: make(chan []Item), end: end}
	go func() {
		defer close(l.pages)
		l.err = s.st.List(ctx, s.prefix, from, func(items []Item) error {
			if len(items) == 0 {
				return nil
			}
			select {
			case l.pages <- items:
				return nil
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		})
	}()
	return l
}

// next returns the next page, which is not empty, or nil after the last.
func (l *listing) next(ctx context.Context) ([]Item, error) {
	page, more := <-l.pages
	if !more && l.err != nil {
		return nil, l.s.failed(ctx, l.s.st.URL(l.s.prefix), l.err)
	}
	return page, nil
}

// stop ends a listing and waits for it.
func (l *listing) stop() {
	l.end()
	for range l.pages {
	}
}
