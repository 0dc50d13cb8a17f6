package oms_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stele-ml/stele/fingerprint"
	"github.com/stele-ml/stele/internal/oms"
	"github.com/stele-ml/stele/internal/source"
)

// store is a source behind a network, whose reads are as a test wants them.
type store struct {
	files map[string]string
	step  uint64

	changed string // a file that is another when its reading ends
	short   string // a file whose ranges lack a byte
	broken  string // a file that breaks off in its second range
	calls   atomic.Int64
	most    atomic.Int64 // reads at once
	now     atomic.Int64
}

var errBroken = errors.New("broken off")

func (s *store) Single() bool      { return false }
func (s *store) Requests() int     { return 8 }
func (s *store) RangeSize() uint64 { return s.step }
func (s *store) Close() error      { return nil }

func (s *store) List(_ context.Context, skip source.Skip, emit func(source.Object) error) error {
	for _, path := range slices.Sorted(maps.Keys(s.files)) {
		if skip != nil && skip(path, false) {
			continue
		}
		if err := emit(source.Object{Path: path, Size: int64(len(s.files[path]))}); err != nil {
			return err
		}
	}
	return nil
}

func (s *store) Lookup(_ context.Context, path string) (source.Object, error) {
	return source.Object{}, fs.ErrNotExist
}

func (s *store) Mark(context.Context, source.Object) (source.Mark, error) {
	return source.Mark{}, nil
}

func (s *store) Fetch(_ context.Context, o source.Object, buf []byte) (source.Fetched, error) {
	data := s.files[o.Path]
	if len(data) <= len(buf) {
		return source.Fetched{N: copy(buf, data)}, nil
	}
	return source.Fetched{Reader: &object{s, o.Path, data}}, nil
}

type object struct {
	s    *store
	path string
	data string
}

func (o *object) Size() uint64 { return uint64(len(o.data)) }
func (o *object) Close() error { return nil }

func (o *object) Unchanged(context.Context) error {
	if o.path == o.s.changed {
		return &source.Error{Path: o.path, Class: source.ErrChanged}
	}
	return nil
}

func (o *object) Range(ctx context.Context, off, n uint64, buf []byte, use func(p []byte)) error {
	o.s.calls.Add(1)
	now := o.s.now.Add(1)
	defer o.s.now.Add(-1)
	for most := o.s.most.Load(); now > most && !o.s.most.CompareAndSwap(most, now); most = o.s.most.Load() {
	}
	if o.path == o.s.short {
		n--
	}
	data := o.data[off : off+n]
	for first := true; len(data) > 0; first = false {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if o.path == o.s.broken && (off > 0 || !first) {
			return errBroken
		}
		k := copy(buf, data)
		use(buf[:k])
		data = data[k:]
	}
	return nil
}

// large are contents of several pieces that no two places have alike.
func large(n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i * i >> 7)
	}
	return string(b)
}

// Ranges of one object that are fetched at once are hashed in their order.
func TestReadAhead(t *testing.T) {
	data := large(5<<20 + 12345)
	for _, step := range []uint64{1 << 20, 2 << 20, 3<<20 + 7, 64 << 20} {
		for _, shard := range []uint64{0, 1_000_003} {
			s := &store{files: map[string]string{"a": data, "b": "small", "c": data[1:]}, step: step}
			for _, tree := range []fingerprint.Algorithm{0, fingerprint.SHA256} {
				found, err := oms.Read(t.Context(), s, oms.ReadOptions{Want: func(string) oms.Want { return oms.Want{Hash: oms.SHA256, ShardSize: shard, Tree: tree} }})
				if err != nil {
					t.Fatal(err)
				}
				for _, f := range found {
					var want [][]byte
					for rest := s.files[f.Path]; len(rest) > 0; {
						n := len(rest)
						if shard > 0 {
							n = min(n, int(shard))
						}
						sum := sha256.Sum256([]byte(rest[:n]))
						want, rest = append(want, sum[:]), rest[n:]
					}
					if !slices.EqualFunc(f.Digests, want, bytes.Equal) || f.Size != uint64(len(s.files[f.Path])) {
						t.Errorf("steps of %d, shards of %d: %s is %x, want %x", step, shard, f.Path, f.Digests, want)
					}
				}
			}
		}
	}
}

// What changed, or came short, or broke off while it was read is an error, and
// never a digest; nothing is left running.
func TestReadFails(t *testing.T) {
	files := map[string]string{"a": large(4 << 20), "b": large(3 << 20), "c": large(2 << 20)}
	for _, want := range []oms.Want{{Hash: oms.SHA256}, {Hash: oms.SHA256, ShardSize: 100_000}, {Hash: oms.BLAKE3, Tree: fingerprint.SHA256}} {
		for name, c := range map[string]struct {
			s  *store
			is error
		}{
			"changed": {&store{files: files, step: 1 << 20, changed: "b"}, source.ErrChanged},
			"short":   {&store{files: files, step: 1 << 20, short: "b"}, nil},
			"broken":  {&store{files: files, step: 1 << 20, broken: "b"}, errBroken},
		} {
			_, err := oms.Read(t.Context(), c.s, oms.ReadOptions{Want: func(string) oms.Want { return want }})
			if err == nil || c.is != nil && !errors.Is(err, c.is) {
				t.Errorf("%+v, %s: %v", want, name, err)
			}
			if n := c.s.now.Load(); n != 0 {
				t.Errorf("%+v, %s: %d reads are under way", want, name, n)
			}
		}
	}
}

// As many requests as were asked for, and a file that is not wanted is not read.
func TestReadTakesWhatItMay(t *testing.T) {
	files := map[string]string{}
	for _, name := range strings.Split("a b c d e f g h i j k l", " ") {
		files[name] = large(1<<20 + 1)
	}
	s := &store{files: files, step: 64 << 20}
	if _, err := oms.Read(t.Context(), s, oms.ReadOptions{Workers: 3, Want: func(path string) oms.Want {
		switch path {
		case "a", "b":
			return oms.Want{}
		case "c":
			return oms.Want{Size: true}
		}
		return oms.Want{Hash: oms.SHA256}
	}}); err != nil {
		t.Fatal(err)
	}
	if s.calls.Load() != 9 || s.most.Load() > 3 {
		t.Errorf("%d reads, %d at once", s.calls.Load(), s.most.Load())
	}
}
