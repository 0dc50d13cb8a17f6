package statement

import (
	"maps"
	"slices"
)

// Kinds returns every kind of statement that this version knows, sorted.
func Kinds() []Kind { return slices.Sorted(maps.Values(kinds)) }
