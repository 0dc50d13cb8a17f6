package lineage

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/stele-ml/stele/statement"
)

// Said is an entry with what is known of its signer: what claims are taken
// from.
type Said struct {
	Entry     uint64
	Time      int64 // of the entry, Unix ms
	Signer    statement.KeyID
	Handle    string             // of the signer's key
	Standing  statement.Standing // of the signer for that entry, as known now
	Statement *statement.Statement
}

// Claim is what an entry says that some bytes were made of, before it is
// decided for which artifacts it counts.
type Claim struct {
	Origin                      // Counts and Why are for Count to fill in
	Binding  *Artifact          // what it is about: one of the bindings of the bytes
	Standing statement.Standing // of the signer, for the entry
}

// Claims returns what the entry says a binding was made of: none, one, or two
// for a collection that says besides what it was derived from. Whether the
// entry is about that binding at all is for the caller to have found out.
func (s *Said) Claims(of *Artifact) []Claim {
	claim := func(way string, inputs []statement.Ref) Claim {
		return Claim{
			Origin:  Origin{Entry: s.Entry, Time: s.Time, Signer: s.Signer, Handle: s.Handle, Way: way, Of: of.Ref, Inputs: inputs},
			Binding: of, Standing: s.Standing,
		}
	}
	st := s.Statement
	switch {
	case st.Run != nil:
		c := claim(WayRun, st.Run.Inputs)
		c.Run, c.RunID = st.Run, st.Nonce
		return []Claim{c}
	case st.Import != nil && len(st.Import.Inputs) > 0:
		return []Claim{claim(WayImport, st.Import.Inputs)}
	case st.Stamp == nil:
		return nil
	}
	var list []Claim
	if len(st.Stamp.Members) > 0 {
		members := make([]statement.Ref, len(st.Stamp.Members))
		for i, m := range st.Stamp.Members {
			members[i] = m.Ref
		}
		list = append(list, claim(WayCollection, members))
	}
	if len(st.Stamp.From) > 0 {
		list = append(list, claim(WayFrom, st.Stamp.From))
	}
	return list
}

// Count decides which claims about an artifact's bytes count for the artifact,
// and returns them as its origins, in the order of their entries. The claims
// are all that are recorded about the bytes, under whatever name they are
// bound. An entry that says the same of several bindings of these bytes is one
// origin.
//
// This is the only place that decides it; docs/formats/lineage.md says why.
func Count(a *Artifact, claims []Claim) []Origin {
	list := make([]Origin, 0, len(claims))
	if !slices.IsSortedFunc(claims, compareClaims) {
		claims = slices.Clone(claims)
		SortClaims(claims)
	}
	for i := range claims {
		c := &claims[i]
		o := c.Origin
		o.Why = against(a, c)
		if o.Counts = o.Why == ""; o.Counts && !c.Standing.OK {
			o.Fallen = c.Standing.Detail
		}
		if n := len(list); n > 0 && list[n-1].Entry == o.Entry && list[n-1].Way == o.Way {
			if better(a, o, list[n-1]) {
				list[n-1] = o
			}
			continue
		}
		list = append(list, o)
	}
	return list
}

// SortClaims puts claims in the order in which Count goes through them: by entry,
// and then by the binding that they are about. Who asks about many bindings of
// the same bytes sorts their claims once.
func SortClaims(claims []Claim) { slices.SortStableFunc(claims, compareClaims) }

func compareClaims(x, y Claim) int {
	if c := cmp.Or(cmp.Compare(x.Entry, y.Entry), cmp.Compare(x.Way, y.Way), cmp.Compare(x.Binding.Entry, y.Binding.Entry)); c != 0 {
		return c
	}
	return cmp.Or(cmp.Compare(x.Of.Name, y.Of.Name), cmp.Compare(x.Of.Version, y.Of.Version))
}

// better chooses between what one entry says of two bindings of the same
// bytes: what counts, then what is about the artifact itself.
func better(a *Artifact, o, than Origin) bool {
	if o.Counts != than.Counts {
		return o.Counts
	}
	return o.Of == a.Ref && than.Of != a.Ref
}

// against says why a claim does not count for an artifact; it is empty for one
// that counts.
func against(a *Artifact, c *Claim) string {
	b := c.Binding
	switch {
	case c.Way == WayImport:
		return fmt.Sprintf("a foreign statement that %s imported: a claim of its key alone", c.Handle)
	case !c.Standing.OK && b.Standing.OK:
		// Whoever has a stolen key could say it of all that its owner stamped.
		return fmt.Sprintf("signed by %s without standing: %s", name(c.Handle), c.Standing.Detail)
	case c.Entry != b.Entry && c.Handle != b.Handle:
		return fmt.Sprintf("claimed by %s, who did not stamp it", c.Handle)
	case b.Ref == a.Ref, b.Handle == a.Handle && b.Standing.OK:
		return ""
	case b.Entry >= a.Entry:
		return fmt.Sprintf("claimed by %s, who stamped the same bytes later, as %s", c.Handle, b.Ref)
	}
	if w := mistake(b); w != nil {
		return fmt.Sprintf("said of %s, a name that %s withdrew as a mistake in entry %d", b.Ref, w.Handle, w.Entry)
	}
	return ""
}

// name is what to call a signer whose key may not be on the ledger.
func name(handle string) string {
	if handle == "" {
		return "an unknown key"
	}
	return handle
}

// mistake returns the withdrawal by which somebody other than its stamper,
// hence an administrator, says that a name was a mistake. The stamper's own
// word is not enough: he would wash the bytes for whoever copied them.
func mistake(b *Artifact) *Withdrawal {
	for i, w := range b.Withdrawals {
		if w.Target == statement.TargetBinding && w.Handle != b.Handle {
			return &b.Withdrawals[i]
		}
	}
	return nil
}
