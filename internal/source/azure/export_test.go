package azure

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/stele-ml/stele/internal/source/bucket"
)

// MaxAttempts is how often something is tried.
const MaxAttempts = maxRetries + 1

// Hurry lets stores that the test opens wait next to nothing between attempts.
func Hurry(t *testing.T) {
	old := firstWait
	firstWait = time.Microsecond
	t.Cleanup(func() { firstWait = old })
}

// CutUploads has uploads of more than single bytes cut into blocks of as many.
func CutUploads(t *testing.T, single int64) {
	oldSingle, oldBlock := maxSingle, minBlock
	maxSingle, minBlock = single, single
	t.Cleanup(func() { maxSingle, minBlock = oldSingle, oldBlock })
}

// OpenOver opens a container over a transport of the test's.
func OpenOver(name string, anonymous bool, t *http.Transport) (bucket.Store, error) {
	return open(context.Background(), name, anonymous, t)
}

// Lacking makes a store one for which no credentials were found.
func Lacking(s bucket.Store) { s.(*Store).lacking = true }
