package hint

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stele-ml/stele/fingerprint"
	"github.com/stele-ml/stele/internal/source"
)

var someKey = Key{Place: "s3://bucket/prefix", Algorithm: fingerprint.SHA256}

func open(t *testing.T, dir string, key Key) *Journal {
	t.Helper()
	j, err := OpenJournal(dir, key)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { j.Close() })
	return j
}

// interrupted closes a journal and opens it again.
func interrupted(t *testing.T, dir string, j *Journal) *Journal {
	t.Helper()
	if err := errors.Join(j.Err(), j.Close()); err != nil {
		t.Fatal(err)
	}
	return open(t, dir, j.Key())
}

func small(i int) Hint {
	path := fmt.Sprintf("d/%d", i)
	return Hint{
		File: fingerprint.File{Path: path, Size: uint64(i), Digest: fingerprint.SHA256.Sum([]byte(path))},
		Mark: source.Mark{Size: int64(i), Version: fmt.Sprint("v", i)},
	}
}

func digests(n int, seed byte) []fingerprint.Digest {
	all := make([]fingerprint.Digest, n)
	for i := range all {
		all[i] = fingerprint.Digest{seed, byte(i), 1}
	}
	return all
}

func names(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func TestJournal(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "scans")
	j := open(t, dir, someKey)
	if j.Resumed() {
		t.Error("a new journal goes on from something")
	}
	if _, ok := j.File("d/1"); ok {
		t.Error("a new journal knows a file")
	}
	const size = 130*fingerprint.ChunkSize - 5 // three groups
	mark := source.Mark{Size: size, ETag: "e"}
	last := source.Mark{Size: size, ETag: "f"}
	j.Remember([]Hint{small(1), small(2), {File: fingerprint.File{Path: "unmarked"}}})
	j.RememberChunks("large", mark, 0, digests(GroupChunks, 1))
	j.RememberChunks("large", mark, 2, digests(2, 2))
	j.RememberPlain("large", mark, fingerprint.Digest{7})
	if _, ok := j.File("d/1"); ok {
		t.Error("what this run remembers it is told again")
	}
	j = interrupted(t, dir, j)
	if !j.Resumed() {
		t.Fatal("nothing was remembered")
	}
	for i := range 4 {
		got, ok := j.File(fmt.Sprintf("d/%d", i))
		if want := small(i); ok != (i == 1 || i == 2) || ok && !reflect.DeepEqual(got, want) {
			t.Errorf("d/%d: %+v, %v; want %+v", i, got, ok, want)
		}
	}
	if _, ok := j.File("unmarked"); ok {
		t.Error("a file that could not be known again was remembered")
	}
	check := func(group uint64, now source.Mark, want []fingerprint.Digest) {
		t.Helper()
		if got := j.Chunks("large", now, group); !reflect.DeepEqual(got, want) {
			t.Errorf("group %d: %d digests, want %d", group, len(got), len(want))
		}
	}
	check(0, mark, digests(GroupChunks, 1))
	check(1, mark, nil)
	check(2, mark, digests(2, 2))
	check(3, mark, nil)
	check(0, last, nil)                            // another object
	check(0, source.Mark{}, nil)                   // one that is not known again
	check(0, source.Mark{Size: 1, ETag: "e"}, nil) // another size
	if d, ok := j.Plain("large", mark); !ok || d != (fingerprint.Digest{7}) {
		t.Errorf("plain digest %v, %v", d, ok)
	}
	if _, ok := j.Plain("large", last); ok {
		t.Error("the plain digest of another object")
	}
	// What is remembered later counts.
	j.RememberChunks("large", last, 0, digests(GroupChunks, 9))
	newer := small(1)
	newer.Mark.Version = "newer"
	j.Remember([]Hint{newer})
	j = interrupted(t, dir, j)
	check(0, last, digests(GroupChunks, 9))
	check(0, mark, nil)
	if got, _ := j.File("d/1"); got.Mark.Version != "newer" {
		t.Errorf("d/1 is remembered as %+v", got)
	}
	if got, _ := j.File("d/2"); got.Mark.Version != "v2" {
		t.Errorf("d/2 is remembered as %+v", got)
	}
	// Another place, hash or kind of digest is another scan.
	for _, other := range []Key{
		{"s3://bucket/prefix2", fingerprint.SHA256, false}, {someKey.Place, fingerprint.BLAKE3, false}, {someKey.Place, fingerprint.SHA256, true},
	} {
		if open(t, dir, other).Resumed() {
			t.Errorf("%+v goes on from %+v", other, someKey)
		}
	}
	if err := errors.Join(j.Done(), j.Close()); err != nil {
		t.Error(err)
	}
	if open(t, dir, someKey).Resumed() {
		t.Error("a scan that is done left something behind")
	}
}

