package evidence

import (
	"bytes"
	"encoding/hex"
	"errors"
	"testing"
)

func TestEntryVectors(t *testing.T) {
	var vectors []struct {
		Name  string `json:"name"`
		Leaf  string `json:"leaf"`
		Index uint64 `json:"index"`
		Time  int64  `json:"time"`
		Count uint64 `json:"count"`
		Hash  string `json:"hash"`
		Error bool   `json:"error"`
	}
	readVectors(t, "entry.json", &vectors)
	for _, v := range vectors {
		t.Run(v.Name, func(t *testing.T) {
			leaf, err := hex.DecodeString(v.Leaf)
			if err != nil {
				t.Fatal(err)
			}
			e, err := ParseEntry(leaf)
			if v.Error {
				if !errors.Is(err, ErrFormat) {
					t.Fatalf("got %v, want ErrFormat", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if e.Index != v.Index || e.Time != v.Time || e.ControlCount != v.Count || e.LeafHash().String() != v.Hash {
				t.Fatalf("got %+v, leaf hash %v", e, e.LeafHash())
			}
			if !bytes.Equal(e.Leaf(), leaf) {
				t.Fatal("encoded differently")
			}
		})
	}
}

func TestEntryTooLong(t *testing.T) {
	if _, err := ParseEntry(make([]byte, MaxLeaf+1)); !errors.Is(err, ErrFormat) {
		t.Fatal(err)
	}
}

func FuzzParseEntry(f *testing.F) {
	l := newLedger(f, "fuzz")
	l.stamp(l.member, testData(f, 1), "scans/train", "1")
	for _, leaf := range l.leaves {
		f.Add(leaf)
	}
	f.Fuzz(func(t *testing.T, leaf []byte) {
		e, err := ParseEntry(leaf)
		if err != nil {
			if !errors.Is(err, ErrFormat) {
				t.Fatalf("an error without a class: %v", err)
			}
			return
		}
		if !bytes.Equal(e.Leaf(), leaf) {
			t.Fatal("encoded differently")
		}
	})
}
