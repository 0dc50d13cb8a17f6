package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/mod/sumdb/note"

	"github.com/stele-ml/stele/evidence"
)

// tessera runs one of Tessera's servers on a fresh directory. In its settings a batch
// is as many entries as there are writers.
func (t *team) tessera(ctx context.Context, dir string, writers int, integrated, stock bool) (p *process, key string, err error) {
	secret, public, err := note.GenerateKey(rand.Reader, "tessera.example/log")
	if err != nil {
		return nil, "", err
	}
	file, log := filepath.Join(dir, "key"), filepath.Join(dir, "log")
	if err := os.WriteFile(file, []byte(secret), 0o600); err != nil {
		return nil, "", err
	}
	address, err := freePort()
	if err != nil {
		return nil, "", err
	}
	if stock {
		p, err = start(dir, nil, t.bin.stock, "--storage_dir", log, "--listen", address, "--private_key", file)
	} else {
		p, err = start(dir, nil, t.bin.tessera, "-dir", log, "-listen", address, "-key", file,
			"-batch", strconv.Itoa(writers), "-integrated="+strconv.FormatBool(integrated))
	}
	if err != nil {
		return nil, "", err
	}
	p.address = address
	return p, public, p.ready(ctx, "/checkpoint")
}

// added measures entries that Tessera takes: as long as ours, and of random bytes.
func (t *team) added(integrated bool) func(context.Context, string, int) (figure, error) {
	return func(ctx context.Context, dir string, writers int) (figure, error) {
		return t.addedTo(ctx, dir, writers, integrated, false)
	}
}

// addedToStock measures Tessera's conformance server: batches of 256 or a second, a
// checkpoint a second, 256 k entries remembered against duplicates.
func (t *team) addedToStock(ctx context.Context, dir string, writers int) (figure, error) {
	return t.addedTo(ctx, dir, writers, true, true)
}

func (t *team) addedTo(ctx context.Context, dir string, writers int, integrated, stock bool) (f figure, err error) {
	p, _, err := t.tessera(ctx, dir, writers, integrated, stock)
	if err != nil {
		return f, err
	}
	defer p.stop()
	conns, err := dialAll(ctx, p.address, writers)
	if err != nil {
		return f, err
	}
	defer hangUp(conns)
	m := &meter{server: p}
	err = load(m, conns, *duration, func(c *conn, n int) error {
		body := make([]byte, t.leaf)
		_, _ = rand.Read(body) // never fails since Go 1.24
		answer, err := c.post("/add", "application/octet-stream", 200, body)
		if err != nil || integrated || n > 0 {
			return err
		}
		return covered(ctx, p.address, answer)
	})
	return m.figure, errors.Join(err, m.err)
}

// covered: the published checkpoint covers the entry with that index.
func covered(ctx context.Context, address string, index []byte) error {
	n, err := strconv.ParseUint(string(index), 10, 64)
	if err != nil {
		return err
	}
	size, err := sizeAt(ctx, address)
	if err == nil && size <= n {
		err = fmt.Errorf("entry %d was acknowledged, and the published checkpoint is of %d", n, size)
	}
	return err
}

// sizeAt is the size of a log's published checkpoint.
func sizeAt(ctx context.Context, address string) (uint64, error) {
	c, err := dial(ctx, address)
	if err != nil {
		return 0, err
	}
	defer c.Close()
	text, err := c.get("/checkpoint")
	if err != nil {
		return 0, err
	}
	cp, _, err := evidence.ReadCheckpoint(text)
	return cp.Size, err
}
