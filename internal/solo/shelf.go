package solo

import (
	"bufio"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/stele-ml/stele/fingerprint"
	"github.com/stele-ml/stele/internal/durable"
	"github.com/stele-ml/stele/statement"
)

// The shelf's errors, for errors.Is.
var (
	// ErrWithheld: a document is not there: never kept, or erased.
	ErrWithheld = errors.New("not on the shelf")
	// ErrTampered: a document is not the one that its digest names.
	ErrTampered = errors.New("tampered")
)

// Shelf is the ledger's attachments and manifests: files named by what they
// hold, written whole or not at all, checked when read, and erasable.
type Shelf struct {
	fs  vfs.FS
	dir string
}

// OpenShelf returns the shelf of the ledger in dir. It needs no lock.
func OpenShelf(dir string) *Shelf { return &Shelf{vfs.Default, dir} }

// MaxAttachment is the longest attachment, in bytes, that Put and Get hold in
// memory.
const MaxAttachment = statement.MaxDetails

// path returns attachments/<2 hex>/<64 hex>.
func (s *Shelf) path(sum [32]byte) string {
	name := hex.EncodeToString(sum[:])
	return s.fs.PathJoin(s.dir, "attachments", name[:2], name)
}

// Put keeps a document and returns its digest. It is synced when Put returns.
func (s *Shelf) Put(data []byte) (statement.Attachment, error) {
	if len(data) > MaxAttachment {
		return statement.Attachment{}, fmt.Errorf("attachment: %d bytes; the limit is %d", len(data), MaxAttachment)
	}
	a := statement.Attachment{SHA256: sha256.Sum256(data), Size: uint64(len(data))}
	if _, err := s.Get(a); err == nil {
		return a, nil
	}
	name := s.path(a.SHA256)
	if err := durable.MkdirAll(s.fs, s.fs.PathDir(name), durable.SharedDir); err != nil {
		return a, err
	}
	return a, durable.WriteFile(s.fs, name, data)
}

// Get returns a document: ErrWithheld if it is not there, ErrTampered if it is
// not that one.
func (s *Shelf) Get(a statement.Attachment) ([]byte, error) {
	data, err := durable.ReadFile(s.fs, s.path(a.SHA256), MaxAttachment)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("attachment %x: %w", a.SHA256, ErrWithheld)
	}
	if err != nil {
		return nil, fmt.Errorf("attachment %x: %w", a.SHA256, err)
	}
	if uint64(len(data)) != a.Size || sha256.Sum256(data) != a.SHA256 {
		return nil, fmt.Errorf("attachment %x: %w", a.SHA256, ErrTampered)
	}
	return data, nil
}

// Erase removes a document for ever. The ledger still verifies.
func (s *Shelf) Erase(sum [32]byte) error {
	name := s.path(sum)
	if err := s.fs.Remove(name); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return fmt.Errorf("erase attachment %x: %w", sum, err)
	}
	return durable.SyncDir(s.fs, s.fs.PathDir(name))
}

// manifestPath returns manifests/stele-<hash>-<hex>.manifest.
func (s *Shelf) manifestPath(fp fingerprint.Fingerprint) string {
	return s.fs.PathJoin(s.dir, "manifests", fp.Key()+"-"+fp.Sum.String()+".manifest")
}

// ManifestPath returns where the manifest of a fingerprint is, or would be.
func (s *Shelf) ManifestPath(fp fingerprint.Fingerprint) string { return s.manifestPath(fp) }

// Manifest opens the manifest of a fingerprint: ErrWithheld if it is not
// there. The reader refuses what does not match the fingerprint.
func (s *Shelf) Manifest(fp fingerprint.Fingerprint) (*fingerprint.Reader, io.Closer, error) {
	f, err := s.fs.Open(s.manifestPath(fp))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, fmt.Errorf("manifest of %s: %w", fp, ErrWithheld)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("manifest of %s: %w", fp, err)
	}
	r, err := fingerprint.NewReader(bufio.NewReaderSize(f, 256<<10), fp)
	if err != nil {
		f.Close()
		return nil, nil, fmt.Errorf("manifest of %s: %w", fp, err)
	}
	return r, f, nil
}

// Pending is a manifest being written, before its fingerprint is known. End it
// with Keep or Discard.
type Pending struct {
	s    *Shelf
	name string
	f    vfs.File
	w    *bufio.Writer
}

// NewManifest begins a manifest.
func (s *Shelf) NewManifest() (*Pending, error) {
	dir := s.fs.PathJoin(s.dir, "manifests")
	if err := durable.MkdirAll(s.fs, dir, durable.SharedDir); err != nil {
		return nil, err
	}
	var b [6]byte
	_, _ = rand.Read(b[:])
	name := s.fs.PathJoin(dir, "new.tmp-"+hex.EncodeToString(b[:]))
	f, err := s.fs.Create(name, vfs.WriteCategoryUnspecified)
	if err != nil {
		return nil, fmt.Errorf("new manifest: %w", err)
	}
	return &Pending{s, name, f, bufio.NewWriterSize(f, 256<<10)}, nil
}

// Write implements io.Writer.
func (p *Pending) Write(b []byte) (int, error) { return p.w.Write(b) }

// Keep syncs the manifest and puts it under its fingerprint.
func (p *Pending) Keep(fp fingerprint.Fingerprint) error {
	err := p.w.Flush()
	if err == nil {
		err = p.f.Sync()
	}
	if cerr := p.f.Close(); err == nil {
		err = cerr
	}
	p.f = nil
	if err == nil {
		err = p.s.fs.Rename(p.name, p.s.manifestPath(fp))
	}
	if err != nil {
		_ = p.s.fs.Remove(p.name)
		return fmt.Errorf("keep manifest: %w", err)
	}
	p.name = ""
	return durable.SyncDir(p.s.fs, p.s.fs.PathJoin(p.s.dir, "manifests"))
}

// Discard gives the manifest up. After Keep it does nothing.
func (p *Pending) Discard() {
	if p.f != nil {
		p.f.Close()
	}
	if p.name != "" {
		_ = p.s.fs.Remove(p.name)
	}
	p.f, p.name = nil, ""
}
