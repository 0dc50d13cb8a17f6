package api

import (
	"errors"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/stele-ml/stele/internal/wire"
)

// What one identity may upload. A document is uploaded before the statement that
// names it, so that it cannot be asked to be named; what nobody ever names would
// fill the disk. All who are not known are one: there are as many addresses as
// somebody wants.
const (
	// UploadAllowance is how many bytes of documents one identity may send at once.
	UploadAllowance = 16 << 30
	// UploadPeriod is how long it takes until it may send as many again.
	UploadPeriod = 24 * time.Hour
	// DefaultMaxDocuments is how many bytes of documents are kept in all.
	DefaultMaxDocuments = 64 << 30
	// retryUpload is when whoever has sent that much is told to come again.
	retryUpload = time.Hour
)

// socketIdentity is whoever may open the server's own socket: the ledger's owner,
// who may write to its disk anyway.
const socketIdentity = "socket"

var (
	errAllowance = errors.New("more than may be uploaded")
	errShelfFull = errors.New("more than is kept")
)

// uploads counts what identities upload. There are as many as there are tokens and
// rules for certificates.
type uploads struct {
	now  func() time.Time
	most int64 // bytes on the shelf

	mu   sync.Mutex
	have map[string]*allowance
	kept int64 // bytes on the shelf, and those that are coming
}

type allowance struct {
	left float64 // bytes
	at   time.Time
}

// take takes n bytes of what somebody may still send, and of the room on the shelf,
// or says which of them is not there.
func (u *uploads) take(who string, n int64) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	if who == socketIdentity {
		u.kept += n
		return nil
	}
	if u.kept+n > u.most {
		return errShelfFull
	}
	if !u.allowed(who, n) {
		return errAllowance
	}
	u.kept += n
	return nil
}

// giveBack frees room on the shelf: of a document that is not kept, or was there.
func (u *uploads) giveBack(n int64) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.kept -= n
}

// allowed takes n bytes of somebody's allowance. mu is held.
func (u *uploads) allowed(who string, n int64) bool {
	now := u.now()
	a := u.have[who]
	if a == nil {
		a = &allowance{UploadAllowance, now}
		u.have[who] = a
	}
	if passed := now.Sub(a.at); passed > 0 { // a clock that was set back gives nothing
		a.left = min(UploadAllowance, a.left+UploadAllowance*(passed.Seconds()/UploadPeriod.Seconds()))
	}
	a.at = now
	if a.left < float64(n) {
		return false
	}
	a.left -= float64(n)
	return true
}

// upload is a document that comes: what it costs its sender, and why it ended.
type upload struct {
	r     io.Reader
	take  func(int64) error
	taken int64
	err   error // that is neither nil nor the end
}

// Read implements io.Reader.
func (u *upload) Read(p []byte) (int, error) {
	n, err := u.r.Read(p)
	if n > 0 {
		if no := u.take(int64(n)); no != nil {
			n, err = 0, no
		}
		u.taken += int64(n)
	}
	if err != nil && !errors.Is(err, io.EOF) {
		u.err = err
	}
	return n, err
}

// problem says what was wrong with the body, which is not what its reader made of
// it: half a document is not a forged one.
func (u *upload) problem() error {
	var tooLong *http.MaxBytesError
	switch {
	case u.err == nil:
		return nil
	case errors.As(u.err, &tooLong):
		return wire.NewProblem(http.StatusRequestEntityTooLarge, wire.CodeTooLarge, "the document is longer than may be kept")
	case errors.Is(u.err, errShelfFull):
		p := wire.NewProblem(http.StatusInsufficientStorage, wire.CodeUnavailable, "the server keeps no more documents")
		p.Hint = "whoever runs the server erases some, raises max-documents, or puts it there: its own socket has no such limit"
		return p
	case errors.Is(u.err, errAllowance):
		p := wire.NewProblem(http.StatusTooManyRequests, wire.CodeRateLimited, "more documents than one identity may upload in a day")
		p.Hint = "wait as long as Retry-After says, or have whoever runs the server put it there: its own socket has no such limit"
		return p
	}
	return wire.NewProblem(http.StatusBadRequest, wire.CodeMalformed, "the body ended too early")
}
