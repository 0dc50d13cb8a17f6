package main

import (
	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/internal/account"
	"github.com/stele-ml/stele/statement"
)

// warnOfPlaces says of the place where an artifact is read, or was found, that it
// was withdrawn as one of its places.
func (a *app) warnOfPlaces(ref statement.Ref, withdrawn []evidence.Withdrawal, path string) {
	for i := range withdrawn {
		if d := &withdrawn[i]; lies(d, path) {
			a.term.Warnf("%s is no longer a place of %s, says entry %d by %s: %s", path, ref, d.Entry, d.Handle, account.Short(d.Reason))
		}
	}
}
