package evidence

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"

	formatslog "github.com/transparency-dev/formats/log"
	formatsnote "github.com/transparency-dev/formats/note"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// testKey is a private key that is the same in every run.
func testKey(label string) ed25519.PrivateKey {
	seed := sha256.Sum256([]byte("stele test key " + label))
	return ed25519.NewKeyFromSeed(seed[:])
}

func logKey(t testing.TB, name, label string) (note.Signer, VKey) {
	t.Helper()
	s, k, err := NewSigner(name, testKey(label))
	if err != nil {
		t.Fatal(err)
	}
	return s, k
}

func witnessKey(t testing.TB, name, label string, seconds int64) (note.Signer, VKey) {
	t.Helper()
	s, k, err := NewCosigner(name, testKey(label), seconds)
	if err != nil {
		t.Fatal(err)
	}
	return s, k
}

func readVectors(t testing.TB, name string, v any) {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, v); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}

func TestCheckpointVectors(t *testing.T) {
	var vectors []struct {
		Name   string `json:"name"`
		Signed string `json:"signed"`
		Log    string `json:"log"`     // vkey that must verify
		Wit    string `json:"witness"` // likewise
		Origin string `json:"origin"`
		Size   uint64 `json:"size"`
		Error  bool   `json:"error"`
	}
	readVectors(t, "checkpoint.json", &vectors)
	for _, v := range vectors {
		t.Run(v.Name, func(t *testing.T) {
			c, sigs, err := ReadCheckpoint([]byte(v.Signed))
			if v.Error {
				if !errors.Is(err, ErrFormat) {
					t.Fatalf("got %v, want ErrFormat", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if c.Origin != v.Origin || c.Size != v.Size {
				t.Fatalf("got %s %d, want %s %d", c.Origin, c.Size, v.Origin, v.Size)
			}
			if !strings.HasPrefix(v.Signed, c.Text()+"\n") {
				t.Fatal("the text does not begin the note")
			}
			var keys []VKey
			for _, s := range []string{v.Log, v.Wit} {
				if s == "" {
					continue
				}
				k, err := ParseVKey(s)
				if err != nil {
					t.Fatal(err)
				}
				keys = append(keys, k)
			}
			_, n, err := OpenCheckpoint([]byte(v.Signed), Verifiers(keys...))
			if err != nil {
				t.Fatal(err)
			}
			if len(n.Sigs) != len(keys) || len(sigs) != len(keys) {
				t.Fatalf("%d signatures, %d verified, want %d", len(sigs), len(n.Sigs), len(keys))
			}
		})
	}
}

// Somebody else's code makes and reads the same notes.
func TestCheckpointSecondImplementation(t *testing.T) {
	const origin = "example.com/ledger"
	cp := Checkpoint{Origin: origin, Size: 7, Root: tlog.Hash{1, 2, 3}}
	signer, key := logKey(t, origin, "log")
	cosigner, witness := witnessKey(t, "witness.example/w1", "w1", 1700000000)
	signed, err := SignCheckpoint(cp, signer, cosigner)
	if err != nil {
		t.Fatal(err)
	}

	theirLog, err := note.NewVerifier(key.String())
	if err != nil {
		t.Fatal(err)
	}
	theirWitness, err := formatsnote.NewVerifierForCosignatureV1(witness.String())
	if err != nil {
		t.Fatal(err)
	}
	c, _, n, err := formatslog.ParseCheckpoint(signed, origin, theirLog, theirWitness)
	if err != nil {
		t.Fatalf("their reader: %v", err)
	}
	if c.Size != cp.Size || !bytes.Equal(c.Hash, cp.Root[:]) || len(n.Sigs) != 2 {
		t.Fatalf("their reader: %+v, %d signatures", c, len(n.Sigs))
	}
	when, err := formatsnote.CoSigV1Timestamp(n.Sigs[1])
	if err != nil || when.Unix() != 1700000000 {
		t.Fatalf("their time: %v, %v", when, err)
	}

	// Their cosigner, our verifier.
	skey, vkey, err := note.GenerateKey(zeroReader{}, "their.example/w")
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := formatsnote.NewSignerForCosignatureV1(skey)
	if err != nil {
		t.Fatal(err)
	}
	vkey, err = formatsnote.VKeyToCosignatureV1(vkey)
	if err != nil {
		t.Fatal(err)
	}
	wk, err := ParseVKey(vkey)
	if err != nil {
		t.Fatal(err)
	}
	signed, err = SignCheckpoint(cp, signer, theirs)
	if err != nil {
		t.Fatal(err)
	}
	if _, n, err := OpenCheckpoint(signed, Verifiers(key, wk)); err != nil || len(n.Sigs) != 2 {
		t.Fatalf("their cosignature: %v", err)
	}
	theirText := formatslog.Checkpoint{Origin: origin, Size: 7, Hash: cp.Root[:]}.Marshal()
	if string(theirText) != cp.Text() {
		t.Fatalf("their text %q, ours %q", theirText, cp.Text())
	}
}

type zeroReader struct{}

func (zeroReader) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestParseVKey(t *testing.T) {
	_, k := logKey(t, "example.com/ledger", "log")
	s := k.String()
	if got, err := ParseVKey(s); err != nil || got != k {
		t.Fatalf("ParseVKey(%s) = %v, %v", s, got, err)
	}
	for name, bad := range map[string]string{
		"empty":           "",
		"no id":           "example.com/ledger",
		"upper-case id":   strings.Replace(s, s[19:27], strings.ToUpper(s[19:27]), 1),
		"another name":    "f" + s[1:],
		"another id":      strings.Replace(s, s[19:27], "00000000", 1),
		"a space":         strings.Replace(s, "example.com", "example com", 1),
		"trailing":        s + "A",
		"a newline":       s + "\n",
		"ECDSA":           "a+00000000+AgAA",
		"unknown type":    "a+00000000+BwAA",
		"a long name":     strings.Repeat("a", MaxOrigin+1) + s[18:],
		"a short key":     "a+00000000+AQAA",
		"control in name": "a\x01" + s[18:],
	} {
		if k, err := ParseVKey(bad); !errors.Is(err, ErrFormat) {
			t.Errorf("%s: ParseVKey(%q) = %v, %v; want ErrFormat", name, bad, k, err)
		}
	}
}

func TestSignCheckpointRefuses(t *testing.T) {
	signer, _ := logKey(t, "example.com/ledger", "log")
	for name, c := range map[string]Checkpoint{
		"no origin":        {Size: 1},
		"a space":          {Origin: "a b", Size: 1},
		"a newline":        {Origin: "a\nb", Size: 1},
		"a plus":           {Origin: "a+b", Size: 1},
		"an empty tree":    {Origin: "a", Size: 0, Root: tlog.Hash{1}},
		"too many entries": {Origin: "a", Size: 1 << 63},
	} {
		if _, err := SignCheckpoint(c, signer); !errors.Is(err, ErrFormat) {
			t.Errorf("%s: %v, want ErrFormat", name, err)
		}
	}
	if _, err := SignCheckpoint(Checkpoint{Origin: "a", Root: EmptyRoot}); !errors.Is(err, ErrFormat) {
		t.Errorf("no signer: %v", err)
	}
}

// Every bit of a signed checkpoint counts for whoever knows its keys.
func TestAttackFlippedCheckpoint(t *testing.T) {
	const origin = "example.com/ledger"
	signer, key := logKey(t, origin, "log")
	cosigner, witness := witnessKey(t, "witness.example/w1", "w1", 1700000000)
	signed, err := SignCheckpoint(Checkpoint{Origin: origin, Size: 7, Root: tlog.Hash{1}}, signer, cosigner)
	if err != nil {
		t.Fatal(err)
	}
	known := Verifiers(key, witness)
	for i := range signed {
		for bit := range 8 {
			b := bytes.Clone(signed)
			b[i] ^= 1 << bit
			_, n, err := OpenCheckpoint(b, known)
			if err == nil && len(n.Sigs) == 2 {
				t.Fatalf("bit %d of byte %d flipped, and both signatures hold:\n%s", bit, i, b)
			}
			if err != nil && !errors.Is(err, ErrFormat) && !errors.Is(err, ErrTampered) && !errors.Is(err, ErrUntrusted) {
				t.Fatalf("byte %d: an error without a class: %v", i, err)
			}
		}
	}
}

func FuzzReadCheckpoint(f *testing.F) {
	const origin = "example.com/ledger"
	signer, key := logKey(f, origin, "log")
	cosigner, witness := witnessKey(f, "witness.example/w1", "w1", 1700000000)
	signed, err := SignCheckpoint(Checkpoint{Origin: origin, Size: 7, Root: tlog.Hash{1}}, signer, cosigner)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(signed)
	f.Add([]byte("a\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n\n— a AAAAAAA=\n"))
	known := Verifiers(key, witness)
	f.Fuzz(func(t *testing.T, data []byte) {
		c, sigs, err := ReadCheckpoint(data)
		if err != nil {
			if !errors.Is(err, ErrFormat) {
				t.Fatalf("an error without a class: %v", err)
			}
			return
		}
		// What we accept is a note to others as well, and is rebuilt from
		// its parts.
		n := &note.Note{Text: c.Text()}
		for _, s := range sigs {
			raw := []byte{byte(s.ID >> 24), byte(s.ID >> 16), byte(s.ID >> 8), byte(s.ID)}
			n.Sigs = append(n.Sigs, note.Signature{Name: s.Name, Hash: s.ID, Base64: b64(append(raw, s.Raw...))})
		}
		again, err := note.Sign(n)
		if err != nil || !bytes.Equal(again, data) {
			t.Fatalf("rebuilt as %q (%v) from %q", again, err, data)
		}
		if c, n, err := OpenCheckpoint(data, known); err == nil && len(n.Sigs) == 2 && !bytes.Equal(data, signed) {
			t.Fatalf("a forged checkpoint %+v", c)
		}
	})
}

// FuzzReadExtended: what ReadCheckpoint takes is the same with and without extension
// lines, and what only the other takes has some, none of them empty.
func FuzzReadExtended(f *testing.F) {
	signature := "\n— log.example/a AAAAAAAA\n"
	text := Checkpoint{Origin: "log.example/a", Size: 4, Root: EmptyRoot}.Text()
	for _, more := range []string{"", "extension\n", "one\ntwo\n", "\n", "x\n\ny\n", "— a b\n"} {
		f.Add([]byte(text + more + signature))
	}
	f.Fuzz(func(t *testing.T, signed []byte) {
		c, sigs, err := ReadExtended(signed)
		strict, strictSigs, strictErr := ReadCheckpoint(signed)
		switch {
		case strictErr == nil:
			if err != nil || c != strict || len(sigs) != len(strictSigs) {
				t.Fatalf("%v %v; %v %v", c, err, strict, strictErr)
			}
		case err == nil:
			text, rest, _ := bytes.Cut(signed, []byte("\n\n"))
			if !bytes.HasPrefix(text, []byte(c.Text())) || len(text)+1 <= len(c.Text()) || len(rest) == 0 {
				t.Fatalf("%q is read as %v", signed, c)
			}
		}
	})
}
