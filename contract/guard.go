package contract

import (
	"fmt"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/overloads"
	"cel.dev/cel-go/common/types"
)

// guard refuses what would make an expression come out differently on two
// machines, or cost more than it is charged for. What CEL itself checks is set
// in the environment; this is what it does not.
func (k *compiler) guard(source common.Source, checked *cel.Ast) {
	g := &guard{compiler: k, source: source, tree: checked.NativeRep()}
	g.visit(g.tree.Expr())
}

type guard struct {
	*compiler
	source  common.Source
	tree    *ast.AST
	refused bool
	added   int // lists added together
}

// refuse reports the first thing that is wrong; what follows from it would only
// confuse.
func (g *guard) refuse(e ast.Expr, hint, format string, args ...any) {
	if !g.refused {
		g.refused = true
		g.problem(g.source, g.tree.SourceInfo().GetStartLocation(e.ID()), fmt.Sprintf(format, args...), hint)
	}
}

// visit checks an expression and all in it.
func (g *guard) visit(e ast.Expr) {
	if g.refused {
		return
	}
	g.checkType(e)
	visit := func(list ...ast.Expr) {
		for _, e := range list {
			g.visit(e)
		}
	}
	switch e.Kind() {
	case ast.SelectKind:
		visit(e.AsSelect().Operand())
	case ast.CallKind:
		call := e.AsCall()
		g.checkCall(e, call)
		if call.IsMemberFunction() {
			visit(call.Target())
		}
		visit(call.Args()...)
	case ast.ListKind:
		g.checkLiteral(e, e.AsList().Elements())
		visit(e.AsList().Elements()...)
	case ast.MapKind:
		var all []ast.Expr
		for _, entry := range e.AsMap().Entries() {
			all = append(all, entry.AsMapEntry().Key(), entry.AsMapEntry().Value())
		}
		g.checkLiteral(e, all)
		visit(all...)
	case ast.StructKind:
		g.refuse(e, "look one up with ledger.artifact, or use one that is given", "a value of the type %s cannot be made by a rule", e.AsStruct().TypeName())
	case ast.ComprehensionKind:
		loop := e.AsComprehension()
		if t := g.tree.GetType(loop.IterRange().ID()); t.Kind() != types.ListKind {
			g.refuse(loop.IterRange(), "loop over a list of the keys that matter", "a loop over a %s: its order is not the same every time; only lists can be looped over", t)
		}
		visit(loop.IterRange(), loop.AccuInit(), loop.LoopCondition(), loop.LoopStep(), loop.Result())
	}
}

// checkType refuses values whose type is known only when they are there.
func (g *guard) checkType(e ast.Expr) {
	t := g.tree.GetType(e.ID())
	if e.Kind() == ast.ListKind && e.AsList().Size() == 0 || e.Kind() == ast.MapKind && e.AsMap().Size() == 0 {
		return // of nothing in particular
	}
	switch kind := dynamic(t); kind {
	case types.TypeKind:
		g.refuse(e, "", "a type is no value here")
	case types.DynKind:
		g.refuse(e, "give all its elements one type", "its type is not known: %s", t)
	}
}

// dynamic returns what about a type is not known before there is a value.
func dynamic(t *types.Type) types.Kind {
	switch t.Kind() {
	case types.DynKind, types.AnyKind, types.ErrorKind, types.UnspecifiedKind, types.TypeParamKind:
		return types.DynKind
	case types.TypeKind:
		return types.TypeKind
	}
	for _, p := range t.Parameters() {
		if kind := dynamic(p); kind != types.UnspecifiedKind {
			return kind
		}
	}
	return types.UnspecifiedKind
}

func (g *guard) checkCall(e ast.Expr, call ast.CallExpr) {
	args := call.Args()
	switch call.FunctionName() {
	case overloads.Matches:
		pattern := args[len(args)-1]
		if pattern.Kind() != ast.LiteralKind {
			g.refuse(pattern, "write the pattern out", "a regular expression that is not written out: its cost cannot be known")
		} else if text, ok := pattern.AsLiteral().Value().(string); ok && classed(text) {
			g.refuse(pattern, "write the characters out, as in [a-zA-Z]", "a class of Unicode (\\p): which characters are in it changes from year to year")
		}
	case operators.LogicalAnd, operators.LogicalOr:
		for _, a := range args {
			g.notConstant(a)
		}
	case operators.Conditional:
		g.notConstant(args[0])
	case operators.Add:
		// What a loop adds to its own result is not what a person added.
		if own := args[0].Kind() == ast.IdentKind && args[0].AsIdent()[0] == '@'; !own && g.tree.GetType(e.ID()).Kind() == types.ListKind {
			if g.added++; g.added > MaxConcatenations {
				g.refuse(e, "ask about each list on its own", "more than %d lists are added together", MaxConcatenations)
			}
		}
	}
}

// classed reports whether a regular expression has a class of Unicode.
func classed(pattern string) bool {
	for i := 0; i+1 < len(pattern); i++ {
		if pattern[i] == '\\' {
			if i++; pattern[i] == 'p' || pattern[i] == 'P' {
				return true
			}
		}
	}
	return false
}

// notConstant refuses a condition that is the same every time: it would be free,
// and a thousand of them would not.
func (g *guard) notConstant(e ast.Expr) {
	if e.Kind() == ast.LiteralKind && !g.made(e) {
		g.refuse(e, "leave it out", "a condition that is always %v", e.AsLiteral().Value())
	}
}

// made reports whether a macro made the expression.
func (g *guard) made(e ast.Expr) bool {
	_, written := g.tree.SourceInfo().GetOffsetRange(e.ID())
	return !written
}

// checkLiteral bounds a list or map whose elements are made each time it is come
// by: they are charged together.
func (g *guard) checkLiteral(e ast.Expr, parts []ast.Expr) {
	for _, p := range parts {
		if len(parts) > MaxLiteral && p.Kind() != ast.LiteralKind {
			g.refuse(e, "make it a param", "%d elements that are written out, not all of them constant: at most %d are allowed", len(parts), MaxLiteral)
			return
		}
	}
}
