package contract

import (
	"fmt"
	"sync"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/env"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/overloads"
	"cel.dev/cel-go/ext"
)

// standard is what the engine has of CEL's standard library: everything but
// time zones other than UTC, which depend on what a machine has of them, and
// what makes values of no known type: dyn() and type().
func standard() *env.LibrarySubset {
	function := func(name string, ids ...string) *env.Function {
		f := &env.Function{Name: name}
		for _, id := range ids {
			f.Overloads = append(f.Overloads, &env.Overload{ID: id})
		}
		return f
	}
	return env.NewLibrarySubset().AddIncludedMacros(
		operators.Has, operators.All, operators.Exists, operators.ExistsOne, "existsOne", operators.Map, operators.Filter,
	).AddIncludedFunctions(
		function(operators.Conditional), function(operators.LogicalAnd), function(operators.LogicalOr), function(operators.LogicalNot),
		function(operators.NotStrictlyFalse), function(operators.Equals), function(operators.NotEquals),
		function(operators.Add), function(operators.Subtract), function(operators.Multiply), function(operators.Divide),
		function(operators.Modulo), function(operators.Negate),
		function(operators.Less), function(operators.LessEquals), function(operators.Greater), function(operators.GreaterEquals),
		function(operators.Index), function(operators.In), function(overloads.Size),
		function(overloads.TypeConvertBool), function(overloads.TypeConvertDouble), function(overloads.TypeConvertInt),
		function(overloads.TypeConvertUint), function(overloads.TypeConvertString),
		function(overloads.TypeConvertDuration), function(overloads.TypeConvertTimestamp),
		function(overloads.Contains), function(overloads.EndsWith), function(overloads.StartsWith),
		function(overloads.Matches, overloads.Matches, overloads.MatchesString),
		function(overloads.TimeGetFullYear, overloads.TimestampToYear),
		function(overloads.TimeGetMonth, overloads.TimestampToMonth),
		function(overloads.TimeGetDayOfYear, overloads.TimestampToDayOfYear),
		function(overloads.TimeGetDayOfMonth, overloads.TimestampToDayOfMonthZeroBased),
		function(overloads.TimeGetDate, overloads.TimestampToDayOfMonthOneBased),
		function(overloads.TimeGetDayOfWeek, overloads.TimestampToDayOfWeek),
		function(overloads.TimeGetHours, overloads.TimestampToHours, overloads.DurationToHours),
		function(overloads.TimeGetMinutes, overloads.TimestampToMinutes, overloads.DurationToMinutes),
		function(overloads.TimeGetSeconds, overloads.TimestampToSeconds, overloads.DurationToSeconds),
		function(overloads.TimeGetMilliseconds, overloads.TimestampToMilliseconds, overloads.DurationToMilliseconds),
	)
}

// What the params and the variables of a contract are fields of.
const (
	paramsName    = "params"
	variablesName = "variables"
)

// frozen is the environment cel/1. Nothing of it may change: an entry that was
// admitted has to be admitted again by whoever replays the ledger, with the same
// words and the same cost.
var frozen = sync.OnceValues(func() (*cel.Env, error) {
	options := []cel.EnvOption{
		cel.CustomTypeAdapter(adapter),
		cel.CustomTypeProvider(&provider{}),
		cel.StdLib(cel.StdLibSubset(standard())),
		ext.Sets(),
		cel.CrossTypeNumericComparisons(true),
		cel.DefaultUTCTimeZone(true),
		cel.StrictTimestampParsing(true),
		cel.EnableHiddenAccumulatorName(true),
		cel.EagerlyValidateDeclarations(true),

		cel.ParserExpressionSizeLimit(MaxExpression),
		cel.ParserRecursionLimit(MaxNesting),
		cel.ParserErrorRecoveryLimit(8),
		cel.ExpressionNodeLimit(MaxNodes),
		cel.RegexProgramSizeLimit(MaxRegexp),

		cel.ASTValidators(
			cel.ValidateRegexLiterals(), cel.ValidateDurationLiterals(), cel.ValidateTimestampLiterals(),
			cel.ValidateHomogeneousAggregateLiterals(), cel.ValidateComprehensionNestingLimit(MaxLoops),
		),
		cel.CostModelVersion(costVersion),
		cel.CostModel(models...),

		cel.Variable("statement", statementClass.typ),
		cel.Variable("subject", artifactClass.typ),
		cel.Variable("signer", signerClass.typ),
		cel.Variable("entry", entryClass.typ),
		cel.Variable("ledger", ledgerClass.typ),
		cel.Variable(paramsName, paramsClass.typ),
		cel.Variable(variablesName, variablesClass.typ),
	}
	e, err := cel.NewCustomEnv(append(options, functionOptions()...)...)
	if err != nil {
		return nil, fmt.Errorf("the environment %s: %w", Engine, err)
	}
	return e, nil
})
