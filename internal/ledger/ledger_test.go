package ledger_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"golang.org/x/mod/sumdb/note"

	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/internal/ledger"
	"github.com/stele-ml/stele/internal/ledger/ledgertest"
	"github.com/stele-ml/stele/statement"
)

// start is the time of the tests' first block, unix ms.
const start = 1_700_000_000_000

// bench is a ledger in memory with its first administrator.
type bench struct {
	t      *testing.T
	fs     vfs.FS
	db     *pebble.DB
	l      *ledger.Ledger
	m      *ledgertest.Maker
	ada    statement.Signer
	logKey string // its name
	now    int64
}

type quiet struct{ t *testing.T }

func (quiet) Infof(string, ...any)             {}
func (quiet) Errorf(string, ...any)            {}
func (q quiet) Fatalf(format string, a ...any) { q.t.Errorf("pebble: "+format, a...) }

func openDB(t *testing.T, fs vfs.FS) *pebble.DB {
	t.Helper()
	db, err := pebble.Open("db", &pebble.Options{FS: fs, Logger: quiet{t}, FormatMajorVersion: pebble.FormatWALSyncChunks})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

// emptyBench has no genesis yet.
func emptyBench(t *testing.T) *bench {
	t.Helper()
	fs := vfs.NewMem()
	b := &bench{t: t, fs: fs, db: openDB(t, fs), m: &ledgertest.Maker{}, ada: ledgertest.P256("ada"), logKey: "1", now: start}
	var err error
	if b.l, err = ledger.Open(b.db, ledger.Options{}); err != nil {
		t.Fatal(err)
	}
	return b
}

func newBench(t *testing.T) *bench {
	t.Helper()
	b := emptyBench(t)
	_, vkey := ledgertest.LogKey("1")
	b.must(b.m.Genesis(b.ada, vkey))
	b.m.Ledger = b.l.View().ID()
	return b
}

// signBlock signs a block's checkpoint with the named log keys.
func signBlock(t *testing.T, b *ledger.Block, names ...string) []byte {
	t.Helper()
	var signers []note.Signer
	for _, vkey := range b.LogKeys() {
		for _, name := range names {
			if s, k := ledgertest.LogKey(name); k == vkey {
				signers = append(signers, s)
			}
		}
	}
	size, root := b.Root()
	signed, err := evidence.SignCheckpoint(evidence.Checkpoint{Origin: b.Origin(), Size: size, Root: root}, signers...)
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

// admitAll commits a block of envelopes and returns what became of each.
func (b *bench) admitAll(envs ...*statement.Envelope) (receipts []ledger.Receipt, errs []error) {
	b.t.Helper()
	b.now += 1000
	block, err := b.l.Begin(b.now)
	if err != nil {
		b.t.Fatal(err)
	}
	for _, env := range envs {
		var r ledger.Receipt
		c, err := b.l.Prepare(env)
		if err == nil {
			r, err = block.Admit(c)
		}
		receipts, errs = append(receipts, r), append(errs, err)
	}
	if block.Len() == 0 {
		block.Drop()
		return receipts, errs
	}
	if err := block.Commit(signBlock(b.t, block, "1", "2", "3")); err != nil {
		b.t.Fatal(err)
	}
	return receipts, errs
}

// must admits one envelope.
func (b *bench) must(env *statement.Envelope) ledger.Receipt {
	b.t.Helper()
	r, errs := b.admitAll(env)
	if errs[0] != nil {
		b.t.Fatal(errs[0])
	}
	return r[0]
}

// refused expects a refusal by a rule, with words in its message.
func (b *bench) refused(env *statement.Envelope, rule ledger.Rule, class ledger.Class, words ...string) *ledger.Refusal {
	b.t.Helper()
	before := b.l.View().Size()
	_, errs := b.admitAll(env)
	return b.isRefusal(errs[0], before, rule, class, words...)
}

func (b *bench) isRefusal(err error, size uint64, rule ledger.Rule, class ledger.Class, words ...string) *ledger.Refusal {
	b.t.Helper()
	var r *ledger.Refusal
	if !errors.As(err, &r) {
		b.t.Fatalf("want a refusal by %s, got %v", rule, err)
	}
	if r.Rule != rule || r.Class != class {
		b.t.Fatalf("want %s (%s), got %s (%s): %v", rule, class, r.Rule, r.Class, err)
	}
	for _, w := range words {
		if !strings.Contains(r.Message, w) {
			b.t.Fatalf("the message does not say %q: %s", w, r.Message)
		}
	}
	if got := b.l.View().Size(); got != size {
		b.t.Fatalf("a refusal left a trace: size %d, was %d", got, size)
	}
	return r
}

// reopen opens the ledger again from its database.
func (b *bench) reopen() error {
	b.t.Helper()
	b.l.Close()
	l, err := ledger.Open(b.db, ledger.Options{})
	if err == nil {
		b.l = l
	}
	return err
}

// fsck checks the store and returns what is wrong.
func (b *bench) fsck() []string {
	b.t.Helper()
	r, err := ledger.Check(b.t.Context(), b.db, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	return r.Problems
}

func (b *bench) sound() {
	b.t.Helper()
	if p := b.fsck(); len(p) > 0 {
		b.t.Fatalf("fsck: %s", strings.Join(p, "\n"))
	}
}
