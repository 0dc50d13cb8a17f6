package evidence

import (
	"errors"
	"slices"

	"github.com/stele-ml/stele/statement"
)

// checkpoint makes the checks on who vouches for the checkpoint: the log, the
// witnesses, and the caller's memory.
func (c *verification) checkpoint() bool {
	current, _ := c.state.LogKey(c.cp.Size)
	c.LogKey = current.String()
	trusted := c.trustedLog(current)
	signed := c.logSignature(current)
	c.witnesses()
	c.fresh()
	c.consistency()
	return trusted && signed
}

// trustedLog checks that trust, which comes from the caller, reaches the log's
// key. It goes along the rotations, each of which the fold found signed by the
// key before it: nobody but the holder of a key that is pinned can have led
// from there to here.
func (c *verification) trustedLog(current VKey) bool {
	if c.trust == nil {
		if c.opts.TrustAnyLogUnsafe {
			c.unsafe = true
			c.skip(CheckTrustedLog, "no trust policy: the ledger vouches for itself with the key %s, as was asked for; anybody could have made it", current)
			return true
		}
		c.fail(Untrusted, CheckTrustedLog, "no trust policy names the log %s; its key is %s", c.cp.Origin, current)
		return true // what else is wrong is worth saying
	}
	if err := c.trust.Check(); err != nil {
		c.fail(Untrusted, CheckTrustedLog, "%v", err)
		c.trust = nil
		return true
	}
	if c.trust.Trusts(current) {
		c.pass(CheckTrustedLog, "the trust policy names the log's key %s", current.Short())
		return true
	}
	// A policy that names several keys of this log knows how it went on: from
	// an old one, which may have been stolen since, a way that leads past a
	// newer one is not the log's.
	inChain := func(l PolicyLog) bool {
		return slices.ContainsFunc(c.state.keys, func(k LogKey) bool { return k.Key == l.Key })
	}
	for _, l := range c.trust.Logs {
		if l.Key.Name == c.cp.Origin && !inChain(l) {
			c.fail(Untrusted, CheckTrustedLog, "the trust policy names the log's key %s, which is not among the keys that lead to the present one, %s", l.Key.Short(), current)
			return true
		}
	}
	for _, k := range slices.Backward(c.state.keys) {
		if c.trust.Trusts(k.Key) {
			c.Followed = true
			c.pass(CheckTrustedLog, "the trust policy names the log's earlier key %s, which entry %d and those after it replaced by %s, signed by both; trust %s from now on",
				k.Key.Short(), c.nextKey(k), current.Short(), current)
			return true
		}
	}
	c.fail(Untrusted, CheckTrustedLog, "the trust policy does not name the log's key %s, nor an earlier one", current)
	return true
}

// nextKey returns the entry that replaced a log key.
func (c *verification) nextKey(k LogKey) uint64 {
	i := slices.Index(c.state.keys, k)
	return c.state.keys[i+1].Entry
}

// logSignature checks the checkpoint's signatures by the log's keys. That of
// the key in force must be there; any other that is there must verify.
func (c *verification) logSignature(current VKey) bool {
	keys := make([]VKey, 0, 4)
	for _, k := range c.state.keys {
		keys = append(keys, k.Key)
	}
	if c.trust != nil {
		for _, l := range c.trust.Logs {
			if !slices.Contains(keys, l.Key) {
				keys = append(keys, l.Key)
			}
		}
	}
	text := []byte(c.cp.Text())
	found := false
	for _, k := range keys {
		id := k.ID()
		for _, s := range c.sigs {
			if s.Name != k.Name || s.ID != id {
				continue
			}
			if !k.Verifier().Verify(text, s.Raw) {
				c.fail(Tampered, CheckCheckpoint, "the signature by the log's key %s does not verify", k.Short())
				return false
			}
			found = found || k == current
		}
	}
	if !found {
		c.fail(Untrusted, CheckCheckpoint, "the log's key at %d entries, %s, did not sign it", c.cp.Size, current.Short())
		return false
	}
	c.pass(CheckCheckpoint, "%s, root %v, signed by the log's key %s", count(c.cp.Size, "entry", "entries"), c.cp.Root, current.Short())
	return true
}

