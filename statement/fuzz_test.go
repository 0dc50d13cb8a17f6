package statement

import (
	"bytes"
	"encoding/pem"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/stele-ml/stele/internal/strictjson"
)

func addVectors(f *testing.F, pattern string) {
	for _, file := range must(filepath.Glob(filepath.Join("testdata", "vectors", pattern))) {
		f.Add(must(os.ReadFile(file)))
	}
}

// A payload that parses is a statement that marshals to one payload, which parses
// to the same.
func FuzzParse(f *testing.F) {
	addVectors(f, "*.payload")
	for _, s := range samples() {
		f.Add(must(strictjson.Canonical(must(s.st.Marshal()))))
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		st, err := Parse(payload)
		// One that is read at a guess is read no differently.
		var plain *Statement
		w, plainErr := readAny(payload)
		if plainErr == nil {
			plain, plainErr = w.statement(payload)
		}
		if (err == nil) != (plainErr == nil) || !reflect.DeepEqual(st, plain) {
			t.Fatalf("%+v, %v; without a guess %+v, %v", st, err, plain, plainErr)
		}
		if err != nil {
			return
		}
		one, err := st.Marshal()
		if err != nil {
			t.Fatalf("parsed and not marshalled: %v", err)
		}
		again, err := Parse(one)
		if err != nil {
			t.Fatalf("%s: %v", one, err)
		}
		if two := must(again.Marshal()); !bytes.Equal(one, two) {
			t.Fatalf("%s became %s", one, two)
		}
	})
}

// An envelope has one binary form and one JSON form, and both are the same
// envelope.
func FuzzParseEnvelope(f *testing.F) {
	addVectors(f, "*.dsse")
	f.Fuzz(func(t *testing.T, text []byte) {
		e, err := ParseEnvelope(text)
		if err != nil {
			return
		}
		d, err := DecodeEnvelope(e.Encode())
		if err != nil {
			t.Fatalf("no binary form: %v", err)
		}
		again, err := ParseEnvelope(must(d.MarshalJSON()))
		if err != nil || !bytes.Equal(again.Encode(), e.Encode()) {
			t.Fatalf("not the same envelope: %v", err)
		}
	})
}

func FuzzDecodeEnvelope(f *testing.F) {
	for _, s := range samples() {
		f.Add(must(Sign(s.st, s.signer)).Encode())
	}
	f.Fuzz(func(t *testing.T, bin []byte) {
		e, err := DecodeEnvelope(bin)
		if err != nil {
			return
		}
		if !bytes.Equal(e.Encode(), bin) {
			t.Fatalf("%x is a second form of %x", bin, e.Encode())
		}
	})
}

func FuzzParsePublicKey(f *testing.F) {
	for _, k := range []*PublicKey{p256("a").PublicKey(), ed("a").PublicKey(), sshEd("a").PublicKey(), sshEC("a").PublicKey(), skEd25519Key("a", "ssh:")} {
		f.Add(k.Text())
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		k, err := ParsePublicKey(text)
		if err != nil {
			return
		}
		if again, err := ParsePublicKey(k.Text()); err != nil || !again.Equal(k) {
			t.Fatalf("%s: %v", k.Text(), err)
		}
	})
}

func FuzzNewPublicKey(f *testing.F) {
	sk := &securityKey{kind: sshSKP256, application: "ssh:", ec: p256Key("a")}
	for _, k := range []*PublicKey{p256("a").PublicKey(), ed("a").PublicKey(), sshEd("a").PublicKey(), sshEC("a").PublicKey(),
		skEd25519Key("a", "ssh:"), must(NewPublicKey(AlgorithmSSH, sk.PublicKey().Marshal()))} {
		f.Add(k.Algorithm(), k.Bytes())
	}
	f.Fuzz(func(t *testing.T, algorithm string, public []byte) {
		k, err := NewPublicKey(algorithm, public)
		if err != nil {
			return
		}
		if again, err := ParsePublicKey(k.Text()); err != nil || !again.Equal(k) || again.Material() != k.Material() {
			t.Fatalf("%s: %v", k.Text(), err)
		}
		if k.Verify(message, public) == nil {
			t.Fatal("the key itself is a signature")
		}
	})
}

