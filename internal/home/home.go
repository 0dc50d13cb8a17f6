// Package home is where a person's own keys and trust lie: the user's
// configuration and state directories.
//
// Trust and private keys come only from here, or from where the user points
// by flag or environment; never from a directory that came with data
// (DESIGN: Trust). Files that hold secrets are written 0600 and refused on
// reading when others may read them.
package home

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/stele-ml/stele/internal/durable"
)

// Dirs are the two directories of one user.
type Dirs struct {
	Config string // keys/<name>.pem, trust/<sha256 of origin>.policy
	State  string // ledgers/<ledger id>/{log.key,guard,seen}
}

// Find returns the user's directories: $STELE_CONFIG and $STELE_STATE where
// they are set, else the platform's conventions (XDG on Linux and other Unix
// systems, Application Support on macOS, AppData on Windows).
func Find(getenv func(string) string) (Dirs, error) {
	d := Dirs{Config: getenv("STELE_CONFIG"), State: getenv("STELE_STATE")}
	if d.Config == "" {
		base, err := os.UserConfigDir()
		if err != nil {
			return Dirs{}, fmt.Errorf("find the configuration directory: %w (set STELE_CONFIG)", err)
		}
		d.Config = filepath.Join(base, "stele")
	}
	if d.State == "" {
		base, err := stateDir(getenv)
		if err != nil {
			return Dirs{}, fmt.Errorf("find the state directory: %w (set STELE_STATE)", err)
		}
		d.State = filepath.Join(base, "stele")
	}
	for _, p := range []*string{&d.Config, &d.State} {
		abs, err := filepath.Abs(*p)
		if err != nil {
			return Dirs{}, err
		}
		*p = abs
	}
	return d, nil
}

func stateDir(getenv func(string) string) (string, error) {
	switch runtime.GOOS {
	case "windows":
		if p := getenv("LocalAppData"); p != "" {
			return p, nil
		}
		return "", errors.New("%LocalAppData% is not set")
	case "darwin":
		return os.UserConfigDir()
	}
	if p := getenv("XDG_STATE_HOME"); filepath.IsAbs(p) {
		return p, nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", err
	}
	return filepath.Join(home, ".local", "state"), nil
}

// Ledger is the state directory of one ledger: its log key, its guard, the
// last checkpoint this user saw. It is named by the ledger's id, which no
// copied or forged ledger can share.
func (d Dirs) Ledger(id string) string { return filepath.Join(d.State, "ledgers", id) }

// DefaultKey is the name of the key that `stele key new` makes when none is
// given, and that signs when none is chosen.
const DefaultKey = "default"

// KeyPath is where the private key of that name lies.
func (d Dirs) KeyPath(name string) (string, error) {
	if err := checkKeyName(name); err != nil {
		return "", err
	}
	return filepath.Join(d.Config, "keys", name+".pem"), nil
}

func checkKeyName(name string) error {
	if name == "" || len(name) > 64 || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
		return fmt.Errorf("key name %q: use 1 to 64 of a-z, 0-9, - and _", name)
	}
	return nil
}

// Keys lists the names of the private keys kept here, sorted.
func (d Dirs) Keys() ([]string, error) {
	list, err := os.ReadDir(filepath.Join(d.Config, "keys"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range list {
		if name, ok := strings.CutSuffix(e.Name(), ".pem"); ok && checkKeyName(name) == nil {
			names = append(names, name)
		}
	}
	return names, nil
}

// WriteSecret writes a new private file, 0600, its directory 0700, and has it on the
// disk when it returns. It never overwrites: a lost private key cannot be made again.
func WriteSecret(path string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	if _, err = f.Write(data); err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = durable.SyncDir(durable.Private(), filepath.Dir(path))
	}
	if err != nil {
		os.Remove(path)
	}
	return err
}

// maxSecret bounds a private key file; an OpenSSH RSA key is under 4 KiB.
const maxSecret = 64 << 10

// ErrPermissions says that others may read a private file.
var ErrPermissions = errors.New("others may read this private file")

// ReadSecret reads a private file and refuses one that others may read.
// Windows has no such mode bits; there the profile's access list guards it.
func ReadSecret(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
		return nil, &fs.PathError{Op: "read", Path: path, Err: ErrPermissions}
	}
	if info.Size() > maxSecret {
		return nil, &fs.PathError{Op: "read", Path: path, Err: fmt.Errorf("%d bytes is no private key (at most %d)", info.Size(), maxSecret)}
	}
	return os.ReadFile(path)
}

// TrustPath is where the policy that pins a log lies. The name is the
// SHA-256 of the origin, so that no origin can name another file.
func (d Dirs) TrustPath(origin string) string {
	sum := sha256.Sum256([]byte(origin))
	return filepath.Join(d.Config, "trust", hex.EncodeToString(sum[:])+".policy")
}

// Trust reads the policy pinned for origin, or nil where none is.
func (d Dirs) Trust(origin string) ([]byte, error) {
	data, err := os.ReadFile(d.TrustPath(origin))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return data, err
}

// TrustFiles lists the paths of all pinned policies, sorted.
func (d Dirs) TrustFiles() ([]string, error) {
	files, err := filepath.Glob(filepath.Join(d.Config, "trust", "*.policy"))
	slices.Sort(files)
	return files, err
}

// ErrPinned says that another policy is pinned for this origin already.
var ErrPinned = errors.New("another policy is pinned for this log")

// PinTrust stores the policy for origin. A different policy that is pinned
// already is replaced only when replace is set.
func (d Dirs) PinTrust(origin string, policy []byte, replace bool) error {
	old, err := d.Trust(origin)
	if err != nil {
		return err
	}
	if old != nil && !replace && !bytes.Equal(old, policy) {
		return fmt.Errorf("%w: %s", ErrPinned, d.TrustPath(origin))
	}
	return Replace(d.TrustPath(origin), policy)
}

// Replace writes a small private file, and makes its directory, so that a crash leaves
// the old or the new one, whole.
func Replace(path string, data []byte) error {
	disk := durable.Private()
	if err := durable.MkdirAll(disk, filepath.Dir(path), durable.PrivateDir); err != nil {
		return err
	}
	return durable.WriteFile(disk, path, data)
}
