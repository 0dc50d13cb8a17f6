package main

import (
	"context"
	"errors"
	"io/fs"
	"iter"
	"path/filepath"
	"strings"
	"time"

	"github.com/stele-ml/stele/fingerprint"
	"github.com/stele-ml/stele/internal/hint"
	"github.com/stele-ml/stele/internal/place"
	"github.com/stele-ml/stele/internal/scan"
	"github.com/stele-ml/stele/internal/source"
	"github.com/stele-ml/stele/internal/terminal"
)

// data is a place that a command reads, open.
type data struct {
	place  place.Place
	source source.Source
	flags  *scanFlags
	only   []string // of --files-from; nil: all that the rules leave
	// verb tells the interrupted scans of one command from those of another:
	// what a verification says it has read, it has read itself.
	verb    string
	journal *hint.Journal // of the last scan, until end

	again   bool   // an earlier scan of this command has read it
	resumed uint64 // bytes that this one had from an interrupted command
}

// parsePlace reads a path or an address that a person gave.
func parsePlace(text string) (place.Place, error) {
	p, err := place.Parse(text)
	if err != nil {
		// Not the text itself: where one would look for a bucket may be a secret.
		scheme, _, _ := strings.Cut(text, "://")
		return p, usagef("%s://…: %s", source.Show(scheme), strings.TrimPrefix(err.Error(), place.ErrAddress.Error()+": "))
	}
	return p, nil
}

// openData opens what a command is to read, so that a place that is not there,
// or may not be read, is told at once. End it with end.
func (a *app) openData(ctx context.Context, verb, text string, flags *scanFlags) (*data, error) {
	p, err := parsePlace(text)
	if err != nil {
		return nil, err
	}
	d := &data{place: p, flags: flags, verb: verb}
	if d.source, err = p.Open(ctx, flags.reach()); err != nil {
		return nil, notThere(p, err)
	}
	if flags.filesFrom == "" {
		return d, nil
	}
	if d.source.Single() {
		err = usagef("--files-from: %s is one file", p)
	} else {
		d.only, err = a.readList(flags.filesFrom, p)
	}
	if err != nil {
		d.source.Close()
		return nil, err
	}
	return d, nil
}

// notThere tells a place that a person named, and that is not there, from what
// cannot be read within one.
func notThere(p place.Place, err error) error {
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	var e *source.Error
	if p.Remote() && errors.As(err, &e) && e.Detail != "" {
		return failf(exitNotFound, "%s: %s", source.Show(p.String()), e.Detail).withPath(p.String())
	}
	return failf(exitNotFound, "there is no %s", source.Show(p.String())).withPath(p.String())
}

// end closes the data. What a scan of it remembers is kept for the next run
// where the command failed with err, which it returns.
func (d *data) end(err error) error {
	if j := d.journal; j != nil {
		var v verdictError
		if err == nil || errors.As(err, &v) {
			_ = j.Done() // it would be dropped one day
		}
		_ = j.Close()
		d.journal = nil
	}
	if cerr := d.source.Close(); err == nil {
		err = cerr
	}
	return err
}

// scan reads the data with a progress line. Interrupted, it goes on from there
// the next time.
func (a *app) scan(ctx context.Context, d *data, opts scan.Options, emit func(fingerprint.File) error) (scan.Result, error) {
	if d.only != nil && opts.Only == nil {
		opts.Only = d.only
	}
	if !d.place.Remote() {
		opts.Workers = d.flags.workers
	}
	if err := a.openJournal(d, opts); err != nil {
		return scan.Result{}, err
	}
	opts.Journal, opts.RememberAfter = d.journal, a.rememberAfter
	progress := new(scan.Progress)
	opts.Progress = progress
	stop := a.term.Progress(ctx, func() terminal.Snapshot {
		return terminal.Snapshot{
			Label: "reading", BytesDone: progress.BytesDone.Load(), BytesTotal: progress.BytesTotal.Load(),
			FilesDone: progress.FilesDone.Load(), FilesTotal: progress.FilesTotal.Load(),
		}
	})
	defer stop()
	defer a.announce(d.place, opts.Hints != nil, progress)()
	result, err := scan.Run(ctx, d.source, opts, emit)
	if ctx.Err() != nil && d.journal != nil {
		a.resumable = d.journal.Kept()
	}
	var missing *source.Error
	if d.only != nil && errors.Is(err, fs.ErrNotExist) && errors.As(err, &missing) {
		return result, failf(exitNotFound, "%s is in the list, and not in %s", source.Show(missing.Path), d.place).withPath(missing.Path).
			withHint("nothing was stamped; a list is of exactly the files that are there")
	}
	var much *scan.TooMuchError
	if errors.As(err, &much) {
		return result, failf(exitError, "%s: %s would have to be read, and --max-read allows %s", d.place, terminal.Bytes(much.Will), terminal.Bytes(much.Max)).
			withPath(d.place.String()).withHint("nothing was read or stamped; raise --max-read, or name a smaller part")
	}
	if d.again {
		result.Basis.Resumed = d.resumed
	} else if n := result.Basis.Resumed; err == nil && n > 0 {
		d.resumed = n
		a.term.Notef("%s had been read before an interruption, and not changed since", terminal.Bytes(n))
	}
	return result, err
}

