package ledger_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stele-ml/stele/internal/ledger"
	"github.com/stele-ml/stele/internal/ledger/ledgertest"
	"github.com/stele-ml/stele/statement"
)

// TestRunsByPrefix: whole bytes and half ones, up to the ends of all ids, and
// nothing that the view does not have yet.
func TestRunsByPrefix(t *testing.T) {
	l := ledgertest.New(t)
	ids := []string{ // by their order; recorded the other way round
		"00000000000000000000000000000001", "00ff0000000000000000000000000000", "0f000000000000000000000000000000",
		"abcdef00000000000000000000000000", "abcdefffffffffffffffffffffffffff", "abce0000000000000000000000000000",
		"fffffffffffffffffffffffffffffffe", "ffffffffffffffffffffffffffffffff",
	}
	entries := map[string]uint64{}
	for i := len(ids) - 1; i >= 0; i-- {
		id, err := statement.ParseNonce(ids[i])
		if err != nil {
			t.Fatal(err)
		}
		one := uint64(1)
		entries[ids[i]] = l.Put(l.Sign(l.Ada, &statement.Statement{Kind: statement.KindRun, Nonce: id, Run: &statement.Run{
			Observation: statement.ObservationWrapped, Failed: true, Exit: &one, Started: 1, Finished: 2}}))
	}
	whole := l.View()
	half, err := whole.AsOf(entries[ids[4]] + 1)
	if err != nil {
		t.Fatal(err)
	}
	prefixes := []string{"", "zz", "AB", "ab ", "abcdef000000000000000000000000000", strings.Repeat("f", 33)}
	for _, id := range ids {
		for n := range 33 {
			prefixes = append(prefixes, id[:n], id[:max(n-1, 0)]+"8")
		}
	}
	for _, prefix := range prefixes {
		for _, view := range []*ledger.View{whole, half} {
			var want, got []string
			for _, id := range ids {
				if strings.HasPrefix(id, prefix) && entries[id] < view.Size() {
					want = append(want, fmt.Sprintf("%s %d", id, entries[id]))
				}
			}
			for e, err := range view.RunsByPrefix(prefix) {
				if err != nil {
					t.Fatal(err)
				}
				if id, err := view.Run(e.ID); err != nil || id != e.Entry {
					t.Fatal(id, err)
				}
				got = append(got, fmt.Sprintf("%s %d", e.ID, e.Entry))
			}
			if !slices.Equal(got, want) {
				t.Errorf("%q of %d entries: %v, want %v", prefix, view.Size(), got, want)
			}
		}
	}
}

// TestAttackRunIndex: a changed index is told, and not read as something else.
func TestAttackRunIndex(t *testing.T) {
	for name, value := range map[string][]byte{"short": {1}, "long": bytes.Repeat([]byte{0}, 9)} {
		t.Run(name, func(t *testing.T) {
			l := ledgertest.New(t)
			ran := l.Ran(l.Ada, "m", "1", "m")
			var key []byte
			for e, err := range l.View().RunsByPrefix("") {
				if err != nil {
					t.Fatal(err)
				}
				key = append([]byte{'u'}, e.ID[:]...)
			}
			if err := l.DB.Set(key, value, nil); err != nil {
				t.Fatal(err)
			}
			failed := false
			for _, err := range l.View().RunsByPrefix("") {
				failed = failed || err != nil
			}
			if !failed {
				t.Fatalf("the run of %s is listed from a key of %d bytes", ran, len(value))
			}
		})
	}
}
