package main

import (
	"fmt"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"golang.org/x/mod/sumdb/note"

	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/fingerprint"
	"github.com/stele-ml/stele/internal/ledger"
	"github.com/stele-ml/stele/internal/ledger/ledgertest"
	"github.com/stele-ml/stele/internal/solo"
	"github.com/stele-ml/stele/statement"
)

// A filler puts entries on a ledger: of a team whose people keep to their parts.
type filler struct {
	*ledgertest.Maker
	ledger *ledger.Ledger
	log    note.Signer
	now    int64 // of the last block, Unix ms
	close  func()

	ada                              statement.Signer // administers
	carol, dan, erin, bob, dora, rex statement.Signer // brings data in; trains; measures; approve; releases
}

// newMaker makes statements of a ledger whose log key is given.
func newMaker() *ledgertest.Maker { return &ledgertest.Maker{Hash: fingerprint.SHA256} }

// inMemory is a ledger in memory with its people, and with contracts in force.
func (b *bench) inMemory(names ...string) (f *filler, err error) {
	options := solo.DatabaseOptions()
	options.FS, options.Logger = vfs.NewMem(), silent{}
	db, err := pebble.Open("db", options)
	if err != nil {
		return nil, err
	}
	f = &filler{Maker: newMaker(), now: 1_800_000_000_000, ada: ledgertest.P256("ada")}
	signer, vkey := ledgertest.LogKey("1")
	f.log = signer
	if f.ledger, err = ledger.Open(db, ledger.Options{NoSync: true}); err != nil {
		return nil, err
	}
	f.close = func() { f.ledger.Close(); db.Close() }
	if err := f.put(f.Genesis(f.ada, vkey)); err != nil {
		return nil, err
	}
	f.Maker.Ledger = f.ledger.View().ID()
	return f, b.people(f, names)
}

// people registers the team, and puts contracts in force.
func (b *bench) people(f *filler, names []string) error {
	var queue []*statement.Envelope
	for handle, p := range map[string]struct {
		signer *statement.Signer
		role   string
	}{
		"carol": {&f.carol, statement.RoleMember}, "dan": {&f.dan, statement.RoleMember}, "erin": {&f.erin, statement.RoleMember},
		"bob": {&f.bob, statement.RoleApprover}, "dora": {&f.dora, statement.RoleApprover}, "rex": {&f.rex, statement.RoleReleaser},
	} {
		*p.signer = ledgertest.P256(handle)
		queue = append(queue, f.Register(f.ada, (*p.signer).PublicKey(), handle, 0, []string{"*"}, p.role))
	}
	for _, name := range names {
		said, err := statement.NewContract(statement.ContractPut, b.documents[name])
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		queue = append(queue, f.Sign(f.ada, &statement.Statement{Kind: statement.KindContract, Contract: said}))
	}
	return f.put(queue...)
}

// put admits envelopes in blocks of at most 1,000.
func (f *filler) put(queue ...*statement.Envelope) error {
	for len(queue) > 0 {
		n := min(len(queue), 1000)
		if err := f.admit(queue[:n], true); err != nil {
			return err
		}
		queue = queue[n:]
	}
	return nil
}

// admit admits envelopes in one block, from their bytes to the root. Their
// signatures were made here and are not checked. What is not kept is dropped.
func (f *filler) admit(envs []*statement.Envelope, keep bool) error {
	block, err := f.ledger.Begin(f.now + 1)
	if err != nil {
		return err
	}
	for _, env := range envs {
		c, err := f.ledger.PrepareVerifiedUnsafe(env)
		if err == nil {
			_, err = block.Admit(c)
		}
		if err != nil {
			block.Drop()
			return err
		}
	}
	size, root := block.Root()
	if !keep {
		block.Drop()
		return nil
	}
	f.now++
	signed, err := evidence.SignCheckpoint(evidence.Checkpoint{Origin: block.Origin(), Size: size, Root: root}, f.log)
	if err != nil {
		return err
	}
	return block.Commit(signed)
}

// after is what somebody saw who has seen everything.
func (f *filler) after(st *statement.Statement, ref statement.Ref) (uint64, error) {
	st.Subject = []statement.Subject{ref.Subject()}
	return f.ledger.View().After(st)
}

// silent is a store's logger: what it says is not about what is measured.
type silent struct{}

func (silent) Infof(string, ...any)              {}
func (silent) Errorf(string, ...any)             {}
func (silent) Fatalf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }
