package client_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"io"
	"net/http"
	"testing"

	"golang.org/x/mod/sumdb/note"

	"github.com/stele-ml/stele/client"
	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/internal/ledger/ledgertest"
	"github.com/stele-ml/stele/internal/server"
	"github.com/stele-ml/stele/internal/wire"
	"github.com/stele-ml/stele/statement"
)

// witnessed is a policy that asks for a witness besides the log, and what that cosigns.
func (w *world) witnessed(t *testing.T) (*evidence.Policy, func(signed []byte) []byte) {
	t.Helper()
	signer, key, err := evidence.NewCosigner("witness.example", ed25519.NewKeyFromSeed(make([]byte, 32)), 1_700_000_000)
	if err != nil {
		t.Fatal(err)
	}
	p := w.policy("1")
	p.Witnesses, p.Quorum = []evidence.PolicyWitness{{Name: "w", Key: key}}, "w"
	if err := p.Check(); err != nil {
		t.Fatal(err)
	}
	return p, func(signed []byte) []byte {
		_, log := ledgertest.LogKey("1")
		n, err := note.Open(signed, evidence.Verifiers(log))
		if err == nil {
			signed, err = note.Sign(n, signer)
		}
		if err != nil {
			t.Fatal(err)
		}
		return signed
	}
}

// publish makes a server publish that checkpoint.
func (w *world) publish(signed []byte) {
	w.lie = func(rw http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path != "/checkpoint" {
			return false
		}
		_, _ = rw.Write(signed)
		return true
	}
}

// While witnesses are behind, what is submitted is acknowledged and what is read is as
// of what they cosigned: neither is a rollback of the other, and what was acknowledged
// must be there later.
func TestWitnessesBehind(t *testing.T) {
	w := newWorld(t)
	policy, cosign := w.witnessed(t)
	w.l.Put(w.stamp("a"))
	w.publish(cosign(w.checkpoint()))
	l, err := w.client(t, w).Follow(t.Context(), policy, evidence.Remembered{})
	if err != nil {
		t.Fatal(err)
	}
	mine := w.stamp("mine")
	r, err := l.Submit(t.Context(), mine, client.SubmitOptions{})
	if err != nil || r.Entry.Index != 2 {
		t.Fatalf("receipt %+v, %v", r, err)
	}
	if err := l.Advance(t.Context()); err != nil {
		t.Errorf("the published checkpoint is behind the receipt: %v", err)
	}
	if at, _ := l.Checkpoint(); at.Size != 2 {
		t.Errorf("the log is at %d, of which 2 are cosigned", at.Size)
	}
	if _, err := l.Entry(t.Context(), 2); !errors.Is(err, client.ErrNotFound) {
		t.Errorf("an entry that nobody cosigned: %v", err)
	}
	if _, err := l.Submit(t.Context(), mine, client.SubmitOptions{Cosigned: true}); !errors.Is(err, client.ErrNotCosigned) {
		t.Errorf("a receipt without the policy's quorum where that was asked for: %v", err)
	}

	// So it is for who comes again with what was acknowledged, or under a policy that
	// has named witnesses since.
	again, err := w.client(t, w).Follow(t.Context(), policy, evidence.Remembered{Signed: r.Checkpoint})
	if err != nil {
		t.Fatalf("with the receipt's checkpoint: %v", err)
	}
	if at, _ := again.Checkpoint(); at.Size != 2 {
		t.Errorf("the log is at %d, of which 2 are cosigned", at.Size)
	}

	// Another history from the entry on that was acknowledged, cosigned.
	fork := newWorld(t)
	fork.l.Put(fork.stamp("a"))
	fork.l.Put(fork.stamp("another"))
	forked := cosign(fork.checkpoint())
	w.publish(forked)
	var h *evidence.HistoryError
	for _, l := range []*client.Log{l, again} {
		if err := l.Advance(t.Context()); !errors.As(err, &h) || h.Kind != evidence.ErrFork || string(h.Old) != string(r.Checkpoint) || string(h.New) != string(forked) {
			t.Errorf("a history without what was acknowledged: %v", err)
		}
	}

	w.publish(cosign(w.checkpoint()))
	if err := l.Advance(t.Context()); err != nil {
		t.Error(err)
	}
	if e, err := l.Entry(t.Context(), 2); err != nil || e.Envelope.ID() != r.ID {
		t.Errorf("the entry, cosigned: %v", err)
	}
}

