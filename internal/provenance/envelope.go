package provenance

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"strings"

	"github.com/stele-ml/stele/internal/strictjson"
	"github.com/stele-ml/stele/statement"
)

// Envelope is a DSSE envelope that was read and not yet checked.
type Envelope struct {
	// Signatures is how many it has. One of them has to be the given key's; the
	// others are not looked at.
	Signatures int

	payload    []byte
	signatures [][]byte
}

// Parse reads a file with one DSSE envelope in JSON, as it stands in one line of
// a .intoto.jsonl. Members beside those of DSSE are passed over: nobody signed
// them.
func Parse(data []byte) (*Envelope, error) {
	if err := severalLines(data); err != nil {
		return nil, err
	}
	var top map[string]strictjson.Raw
	if err := strictjson.UnmarshalForeign(data, &top, MaxFile, maxDepth); err != nil {
		return nil, malformed("%w", err)
	}
	if top[sigstoreDSSEKey] != nil {
		return nil, &refusal{fmt.Errorf("%w: it is a Sigstore bundle", ErrUnsupported),
			"check it with a Sigstore client (`gh attestation verify`, cosign); here DSSE envelopes are read, and checked with a key that you give"}
	}
	var w struct {
		PayloadType string `json:"payloadType"`
		Payload     string `json:"payload"`
		Signatures  []struct {
			Sig string `json:"sig"`
		} `json:"signatures"`
	}
	if err := strictjson.UnmarshalForeign(data, &w, MaxFile, maxDepth); err != nil {
		return nil, malformed("envelope: %w", err)
	}
	switch {
	case w.PayloadType != PayloadType:
		return nil, malformed("envelope: payload type %s, want %s", quote(w.PayloadType), PayloadType)
	case len(w.Signatures) == 0 || len(w.Signatures) > MaxSignatures:
		return nil, malformed("envelope: %d signatures, 1 to %d are read", len(w.Signatures), MaxSignatures)
	}
	e := &Envelope{Signatures: len(w.Signatures)}
	var err error
	if e.payload, err = decodeBase64("payload", w.Payload); err != nil {
		return nil, err
	}
	for _, s := range w.Signatures {
		sig, err := decodeBase64("sig", s.Sig)
		if err != nil {
			return nil, err
		}
		if len(sig) > maxSignature {
			return nil, malformed("envelope: a signature of %d bytes, at most %d are read", len(sig), maxSignature)
		}
		e.signatures = append(e.signatures, sig)
	}
	return e, nil
}

// severalLines tells a file with several envelopes from one that is damaged.
func severalLines(data []byte) error {
	lines := 0
	for line := range bytes.Lines(data) {
		if t := bytes.TrimSpace(line); len(t) > 1 && t[0] == '{' && t[len(t)-1] == '}' {
			lines++
		}
	}
	if lines < 2 {
		return nil
	}
	return &refusal{malformed("%d envelopes, want one", lines), "each is a claim of its own: import them one by one, a line each (`sed -n 1p FILE`)"}
}

// decodeBase64 reads base64 as DSSE has it: the standard or the URL-safe
// alphabet, with its padding.
func decodeBase64(what, text string) ([]byte, error) {
	encoding := base64.StdEncoding
	if strings.ContainsAny(text, "-_") {
		encoding = base64.URLEncoding
	}
	b, err := encoding.Strict().DecodeString(text)
	if err != nil || len(b) == 0 || strings.ContainsAny(text, "\r\n") {
		return nil, malformed("envelope: %s: want base64 of at least a byte", what)
	}
	return b, nil
}

// Verify checks that one of the signatures is by a key that the caller trusts,
// and reads what it signed.
func (e *Envelope) Verify(key *PublicKey) (*Statement, error) {
	message := statement.PAE(PayloadType, e.payload)
	for _, sig := range e.signatures {
		if key.verify(message, sig) {
			return parseStatement(e.payload)
		}
	}
	return nil, &refusal{fmt.Errorf("%w: another key made it, or it was altered", ErrSignature), "give the public key of whoever signed it"}
}
