package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"hash/maphash"
	"io/fs"
	"path/filepath"

	"github.com/stele-ml/stele/internal/place"
	"github.com/stele-ml/stele/internal/scan"
	"github.com/stele-ml/stele/internal/source"
	"github.com/stele-ml/stele/internal/terminal"
	"github.com/stele-ml/stele/statement"
)

// runOutput is an output of a run.
type runOutput struct {
	namedPlace
	kind, since string
	order       stampOrder
	plan        *stampPlan
	ref         statement.Ref // known beforehand of what another entry stamped
	spot        place.Place

	before  *outputState
	old     uint64 // files that were there before and did not change
	state   string // digest of what lay there when the command had ended; empty: not known
	stamped *stamping
	stamp   *statement.Stamp
}

func (out *runOutput) close() {
	if out.stamped != nil {
		out.stamped.close()
	}
}

// usualRules are the ignore rules that an output will have, as far as that is
// known before it is written.
func (out *runOutput) usualRules() []string {
	return append(scan.DefaultRules(), out.order.flags.ignore...)
}

// outputState is what lies where an output is to be written: each file, as
// little of it as tells whether it changes.
type outputState struct {
	there   bool // something lies there
	unknown bool // and what that is cannot be told
	seed    maphash.Seed
	marks   map[uint64]uint64 // of a path: of its mark
	sum     hash.Hash         // of all paths and marks
	unsure  bool              // a file has no mark to know it again by
}

// digest is what the state is known again by, in hexadecimal digits; empty where
// it cannot be.
func (s *outputState) digest() string {
	if !s.there || s.unknown || s.unsure {
		return ""
	}
	return hex.EncodeToString(s.sum.Sum(nil))
}

// lookAtOutputs notes what lies where the outputs are to be written. A place
// that cannot be reached is told before the command starts.
func (w *running) lookAtOutputs(ctx context.Context) error {
	for _, out := range w.order.out {
		var err error
		if out.before, err = w.stateOf(ctx, out, maphash.MakeSeed()); err != nil {
			return err
		}
	}
	return nil
}

// stateOf looks at an output without reading it.
func (w *running) stateOf(ctx context.Context, out *runOutput, seed maphash.Seed) (*outputState, error) {
	s := &outputState{seed: seed, marks: map[uint64]uint64{}, sum: sha256.New()}
	flags := out.order.flags
	flags.watched = true
	d, err := w.app.openData(ctx, "run", out.path, &flags)
	switch {
	case errors.Is(err, fs.ErrNotExist) || err != nil && statusOf(err) == exitNotFound:
		return s, nil
	case statusOf(err) == exitUnreachable, errors.Is(err, source.ErrDenied):
		return nil, fmt.Errorf("the output %s: %w", out.what(), err)
	case err != nil:
		s.there, s.unknown = true, true
		return s, nil
	}
	s.there = true
	rules, err := scan.CompileRules(out.usualRules())
	if err != nil {
		return nil, d.end(usagef("%v", err))
	}
	err = d.source.List(ctx, rules.Hides, func(o source.Object) error {
		m, err := d.source.Mark(ctx, o)
		if err == nil {
			s.marks[maphash.String(seed, o.Path)] = maphash.Comparable(seed, m)
			s.unsure = s.unsure || m.Same(m) == source.Unsure
			fmt.Fprintf(s.sum, "%q %d %q %q %d %d %d %d\n", o.Path, m.Size, m.Version, m.ETag, m.MTime, m.CTime, m.Inode, m.Device)
		}
		return err
	})
	if err != nil && ctx.Err() == nil {
		s.unknown, err = true, nil // what the command leaves there is looked at again
	}
	return s, d.end(err)
}

// unchanged counts the files that were there before and are as they were.
func (s *outputState) unchanged(before *outputState) (n uint64) {
	for path, mark := range s.marks {
		if was, ok := before.marks[path]; ok && was == mark {
			n++
		}
	}
	return n
}

