package statement

import (
	"bytes"
	"maps"
	"slices"

	"github.com/stele-ml/stele/internal/strictjson"
)

// predicate is what each kind of statement brings: its subject, its limits and
// its JSON.
type predicate interface {
	// subject returns the subjects that the predicate dictates, or nil where the
	// subject is one artifact.
	subject(st *Statement) []Subject
	// check holds the predicate and the statement around it to their rules.
	check(st *Statement) error
	// wire returns the predicate as it goes into JSON.
	wire(st *Statement) any
}

// wirePredicate is a predicate as it is in JSON. decode takes it into the
// statement, whose Subject is already set.
type wirePredicate interface {
	decode(st *Statement) error
}

// wires make what a predicate is read into. A new kind of statement begins here,
// and in [Statement.predicate].
var wires = map[Kind]func() wirePredicate{
	KindGenesis:       func() wirePredicate { return new(wireGenesis) },
	KindIdentity:      func() wirePredicate { return new(wireIdentity) },
	KindStamp:         func() wirePredicate { return new(wireStamp) },
	KindRun:           func() wirePredicate { return new(wireRun) },
	KindEvaluation:    func() wirePredicate { return new(wireEvaluation) },
	KindApproval:      func() wirePredicate { return new(wireApproval) },
	KindRelease:       func() wirePredicate { return new(wireRelease) },
	KindWithdrawal:    func() wirePredicate { return new(wireWithdrawal) },
	KindReinstatement: func() wirePredicate { return new(wireReinstatement) },
	KindAudit:         func() wirePredicate { return new(wireAudit) },
	KindImport:        func() wirePredicate { return new(wireImport) },
	KindContract:      func() wirePredicate { return new(wireContract) },
	KindLogKey:        func() wirePredicate { return new(wireLogKey) },
}

// kinds are the kinds by their predicate types.
var kinds = func() map[string]Kind {
	kinds := make(map[string]Kind, len(wires))
	for kind := range wires {
		kinds[kind.PredicateType()] = kind
	}
	return kinds
}()

// predicate returns the one that Kind names, if it alone is set.
func (s *Statement) predicate() (predicate, error) {
	var p predicate
	var kind Kind
	count := 0
	set := func(k Kind, is bool, of predicate) {
		if is {
			p, kind = of, k
			count++
		}
	}
	set(KindGenesis, s.Genesis != nil, s.Genesis)
	set(KindIdentity, s.Identity != nil, s.Identity)
	set(KindStamp, s.Stamp != nil, s.Stamp)
	set(KindRun, s.Run != nil, s.Run)
	set(KindEvaluation, s.Evaluation != nil, s.Evaluation)
	set(KindApproval, s.Approval != nil, s.Approval)
	set(KindRelease, s.Release != nil, s.Release)
	set(KindWithdrawal, s.Withdrawal != nil, s.Withdrawal)
	set(KindReinstatement, s.Reinstatement != nil, s.Reinstatement)
	set(KindAudit, s.Audit != nil, s.Audit)
	set(KindImport, s.Import != nil, s.Import)
	set(KindContract, s.Contract != nil, s.Contract)
	set(KindLogKey, s.LogKey != nil, s.LogKey)
	if count != 1 || kind != s.Kind {
		return nil, malformed("statement of kind %s: want exactly its own predicate", quote(string(s.Kind)))
	}
	return p, nil
}

// The outer members of a statement, in the order they are written. Predicate is
// a wirePredicate, or [strictjson.Raw] where the predicate's type is not known.
type wireStatement struct {
	Type          string    `json:"_type"`
	Subject       []Subject `json:"subject"`
	PredicateType string    `json:"predicateType"`
	Predicate     any       `json:"predicate"`
}

// wireCommon begins every predicate but the genesis, which has no ledger yet.
type wireCommon struct {
	Ledger LedgerID `json:"ledger"`
	Nonce  Nonce    `json:"nonce"`
}