// witnesses checks the cosignatures against the policy.
func (c *verification) witnesses() {
	if c.trust == nil {
		c.skip(CheckWitnesses, "no trust policy says whose cosignatures count")
		return
	}
	text := []byte(c.cp.Text())
	known := 0
	for _, w := range c.trust.Witnesses {
		id := w.Key.ID()
		for _, s := range c.sigs {
			if s.Name != w.Key.Name || s.ID != id {
				continue
			}
			known++
			if !w.Key.Verifier().Verify(text, s.Raw) {
				c.fail(Tampered, CheckWitnesses, "the cosignature by %s (%s) does not verify", w.Name, w.Key.Short())
				return
			}
		}
	}
	logs := make([]VKey, len(c.state.keys))
	for i, k := range c.state.keys {
		logs[i] = k.Key
	}
	c.opened = &Opened{Checkpoint: c.cp, policy: c.trust}
	c.opened.Cosignatures, c.opened.Quorum = c.trust.cosignatures(c.sigs, func(k VKey) bool {
		material, err := statement.VKeyMaterial(k.String())
		return err != nil || hasPublic(logs, k) || c.state.roster.HasMaterial(material)
	})
	c.Cosignatures = c.opened.Cosignatures
	dropped := ""
	if n := known - len(c.Cosignatures); n > 0 {
		dropped = "; " + count(n, "does", "do") + " not count, by keys that are the log's own or registered on the ledger"
	}
	switch {
	case !c.opened.Quorum:
		c.fail(Untrusted, CheckWitnesses, "%s%s", c.opened.quorumText(), dropped)
	case c.trust.Quorum == QuorumNone:
		c.skip(CheckWitnesses, "the trust policy asks for none%s", dropped)
	default:
		c.pass(CheckWitnesses, "%s%s", c.opened.quorumText(), dropped)
	}
}

// fresh checks the age of the cosignatures.
func (c *verification) fresh() {
	var at int64
	ok := false
	if c.opened != nil {
		at, ok = c.opened.QuorumTime()
	}
	age := c.opts.Now - at*1000
	switch {
	case c.opts.MaxAge <= 0 && ok:
		c.skip(CheckFresh, "no maximum age was asked for; the cosignatures are from %s", formatSeconds(at))
	case c.opts.MaxAge <= 0:
		c.skip(CheckFresh, "no witnesses say when the log was last seen")
	case !ok:
		c.skip(CheckFresh, "at most %s old was asked for, and no quorum of witnesses says how old it is", formatAge(c.opts.MaxAge))
		c.worsen(Untrusted)
	case c.opts.Now <= 0:
		c.skip(CheckFresh, "at most %s old was asked for, without saying what time it is", formatAge(c.opts.MaxAge))
		c.worsen(Untrusted)
	case at > MaxTime/1000 || age < -maxSkew:
		c.fail(Untrusted, CheckFresh, "the cosignatures are from the future: Unix time %d, and it is %s", at, formatMillis(c.opts.Now))
	case age > c.opts.MaxAge:
		c.fail(Untrusted, CheckFresh, "cosigned at %s, %s ago; at most %s was asked for. The log may have gone on since", formatSeconds(at), formatAge(age), formatAge(c.opts.MaxAge))
	default:
		c.pass(CheckFresh, "cosigned at %s, %s ago; at most %s was asked for", formatSeconds(at), formatAge(age), formatAge(c.opts.MaxAge))
	}
}

// consistency checks the checkpoint against one that the caller remembers.
// Evidence may be older than what its reader has seen: that is no rollback.
func (c *verification) consistency() {
	if len(c.opts.Remembered.Signed) == 0 {
		c.skip(CheckHistory, "no checkpoint is remembered to compare with")
		return
	}
	known, _, err := ReadCheckpoint(c.opts.Remembered.Signed)
	if err != nil {
		c.fail(Untrusted, CheckHistory, "the remembered checkpoint: %v", err)
		return
	}
	older, newer := known, c.cp
	if older.Size > newer.Size {
		older, newer = newer, older
	}
	if older.Size != newer.Size && older.Origin == newer.Origin && len(c.opts.Proof) == 0 && older.Size > 0 {
		c.skip(CheckHistory, "a checkpoint of %s is remembered; no proof connects it with this one of %d", count(known.Size, "entry", "entries"), c.cp.Size)
		return
	}
	if err := compareHistory(older, newer, c.opts.Proof); err != nil {
		var h *HistoryError
		if errors.As(err, &h) {
			c.fail(Untrusted, CheckHistory, "%s; keep both checkpoints", h.Detail)
		} else {
			c.fail(Untrusted, CheckHistory, "%v", err)
		}
		return
	}
	c.pass(CheckHistory, "of one history with the remembered checkpoint of %s", count(known.Size, "entry", "entries"))
}
