package main

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/stele-ml/stele/cmd/stele/jsonv1"
	"github.com/stele-ml/stele/contract"
	"github.com/stele-ml/stele/internal/draft"
	"github.com/stele-ml/stele/statement"
)

func (a *app) contractCommand() *cobra.Command {
	return family(&cobra.Command{
		Use:   "contract",
		Short: "The rules that decide what the ledger admits",
		Long: `A contract is a document of rules in CEL. Put on the ledger it is an entry, in
force from the next one: what breaks a rule is refused, for everyone, with a
sentence that says why. stele gate asks the same rules before a deployment.

A contract is written as YAML and carries its own tests. A usual way:
  stele contract new two-approvals       a ready one, to be edited
  stele contract test two-approvals.yaml its tests, and what it would have
                                         refused in this ledger's past
  stele contract put two-approvals.yaml --digest sha256:…

If a rule locks everybody out, the recovery key can lift its contract, and
nothing that key signs meets a rule:
  stele contract lift NAME --key recovery.pem`,
	}, a.contractNew(), a.contractTest(), a.contractPut(), a.contractPropose(), a.contractLift(),
		a.contractList(), a.contractShow(), a.contractDiff())
}

// drafted is a contract that was read from a file, once: what is tested, shown
// and signed are the same bytes.
type drafted struct {
	*contract.Contract
	path  string
	draft *draft.Draft
}

// readContract reads and compiles a contract.
func readContract(path string) (*drafted, error) {
	text, err := readSmall(path, draft.MaxDraft)
	if err != nil {
		return nil, err
	}
	d, err := draft.Read(text)
	if err != nil {
		return nil, notDrafted(path, err)
	}
	c, err := contract.Compile(d.Document)
	if err != nil {
		return nil, notCompiled(path, d, err)
	}
	return &drafted{Contract: c, path: path, draft: d}, nil
}

// header is whose document it is, as the ledger reads it.
func (d *drafted) header(action string) (*statement.Contract, error) {
	said, err := statement.NewContract(action, d.draft.Document)
	if err == nil && said.Digest != d.Digest() {
		err = errors.New("its document has two digests")
	}
	if err != nil {
		return nil, failf(exitError, "%s: %w", d.path, err).withPath(d.path)
	}
	return said, nil
}

// notDrafted says where a file is no contract: file:line:column, as editors take
// it.
func notDrafted(path string, err error) error {
	var wrong *draft.Error
	if !errors.As(err, &wrong) {
		return failf(exitError, "%s: %w", path, err).withPath(path)
	}
	return failf(exitError, "%s: %s", inFile(path, wrong.Line, wrong.Column), wrong.Message).withPath(path).withHint(wrong.Hint)
}

// inFile is a place in a file.
func inFile(path string, line, column int) string {
	switch {
	case line <= 0:
		return path
	case column <= 0:
		return fmt.Sprintf("%s:%d", path, line)
	}
	return fmt.Sprintf("%s:%d:%d", path, line, column)
}

// notCompiled says where a contract is wrong: its expressions, or the rest of it.
func notCompiled(path string, d *draft.Draft, err error) error {
	f := failf(exitError, "%s: %w", path, err).withPath(path)
	var compile *contract.CompileError
	if !errors.As(err, &compile) || len(compile.Problems) == 0 {
		return f
	}
	for _, p := range compile.Problems {
		line, column := d.Place(p.Path, p.Line, p.Column)
		f.problems = append(f.problems, problem{at: inFile(path, line, column), path: p.Path, message: p.Message, hint: p.Hint})
	}
	first := f.problems[0]
	f.message, f.hint = fmt.Sprintf("%s: %s: %s", first.at, first.path, firstLine(first.message)), first.hint
	if more := len(f.problems) - 1; more > 0 {
		f.message += fmt.Sprintf(" (and %s)", countOf(more, "further problem"))
	}
	return f
}

// problem is one thing that is wrong with an expression, and where.
type problem struct{ at, path, message, hint string }

func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}

// digestText is a document's digest as it is written.
func digestText(digest [32]byte) string { return "sha256:" + hex.EncodeToString(digest[:]) }

// parseDigest reads what --digest takes.
func parseDigest(text string) (digest [32]byte, err error) {
	hexText, ok := strings.CutPrefix(text, "sha256:")
	raw, err := hex.DecodeString(hexText)
	if !ok || err != nil || len(raw) != sha256.Size || hexText != strings.ToLower(hexText) {
		return digest, usagef("--digest %q: want sha256: and 64 hexadecimal digits", text).withHint("`stele contract test FILE` prints it")
	}
	return [32]byte(raw), nil
}

// about says in words what a contract is evaluated for.
func about(m *contract.Match) string {
	var kinds []string
	for _, k := range m.Statements {
		kinds = append(kinds, string(k))
	}
	text := strings.Join(kinds, ", ")
	add := func(before string, list []string) {
		if len(list) > 0 {
			text += before + strings.Join(list, ", ")
		}
	}
	add(" (", m.Actions)
	if len(m.Actions) > 0 {
		text += ")"
	}
	add(" of ", m.Names)
	add(" to ", m.Stages)
	add("; only ", m.Kinds)
	return text
}

// ruleIDs are the ids of a contract's rules.
func ruleIDs(d *contract.Document) []string {
	ids := make([]string, len(d.Validations))
	for i, v := range d.Validations {
		ids[i] = v.ID
	}
	return ids
}

// warningsJSON are the warnings about a contract, with their lines in its file.
func (d *drafted) warningsJSON() []jsonv1.ContractWarning {
	list := []jsonv1.ContractWarning{}
	for _, w := range d.Warnings() {
		list = append(list, jsonv1.ContractWarning{Code: w.Code, Message: w.Message, Hint: w.Hint, Path: w.Path, Line: d.draft.Line(w.Path)})
	}
	return list
}

// printWarnings tells a person what may not be meant.
func (a *app) printWarnings(path string, list []jsonv1.ContractWarning) {
	for _, w := range list {
		where := ""
		if w.Line > 0 {
			where = inFile(path, w.Line, 0) + ": "
		}
		a.term.Warnf("%s%s", where, w.Message)
		if w.Hint != "" {
			a.term.Hintf("%s", w.Hint)
		}
	}
}
