package main

import (
	"errors"
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
	return asStamp(st, statement.Output{Ref: ref, Stamp: stamp})
}

// asStamp is the stamp of one output, in the place of the run that made it.
func asStamp(st *statement.Statement, out statement.Output) *statement.Statement {
	return &statement.Statement{
		Kind: statement.KindStamp, Subject: []statement.Subject{out.Ref.Subject()}, Ledger: st.Ledger, Nonce: st.Nonce, Stamp: out.Stamp,
	}
}

// stampAt reads the entry that bound a name, and the stamp in it.
func (r *reading) stampAt(b ledger.Binding) (*evidence.Entry, *statement.Statement, error) {
	e, st, err := r.Statement(b.Entry)
	if err != nil {
		return nil, nil, err
	}
	stamp := stampWithin(st, b.Name, b.Version)
	if stamp == nil {
		return nil, nil, r.notBound(b)
	}
	if ref, err := stamp.Ref(); err != nil || ref != b.Ref() {
		return nil, nil, r.notBound(b)
	}
	return e, stamp, nil
}

func (r *reading) notBound(b ledger.Binding) error {
	return fmt.Errorf("%w: the index says that entry %d stamps %s as %s, and it does not", ledger.ErrDamaged, b.Entry, b.Ref(), b.Fingerprint)
}

// binding finds name@version, or says that it is not there.
func (r *reading) binding(name, version string) (ledger.Binding, error) {
	b, err := r.bound(name, version)
	if errors.Is(err, ledger.ErrNotFound) && !errors.Is(err, ledger.ErrDamaged) {
		err = r.missing(name, version, err)
	}
	return b, err
}

// boundBy is binding with the stamp that bound the name.
func (r *reading) boundBy(name, version string) (ledger.Binding, *statement.Statement, error) {
	b, err := r.binding(name, version)
	if err != nil {
		return b, nil, err
	}
	_, st, err := r.stampAt(b)
	return b, st, err
}

// bound is ByName, held against the entry: what the index says is no more than
// where to look.
func (r *reading) bound(name, version string) (ledger.Binding, error) {
	b, err := r.ByName(name, version)
	if err != nil {
		return b, err
	}
	_, _, err = r.stampAt(b)
	return b, err
}

// missing explains a name that is not bound, with what is there instead.
func (r *reading) missing(name, version string, err error) error {
	if r.newest != nil {
		if b, nerr := r.newest.bound(name, version); nerr == nil {
			f := failf(exitNotFound, "%s is entry %s, which the quorum of witnesses has not cosigned so far", b.Ref(), entryText(b.Entry)).withEntry(b.Entry).
				withHint("what is read and decided on is as of what was cosigned: look again, or write with --wait cosigned")
			f.err = err
			return f
		}
	}
	f := failf(exitNotFound, "%s@%s is not on this ledger", name, version)
	f.err = err
	latest, lerr := r.Latest(name)
	if lerr == nil {
		return f.withHint("the last version of " + name + " is " + latest.Version + "; `stele list " + name + "` shows all")
	}
	for _, e := range r.Control.Contracts() {
		if e.Name == name {
			return f.withHint("the contract of that name is another thing: `stele contract show " + name + "`")
		}
	}
	return f.withHint("`stele list` shows what is")
}
