package contract

import (
	"crypto/sha256"
	"fmt"
	"math"
	"slices"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"

	"github.com/stele-ml/stele/statement"
)

// Engine is the id of the environment that expressions are checked and
// evaluated in. It is frozen: what it accepts, answers and charges never
// changes. Another environment has another id.
const Engine = "cel/1"

// Contract is a document whose expressions are compiled. It does not change and
// may be used by many goroutines at a time.
type Contract struct {
	document  *Document
	digest    [32]byte
	id        string
	params    *object   // of a class of the contract's own
	variables []program // as in the document
	rules     []rule    // of the validations, as in the document

	variablesClass *class
	untested       bool // its tests were not read
}

// program is an expression that is ready to be evaluated.
type program struct {
	cel.Program
	gives *types.Type
}

// rule is a validation that is ready to be evaluated.
type rule struct {
	*Validation
	holds   program
	message *program // or nil
}

// Compile parses a document in its canonical form and compiles its expressions.
// Whatever is wrong with either is told in a [*CompileError].
func Compile(canonical []byte) (*Contract, error) {
	doc, err := ParseDocument(canonical)
	if err != nil {
		return nil, err
	}
	return compile(doc, canonical)
}

// CompileAdmitted compiles a document that a ledger has admitted: its own tests
// held then, and to read them takes about as long as to compile its rules, so
// they are left out. Everything else is as Compile has it. There are no tests in
// its Document, RunTests is an error, and Warnings, which rest on tests, are none.
func CompileAdmitted(canonical []byte) (*Contract, error) {
	doc, err := parseDocument(canonical, &reader{untested: true})
	if err != nil {
		return nil, err
	}
	c, err := compile(doc, canonical)
	if err == nil {
		c.untested = true
	}
	return c, err
}

// compile compiles the expressions of a document.
func compile(doc *Document, canonical []byte) (*Contract, error) {
	base, err := frozen()
	if err != nil {
		return nil, err
	}
	c := &Contract{document: doc, digest: sha256.Sum256(canonical), id: statement.ContractID(doc.Name, doc.Version)}
	own := c.declare()
	env, err := base.Extend(cel.CustomTypeProvider(own))
	if err != nil {
		return nil, fmt.Errorf("the environment %s: %w", Engine, err)
	}
	k := &compiler{env: env, classes: own, params: doc.Params, broken: make(map[string]bool)}
	for i, v := range doc.Variables {
		k.path = fmt.Sprintf("spec.variables[%d].expression", i)
		p, ok := k.compile(v.Expression, nil)
		if !ok {
			k.broken[v.Name] = true
		}
		c.variables = append(c.variables, p)
		if ok {
			c.variablesClass.fields = append(c.variablesClass.fields, field{v.Name, p.gives, func(o *object) ref.Val { return o.in.(*scope).variable(i) }})
		}
	}
	for i := range doc.Validations {
		v := &doc.Validations[i]
		r := rule{Validation: v}
		k.path = fmt.Sprintf("spec.validations[%d].expression", i)
		r.holds, _ = k.compile(v.Expression, types.BoolType)
		if v.MessageExpression != "" {
			k.path = fmt.Sprintf("spec.validations[%d].messageExpression", i)
			message, _ := k.compile(v.MessageExpression, types.StringType)
			r.message = &message
		}
		c.rules = append(c.rules, r)
	}
	if len(k.problems) > 0 {
		return nil, &CompileError{k.problems}
	}
	return c, nil
}

// declare makes the classes of params and variables. The latter gets its fields
// as they are compiled, so that each sees those before it.
func (c *Contract) declare() *provider {
	params := newClass(paramsClass.name)
	for _, p := range c.document.Params {
		value, typ := paramValue(p.Value)
		params.fields = append(params.fields, field{p.Name, typ, func(*object) ref.Val { return value }})
	}
	c.params = &object{class: params, in: c}
	c.variablesClass = newClass(variablesClass.name)
	return &provider{own: map[string]*class{params.name: params, c.variablesClass.name: c.variablesClass}}
}