func TestJournalPlain(t *testing.T) {
	dir := t.TempDir()
	key := someKey
	key.Plain = true
	j := open(t, dir, key)
	h := small(5)
	j.Remember([]Hint{h}) // has no plain digest
	with := small(6)
	with.File.SHA256 = &fingerprint.Digest{6}
	j.Remember([]Hint{with})
	j = interrupted(t, dir, j)
	if _, ok := j.File("d/5"); ok {
		t.Error("a file without a plain digest was remembered")
	}
	if got, ok := j.File("d/6"); !ok || !reflect.DeepEqual(got, with) {
		t.Errorf("%+v, %v", got, ok)
	}
}

// TestJournalIsLazy: nothing is made before there is something to remember, and
// nothing stays of a scan that had nothing.
func TestJournalIsLazy(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "scans")
	j := open(t, dir, someKey)
	for _, name := range names(t, dir) {
		if strings.HasSuffix(name, journalName) {
			t.Errorf("%s was made for nothing", name)
		}
	}
	if err := j.Close(); err != nil || len(names(t, dir)) != 0 {
		t.Errorf("%v; left behind: %q", err, names(t, dir))
	}
	j = open(t, dir, someKey)
	j.Remember([]Hint{small(1)})
	if len(names(t, dir)) != 2 {
		t.Errorf("beside the lock: %q", names(t, dir))
	}
	if err := j.Done(); err != nil || len(names(t, dir)) != 0 {
		t.Errorf("%v; left behind: %q", err, names(t, dir))
	}
}

func TestJournalBusy(t *testing.T) {
	dir := t.TempDir()
	j := open(t, dir, someKey)
	if _, err := OpenJournal(dir, someKey); !errors.Is(err, ErrBusy) {
		t.Errorf("a second scan of the same place: %v", err)
	}
	other := someKey
	other.Place += ", shard 2/3"
	open(t, dir, other)
	j.Close()
	open(t, dir, someKey)
}

func TestJournalAge(t *testing.T) {
	dir := t.TempDir()
	other := someKey
	other.Place = "elsewhere"
	age := func(by time.Duration) {
		t.Helper()
		for _, name := range names(t, dir) {
			then := time.Now().Add(-by)
			if err := os.Chtimes(filepath.Join(dir, name), then, then); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, key := range []Key{someKey, other} {
		j := open(t, dir, key)
		j.Remember([]Hint{small(1)})
		j.Close()
	}
	if err := os.WriteFile(filepath.Join(dir, "other people's"), nil, 0o666); err != nil {
		t.Fatal(err)
	}
	age(MaxAge - time.Hour)
	j := open(t, dir, someKey)
	if !j.Resumed() {
		t.Error("a journal was dropped before its time")
	}
	j.Close()
	age(MaxAge + time.Hour)
	if j = open(t, dir, someKey); j.Resumed() {
		t.Error("a journal was kept beyond its time")
	}
	j.Close()
	// That of another place is gone too; what is not ours stays.
	if got := names(t, dir); len(got) != 1 || got[0] != "other people's" {
		t.Errorf("left behind: %q", got)
	}
}

// TestJournalCutOff cuts a journal at every length: what is whole is found, and
// it can be gone on with.
func TestJournalCutOff(t *testing.T) {
	dir := t.TempDir()
	j := open(t, dir, someKey)
	j.Remember([]Hint{small(1)})
	j.Remember([]Hint{small(2)})
	j.Close()
	whole, err := os.ReadFile(j.name)
	if err != nil {
		t.Fatal(err)
	}
	first := bytes.Index(whole, []byte("d/2")) - 3 // kind, length of path and of record before it
	for n := range len(whole) {
		if err := os.WriteFile(j.name, whole[:n], 0o600); err != nil {
			t.Fatal(err)
		}
		j := open(t, dir, someKey)
		_, one := j.File("d/1")
		_, two := j.File("d/2")
		if one != (n >= first) || two {
			t.Fatalf("cut at %d of %d: d/1 %v, d/2 %v", n, len(whole), one, two)
		}
		j.Remember([]Hint{small(3)})
		j = interrupted(t, dir, j)
		_, again := j.File("d/1")
		if _, three := j.File("d/3"); !three || again != one {
			t.Fatalf("cut at %d and gone on with: d/1 %v, d/3 %v", n, again, three)
		}
		j.Close()
	}
}

// TestAttackJournalBits flips every bit of a journal: no digest but the one that
// was remembered comes out of it.
func TestAttackJournalBits(t *testing.T) {
	dir := t.TempDir()
	j := open(t, dir, someKey)
	j.Remember([]Hint{small(1)})
	j.RememberChunks("large", source.Mark{Size: 2 << 20, Version: "v"}, 0, digests(2, 1))
	j.Close()
	whole, err := os.ReadFile(j.name)
	if err != nil {
		t.Fatal(err)
	}
	for i := range whole {
		bad := bytes.Clone(whole)
		bad[i] ^= 1 << (i % 8)
		if err := os.WriteFile(j.name, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		j := open(t, dir, someKey)
		if got, ok := j.File("d/1"); ok && !reflect.DeepEqual(got, small(1)) {
			t.Fatalf("byte %d: %+v", i, got)
		}
		if got := j.Chunks("large", source.Mark{Size: 2 << 20, Version: "v"}, 0); got != nil && !reflect.DeepEqual(got, digests(2, 1)) {
			t.Fatalf("byte %d: %v", i, got)
		}
		j.Close()
	}
}

// TestAttackOtherJournal: a journal that was renamed to that of another place is
// dropped.
func TestAttackOtherJournal(t *testing.T) {
	dir := t.TempDir()
	other := someKey
	other.Place = "elsewhere"
	a, b := open(t, dir, someKey), open(t, dir, other)
	a.Remember([]Hint{small(1)})
	a.Close()
	b.Close()
	if err := os.Rename(a.name, b.name); err != nil {
		t.Fatal(err)
	}
	if j := open(t, dir, other); j.Resumed() {
		t.Error("it goes on from another place's journal")
	}
	if _, err := os.Stat(b.name); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("it is still there: %v", err)
	}
}

// TestJournalFails: where nothing can be written, nothing is remembered, and
// nothing else happens.
func TestJournalFails(t *testing.T) {
	dir := t.TempDir()
	j := open(t, dir, someKey)
	if err := os.Mkdir(j.name, 0o700); err != nil {
		t.Fatal(err)
	}
	j.Remember([]Hint{small(1)})
	j.Remember([]Hint{small(2)})
	if j.Err() == nil {
		t.Error("the failure is not told")
	}
	for name, key := range map[string]Key{
		"no hash":      {Place: "x"},
		"a long place": {Place: strings.Repeat("x", maxPlace+1), Algorithm: fingerprint.SHA256},
	} {
		if _, err := OpenJournal(dir, key); err == nil {
			t.Errorf("%s: opened", name)
		}
	}
}

func TestJournalConcurrent(t *testing.T) {
	dir := t.TempDir()
	j := open(t, dir, someKey)
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := range 100 {
				j.Remember([]Hint{small(w*100 + i)})
			}
		})
	}
	wg.Wait()
	j = interrupted(t, dir, j)
	for w := range 4 {
		wg.Go(func() {
			for i := range 100 {
				if got, ok := j.File(fmt.Sprintf("d/%d", w*100+i)); !ok || !reflect.DeepEqual(got, small(w*100+i)) {
					t.Errorf("d/%d: %+v, %v", w*100+i, got, ok)
				}
			}
		})
	}
	wg.Wait()
}

// FuzzRecord: whatever a journal holds, reading it ends, and a record that can
// be read is written again alike.
func FuzzRecord(f *testing.F) {
	m := source.Mark{Size: 3, MTime: 1, CTime: 2, Inode: 3, Device: 4}
	whole := appendRecord(nil, kindFile, "a/b", 0, 3, &m, fingerprint.Digest{1})
	f.Add(whole[1 : len(whole)-sumSize])
	whole = appendRecord(nil, kindGroup, "large", 77, 1<<40, &source.Mark{Size: 1 << 40, Version: "v", ETag: "e"}, digests(3, 3)...)
	f.Add(whole[2 : len(whole)-sumSize])
	f.Fuzz(func(t *testing.T, data []byte) {
		kind, path, group, ok := record(data).subject()
		size, m, digests, whole := record(data).decode()
		if !ok || !whole {
			return
		}
		if again := appendRecord(nil, kind, string(path), group, size, &m, digests...); !bytes.Contains(again, data) {
			t.Errorf("%x is written again as %x", data, again)
		}
	})
}
