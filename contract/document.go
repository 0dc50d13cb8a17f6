package contract

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/stele-ml/stele/internal/strictjson"
	"github.com/stele-ml/stele/statement"
)

// Limits of a document's parts.
const (
	// MaxParams is how many params a document may have.
	MaxParams = 64
	// MaxParamValues is how long a list among the params may be.
	MaxParamValues = 256
	// MaxParamText is the longest text among the params, in bytes.
	MaxParamText = 1024
	// MaxVariables is how many variables a document may have.
	MaxVariables = 32
	// MaxValidations is how many validations a document may have.
	MaxValidations = 64
	// MaxMatch is how many entries each list of a match may have.
	MaxMatch = 64
	// MaxTests is how many tests a document may have.
	MaxTests = 64
	// MaxIdentifier is the longest name of a param or variable, and the longest
	// id of a validation, in bytes.
	MaxIdentifier = 64
	// MaxTestName is the longest name of a test, in bytes.
	MaxTestName = 200
	// MaxDescription is the longest description, in bytes.
	MaxDescription = 1024

	// maxDocumentDepth is how deep a document may nest.
	maxDocumentDepth = 13
)

// Document is a contract as its author wrote it, checked in its form. Its
// expressions are text here; [Compile] reads them.
type Document struct {
	Name        string // see statement.CheckName
	Version     uint64 // 1 to statement.MaxContractVersion
	Description string // one line, or empty
	Engine      string // Engine
	Match       Match
	Params      []Param // by name
	Variables   []Variable
	Validations []Validation // may be empty: the contract then refuses nothing
	Gate        []string     // checks that a gate has to make, in the order given
	Tests       []Test       // at least one where there are validations, and else none

	unclear bool // while it is read: there are problems with its match
}

// Param is a value that expressions see as params.NAME.
type Param struct {
	Name string

	// Value is a bool, int64, float64, string, or a list of one of these:
	// []bool, []int64, []float64, []string, not empty. A number is an int64
	// where it has no fraction; in a list, where none of its numbers has one.
	Value any
}

// Variable is an expression that those after it see as variables.NAME.
type Variable struct {
	Name       string
	Expression string
}

// Validation is a rule: an expression that has to be true.
type Validation struct {
	ID                string // [a-z0-9-], beginning with a letter or digit
	Expression        string
	Message           string // why it refuses; empty: MessageExpression says it
	MessageExpression string // empty where there is a Message
	Hint              string // what to do, or empty
}

// The checks that a document may demand of a gate, because a ledger cannot make
// them.
const (
	GateContents       = "contents"        // the contents were given, and have the fingerprint
	GateFresh          = "fresh"           // witnesses cosigned the checkpoint lately
	GateSeparateFiles  = "separate-files"  // no file of what it was evaluated on was in its training data
	GateWithdrawnFiles = "withdrawn-files" // no file of it, or of what it was made of, lies in withdrawn contents
)

// ParseDocument reads a document in its canonical form (RFC 8785). Whatever has
// another spelling, is unknown, given twice, missing or of no effect is refused
// with a [*CompileError] that names every place.
func ParseDocument(canonical []byte) (*Document, error) {
	return parseDocument(canonical, new(reader))
}

// parseDocument is ParseDocument with a reader.
func parseDocument(canonical []byte, r *reader) (*Document, error) {
	var whole strictjson.Raw
	if err := strictjson.UnmarshalNumbers(canonical, &whole, MaxDocument, maxDocumentDepth); err != nil {
		r.problem("", "", "%v", err)
		return nil, r.err()
	}
	if again, err := strictjson.Canonical(canonical); err != nil || !bytes.Equal(canonical, again) {
		r.problem("", "", "it is not in its canonical form (RFC 8785)")
		return nil, r.err()
	}
	d := readDocument(node{r: r, raw: whole})
	if err := r.err(); err != nil {
		return nil, err
	}
	return d, nil
}

func readDocument(n node) *Document {
	d := new(Document)
	top := n.object("apiVersion", "kind", "metadata", "spec")
	if n := top.need("apiVersion"); n.there() {
		n.check(oneOf(statement.ContractAPIVersion)(n.text()))
	}
	if n := top.need("kind"); n.there() {
		n.check(oneOf(statement.ContractDocumentKind)(n.text()))
	}
	if n := top.need("metadata"); n.there() {
		meta := n.object("name", "version", "description")
		d.Name = meta.need("name").text()
		if meta.has("name") {
			meta.get("name").check(statement.CheckName(d.Name))
		}
		d.Version = meta.need("version").count(1, statement.MaxContractVersion)
		d.Description = meta.get("description").line(MaxDescription)
	}
	if n := top.need("spec"); n.there() {
		d.readSpec(n.object("engine", "match", "params", "variables", "validations", "gate", "tests"))
	}
	return d
}

