package statement

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/binary"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"os"
	"slices"
	"sync"
	"testing"

	"golang.org/x/crypto/ssh"
)

// sshBlob joins SSH strings.
func sshBlob(parts ...any) []byte {
	var b []byte
	for _, p := range parts {
		switch p := p.(type) {
		case string:
			b = appendSSHString(b, []byte(p))
		case []byte:
			b = appendSSHString(b, p)
		case *big.Int:
			b = appendMPInt(b, p)
		}
	}
	return b
}

func skEd25519Key(label, application string) *PublicKey {
	return must(NewPublicKey(AlgorithmSSH, sshBlob(sshSKEd25519, []byte(edKey(label).Public().(ed25519.PublicKey)), application)))
}

// readRSA reads a key that was made for these tests alone.
func readRSA(bits int) *rsa.PrivateKey {
	block, _ := pem.Decode(must(os.ReadFile(fmt.Sprintf("testdata/keys/rsa%d.pem", bits))))
	return must(x509.ParsePKCS8PrivateKey(block.Bytes)).(*rsa.PrivateKey)
}

var rsaKey = sync.OnceValue(func() *rsa.PrivateKey { return readRSA(MinRSABits) })

// securityKey plays a security key in software: it signs H(application) ‖ flags ‖
// counter ‖ H(message), as OpenSSH's PROTOCOL.u2f says.
type securityKey struct {
	kind, application string
	ed                ed25519.PrivateKey
	ec                *ecdsa.PrivateKey
	flags             byte
	counter           uint32
}

func (k *securityKey) PublicKey() ssh.PublicKey {
	if k.kind == sshSKP256 {
		return must(ssh.ParsePublicKey(sshBlob(k.kind, curveP256, must(k.ec.PublicKey.Bytes()), k.application)))
	}
	return must(ssh.ParsePublicKey(sshBlob(k.kind, []byte(k.ed.Public().(ed25519.PublicKey)), k.application)))
}

func (k *securityKey) Sign(_ io.Reader, data []byte) (*ssh.Signature, error) {
	k.counter++
	application, message := sha256.Sum256([]byte(k.application)), sha256.Sum256(data)
	rest := binary.BigEndian.AppendUint32([]byte{k.flags}, k.counter)
	signed := slices.Concat(application[:], rest, message[:])
	if k.kind == sshSKEd25519 {
		return &ssh.Signature{Format: k.kind, Blob: ed25519.Sign(k.ed, signed), Rest: rest}, nil
	}
	digest := sha256.Sum256(signed)
	der, err := k.ec.Sign(nil, digest[:], crypto.SHA256)
	if err != nil {
		return nil, err
	}
	r, s, err := parseP256Signature(der)
	if err != nil {
		return nil, err
	}
	return &ssh.Signature{Format: k.kind, Blob: sshBlob(r, s), Rest: rest}, nil
}

func TestSSHKeysOfEveryType(t *testing.T) {
	signers := map[string]ssh.Signer{
		sshEd25519:   must(ssh.NewSignerFromKey(edKey("carol"))),
		sshP256:      must(ssh.NewSignerFromKey(p256Key("carol"))),
		sshRSA:       must(ssh.NewSignerFromKey(rsaKey())),
		sshSKEd25519: &securityKey{kind: sshSKEd25519, application: "ssh:", ed: edKey("carol"), flags: 1},
		sshSKP256:    &securityKey{kind: sshSKP256, application: "ssh:stele", ec: p256Key("carol"), flags: 5},
	}
	for kind, inner := range signers {
		t.Run(kind, func(t *testing.T) {
			signer, err := NewSSH(inner, rand.Reader)
			if err != nil {
				t.Fatal(err)
			}
			// Often enough to meet high S and short integers.
			for i := range 32 {
				text := PAE(PayloadType, []byte{byte(i)})
				sig, err := signer.Sign(text)
				if err != nil {
					t.Fatal(err)
				}
				if err := signer.PublicKey().Verify(text, sig); err != nil {
					t.Fatal(err)
				}
				if err := signer.PublicKey().Verify(message, sig); !errors.Is(err, ErrSignature) {
					t.Fatalf("another message: %v", err)
				}
			}
		})
	}
}

// forge makes an SSHSIG with every part as given, signed by the key.
func forge(t *testing.T, key ssh.Signer, embedded []byte, version uint32, namespace, reserved, hashName string, digest []byte) []byte {
	t.Helper()
	signed := append([]byte(sshsigMagic), sshBlob(namespace, reserved, hashName, digest)...)
	sig, err := key.Sign(rand.Reader, signed)
	if err != nil {
		t.Fatal(err)
	}
	b := binary.BigEndian.AppendUint32([]byte(sshsigMagic), version)
	return append(b, sshBlob(embedded, namespace, reserved, hashName, append(sshBlob(sig.Format, sig.Blob), sig.Rest...))...)
}