// A log lives longer than the context of the call that made it.
func TestAdvanceAfterTheFirstContext(t *testing.T) {
	w := newWorld(t)
	ctx, cancel := context.WithCancel(t.Context())
	l, err := w.client(t, w).Follow(ctx, w.policy("1"), evidence.Remembered{})
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	w.put(w.l.Rotate(w.l.Ada, "1", "2"), "1", "2")
	w.put(w.stamp("after"), "2")
	if err := l.Advance(t.Context()); err != nil {
		t.Error(err)
	}
}

// An answer that was slow is older than what was asked for after it: nobody lied.
func TestAdvanceSideBySide(t *testing.T) {
	w := newWorld(t)
	w.l.Put(w.stamp("a"))
	l := w.follow(t, w.client(t, w), nil)
	old := w.checkpoint()
	asked, answer := make(chan struct{}), make(chan struct{})
	w.lie = func(rw http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path != "/checkpoint" {
			return false
		}
		close(asked)
		<-answer
		_, _ = rw.Write(old)
		return true
	}
	slow := make(chan error)
	go func() { slow <- l.Advance(t.Context()) }()
	<-asked
	w.l.Put(w.stamp("b"))
	if err := l.AdvanceTo(t.Context(), w.checkpoint()); err != nil {
		t.Error(err)
	}
	close(answer)
	if err := <-slow; err != nil {
		t.Errorf("the slow answer: %v", err)
	}
	if at, _ := l.Checkpoint(); at.Size != 3 {
		t.Errorf("the log went back to %d", at.Size)
	}
	// From somebody else an older one is no rollback; another history is one.
	if err := l.AdvanceTo(t.Context(), mustCheckpoint(t, w, 2)); err != nil {
		t.Errorf("an older one from elsewhere: %v", err)
	}
	if err := l.AdvanceTo(t.Context(), []byte(resigned(t, 2, [32]byte{1}))); !errors.Is(err, evidence.ErrFork) {
		t.Errorf("another history from elsewhere: %v", err)
	}
}

