package statement

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"math/big"
	"slices"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/stele-ml/stele/internal/strictjson"
)

var message = PAE(PayloadType, []byte("{}"))

// The twin (r, n-s) of a signature verifies in ECDSA; here it does not.
func TestAttackerMakesTwinSignature(t *testing.T) {
	key := p256Key("alice")
	public := p256("alice").PublicKey()
	sig := must(p256("alice").Sign(message))
	r, s, err := parseP256Signature(sig)
	if err != nil {
		t.Fatal(err)
	}
	twin := marshalP256Signature(r, new(big.Int).Sub(p256N, s))
	digest := AttachmentOf(message).SHA256
	if !ecdsa.VerifyASN1(&key.PublicKey, digest[:], twin) {
		t.Fatal("the twin is no signature at all; this test proves nothing")
	}
	if err := public.Verify(message, twin); !errors.Is(err, ErrSignature) {
		t.Errorf("the high-S twin: %v", err)
	}
	if err := public.Verify(message, sig); err != nil {
		t.Error(err)
	}
}

func TestSignaturesAreLowS(t *testing.T) {
	signer := must(NewP256(p256Key("alice"), newStream("nonces")))
	for i := range 64 {
		sig := must(signer.Sign([]byte{byte(i)}))
		if _, s, err := parseP256Signature(sig); err != nil || s.Cmp(p256HalfN) > 0 {
			t.Fatalf("signature %d: s = %x, %v", i, s, err)
		}
		if err := signer.PublicKey().Verify([]byte{byte(i)}, sig); err != nil {
			t.Fatal(err)
		}
	}
}

