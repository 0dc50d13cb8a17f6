package statement

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"strings"
)

// vkeyEd25519 is the type byte of an Ed25519 log signature in a C2SP vkey.
const vkeyEd25519 = 0x01

// parseVKey reads the text of an Ed25519 log key, C2SP signed-note:
// name+hash+base64(0x01 ‖ public key), hash the first 4 bytes of SHA-256(name ‖
// "\n" ‖ 0x01 ‖ public key) as 8 lower-case hexadecimal digits.
func parseVKey(vkey string) (name string, public ed25519.PublicKey, err error) {
	name, rest, _ := strings.Cut(vkey, "+")
	digits, key64, ok := strings.Cut(rest, "+")
	if !ok {
		return "", nil, malformed("vkey %s: want name+hash+key", quote(vkey))
	}
	if err := CheckOrigin(name); err != nil {
		return "", nil, err
	}
	key, err := decodeBase64("vkey", key64)
	if err != nil {
		return "", nil, err
	}
	if len(key) != 1+ed25519.PublicKeySize || key[0] != vkeyEd25519 {
		return "", nil, malformed("vkey %s: not an Ed25519 log key", quote(vkey))
	}
	sum := sha256.Sum256(append([]byte(name+"\n"), key...))
	if digits != hex.EncodeToString(sum[:4]) {
		return "", nil, malformed("vkey %s: its hash is not of this name and key", quote(vkey))
	}
	public, _, err = parseEd25519Point(key[1:])
	return name, public, err
}

// CheckVKey checks the C2SP vkey of a log: one encoding, Ed25519, and its name is
// the origin.
func CheckVKey(vkey, origin string) error {
	name, _, err := parseVKey(vkey)
	if err != nil {
		return err
	}
	if name != origin {
		return malformed("vkey %s: its name is not the origin %s", quote(vkey), quote(origin))
	}
	return nil
}

// VKeyMaterial returns the [PublicKey.Material] of the key in an Ed25519 vkey, so
// that log, witness and identity keys can be kept disjoint. It also reads the
// vkey of a witness (type byte 0x04).
func VKeyMaterial(vkey string) ([32]byte, error) {
	parts := strings.Split(vkey, "+")
	// The key itself may hold "+" in its base64.
	if len(parts) < 3 {
		return [32]byte{}, malformed("vkey %s: want name+hash+key", quote(vkey))
	}
	key, err := decodeBase64("vkey", strings.Join(parts[2:], "+"))
	if err != nil {
		return [32]byte{}, err
	}
	if len(key) != 1+ed25519.PublicKeySize || key[0] != vkeyEd25519 && key[0] != vkeyCosignature {
		return [32]byte{}, malformed("vkey %s: not an Ed25519 key", quote(vkey))
	}
	_, material, err := parseEd25519Point(key[1:])
	return material, err
}

// vkeyCosignature is the type byte of a witness's Ed25519 cosignature/v1.
const vkeyCosignature = 0x04

// LogKeyMessage is the text that both keys sign in a log-key statement. It is no
// signed note and no checkpoint: its second line is no number.
//
//	stele log key v1
//	ledger <hex>
//	current <vkey>
//	next <vkey>
//	nonce <hex>
func LogKeyMessage(ledger LedgerID, current, next string, nonce Nonce) []byte {
	return []byte("stele log key v1\nledger " + ledger.String() + "\ncurrent " + current +
		"\nnext " + next + "\nnonce " + nonce.String() + "\n")
}

// base64Of is padded standard base64.
func base64Of(b []byte) string { return base64.StdEncoding.EncodeToString(b) }
