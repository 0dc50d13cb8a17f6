package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/stele-ml/stele/fingerprint"
	"github.com/stele-ml/stele/internal/place"
	"github.com/stele-ml/stele/internal/scan"
	"github.com/stele-ml/stele/statement"
)

const manifestToUsage = "also put the manifest at this `place`, a path or a URL; below it, if it ends in /"

// manifestName is what a manifest is called in a folder of manifests, with the
// ledger or beside the data.
func manifestName(fp fingerprint.Fingerprint) string {
	return fp.Key() + "-" + fp.Sum.String() + ".manifest"
}

// manifestTarget is where a manifest is to be put. A nil one is nowhere.
type manifestTarget struct {
	place  place.Place
	folder bool // the manifest gets its own name below it
	reach  place.Options
}

// manifestTarget reads --manifest-to. A manifest that would become part of the
// data, so that it would not be what was fingerprinted any more, is refused.
func (d *data) manifestTarget(text string) (*manifestTarget, error) {
	if text == "" {
		return nil, nil
	}
	p, err := parsePlace(text)
	if err != nil {
		return nil, err
	}
	t := &manifestTarget{place: p, reach: d.flags.reach()}
	t.folder = strings.HasSuffix(text, "/") || p.Remote() && p.Key() == ""
	if !p.Remote() && !t.folder {
		info, err := os.Stat(text)
		t.folder = err == nil && info.IsDir()
	}
	at, err := t.at(fingerprint.Fingerprint{Algorithm: fingerprint.SHA256}).Absolute()
	if err != nil {
		return nil, err
	}
	rel, err := d.place.Rel(at.String())
	if err != nil || d.only != nil || d.source.Single() {
		return t, nil // outside, or beside what is read
	}
	rules, err := scan.CompileRules(append(scan.DefaultRules(), d.flags.ignore...))
	if err != nil {
		return nil, err
	}
	if !hidden(rules, rel) {
		return nil, usagef("--manifest-to %s lies within the data, and would change it", text).
			withHint("put it at " + d.place.Join(".stele/manifests").String() + "/, which does not count, or elsewhere")
	}
	return t, nil
}

// hidden reports whether rules leave out a file or a folder that it lies in.
func hidden(rules *scan.Rules, path string) bool {
	for i, c := range path {
		if c == '/' && rules.Hides(path[:i], true) {
			return true
		}
	}
	return rules.Hides(path, false)
}

// at is where the manifest of a fingerprint comes to lie.
func (t *manifestTarget) at(fp fingerprint.Fingerprint) place.Place {
	if t.folder {
		return t.place.Join(manifestName(fp))
	}
	return t.place
}

// text is at for people, or nothing.
func (t *manifestTarget) text(fp fingerprint.Fingerprint) string {
	if t == nil {
		return ""
	}
	return t.at(fp).String()
}

// putManifest puts a manifest, all of a file, where it was asked for.
func (a *app) putManifest(ctx context.Context, t *manifestTarget, fp fingerprint.Fingerprint, f io.ReadSeeker) error {
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	at := t.at(fp)
	err = at.Write(ctx, t.reach, f, size)
	if errors.Is(err, fs.ErrExist) {
		return failf(exitError, "%s holds something else already, and is never replaced", at).withPath(at.String()).
			withHint("give a place that ends in '/', so that each manifest has a name of its own")
	}
	if errors.Is(err, fs.ErrNotExist) {
		return notThere(at, err)
	}
	if err != nil {
		return failf(statusOf(err), "put the manifest at %s: %w", at, err).withPath(at.String())
	}
	return nil
}

// attachmentOf is the digest and size of a whole file.
func attachmentOf(f io.ReadSeeker) (*statement.Attachment, error) {
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	h := sha256.New()
	n, err := io.Copy(h, f)
	if err != nil {
		return nil, err
	}
	return &statement.Attachment{SHA256: [32]byte(h.Sum(nil)), Size: uint64(n)}, nil
}

func (a *app) noteManifest(t *manifestTarget, fp fingerprint.Fingerprint) {
	if t != nil {
		a.term.Notef("the manifest is at %s", t.at(fp))
	}
}

// withTemporary gives fn a file that is gone afterwards.
func withTemporary(fn func(*os.File) error) error {
	f, err := os.CreateTemp("", "stele-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	return fn(f)
}