// One signature has one DER: padding, long lengths and trailing bytes are refused.
func TestAttackerRespellsDER(t *testing.T) {
	// Search for an r without a leading zero, so that one can be added.
	var r, s *big.Int
	var text []byte
	for i := 0; r == nil || r.BitLen() > 255 || s.BitLen() > 255; i++ {
		text = PAE(PayloadType, []byte{byte(i)})
		r, s, _ = parseP256Signature(must(p256("alice").Sign(text)))
	}
	integer := func(n *big.Int) []byte { return append([]byte{2, byte(len(n.Bytes()))}, n.Bytes()...) }
	sequence := func(parts ...[]byte) []byte {
		body := slices.Concat(parts...)
		return append([]byte{0x30, byte(len(body))}, body...)
	}
	good := sequence(integer(r), integer(s))
	public := p256("alice").PublicKey()
	if err := public.Verify(text, good); err != nil {
		t.Fatal(err)
	}
	padded := append([]byte{2, byte(len(r.Bytes()) + 1), 0}, r.Bytes()...)
	body := slices.Concat(integer(r), integer(s))
	zero := []byte{2, 1, 0}
	for name, sig := range map[string][]byte{
		"a padded integer":     sequence(padded, integer(s)),
		"a long length":        append([]byte{0x30, 0x81, byte(len(body))}, body...),
		"an indefinite length": append(append([]byte{0x30, 0x80}, body...), 0, 0),
		"a byte after it":      append(bytes.Clone(good), 0),
		"a third integer":      sequence(integer(r), integer(s), zero),
		"one integer":          sequence(integer(r)),
		"a set":                append([]byte{0x31}, good[1:]...),
		"raw r and s":          append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...),
		"r plus n":             marshalP256Signature(new(big.Int).Add(r, p256N), s),
		"s plus n":             marshalP256Signature(r, new(big.Int).Add(s, p256N)),
		"negative s":           marshalP256Signature(r, new(big.Int).Neg(s)),
		"zeros":                sequence(zero, zero),
		"r zero":               sequence(zero, integer(s)),
		"nothing":              nil,
	} {
		if err := public.Verify(text, sig); !errors.Is(err, ErrSignature) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// S plus the group's order is the same scalar; Go's Ed25519 refuses it, which is
// held here.
func TestAttackerShiftsEd25519S(t *testing.T) {
	order, _ := new(big.Int).SetString("7237005577332262213973186563042994240857116359379907606001950938285454250989", 10)
	sig := must(ed("bob").Sign(message))
	s := slices.Clone(sig[32:])
	slices.Reverse(s)
	shifted := new(big.Int).Add(new(big.Int).SetBytes(s), order).FillBytes(make([]byte, 32))
	slices.Reverse(shifted)
	if err := ed("bob").PublicKey().Verify(message, append(slices.Clone(sig[:32]), shifted...)); !errors.Is(err, ErrSignature) {
		t.Errorf("S + L: %v", err)
	}
}

// The algorithm is the registered key's. A signature made under another reading
// of the same key is refused.
func TestAttackerConfusesAlgorithms(t *testing.T) {
	pairs := []struct {
		name   string
		signer Signer
		key    *PublicKey
	}{
		{"SSHSIG for an Ed25519 key", sshEd("bob"), ed("bob").PublicKey()},
		{"Ed25519 for an SSH key", ed("bob"), sshEd("bob").PublicKey()},
		{"SSHSIG for a P-256 key", sshEC("alice"), p256("alice").PublicKey()},
		{"ECDSA for an SSH key", p256("alice"), sshEC("alice").PublicKey()},
		{"Ed25519 for a P-256 key", ed("bob"), p256("alice").PublicKey()},
	}
	for _, p := range pairs {
		e := must(Sign(testStamp("a", "1"), p.signer))
		if err := e.Verify(p.key); !errors.Is(err, ErrSignature) {
			t.Errorf("%s: %v", p.name, err)
		}
		e.KeyID = p.key.ID() // the envelope lies about the key
		if err := e.Verify(p.key); !errors.Is(err, ErrSignature) {
			t.Errorf("%s, with the key's id: %v", p.name, err)
		}
	}
}

// The same key has the same material in every wrapping, and another id in each.
func TestMaterial(t *testing.T) {
	log := must(VKeyMaterial(vkey(testOrigin, edKey("bob"))))
	if a, b := ed("bob").PublicKey(), sshEd("bob").PublicKey(); a.Material() != b.Material() || a.Material() != log || a.ID() == b.ID() {
		t.Error("an Ed25519 key and its SSH wrapping")
	}
	if a, b := p256("alice").PublicKey(), sshEC("alice").PublicKey(); a.Material() != b.Material() || a.ID() == b.ID() {
		t.Error("a P-256 key and its SSH wrapping")
	}
	one, two := skEd25519Key("bob", "ssh:"), skEd25519Key("bob", "ssh:work")
	if one.Material() != two.Material() || one.Material() != ed("bob").PublicKey().Material() || one.ID() == two.ID() {
		t.Error("a security key with two applications")
	}
	if ed("bob").PublicKey().Material() == ed("carol").PublicKey().Material() {
		t.Error("two keys have one material")
	}
}

// The points of order 1, 2, 4 and 8, in every encoding, RFC 8032 and its
// relaxed readings: with such a key a signature verifies for messages nobody signed.
func TestAttackerRegistersSmallOrderKey(t *testing.T) {
	for _, digits := range []string{
		"0100000000000000000000000000000000000000000000000000000000000000",
		"0100000000000000000000000000000000000000000000000000000000000080", // minus zero
		"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
		"0000000000000000000000000000000000000000000000000000000000000000",
		"0000000000000000000000000000000000000000000000000000000000000080",
		"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
		"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
		"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
		"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
		"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", // p, for 0
		"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
		"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", // p+1, for 1
		"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
		"f0ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", // p+3: not canonical
		"0200000000000000000000000000000000000000000000000000000000000000", // not on the curve
	} {
		point := must(hex.DecodeString(digits))
		if k, err := NewPublicKey(AlgorithmEd25519, append(slices.Clone(spkiEd25519), point...)); !errors.Is(err, ErrFormat) {
			t.Errorf("%s as Ed25519: %v, %v", digits, k, err)
		}
		if k, err := NewPublicKey(AlgorithmSSH, sshBlob(sshEd25519, point)); !errors.Is(err, ErrFormat) {
			t.Errorf("%s as SSH: %v, %v", digits, k, err)
		}
		b := append([]byte{vkeyEd25519}, point...)
		if _, err := VKeyMaterial("x+00000000+" + base64Of(b)); !errors.Is(err, ErrFormat) {
			t.Errorf("%s as a log key: %v", digits, err)
		}
	}
	// The constants of order 8 are roots of dy⁴ + 2y² - 1, by which doubling gives y = 0.
	for _, y := range smallOrderY[3:] {
		yy := new(big.Int).Mul(y, y)
		v := new(big.Int).Mul(yy, yy)
		v.Mul(v, ed25519D).Add(v, yy).Add(v, yy).Sub(v, big.NewInt(1))
		if v.Mod(v, ed25519P).Sign() != 0 {
			t.Errorf("%x is not the y of a point of order 8", y)
		}
	}
}

// Every key that Go makes is on the curve by the check's own reckoning.
func TestOrdinaryEd25519KeysAreAccepted(t *testing.T) {
	for i := range 200 {
		if err := checkEd25519Point(edKey(string(rune('a' + i))).Public().(ed25519.PublicKey)); err != nil {
			t.Fatal(err)
		}
	}
}

func TestNewPublicKeyRefuses(t *testing.T) {
	p := p256("alice").PublicKey().Bytes()
	e := ed("bob").PublicKey().Bytes()
	p384 := must(x509.MarshalPKIXPublicKey(&must(ecdsa.GenerateKey(elliptic.P384(), rand.Reader)).PublicKey))
	compressed := append(append(slices.Clone(spkiP256), 2+p[len(p)-1]&1), p[len(spkiP256)+1:len(spkiP256)+33]...)
	offCurve := bytes.Clone(p)
	offCurve[len(offCurve)-1] ^= 1
	tests := []struct {
		name, algorithm string
		public          []byte
	}{
		{"no algorithm", "", p}, {"an unknown algorithm", "rsa", p}, {"upper case", "ED25519", e},
		{"Ed25519 as P-256", AlgorithmP256, e}, {"P-256 as Ed25519", AlgorithmEd25519, p}, {"P-256 as SSH", AlgorithmSSH, p},
		{"P-384", AlgorithmP256, p384}, {"a compressed point", AlgorithmP256, compressed}, {"a point off the curve", AlgorithmP256, offCurve},
		{"the point at infinity", AlgorithmP256, append(slices.Clone(spkiP256), 0)},
		{"a byte after P-256", AlgorithmP256, append(bytes.Clone(p), 0)}, {"a byte after Ed25519", AlgorithmEd25519, append(bytes.Clone(e), 0)},
		{"P-256 cut short", AlgorithmP256, p[:90]}, {"Ed25519 cut short", AlgorithmEd25519, e[:43]},
		{"nothing", AlgorithmP256, nil}, {"nothing", AlgorithmEd25519, nil}, {"nothing", AlgorithmSSH, nil},
	}
	for _, test := range tests {
		if k, err := NewPublicKey(test.algorithm, test.public); !errors.Is(err, ErrFormat) {
			t.Errorf("%s: %v, %v", test.name, k, err)
		}
	}
}

func TestParsePublicKey(t *testing.T) {
	for _, k := range []*PublicKey{p256("alice").PublicKey(), ed("bob").PublicKey(), sshEd("carol").PublicKey(), sshEC("ci").PublicKey(), skEd25519Key("x", "ssh:")} {
		for _, text := range [][]byte{k.Text(), append([]byte("\n "), k.Text()...), bytes.ReplaceAll(k.Text(), []byte("\n"), []byte("\r\n"))} {
			got, err := ParsePublicKey(text)
			if err != nil || !got.Equal(k) {
				t.Errorf("%q: %v, %v", text, got, err)
			}
		}
		again := new(PublicKey)
		if err := strictjson.Unmarshal(must(k.MarshalJSON()), again, 1<<13, 1); err != nil || !again.Equal(k) || again.Material() != k.Material() {
			t.Errorf("%s through JSON: %v, %v", k, again, err)
		}
		// openssl and OpenSSH's own readers agree.
		if k.Algorithm() != AlgorithmSSH {
			block, _ := pem.Decode(k.PEM())
			if key, err := x509.ParsePKIXPublicKey(block.Bytes); err != nil || !bytes.Equal(must(x509.MarshalPKIXPublicKey(key)), k.Bytes()) {
				t.Errorf("%s: x509 reads %v, %v", k, key, err)
			}
		}
	}
	line := strings.TrimSpace(sshEd("carol").PublicKey().AuthorizedKey())
	if _, err := ParsePublicKey([]byte(line + " carol@work, the new one\n")); err != nil {
		t.Errorf("with a comment: %v", err)
	}
	p := string(p256("alice").PublicKey().PEM())
	for name, text := range map[string]string{
		"nothing":             "",
		"words":               "hello",
		"options":             `command="true" ` + line,
		"two lines":           line + "\n" + line,
		"a certificate":       strings.Replace(line, "ssh-ed25519 ", "ssh-ed25519-cert-v01@openssh.com ", 1),
		"a lying type":        strings.Replace(line, "ssh-ed25519 ", "ecdsa-sha2-nistp256 ", 1),
		"a private key":       string(must(MarshalPrivateKey(p256Key("alice")))),
		"two PEM blocks":      p + p,
		"text after the PEM":  p + "hello",
		"another PEM block":   strings.ReplaceAll(p, "PUBLIC KEY", "CERTIFICATE"),
		"PEM with headers":    strings.Replace(p, "KEY-----\n", "KEY-----\nA: b\n\n", 1),
		"damaged PEM":         p[:len(p)-10],
		"an oversized file":   strings.Repeat(" ", MaxPublicKey+1) + p,
		"an SSH2 public key":  "---- BEGIN SSH2 PUBLIC KEY ----\n" + strings.Fields(line)[1] + "\n---- END SSH2 PUBLIC KEY ----\n",
		"a key of DSA's type": "ssh-dss AAAAB3NzaC1kc3MAAACBAA==",
	} {
		if k, err := ParsePublicKey([]byte(text)); !errors.Is(err, ErrFormat) {
			t.Errorf("%s: %v, %v", name, k, err)
		}
	}
}

func TestPrivateKeys(t *testing.T) {
	if a, b := p256Key("x"), p256Key("x"); !a.Equal(b) {
		t.Error("the same randomness made two P-256 keys")
	}
	for name, pemText := range map[string][]byte{
		AlgorithmP256: must(MarshalPrivateKey(p256Key("alice"))), AlgorithmEd25519: must(MarshalPrivateKey(edKey("alice"))),
	} {
		s, err := ParsePrivateKey(pemText, nil, nil)
		if err != nil || s.PublicKey().Algorithm() != name {
			t.Fatalf("%s: %v, %v", name, s, err)
		}
		if err := must(Sign(testStamp("a", "1"), s)).Verify(s.PublicKey()); err != nil {
			t.Error(err)
		}
	}
	secret := []byte("correct horse")
	for _, key := range []any{edKey("alice"), p256Key("alice")} {
		plain := pem.EncodeToMemory(must(ssh.MarshalPrivateKey(key, "")))
		locked := pem.EncodeToMemory(must(ssh.MarshalPrivateKeyWithPassphrase(key, "", secret)))
		a := must(ParsePrivateKey(plain, nil, nil))
		b := must(ParsePrivateKey(locked, nil, func() ([]byte, error) { return secret, nil }))
		if a.PublicKey().Algorithm() != AlgorithmSSH || !a.PublicKey().Equal(b.PublicKey()) {
			t.Errorf("%T: %v, %v", key, a.PublicKey(), b.PublicKey())
		}
		if err := must(Sign(testStamp("a", "1"), b)).Verify(a.PublicKey()); err != nil {
			t.Error(err)
		}
		if _, err := ParsePrivateKey(locked, nil, nil); !errors.Is(err, ErrPassphrase) {
			t.Errorf("nobody to ask: %v", err)
		}
		if _, err := ParsePrivateKey(locked, nil, func() ([]byte, error) { return []byte("wrong"), nil }); !errors.Is(err, ErrPassphrase) {
			t.Errorf("a wrong passphrase: %v", err)
		}
		asked := errors.New("no terminal")
		if _, err := ParsePrivateKey(locked, nil, func() ([]byte, error) { return nil, asked }); !errors.Is(err, asked) || !errors.Is(err, ErrPassphrase) {
			t.Errorf("asking failed: %v", err)
		}
	}
	small := readRSA(2048)
	p384 := must(ecdsa.GenerateKey(elliptic.P384(), rand.Reader))
	sec1 := pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: must(x509.MarshalECPrivateKey(p256Key("alice")))})
	good := must(MarshalPrivateKey(p256Key("alice")))
	for name, text := range map[string][]byte{
		"nothing":             nil,
		"a public key":        p256("alice").PublicKey().PEM(),
		"SEC 1":               sec1,
		"RSA in PKCS #8":      pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: must(x509.MarshalPKCS8PrivateKey(small))}),
		"P-384 in PKCS #8":    pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: must(x509.MarshalPKCS8PrivateKey(p384))}),
		"RSA 2048 of OpenSSH": pem.EncodeToMemory(must(ssh.MarshalPrivateKey(small, ""))),
		"P-384 of OpenSSH":    pem.EncodeToMemory(must(ssh.MarshalPrivateKey(p384, ""))),
		"two keys":            append(bytes.Clone(good), good...),
		"a damaged key":       pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte{0x30, 0}}),
		"a huge file":         append(bytes.Repeat([]byte{'\n'}, maxPrivateKey), good...),
		"another block":       pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte{0x30, 0}}),
	} {
		if s, err := ParsePrivateKey(text, nil, nil); !errors.Is(err, ErrFormat) {
			t.Errorf("%s: %v, %v", name, s, err)
		}
	}
	for _, key := range []any{p384, small} {
		if _, err := MarshalPrivateKey(key.(crypto.Signer)); !errors.Is(err, ErrFormat) {
			t.Errorf("%T was marshalled: %v", key, err)
		}
	}
	if _, err := NewP256(p384, nil); !errors.Is(err, ErrFormat) {
		t.Errorf("P-384 as P-256: %v", err)
	}
	if _, err := NewP256(nil, nil); !errors.Is(err, ErrFormat) {
		t.Errorf("nil as P-256: %v", err)
	}
	if _, err := NewEd25519(nil); !errors.Is(err, ErrFormat) {
		t.Errorf("nil as Ed25519: %v", err)
	}
	for _, source := range []interface{ Read([]byte) (int, error) }{bytes.NewReader(nil), zeros{}} {
		if _, err := GenerateP256(source); err == nil {
			t.Errorf("a key from %T", source)
		}
	}
	if _, err := GenerateEd25519(bytes.NewReader(nil)); err == nil {
		t.Error("an Ed25519 key from nothing")
	}
	if _, err := NewNonce(bytes.NewReader(nil)); err == nil {
		t.Error("a nonce from nothing")
	}
	if _, err := NewDetails(bytes.NewReader(nil)); err == nil {
		t.Error("a salt from nothing")
	}
}

// zeros is a source of randomness that is none.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }
