// Package oms reads, checks and writes model signatures as the OpenSSF Model
// Signing specification v1.0 has them: a Sigstore bundle around an in-toto
// statement that lists every file of a model.
package oms

import (
	_ "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	_ "golang.org/x/crypto/blake2b"
	_ "google.golang.org/protobuf/encoding/protojson"
)
