package statement

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"strconv"

	"github.com/stele-ml/stele/internal/strictjson"
)

// PayloadType is the DSSE payload type of every envelope.
const PayloadType = "application/vnd.in-toto+json"

// Envelope is a DSSE envelope with exactly one signature. The payload is kept as
// the bytes that were signed and is never serialised again.
type Envelope struct {
	PayloadType string
	Payload     []byte
	KeyID       KeyID // of the key that signed: says which one to look up, and nothing else
	Signature   []byte
	Delegation  []byte // where the key is not registered: why it counts (see [Delegation]); else nil
}

// envelopeForm is the first byte of the binary form.
const envelopeForm = 1

// Sign encodes the statement and signs it. The envelope of a signer with a
// delegation carries it.
func Sign(st *Statement, s Signer) (*Envelope, error) {
	payload, err := st.Marshal()
	if err != nil {
		return nil, err
	}
	e := &Envelope{PayloadType: PayloadType, Payload: payload, KeyID: s.PublicKey().ID()}
	if d := DelegationOf(s); d != nil {
		e.Delegation = d.Encode()
	}
	if e.Signature, err = s.Sign(e.Message()); err != nil {
		return nil, err
	}
	if err := e.check(); err != nil {
		return nil, err
	}
	return e, nil
}

// By returns the id of the registered key in whose name the envelope is signed:
// its own, or that of the delegation's issuer. It is a claim until [Envelope.Verify]
// holds.
func (e *Envelope) By() KeyID {
	if len(e.Delegation) < 1+len(e.KeyID) {
		return e.KeyID
	}
	return KeyID(e.Delegation[1 : 1+len(e.KeyID)])
}

// Delegated parses the envelope's delegation; nil where there is none. The error
// is ErrFormat.
func (e *Envelope) Delegated() (*Delegation, error) {
	if len(e.Delegation) == 0 {
		return nil, nil
	}
	d, err := ParseDelegation(e.Delegation)
	if err != nil {
		return nil, err
	}
	if id := d.Key.ID(); id != e.KeyID {
		return nil, malformed("envelope: the delegation is for key %s, and key %s signed", id, e.KeyID)
	}
	return d, nil
}

// Verify checks the signature against the registered key, which is the one that By
// names: the signer's, or the issuer's, whose signature under the delegation is
// then checked first. It is the key that says which algorithm it is. The error is
// ErrSignature, or ErrFormat for a malformed delegation.
func (e *Envelope) Verify(k *PublicKey) error {
	if k.ID() != e.By() {
		return refuse(ErrSignature, "", "the envelope is in the name of key %s, not of %s", e.By(), k.ID())
	}
	d, err := e.Delegated()
	if err != nil {
		return err
	}
	if d != nil {
		if err := d.Verify(k); err != nil {
			return err
		}
		k = d.Key
	}
	return k.Verify(e.Message(), e.Signature)
}

// Message returns the bytes that are signed, [PAE] of the envelope.
func (e *Envelope) Message() []byte { return PAE(e.PayloadType, e.Payload) }

// PAE is the DSSE v1 pre-authentication encoding: "DSSEv1" SP LEN(type) SP type SP
// LEN(body) SP body, lengths in decimal bytes.
func PAE(payloadType string, payload []byte) []byte {
	b := make([]byte, 0, 32+len(payloadType)+len(payload))
	b = append(b, "DSSEv1 "...)
	b = strconv.AppendInt(b, int64(len(payloadType)), 10)
	b = append(b, ' ')
	b = append(b, payloadType...)
	b = append(b, ' ')
	b = strconv.AppendInt(b, int64(len(payload)), 10)
	b = append(b, ' ')
	return append(b, payload...)
}

// ID returns the statement's id.
func (e *Envelope) ID() ID {
	h := sha256.New()
	h.Write([]byte("stele statement v1\n"))
	h.Write(e.KeyID[:])
	h.Write([]byte(e.PayloadType))
	h.Write(e.Payload)
	var id ID
	h.Sum(id[:0])
	return id
}

// wireEnvelope is the JSON form.
type wireEnvelope struct {
	Payload     string          `json:"payload"`
	PayloadType string          `json:"payloadType"`
	Signatures  []wireSignature `json:"signatures"`
	Delegation  string          `json:"delegation,omitzero"`
}

type wireSignature struct {
	KeyID string `json:"keyid"`
	Sig   string `json:"sig"`
}

// MarshalJSON writes the DSSE JSON form:
// {"payload":…,"payloadType":…,"signatures":[{"keyid":…,"sig":…}]}, and after that
// "delegation" in base64 where there is one.
func (e *Envelope) MarshalJSON() ([]byte, error) {
	if err := e.check(); err != nil {
		return nil, err
	}
	return strictjson.Marshal(wireEnvelope{
		Payload:     base64.StdEncoding.EncodeToString(e.Payload),
		PayloadType: e.PayloadType,
		Signatures:  []wireSignature{{e.KeyID.String(), base64.StdEncoding.EncodeToString(e.Signature)}},
		Delegation:  base64.StdEncoding.EncodeToString(e.Delegation),
	})
}

