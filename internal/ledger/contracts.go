package ledger

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/stele-ml/stele/contract"
	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/statement"
)

// MaxContracts is how many contracts may be in force under names of their own.
const MaxContracts = 256

// MaxContractBytes is how many bytes of documents contract entries may hold
// together. All evidence carries these entries, encoded twice in Base64: 28 MiB of
// at most evidence.MaxFile. Those of signers who have fallen do not count, so that
// a thief cannot fill the ledger for good; what he put before that is why the file
// has room for as much again.
const MaxContractBytes = 16 << 20

// law is a contract that an entry puts or proposes: what it is about, and the
// rest once it was asked for. To compile one takes longer than to admit many
// statements.
type law struct {
	kinds  []statement.Kind // of statements that it is about
	source []byte           // the document

	once     sync.Once
	compiled *contract.Contract
	err      error
}

// contract returns the contract, compiled the first time.
func (w *law) contract() (*contract.Contract, error) {
	w.once.Do(func() { w.compiled, w.err = contract.CompileAdmitted(w.source) })
	return w.compiled, w.err
}

// laws keeps the documents that entries hold, by their digests. What was refused
// never comes into it, and what was not asked for while a generation filled is
// forgotten.
type laws struct {
	mu         sync.Mutex
	young, old map[[32]byte]*law
}

func (l *laws) get(digest [32]byte) (*law, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	w, ok := l.young[digest]
	if !ok {
		if w, ok = l.old[digest]; ok {
			l.put(digest, w)
		}
	}
	return w, ok
}

func (l *laws) add(digest [32]byte, w *law) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.put(digest, w)
}

// put adds to the young. The caller holds the lock.
func (l *laws) put(digest [32]byte, w *law) {
	if l.young == nil || len(l.young) >= MaxContracts {
		l.young, l.old = make(map[[32]byte]*law), l.young
	}
	l.young[digest] = w
}

// law returns the document of an entry.
func (l *Ledger) law(e *evidence.ContractEntry) (*law, error) {
	if w, ok := l.laws.get(e.Digest); ok {
		return w, nil
	}
	kinds, err := outline(e)
	if err != nil {
		return nil, err
	}
	w := &law{kinds: kinds, source: e.Document}
	l.laws.add(e.Digest, w)
	return w, nil
}

// outline reads from the document of an entry which statements it is about, and
// no more: to read all of it takes as long as to admit many statements, most of
// which it is not about. An engine that only a newer program has is ErrRules.
func outline(e *evidence.ContractEntry) ([]statement.Kind, error) {
	var doc struct {
		Spec struct {
			Engine string `json:"engine"`
			Match  struct {
				Statements []statement.Kind `json:"statements"`
			} `json:"match"`
		} `json:"spec"`
	}
	if err := json.Unmarshal(e.Document, &doc); err != nil {
		return nil, damaged("the contract in entry %d: %w", e.Entry, err)
	}
	if doc.Spec.Engine != contract.Engine {
		return nil, fmt.Errorf("%w: the contract %s in entry %d is for the engine %.40q, this program has %s",
			ErrRules, e.ID(), e.Entry, doc.Spec.Engine, contract.Engine)
	}
	return doc.Spec.Match.Statements, nil
}

// enacted are the contracts in force after some control entries. They are read
// and compiled when first asked for: most statements meet none. It is safe for
// concurrent use.
type enacted struct {
	l       *Ledger
	entries []evidence.ContractEntry // shared with the fold

	mu     sync.Mutex
	laws   []*law // of each entry; nil until needed
	byKind map[statement.Kind][]contract.InForce
}

// enact returns the contracts in force by a fold; had are those before it.
func (l *Ledger) enact(c *evidence.Control, had *enacted) *enacted {
	entries := c.ContractsInForce()
	if had != nil && len(entries) == len(had.entries) && (len(entries) == 0 || &entries[0] == &had.entries[0]) {
		return had
	}
	return &enacted{l: l, entries: entries, byKind: make(map[statement.Kind][]contract.InForce)}
}

