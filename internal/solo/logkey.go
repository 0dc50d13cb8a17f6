package solo

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"
	"golang.org/x/mod/sumdb/note"

	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/internal/durable"
)

const (
	logKeyFile  = "log.key"
	nextKeyFile = "log.key.next" // stored before its rotation is submitted

	maxKeyFile = 4096 // bytes
	keyPrefix  = "PRIVATE+KEY+"
)

// LogKey is the private key that signs a log's checkpoints. Its file is one
// line, as golang.org/x/mod/sumdb/note writes it.
type LogKey struct {
	signer  note.Signer
	vkey    evidence.VKey
	private ed25519.PrivateKey
}

// GenerateLogKey makes a key for the log of that origin.
func GenerateLogKey(origin string, rand io.Reader) (*LogKey, error) {
	seed := make([]byte, ed25519.SeedSize)
	if _, err := io.ReadFull(rand, seed); err != nil {
		return nil, fmt.Errorf("generate log key: %w", err)
	}
	return newLogKey(origin, seed)
}

func newLogKey(origin string, seed []byte) (*LogKey, error) {
	k := &LogKey{private: ed25519.NewKeyFromSeed(seed)}
	var err error
	if k.signer, k.vkey, err = evidence.NewSigner(origin, k.private); err != nil {
		return nil, fmt.Errorf("log key: %w", err)
	}
	return k, nil
}

// VKey returns the public key, what others pin.
func (k *LogKey) VKey() evidence.VKey { return k.vkey }

// Signer returns the signer of checkpoints.
func (k *LogKey) Signer() note.Signer { return k.signer }

// Sign signs a message other than a checkpoint: that of a rotation.
func (k *LogKey) Sign(message []byte) []byte { return ed25519.Sign(k.private, message) }

// text returns the file's contents.
func (k *LogKey) text() []byte {
	raw := append([]byte{byte(evidence.LogKeyType)}, k.private.Seed()...)
	return fmt.Appendf(nil, "%s%s+%08x+%s\n", keyPrefix, k.vkey.Name, k.vkey.ID(), base64.StdEncoding.EncodeToString(raw))
}

func parseLogKey(text []byte) (*LogKey, error) {
	bad := errors.New("not a log key: want one line PRIVATE+KEY+<origin>+<id>+<key>")
	line, ok := strings.CutSuffix(string(text), "\n")
	rest, ok2 := strings.CutPrefix(line, keyPrefix)
	if !ok || !ok2 {
		return nil, bad
	}
	parts := strings.SplitN(rest, "+", 3)
	if len(parts) != 3 {
		return nil, bad
	}
	raw, err := base64.StdEncoding.DecodeString(parts[2])
	if err != nil || len(raw) != 1+ed25519.SeedSize || raw[0] != byte(evidence.LogKeyType) {
		return nil, bad
	}
	k, err := newLogKey(parts[0], raw[1:])
	if err != nil || !bytes.Equal(k.text(), text) {
		return nil, bad
	}
	return k, nil
}

// readLogKey reads a key's file; nil if there is none.
func readLogKey(fsys vfs.FS, name string) (*LogKey, error) {
	if _, err := fsys.Stat(name); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err := durable.CheckPrivate(fsys, name); err != nil {
		return nil, err
	}
	text, err := durable.ReadFile(fsys, name, maxKeyFile)
	if err != nil {
		return nil, err
	}
	k, err := parseLogKey(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return k, nil
}
