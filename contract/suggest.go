package contract

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
)

// globals are what an expression sees, and of what type.
var globals = map[string]*class{
	"statement": statementClass, "subject": artifactClass, "signer": signerClass, "entry": entryClass,
	"ledger": ledgerClass, "params": paramsClass, "variables": variablesClass,
}

// plainFunctions are the functions that are called without the ledger, or on a
// value.
var plainFunctions = []string{
	"size", "has", "all", "exists", "exists_one", "filter", "map", "contains", "startsWith", "endsWith", "matches", "join",
	"bool", "int", "uint", "double", "string", "duration", "timestamp",
	"getFullYear", "getMonth", "getDate", "getDayOfMonth", "getDayOfWeek", "getDayOfYear", "getHours", "getMinutes", "getSeconds", "getMilliseconds",
	"sets.contains", "sets.intersects", "sets.equivalent",
}

// missing says what to write in place of what others have and this engine has
// not.
var missing = map[string]string{
	"now":  "the only time is that of the entry: entry.time",
	"dyn":  "every value has a type here",
	"type": "every value has a type here",
}

// suggester finds out what may have been meant in an expression that is not
// right: what is around the place, and of what type, as far as that can be told.
type suggester struct {
	*compiler
	whole ast.Expr               // nil: it cannot be parsed
	vars  map[string]*types.Type // of the loops around the place
}

func (k *compiler) suggester(source common.Source) *suggester {
	s := &suggester{compiler: k}
	if parsed, issues := k.env.ParseSource(source); issues.Err() == nil {
		s.whole = parsed.NativeRep().Expr()
	}
	return s
}

// hint returns what may have been meant, or "".
func (s *suggester) hint(e *cel.Error) string {
	if s.whole == nil {
		return ""
	}
	s.vars = make(map[string]*types.Type)
	found := s.find(s.whole, e.ExprID)
	if found == nil {
		return ""
	}
	name := between(e.Message, "'", "'")
	switch {
	case strings.HasPrefix(e.Message, "undefined field") && found.Kind() == ast.SelectKind:
		return s.field(found, name)
	case strings.HasPrefix(e.Message, "undeclared reference"):
		return s.reference(found, name)
	case strings.HasPrefix(e.Message, "found no matching overload"):
		return otherwise(name, e.Message)
	}
	return ""
}

func between(s, open, shut string) string {
	_, s, _ = strings.Cut(s, open)
	s, _, _ = strings.Cut(s, shut)
	return s
}

// find returns the expression with that id.
func (s *suggester) find(e ast.Expr, id int64) ast.Expr {
	if e.ID() == id {
		return e
	}
	var parts []ast.Expr
	switch e.Kind() {
	case ast.SelectKind:
		parts = append(parts, e.AsSelect().Operand())
	case ast.CallKind:
		if e.AsCall().IsMemberFunction() {
			parts = append(parts, e.AsCall().Target())
		}
		parts = append(parts, e.AsCall().Args()...)
	case ast.ListKind:
		parts = e.AsList().Elements()
	case ast.MapKind:
		for _, entry := range e.AsMap().Entries() {
			parts = append(parts, entry.AsMapEntry().Key(), entry.AsMapEntry().Value())
		}
	case ast.ComprehensionKind:
		loop := e.AsComprehension()
		if found := s.find(loop.IterRange(), id); found != nil {
			return found
		}
		outer, hidden := s.vars[loop.IterVar()]
		s.vars[loop.IterVar()] = element(s.typeOf(loop.IterRange()))
		for _, part := range []ast.Expr{loop.AccuInit(), loop.LoopCondition(), loop.LoopStep(), loop.Result()} {
			if found := s.find(part, id); found != nil {
				return found
			}
		}
		if delete(s.vars, loop.IterVar()); hidden {
			s.vars[loop.IterVar()] = outer
		}
		return nil
	}
	for _, part := range parts {
		if found := s.find(part, id); found != nil {
			return found
		}
	}
	return nil
}

// element returns the type of a list's elements, or of a map's values.
func element(t *types.Type) *types.Type {
	if t == nil || len(t.Parameters()) == 0 {
		return nil
	}
	return t.Parameters()[len(t.Parameters())-1]
}