func (s *Statement) common() wireCommon { return wireCommon{s.Ledger, s.Nonce} }

func (s *Statement) setCommon(c wireCommon) { s.Ledger, s.Nonce = c.Ledger, c.Nonce }

// Marshal checks the statement and encodes it: the payload of an envelope. The
// order of members is fixed; lists that are sets (roles, name patterns, from) are
// sorted. The same statement always gives the same bytes.
func (s *Statement) Marshal() ([]byte, error) {
	p, err := s.predicate()
	if err != nil {
		return nil, err
	}
	whole := *s
	if derived := p.subject(s); derived != nil {
		if s.Subject != nil && !equalSubjects(s.Subject, derived) {
			return nil, malformed("%s: the subject is not the one its predicate dictates; leave it nil", s.Kind)
		}
		whole.Subject = derived
	}
	if err := whole.check(p); err != nil {
		return nil, err
	}
	return whole.encode(p)
}

// Parse reads a payload. The order of members and white space are free, since it
// is the payload's own bytes that are signed and kept; all else has one spelling:
// a member that is missing, of no effect or written in another way is refused.
func Parse(payload []byte) (*Statement, error) {
	w, err := readOutside(payload)
	if err != nil {
		return nil, err
	}
	return w.statement(payload)
}

// statement returns what the members say, which were read from the payload.
func (w *wireStatement) statement(payload []byte) (*Statement, error) {
	kind := kinds[w.PredicateType]
	st := &Statement{Kind: kind, Subject: w.Subject}
	if n := len(w.Subject); n != 1 && (kind != KindRun || n < 1 || n > MaxReferences) {
		return nil, malformed("%s: %d subjects, want exactly one", kind, n)
	}
	if err := w.Predicate.(wirePredicate).decode(st); err != nil {
		return nil, err
	}
	p, err := st.predicate()
	if err != nil {
		return nil, err
	}
	if err := st.check(p); err != nil {
		return nil, err
	}
	if derived := p.subject(st); derived != nil && !equalSubjects(w.Subject, derived) {
		return nil, malformed("%s: the subject is not of what the predicate holds", kind)
	}
	if err := st.sameContent(p, payload); err != nil {
		return nil, err
	}
	return st, nil
}

// readOutside reads the members of a payload, with the predicate as its type
// says, which is one of the kinds.
//
// Payloads that Stele wrote have the predicate's type where it can be seen before
// anything is read, so that they are read once. Whatever comes of a wrong guess is
// forgotten, and the payload is read as any other.
func readOutside(payload []byte) (*wireStatement, error) {
	if kind, ok := kinds[firstPredicateType(payload)]; ok {
		if w, err := readAs(kind, payload); err == nil {
			return w, nil
		}
	}
	return readAny(payload)
}

// readAs reads a payload whose predicate is of that kind.
func readAs(kind Kind, payload []byte) (*wireStatement, error) {
	w := &wireStatement{Predicate: wires[kind]()}
	read, depth := strictjson.Unmarshal, MaxDepth
	if kind == KindContract {
		read, depth = strictjson.UnmarshalNumbers, MaxContractDepth
	}
	if err := read(payload, w, MaxPayload, depth); err != nil {
		return nil, malformed("statement: %w", err)
	}
	if w.Type != StatementType || w.PredicateType != kind.PredicateType() {
		return nil, malformed("statement: it is no %s", kind)
	}
	return w, nil
}

func readAny(payload []byte) (*wireStatement, error) {
	var raw strictjson.Raw
	w := &wireStatement{Predicate: &raw}
	if err := strictjson.Unmarshal(payload, w, MaxPayload, MaxDepth); err != nil {
		// Only a contract may nest deeper, or have such numbers.
		if w, err := readAs(KindContract, payload); err == nil {
			return w, nil
		}
		return nil, malformed("statement: %w", err)
	}
	if w.Type != StatementType {
		return nil, malformed("statement: _type %s, want %s", quote(w.Type), StatementType)
	}
	kind, ok := kinds[w.PredicateType]
	if !ok {
		return nil, malformed("statement: unknown predicate %s", quote(w.PredicateType))
	}
	predicate := wires[kind]()
	if err := strictjson.UnmarshalPart(raw, predicate); err != nil {
		return nil, malformed("%s: %w", kind, err)
	}
	w.Predicate = predicate
	return w, nil
}

