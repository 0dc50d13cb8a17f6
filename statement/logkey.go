package statement

import (
	"crypto/ed25519"
)

type wireLogKey struct {
	wireCommon
	Current    string            `json:"current"`
	Next       string            `json:"next"`
	Signatures wireLogSignatures `json:"signatures"`
}

type wireLogSignatures struct {
	Current string `json:"current"` // padded standard base64
	Next    string `json:"next"`
}

func (w *wireLogKey) decode(st *Statement) error {
	l := &LogKey{Current: w.Current, Next: w.Next}
	var err error
	if l.Signatures.Current, err = decodeBase64("log-key: signature", w.Signatures.Current); err != nil {
		return err
	}
	if l.Signatures.Next, err = decodeBase64("log-key: signature", w.Signatures.Next); err != nil {
		return err
	}
	st.setCommon(w.wireCommon)
	st.LogKey = l
	return nil
}

// origin is the name of both keys.
func (l *LogKey) origin() string {
	name, _, err := parseVKey(l.Next)
	if err != nil {
		return ""
	}
	return name
}

func (l *LogKey) subject(*Statement) []Subject { return vkeySubject(l.origin(), l.Next) }

// check includes both signatures: all they bind is in the statement.
func (l *LogKey) check(st *Statement) error {
	origin := l.origin()
	if err := CheckVKey(l.Next, origin); err != nil {
		return err
	}
	if err := CheckVKey(l.Current, origin); err != nil {
		return err
	}
	if l.Current == l.Next {
		return malformed("log-key: the next key is the current one")
	}
	message := LogKeyMessage(st.Ledger, l.Current, l.Next, st.Nonce)
	if err := verifyLogKey("current", l.Current, message, l.Signatures.Current); err != nil {
		return err
	}
	return verifyLogKey("next", l.Next, message, l.Signatures.Next)
}

func verifyLogKey(which, vkey string, message, sig []byte) error {
	_, public, err := parseVKey(vkey)
	if err != nil {
		return err
	}
	if len(sig) != ed25519.SignatureSize || !ed25519.Verify(public, message, sig) {
		return refuse(ErrSignature, "", "log-key: the signature by the %s key does not verify", which)
	}
	return nil
}

func (l *LogKey) wire(st *Statement) any {
	return wireLogKey{st.common(), l.Current, l.Next, wireLogSignatures{base64Of(l.Signatures.Current), base64Of(l.Signatures.Next)}}
}
