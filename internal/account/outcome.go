package account

import (
	"strings"

	"github.com/stele-ml/stele/evidence"
)

// OutcomeText is a verdict as a person reads it first: in capitals unless it holds.
func OutcomeText(o evidence.Outcome) string {
	switch o {
	case evidence.Verified, evidence.Sampled:
		return string(o)
	case evidence.Untrusted:
		return "NOT TRUSTED"
	}
	return strings.ToUpper(string(o))
}
