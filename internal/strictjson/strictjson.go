// Package strictjson reads JSON in the one way that two readers cannot
// understand differently, and writes it in one way.
//
// What it refuses, beyond what RFC 8259 already forbids: duplicate member
// names, members the Go type does not have (so also names that differ only in
// case), invalid UTF-8 and unpaired surrogates, anything after the value,
// null (what is absent is left out), numbers that are not integers between 0
// and 2^53-1 written in their shortest form, and documents larger or deeper
// than the caller's named limits.
//
// [UnmarshalNumbers] lets negative numbers and fractions through besides.
// What other programs wrote, and would write otherwise, is read by
// [UnmarshalForeign], which keeps to what keeps two readers of one mind.
//
// It is the only package of the core that imports the JSON library.
package strictjson

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// MaxInteger is the largest number accepted: 2^53-1, the last integer every
// JSON implementation holds exactly (RFC 8259 section 6, RFC 7493 section 2.2).
const MaxInteger = 1<<53 - 1

// ErrLimit is matched by errors.Is when a document is larger or deeper than
// the limits given to [Unmarshal].
var ErrLimit = errors.New("json: limit exceeded")

// Raw is a JSON value kept as its bytes, to be decoded once its type is known.
type Raw = jsontext.Value

// Unmarshal decodes data, one JSON value of at most maxBytes bytes and at most
// maxDepth nested objects and arrays (a lone string has depth 0), into v.
func Unmarshal(data []byte, v any, maxBytes, maxDepth int) error {
	return unmarshal(data, v, maxBytes, maxDepth, checkInteger)
}

// UnmarshalNumbers is [Unmarshal] for documents in which people write numbers:
// besides integers it takes negative ones and fractions, each in the one
// spelling that RFC 8785 section 3.2.2.3 gives its double, between
// -MaxInteger and MaxInteger. Where the Go type is an integer, a fraction is
// refused as ever.
func UnmarshalNumbers(data []byte, v any, maxBytes, maxDepth int) error {
	return unmarshal(data, v, maxBytes, maxDepth, checkNumber)
}

func unmarshal(data []byte, v any, maxBytes, maxDepth int, number func([]byte) error) error {
	if len(data) > maxBytes {
		return fmt.Errorf("%w: %d bytes, at most %d are allowed", ErrLimit, len(data), maxBytes)
	}
	if err := scan(data, maxDepth, number); err != nil {
		return err
	}
	return explain(json.Unmarshal(data, v, json.RejectUnknownMembers(true)))
}

// UnmarshalForeign decodes JSON of a format that is not ours: it refuses what
// two readers could understand differently (duplicate names, invalid UTF-8,
// anything after the value) and what exceeds the limits, which are as for
// [Unmarshal]. Members that the Go type does not have are passed over, names
// that differ only in case are other names, null is as if the member were not
// there, and numbers may have any form that the Go type can hold. Where such a
// format allows no other members, decode into a map and look at its names.
func UnmarshalForeign(data []byte, v any, maxBytes, maxDepth int) error {
	if len(data) > maxBytes {
		return fmt.Errorf("%w: %d bytes, at most %d are allowed", ErrLimit, len(data), maxBytes)
	}
	if err := checkDepth(data, maxDepth); err != nil {
		return err
	}
	return explain(json.Unmarshal(data, v))
}

// explain says what is wrong without the names of Go types, without bytes that a
// terminal would obey, and always in the same words: a refusal is part of what
// two machines must agree on, and the library's own texts vary.
func explain(err error) error {
	var semantic *json.SemanticError
	var syntactic *jsontext.SyntacticError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &semantic):
		at := where(semantic.JSONPointer)
		switch {
		case errors.Is(semantic.Err, json.ErrUnknownName):
			return fmt.Errorf("json: unknown member %s", at)
		case semantic.Err != nil:
			return fmt.Errorf("json: member %s: %w", at, semantic.Err)
		}
		return fmt.Errorf("json: member %s: wrong type", at)
	case errors.As(err, &syntactic):
		if errors.Is(err, jsontext.ErrDuplicateName) {
			return fmt.Errorf("json: member %s twice", where(syntactic.JSONPointer))
		}
		return fmt.Errorf("json: invalid at byte %d", syntactic.ByteOffset)
	}
	return errors.New("json: invalid")
}

