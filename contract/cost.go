package contract

import (
	"fmt"
	"slices"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/cost"
	"cel.dev/cel-go/common/overloads"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
)

// What things cost, in units of about a tenth of a microsecond: what CEL charges
// for reading a field. They are part of the engine and never change with it.
const (
	priceRule     = 20     // for beginning to evaluate an expression
	priceLook     = 100    // for looking one entry or artifact up
	priceWalk     = 120    // for one artifact of a walk, its origins included
	priceStep     = 2      // for one origin or input on a walk
	priceItem     = 10     // for one element of what has been read
	priceOdds     = 200    // for the odds of an audit
	priceDocument = 10_000 // for reading a document
	priceRegexp   = 16     // for each byte that a regular expression is applied to
)

// costVersion is the revision of CEL's own prices.
const costVersion = 1

// sizing is how sizes are measured: of lists and maps with all that they hold,
// of texts in bytes. So what is compared is what is paid for. Estimates go by the
// length of a list, or a loop over texts would be taken for one over their bytes.
var sizing = cost.AggregateSizingStrategy(types.SizeCalculatorMaxDepth(8), types.SizeCalculatorMaxTraversal(1<<24))

// models price what CEL takes for free, or too little for: what goes through a
// whole text or list, and regular expressions by the largest that are let in.
var models = func() []cost.OverloadModel {
	scan := cost.EvalCost(cost.Sum(cost.Const(1), cost.Scale(cost.Arg(0), cost.StringTraversalCostFactor)))
	var list []cost.OverloadModel
	for _, id := range []string{
		overloads.SizeString, overloads.SizeStringInst,
		overloads.StringToBool, overloads.StringToDouble, overloads.StringToDuration, overloads.StringToInt,
		overloads.StringToTimestamp, overloads.StringToUint,
	} {
		if id == overloads.SizeStringInst {
			list = append(list, cost.MemberOverload(id, cost.EvalCost(cost.Sum(cost.Const(1), cost.Scale(cost.Target(), cost.StringTraversalCostFactor)))))
			continue
		}
		list = append(list, cost.Overload(id, scan))
	}
	for _, id := range []string{
		overloads.BoolToString, overloads.DoubleToString, overloads.DurationToString, overloads.IntToString,
		overloads.TimestampToString, overloads.UintToString,
	} {
		list = append(list, cost.Overload(id, cost.EvalCost(cost.Const(2)), cost.ResultSize(cost.Const(maxNumberText))))
	}
	return append(list,
		cost.Overload(overloads.StringToString, cost.EvalCost(cost.Const(1)), cost.ResultSize(cost.Arg(0))),
		cost.Overload(overloads.Matches, cost.EvalCost(cost.Scale(cost.Sum(cost.Arg(0), cost.Const(1)), priceRegexp))),
		cost.MemberOverload(overloads.MatchesString, cost.EvalCost(cost.Scale(cost.Sum(cost.Target(), cost.Const(1)), priceRegexp))),
	)
}()

// maxNumberText is the longest text of a number, a time or a duration.
const maxNumberText = 64

// chargeCall is how work is charged that CEL does not see: as a call of a
// function whose result is its price.
type chargeCall struct{}

// price is such a result. It is made once for an evaluation, and used again.
type price struct {
	ref.Val // nil: nobody looks at it
	units   uint64
}

const (
	chargeID = "stele_charge"

	// join(list, between), and list.join(between).
	joinID       = "stele_join_list_string"
	memberJoinID = "stele_list_join_string"
)

// Function implements cost.Call.
func (chargeCall) Function() string { return chargeID }

// OverloadID implements cost.Call.
func (chargeCall) OverloadID() string { return chargeID }

// meterOf is the tracker that each evaluation has a copy of.
var meterOf = func() *cost.Tracker {
	t, err := cost.NewTracker(nil,
		cost.ModelVersion(costVersion), cost.WithSizingStrategy(sizing), cost.Model(models...),
		cost.TrackerPresenceTestHasCost(true),
		cost.OverloadTracker(chargeID, func(_ []ref.Val, result ref.Val) *uint64 { return &result.(*price).units }),
		cost.OverloadTracker(joinID, joinPrice), cost.OverloadTracker(memberJoinID, joinPrice),
	)
	if err != nil {
		panic(fmt.Sprintf("contract: the prices: %v", err)) // they are constant
	}
	return t
}()

// joinPrice charges for every element, and for the text as CEL does.
func joinPrice(args []ref.Val, result ref.Val) *uint64 {
	n := 1 + cost.ActualSize(args[0])
	if s, ok := result.(types.String); ok {
		n += uint64(len(s)) / 10
	}
	return &n
}

