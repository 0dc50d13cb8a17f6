package client

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/internal/wire"
	"github.com/stele-ml/stele/statement"
)

const (
	jsonType = "application/json"

	maxProof      = 64 << 10 // bytes of a proof's JSON
	maxCheckpoint = evidence.MaxCheckpoint
)

// Info says which ledger a server keeps, and how far it is, in the server's words:
// nothing of it is checked. The checkpoints in it are signed notes.
type Info struct {
	ID         statement.LedgerID
	Origin     string // of the log
	Hash       string // of its fingerprints, as [fingerprint.ParseAlgorithm] reads it
	Rules      int    // the version of the ledger's rules
	Size       uint64 // entries
	Time       int64  // of the last entry, Unix ms
	Checkpoint string // the newest
	Cosigned   string // the newest that reached the quorum of the ledger's witnesses, if one did
	Index      string // the version of the index that reads are answered by
	Software   string
	Primary    string // of a mirror: the address that it copies from, and where to write; else empty
}

// Ledger asks which ledger the server keeps. Nothing of it is to be believed.
func (c *Client) Ledger(ctx context.Context) (*Info, error) {
	a, err := c.do(ctx, request{method: http.MethodGet, path: "/v1/ledger", accept: jsonType, limit: wire.MaxLedger})
	if err != nil {
		return nil, err
	}
	said, err := wire.ParseLedger(a.body)
	if err != nil {
		return nil, c.noAnswer("/v1/ledger", err)
	}
	info := Info(*said)
	return &info, nil
}

// Checkpoint returns the checkpoint that the server publishes, by C2SP tlog-tiles:
// any log's, not only one of ours. Its signatures are not checked.
func (c *Client) Checkpoint(ctx context.Context) ([]byte, error) {
	a, err := c.do(ctx, request{method: http.MethodGet, path: "/checkpoint", limit: maxCheckpoint})
	if err != nil {
		return nil, err
	}
	return a.body, nil
}

// CheckpointAt returns the checkpoint of a size that was published. Its signatures
// are not checked.
func (c *Client) CheckpointAt(ctx context.Context, size uint64) ([]byte, error) {
	a, err := c.do(ctx, request{method: http.MethodGet, path: "/checkpoint/" + strconv.FormatUint(size, 10), limit: maxCheckpoint})
	if err != nil {
		return nil, err
	}
	return a.body, nil
}

// Consistency returns what the server says is the proof that the tree of size to
// begins with that of size from: for evidence.CheckConsistency.
func (c *Client) Consistency(ctx context.Context, from, to uint64) (tlog.TreeProof, error) {
	if from == to || from == 0 {
		return nil, nil
	}
	q := url.Values{"from": {strconv.FormatUint(from, 10)}, "to": {strconv.FormatUint(to, 10)}}
	a, err := c.do(ctx, request{method: http.MethodGet, path: "/v1/proofs/consistency", query: q, accept: jsonType, limit: maxProof})
	if err != nil {
		return nil, err
	}
	p, err := wire.ParseProof(a.body)
	if err != nil {
		return nil, c.noAnswer("/v1/proofs/consistency", err)
	}
	return wire.Hashes(p.Hashes), nil
}

// read asks for reads of the ledger's store.
func (c *Client) read(ctx context.Context, r *wire.ReadRequest) (*wire.ReadAnswer, error) {
	const path = "/v1/read"
	body, err := r.Marshal()
	if err != nil {
		return nil, err
	}
	a, err := c.post(ctx, path, jsonType, body, wire.MaxReadAnswer)
	if err != nil {
		return nil, err
	}
	answer, err := wire.ParseReadAnswer(a.body)
	if err != nil {
		return nil, c.noAnswer(path, err)
	}
	return answer, nil
}

// post sends a body that is at hand.
func (c *Client) post(ctx context.Context, path, media string, body []byte, limit int64) (*answer, error) {
	return c.do(ctx, request{
		method: http.MethodPost, path: path, media: media, body: bytesOf(body), length: int64(len(body)), accept: jsonType, limit: limit,
	})
}

// Post sends a JSON body and returns that of the answer, of at most limit bytes:
// for operations that have no method here.
func (c *Client) Post(ctx context.Context, path string, body []byte, limit int64) ([]byte, error) {
	a, err := c.post(ctx, path, jsonType, body, limit)
	if err != nil {
		return nil, err
	}
	return a.body, nil
}

// Get returns the body of an answer, of at most limit bytes: for operations that
// have no method here. The query may be nil.
func (c *Client) Get(ctx context.Context, path string, query url.Values, limit int64) ([]byte, error) {
	a, err := c.do(ctx, request{method: http.MethodGet, path: path, query: query, limit: limit})
	if err != nil {
		return nil, err
	}
	return a.body, nil
}

func (c *Client) noAnswer(path string, err error) error {
	return fmt.Errorf("%s%s: %w: %w", c.shown, path, ErrAnswer, err)
}
