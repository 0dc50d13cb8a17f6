package cosign

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	formatslog "github.com/transparency-dev/formats/log"
	formatsnote "github.com/transparency-dev/formats/note"
	formats "github.com/transparency-dev/formats/witness"
	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"golang.org/x/mod/sumdb/note"

	"github.com/stele-ml/stele/evidence"
)

// foreignWitness is a witness of the parts of github.com/transparency-dev: its
// checkpoints, its proofs, its cosignatures. The protocol between them is written
// after c2sp.org/tlog-witness alone.
type foreignWitness struct {
	t      *testing.T
	log    note.Verifier
	signer *formatsnote.Signer

	mu     sync.Mutex
	latest formatslog.Checkpoint
}

func (f *foreignWitness) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	head, checkpoint, ok := strings.Cut(string(body), "\n\n")
	if err != nil || !ok || r.URL.Path != "/w/add-checkpoint" {
		http.Error(w, "bad request", http.StatusBadRequest)
		return
	}
	lines := strings.Split(head, "\n")
	old, err := strconv.ParseUint(strings.TrimPrefix(lines[0], "old "), 10, 64)
	if err != nil {
		http.Error(w, "bad old size", http.StatusBadRequest)
		return
	}
	var hashes [][]byte
	for _, line := range lines[1:] {
		h, err := base64.StdEncoding.DecodeString(line)
		if err != nil {
			http.Error(w, "bad proof", http.StatusBadRequest)
			return
		}
		hashes = append(hashes, h)
	}
	cp, _, n, err := formatslog.ParseCheckpoint([]byte(checkpoint), f.log.Name(), f.log)
	if err != nil {
		http.Error(w, err.Error(), http.StatusForbidden)
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if old != f.latest.Size {
		w.Header().Set("Content-Type", "text/x.tlog.size")
		w.WriteHeader(http.StatusConflict)
		fmt.Fprintf(w, "%d\n", f.latest.Size)
		return
	}
	if old > 0 {
		if err := proof.VerifyConsistency(rfc6962.DefaultHasher, old, cp.Size, hashes, f.latest.Hash, cp.Hash); err != nil {
			http.Error(w, err.Error(), http.StatusUnprocessableEntity)
			return
		}
	}
	signed, err := note.Sign(&note.Note{Text: n.Text}, f.signer)
	if err != nil {
		f.t.Error(err)
	}
	f.latest = *cp
	_, _ = w.Write(signed[len(n.Text)+1:])
}

// TestForeignWitness: a witness that others made cosigns our log, beside one of
// ours, and a reader that others made finds the quorum.
func TestForeignWitness(t *testing.T) {
	c, l := newClock(), newLog(t, "true", 3)
	c.now = time.Now() // by which the foreign one signs
	skey, vkey, err := note.GenerateKey(rand.Reader, "foreign.example/w")
	if err != nil {
		t.Fatal(err)
	}
	if vkey, err = formatsnote.VKeyToCosignatureV1(vkey); err != nil {
		t.Fatal(err)
	}
	signer, err := formatsnote.NewSignerForCosignatureV1(skey)
	if err != nil {
		t.Fatal(err)
	}
	log, err := note.NewVerifier(l.vkey.String())
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(&foreignWitness{t: t, log: log, signer: signer})
	defer s.Close()
	ours := startWitness(t, "w/ours", 11, c.Now, l.vkey)
	text := fmt.Sprintf("log %s\nwitness foreign %s %s/w\nwitness ours %s %s\ngroup both all foreign ours\nquorum both\n",
		l.vkey, vkey, s.URL, ours.w.VKey(), ours.url)
	p, err := evidence.ParsePolicy([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := formats.ParsePolicy([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	w := startWorker(t, l, p, c)
	for _, size := range []uint64{3, 4, 11, 300} {
		l.grow(t, int(size)-int(l.size))
		signed, err := w.Wait(patience(t), size)
		if err != nil {
			t.Fatal(err)
		}
		if !theirs.Satisfied(signed) {
			t.Fatalf("size %d: the foreign reader finds no quorum in\n%s", size, signed)
		}
	}
}

// foreignLog is a log of the parts of github.com/transparency-dev.
type foreignLog struct {
	t      *testing.T
	signer note.Signer
	nodes  map[compact.NodeID][]byte
	tree   *compact.Range
}

func (f *foreignLog) add(n int) {
	f.t.Helper()
	for range n {
		leaf := rfc6962.DefaultHasher.HashLeaf(fmt.Appendf(nil, "foreign %d", f.tree.End()))
		if err := f.tree.Append(leaf, func(id compact.NodeID, hash []byte) { f.nodes[id] = hash }); err != nil {
			f.t.Fatal(err)
		}
	}
}

// request is the body of add-checkpoint from an old size to the newest.
func (f *foreignLog) request(old uint64) []byte {
	f.t.Helper()
	root, err := f.tree.GetRootHash(nil)
	if err != nil {
		f.t.Fatal(err)
	}
	cp := formatslog.Checkpoint{Origin: f.signer.Name(), Size: f.tree.End(), Hash: root}
	signed, err := note.Sign(&note.Note{Text: string(cp.Marshal())}, f.signer)
	if err != nil {
		f.t.Fatal(err)
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "old %d\n", old)
	if old > 0 && old < cp.Size {
		nodes, err := proof.Consistency(old, cp.Size)
		if err != nil {
			f.t.Fatal(err)
		}
		var hashes [][]byte
		for _, id := range nodes.IDs {
			hashes = append(hashes, f.nodes[id])
		}
		if hashes, err = nodes.Rehash(hashes, rfc6962.DefaultHasher.HashChildren); err != nil {
			f.t.Fatal(err)
		}
		for _, h := range hashes {
			b.WriteString(base64.StdEncoding.EncodeToString(h) + "\n")
		}
	}
	b.WriteString("\n")
	b.Write(signed)
	return b.Bytes()
}

// TestForeignLog: our witness cosigns a log that others made, and their reader
// takes the cosignature.
func TestForeignLog(t *testing.T) {
	c := newClock()
	skey, vkey, err := note.GenerateKey(rand.Reader, "foreign.example/log")
	if err != nil {
		t.Fatal(err)
	}
	signer, err := note.NewSigner(skey)
	if err != nil {
		t.Fatal(err)
	}
	known, err := evidence.ParseVKey(vkey)
	if err != nil {
		t.Fatal(err)
	}
	h := startWitness(t, "w/ours", 11, c.Now, known)
	reader, err := formatsnote.NewVerifierForCosignatureV1(h.w.VKey().String())
	if err != nil {
		t.Fatal(err)
	}
	f := &foreignLog{t: t, signer: signer, nodes: map[compact.NodeID][]byte{},
		tree: (&compact.RangeFactory{Hash: rfc6962.DefaultHasher.HashChildren}).NewEmptyRange(0)}
	old := uint64(0)
	for _, n := range []int{1, 1, 5, 0, 249, 1, 600} {
		f.add(n)
		body := f.request(old)
		resp, err := http.Post(h.url+"/add-checkpoint", "text/plain", bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		line, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("from %d to %d: status %d %s %v", old, f.tree.End(), resp.StatusCode, line, err)
		}
		_, checkpoint, _ := bytes.Cut(body, []byte("\n\n"))
		opened, err := note.Open(append(checkpoint, line...), note.VerifierList(reader))
		if err != nil || len(opened.Sigs) != 1 {
			t.Fatalf("%v %v", opened, err)
		}
		old = f.tree.End()
	}
}
