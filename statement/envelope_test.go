package statement

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"
)

// dsse writes an envelope's JSON by hand.
func dsse(payload, sig []byte, keyID string) string {
	b64 := base64.StdEncoding.EncodeToString
	return fmt.Sprintf(`{"payload":"%s","payloadType":"application/vnd.in-toto+json","signatures":[{"keyid":"%s","sig":"%s"}]}`, b64(payload), keyID, b64(sig))
}

func TestEnvelopeOfAnotherWriter(t *testing.T) {
	e := must(Sign(testStamp("a", "1"), p256("alice")))
	text := dsse(e.Payload, e.Signature, e.KeyID.String())
	for _, spelled := range []string{
		text,
		" \n" + strings.ReplaceAll(text, `,"`, ",\n\t\"") + "\n",
		fmt.Sprintf(`{"signatures":[{"sig":"%s","keyid":"%s"}],"payloadType":"application/vnd.in-toto+json","payload":"%s"}`,
			base64Of(e.Signature), e.KeyID, base64Of(e.Payload)),
	} {
		got, err := ParseEnvelope([]byte(spelled))
		if err != nil {
			t.Fatalf("%s: %v", spelled, err)
		}
		if got.ID() != e.ID() || !bytes.Equal(got.Encode(), e.Encode()) {
			t.Errorf("%s is another envelope", spelled)
		}
	}
}

func TestEnvelopeRefuses(t *testing.T) {
	e := must(Sign(testStamp("a", "1"), p256("alice")))
	good := dsse(e.Payload, e.Signature, e.KeyID.String())
	one := fmt.Sprintf(`{"keyid":"%s","sig":"%s"}`, e.KeyID, base64Of(e.Signature))
	replace := func(old, new string) string {
		out := strings.Replace(good, old, new, 1)
		if out == good {
			t.Fatalf("%q is not in %s", old, good)
		}
		return out
	}
	payload64, sig64 := base64Of(e.Payload), base64Of(e.Signature)
	tests := map[string]string{
		"two signatures":                replace(one, one+","+one),
		"no signature":                  replace(one, ""),
		"an empty signature":            replace(sig64, ""),
		"signatures missing":            `{"payload":"` + payload64 + `","payloadType":"application/vnd.in-toto+json"}`,
		"an unknown member":             replace(`{"payload"`, `{"cert":"","payload"`),
		"an unknown member by the sig":  replace(`{"keyid"`, `{"alg":"none","keyid"`),
		"a case-folded name":            replace(`"payloadType"`, `"payloadtype"`),
		"a second payload":              replace(`{"payload"`, `{"payload":"e30=","payload"`),
		"a second payload, escaped":     replace(`{"payload"`, `{"p\u0061yload":"e30=","payload"`),
		"another payload type":          replace("in-toto+json", "in-toto+cbor"),
		"upper-case key id":             replace(e.KeyID.String(), strings.ToUpper(e.KeyID.String())),
		"a short key id":                replace(e.KeyID.String(), e.KeyID.String()[2:]),
		"no key id":                     replace(e.KeyID.String(), ""),
		"unpadded base64":               replace(sig64, strings.TrimRight(base64Of(append(e.Signature, 0)), "=")[:9]),
		"URL base64":                    dsse([]byte{0xfb, 0xff}, e.Signature, e.KeyID.String())[:12] + `-_8="` + good[strings.Index(good, `,"payloadType"`):],
		"base64 with a line break":      replace(payload64, payload64[:8]+`\n`+payload64[8:]),
		"base64 with stray bits":        replace(payload64, "e31="),
		"an empty payload":              replace(payload64, ""),
		"an oversized payload":          dsse(bytes.Repeat([]byte{' '}, MaxPayload+1), e.Signature, e.KeyID.String()),
		"an oversized signature":        dsse(e.Payload, make([]byte, MaxSignature+1), e.KeyID.String()),
		"an oversized document":         good + strings.Repeat(" ", MaxDSSE),
		"trailing data":                 good + "{}",
		"a trailing comma":              replace(`"}]}`, `"}],}`),
		"null":                          "null",
		"a null member":                 replace(`"`+sig64+`"`, "null"),
		"an array":                      "[" + good + "]",
		"deep nesting":                  strings.Repeat("[", 1<<14) + strings.Repeat("]", 1<<14),
		"a byte order mark":             "\xef\xbb\xbf" + good,
		"invalid UTF-8":                 replace(`"application`, "\"\xffapplication"),
		"cut short":                     good[:len(good)-1],
		"a number for the payload":      replace(`"`+payload64+`"`, "1e400"),
		"nothing":                       "",
		"the signatures as one object":  replace("["+one+"]", one),
		"a payload type with a charset": replace("in-toto+json", "in-toto+json; charset=utf-8"),
	}
	for name, text := range tests {
		if got, err := ParseEnvelope([]byte(text)); !errors.Is(err, ErrFormat) {
			t.Errorf("%s: got %v, %v", name, got, err)
		}
	}
}

func TestBinaryEnvelopeRefuses(t *testing.T) {
	e := must(Sign(testStamp("a", "1"), p256("alice")))
	good := e.Encode()
	with := func(change func(*Envelope)) []byte {
		c := *e
		change(&c)
		return c.Encode()
	}
	tests := map[string][]byte{
		"nothing":                nil,
		"another form":           append([]byte{2}, good[1:]...),
		"form zero":              append([]byte{0}, good[1:]...),
		"something after it":     append(bytes.Clone(good), 0),
		"a delegation":           with(func(e *Envelope) { e.Delegation = []byte{1} }),
		"an oversized payload":   with(func(e *Envelope) { e.Payload = make([]byte, MaxPayload+1) }),
		"an oversized signature": with(func(e *Envelope) { e.Signature = make([]byte, MaxSignature+1) }),
		"no payload":             with(func(e *Envelope) { e.Payload = nil }),
		"no signature":           with(func(e *Envelope) { e.Signature = nil }),
		"another payload type":   with(func(e *Envelope) { e.PayloadType = "application/json" }),
		"no payload type":        with(func(e *Envelope) { e.PayloadType = "" }),
		"all of an entry":        make([]byte, MaxEntry),
	}
	for n := range len(good) {
		tests[fmt.Sprintf("cut at %d", n)] = good[:n]
	}
	for name, bin := range tests {
		if got, err := DecodeEnvelope(bin); !errors.Is(err, ErrFormat) {
			t.Errorf("%s: got %v, %v", name, got, err)
		}
	}
	if _, err := DecodeEnvelope(good); err != nil {
		t.Error(err)
	}
}

// The largest envelope of today, and a delegation beside it, fit into an entry.
func TestLargestEnvelopeFits(t *testing.T) {
	e := &Envelope{PayloadType: PayloadType, Payload: bytes.Repeat([]byte{'x'}, MaxPayload), Signature: make([]byte, MaxSignature)}
	bin := e.Encode()
	if room := MaxEnvelope - len(bin); room != 3955 {
		t.Errorf("%d bytes are left for a delegation, the documents say 3955", room)
	}
	if _, err := DecodeEnvelope(bin); err != nil {
		t.Error(err)
	}
	text := must(e.MarshalJSON())
	if len(text) > MaxDSSE {
		t.Errorf("its JSON has %d bytes, MaxDSSE is %d", len(text), MaxDSSE)
	}
	if _, err := ParseEnvelope(text); err != nil {
		t.Error(err)
	}
}

// A decoded envelope keeps its bytes when the buffer it came from is used again.
func TestDecodedEnvelopeIsItsOwn(t *testing.T) {
	e := must(Sign(testStamp("a", "1"), p256("alice")))
	buf := e.Encode()
	d := must(DecodeEnvelope(buf))
	binary.BigEndian.PutUint64(buf[60:], 0)
	for i := range buf {
		buf[i] = 0
	}
	if !bytes.Equal(d.Encode(), e.Encode()) {
		t.Error("the envelope changed with its buffer")
	}
}

func TestPAE(t *testing.T) {
	// The example of the DSSE protocol, and an empty one.
	if got, want := string(PAE("http://example.com/HelloWorld", []byte("hello world"))), "DSSEv1 29 http://example.com/HelloWorld 11 hello world"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := string(PAE("", nil)), "DSSEv1 0  0 "; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// Whoever changes anything that is signed, or offers another key, fails.
func TestAttackerChangesAnEnvelope(t *testing.T) {
	for _, signer := range []Signer{p256("alice"), ed("bob"), sshEd("carol"), sshEC("ci")} {
		e := must(Sign(testStamp("a", "1"), signer))
		if err := e.Verify(signer.PublicKey()); err != nil {
			t.Fatal(err)
		}
		for name, change := range map[string]func(*Envelope){
			"the payload":      func(e *Envelope) { e.Payload = append(bytes.Clone(e.Payload), ' ') },
			"the payload type": func(e *Envelope) { e.PayloadType += "x" },
			"a byte between":   func(e *Envelope) { e.PayloadType += string(e.Payload[:1]); e.Payload = e.Payload[1:] },
			"the key id":       func(e *Envelope) { e.KeyID[0] ^= 1 },
			"another message":  func(e *Envelope) { e.Payload = must(testStamp("b", "1").Marshal()) },
		} {
			c := *e
			change(&c)
			if err := c.Verify(signer.PublicKey()); !errors.Is(err, ErrSignature) {
				t.Errorf("%s, %s: %v", signer.PublicKey(), name, err)
			}
		}
		for i := range e.Signature {
			c := *e
			c.Signature = bytes.Clone(e.Signature)
			c.Signature[i] ^= 0x80
			if err := c.Verify(signer.PublicKey()); !errors.Is(err, ErrSignature) {
				t.Errorf("%s, byte %d of the signature: %v", signer.PublicKey(), i, err)
			}
			c.Signature = e.Signature[:i]
			if err := c.Verify(signer.PublicKey()); !errors.Is(err, ErrSignature) {
				t.Errorf("%s, signature cut at %d: %v", signer.PublicKey(), i, err)
			}
		}
	}
}

// The id does not depend on the signature, so a retry is the same statement; it
// does on the key, so nobody can take another's place.
func TestStatementID(t *testing.T) {
	st := testStamp("a", "1")
	hedged := must(NewP256(p256Key("alice"), newStream("rand")))
	a, b, c := must(Sign(st, p256("alice"))), must(Sign(st, hedged)), must(Sign(st, p256("mallory")))
	if bytes.Equal(a.Signature, b.Signature) {
		t.Fatal("hedged and deterministic signatures are the same")
	}
	if a.ID() != b.ID() {
		t.Error("a retry signed again has another id")
	}
	if a.ID() == c.ID() {
		t.Error("another signer has the same id")
	}
}

// An envelope says which ledger it is for.
func TestAttackerReplaysIntoAnotherLedger(t *testing.T) {
	e := must(Sign(testStamp("a", "1"), p256("alice")))
	st := must(Parse(must(DecodeEnvelope(e.Encode())).Payload))
	if st.Ledger != testLedger {
		t.Errorf("ledger %s, want %s", st.Ledger, testLedger)
	}
	other := *st
	other.Ledger[0] ^= 1
	c := *e
	c.Payload = must(other.Marshal())
	if err := c.Verify(p256("alice").PublicKey()); !errors.Is(err, ErrSignature) {
		t.Errorf("the ledger is not under the signature: %v", err)
	}
}
