package gcs

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/stele-ml/stele/internal/source/bucket"
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

// OpenOver opens a bucket over a transport of the test's.
func OpenOver(name string, anonymous bool, t *http.Transport) (bucket.Store, error) {
	return open(context.Background(), name, anonymous, t)
}

// Lacking makes a store one for which no credentials were found.
func Lacking(s bucket.Store) { s.(*Store).lacking = true }
