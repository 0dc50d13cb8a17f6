package ledger

import (
	"golang.org/x/mod/sumdb/tlog"

	"github.com/stele-ml/stele/evidence"
)

// Evidence returns an evidence file for a claim, with further entries where
// given, proved against the view's checkpoint. See evidence.Collect.
func (v *View) Evidence(claim evidence.Claim, attachments [][]byte, further ...uint64) (*evidence.File, error) {
	signed, err := v.LatestCheckpoint()
	if err != nil {
		return nil, err
	}
	return evidence.Collect(collected{v.HashReader(), v}, signed, claim, attachments, further...)
}

// collected is a view as evidence.Collect reads it.
type collected struct {
	tlog.HashReader
	v *View
}

func (c collected) Leaf(index uint64) ([]byte, error) { return c.v.Leaf(index) }

func (c collected) ControlEntries(below uint64) ([]uint64, error) {
	var list []uint64
	for e, err := range c.v.ControlEntries() {
		if err != nil {
			return nil, err
		}
		if e.Index >= below {
			break
		}
		list = append(list, e.Index)
	}
	return list, nil
}
