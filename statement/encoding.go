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

// decoders read a predicate into the statement, whose Subject is already set. A
// new kind of statement begins here, and in [Statement.predicate].
var decoders = map[Kind]func(st *Statement, raw strictjson.Raw) error{
	KindGenesis:       decodeGenesis,
	KindIdentity:      decodeIdentity,
	KindStamp:         decodeStamp,
	KindRun:           decodeRun,
	KindEvaluation:    decodeEvaluation,
	KindApproval:      decodeApproval,
	KindRelease:       decodeRelease,
	KindWithdrawal:    decodeWithdrawal,
	KindReinstatement: decodeReinstatement,
	KindAudit:         decodeAudit,
	KindImport:        decodeImport,
	KindLogKey:        decodeLogKey,
}

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
	set(KindLogKey, s.LogKey != nil, s.LogKey)
	if count != 1 || kind != s.Kind {
		return nil, malformed("statement of kind %s: want exactly its own predicate", quote(string(s.Kind)))
	}
	return p, nil
}

// The outer members of a statement, in the order they are written.
type wireStatement struct {
	Type          string         `json:"_type"`
	Subject       []Subject      `json:"subject"`
	PredicateType string         `json:"predicateType"`
	Predicate     strictjson.Raw `json:"predicate"`
}

// wireWriting is the same, before the predicate is bytes.
type wireWriting struct {
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
	var w wireStatement
	if err := strictjson.Unmarshal(payload, &w, MaxPayload, MaxDepth); err != nil {
		return nil, malformed("statement: %w", err)
	}
	if w.Type != StatementType {
		return nil, malformed("statement: _type %s, want %s", quote(w.Type), StatementType)
	}
	st := &Statement{Kind: kindOf(w.PredicateType), Subject: w.Subject}
	decode := decoders[st.Kind]
	if decode == nil {
		return nil, malformed("statement: unknown predicate %s", quote(w.PredicateType))
	}
	if n := len(w.Subject); n != 1 && (st.Kind != KindRun || n < 1 || n > MaxReferences) {
		return nil, malformed("%s: %d subjects, want exactly one", st.Kind, n)
	}
	if err := decode(st, w.Predicate); err != nil {
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
		return nil, malformed("%s: the subject is not of what the predicate holds", st.Kind)
	}
	again, err := st.encode(p)
	if err != nil {
		return nil, err
	}
	if err := sameContent(payload, again); err != nil {
		return nil, err
	}
	return st, nil
}

// sameContent compares a payload with the statement that was read from it,
// encoded again. A member that was missing shows, and one that says nothing, and
// a list that is not sorted.
func sameContent(payload, again []byte) error {
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

func kindOf(predicateType string) Kind {
	for kind := range decoders {
		if kind.PredicateType() == predicateType {
			return kind
		}
	}
	return ""
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
	payload, err := strictjson.Marshal(&wireWriting{StatementType, s.Subject, s.Kind.PredicateType(), p.wire(s)})
	if err != nil {
		return nil, malformed("%s: %w", s.Kind, err)
	}
	if len(payload) > MaxPayload {
		return nil, malformed("%s: %d bytes, at most %d are allowed", s.Kind, len(payload), MaxPayload)
	}
	return payload, nil
}

// decodePredicate reads a predicate whose limits the statement around it has
// already been held to.
func decodePredicate(kind Kind, raw strictjson.Raw, v any) error {
	if err := strictjson.UnmarshalPart(raw, v); err != nil {
		return malformed("%s: %w", kind, err)
	}
	return nil
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
