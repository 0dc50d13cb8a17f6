package remote_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/stele-ml/stele/internal/ledger"
	"github.com/stele-ml/stele/internal/ledger/ledgertest"
	"github.com/stele-ml/stele/internal/remote"
	"github.com/stele-ml/stele/internal/server"
	"github.com/stele-ml/stele/internal/wire"
)

var update = flag.Bool("update", false, "write testdata again")

// vector is a request with its answer, as both go over the wire, and the signed
// checkpoint that the answer is checked against.
type vector struct {
	Path       string          `json:"path"`
	Checkpoint string          `json:"checkpoint"`
	Request    json.RawMessage `json:"request"`
	Answer     json.RawMessage `json:"answer"`
}

// TestVectors: the bytes of testdata are what is sent, what is answered, and what
// is believed.
func TestVectors(t *testing.T) {
	l := ledgertest.New(t)
	bob := l.Person("bob")
	data := l.Stamped(bob, "fraud-data", "2025-11", "data")
	l.Ran(bob, "fraud-model", "1", "model", data)
	l.Stamped(bob, "fraud-data", "2025-12", "more data")
	v := l.View()
	open := wire.TraceRequest{Size: v.Size(), Index: ledger.IndexVersion, Lookup: wire.Lookup{Kind: "open"}}
	up := wire.TraceRequest{Size: v.Size(), Index: ledger.IndexVersion, Lookup: wire.Lookup{Kind: "up", Name: "fraud-model", Version: "1"}}
	name := wire.ReadRequest{Size: v.Size(), Index: ledger.IndexVersion, Ops: []wire.ReadOp{
		{Get: []byte("nfraud-model\x001")},
		{Lower: []byte("vfraud-data\x00"), Upper: []byte("vfraud-data\x01"), Limit: 8},
		{Lower: []byte{'k', 3}, Upper: []byte{'k', 4}, Last: true},
	}}
	for _, c := range []struct {
		name, path string
		request    interface{ Marshal() ([]byte, error) }
		answer     func(*ledger.View, []byte) (*wire.ReadAnswer, error)
	}{
		{"open", "/v1/trace", &open, server.AnswerTrace},
		{"up", "/v1/trace", &up, server.AnswerTrace},
		{"read", "/v1/read", &name, server.AnswerRead},
	} {
		t.Run(c.name, func(t *testing.T) {
			body, err := c.request.Marshal()
			if err != nil {
				t.Fatal(err)
			}
			a, err := c.answer(v, body)
			if err != nil {
				t.Fatal(err)
			}
			answer, err := a.Marshal()
			if err != nil {
				t.Fatal(err)
			}
			got, err := json.MarshalIndent(vector{c.path, string(signed(t, v)), body, answer}, "", " ")
			if err != nil {
				t.Fatal(err)
			}
			file := filepath.Join("testdata", c.name+".json")
			if *update {
				if err := os.WriteFile(file, append(got, '\n'), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(append(got, '\n'), want) {
				t.Errorf("%s is\n%s", file, got)
			}
		})
	}
	// What the file says is believed without the server that wrote it.
	file, err := os.ReadFile(filepath.Join("testdata", "open.json"))
	if err != nil {
		t.Fatal(err)
	}
	var kept vector
	if err := json.Unmarshal(file, &kept); err != nil {
		t.Fatal(err)
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, kept.Answer); err != nil {
		t.Fatal(err)
	}
	s := serve(l)
	s.change = func(_ []wire.ReadOp, a *wire.ReadAnswer) {
		parsed, err := wire.ParseReadAnswer(compact.Bytes())
		if err != nil {
			t.Error(err)
			return
		}
		// Over asks for a tile besides, which it finds in its answer alone.
		parsed.Answers = append(a.Answers[:1:1], parsed.Answers...)
		*a = *parsed
	}
	if _, err := remote.Open(t.Context(), s, []byte(kept.Checkpoint)); err != nil {
		t.Error(err)
	}
}
