package statement

import (
	"encoding/base64"

	"github.com/stele-ml/stele/internal/strictjson"
)

// MaxKeyRequest is the longest key request, in bytes.
const MaxKeyRequest = 16 << 10

const (
	keyRequestForm   = "key-request/v1"
	keyRequestDomain = "stele key request v1\n"
)

// KeyRequest asks an administrator to register a key under a handle. The key
// itself signs it, so that nobody can have somebody else's key registered as
// their own and be taken for the author of what it signs.
// Page: docs/formats/keys.md.
type KeyRequest struct {
	Handle    string
	Key       *PublicKey
	Signature []byte // over KeyRequestMessage
}

type wireKeyRequest struct {
	Form      string  `json:"stele"`
	Handle    string  `json:"handle"`
	Key       wireKey `json:"key"`
	Signature string  `json:"signature"`
}

// KeyRequestMessage is what the key signs:
// "stele key request v1\n" ‖ handle ‖ "\n" ‖ key id in hexadecimal ‖ "\n".
// No envelope's pre-authentication encoding begins so.
func KeyRequestMessage(handle string, key KeyID) []byte {
	return []byte(keyRequestDomain + handle + "\n" + key.String() + "\n")
}

// NewKeyRequest makes a request signed by the key it is for.
func NewKeyRequest(handle string, s Signer) (*KeyRequest, error) {
	if err := CheckHandle(handle); err != nil {
		return nil, err
	}
	key := s.PublicKey()
	sig, err := s.Sign(KeyRequestMessage(handle, key.ID()))
	if err != nil {
		return nil, err
	}
	return &KeyRequest{handle, key, sig}, nil
}

// Marshal returns the request's JSON.
func (r *KeyRequest) Marshal() ([]byte, error) {
	return strictjson.Marshal(wireKeyRequest{keyRequestForm, r.Handle, r.Key.wire(), base64.StdEncoding.EncodeToString(r.Signature)})
}

// ParseKeyRequest reads a request and checks that the key signed it: ErrFormat
// or ErrSignature.
func ParseKeyRequest(data []byte) (*KeyRequest, error) {
	var w wireKeyRequest
	if err := strictjson.Unmarshal(data, &w, MaxKeyRequest, 2); err != nil {
		return nil, malformed("key request: %w", err)
	}
	if w.Form != keyRequestForm {
		return nil, malformed("key request: form %s, want %s", quote(w.Form), quote(keyRequestForm))
	}
	if err := CheckHandle(w.Handle); err != nil {
		return nil, err
	}
	key, err := w.Key.key()
	if err != nil {
		return nil, err
	}
	sig, err := decodeBase64("key request: signature", w.Signature)
	if err != nil {
		return nil, err
	}
	if err := key.Verify(KeyRequestMessage(w.Handle, key.ID()), sig); err != nil {
		return nil, refuse(ErrSignature, "ask its holder for a new request; this one was altered, or signed by another key",
			"the request for %s is not signed by the key it is for", w.Handle)
	}
	return &KeyRequest{w.Handle, key, sig}, nil
}
