package collection

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/stele-ml/stele/internal/scan"
	"github.com/stele-ml/stele/internal/source"
)

// Source lists a place as a collection sees it: below each part's prefix
// with the rules of that part's own stamp, and outside of all of them with the
// default rules, which no stamp of the collection's binds.
type Source struct {
	source.Source
	parts []Part
	rules []*scan.Rules // of each part
	lists [][]string    // of each part that is exactly the files of a list: those; else nil
	rest  *scan.Rules   // outside

	// What the rules left out, as scan.Result has it; of the last List.
	Hidden      []string
	HiddenCount uint64
}

// remote is a Source behind a network.
type remote struct {
	*Source
	source.Remote
}

// SourceOf makes a source list what it has as the parts of a collection. The
// second result is the first without its wrapping, to ask what was hidden. The
// manifests are opened of parts alone that are the files of a list; those are
// held in memory.
func SourceOf(src source.Source, parts []Part, open Open) (source.Source, *Source, error) {
	s := &Source{Source: src, parts: parts, lists: make([][]string, len(parts))}
	var err error
	if s.rest, err = scan.CompileRules(scan.DefaultRules()); err != nil {
		return nil, nil, err
	}
	if s.rules, err = Rules(parts); err != nil {
		return nil, nil, err
	}
	for i, p := range parts {
		if p.Stamp.Listed {
			if s.lists[i], err = pathsOf(&p, open); err != nil {
				return nil, nil, err
			}
		}
	}
	if far, ok := src.(source.Remote); ok {
		return remote{s, far}, s, nil
	}
	return s, s, nil
}

// Rules makes the ignore rules of each part ready.
func Rules(parts []Part) (rules []*scan.Rules, err error) {
	compiled := map[string]*scan.Rules{} // most parts have the same rules
	for _, p := range parts {
		text := strings.Join(p.Stamp.Ignore, "\n")
		if compiled[text] == nil {
			if compiled[text], err = scan.CompileRules(p.Stamp.Ignore); err != nil {
				return nil, err
			}
		}
		rules = append(rules, compiled[text])
	}
	return rules, nil
}

// pathsOf lists the files of a part, in order.
func pathsOf(p *Part, open Open) ([]string, error) {
	list := []string{} // not nil, be it empty
	for f, err := range Files([]Part{*p}, open) {
		if err != nil {
			return nil, err
		}
		list = append(list, strings.TrimPrefix(f.Path, p.Key()))
	}
	return list, nil
}

// Hides is what the rules say of one path. told is whether a person is to know:
// what lies beside the files of a list is nobody's business.
func (s *Source) Hides(path string, folder bool) (hidden, told bool) {
	whole := path
	if folder {
		whole += "/"
	}
	i, ok := Within(s.parts, whole)
	if !ok {
		return !(folder && above(s.parts, path)) && s.rest.Hides(path, folder), true
	}
	inner := strings.TrimPrefix(whole, s.parts[i].Key())
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
func (s *Source) List(ctx context.Context, skip source.Skip, emit func(source.Object) error) error {
	s.Hidden, s.HiddenCount = nil, 0
	return s.Source.List(ctx, func(path string, folder bool) bool {
		hidden, told := s.Hides(path, folder)
		if hidden && told {
			s.hide(path, folder)
		}
		return hidden || skip != nil && skip(path, folder)
	}, emit)
}

func (s *Source) hide(path string, folder bool) {
	s.HiddenCount++
	if len(s.Hidden) == scan.MaxHidden {
		return
	}
	if folder {
		path += "/"
	}
	s.Hidden = append(s.Hidden, strings.ToValidUTF8(path, "\uFFFD"))
}

// Measure implements source.Measurer where the source below does.
func (s *Source) Measure(ctx context.Context, skip source.Skip, add func(bytes uint64)) error {
	m, ok := s.Source.(source.Measurer)
	if !ok {
		return errors.ErrUnsupported
	}
	return m.Measure(ctx, func(path string, folder bool) bool {
		hidden, _ := s.Hides(path, folder)
		return hidden || skip != nil && skip(path, folder)
	}, add)
}

// Unwrap is how a source sees a collection; nil where it is none.
func Unwrap(src source.Source) *Source {
	switch s := src.(type) {
	case *Source:
		return s
	case remote:
		return s.Source
	}
	return nil
}
