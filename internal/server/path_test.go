package server

import (
	"strings"
	"testing"
)

func TestPath(t *testing.T) {
	for _, test := range []struct {
		path string
		want Resource
	}{
		{"/checkpoint", Resource{Kind: KindCheckpoint}},
		{"/checkpoint/0", Resource{Kind: KindCheckpointAt}},
		{"/checkpoint/70000", Resource{Kind: KindCheckpointAt, Size: 70000}},
		{"/tile/0/000", Resource{Kind: KindTile, Width: 256}},
		{"/tile/0/x001/x234/067", Resource{Kind: KindTile, N: 1234067, Width: 256}},
		{"/tile/1/000.p/1", Resource{Kind: KindTile, Level: 1, Width: 1}},
		{"/tile/63/999.p/255", Resource{Kind: KindTile, Level: 63, N: 999, Width: 255}},
		{"/tile/entries/x001/000.p/17", Resource{Kind: KindBundle, N: 1000, Width: 17}},
		{"/tile/0/x036/x028/x797/x018/x963/967", Resource{Kind: KindTile, N: MaxIndex, Width: 256}},
	} {
		got, err := ParsePath(test.path)
		if err != nil || got != test.want {
			t.Errorf("ParsePath(%q) = %+v, %v; want %+v", test.path, got, err, test.want)
		}
		if path := test.want.Path(); path != test.path {
			t.Errorf("%+v.Path() = %q, want %q", test.want, path, test.path)
		}
	}
}

func TestPathRefused(t *testing.T) {
	for _, path := range []string{
		"", "/", "checkpoint", "/Checkpoint", "/checkpoint/", "/checkpoint//", "/checkpoint/01", "/checkpoint/-1",
		"/checkpoint/+1", "/checkpoint/9223372036854775808", "/checkpoint/1/",
		"/tile", "/tile/", "/tile/0", "/tile/0/", "/tile/00/000", "/tile/64/000", "/tile/-1/000", "/tile/+1/000",
		"/tile/0/0", "/tile/0/00", "/tile/0/0000", "/tile/0/x000", "/tile/0/x000/000", "/tile/0/000/001",
		"/tile/0/x001/x234/x067", "/tile/0/001/234", "/tile/0/xx01/234", "/tile/0/x1/234", "/tile/0/X001/234",
		"/tile/0/000.p/0", "/tile/0/000.p/256", "/tile/0/000.p/01", "/tile/0/000.p/", "/tile/0/000.p", "/tile/0/000.p/1/",
		"/tile/0/000.p/1.p/1", "/tile/0/+12", "/tile/0/١٢٣", "/tile/0/ 00",
		"/tile/8/0/000", "/tile/entries", "/tile/entries/", "/tile/entries/0/000", "/tile/data/000",
		"/tile/0/x036/x028/x797/x018/x963/968", "/tile/0/x999/x999/x999/x999/x999/x999/x999/999",
		"/tile/0/../../checkpoint", "/tile//000", "//checkpoint", "/checkpoint?", "/tile/0/000\x00",
		"/tile/0/" + strings.Repeat("x000/", 1000) + "000",
	} {
		if r, err := ParsePath(path); err == nil {
			t.Errorf("ParsePath(%q) = %+v, want an error", path, r)
		}
	}
}

func TestAvailable(t *testing.T) {
	// The example of C2SP tlog-tiles: 70,000 entries.
	for _, test := range []struct {
		level int
		n     uint64
		want  int
	}{
		{0, 0, 256}, {0, 272, 256}, {0, 273, 112}, {0, 274, 0},
		{1, 0, 256}, {1, 1, 17}, {1, 2, 0},
		{2, 0, 1}, {2, 1, 0}, {3, 0, 0}, {7, 0, 0}, {8, 0, 0}, {63, 0, 0}, {0, MaxIndex, 0},
	} {
		r := Resource{Kind: KindTile, Level: test.level, N: test.n}
		if got := r.available(70000); got != test.want {
			t.Errorf("size 70000: tile %d/%d has %d hashes, want %d", test.level, test.n, got, test.want)
		}
	}
	if got := (Resource{Kind: KindTile, Level: 1}).available(256); got != 1 {
		t.Errorf("size 256: tile 1/0 has %d hashes, want 1", got)
	}
	if got := (Resource{Kind: KindBundle, N: MaxIndex}).available(MaxSize); got != 255 {
		t.Errorf("the largest log: the last bundle has %d entries, want 255", got)
	}
}

// One resource has one path, and every path that is accepted is that one.
func FuzzParsePath(f *testing.F) {
	for _, path := range []string{
		"/checkpoint", "/checkpoint/17", "/tile/0/000", "/tile/1/x001/x234/067.p/255", "/tile/entries/000.p/1",
		"/tile/0/x000/000", "/tile/0/000.p/256", "/tile/63/x036/x028/x797/x018/x963/967",
	} {
		f.Add(path)
	}
	f.Fuzz(func(t *testing.T, path string) {
		r, err := ParsePath(path)
		if err != nil {
			return
		}
		if r.Path() != path {
			t.Errorf("%q parses to %+v, whose path is %q", path, r, r.Path())
		}
		if n := r.available(MaxSize); n < 0 || n > FullWidth {
			t.Errorf("%q: %d available", path, n)
		}
	})
}
