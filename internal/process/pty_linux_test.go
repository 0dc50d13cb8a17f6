package process

import (
	"fmt"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// ptyName unlocks the other end of a terminal and names it (pts(4)).
func ptyName(t *testing.T, master *os.File) string {
	t.Helper()
	if err := unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Skipf("no terminal can be made: %v", err)
	}
	n, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Skipf("no terminal can be made: %v", err)
	}
	return fmt.Sprintf("/dev/pts/%d", n)
}
