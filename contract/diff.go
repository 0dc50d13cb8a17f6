package contract

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/stele-ml/stele/internal/strictjson"
)

// Change is a part of a contract that another has otherwise, or has not.
type Change struct {
	What   string // name, version, description, engine, match, param, variable, rule, gate, test
	Name   string // of the param, the variable, the rule, the test; the list of match
	Part   string // of a rule: expression, message, hint; of a variable or a test likewise
	Change string // added, removed, modified, or moved: then Old and New are the names in their orders
	Old    string // as text, or as JSON; empty: there was none
	New    string
}

// Diff compares two contracts by their parts. Both are documents that [ParseDocument]
// takes: in canonical form, so that what is equal is equal as text.
func Diff(old, now []byte) ([]Change, error) {
	type document struct {
		Metadata struct {
			Name        string `json:"name"`
			Version     uint64 `json:"version"`
			Description string `json:"description"`
		} `json:"metadata"`
		Spec struct {
			Engine      string                      `json:"engine"`
			Match       map[string]strictjson.Raw   `json:"match"`
			Params      map[string]strictjson.Raw   `json:"params"`
			Variables   []map[string]strictjson.Raw `json:"variables"`
			Validations []map[string]strictjson.Raw `json:"validations"`
			Gate        strictjson.Raw              `json:"gate"`
			Tests       []map[string]strictjson.Raw `json:"tests"`
		} `json:"spec"`
	}
	var a, b document
	for _, side := range []struct {
		text []byte
		into *document
	}{{old, &a}, {now, &b}} {
		if err := strictjson.UnmarshalForeign(side.text, side.into, MaxDocument, maxDocumentDepth); err != nil {
			return nil, err
		}
	}
	d := differ{}
	d.value("name", "", "", a.Metadata.Name, b.Metadata.Name)
	d.value("version", "", "", fmt.Sprint(a.Metadata.Version), fmt.Sprint(b.Metadata.Version))
	d.value("description", "", "", a.Metadata.Description, b.Metadata.Description)
	d.value("engine", "", "", a.Spec.Engine, b.Spec.Engine)
	d.values("match", a.Spec.Match, b.Spec.Match)
	d.values("param", a.Spec.Params, b.Spec.Params)
	d.items("variable", "name", a.Spec.Variables, b.Spec.Variables)
	d.items("rule", "id", a.Spec.Validations, b.Spec.Validations)
	d.value("gate", "", "", string(a.Spec.Gate), string(b.Spec.Gate))
	d.items("test", "name", a.Spec.Tests, b.Spec.Tests)
	return d.list, nil
}

type differ struct{ list []Change }

// value compares two values; empty: there is none.
func (d *differ) value(what, name, part, old, now string) {
	change := "modified"
	switch {
	case old == now:
		return
	case old == "":
		change = "added"
	case now == "":
		change = "removed"
	}
	d.list = append(d.list, Change{What: what, Name: name, Part: part, Change: change, Old: old, New: now})
}

func (d *differ) values(what string, old, now map[string]strictjson.Raw) {
	for _, name := range unionKeys(old, now) {
		d.value(what, name, "", plainJSON(old[name]), plainJSON(now[name]))
	}
}

// items compares lists whose items have names of their own, part by part.
func (d *differ) items(what, key string, old, now []map[string]strictjson.Raw) {
	names := func(list []map[string]strictjson.Raw) (out []string) {
		for _, item := range list {
			out = append(out, plainJSON(item[key]))
		}
		return out
	}
	oldNames, newNames := names(old), names(now)
	for i, name := range oldNames {
		if !slices.Contains(newNames, name) {
			d.value(what, name, "", itemText(key, old[i]), "")
		}
	}
	for i, name := range newNames {
		at := slices.Index(oldNames, name)
		if at < 0 {
			d.value(what, name, "", "", itemText(key, now[i]))
			continue
		}
		for _, part := range unionKeys(old[at], now[i]) {
			d.value(what, name, part, plainJSON(old[at][part]), plainJSON(now[i][part]))
		}
	}
	// Variables see those before them, and the first rule that refuses is named
	// first: another order is a change.
	stay := func(list, others []string) []string {
		return slices.DeleteFunc(slices.Clone(list), func(n string) bool { return !slices.Contains(others, n) })
	}
	if before, after := stay(oldNames, newNames), stay(newNames, oldNames); !slices.Equal(before, after) {
		d.list = append(d.list, Change{What: what, Change: "moved", Old: strings.Join(before, ", "), New: strings.Join(after, ", ")})
	}
}

// itemText is the most telling part of an item that came or went.
func itemText(key string, item map[string]strictjson.Raw) string {
	if text := plainJSON(item["expression"]); text != "" {
		return text
	}
	if text := plainJSON(item["expect"]); text != "" {
		return "expect " + text
	}
	return plainJSON(item[key])
}

func unionKeys(a, b map[string]strictjson.Raw) []string {
	keys := slices.AppendSeq(slices.Collect(maps.Keys(a)), maps.Keys(b))
	slices.Sort(keys)
	return slices.Compact(keys)
}

// plainJSON is text as it is, and anything else as JSON.
func plainJSON(raw strictjson.Raw) string {
	var text string
	if strictjson.UnmarshalPart(raw, &text) == nil {
		return text
	}
	return string(raw)
}
