package bucket

import (
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stele-ml/stele/internal/source"
)

func TestRewind(t *testing.T) {
	r := strings.NewReader("bytes")
	io.Copy(io.Discard, r)
	if err := Rewind("k", r, 5); err != nil {
		t.Fatal(err)
	}
	if r.Len() != 5 {
		t.Errorf("%d bytes are left to store, want 5", r.Len())
	}
	for _, size := range []int64{4, 6} {
		var e *source.Error
		if err := Rewind("k", r, size); !errors.As(err, &e) || e.Path != "k" {
			t.Errorf("5 bytes as %d: %v, want an error at k", size, err)
		}
	}
}

func TestRetryAfter(t *testing.T) {
	for header, want := range map[string]time.Duration{
		"": 0, "0": 0, "3": 3 * time.Second, "soon": 0, "-1": 0, "65535": 65535 * time.Second, "65536": 0, "Fri, 31 Dec 1999 23:59:59 GMT": 0,
	} {
		if got := RetryAfter(header); got != want {
			t.Errorf("%q: %v, want %v", header, got, want)
		}
	}
}

func TestLine(t *testing.T) {
	for text, want := range map[string]string{
		"":                             "",
		" one\r\n\ttwo  three\n":       "one two three",
		strings.Repeat("x", 300):       strings.Repeat("x", 300),
		strings.Repeat("x", 301):       strings.Repeat("x", 300) + "…",
		"x" + strings.Repeat("é", 150): "x" + strings.Repeat("é", 149) + "…", // never half a character
	} {
		if got := Line(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}
