package main

import (
	"errors"

	"github.com/stele-ml/stele/internal/ledger"
	"github.com/stele-ml/stele/statement"
)

// binding finds name@version, or says that it is not there.
func (r *reading) binding(name, version string) (ledger.Binding, error) {
	b, err := r.Bound(name, version)
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
	_, st, err := r.StampAt(b)
	return b, st, err
}

// missing explains a name that is not bound, with what is there instead.
func (r *reading) missing(name, version string, err error) error {
	if r.newest != nil {
		if b, nerr := r.newest.Bound(name, version); nerr == nil {
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
