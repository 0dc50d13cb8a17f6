package main

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/stele-ml/stele/internal/ledger"
)

var (
	// runID is how a run's id looks. A name may look so, too: the run goes first.
	runID = regexp.MustCompile(`^[0-9a-f]{32}$`)

	// runBegins is how an id looks of which only the beginning is given. What is
	// called just so, an entry or a name, goes first.
	runBegins = regexp.MustCompile(`^[0-9a-f]{8,31}$`)
)

// runsNamed is how many runs are named of those that begin alike.
const runsNamed = 8

// runThatBegins finds the run whose id begins with these digits.
func (r *reading) runThatBegins(digits string) (ledger.RunEntry, error) {
	var found []ledger.RunEntry
	for e, err := range r.RunsByPrefix(digits) {
		if err != nil {
			return e, err
		}
		if found = append(found, e); len(found) > runsNamed {
			break
		}
	}
	switch len(found) {
	case 0:
		return ledger.RunEntry{}, failf(exitNotFound, "no run on this ledger has an id that begins with %s", digits).withHint("`stele log --kind run` lists them")
	case 1:
		return found[0], nil
	}
	var ids []string
	for _, e := range found[:min(len(found), runsNamed)] {
		ids = append(ids, fmt.Sprintf("%s (entry %s)", e.ID, entryText(e.Entry)))
	}
	text := strings.Join(ids, ", ")
	if len(found) > runsNamed {
		text += " and more"
	}
	return ledger.RunEntry{}, usagef("%s may be several runs: %s", digits, text).withHint("give more of the id")
}
