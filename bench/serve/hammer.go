package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stele-ml/stele/internal/wire"
)

// hammered lets Tessera's hammer write to stele. It posts leaves of its own, which a
// ledger of signed statements does not take: on its way each becomes a stamp that was
// signed beforehand, one for one.
func (t *team) hammered(ctx context.Context, dir string, writers int) (f figure, err error) {
	h, err := t.copy(ctx, dir)
	if err != nil {
		return f, err
	}
	p, err := t.serve(ctx, h)
	if err != nil {
		return f, err
	}
	defer p.stop()
	var next atomic.Int64
	return t.hammer(ctx, p, t.key, writers, func(c *conn, _ []byte) (string, error) {
		body, err := t.body(int(next.Add(1) - 1))
		if err != nil {
			return "", err
		}
		answer, err := c.post("/v1/entries", wire.EnvelopeType, http.StatusCreated, body)
		if err != nil {
			return "", err
		}
		r, err := wire.ParseReceipt(answer)
		if err != nil {
			return "", err
		}
		return strconv.FormatUint(r.Index, 10), nil
	})
}

// addedByHammer lets it write to Tessera, by the same way.
func (t *team) addedByHammer(ctx context.Context, dir string, writers int) (f figure, err error) {
	p, key, err := t.tessera(ctx, dir, writers, false, false)
	if err != nil {
		return f, err
	}
	defer p.stop()
	return t.hammer(ctx, p, key, writers, func(c *conn, leaf []byte) (string, error) {
		answer, err := c.post("/add", "application/octet-stream", http.StatusOK, leaf)
		return string(answer), err
	})
}

// hammerPause is how long hammer's writers wait for their first permission: it gives
// them once a second, the first time after one.
const hammerPause = time.Second

// hammer runs Tessera's hammer against a server. It says no times itself, so what it
// posts comes by here and is timed.
func (t *team) hammer(ctx context.Context, p *process, key string, writers int, forward func(c *conn, leaf []byte) (string, error)) (f figure, err error) {
	first, err := sizeAt(ctx, p.address)
	if err != nil {
		return f, err
	}
	conns, err := dialAll(ctx, p.address, writers)
	if err != nil {
		return f, err
	}
	defer hangUp(conns)
	way := &forwarding{forward: forward, free: make(chan *conn, writers)}
	for _, c := range conns {
		way.free <- c
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return f, err
	}
	s := &http.Server{Handler: way, ReadHeaderTimeout: time.Minute}
	go s.Serve(l)
	defer s.Close()

	m := &meter{server: p}
	m.begin()
	c := exec.CommandContext(ctx, t.bin.hammer, "--log_url", "http://"+p.address+"/", "--write_log_url", "http://"+l.Addr().String()+"/",
		"--log_public_key", key, "--show_ui=false", "--num_writers", strconv.Itoa(writers), "--max_write_ops", "1000000", "--dup_chance", "0",
		"--leaf_min_size", strconv.Itoa(t.leaf), "--num_readers_random", "0", "--num_readers_full", "0", "--max_runtime", (*duration + hammerPause).String())
	out, err := c.CombinedOutput()
	var ended *exec.ExitError
	if err != nil && !errors.As(err, &ended) { // it ends with 1 when its time is over
		return f, err
	}
	way.mu.Lock()
	defer way.mu.Unlock()
	if way.err != nil {
		return f, way.err
	}
	m.endAfter(way.last.Sub(way.first), way.took)
	last, err := sizeAt(ctx, p.address)
	if err == nil && (len(way.took) == 0 || last-first < uint64(len(way.took))) {
		err = fmt.Errorf("%d leaves were acknowledged to hammer, and the log grew by %d: %.2000s", len(way.took), last-first, out)
	}
	return m.figure, errors.Join(err, m.err)
}

// forwarding takes what hammer posts to a server.
type forwarding struct {
	forward func(c *conn, leaf []byte) (string, error)
	free    chan *conn

	mu          sync.Mutex
	took        []time.Duration
	first, last time.Time // when the first leaf came, and the last answer
	err         error
}

func (f *forwarding) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	came := time.Now()
	leaf, err := io.ReadAll(r.Body)
	if err != nil {
		return // hammer went away: its time is over
	}
	c := <-f.free
	answer, err := f.forward(c, leaf)
	f.free <- c
	f.mu.Lock()
	defer f.mu.Unlock()
	if err != nil {
		f.err = err
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	if f.first.IsZero() {
		f.first = came
	}
	f.last = time.Now()
	f.took = append(f.took, f.last.Sub(came))
	fmt.Fprint(w, answer)
}
