package contract

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/stele-ml/stele/internal/strictjson"
	"github.com/stele-ml/stele/lineage"
	"github.com/stele-ml/stele/statement"
)

// Limits of a test, and what is so where a test does not say it.
const (
	// MaxHistory is how many items the history of a test may have.
	MaxHistory = 1000
	// MaxPass is how many entries one item may let pass.
	MaxPass = 1_000_000
	// MaxPeople is how many people a test may name.
	MaxPeople = 100

	fixtureTime    = "2026-01-01T00:00:00Z"
	fixtureAge     = time.Hour
	fixtureSubject = "example" // as version 1
	fixtureStage   = "production"
)

// verbs are the items of a history and what each may have besides who did it,
// with which key and when.
var verbs = map[string][]string{
	"stamp":       {"kind", "files", "bytes", "same", "from", "members", "since", "annotations", "ignore", "listed", "basis"},
	"run":         {},
	"evaluate":    {"metrics", "datasets"},
	"approve":     {"stage", "reason"},
	"reject":      {"stage", "reason"},
	"release":     {"stage", "replaces", "reason"},
	"leave":       {"stage", "reason"},
	"withdraw":    {"target", "location", "effect", "reason"},
	"reinstate":   {"reason"},
	"announce":    {"altered", "confidence", "chunks"},
	"audit":       {"altered", "confidence", "chunks", "outcome"},
	"import":      {"format", "inputs", "builder"},
	"propose":     {"rules"},
	"put":         {"rules"},
	"lift":        {"rules", "reason"},
	"register":    {"roles", "names", "expires"},
	"retire":      {},
	"log-key":     {},
	"compromised": {"since"},
	"pass":        {},
}

// runMembers are what a run says.
var runMembers = []string{"inputs", "outputs", "kind", "observation", "failed", "exit", "code", "image", "annotations", "ignore", "basis", "bytes"}

// verbOf is the verb of a statement that a test names by its kind, and by its
// action where there are several.
var verbOf = map[statement.Kind]map[string]string{
	statement.KindStamp:         {"": "stamp"},
	statement.KindRun:           {"": "run"},
	statement.KindEvaluation:    {"": "evaluate"},
	statement.KindApproval:      {"": "approve", "approve": "approve", "reject": "reject"},
	statement.KindRelease:       {"": "release", "join": "release", "leave": "leave"},
	statement.KindWithdrawal:    {"": "withdraw"},
	statement.KindReinstatement: {"": "reinstate"},
	statement.KindAudit:         {"": "audit", "announce": "announce", "result": "audit"},
	statement.KindImport:        {"": "import"},
	statement.KindIdentity:      {"": "register", "register": "register", "retire": "retire"},
	statement.KindContract:      {"": "put", "put": "put", "propose": "propose", "lift": "lift"},
	statement.KindLogKey:        {"": "log-key"},
}

// ofSomething are verbs that need an artifact which is there.
var ofSomething = []string{
	"evaluate", "approve", "reject", "release", "leave", "withdraw", "reinstate", "announce", "audit", "import"}

// onlyJudged are verbs that only the statement of a test may have: no rule could
// see them in a history. onlyHistory are no statements to be judged.
var (
	onlyJudged  = []string{"put", "lift", "register", "retire", "log-key"}
	onlyHistory = []string{"compromised", "pass"}
)

// item is one thing that a test says was done.
type item struct {
	fields
	verb   string
	value  node   // of the verb: what it was done to
	run    fields // of a run: where its members are
	judged bool   // it is the statement of the test
	age    int64  // of its entry, in ms before the statement
}

// readGiven reads a test's history and statement. What a test leaves out is
// such that the match is met, so that a short test tests something.
func readGiven(n node, m *Match) Given {
	o := n.object("time", "people", "history", "approvers", "statement")
	h := &historian{r: n.r, match: m, next: 1, fixture: &fixture{
		entries: make(map[uint64]*lineage.Said), artifacts: make(map[string]*lineage.Artifact), people: make(map[string][]string)}}
	h.readTime(o.get("time"))
	h.readPeople(o.get("people"))
	judged, ok := h.item(o.need("statement"), true)
	if !ok {
		return Given{}
	}
	var items []item
	for _, n := range o.get("history").items(MaxHistory) {
		if it, ok := h.item(n, false); ok {
			items = append(items, it)
		}
	}
	h.ages(items)
	if !judged.value.there() && slices.Contains(ofSomething, judged.verb) {
		h.example(judged)
	}
	for _, it := range items {
		h.do(it)
	}
	judged.age = 0
	if len(items) > 0 {
		h.age = items[len(items)-1].age
	}
	for _, n := range o.get("approvers").items(MaxPeople) {
		h.approver(n, judged)
	}
	h.do(judged)
	if len(n.r.problems) > 0 {
		return Given{}
	}
	h.settle()
	in := &h.input
	in.Signer.Roles, in.Signer.Known = h.people[in.Signer.Handle], true
	return Given{h.fixture}
}

// items is list, where none is no problem.
func (n node) items(max int) []node {
	if string(n.raw) == "[]" {
		return nil
	}
	return n.list(max)
}

// readTime reads the time of the entry that is judged.
func (h *historian) readTime(n node) {
	if !n.there() {
		n.raw = strictjson.Raw(`"` + fixtureTime + `"`)
	}
	h.input.Time = n.instant()
}