// readAgain prepares a second scan by the same command: what the first one
// noted, of a place that takes long to read, need not be read twice.
func (d *data) readAgain() {
	if d.journal != nil {
		_ = d.journal.Close()
		d.journal = nil
	}
	d.again = true
}

// openJournal opens what remembers a scan of the data, in the user's own state.
func (a *app) openJournal(d *data, opts scan.Options) error {
	if d.journal != nil || d.flags.watched {
		return nil // of an earlier scan by this command; or of nothing but this one
	}
	at, err := d.place.Absolute()
	if err != nil {
		return err
	}
	dir := filepath.Join(a.dirs.State, "scans")
	key := hint.Key{Place: d.verb + " " + at.String(), Algorithm: opts.Algorithm, Plain: opts.PlainSHA256}
	j, err := hint.OpenJournal(dir, key)
	if err == nil && d.flags.fresh && !d.again && j.Resumed() {
		_ = j.Done()
		_ = j.Close()
		j, err = hint.OpenJournal(dir, key)
	}
	switch {
	case err == nil:
		d.journal = j
	case errors.Is(err, hint.ErrBusy): // whoever was first remembers
	default:
		a.term.Warnf("if this is interrupted, it will begin anew: %v", err)
	}
	return nil
}

const (
	// announceEvery is how often it is asked whether it is known how much
	// there is to read.
	announceEvery = 50 * time.Millisecond
	// What is less is read before a person has read the note.
	announceRemote, announceFiles = 1 << 30, 10_000
	announceLocal                 = 64 << 30
)

// far reports whether there is so much to read that it is told before.
func far(remote bool, files, bytes uint64) bool {
	return remote && (bytes >= announceRemote || files >= announceFiles) || bytes >= announceLocal
}

// announce tells, as soon as it is known, how much there is to read, if that is
// much. stop ends the waiting.
func (a *app) announce(p place.Place, hints bool, progress *scan.Progress) (stop func()) {
	done, finished := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(finished)
		tick := time.NewTicker(announceEvery)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
			}
			files := progress.FilesTotal.Load()
			if files == 0 {
				continue
			}
			total := progress.BytesTotal.Load()
			switch there := terminal.Plural(files, "file"); {
			case !far(p.Remote(), files, total):
			case hints:
				a.term.Notef("%s holds %s, %s; what is unchanged is not read", p, there, terminal.Bytes(total))
			default:
				a.term.Notef("%s holds %s, %s to read", p, there, terminal.Bytes(total))
			}
			return
		}
	}()
	return func() { close(done); <-finished }
}

// errStopped ends a scan whose files nobody wants any more.
var errStopped = errors.New("stopped")

// scanning goes through the files of a place as they are read; what the scan
// found out besides goes to result, where it is not nil.
func (a *app) scanning(ctx context.Context, d *data, opts scan.Options, result *scan.Result) iter.Seq2[fingerprint.File, error] {
	return func(yield func(fingerprint.File, error) bool) {
		found, err := a.scan(ctx, d, opts, func(f fingerprint.File) error {
			if !yield(f, nil) {
				return errStopped
			}
			return nil
		})
		switch {
		case errors.Is(err, errStopped):
		case err != nil:
			yield(fingerprint.File{}, err)
		case result != nil:
			*result = found
		}
	}
}
