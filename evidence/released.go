package evidence

import (
	"slices"

	"github.com/stele-ml/stele/statement"
)

// Release is the entry that put a verdict's artifact into the stage that was
// asked about. It means something only if the verdict's checks passed.
type Release struct {
	Stage  string          `json:"stage"`
	Entry  uint64          `json:"entry"`
	Time   int64           `json:"time"` // Unix ms, as the ledger claims
	Signer statement.KeyID `json:"signer"`
	Handle string          `json:"handle,omitempty"`
}

// released checks that the file has a release of the claim's artifact to the
// stage that was asked about, and nothing later that took it out again. A file
// may leave out what came later: releases are no control entries, so only a
// ledger tells that nothing did.
func (c *verification) released(ref statement.Ref) {
	stage := c.opts.Stage
	if stage == "" {
		return
	}
	var in, out *Entry // the last of each, where that is the last of all
	for _, e := range c.listed {
		st := c.parsed[e]
		if st.Release == nil || st.Release.Stage != stage {
			continue
		}
		about, err := st.Ref()
		switch {
		case err != nil:
		case about == ref && st.Release.Action == statement.ActionJoin:
			in, out = e, nil
		case about == ref, slices.Contains(st.Release.Replaces, ref):
			in, out = nil, e
		}
	}
	switch {
	case out != nil:
		c.fail(Unknown, CheckReleased, "entry %d took %s out of %s: %s", out.Index, ref, stage, says(c.parsed[out], c.graph.Root))
	case in == nil:
		c.fail(Unknown, CheckReleased, "no release of %s to %s is in the file", ref, stage)
	default:
		r := &Release{Stage: stage, Entry: in.Index, Time: in.Time, Signer: in.Envelope.By()}
		if _, m, ok := c.state.roster.Key(r.Signer); ok {
			r.Handle = m.Handle
		}
		c.Release = r
		c.pass(CheckReleased, "%s joined %s with entry %d, by %s; whether it has left since, only the ledger tells", ref, stage, in.Index, c.who(in))
	}
}
