package evidence

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"github.com/stele-ml/stele/statement"
)

// MergeCosignatures adds to a signed checkpoint the cosignatures that another
// copy of it has by the witnesses named. Each of those must verify, or it is an
// ErrTampered; a newer one takes the place of an older one by the same witness,
// so that a checkpoint has at most one for each; signatures by anybody else are
// left where they are in kept and out where they are in more. Two different
// checkpoints are an ErrFork. With none to add the result is kept itself.
func MergeCosignatures(kept, more []byte, witnesses ...VKey) ([]byte, error) {
	have, sigs, err := ReadCheckpoint(kept)
	if err != nil {
		return nil, fmt.Errorf("merge cosignatures: %w", err)
	}
	other, added, err := ReadCheckpoint(more)
	if err != nil {
		return nil, fmt.Errorf("merge cosignatures: %w", err)
	}
	if have != other {
		return nil, fmt.Errorf("merge cosignatures: %w: %s at %d entries has the root %v, and %s at %d the root %v",
			ErrFork, have.Origin, have.Size, have.Root, other.Origin, other.Size, other.Root)
	}
	text := []byte(have.Text())
	for _, s := range added {
		i := slices.IndexFunc(witnesses, func(w VKey) bool { return w.Name == s.Name && w.ID() == s.ID })
		if i < 0 {
			continue
		}
		seconds, _, ok := splitCosignature(s.Raw)
		if !ok || witnesses[i].Type != WitnessKeyType || !witnesses[i].Verifier().Verify(text, s.Raw) {
			return nil, fmt.Errorf("checkpoint of %s: %w: the cosignature by %s (%08x) does not verify", have.Origin, ErrTampered, s.Name, s.ID)
		}
		at := slices.IndexFunc(sigs, func(k Signature) bool { return k.Name == s.Name && k.ID == s.ID })
		if at < 0 {
			sigs = append(sigs, s)
			continue
		}
		if before, _, ok := splitCosignature(sigs[at].Raw); !ok || before < seconds {
			sigs[at] = s
		}
	}
	return writeCheckpoint(have, sigs)
}

// OnlySigned returns a signed checkpoint with the signatures by those keys
// alone. They are not verified.
func OnlySigned(signed []byte, keys ...VKey) ([]byte, error) {
	cp, sigs, err := ReadCheckpoint(signed)
	if err != nil {
		return nil, err
	}
	return writeCheckpoint(cp, slices.DeleteFunc(sigs, func(s Signature) bool {
		return !slices.ContainsFunc(keys, func(k VKey) bool { return k.Name == s.Name && k.ID() == s.ID })
	}))
}

func writeCheckpoint(cp Checkpoint, sigs []Signature) ([]byte, error) {
	var b strings.Builder
	b.WriteString(cp.Text() + "\n")
	for _, s := range sigs {
		raw := append(binary.BigEndian.AppendUint32(nil, s.ID), s.Raw...)
		b.WriteString(signaturePrefix + s.Name + " " + base64.StdEncoding.EncodeToString(raw) + "\n")
	}
	signed := []byte(b.String())
	_, _, err := ReadCheckpoint(signed) // the limits
	return signed, err
}

// Judge is Policy.Verify for who has the control entries: trust is followed
// from a log key that the policy names to those that the log changed to, and a
// witness's cosignature does not count if its key is one of the log's or is
// registered on the ledger, whatever the policy says.
func (c *Control) Judge(p *Policy, signed []byte) (*Opened, error) {
	var logs, followed []VKey
	for _, k := range c.LogKeys() {
		logs = append(logs, k.Key)
		if p.Trusts(k.Key) || len(followed) > 0 {
			followed = append(followed, k.Key)
		}
	}
	o, err := p.Verify(signed, followed...)
	if err != nil {
		return nil, err
	}
	_, sigs, err := splitNote(signed)
	if err != nil {
		return nil, err
	}
	o.Cosignatures, o.Quorum = p.cosignatures(sigs, func(w VKey) bool {
		material, err := statement.VKeyMaterial(w.String())
		return err != nil || hasPublic(logs, w) || c.Roster() != nil && c.Roster().HasMaterial(material)
	})
	return o, nil
}