// readPeople reads who has which roles. Whoever is not named has those for what
// they do.
func (h *historian) readPeople(n node) {
	if !n.there() {
		return
	}
	for _, m := range n.members(MaxPeople) {
		m.check(statement.CheckHandle(m.name))
		var roles []string
		if string(m.raw) != "[]" {
			roles = m.words(len(statement.FirstRoles()), oneOf(statement.FirstRoles()...))
		}
		slices.Sort(roles)
		h.people[m.name] = roles
		h.listed = append(h.listed, m.name)
	}
}

// item reads which verb an item has and what belongs to it.
func (h *historian) item(n node, judged bool) (it item, ok bool) {
	var raws map[string]strictjson.Raw
	if !n.is("an object", "{") || !n.decode(&raws) {
		return it, false
	}
	it.judged = judged
	byKind := false
	if it.verb, byKind, ok = h.verb(fields{n, raws}, judged); !ok {
		return it, false
	}
	if judged && slices.Contains(onlyHistory, it.verb) || !judged && slices.Contains(onlyJudged, it.verb) {
		n.problem("%s does not stand here: see docs/formats/contract.md", it.verb)
		return it, false
	}
	known := append([]string{"by", "key"}, verbs[it.verb]...)
	switch it.verb {
	case "pass":
		known = nil
	case "compromised":
		known = []string{"since", "key"} // the key that is
	}
	if !judged {
		known = append(known, "age")
	}
	switch {
	case byKind && it.verb == "run":
		known = append(append(known, runMembers...), "action", "subject")
	case byKind:
		known = append(known, "kind", "action", "subject")
	default:
		known = append(known, it.verb)
	}
	it.fields = n.object(known...)
	if it.value = it.get(it.verb); byKind {
		it.value = it.get("subject")
	}
	if it.verb == "run" {
		it.run = it.fields
		if !byKind {
			it.run = it.value.object(runMembers...)
		}
	}
	it.age = -1
	if age := it.get("age"); age.there() {
		it.age = age.duration()
	}
	return it, true
}

// verb returns the one that an item has as a member, or that the statement of a
// test has by its kind.
func (h *historian) verb(o fields, judged bool) (verb string, byKind, ok bool) {
	var found []string
	names := sortedNames(o.members)
	for _, name := range names {
		if _, ok := verbs[name]; ok {
			found = append(found, name)
		}
	}
	switch {
	case len(found) == 1:
		return found[0], false, true
	case len(found) > 1:
		o.problem("%s in one item; each is an entry of its own", strings.Join(found, " and "))
		return "", false, false
	case judged:
		verb, ok := h.verbByKind(o)
		return verb, true, ok
	}
	for _, name := range names {
		if near := nearest(name, sortedVerbs()); near != "" {
			h.r.problem(joinPath(o.path, name), "did you mean "+near+"?", "unknown member %s", quoted(name))
			return "", false, false
		}
	}
	o.hint("what can be done: "+strings.Join(sortedVerbs(), ", "), "it does not say what was done")
	return "", false, false
}

// verbByKind reads the verb of a statement that is named by its kind; without
// one, it is the first that the contract is about.
func (h *historian) verbByKind(o fields) (string, bool) {
	var kind statement.Kind
	switch {
	case o.has("kind"):
		kind = statement.Kind(o.get("kind").text())
	case len(h.match.Statements) > 0:
		kind = h.match.Statements[0]
	default:
		return "", false // said of the match
	}
	byAction, ok := verbOf[kind]
	if !ok {
		var words []string
		for _, k := range governed {
			words = append(words, string(k))
		}
		o.get("kind").check(oneOf(words...)(string(kind)))
		return "", false
	}
	action := ""
	if o.has("action") {
		action = o.get("action").text()
	} else {
		for _, a := range h.match.Actions {
			if byAction[a] != "" {
				action = a
				break
			}
		}
	}
	verb, ok := byAction[action]
	if !ok {
		var words []string
		for a := range byAction {
			if a != "" {
				words = append(words, a)
			}
		}
		if len(words) == 0 {
			o.get("action").problem("%s has no action", kind.Noun())
		} else {
			o.get("action").check(oneOf(sortedWords(words)...)(action))
		}
	}
	return verb, ok
}

func sortedVerbs() []string {
	var list []string
	for v := range verbs {
		if !slices.Contains(onlyJudged, v) {
			list = append(list, v)
		}
	}
	slices.Sort(list)
	return list
}

// ages gives every item the age of its entry. One that does not say is as old as
// the one before it, and the first ones are as old as the first that says.
func (h *historian) ages(items []item) {
	h.age = fixtureAge.Milliseconds()
	for _, it := range items {
		if it.age >= 0 {
			h.age = it.age
			break
		}
	}
	now := h.age
	for i := range items {
		switch it := &items[i]; {
		case it.age < 0:
			it.age = now
		case it.age > now:
			it.get("age").problem("older than the entry before it: entries are in the order of their times")
		default:
			now = it.age
		}
	}
}

// duration reads a time span in ms: digits and s, m, h or d.
func (n node) duration() int64 {
	text := n.text()
	units := map[byte]time.Duration{'s': time.Second, 'm': time.Minute, 'h': time.Hour, 'd': 24 * time.Hour}
	const longest = 40 * 365 * 24 * time.Hour
	if len(text) > 1 {
		unit, ok := units[text[len(text)-1]]
		count, err := strconv.ParseUint(text[:len(text)-1], 10, 32)
		if ok && err == nil && strconv.FormatUint(count, 10) == text[:len(text)-1] && count <= uint64(longest/unit) {
			return (time.Duration(count) * unit).Milliseconds()
		}
	}
	if n.is("text", `"`) {
		n.problem("%s: want a whole number and s, m, h or d, at most 40 years: 36h, 30d", quoted(text))
	}
	return 0
}
