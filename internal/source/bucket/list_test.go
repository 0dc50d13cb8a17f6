package bucket

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stele-ml/stele/internal/source"
)

func TestOpen(t *testing.T) {
	denied := &source.Error{Class: source.ErrDenied}
	down := &source.Error{Class: source.ErrUnreachable}
	for _, c := range []struct {
		name   string
		store  *memory
		key    string
		single bool
		want   string // in the error, or empty
		class  error
	}{
		{name: "all", store: newMemory("a")},
		{name: "an empty bucket", store: newMemory()},
		{name: "a folder", store: newMemory("p/a"), key: "p/"},
		{name: "a folder without its slash", store: newMemory("p/a"), key: "p"},
		{name: "a marked folder that is empty", store: newMemory("p/"), key: "p/"},
		{name: "no folder", store: newMemory("p", "pp/a"), key: "p/", want: "mem://b/p/: nothing lies under it", class: fs.ErrNotExist},
		{name: "an object", store: newMemory("p/a"), key: "p/a", single: true},
		{name: "an object beside a longer name", store: newMemory("p/a", "p/ab", "p/a-/x"), key: "p/a", single: true},
		{name: "nothing", store: newMemory("p/ab"), key: "p/a", want: "mem://b/p/a: there is no such object", class: fs.ErrNotExist},
		{name: "both", store: newMemory("p/a", "p/a/b"), key: "p/a", want: "both an object and a folder"},
		{name: "both, by its slash", store: newMemory("p/a", "p/a/b"), key: "p/a/"},
		{name: "an object with a name that is none", store: newMemory("p/.."), key: "p/..", want: "mem://b/p/..", class: source.ErrName},
		{name: "a folder that may be listed alone", store: &memory{headErr: denied, objects: newMemory("p/a").objects}, key: "p"},
		{name: "an object that may be read alone", store: &memory{listErr: denied, objects: newMemory("p").objects}, key: "p", single: true},
		{name: "nothing is allowed", store: &memory{listErr: denied, headErr: denied}, key: "p", want: "mem://b/p", class: source.ErrDenied},
		{name: "no listing is allowed", store: &memory{listErr: denied}, key: "", want: "mem://b/", class: source.ErrDenied},
		{name: "no answer", store: &memory{headErr: down}, key: "p", want: "mem://b/p", class: source.ErrUnreachable},
		{name: "no answer to a listing", store: &memory{listErr: down, objects: newMemory("p").objects}, key: "p", want: "mem://b/p", class: source.ErrUnreachable},
	} {
		s, err := Open(context.Background(), c.store, c.key, Options{})
		if c.want == "" {
			if err != nil || s.Single() != c.single || c.store.closed {
				t.Errorf("%s: %v, %v", c.name, s, err)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), c.want) || c.class != nil && !errors.Is(err, c.class) || !c.store.closed {
			t.Errorf("%s: %v, want %q and %v", c.name, err, c.want, c.class)
		}
	}
}

