package wire

import (
	"github.com/stele-ml/stele/internal/strictjson"
	"github.com/stele-ml/stele/statement"
)

// MaxAdmission is the longest body of POST /v1/admission, in bytes.
const MaxAdmission = 128 << 10

// AdmissionRequest is the body of POST /v1/admission: what a statement would meet,
// if Key signed it now, or somebody through Delegation. Nothing is written.
type AdmissionRequest struct {
	Payload    []byte           `json:"payload"`             // the statement's bytes, as they would be signed
	Key        *statement.KeyID `json:"key,omitzero"`        // a registered key; none: rules about who signs stay undecided
	Delegation []byte           `json:"delegation,omitzero"` // in its binary form; its issuer is then the key
}

// ParseAdmissionRequest reads a request strictly.
func ParseAdmissionRequest(body []byte) (*AdmissionRequest, error) {
	r := new(AdmissionRequest)
	return r, strictjson.Unmarshal(body, r, MaxAdmission, maxFlatDepth)
}

// Admission is the answer: it would be admitted if there is no refusal, and no rule
// that does not hold.
type Admission struct {
	Size     uint64       `json:"size"` // as of which
	Admitted bool         `json:"admitted"`
	Refusals []Refused    `json:"refusals"`
	Rules    []RuleResult `json:"rules"`
}

// Refused is a rule of the ledger's own that would refuse.
type Refused struct {
	Rule    string  `json:"rule"`
	Class   string  `json:"class"`
	Message string  `json:"message"`
	Hint    string  `json:"hint,omitzero"`
	Entry   *uint64 `json:"entry,omitzero"`
}

// RuleResult is what one rule of a contract says.
type RuleResult struct {
	Violation
	OK        bool `json:"ok"`
	Undecided bool `json:"undecided,omitzero"` // it depends on who signs
}