// firstPredicateType returns what follows the first thing that looks like the
// name of the member. It may be anything.
func firstPredicateType(payload []byte) string {
	const name = `"predicateType":"`
	if i := bytes.Index(payload, []byte(name)); i >= 0 {
		value, _, _ := bytes.Cut(payload[i+len(name):], []byte{'"'})
		return string(value)
	}
	return ""
}

// sameContent compares a payload with the statement that was read from it,
// encoded again. A member that was missing shows, and one that says nothing, and
// a list that is not sorted.
func (s *Statement) sameContent(p predicate, payload []byte) error {
	again, err := s.encode(p)
	if err != nil {
		return err
	}
	if bytes.Equal(payload, again) {
		return nil
	}
	a, err := strictjson.Canonical(payload)
	if err != nil {
		return malformed("statement: %w", err)
	}
	b, err := strictjson.Canonical(again)
	if err != nil {
		return malformed("statement: %w", err)
	}
	if bytes.Equal(a, b) {
		return nil
	}
	at := 0
	for at < len(a) && at < len(b) && a[at] == b[at] {
		at++
	}
	const around = 30
	excerpt := func(p []byte) string { return quote(string(p[max(0, at-around):min(len(p), at+around)])) }
	return malformed("statement: a member is missing, of no effect or not in order: found %s, want %s", excerpt(a), excerpt(b))
}

func (s *Statement) check(p predicate) error {
	if s.Nonce.IsZero() {
		return malformed("%s: the nonce is not set", s.Kind)
	}
	if s.Ledger.IsZero() != (s.Kind == KindGenesis) {
		return malformed("%s: a genesis names no ledger, every other statement names one", s.Kind)
	}
	return p.check(s)
}

func (s *Statement) encode(p predicate) ([]byte, error) {
	payload, err := strictjson.Marshal(&wireStatement{StatementType, s.Subject, s.Kind.PredicateType(), p.wire(s)})
	if err != nil {
		return nil, malformed("%s: %w", s.Kind, err)
	}
	if len(payload) > MaxPayload {
		return nil, malformed("%s: %d bytes, at most %d are allowed", s.Kind, len(payload), MaxPayload)
	}
	return payload, nil
}

func equalSubjects(a, b []Subject) bool {
	return slices.EqualFunc(a, b, func(x, y Subject) bool { return x.Name == y.Name && maps.Equal(x.Digest, y.Digest) })
}

// checkInteger holds a number to what JSON carries exactly.
func checkInteger(what string, n, least uint64) error {
	if n < least || n > strictjson.MaxInteger {
		return malformed("%s: %d, want %d to %d", what, n, least, uint64(strictjson.MaxInteger))
	}
	return nil
}

// checkSet checks that a list which is a set holds nothing twice, has at most
// max elements, and each passes.
func checkSet(what string, list []string, max int, each func(string) error) error {
	if len(list) > max {
		return malformed("%s: %d, at most %d are allowed", what, len(list), max)
	}
	seen := make(map[string]bool, len(list))
	for _, s := range list {
		if err := each(s); err != nil {
			return err
		}
		if seen[s] {
			return malformed("%s: %s twice", what, quote(s))
		}
		seen[s] = true
	}
	return nil
}

// sorted returns a sorted copy, never nil.
func sorted(list []string) []string {
	out := make([]string, len(list))
	copy(out, list)
	slices.Sort(out)
	return out
}

// oneOf checks a word of a closed list.
func oneOf(what, word string, words ...string) error {
	if !slices.Contains(words, word) {
		return malformed("%s %s: want one of %v", what, quote(word), words)
	}
	return nil
}
