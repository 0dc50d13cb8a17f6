package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/stele-ml/stele/cmd/stele/jsonv1"
	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/internal/account"
	"github.com/stele-ml/stele/internal/audit"
	"github.com/stele-ml/stele/internal/collection"
	"github.com/stele-ml/stele/internal/place"
	"github.com/stele-ml/stele/internal/source"
	"github.com/stele-ml/stele/internal/terminal"
	"github.com/stele-ml/stele/internal/watch"
	"github.com/stele-ml/stele/statement"
)

// runInput is an input of a run.
type runInput struct {
	namedPlace
	ref     statement.Ref
	advised bool // it is withdrawn or tainted, and may be used all the same
	spot    place.Place

	watch   *watch.Watch
	known   *manifests // of a collection's members
	subject *subjectOf
	verdict evidence.Outcome // empty: its data was not looked at
	how     string           // of what was not read
	bytes   uint64
}

// findPlaces finds where inputs and outputs really lie. What is both is
// refused: its bytes cannot be the same afterwards, and new ones.
func (w *running) findPlaces() (err error) {
	o := w.order
	for _, in := range o.in {
		if in.path == "" {
			continue
		}
		if in.spot, err = spotOf(in.path); err != nil {
			return err
		}
	}
	for _, out := range o.out {
		if out.path == "" {
			continue
		}
		if out.spot, err = spotOf(out.path); err != nil {
			return err
		}
	}
	if err = o.findReceipt(); err != nil {
		return err
	}
	return w.checkApart()
}

// checkApart refuses outputs that lie within one another, or within an input,
// or around one; and a receipt among them.
func (w *running) checkApart() error {
	if err := w.order.checkReceipt(); err != nil {
		return err
	}
	for i, out := range w.order.out {
		if out.path == "" {
			continue
		}
		for _, in := range w.order.in {
			if in.path != "" && overlap(in.spot, out.spot) {
				return failf(exitError, "the output %s (%s) and the input %s (%s) lie in one another", out.what(), out.path, in.what(), in.path).withPath(out.path).
					withHint("an input must be what it was when the command has ended: have the outputs written beside it")
			}
		}
		for _, other := range w.order.out[:i] {
			if other.path != "" && overlap(other.spot, out.spot) {
				return failf(exitError, "the outputs %s (%s) and %s (%s) lie in one another", other.what(), other.path, out.what(), out.path).withPath(out.path)
			}
		}
	}
	return nil
}

// spotOf is where a place really lies: on this machine with all links followed,
// as far as it exists.
func spotOf(text string) (place.Place, error) {
	p, err := parsePlace(text)
	if err != nil {
		return p, err
	}
	if p, err = p.Absolute(); err != nil || p.Remote() {
		return p, err
	}
	at, rest := filepath.Clean(p.Path()), ""
	for {
		real, err := filepath.EvalSymlinks(at)
		if err == nil {
			return place.Parse(filepath.Join(real, rest))
		}
		up := filepath.Dir(at)
		if !errors.Is(err, fs.ErrNotExist) || up == at {
			return p, failf(exitError, "%s: %w", source.Show(text), err).withPath(text)
		}
		if target, err := os.Readlink(at); err == nil { // a link that leads nowhere yet
			if !filepath.IsAbs(target) {
				target = filepath.Join(up, target)
			}
			at = target
			continue
		}
		at, rest = up, filepath.Join(filepath.Base(at), rest)
	}
}

// overlap reports whether one of two places is, or lies in, the other.
func overlap(a, b place.Place) bool {
	within := func(p, q string) bool { return p == q || strings.HasPrefix(p, strings.TrimSuffix(q, "/")+"/") }
	x, y := filepath.ToSlash(a.Path()), filepath.ToSlash(b.Path())
	if a.Remote() != b.Remote() {
		return false
	}
	if a.Remote() {
		x, y = strings.TrimSuffix(a.String(), "/"), strings.TrimSuffix(b.String(), "/")
	}
	return within(x, y) || within(y, x)
}

// verifyInputs verifies all inputs that have a place.
func (w *running) verifyInputs(ctx context.Context) error {
	for i, in := range w.order.in {
		if in.path == "" && !w.wrapped() {
			continue // told, and not at hand
		}
		if w.wrapped() {
			var err error
			if in.watch, err = watch.New(w.notes.InputFile(i), w.algorithm, w.size, w.app.now()); err != nil {
				return err
			}
		}
		if err := w.verifyInput(ctx, in); err != nil {
			return err
		}
		if err := w.foundAt(in); err != nil {
			return err
		}
	}
	return w.checkApart() // those too that were found where they had been stamped
}

