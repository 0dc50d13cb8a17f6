package evidence

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"reflect"
	"strings"
	"testing"

	"github.com/transparency-dev/formats/witness"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

func TestPolicyVectors(t *testing.T) {
	var vectors []struct {
		Name  string `json:"name"`
		File  string `json:"file"`
		Text  string `json:"text"` // as String writes it; empty if refused
		Error string `json:"error"`
	}
	readVectors(t, "trust.json", &vectors)
	for _, v := range vectors {
		t.Run(v.Name, func(t *testing.T) {
			p, err := ParsePolicy([]byte(v.File))
			if v.Error != "" {
				if !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), v.Error) {
					t.Fatalf("got %v, want ErrFormat with %q", err, v.Error)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if p.String() != v.Text {
				t.Fatalf("got\n%swant\n%s", p, v.Text)
			}
			q, err := ParsePolicy([]byte(p.String()))
			if err != nil || !reflect.DeepEqual(p, q) {
				t.Fatalf("parsed again: %+v, %v", q, err)
			}
		})
	}
}

// The quorum agrees with that of transparency-dev/formats, over random
// policies and random sets of cosignatures.
func TestPolicyQuorumSecondImplementation(t *testing.T) {
	const origin = "example.com/ledger"
	rnd := rand.New(rand.NewPCG(1, 2))
	signer, key := logKey(t, origin, "log")
	cp := Checkpoint{Origin: origin, Size: 3, Root: tlog.Hash{9}}
	met, unmet := 0, 0
	for round := range 60 {
		var file strings.Builder
		fmt.Fprintf(&file, "log %s\n", key)
		var free []string
		var cosigners []note.Signer
		for i := range 1 + rnd.IntN(6) {
			s, k := witnessKey(t, fmt.Sprintf("w%d.example", i), fmt.Sprint("w", i), int64(1700000000+i))
			name := fmt.Sprintf("w%d", i)
			fmt.Fprintf(&file, "witness %s %s https://w%d.example/\n", name, k, i)
			cosigners = append(cosigners, s)
			free = append(free, name)
		}
		rnd.Shuffle(len(free), func(i, j int) { free[i], free[j] = free[j], free[i] })
		for i := 0; len(free) > 1; i++ {
			n := 1 + rnd.IntN(len(free))
			k := fmt.Sprint(1 + rnd.IntN(n))
			switch rnd.IntN(4) {
			case 0:
				k = "any"
			case 1:
				k = "all"
			}
			name := fmt.Sprintf("g%d", i)
			fmt.Fprintf(&file, "group %s %s %s\n", name, k, strings.Join(free[:n], " "))
			free = append(free[n:], name)
			if n == 1 && i > 4 {
				break
			}
		}
		fmt.Fprintf(&file, "quorum %s\n", free[len(free)-1])

		ours, err := ParsePolicy([]byte(file.String()))
		if err != nil {
			t.Fatalf("%v\n%s", err, file.String())
		}
		theirs, err := witness.ParsePolicy([]byte(file.String()))
		if err != nil {
			t.Fatalf("their parser: %v\n%s", err, file.String())
		}
		again, err := witness.ParsePolicy([]byte(ours.String()))
		if err != nil {
			t.Fatalf("their parser on our text: %v\n%s", err, ours)
		}
		for range 8 {
			signers := []note.Signer{signer}
			for _, c := range cosigners {
				if rnd.IntN(2) == 0 {
					signers = append(signers, c)
				}
			}
			signed, err := SignCheckpoint(cp, signers...)
			if err != nil {
				t.Fatal(err)
			}
			o, err := ours.Verify(signed)
			if err != nil {
				t.Fatal(err)
			}
			if len(o.Cosignatures) != len(signers)-1 {
				t.Fatalf("%d cosignatures of %d", len(o.Cosignatures), len(signers)-1)
			}
			if want := theirs.Satisfied(signed); o.Quorum != want || again.Satisfied(signed) != want {
				t.Fatalf("round %d: quorum %v, theirs %v\n%s\n%s", round, o.Quorum, want, ours, signed)
			}
			if o.Quorum {
				met++
			} else {
				unmet++
			}
		}
	}
	if met < 50 || unmet < 50 {
		t.Fatalf("a test that tells nothing: quorum met %d times, not met %d times", met, unmet)
	}
	if _, err := url.Parse("https://w0.example/"); err != nil {
		t.Fatal(err)
	}
}

