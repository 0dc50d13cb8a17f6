package scan

import (
	"context"
	"errors"

	"github.com/stele-ml/stele/fingerprint"
	"github.com/stele-ml/stele/internal/source"
)

// reads is how many bytes are read of a file of that size: one of several chunks
// is read once more for its plain SHA-256.
func (o *Options) reads(size uint64) uint64 {
	if o.PlainSHA256 && size > fingerprint.ChunkSize {
		return 2 * size
	}
	return size
}

// errFits: what is left to be read is within the bound.
var errFits = errors.New("it fits")

// checkMaxRead refuses a scan that would read too much, before it reads. Where
// the source cannot tell, the bound is held while reading.
func checkMaxRead(ctx context.Context, src source.Source, opts *Options, skip source.Skip) error {
	if opts.MaxRead == 0 {
		return nil
	}
	will, known, err := measureAll(ctx, src, opts, skip)
	if err != nil || !known {
		return err
	}
	if will > opts.MaxRead && opts.Hints != nil {
		err := lessKnown(ctx, src, opts, skip, &will)
		if err != nil && err != errFits {
			return err
		}
	}
	if will > opts.MaxRead {
		return &TooMuchError{Will: will, Max: opts.MaxRead}
	}
	return nil
}

// measureAll finds out how many bytes a scan reads that knows nothing yet.
func measureAll(ctx context.Context, src source.Source, opts *Options, skip source.Skip) (will uint64, known bool, err error) {
	if opts.few() {
		known = true
		err = objects(ctx, src, opts, skip, func(o source.Object) error {
			known = known && o.Size != source.UnknownSize
			will += opts.reads(uint64(max(o.Size, 0)))
			return nil
		})
		if err != nil || known {
			return will, known, err
		}
	}
	m, ok := src.(source.Measurer)
	if !ok {
		return 0, false, nil
	}
	will = 0
	err = m.Measure(ctx, filter(opts, skip), func(n uint64) { will += opts.reads(n) })
	return will, true, err
}

// lessKnown takes from will what hints save, until it fits.
func lessKnown(ctx context.Context, src source.Source, opts *Options, skip source.Skip, will *uint64) error {
	in := newIntake(opts)
	defer in.close()
	return objects(ctx, src, opts, skip, func(o source.Object) error {
		h, ours, err := in.take(o.Path)
		if err != nil || !ours || h == nil {
			return err
		}
		now, err := src.Mark(ctx, o)
		if err != nil || opts.same(h, now) == source.Unsure {
			return nil // the scan will say what is wrong
		}
		*will -= min(*will, opts.reads(h.File.Size))
		if *will <= opts.MaxRead {
			return errFits
		}
		return nil
	})
}

// spend counts bytes that are read, and is *TooMuchError if they are too many.
func (r *reader) spend(n uint64) error {
	if r.opts.MaxRead == 0 {
		return nil
	}
	if spent := r.spent.Add(n); spent > r.opts.MaxRead {
		return &TooMuchError{Will: spent, Max: r.opts.MaxRead}
	}
	return nil
}
