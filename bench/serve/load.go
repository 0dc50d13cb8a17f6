package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// figure is what one run measured.
type figure struct {
	perSecond float64
	p50, p99  time.Duration // to the answer; 0: not measured
	cpu       time.Duration // of the server, an answer
	load      time.Duration // of the load, which has the same processors, an answer
	memory    int64         // the server's largest resident set, in bytes
}

// conn is a connection that is kept. It does no more than HTTP/1.1 asks, as every
// cycle of the load is taken from the server.
type conn struct {
	net.Conn
	in  *bufio.Reader
	out bytes.Buffer
}

const answerTime = time.Minute

func dial(ctx context.Context, address string) (*conn, error) {
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	return &conn{Conn: c, in: bufio.NewReaderSize(c, 4<<10)}, nil
}

// dialAll opens so many connections before anything is measured.
func dialAll(ctx context.Context, address string, n int) ([]*conn, error) {
	all := make([]*conn, n)
	for i := range all {
		var err error
		if all[i], err = dial(ctx, address); err != nil {
			hangUp(all[:i])
			return nil, err
		}
	}
	return all, nil
}

func hangUp(all []*conn) {
	for _, c := range all {
		_ = c.Close()
	}
}

// get asks for a path.
func (c *conn) get(path string) ([]byte, error) {
	c.out.Reset()
	fmt.Fprintf(&c.out, "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", path, c.RemoteAddr())
	return c.exchange(http.StatusOK)
}

// post posts a body. Only one status is an answer; all others are errors.
func (c *conn) post(path, media string, status int, body []byte) ([]byte, error) {
	c.out.Reset()
	fmt.Fprintf(&c.out, "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n", path, c.RemoteAddr(), media, len(body))
	c.out.Write(body)
	return c.exchange(status)
}

func (c *conn) exchange(status int) ([]byte, error) {
	if err := c.SetDeadline(time.Now().Add(answerTime)); err != nil {
		return nil, err
	}
	if _, err := c.Write(c.out.Bytes()); err != nil {
		return nil, err
	}
	resp, err := http.ReadResponse(c.in, nil)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != status {
		err = fmt.Errorf("status %d: %.300s", resp.StatusCode, body)
	}
	return body, err
}

// load does something over each of the connections, again and again, until a time
// after its beginning. It adds what it did to the meter.
func load(m *meter, conns []*conn, length time.Duration, do func(c *conn, n int) error) error {
	var next atomic.Int64
	var failed atomic.Pointer[error]
	took := make([][]time.Duration, len(conns))
	m.begin()
	var all sync.WaitGroup
	for w, c := range conns {
		all.Go(func() {
			for time.Since(m.began) < length && failed.Load() == nil {
				asked := time.Now()
				if err := do(c, int(next.Add(1)-1)); err != nil {
					failed.Store(&err)
					return
				}
				took[w] = append(took[w], time.Since(asked))
			}
		})
	}
	all.Wait()
	m.end(slices.Concat(took...))
	if err := failed.Load(); err != nil {
		return *err
	}
	return nil
}

// meter measures a server while it is under load.
type meter struct {
	server    *process
	began     time.Time
	cpu, load time.Duration // at the beginning
	figure    figure
	err       error
}

func (m *meter) begin() {
	m.cpu, m.err = m.server.cpu()
	if m.err == nil {
		m.load, m.err = loadCPU()
	}
	m.began = time.Now()
}

// end takes the times of all answers.
func (m *meter) end(took []time.Duration) {
	m.endAfter(time.Since(m.began), took)
}

// endAfter is end where the answers did not come all the time.
func (m *meter) endAfter(length time.Duration, took []time.Duration) {
	if m.err != nil || len(took) == 0 {
		return
	}
	n := len(took)
	slices.Sort(took)
	cpu, err := m.server.cpu()
	memory, merr := m.server.memory()
	load, lerr := loadCPU()
	if m.err = errors.Join(err, merr, lerr); m.err != nil {
		return
	}
	m.figure = figure{
		perSecond: float64(n) / length.Seconds(), p50: took[n/2], p99: took[n*99/100],
		cpu: (cpu - m.cpu) / time.Duration(n), load: (load - m.load) / time.Duration(n), memory: memory,
	}
}
