package evidence

import (
	"github.com/stele-ml/stele/statement"
)

// Rejection is an approval entry that rejects an artifact for a stage.
type Rejection struct {
	Entry  uint64          `json:"entry"`
	Time   int64           `json:"time"` // Unix ms, as the ledger claims
	Ref    statement.Ref   `json:"-"`
	Stage  string          `json:"stage"`
	Reason string          `json:"reason"`
	Signer statement.KeyID `json:"signer"`
	Handle string          `json:"handle"`

	// Void says why it counts for nothing, or is empty: its signer had no
	// standing then, as is known now.
	Void string `json:"void,omitempty"`
}

func (c *Control) reject(e *Entry, ref statement.Ref, said *statement.Approval) {
	r := &Rejection{Entry: e.Index, Time: e.Time, Ref: ref, Stage: said.Stage, Reason: said.Reason, Signer: e.Envelope.By()}
	if _, m, ok := c.roster.Key(r.Signer); ok {
		r.Handle = m.Handle
	}
	c.turned[ref.Fingerprint] = append(c.turned[ref.Fingerprint], r)
}

// Rejections returns the rejections of an artifact for a stage, or for any
// where the stage is empty, in order: of its contents, under whatever name they
// were rejected. Whether the artifact was approved after that, the control
// entries do not say: approvals are none.
func (c *Control) Rejections(ref statement.Ref, stage string) []Rejection {
	var out []Rejection
	for _, r := range c.turned[ref.Fingerprint] {
		if stage != "" && r.Stage != stage {
			continue
		}
		said := *r
		said.Void = c.void(r.Signer, r.Entry, r.Time)
		out = append(out, said)
	}
	return out
}

// void says why an entry counts for nothing, or is empty.
func (c *Control) void(signer statement.KeyID, entry uint64, timeMS int64) string {
	s := c.roster.Standing(signer, entry, timeMS)
	switch {
	case s.OK:
		return ""
	case s.Detail == "":
		return s.State
	}
	return s.Detail
}
