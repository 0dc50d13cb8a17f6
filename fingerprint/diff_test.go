package fingerprint

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func collectDiff(t *testing.T, old, new []File, limit int) ([]Change, Counts) {
	t.Helper()
	var changes []Change
	counts, err := diff(seq(old), seq(new), func(c Change) error {
		changes = append(changes, c)
		return nil
	}, limit)
	if err != nil {
		t.Fatal(err)
	}
	return changes, counts
}

// tiny makes files of one byte each from "path=contents".
func tiny(specs ...string) []File {
	var files []File
	for _, s := range specs {
		path, data, _ := strings.Cut(s, "=")
		files = append(files, fileOf(SHA256, path, []byte(data)))
	}
	return files
}

func TestDiff(t *testing.T) {
	for _, tt := range []struct {
		name     string
		old, new []File
		want     []string
	}{
		{"nothing", nil, nil, nil},
		{"same", tiny("a=1", "b=2"), tiny("a=1", "b=2"), nil},
		{"added", nil, tiny("a=1", "b=2"), []string{"added a", "added b"}},
		{"removed", tiny("a=1", "b=2"), nil, []string{"removed a", "removed b"}},
		{"modified", tiny("a=1", "b=2"), tiny("a=1", "b=3"), []string{"modified b [{0 1}]"}},
		{"single file under another name", tiny("a=1"), tiny("b=1"), []string{"renamed b from a"}},
		{"the same backwards", tiny("b=1"), tiny("a=1"), []string{"renamed a from b"}},
		{"single file with other contents and name", tiny("a=1"), tiny("b=2"), []string{"removed a", "added b"}},
		{"one of two moved", tiny("a=1", "x=9"), tiny("b=1", "x=9"), []string{"moved b from a"}},
		{"moved, the rest gone", tiny("a=1", "x=9"), tiny("b=1"), []string{"moved b from a", "removed x"}},
		{"moved, the rest came", tiny("b=1"), tiny("a=1", "x=9"), []string{"moved a from b", "added x"}},
		{"names swapped", tiny("a=1", "b=2"), tiny("a=2", "b=1"), []string{"modified a [{0 1}]", "modified b [{0 1}]"}},
		{"three alike, pairs by path", tiny("a=1", "b=1", "c=1"), tiny("x=1", "y=1"), []string{"moved x from a", "moved y from b", "removed c"}},
		{"three alike, backwards", tiny("x=1", "y=1"), tiny("a=1", "b=1", "c=1"), []string{"moved a from x", "moved b from y", "added c"}},
		{"copied", tiny("a=1"), tiny("a=1", "b=1"), []string{"added b"}},
		{"folder moved", tiny("old/a=1", "old/b=2"), tiny("new/a=1", "new/b=2"), []string{"moved new/a from old/a", "moved new/b from old/b"}},
		{"added and removed are by path", tiny("a=1", "c=3"), tiny("b=2", "d=4"), []string{"removed a", "added b", "removed c", "added d"}},
		{"grown", tiny("a=1"), tiny("a=1234"), []string{"modified a [{0 4}]"}},
		{"emptied", tiny("a=1234"), tiny("a="), []string{"modified a [{0 4}]"}},
	} {
		changes, counts := collectDiff(t, tt.old, tt.new, MaxMovePending)
		var got []string
		for _, c := range changes {
			s := c.Change + " " + c.Path
			if c.From != "" {
				s += " from " + c.From
			}
			if c.Ranges != nil {
				s += fmt.Sprint(" ", c.Ranges)
			}
			got = append(got, s)
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
		only := func(word string) bool {
			return !slices.ContainsFunc(changes, func(c Change) bool { return c.Change != word })
		}
		if counts.Equal() != only(Renamed) {
			t.Errorf("%s: Equal is %v", tt.name, counts.Equal())
		}
		if same := counts.Equal() && counts.Renamed == 0; same != (summaryOf(t, SHA256, tt.old) == summaryOf(t, SHA256, tt.new)) {
			t.Errorf("%s: %+v, but the fingerprints say otherwise", tt.name, counts)
		}
	}
}

func TestDiffRanges(t *testing.T) {
	const mib = ChunkSize
	data := contents(6*mib+500, 1)
	edit := func(size int, at ...int) []byte {
		p := slices.Clone(data[:size])
		for _, i := range at {
			p[i] ^= 1
		}
		return p
	}
	noChunks := func(f File) File { f.Chunks = nil; return f }
	for _, tt := range []struct {
		name     string
		old, new []byte
		want     []Range
	}{
		{"one byte", edit(6 * mib), edit(6*mib, 2*mib+3), []Range{{2 * mib, 3 * mib}}},
		{"neighbours merge", edit(6 * mib), edit(6*mib, 2*mib, 3*mib), []Range{{2 * mib, 4 * mib}}},
		{"two places", edit(6 * mib), edit(6*mib, 0, 5*mib), []Range{{0, mib}, {5 * mib, 6 * mib}}},
		{"last byte", edit(6*mib + 500), edit(6*mib+500, 6*mib+499), []Range{{6 * mib, 6*mib + 500}}},
		{"everything", edit(2 * mib), edit(2*mib, 1, mib), []Range{{0, 2 * mib}}},
		{"appended", edit(mib + 5), edit(3*mib + 5), []Range{{mib, 3*mib + 5}}},
		{"appended at a chunk's end", edit(2 * mib), edit(3 * mib), []Range{{2 * mib, 3 * mib}}},
		{"cut", edit(3 * mib), edit(mib), []Range{{mib, 3 * mib}}},
		{"from one chunk to two", edit(mib), edit(mib + 1), []Range{{mib, mib + 1}}},
		{"from nothing", nil, edit(mib + 1), []Range{{0, mib + 1}}},
		{"small", edit(100), edit(90, 3), []Range{{0, 100}}},
	} {
		for _, a := range algorithms {
			was, is := fileOf(a, "f", tt.old), fileOf(a, "f", tt.new)
			changes, counts := collectDiff(t, []File{was}, []File{is}, MaxMovePending)
			var n uint64
			for _, r := range tt.want {
				n += r.Len()
			}
			want := Change{Path: "f", Change: Modified, OldSize: was.Size, NewSize: is.Size, Ranges: tt.want}
			if len(changes) != 1 || !reflect.DeepEqual(changes[0], want) || counts != (Counts{Modified: 1, ModifiedBytes: n}) {
				t.Errorf("%v, %s: %+v, %+v", a, tt.name, changes, counts)
			}
			// Outside the ranges the bytes are the same.
			for i := range max(len(tt.old), len(tt.new)) {
				in := slices.ContainsFunc(tt.want, func(r Range) bool { return uint64(i) >= r.Start && uint64(i) < r.End })
				if !in && (i >= len(tt.old) || i >= len(tt.new) || tt.old[i] != tt.new[i]) {
					t.Fatalf("%v, %s: byte %d differs outside %v", a, tt.name, i, tt.want)
				}
			}
			// Without chunk digests, anything may have changed.
			if was.Size > mib && is.Size > mib {
				changes, _ = collectDiff(t, []File{noChunks(was)}, []File{is}, MaxMovePending)
				if !slices.Equal(changes[0].Ranges, []Range{{0, max(was.Size, is.Size)}}) {
					t.Errorf("%v, %s: without chunks: %v", a, tt.name, changes[0].Ranges)
				}
			}
		}
	}
}

// randomPair returns two trees, the second edited from the first.
func randomPair(seed uint64, n int) (old, new []File) {
	r := newRand(seed)
	old = randomFiles(r, SHA256, n)
	byPath := map[string]File{}
	for _, f := range old {
		switch r.IntN(8) {
		case 0: // removed
		case 1:
			f = randomFile(r, SHA256, f.Path)
			byPath[f.Path] = f
		case 2, 3:
			f.Path = fmt.Sprintf("%s-%d", f.Path, r.IntN(10))
			byPath[f.Path] = f
		case 4: // copied
			byPath[f.Path] = f
			f.Path = "copy/" + f.Path
			byPath[f.Path] = f
		default:
			byPath[f.Path] = f
		}
	}
	for _, f := range byPath {
		new = append(new, f)
	}
	slices.SortFunc(new, func(a, b File) int { return strings.Compare(a.Path, b.Path) })
	return old, new
}

func TestDiffAgreesWithSets(t *testing.T) {
	for seed := range uint64(200) {
		old, new := randomPair(seed, int(seed%60))
		for _, limit := range []int{MaxMovePending, 3, 0} {
			changes, counts := collectDiff(t, old, new, limit)
			checkDiff(t, old, new, changes, counts)
			if counts.MovesCut && limit == MaxMovePending {
				t.Errorf("seed %d: moves cut", seed)
			}
			if limit == 0 && (counts.Moved != 0 || counts.MovesCut != (counts.Added+counts.Removed > 0)) {
				t.Errorf("seed %d: %+v without memory for moves", seed, counts)
			}
			if again, _ := collectDiff(t, old, new, limit); !reflect.DeepEqual(again, changes) {
				t.Errorf("seed %d: another answer the second time", seed)
			}
		}
	}
}

// checkDiff replays the changes onto the old tree and must get the new one.
func checkDiff(t *testing.T, old, new []File, changes []Change, counts Counts) {
	t.Helper()
	type key struct {
		size   uint64
		digest Digest
	}
	was, is := map[string]key{}, map[string]key{}
	for _, f := range old {
		was[f.Path] = key{f.Size, f.Digest}
	}
	for _, f := range new {
		is[f.Path] = key{f.Size, f.Digest}
	}
	var got Counts
	now := map[string]key{}
	for path, k := range was {
		now[path] = k
	}
	lonely := map[key]int{} // added less removed
	for _, c := range changes {
		switch c.Change {
		case Added:
			got.Added++
			got.AddedBytes += c.NewSize
			now[c.Path] = is[c.Path]
			lonely[is[c.Path]] |= 1
			if _, there := was[c.Path]; there || c.OldSize != 0 || c.NewSize != is[c.Path].size {
				t.Errorf("%+v", c)
			}
		case Removed:
			got.Removed++
			got.RemovedBytes += c.OldSize
			delete(now, c.Path)
			lonely[was[c.Path]] |= 2
			if _, there := is[c.Path]; there || c.NewSize != 0 || c.OldSize != was[c.Path].size {
				t.Errorf("%+v", c)
			}
		case Modified:
			got.Modified++
			for _, r := range c.Ranges {
				got.ModifiedBytes += r.Len()
			}
			now[c.Path] = is[c.Path]
			if was[c.Path] == is[c.Path] || c.OldSize != was[c.Path].size || c.NewSize != is[c.Path].size || len(c.Ranges) == 0 {
				t.Errorf("%+v", c)
			}
		case Moved, Renamed:
			if c.Change == Moved {
				got.Moved++
			} else {
				got.Renamed++
				if len(old) != 1 || len(new) != 1 {
					t.Errorf("%+v", c)
				}
			}
			got.MovedBytes += c.NewSize
			now[c.Path] = is[c.Path]
			delete(now, c.From)
			if was[c.From] != is[c.Path] || c.OldSize != c.NewSize || c.NewSize != is[c.Path].size {
				t.Errorf("%+v", c)
			}
		}
	}
	if !reflect.DeepEqual(now, is) {
		t.Errorf("the changes do not lead from one tree to the other")
	}
	for path, k := range was {
		if is[path] == k {
			got.Same++
			got.SameBytes += k.size
		}
	}
	got.MovesCut = counts.MovesCut
	if got != counts {
		t.Errorf("counts %+v, want %+v", counts, got)
	}
	for k, sides := range lonely {
		if sides == 3 && !counts.MovesCut {
			t.Errorf("contents of %d bytes both added and removed, and not moved", k.size)
		}
	}
}

func TestDiffErrors(t *testing.T) {
	broken := errors.New("disk on fire")
	files := tiny("a=1", "b=2")
	none := func(Change) error { return nil }
	if _, err := Diff(seqErr(files, broken), seq(files), none); !errors.Is(err, broken) || !strings.Contains(err.Error(), "old side") {
		t.Error(err)
	}
	if _, err := Diff(seq(files), seqErr(nil, broken), none); !errors.Is(err, broken) || !strings.Contains(err.Error(), "new side") {
		t.Error(err)
	}
	if _, err := Diff(seq(tiny("b=1", "a=2")), seq(files), none); !errors.Is(err, ErrOrder) {
		t.Error(err)
	}
	if _, err := Diff(seq(files), seq(tiny("a=1", "a=1")), none); !errors.Is(err, ErrOrder) {
		t.Error(err)
	}
	for _, pair := range [][2][]File{{{{}}, nil}, {nil, {{}}}} {
		if _, err := Diff(seq(pair[0]), seq(pair[1]), none); !errors.Is(err, ErrPath) {
			t.Error(err)
		}
	}
	for _, pair := range [][2][]File{{files, nil}, {files, tiny("a=2")}, {tiny("a=1"), tiny("b=1")}} {
		if _, err := Diff(seq(pair[0]), seq(pair[1]), func(Change) error { return broken }); err != broken {
			t.Error(err)
		}
	}
}
