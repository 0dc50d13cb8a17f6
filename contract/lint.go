package contract

// Warning is something that a contract's author probably did not mean. It
// refuses nothing.
type Warning struct {
	Code    string // one of the Warn constants
	Path    string // in the document: spec.match.names[0]
	Message string // one line
	Hint    string // what to do, or empty
}

// Warnings returns what looks wrong in the contract, in the order of the
// document.
func (c *Contract) Warnings() []Warning { return nil }
