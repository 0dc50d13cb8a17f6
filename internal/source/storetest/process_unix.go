//go:build unix

package storetest

import (
	"os/exec"
	"syscall"
)

// ownGroup makes a process the leader of a group of its own.
func ownGroup(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }
