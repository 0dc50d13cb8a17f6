package statement

import (
	"bytes"
	"crypto/rand"
	"errors"
	"strings"
	"testing"
)

func requestSigner(t testing.TB) Signer {
	t.Helper()
	key, err := GenerateP256(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	s, err := NewP256(key, nil)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestKeyRequest(t *testing.T) {
	r, err := NewKeyRequest("bob", requestSigner(t))
	if err != nil {
		t.Fatal(err)
	}
	text, err := r.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	back, err := ParseKeyRequest(text)
	if err != nil {
		t.Fatal(err)
	}
	if back.Handle != "bob" || !back.Key.Equal(r.Key) {
		t.Fatalf("got %+v", back)
	}
}

// Mallory takes Bob's request and puts their own handle in, or takes Bob's key
// and signs with another.
func TestAttackKeyRequestForSomebodyElsesKey(t *testing.T) {
	bob, mallory := requestSigner(t), requestSigner(t)
	r, err := NewKeyRequest("bob", bob)
	if err != nil {
		t.Fatal(err)
	}
	text, _ := r.Marshal()
	renamed := bytes.Replace(text, []byte(`"bob"`), []byte(`"mallory"`), 1)
	if _, err := ParseKeyRequest(renamed); !errors.Is(err, ErrSignature) {
		t.Errorf("another handle: %v", err)
	}
	sig, _ := mallory.Sign(KeyRequestMessage("mallory", bob.PublicKey().ID()))
	forged, _ := (&KeyRequest{"mallory", bob.PublicKey(), sig}).Marshal()
	if _, err := ParseKeyRequest(forged); !errors.Is(err, ErrSignature) {
		t.Errorf("another key's signature: %v", err)
	}
}

func TestKeyRequestIsStrict(t *testing.T) {
	r, _ := NewKeyRequest("bob", requestSigner(t))
	good, _ := r.Marshal()
	for name, text := range map[string]string{
		"empty":         "",
		"twice":         strings.Replace(string(good), `"handle":"bob"`, `"handle":"bob","handle":"bob"`, 1),
		"unknown field": strings.Replace(string(good), `"handle":"bob"`, `"handle":"bob","x":1`, 1),
		"another form":  strings.Replace(string(good), keyRequestForm, "key-request/v2", 1),
		"trailing":      string(good) + "{}",
		"too long":      string(good) + strings.Repeat(" ", MaxKeyRequest),
		"bad handle":    strings.Replace(string(good), `"bob"`, `"Bob"`, 1),
	} {
		if _, err := ParseKeyRequest([]byte(text)); !errors.Is(err, ErrFormat) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzParseKeyRequest(f *testing.F) {
	r, _ := NewKeyRequest("bob", requestSigner(f))
	good, _ := r.Marshal()
	f.Add(good)
	f.Add([]byte(`{"stele":"key-request/v1"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		if r, err := ParseKeyRequest(data); err == nil {
			if again, err := r.Marshal(); err != nil {
				t.Fatalf("%q parsed but does not marshal: %v", again, err)
			}
		}
	})
}
