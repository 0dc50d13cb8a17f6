package account

import (
	"fmt"

	"github.com/stele-ml/stele/cmd/stele/jsonv1"
	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/statement"
)

// Signer names who signed an entry, in --json.
func (b *Book) Signer(e *evidence.Entry) jsonv1.Signer {
	d, _ := e.Envelope.Delegated() // it was parsed when the entry was
	return b.SignerBy(e.Envelope.By(), d)
}

// SignerAt is Signer of an entry by its number; where it cannot be read, what is
// known of it.
func (b *Book) SignerAt(entry uint64, handle string, key statement.KeyID) jsonv1.Signer {
	if e, err := b.Entry(entry); err == nil {
		return b.Signer(e)
	}
	return jsonv1.Signer{Handle: handle, Key: key.String()}
}

// SignerBy names whose key it is, and the delegation through which they sign, if
// through one; without a handle where the key is not registered.
func (b *Book) SignerBy(key statement.KeyID, d *statement.Delegation) jsonv1.Signer {
	s := jsonv1.Signer{Key: key.String()}
	if _, m, ok := b.Control.Roster().Key(key); ok {
		s.Handle = m.Handle
	}
	return Through(s, d)
}

// Through adds through which delegation somebody signs; nil: none.
func Through(s jsonv1.Signer, d *statement.Delegation) jsonv1.Signer {
	if d != nil {
		s.Delegation = &jsonv1.SignerDelegation{
			Subject: d.Subject, Source: d.Source, Key: d.Key.ID().String(), Public: string(d.Key.Text()), From: jsonv1.At(d.NotBefore), Until: jsonv1.At(d.NotAfter),
		}
	}
	return s
}

// SignerText is who signs and, of a CI job, which: ci (repo:acme/fraud@refs/heads/main).
func SignerText(s jsonv1.Signer) string {
	if s.Delegation == nil {
		return s.Handle
	}
	return fmt.Sprintf("%s (%s)", s.Handle, s.Delegation.Subject)
}
