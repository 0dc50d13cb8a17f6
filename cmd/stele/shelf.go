package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/stele-ml/stele/client"
	"github.com/stele-ml/stele/fingerprint"
	"github.com/stele-ml/stele/internal/api"
	"github.com/stele-ml/stele/internal/manifest"
	"github.com/stele-ml/stele/internal/solo"
	"github.com/stele-ml/stele/internal/spool"
	"github.com/stele-ml/stele/statement"
)

// shelf is a ledger's attachments and manifests: in its directory, or at its
// server. Its errors are solo's, and those of client.
type shelf interface {
	Put(data []byte) (statement.Attachment, error)
	Copy(r io.Reader) (statement.Attachment, error)
	Get(at statement.Attachment) ([]byte, error)
	Open(at statement.Attachment) (io.ReadCloser, error)
	Manifest(fp fingerprint.Fingerprint) (*fingerprint.Reader, io.Closer, error)
	// ManifestPath is where the manifest is on this machine, or would be.
	ManifestPath(fp fingerprint.Fingerprint) string
	NewManifest() (*solo.Pending, error)
	// Offer brings a manifest that was kept to where all who use the ledger find it.
	Offer(fp fingerprint.Fingerprint) error
}

// shelfOf is the shelf of a ledger.
func (a *app) shelfOf(ctx context.Context, at string) (shelf, error) {
	address := at
	if !isAddress(at) {
		if address = runningServer(at); address == "" {
			return localShelf{solo.OpenShelf(at)}, nil
		}
		// The socket's server may keep its documents in a bucket; those that lie in the
		// directory are the same.
		address = socketScheme + address
	}
	c, err := a.connect(address)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(a.cacheDir(), 0o700); err != nil {
		return nil, err
	}
	return &remoteShelf{Shelf: solo.OpenShelf(filepath.Join(a.cacheDir(), "documents")), app: a, ctx: ctx, c: c.client}, nil
}

// documentOf is an attachment of a ledger.
func (a *app) documentOf(ctx context.Context, at string, doc statement.Attachment) ([]byte, error) {
	s, err := a.shelfOf(ctx, at)
	if err != nil {
		return nil, err
	}
	return s.Get(doc)
}

// keepDocument keeps a document with a ledger.
func (a *app) keepDocument(ctx context.Context, at string, data []byte) (statement.Attachment, error) {
	s, err := a.shelfOf(ctx, at)
	if err != nil {
		return statement.Attachment{}, err
	}
	return s.Put(data)
}

// localShelf is that of a directory.
type localShelf struct{ *solo.Shelf }

// Offer implements shelf: it is there.
func (localShelf) Offer(fingerprint.Fingerprint) error { return nil }

// remoteShelf is that of a server. Manifests, which are large and read again and
// again, are kept in a folder of this person's; attachments are not: what is erased
// from the ledger shall not live on in everybody's home.
type remoteShelf struct {
	*solo.Shelf // of that folder
	app         *app
	ctx         context.Context
	c           *client.Client
}

// Put implements shelf.
func (s *remoteShelf) Put(data []byte) (statement.Attachment, error) {
	if len(data) > solo.MaxAttachment {
		return statement.Attachment{}, fmt.Errorf("attachment: %d bytes; the limit is %d", len(data), solo.MaxAttachment)
	}
	at := statement.AttachmentOf(data)
	return at, s.put(at, bytes.NewReader(data))
}

// put gives the server an attachment, or keeps it with --spool.
func (s *remoteShelf) put(at statement.Attachment, r io.ReadSeeker) error {
	a := s.app
	if a.unsent.away == nil {
		if err := s.c.PutAttachment(s.ctx, at, r); !a.wentAway(s.c, err) {
			return err
		}
	}
	if _, err := r.Seek(0, io.SeekStart); err != nil {
		return err
	}
	return a.sendLater(spool.Document{Attachment: at}, r)
}

// Copy implements shelf.
func (s *remoteShelf) Copy(r io.Reader) (at statement.Attachment, err error) {
	f, err := s.temporary()
	if err != nil {
		return at, err
	}
	defer f.Close()
	if _, err := io.Copy(f, r); err != nil {
		return at, err
	}
	of, err := attachmentOf(f)
	if err != nil {
		return at, err
	}
	return *of, s.put(*of, f)
}

// Get implements shelf.
func (s *remoteShelf) Get(at statement.Attachment) ([]byte, error) {
	if at.Size > solo.MaxAttachment {
		return nil, fmt.Errorf("attachment %x: %d bytes; the limit is %d", at.SHA256, at.Size, solo.MaxAttachment)
	}
	known := s.app.servers
	known.mu.Lock()
	data, ok := known.documents[at]
	known.mu.Unlock()
	if ok {
		return data, nil
	}
	var b bytes.Buffer
	if err := s.c.Attachment(s.ctx, at, &b); err != nil {
		return nil, withheld(err, "attachment %x", at.SHA256)
	}
	known.mu.Lock()
	defer known.mu.Unlock()
	if len(known.documents) >= maxRemembered {
		clear(known.documents)
	}
	known.documents[at] = b.Bytes()
	return b.Bytes(), nil
}

