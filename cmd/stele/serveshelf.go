package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/stele-ml/stele/fingerprint"
	"github.com/stele-ml/stele/internal/api"
	"github.com/stele-ml/stele/internal/place"
	"github.com/stele-ml/stele/internal/solo"
)

// ledgerShelf keeps documents in the ledger's directory.
type ledgerShelf struct{ *solo.Shelf }

// Attachment implements api.Shelf.
func (s ledgerShelf) Attachment(_ context.Context, sum [32]byte) (io.ReadCloser, int64, error) {
	r, size, err := s.OpenSum(sum)
	return r, int64(size), shelfError(err)
}

// PutAttachment implements api.Shelf.
func (s ledgerShelf) PutAttachment(_ context.Context, sum [32]byte, r io.Reader, _ int64) error {
	return shelfError(s.CopyAs(sum, r))
}

// Manifest implements api.Shelf.
func (s ledgerShelf) Manifest(_ context.Context, fp fingerprint.Fingerprint) (io.ReadCloser, int64, error) {
	f, err := os.Open(s.ManifestPath(fp))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, 0, api.ErrNoDocument
	}
	if err != nil {
		return nil, 0, err
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, 0, err
	}
	return f, info.Size(), nil
}

// PutManifest implements api.Shelf.
func (s ledgerShelf) PutManifest(_ context.Context, fp fingerprint.Fingerprint, r io.Reader, _ int64) error {
	p, err := s.NewManifest()
	if err != nil {
		return err
	}
	defer p.Discard()
	if err := api.CheckManifest(io.TeeReader(r, p), fp); err != nil {
		return err
	}
	return p.Keep(fp)
}

func shelfError(err error) error {
	switch {
	case errors.Is(err, solo.ErrWithheld):
		return fmt.Errorf("%w: %w", api.ErrNoDocument, err)
	case errors.Is(err, solo.ErrTampered):
		return fmt.Errorf("%w: %w", api.ErrDocument, err)
	}
	return err
}

// placeShelf keeps documents in a folder or a bucket of their own, under the names
// that the ledger's directory has for them.
type placeShelf struct {
	at  place.Place
	o   place.Options
	tmp string // where they lie until they are checked: not in memory, as /tmp may
}

func (s placeShelf) attachment(sum [32]byte) place.Place {
	name := hex.EncodeToString(sum[:])
	return s.at.Join("attachments/" + name[:2] + "/" + name)
}

func (s placeShelf) manifest(fp fingerprint.Fingerprint) place.Place {
	return s.at.Join("manifests/" + fp.Key() + "-" + fp.Sum.String() + ".manifest")
}

func (s placeShelf) read(ctx context.Context, at place.Place, limit int64) (io.ReadCloser, int64, error) {
	r, size, err := at.Read(ctx, s.o, limit)
	if errors.Is(err, fs.ErrNotExist) {
		err = api.ErrNoDocument
	}
	return r, size, err
}

// Attachment implements api.Shelf.
func (s placeShelf) Attachment(ctx context.Context, sum [32]byte) (io.ReadCloser, int64, error) {
	return s.read(ctx, s.attachment(sum), api.MaxAttachmentBody)
}

// Manifest implements api.Shelf.
func (s placeShelf) Manifest(ctx context.Context, fp fingerprint.Fingerprint) (io.ReadCloser, int64, error) {
	return s.read(ctx, s.manifest(fp), api.MaxManifestBody)
}

// PutAttachment implements api.Shelf.
func (s placeShelf) PutAttachment(ctx context.Context, sum [32]byte, r io.Reader, _ int64) error {
	return s.put(ctx, s.attachment(sum), func(w io.Writer) error {
		return api.CheckAttachment(io.TeeReader(r, w), sum)
	})
}

// PutManifest implements api.Shelf.
func (s placeShelf) PutManifest(ctx context.Context, fp fingerprint.Fingerprint, r io.Reader, _ int64) error {
	return s.put(ctx, s.manifest(fp), func(w io.Writer) error { return api.CheckManifest(io.TeeReader(r, w), fp) })
}

// put has a document written to a temporary file, checked on the way, before any of
// it goes to its place.
func (s placeShelf) put(ctx context.Context, at place.Place, fill func(io.Writer) error) error {
	f, err := os.CreateTemp(s.tmp, "new.tmp-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	if err := fill(f); err != nil {
		return err
	}
	size, err := f.Seek(0, io.SeekCurrent)
	if err != nil {
		return err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	return at.Write(ctx, s.o, f, size)
}

// newShelf is where --attachments says, or the ledger's own, and how many bytes are
// there already; those of a bucket are not counted.
func newShelf(e *solo.Engine, at, dir string) (shelf api.Shelf, have int64, err error) {
	if at == "" {
		have, err = bytesBelow(filepath.Join(dir, "attachments"), filepath.Join(dir, "manifests"))
		return ledgerShelf{e.Shelf()}, have, err
	}
	p, err := place.Parse(at)
	if err != nil {
		return nil, 0, usagef("attachments: %v", err)
	}
	if p, err = p.Absolute(); err != nil {
		return nil, 0, err
	}
	tmp := filepath.Join(dir, "attachments")
	if err := os.MkdirAll(tmp, 0o777); err != nil {
		return nil, 0, err
	}
	if !p.Remote() {
		have, err = bytesBelow(p.Path())
	}
	return placeShelf{at: p, tmp: tmp}, have, err
}

// bytesBelow is how many bytes the files of some folders have. What is not there, or
// goes while it is counted, has none.
func bytesBelow(dirs ...string) (sum int64, err error) {
	for _, dir := range dirs {
		err := filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
			if err == nil && d.Type().IsRegular() {
				var info fs.FileInfo
				if info, err = d.Info(); err == nil {
					sum += info.Size()
				}
			}
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			return err
		})
		if err != nil {
			return 0, fmt.Errorf("count the documents: %w", err)
		}
	}
	return sum, nil
}
