// Package contracttest makes up histories and rules for tests: the same seed
// always gives the same ones.
package contracttest

import (
	"fmt"
	"math/rand/v2"
	"slices"
)

// People are those of a made-up history, with their roles. Bob has a second key,
// "second".
var People = map[string][]string{
	"ada":     {"administrator", "approver", "member", "releaser"},
	"bob":     {"approver", "member"},
	"carol":   {"approver", "member", "releaser"},
	"dora":    {"approver", "releaser"},
	"eve":     {"member"},
	"mallory": {"approver", "member"},
}

// Item is one thing that was done, as the history of a contract's test has it.
type Item = map[string]any

// History is what a test of a contract is given.
type History struct {
	Items     []Item // the history
	Statement Item   // what is judged
	Time      string // of the statement, in UTC

	r      *rand.Rand
	names  []string            // of what is stamped
	by     map[string]string   // who stamped it
	lists  map[string]bool     // it is a collection, or has the bytes of one
	drawn  []string            // withdrawn, and not reinstated
	drawer map[string]string   // who withdrew it
	placed map[string][]string // by stage
	lost   map[string]bool     // handles, and bob's second key
}

// Random makes up a history of so many items and the statement that follows.
// Names, people and bytes are few, so that every rule is met often.
func Random(seed uint64, items int) *History {
	h := &History{
		r:  rand.New(rand.NewPCG(seed, 5)),
		by: make(map[string]string), lists: make(map[string]bool), drawer: make(map[string]string),
		placed: make(map[string][]string), lost: make(map[string]bool),
	}
	h.stamp()
	for range items {
		h.step()
	}
	h.Statement = h.Judged()
	h.Time = fmt.Sprintf("2024-02-29T23:59:%02dZ", seed%60)
	return h
}

// pick returns one of a list.
func pick[T any](r *rand.Rand, list ...T) T { return list[r.IntN(len(list))] }

// some returns up to n of what is stamped, each once.
func (h *History) some(n int) []string {
	list := []string{}
	for range h.r.IntN(n + 1) {
		if name := pick(h.r, h.names...); !slices.Contains(list, name) {
			list = append(list, name)
		}
	}
	return list
}

// person returns somebody of a role whose key is not lost, which is never all.
func (h *History) person(role string) string {
	var list []string
	for _, handle := range []string{"ada", "bob", "carol", "dora", "eve", "mallory"} {
		if slices.Contains(People[handle], role) && !h.lost[handle] {
			list = append(list, handle)
		}
	}
	return pick(h.r, list...)
}

// signed adds who did it.
func (h *History) signed(it Item, handle string) Item {
	it["by"] = handle
	if handle == "bob" && !h.lost["bob second"] && h.r.IntN(3) == 0 {
		it["key"] = "second"
	}
	return it
}

// fresh returns a name that nothing has, and binds it.
func (h *History) fresh(by string) string {
	name := fmt.Sprintf("%s@%d", pick(h.r, "data/a", "data/b", "fraud/m", "fraud/n", "test", "frauds"), len(h.names)+1)
	h.names = append(h.names, name)
	h.by[name] = by
	return name
}

func (h *History) step() {
	switch h.r.IntN(16) {
	case 0, 1, 2:
		h.stamp()
	case 3, 4:
		h.run()
	case 5, 6:
		h.add(h.evaluation())
	case 7, 8, 9:
		h.add(h.approval())
	case 10:
		h.release()
	case 11:
		h.withdraw()
	case 12:
		h.add(h.signed(Item{"audit": pick(h.r, h.names...), "outcome": pick(h.r, "held", "held", "altered", "incomplete"), "altered": pick(h.r, "0.005", "0.1")}, h.person("member")))
	case 13:
		name := pick(h.r, h.names...)
		h.add(h.signed(Item{"import": name, "inputs": h.others(name), "builder": "https://builder.example"}, h.person("member")))
	case 14:
		h.add(Item{"pass": 1 + h.r.IntN(5)})
	case 15:
		h.lose()
	}
}

func (h *History) add(it Item) { h.Items = append(h.Items, it) }

// others is some, without one name.
func (h *History) others(name string) []string {
	return slices.DeleteFunc(h.some(3), func(s string) bool { return s == name })
}

func (h *History) stamp() {
	by := h.person("member")
	it := Item{"kind": pick(h.r, "dataset", "model", "model", "code")}
	switch n := len(h.names); {
	case n > 0 && h.r.IntN(4) == 0:
		same := pick(h.r, h.names...)
		it["same"] = same
		if h.lists[same] { // whose bytes count as stamped
			delete(it, "same")
		}
	case n > 1 && h.r.IntN(5) == 0:
		if members := h.some(3); len(members) > 0 {
			it["members"] = members
		}
	case n > 0 && h.r.IntN(3) == 0:
		it["from"] = h.some(3)
	}
	if h.r.IntN(3) == 0 {
		it["annotations"] = Item{"licence": pick(h.r, "mit", "gpl", "")}
		if it["annotations"].(Item)["licence"] == "" {
			it["annotations"] = Item{"team/owner": "risk"}
		}
	}
	_, collection := it["members"]
	if h.r.IntN(4) == 0 && !collection {
		it["ignore"] = []string{"*.tmp", "/cache/"}[:1+h.r.IntN(2)]
	}
	if h.r.IntN(4) == 0 && !collection {
		it["basis"] = Item{"read": 10 * h.r.IntN(3), "claimed": 5}
	}
	if h.r.IntN(5) == 0 && len(h.names) > 0 {
		it["since"] = pick(h.r, h.names...)
	}
	name := h.fresh(by)
	it["stamp"] = name
	h.lists[name] = collection
	h.add(h.signed(it, by))
}

