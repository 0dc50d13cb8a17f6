package client

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"sync"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/stele-ml/stele/evidence"
)

const (
	tileHeight = 8 // of c2sp.org/tlog-tiles
	tileWidth  = 1 << tileHeight
	maxTiles   = 4096 // full tiles that are kept, of 8 KiB
)

// tiles are the full tiles that were verified: they are in every later tree.
type tiles struct {
	c    *Client
	mu   sync.Mutex
	full map[tlog.Tile][]byte
}

func newTiles(c *Client) *tiles { return &tiles{c: c, full: map[tlog.Tile][]byte{}} }

// reader returns the hashes of a tree, each checked against its root.
func (t *tiles) reader(ctx context.Context, at evidence.Checkpoint) tlog.HashReader {
	inner := tlog.TileHashReader(tlog.Tree{N: int64(at.Size), Hash: at.Root}, &tileReader{t, ctx})
	return tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		hashes, err := inner.ReadHashes(indexes)
		if err != nil && !taken(err) && ctx.Err() == nil {
			err = t.c.tampered("tiles: %w", err)
		}
		return hashes, err
	})
}

// tileReader implements tlog.TileReader for one request's context.
type tileReader struct {
	*tiles
	ctx context.Context
}

func (t *tileReader) Height() int { return tileHeight }

// SaveTiles keeps tiles that were verified.
func (t *tileReader) SaveTiles(list []tlog.Tile, data [][]byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i, tile := range list {
		if tile.W != tileWidth {
			continue
		}
		if len(t.full) >= maxTiles {
			clear(t.full)
		}
		t.full[tile] = data[i]
	}
}

func (t *tileReader) kept(tile tlog.Tile) []byte {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.full[tile]
}

// ReadTiles implements tlog.TileReader; what it returns is verified by its caller.
func (t *tileReader) ReadTiles(list []tlog.Tile) ([][]byte, error) {
	out := make([][]byte, len(list))
	errs := make([]error, len(list))
	var wg sync.WaitGroup
	slots := make(chan struct{}, 8)
	for i, tile := range list {
		if out[i] = t.kept(tile); out[i] != nil {
			continue
		}
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			out[i], errs[i] = t.c.tile(t.ctx, tile)
		})
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// tile asks for a tile of hashes. Where a partial one is gone the full one serves:
// a log may drop it once there is a full one.
func (c *Client) tile(ctx context.Context, tile tlog.Tile) ([]byte, error) {
	want := tile.W * tlog.HashSize
	data, err := c.partial(ctx, "/tile/"+strconv.Itoa(tile.L)+"/"+number(uint64(tile.N)), tile.W, tileWidth*tlog.HashSize)
	if err != nil {
		return nil, err
	}
	if len(data) < want || len(data)%tlog.HashSize != 0 {
		return nil, c.tampered("the tile %d/%d has %d bytes, not %d", tile.L, tile.N, len(data), want)
	}
	return data[:want], nil
}

// partial asks for a resource of that width, and for the full one if it is gone. That
// a checkpoint covers it and the server has neither does not say that it is not there.
func (c *Client) partial(ctx context.Context, path string, width int, limit int64) ([]byte, error) {
	at := path
	if width < tileWidth {
		at += ".p/" + strconv.Itoa(width)
	}
	a, err := c.do(ctx, request{method: http.MethodGet, path: at, limit: limit})
	if err == nil {
		return a.body, nil
	}
	if width < tileWidth && isNotFound(err) {
		if a, full := c.do(ctx, request{method: http.MethodGet, path: path, limit: limit}); full == nil {
			return a.body, nil
		}
	}
	if isNotFound(err) {
		err = &Unreachable{URL: c.base.String() + at, Attempts: 1, Err: fmt.Errorf("a checkpoint covers it: %v", err)}
	}
	return nil, err
}

// number is a tile's number in a path: groups of three digits, all but the last
// after an x.
func number(n uint64) string {
	text := fmt.Sprintf("%03d", n%1000)
	for n >= 1000 {
		n /= 1000
		text = fmt.Sprintf("x%03d/%s", n%1000, text)
	}
	return text
}
