package durable

import (
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// A directory from elsewhere whose lock is a link to a file of the reader's: nothing
// of that file is lost, and no file is made where a link leads to none.
func TestLockByAnAttackersLink(t *testing.T) {
	for _, readOnly := range []bool{true, false} {
		dir := t.TempDir()
		precious, absent := filepath.Join(dir, "precious"), filepath.Join(dir, "absent")
		if err := os.WriteFile(precious, []byte("precious"), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, to := range []string{precious, absent} {
			lock := filepath.Join(dir, "lock")
			if err := os.Symlink(to, lock); err != nil {
				t.Skip("no symbolic links here:", err)
			}
			if c, err := Lock(vfs.Default, lock, Holder{}, readOnly); err == nil {
				c.Close()
				t.Errorf("locked through a link to %s, read only: %v", to, readOnly)
			}
			if err := os.Remove(lock); err != nil {
				t.Fatal(err)
			}
		}
		if data, err := os.ReadFile(precious); err != nil || string(data) != "precious" {
			t.Errorf("the file behind the link holds %q: %v", data, err)
		}
		if _, err := os.Lstat(absent); err == nil {
			t.Error("a file was made where the link led to none")
		}
	}
}

// TestLockBriefly: those that want a lock at once have it one after the other, and none
// of them is sent away.
func TestLockBriefly(t *testing.T) {
	name := filepath.Join(t.TempDir(), "lock")
	var inside atomic.Int32
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 20 {
				lock, err := LockBriefly(vfs.Default, name, Holder{})
				if err != nil {
					t.Error(err)
					return
				}
				if n := inside.Add(1); n != 1 {
					t.Errorf("%d have it at once", n)
				}
				inside.Add(-1)
				if err := lock.Close(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}
