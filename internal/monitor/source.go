package monitor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/stele-ml/stele/evidence"
)

const (
	bundleWidth = 256 // entries of a full bundle

	// MaxBundle is the longest bundle of entries, in bytes.
	MaxBundle = bundleWidth * (2 + evidence.MaxLeaf)

	requestTimeout = 30 * time.Second
)

// ErrUnreachable says that a log could not be asked.
var ErrUnreachable = errors.New("unreachable")

// ErrDenied says that a log's server does not let this monitor in.
var ErrDenied = errors.New("no access")

// Source is a log's read paths. Nothing that it returns is believed.
type Source interface {
	// Checkpoint returns the newest signed checkpoint.
	Checkpoint(ctx context.Context) ([]byte, error)
	// Bundle returns the first width entries of bundle n, each after its length
	// in two bytes, big-endian; width is 1 to 256.
	Bundle(ctx context.Context, n uint64, width int) ([]byte, error)
}

// HTTP is the Source of a log at an address: a server of ours, or any copy that
// has the paths of c2sp.org/tlog-tiles.
type HTTP struct {
	URL    string       // https, or http
	Token  string       // sent as a bearer token to that host alone; empty: none
	Client *http.Client // nil: http.DefaultClient; redirects are not followed
}

// Checkpoint reads /checkpoint.
func (h *HTTP) Checkpoint(ctx context.Context) ([]byte, error) {
	return h.get(ctx, evidence.MaxCheckpoint, "checkpoint")
}

// Bundle reads /tile/entries/<n>. Where a part of a bundle is not there any more,
// because the log has filled it since, the beginning of the whole is it.
func (h *HTTP) Bundle(ctx context.Context, n uint64, width int) ([]byte, error) {
	path := bundlePath(n)
	if width == bundleWidth {
		return h.get(ctx, MaxBundle, path...)
	}
	part := append([]string(nil), path...)
	part[len(part)-1] += ".p"
	data, err := h.get(ctx, MaxBundle, append(part, strconv.Itoa(width))...)
	if errors.Is(err, errMissing) {
		return h.get(ctx, MaxBundle, path...)
	}
	return data, err
}

// bundlePath writes a number in groups of three digits, all but the last after
// an "x": c2sp.org/tlog-tiles.
func bundlePath(n uint64) []string {
	groups := []string{fmt.Sprintf("%03d", n%1000)}
	for n /= 1000; n > 0; n /= 1000 {
		groups = append([]string{fmt.Sprintf("x%03d", n%1000)}, groups...)
	}
	return append([]string{"tile", "entries"}, groups...)
}

// errMissing says that there is no such resource.
var errMissing = errors.New("not there")

func (h *HTTP) get(ctx context.Context, limit int64, path ...string) ([]byte, error) {
	base, err := url.Parse(h.URL)
	if err != nil || base.Host == "" || base.Scheme != "https" && base.Scheme != "http" {
		return nil, fmt.Errorf("the address %.200q is not one of http or https", h.URL)
	}
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, base.JoinPath(path...).String(), nil)
	if err != nil {
		return nil, err
	}
	if h.Token != "" {
		req.Header.Set("Authorization", "Bearer "+h.Token)
	}
	client := http.Client{}
	if h.Client != nil {
		client = *h.Client
	}
	client.Jar = nil
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	resp, err := client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	defer resp.Body.Close()
	what := strings.Join(path, "/")
	switch {
	case resp.StatusCode == http.StatusNotFound:
		return nil, fmt.Errorf("%s: %w: %w", what, ErrUnreachable, errMissing)
	case resp.StatusCode == http.StatusUnauthorized || resp.StatusCode == http.StatusForbidden:
		return nil, fmt.Errorf("%s: %w: status %d; a monitor needs the scope entries", what, ErrDenied, resp.StatusCode)
	case resp.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("%s: %w: status %d", what, ErrUnreachable, resp.StatusCode)
	}
	data, err := io.ReadAll(io.LimitReader(resp.Body, limit+1))
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %w", what, ErrUnreachable, err)
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("%s: %w: longer than %d bytes", what, evidence.ErrFormat, limit)
	}
	return data, nil
}
