package wire_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"github.com/stele-ml/stele/internal/wire"
)

func hashes(at ...uint64) []byte {
	var b []byte
	for _, n := range at {
		b = append(binary.BigEndian.AppendUint64(b, n), bytes.Repeat([]byte{1}, 32)...)
	}
	return b
}

func TestReadRequests(t *testing.T) {
	get := wire.ReadOp{Get: []byte("n")}
	page := wire.ReadOp{Lower: []byte("a"), Upper: []byte("b"), Limit: 1}
	for name, r := range map[string]wire.ReadRequest{
		"no size":           {Index: "2", Ops: []wire.ReadOp{get}},
		"no index":          {Size: 1, Ops: []wire.ReadOp{get}},
		"no ops":            {Size: 1, Index: "2"},
		"too many ops":      {Size: 1, Index: "2", Ops: make([]wire.ReadOp, wire.MaxReadOps+1)},
		"nothing to read":   {Size: 1, Index: "2", Ops: []wire.ReadOp{{}}},
		"a long key":        {Size: 1, Index: "2", Ops: []wire.ReadOp{{Get: make([]byte, wire.MaxReadKey+1)}}},
		"get and a range":   {Size: 1, Index: "2", Ops: []wire.ReadOp{{Get: []byte("a"), Lower: []byte("a")}}},
		"half a range":      {Size: 1, Index: "2", Ops: []wire.ReadOp{{Lower: []byte("a"), Limit: 1}}},
		"a range backwards": {Size: 1, Index: "2", Ops: []wire.ReadOp{{Lower: []byte("b"), Upper: []byte("a"), Limit: 1}}},
		"no limit":          {Size: 1, Index: "2", Ops: []wire.ReadOp{{Lower: []byte("a"), Upper: []byte("b")}}},
		"a large page":      {Size: 1, Index: "2", Ops: []wire.ReadOp{{Lower: []byte("a"), Upper: []byte("b"), Limit: wire.MaxReadPage + 1}}},
		"last, and a limit": {Size: 1, Index: "2", Ops: []wire.ReadOp{{Lower: []byte("a"), Upper: []byte("b"), Limit: 1, Last: true}}},
	} {
		body, err := r.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := wire.ParseReadRequest(body); err == nil {
			t.Errorf("%s: %s is taken", name, body)
		}
	}
	r := wire.ReadRequest{Size: 7, Index: "2", Ops: []wire.ReadOp{get, page, {Lower: []byte("a"), Upper: []byte("b"), Last: true}}}
	body, err := r.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"size":7,"index":"2","ops":[{"get":"bg=="},{"lower":"YQ==","upper":"Yg==","limit":1},{"lower":"YQ==","upper":"Yg==","last":true}]}`
	if string(body) != want {
		t.Errorf("%s, want %s", body, want)
	}
	if got, err := wire.ParseReadRequest(body); err != nil || fmt.Sprint(*got) != fmt.Sprint(r) {
		t.Errorf("%v %v", got, err)
	}
	for _, bad := range []string{"", "{}", "null", want + " x", strings.Replace(want, `"size":7`, `"size":7,"size":7`, 1), strings.Replace(want, `"size"`, `"Size"`, 1)} {
		if _, err := wire.ParseReadRequest([]byte(bad)); err == nil {
			t.Errorf("%s is taken", bad)
		}
	}
}

func TestTraceRequests(t *testing.T) {
	r := wire.TraceRequest{Size: 7, Index: "2", Lookup: wire.Lookup{Kind: "up", Name: "team/model", Version: "1"}}
	body, err := r.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	if want := `{"size":7,"index":"2","lookup":{"kind":"up","name":"team/model","version":"1"}}`; string(body) != want {
		t.Errorf("%s, want %s", body, want)
	}
	if _, err := wire.ParseTraceRequest(body); err != nil {
		t.Error(err)
	}
	for name, l := range map[string]wire.Lookup{
		"no kind":          {},
		"a long kind":      {Kind: strings.Repeat("k", 33)},
		"a long name":      {Kind: "up", Name: strings.Repeat("n", 1025)},
		"many kinds":       {Kind: "past", Kinds: make([]string, 65)},
		"a long statement": {Kind: "try", Statement: make([]byte, wire.MaxReadLookup+1)},
	} {
		r.Lookup = l
		body, err := r.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := wire.ParseTraceRequest(body); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
}

func TestReadAnswers(t *testing.T) {
	get := wire.ReadOp{Get: []byte("n")}
	page := wire.ReadOp{Lower: []byte("a"), Upper: []byte("c"), Limit: 2}
	pair := func(key string) wire.ReadPair { return wire.ReadPair{Key: []byte(key)} }
	for name, a := range map[string]wire.ReadAnswer{
		"another key":          {Answers: []wire.OpAnswer{{Op: get, Pairs: []wire.ReadPair{pair("m")}}}},
		"two pairs to a get":   {Answers: []wire.OpAnswer{{Op: get, Pairs: []wire.ReadPair{pair("n"), pair("n")}}}},
		"below a range":        {Answers: []wire.OpAnswer{{Op: page, Pairs: []wire.ReadPair{pair("A")}}}},
		"above a range":        {Answers: []wire.OpAnswer{{Op: page, Pairs: []wire.ReadPair{pair("c")}}}},
		"out of order":         {Answers: []wire.OpAnswer{{Op: page, Pairs: []wire.ReadPair{pair("b"), pair("a")}}}},
		"more than the limit":  {Answers: []wire.OpAnswer{{Op: page, Pairs: []wire.ReadPair{pair("a"), pair("aa"), pair("b")}}}},
		"more after nothing":   {Answers: []wire.OpAnswer{{Op: page, More: true}}},
		"more after a get":     {Answers: []wire.OpAnswer{{Op: get, Pairs: []wire.ReadPair{pair("n")}, More: true}}},
		"entries out of order": {Entries: []wire.ReadEntry{{Index: 2}, {Index: 2}}},
		"half a hash":          {Hashes: make([]byte, 39)},
		"hashes out of order":  {Hashes: hashes(2, 1)},
		"a hash twice":         {Hashes: hashes(1, 1)},
	} {
		body, err := a.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := wire.ParseReadAnswer(body); err == nil {
			t.Errorf("%s: %s is taken", name, body)
		}
	}
	a := wire.ReadAnswer{Size: 7, Answers: []wire.OpAnswer{{Op: page, Pairs: []wire.ReadPair{pair("a"), pair("b")}, More: true}},
		Entries: []wire.ReadEntry{{Index: 1, Leaf: []byte("leaf")}}, Hashes: hashes(1, 2)}
	body, err := a.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := wire.ParseReadAnswer(body); err != nil {
		t.Error(err)
	}
}

func FuzzReadAnswer(f *testing.F) {
	f.Add([]byte(`{"size":7,"answers":[{"op":{"get":"bg=="},"pairs":[{"key":"bg==","value":"AA=="}]}],"entries":[{"index":1,"leaf":"AA=="}],"hashes":""}`))
	f.Add([]byte(`{"size":7,"answers":[{"op":{"lower":"YQ==","upper":"Yg==","limit":2},"more":true}],"entries":[]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		a, err := wire.ParseReadAnswer(body)
		if err != nil {
			return
		}
		again, err := a.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		b, err := wire.ParseReadAnswer(again)
		if err != nil {
			t.Fatalf("written again it is refused: %v", err)
		}
		if once, err := b.Marshal(); err != nil || !bytes.Equal(once, again) {
			t.Fatalf("%s, then %s, %v", again, once, err)
		}
	})
}
