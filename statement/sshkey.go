package statement

import (
	"bytes"
	"encoding/binary"
	"math/big"
	"strings"

	"golang.org/x/crypto/ssh"
)

// The SSH key types that are accepted (RFC 4253, 5656, 8709 and OpenSSH's
// PROTOCOL.u2f). Certificates are not: what vouches for a key here is the ledger.
const (
	sshEd25519   = ssh.KeyAlgoED25519   // ssh-ed25519
	sshP256      = ssh.KeyAlgoECDSA256  // ecdsa-sha2-nistp256
	sshRSA       = ssh.KeyAlgoRSA       // ssh-rsa, signing as rsa-sha2-512 only
	sshSKEd25519 = ssh.KeyAlgoSKED25519 // sk-ssh-ed25519@openssh.com
	sshSKP256    = ssh.KeyAlgoSKECDSA256
)

// RSA keys between these sizes are accepted, in bits.
const (
	MinRSABits = 3072
	MaxRSABits = 8192
)

const curveP256 = "nistp256"

// sshKey is a parsed SSH public key.
type sshKey struct {
	kind string // the key type
	key  ssh.PublicKey
	size int // of an RSA modulus, in bytes
}

// parseSSHKey reads the wire encoding of a public key in its one spelling.
func parseSSHKey(blob []byte) (*sshKey, [32]byte, error) {
	fail := func(format string, args ...any) (*sshKey, [32]byte, error) {
		return nil, [32]byte{}, malformed("ssh key: "+format, args...)
	}
	r := sshReader(blob)
	kind := string(r.string())
	k := &sshKey{kind: kind}
	var material [32]byte
	var err error
	switch kind {
	case sshEd25519, sshSKEd25519:
		_, material, err = parseEd25519Point(r.string())
	case sshP256, sshSKP256:
		if string(r.string()) != curveP256 {
			return fail("want the curve nistp256")
		}
		_, material, err = parseP256Point(r.string())
	case sshRSA:
		e, n := r.mpint(), r.mpint()
		switch bits := n.BitLen(); {
		case bits < MinRSABits || bits > MaxRSABits:
			err = refuse(ErrFormat, "make a new key, for instance with ssh-keygen -t ed25519",
				"ssh key: RSA with %d bits, %d to %d are allowed", bits, MinRSABits, MaxRSABits)
		case n.Bit(0) == 0 || e.Bit(0) == 0 || e.Cmp(big.NewInt(65537)) < 0 || e.BitLen() > 24:
			err = malformed("ssh key: RSA with an unusual modulus or exponent")
		}
		k.size = (n.BitLen() + 7) / 8
		material = materialOf(sshRSA, blob)
	default:
		return fail("type %s is not accepted: want ssh-ed25519, ecdsa-sha2-nistp256, their sk- forms or ssh-rsa", quote(kind))
	}
	if err != nil {
		return nil, [32]byte{}, err
	}
	if kind == sshSKEd25519 || kind == sshSKP256 {
		application := r.string()
		if !bytes.HasPrefix(application, []byte("ssh:")) || len(application) > 255 || CheckText("application", string(application), 255) != nil {
			return fail("the security key's application must begin with ssh:")
		}
	}
	if !r.done() {
		return fail("damaged %s", kind)
	}
	if k.key, err = ssh.ParsePublicKey(blob); err != nil || !bytes.Equal(k.key.Marshal(), blob) {
		return fail("not the one encoding of a %s key", kind)
	}
	return k, material, nil
}

// signatureFormat is the only signature algorithm accepted from such a key.
func (k *sshKey) signatureFormat() string {
	if k.kind == sshRSA {
		return ssh.KeyAlgoRSASHA512
	}
	return k.kind
}

// isECDSA reports whether its signatures have a twin.
func (k *sshKey) isECDSA() bool { return k.kind == sshP256 || k.kind == sshSKP256 }

// isSK reports whether it is a security key, whose signatures end in flags and a
// counter.
func (k *sshKey) isSK() bool { return strings.HasPrefix(k.kind, "sk-") }

// sshReader reads the data types of RFC 4251 section 5. After the first failure
// every read returns nothing and done reports false.
type sshReader []byte

// failed marks a reader that has met damage. What is left after a good read may
// be empty, but is never nil.
var failed = sshReader(nil)

func (r *sshReader) string() []byte {
	b := *r
	if len(b) < 4 {
		*r = failed
		return nil
	}
	n := binary.BigEndian.Uint32(b)
	if uint64(n) > uint64(len(b)-4) {
		*r = failed
		return nil
	}
	*r = b[4+n:]
	return b[4 : 4+n : 4+n]
}

// mpint reads a positive mpint in its shortest form.
func (r *sshReader) mpint() *big.Int {
	b := r.string()
	if len(b) == 0 || b[0]&0x80 != 0 || b[0] == 0 && (len(b) == 1 || b[1]&0x80 == 0) {
		*r = failed
		return new(big.Int)
	}
	return new(big.Int).SetBytes(b)
}

// bytes reads n bytes, at least one.
func (r *sshReader) bytes(n int) []byte {
	b := *r
	if len(b) < n {
		*r = failed
		return nil
	}
	*r = b[n:]
	return b[:n:n]
}

// done reports whether everything was read and nothing failed.
func (r sshReader) done() bool { return r != nil && len(r) == 0 }

func appendSSHString(b, s []byte) []byte {
	return append(binary.BigEndian.AppendUint32(b, uint32(len(s))), s...)
}

func appendMPInt(b []byte, n *big.Int) []byte {
	digits := n.Bytes()
	if len(digits) > 0 && digits[0]&0x80 != 0 {
		digits = append([]byte{0}, digits...)
	}
	return appendSSHString(b, digits)
}