func TestNames(t *testing.T) {
	long := strings.Repeat("x", 4097)
	for _, c := range []struct {
		key  string
		path string // that skip is asked for, and the error is at
		why  string
	}{
		{"/x", "/x", "absolute"},
		{"a//b", "a//b", "empty segment"},
		{"a/./b", "a/./b", "segment ."},
		{"a/../b", "a/../b", "segment .."},
		{"..", "..", "segment .."},
		{"a/b/", "a/b/", "empty segment"}, // with bytes in it
		{"\xff", "\xff", "not valid UTF-8"},
		{"a/" + long, "a/" + long, "4096"},
	} {
		m := newMemory("0", "~")
		m.put(c.key, "bytes")
		s, _ := opened(t, m, "", Options{})
		got, err := list(s, nil)
		var e *source.Error
		if !errors.As(err, &e) || e.Class != source.ErrName || e.Path != c.path || !strings.Contains(err.Error(), c.why) || len(got) > 1 && c.key < "~" {
			t.Errorf("%q: %v, %v; want ErrName at %q: %s", c.key, got, err, c.path, c.why)
		}
		if c.key > "~" && len(got) != 2 {
			t.Errorf("%q ended the listing before its turn, after %q", c.key, got)
		}
		got, err = list(s, func(p string, folder bool) bool { return p == c.path && !folder })
		if err != nil || !slices.Equal(got, []string{"0", "~"}) {
			t.Errorf("%q left out: %q, %v", c.key, got, err)
		}
		n := 0
		if err := s.Measure(context.Background(), nil, func(uint64) { n++ }); err != nil || n != 2 {
			t.Errorf("%q: measured %d, %v", c.key, n, err)
		}
	}
	// A folder of a name that is none is offered as one, and its error comes
	// before anything in it.
	m := newMemory("\xff/a", "\xff/b", "\xff/c", "\xffd")
	s, _ := opened(t, m, "", Options{})
	if got, err := list(s, func(p string, folder bool) bool { return p == "\xff" && folder || p == "\xffd" }); err != nil || len(got) != 0 {
		t.Errorf("a folder left out: %q, %v", got, err)
	}
	if got, err := list(s, nil); !errors.Is(err, source.ErrName) || len(got) != 0 {
		t.Errorf("a folder that is no name: %q, %v", got, err)
	}
	// The mark of the root itself.
	m = newMemory("p/", "p/a")
	s, _ = opened(t, m, "p/", Options{})
	if got, err := list(s, nil); err != nil || !slices.Equal(got, []string{"a"}) {
		t.Errorf("a marked root: %q, %v", got, err)
	}
	m.put("p/", "with bytes")
	if _, err := list(s, nil); !errors.Is(err, source.ErrName) {
		t.Errorf("a root that is an object too: %v", err)
	}
}

func TestMarkers(t *testing.T) {
	s, _ := opened(t, newMemory("a/", "a/b", "c/", "d/e/", "f"), "", Options{})
	var asked []string
	got, err := list(s, func(p string, folder bool) bool {
		if folder {
			p += "/"
		}
		asked = append(asked, p)
		return false
	})
	if err != nil || !slices.Equal(got, []string{"a/b", "f"}) {
		t.Errorf("%q, %v", got, err)
	}
	if want := []string{"a/", "a/b", "c/", "d/", "d/e/", "f"}; !slices.Equal(asked, want) {
		t.Errorf("asked for %q, want %q", asked, want)
	}
}

func TestOrder(t *testing.T) {
	items := func(keys ...string) (list []Item) {
		for _, k := range keys {
			list = append(list, Item{Key: k, ETag: "e"})
		}
		return list
	}
	for _, c := range []struct {
		listed []Item
		want   string
	}{
		{items("p/b", "p/a"), "mem://b/p/a: not listed in byte order: it comes after p/b"},
		{items("p/a", "p/a"), "mem://b/p/a: not listed in byte order: it is listed twice"},
		{items("p/a/b", "p/a-"), "mem://b/p/a-: not listed in byte order: it comes after p/a/b"}, // as of a store that walks folders
		{items("p/a", "q/b"), "q/b, which does not lie under it"},
	} {
		m := &memory{listed: c.listed, page: 1}
		s, _ := opened(t, m, "p/", Options{})
		_, err := list(s, nil)
		if !errors.Is(err, source.ErrOrder) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v: %v, want %s", c.listed, err, c.want)
		}
		var e *source.Error
		if errors.As(err, &e); !strings.Contains(e.Hint(), "--sort-listing") {
			t.Errorf("hint %q", e.Hint())
		}
	}
	for _, m := range []*memory{{listed: items("p/b", "p/a/c", "p/a-", "p/a"), page: 1}, {listed: items("p/b", "p/a/c", "p/a-", "p/a"), page: 3, unordered: true}} {
		s, _ := opened(t, m, "p/", Options{SortListing: !m.unordered})
		if got, err := list(s, nil); err != nil || !slices.Equal(got, []string{"a", "a-", "a/c", "b"}) {
			t.Errorf("sorted: %q, %v", got, err)
		}
	}
	s, _ := opened(t, &memory{listed: items("p/b", "p/a", "p/b")}, "p/", Options{SortListing: true})
	if _, err := list(s, nil); !errors.Is(err, source.ErrOrder) {
		t.Errorf("listed twice and sorted: %v", err)
	}
}

