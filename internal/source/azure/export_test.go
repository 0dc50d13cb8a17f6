package azure

import (
	"testing"
	"time"
)

// MaxAttempts is how often something is tried.
const MaxAttempts = maxRetries + 1

// Hurry lets stores that the test opens wait next to nothing between attempts.
func Hurry(t *testing.T) {
	old := firstWait
	firstWait = time.Microsecond
	t.Cleanup(func() { firstWait = old })
}
