package wire

import (
	"fmt"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/stele-ml/stele/internal/strictjson"
	"github.com/stele-ml/stele/statement"
)

// Limits of GET /v1/ledger and POST /v1/entries.
const (
	// MaxLedger is the longest description of a ledger, in bytes: two checkpoints.
	MaxLedger = 512 << 10
	// MaxReceipt is the longest receipt, in bytes: a leaf and a checkpoint.
	MaxReceipt = 512 << 10
	// MaxInclusion is the most hashes of a proof of inclusion.
	MaxInclusion = 63

	maxFlatDepth = 4
)

// EnvelopeType is the media type of a DSSE envelope; application/json is taken too.
const EnvelopeType = "application/vnd.dsse.envelope.v1+json"

// HeaderRequestID is the header that has the server's id of a request.
const HeaderRequestID = "X-Request-Id"

// Ledger says which ledger a server keeps, and how far it is. Nothing of it is to
// be believed: the checkpoints are signed.
type Ledger struct {
	ID         statement.LedgerID `json:"id"`
	Origin     string             `json:"origin"`
	Hash       string             `json:"hash"` // of its fingerprints
	Rules      int                `json:"rules"`
	Size       uint64             `json:"size"`
	Time       int64              `json:"time"`              // of the last entry, Unix ms
	Checkpoint string             `json:"checkpoint"`        // the newest, a signed note
	Cosigned   string             `json:"cosigned,omitzero"` // the newest that reached the quorum of witnesses
	Index      string             `json:"index"`             // the version of the index that /v1/read answers by
	Software   string             `json:"software"`
	Primary    string             `json:"primary,omitzero"` // of a mirror: where it copies from, and where to write
}

// ParseLedger reads a description; members that are not known are passed over.
func ParseLedger(body []byte) (*Ledger, error) {
	l := new(Ledger)
	return l, strictjson.UnmarshalForeign(body, l, MaxLedger, maxFlatDepth)
}

// Receipt is the answer to an envelope that the ledger has: what it is in the log,
// and the proof.
type Receipt struct {
	Index      uint64       `json:"index"`
	Time       int64        `json:"time"` // Unix ms
	ID         statement.ID `json:"id"`
	Existed    bool         `json:"existed"` // it was there before
	Leaf       []byte       `json:"leaf"`
	Inclusion  [][]byte     `json:"inclusion"`  // RFC 6962 section 2.1.1, the leaf's sibling first
	Checkpoint string       `json:"checkpoint"` // a signed note; a cosigned one where that was waited for
}

// ParseReceipt reads a receipt and holds it to its form.
func ParseReceipt(body []byte) (*Receipt, error) {
	r := new(Receipt)
	if err := strictjson.UnmarshalForeign(body, r, MaxReceipt, maxFlatDepth); err != nil {
		return nil, err
	}
	if len(r.Inclusion) > MaxInclusion {
		return nil, fmt.Errorf("a receipt: a proof of %d hashes, at most %d are allowed", len(r.Inclusion), MaxInclusion)
	}
	for _, h := range r.Inclusion {
		if len(h) != 32 {
			return nil, fmt.Errorf("a receipt: a hash of %d bytes", len(h))
		}
	}
	return r, nil
}

// MaxProofJSON is the longest proof, in bytes.
const MaxProofJSON = 64 << 10

// Proof is a proof of inclusion or of consistency: RFC 6962 sections 2.1.1 and
// 2.1.2.
type Proof struct {
	Index      *uint64  `json:"index,omitzero"` // of inclusion: the entry
	From       *uint64  `json:"from,omitzero"`  // of consistency: the earlier size
	Size       uint64   `json:"size"`           // of the tree
	Hashes     [][]byte `json:"hashes"`
	Checkpoint string   `json:"checkpoint,omitzero"` // of that size, if one was published
}

// ParseProof reads a proof and holds it to its form.
func ParseProof(body []byte) (*Proof, error) {
	p := new(Proof)
	if err := strictjson.UnmarshalForeign(body, p, MaxProofJSON, maxFlatDepth); err != nil {
		return nil, err
	}
	if len(p.Hashes) > MaxInclusion {
		return nil, fmt.Errorf("a proof of %d hashes, at most %d are allowed", len(p.Hashes), MaxInclusion)
	}
	for _, h := range p.Hashes {
		if len(h) != 32 {
			return nil, fmt.Errorf("a proof: a hash of %d bytes", len(h))
		}
	}
	return p, nil
}

// Hashes turns hashes of 32 bytes, as ParseProof and ParseReceipt have checked
// them, into those of proofs.
func Hashes(list [][]byte) []tlog.Hash {
	out := make([]tlog.Hash, len(list))
	for i, h := range list {
		out[i] = tlog.Hash(h)
	}
	return out
}

// HashBytes is the reverse of Hashes.
func HashBytes(list []tlog.Hash) [][]byte {
	out := make([][]byte, len(list))
	for i := range list {
		out[i] = list[i][:]
	}
	return out
}
