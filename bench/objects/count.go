package main

import (
	"context"
	"fmt"
	"io"
	"sync"
	"sync/atomic"

	"github.com/stele-ml/stele/internal/source/bucket"
)

// counter counts what a store is asked for.
type counter struct {
	bytes    atomic.Uint64 // of bodies, as they came
	requests atomic.Uint64

	tell bool // print bytes, a line each tellEvery
	mu   sync.Mutex
	told uint64
}

// tellEvery is how many bytes lie between two lines.
const tellEvery = 1 << 20

func (c *counter) read(n int) {
	now := c.bytes.Add(uint64(n))
	if !c.tell || now/tellEvery == (now-uint64(n))/tellEvery {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if now > c.told {
		c.told = now
		fmt.Println(now)
	}
}

// counted is a store that counts.
type counted struct {
	bucket.Store
	n *counter
}

func (c *counted) List(ctx context.Context, prefix, from string, page func([]bucket.Item) error) error {
	return c.Store.List(ctx, prefix, from, func(items []bucket.Item) error {
		c.n.requests.Add(1)
		return page(items)
	})
}

func (c *counted) Head(ctx context.Context, key string) (bucket.Item, error) {
	c.n.requests.Add(1)
	return c.Store.Head(ctx, key)
}

func (c *counted) Read(ctx context.Context, it bucket.Item, off, n int64) (io.ReadCloser, bucket.Item, error) {
	c.n.requests.Add(1)
	body, got, err := c.Store.Read(ctx, it, off, n)
	if err != nil {
		return nil, got, err
	}
	return &countedBody{body, c.n}, got, nil
}

type countedBody struct {
	io.ReadCloser
	n *counter
}

func (b *countedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.n.read(n)
	return n, err
}
