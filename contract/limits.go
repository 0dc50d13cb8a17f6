package contract

import "github.com/stele-ml/stele/statement"

// MaxDocument is the largest document in its canonical form, in bytes.
const MaxDocument = statement.MaxContract

// Limits of an evaluation. Costs are in the units of the engine: one is what
// reading a field costs, about a tenth of a microsecond. They are part of a
// ledger's rules, as the engine is.
const (
	// MaxCost is the most that all contracts in force together may spend on one
	// statement. Beyond it the rule that is being evaluated refuses, and so does
	// every rule after it.
	MaxCost = 10_000_000

	// MaxEstimate is the most that one expression may cost at worst on a large
	// ledger, as estimated before it is ever evaluated: a hundred times of what
	// there is to spend. Beyond it the contract is refused.
	MaxEstimate = 100 * MaxCost

	// MaxAncestors is the most ancestors that a rule may ask for: of a larger
	// lineage the call is an error.
	MaxAncestors = 10_000

	// MaxFound is the longest list that a function returns or a variable holds:
	// of a longer one the call is an error.
	MaxFound = 10_000

	// MaxText is the longest text that a variable holds or that join makes, in
	// bytes.
	MaxText = 64 << 10

	// MaxMessage is the longest message of a refusal, in bytes.
	MaxMessage = 1024
)

// Limits of an expression.
const (
	// MaxExpression is the longest expression, in code points.
	MaxExpression = 8 << 10

	// MaxNodes is the most nodes that an expression may have in its syntax tree,
	// macros expanded.
	MaxNodes = 2048

	// MaxNesting is how deep an expression may nest: in parentheses, lists and
	// calls, and in sums and choices, each of whose parts is in the next.
	MaxNesting = 64

	// MaxLoops is how many loops (all, exists, filter, map) may be in each other.
	MaxLoops = 2

	// MaxLiteral is how many elements a list or map may have that is written out,
	// where not all of them are constants.
	MaxLiteral = 64

	// MaxConcatenations is how many lists an expression may add together.
	MaxConcatenations = 16

	// MaxRegexp is the largest program that a regular expression may compile to,
	// in instructions.
	MaxRegexp = 256
)
