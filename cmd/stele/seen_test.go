package main

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/internal/home"
	"github.com/stele-ml/stele/internal/ledger/ledgertest"
)

// someone is a person who has seen nothing so far.
func someone(t *testing.T) *app {
	a := newApp(strings.NewReader(""), io.Discard, io.Discard, func(string) string { return "" })
	a.dirs = home.Dirs{Config: t.TempDir(), State: t.TempDir()}
	return a
}

// TestOperatorShowsEachCommandItsOwn: two commands of one person look at the same time,
// and each is shown a history that goes on from what was seen before. The one that is
// later to write down what it saw notices.
func TestOperatorShowsEachCommandItsOwn(t *testing.T) {
	l := ledgertest.New(t)
	l.Stamped(l.Ada, "lab/a", "1", "a")
	l.Stamped(l.Ada, "lab/b", "1", "b")
	r, err := newReading(l.View())
	if err != nil {
		t.Fatal(err)
	}
	newest, err := r.LatestCheckpoint()
	if err != nil {
		t.Fatal(err)
	}
	then, err := r.At(2)
	if err != nil {
		t.Fatal(err)
	}
	older, err := then.LatestCheckpoint()
	if err != nil {
		t.Fatal(err)
	}
	signer, _, err := evidence.NewSigner(r.Origin(), ed25519.NewKeyFromSeed(ledgertest.Seed("log")))
	if err != nil {
		t.Fatal(err)
	}
	other, err := evidence.SignCheckpoint(evidence.Checkpoint{Origin: r.Origin(), Size: 2, Root: tlog.Hash{7}}, signer)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		meanwhile []byte // seen by another command
		kept      []byte
		fork      bool
	}{
		"nothing":         {nil, newest, false},
		"the same":        {newest, newest, false},
		"a beginning":     {older, newest, false},
		"another history": {other, other, true},
	} {
		a := someone(t)
		if c.meanwhile != nil {
			a.saw(r.ID(), c.meanwhile)
		}
		err := a.sawNext(r, evidence.Remembered{}, newest)
		var history *evidence.HistoryError
		if errors.As(err, &history) != c.fork || !c.fork && err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if kept, err := os.ReadFile(a.seenPath(r.ID())); err != nil || !bytes.Equal(kept, c.kept) {
			t.Errorf("%s: %q is kept: %v", name, kept, err)
		}
		if pairs, _ := filepath.Glob(filepath.Join(a.dirs.Ledger(r.ID().String()), "conflict-*")); (len(pairs) == 1) != c.fork {
			t.Errorf("%s: %v", name, pairs)
		}
	}
}

// TestSeenMovesForwards: what is older than what is kept takes its place never.
func TestSeenMovesForwards(t *testing.T) {
	l := ledgertest.New(t)
	l.Stamped(l.Ada, "lab/a", "1", "a")
	a := someone(t)
	newest, err := l.View().LatestCheckpoint()
	if err != nil {
		t.Fatal(err)
	}
	then, err := l.View().At(1)
	if err != nil {
		t.Fatal(err)
	}
	older, err := then.LatestCheckpoint()
	if err != nil {
		t.Fatal(err)
	}
	id := l.View().ID()
	for _, signed := range [][]byte{older, newest, older} {
		a.saw(id, signed)
	}
	if kept, err := os.ReadFile(a.seenPath(id)); err != nil || !bytes.Equal(kept, newest) {
		t.Errorf("%q %v", kept, err)
	}
	for _, c := range []struct {
		size   uint64
		signed []byte
	}{{1, older}, {2, newest}, {1, older}} {
		if err := a.sawCosigned(id, c.size, c.signed); err != nil {
			t.Fatal(err)
		}
	}
	if kept, err := os.ReadFile(a.cosignedPath(id)); err != nil || !bytes.Equal(kept, newest) {
		t.Errorf("%q %v", kept, err)
	}
}

// TestStateThatCannotBeUsed: who cannot remember what they saw, or whose memory is
// damaged, is told which file it is and what to do; the command does not go on.
func TestStateThatCannotBeUsed(t *testing.T) {
	l := ledgertest.New(t)
	r, err := newReading(l.View())
	if err != nil {
		t.Fatal(err)
	}
	signed, err := r.LatestCheckpoint()
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		spoil func(a *app, path string) error
		hint  string
	}{
		"empty":        {func(_ *app, path string) error { return os.WriteFile(path, nil, 0o600) }, "move it away"},
		"half of it":   {func(_ *app, path string) error { return os.WriteFile(path, signed[:40], 0o600) }, "move it away"},
		"no directory": {func(a *app, _ string) error { return os.WriteFile(filepath.Join(a.dirs.State, "file"), nil, 0o600) }, "$STELE_STATE"},
	} {
		t.Run(name, func(t *testing.T) {
			a := someone(t)
			if err := os.MkdirAll(filepath.Dir(a.seenPath(r.ID())), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := c.spoil(a, a.seenPath(r.ID())); err != nil {
				t.Fatal(err)
			}
			if name == "no directory" {
				a.dirs.State = filepath.Join(a.dirs.State, "file", "state")
				err = a.onSeen(r.ID(), func() error { return nil })
			} else {
				err = a.sawNext(r, evidence.Remembered{}, signed)
				if _, serr := a.seenNow(r.ID()); describe(serr).hint != describe(err).hint {
					t.Errorf("before it is asked: %v", serr)
				}
				// What was cosigned is kept as carefully.
				if err := os.Rename(a.seenPath(r.ID()), a.cosignedPath(r.ID())); err != nil {
					t.Fatal(err)
				}
				if _, serr := a.seenNow(r.ID()); serr == nil || !strings.Contains(describe(serr).hint, c.hint) {
					t.Errorf("what was cosigned: %v", serr)
				}
			}
			f := describe(err)
			if f.status != exitError || !strings.Contains(f.hint, c.hint) || f.path == "" {
				t.Errorf("status %d, path %q, %v\nhint: %s", f.status, f.path, err, f.hint)
			}
		})
	}
}
