//go:build unix

package main

import (
	"fmt"
	"os"
	"runtime"
	"syscall"
)

// peak is the most memory that a process had, getrusage(2): kilobytes, but
// bytes on Darwin.
func peak(s *os.ProcessState) string {
	u, ok := s.SysUsage().(*syscall.Rusage)
	if !ok {
		return "unknown"
	}
	bytes := float64(u.Maxrss) * 1024
	if runtime.GOOS == "darwin" {
		bytes = float64(u.Maxrss)
	}
	return fmt.Sprintf("%.0f", bytes/1e6)
}
