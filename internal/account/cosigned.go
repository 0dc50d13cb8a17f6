package account

import (
	"errors"

	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/internal/ledger"
)

// maxSearch is how many checkpoints are looked at, from the newest backwards, for one
// that reached the person's quorum: where it is another than that of whoever runs the
// ledger.
const maxSearch = 1 << 16

// CosignedBy finds the newest checkpoint that reached a policy's quorum of witnesses;
// ledger.ErrNotFound if there is none.
func (b *Book) CosignedBy(policy *evidence.Policy) ([]byte, error) {
	reached := func(signed []byte) (bool, error) {
		o, err := b.Control.Judge(policy, signed)
		if errors.Is(err, evidence.ErrUntrusted) { // of a log key that the policy does not lead to
			return false, nil
		}
		return err == nil && o.Quorum, err
	}
	for _, likely := range []func() ([]byte, error){b.LatestCheckpoint, b.Cosigned} {
		signed, err := likely()
		if errors.Is(err, ledger.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if yes, err := reached(signed); yes || err != nil {
			return signed, err
		}
	}
	return b.Newest(maxSearch, reached)
}
