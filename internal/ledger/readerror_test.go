package ledger

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"
)

// TestReadError: what a disk gave back wrongly is damage, said once and in a line.
func TestReadError(t *testing.T) {
	bad := fmt.Errorf("pebble: file 000114: checksum mismatch: %w", pebble.ErrCorruption)
	err := readError([]byte("c"), errors.Join(bad, bad))
	if !errors.Is(err, ErrDamaged) || !pebble.IsCorruptionError(err) {
		t.Errorf("it is no damage: %v", err)
	}
	if text := err.Error(); strings.Contains(text, "\n") || strings.Count(text, "mismatch") != 1 {
		t.Errorf("%q", text)
	}
	if err := readError([]byte("c"), pebble.ErrClosed); errors.Is(err, ErrDamaged) || !errors.Is(err, pebble.ErrClosed) {
		t.Errorf("%v", err)
	}
}
