package ledger

import (
	"iter"

	"github.com/stele-ml/stele/statement"
)

// Placed is an artifact in a stage.
type Placed struct {
	Ref   statement.Ref
	Entry uint64 // the release that put it there
}

// StageChange is an artifact that joined a stage or left it.
type StageChange struct {
	Entry  uint64 // the release
	Ref    statement.Ref
	Action string // statement.ActionJoin, or ActionLeave; of what was replaced, too
}

// Stages goes through the stages that there ever was something in, in the order
// of their bytes. The last pair may be an error.
func (v *View) Stages() iter.Seq2[string, error] {
	return func(yield func(string, error) bool) { yield("", errStub) }
}

// InStage returns what is in a stage, by name and then by the release that put
// it there. A release counts here whatever became of its signer's standing: it
// is what was put there.
func (v *View) InStage(stage string) ([]Placed, error) { return nil, errStub }

// StageHistory goes through the changes of a stage in order, of one name, or of
// all where name is empty. The last pair may be an error.
func (v *View) StageHistory(stage, name string) iter.Seq2[StageChange, error] {
	return func(yield func(StageChange, error) bool) { yield(StageChange{}, errStub) }
}

// After returns what the After of a statement must name now: of a withdrawal or
// a reinstatement, an approval or a release. Its subject, and of the latter two
// the stage, are set, its After is not looked at; it is 0 for other kinds.
// Admission uses the same.
func (v *View) After(st *statement.Statement) (uint64, error) { return 0, errStub }

// Run returns the entry of the run with that id, or an ErrNotFound.
func (v *View) Run(id statement.Nonce) (index uint64, err error) { return 0, errStub }
