package bucket

import (
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/stele-ml/stele/internal/source"
)

// What every door to a store does alike, whatever its SDK.

// NewTransport is Go's own transport, set up by [Tune] for so many requests at
// once; 0: [DefaultRequests].
func NewTransport(requests int) *http.Transport {
	t := http.DefaultTransport.(*http.Transport).Clone()
	Tune(t, requests)
	return t
}

// Rewind takes what is to be stored under key to its beginning, wherever it
// stands. It must hold size bytes, neither more nor less.
func Rewind(key string, r io.Seeker, size int64) error {
	held, err := r.Seek(0, io.SeekEnd)
	if err == nil && held != size {
		err = fmt.Errorf("%d bytes are there to store, not %d", held, size)
	}
	if err == nil {
		_, err = r.Seek(0, io.SeekStart)
	}
	if err != nil {
		return &source.Error{Path: key, Err: err}
	}
	return nil
}

// RetryAfter is what a Retry-After in seconds asks for, or 0 (RFC 9110, section
// 10.2.3).
func RetryAfter(header string) time.Duration {
	n, err := strconv.ParseUint(header, 10, 16)
	if err != nil {
		return 0
	}
	return time.Duration(n) * time.Second
}

// maxSaid bounds how many bytes of a store's text a message repeats.
const maxSaid = 300

// Line is a store's text as one line of bounded length, for a message.
func Line(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	if len(text) > maxSaid {
		text = strings.ToValidUTF8(text[:maxSaid], "") + "…"
	}
	return text
}
