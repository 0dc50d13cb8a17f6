package main

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
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
	if err := checkManifest(io.TeeReader(r, p), fp); err != nil {
		return err
	}
	return p.Keep(fp)
}

// checkManifest reads a manifest to its end, which must be that of the body too.
func checkManifest(r io.Reader, fp fingerprint.Fingerprint) error {
	b := bufio.NewReaderSize(r, 256<<10)
	m, err := fingerprint.NewReader(b, fp)
	if err != nil {
		return fmt.Errorf("%w: manifest of %s: %w", api.ErrDocument, fp, err)
	}
	for _, err := range m.All() {
		if err != nil {
			return fmt.Errorf("%w: manifest of %s: %w", api.ErrDocument, fp, err)
		}
	}
	switch _, err := b.ReadByte(); {
	case err == nil:
		return fmt.Errorf("%w: manifest of %s: there are bytes after its end", api.ErrDocument, fp)
	case !errors.Is(err, io.EOF):
		return err
	}
	return nil
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
	r, size, err := s.read(ctx, s.attachment(sum), api.MaxAttachmentBody)
	if err != nil {
		return nil, 0, err
	}
	return &checkedDocument{ReadCloser: r, sum: sum, left: size, hash: sha256.New()}, size, nil
}

// checkedDocument is an attachment whose last bytes come only if all were the right
// ones: so that nobody gets another one whole.
type checkedDocument struct {
	io.ReadCloser
	sum  [32]byte
	left int64
	hash hash.Hash
}

// Read implements io.Reader.
func (d *checkedDocument) Read(p []byte) (int, error) {
	n, err := d.ReadCloser.Read(p)
	d.hash.Write(p[:n])
	d.left -= int64(n)
	if (d.left <= 0 || errors.Is(err, io.EOF)) && (d.left != 0 || [32]byte(d.hash.Sum(nil)) != d.sum) {
		return 0, fmt.Errorf("%w: attachment %x: the store has another under its name", api.ErrDocument, d.sum)
	}
	return n, err
}

// Manifest implements api.Shelf.
func (s placeShelf) Manifest(ctx context.Context, fp fingerprint.Fingerprint) (io.ReadCloser, int64, error) {
	return s.read(ctx, s.manifest(fp), api.MaxManifestBody)
}

// PutAttachment implements api.Shelf.
func (s placeShelf) PutAttachment(ctx context.Context, sum [32]byte, r io.Reader, _ int64) error {
	return s.put(ctx, s.attachment(sum), func(w io.Writer) error {
		h := sha256.New()
		if _, err := io.Copy(io.MultiWriter(w, h), r); err != nil {
			return err
		}
		if got := h.Sum(nil); [32]byte(got) != sum {
			return fmt.Errorf("%w: attachment %x: what came is %x", api.ErrDocument, sum, got)
		}
		return nil
	})
}

// PutManifest implements api.Shelf.
func (s placeShelf) PutManifest(ctx context.Context, fp fingerprint.Fingerprint, r io.Reader, _ int64) error {
	return s.put(ctx, s.manifest(fp), func(w io.Writer) error { return checkManifest(io.TeeReader(r, w), fp) })
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

// newShelf is where --attachments says, or the ledger's own.
func newShelf(e *solo.Engine, at, dir string) (api.Shelf, error) {
	if at == "" {
		return ledgerShelf{e.Shelf()}, nil
	}
	p, err := place.Parse(at)
	if err != nil {
		return nil, usagef("attachments: %v", err)
	}
	if p, err = p.Absolute(); err != nil {
		return nil, err
	}
	tmp := filepath.Join(dir, "attachments")
	if err := os.MkdirAll(tmp, 0o777); err != nil {
		return nil, err
	}
	return placeShelf{at: p, tmp: tmp}, nil
}
