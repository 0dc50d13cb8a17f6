// Package scan makes files of bytes: it reads a source and passes on, in path
// order, what a fingerprint and a manifest are made of. Several files are read
// at once, in one folder or in many, and several parts of a large one. Memory
// is bounded by the workers and the largest folder's names, not by the data.
package scan

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"runtime"
	"strings"

	"github.com/stele-ml/stele/fingerprint"
	"github.com/stele-ml/stele/internal/shard"
	"github.com/stele-ml/stele/internal/source"
)

// The classes of error, as package source has them. The error that carries one
// is a *source.Error, which names the path and has a Hint for the user.
var (
	ErrChanged   = source.ErrChanged
	ErrLink      = source.ErrLink
	ErrIrregular = source.ErrIrregular
	ErrName      = source.ErrName
)

// Local scans a folder or a file on a disk. See [Run].
func Local(ctx context.Context, path string, opts Options, emit func(fingerprint.File) error) (Result, error) {
	src, err := source.OpenLocal(path, source.LocalOptions{FollowOutside: opts.FollowOutside})
	if err != nil {
		return Result{}, err
	}
	defer src.Close()
	return Run(ctx, src, opts, emit)
}

// Run reads a source and calls emit, which may be nil, for each file in path
// order, from the calling goroutine. A File may be kept.
//
// It ends at the first error in path order, whichever worker met one first in
// time; what was emitted until then is the beginning of the whole. An error of
// emit is returned as it is. When ctx ends it returns the cause. It has then
// stopped every goroutine that it started.
func Run(ctx context.Context, src source.Source, opts Options, emit func(fingerprint.File) error) (Result, error) {
	if err := opts.check(src); err != nil {
		return Result{}, err
	}
	rules, file, err := rulesOf(ctx, src, opts)
	if err != nil {
		return Result{}, err
	}
	res := Result{Rules: rules.Text(), Single: src.Single()}
	hides := rules.Hides
	if opts.Only != nil {
		hides = OnlyThese(opts.Only)
	}
	if err := checkMaxRead(ctx, src, &opts, hides); err != nil {
		return Result{}, err
	}
	if opts.Progress == nil {
		opts.Progress = new(Progress)
	} else {
		if !opts.few() {
			defer CountAhead(ctx, src, filter(&opts, hides), opts.Progress)()
		}
	}
	skip := func(path string, folder bool) bool {
		if opts.Only != nil {
			return hides(path, folder)
		}
		if !rules.Hides(path, folder) {
			return false
		}
		res.hide(path, folder)
		return true
	}
	tree := fingerprint.NewTree(opts.Algorithm)
	res.Listing, err = read(ctx, src, opts, skip, func(got *found) error {
		f := got.file
		if f.Path == IgnoreFile && file != nil && (f.Size != file.size || f.Digest != file.digest) {
			return &source.Error{Path: f.Path, Class: ErrChanged, Detail: "it is not what the rules were read from"}
		}
		if err := tree.Add(f); err != nil {
			return err
		}
		res.Basis.add(got)
		if opts.Kept != nil {
			if err := opts.Kept(f, got.mark, got.entry); err != nil {
				return err
			}
		}
		if emit == nil {
			return nil
		}
		return emit(f)
	})
	if err != nil {
		return Result{}, err
	}
	if res.Summary, err = tree.Summary(); err != nil {
		return Result{}, err
	}
	res.Fingerprint = res.Summary.Fingerprint(opts.Algorithm)
	opts.Progress.FilesTotal.Store(opts.Progress.FilesDone.Load())
	opts.Progress.BytesTotal.Store(opts.Progress.BytesDone.Load())
	return res, nil
}

// check refuses options that do not go together, and fills in the others.
func (o *Options) check(src source.Source) error {
	switch {
	case !o.Algorithm.Valid():
		return fmt.Errorf("scan: %v", o.Algorithm)
	case o.Shard != shard.Part{} && !o.Shard.Valid():
		return fmt.Errorf("scan: there is no shard %v", o.Shard)
	case o.Shard.Count != 0 && o.Hints != nil:
		return errors.New("scan: a shard takes no hints")
	case o.Journal != nil && (o.Journal.Key().Algorithm != o.Algorithm || o.Journal.Key().Plain != o.PlainSHA256):
		return errors.New("scan: the journal is of another kind of scan")
	}
	o.MinStrength = max(o.MinStrength, source.ByMTime)
	if o.Workers <= 0 {
		o.Workers = runtime.GOMAXPROCS(0)
		if remote, ok := src.(source.Remote); ok {
			o.Workers = max(1, remote.Requests())
		}
	}
	return checkOnly(o.Only)
}

// add counts a file.
func (b *Basis) add(f *found) {
	size := f.file.Size
	b.Resumed += f.resumed
	switch f.how {
	case source.Unsure:
		b.Read += size
		return
	case source.ByVersion:
		b.Version += size
	case source.ByETag:
		b.ETag += size
	default:
		b.MTime += size
	}
	if size > 0 && (b.Entry == nil || f.entry < *b.Entry) {
		entry := f.entry
		b.Entry = &entry
	}
}

// hide notes a path that the rules left out.
func (r *Result) hide(path string, folder bool) {
	r.HiddenCount++
	if len(r.Hidden) == MaxHidden {
		return
	}
	if folder {
		path += "/"
	}
	r.Hidden = append(r.Hidden, strings.ToValidUTF8(path, "\uFFFD"))
}

// ignoreFile is what the rules were read from, to be met again by the scan.
type ignoreFile struct {
	size   uint64
	digest fingerprint.Digest
}

// rulesOf puts the rules in force together.
func rulesOf(ctx context.Context, src source.Source, opts Options) (*Rules, *ignoreFile, error) {
	if opts.Only != nil {
		return &Rules{}, nil, nil
	}
	if opts.UseExact {
		rules, err := CompileRules(opts.Exact)
		return rules, nil, err
	}
	if src.Single() {
		return &Rules{}, nil, nil // the user named this one file
	}
	text := DefaultRules()
	file, more, err := readIgnoreFile(ctx, src, opts.Algorithm)
	if err != nil {
		return nil, nil, err
	}
	text = append(append(text, more...), opts.Ignore...)
	rules, err := CompileRules(text)
	return rules, file, err
}

func readIgnoreFile(ctx context.Context, src source.Source, a fingerprint.Algorithm) (*ignoreFile, []string, error) {
	o, err := src.Lookup(ctx, IgnoreFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	buf := make([]byte, MaxIgnoreFile)
	got, err := src.Fetch(ctx, o, buf)
	if err != nil {
		return nil, nil, err
	}
	if got.Reader != nil {
		got.Reader.Close()
		return nil, nil, fmt.Errorf("%s: %w: it has more than %d bytes", IgnoreFile, ErrRule, MaxIgnoreFile)
	}
	data := buf[:got.N]
	rules, err := ParseIgnoreFile(data)
	return &ignoreFile{uint64(got.N), a.Sum(data)}, rules, err
}
