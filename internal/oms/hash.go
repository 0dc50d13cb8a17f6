package oms

import (
	"crypto/sha256"
	"fmt"
	"hash"

	"golang.org/x/crypto/blake2b"
	"lukechampine.com/blake3"
)

// Hash is what a model's files are hashed with. The zero value is none. It is
// written as the specification's registry of algorithms has it.
type Hash string

// The hashes.
const (
	SHA256  Hash = "sha256"  // FIPS 180-4, 32 bytes
	BLAKE2b Hash = "blake2b" // RFC 7693, 64 bytes
	BLAKE3  Hash = "blake3"  // 32 bytes
)

// Size is the length of a digest in bytes; 0 for what is no hash.
func (h Hash) Size() int {
	switch h {
	case SHA256, BLAKE3:
		return 32
	case BLAKE2b:
		return 64
	}
	return 0
}

// New returns a hash that is one of the three.
func (h Hash) New() hash.Hash {
	switch h {
	case SHA256:
		return sha256.New()
	case BLAKE2b:
		b, err := blake2b.New512(nil)
		if err != nil {
			panic(err) // only a key can be wrong
		}
		return b
	case BLAKE3:
		return blake3.New(h.Size(), nil)
	}
	panic(fmt.Sprintf("oms: no hash %q", string(h)))
}
