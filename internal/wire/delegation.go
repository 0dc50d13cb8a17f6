package wire

import (
	"github.com/stele-ml/stele/internal/strictjson"
	"github.com/stele-ml/stele/statement"
)

// Limits of POST /v1/delegations: docs/formats/delegation.md.
const (
	// MaxDelegationRequest is the longest request, in bytes: a token, a key, a proof
	// and names.
	MaxDelegationRequest = 32 << 10
	// MaxDelegationAnswer is the longest answer, in bytes.
	MaxDelegationAnswer = 16 << 10

	// maxDelegationDepth: an object, a list or an object.
	maxDelegationDepth = 2
)

// DelegationRequest is the body of POST /v1/delegations.
type DelegationRequest struct {
	Token string               `json:"token"`           // the CI's OpenID Connect token
	Key   *statement.PublicKey `json:"key"`             // that the delegation is to be for
	Proof []byte               `json:"proof"`           // its signature over statement.DelegationRequestMessage
	Names []string             `json:"names,omitempty"` // patterns; none: all that the rule gives
	Kinds []statement.Kind     `json:"kinds,omitempty"` // none: all that the rule gives
	Life  int64                `json:"life,omitempty"`  // seconds; 0: what the rule gives
}

// ParseDelegationRequest reads a request strictly.
func ParseDelegationRequest(data []byte) (*DelegationRequest, error) {
	r := new(DelegationRequest)
	return r, strictjson.Unmarshal(data, r, MaxDelegationRequest, maxDelegationDepth)
}

// Delegation is the answer: the delegation in its binary form, the name of the rule
// that gave it, and a token where the server is not open to everybody.
type Delegation struct {
	Delegation []byte `json:"delegation"`
	Rule       string `json:"rule"`
	Token      string `json:"token,omitempty"` // a bearer token for this server, as long as the delegation is valid
}

// Marshal returns the answer's body.
func (d Delegation) Marshal() ([]byte, error) { return strictjson.Marshal(d) }

// Marshal returns the request's body.
func (r *DelegationRequest) Marshal() ([]byte, error) { return strictjson.Marshal(r) }

// ParseDelegation reads an answer strictly.
func ParseDelegation(data []byte) (*Delegation, error) {
	d := new(Delegation)
	return d, strictjson.Unmarshal(data, d, MaxDelegationAnswer, maxDelegationDepth)
}
