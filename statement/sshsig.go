package statement

import (
	"bytes"
	"crypto/sha512"
	"encoding/base64"
	"io"

	"golang.org/x/crypto/ssh"
)

// SSHNamespace is the namespace of every SSHSIG made here; see ssh-keygen(1).
const SSHNamespace = "stele"

// The fixed parts of an SSHSIG (OpenSSH's PROTOCOL.sshsig).
const (
	sshsigMagic = "SSHSIG"
	sshsigHash  = "sha512"
)

// sshsigMessage is what the key signs: MAGIC ‖ namespace ‖ reserved ‖ hash name ‖
// H(message).
func sshsigMessage(message []byte) []byte {
	digest := sha512.Sum512(message)
	b := []byte(sshsigMagic)
	b = appendSSHString(b, []byte(SSHNamespace))
	b = appendSSHString(b, nil)
	b = appendSSHString(b, []byte(sshsigHash))
	return appendSSHString(b, digest[:])
}

// sshsigHeader is an SSHSIG up to the signature itself. It is fixed once the key
// is, so a verifier compares it as bytes.
func sshsigHeader(public []byte) []byte {
	b := []byte(sshsigMagic + "\x00\x00\x00\x01")
	b = appendSSHString(b, public)
	b = appendSSHString(b, []byte(SSHNamespace))
	b = appendSSHString(b, nil)
	return appendSSHString(b, []byte(sshsigHash))
}

// verify checks an SSHSIG by k, whose wire encoding is public, over message.
func (k *sshKey) verify(public, message, sig []byte) error {
	inner, ok := bytes.CutPrefix(sig, sshsigHeader(public))
	if !ok {
		return refuse(ErrSignature, "", "not an SSHSIG by the registered key in the namespace %s with sha512", SSHNamespace)
	}
	r := sshReader(inner)
	blob := r.string()
	if !r.done() {
		return refuse(ErrSignature, "", "the SSHSIG is damaged")
	}
	parsed, err := k.parseSignature(blob)
	if err != nil {
		return err
	}
	if err := k.key.Verify(sshsigMessage(message), parsed); err != nil {
		return refuse(ErrSignature, "", "the SSH signature does not verify")
	}
	return nil
}

// User presence and user verification, the two flags a security key sets on a
// signature (WebAuthn section 6.1). Presence is demanded by the SSH library.
const skFlags = 0x01 | 0x04

// parseSignature reads the signature inside an SSHSIG in its one spelling.
func (k *sshKey) parseSignature(blob []byte) (*ssh.Signature, error) {
	r := sshReader(blob)
	sig := &ssh.Signature{Format: string(r.string()), Blob: r.string()}
	if k.isSK() {
		sig.Rest = r.bytes(5) // u8 flags ‖ u32 counter
	}
	switch {
	case !r.done():
		return nil, refuse(ErrSignature, "", "the SSH signature is damaged")
	case sig.Format != k.signatureFormat():
		return nil, refuse(ErrSignature, "", "the SSH signature is a %s, want %s", quote(sig.Format), k.signatureFormat())
	case k.kind == sshRSA && len(sig.Blob) != k.size:
		return nil, refuse(ErrSignature, "", "the RSA signature is %d bytes, want %d", len(sig.Blob), k.size)
	case k.kind == sshSKEd25519 && len(sig.Blob) != 64:
		return nil, refuse(ErrSignature, "", "the Ed25519 signature is %d bytes, want 64", len(sig.Blob))
	case k.isSK() && sig.Rest[0]&^skFlags != 0:
		return nil, refuse(ErrSignature, "", "the security key set flags that are not accepted")
	}
	if k.isECDSA() {
		b := sshReader(sig.Blob)
		rr, ss := b.mpint(), b.mpint()
		if !b.done() {
			return nil, refuse(ErrSignature, "", "the ECDSA signature is not two minimal mpints")
		}
		if err := checkLowS(rr, ss); err != nil {
			return nil, err
		}
	}
	return sig, nil
}

// sshSigner signs through an ssh.Signer.
type sshSigner struct {
	signer ssh.Signer
	public *PublicKey
	rand   io.Reader
}

// NewSSH returns a Signer over an SSH key from a file or an agent (see package
// golang.org/x/crypto/ssh/agent). The signatures are SSHSIG in [SSHNamespace]
// with sha512. Rand is handed to the key; it may be nil, since an agent does not
// use it and a key from a file then signs deterministically.
func NewSSH(signer ssh.Signer, rand io.Reader) (Signer, error) {
	public, err := NewPublicKey(AlgorithmSSH, signer.PublicKey().Marshal())
	if err != nil {
		return nil, err
	}
	return &sshSigner{signer, public, rand}, nil
}

func (s *sshSigner) PublicKey() *PublicKey { return s.public }

// Sign asks the key for a signature, puts an ECDSA one in its low-S form, and
// verifies what it got: the key may lie in a device or another process.
func (s *sshSigner) Sign(message []byte) ([]byte, error) {
	key := s.public.ssh
	got, err := s.ask(key, sshsigMessage(message))
	if err != nil {
		return nil, refuse(ErrSignature, "", "sign with the ssh key: %v", err)
	}
	blob := got.Blob
	if key.isECDSA() {
		b := sshReader(blob)
		r, ss := b.mpint(), b.mpint()
		blob = appendMPInt(appendMPInt(nil, r), lowS(ss))
	}
	inner := appendSSHString(nil, []byte(got.Format))
	inner = appendSSHString(inner, blob)
	inner = append(inner, got.Rest...)
	sig := appendSSHString(sshsigHeader(s.public.bytes), inner)
	if err := s.public.Verify(message, sig); err != nil {
		return nil, refuse(ErrSignature, "", "the ssh key returned a signature that is not accepted: %v", err)
	}
	return sig, nil
}

func (s *sshSigner) ask(key *sshKey, message []byte) (*ssh.Signature, error) {
	if key.kind != sshRSA {
		return s.signer.Sign(s.rand, message)
	}
	// Without asking by name an RSA key would sign with SHA-1.
	by, ok := s.signer.(ssh.AlgorithmSigner)
	if !ok {
		return nil, malformed("the RSA key cannot sign as %s", key.signatureFormat())
	}
	return by.SignWithAlgorithm(s.rand, message, key.signatureFormat())
}

// armorColumns is the width of an armored SSHSIG's base64, as ssh-keygen writes it.
const armorColumns = 70

// ArmorSSHSIG returns the signature of an envelope by an ssh key in the form of
// the file that ssh-keygen reads, which checks it against a line "alice
// <AuthorizedKey>" with [Envelope.Message] on standard input:
//
//	ssh-keygen -Y verify -f allowed_signers -I alice -n stele -s FILE < MESSAGE
func ArmorSSHSIG(sig []byte) []byte {
	text := base64.StdEncoding.EncodeToString(sig)
	out := []byte("-----BEGIN SSH SIGNATURE-----\n")
	for len(text) > armorColumns {
		out = append(append(out, text[:armorColumns]...), '\n')
		text = text[armorColumns:]
	}
	out = append(append(out, text...), '\n')
	return append(out, "-----END SSH SIGNATURE-----\n"...)
}
