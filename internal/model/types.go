package model

import (
	"math/bits"
	"slices"
	"strings"
)

// dataTypes are the safetensors data types with their bits per element, in the
// order of the reference implementation's enumeration (safetensors 0.7,
// tensor.rs, Dtype): by alignment.
var dataTypes = []struct {
	name string
	bits uint64
}{
	{"BOOL", 8},
	{"F4", 4}, {"F6_E2M3", 6}, {"F6_E3M2", 6},
	{"U8", 8}, {"I8", 8}, {"F8_E5M2", 8}, {"F8_E4M3", 8}, {"F8_E8M0", 8}, {"F8_E4M3FNUZ", 8}, {"F8_E5M2FNUZ", 8},
	{"I16", 16}, {"U16", 16}, {"F16", 16}, {"BF16", 16},
	{"I32", 32}, {"U32", 32}, {"F32", 32}, {"C64", 64}, {"F64", 64}, {"I64", 64}, {"U64", 64},
}

// typeRank is the place of a data type in dataTypes, or -1.
func typeRank(name string) int {
	for i, t := range dataTypes {
		if t.name == name {
			return i
		}
	}
	return -1
}

// elements multiplies a shape: a scalar has one. ok is false where that is more
// than 64 bits hold, at any step, as the reference implementation has it.
func elements(shape []uint64) (n uint64, ok bool) {
	n = 1
	for _, d := range shape {
		hi, lo := bits.Mul64(n, d)
		if hi != 0 {
			return 0, false
		}
		n = lo
	}
	return n, true
}

// sizeOf is how many bytes so many elements of a type take. ok is false where
// they do not end with a byte, or are more than 64 bits hold.
func sizeOf(count uint64, rank int) (bytes uint64, ok bool) {
	hi, lo := bits.Mul64(count, dataTypes[rank].bits)
	return lo / 8, hi == 0 && lo%8 == 0
}

// TypeCount is what a model has of one data type.
type TypeCount struct {
	Type       string // as the format spells it: F32, BF16
	Tensors    uint64
	Parameters uint64 // elements
	Bytes      uint64
}

// addTypes adds counts to others, largest share of the parameters first.
func addTypes(to, add []TypeCount) []TypeCount {
	for _, a := range add {
		i := slices.IndexFunc(to, func(t TypeCount) bool { return t.Type == a.Type })
		if i < 0 {
			to = append(to, a)
			continue
		}
		to[i].Tensors = sum(to[i].Tensors, a.Tensors)
		to[i].Parameters = sum(to[i].Parameters, a.Parameters)
		to[i].Bytes = sum(to[i].Bytes, a.Bytes)
	}
	slices.SortFunc(to, func(a, b TypeCount) int {
		switch {
		case a.Parameters > b.Parameters:
			return -1
		case a.Parameters < b.Parameters:
			return 1
		}
		return strings.Compare(a.Type, b.Type)
	})
	return to
}

// sum adds, and stays at the largest number rather than begin anew: the parts
// were checked against their files, the whole is a count to be shown.
func sum(a, b uint64) uint64 {
	if s, carry := bits.Add64(a, b, 0); carry == 0 {
		return s
	}
	return ^uint64(0)
}