// typeOf returns the type of an expression, or nil.
func (s *suggester) typeOf(e ast.Expr) *types.Type {
	switch e.Kind() {
	case ast.IdentKind:
		if t, ok := s.vars[e.AsIdent()]; ok {
			return t
		}
		if c, ok := globals[e.AsIdent()]; ok {
			return c.typ
		}
	case ast.SelectKind:
		if c := s.classOf(e.AsSelect().Operand()); c != nil {
			if f, ok := c.field(e.AsSelect().FieldName()); ok {
				return f.typ
			}
		}
	case ast.CallKind:
		call := e.AsCall()
		if call.FunctionName() == operators.Index {
			return element(s.typeOf(call.Args()[0]))
		}
		for _, f := range functions {
			if f.name == call.FunctionName() {
				return f.gives
			}
		}
	case ast.ComprehensionKind:
		// What filter makes is of the type of what it is made of.
		loop := e.AsComprehension()
		if step := loop.LoopStep(); loop.AccuInit().Kind() == ast.ListKind && step.Kind() == ast.CallKind && step.AsCall().FunctionName() == operators.Conditional {
			return s.typeOf(loop.IterRange())
		}
	}
	return nil
}

func (s *suggester) classOf(e ast.Expr) *class {
	t := s.typeOf(e)
	if t == nil || t.Kind() != types.StructKind {
		return nil
	}
	c, _ := s.classes.class(t.TypeName())
	return c
}

// field suggests one for a field that is not there.
func (s *suggester) field(e ast.Expr, name string) string {
	c := s.classOf(e.AsSelect().Operand())
	if c == nil {
		return ""
	}
	names := c.names()
	switch near := nearest(name, names); {
	case near != "":
		return "did you mean " + near + "?"
	case c == ledgerClass && slices.Contains(functionNames(), name):
		return signatures(name)
	case c.name == variablesClass.name && len(names) == 0:
		return "there are no variables before this one"
	case c.name == variablesClass.name:
		return "the variables before this one are " + strings.Join(names, ", ")
	case c.name == paramsClass.name && len(names) == 0:
		return "the contract has no params"
	case c.name == paramsClass.name:
		return "the params are " + strings.Join(names, ", ")
	case len(names) == 0:
		return ""
	}
	return c.name + " has " + strings.Join(names, ", ")
}

// reference suggests a name for one that is not there.
func (s *suggester) reference(e ast.Expr, name string) string {
	if hint, ok := missing[name]; ok {
		return hint
	}
	if e.Kind() == ast.CallKind {
		return s.function(e.AsCall(), name)
	}
	if _, param := s.own(paramsClass).field(name); param {
		return "did you mean params." + name + "?"
	}
	if _, variable := s.own(variablesClass).field(name); variable {
		return "did you mean variables." + name + "?"
	}
	known := slices.Concat(slices.Sorted(maps.Keys(s.vars)), slices.Sorted(maps.Keys(globals)))
	if near := nearest(name, known); near != "" {
		return "did you mean " + near + "?"
	}
	for _, of := range []string{"subject", "statement", "signer", "entry"} {
		if near := nearest(name, globals[of].names()); near != "" {
			return "did you mean " + of + "." + near + "?"
		}
	}
	if slices.Contains(functionNames(), name) {
		return signatures(name)
	}
	return "an expression sees " + strings.Join(slices.Sorted(maps.Keys(globals)), ", ")
}

// own returns the contract's own class of that name.
func (s *suggester) own(c *class) *class {
	own, _ := s.classes.class(c.name)
	return own
}

func (s *suggester) function(call ast.CallExpr, name string) string {
	onLedger := call.IsMemberFunction() && s.classOf(call.Target()) == ledgerClass
	if call.IsMemberFunction() {
		if c := s.classOf(call.Target()); c != nil && c != ledgerClass {
			if near := nearest(name, c.names()); near != "" {
				return "did you mean the field " + near + ", without parentheses?"
			}
		}
	}
	if !onLedger {
		if near := nearest(name, plainFunctions); near != "" {
			return "did you mean " + near + "?"
		}
	}
	if near := nearest(name, functionNames()); near != "" {
		return "did you mean " + signatures(near) + "?"
	}
	if onLedger {
		return "the ledger's functions are " + strings.Join(functionNames(), ", ")
	}
	return ""
}

// functionNames are those of the ledger's functions, in order.
func functionNames() []string {
	var names []string
	for _, f := range functions {
		names = append(names, f.name)
	}
	return slices.Compact(names)
}

// signatures says how a function of the ledger's is called.
func signatures(name string) string {
	var ways []string
	for _, f := range functions {
		if f.name == name {
			ways = append(ways, fmt.Sprintf("ledger.%s(%s)", name, f.form))
		}
	}
	return strings.Join(ways, " or ")
}

// otherwise says how to call what was called with other things than it takes.
func otherwise(name, message string) string {
	given := between(message, "applied to '", "'")
	switch {
	case slices.Contains(functionNames(), name):
		return "it is called as " + signatures(name)
	case strings.HasPrefix(name, "get") && strings.HasSuffix(given, "(string)"):
		return "times are in UTC, as a machine's time zones are its own: call it with nothing"
	case strings.Contains(given, "int") && strings.Contains(given, "double"):
		return "make both of one type: double(…) or int(…)"
	}
	return ""
}