// charge spends. It ends the evaluation of the expression if that is more than
// is left.
func (ev *evaluation) charge(n uint64) {
	ev.price.units = n
	ev.tracker.EvalZeroArity(nil, 0, chargeCall{}, ev.price)
}

// afford ends the evaluation, as charge does, if n is more than is left, and else
// spends nothing.
func (ev *evaluation) afford(n uint64) {
	if spent := ev.tracker.ActualCost(); spent > ev.limit || n > ev.limit-spent {
		ev.charge(n)
	}
}

// The ledger that an estimate is made for: larger than most, so that what passes
// on it is likely to pass on all, and not as large as formats allow, at which any
// loop in a loop would be too much.
const (
	usualLineage = 1_000 // ancestors of an artifact, and elements of a variable
	usualFound   = 20    // entries of a kind about an artifact
	usualText    = 256   // bytes of a text; a variable's: four times as many
	usualElement = 128   // bytes of a text in a list: a name, a fingerprint
	usualList    = 100   // elements of a list in a statement
	usualHandle  = 16    // bytes of a handle
)

// estimator knows how large values usually are, and what functions then cost.
type estimator struct{ params []Param }

// sizeOfParam returns how large a param is, or a text in it: that is known.
func (e estimator) sizeOfParam(path []string) *cost.SizeEstimate {
	if len(path) < 2 || path[0] != paramsName {
		return nil
	}
	i := slices.IndexFunc(e.params, func(p Param) bool { return p.Name == path[1] })
	if i < 0 {
		return nil
	}
	length, longest := 1, 1
	switch v := e.params[i].Value.(type) {
	case string:
		longest = len(v)
	case []string:
		length = len(v)
		for _, s := range v {
			longest = max(longest, len(s))
		}
	case []bool:
		length = len(v)
	case []int64:
		length = len(v)
	case []float64:
		length = len(v)
	default:
		return nil
	}
	size := length
	if _, text := e.params[i].Value.(string); text || len(path) > 2 {
		size = longest
	}
	return exactly(size)
}

// EstimateSize implements cost.Estimator.
func (e estimator) EstimateSize(n cost.AstNode) *cost.SizeEstimate {
	if size := e.sizeOfParam(n.Path()); size != nil {
		return size
	}
	if x := n.Expr(); x != nil {
		switch x.Kind() {
		case ast.LiteralKind, ast.ListKind, ast.MapKind:
			return nil
		}
	}
	if n.Type() == nil {
		return nil
	}
	path := n.Path()
	variable := len(path) > 0 && path[0] == variablesName
	switch n.Type().Kind() {
	case types.StringKind, types.BytesKind:
		switch {
		case len(path) > 0 && path[len(path)-1] == "@items":
			return exactly(usualElement)
		case variable:
			return exactly(4 * usualText)
		}
		return exactly(usualText)
	case types.ListKind, types.MapKind:
		if variable {
			return exactly(usualLineage)
		}
		return exactly(usualList)
	case types.StructKind:
		return exactly(1)
	}
	return nil
}

// exactly is a size that is taken for certain.
func exactly(n int) *cost.SizeEstimate {
	size := cost.FixedSizeEstimate(uint64(n))
	return &size
}

// EstimateCallCost implements cost.Estimator.
func (estimator) EstimateCallCost(_, id string, _ *cost.AstNode, _ []cost.AstNode) *cost.CallEstimate {
	if id == joinID || id == memberJoinID {
		return cost.NewCallEstimate(cost.FixedCostEstimate(usualLineage), exactly(4*usualText))
	}
	f, ok := functionsByID[id]
	if !ok {
		return nil
	}
	price := cost.FixedCostEstimate(1 + f.price)
	switch f.gives.Kind() {
	case types.StringKind:
		return cost.NewCallEstimate(price, exactly(usualHandle))
	case types.ListKind:
		elem := cost.FixedSizeEstimate(1)
		if f.gives.Parameters()[0].Kind() == types.StringKind {
			elem = cost.FixedSizeEstimate(usualHandle)
		}
		size := cost.ListSizeEstimate(cost.FixedSizeEstimate(f.list), elem)
		return cost.NewCallEstimate(price, &size)
	}
	return cost.NewCallEstimate(price, nil)
}

// estimate returns what an expression costs at worst on the ledger that
// estimates are made for; the largest uint64 where there is no bound.
func estimate(env *cel.Env, checked *cel.Ast, params []Param) (uint64, error) {
	e, err := env.EstimateCost(checked, estimator{params})
	return e.Max, err
}
