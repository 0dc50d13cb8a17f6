package witness

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	formatsnote "github.com/transparency-dev/formats/note"
	formats "github.com/transparency-dev/formats/witness"
	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"golang.org/x/mod/sumdb/note"

	"github.com/stele-ml/stele/evidence"
)

// TestAsk: client and witness, from nothing to nine entries.
func TestAsk(t *testing.T) {
	l := newLog(t, "log.example/a", 1, "true", 9)
	w, _, c := start(t, l)
	s := httptest.NewServer(NewHandler(w))
	defer s.Close()
	client := &Client{URL: s.URL, Key: w.VKey(), Now: c.Now}
	ask := func(from, to int) ([]Cosignature, error) {
		r := l.request(from, to)
		return client.Ask(context.Background(), r.Old, r.Proof, r.Checkpoint)
	}
	if got, err := ask(0, 5); err != nil || len(got) != 1 || got[0].Time != c.Now().Unix() {
		t.Fatal(got, err)
	}
	var stale *Stale
	if _, err := ask(0, 9); !errors.As(err, &stale) || stale.Size != 5 {
		t.Fatal(err)
	}
	got, err := ask(5, 9)
	if err != nil {
		t.Fatal(err)
	}
	signed := append(l.signed(9), got[0].Line...)
	if _, n, err := evidence.OpenCheckpoint(signed, evidence.Verifiers(l.vkey, w.VKey())); err != nil || len(n.Sigs) != 2 {
		t.Fatal(err)
	}
	fork := newLog(t, "log.example/a", 1, "false", 9)
	var refused *Refused
	r := fork.request(9, 9)
	if _, err := client.Ask(context.Background(), r.Old, r.Proof, r.Checkpoint); !errors.As(err, &refused) || refused.Status != 409 {
		t.Fatal(err)
	}
	s.Close()
	var unreachable *Unreachable
	if _, err := ask(9, 9); !errors.As(err, &unreachable) {
		t.Fatal(err)
	}
}

// TestAttackerAnswersForTheWitness: no answer but a good one is believed.
func TestAttackerAnswersForTheWitness(t *testing.T) {
	l := newLog(t, "log.example/a", 1, "true", 9)
	w, _, c := start(t, l)
	good := mustAdd(t, w, l.request(0, 5))
	later := mustAdd(t, w, l.request(5, 9)) // a good one, of another size
	stranger, err := GenerateKey("witness.example/w1", bytes.NewReader(bytes.Repeat([]byte{9}, 32)))
	if err != nil {
		t.Fatal(err)
	}
	sign := func(k *Key, seconds int64) string {
		s, v, err := evidence.NewCosigner(k.vkey.Name, k.private, seconds)
		if err != nil {
			t.Fatal(err)
		}
		sig, err := s.Sign([]byte(l.at(5).Text()))
		if err != nil {
			t.Fatal(err)
		}
		return signatureLine(v.Name, v.ID(), sig)
	}
	foreign := sign(stranger, 5)
	ahead := sign(w.key, c.Now().Unix()+maxAhead+1)
	timeless := sign(w.key, 0)
	var target string
	type class = func(error) bool
	as := func(want any) class { return func(err error) bool { return errors.As(err, want) } }
	wrong, refused, unreachable, stale := as(new(*False)), as(new(*Refused)), as(new(*Unreachable)), as(new(*Stale))
	for _, x := range []struct {
		name   string
		status int
		kind   string
		body   string
		class  class // nil: it holds
	}{
		{"good", 200, "", good, nil},
		{"good among strangers", 200, "", foreign + good, nil},
		{"nothing", 200, "", "", wrong},
		{"another key of that name", 200, "", foreign, wrong},
		{"another checkpoint's", 200, "", later, wrong},
		{"good and bad", 200, "", good + later, wrong},
		{"ahead of time", 200, "", ahead, wrong},
		{"of no time", 200, "", timeless, wrong},
		{"no newline", 200, "", strings.TrimSuffix(good, "\n"), wrong},
		{"a page", 200, "text/html", "<html>", wrong},
		{"a second checkpoint", 200, "", good + "\n" + good, wrong},
		{"endless", 200, "", strings.Repeat(good, 1000), wrong},
		{"size", 409, SizeType, "3\n", stale},
		{"our own size", 409, SizeType, "0\n", refused},
		{"size without its type", 409, "text/plain", "3\n", refused},
		{"no size", 409, SizeType, "three\n", wrong},
		{"size in another spelling", 409, SizeType, "03\n", wrong},
		{"size without newline", 409, SizeType, "3", wrong},
		{"negative size", 409, SizeType, "-3\n", wrong},
		{"400", 400, "", "no\x1b[31m", refused},
		{"403", 403, "", "no", refused},
		{"404", 404, "", "no", refused},
		{"422", 422, "", "no", refused},
		{"429", 429, "", "later", unreachable},
		{"500", 500, "", "oh", unreachable},
		{"redirect", 307, "", "", refused},
		{"no content", 204, "", "", refused},
	} {
		t.Run(x.name, func(t *testing.T) {
			reached := 0
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				reached++
				_, _ = io.Copy(io.Discard, r.Body)
				if x.kind != "" {
					w.Header().Set("Content-Type", x.kind)
				}
				if x.status == 307 {
					w.Header().Set("Location", target+"/elsewhere")
				}
				w.WriteHeader(x.status)
				if x.status != 204 {
					_, _ = io.WriteString(w, x.body)
				}
			}))
			defer s.Close()
			target = s.URL
			client := &Client{URL: s.URL, Key: w.VKey(), Now: c.Now}
			r := l.request(0, 5)
			got, err := client.Ask(context.Background(), r.Old, r.Proof, r.Checkpoint)
			if x.class == nil {
				if err != nil || len(got) != 1 || got[0].Line != good {
					t.Fatal(got, err)
				}
				return
			}
			if err == nil || !x.class(err) || got != nil {
				t.Fatalf("%T %v", err, err)
			}
			if strings.ContainsRune(err.Error(), 0x1b) {
				t.Fatalf("%q", err)
			}
			if reached != 1 {
				t.Fatalf("asked %d times", reached)
			}
		})
	}
	for _, bad := range []string{"", "witness.example", "ftp://witness.example", "file:///etc/passwd", "http://"} {
		r := l.request(0, 5)
		if _, err := (&Client{URL: bad, Key: w.VKey()}).Ask(context.Background(), 0, r.Proof, r.Checkpoint); !errors.Is(err, ErrFormat) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// TestAskEnds where its context does.
func TestAskEnds(t *testing.T) {
	l := newLog(t, "log.example/a", 1, "true", 1)
	w, _, _ := start(t, l)
	ctx, cancel := context.WithCancel(context.Background())
	release := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { cancel(); <-release }))
	defer s.Close()
	defer close(release)
	r := l.request(0, 1)
	var unreachable *Unreachable
	if _, err := (&Client{URL: s.URL, Key: w.VKey()}).Ask(ctx, 0, r.Proof, r.Checkpoint); !errors.As(err, &unreachable) || !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
}