// A signature that ssh made for something else, or that names another key, is no
// signature here.
func TestAttackerReusesSSHSignature(t *testing.T) {
	key := must(ssh.NewSignerFromKey(edKey("carol")))
	public := sshEd("carol").PublicKey()
	blob := public.Bytes()
	d512, d256 := sha512.Sum512(message), sha256.Sum256(message)
	good := forge(t, key, blob, 1, "stele", "", "sha512", d512[:])
	if err := public.Verify(message, good); err != nil {
		t.Fatalf("the forger's own good signature: %v", err)
	}
	other := must(ssh.NewSignerFromKey(edKey("mallory")))
	raw := must(key.Sign(rand.Reader, message))
	for name, sig := range map[string][]byte{
		"the namespace git":          forge(t, key, blob, 1, "git", "", "sha512", d512[:]),
		"the namespace file":         forge(t, key, blob, 1, "file", "", "sha512", d512[:]),
		"an empty namespace":         forge(t, key, blob, 1, "", "", "sha512", d512[:]),
		"a longer namespace":         forge(t, key, blob, 1, "stele@x", "", "sha512", d512[:]),
		"something reserved":         forge(t, key, blob, 1, "stele", "x", "sha512", d512[:]),
		"sha256":                     forge(t, key, blob, 1, "stele", "", "sha256", d256[:]),
		"sha256 named sha512":        forge(t, key, blob, 1, "stele", "", "sha512", d256[:]),
		"version 2":                  forge(t, key, blob, 2, "stele", "", "sha512", d512[:]),
		"version 0":                  forge(t, key, blob, 0, "stele", "", "sha512", d512[:]),
		"another key embedded":       forge(t, other, sshEd("mallory").PublicKey().Bytes(), 1, "stele", "", "sha512", d512[:]),
		"another signer's signature": forge(t, other, blob, 1, "stele", "", "sha512", d512[:]),
		"another key's name on it":   forge(t, key, sshEd("mallory").PublicKey().Bytes(), 1, "stele", "", "sha512", d512[:]),
		"no key embedded":            forge(t, key, nil, 1, "stele", "", "sha512", d512[:]),
		"a login's signature":        sshBlob(raw.Format, raw.Blob),
		"a byte after it":            append(bytes.Clone(good), 0),
		"armored":                    ArmorSSHSIG(good),
		"without the magic":          good[6:],
		"empty":                      nil,
	} {
		if err := public.Verify(message, sig); !errors.Is(err, ErrSignature) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// inner replaces the signature inside an SSHSIG.
func inner(public *PublicKey, parts ...any) []byte {
	return appendSSHString(sshsigHeader(public.bytes), sshBlob(parts...))
}

// An SSH signature has one spelling too.
func TestAttackerMakesTwinSSHSignature(t *testing.T) {
	public := sshEC("carol").PublicKey()
	sig := must(sshEC("carol").Sign(message))
	blob := sshReader(bytes.TrimPrefix(sig, sshsigHeader(public.bytes)))
	body := sshReader(blob.string())
	body.string()
	rs := sshReader(body.string())
	r, s := rs.mpint(), rs.mpint()
	if !rs.done() || !body.done() {
		t.Fatal("the signature does not read back")
	}
	high := new(big.Int).Sub(p256N, s)
	signed := sshsigMessage(message)
	if err := public.ssh.key.Verify(signed, &ssh.Signature{Format: sshP256, Blob: sshBlob(r, high)}); err != nil {
		t.Fatalf("the twin is no signature at all; this test proves nothing: %v", err)
	}
	padded := append([]byte{0, 0}, r.Bytes()...)
	for name, sig := range map[string][]byte{
		"high S":                  inner(public, sshP256, sshBlob(r, high)),
		"a padded r":              inner(public, sshP256, sshBlob(padded, s)),
		"a third number":          inner(public, sshP256, sshBlob(r, s, s)),
		"a byte after r and s":    inner(public, sshP256, append(sshBlob(r, s), 0)),
		"something after it":      inner(public, sshP256, sshBlob(r, s), ""),
		"s plus n":                inner(public, sshP256, sshBlob(r, new(big.Int).Add(s, p256N))),
		"an empty s":              inner(public, sshP256, sshBlob(r, "")),
		"another format":          inner(public, "ecdsa-sha2-nistp384", sshBlob(r, s)),
		"the format of Ed25519":   inner(public, sshEd25519, sshBlob(r, s)),
		"the format of a sk":      inner(public, sshSKP256, sshBlob(r, s)),
		"nothing":                 inner(public),
		"a huge length":           append(sshsigHeader(public.bytes), 0xff, 0xff, 0xff, 0xff),
		"a format and no numbers": inner(public, sshP256),
	} {
		if err := public.Verify(message, sig); !errors.Is(err, ErrSignature) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := public.Verify(message, inner(public, sshP256, sshBlob(r, s))); err != nil {
		t.Errorf("the signature itself, put together again: %v", err)
	}
}

func TestRSASignatures(t *testing.T) {
	key := must(ssh.NewSignerFromKey(rsaKey())).(ssh.AlgorithmSigner)
	public := must(NewPublicKey(AlgorithmSSH, key.PublicKey().Marshal()))
	signed := sshsigMessage(message)
	sign := func(algorithm string) []byte { return must(key.SignWithAlgorithm(rand.Reader, signed, algorithm)).Blob }
	good := sign(ssh.KeyAlgoRSASHA512)
	if err := public.Verify(message, inner(public, ssh.KeyAlgoRSASHA512, good)); err != nil {
		t.Fatal(err)
	}
	plusN := new(big.Int).Add(new(big.Int).SetBytes(good), rsaKey().N)
	for name, sig := range map[string][]byte{
		"SHA-1":              inner(public, ssh.KeyAlgoRSA, sign(ssh.KeyAlgoRSA)),
		"SHA-256":            inner(public, ssh.KeyAlgoRSASHA256, sign(ssh.KeyAlgoRSASHA256)),
		"SHA-1 as SHA-512":   inner(public, ssh.KeyAlgoRSASHA512, sign(ssh.KeyAlgoRSA)),
		"a zero before it":   inner(public, ssh.KeyAlgoRSASHA512, append([]byte{0}, good...)),
		"plus the modulus":   inner(public, ssh.KeyAlgoRSASHA512, plusN.Bytes()),
		"something after it": inner(public, ssh.KeyAlgoRSASHA512, good, ""),
	} {
		if err := public.Verify(message, sig); !errors.Is(err, ErrSignature) {
			t.Errorf("%s: %v", name, err)
		}
	}
	const zeroFirst = 496 // the first such message for the key in testdata
	// A signature that begins with zero has no second, shorter spelling.
	for i := zeroFirst; ; i++ {
		text := PAE(PayloadType, []byte{byte(i), byte(i >> 8)})
		sig := must(key.SignWithAlgorithm(rand.Reader, sshsigMessage(text), ssh.KeyAlgoRSASHA512)).Blob
		if sig[0] == 0 {
			if err := public.Verify(text, inner(public, ssh.KeyAlgoRSASHA512, sig)); err != nil {
				t.Error(err)
			}
			if err := public.Verify(text, inner(public, ssh.KeyAlgoRSASHA512, sig[1:])); !errors.Is(err, ErrSignature) {
				t.Errorf("the shorter spelling: %v", err)
			}
			if i != zeroFirst {
				t.Errorf("zeroFirst should be %d", i)
			}
			break
		}
	}
	wrapped := struct{ ssh.Signer }{key} // hides SignWithAlgorithm
	if _, err := must(NewSSH(wrapped, nil)).Sign(message); !errors.Is(err, ErrSignature) {
		t.Errorf("an RSA key that would sign with SHA-1: %v", err)
	}
}

// A security key that was not touched did not consent.
func TestSecurityKeyWithoutTouch(t *testing.T) {
	for _, flags := range []byte{0, 4, 0x41, 0x81, 3} {
		for _, kind := range []string{sshSKEd25519, sshSKP256} {
			key := &securityKey{kind: kind, application: "ssh:", ed: edKey("x"), ec: p256Key("x"), flags: flags}
			if _, err := must(NewSSH(key, nil)).Sign(message); !errors.Is(err, ErrSignature) {
				t.Errorf("%s with flags %#x: %v", kind, flags, err)
			}
		}
	}
	key := &securityKey{kind: sshSKEd25519, application: "ssh:", ed: edKey("x"), flags: 1}
	public := must(NewPublicKey(AlgorithmSSH, key.PublicKey().Marshal()))
	s := must(key.Sign(nil, sshsigMessage(message)))
	for name, rest := range map[string][]byte{"the counter changed": {1, 0, 0, 0, 9}, "a flag added": {5, 0, 0, 0, 1}, "a byte more": {1, 0, 0, 0, 1, 0}, "no counter": {1}} {
		sig := appendSSHString(sshsigHeader(public.bytes), append(sshBlob(s.Format, s.Blob), rest...))
		if err := public.Verify(message, sig); !errors.Is(err, ErrSignature) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSSHKeyRefuses(t *testing.T) {
	point := must(p256Key("x").PublicKey.Bytes())
	edPoint := []byte(edKey("x").Public().(ed25519.PublicKey))
	n, e := rsaKey().N, big.NewInt(65537)
	small := readRSA(2048).N
	offCurve := bytes.Clone(point)
	offCurve[64] ^= 1
	for name, blob := range map[string][]byte{
		"a certificate":             sshBlob("ssh-ed25519-cert-v01@openssh.com", "nonce", edPoint),
		"DSA":                       sshBlob("ssh-dss", n, n, n, n),
		"P-384":                     sshBlob("ecdsa-sha2-nistp384", "nistp384", make([]byte, 97)),
		"the name of another curve": sshBlob(sshP256, "nistp384", point),
		"a point off the curve":     sshBlob(sshP256, curveP256, offCurve),
		"a compressed point":        sshBlob(sshP256, curveP256, append([]byte{2}, point[1:33]...)),
		"a short Ed25519 key":       sshBlob(sshEd25519, edPoint[:31]),
		"a byte after Ed25519":      append(sshBlob(sshEd25519, edPoint), 0),
		"a byte after P-256":        append(sshBlob(sshP256, curveP256, point), 0),
		"RSA 2048":                  sshBlob(sshRSA, e, small),
		"RSA of 8193 bits":          sshBlob(sshRSA, e, new(big.Int).SetBit(new(big.Int).Lsh(big.NewInt(1), 8192), 0, 1)),
		"RSA with an even modulus":  sshBlob(sshRSA, e, new(big.Int).Add(n, big.NewInt(1))),
		"RSA with exponent 3":       sshBlob(sshRSA, big.NewInt(3), n),
		"RSA with an even exponent": sshBlob(sshRSA, big.NewInt(65538), n),
		"RSA with a huge exponent":  sshBlob(sshRSA, new(big.Int).Add(new(big.Int).Lsh(big.NewInt(1), 32), big.NewInt(1)), n),
		"RSA with a padded modulus": sshBlob(sshRSA, e, append([]byte{0, 0}, n.Bytes()...)),
		"RSA with a negative one":   sshBlob(sshRSA, e, n.Bytes()),
		"a sk for the web":          sshBlob(sshSKEd25519, edPoint, "https://example.com"),
		"a sk with an odd name":     sshBlob(sshSKEd25519, edPoint, "ssh:\x1b[2J"),
		"a sk without a name":       sshBlob(sshSKEd25519, edPoint),
		"a type alone":              sshBlob(sshEd25519),
		"a length past the end":     {0, 0, 0, 99, 's'},
		"a long unknown type":       sshBlob(string(make([]byte, 1000))),
	} {
		if k, err := NewPublicKey(AlgorithmSSH, blob); !errors.Is(err, ErrFormat) {
			t.Errorf("%s: %v, %v", name, k, err)
		}
	}
	if _, err := NewPublicKey(AlgorithmSSH, sshBlob(sshRSA, e, n)); err != nil {
		t.Errorf("an ordinary RSA key: %v", err)
	}
}

// What a key in another process returns is not believed.
type lyingSigner struct {
	ssh.Signer
	sig *ssh.Signature
	err error
}

func (l lyingSigner) Sign(io.Reader, []byte) (*ssh.Signature, error) { return l.sig, l.err }

func TestAgentThatLies(t *testing.T) {
	honest := must(ssh.NewSignerFromKey(edKey("carol")))
	other := must(ssh.NewSignerFromKey(edKey("mallory")))
	for name, liar := range map[string]lyingSigner{
		"signs something else":  {honest, must(honest.Sign(nil, []byte("x"))), nil},
		"signs with another":    {honest, must(other.Sign(nil, sshsigMessage(message))), nil},
		"names another format":  {honest, &ssh.Signature{Format: "ssh-rsa", Blob: make([]byte, 64)}, nil},
		"fails":                 {honest, nil, errors.New("agent refused operation")},
		"returns an empty one":  {honest, &ssh.Signature{}, nil},
		"returns damaged ECDSA": {must(ssh.NewSignerFromKey(p256Key("x"))), &ssh.Signature{Format: sshP256, Blob: []byte{1}}, nil},
	} {
		if sig, err := must(NewSSH(liar, nil)).Sign(message); !errors.Is(err, ErrSignature) {
			t.Errorf("%s: %x, %v", name, sig, err)
		}
	}
}
