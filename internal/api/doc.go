// Package api is what a ledger's server answers under /v1: entries, names,
// artifacts, lineage, proofs, evidence, contracts, and statements that are
// submitted.
//
// Every operation is one row of a table: its path, who may use it, its limits, its
// parameters, what it takes and gives. The server's routes and the OpenAPI document
// are both made of that table, so that neither can say what the other does not.
//
// Nothing here has to be believed by whoever asks: what is answered about the log
// can be checked against its signed checkpoint.
//
// Page: docs/api.md.
package api

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/stele-ml/stele/fingerprint"
	"github.com/stele-ml/stele/internal/ledger"
	"github.com/stele-ml/stele/statement"
)

// The classes of an engine's errors besides refusals, for errors.Is: an engine maps
// its own to them.
var (
	// ErrReadOnly: this ledger is not written to here.
	ErrReadOnly = errors.New("read-only")
	// ErrOutcomeUnknown: it may or may not be written; again is safe.
	ErrOutcomeUnknown = errors.New("outcome unknown")
	// ErrStopped: the engine does not go on: a failed write, the clock, its end.
	ErrStopped = errors.New("stopped")
	// ErrNotCosigned: it is written, and the quorum was not reached in time.
	ErrNotCosigned = errors.New("not cosigned")
	// ErrNoDocument: the shelf has no such document.
	ErrNoDocument = errors.New("no such document")
	// ErrDocument: a document is not the one that its name says.
	ErrDocument = errors.New("not that document")
)

// Engine is the ledger that is served.
type Engine interface {
	// View returns the ledger as of the last acknowledged commit.
	View() *ledger.View
	// Submit puts an envelope into the ledger and returns when it is there for
	// good. The error is a *ledger.Refusal, one of this package's, or that of a ctx
	// which ended before anything was written; later it is an ErrOutcomeUnknown.
	Submit(ctx context.Context, env *statement.Envelope) (*Submitted, error)
}

// Submitted is an acknowledgement.
type Submitted struct {
	ledger.Receipt
	Checkpoint []byte       // signed, of the view's size
	View       *ledger.View // that has the entry
}

// Witnesses are those of the log, if it has any.
type Witnesses interface {
	// Published is the newest checkpoint that reached the quorum; before there is
	// one, that which was the newest when the server was started.
	Published() []byte
	// Wait returns a checkpoint of at least that size that reached the quorum.
	Wait(ctx context.Context, size uint64) ([]byte, error)
}

// Shelf keeps attachments and manifests by what they hold.
type Shelf interface {
	// Attachment opens an attachment: ErrDocument, or ErrNoDocument if it is not
	// there. Whoever reads it checks it.
	Attachment(ctx context.Context, sum [32]byte) (io.ReadCloser, int64, error)
	// PutAttachment keeps one of at most limit bytes, whole or not at all, once it
	// is checked.
	PutAttachment(ctx context.Context, sum [32]byte, r io.Reader, limit int64) error
	// Manifest and PutManifest are the same for manifests.
	Manifest(ctx context.Context, fp fingerprint.Fingerprint) (io.ReadCloser, int64, error)
	PutManifest(ctx context.Context, fp fingerprint.Fingerprint, r io.Reader, limit int64) error
}

// Options are what an API is made of.
type Options struct {
	Engine      Engine
	Shelf       Shelf        // nil: documents are not kept here
	Witnesses   Witnesses    // nil: the log has none
	Delegations http.Handler // POST /v1/delegations; nil: there is no exchange
	Software    string       // name and version, for /v1/ledger
	Primary     string       // of a mirror: where to write
	ReadOnly    bool         // documents are not taken either
	// MaxDocuments is how many bytes the shelf keeps in all; 0: DefaultMaxDocuments.
	// Documents is how many it has now.
	MaxDocuments, Documents int64
	// Now is the time that a dry run happens at; nil: time.Now.
	Now func() time.Time
}

// API answers the operations.
type API struct {
	o        Options
	document func() ([]byte, error) // made once
	uploads  uploads
}

// New returns an API.
func New(o Options) *API {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.MaxDocuments == 0 {
		o.MaxDocuments = DefaultMaxDocuments
	}
	return &API{
		o: o, document: sync.OnceValues(Document),
		uploads: uploads{now: o.Now, have: map[string]*allowance{}, most: o.MaxDocuments, kept: o.Documents},
	}
}
