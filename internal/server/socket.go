package server

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// MaxSocketPath is the longest path of a socket that all systems take, in bytes
// (sun_path has 104 on macOS and the BSDs, 108 on Linux), with room for the name that it is
// made under.
const MaxSocketPath = 96

// ErrSocket says that there is no listening at a path.
var ErrSocket = errors.New("no socket there")

// ListenSocket listens at a path that only this user can open: mode 0600 from its
// first moment. What a server that was killed left there is replaced; a socket that
// answers, or anything else, is left as it is. Closing the listener takes it away.
func ListenSocket(path string) (net.Listener, error) {
	if len(path) > MaxSocketPath {
		return nil, fmt.Errorf("%w: %s is longer than %d bytes", ErrSocket, path, MaxSocketPath)
	}
	if err := stale(path); err != nil {
		return nil, err
	}
	// It is made in a folder that nobody else can enter, and comes to its place by its
	// second name: between listen and chmod, others could open it.
	private, err := os.MkdirTemp(filepath.Dir(path), ".s")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(private)
	inside := filepath.Join(private, "s")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: inside, Net: "unix"})
	if err != nil {
		return nil, err
	}
	l.SetUnlinkOnClose(false)
	err = os.Chmod(inside, 0o600)
	if err == nil {
		err = os.Rename(inside, path)
	}
	var info os.FileInfo
	if err == nil {
		info, err = os.Lstat(path)
	}
	if err != nil {
		l.Close()
		return nil, err
	}
	return &socket{UnixListener: l, path: path, info: info}, nil
}

// stale takes away a socket that nobody listens at.
func stale(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.Mode()&os.ModeSocket == 0 {
		return fmt.Errorf("%w: %s is something else", ErrSocket, path)
	}
	if c, err := net.DialTimeout("unix", path, time.Second); err == nil {
		c.Close()
		return fmt.Errorf("%w: somebody answers at %s", ErrSocket, path)
	}
	return os.Remove(path)
}

type socket struct {
	*net.UnixListener
	path string
	info os.FileInfo
	once sync.Once
}

// Close implements net.Listener.
func (s *socket) Close() error {
	s.once.Do(func() {
		if info, err := os.Lstat(s.path); err == nil && os.SameFile(info, s.info) {
			_ = os.Remove(s.path)
		}
	})
	return s.UnixListener.Close()
}
