package statement

import "strings"

// StatementType is the "_type" of every statement: in-toto Statement v1.
const StatementType = "https://in-toto.io/Statement/v1"

// Rules is the version of the ledger's rules this package speaks; genesis fixes
// it and only an upgrade entry changes it.
const Rules = 1

// Kind is what a statement says.
type Kind string

// The kinds, as in the predicate type "https://stele.dev/<kind>/v1"; a run has
// the one of SLSA provenance.
const (
	KindGenesis       Kind = "genesis"
	KindIdentity      Kind = "identity"
	KindStamp         Kind = "stamp"
	KindRun           Kind = "run"
	KindEvaluation    Kind = "evaluation"
	KindApproval      Kind = "approval"
	KindRelease       Kind = "release"
	KindWithdrawal    Kind = "withdrawal"
	KindReinstatement Kind = "reinstatement"
	KindAudit         Kind = "audit"
	KindImport        Kind = "import"
	KindContract      Kind = "contract"
	KindLogKey        Kind = "log-key"
)

// SLSAProvenance is the predicate type of a run: SLSA provenance v1.
const SLSAProvenance = "https://slsa.dev/provenance/v1"

// PredicateType returns the in-toto predicate type of the kind.
func (k Kind) PredicateType() string {
	if k == KindRun {
		return SLSAProvenance
	}
	return "https://stele.dev/" + string(k) + "/v1"
}

// Noun returns the kind as a sentence has it: "a stamp", "an approval".
func (k Kind) Noun() string {
	if k != "" && strings.ContainsRune("aeiou", rune(k[0])) {
		return "an " + string(k)
	}
	return "a " + string(k)
}

// Subject is an in-toto ResourceDescriptor with a name and digests alone. What
// they hold depends on the kind:
//
//	genesis                       the origin       sha256: of the log's vkey text
//	identity                      the handle       stele-key: the key's id
//	stamp, evaluation, approval,
//	release, withdrawal,
//	reinstatement, audit, import  name@version     stele-sha256 or stele-blake3: the fingerprint
//	run                           name@version     the same, of each of its outputs
//	run without outputs           run/<its id>     stele-run: its id
//	contract                      name@version     sha256: of the contract's document
//	log-key                       the origin       sha256: of the next vkey text
type Subject struct {
	Name   string            `json:"name"`
	Digest map[string]string `json:"digest"`
}

// Statement is an in-toto Statement v1 with one of the ledger's predicates.
// Exactly the one that Kind names is not nil. Subject is set by the caller for
// the kinds about one artifact (see [Ref.Subject]); for the others Marshal
// derives it and it may be left nil.
type Statement struct {
	Kind    Kind
	Subject []Subject
	Ledger  LedgerID // zero in a genesis, which makes the ledger, and only there
	Nonce   Nonce    // of a run: its id

	Genesis       *Genesis
	Identity      *Identity
	Stamp         *Stamp
	Run           *Run
	Evaluation    *Evaluation
	Approval      *Approval
	Release       *Release
	Withdrawal    *Withdrawal
	Reinstatement *Reinstatement
	Audit         *Audit
	Import        *Import
	Contract      *Contract
	LogKey        *LogKey
}

// Control reports whether the statement is a control entry: one that says who
// may do what or what no longer holds, and that the control root commits to. An
// approval is one if it rejects; what only adds to the record is none.
func (s *Statement) Control() bool {
	switch s.Kind {
	case KindStamp, KindRun, KindEvaluation, KindRelease, KindAudit, KindImport:
		return false
	case KindApproval:
		return s.Approval != nil && s.Approval.Decision == DecisionReject
	}
	return true
}

// Ref returns the one artifact that a statement is about; for a run, which may
// have many outputs (see [Statement.Stamps]), and for the kinds that are about
// none it is ErrFormat.
func (s *Statement) Ref() (Ref, error) {
	switch s.Kind {
	case KindStamp, KindEvaluation, KindApproval, KindRelease, KindWithdrawal, KindReinstatement, KindAudit, KindImport:
	default:
		return Ref{}, malformed("a %s is not about one artifact", s.Kind)
	}
	if len(s.Subject) != 1 {
		return Ref{}, malformed("%s: %d subjects, want exactly one", s.Kind, len(s.Subject))
	}
	return ParseRef(s.Subject[0])
}

// Stamps returns the artifacts that the statement binds to their names: a
// stamp's one, the outputs of a run that it stamps, in order. Each has a Stamp.
func (s *Statement) Stamps() []Output {
	switch {
	case s.Kind == KindStamp && s.Stamp != nil:
		if ref, err := s.Ref(); err == nil {
			return []Output{{ref, s.Stamp}}
		}
	case s.Kind == KindRun && s.Run != nil:
		var stamps []Output
		for _, o := range s.Run.Outputs {
			if o.Stamp != nil {
				stamps = append(stamps, o)
			}
		}
		return stamps
	}
	return nil
}

// StampOf returns what the statement binds to that name and version, if it does.
func (s *Statement) StampOf(name, version string) (Ref, *Stamp, bool) {
	for _, o := range s.Stamps() {
		if o.Ref.Name == name && o.Ref.Version == version {
			return o.Ref, o.Stamp, true
		}
	}
	return Ref{}, nil, false
}
