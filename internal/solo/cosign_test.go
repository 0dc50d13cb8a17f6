package solo

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"fmt"
	"os"
	"testing"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/internal/ledger"
	"github.com/stele-ml/stele/internal/ledger/ledgertest"
)

// signedBy is a checkpoint of the test's log, by those.
func signedBy(t *testing.T, cp evidence.Checkpoint, signers ...note.Signer) []byte {
	t.Helper()
	signed, err := evidence.SignCheckpoint(cp, signers...)
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

func cosigner(t *testing.T, name string) (note.Signer, evidence.VKey) {
	t.Helper()
	signer, key, err := evidence.NewCosigner(name, ed25519.NewKeyFromSeed(ledgertest.Seed(name)), 1_800_000_000)
	if err != nil {
		t.Fatal(err)
	}
	return signer, key
}

func checkpointOf(t *testing.T, e *Engine) evidence.Checkpoint {
	t.Helper()
	signed, err := e.Checkpoint()
	if err != nil {
		t.Fatal(err)
	}
	cp, _, err := evidence.ReadCheckpoint(signed)
	if err != nil {
		t.Fatal(err)
	}
	return cp
}

// TestCosignedEngine: more cosignatures than the guard has room for, over
// restarts, and none any more once the engine is closed.
func TestCosignedEngine(t *testing.T) {
	h := newHome(t)
	e := h.create()
	h.submit(e, h.stamp(1))
	cp := checkpointOf(t, e)
	var signers []note.Signer
	var keys []evidence.VKey
	for i := range 40 {
		s, k := cosigner(t, fmt.Sprintf("witness.example/%d", i))
		signers, keys = append(signers, s), append(keys, k)
	}
	stored, err := e.Cosign(signedBy(t, cp, signers...), true, keys...)
	if err != nil || len(stored) <= maxGuardNote {
		t.Fatalf("%d bytes, %v", len(stored), err)
	}
	closed(t, e)
	if _, err := e.Cosign(stored, true, keys...); !errors.Is(err, ErrClosed) {
		t.Fatal(err)
	}
	h.sound()
	e = h.open()
	if have, err := e.Cosigned(); err != nil || !bytes.Equal(have, stored) {
		t.Fatalf("%s %v", have, err)
	}
	h.submit(e, h.stamp(2))
	if have, err := e.Cosigned(); err != nil || !bytes.Equal(have, stored) {
		t.Fatal(err)
	}
	closed(t, e)
	// Opening a copy of it for the first time makes a guard of it, too.
	if err := os.Remove(h.statePath(fileGuard)); err != nil {
		t.Fatal(err)
	}
	h.opts.Adopt = true
	closed(t, h.open())
	h.opts.Adopt, h.opts.ReadOnly = false, true
	e = h.open()
	if _, err := e.Cosign(stored, true, keys...); !errors.Is(err, ErrReadOnly) {
		t.Fatal(err)
	}
}

func TestGrown(t *testing.T) {
	h := newHome(t)
	e := h.create()
	grown, stop := e.Grown()
	select {
	case <-grown:
		t.Fatal("before anything was written")
	default:
	}
	for i := range 3 { // nobody has to listen
		h.submit(e, h.stamp(i))
	}
	<-grown
	stop()
	h.submit(e, h.stamp(9))
	select {
	case <-grown:
		t.Fatal("after it was ended")
	default:
	}
}

// TestOurOwnKeySignedWhatWeDoNotHave: that stops the engine, for good.
func TestOurOwnKeySignedWhatWeDoNotHave(t *testing.T) {
	for name, other := range map[string]struct {
		size  uint64
		class error
	}{"larger": {7, ErrBehindGuard}, "as large": {3, ErrBesideGuard}, "smaller": {2, ErrBesideGuard}} {
		t.Run(name, func(t *testing.T) {
			h := newHome(t)
			e := h.create()
			h.submit(e, h.stamp(1))
			h.submit(e, h.stamp(2))
			cp := evidence.Checkpoint{Origin: ledgertest.Origin, Size: other.size, Root: tlog.Hash{1, 2, 3}}
			witness, _ := cosigner(t, "w")
			theirs := signedBy(t, cp, testKey("1").Signer(), witness)
			err := e.Contradict(theirs)
			var g *GuardError
			if !errors.Is(err, evidence.ErrFork) || !errors.Is(err, other.class) || !errors.As(err, &g) || len(g.GuardSigned) == 0 || len(g.DatabaseSigned) == 0 {
				t.Fatal(err)
			}
			if e.Failed() == nil {
				t.Fatal("it goes on")
			}
			if _, err := e.Submit(t.Context(), h.stamp(3)); !errors.Is(err, other.class) {
				t.Fatalf("it takes statements: %v", err)
			}
			_ = e.Close()
			if _, err := h.tryOpen(); !errors.Is(err, other.class) {
				t.Fatalf("it opens again: %v", err)
			}
		})
	}
}

// TestNobodyElseStopsTheEngine: what another key signed, what the log has, and
// what is no checkpoint, stops nothing.
func TestNobodyElseStopsTheEngine(t *testing.T) {
	h := newHome(t)
	e := h.create()
	first := checkpointOf(t, e)
	h.submit(e, h.stamp(1))
	if _, err := e.RotateLogKey(t.Context(), h.ada); err != nil {
		t.Fatal(err)
	}
	h.submit(e, h.stamp(2))
	now, err := e.Checkpoint()
	if err != nil {
		t.Fatal(err)
	}
	ahead := evidence.Checkpoint{Origin: ledgertest.Origin, Size: 99, Root: tlog.Hash{1}}
	stranger, _, err := evidence.NewSigner(ledgertest.Origin, ed25519.NewKeyFromSeed(ledgertest.Seed("stranger")))
	if err != nil {
		t.Fatal(err)
	}
	elsewhere, _, err := evidence.NewSigner("elsewhere.example", ledgertest.LogPrivateKey("1"))
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		signed []byte
		want   error
	}{
		"a stranger":                {signedBy(t, ahead, stranger), evidence.ErrUntrusted},
		"a thief of the old key":    {signedBy(t, ahead, testKey("1").Signer()), evidence.ErrUntrusted},
		"another log":               {signedBy(t, evidence.Checkpoint{Origin: "elsewhere.example", Size: 9, Root: tlog.Hash{1}}, elsewhere), evidence.ErrUntrusted},
		"nonsense":                  {[]byte("hello"), evidence.ErrFormat},
		"what the log has":          {now, nil},
		"what it had, by its key":   {signedBy(t, first, testKey("1").Signer()), nil},
		"nothing of it, no entries": {signedBy(t, evidence.Checkpoint{Origin: ledgertest.Origin, Root: evidence.EmptyRoot}, stranger), evidence.ErrUntrusted},
	} {
		if err := e.Contradict(test.signed); !errors.Is(err, test.want) || err == nil != (test.want == nil) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if e.Failed() != nil {
		t.Fatal(e.Failed())
	}
	h.submit(e, h.stamp(3))
	closed(t, e)
	h.sound()
}

// TestWitnessOfTheLedgersOwn: a witness whose key is registered on the ledger, or
// is the log's, does not make a quorum.
func TestWitnessOfTheLedgersOwn(t *testing.T) {
	h := newHome(t)
	e := h.create()
	cp := checkpointOf(t, e)
	apart, apartKey := cosigner(t, "apart")
	log, logKey, err := evidence.NewCosigner("log-as-witness", ledgertest.LogPrivateKey("1"), 1)
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		signer note.Signer
		key    evidence.VKey
		want   bool
	}{"apart": {apart, apartKey, true}, "the log": {log, logKey, false}} {
		p := &evidence.Policy{Logs: []evidence.PolicyLog{{Key: testKey("1").VKey()}}, Quorum: "w",
			Witnesses: []evidence.PolicyWitness{{Name: "w", Key: test.key}}}
		o, err := e.Judge(p, signedBy(t, cp, testKey("1").Signer(), test.signer))
		if err != nil || o.Quorum != test.want {
			t.Errorf("%s: %+v %v", name, o, err)
		}
	}
	if _, err := e.Judge(evidence.NewPolicy(apartKey, ""), signedBy(t, cp, apart)); err == nil {
		t.Error("a checkpoint without the log's signature")
	}
	if _, err := e.Cosign(signedBy(t, evidence.Checkpoint{Origin: cp.Origin, Size: 9, Root: tlog.Hash{1}}, apart), true, apartKey); !errors.Is(err, ledger.ErrNotFound) {
		t.Error(err)
	}
	if e.Failed() != nil {
		t.Error("a witness's answer ended the engine")
	}
}