// Whatever stands in for a signature is refused; nobody here can sign for alice,
// bob or carol without their keys.
func FuzzVerify(f *testing.F) {
	signers := []Signer{p256("alice"), ed("bob"), sshEd("carol"), sshEC("ci"),
		must(NewSSH(&securityKey{kind: sshSKP256, application: "ssh:", ec: p256Key("sk"), flags: 1}, nil))}
	good := make([][]byte, len(signers))
	for i, s := range signers {
		good[i] = must(s.Sign(message))
		f.Add(uint8(i), good[i])
		f.Add(uint8(i), good[i][:len(good[i])-1])
	}
	f.Fuzz(func(t *testing.T, who uint8, sig []byte) {
		i := int(who) % len(signers)
		if signers[i].PublicKey().Verify(message, sig) == nil && !bytes.Equal(sig, good[i]) {
			t.Fatalf("%x is a second signature by %s", sig, signers[i].PublicKey())
		}
	})
}

func FuzzParsePrivateKey(f *testing.F) {
	f.Add(must(MarshalPrivateKey(p256Key("a"))))
	f.Add(must(MarshalPrivateKey(edKey("a"))))
	f.Add(pem.EncodeToMemory(must(ssh.MarshalPrivateKey(edKey("a"), ""))))
	f.Add(pem.EncodeToMemory(must(ssh.MarshalPrivateKey(p256Key("a"), ""))))
	f.Fuzz(func(t *testing.T, text []byte) {
		s, err := ParsePrivateKey(text, nil, nil)
		if err != nil {
			return
		}
		// A damaged file may hold a private key that is not of its public one; what
		// it signs must not pass for the public one's.
		if sig, err := s.Sign(message); err == nil {
			_ = s.PublicKey().Verify(message, sig)
		}
	})
}

func FuzzParseDetails(f *testing.F) {
	f.Add(must(testDetails().Marshal()))
	f.Add(must(treeDetails().Marshal()))
	f.Add(must(fullDetails().Marshal()))
	f.Add(must(runDetails().Marshal()))
	f.Add(must((&Details{Salt: [32]byte{1}}).Marshal()))
	f.Fuzz(func(t *testing.T, data []byte) {
		d, err := ParseDetails(data)
		if err != nil {
			return
		}
		if again := must(d.Marshal()); !bytes.Equal(again, data) {
			t.Fatalf("%s is a second form of %s", data, again)
		}
	})
}

// A number that is read is what its double is written as, and no other text is
// that number.
func FuzzParseDecimal(f *testing.F) {
	for _, text := range []string{"0", "-0.5", "0.9731", "123456789012345", "1e9", "-0", "+1", "01", "0.10", "1000000000000000000000000000000"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		d, err := ParseDecimal(text)
		if err != nil {
			return
		}
		if again, err := NewDecimal(d.Float64()); err != nil || again != d {
			t.Fatalf("%q is written as %q, %v", text, again, err)
		}
	})
}

func FuzzCheckRemote(f *testing.F) {
	for _, text := range []string{"https://git.example/a", "ssh://git@git.example:22/a", "https://a:b@git.example/a", "file:///a", "git@git.example:a"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if CheckRemote(text) != nil {
			return
		}
		// As the standard library reads it, there is nothing that opens a door.
		u, err := url.Parse(text)
		if err != nil {
			return
		}
		_, password := u.User.Password()
		if password || u.User != nil && u.Scheme != "ssh" || u.RawQuery != "" || u.Fragment != "" || u.Host == "" {
			t.Fatalf("%q holds %+v", text, u)
		}
	})
}

func FuzzVKey(f *testing.F) {
	f.Add(vkey(testOrigin, edKey("log")))
	f.Add("a+00000000+AQ==")
	f.Fuzz(func(t *testing.T, text string) {
		name, public, err := parseVKey(text)
		if err != nil {
			return
		}
		material, err := VKeyMaterial(text)
		if err != nil || material != materialOf(AlgorithmEd25519, public) || CheckVKey(text, name) != nil {
			t.Fatalf("%q: %v", text, err)
		}
	})
}
