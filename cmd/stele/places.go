package main

import (
	"fmt"

	"github.com/stele-ml/stele/cmd/stele/jsonv1"
	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/internal/account"
	"github.com/stele-ml/stele/statement"
)

// placeText says of a place that was withdrawn why it no longer holds an
// artifact.
func placeText(w jsonv1.TraceWithdrawal) string {
	return fmt.Sprintf("%s, withdrawn in entry %s by %s: %s", w.Location, entryText(w.Entry), w.Handle, account.Short(w.Reason))
}

// warnOfPlaces says of the place where an artifact is read, or was found, that it
// was withdrawn as one of its places.
func (a *app) warnOfPlaces(ref statement.Ref, withdrawn []evidence.Withdrawal, path string) {
	for i := range withdrawn {
		if d := &withdrawn[i]; lies(d, path) {
			a.term.Warnf("%s is no longer a place of %s, says entry %d by %s: %s", path, ref, d.Entry, d.Handle, account.Short(d.Reason))
		}
	}
}
