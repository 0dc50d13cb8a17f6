package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/stele-ml/stele/fingerprint"
	"github.com/stele-ml/stele/internal/audit"
	"github.com/stele-ml/stele/internal/manifest"
	"github.com/stele-ml/stele/internal/scan"
	"github.com/stele-ml/stele/internal/terminal"
)

// readElsewhere opens the manifest of data that somebody else, or several
// machines together, have read. All names and sizes must be as in the place;
// that the bytes are too is what the signer claims.
func (a *app) readElsewhere(ctx context.Context, s *stamping) (*manifest.File, error) {
	found, sum, err := manifestAt(ctx, s.order.manifest, s.order.flags.reach())
	if err != nil {
		return nil, err
	}
	if found.Fingerprint.Algorithm != s.plan.algorithm {
		err = usagef("%s was made with %v, and this ledger takes only %v", s.order.manifest, found.Fingerprint.Algorithm, s.plan.algorithm)
	}
	if err == nil && s.data.only != nil {
		var list []string
		if list, err = found.Paths(); err == nil && !slices.Equal(list, s.data.only) {
			err = failf(exitError, "%s names other files than %s", s.order.flags.filesFrom, s.order.manifest).withPath(s.order.flags.filesFrom)
		}
	}
	if err == nil {
		err = a.compareNames(ctx, s, found, sum)
	}
	var m *manifest.File
	if err == nil {
		m, err = found.Open()
	}
	if err != nil {
		found.Close()
		return nil, err
	}
	m.Also(found.Close)
	return m, nil
}

// compareNames compares the names and sizes of a place with a manifest, and
// makes of it what a scan would have found.
func (a *app) compareNames(ctx context.Context, s *stamping, m *manifest.Found, sum fingerprint.Summary) error {
	rules, err := a.rulesFor(ctx, s)
	if err != nil {
		return err
	}
	listing, err := m.Open()
	if err != nil {
		return err
	}
	defer listing.Close()
	var ignore *fingerprint.File // the file with the rules, as the manifest has it
	files := func(yield func(fingerprint.File, error) bool) {
		for f, err := range listing.All() {
			if err == nil && f.Path == scan.IgnoreFile {
				ignore = &f
			}
			if !yield(f, err) {
				return
			}
		}
	}
	progress := new(scan.Progress)
	stop := a.term.Progress(ctx, func() terminal.Snapshot {
		return terminal.Snapshot{Label: "comparing names", FilesDone: progress.FilesDone.Load(), FilesTotal: progress.FilesTotal.Load()}
	})
	defer stop()
	var first audit.Finding
	result, err := audit.Run(ctx, s.data.source, files, &audit.Plan{Files: sum.Files, Bytes: sum.Bytes}, audit.Options{
		Algorithm: s.plan.algorithm, Rules: rules.text, Listed: s.data.only != nil, Workers: s.order.flags.workers, Progress: progress,
	}, func(f audit.Finding) error {
		if first.Path == "" {
			first = f
		}
		return nil
	})
	if err != nil {
		return err
	}
	if n := result.Added + result.Removed + result.Resized + result.Renamed; n > 0 {
		more := ""
		if n > 1 {
			more = fmt.Sprintf(", and %s more", terminal.Plural(n-1, "file"))
		}
		return failf(exitError, "%s is not what %s says: %s is %s%s", s.data.place, s.order.manifest, first.Path, first.Kind, more).
			withPath(first.Path).withHint("nothing was stamped; `stele diff` shows all of it")
	}
	if rules.digest != nil && (ignore == nil || ignore.Digest != *rules.digest) {
		return failf(exitError, "%s is not the one that %s has", scan.IgnoreFile, s.order.manifest).withPath(scan.IgnoreFile)
	}
	s.result = scan.Result{
		Fingerprint: m.Fingerprint, Summary: sum, Rules: rules.text, Single: s.data.source.Single(),
		Hidden: result.Hidden, HiddenCount: result.HiddenCount,
	}
	return nil
}

// rulesInForce are the ignore rules of a place.
type rulesInForce struct {
	text   []string
	digest *fingerprint.Digest // of the file that some of them were read from
}

// rulesFor puts together the rules that a scan of the place would have.
func (a *app) rulesFor(ctx context.Context, s *stamping) (r rulesInForce, err error) {
	src := s.data.source
	if s.data.only != nil || src.Single() {
		return r, nil
	}
	r.text = scan.DefaultRules()
	object, err := src.Lookup(ctx, scan.IgnoreFile)
	if err == nil {
		buf := make([]byte, scan.MaxIgnoreFile)
		got, err := src.Fetch(ctx, object, buf)
		if err != nil {
			return r, err
		}
		if got.Reader != nil {
			got.Reader.Close()
			return r, failf(exitError, "%s: more than %d bytes", scan.IgnoreFile, scan.MaxIgnoreFile).withPath(scan.IgnoreFile)
		}
		more, err := scan.ParseIgnoreFile(buf[:got.N])
		if err != nil {
			return r, err
		}
		digest := s.plan.algorithm.Sum(buf[:got.N])
		r.text, r.digest = append(r.text, more...), &digest
	} else if !errors.Is(err, fs.ErrNotExist) {
		return r, err
	}
	r.text = append(r.text, s.order.flags.ignore...)
	_, err = scan.CompileRules(r.text)
	return r, err
}
