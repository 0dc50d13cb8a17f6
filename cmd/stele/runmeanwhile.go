package main

import (
	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/statement"
)

// What the ledger says besides of what a run is about: of the places of its
// inputs, and what was written there while the command ran.

// withdrawnPlaces are the withdrawals in force of places of an artifact.
func (r *reading) withdrawnPlaces(ref statement.Ref) []evidence.Withdrawal {
	var list []evidence.Withdrawal
	for _, d := range r.control.Withdrawals(ref) {
		if d.Stands() && d.Target == statement.TargetLocation {
			list = append(list, d)
		}
	}
	return list
}

// lies reports whether a path leads to a place that a withdrawal names, by its
// own words or by the links on the way.
func lies(d *evidence.Withdrawal, path string) bool {
	named, err := parsePlace(d.Location)
	if err != nil {
		return false // whatever its author meant by it
	}
	at, err := parsePlace(path)
	if err != nil {
		return false
	}
	x, err := named.Absolute()
	if err != nil {
		return false
	}
	y, err := at.Absolute()
	if err != nil {
		return false
	}
	if x.Same(y) {
		return true
	}
	if x, err = spotOf(d.Location); err != nil {
		return false
	}
	y, err = spotOf(path)
	return err == nil && x.Same(y)
}