// TestOthersReadOurCosignatures: github.com/transparency-dev/formats takes our
// key's text, verifies our lines, and counts them in a policy.
func TestOthersReadOurCosignatures(t *testing.T) {
	l := newLog(t, "log.example/a", 1, "true", 9)
	w, _, c := start(t, l)
	line := mustAdd(t, w, l.request(0, 9))
	v, err := formatsnote.NewVerifierForCosignatureV1(w.VKey().String())
	if err != nil {
		t.Fatal(err)
	}
	signed := append(l.signed(9), line...)
	n, err := note.Open(signed, note.VerifierList(v))
	if err != nil || len(n.Sigs) != 1 {
		t.Fatal(err)
	}
	if at, err := formatsnote.CoSigV1Timestamp(n.Sigs[0]); err != nil || !at.Equal(c.Now()) {
		t.Fatal(at, err)
	}
	root, err := url.Parse("https://witness.example/w1")
	if err != nil {
		t.Fatal(err)
	}
	known, err := formats.New(w.VKey().String(), root)
	if err != nil || !known.Satisfied(signed) || known.Satisfied(l.signed(9)) {
		t.Fatal(err)
	}
	group, err := formats.ParsePolicy(fmt.Appendf(nil, "log %s\nwitness w1 %s https://witness.example/w1\ngroup both all w1\nquorum both\n", l.vkey, w.VKey()))
	if err != nil || !group.Satisfied(signed) || group.Satisfied(l.signed(9)) {
		t.Fatal(err)
	}
}

// TestTheirWitness: the client takes cosignatures that the other
// implementation made, with the key file of ours.
func TestTheirWitness(t *testing.T) {
	l := newLog(t, "log.example/a", 1, "true", 9)
	k, err := GenerateKey("witness.example/w2", bytes.NewReader(bytes.Repeat([]byte{31}, 32)))
	if err != nil {
		t.Fatal(err)
	}
	signer, err := formatsnote.NewSignerForCosignatureV1(strings.TrimSpace(string(k.text())))
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		_, signed, _ := bytes.Cut(body, []byte("\n\n"))
		v, err := note.NewVerifier(l.vkey.String())
		if err != nil {
			t.Error(err)
		}
		n, err := note.Open(signed, note.VerifierList(v))
		if err != nil || r.URL.Path != "/w2/add-checkpoint" {
			w.WriteHeader(403)
			return
		}
		out, err := note.Sign(&note.Note{Text: n.Text}, signer)
		if err != nil {
			t.Error(err)
		}
		_, _ = w.Write(out[len(n.Text)+1:])
	}))
	defer s.Close()
	r := l.request(3, 9)
	got, err := (&Client{URL: s.URL + "/w2/", Key: k.VKey(), Now: time.Now}).Ask(context.Background(), r.Old, r.Proof, r.Checkpoint)
	if err != nil || len(got) != 1 {
		t.Fatal(got, err)
	}
}

// TestOthersCheckOurProofs: the proofs that are sent are those that
// github.com/transparency-dev/merkle takes.
func TestOthersCheckOurProofs(t *testing.T) {
	l := newLog(t, "log.example/a", 1, "true", 20)
	for to := 1; to <= 20; to++ {
		for from := 1; from <= to; from++ {
			r, err := ParseRequest(l.request(from, to).Marshal())
			if err != nil {
				t.Fatal(err)
			}
			var hashes [][]byte
			for _, h := range r.Proof {
				hashes = append(hashes, h[:])
			}
			a, b := l.at(from).Root, l.at(to).Root
			if err := proof.VerifyConsistency(rfc6962.DefaultHasher, uint64(from), uint64(to), hashes, a[:], b[:]); err != nil {
				t.Fatalf("%d to %d: %v", from, to, err)
			}
		}
	}
}
