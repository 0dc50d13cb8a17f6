package jsonv1

// NewToken is what `stele token new` prints. It is the one time that the token is
// shown.
type NewToken struct {
	Token string `json:"token,omitempty"`
	File  string `json:"file,omitempty"` // where the token was written, instead
	TokenState
}

// TokenState is a bearer token of a server, as `stele token list` prints it: one a
// line. The token itself is kept nowhere.
type TokenState struct {
	Name    string `json:"name"`
	Scopes  string `json:"scopes"` // between commas: proofs, entries, submit
	State   string `json:"state"`  // active, expired, revoked
	Created Time   `json:"created"`
	Expires Time   `json:"expires,omitempty"` // none: never
	Revoked Time   `json:"revoked,omitempty"` // none: it is not
}