func (d *Document) readSpec(spec fields) {
	if n := spec.need("engine"); n.there() {
		d.Engine = n.text()
		if d.Engine != Engine {
			n.hint("write engine: "+Engine, "the engine %s is not known here", quoted(d.Engine))
		}
	}
	if n := spec.need("match"); n.there() {
		before := len(n.r.problems)
		d.Match = readMatch(n)
		d.unclear = len(n.r.problems) > before
	}
	for _, m := range spec.get("params").members(MaxParams) {
		checkIdentifier(m.node, m.name)
		d.Params = append(d.Params, Param{m.name, m.param()})
	}
	seen := make(map[string]bool)
	for _, n := range spec.get("variables").list(MaxVariables) {
		o := n.object("name", "expression")
		v := Variable{o.need("name").text(), o.need("expression").expression()}
		if o.has("name") {
			checkIdentifier(o.get("name"), v.Name)
			once(seen, o.get("name"), v.Name)
		}
		d.Variables = append(d.Variables, v)
	}
	d.readValidations(spec)
	if n := spec.get("gate"); n.there() {
		d.Gate = n.words(MaxMatch, oneOf(GateContents, GateFresh, GateSeparateFiles, GateWithdrawnFiles))
	}
	if !spec.r.untested {
		d.readTests(spec)
	}
}

// readValidations reads the rules. That there are none is written out: a list
// that was forgotten would look the same.
func (d *Document) readValidations(spec fields) {
	n := spec.need("validations")
	if string(n.raw) == "[]" {
		return
	}
	seen := make(map[string]bool)
	for _, n := range n.list(MaxValidations) {
		o := n.object("id", "expression", "message", "messageExpression", "hint")
		v := Validation{
			ID: o.need("id").text(), Expression: o.need("expression").expression(),
			Message: o.get("message").line(MaxMessage), MessageExpression: o.get("messageExpression").expression(),
			Hint: o.get("hint").line(MaxMessage),
		}
		if id := o.get("id"); id.there() {
			if !isID(v.ID) {
				id.problem("id %s: want a-z 0-9 - beginning with a letter or digit, at most %d bytes", quoted(v.ID), MaxIdentifier)
			}
			once(seen, id, v.ID)
		}
		switch {
		case o.has("message") && o.has("messageExpression"):
			o.get("messageExpression").problem("there is a message, too; one of them says why it refuses")
		case !o.has("message") && !o.has("messageExpression") && o.members != nil:
			o.hint("write a message for whoever is refused", "message or messageExpression is missing")
		}
		d.Validations = append(d.Validations, v)
	}
}

func (d *Document) readTests(spec fields) {
	n := spec.get("tests")
	if len(d.Validations) == 0 {
		if n.there() {
			n.problem("tests of a contract without validations: they could not fail")
		}
		return
	}
	seen := make(map[string]bool)
	for _, n := range spec.need("tests").list(MaxTests) {
		o := n.object("name", "given", "expect")
		t := Test{Name: o.need("name").line(MaxTestName)}
		if name := o.get("name"); name.there() {
			once(seen, name, t.Name)
		}
		t.Expect = d.readExpect(o.need("expect"))
		if given := o.need("given"); given.there() && !d.unclear { // what tests leave out is taken from the match
			t.Given = readGiven(given, &d.Match)
		}
		d.Tests = append(d.Tests, t)
	}
}

func (d *Document) readExpect(n node) (e Expect) {
	if !n.there() {
		return e
	}
	o := n.object("allow", "deny", "applies")
	for _, name := range []string{"allow", "applies"} {
		if m := o.get(name); m.there() && m.boolean() != (name == "allow") && (m.raw[0] == 't' || m.raw[0] == 'f') {
			m.problem("%s: %s; say what is expected with one of: allow: true, deny: [ids], applies: false", name, m.raw)
		}
	}
	e.Allow, e.Ignored = o.has("allow"), o.has("applies")
	var ids []string
	for _, v := range d.Validations {
		if v.ID != "" {
			ids = append(ids, v.ID)
		}
	}
	e.Deny = o.get("deny").words(MaxValidations, oneOf(ids...))
	if len(o.members) != 1 {
		o.problem("want exactly one of: allow: true, deny: [ids], applies: false")
	}
	return e
}

