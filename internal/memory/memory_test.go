package memory_test

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"

	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/internal/account"
	"github.com/stele-ml/stele/internal/home"
	"github.com/stele-ml/stele/internal/ledger"
	"github.com/stele-ml/stele/internal/ledger/ledgertest"
	"github.com/stele-ml/stele/internal/memory"
	"github.com/stele-ml/stele/statement"
)

// person is somebody who looks at logs.
type person struct {
	*testing.T
	dirs  home.Dirs
	pairs []string // that they were told of
}

func someone(t *testing.T) *person { return &person{T: t, dirs: home.Dirs{State: t.TempDir()}} }

// command is the memory in the hands of a new command.
func (p *person) command() *memory.Memory {
	return memory.Of(p.dirs, func(path string, err error) {
		if err != nil {
			p.Error(err)
		}
		p.pairs = append(p.pairs, path)
	})
}

func (p *person) file(id statement.LedgerID, name string) string {
	return filepath.Join(p.dirs.Ledger(id.String()), name)
}

// has checks what of a ledger lies in a file of the memory: nil is none.
func (p *person) has(id statement.LedgerID, name string, want []byte) {
	p.Helper()
	got, err := os.ReadFile(p.file(id, name))
	if !bytes.Equal(got, want) || err != nil && (want != nil || !errors.Is(err, os.ErrNotExist)) {
		p.Errorf("%s is %q (%v), want %q", name, got, err, want)
	}
}

// convicted checks that an error is a fork or a rollback of which both checkpoints were
// kept, in one file.
func (p *person) convicted(err, kind error) {
	p.Helper()
	var h *evidence.HistoryError
	if !errors.Is(err, kind) || !errors.As(err, &h) || len(p.pairs) != 1 {
		p.Fatalf("%v, want %v; told of %q", err, kind, p.pairs)
	}
	if text, err := os.ReadFile(p.pairs[0]); err != nil || string(text) != string(h.Old)+"\n"+string(h.New) {
		p.Errorf("the pair is %q: %v", text, err)
	}
}

// log is a log of two entries and as many more as there are contents.
func log(t *testing.T, contents ...string) *ledgertest.Ledger {
	l := ledgertest.New(t)
	l.Stamped(l.Ada, "lab/a", "1", "a")
	for _, c := range contents {
		l.Stamped(l.Ada, "lab/"+c, "1", c)
	}
	return l
}