// TestJump leaves out a folder of ten thousand objects without listing it.
func TestJump(t *testing.T) {
	m := &memory{page: 100}
	for i := range 10_000 {
		m.objects = append(m.objects, object{Item: Item{Key: fmt.Sprintf("p/b/%05d/x", i)}})
	}
	m.put("p/a", "")
	m.put("p/b-", "")
	m.put("p/b0", "")
	m.put("p/c/d", "")
	s, _ := opened(t, m, "p/", Options{})
	m.pages, m.froms = 0, nil
	got, err := list(s, func(p string, folder bool) bool { return folder && p == "b" })
	if err != nil || !slices.Equal(got, []string{"a", "b-", "b0", "c/d"}) {
		t.Errorf("%q, %v", got, err)
	}
	if !slices.Equal(m.froms, []string{"", "p/b0"}) || m.pages > 5 {
		t.Errorf("listed from %q, %d pages", m.froms, m.pages)
	}
}

// TestListLikeATree compares listings of many trees, page sizes and rules with
// what the words of source.Skip ask for, said in the plainest way.
func TestListLikeATree(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	segments := []string{"a", "a-", "a0", "b", "b.c", "é", "/", " "}
	for range 3000 {
		var keys []string
		for range r.IntN(40) {
			k := segments[r.IntN(6)]
			for range r.IntN(4) {
				k += "/" + segments[r.IntN(6)]
			}
			keys = append(keys, k)
		}
		m := newMemory(keys...)
		m.page = 1 + r.IntN(8)
		m.early = r.IntN(3)
		hidden := map[string]bool{}
		for _, k := range keys {
			if r.IntN(4) == 0 {
				hidden[k] = true
			}
			if i := strings.LastIndexByte(k, '/'); i > 0 && r.IntN(3) == 0 {
				hidden[k[:i+1]] = true
			}
		}
		var asked, wantAsked, want []string
		entered := map[string]bool{} // folder, and whether it is looked into
	objects:
		for _, o := range m.objects {
			for i, c := range o.Key {
				if c != '/' {
					continue
				}
				f := o.Key[:i+1]
				in, seen := entered[f]
				if !seen {
					wantAsked = append(wantAsked, f)
					in = !hidden[f]
					entered[f] = in
				}
				if !in {
					continue objects
				}
			}
			wantAsked = append(wantAsked, o.Key)
			if !hidden[o.Key] {
				want = append(want, o.Key)
			}
		}
		s, _ := opened(t, m, "", Options{})
		got, err := list(s, func(p string, folder bool) bool {
			if folder {
				p += "/"
			}
			asked = append(asked, p)
			return hidden[p]
		})
		if err != nil || !slices.Equal(got, want) || !slices.Equal(asked, wantAsked) {
			t.Fatalf("keys %q in pages of %d, hidden %v:\ngot   %q, %v\nwant  %q\nasked %q\nwant  %q", keys, m.page, hidden, got, err, want, asked, wantAsked)
		}
	}
}

func TestListEndsWithTheContext(t *testing.T) {
	m := newMemory("a", "b", "c", "d")
	m.page = 1
	s, _ := opened(t, m, "", Options{})
	why := errors.New("the user went away")
	ctx, end := context.WithCancelCause(context.Background())
	n := 0
	err := s.List(ctx, nil, func(source.Object) error { n++; end(why); return nil })
	if err != why || n != 1 {
		t.Errorf("List = %v after %d objects", err, n)
	}
}