// foundAt notes where an input was read.
func (w *running) foundAt(in *runInput) error {
	at, err := spotOf(in.path)
	if err != nil {
		return err
	}
	in.spot = at
	if w.details == nil {
		return nil
	}
	p, err := parsePlace(in.path)
	if err == nil {
		p, err = p.Absolute()
	}
	if err != nil {
		return err
	}
	if w.details.Inputs == nil {
		w.details.Inputs = map[string]string{}
	}
	w.details.Inputs[in.what()] = p.String()
	return nil
}

// verifyInput verifies one input as `stele verify` does, and begins to watch it.
func (w *running) verifyInput(ctx context.Context, in *runInput) error {
	if w.order.recheck == "audit" {
		return w.auditInput(ctx, in)
	}
	a := w.app
	o := &verifyOrder{name: in.name, version: in.version, path: in.path, recheck: w.order.recheck, flags: w.order.flags, watch: in.watch}
	s, err := a.subjectOn(ctx, w.dir, o)
	if err != nil {
		return err
	}
	in.path, in.subject = o.path, s
	a.warnOfPlaces(in.ref, s.places, in.path)
	if o.data, err = a.openData(ctx, "run", o.path, &o.flags); err != nil {
		return fmt.Errorf("--input %s: %w", in.what(), err)
	}
	j, err := a.judgement(ctx, o, s)
	if err == nil && !in.holds(j.verdict) {
		if !a.json {
			_ = a.pronounce(o, j) // as verify does; how this command ends is said next
		}
		err = w.doesNotHold(in, j.verdict, j.out)
	}
	if err == nil {
		in.verdict, in.how, in.bytes = j.verdict.Verdict, j.verdict.How, s.stamp.Bytes
		err = w.seal(in, o.data)
	}
	return o.data.end(err)
}

// doesNotHold is how a command ends whose input did not hold: what is wrong, in
// a line, and that nothing was started.
func (w *running) doesNotHold(in *runInput, v *evidence.Verdict, out *jsonv1.Verify) error {
	why := ""
	if c := out.Counts; v.Verdict == evidence.Tampered && c != nil && len(out.Changes) > 0 {
		why = ": " + countsText(*c)
		for i := range out.Changes[:min(len(out.Changes), changesNamed)] {
			why += map[bool]string{true: ", for example ", false: ", "}[i == 0] + source.Show(out.Changes[i].Path)
		}
	} else {
		for _, c := range v.Checks {
			if c.OK == evidence.Failed {
				why = ": " + c.Name + ": " + c.Detail
				break
			}
		}
	}
	f := failf(max(v.Exit(), exitError), "--input %s is %s, read at %s%s", in.what(), account.OutcomeText(v.Verdict), source.Show(in.path), why).withPath(in.path)
	if w.wrapped() {
		return f.withHint("nothing was started; `stele verify " + in.what() + " " + shellText([]string{in.path}) + "` shows all of it")
	}
	return f.withHint("nothing was recorded; an input without =PATH is named, and not looked at")
}

// holds reports whether an input may be used, by the verdict on it.
func (in *runInput) holds(v *evidence.Verdict) bool {
	switch v.Verdict {
	case evidence.Verified, evidence.Sampled:
		return true
	case evidence.Withdrawn, evidence.Tainted:
		return in.advised // what is worse than that outweighs it in a verdict
	}
	return false
}

// seal ends what an input is known again by.
func (w *running) seal(in *runInput, d *data) error {
	if in.watch == nil {
		return nil
	}
	if err := in.watch.Seal(); err != nil {
		return fmt.Errorf("watch the input %s: %w", in.what(), err)
	}
	if err := in.watch.Follow(d.source, d.folder()); err != nil {
		return fmt.Errorf("watch the input %s: %w", in.what(), err)
	}
	return nil
}

