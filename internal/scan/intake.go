package scan

import (
	"context"
	"fmt"
	"io/fs"
	"iter"
	"slices"
	"strings"

	"github.com/stele-ml/stele/fingerprint"
	"github.com/stele-ml/stele/internal/hint"
	"github.com/stele-ml/stele/internal/shard"
	"github.com/stele-ml/stele/internal/source"
)

// lookUpAtMost is how many files of a list are looked up one by one. For more
// of them, listing the whole takes fewer requests.
const lookUpAtMost = 64

// few reports whether the files are looked up and not listed.
func (o *Options) few() bool { return o.Only != nil && len(o.Only) <= lookUpAtMost }

// objects passes on what is to be scanned, in path order, before a shard takes
// its part.
func objects(ctx context.Context, src source.Source, opts *Options, skip source.Skip, emit func(source.Object) error) error {
	if opts.Only == nil {
		return src.List(ctx, skip, emit)
	}
	if opts.few() {
		for _, path := range opts.Only {
			o, err := src.Lookup(ctx, path)
			if err != nil {
				return err
			}
			if err := emit(o); err != nil {
				return err
			}
		}
		return nil
	}
	missing := opts.Only
	absent := func() error { return &source.Error{Path: missing[0], Err: fs.ErrNotExist} }
	err := src.List(ctx, skip, func(o source.Object) error {
		switch {
		case len(missing) == 0 || o.Path < missing[0]:
			return nil // a single root, which is not offered to skip
		case o.Path > missing[0]:
			return absent()
		}
		missing = missing[1:]
		return emit(o)
	})
	if err == nil && len(missing) > 0 {
		err = absent()
	}
	return err
}

// OnlyThese leaves out what is not on a list, and the folders that hold nothing
// of it.
func OnlyThese(only []string) source.Skip {
	return func(path string, folder bool) bool {
		if folder {
			path += "/"
		}
		i, found := slices.BinarySearch(only, path)
		if folder {
			return i == len(only) || !strings.HasPrefix(only[i], path)
		}
		return !found
	}
}

// checkOnly refuses a list that is not sorted, or has names that are no paths.
func checkOnly(only []string) error {
	for i, path := range only {
		if err := fingerprint.CheckPath(path); err != nil {
			return &source.Error{Path: path, Class: ErrName, Err: err}
		}
		if i > 0 && only[i-1] >= path {
			return fmt.Errorf("list of files: %w: %s follows %s", fingerprint.ErrOrder, source.Show(path), source.Show(only[i-1]))
		}
	}
	return nil
}

// filter leaves out what is not counted beforehand: what skip leaves out, and
// the files of other shards.
func filter(opts *Options, skip source.Skip) source.Skip {
	if opts.Shard.Count == 0 {
		return skip
	}
	return func(path string, folder bool) bool {
		return skip(path, folder) || !folder && !opts.Shard.Holds(path)
	}
}

// intake takes the files of a scan from a listing, each with the hint on it.
type intake struct {
	part   shard.Part
	listed *shard.Lister // nil without shards
	hints  *hints        // nil without
}

func newIntake(opts *Options) *intake {
	in := &intake{part: opts.Shard}
	if in.part.Count != 0 {
		in.listed = shard.NewLister()
	}
	if opts.Hints != nil {
		in.hints = newHints(opts.Hints)
	}
	return in
}

// take reports whether a listed file is this scan's, and what there is on it.
func (in *intake) take(path string) (h *hint.Hint, ours bool, err error) {
	if in.listed != nil {
		in.listed.Add(path)
		if !in.part.Holds(path) {
			return nil, false, nil
		}
	}
	if in.hints != nil {
		h, err = in.hints.find(path)
	}
	return h, true, err
}

// end goes through what is left of the hints: only at their end it shows whether
// they were right.
func (in *intake) end() error {
	if in.hints == nil {
		return nil
	}
	return in.hints.rest()
}

func (in *intake) close() {
	if in.hints != nil {
		in.hints.stop()
	}
}

// hints are gone through beside a listing, in path order.
type hints struct {
	next func() (hint.Hint, error, bool)
	stop func()
	now  hint.Hint // the last one that next gave
	have bool      // it was not looked at yet, or lies behind what was looked for
	over bool
}

func newHints(seq iter.Seq2[hint.Hint, error]) *hints {
	h := new(hints)
	h.next, h.stop = iter.Pull2(seq)
	return h
}

// advance goes to the next hint.
func (h *hints) advance() error {
	last := h.now.File.Path
	now, err, ok := h.next()
	switch {
	case !ok:
		h.over, h.have = true, false
		return nil
	case err != nil:
		return fmt.Errorf("hints: %w", err)
	case now.File.Path <= last:
		return fmt.Errorf("hints: %w: %s follows %s", fingerprint.ErrOrder, source.Show(now.File.Path), source.Show(last))
	case now.Entry == 0:
		return fmt.Errorf("hints: %s has no entry that read it", source.Show(now.File.Path))
	}
	h.now, h.have = now, true
	return nil
}

// find returns the hint on a path, or nil. Paths are asked for in order.
func (h *hints) find(path string) (*hint.Hint, error) {
	for !h.over && (!h.have || h.now.File.Path < path) {
		if err := h.advance(); err != nil {
			return nil, err
		}
	}
	if !h.have || h.now.File.Path != path {
		return nil, nil
	}
	h.have = false
	found := h.now
	return &found, nil
}

func (h *hints) rest() error {
	for !h.over {
		if err := h.advance(); err != nil {
			return err
		}
	}
	return nil
}

// same says how sure it is that a file is what a hint on it says, from its mark
// now; source.Unsure where that is not enough.
func (o *Options) same(h *hint.Hint, now source.Mark) source.Strength {
	f := &h.File
	switch {
	case now.Size < 0 || uint64(now.Size) != f.Size || h.Mark.Size != now.Size:
		return source.Unsure
	case f.Size > fingerprint.ChunkSize && uint64(len(f.Chunks)) != fingerprint.ChunkCount(f.Size):
		return source.Unsure
	case o.PlainSHA256 && f.SHA256 == nil && (o.Algorithm != fingerprint.SHA256 || f.Size > fingerprint.ChunkSize):
		return source.Unsure
	}
	if s := h.Mark.Same(now); s >= o.MinStrength {
		return s
	}
	return source.Unsure
}

// takeOver is a hint's file as this scan would have read it.
func (o *Options) takeOver(h *hint.Hint) fingerprint.File {
	f := h.File
	switch {
	case !o.PlainSHA256:
		f.SHA256 = nil
	case f.SHA256 == nil:
		f.SHA256 = &f.Digest
	}
	return f
}