func (h *History) run() {
	by := h.person("member")
	inputs := h.some(3)
	run := Item{"inputs": inputs, "observation": pick(h.r, "wrapped", "wrapped", "reported")}
	var outputs []string
	if h.r.IntN(6) == 0 {
		run["failed"] = true
	} else {
		if old := pick(h.r, h.names...); h.r.IntN(3) == 0 && !slices.Contains(inputs, old) {
			outputs = append(outputs, old)
		}
		for range h.r.IntN(3) {
			outputs = append(outputs, h.fresh(by))
		}
		run["outputs"] = outputs
		run["kind"] = pick(h.r, "model", "dataset")
	}
	if h.r.IntN(3) == 0 {
		run["code"] = Item{"remote": "https://git.example/train", "commit": "0123456789abcdef0123456789abcdef01234567", "dirty": h.r.IntN(2) == 0}
	}
	h.add(h.signed(Item{"run": run}, by))
}

func (h *History) evaluation() Item {
	datasets := h.some(2)
	if len(datasets) == 0 {
		datasets = h.names[:1]
	}
	metrics := Item{"auc": float64(h.r.IntN(1001)) / 1000}
	if h.r.IntN(3) == 0 {
		metrics["loss@10"] = pick(h.r, "-0.5", "12345678901.5", "0.000000001", "3")
	}
	return h.signed(Item{"evaluate": pick(h.r, h.names...), "metrics": metrics, "datasets": datasets}, h.person("member"))
}

func (h *History) approval() Item {
	return h.signed(Item{pick(h.r, "approve", "approve", "approve", "reject"): pick(h.r, h.names...), "stage": pick(h.r, "production", "production", "staging")}, h.person("approver"))
}

func (h *History) release() {
	stage := pick(h.r, "production", "staging")
	in := h.placed[stage]
	if len(in) > 0 && h.r.IntN(4) == 0 {
		gone := pick(h.r, in...)
		h.placed[stage] = slices.DeleteFunc(in, func(s string) bool { return s == gone })
		h.add(h.signed(Item{"leave": gone, "stage": stage}, h.person("releaser")))
		return
	}
	name := pick(h.r, h.names...)
	it := Item{"release": name, "stage": stage}
	if len(in) > 0 && h.r.IntN(2) == 0 {
		if old := pick(h.r, in...); old != name {
			it["replaces"] = []string{old}
			in = slices.DeleteFunc(in, func(s string) bool { return s == old })
		}
	}
	if !slices.Contains(in, name) {
		in = append(in, name)
	}
	h.placed[stage] = in
	h.add(h.signed(it, h.person("releaser")))
}

func (h *History) withdraw() {
	if len(h.drawn) > 0 && h.r.IntN(3) == 0 {
		name := h.drawn[len(h.drawn)-1]
		by := h.drawer[name]
		if h.lost[by] {
			by = "ada"
		}
		h.drawn = h.drawn[:len(h.drawn)-1]
		h.add(Item{"reinstate": name, "by": by})
		return
	}
	name := pick(h.r, h.names...)
	by := h.by[name]
	if h.lost[by] || h.r.IntN(2) == 0 {
		by = "ada"
	}
	if !slices.Contains(h.drawn, name) {
		h.drawn = append(h.drawn, name)
		h.drawer[name] = by
		h.add(Item{"withdraw": name, "target": pick(h.r, "contents", "contents", "binding"), "effect": pick(h.r, "advise", "no-new-use", "stop"), "by": by})
	}
}

// lose loses a key, seldom. Of a history without passing entries it is clear
// which entry it is since; elsewhere it may be any.
func (h *History) lose() {
	who := pick(h.r, "bob second", "eve", "mallory", "")
	if who == "" || h.lost[who] {
		return
	}
	h.lost[who] = true
	it := Item{"compromised": who, "since": 1 + h.r.IntN(len(h.Items))}
	if who == "bob second" {
		it["compromised"], it["key"] = "bob", "second"
	}
	h.add(it)
}

// Judged makes up a statement that could follow the history.
func (h *History) Judged() Item {
	switch h.r.IntN(12) {
	case 0, 1, 2, 3:
		it := Item{"release": pick(h.r, h.names...), "stage": pick(h.r, "production", "staging")}
		if in := h.placed["production"]; it["stage"] == "production" && len(in) > 0 && in[0] != it["release"] {
			it["replaces"] = in[:1]
		}
		return h.signed(it, h.person("releaser"))
	case 4, 5:
		return h.approval()
	case 6, 7:
		return h.evaluation()
	case 8:
		before := len(h.Items)
		h.stamp()
		it := h.Items[before]
		h.Items = h.Items[:before]
		return it
	case 9, 10:
		before := len(h.Items)
		h.run()
		it := h.Items[before]
		h.Items = h.Items[:before]
		return it
	}
	return Item{"leave": pick(h.r, h.names...), "stage": "production", "by": h.person("releaser")}
}

// Given is the history as a contract's test has it, after so many entries that
// were there before.
func (h *History) Given(before int) Item {
	items := slices.Clone(h.Items)
	if before > 0 {
		items = append([]Item{{"pass": before}}, items...)
		for i, it := range items {
			if since, ok := it["since"].(int); ok {
				moved := Item{}
				for k, v := range it {
					moved[k] = v
				}
				moved["since"] = since + before
				items[i] = moved
			}
		}
	}
	return Item{"history": items, "statement": h.Statement, "time": h.Time, "people": People}
}
