package replica

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/stele-ml/stele/client"
	"github.com/stele-ml/stele/evidence"
)

// ErrUnreachable says that the primary cannot be reached, or does not answer as a
// server of a ledger does. Another try may cure it.
var ErrUnreachable = errors.New("the ledger's server cannot be read")

// ErrAddress says that Options.URL is no address that may be followed.
var ErrAddress = errors.New("no address of a ledger's server")

// ErrNoHistory says that the address serves a log's tiles, and no history of its
// checkpoints: a static copy. It is an ErrUnreachable.
var ErrNoHistory = errors.New("it serves no history of checkpoints, as a static copy of a log: a mirror follows a server")

// errAbsent says that the primary has no such resource. It is an ErrUnreachable
// where the resource must be there.
var errAbsent = errors.New("not there")

// Limits of what is read from the primary.
const (
	bundleWidth   = 256
	maxCheckpoint = 64 << 10                             // bytes; see docs/formats/checkpoint.md
	maxTile       = bundleWidth * tlog.HashSize          // bytes
	maxBundle     = bundleWidth * (2 + evidence.MaxLeaf) // bytes, uncompressed

	requestTimeout = 2 * time.Minute // of one answer, the largest bundle included
	attempts       = 4               // of one request, before it is given up
	firstPause     = 200 * time.Millisecond
)

// primary is the server that is followed.
type primary struct {
	base  *url.URL
	http  *http.Client
	token string
}

func newPrimary(o *Options) (*primary, error) {
	u, err := url.Parse(o.URL)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return nil, fmt.Errorf("%w: %.200q; it is https://HOST[:PORT][/PATH]", ErrAddress, o.URL)
	}
	if u.Scheme == "http" && !loopback(u.Hostname()) {
		return nil, fmt.Errorf("%w: %s: http is for this machine alone; use https", ErrAddress, u.Redacted())
	}
	u.Path = strings.TrimRight(u.Path, "/")
	client := *o.HTTP
	// A token is for one host; and what is followed is one address.
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &primary{base: u, http: &client, token: o.Token}, nil
}

func loopback(host string) bool { return host == "localhost" || host == "127.0.0.1" || host == "::1" }

// get reads a resource of at most limit bytes. A few tries are made.
func (p *primary) get(ctx context.Context, path string, query url.Values, limit int64) (body []byte, err error) {
	pause := firstPause
	for try := range attempts {
		if try > 0 {
			select {
			case <-ctx.Done():
				return nil, ctx.Err()
			case <-time.After(pause):
			}
			pause *= 4
		}
		var again bool
		if body, again, err = p.once(ctx, path, query, limit); err == nil || !again {
			return body, err
		}
	}
	return nil, err
}

// once makes one request; again says whether another may help.
func (p *primary) once(ctx context.Context, path string, query url.Values, limit int64) (_ []byte, again bool, err error) {
	u := *p.base
	u.Path += path
	u.RawQuery = query.Encode()
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, false, err
	}
	p.authorize(req)
	resp, err := p.http.Do(req)
	if err != nil {
		return nil, ctx.Err() == nil, fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	defer resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusOK:
	default:
		again := resp.StatusCode >= 500 || resp.StatusCode == http.StatusTooManyRequests
		return nil, again, statusError(path, resp.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, limit+1)) // of what gzip unpacks, too
	if err != nil {
		return nil, ctx.Err() == nil, fmt.Errorf("%w: %s: %w", ErrUnreachable, path, err)
	}
	if int64(len(body)) > limit {
		return nil, false, fmt.Errorf("%w: %s: more than %d bytes", ErrUnreachable, path, limit)
	}
	return body, false, nil
}

// statusError says what a status means that is not OK: who is not let in is told that
// and not that nobody is there.
func statusError(path string, status int) error {
	switch status {
	case http.StatusNotFound:
		return fmt.Errorf("%w: %s: %w", ErrUnreachable, path, errAbsent)
	case http.StatusUnauthorized, http.StatusForbidden:
		return fmt.Errorf("%s: %w: the server answered %d %s; a mirror needs the scope entries", path, client.ErrAccess, status, http.StatusText(status))
	}
	return fmt.Errorf("%w: %s: the server answered %d %s", ErrUnreachable, path, status, http.StatusText(status))
}

// checkpoint returns the newest signed checkpoint.
func (p *primary) checkpoint(ctx context.Context) ([]byte, error) {
	return p.get(ctx, "/checkpoint", nil, maxCheckpoint)
}

// checkpointAt returns the signed checkpoint of a size.
func (p *primary) checkpointAt(ctx context.Context, size uint64) ([]byte, error) {
	return p.get(ctx, fmt.Sprintf("/checkpoint/%d", size), nil, maxCheckpoint)
}

// tilePath is a tile's path by C2SP tlog-tiles; level -1 is entries.
func tilePath(level int, n uint64, width int) string {
	path := tlog.Tile{H: 8, L: level, N: int64(n), W: width}.Path()
	path = strings.TrimPrefix(path, "tile/8/")
	return "/tile/" + strings.Replace(path, "data/", "entries/", 1)
}

// bundle returns the first width entries of a bundle.
func (p *primary) bundle(ctx context.Context, n uint64, width int) ([][]byte, error) {
	path := tilePath(-1, n, width)
	data, err := p.get(ctx, path, nil, maxBundle)
	if err != nil {
		return nil, err
	}
	leaves := make([][]byte, 0, width)
	for range width {
		if len(data) < 2 || len(data)-2 < int(binary.BigEndian.Uint16(data)) {
			return nil, fmt.Errorf("%w: %s ends within an entry", evidence.ErrTampered, path)
		}
		end := 2 + int(binary.BigEndian.Uint16(data))
		leaves, data = append(leaves, data[2:end:end]), data[end:]
	}
	if len(data) > 0 {
		return nil, fmt.Errorf("%w: %s goes on after its %d entries", evidence.ErrTampered, path, width)
	}
	return leaves, nil
}

// tiles reads the primary's tiles for tlog.TileHashReader, which checks them.
type tiles struct {
	ctx context.Context
	p   *primary
	err error // of the first that could not be read
}

// Height implements tlog.TileReader.
func (t *tiles) Height() int { return 8 }

// ReadTiles implements tlog.TileReader.
func (t *tiles) ReadTiles(want []tlog.Tile) ([][]byte, error) {
	data := make([][]byte, len(want))
	for i, tile := range want {
		var err error
		if data[i], err = t.p.get(t.ctx, tilePath(tile.L, uint64(tile.N), tile.W), nil, maxTile); err != nil {
			t.err = err
			return nil, err
		}
	}
	return data, nil
}

// SaveTiles implements tlog.TileReader.
func (t *tiles) SaveTiles([]tlog.Tile, [][]byte) {}

// open opens a resource to read it as it comes: one try, at most maxManifest
// bytes.
func (p *primary) open(ctx context.Context, path string) (io.ReadCloser, error) {
	u := *p.base
	u.Path += path
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, err
	}
	p.authorize(req)
	resp, err := p.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	if resp.StatusCode == http.StatusOK {
		return resp.Body, nil
	}
	resp.Body.Close()
	return nil, statusError(path, resp.StatusCode)
}

func (p *primary) authorize(req *http.Request) {
	if p.token != "" {
		req.Header.Set("Authorization", "Bearer "+p.token)
	}
}