// UnmarshalJSON is [ParseEnvelope].
func (e *Envelope) UnmarshalJSON(data []byte) error {
	parsed, err := ParseEnvelope(data)
	if err != nil {
		return err
	}
	*e = *parsed
	return nil
}

// ParseEnvelope reads the DSSE JSON form: exactly one signature, its keyid in
// lower-case hexadecimal, padded standard base64, no other members. White space
// and the order of members are free.
func ParseEnvelope(dsseJSON []byte) (*Envelope, error) {
	var w wireEnvelope
	if err := strictjson.Unmarshal(dsseJSON, &w, MaxDSSE, MaxDepth); err != nil {
		return nil, malformed("envelope: %w", err)
	}
	if len(w.Signatures) != 1 {
		return nil, malformed("envelope: %d signatures, want exactly one", len(w.Signatures))
	}
	e := &Envelope{PayloadType: w.PayloadType}
	var err error
	if e.Payload, err = decodeBase64("envelope: payload", w.Payload); err != nil {
		return nil, err
	}
	if e.Signature, err = decodeBase64("envelope: sig", w.Signatures[0].Sig); err != nil {
		return nil, err
	}
	if e.KeyID, err = ParseKeyID(w.Signatures[0].KeyID); err != nil {
		return nil, err
	}
	if w.Delegation != "" {
		if e.Delegation, err = decodeBase64("envelope: delegation", w.Delegation); err != nil {
			return nil, err
		}
	}
	if err := e.check(); err != nil {
		return nil, err
	}
	return e, nil
}

// Encode returns the binary form: u8 form = 1 ‖ key id[32] ‖ u16 len ‖ payload
// type ‖ u16 len ‖ payload ‖ u16 len ‖ signature ‖ u16 len ‖ delegation. It does not
// check; an envelope that was parsed or signed here fits.
func (e *Envelope) Encode() []byte {
	b := make([]byte, 0, 1+32+8+len(e.PayloadType)+len(e.Payload)+len(e.Signature)+len(e.Delegation))
	b = append(b, envelopeForm)
	b = append(b, e.KeyID[:]...)
	for _, field := range [][]byte{[]byte(e.PayloadType), e.Payload, e.Signature, e.Delegation} {
		b = binary.BigEndian.AppendUint16(b, uint16(len(field)))
		b = append(b, field...)
	}
	return b
}

// DecodeEnvelope reads the binary form. The envelope does not share memory with
// bin.
func DecodeEnvelope(bin []byte) (*Envelope, error) {
	if len(bin) > MaxEnvelope {
		return nil, malformed("envelope: %d bytes, at most %d are allowed", len(bin), MaxEnvelope)
	}
	e, err := decodeBinary("envelope", bin)
	if err != nil {
		return nil, err
	}
	if err := e.check(); err != nil {
		return nil, err
	}
	return e, nil
}

// decodeBinary reads the form that an envelope and a delegation share.
func decodeBinary(what string, bin []byte) (*Envelope, error) {
	if len(bin) < 1+32 || bin[0] != envelopeForm {
		return nil, malformed("%s: not of form %d", what, envelopeForm)
	}
	e := new(Envelope)
	copy(e.KeyID[:], bin[1:])
	rest := append([]byte(nil), bin[1+32:]...)
	var fields [4][]byte
	for i := range fields {
		if len(rest) < 2 {
			return nil, malformed("%s: truncated", what)
		}
		n := int(binary.BigEndian.Uint16(rest))
		if rest = rest[2:]; len(rest) < n {
			return nil, malformed("%s: truncated", what)
		}
		fields[i], rest = rest[:n:n], rest[n:]
	}
	if len(rest) > 0 {
		return nil, malformed("%s: %d bytes after its end", what, len(rest))
	}
	e.PayloadType, e.Payload, e.Signature = string(fields[0]), fields[1], fields[2]
	if len(fields[3]) > 0 {
		e.Delegation = fields[3]
	}
	return e, nil
}

// check holds an envelope to its limits.
func (e *Envelope) check() error {
	switch {
	case e.PayloadType != PayloadType:
		return malformed("envelope: payload type %s, want %s", quote(e.PayloadType), PayloadType)
	case len(e.Payload) == 0 || len(e.Payload) > MaxPayload:
		return malformed("envelope: payload of %d bytes, 1 to %d are allowed", len(e.Payload), MaxPayload)
	case len(e.Signature) == 0 || len(e.Signature) > MaxSignature:
		return malformed("envelope: signature of %d bytes, 1 to %d are allowed", len(e.Signature), MaxSignature)
	case e.Delegation != nil && len(e.Delegation) == 0:
		return malformed("envelope: an empty delegation")
	}
	_, err := e.Delegated()
	return err
}
