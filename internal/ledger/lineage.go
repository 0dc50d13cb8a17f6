package ledger

import (
	"errors"

	"github.com/stele-ml/stele/lineage"
	"github.com/stele-ml/stele/statement"
)

var errStub = errors.New("not there yet")

// Lineage is what the ledger knows of what was made of what, as of a view. It
// keeps what it has read: make one for each question, or for several about the
// same view. It is for one goroutine.
type Lineage struct {
	v *View
}

var _ lineage.Uses = (*Lineage)(nil)

// Lineage returns the lineage as of the view.
func (v *View) Lineage() (*Lineage, error) { return &Lineage{v: v}, nil }

// Artifact returns what name@version is bound to, or an ErrNotFound.
func (x *Lineage) Artifact(name, version string) (*lineage.Artifact, error) { return nil, errStub }

// Bindings returns all bindings of the contents of an artifact, its own among
// them, in the order of their entries.
func (x *Lineage) Bindings(ref statement.Ref) ([]*lineage.Artifact, error) { return nil, errStub }

// Origins returns everything that is recorded about what an artifact was made
// of, with whether it counts.
func (x *Lineage) Origins(a *lineage.Artifact) ([]lineage.Origin, error) { return nil, errStub }

// Uses returns the origins that name an artifact among their inputs.
func (x *Lineage) Uses(a *lineage.Artifact) ([]lineage.Use, error) { return nil, errStub }

// LineageEntries returns the entries of everything that an artifact was made
// of, in order: bindings and the origins that count, with the bindings that an
// origin is about. It walks at most limit artifacts, lineage.MaxWalk for 0;
// cut says that there are more.
func (v *View) LineageEntries(ref statement.Ref, limit int) (entries []uint64, cut bool, err error) {
	return nil, false, errStub
}
