package ledgertest

import (
	"crypto/sha256"
	"fmt"
	"strings"

	"github.com/stele-ml/stele/contract"
	"github.com/stele-ml/stele/internal/draft"
	"github.com/stele-ml/stele/statement"
)

// Rule writes a contract with one rule, "rule", as a person would: id is
// "production@3", match and expression as in the document. Its one test holds
// whatever the expression says, unless it is about log keys. More is what else
// the rule has: "hint: ask bob".
func Rule(id, match, expression string, more ...string) string {
	name, version, _ := strings.Cut(id, "@")
	message := "message: it does not hold"
	for _, m := range more {
		if strings.HasPrefix(m, "message") {
			message = ""
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, "apiVersion: stele.dev/v1\nkind: Contract\nmetadata: {name: %s, version: %s}\nspec:\n  engine: %s\n  match: {%s}\n", name, version, contract.Engine, match)
	fmt.Fprintf(&b, "  validations:\n    - id: rule\n      expression: |-\n        %s\n", strings.ReplaceAll(expression, "\n", "\n        "))
	for _, m := range append(more, message) {
		if m != "" {
			fmt.Fprintf(&b, "      %s\n", m)
		}
	}
	b.WriteString("  tests:\n    - {name: it is about nothing else, given: {statement: {kind: log-key}}, expect: {applies: false}}\n")
	return b.String()
}

// Document returns the canonical form of a contract that is written as YAML.
func Document(yaml string) []byte { return must(draft.Read([]byte(yaml))).Document }

// PutContract makes the statement that puts a contract, written as YAML, in
// force.
func (m *Maker) PutContract(by statement.Signer, yaml string) *statement.Envelope {
	return m.contract(by, must(statement.NewContract(statement.ContractPut, Document(yaml))))
}

// ProposeContract makes the statement that proposes a contract.
func (m *Maker) ProposeContract(by statement.Signer, yaml string) *statement.Envelope {
	return m.contract(by, must(statement.NewContract(statement.ContractPropose, Document(yaml))))
}

// LiftContract makes the statement that lifts a contract.
func (m *Maker) LiftContract(by statement.Signer, yaml string) *statement.Envelope {
	document := Document(yaml)
	c := must(statement.NewContract(statement.ContractPut, document))
	return m.contract(by, &statement.Contract{Action: statement.ContractLift, Name: c.Name, Version: c.Version, Digest: sha256.Sum256(document)})
}

func (m *Maker) contract(by statement.Signer, c *statement.Contract) *statement.Envelope {
	return m.Sign(by, &statement.Statement{Kind: statement.KindContract, Contract: c})
}

// Contract puts a contract, written as YAML, in force, by ada, and returns its
// entry.
func (l *Ledger) Contract(yaml string) uint64 {
	l.T.Helper()
	return l.Put(l.PutContract(l.Ada, yaml))
}
