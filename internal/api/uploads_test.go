package api

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stele-ml/stele/internal/wire"
)

// Somebody who uploads what nobody ever names is stopped, and nobody else is.
func TestUploadsAreBounded(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	u := uploads{now: func() time.Time { return now }, have: map[string]*allowance{}, most: 1 << 50}
	take := func(who string, n int64, want bool) {
		t.Helper()
		if (u.take(who, n) == nil) != want {
			t.Errorf("%q, %d bytes: want %v", who, n, want)
		}
	}
	take("token:ci", UploadAllowance, true)
	take("token:ci", 1, false)
	take("token:other", UploadAllowance, true)
	take("", UploadAllowance, true)
	take("", 1, false) // all who are not known are one
	take(socketIdentity, UploadAllowance, true)
	take(socketIdentity, UploadAllowance, true)
	now = now.Add(-time.Hour) // a clock that is set back gives nothing
	take("token:ci", 1, false)
	now = now.Add(UploadPeriod / 2)
	take("token:ci", UploadAllowance/2+1, false)
	take("token:ci", UploadAllowance/2-1<<20, true)
	now = now.Add(100 * UploadPeriod)
	take("token:ci", UploadAllowance+1, false)
	take("token:ci", UploadAllowance, true)
}

func TestWhyABodyEnded(t *testing.T) {
	for _, c := range []struct {
		name string
		r    io.Reader
		left int64
		code wire.Code
	}{
		{"whole", strings.NewReader("12345"), 5, ""},
		{"more than one may", strings.NewReader("12345"), 4, wire.CodeRateLimited},
		{"cut", io.MultiReader(strings.NewReader("1"), failing{io.ErrUnexpectedEOF}), 5, wire.CodeMalformed},
		{"too long", failing{&http.MaxBytesError{Limit: 1}}, 5, wire.CodeTooLarge},
	} {
		u := &upload{r: c.r, take: func(n int64) error {
			if c.left -= n; c.left < 0 {
				return errAllowance
			}
			return nil
		}}
		_, _ = io.ReadAll(u)
		err := u.problem()
		var p *wire.Problem
		if errors.As(err, &p) != (c.code != "") || p != nil && p.Code != c.code {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }
