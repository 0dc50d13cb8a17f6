package ledger_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/internal/ledger"
	"github.com/stele-ml/stele/internal/ledger/ledgertest"
	"github.com/stele-ml/stele/statement"
)

func famKey(fam byte, rest ...byte) []byte { return append([]byte{fam}, rest...) }

// TestReaderIsAsOfItsView: what came later is not there, in no family; nor are the
// store's own words.
func TestReaderIsAsOfItsView(t *testing.T) {
	l := ledgertest.New(t)
	bob := l.Person("bob")
	old := l.Stamped(bob, "data", "1", "same")
	v := l.View()
	l.Put(l.Stamps(bob, "later", 300)...)
	l.Stamped(bob, "data", "2", "same")
	l.Released(l.Person("rel", statement.RoleReleaser), old, "production")
	r := v.Reader()
	for fam := byte('a'); fam <= 'z'; fam++ {
		if fam == 'm' || fam == 't' {
			if _, _, err := r.Page(famKey(fam), famKey(fam+1), 10); !errors.Is(err, ledger.ErrRead) {
				t.Errorf("a page of %c: %v", fam, err)
			}
			continue
		}
		pairs, more, err := r.Page(famKey(fam), famKey(fam+1), 1000)
		if err != nil || more {
			t.Fatalf("%c: %v %v", fam, more, err)
		}
		for _, p := range pairs {
			if size, ok := ledger.CheckpointKey(p.Key); ok {
				if size > v.Size() {
					t.Errorf("a checkpoint of size %d as of %d", size, v.Size())
				}
				continue
			}
			index, ok := ledger.EntryKey(p.Key)
			if !ok {
				if index, err = ledger.Leads(p); err != nil {
					t.Errorf("%q: %v", p.Key, err)
				}
			}
			if index >= v.Size() {
				t.Errorf("%q leads to entry %d as of %d", p.Key, index, v.Size())
			}
		}
		last, ok, err := r.Last(famKey(fam), famKey(fam+1))
		if err != nil || ok != (len(pairs) > 0) || ok && !bytes.Equal(last.Key, pairs[len(pairs)-1].Key) {
			t.Errorf("the last of %c: %q %v %v", fam, last.Key, ok, err)
		}
	}
	if tile, ok, err := r.Get(ledger.KeyOfTile(0, 0)); err != nil || !ok || len(tile) != int(v.Size())*32 {
		t.Errorf("the first tile: %d bytes, %v, %v", len(tile), ok, err)
	}
	if _, ok, err := r.Get([]byte("mformat")); ok || err != nil {
		t.Errorf("a word of the store: %v %v", ok, err)
	}
	for _, op := range [][2]string{{"", "b"}, {"a", ""}, {"a", "c"}, {"m", "n"}, {"t", "u"}} {
		if _, _, err := r.Page([]byte(op[0]), []byte(op[1]), 1); !errors.Is(err, ledger.ErrRead) {
			t.Errorf("from %q to %q: %v", op[0], op[1], err)
		}
	}
}

// TestOverAnotherReader: a ledger over a Reader is that of the store; a checkpoint
// of another tree opens none.
func TestOverAnotherReader(t *testing.T) {
	l := ledgertest.New(t)
	bob := l.Person("bob")
	for _, n := range []int{0, 1, 252, 3, 600} {
		if n > 0 {
			l.Put(l.Stamps(bob, fmt.Sprint("d", n), n)...)
		}
		v := l.View()
		signed, err := v.LatestCheckpoint()
		if err != nil {
			t.Fatal(err)
		}
		over, err := ledger.Over(v.Reader(), signed)
		if err != nil {
			t.Fatalf("size %d: %v", v.Size(), err)
		}
		o := over.View()
		if o.Size() != v.Size() || o.ID() != v.ID() || o.Origin() != v.Origin() || o.Time() != v.Time() {
			t.Errorf("size %d: another ledger", v.Size())
		}
		for i := range v.Size() {
			want, _ := v.Inclusion(i)
			if got, err := o.Inclusion(i); err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
				t.Fatalf("size %d: the proof of %d: %v", v.Size(), i, err)
			}
		}
		if _, err := over.Begin(l.Now); !errors.Is(err, ledger.ErrReadOnly) {
			t.Errorf("begin: %v", err)
		}
	}
	cp, _, err := evidence.ReadCheckpoint(latest(t, l.View()))
	if err != nil {
		t.Fatal(err)
	}
	cp.Root[0] ^= 1
	signer, _ := ledgertest.LogKey("1")
	forged, err := evidence.SignCheckpoint(cp, signer)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ledger.Over(l.View().Reader(), forged); !errors.Is(err, evidence.ErrTampered) {
		t.Errorf("another root: %v", err)
	}
}