func TestPolicyVerify(t *testing.T) {
	const origin = "example.com/ledger"
	signer, key := logKey(t, origin, "log")
	stranger, _ := logKey(t, origin, "stranger")
	w1, k1 := witnessKey(t, "w1.example", "w1", 1700000100)
	w2, k2 := witnessKey(t, "w2.example", "w2", 1700000200)
	unknown, _ := witnessKey(t, "w3.example", "w3", 1700000300)
	cp := Checkpoint{Origin: origin, Size: 3, Root: tlog.Hash{9}}
	policy := &Policy{
		Logs:      []PolicyLog{{Key: key}},
		Witnesses: []PolicyWitness{{Name: "a", Key: k1}, {Name: "b", Key: k2}},
		Groups:    []PolicyGroup{{Name: "both", K: 2, Members: []string{"a", "b"}}},
		Quorum:    "both",
	}
	if err := policy.Check(); err != nil {
		t.Fatal(err)
	}
	sign := func(s ...note.Signer) []byte {
		b, err := SignCheckpoint(cp, s...)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}

	o, err := policy.Verify(sign(signer, w2, unknown, w1))
	if err != nil || !o.Quorum || o.Log != key || o.Ignored != 1 || len(o.Cosignatures) != 2 {
		t.Fatalf("%+v, %v", o, err)
	}
	if at, ok := o.QuorumTime(); !ok || at != 1700000100 {
		t.Fatalf("both are needed, so the quorum's time is the older one: %d %v", at, ok)
	}
	if o, err := policy.Verify(sign(signer, w1)); err != nil || o.Quorum {
		t.Fatalf("one of two: %+v, %v", o, err)
	}
	if _, err := policy.Verify(sign(w1, w2)); !errors.Is(err, ErrUntrusted) {
		t.Fatalf("witnesses without the log: %v", err)
	}
	if _, err := policy.Verify(sign(stranger, w1, w2)); !errors.Is(err, ErrUntrusted) {
		t.Fatalf("another key under the log's name: %v", err)
	}
	if _, err := new(Policy).Verify(sign(signer)); !errors.Is(err, ErrUntrusted) {
		t.Fatalf("the zero policy: %v", err)
	}
	// A log key that is trusted, for the checkpoint of another origin.
	other := Checkpoint{Origin: "example.com/other", Size: 3, Root: tlog.Hash{9}}
	b, err := SignCheckpoint(other, signer)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := policy.Verify(b); !errors.Is(err, ErrUntrusted) {
		t.Fatalf("another origin: %v", err)
	}
}

// A log that cosigns its own checkpoints, with its log key in a witness's
// clothes.
func TestAttackLogAsItsOwnWitness(t *testing.T) {
	const origin = "example.com/ledger"
	signer, key := logKey(t, origin, "log")
	self, selfKey := witnessKey(t, "honest.example", "log", 1700000000)
	file := fmt.Sprintf("log %s\nwitness w %s\nquorum w\n", key, selfKey)
	if _, err := ParsePolicy([]byte(file)); !errors.Is(err, ErrFormat) {
		t.Fatalf("a policy whose witness is its log: %v", err)
	}
	// The log rotates to the witness's key, which trust would follow.
	_, old := logKey(t, origin, "old log")
	policy := &Policy{Logs: []PolicyLog{{Key: old}}, Witnesses: []PolicyWitness{{Name: "w", Key: selfKey}}, Quorum: "w"}
	if err := policy.Check(); err != nil {
		t.Fatal(err)
	}
	signed, err := SignCheckpoint(Checkpoint{Origin: origin, Size: 1, Root: tlog.Hash{1}}, signer, self)
	if err != nil {
		t.Fatal(err)
	}
	o, err := policy.Verify(signed, key)
	if err != nil {
		t.Fatal(err)
	}
	if o.Quorum || len(o.Cosignatures) != 0 {
		t.Fatalf("the log's own cosignature counted: %+v", o)
	}
}

func FuzzParsePolicy(f *testing.F) {
	_, key := logKey(f, "example.com/ledger", "log")
	_, w1 := witnessKey(f, "w1.example", "w1", 0)
	_, w2 := witnessKey(f, "w2.example", "w2", 0)
	f.Add(fmt.Appendf(nil, "# mine\nlog %s https://example.com/ledger\n\nwitness a %s\nwitness b %s https://w2.example\ngroup g any a b\nquorum g\n", key, w1, w2))
	f.Add([]byte("quorum none\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := ParsePolicy(data)
		if err != nil {
			if !errors.Is(err, ErrFormat) {
				t.Fatalf("an error without a class: %v", err)
			}
			return
		}
		text := p.String()
		q, err := ParsePolicy([]byte(text))
		if err != nil || !reflect.DeepEqual(p, q) {
			t.Fatalf("String is parsed differently: %v\n%s", err, text)
		}
		if bytes.Contains([]byte(text), []byte("\n\n")) {
			t.Fatalf("an empty line in %q", text)
		}
	})
}