func TestControl(t *testing.T) {
	w := newWorld(t)
	env := w.stamp("a")
	w.l.Put(env)
	l := w.follow(t, w.client(t, w), nil)
	ref := w.l.Ref("team/a", "1", "a")
	control, err := l.Control(t.Context())
	if err != nil || control.Ledger() != w.l.View().ID() || len(control.Withdrawals(ref)) != 0 {
		t.Fatalf("%v", err)
	}
	w.l.Withdrawn(w.l.Ada, ref, statement.TargetContents, statement.EffectStop)
	if err := l.Advance(t.Context()); err != nil {
		t.Fatal(err)
	}
	if control, err = l.Control(t.Context()); err != nil || len(control.Withdrawals(ref)) != 1 {
		t.Fatalf("the withdrawal: %v", err)
	}

	// A server that would leave it out, while it is the last entry, and later.
	for _, later := range []bool{false, true} {
		if later {
			w.lie = nil
			w.l.Put(w.stamp("later"))
			if err := l.Advance(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		for name, bend := range map[string]func(a *wire.ReadAnswer){
			"left out":         func(a *wire.ReadAnswer) { p := &a.Answers[0].Pairs; *p = (*p)[:len(*p)-1] },
			"without its leaf": func(a *wire.ReadAnswer) { a.Entries = a.Entries[:len(a.Entries)-1] },
			"another":          func(a *wire.ReadAnswer) { e := a.Entries[len(a.Entries)-1].Leaf; e[len(e)-1] ^= 1 },
			"twice":            func(a *wire.ReadAnswer) { p := a.Answers[0].Pairs; p[1].Value = p[0].Value },
			"nothing at all":   func(a *wire.ReadAnswer) { a.Answers[0].Pairs = nil },
		} {
			w.lie = func(rw http.ResponseWriter, r *http.Request) bool {
				if r.URL.Path != "/v1/read" {
					return false
				}
				body, _ := io.ReadAll(r.Body)
				a, err := server.AnswerRead(w.l.View(), body)
				if err != nil {
					t.Error(err)
					return false
				}
				bend(a)
				reply(rw, a)
				return true
			}
			control, err := l.Control(t.Context())
			if (later || err != nil) && !errors.Is(err, evidence.ErrTampered) || err == nil && len(control.Withdrawals(ref)) != 1 {
				t.Errorf("the withdrawal, %s: %v", name, err)
			}
		}
	}
}

// Evidence is as of what the server publishes now, and what is verified offline.
func TestEvidence(t *testing.T) {
	w := newWorld(t)
	w.l.Put(w.stamp("a"), w.stamp("b"))
	ref := w.l.Ref("team/a", "1", "a")
	c := w.client(t, w)
	l := w.follow(t, c, nil)
	said := func(f *evidence.File) evidence.Outcome {
		return evidence.Verify(f, w.policy("1"), evidence.Options{Name: ref.Name, Version: ref.Version}).Verdict
	}
	f, err := l.Evidence(t.Context(), ref.Name, ref.Version)
	if err != nil || said(f) != evidence.Verified {
		t.Fatalf("%v", err)
	}
	before, err := f.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	w.l.Withdrawn(w.l.Ada, ref, statement.TargetContents, statement.EffectStop)
	if f, err = l.Evidence(t.Context(), ref.Name, ref.Version); err != nil || said(f) != evidence.Withdrawn {
		t.Fatalf("%v", err)
	}
	if at, _ := l.Checkpoint(); at.Size != 4 {
		t.Errorf("the log is at %d", at.Size)
	}
	if _, err := l.Evidence(t.Context(), "team/none", "1"); !errors.Is(err, client.ErrNotFound) {
		t.Errorf("of nothing: %v", err)
	}

	other := newWorld(t)
	other.l.Put(other.stamp("b"), other.stamp("a"))
	fork, err := other.evidence(ref.Name, ref.Version)
	if err != nil {
		t.Fatal(err)
	}
	of, err := w.evidence("team/b", "1")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		lie  []byte
		want error
	}{
		{"from before the withdrawal", before, evidence.ErrRollback},
		{"of another history", fork, evidence.ErrRollback},
		{"of another artifact", of, evidence.ErrTampered},
		{"changed", bytes.Replace(before, []byte("team/a"), []byte("team/x"), 1), evidence.ErrTampered},
		{"none", []byte("<html>"), client.ErrAnswer},
	} {
		w.lie = func(rw http.ResponseWriter, r *http.Request) bool {
			if r.URL.Path != "/v1/evidence" {
				return false
			}
			_, _ = rw.Write(c.lie)
			return true
		}
		if f, err := l.Evidence(t.Context(), ref.Name, ref.Version); f != nil || !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
}

func TestPolicyOfNobody(t *testing.T) {
	w := newWorld(t)
	for _, p := range []*evidence.Policy{nil, {}} {
		if _, err := w.client(t, w).Follow(t.Context(), p, evidence.Remembered{}); !errors.Is(err, evidence.ErrUntrusted) {
			t.Errorf("%v: %v", p, err)
		}
		if _, err := w.client(t, w).FollowNewest(t.Context(), p, evidence.Remembered{}); !errors.Is(err, evidence.ErrUntrusted) {
			t.Errorf("%v: %v", p, err)
		}
	}
}

// A server that makes up a ledger of its own, in which control entries never end, is
// not listened to for ever: nobody trusts it before all of them are read.
func TestAttackEndlessControlEntries(t *testing.T) {
	w := newWorld(t)
	for _, handle := range []string{"bob", "cleo", "dora", "eve"} {
		w.l.Person(handle)
	}
	w.l.Put(w.stamp("a"))
	l := w.follow(t, w.client(t, w), nil)
	if _, err := l.Control(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer client.SetMaxControl(3000)()
	if _, err := l.Control(t.Context()); !errors.Is(err, client.ErrAnswer) {
		t.Errorf("error %v", err)
	}
}
