package client

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/fingerprint"
	"github.com/stele-ml/stele/statement"
)

const octets = "application/octet-stream"

// Evidence asks for evidence of name@version, with all that it was made of, as of the
// newest checkpoint that the server publishes. The log goes on to that: a server cannot
// show what was withdrawn since by evidence from before, but for a Log of FollowNewest,
// which is ahead of what is published. What the evidence shows evidence.Verify says,
// with the name and the version among its options. The attachments are not in it.
//
// ErrNotFound: the server says that there is no such artifact.
func (l *Log) Evidence(ctx context.Context, name, version string) (*evidence.File, error) {
	const path = "/v1/evidence"
	least := uint64(0)
	if !l.newest {
		before, _ := l.points()
		least = before.Size
	}
	q := url.Values{"name": {name}, "version": {version}, "lineage": {"true"}}
	body, err := l.c.Get(ctx, path, q, evidence.MaxFile)
	if err != nil {
		return nil, err
	}
	f, err := evidence.Parse(body)
	switch {
	case errors.Is(err, evidence.ErrTampered):
		return nil, l.c.tampered("%w", err)
	case err != nil:
		return nil, l.c.noAnswer(path, err)
	case f.Claim.Name != name || f.Claim.Version != version:
		return nil, l.c.tampered("evidence of %s@%s", f.Claim.Name, f.Claim.Version)
	}
	if err := l.meet(ctx, f.Checkpoint, least); err != nil {
		return nil, fmt.Errorf("the evidence of %s@%s: %w", name, version, err)
	}
	return f, nil
}

// Attachment writes an attachment to w: it is checked by its digest, and what was
// written is not to be used where the error is not nil. ErrNotFound: it was never
// kept, or erased.
func (c *Client) Attachment(ctx context.Context, a statement.Attachment, w io.Writer) error {
	path := "/v1/attachments/" + hex.EncodeToString(a.SHA256[:])
	n, sum, err := c.download(ctx, path, int64(a.Size), w)
	if err != nil {
		return err
	}
	if uint64(n) != a.Size || sum != a.SHA256 {
		return c.tampered("the attachment %x", a.SHA256)
	}
	return nil
}

// PutAttachment gives the server an attachment, read from the beginning of r with
// each attempt. One that is there already is not sent.
func (c *Client) PutAttachment(ctx context.Context, a statement.Attachment, r io.ReadSeeker) error {
	return c.upload(ctx, "/v1/attachments/"+hex.EncodeToString(a.SHA256[:]), r, int64(a.Size))
}

// Manifest writes a manifest to w, of at most limit bytes. It is not checked here:
// fingerprint.NewReader refuses one that is not of that fingerprint, as it is
// read. ErrNotFound: the server has none.
func (c *Client) Manifest(ctx context.Context, fp fingerprint.Fingerprint, limit int64, w io.Writer) error {
	_, _, err := c.download(ctx, "/v1/manifests/"+fp.String(), limit, w)
	return err
}

// PutManifest gives the server a manifest, read from the beginning of r with each
// attempt. One that is there already is not sent.
func (c *Client) PutManifest(ctx context.Context, fp fingerprint.Fingerprint, r io.ReadSeeker, size int64) error {
	return c.upload(ctx, "/v1/manifests/"+fp.String(), r, size)
}

// download writes a document to w and returns its length and SHA-256. After a
// connection that broke in between it begins again if w is a file; else that is an
// ErrUnreachable.
func (c *Client) download(ctx context.Context, path string, limit int64, w io.Writer) (n int64, digest [32]byte, err error) {
	err = c.retry(ctx, request{method: http.MethodGet, path: path}, func(r *http.Response) error {
		if n > 0 && !restart(w) {
			return &ownError{&Unreachable{URL: c.base.String() + path, Attempts: 1, Err: fmt.Errorf("the connection broke after %d bytes", n)}}
		}
		sum := sha256.New()
		n, err = io.Copy(&kept{w}, io.TeeReader(io.LimitReader(r.Body, limit+1), sum))
		digest = [32]byte(sum.Sum(nil))
		if err == nil && n > limit {
			return errTooLong
		}
		return err
	})
	return n, digest, err
}

// kept is where a document is written. That it cannot be is no fault of the network.
type kept struct{ w io.Writer }

func (k *kept) Write(p []byte) (int, error) {
	n, err := k.w.Write(p)
	if err == nil && n < len(p) {
		err = io.ErrShortWrite
	}
	if err != nil {
		err = &ownError{fmt.Errorf("write what came: %w", err)}
	}
	return n, err
}

// restart empties a file that was written to.
func restart(w io.Writer) bool {
	f, ok := w.(interface {
		io.Seeker
		Truncate(size int64) error
	})
	if !ok {
		return false
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return false
	}
	return f.Truncate(0) == nil
}

func (c *Client) upload(ctx context.Context, path string, r io.ReadSeeker, size int64) error {
	_, err := c.do(ctx, request{method: http.MethodHead, path: path})
	if err == nil {
		return nil
	}
	if !isNotFound(err) {
		return err
	}
	_, err = c.do(ctx, request{
		method: http.MethodPut, path: path, media: octets, length: size, limit: 1 << 10,
		body: func() (io.Reader, error) {
			_, err := r.Seek(0, io.SeekStart)
			return io.LimitReader(r, size), err
		},
	})
	return err
}
