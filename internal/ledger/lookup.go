package ledger

import (
	"bytes"
	"fmt"
	"iter"
	"strings"

	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/fingerprint"
	"github.com/stele-ml/stele/statement"
)

// Binding is what a stamp, or a run that stamps its outputs, bound: this
// name@version is this fingerprint.
type Binding struct {
	Name, Version string
	Fingerprint   fingerprint.Fingerprint
	Entry         uint64 // the stamp, or the run
}

// Ref returns the binding as a statement refers to it.
func (b Binding) Ref() statement.Ref {
	return statement.Ref{Name: b.Name, Version: b.Version, Fingerprint: b.Fingerprint}
}

// ByID returns the entry of a statement; ok is false if it is not there.
func (v *View) ByID(id statement.ID) (index uint64, ok bool, err error) {
	value, ok, err := v.l.store.get(idKey(id))
	if err != nil || !ok {
		return 0, false, err
	}
	index, err = parseU64(value)
	return index, err == nil && index < v.n, err
}

// ByName returns the binding of name@version.
func (v *View) ByName(name, version string) (Binding, error) {
	b, ok, err := v.byName(name, version)
	if err == nil && !ok {
		err = fmt.Errorf("%s@%s: %w", name, version, ErrNotFound)
	}
	return b, err
}

func (v *View) byName(name, version string) (b Binding, ok bool, err error) {
	value, ok, err := v.l.store.get(nameKey(name, version))
	if err != nil || !ok {
		return b, false, err
	}
	index, fp, err := parseBinding(value)
	if err != nil || index >= v.n {
		return b, false, err
	}
	return Binding{name, version, fp, index}, true, nil
}

// Versions goes through the bindings of a name in the order they were made.
// The last pair may be an error.
func (v *View) Versions(name string) iter.Seq2[Binding, error] {
	return v.versions(name, versionPrefix(name))
}

// VersionsAfter is Versions from behind one of them on, without going through those
// before it.
func (v *View) VersionsAfter(name string, entry uint64, version string) iter.Seq2[Binding, error] {
	return v.versions(name, append(versionKey(name, min(entry, v.n), version), 0))
}

func (v *View) versions(name string, lower []byte) iter.Seq2[Binding, error] {
	return func(yield func(Binding, error) bool) {
		if err := v.l.checkIndex(); err != nil {
			yield(Binding{}, err)
			return
		}
		prefix := versionPrefix(name)
		upper := u64after(prefix, v.n)
		if bytes.Compare(lower, upper) >= 0 {
			return
		}
		err := v.l.store.scan(lower, upper, func(key, _ []byte) bool {
			index, version, err := parseVersion(key, prefix)
			if err == nil && index >= v.n {
				return false
			}
			var b Binding
			if err == nil {
				b, err = v.ByName(name, version)
			}
			if err == nil && b.Entry != index {
				err = damaged("%s@%s: entries %d and %d", name, version, b.Entry, index)
			}
			return yield(b, err) && err == nil
		})
		if err != nil {
			yield(Binding{}, err)
		}
	}
}

// Latest returns the last binding made of a name; of several in one entry, that
// whose version is the greatest by its bytes.
func (v *View) Latest(name string) (Binding, error) {
	if err := v.l.checkIndex(); err != nil {
		return Binding{}, err
	}
	prefix := versionPrefix(name)
	p, ok, err := v.l.store.last(prefix, u64after(prefix, v.n))
	if err == nil && !ok {
		err = fmt.Errorf("%s: %w", name, ErrNotFound)
	}
	if err != nil {
		return Binding{}, err
	}
	_, version, err := parseVersion(p.Key, prefix)
	if err != nil {
		return Binding{}, err
	}
	return v.ByName(name, version)
}

// Names goes through the names that begin with a prefix and have a version, in
// the order of their bytes. The last pair may be an error.
func (v *View) Names(prefix string) iter.Seq2[string, error] { return v.NamesAfter(prefix, "") }

// NamesAfter is Names from behind a name on, without going through those before it.
func (v *View) NamesAfter(prefix, name string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		if err := v.l.checkIndex(); err != nil {
			yield("", err)
			return
		}
		lower := append([]byte{famVersion}, prefix...)
		upper := after(lower)
		if behind := after(versionPrefix(name)); name != "" && bytes.Compare(behind, lower) > 0 {
			lower = behind
		}
		for bytes.Compare(lower, upper) < 0 {
			done := v.expect(Lookup{Kind: LookupNames, Name: string(lower[1:])})
			pairs, _, err := v.l.store.page(lower, upper, 1)
			done()
			if err != nil {
				yield("", err)
				return
			}
			if len(pairs) == 0 {
				return
			}
			key := string(pairs[0].Key)
			name, _, ok := strings.Cut(key[1:], string(rune(sep)))
			var index uint64
			if ok {
				index, _, err = parseVersion(pairs[0].Key, versionPrefix(name))
			} else {
				err = damaged("the key %q", key)
			}
			if err != nil {
				yield("", err)
				return
			}
			// The first version has the least index.
			if index < v.n && !yield(name, nil) {
				return
			}
			lower = after(versionPrefix(name))
		}
	}
}

