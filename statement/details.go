package statement

// Details is the salted document of what a statement does not put on the ledger.
// The statement binds its digest; deleting it is erasure.
type Details struct {
	Salt        [32]byte
	Locations   []string // where the bytes were read
	Host        string
	Command     []string          // argv of what made the statement
	Parameters  map[string]string // of the run
	Environment map[string]string // of the run
	Manifest    *Attachment       // the artifact's manifest, or nil
}

// Marshal returns the document.
func (d *Details) Marshal() ([]byte, error) { return nil, malformed("details: not built yet") }

// ParseDetails reads exactly what Marshal writes.
func ParseDetails(data []byte) (*Details, error) {
	return nil, malformed("details: not built yet")
}
