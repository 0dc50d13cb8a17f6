package witness

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

	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/internal/durable"
)

const (
	keyFile    = "witness.key"
	maxKeyFile = 4096 // bytes
	keyPrefix  = "PRIVATE+KEY+"
)

// Key is the private key of a witness: Ed25519 cosignature/v1, type 0x04. It
// signs nothing else. Its file is one line, as other programs write it:
// PRIVATE+KEY+<name>+<key id>+<base64(type ‖ seed)>.
type Key struct {
	vkey    evidence.VKey
	private ed25519.PrivateKey
}

// GenerateKey makes a key for the witness of that name.
func GenerateKey(name string, rand io.Reader) (*Key, error) {
	seed := make([]byte, ed25519.SeedSize)
	if _, err := io.ReadFull(rand, seed); err != nil {
		return nil, fmt.Errorf("generate witness key: %w", err)
	}
	return newKey(name, seed)
}

func newKey(name string, seed []byte) (*Key, error) {
	k := &Key{private: ed25519.NewKeyFromSeed(seed)}
	var err error
	if _, k.vkey, err = evidence.NewCosigner(name, k.private, 0); err != nil {
		return nil, fmt.Errorf("witness key: %w", err)
	}
	return k, nil
}

// VKey is the public key: what others put into a policy.
func (k *Key) VKey() evidence.VKey { return k.vkey }

func (k *Key) text() []byte {
	raw := append([]byte{byte(evidence.WitnessKeyType)}, k.private.Seed()...)
	return fmt.Appendf(nil, "%s%s+%08x+%s\n", keyPrefix, k.vkey.Name, k.vkey.ID(), base64.StdEncoding.EncodeToString(raw))
}

func parseKey(text []byte) (*Key, error) {
	bad := fmt.Errorf("%w: not a witness key: want one line PRIVATE+KEY+<name>+<id>+<key>", ErrFormat)
	line, ok := strings.CutSuffix(string(text), "\n")
	rest, ok2 := strings.CutPrefix(line, keyPrefix)
	parts := strings.SplitN(rest, "+", 3)
	if !ok || !ok2 || len(parts) != 3 {
		return nil, bad
	}
	raw, err := base64.StdEncoding.DecodeString(parts[2])
	if err != nil || len(raw) != 1+ed25519.SeedSize || raw[0] != byte(evidence.WitnessKeyType) {
		return nil, bad
	}
	k, err := newKey(parts[0], raw[1:])
	if err != nil || !bytes.Equal(k.text(), text) {
		return nil, bad
	}
	return k, nil
}

// CreateKey makes a key and writes it into a state directory, readable by its
// owner alone. It never replaces one; nor does it make one where a memory
// lies, which another key signed.
func CreateKey(fsys vfs.FS, dir, name string, rand io.Reader) (*Key, error) {
	k, err := GenerateKey(name, rand)
	if err != nil {
		return nil, err
	}
	if err := durable.MkdirAll(fsys, dir, durable.PrivateDir); err != nil {
		return nil, err
	}
	taken := func(name string) error {
		return withHint("give the new witness a directory of its own", "make witness key: %w: %s is there already", ErrKeys, fsys.PathJoin(dir, name))
	}
	for _, there := range []string{keyFile, stoppedFile} {
		switch _, err := fsys.Stat(fsys.PathJoin(dir, there)); {
		case err == nil:
			return nil, taken(there)
		case !errors.Is(err, fs.ErrNotExist):
			return nil, err
		}
	}
	m := memory{fsys: fsys, dir: dir}
	switch known, err := m.known(); {
	case errors.Is(err, fs.ErrNotExist):
		if err := m.writeKnown(nil); err != nil {
			return nil, fmt.Errorf("make witness key: %w", err)
		}
	case err != nil:
		return nil, fmt.Errorf("make witness key: %w", err)
	case len(known) > 0:
		return nil, taken(knownFile)
	}
	if err := durable.WriteFile(fsys, fsys.PathJoin(dir, keyFile), k.text()); err != nil {
		return nil, fmt.Errorf("make witness key: %w", err)
	}
	return k, nil
}

// ReadKey reads the key of a state directory. It refuses one that others can
// read; without one the error is fs.ErrNotExist.
func ReadKey(fsys vfs.FS, dir string) (*Key, error) {
	name := fsys.PathJoin(dir, keyFile)
	if _, err := fsys.Stat(name); err != nil {
		return nil, err
	}
	if err := durable.CheckPrivate(fsys, name); err != nil {
		return nil, err
	}
	text, err := durable.ReadFile(fsys, name, maxKeyFile)
	if err != nil {
		return nil, err
	}
	k, err := parseKey(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return k, nil
}