// about returns the contracts that may be about a statement of that kind, by name
// and then by entry.
func (e *enacted) about(kind statement.Kind) ([]contract.InForce, error) {
	if e == nil || len(e.entries) == 0 {
		return nil, nil
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	list, ok := e.byKind[kind]
	if ok {
		return list, nil
	}
	list, err := e.compile(func(w *law) bool { return mayConcern(w.kinds, kind) })
	if err == nil {
		e.byKind[kind] = list
	}
	return list, err
}

// all returns all of them.
func (e *enacted) all() ([]contract.InForce, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.compile(func(*law) bool { return true })
}

// compile returns those that are wanted; several are compiled at a time, for that
// is most of what a short process does. The caller holds the lock.
func (e *enacted) compile(wanted func(*law) bool) ([]contract.InForce, error) {
	if e.laws == nil {
		read := make([]*law, len(e.entries))
		for i := range e.entries {
			var err error
			if read[i], err = e.l.law(&e.entries[i]); err != nil {
				return nil, err
			}
		}
		e.laws = read
	}
	var compiling sync.WaitGroup
	for _, w := range e.laws {
		if wanted(w) {
			compiling.Go(func() { _, _ = w.contract() })
		}
	}
	compiling.Wait()
	var list []contract.InForce
	for i, w := range e.laws {
		if !wanted(w) {
			continue
		}
		c, err := w.contract()
		if err != nil {
			return nil, damaged("the contract in entry %d: %w", e.entries[i].Entry, err)
		}
		list = append(list, contract.InForce{Contract: c, Entry: e.entries[i].Entry})
	}
	return list, nil
}

// mayConcern reports whether a contract about statements of some kinds may be about
// one of that kind: a run stamps its outputs.
func mayConcern(about []statement.Kind, kind statement.Kind) bool {
	return slices.Contains(about, kind) || kind == statement.KindRun && slices.Contains(about, statement.KindStamp)
}

// Contracts returns the contracts in force as of the view, by name and then by
// entry.
func (v *View) Contracts() ([]contract.InForce, error) {
	e, err := v.enacted()
	if err != nil {
		return nil, err
	}
	return e.all()
}

func (v *View) enacted() (*enacted, error) {
	c, err := v.Control()
	if err != nil {
		return nil, err
	}
	return v.l.enact(c, v.s.enacted), nil
}

// examine reads a document that is put or proposed: its rules compile, and its own
// tests hold.
func (l *Ledger) examine(said *statement.Contract) (*law, *Refusal) {
	if w, ok := l.laws.get(said.Digest); ok {
		return w, nil // an entry has it
	}
	compiled, err := contract.Compile(said.Document)
	if err != nil {
		return nil, badDocument(said, err)
	}
	results, err := compiled.RunTests()
	if err != nil {
		return nil, refuse(RuleDocument, ClassRefused, "contract %s: %s", said.ID(), firstLine(err.Error())).because(err)
	}
	if r := failedTests(said, results); r != nil {
		return nil, r
	}
	w := &law{kinds: compiled.Document().Match.Statements, source: said.Document, compiled: compiled}
	w.once.Do(func() {})
	return w, nil
}

// badDocument refuses a document that does not compile, with the first of what
// is wrong with it.
func badDocument(said *statement.Contract, err error) *Refusal {
	r := refuse(RuleDocument, ClassRefused, "contract %s: %s", said.ID(), firstLine(err.Error()))
	var problems *contract.CompileError
	if errors.As(err, &problems) && len(problems.Problems) > 0 {
		first := problems.Problems[0]
		r.Message = fmt.Sprintf("contract %s: %s: %s%s", said.ID(), first.Path, firstLine(first.Message),
			others(len(problems.Problems)-1, "problem"))
		r.Hint = firstLine(first.Hint)
	}
	if r.Hint == "" {
		r.Hint = "stele contract test shows every place"
	}
	return r.because(err)
}

// failedTests refuses a contract whose own tests do not hold.
func failedTests(said *statement.Contract, results []contract.TestResult) *Refusal {
	var failed []contract.TestResult
	for _, t := range results {
		if !t.OK {
			failed = append(failed, t)
		}
	}
	if len(failed) == 0 {
		return nil
	}
	return refuse(RuleDocument, ClassRefused, "contract %s: its own test %q fails: %s%s",
		said.ID(), failed[0].Name, firstLine(failed[0].Message), others(len(failed)-1, "test")).
		hint("stele contract test shows what each test expects and gets")
}

// others says how many more there are of what a sentence names the first.
func others(n int, what string) string {
	switch n {
	case 0:
		return ""
	case 1:
		return " (and 1 other " + what + ")"
	}
	return fmt.Sprintf(" (and %d other %ss)", n, what)
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}