func latest(t *testing.T, v *ledger.View) []byte {
	t.Helper()
	signed, err := v.LatestCheckpoint()
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

// TestAnswersAreBounded: an answer ends where it is full, never before the first
// read, and a lookup is cut off.
func TestAnswersAreBounded(t *testing.T) {
	l := ledgertest.New(t)
	bob := l.Person("bob")
	l.Put(l.Stamps(bob, "data", 200)...)
	v := l.View()
	byKind := ledger.Op{Lower: []byte{'k', 3}, Upper: []byte{'k', 4}, Limit: 500}
	first := ledger.Op{Get: ledger.KeyOfEntry(5)}
	a, err := v.Answer([]ledger.Op{first, byKind, byKind, {Get: ledger.KeyOfEntry(199)}}, nil, ledger.AnswerLimits{Ops: 100, Bytes: 10_000})
	if err != nil {
		t.Fatal(err)
	}
	if len(a.Touched) != 2 || !a.Touched[1].More || len(a.Touched[1].Pairs) == 0 || len(a.Touched[1].Pairs) > 30 {
		t.Errorf("%d answers, %d pairs", len(a.Touched), len(a.Touched[1].Pairs))
	}
	for _, p := range a.Touched[1].Pairs {
		if index := binary.BigEndian.Uint64(p.Key[2:]); a.Leaves[index] == nil {
			t.Errorf("entry %d is missing", index)
		}
	}
	if a, err = v.Answer([]ledger.Op{byKind}, nil, ledger.AnswerLimits{Ops: 1, Bytes: 1}); err != nil || len(a.Touched) != 1 || len(a.Touched[0].Pairs) != 1 {
		t.Errorf("the least answer: %v %v", a, err)
	}
	if _, err := v.Answer([]ledger.Op{{Get: nil, Lower: []byte("a"), Upper: []byte("z"), Limit: 1}}, nil, ledger.AnswerLimits{Ops: 9, Bytes: 999}); !errors.Is(err, ledger.ErrRead) {
		t.Errorf("a range over families: %v", err)
	}
	for _, lookup := range []ledger.Lookup{
		{Kind: ledger.LookupOpen}, {Kind: ledger.LookupUp, Name: "data", Version: "7"}, {Kind: ledger.LookupDown, Name: "none", Version: "1"},
		{Kind: ledger.LookupNames}, {Kind: ledger.LookupStage, Stage: "none"}, {Kind: ledger.LookupTry, Statement: []byte("{}")},
		{Kind: ledger.LookupPast, Kinds: []statement.Kind{statement.KindStamp, "none"}}, {Kind: "unknown"},
	} {
		a, err := v.Answer(nil, &lookup, ledger.AnswerLimits{Ops: 20, Bytes: 5_000})
		if err != nil {
			t.Errorf("%s: %v", lookup.Kind, err)
			continue
		}
		size := 0
		for _, leaf := range a.Leaves {
			size += len(leaf)
		}
		if size > 7_000 || len(a.Touched) > 20 {
			t.Errorf("%s: %d bytes, %d reads", lookup.Kind, size, len(a.Touched))
		}
	}
}

// TestRowsAreWhatAdmissionWrites: of every entry all that is in the index, and
// nothing else, but for what Follows allows.
func TestRowsAreWhatAdmissionWrites(t *testing.T) {
	b := newTeam(t)
	grow(t, b, rand.New(rand.NewPCG(11, 1)), 60)
	v := b.View()
	rows := map[string][]byte{}
	for e, err := range v.Entries(0, v.Size()) {
		if err != nil {
			t.Fatal(err)
		}
		st, err := e.Statement()
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range ledger.Rows(e, st) {
			rows[string(p.Key)] = p.Value
		}
	}
	it, err := b.DB.NewIter(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer it.Close()
	for ok := it.First(); ok; ok = it.Next() {
		p := ledger.Pair{Key: it.Key(), Value: it.Value()}
		if bytes.IndexByte([]byte("ectm"), p.Key[0]) >= 0 {
			continue
		}
		value, ok := rows[string(p.Key)]
		delete(rows, string(p.Key))
		if ok && bytes.Equal(value, p.Value) {
			continue
		}
		index, err := ledger.Leads(p)
		if err != nil {
			t.Fatal(err)
		}
		e, err := v.Entry(index)
		if err != nil {
			t.Fatal(err)
		}
		st, err := e.Statement()
		if err != nil || !ledger.Follows(p, e, st) {
			t.Errorf("%q does not follow from entry %d", p.Key, index)
		}
	}
	for k := range rows {
		t.Errorf("%q is not in the index", k)
	}
}
