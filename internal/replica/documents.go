package replica

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/url"

	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/fingerprint"
	"github.com/stele-ml/stele/internal/solo"
	"github.com/stele-ml/stele/statement"
)

// maxManifest is the longest manifest that is copied, in bytes.
const maxManifest = 1 << 30

// copyDocuments copies the attachments and manifests that the entries name, as far
// as the primary has them: each may have been erased, or never been kept. Those
// that are here are not asked for again; those that were not there are, once more,
// when the mirror starts.
func (r *Replica) copyDocuments(ctx context.Context) error {
	v := r.View()
	for e, err := range v.Entries(r.documented, v.Size()) {
		if err != nil {
			return err
		}
		st, err := e.Statement()
		if err != nil {
			return err
		}
		for _, a := range evidence.Documents(st) {
			if err := r.copied(r.copyAttachment(ctx, *a)); err != nil {
				return fmt.Errorf("entry %d: %w", e.Index, err)
			}
		}
		for _, o := range st.Stamps() {
			if err := r.copied(r.copyManifest(ctx, o.Ref.Fingerprint)); err != nil {
				return fmt.Errorf("entry %d: %w", e.Index, err)
			}
		}
		r.documented = e.Index + 1
	}
	return nil
}

// copied counts what became of a document.
func (r *Replica) copied(done bool, err error) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case errors.Is(err, errAbsent):
		r.status.Withheld++
		return nil
	case done:
		r.status.Documents++
	}
	return err
}

func (r *Replica) copyAttachment(ctx context.Context, a statement.Attachment) (done bool, err error) {
	shelf := r.Shelf()
	if a.Size > solo.MaxAttachment {
		return false, nil // nobody keeps one
	}
	if _, err := shelf.Get(a); err == nil || !errors.Is(err, solo.ErrWithheld) {
		return false, err
	}
	data, err := r.from.get(ctx, "/v1/attachments/"+hex.EncodeToString(a.SHA256[:]), url.Values{}, solo.MaxAttachment)
	if err != nil {
		return false, err
	}
	if uint64(len(data)) != a.Size || sha256.Sum256(data) != a.SHA256 {
		return false, fmt.Errorf("%w: the attachment %x that the primary serves is another one", evidence.ErrTampered, a.SHA256)
	}
	_, err = shelf.Put(data)
	return err == nil, err
}

func (r *Replica) copyManifest(ctx context.Context, fp fingerprint.Fingerprint) (done bool, err error) {
	shelf := r.Shelf()
	if _, closer, err := shelf.Manifest(fp); err == nil {
		return false, closer.Close()
	} else if !errors.Is(err, solo.ErrWithheld) {
		return false, err
	}
	body, err := r.from.open(ctx, "/v1/manifests/"+fp.String())
	if err != nil {
		return false, err
	}
	defer body.Close()
	pending, err := shelf.NewManifest()
	if err != nil {
		return false, err
	}
	defer pending.Discard()
	if err := keepChecked(body, pending, fp); err != nil {
		return false, err
	}
	return true, pending.Keep(fp)
}

// keepChecked writes a manifest on while it is checked to be that fingerprint's.
func keepChecked(from io.Reader, to io.Writer, fp fingerprint.Fingerprint) error {
	limited := &io.LimitedReader{R: from, N: maxManifest + 1}
	manifest, err := fingerprint.NewReader(io.TeeReader(limited, to), fp)
	if err == nil {
		for _, err = range manifest.All() {
			if err != nil {
				break
			}
		}
	}
	switch {
	case limited.N == 0:
		return fmt.Errorf("%w: the manifest of %s has more than %d bytes", ErrUnreachable, fp, maxManifest)
	case errors.Is(err, fingerprint.ErrMismatch):
		return fmt.Errorf("%w: the manifest of %s: %w", evidence.ErrTampered, fp, err)
	case err != nil: // or it broke off
		return fmt.Errorf("%w: the manifest of %s: %w", ErrUnreachable, fp, err)
	}
	return nil
}
