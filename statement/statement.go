package statement

// StatementType is the "_type" of every statement: in-toto Statement v1.
const StatementType = "https://in-toto.io/Statement/v1"

// Rules is the version of the ledger's rules this package speaks; genesis fixes
// it and only an upgrade entry changes it.
const Rules = 1

// Kind is what a statement says.
type Kind string

// The kinds, as in the predicate type "https://stele.dev/<kind>/v1".
const (
	KindGenesis       Kind = "genesis"
	KindIdentity      Kind = "identity"
	KindStamp         Kind = "stamp"
	KindWithdrawal    Kind = "withdrawal"
	KindReinstatement Kind = "reinstatement"
	KindAudit         Kind = "audit"
	KindLogKey        Kind = "log-key"
)

// PredicateType returns the in-toto predicate type of the kind.
func (k Kind) PredicateType() string { return "https://stele.dev/" + string(k) + "/v1" }

// Subject is an in-toto ResourceDescriptor with a name and digests alone. What
// they hold depends on the kind:
//
//	genesis                       the origin       sha256: of the log's vkey text
//	identity                      the handle       stele-key: the key's id
//	stamp, withdrawal,
//	reinstatement, audit          name@version     stele-sha256 or stele-blake3: the fingerprint
//	log-key                       the origin       sha256: of the next vkey text
type Subject struct {
	Name   string            `json:"name"`
	Digest map[string]string `json:"digest"`
}

// Statement is an in-toto Statement v1 with one of the ledger's predicates.
// Exactly the one that Kind names is not nil. Subject is set by the caller for
// the kinds about an artifact (see [Ref.Subject]); for the others Marshal
// derives it and it may be left nil.
type Statement struct {
	Kind    Kind
	Subject []Subject
	Ledger  LedgerID // zero in a genesis, which makes the ledger, and only there
	Nonce   Nonce

	Genesis       *Genesis
	Identity      *Identity
	Stamp         *Stamp
	Withdrawal    *Withdrawal
	Reinstatement *Reinstatement
	Audit         *Audit
	LogKey        *LogKey
}

// Control reports whether the statement is a control entry: one that says who
// may do what or what no longer holds, and that the control root commits to.
// Stamps and audits are none.
func (s *Statement) Control() bool { return s.Kind != KindStamp && s.Kind != KindAudit }

// Ref returns the artifact that a stamp, withdrawal, reinstatement or audit is
// about; for the other kinds it is ErrFormat.
func (s *Statement) Ref() (Ref, error) {
	switch s.Kind {
	case KindStamp, KindWithdrawal, KindReinstatement, KindAudit:
	default:
		return Ref{}, malformed("a %s is not about an artifact", s.Kind)
	}
	if len(s.Subject) != 1 {
		return Ref{}, malformed("%s: %d subjects, want exactly one", s.Kind, len(s.Subject))
	}
	return ParseRef(s.Subject[0])
}
