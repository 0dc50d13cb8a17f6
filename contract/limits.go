package contract


// Limits of an evaluation. Costs are in the units of the engine: one is about
// what a comparison costs. They are part of a ledger's rules, as the engine is.
const (
	// MaxCost is the most that all contracts in force together may spend on one
	// statement. Beyond it the rule that is being evaluated refuses, and so does
	// every rule after it.
	MaxCost = 10_000_000

	// MaxEstimate is the most that one expression may cost at worst, by its
	// estimate before it is ever evaluated. Beyond it the contract is refused.
	MaxEstimate = 1 << 50

	// MaxAncestors is the most ancestors that a rule may ask for: of a larger
	// lineage the call is an error.
	MaxAncestors = 10_000

	// MaxMemory is the most elements that the values of one expression may hold
	// at a time.
	MaxMemory = 1 << 20

	// MaxMessage is the longest message of a refusal, in bytes.
	MaxMessage = 1024
)

// Limits of a document.
const (
	// MaxDocument is the largest document in its canonical form, in bytes.
	MaxDocument = 48 << 10

	// MaxExpression is the longest expression, in bytes and in code points.
	MaxExpression = 8 << 10

	// MaxNodes is the most nodes that an expression may have in its syntax tree,
	// macros expanded.
	MaxNodes = 4096

	// MaxNesting is how deep an expression may nest.
	MaxNesting = 64

	// MaxRegexp is the largest program that a regular expression may compile to,
	// in instructions.
	MaxRegexp = 1024
)

