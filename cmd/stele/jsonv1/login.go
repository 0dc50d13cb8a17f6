package jsonv1

// Login is what `stele login` prints.
type Login struct {
	Issuer  string   `json:"issuer"` // its handle
	Subject string   `json:"subject"`
	Source  string   `json:"source,omitempty"`
	Rule    string   `json:"rule"` // of the server, that gave the delegation
	Key     string   `json:"key"`
	Names   []string `json:"names"`
	Kinds   []string `json:"kinds"`
	From    Time     `json:"from"`
	Until   Time     `json:"until"`
	Path    string   `json:"path"` // what --key takes
}

// SignerDelegation is through which delegation somebody signed in the name of an
// issuer.
type SignerDelegation struct {
	Subject string `json:"subject"`          // for whom: "repo:acme/fraud@refs/heads/main"
	Source  string `json:"source,omitempty"` // who vouched for them to the issuer
	Key     string `json:"key,omitempty"`    // that signed: its id
	Public  string `json:"public,omitempty"` // and itself, in PEM
	From    Time   `json:"from,omitempty"`
	Until   Time   `json:"until,omitempty"`
}