// where quotes a JSON pointer (RFC 6901), which holds names of the sender's.
func where(p jsontext.Pointer) string {
	const longest = 80
	if len(p) > longest {
		return fmt.Sprintf("%+q…", string(p[:longest]))
	}
	return fmt.Sprintf("%+q", string(p))
}

// Marshal encodes v with the members of maps sorted, without white space and
// without escapes that JSON does not ask for.
func Marshal(v any) ([]byte, error) {
	return json.Marshal(v, json.Deterministic(true))
}

// Canonical returns data in the form of RFC 8785: members sorted, no white
// space, one spelling for every string. Two documents that say the same have
// the same canonical form. Data is not changed.
func Canonical(data []byte) ([]byte, error) {
	v := Raw(data).Clone()
	if err := v.Canonicalize(); err != nil {
		return nil, err
	}
	return v, nil
}

// scan makes the checks that the JSON library leaves to its caller: depth,
// numbers, null. It relies on the library for the grammar, so it only has to
// know where strings begin and end.
func scan(data []byte, maxDepth int, number func([]byte) error) error {
	depth := 0
	for i := 0; i < len(data); i++ {
		switch c := data[i]; {
		case c == '"':
			i = stringEnd(data, i)
		case c == '{' || c == '[':
			if depth++; depth > maxDepth {
				return fmt.Errorf("%w: nested deeper than %d", ErrLimit, maxDepth)
			}
		case c == '}' || c == ']':
			depth--
		case c == 'n':
			return fmt.Errorf("json: null at byte %d; leave the member out instead", i)
		case c == '-' || '0' <= c && c <= '9':
			start := i
			for i+1 < len(data) && isNumber(data[i+1]) {
				i++
			}
			if err := number(data[start : i+1]); err != nil {
				return fmt.Errorf("%w at byte %d", err, start)
			}
		}
	}
	return nil
}

// checkDepth is scan's first check alone.
func checkDepth(data []byte, maxDepth int) error {
	depth := 0
	for i := 0; i < len(data); i++ {
		switch data[i] {
		case '"':
			i = stringEnd(data, i)
		case '{', '[':
			if depth++; depth > maxDepth {
				return fmt.Errorf("%w: nested deeper than %d", ErrLimit, maxDepth)
			}
		case '}', ']':
			depth--
		}
	}
	return nil
}

// stringEnd returns the place of the quote that ends the string which begins at
// i, or the end of data.
func stringEnd(data []byte, i int) int {
	for i++; i < len(data) && data[i] != '"'; i++ {
		if data[i] == '\\' {
			i++
		}
	}
	return i
}

func isNumber(c byte) bool {
	return '0' <= c && c <= '9' || c == '-' || c == '+' || c == '.' || c == 'e' || c == 'E'
}

func checkInteger(text []byte) error {
	const longest = 16 // digits of MaxInteger
	if len(text) > longest {
		return fmt.Errorf("json: number of %d characters, integers from 0 to %d are allowed", len(text), uint64(MaxInteger))
	}
	n, err := strconv.ParseUint(string(text), 10, 64)
	if err != nil || n > MaxInteger || strconv.FormatUint(n, 10) != string(text) {
		return fmt.Errorf("json: number %s, integers from 0 to %d are allowed", text, uint64(MaxInteger))
	}
	return nil
}

// checkNumber lets through what RFC 8785 writes for a double that is neither too
// large to be exact where it is whole, nor minus zero.
func checkNumber(text []byte) error {
	const longest = 25 // "-2.2250738585072014e-308" has 24
	if len(text) > longest {
		return fmt.Errorf("json: number of %d characters, at most %d are allowed", len(text), longest)
	}
	f, err := strconv.ParseFloat(string(text), 64)
	if err != nil || f < -MaxInteger || f > MaxInteger {
		return fmt.Errorf("json: number %s, numbers from -%d to %d are allowed", text, uint64(MaxInteger), uint64(MaxInteger))
	}
	if again, err := Canonical(text); err != nil || string(again) != string(text) {
		return fmt.Errorf("json: number %s, not in the shortest form of its double", text)
	}
	return nil
}