// paramValue returns a param as CEL has it.
func paramValue(value any) (ref.Val, *types.Type) {
	switch v := value.(type) {
	case bool:
		return types.Bool(v), types.BoolType
	case int64:
		return types.Int(v), types.IntType
	case float64:
		return types.Double(v), types.DoubleType
	case string:
		return types.String(v), types.StringType
	case []bool:
		return paramList(v, types.BoolType)
	case []int64:
		return paramList(v, types.IntType)
	case []float64:
		return paramList(v, types.DoubleType)
	case []string:
		return paramList(v, types.StringType)
	}
	panic(fmt.Sprintf("contract: a param of type %T", value)) // not of ParseDocument
}

func paramList[T any](list []T, elem *types.Type) (ref.Val, *types.Type) {
	vals := make([]ref.Val, len(list))
	for i, v := range list {
		vals[i], _ = paramValue(v)
	}
	return values(vals), types.NewListType(elem)
}

// compiler compiles the expressions of one contract.
type compiler struct {
	env      *cel.Env
	classes  *provider
	params   []Param
	broken   map[string]bool // variables that did not compile
	path     string          // in the document, of the expression
	problems []Problem
}

// compile checks an expression and makes it ready. A type that is wanted, and not
// had, is a problem, too.
func (k *compiler) compile(expression string, want *types.Type) (program, bool) {
	source := common.NewStringSource(expression, k.path)
	checked, issues := k.env.CompileSource(source)
	if issues.Err() != nil {
		k.report(source, issues)
		return program{}, false
	}
	before := len(k.problems)
	k.guard(source, checked)
	gives := checked.OutputType()
	if want != nil && !gives.IsExactType(want) && before == len(k.problems) {
		k.problem(source, common.NewLocation(1, 0), fmt.Sprintf("it is of type %s, and has to be %s", gives, want), "")
	}
	if len(k.problems) > before {
		return program{}, false
	}
	if worst, err := estimate(k.env, checked, k.params); err != nil || worst > MaxEstimate {
		message, hint := "what it costs has no bound", ""
		if worst < math.MaxUint64 {
			message = fmt.Sprintf("on a large ledger it may cost %s, and %s is the most", marked(worst), marked(MaxEstimate))
			hint = "look at fewer things: no call of the ledger in a loop in a loop over ancestors"
		}
		k.problem(source, common.NewLocation(1, 0), message, hint)
		return program{}, false
	}
	// Optimising compiles regular expressions and makes constants of lists once.
	p, err := k.env.Program(checked, cel.EvalOptions(cel.OptOptimize))
	if err != nil {
		k.problem(source, k.failing(checked.NativeRep()), plainLine(err.Error()), "")
		return program{}, false
	}
	return program{p, gives}, true
}

// failing finds the innermost part of an expression that CEL cannot make ready, as
// a constant that overflows: it does not say which.
func (k *compiler) failing(tree *ast.AST) common.Location {
	where := common.Location(common.NewLocation(1, 0))
	found := false
	ast.PostOrderVisit(tree.Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		if found || e.Kind() != ast.CallKind {
			return
		}
		part := ast.NewCheckedAST(ast.NewAST(e, tree.SourceInfo()), tree.TypeMap(), tree.ReferenceMap())
		if _, err := k.env.PlanProgram(part, cel.EvalOptions(cel.OptOptimize)); err != nil {
			where, found = tree.SourceInfo().GetStartLocation(e.ID()), true
		}
	}))
	return where
}

// maxOfExpression is how many problems an expression is told: those after them
// are mostly the same again.
const maxOfExpression = 5

// report adds what CEL has to say, each thing once.
func (k *compiler) report(source common.Source, issues *cel.Issues) {
	suggest := k.suggester(source)
	seen := make(map[string]bool)
	for _, e := range issues.Errors() {
		if k.echo(e) || seen[e.Message] || len(seen) == maxOfExpression {
			continue
		}
		seen[e.Message] = true
		said, guess := celSuggests(strings.ReplaceAll(e.Message, " (in container '')", ""))
		hint := suggest.hint(e)
		switch {
		case strings.Contains(said, "recursion"), strings.Contains(said, "expression node"):
			hint = "make variables of its parts"
		case strings.Contains(e.Message, enableWith):
			hint = "that is no part of " + Engine
			if strings.Contains(e.Message, "optional") {
				hint = "there are no optional values here: has(…) and `in` ask whether something is there"
			}
		case guess != "" && hint == "":
			hint = "did you mean " + guess + "?"
		}
		k.problem(source, e.Location, said, hint)
	}
}