// maxRemembered is how many attachments a command remembers.
const maxRemembered = 256

// Open implements shelf.
func (s *remoteShelf) Open(at statement.Attachment) (io.ReadCloser, error) {
	f, err := s.temporary()
	if err != nil {
		return nil, err
	}
	err = s.c.Attachment(s.ctx, at, f)
	if err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err != nil {
		f.Close()
		return nil, withheld(err, "attachment %x", at.SHA256)
	}
	return f, nil
}

// Manifest implements shelf.
func (s *remoteShelf) Manifest(fp fingerprint.Fingerprint) (*fingerprint.Reader, io.Closer, error) {
	if err := s.fetch(fp); err != nil {
		return nil, nil, err
	}
	return s.Shelf.Manifest(fp)
}

// ManifestPath implements shelf. That a manifest could not be fetched is told, and is
// no error: it may be found elsewhere.
func (s *remoteShelf) ManifestPath(fp fingerprint.Fingerprint) string {
	if err := s.fetch(fp); err != nil && !errors.Is(err, solo.ErrWithheld) && !s.app.wentAway(s.c, err) {
		s.app.leftAside(err)
	}
	return s.Shelf.ManifestPath(fp)
}

// fetch gets a manifest unless it is here.
func (s *remoteShelf) fetch(fp fingerprint.Fingerprint) error {
	path := s.Shelf.ManifestPath(fp)
	if _, err := os.Stat(path); err == nil {
		return nil // whether it is the right one shows when it is read
	}
	if away := s.app.unsent.away; away != nil {
		return away
	}
	f, err := s.temporary()
	if err != nil {
		return err
	}
	defer f.Close()
	if err := s.c.Manifest(s.ctx, fp, api.MaxManifestBody, f); err != nil {
		return withheld(err, "manifest of %s", fp)
	}
	got := manifest.Found{Name: "the manifest from " + s.c.URL(), Path: f.Name(), Fingerprint: fp}
	if err := got.Check(); err != nil {
		return fmt.Errorf("%s: %w", s.c.URL(), err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	pruneManifests(filepath.Dir(path))
	return nil
}

// maxManifests is how many manifests are kept of those that servers have.
const maxManifests = 256

// pruneManifests takes away those that were fetched first.
func pruneManifests(dir string) {
	list, err := os.ReadDir(dir)
	if err != nil || len(list) <= maxManifests {
		return
	}
	var infos []fs.FileInfo
	for _, e := range list {
		if info, err := e.Info(); err == nil && strings.HasSuffix(info.Name(), ".manifest") {
			infos = append(infos, info)
		}
	}
	slices.SortFunc(infos, func(x, y fs.FileInfo) int { return x.ModTime().Compare(y.ModTime()) })
	for _, info := range infos[:max(0, len(infos)-maxManifests)] {
		_ = os.Remove(filepath.Join(dir, info.Name())) // it is fetched again where it is needed
	}
}

// Offer implements shelf.
func (s *remoteShelf) Offer(fp fingerprint.Fingerprint) error {
	a := s.app
	if a.unsent.away == nil {
		if err := s.offer(fp); !a.wentAway(s.c, err) {
			return err
		}
	}
	return a.sendLater(spool.Document{Manifest: fp, Path: s.Shelf.ManifestPath(fp)}, nil)
}

func (s *remoteShelf) offer(fp fingerprint.Fingerprint) error {
	f, err := os.Open(s.Shelf.ManifestPath(fp))
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	return s.c.PutManifest(s.ctx, fp, f, info.Size())
}

// temporary is a file of this person's that closing takes away.
type temporary struct{ *os.File }

func (s *remoteShelf) temporary() (*temporary, error) {
	f, err := os.CreateTemp(s.app.cacheDir(), "new-*")
	if err != nil {
		return nil, err
	}
	return &temporary{f}, nil
}

// Close implements io.Closer.
func (t *temporary) Close() error {
	err := t.File.Close()
	if rerr := os.Remove(t.Name()); err == nil && !errors.Is(rerr, fs.ErrNotExist) {
		err = rerr
	}
	return err
}

// withheld says that a document is not there as solo says it.
func withheld(err error, format string, args ...any) error {
	if errors.Is(err, client.ErrNotFound) {
		err = solo.ErrWithheld
	}
	return fmt.Errorf(format+": %w", append(args, err)...)
}
