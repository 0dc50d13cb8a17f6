package statement

import (
	"crypto/ed25519"
	"encoding/hex"
	"math/big"
	"slices"
)

// The curve of RFC 8032 section 5.1: -x² + y² = 1 + dx²y² over p = 2²⁵⁵-19.
var (
	ed25519P = new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 255), big.NewInt(19))
	ed25519D = mustHexInt("52036cee2b6ffe738cc740797779e89800700a4d4141d8ab75eb4dca135978a3")
	// A root of dy⁴ + 2y² - 1: doubling a point with this y gives one with y = 0.
	ed25519Y8 = mustHexInt("05fc536d880238b13933c6d305acdfd5f098eff289f4c345b027b2c28f95e826")
)

// smallOrderY holds the y of the eight points whose order divides 8. A signature
// by such a "key" verifies over nearly anything, so nobody signed it.
var smallOrderY = []*big.Int{
	big.NewInt(0), // order 4
	big.NewInt(1), // the neutral element
	new(big.Int).Sub(ed25519P, big.NewInt(1)), // order 2
	ed25519Y8, // order 8
	new(big.Int).Sub(ed25519P, ed25519Y8),
}

// checkEd25519Point refuses what is not the canonical encoding of a point of the
// curve (RFC 8032 section 5.1.3) and the points of small order.
func checkEd25519Point(encoded []byte) error {
	if len(encoded) != ed25519.PublicKeySize {
		return malformed("ed25519 key: %d bytes, want %d", len(encoded), ed25519.PublicKeySize)
	}
	b := slices.Clone(encoded)
	b[31] &= 0x7f // the sign of x
	slices.Reverse(b)
	y := new(big.Int).SetBytes(b)
	if y.Cmp(ed25519P) >= 0 {
		return malformed("ed25519 key: not canonical: y is not below p")
	}
	for _, small := range smallOrderY {
		// x = 0 only here, so this also refuses its second spelling, "minus zero".
		if y.Cmp(small) == 0 {
			return malformed("ed25519 key: a point of small order")
		}
	}
	// x² = u/v, with u = y²-1 and v = dy²+1; u/v is a square exactly if uv is.
	yy := new(big.Int).Mul(y, y)
	u := new(big.Int).Sub(yy, big.NewInt(1))
	v := new(big.Int).Mul(yy, ed25519D)
	v.Add(v, big.NewInt(1))
	if big.Jacobi(u.Mul(u, v).Mod(u, ed25519P), ed25519P) != 1 {
		return malformed("ed25519 key: not a point of the curve")
	}
	return nil
}

func mustHexInt(digits string) *big.Int {
	b, err := hex.DecodeString(digits)
	if err != nil {
		panic(err)
	}
	return new(big.Int).SetBytes(b)
}
