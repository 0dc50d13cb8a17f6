package audit

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stele-ml/stele/fingerprint"
	"github.com/stele-ml/stele/internal/scan"
	"github.com/stele-ml/stele/internal/source"
)

const algorithm = fingerprint.SHA256

// mixed are files of every kind of size.
var mixed = []object{
	{path: "a/0"}, {path: "a/1", size: 1}, {path: "a/2", size: chunk - 1}, {path: "a/3", size: chunk}, {path: "a/4", size: chunk + 1},
	{path: "b", size: 5*chunk + 17}, {path: "c"}, {path: "d", size: 100}, {path: "e", size: 2 * chunk},
}

func with(objects []object, change func(byPath map[string]*object)) []object {
	byPath := map[string]*object{}
	for _, o := range objects {
		byPath[o.path] = &o
	}
	change(byPath)
	var out []object
	for path, o := range byPath {
		o.path = path
		out = append(out, *o)
	}
	slices.SortFunc(out, func(a, b object) int { return cmp.Compare(a.path, b.path) })
	return out
}

func alter(o *object, chunks ...uint64) {
	o.altered = map[uint64]bool{}
	for _, i := range chunks {
		o.altered[i] = true
	}
}

func draw(t *testing.T, files []fingerprint.File, draws uint64) *Plan {
	t.Helper()
	p, err := Draw(seq(files), totalOf(files), Seed{1}, draws)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// everything is more draws than any tree of these tests has chunks.
const everything = 1000

// audit runs an audit of a source that should be what files say.
func audit(t *testing.T, src source.Source, files []fingerprint.File, draws uint64, opts Options) (Result, []Finding, error) {
	t.Helper()
	opts.Algorithm = algorithm
	var found []Finding
	res, err := Run(context.Background(), src, seq(files), draw(t, files, draws), opts, func(f Finding) error {
		found = append(found, f)
		return nil
	})
	return res, found, err
}

// sources are the ways a source can tell sizes.
func sources(objects []object) map[string]source.Source {
	return map[string]source.Source{
		"sizes listed":            &memory{objects: objects, sizes: true},
		"sizes by mark":           &memory{objects: objects, marks: true},
		"sizes by opening":        &memory{objects: objects},
		"remote":                  remote{&memory{objects: objects, sizes: true}},
		"remote without sizes":    remote{&memory{objects: objects, marks: true}},
		"remote, sizes by asking": remote{&memory{objects: objects}},
	}
}

func memoryOf(s source.Source) *memory {
	if r, ok := s.(remote); ok {
		return r.memory
	}
	return s.(*memory)
}

func TestNothingAltered(t *testing.T) {
	files := filesOf(algorithm, mixed)
	for _, draws := range []uint64{1, 5, everything} {
		for _, workers := range []int{0, 1, 7} {
			for name, src := range sources(mixed) {
				p := new(scan.Progress)
				plan := draw(t, files, draws)
				res, found, err := audit(t, src, files, draws, Options{Workers: workers, Progress: p})
				want := Result{Files: uint64(len(files)), ChunksRead: plan.ToRead, BytesRead: plan.BytesToRead}
				if err != nil || len(found) != 0 || !reflect.DeepEqual(res, want) || !res.Held() {
					t.Errorf("%s, %d draws: %+v, %v, %v; want %+v", name, draws, res, found, err, want)
				}
				if p.FilesDone.Load() != res.Files || p.FilesTotal.Load() != res.Files || p.BytesDone.Load() != res.BytesRead || p.BytesTotal.Load() != res.BytesRead {
					t.Errorf("%s: progress %d/%d files, %d/%d bytes", name, p.FilesDone.Load(), p.FilesTotal.Load(), p.BytesDone.Load(), p.BytesTotal.Load())
				}
				memoryOf(src).CheckClosed(t)
			}
		}
	}
}

// TestEveryDifference: an audit that reads all chunks names every difference,
// goes on after the first, and tells them in path order.
func TestEveryDifference(t *testing.T) {
	files := filesOf(algorithm, mixed)
	for _, c := range []struct {
		name   string
		change func(o map[string]*object)
		want   []Finding
		counts Result // but for Files and what was read
	}{
		{"a small file", func(o map[string]*object) { alter(o["a/2"], 0) },
			[]Finding{{Path: "a/2", Kind: Modified, OldSize: chunk - 1, NewSize: chunk - 1, Ranges: []fingerprint.Range{{Start: 0, End: chunk - 1}}}},
			Result{Modified: 1, ChunksAltered: 1, BytesAltered: chunk - 1}},
		{"ranges of a large file", func(o map[string]*object) { alter(o["b"], 0, 2, 3, 5) },
			[]Finding{{Path: "b", Kind: Modified, OldSize: 5*chunk + 17, NewSize: 5*chunk + 17,
				Ranges: []fingerprint.Range{{Start: 0, End: chunk}, {Start: 2 * chunk, End: 4 * chunk}, {Start: 5 * chunk, End: 5*chunk + 17}}}},
			Result{Modified: 1, ChunksAltered: 4, BytesAltered: 3*chunk + 17}},
		{"sizes", func(o map[string]*object) {
			o["a/0"].size = 1
			o["a/4"].size = chunk
			o["b"].size = 0
			o["d"].size = 101
		},
			[]Finding{
				{Path: "a/0", Kind: Resized, OldSize: 0, NewSize: 1},
				{Path: "a/4", Kind: Resized, OldSize: chunk + 1, NewSize: chunk},
				{Path: "b", Kind: Resized, OldSize: 5*chunk + 17, NewSize: 0},
				{Path: "d", Kind: Resized, OldSize: 100, NewSize: 101}},
			Result{Resized: 4, ChunksMissed: 2 + 6 + 1}},
		{"names", func(o map[string]*object) {
			o["0"] = &object{size: 3}
			o["b.x"] = &object{}
			o["z"] = &object{size: 2*chunk + 1}
			delete(o, "a/0")
			delete(o, "a/4")
			delete(o, "e")
		},
			[]Finding{
				{Path: "0", Kind: Added, NewSize: 3},
				{Path: "a/0", Kind: Removed},
				{Path: "a/4", Kind: Removed, OldSize: chunk + 1},
				{Path: "b.x", Kind: Added},
				{Path: "e", Kind: Removed, OldSize: 2 * chunk},
				{Path: "z", Kind: Added, NewSize: 2*chunk + 1}},
			Result{Added: 3, Removed: 3, ChunksMissed: 4}},
		{"all at once", func(o map[string]*object) {
			o["0"] = &object{size: 3}
			alter(o["a/1"], 0)
			o["a/3"].size--
			alter(o["b"], 4)
			delete(o, "c")
			alter(o["e"], 0, 1)
		},
			[]Finding{
				{Path: "0", Kind: Added, NewSize: 3},
				{Path: "a/1", Kind: Modified, OldSize: 1, NewSize: 1, Ranges: []fingerprint.Range{{Start: 0, End: 1}}},
				{Path: "a/3", Kind: Resized, OldSize: chunk, NewSize: chunk - 1},
				{Path: "b", Kind: Modified, OldSize: 5*chunk + 17, NewSize: 5*chunk + 17, Ranges: []fingerprint.Range{{Start: 4 * chunk, End: 5 * chunk}}},
				{Path: "c", Kind: Removed},
				{Path: "e", Kind: Modified, OldSize: 2 * chunk, NewSize: 2 * chunk, Ranges: []fingerprint.Range{{Start: 0, End: 2 * chunk}}}},
			Result{Added: 1, Removed: 1, Resized: 1, Modified: 3, ChunksAltered: 4, ChunksMissed: 1, BytesAltered: 3*chunk + 1}},
		{"nothing is left", func(o map[string]*object) { clear(o) },
			[]Finding{
				{Path: "a/0", Kind: Removed}, {Path: "a/1", Kind: Removed, OldSize: 1}, {Path: "a/2", Kind: Removed, OldSize: chunk - 1},
				{Path: "a/3", Kind: Removed, OldSize: chunk}, {Path: "a/4", Kind: Removed, OldSize: chunk + 1}, {Path: "b", Kind: Removed, OldSize: 5*chunk + 17},
				{Path: "c", Kind: Removed}, {Path: "d", Kind: Removed, OldSize: 100}, {Path: "e", Kind: Removed, OldSize: 2 * chunk}},
			Result{Removed: 9, ChunksMissed: 14}},
	} {
		for _, workers := range []int{1, 7} {
			for name, src := range sources(with(mixed, c.change)) {
				t.Run(fmt.Sprintf("%s/%s/%d", c.name, name, workers), func(t *testing.T) {
					res, found, err := audit(t, src, files, everything, Options{Workers: workers})
					if err != nil {
						t.Fatal(err)
					}
					if !reflect.DeepEqual(found, c.want) {
						t.Errorf("found %+v\nwant  %+v", found, c.want)
					}
					if res.ChunksRead+res.ChunksMissed != 14 || res.Held() {
						t.Errorf("%d chunks read and %d missed of 14", res.ChunksRead, res.ChunksMissed)
					}
					want := c.counts
					want.Files, want.ChunksRead, want.BytesRead = 9, res.ChunksRead, res.BytesRead
					if !reflect.DeepEqual(res, want) {
						t.Errorf("%+v\nwant %+v", res, want)
					}
					memoryOf(src).CheckClosed(t)
				})
			}
		}
	}
}

// TestOnlyTheDrawnAreRead: a sample reads the chunks of the plan, finds what is
// altered in them, and nothing in the others.
func TestOnlyTheDrawnAreRead(t *testing.T) {
	objects := []object{{path: "large", size: 100*chunk + 5}}
	files := filesOf(algorithm, objects)
	plan := draw(t, files, 10)
	drawn := map[uint64]bool{}
	for _, s := range plan.starts {
		drawn[s/chunk] = true
	}
	alter(&objects[0])
	for i := range uint64(101) {
		objects[0].altered[i] = true
	}
	var mu sync.Mutex
	read := map[uint64]bool{}
	m := &memory{objects: objects, onRange: func(_ string, off uint64) error {
		mu.Lock()
		defer mu.Unlock()
		if off%chunk == 0 {
			if read[off/chunk] {
				t.Errorf("chunk %d is read twice", off/chunk)
			}
			read[off/chunk] = true
		}
		return nil
	}}
	res, found, err := audit(t, m, files, 10, Options{})
	if err != nil || !reflect.DeepEqual(read, drawn) || res.ChunksAltered != uint64(len(drawn)) || len(found) != 1 {
		t.Errorf("read %v, drawn %v: %+v, %v, %v", read, drawn, res, found, err)
	}

	// Those that were not drawn are not seen, nor claimed to be.
	alter(&objects[0])
	for i := range uint64(101) {
		objects[0].altered[i] = !drawn[i]
		if drawn[i] {
			delete(objects[0].altered, i)
		}
	}
	clear(read)
	if res, found, err := audit(t, m, files, 10, Options{}); err != nil || len(found) != 0 || res.ChunksRead != uint64(len(drawn)) {
		t.Errorf("%+v, %v, %v", res, found, err)
	}
}

// TestBLAKE3: the digests are those of the fingerprint's hash.
func TestBLAKE3(t *testing.T) {
	files := filesOf(fingerprint.BLAKE3, mixed)
	objects := with(mixed, func(o map[string]*object) { alter(o["b"], 1); alter(o["d"], 0) })
	for _, c := range []struct {
		a    fingerprint.Algorithm
		want uint64
	}{{fingerprint.BLAKE3, 2}, {fingerprint.SHA256, 14}} {
		res, err := Run(context.Background(), &memory{objects: objects}, seq(files), draw(t, files, everything), Options{Algorithm: c.a}, nil)
		if err != nil || res.ChunksAltered != c.want {
			t.Errorf("%v: %+v, %v; want %d altered chunks", c.a, res, err, c.want)
		}
	}
}

// TestRenamed: an artifact that is one file may have another name, where what is
// audited is one file.
func TestRenamed(t *testing.T) {
	was := []object{{path: "model.bin", size: 3 * chunk}}
	files := filesOf(algorithm, was)
	// contents follow from the last byte of the path, so that these two are the same
	is := []object{{path: "in.bin", size: 3 * chunk}}
	for _, listed := range []bool{false, true} {
		for _, sizes := range []bool{false, true} {
			m := &memory{objects: is, single: true, sizes: sizes}
			res, found, err := audit(t, m, files, everything, Options{Listed: listed})
			want := []Finding{{Path: "in.bin", Kind: Renamed, From: "model.bin", OldSize: 3 * chunk, NewSize: 3 * chunk}}
			if err != nil || !reflect.DeepEqual(found, want) || !res.Held() || res.Renamed != 1 || res.ChunksRead != 3 {
				t.Errorf("%+v, %v, %v", res, found, err)
			}
		}
	}
	altered := slices.Clone(is)
	alter(&altered[0], 1)
	res, found, err := audit(t, &memory{objects: altered, single: true}, files, everything, Options{})
	want := []Finding{{Path: "in.bin", Kind: Modified, From: "model.bin", OldSize: 3 * chunk, NewSize: 3 * chunk, Ranges: []fingerprint.Range{{Start: chunk, End: 2 * chunk}}}}
	if err != nil || !reflect.DeepEqual(found, want) || res.Held() || res.Renamed != 0 {
		t.Errorf("%+v, %v, %v", res, found, err)
	}
	// An empty one needs no reading, but its name is told.
	res, found, err = audit(t, &memory{objects: []object{{path: "y"}}, single: true, sizes: true}, filesOf(algorithm, []object{{path: "x"}}), 1, Options{})
	if err != nil || len(found) != 1 || found[0].Kind != Renamed || !res.Held() {
		t.Errorf("%+v, %v, %v", res, found, err)
	}
	// An attack: in a folder its name is what was stamped, be it alone there.
	for _, sizes := range []bool{false, true} {
		res, found, err := audit(t, &memory{objects: is, sizes: sizes}, files, everything, Options{})
		if err != nil || res.Held() || res.Added != 1 || res.Removed != 1 || len(found) != 2 {
			t.Errorf("%+v, %v, %v", res, found, err)
		}
	}
	// Nor is it renamed beside another file.
	res, found, err = audit(t, &memory{objects: append(slices.Clone(is), object{path: "z"})}, files, everything, Options{})
	kinds := []string{}
	for _, f := range found {
		kinds = append(kinds, f.Path+" "+f.Kind)
	}
	if err != nil || !slices.Equal(kinds, []string{"in.bin added", "model.bin removed", "z added"}) || res.Held() || res.ChunksMissed != 3 {
		t.Errorf("%+v, %v, %v", res, kinds, err)
	}
	// The same name among others is itself.
	res, found, err = audit(t, &memory{objects: append(slices.Clone(was), object{path: "z"})}, files, everything, Options{})
	if err != nil || len(found) != 1 || found[0].Kind != Added || found[0].Path != "z" || res.ChunksRead != 3 {
		t.Errorf("%+v, %v, %v", res, found, err)
	}
}

// TestListed: of a stamp of a list, the files of the list count and nothing
// beside them.
func TestListed(t *testing.T) {
	files := filesOf(algorithm, mixed)
	objects := with(mixed, func(o map[string]*object) {
		o["0 beside"] = &object{size: 10}
		o["zz beside"] = &object{size: 10}
		delete(o, "a/3")
		delete(o, "c")
		o["d"].size = 99
		alter(o["e"], 1)
	})
	for name, src := range sources(objects) {
		m := memoryOf(src)
		m.listed = func(path string) { t.Errorf("%s is listed", path) }
		res, found, err := audit(t, src, files, everything, Options{Listed: true})
		want := []Finding{
			{Path: "a/3", Kind: Removed, OldSize: chunk},
			{Path: "c", Kind: Removed},
			{Path: "d", Kind: Resized, OldSize: 100, NewSize: 99},
			{Path: "e", Kind: Modified, OldSize: 2 * chunk, NewSize: 2 * chunk, Ranges: []fingerprint.Range{{Start: chunk, End: 2 * chunk}}},
		}
		if err != nil || !reflect.DeepEqual(found, want) || res.Files != 9 || res.ChunksMissed != 2 || res.ChunksRead != 12 {
			t.Errorf("%s: %+v, %+v, %v", name, res, found, err)
		}
		m.CheckClosed(t)
	}
}

// TestRules: the stamp's rules hide, and what they hid is told.
func TestRules(t *testing.T) {
	files := filesOf(algorithm, mixed)
	objects := with(mixed, func(o map[string]*object) {
		for i := range 2 * scan.MaxHidden {
			o[fmt.Sprintf("%03d.tmp", i)] = &object{size: 1}
		}
		o["x.log"] = &object{size: 1}
	})
	res, found, err := audit(t, &memory{objects: objects}, files, 3, Options{Rules: []string{"*.tmp"}})
	if err != nil || len(found) != 1 || found[0].Path != "x.log" || res.HiddenCount != 2*scan.MaxHidden || len(res.Hidden) != scan.MaxHidden || res.Hidden[0] != "000.tmp" {
		t.Errorf("%+v, %v, %v", res, found, err)
	}
	if _, _, err := audit(t, &memory{objects: objects}, files, 3, Options{Rules: []string{"# no rule"}}); !errors.Is(err, scan.ErrRule) {
		t.Errorf("%v, want ErrRule", err)
	}
}

// TestErrorsAreNoFindings: what cannot be read ends the audit with an error and
// what was found until then.
func TestErrorsAreNoFindings(t *testing.T) {
	files := filesOf(algorithm, mixed)
	objects := with(mixed, func(o map[string]*object) { alter(o["a/1"], 0); alter(o["b"], 0); alter(o["e"], 0) })
	broken := errors.New("broken disk")
	for name, m := range map[string]*memory{
		"Fetch":     {objects: objects, onFetch: func(p string) error { return only(p == "d", broken) }},
		"Range":     {objects: objects, onRange: func(p string, off uint64) error { return only(p == "b" && off == 2*chunk, broken) }},
		"Unchanged": {objects: objects, onCheck: func(p string) error { return only(p == "b", broken) }},
		"List":      {objects: objects[:7], listErr: broken},
	} {
		for _, workers := range []int{1, 7} {
			res, found, err := audit(t, m, files, everything, Options{Workers: workers})
			if err != broken || len(found) < 1 || found[0].Path != "a/1" || res.Modified != uint64(len(found)) {
				t.Errorf("%s: %v, %+v, %v", name, err, res, found)
			}
			if name != "Unchanged" && (len(found) != 2 || found[1].Path != "b") {
				t.Errorf("%s: found %v before the error", name, found)
			}
			m.CheckClosed(t)
		}
	}
}

func only(when bool, err error) error {
	if when {
		return err
	}
	return nil
}

// TestChangedMeanwhile: an object that changes between its listing and its
// reading, or between two of its chunks, is neither held nor altered.
func TestChangedMeanwhile(t *testing.T) {
	files := filesOf(algorithm, mixed)
	for _, path := range []string{"a/1", "b"} {
		m := &memory{objects: mixed, sizes: true, size: func(o object) uint64 {
			if o.path == path {
				return o.size + 1
			}
			return o.size
		}}
		var e *source.Error
		if _, found, err := audit(t, m, files, everything, Options{}); !errors.Is(err, source.ErrChanged) || !errors.As(err, &e) || e.Path != path || len(found) != 0 {
			t.Errorf("%s: %v, %v; want ErrChanged", path, found, err)
		}
		m.CheckClosed(t)
	}
	var asked atomic.Int64
	m := &memory{objects: mixed, size: func(o object) uint64 {
		if o.path == "b" && asked.Add(1) > 3 {
			return 7
		}
		return o.size
	}}
	if _, _, err := audit(t, m, files, everything, Options{Workers: 1}); !errors.Is(err, source.ErrChanged) {
		t.Errorf("a file that grew after three chunks: %v, want ErrChanged", err)
	}
}

// TestAttackerSwapsTheManifestAfterDrawing: the manifest that is compared must
// be the one that was drawn from, and whole.
func TestAttackerSwapsTheManifestAfterDrawing(t *testing.T) {
	files := filesOf(algorithm, mixed)
	plan := draw(t, files, 5)
	broken := errors.New("the fingerprint does not match")
	truncated := func(yield func(fingerprint.File, error) bool) {
		for _, f := range files[:4] {
			if !yield(f, nil) {
				return
			}
		}
		yield(fingerprint.File{}, broken)
	}
	unsorted := slices.Clone(files)
	unsorted[1], unsorted[2] = unsorted[2], unsorted[1]
	bare := slices.Clone(files)
	for i := range bare {
		bare[i].Chunks = nil
	}
	for name, c := range map[string]struct {
		files iter.Seq2[fingerprint.File, error]
		want  error
	}{
		"it ends with an error": {truncated, broken},
		"a file less":           {seq(files[:8]), fingerprint.ErrMismatch},
		"an empty file less":    {seq(files[1:]), fingerprint.ErrMismatch},
		"a file more":           {seq(append(slices.Clone(files), fingerprint.File{Path: "f", Size: 1})), fingerprint.ErrMismatch},
		"none":                  {seq(nil), fingerprint.ErrMismatch},
		"out of order":          {seq(unsorted), fingerprint.ErrOrder},
		"without chunk digests": {seq(bare), fingerprint.ErrFormat},
	} {
		res, err := Run(context.Background(), &memory{objects: mixed, sizes: true}, c.files, plan, Options{Algorithm: algorithm}, nil)
		if !errors.Is(err, c.want) || !reflect.DeepEqual(res, Result{}) {
			t.Errorf("%s: %+v, %v; want %v", name, res, err, c.want)
		}
	}
}

func TestFoundMayStop(t *testing.T) {
	files := filesOf(algorithm, mixed)
	enough := errors.New("enough")
	n := 0
	_, err := Run(context.Background(), &memory{}, seq(files), draw(t, files, everything), Options{Algorithm: algorithm}, func(Finding) error {
		n++
		return only(n == 3, enough)
	})
	if err != enough || n != 3 {
		t.Errorf("%v after %d findings", err, n)
	}
	if _, err := Run(context.Background(), &memory{}, seq(files), draw(t, files, 1), Options{}, nil); err == nil {
		t.Error("no algorithm, and no error")
	}
	res, err := Run(context.Background(), &memory{}, seq(files), draw(t, files, 1), Options{Algorithm: algorithm}, nil)
	if err != nil || res.Removed != 9 {
		t.Errorf("without a function for findings: %+v, %v", res, err)
	}
}

func TestCancelled(t *testing.T) {
	files := filesOf(algorithm, mixed)
	why := errors.New("the user went away")
	for _, at := range []string{"a/1", "b", "e"} {
		ctx, cancel := context.WithCancelCause(context.Background())
		m := &memory{objects: mixed, onFetch: func(p string) error {
			if p == at {
				cancel(why)
				return ctx.Err()
			}
			return nil
		}}
		_, err := Run(ctx, m, seq(files), draw(t, files, everything), Options{Algorithm: algorithm}, nil)
		if !errors.Is(err, why) {
			t.Errorf("cancelled at %s: %v", at, err)
		}
		m.CheckClosed(t)
	}
}

// TestParallel: as many chunks are read at once as there are workers, of one
// file or of many. Each call waits for the others.
func TestParallel(t *testing.T) {
	many := make([]object, 40)
	for i := range many {
		many[i] = object{path: fmt.Sprintf("%02d", i), size: 10}
	}
	for name, objects := range map[string][]object{"one file": {{path: "large", size: 20 * chunk}}, "many files": many} {
		for _, far := range []bool{false, true} {
			workers := 5
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			m := &memory{objects: objects}
			var src source.Source = m
			if far {
				src, workers = remote{m}, 11
			}
			met := make(chan struct{})
			var here atomic.Int64
			m.onFetch = func(string) error {
				if here.Add(1) == int64(workers) {
					close(met)
				}
				select {
				case <-met:
				case <-ctx.Done():
				}
				return ctx.Err()
			}
			opts := Options{Algorithm: algorithm}
			if !far {
				opts.Workers = workers
			}
			files := filesOf(algorithm, objects)
			if _, err := Run(ctx, src, seq(files), draw(t, files, everything), opts, nil); err != nil {
				t.Errorf("%s: %v: no %d chunks were read at once", name, err, workers)
			}
			cancel()
		}
	}
}

// TestMillionsOfNames: however many names differ, few of them are in memory.
func TestMillionsOfNames(t *testing.T) {
	const workers, n = 2, 300_000
	m := &memory{sizes: true, objects: make([]object, n)}
	for i := range m.objects {
		m.objects[i] = object{path: fmt.Sprintf("%07d", i), size: 1}
	}
	var listed, told, most atomic.Int64
	m.listed = func(string) {
		if d := listed.Add(1) - told.Load(); d > most.Load() {
			most.Store(d)
		}
	}
	files := filesOf(algorithm, []object{{path: "a"}, {path: "b"}})
	res, err := Run(context.Background(), m, seq(files), draw(t, files, 1), Options{Algorithm: algorithm, Workers: workers}, func(Finding) error {
		told.Add(1)
		return nil
	})
	if err != nil || res.Added != n || res.Removed != 2 {
		t.Errorf("%+v, %v", res, err)
	}
	if bound := int64((jobsAhead*workers + 3) * jobTasks); most.Load() > bound {
		t.Errorf("%d names between the listing and the caller, want at most %d", most.Load(), bound)
	}
}