// indexes goes through the entries that an index family lists under a prefix.
func (v *View) indexes(prefix []byte) iter.Seq2[uint64, error] { return v.indexesFrom(prefix, 0) }

func (v *View) indexesFrom(prefix []byte, from uint64) iter.Seq2[uint64, error] {
	return func(yield func(uint64, error) bool) {
		lower := prefix
		if from > 0 {
			lower = u64after(prefix, min(from, v.n))
		}
		err := v.l.store.scan(lower, u64after(prefix, v.n), func(key, _ []byte) bool {
			index, err := lastU64(key, prefix)
			if err == nil && index >= v.n {
				return false
			}
			return yield(index, err) && err == nil
		})
		if err != nil {
			yield(0, err)
		}
	}
}

// ByFingerprint goes through the entries about a fingerprint that its stamper,
// or whoever withdraws, approves or releases it, must have seen, in order:
// stamps, runs that it is an output of (where another entry stamped it before,
// those by its stamper), evaluations, withdrawals, reinstatements. Others are
// found by About and Audits. The last pair may be an error.
func (v *View) ByFingerprint(fp fingerprint.Fingerprint) iter.Seq2[uint64, error] {
	return v.indexes(fingerprintPrefix(fp))
}

// ByFingerprintFrom is ByFingerprint from an entry on.
func (v *View) ByFingerprintFrom(fp fingerprint.Fingerprint, from uint64) iter.Seq2[uint64, error] {
	return v.indexesFrom(fingerprintPrefix(fp), from)
}

// About goes through the entries of a kind that are about a fingerprint, in
// order: approvals, releases (of what they replace, too), evaluations, imports,
// and the runs that name it as an output which another entry stamped before. The
// last pair may be an error.
func (v *View) About(fp fingerprint.Fingerprint, kind statement.Kind) iter.Seq2[uint64, error] {
	if err := v.l.checkIndex(); err != nil {
		return func(yield func(uint64, error) bool) { yield(0, err) }
	}
	return v.indexes(onPrefix(fp, kind))
}

// Run returns the entry of the run with that id, or an ErrNotFound.
func (v *View) Run(id statement.Nonce) (index uint64, err error) {
	if err := v.l.checkIndex(); err != nil {
		return 0, err
	}
	index, ok, err := v.run(id)
	if err == nil && !ok {
		err = fmt.Errorf("run %s: %w", id, ErrNotFound)
	}
	return index, err
}

// run returns the entry of a run; ok is false if it is not there.
func (v *View) run(id statement.Nonce) (index uint64, ok bool, err error) {
	value, ok, err := v.l.store.get(runKey(id))
	if err != nil || !ok {
		return 0, false, err
	}
	index, err = parseU64(value)
	return index, err == nil && index < v.n, err
}

// BySigner goes through the entries by a key, in order. The last pair may be
// an error.
func (v *View) BySigner(id statement.KeyID) iter.Seq2[uint64, error] {
	return v.indexes(signerPrefix(id))
}

// BySignerFrom is BySigner from an entry on.
func (v *View) BySignerFrom(id statement.KeyID, from uint64) iter.Seq2[uint64, error] {
	return v.indexesFrom(signerPrefix(id), from)
}

// ByKind goes through the entries of a kind, in order. The last pair may be an
// error.
func (v *View) ByKind(kind statement.Kind) iter.Seq2[uint64, error] {
	return v.indexes([]byte{famKind, kindBytes[kind]})
}

// ByKindFrom is ByKind from an entry on.
func (v *View) ByKindFrom(kind statement.Kind, from uint64) iter.Seq2[uint64, error] {
	return v.indexesFrom([]byte{famKind, kindBytes[kind]}, from)
}

// LastOn returns the last entry about a fingerprint, as ByFingerprint has them:
// what a withdrawal's After must name; ok is false if there is none.
func (v *View) LastOn(fp fingerprint.Fingerprint) (index uint64, ok bool, err error) {
	return v.l.lastOn(fp, v.n)
}

// FirstOn returns the first entry about a fingerprint: the stamp, or run, by
// whoever brought it in.
func (v *View) FirstOn(fp fingerprint.Fingerprint) (index uint64, ok bool, err error) {
	for index, err := range v.ByFingerprint(fp) {
		return index, err == nil, err
	}
	return 0, false, nil
}

// ControlEntries goes through the control entries, in order: what a replay of
// the roster needs. The last pair may be an error.
func (v *View) ControlEntries() iter.Seq2[*evidence.Entry, error] {
	return func(yield func(*evidence.Entry, error) bool) {
		err := v.l.store.scan([]byte{famControl}, []byte{famControl + 1}, func(_, value []byte) bool {
			index, err := parseU64(value)
			if err == nil && index >= v.n {
				return false
			}
			var e *evidence.Entry
			if err == nil {
				e, err = v.Entry(index)
			}
			return yield(e, err) && err == nil
		})
		if err != nil {
			yield(nil, err)
		}
	}
}
