package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/stele-ml/stele/fingerprint"
	"github.com/stele-ml/stele/internal/account"
	"github.com/stele-ml/stele/internal/ledger"
	"github.com/stele-ml/stele/statement"
)

// How an artifact may be named, in the words of --json.
const (
	byVersion     = "name-version"
	byName        = "name"
	byFingerprint = "fingerprint"
	byEntry       = "entry"
	byRun         = "run"
	byPlace       = "place" // a path or a URL
)

// wanted is what a person named, before it is looked for.
type wanted struct {
	arg, by       string
	name, version string
	fp            fingerprint.Fingerprint
	entry         uint64
	run           statement.Nonce
}

// parseWanted tells by its form, and by what lies on the disk, what an argument
// names: ./ or / forces a path, and so does a file or folder of that name.
func parseWanted(arg string) (wanted, error) {
	w := wanted{arg: arg}
	if isPath(arg) {
		w.by = byPlace
		return w, nil
	}
	var err error
	if runID.MatchString(arg) { // also of digits alone: no entry has as many
		w.by, w.name = byRun, arg
		w.run, err = statement.ParseNonce(arg)
		return w, err
	}
	if w.entry, err = strconv.ParseUint(arg, 10, 64); err == nil {
		w.by = byEntry
		return w, nil
	}
	if strings.HasPrefix(arg, "stele-") && strings.Contains(arg, ":") {
		w.by = byFingerprint
		if w.fp, err = fingerprint.Parse(arg); err != nil {
			return w, usagef("%v", err)
		}
		return w, nil
	}
	if w.name, w.version, err = statement.ParseNameVersion(arg); err == nil {
		w.by = byVersion
		return w, nil
	}
	if strings.Contains(arg, "@") {
		return w, usagef("%v", err)
	}
	if w.name, err = arg, statement.CheckName(arg); err == nil {
		w.by = byName
		return w, nil
	}
	return w, usagef("%q is no name, version, fingerprint, entry or run, and no file or folder of that name is here", arg).
		withHint("./PATH is a path")
}

// lookedUp is what is on the ledger of what a person named.
type lookedUp struct {
	wanted
	bindings []ledger.Binding // in the order of their entries; none for a run without outputs
	run      *account.Said    // a run was named
	on       *foundEntry      // an entry was named
	data     *foundData       // data was given
}

// foundEntry is an entry that a person named.
type foundEntry struct {
	index uint64
	kind  statement.Kind
}

// lookUp finds what a person named, other than by its data.
func (r *reading) lookUp(w wanted) (*lookedUp, error) {
	f := &lookedUp{wanted: w}
	var b ledger.Binding
	var err error
	switch w.by {
	case byVersion:
		b, err = r.binding(w.name, w.version)
		f.bindings = []ledger.Binding{b}
	case byName:
		if b, err = r.latest(w.name); statusOf(err) == exitNotFound && runBegins.MatchString(w.arg) {
			return f, r.lookUpRunThatBegins(f)
		}
		f.bindings = []ledger.Binding{b}
	case byFingerprint:
		f.bindings, err = r.bindingsOf(w.fp)
		if err == nil && len(f.bindings) == 0 {
			err = failf(exitNotFound, "%s is not on this ledger", w.fp).withHint("`stele list` shows what is")
		}
	case byRun:
		err = r.lookUpRun(f)
	case byEntry:
		if w.entry >= r.Size() && runBegins.MatchString(w.arg) {
			return f, r.lookUpRunThatBegins(f)
		}
		err = r.lookUpEntry(f)
	default:
		err = fmt.Errorf("%s: %q is not looked up on a ledger", w.by, w.arg)
	}
	return f, err
}

// latest finds the last version of a name.
func (r *reading) latest(name string) (ledger.Binding, error) {
	b, err := r.Latest(name)
	if errors.Is(err, ledger.ErrNotFound) {
		return b, failf(exitNotFound, "%s is no name on this ledger, and no file or folder of that name is here", name).
			withHint("`stele list` shows what is")
	}
	if err != nil {
		return b, err
	}
	return r.Bound(b.Name, b.Version) // against the entry
}

// bindingsOf finds all names of some bytes, in the order of their entries.
func (r *reading) bindingsOf(fp fingerprint.Fingerprint) (list []ledger.Binding, err error) {
	for i, err := range r.ByFingerprint(fp) {
		if err != nil {
			return nil, err
		}
		_, st, err := r.Statement(i)
		if err != nil {
			return nil, err
		}
		for _, o := range st.Stamps() {
			if o.Ref.Fingerprint == fp {
				list = append(list, ledger.Binding{Name: o.Ref.Name, Version: o.Ref.Version, Fingerprint: fp, Entry: i})
			}
		}
	}
	return list, nil
}

// lookUpRun finds a run by its id, or a name that looks like one.
func (r *reading) lookUpRun(f *lookedUp) error {
	index, err := r.Run(f.wanted.run)
	if errors.Is(err, ledger.ErrNotFound) {
		if b, err := r.latest(f.name); err == nil {
			f.by, f.bindings = byName, []ledger.Binding{b}
			return nil
		}
		return failf(exitNotFound, "there is no run %s on this ledger, and no artifact of that name", f.wanted.run).
			withHint("`stele log --kind run` lists them; a run that was cut off may have left nothing")
	}
	if err != nil {
		return err
	}
	if err := r.runAt(f, index); err != nil {
		return err
	}
	if f.run.Statement.Nonce != f.wanted.run {
		return fmt.Errorf("%w: the index says that entry %d is the run %s, and it is not", ledger.ErrDamaged, index, f.wanted.run)
	}
	return nil
}

// lookUpRunThatBegins finds a run by the beginning of its id.
func (r *reading) lookUpRunThatBegins(f *lookedUp) error {
	e, err := r.runThatBegins(f.arg)
	if err != nil {
		var none *failure
		if errors.As(err, &none) && none.status == exitNotFound {
			none.message = fmt.Sprintf("%s is no name, no entry and no beginning of a run's id on this ledger", f.arg)
		}
		return err
	}
	f.by, f.run, f.wanted.run = byRun, nil, e.ID
	return r.lookUpRun(f)
}

func (r *reading) lookUpEntry(f *lookedUp) error {
	if f.entry >= r.Size() {
		return failf(exitNotFound, "there is no entry %d; the log has %d", f.entry, r.Size()).withEntry(f.entry)
	}
	_, st, err := r.Statement(f.entry)
	if err != nil {
		return err
	}
	f.on = &foundEntry{f.entry, st.Kind}
	if st.Run != nil {
		return r.runAt(f, f.entry)
	}
	ref, err := st.Ref()
	if err != nil {
		return failf(exitNotFound, "entry %d is about no artifact: it is of kind %s", f.entry, st.Kind).withEntry(f.entry).
			withHint(fmt.Sprintf("`stele show %d` shows it", f.entry))
	}
	b, err := r.Bound(ref.Name, ref.Version)
	f.bindings = []ledger.Binding{b}
	return err
}

// runAt takes the outputs of a run.
func (r *reading) runAt(f *lookedUp, index uint64) error {
	e, st, err := r.Statement(index)
	if err != nil {
		return err
	}
	if st.Run == nil {
		return fmt.Errorf("%w: the index says that entry %d is a run, and it is not", ledger.ErrDamaged, index)
	}
	f.run = &account.Said{Entry: e, Statement: st}
	for _, o := range st.Run.Outputs {
		b, err := r.Bound(o.Ref.Name, o.Ref.Version)
		if err != nil {
			return err
		}
		f.bindings = append(f.bindings, b)
	}
	return nil
}
