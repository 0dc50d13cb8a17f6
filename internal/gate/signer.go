package gate

import (
	"slices"

	"github.com/stele-ml/stele/contract"
	"github.com/stele-ml/stele/internal/account"
	"github.com/stele-ml/stele/statement"
)

// Keyholder is whoever a key would sign as, at a moment in Unix ms; not Known where
// the key is not registered, or in no good standing.
func Keyholder(b *account.Book, key statement.KeyID, now int64) contract.Signer {
	if _, m, ok := b.Control.Roster().Key(key); ok && good(b, &m, now) {
		return signer(&m)
	}
	return contract.Signer{}
}

// Person is as whom somebody would release, by the handle: of several keys in good
// standing one that may. Where there is none, the signer is not Known; there says
// whether anybody of that handle is on the ledger.
func Person(b *account.Book, handle string, now int64) (as contract.Signer, there bool) {
	var best *statement.Member
	for _, m := range b.Control.Roster().Members() {
		if m.Handle != handle {
			continue
		}
		there = true
		if good(b, &m, now) && (best == nil || !slices.Contains(best.Roles, statement.RoleReleaser) && slices.Contains(m.Roles, statement.RoleReleaser)) {
			best = &m
		}
	}
	if best == nil {
		return contract.Signer{}, there
	}
	return signer(best), true
}

func good(b *account.Book, m *statement.Member, now int64) bool {
	return !m.Recovery && b.Control.Roster().Standing(m.Key.ID(), b.Size(), max(now, b.Time())).OK
}

func signer(m *statement.Member) contract.Signer {
	roles := slices.Clone(m.Roles)
	slices.Sort(roles)
	return contract.Signer{Handle: m.Handle, Key: m.Key.ID(), Roles: roles, Known: true}
}