func book(t *testing.T, v *ledger.View) *account.Book {
	t.Helper()
	b, err := account.Open(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// showing is a ledger that is shown, and nothing later of it.
func showing(t *testing.T, v *ledger.View) memory.Shown {
	return memory.Shown{Book: book(t, v), Later: func([]byte) (*ledger.View, error) { return nil, nil }}
}

func latest(t *testing.T, v *ledger.View) []byte {
	t.Helper()
	signed, err := v.LatestCheckpoint()
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

func at(t *testing.T, v *ledger.View, size uint64) *ledger.View {
	t.Helper()
	then, err := v.At(size)
	if err != nil {
		t.Fatal(err)
	}
	return then
}

// trusting is a policy that trusts the test's log key, and asks for the witnesses.
func trusting(witnesses ...evidence.VKey) *evidence.Policy {
	_, key := ledgertest.LogKey("1")
	p := evidence.NewPolicy(key, "")
	for _, w := range witnesses {
		p.Witnesses = append(p.Witnesses, evidence.PolicyWitness{Name: "w", Key: w})
		p.Quorum = "w"
	}
	return p
}

// TestFollow: a log is followed forwards.
func TestFollow(t *testing.T) {
	p, l := someone(t), log(t, "b", "c")
	id := l.View().ID()
	for _, size := range []uint64{2, 2, 4} {
		v := at(t, l.View(), size)
		if err := p.command().Follow(showing(t, v), trusting()); err != nil {
			t.Fatal(err)
		}
		p.has(id, "seen", latest(t, v))
	}
	// What is read may be an earlier state, and what was seen larger than that.
	s := showing(t, l.View())
	past, proof, err := p.command().History(s, at(t, l.View(), 3))
	if err != nil || !bytes.Equal(past.Signed, latest(t, l.View())) {
		t.Fatalf("%q %v", past.Signed, err)
	}
	older, _, err := evidence.ReadCheckpoint(latest(t, at(t, l.View(), 3)))
	if err != nil {
		t.Fatal(err)
	}
	newer, _, err := evidence.ReadCheckpoint(past.Signed)
	if err != nil {
		t.Fatal(err)
	}
	if err := evidence.CheckConsistency(older, newer, proof); err != nil {
		t.Error(err)
	}
	if len(p.pairs) > 0 {
		t.Errorf("told of %q", p.pairs)
	}
}

// TestFollowAttacked: a log that nobody trusts leaves no trace; of one that contradicts
// what was seen both checkpoints are kept, and what was seen stays.
func TestFollowAttacked(t *testing.T) {
	honest := log(t, "b", "c")
	id, seen := honest.View().ID(), latest(t, honest.View())
	_, stranger := ledgertest.LogKey("2")
	for name, c := range map[string]struct {
		shown  *ledger.View
		mirror string
		policy *evidence.Policy
		want   error
		pair   string
	}{
		"an old copy":                  {at(t, honest.View(), 3), "", trusting(), evidence.ErrRollback, "rollback-"},
		"another history, as large":    {log(t, "b", "x").View(), "", trusting(), evidence.ErrFork, "conflict-"},
		"another history, larger":      {log(t, "x", "y", "z").View(), "", trusting(), evidence.ErrFork, "conflict-"},
		"a mirror that is behind":      {at(t, honest.View(), 3), "https://ledger.example", trusting(), evidence.ErrUntrusted, ""},
		"a mirror of another history":  {log(t, "x", "y", "z").View(), "https://ledger.example", trusting(), evidence.ErrFork, "conflict-"},
		"a log of a key not trusted":   {honest.View(), "", evidence.NewPolicy(stranger, ""), evidence.ErrUntrusted, ""},
		"the same, with more by it":    {log(t, "b", "c", "d").View(), "", evidence.NewPolicy(stranger, ""), evidence.ErrUntrusted, ""},
		"and one of another history":   {log(t, "x", "y", "z").View(), "", evidence.NewPolicy(stranger, ""), evidence.ErrUntrusted, ""},
		"a log with no key that is OK": {honest.View(), "", &evidence.Policy{Quorum: evidence.QuorumNone}, evidence.ErrUntrusted, ""},
	} {
		t.Run(name, func(t *testing.T) {
			p := someone(t)
			if err := p.command().Forward(id, seen); err != nil {
				t.Fatal(err)
			}
			s := showing(t, c.shown)
			s.Primary = c.mirror
			err := p.command().Follow(s, c.policy)
			if !errors.Is(err, c.want) {
				t.Fatalf("%v, want %v", err, c.want)
			}
			if c.pair == "" && len(p.pairs) > 0 {
				t.Errorf("told of %q", p.pairs)
			}
			if c.pair != "" {
				p.convicted(err, c.want)
				if base := filepath.Base(p.pairs[0]); !strings.HasPrefix(base, c.pair) {
					t.Errorf("it is %s", base)
				}
			}
			var hinted interface{ Hint() string }
			if c.mirror != "" && c.pair == "" && (!errors.As(err, &hinted) || !strings.Contains(hinted.Hint(), c.mirror)) {
				t.Errorf("no hint says where to read: %v", err)
			}
			p.has(id, "seen", seen)
		})
	}
	// Nothing is remembered of a stranger's log that is seen for the first time.
	p := someone(t)
	if err := p.command().Follow(showing(t, honest.View()), evidence.NewPolicy(stranger, "")); !errors.Is(err, evidence.ErrUntrusted) {
		t.Error(err)
	}
	p.has(id, "seen", nil)
}

// TestOperatorShowsEachCommandItsOwn: two commands of one person look at the same time,
// and each is shown a history that goes on from what was seen before. The one that is
// later to write down what it saw notices.
func TestOperatorShowsEachCommandItsOwn(t *testing.T) {
	l, forged := log(t, "b"), log(t, "x", "y")
	id := l.View().ID()
	newest, first := latest(t, l.View()), at(t, l.View(), 1)
	grown := log(t, "b", "c")
	for name, c := range map[string]struct {
		meanwhile []byte       // seen by the other command
		later     *ledger.View // what the server has, asked for that
		kept      []byte
		fork      bool
	}{
		"nothing":                     {nil, nil, newest, false},
		"the same":                    {newest, nil, newest, false},
		"a beginning":                 {latest(t, at(t, l.View(), 2)), nil, newest, false},
		"another beginning":           {latest(t, at(t, forged.View(), 3)), nil, latest(t, at(t, forged.View(), 3)), true},
		"what went on from this":      {latest(t, grown.View()), grown.View(), latest(t, grown.View()), false},
		"what did not go on from it":  {latest(t, forged.View()), forged.View(), latest(t, forged.View()), true},
		"what nobody can be asked of": {latest(t, forged.View()), nil, latest(t, forged.View()), false},
	} {
		t.Run(name, func(t *testing.T) {
			p := someone(t)
			m := p.command()
			if err := m.Forward(id, latest(t, first)); err != nil {
				t.Fatal(err)
			}
			if _, err := m.Ask(id); err != nil {
				t.Fatal(err)
			}
			if c.meanwhile != nil {
				if err := p.command().Forward(id, c.meanwhile); err != nil {
					t.Fatal(err)
				}
			}
			s := showing(t, l.View())
			s.Later = func(signed []byte) (*ledger.View, error) {
				if !bytes.Equal(signed, c.meanwhile) {
					t.Errorf("asked for %q", signed)
				}
				return c.later, nil
			}
			if err := m.Follow(s, trusting()); c.fork {
				p.convicted(err, evidence.ErrFork)
			} else if err != nil || len(p.pairs) > 0 {
				t.Error(err, p.pairs)
			}
			p.has(id, "seen", c.kept)
		})
	}
}

// TestWentBackSinceAsked: only an answer to a question that was put after more was seen
// went back: another command of this person may have seen that meanwhile.
func TestWentBackSinceAsked(t *testing.T) {
	p, l := someone(t), log(t, "b")
	s, id := showing(t, at(t, l.View(), 2)), l.View().ID()
	slow := p.command()
	if _, err := slow.Ask(id); err != nil {
		t.Fatal(err)
	}
	s.Later = func([]byte) (*ledger.View, error) { return l.View(), nil }
	if err := p.command().Follow(showing(t, l.View()), trusting()); err != nil {
		t.Fatal(err)
	}
	if err := slow.Follow(s, trusting()); err != nil {
		t.Errorf("its answer is older than what was seen since: %v", err)
	}
	p.has(id, "seen", latest(t, l.View()))
	p.convicted(p.command().Follow(s, trusting()), evidence.ErrRollback)
}

// TestAttackerStartsTheLogAgain: a log has one genesis. One that is known from another
// ledger is a fork, also where that other ledger's entries are never shown again.
func TestAttackerStartsTheLogAgain(t *testing.T) {
	p, l := someone(t), log(t)
	known := statement.LedgerID{7}
	signer, _ := ledgertest.LogKey("1")
	before, err := evidence.SignCheckpoint(evidence.Checkpoint{Origin: ledgertest.Origin, Size: 9}, signer)
	if err != nil {
		t.Fatal(err)
	}
	elsewhere, _, err := evidence.NewSigner("elsewhere.example", ledgertest.LogPrivateKey("1"))
	if err != nil {
		t.Fatal(err)
	}
	other, err := evidence.SignCheckpoint(evidence.Checkpoint{Origin: "elsewhere.example", Size: 9}, elsewhere)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.command().Forward(statement.LedgerID{8}, other); err != nil {
		t.Fatal(err)
	}
	if err := p.command().FirstSight(l.View().ID(), evidence.Remembered{}, latest(t, l.View())); err != nil {
		t.Errorf("another log is no other history: %v", err)
	}
	if err := p.command().Forward(known, before); err != nil {
		t.Fatal(err)
	}
	p.convicted(p.command().Follow(showing(t, l.View()), trusting()), evidence.ErrFork)
	p.has(l.View().ID(), "seen", nil)
}

// TestMovesForwards: what is older than what is kept takes its place never.
func TestMovesForwards(t *testing.T) {
	p, l := someone(t), log(t)
	newest, older, id := latest(t, l.View()), latest(t, at(t, l.View(), 1)), l.View().ID()
	for _, signed := range [][]byte{older, newest, older} {
		if err := p.command().Forward(id, signed); err != nil {
			t.Fatal(err)
		}
	}
	p.has(id, "seen", newest)
	if seen, err := p.command().Seen(id); err != nil || seen.Size() != 2 {
		t.Errorf("%d entries, %v", seen.Size(), err)
	}
	if err := p.command().Forward(id, []byte("no checkpoint")); err == nil {
		t.Error("what is no checkpoint is remembered")
	}
	p.has(id, "seen", newest)
}

// TestDamaged: who cannot remember what they saw, or whose memory is damaged, is told
// which file it is and what to do, and does not go on.
func TestDamaged(t *testing.T) {
	l := log(t)
	id, signed := l.View().ID(), latest(t, l.View())
	for name, spoilt := range map[string][]byte{"empty": {}, "half of it": signed[:40], "endless": bytes.Repeat(signed, evidence.MaxCheckpoint/len(signed)+1)} {
		for _, file := range []string{"seen", "cosigned"} {
			t.Run(name+" "+file, func(t *testing.T) {
				p := someone(t)
				if err := os.MkdirAll(filepath.Dir(p.file(id, file)), 0o700); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(p.file(id, file), spoilt, 0o600); err != nil {
					t.Fatal(err)
				}
				_, err := p.command().Ask(id)
				var told *memory.Error
				if !errors.As(err, &told) || told.Place() != p.file(id, file) || !strings.Contains(told.Hint(), "move it away") {
					t.Errorf("asked: %v", err)
				}
				if file == "seen" {
					if err := p.command().Follow(showing(t, l.View()), trusting()); !errors.As(err, &told) {
						t.Errorf("followed: %v", err)
					}
				}
				p.has(id, file, spoilt)
			})
		}
	}
	p := someone(t)
	if err := os.WriteFile(filepath.Join(p.dirs.State, "ledgers"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := p.command().Forward(id, signed); !errors.Is(err, memory.ErrNotWritten) {
		t.Errorf("where nothing can be written: %v", err)
	}
}

func witness(t *testing.T) (note.Signer, evidence.VKey) {
	t.Helper()
	s, k, err := evidence.NewCosigner("w.example", ed25519.NewKeyFromSeed(ledgertest.Seed("w")), 1_800_000_000)
	if err != nil {
		t.Fatal(err)
	}
	return s, k
}

// cosign has the witness cosign a log's checkpoint of a size.
func cosign(t *testing.T, l *ledgertest.Ledger, size uint64) {
	t.Helper()
	signer, key := witness(t)
	kept := latest(t, at(t, l.View(), size))
	cp, _, err := evidence.ReadCheckpoint(kept)
	if err != nil {
		t.Fatal(err)
	}
	more, err := evidence.SignCheckpoint(cp, signer)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.Cosign(more, true, key); err != nil {
		t.Fatal(err)
	}
}

// TestOperatorHidesWhatWasCosigned: the newest checkpoint that reached the quorum is
// found and remembered; who takes cosignatures away hides nothing with them.
func TestOperatorHidesWhatWasCosigned(t *testing.T) {
	p, l := someone(t), log(t, "b", "c")
	_, key := witness(t)
	policy, id := trusting(key), l.View().ID()
	if signed, err := p.command().Cosigned(showing(t, l.View()), book(t, l.View()), policy); signed != nil || err != nil {
		t.Fatalf("nobody cosigned, and there is %q, %v", signed, err)
	}
	p.has(id, "cosigned", nil)
	for _, size := range []uint64{2, 3} {
		cosign(t, l, size)
		signed, err := p.command().Cosigned(showing(t, l.View()), book(t, l.View()), policy)
		if err != nil || !bytes.Equal(signed, latest(t, at(t, l.View(), size))) {
			t.Fatalf("%q, %v", signed, err)
		}
		p.has(id, "cosigned", signed)
	}
	kept := latest(t, at(t, l.View(), 3))
	fewer := log(t, "b", "c")
	cosign(t, fewer, 2)
	for name, shown := range map[string]*ledger.View{"an earlier one": fewer.View(), "none": log(t, "b", "c").View()} {
		p.pairs = nil
		signed, err := p.command().Cosigned(showing(t, shown), book(t, shown), policy)
		if signed != nil && err == nil {
			t.Errorf("%s: %q", name, signed)
		}
		p.convicted(err, evidence.ErrRollback)
		p.has(id, "cosigned", kept)
	}
	// Cosigned, and not the beginning of what is shown.
	p.pairs = nil
	forged := log(t, "x", "y")
	cosign(t, forged, 3)
	_, err := p.command().Cosigned(showing(t, l.View()), book(t, at(t, forged.View(), 3)), policy)
	p.convicted(err, evidence.ErrFork)
	p.has(id, "cosigned", kept)
	// By another trust than that of then there is no quorum that could have gone back.
	_, other, err := evidence.NewCosigner("v.example", ed25519.NewKeyFromSeed(ledgertest.Seed("v")), 1)
	if err != nil {
		t.Fatal(err)
	}
	p.pairs = nil
	if signed, err := p.command().Cosigned(showing(t, fewer.View()), book(t, fewer.View()), trusting(other)); signed != nil || err != nil || len(p.pairs) > 0 {
		t.Errorf("%q, %v, %q", signed, err, p.pairs)
	}
	// A command that was slower than another does not take its place.
	q := someone(t)
	slow := q.command()
	if _, err := slow.Ask(id); err != nil {
		t.Fatal(err)
	}
	if _, err := q.command().Cosigned(showing(t, l.View()), book(t, l.View()), policy); err != nil {
		t.Fatal(err)
	}
	if _, err := slow.Cosigned(showing(t, fewer.View()), book(t, fewer.View()), policy); err != nil {
		t.Fatal(err)
	}
	q.has(id, "cosigned", kept)
}

// TestEvidence: the checkpoint of evidence is remembered where the verdict believes it
// and it is shown to go on from what was seen, and never else.
func TestEvidence(t *testing.T) {
	l := log(t, "b", "c")
	id := l.View().ID()
	_, stranger := ledgertest.LogKey("2")
	for name, c := range map[string]struct {
		of     *ledger.View
		seen   uint64 // of l; 0 is none
		proof  bool
		policy *evidence.Policy
		kept   *ledger.View // nil is what was seen
		pair   bool
	}{
		"the first":               {at(t, l.View(), 3), 0, false, trusting(), at(t, l.View(), 3), false},
		"later, and proved":       {l.View(), 3, true, trusting(), l.View(), false},
		"later, and not proved":   {l.View(), 3, false, trusting(), nil, false},
		"older":                   {at(t, l.View(), 3), 4, true, trusting(), nil, false},
		"another history":         {log(t, "b", "x").View(), 4, false, trusting(), nil, true},
		"of a key not trusted":    {l.View(), 3, true, evidence.NewPolicy(stranger, ""), nil, false},
		"and the first of a log":  {l.View(), 0, false, evidence.NewPolicy(stranger, ""), nil, false},
		"nobody trusts it at all": {l.View(), 0, false, nil, nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			p := someone(t)
			var want []byte
			if c.seen > 0 {
				want = latest(t, at(t, l.View(), c.seen))
				if err := p.command().Forward(id, want); err != nil {
					t.Fatal(err)
				}
			}
			b, err := book(t, c.of).Bound("lab/a", "1")
			if err != nil {
				t.Fatal(err)
			}
			f, err := c.of.Evidence(evidence.Claim{Entry: b.Entry, Name: b.Name, Version: b.Version, Fingerprint: b.Fingerprint}, nil)
			if err != nil {
				t.Fatal(err)
			}
			m, opts := p.command(), evidence.Options{Now: l.Now}
			if opts.Remembered, err = m.Newest(id); err != nil {
				t.Fatal(err)
			}
			if c.proof {
				if _, opts.Proof, err = m.History(showing(t, l.View()), c.of); err != nil {
					t.Fatal(err)
				}
			}
			v := evidence.Verify(f, c.policy, opts)
			if err := m.Compare(v, f, opts.Remembered); err != nil {
				t.Fatal(err)
			}
			if err := m.Remember(v, f, opts.Remembered); err != nil {
				t.Fatal(err)
			}
			if c.kept != nil {
				want = latest(t, c.kept)
			}
			p.has(id, "seen", want)
			if (len(p.pairs) == 1) != c.pair || len(p.pairs) > 1 {
				t.Errorf("told of %q", p.pairs)
			}
		})
	}
	// The log is known from another ledger.
	p := someone(t)
	if err := p.command().Forward(statement.LedgerID{7}, latest(t, l.View())); err != nil {
		t.Fatal(err)
	}
	b, err := book(t, l.View()).Bound("lab/a", "1")
	if err != nil {
		t.Fatal(err)
	}
	f, err := l.View().Evidence(evidence.Claim{Entry: b.Entry, Name: b.Name, Version: b.Version, Fingerprint: b.Fingerprint}, nil)
	if err != nil {
		t.Fatal(err)
	}
	v := evidence.Verify(f, trusting(), evidence.Options{Now: l.Now})
	p.convicted(p.command().Compare(v, f, evidence.Remembered{}), evidence.ErrFork)
}
