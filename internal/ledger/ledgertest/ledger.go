package ledgertest

import (
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"golang.org/x/mod/sumdb/note"

	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/internal/ledger"
	"github.com/stele-ml/stele/statement"
)

// Ledger is a ledger in memory, with what it takes to fill it in a line each.
// Its methods end the test where something is refused.
type Ledger struct {
	T testing.TB
	*Maker
	*ledger.Ledger
	DB  *pebble.DB
	Ada statement.Signer // the first administrator
	Now int64            // of the last block, Unix ms; every block is a second later
}

// New makes a ledger with its genesis: Maker.Genesis.
func New(tb testing.TB) *Ledger {
	tb.Helper()
	db, err := pebble.Open("db", &pebble.Options{FS: vfs.NewMem(), Logger: quiet{tb}, FormatMajorVersion: pebble.FormatWALSyncChunks})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { db.Close() })
	l := &Ledger{T: tb, Maker: &Maker{}, DB: db, Ada: P256("ada"), Now: 1_700_000_000_000}
	if l.Ledger, err = ledger.Open(db, ledger.Options{NoSync: true}); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(l.Close)
	_, vkey := LogKey("1")
	l.Put(l.Genesis(l.Ada, vkey))
	l.Maker.Ledger = l.View().ID()
	return l
}

type quiet struct{ testing.TB }

func (quiet) Infof(string, ...any)             {}
func (quiet) Errorf(string, ...any)            {}
func (q quiet) Fatalf(format string, a ...any) { q.TB.Errorf("pebble: "+format, a...) }

// Try admits envelopes in one block and says what became of each.
func (l *Ledger) Try(envs ...*statement.Envelope) (receipts []ledger.Receipt, errs []error) {
	l.T.Helper()
	l.Now += 1000
	block, err := l.Begin(l.Now)
	if err != nil {
		l.T.Fatal(err)
	}
	for _, env := range envs {
		var r ledger.Receipt
		c, err := l.Prepare(env)
		if err == nil {
			r, err = block.Admit(c)
		}
		receipts, errs = append(receipts, r), append(errs, err)
	}
	if block.Len() == 0 {
		block.Drop()
		return receipts, errs
	}
	size, root := block.Root()
	signer, _ := LogKey("1")
	signed, err := evidence.SignCheckpoint(evidence.Checkpoint{Origin: block.Origin(), Size: size, Root: root}, []note.Signer{signer}...)
	if err == nil {
		err = block.Commit(signed)
	}
	if err != nil {
		l.T.Fatal(err)
	}
	return receipts, errs
}

// Put admits envelopes in one block and returns the first one's entry.
func (l *Ledger) Put(envs ...*statement.Envelope) uint64 {
	l.T.Helper()
	receipts, errs := l.Try(envs...)
	for _, err := range errs {
		if err != nil {
			l.T.Fatal(err)
		}
	}
	return receipts[0].Index
}

// Person registers a key under a handle, for every name; a member without
// roles.
func (l *Ledger) Person(handle string, roles ...string) statement.Signer {
	l.T.Helper()
	if len(roles) == 0 {
		roles = []string{statement.RoleMember}
	}
	key := Ed25519(handle)
	l.Put(l.Register(l.Ada, key.PublicKey(), handle, 0, []string{"*"}, roles...))
	return key
}

// Stamped stamps contents, with what they were derived from.
func (l *Ledger) Stamped(by statement.Signer, name, version, contents string, from ...statement.Ref) statement.Ref {
	l.T.Helper()
	ref := l.Ref(name, version, contents)
	l.Put(l.Stamp(by, ref, func(s *statement.Stamp) { s.From = from }))
	return ref
}

// Ran records a run that makes contents, and stamps them.
func (l *Ledger) Ran(by statement.Signer, name, version, contents string, inputs ...statement.Ref) statement.Ref {
	l.T.Helper()
	out := l.Made(name, version, contents)
	l.Put(l.Run(by, inputs, []statement.Output{out}))
	return out.Ref
}

// Collected stamps a collection of artifacts of Stamp's.
func (l *Ledger) Collected(by statement.Signer, name, version string, members ...statement.Ref) statement.Ref {
	l.T.Helper()
	var list []statement.CollectionMember
	for _, ref := range members {
		list = append(list, l.Member(ref.Name+"/"+ref.Version, ref))
	}
	env := l.Collect(by, name, version, list)
	l.Put(env)
	b, err := l.View().ByName(name, version)
	if err != nil {
		l.T.Fatal(err)
	}
	return b.Ref()
}

// Evaluated records an evaluation.
func (l *Ledger) Evaluated(by statement.Signer, ref statement.Ref, metric string, value statement.Decimal, datasets ...statement.Ref) uint64 {
	l.T.Helper()
	return l.Put(l.Evaluate(by, ref, metric, value, datasets...))
}

// Approved approves an artifact, having seen everything.
func (l *Ledger) Approved(by statement.Signer, ref statement.Ref, stage string) uint64 {
	l.T.Helper()
	return l.Put(l.Approve(by, ref, stage, l.Saw(&statement.Approval{Stage: stage}, ref)))
}

// Rejected rejects an artifact, having seen everything.
func (l *Ledger) Rejected(by statement.Signer, ref statement.Ref, stage string) uint64 {
	l.T.Helper()
	return l.Put(l.Reject(by, ref, stage, l.Saw(&statement.Approval{Stage: stage}, ref)))
}

// Released releases an artifact, having seen everything.
func (l *Ledger) Released(by statement.Signer, ref statement.Ref, stage string, replaces ...statement.Ref) uint64 {
	l.T.Helper()
	return l.Put(l.Release(by, ref, stage, l.Saw(&statement.Release{Stage: stage, Replaces: replaces}, ref), replaces...))
}

// Left takes an artifact out of a stage, having seen everything.
func (l *Ledger) Left(by statement.Signer, ref statement.Ref, stage string) uint64 {
	l.T.Helper()
	return l.Put(l.Leave(by, ref, stage, l.Saw(&statement.Release{Stage: stage}, ref)))
}

// Withdrawn withdraws an artifact, having seen everything.
func (l *Ledger) Withdrawn(by statement.Signer, ref statement.Ref, target, effect string) uint64 {
	l.T.Helper()
	w := &statement.Withdrawal{Target: target, Effect: effect, Reason: "a test", After: l.Saw(&statement.Withdrawal{}, ref)}
	return l.Put(l.on(by, ref, &statement.Statement{Kind: statement.KindWithdrawal, Withdrawal: w}))
}

// Reinstated ends a withdrawal, having seen everything.
func (l *Ledger) Reinstated(by statement.Signer, ref statement.Ref, withdrawal uint64) uint64 {
	l.T.Helper()
	return l.Put(l.Reinstate(by, ref, withdrawal, l.Saw(&statement.Withdrawal{}, ref)))
}

// Saw returns the After of a withdrawal, an approval or a release of an
// artifact by someone who has seen everything.
func (l *Ledger) Saw(what any, ref statement.Ref) uint64 {
	l.T.Helper()
	st := &statement.Statement{Subject: []statement.Subject{ref.Subject()}}
	switch w := what.(type) {
	case *statement.Withdrawal:
		st.Kind, st.Withdrawal = statement.KindWithdrawal, w
	case *statement.Approval:
		st.Kind, st.Approval = statement.KindApproval, w
	case *statement.Release:
		st.Kind, st.Release = statement.KindRelease, w
	}
	after, err := l.View().After(st)
	if err != nil {
		l.T.Fatal(err)
	}
	return after
}