// stampOutputs fingerprints the outputs, and keeps what their stamps name.
func (w *running) stampOutputs(ctx context.Context) error {
	for _, out := range w.order.out {
		if out.path != "" {
			if err := w.stampOutput(ctx, out); err != nil {
				return err
			}
		}
		w.run.Outputs = append(w.run.Outputs, statement.Output{Ref: out.ref, Stamp: out.stamp})
	}
	return nil
}

// lookAtWritten sees to it that the command wrote what it was to write, and takes
// down what that is known again by.
func (w *running) lookAtWritten(ctx context.Context) error {
	for _, out := range w.order.out {
		if err := w.written(ctx, out); err != nil {
			return err
		}
	}
	return nil
}

func (w *running) stampOutput(ctx context.Context, out *runOutput) error {
	a := w.app
	d, err := a.openData(ctx, "run", out.path, &out.order.flags)
	if err != nil {
		return w.missing(out, err)
	}
	out.stamped = &stamping{order: &out.order, plan: out.plan, dir: w.dir, data: d}
	return d.end(func() error {
		s := out.stamped
		if err := a.readForStamp(ctx, s); err != nil {
			return fmt.Errorf("the output %s: %w", out.what(), err)
		}
		a.noteHidden(s.result)
		a.warnModel(s.model)
		if s.result.Summary.Files == 0 {
			w.notes.CannotFinish()
			return failf(exitError, "the output %s holds no files: %s", out.what(), out.path).withPath(out.path).
				withHint("nothing is stamped; empty folders do not count, and ignore rules may have left files out")
		}
		if same, err := w.stampedMeanwhile(ctx, out, s.result.Fingerprint); same || err != nil {
			s.close()
			out.stamped = nil
			return err
		}
		st := s.statement(w.order.notes)
		out.stamp = st.Stamp
		if err := a.keepForStamp(ctx, s, out.stamp); err != nil {
			return err
		}
		out.ref, err = st.Ref()
		return err
	}())
}

// written sees to it that the command wrote an output that it was to write.
func (w *running) written(ctx context.Context, out *runOutput) (err error) {
	if out.spot, err = spotOf(out.path); err != nil { // a link may have taken its place
		return err
	}
	if err := w.checkApart(); err != nil {
		return err
	}
	now, err := w.stateOf(ctx, out, out.before.seed)
	if err != nil {
		return err
	}
	if !now.there {
		return w.missing(out, fs.ErrNotExist)
	}
	out.state = now.digest()
	if now.unknown || out.before.unknown {
		return nil
	}
	out.old = now.unchanged(out.before)
	switch n := uint64(len(now.marks)); {
	case n > 0 && out.old == n && n == uint64(len(out.before.marks)):
		return failf(exitError, "the output %s was there before, and the command wrote none of it: %s", out.what(), out.path).withPath(out.path).
			withHint("nothing is stamped; does the command write elsewhere? What it did not make is stamped with `stele stamp`, or told of: `stele show " + w.id.String() + "` has the line to type")
	case out.old > 0:
		w.app.term.Warnf("of the output %s, %s of %s had been there before and did not change", out.what(), terminal.Count(out.old), terminal.Plural(n, "file"))
	}
	return nil
}

// missing says that an output is not there.
func (w *running) missing(out *runOutput, err error) error {
	if !errors.Is(err, fs.ErrNotExist) && statusOf(err) != exitNotFound || !w.wrapped() {
		return fmt.Errorf("the output %s: %w", out.what(), err)
	}
	hint := "nothing is stamped"
	if dir := here(); dir != "" && !filepath.IsAbs(out.path) && !out.spot.Remote() {
		hint += "; the path is seen from " + source.Show(dir)
	}
	return failf(exitNotFound, "the command wrote no %s, which was to be the output %s", out.path, out.what()).withPath(out.path).
		withHint(hint + "; `stele show " + w.id.String() + "` has the line that tells of the run, for another PATH")
}
