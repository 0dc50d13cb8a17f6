package spool_test

import (
	"bytes"
	"errors"
	"io"
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

func document(name, text string) spool.Document {
	return spool.Document{Name: name, Open: func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(text)), nil }}
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
	for i, env := range envs {
		var docs []spool.Document
		if i == 3 {
			docs = []spool.Document{document("a", "one"), document("b", "two")}
		}
		if _, err := s.Add(env, docs...); err != nil {
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
	docs, err := list[3].Documents()
	if err != nil || len(docs) != 2 {
		t.Fatalf("documents %q, %v", docs, err)
	}
	if text, err := os.ReadFile(docs[1]); err != nil || string(text) != "two" {
		t.Errorf("document %q, %v", text, err)
	}
	if info, err := os.Stat(docs[0]); err != nil || info.Mode().Perm()&0o077 != 0 {
		t.Errorf("others may read the documents: %v", info.Mode())
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

// What could not be kept whole does not wait.
func TestADocumentThatCannotBeRead(t *testing.T) {
	s := spool.At(t.TempDir())
	broken := errors.New("broken")
	_, err := s.Add(envelopes(t, 1)[0], spool.Document{Name: "a", Open: func() (io.ReadCloser, error) { return nil, broken }})
	if !errors.Is(err, broken) {
		t.Errorf("error %v", err)
	}
	for _, name := range []string{"", "..", "a/b", ".hidden"} {
		if _, err := s.Add(envelopes(t, 1)[0], document(name, "x")); err == nil {
			t.Errorf("the name %q was taken", name)
		}
	}
	list, err := os.ReadDir(s.Dir())
	if err != nil || len(list) != 0 {
		t.Errorf("left behind: %v, %v", list, err)
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
	item, err := s.Add(envelopes(t, 1)[0])
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(s.Dir(), item.Name, "envelope.json")
	for _, text := range []string{"", "{}", strings.Repeat(" ", statement.MaxDSSE+1)} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := item.Envelope(); err == nil {
			t.Errorf("%.10q was read as an envelope", text)
		}
	}
}
