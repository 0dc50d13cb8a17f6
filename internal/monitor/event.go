package monitor

import (
	"slices"
	"strings"

	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/statement"
)

// Type says what an event is. The names are for ever: docs/monitoring.md.
type Type string

// What is reported of entries; where several fit, the first.
const (
	LogKey        Type = "log-key"       // the log has a new key
	Identity      Type = "identity"      // genesis; a key is registered, retired or compromised
	Contract      Type = "contract"      // a contract is proposed, put or lifted
	Withdrawal    Type = "withdrawal"    // an artifact is withdrawn
	Reinstatement Type = "reinstatement" // a withdrawal is ended
	Rejection     Type = "rejection"     // an approval was refused
	Key           Type = "key"           // an entry by a key that is watched
	Name          Type = "name"          // an entry about a name that is watched
)

// What is reported of the log.
const (
	Started     Type = "started"     // the log is watched from here: the first look
	Fork        Type = "fork"        // it has two histories, or its entries are not those that it signed
	Rollback    Type = "rollback"    // it has fewer entries than it had
	Untrusted   Type = "untrusted"   // its newest checkpoint is not signed as the policy asks
	Tampered    Type = "tampered"    // an entry that is not what it should be: its signature, its place, its form
	Still       Type = "still"       // its newest checkpoint is older than is allowed
	Moves       Type = "moves"       // that has ended
	Unreachable Type = "unreachable" // it could not be asked
	Denied      Type = "denied"      // its server does not let the monitor in
	Reachable   Type = "reachable"   // either has ended
)

// Event is something that the log's owner wants to hear of.
type Event struct {
	Type    Type
	Origin  string
	Size    uint64 // of the checkpoint that covers it, or that was seen last
	Message string // one sentence; it may have foreign text

	// Of an entry:
	Entry     *evidence.Entry
	Statement *statement.Statement
	Handle    string   // of whoever signed, or for whom it was signed
	Matched   []string // the watched keys and patterns that it meets

	// Of a fork and a rollback: two signed checkpoints of the log.
	Old, New []byte
}

// Watch says what entries the owner wants to hear of, beside those that say who
// may do what, or what no longer holds: these are always reported.
type Watch struct {
	Keys     []statement.KeyID
	Handles  []string
	Patterns []string // of names: see statement.MatchName
}

// look returns the event of an entry, nil if nobody wants to hear of it.
func (w *Watch) look(e *evidence.Entry, st *statement.Statement, handle string) *Event {
	ev := &Event{Entry: e, Statement: st, Handle: handle}
	by := e.Envelope.By()
	if slices.Contains(w.Keys, by) || slices.Contains(w.Keys, e.Envelope.KeyID) {
		ev.Matched = append(ev.Matched, by.String())
	}
	if slices.Contains(w.Handles, handle) && handle != "" {
		ev.Matched = append(ev.Matched, handle)
	}
	byKey := len(ev.Matched) > 0
	for _, p := range w.Patterns {
		if slices.ContainsFunc(names(st), func(name string) bool { return statement.MatchName(p, name) }) {
			ev.Matched = append(ev.Matched, p)
		}
	}
	switch st.Kind {
	case statement.KindLogKey:
		ev.Type = LogKey
	case statement.KindGenesis, statement.KindIdentity:
		ev.Type = Identity
	case statement.KindContract:
		ev.Type = Contract
	case statement.KindWithdrawal:
		ev.Type = Withdrawal
	case statement.KindReinstatement:
		ev.Type = Reinstatement
	case statement.KindApproval:
		if st.Control() {
			ev.Type = Rejection
		}
	}
	switch {
	case ev.Type != "":
	case st.Control(): // of a kind that came later
		ev.Type = Identity
	case byKey:
		ev.Type = Key
	case len(ev.Matched) > 0:
		ev.Type = Name
	default:
		return nil
	}
	return ev
}

// names are the names of the artifacts that a statement is about or names.
func names(st *statement.Statement) []string {
	var out []string
	for _, s := range st.Subject {
		name, _, _ := strings.Cut(s.Name, "@")
		out = append(out, name)
	}
	return out
}
