package main

import (
	"fmt"
	"strconv"

	"github.com/stele-ml/stele/cmd/stele/jsonv1"
	"github.com/stele-ml/stele/evidence"
)

// asOfJSON is a checkpoint in --json.
func asOfJSON(at *evidence.AsOf) jsonv1.AsOf {
	out := jsonv1.AsOf{Origin: at.Origin, Ledger: at.Ledger.String(), Size: at.Size, Root: at.Root}
	if at.Time != 0 {
		out.Time = jsonv1.At(at.Time)
	}
	return out
}

// asOf is the ledger as it was: with a number, after that entry; with a time (see
// when), after the last entry of that time or before. An empty text is now; what is still
// to come is refused: nobody knows it.
//
// Keys, withdrawals and what is derived of them are as they were known then.
func (a *app) asOf(r *reading, flag, text string) (*reading, error) {
	if text == "" {
		return r, nil
	}
	var size uint64
	if index, err := strconv.ParseUint(text, 10, 64); err == nil {
		if index >= r.Size() {
			return nil, failf(exitNotFound, "%s: there is no entry %d; the log has %d", flag, index, r.Size()).withEntry(index)
		}
		size = index + 1
	} else {
		ms, err := a.when(flag, text)
		if err != nil {
			return nil, err
		}
		if err := a.past(r, flag, text, ms); err != nil {
			return nil, err
		}
		if size, err = r.AtTime(ms); err != nil {
			return nil, err
		}
		if size == 0 {
			e, err := r.Entry(0)
			if err != nil {
				return nil, err
			}
			return nil, failf(exitNotFound, "%s: the ledger was not there at %s; it began at %s", flag, a.term.Time(ms), a.term.Time(e.Time))
		}
	}
	if size == r.Size() {
		return r, nil
	}
	v, err := r.AsOf(size)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", flag, err)
	}
	return newReading(v)
}
