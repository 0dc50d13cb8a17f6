package fingerprint

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
)

func member(prefix string) Member {
	return Member{Prefix: prefix, Fingerprint: Fingerprint{SHA256, SHA256.Sum([]byte(prefix))}, Files: 1, Bytes: 10}
}

func members(prefixes ...string) (out []Member) {
	for _, p := range prefixes {
		out = append(out, member(p))
	}
	return out
}

func TestCollectionAgreesWithNaive(t *testing.T) {
	n := naive{SHA256}
	for count := 1; count < 40; count++ {
		var list []Member
		for i := range count {
			list = append(list, member(fmt.Sprintf("day-%03d", i)))
		}
		var root func(list []Member) string
		root = func(list []Member) string {
			if len(list) == 1 {
				m := list[0]
				return n.h("\x00", n.text(m.Prefix+"/"), string(binary.AppendUvarint(binary.AppendUvarint(nil, m.Files), m.Bytes)), string(m.Fingerprint.Sum[:]))
			}
			k := n.half(len(list))
			return n.h("\x01", root(list[:k]), root(list[k:]), n.text(list[k].Prefix+"/"))
		}
		b := []byte("stele collection v1\n")
		for _, v := range []int{count, count, 10 * count} {
			b = binary.BigEndian.AppendUint64(b, uint64(v))
		}
		fp, err := Collection(SHA256, list)
		if want := n.h(string(b), root(list)); err != nil || string(fp.Sum[:]) != want {
			t.Errorf("%d members: %v, %v, want %x", count, fp, err, want)
		}
	}
}

func TestCollectionOrder(t *testing.T) {
	for _, tt := range []struct {
		prefixes []string
		want     error
	}{
		{[]string{"a"}, nil},
		{[]string{"a/b/c", "a/b/d", "b"}, nil},
		{[]string{"2026-01-02-late", "2026-01-02"}, nil}, // '-' is less than '/'
		{[]string{"2026-01-02", "2026-01-02-late"}, ErrOrder},
		{[]string{"a", "aa"}, nil},
		{[]string{"b", "a"}, ErrOrder},
		{[]string{"a", "a"}, ErrOrder},
		{[]string{"a", "a/b"}, ErrOrder},
		{[]string{"a/b", "a"}, ErrOrder},
		{[]string{"a-", "a", "a/b"}, ErrOrder},
		{[]string{""}, ErrPath},
		{[]string{"a/"}, ErrPath},
		{[]string{"/a"}, ErrPath},
		{[]string{"a/../b"}, ErrPath},
		{[]string{strings.Repeat("a", MaxPath-1)}, nil},
		{[]string{strings.Repeat("a", MaxPath)}, ErrPath},
		{nil, ErrFormat},
	} {
		_, err := Collection(SHA256, members(tt.prefixes...))
		if !errors.Is(err, tt.want) || (err == nil) != (tt.want == nil) {
			t.Errorf("%.60q: %v, want %v", tt.prefixes, err, tt.want)
		}
	}
}

func TestCollectionLimits(t *testing.T) {
	if _, err := Collection(SHA256, make([]Member, MaxMembers+1)); !errors.Is(err, ErrFormat) {
		t.Error(err)
	}
	list := members("a", "b")
	list[0].Files = math.MaxUint64
	if _, err := Collection(SHA256, list); !errors.Is(err, ErrFormat) {
		t.Error(err)
	}
	list = members("a", "b")
	list[1].Bytes = math.MaxUint64
	if _, err := Collection(SHA256, list); !errors.Is(err, ErrFormat) {
		t.Error(err)
	}
	doc := append([]byte(collectionDomain), 1)
	doc = binary.BigEndian.AppendUint64(doc, math.MaxUint64)
	if _, _, err := ParseCollection(doc, Fingerprint{}); !errors.Is(err, ErrFormat) {
		t.Error(err)
	}
}

func TestCollectionBindsEveryBit(t *testing.T) {
	list := members("a", "b/c", "b/d")
	fp, err := Collection(SHA256, list)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := MarshalCollection(SHA256, list)
	if err != nil {
		t.Fatal(err)
	}
	for i := range doc {
		for bit := range 8 {
			bad := bytes.Clone(doc)
			bad[i] ^= 1 << bit
			if _, _, err := ParseCollection(bad, fp); err == nil {
				t.Errorf("bit %d of byte %d flipped and not found", bit, i)
			}
		}
		if _, _, err := ParseCollection(doc[:i], fp); !errors.Is(err, ErrTruncated) {
			t.Errorf("cut after %d of %d bytes: %v", i, len(doc), err)
		}
	}
	if _, _, err := ParseCollection(append(doc, 0), fp); !errors.Is(err, ErrFormat) {
		t.Error(err)
	}
}

func TestAttackerShowsACollectionAsATree(t *testing.T) {
	// A tree of one file whose path, size and digest are a member's prefix,
	// files and bytes has another root and another domain.
	m := member("a")
	fp, err := Collection(SHA256, []Member{m})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range []File{{Path: "a", Size: 1, Digest: m.Fingerprint.Sum}, {Path: "a", Size: 10, Digest: m.Fingerprint.Sum}} {
		if summaryOf(t, SHA256, []File{f}).Fingerprint(SHA256) == fp {
			t.Error("a tree has a collection's fingerprint")
		}
	}
	if m.Fingerprint == fp {
		t.Error("a collection of one has its member's fingerprint")
	}
	renamed := m
	renamed.Prefix = "b"
	if other, _ := Collection(SHA256, []Member{renamed}); other == fp {
		t.Error("the prefix is not bound")
	}
}

func TestCollectionOwnerOfAPathIsTheLastKeyBefore(t *testing.T) {
	list := members("a-b", "a", "b", "b0/x")
	slices.SortFunc(list, func(x, y Member) int { return strings.Compare(x.Prefix+"/", y.Prefix+"/") })
	if _, err := Collection(SHA256, list); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{"a/x": "a", "a/-": "a", "a-b/x": "a-b", "b/z": "b", "b0/x/y": "b0/x", "c": "", "a": "", "b0/y": ""} {
		got := ""
		for _, m := range list {
			if m.Prefix+"/" <= path {
				got = m.Prefix
			}
		}
		if !strings.HasPrefix(path, got+"/") {
			got = ""
		}
		if got != want {
			t.Errorf("%s lies in %q, want %q", path, got, want)
		}
	}
}
