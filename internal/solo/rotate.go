package solo

import (
	"crypto/rand"
	"errors"

	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/internal/durable"
	"github.com/stele-ml/stele/statement"
)

// nextLogKey returns the key in force and the one to rotate to, which is on
// the disk before anybody hears of it. One that a rotation before left behind
// is taken up.
func (e *Engine) nextLogKey() (current, next *LogKey, err error) {
	control, err := e.View().Control()
	if err != nil {
		return nil, nil, err
	}
	vkey, _ := control.LogKey(evidence.MaxSize)
	e.keysMu.Lock()
	defer e.keysMu.Unlock()
	for k, key := range e.keys {
		if k != vkey {
			next = key
		}
	}
	if current = e.keys[vkey]; current == nil {
		return nil, nil, errors.New("the key in force is not here")
	}
	if next == nil {
		if next, err = GenerateLogKey(e.info.Origin, rand.Reader); err != nil {
			return nil, nil, err
		}
		if err := durable.WriteFile(e.stateFS, e.statePath(nextKeyFile), next.text()); err != nil {
			return nil, nil, err
		}
		e.keys[next.vkey] = next
	}
	return current, next, nil
}

// signRotation makes the statement, signed by both log keys and by admin.
func (e *Engine) signRotation(admin statement.Signer, current, next *LogKey) (*statement.Envelope, error) {
	nonce, err := statement.NewNonce(rand.Reader)
	if err != nil {
		return nil, err
	}
	from, to := current.vkey.String(), next.vkey.String()
	message := statement.LogKeyMessage(e.info.ID, from, to, nonce)
	return statement.Sign(&statement.Statement{
		Kind: statement.KindLogKey, Ledger: e.info.ID, Nonce: nonce,
		LogKey: &statement.LogKey{
			Current: from, Next: to,
			Signatures: statement.LogKeySignatures{Current: current.Sign(message), Next: next.Sign(message)},
		},
	}, admin)
}
