package gcs

import (
	"testing"
	"time"
)

// MaxAttempts is how often something is tried.
const MaxAttempts = maxAttempts

// Hurry lets stores that the test opens wait next to nothing between attempts.
func Hurry(t *testing.T) {
	old := firstWait
	firstWait = time.Microsecond
	t.Cleanup(func() { firstWait = old })
}

// PageSize is how many objects a page has.
const PageSize = pageSize
