package account

import (
	"fmt"

	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/internal/ledger"
	"github.com/stele-ml/stele/statement"
)

// An artifact is bound by an entry of its own, a stamp, or together with others
// by the run that made it. What reads a stamp takes either: stampWithin is the
// stamp of one artifact as a statement that says nothing else.

// stampWithin returns what a statement says of the artifact that it binds to
// name@version; nil where it binds none of that name.
func stampWithin(st *statement.Statement, name, version string) *statement.Statement {
	if st.Kind == statement.KindStamp {
		if ref, err := st.Ref(); err != nil || ref.Name != name || ref.Version != version {
			return nil
		}
		return st
	}
	ref, stamp, ok := st.StampOf(name, version)
	if !ok || stamp == nil {
		return nil
	}
	return AsStamp(st, statement.Output{Ref: ref, Stamp: stamp})
}

// AsStamp is the stamp of one output, in the place of the run that made it.
func AsStamp(st *statement.Statement, out statement.Output) *statement.Statement {
	return &statement.Statement{
		Kind: statement.KindStamp, Subject: []statement.Subject{out.Ref.Subject()}, Ledger: st.Ledger, Nonce: st.Nonce, Stamp: out.Stamp,
	}
}

// StampAt reads the entry that bound a name, and the stamp in it.
func (b *Book) StampAt(at ledger.Binding) (*evidence.Entry, *statement.Statement, error) {
	e, st, err := b.Statement(at.Entry)
	if err != nil {
		return nil, nil, err
	}
	stamp := stampWithin(st, at.Name, at.Version)
	if stamp == nil {
		return nil, nil, notBound(at)
	}
	if ref, err := stamp.Ref(); err != nil || ref != at.Ref() {
		return nil, nil, notBound(at)
	}
	return e, stamp, nil
}

func notBound(at ledger.Binding) error {
	return fmt.Errorf("%w: the index says that entry %d stamps %s as %s, and it does not", ledger.ErrDamaged, at.Entry, at.Ref(), at.Fingerprint)
}

// Bound is ByName, held against the entry: what the index says is no more than
// where to look.
func (b *Book) Bound(name, version string) (ledger.Binding, error) {
	at, err := b.ByName(name, version)
	if err != nil {
		return at, err
	}
	_, _, err = b.StampAt(at)
	return at, err
}