// enableWith begins what a host of CEL could switch on, and nobody can here.
const enableWith = "enable with `"

// celSuggests cuts off what CEL suggests, which does not know what of it is there
// for rules, and returns what it says and the names that it suggests.
func celSuggests(message string) (said, guess string) {
	if said, _, ok := strings.Cut(message, " ("+enableWith); ok {
		return said, ""
	}
	said, guess, _ = strings.Cut(message, " (did you mean '")
	guess, ok := strings.CutSuffix(guess, "'?)")
	if !ok {
		return said, ""
	}
	return said, strings.ReplaceAll(guess, "' or '", " or ")
}

// echo reports whether an error only follows from a variable that did not
// compile, which has been told.
func (k *compiler) echo(e *cel.Error) bool {
	name, ok := strings.CutPrefix(e.Message, "undefined field '")
	return ok && k.broken[strings.TrimSuffix(name, "'")]
}

// problem adds a problem at a place in the expression: CEL counts lines from 1
// and columns from 0.
func (k *compiler) problem(source common.Source, where common.Location, message, hint string) {
	line, column := max(where.Line(), 1), max(where.Column(), 0)
	if text, ok := source.Snippet(line); ok {
		message += "\n" + pointedAt([]rune(text), column)
	}
	k.problems = append(k.problems, Problem{Path: k.path, Line: line, Column: column + 1, Message: message, Hint: hint})
}

// pointedAt shows a line with a caret under a column, as CEL does; of a long line
// what is around it.
func pointedAt(line []rune, column int) string {
	const width = 72
	if len(line) > width {
		from := min(max(column-width/2, 0), len(line)-width)
		to := from + width
		more := to < len(line)
		line, column = slices.Clone(line[from:to]), column-from
		if from > 0 {
			line[0] = '…'
		}
		if more {
			line[width-1] = '…'
		}
	}
	return " | " + string(line) + "\n | " + strings.Repeat(".", min(column, len(line))) + "^"
}

// ID returns the contract's name and version: production@3.
func (c *Contract) ID() string { return c.id }

// Name returns the contract's name.
func (c *Contract) Name() string { return c.document.Name }

// Version returns the contract's version.
func (c *Contract) Version() uint64 { return c.document.Version }

// Digest returns the SHA-256 of the document.
func (c *Contract) Digest() [32]byte { return c.digest }

// Document returns the document, which is shared and not to be changed.
func (c *Contract) Document() *Document { return c.document }

// CompileError says what is wrong with a contract.
type CompileError struct {
	Problems []Problem // at least one, in the order of the document
}

// Error returns all problems, each as a block of lines.
func (e *CompileError) Error() string {
	var b strings.Builder
	for i, p := range e.Problems {
		if i > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(p.Place())
		b.WriteString(p.Message)
		if p.Hint != "" {
			b.WriteString("\nhint: " + p.Hint)
		}
	}
	return b.String()
}

// Problem is one thing that is wrong with a document or an expression of it.
type Problem struct {
	Path    string // in the document: spec.validations[1].expression; empty: all of it
	Line    int    // of the expression, from 1; 0: the problem is not in one
	Column  int    // of the line, in code points, from 1
	Message string // of an expression: CEL's own, then the line and a caret under the place
	Hint    string // what may have been meant, or empty
}

// Place returns where the problem is, with a colon and a space behind it; empty
// for one of the whole document.
func (p Problem) Place() string {
	switch {
	case p.Path == "":
		return ""
	case p.Line == 0:
		return p.Path + ": "
	}
	return fmt.Sprintf("%s:%d:%d: ", p.Path, p.Line, p.Column)
}