// once makes a problem of a name that was seen before.
func once(seen map[string]bool, n node, name string) {
	if seen[name] {
		n.problem("%s twice", quoted(name))
	}
	seen[name] = true
}

// expression reads the text of an expression: not empty, of at most
// MaxExpression bytes, without characters that make it look like another.
func (n node) expression() string {
	s := n.text()
	if !n.there() || n.raw[0] != '"' {
		return s
	}
	switch {
	case strings.TrimSpace(s) == "":
		n.problem("an empty expression")
	case len(s) > MaxExpression:
		n.problem("%d bytes, at most %d are allowed", len(s), MaxExpression)
	}
	for line := range strings.SplitSeq(s, "\n") {
		line = strings.ReplaceAll(line, "\t", " ")
		if line != "" && !n.check(checkText(line, len(line))) {
			break
		}
	}
	return s
}

// isID reports whether it is fit for the id of a validation.
func isID(s string) bool {
	for i := range len(s) {
		if c := s[i]; !('a' <= c && c <= 'z' || '0' <= c && c <= '9' || i > 0 && c == '-') {
			return false
		}
	}
	return s != "" && len(s) <= MaxIdentifier
}

// reservedWords are those that an expression cannot have as a name: the words
// and keywords of the CEL specification's lexis.
var reservedWords = []string{
	"as", "break", "const", "continue", "else", "false", "for", "function", "if", "import", "in", "let", "loop",
	"namespace", "null", "package", "return", "true", "var", "void", "while",
}

// checkIdentifier checks a name that expressions select: params.NAME.
func checkIdentifier(n node, name string) {
	for i := range len(name) {
		if c := name[i]; 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c == '_' && i > 0 || '0' <= c && c <= '9' && i > 0 {
			continue
		}
		name = ""
		break
	}
	switch {
	case name == "" || len(name) > MaxIdentifier:
		n.problem("a name is A-Z a-z 0-9 _ and begins with a letter, of at most %d bytes", MaxIdentifier)
	case slices.Contains(reservedWords, name):
		n.problem("%s is a word of the language; choose another name", name)
	}
}

// param reads the value of a param.
func (n node) param() any {
	if n.raw[0] != '[' {
		return n.scalar()
	}
	var values []any
	for _, item := range n.list(MaxParamValues) {
		v := item.scalar()
		if v == nil {
			return nil // said
		}
		values = append(values, v)
	}
	if len(values) == 0 {
		return nil
	}
	var list any
	ok := true
	switch values[0].(type) {
	case bool:
		list, ok = listOf[bool](values)
	case string:
		list, ok = listOf[string](values)
	case int64, float64:
		if list, ok = listOf[int64](values); !ok {
			list, ok = floats(values)
		}
	}
	if !ok {
		n.problem("a list has values of one type: truth values, numbers or texts")
	}
	return list
}

func listOf[T any](values []any) ([]T, bool) {
	list := make([]T, len(values))
	for i, v := range values {
		t, ok := v.(T)
		if !ok {
			return nil, false
		}
		list[i] = t
	}
	return list, true
}

func floats(values []any) ([]float64, bool) {
	list := make([]float64, len(values))
	for i, v := range values {
		switch v := v.(type) {
		case float64:
			list[i] = v
		case int64:
			list[i] = float64(v)
		default:
			return nil, false
		}
	}
	return list, true
}

// scalar reads a truth value, a number or a text; nil is a problem that was
// said.
func (n node) scalar() any {
	switch n.raw[0] {
	case 't', 'f':
		return n.boolean()
	case '"':
		s := n.text()
		if len(s) > MaxParamText {
			n.problem("%d bytes, at most %d are allowed", len(s), MaxParamText)
		}
		if s != "" && len(s) <= MaxParamText {
			n.check(checkText(s, MaxParamText))
		}
		return s
	case '{', '[':
		n.problem("want a truth value, a number, a text, or a list of one of these")
		return nil
	}
	text := string(n.raw)
	if i, err := strconv.ParseInt(text, 10, 64); err == nil {
		return i
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || math.Trunc(f) == f {
		n.check(fmt.Errorf("the number %s", text))
		return nil
	}
	return f
}