// auditInput verifies one input by random chunks.
func (w *running) auditInput(ctx context.Context, in *runInput) (err error) {
	a := w.app
	o := &auditOrder{name: in.name, version: in.version, place: in.path, flags: w.order.flags}
	if o.altered, o.confidence, o.draws, err = parseOdds(w.order.altered, w.order.confidence); err != nil {
		return err
	}
	o.seed = new(audit.Seed)
	if _, err := rand.Read(o.seed[:]); err != nil {
		return err
	}
	at, err := a.beginAudit(ctx, o)
	if err != nil {
		return fmt.Errorf("--input %s: %w", in.what(), err)
	}
	defer func() { err = at.end(err) }()
	in.path, in.subject = o.place, &at.subjectOf
	in.subject.root = at.root
	if in.watch != nil {
		if err := at.listTo(ctx, in.watch); err != nil {
			return fmt.Errorf("watch the input %s: %w", in.what(), err)
		}
	}
	plan, err := at.draw(*o.seed, o.draws)
	if err != nil {
		return err
	}
	out := newAudit(o, at, plan)
	result, err := a.runAudit(ctx, o, at, plan, out)
	if err != nil {
		return err
	}
	v, _, err := a.auditVerdict(o, at, plan, result, out)
	if err != nil {
		return err
	}
	if !in.holds(v) {
		if !a.json {
			_ = a.judgeAudit(o, at, plan, result, out)
		}
		return w.doesNotHold(in, v, &out.Verify)
	}
	in.verdict, in.how, in.bytes = v.Verdict, v.How, at.stamp.Bytes
	return w.seal(in, at.data)
}

// look sees to it that all inputs are still what they were when the command
// began.
func (w *running) look(ctx context.Context) error {
	for _, in := range w.order.in {
		if err := w.lookAgain(ctx, in); err != nil {
			return err
		}
	}
	return nil
}

func (w *running) lookAgain(ctx context.Context, in *runInput) error {
	a := w.app
	flags := w.order.flags
	d, err := w.reopen(ctx, in, &flags)
	var seen *watch.Seen
	var diff *jsonv1.Diff
	if err == nil {
		seen, diff, err = a.lookAgain(ctx, in.watch, d)
		err = d.end(err)
	}
	if in.known != nil {
		in.known.close()
	}
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case watch.Gone(err):
		return failf(exitTampered, "the input %s changed while the command ran: %w", in.what(), err).withPath(in.path).withHint(hintChanged)
	case err != nil:
		return fmt.Errorf("look at the input %s again: %w", in.what(), err)
	case !diff.Same:
		if !a.json {
			a.term.Printf("%s is no longer what it was when the command began: %s\n", in.what(), countsText(diff.Counts))
			a.printChanges(diff.Changes, diff.Counts, false)
		}
		return failf(exitTampered, "the input %s changed while the command ran: %s", in.what(), countsText(diff.Counts)).withPath(in.path).withHint(hintChanged)
	case seen.Count > 0:
		return failf(exitTampered, "the input %s was touched while the command ran: %s; the bytes are the same now, and may have been others meanwhile",
			in.what(), someOf(seen.Touched, seen.Count)).withPath(in.path).withHint(hintTouched)
	case seen.Trail != "":
		return failf(exitTampered, "the input %s was touched while the command ran: %s; the files are the same now, and may have been others meanwhile",
			in.what(), seen.Trail).withPath(in.path).withHint(hintTouched)
	}
	return nil
}

// changesNamed is how many changes of an input are named in a sentence.
const changesNamed = 3

const (
	hintChanged = "the run is not recorded and nothing is stamped; have the command write beside its inputs, and mount these read-only"
	hintTouched = "the run is not recorded and nothing is stamped; mount inputs read-only, or tell of the run with `stele record run`"
)

// reopen opens an input once more, as it was opened to verify it.
func (w *running) reopen(ctx context.Context, in *runInput, flags *scanFlags) (*data, error) {
	d, err := w.app.openData(ctx, "run", in.path, flags)
	if err != nil && statusOf(err) == exitNotFound {
		return nil, fmt.Errorf("%w: it is gone", fs.ErrNotExist)
	}
	if err != nil || !in.subject.parted() {
		return d, err
	}
	in.known = w.app.manifests(ctx, w.dir, "", flags)
	in.known.data = d
	src, _, err := collection.SourceOf(d.source, in.subject.root.Parts, in.known.open)
	if err != nil {
		return nil, d.end(err)
	}
	d.source = src
	return d, nil
}

// someOf lists the first of some paths, and how many there are besides.
func someOf(list []string, count uint64) string {
	var shown []string
	for _, path := range list {
		shown = append(shown, source.Show(path))
	}
	text := strings.Join(shown, ", ")
	if more := count - uint64(len(list)); more > 0 {
		text += fmt.Sprintf(" and %s more", terminal.Count(more))
	}
	return text
}
