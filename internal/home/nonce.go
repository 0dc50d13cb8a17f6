package home

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
)

// ErrNonce says that a file holds no nonce of an audit, or another than was announced.
var ErrNonce = errors.New("not the nonce that was announced")

// Nonce is the author's part of an audit that is announced and has not ended. The
// ledger binds its author to it by its hash; it is kept here from before the
// announcement until the result shows it, so that whatever is interrupted can be
// ended.
type Nonce struct {
	Path  string // of its file
	Value [32]byte
	Place string // where the data lies, as it was announced
}

// nonceForm begins the file of a nonce: three lines, the form, the nonce in
// hexadecimal digits and the place as a Go string.
const nonceForm = "stele pending audit v1"

func (d Dirs) noncePath(ledger string, sha [32]byte) string {
	return filepath.Join(d.Ledger(ledger), "audits", hex.EncodeToString(sha[:]))
}

// KeepNonce draws a nonce for an audit of data at a place and writes it down.
func (d Dirs) KeepNonce(ledger, place string, random io.Reader) (*Nonce, error) {
	n := &Nonce{Place: place}
	if _, err := io.ReadFull(random, n.Value[:]); err != nil {
		return nil, err
	}
	n.Path = d.noncePath(ledger, sha256.Sum256(n.Value[:]))
	if err := WriteSecret(n.Path, fmt.Appendf(nil, "%s\n%x\n%q\n", nonceForm, n.Value, place)); err != nil {
		return nil, fmt.Errorf("keep the audit's nonce: %w", err)
	}
	return n, nil
}

// Nonce reads what was kept of the audit that announces a hash. Where nothing was,
// it is an fs.ErrNotExist: somebody else announced it, or on another machine. What is
// not what was announced is ErrNonce.
func (d Dirs) Nonce(ledger string, sha [32]byte) (*Nonce, error) {
	n := &Nonce{Path: d.noncePath(ledger, sha)}
	data, err := ReadSecret(n.Path)
	if err != nil {
		return nil, err
	}
	var value []byte
	if got, err := fmt.Sscanf(string(data), nonceForm+"\n%x\n%q\n", &value, &n.Place); err != nil || got != 2 || len(value) != len(n.Value) || sha256.Sum256(value) != sha {
		return nil, &fs.PathError{Op: "read", Path: n.Path, Err: ErrNonce}
	}
	copy(n.Value[:], value)
	return n, nil
}
