package main

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/stele-ml/stele/fingerprint"
	"github.com/stele-ml/stele/internal/account"
	"github.com/stele-ml/stele/internal/ledger"
	"github.com/stele-ml/stele/internal/place"
	"github.com/stele-ml/stele/internal/scan"
	"github.com/stele-ml/stele/internal/source"
	"github.com/stele-ml/stele/statement"
)

// maxRuleSets is how many sets of ignore rules, other than the default ones, a
// folder is counted with that is not known under those.
const maxRuleSets = 64

// foundData is data whose artifact is on the ledger.
type foundData struct {
	fp        fingerprint.Fingerprint // of the artifact
	rules     []string                // with which it was found
	hidden    uint64                  // paths that they left out
	stampedAs string                  // of a single file under another name: the one it has in its stamp
}

// lookUpPlace fingerprints data, with the ledger closed meanwhile, and finds
// whose it is:
//
//   - under the rules that `stele fingerprint` takes, the default ones and those
//     of .steleignore;
//   - a single file also under the names of stamped files of its size;
//   - a folder also with the rules of stamps that leave as many files and bytes
//     as they have.
func (a *app) lookUpPlace(ctx context.Context, dir string, d *data, at string) (*lookedUp, error) {
	f := &lookedUp{wanted: wanted{arg: d.place.String(), by: byPlace}}
	looking := func(fn func(r *reading) error) error {
		return a.readAt(ctx, dir, func(r *reading) error {
			r, err := a.asOf(r, "--at", at)
			if err != nil {
				return err
			}
			return fn(r)
		})
	}
	var algorithm fingerprint.Algorithm
	if err := looking(func(r *reading) error { algorithm = r.Algorithm(); return nil }); err != nil {
		return nil, err
	}
	var file fingerprint.File // the last; of a single one, the one
	opts := d.flags.options(algorithm)
	result, err := a.scan(ctx, d, opts, func(got fingerprint.File) error { file = got; return nil })
	if err != nil {
		return nil, err
	}
	found := &foundData{fp: result.Fingerprint, rules: result.Rules, hidden: result.HiddenCount}
	var sets []ruleSet
	err = looking(func(r *reading) error {
		if f.bindings, err = r.bindingsOf(found.fp); err != nil || len(f.bindings) > 0 {
			return err
		}
		if result.Single {
			return a.underAnotherName(ctx, r, f, found, file)
		}
		sets, err = r.ruleSets(result.Rules)
		return err
	})
	if err != nil {
		return nil, err
	}
	for _, set := range sets {
		if len(f.bindings) > 0 {
			break
		}
		fits, err := set.fits(ctx, d)
		if err != nil {
			return nil, err
		}
		if !fits {
			continue
		}
		d.readAgain()
		opts.UseExact, opts.Exact = true, set.rules
		if result, err = a.scan(ctx, d, opts, nil); err != nil {
			return nil, err
		}
		err = looking(func(r *reading) error {
			if f.bindings, err = r.bindingsOf(result.Fingerprint); err != nil || len(f.bindings) == 0 {
				return err
			}
			*found = foundData{fp: result.Fingerprint, rules: result.Rules, hidden: result.HiddenCount}
			a.term.Notef("found with the ignore rules of %s", f.bindings[0].Ref())
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	if len(f.bindings) == 0 {
		return nil, a.placeUnknown(ctx, dir, d, found.fp, result.Single, len(sets))
	}
	a.noteHidden(result)
	f.data = found
	return f, nil
}

// placeUnknown says what was looked for and is not there.
func (a *app) placeUnknown(ctx context.Context, dir string, d *data, fp fingerprint.Fingerprint, single bool, sets int) error {
	what := ""
	switch {
	case single:
		what = ", nor is a file of these bytes under another name"
	case sets > 0:
		what = ", nor is what the ignore rules of other stamps leave of it"
	}
	f := failf(exitNotFound, "%s is %s, which is not on this ledger%s", d.place, fp, what).withPath(d.place.String())
	if at, err := d.place.Absolute(); err == nil {
		var here ledger.Binding
		known := false
		err := a.readAt(ctx, dir, func(r *reading) (err error) { here, known, err = a.stampedHere(r, at); return err })
		if err == nil && known {
			return f.withHint(fmt.Sprintf("%s was stamped here: `stele verify %s` says what changed", here.Ref(), here.Ref()))
		}
	}
	if single {
		return f.withHint("if it is one file of a stamped folder, give the folder")
	}
	return f.withHint("`stele stamp` puts it on the ledger")
}

// stamped goes through the stamps on the ledger, those within runs too, the
// latest first.
func (r *reading) stamped(fn func(st *statement.Statement) error) error {
	var entries []uint64
	for _, kind := range []statement.Kind{statement.KindStamp, statement.KindRun} {
		for i, err := range r.ByKind(kind) {
			if err != nil {
				return err
			}
			entries = append(entries, i)
		}
	}
	slices.Sort(entries)
	for _, i := range slices.Backward(entries) {
		_, st, err := r.Statement(i)
		if err != nil {
			return err
		}
		for _, o := range st.Stamps() {
			if err := fn(account.AsStamp(st, o)); err != nil {
				return err
			}
		}
	}
	return nil
}

// underAnotherName looks for a single file among the stamps of single files.
func (a *app) underAnotherName(ctx context.Context, r *reading, f *lookedUp, found *foundData, file fingerprint.File) error {
	return a.renamed(ctx, r, file, 0, func(name string, bindings []ledger.Binding) error {
		f.bindings, found.fp, found.stampedAs = bindings, bindings[0].Fingerprint, name
		a.term.Notef("%s was stamped as %s: renamed, and the same bytes", file.Path, name)
		return errEnough
	})
}

// errEnough ends a search that has found enough, or was to be a short one.
var errEnough = errors.New("enough")

// renamed calls fn with each other name under which the bytes of a single file
// were stamped, the latest first. It looks at the stamps of single files of its
// size: their names come from their manifests and details, and count because with
// one of them the fingerprint is a stamp's. It looks at most of these, or at all
// if that is 0.
func (a *app) renamed(ctx context.Context, r *reading, file fingerprint.File, most int, fn func(name string, bindings []ledger.Binding) error) error {
	tried := map[string]bool{file.Path: true}
	looked := 0
	err := r.stamped(func(st *statement.Statement) error {
		if st.Stamp.Files != 1 || st.Stamp.Bytes != file.Size {
			return nil
		}
		if looked++; most > 0 && looked > most {
			return errEnough
		}
		ref, err := st.Ref()
		if err != nil {
			return err
		}
		names, err := a.namesOf(ctx, r, st)
		if err != nil {
			return err
		}
		for _, name := range names {
			if tried[name] {
				continue
			}
			tried[name] = true
			as, ok := fingerprintAs(file, name, ref.Fingerprint.Algorithm)
			if !ok {
				continue
			}
			bindings, err := r.bindingsOf(as)
			if err == nil && len(bindings) > 0 {
				err = fn(name, bindings)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	if errors.Is(err, errEnough) {
		return nil
	}
	return err
}

// namesOf are the names that a stamp of a single file may have been made under:
// the one in its manifest, where that is with the ledger, and those of its
// places.
func (a *app) namesOf(ctx context.Context, r *reading, st *statement.Statement) (names []string, err error) {
	s, err := a.searchFor(r, st, place.Options{})
	if err != nil {
		return nil, err
	}
	if s.details != nil {
		for _, l := range s.details.Locations {
			names = append(names, path.Base(strings.ReplaceAll(l, `\`, "/")))
		}
		s.details = nil // what is elsewhere is not fetched for this
	}
	m, _, err := a.findManifest(ctx, s)
	if err != nil || m == nil {
		return names, err
	}
	defer m.Close()
	paths, err := m.Paths()
	return append(paths, names...), err
}

// fingerprintAs is what a file's fingerprint would be under another name.
func fingerprintAs(file fingerprint.File, name string, a fingerprint.Algorithm) (fp fingerprint.Fingerprint, ok bool) {
	tree := fingerprint.NewTree(a)
	file.Path = name
	if tree.Add(file) != nil {
		return fp, false
	}
	summary, err := tree.Summary()
	return summary.Fingerprint(a), err == nil
}

// ruleSet is a set of ignore rules, and how much the stamps with them cover.
type ruleSet struct {
	rules []string
	sizes map[[2]uint64]bool // files, bytes
}

// ruleSets are the rules of the ledger's stamps other than those given, the
// latest first.
func (r *reading) ruleSets(tried []string) (sets []ruleSet, err error) {
	at := map[string]int{strings.Join(tried, "\n"): -1}
	err = r.stamped(func(st *statement.Statement) error {
		if st.Stamp.Listed || len(st.Stamp.Members) > 0 {
			return nil
		}
		key := strings.Join(st.Stamp.Ignore, "\n")
		i, ok := at[key]
		if !ok && len(sets) < maxRuleSets {
			i = len(sets)
			at[key] = i
			sets = append(sets, ruleSet{st.Stamp.Ignore, map[[2]uint64]bool{}})
		} else if !ok || i < 0 {
			return nil
		}
		sets[i].sizes[[2]uint64{st.Stamp.Files, st.Stamp.Bytes}] = true
		return nil
	})
	return sets, err
}

// fits reports whether the rules leave as many files and bytes as one of their
// stamps has. Nothing is read for it but the listing.
func (s *ruleSet) fits(ctx context.Context, d *data) (bool, error) {
	m, ok := d.source.(source.Measurer)
	if !ok {
		return true, nil // it cannot tell: it is read
	}
	rules, err := scan.CompileRules(s.rules)
	if err != nil {
		return false, err
	}
	var files, bytes uint64
	if err := m.Measure(ctx, rules.Hides, func(n uint64) { files++; bytes += n }); err != nil {
		return false, err
	}
	return s.sizes[[2]uint64{files, bytes}], nil
}
