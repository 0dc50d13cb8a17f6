package spool_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stele-ml/stele/internal/durable"
	"github.com/stele-ml/stele/internal/ledger/ledgertest"
	"github.com/stele-ml/stele/internal/spool"
	"github.com/stele-ml/stele/statement"
)

func envelopes(t *testing.T, n int) []*statement.Envelope {
	t.Helper()
	return ledgertest.New(t).Stamps(ledgertest.Ed25519("bob"), "team/x", n)
}

func items(t *testing.T, s *spool.Spool) []spool.Item {
	t.Helper()
	list, err := s.Items()
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func TestInOrder(t *testing.T) {
	s := spool.At(filepath.Join(t.TempDir(), "state", "spool"))
	if len(items(t, s)) != 0 {
		t.Error("something waits where there is nothing")
	}
	envs := envelopes(t, 12)
	for _, env := range envs {
		if _, err := s.Add(env); err != nil {
			t.Fatal(err)
		}
	}
	list := items(t, s)
	if len(list) != len(envs) {
		t.Fatalf("%d wait, want %d", len(list), len(envs))
	}
	for i, item := range list {
		env, err := item.Envelope()
		if err != nil || !bytes.Equal(env.Encode(), envs[i].Encode()) {
			t.Errorf("item %d is another envelope: %v", i, err)
		}
	}
	path := filepath.Join(s.Dir(), list[0].Name, "envelope.json")
	if info, err := os.Stat(path); err != nil || info.Mode().Perm()&0o077 != 0 {
		t.Errorf("others may read %s: %v", path, err)
	}

	if err := s.Remove(list[0]); err != nil {
		t.Fatal(err)
	}
	aside, err := s.Skip(list[1])
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(aside, "envelope.json")); err != nil {
		t.Errorf("what was skipped is gone: %v", err)
	}
	if rest := items(t, s); len(rest) != 10 || rest[0].Number != 3 {
		t.Errorf("%d wait, the first is %+v", len(rest), rest[0])
	}
	more, err := s.Add(envs[0])
	if err != nil || more.Number != 13 {
		t.Errorf("the next is number %d, %v", more.Number, err)
	}
}

func TestManyAddAtOnce(t *testing.T) {
	s := spool.At(t.TempDir())
	envs := envelopes(t, 16)
	var wg sync.WaitGroup
	for _, env := range envs {
		wg.Go(func() {
			if _, err := s.Add(env); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := len(items(t, s)); n != len(envs) {
		t.Errorf("%d wait, want %d", n, len(envs))
	}
}

// A crash in the middle of adding, of taking out, or somebody else's files.
func TestLeftovers(t *testing.T) {
	s := spool.At(t.TempDir())
	for _, name := range []string{".new-0123", ".new-gone-0000000001-aa", "notes", "1-a"} {
		if err := os.Mkdir(filepath.Join(s.Dir(), name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(items(t, s)); n != 0 {
		t.Errorf("%d wait", n)
	}
	held, err := s.Lock(durable.Holder{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(s.Dir(), ".new-gone-0000000001-aa")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("what was taken out is still there: %v", err)
	}
	if _, err := s.Lock(durable.Holder{}); !errors.Is(err, durable.ErrLocked) {
		t.Errorf("two push at once: %v", err)
	}
	held.Close()
}

func TestAnEnvelopeThatWasChanged(t *testing.T) {
	s := spool.At(t.TempDir())
	envs := envelopes(t, 2)
	item, err := s.Add(envs[0])
	if err != nil {
		t.Fatal(err)
	}
	other, err := envs[1].MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(s.Dir(), item.Name, "envelope.json")
	for _, text := range []string{"", "{}", strings.Repeat(" ", statement.MaxDSSE+1), string(other)} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := item.Envelope(); !errors.Is(err, spool.ErrDamaged) || !strings.Contains(err.Error(), path) {
			t.Errorf("%.10q: %v", text, err)
		}
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if _, err := item.Envelope(); !errors.Is(err, spool.ErrDamaged) {
		t.Errorf("no envelope: %v", err)
	}
	if err := os.Symlink(path, path); err != nil {
		t.Fatal(err)
	}
	if _, err := item.Envelope(); err == nil || errors.Is(err, spool.ErrDamaged) {
		t.Errorf("what cannot be read may be whole: %v", err)
	}
}
