package main

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/stele-ml/stele/fingerprint"
	"github.com/stele-ml/stele/internal/scan"
	"github.com/stele-ml/stele/internal/source"
)

// within finds the part that a path lies in, by its key. Parts are sorted by
// their keys, and no key begins with another, so it is the last that is not
// greater than the path. A path of a folder ends in '/'.
func within(parts []part, path string) (index int, ok bool) {
	i, found := slices.BinarySearchFunc(parts, path, func(p part, path string) int { return strings.Compare(p.key(), path) })
	if !found {
		i--
	}
	return i, i >= 0 && strings.HasPrefix(path, parts[i].key())
}

// above reports whether a folder, without its '/', holds parts.
func above(parts []part, folder string) bool {
	i, _ := slices.BinarySearchFunc(parts, folder+"/", func(p part, path string) int { return strings.Compare(p.key(), path) })
	return i < len(parts) && strings.HasPrefix(parts[i].key(), folder+"/")
}

// partsSource lists a place as a collection sees it: below each part's prefix
// with the rules of that part's own stamp, and outside of all of them with the
// default rules, which no stamp of the collection's binds.
type partsSource struct {
	source.Source
	parts []part
	rules []*scan.Rules // of each part
	lists [][]string    // of each part that is exactly the files of a list: those; else nil
	rest  *scan.Rules   // outside

	// What the rules left out, as scan.Result has it; of the last List.
	hidden      []string
	hiddenCount uint64
}

// remoteParts is a partsSource behind a network.
type remoteParts struct {
	*partsSource
	source.Remote
}

// ofParts makes a source list what it has as the parts of a collection. The
// second result is the first without its wrapping, to ask what was hidden. The
// manifests are opened of parts alone that are the files of a list; those are
// held in memory.
func ofParts(src source.Source, parts []part, open openPart) (source.Source, *partsSource, error) {
	s := &partsSource{Source: src, parts: parts, lists: make([][]string, len(parts))}
	var err error
	if s.rest, err = scan.CompileRules(scan.DefaultRules()); err != nil {
		return nil, nil, err
	}
	if s.rules, err = rulesOf(parts); err != nil {
		return nil, nil, err
	}
	for i, p := range parts {
		if p.stamp.Listed {
			if s.lists[i], err = pathsOf(&p, open); err != nil {
				return nil, nil, err
			}
		}
	}
	if remote, ok := src.(source.Remote); ok {
		return remoteParts{s, remote}, s, nil
	}
	return s, s, nil
}

// rulesOf makes the ignore rules of each part ready.
func rulesOf(parts []part) (rules []*scan.Rules, err error) {
	compiled := map[string]*scan.Rules{} // most parts have the same rules
	for _, p := range parts {
		text := strings.Join(p.stamp.Ignore, "\n")
		if compiled[text] == nil {
			if compiled[text], err = scan.CompileRules(p.stamp.Ignore); err != nil {
				return nil, err
			}
		}
		rules = append(rules, compiled[text])
	}
	return rules, nil
}

// pathsOf lists the files of a part, in order.
func pathsOf(p *part, open openPart) ([]string, error) {
	list := []string{} // not nil, be it empty
	for f, err := range filesOf([]part{*p}, open) {
		if err != nil {
			return nil, err
		}
		list = append(list, strings.TrimPrefix(f.Path, p.key()))
	}
	return list, nil
}

// hides is what the rules say of one path. told is whether a person is to know:
// what lies beside the files of a list is nobody's business.
func (s *partsSource) hides(path string, folder bool) (hidden, told bool) {
	whole := path
	if folder {
		whole += "/"
	}
	i, ok := within(s.parts, whole)
	if !ok {
		return !(folder && above(s.parts, path)) && s.rest.Hides(path, folder), true
	}
	inner := strings.TrimPrefix(whole, s.parts[i].key())
	switch list := s.lists[i]; {
	case inner == "": // the member's own folder
		return false, true
	case list == nil:
		return s.rules[i].Hides(strings.TrimSuffix(inner, "/"), folder), true
	default:
		at, found := slices.BinarySearch(list, inner)
		return !(found || folder && at < len(list) && strings.HasPrefix(list[at], inner)), false
	}
}

// List implements source.Source.
func (s *partsSource) List(ctx context.Context, skip source.Skip, emit func(source.Object) error) error {
	s.hidden, s.hiddenCount = nil, 0
	return s.Source.List(ctx, func(path string, folder bool) bool {
		hidden, told := s.hides(path, folder)
		if hidden && told {
			s.hide(path, folder)
		}
		return hidden || skip != nil && skip(path, folder)
	}, emit)
}

func (s *partsSource) hide(path string, folder bool) {
	s.hiddenCount++
	if len(s.hidden) == scan.MaxHidden {
		return
	}
	if folder {
		path += "/"
	}
	s.hidden = append(s.hidden, strings.ToValidUTF8(path, "\uFFFD"))
}

// Measure implements source.Measurer where the source below does.
func (s *partsSource) Measure(ctx context.Context, skip source.Skip, add func(bytes uint64)) error {
	m, ok := s.Source.(source.Measurer)
	if !ok {
		return errors.ErrUnsupported
	}
	return m.Measure(ctx, func(path string, folder bool) bool {
		hidden, _ := s.hides(path, folder)
		return hidden || skip != nil && skip(path, folder)
	}, add)
}

// partTrees makes the fingerprint of each part from all the files of a place,
// in path order, and keeps count of those that lie in none.
type partTrees struct {
	parts     []part
	algorithm fingerprint.Algorithm
	trees     []*fingerprint.Tree // nil until the part's first file
	outside   fingerprint.Summary // files and bytes alone
}

func newPartTrees(a fingerprint.Algorithm, parts []part) *partTrees {
	return &partTrees{parts: parts, algorithm: a, trees: make([]*fingerprint.Tree, len(parts))}
}

func (t *partTrees) add(f fingerprint.File) error {
	i, ok := within(t.parts, f.Path)
	if !ok {
		t.outside.Files++
		t.outside.Bytes += f.Size
		return nil
	}
	if t.trees[i] == nil {
		t.trees[i] = fingerprint.NewTree(t.algorithm)
	}
	f.Path = strings.TrimPrefix(f.Path, t.parts[i].key())
	return t.trees[i].Add(f)
}

// found is what lies below a part's prefix.
func (t *partTrees) found(i int) (fingerprint.Summary, error) {
	if t.trees[i] == nil {
		t.trees[i] = fingerprint.NewTree(t.algorithm)
	}
	return t.trees[i].Summary()
}
