package main

import (
	"fmt"
	"strings"
	"syscall"
	"testing"

	"github.com/stele-ml/stele/internal/memory"
)

// TestCannotRemember: who cannot write down what they saw is told where else it can lie,
// or what is the matter with the disk.
func TestCannotRemember(t *testing.T) {
	for hint, why := range map[string]error{"$STELE_STATE": syscall.EROFS, "free some space": syscall.ENOSPC} {
		f := describe(fmt.Errorf("%w: %w", memory.ErrNotWritten, why))
		if f.status != exitError || !strings.Contains(f.hint, hint) {
			t.Errorf("%v: status %d, hint %q", why, f.status, f.hint)
		}
	}
}
