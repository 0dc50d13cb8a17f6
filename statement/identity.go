package statement

import (
	"slices"

	"github.com/stele-ml/stele/internal/strictjson"
)

// keyDigest is the key of a key id in a subject's DigestSet.
const keyDigest = "stele-key"

type wireIdentity struct {
	wireCommon
	Action  string   `json:"action"`
	Key     *wireKey `json:"key,omitzero"`
	Roles   []string `json:"roles,omitzero"`
	Names   []string `json:"names,omitzero"`
	Kinds   []Kind   `json:"kinds,omitzero"`
	Expires int64    `json:"expires,omitzero"`
	Since   uint64   `json:"since,omitzero"`
}

func (w *wireIdentity) decode(st *Statement) error {
	id := &Identity{Action: w.Action, Handle: st.Subject[0].Name, Roles: w.Roles, Names: w.Names, Kinds: w.Kinds, Expires: w.Expires, Since: w.Since}
	var err error
	if id.KeyID, err = ParseKeyID(st.Subject[0].Digest[keyDigest]); err != nil {
		return err
	}
	if w.Key != nil {
		if id.Key, err = w.Key.key(); err != nil {
			return err
		}
		if id.Key.ID() != id.KeyID {
			return malformed("identity: the subject names another key than the predicate holds")
		}
	}
	st.setCommon(w.wireCommon)
	st.Identity = id
	return nil
}

// keyID is the key in question, whether it is named or given.
func (id *Identity) keyID() KeyID {
	if id.KeyID.IsZero() && id.Key != nil {
		return id.Key.ID()
	}
	return id.KeyID
}

func (id *Identity) subject(*Statement) []Subject {
	return []Subject{{Name: id.Handle, Digest: map[string]string{keyDigest: id.keyID().String()}}}
}

func (id *Identity) check(*Statement) error {
	if err := CheckHandle(id.Handle); err != nil {
		return err
	}
	if id.keyID().IsZero() {
		return malformed("identity: the key is not set")
	}
	registers := id.Action == ActionRegister
	if !registers && (id.Key != nil || len(id.Roles) > 0 || len(id.Names) > 0 || len(id.Kinds) > 0 || id.Expires != 0) {
		return malformed("identity: %s takes a key id alone", quote(id.Action))
	}
	switch id.Action {
	case ActionRegister:
		return id.checkRegister()
	case ActionRetire:
		if id.Since != 0 {
			return malformed("identity: a retirement has no since")
		}
	case ActionCompromised:
		// Entry 0 is the genesis, which has to be believed to believe anything.
		return checkInteger("identity: since", id.Since, 1)
	default:
		return oneOf("identity: action", id.Action, ActionRegister, ActionRetire, ActionCompromised)
	}
	return nil
}

func (id *Identity) checkRegister() error {
	switch {
	case id.Key == nil:
		return malformed("identity: a registration holds the key")
	case id.Key.ID() != id.keyID():
		return malformed("identity: the key id is of another key")
	case id.Since != 0:
		return malformed("identity: a registration has no since")
	case id.Expires < 0 || id.Expires > strictjson.MaxInteger:
		return malformed("identity: expires %d", id.Expires)
	case len(id.Roles) == 0:
		return malformed("identity: a registration gives at least one role")
	}
	err := checkSet("identity: roles", id.Roles, len(Roles()), func(role string) error { return oneOf("role", role, Roles()...) })
	if err != nil {
		return err
	}
	if err := checkSet("identity: name patterns", id.Names, MaxPatterns, CheckPattern); err != nil {
		return err
	}
	return id.checkIssuer()
}

// checkIssuer: kinds come with the role of an issuer, and it with them. An issuer's
// key lies where jobs ask for delegations, so it has no say over the ledger itself.
func (id *Identity) checkIssuer() error {
	has := func(role string) bool { return slices.Contains(id.Roles, role) }
	switch {
	case !has(RoleIssuer) && len(id.Kinds) > 0:
		return malformed("identity: kinds are for the role %s", RoleIssuer)
	case !has(RoleIssuer):
		return nil
	case has(RoleAdministrator) || has(RoleApprover):
		return malformed("identity: a key with role %s neither administers nor approves", RoleIssuer)
	}
	kinds := slices.Sorted(slices.Values(id.Kinds))
	if err := checkKinds("identity: kinds", kinds); err != nil {
		return err
	}
	if slices.Contains(kinds, KindRelease) && !has(RoleReleaser) {
		return malformed("identity: an issuer that delegates releases has the role %s", RoleReleaser)
	}
	return nil
}

func (id *Identity) wire(st *Statement) any {
	w := wireIdentity{wireCommon: st.common(), Action: id.Action, Expires: id.Expires, Since: id.Since}
	if id.Action == ActionRegister {
		key := id.Key.wire()
		w.Key, w.Roles, w.Names = &key, sorted(id.Roles), sorted(id.Names)
		w.Kinds = slices.Sorted(slices.Values(id.Kinds))
	}
	return w
}
