package bucket

import (
	"testing"
	"time"
)

// Hurry makes all waits before another attempt a thousandth of what they are, so
// that a test can see a scan give up.
func Hurry(t *testing.T) {
	old := haste
	haste = 1000
	t.Cleanup(func() { haste = old })
}

// Impatient changes how long a store may say nothing.
func Impatient(t *testing.T, d time.Duration) {
	old := silence
	silence = d
	t.Cleanup(func() { silence = old })
}

// MaxAttempts is how many answers may break in a row.
const MaxAttempts = maxAttempts
