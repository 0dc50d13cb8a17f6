package server

import (
	"errors"
	"fmt"
	"strings"
)

// Scope is what somebody may do here. It says nothing about what the ledger admits:
// that depends on signatures alone.
type Scope uint8

// The scopes. Entries includes proofs; submit includes nothing else.
const (
	ScopeProofs  Scope = 1 << iota // checkpoints, tiles of hashes, proofs, what the ledger is
	ScopeEntries                   // all that can be read
	ScopeSubmit                    // entries and attachments in

	// ScopeNone is what a route asks for that is open to everybody.
	ScopeNone Scope = 0
	// ScopeAll is what whoever may open the server's own socket has.
	ScopeAll = ScopeProofs | ScopeEntries | ScopeSubmit
)

// ErrScope says that a word is no scope.
var ErrScope = errors.New("no scope")

var scopeWords = []struct {
	scope Scope
	word  string
}{{ScopeProofs, "proofs"}, {ScopeEntries, "entries"}, {ScopeSubmit, "submit"}}

// ParseScopes reads words between commas: "entries,submit". "none" stands alone for
// no scope at all.
func ParseScopes(text string) (Scope, error) {
	if text == "none" {
		return ScopeNone, nil
	}
	var all Scope
words:
	for word := range strings.SplitSeq(text, ",") {
		for _, s := range scopeWords {
			if s.word == word {
				if all&s.scope != 0 {
					return 0, fmt.Errorf("%w: %s stands twice in %q", ErrScope, word, text)
				}
				all |= s.scope
				continue words
			}
		}
		return 0, fmt.Errorf("%w: %.40q; use proofs, entries, submit, or several between commas", ErrScope, word)
	}
	return all, nil
}

// String is what ParseScopes reads.
func (s Scope) String() string {
	var words []string
	for _, w := range scopeWords {
		if s&w.scope != 0 {
			words = append(words, w.word)
		}
	}
	if len(words) == 0 {
		return "none"
	}
	return strings.Join(words, ",")
}

// Allows reports whether who has these scopes may use a route that asks for need.
func (s Scope) Allows(need Scope) bool {
	if s&ScopeEntries != 0 {
		s |= ScopeProofs
	}
	return s&need == need
}
