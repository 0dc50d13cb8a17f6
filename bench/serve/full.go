package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stele-ml/stele/bench/stopwatch"
	"github.com/stele-ml/stele/internal/solo"
	"github.com/stele-ml/stele/internal/wire"
	"github.com/stele-ml/stele/statement"
)

// Who writes to an embedded engine at once, who reads from a server, and who writes to
// it while a mirror catches up.
const (
	engineWriters = 256
	readers       = 64
	besides       = 64
)

// measureFull prints what is read from a ledger of many entries, and how fast a mirror
// copies it.
func measureFull(ctx context.Context, t *team, dir string) error {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	h, err := t.copy(ctx, dir)
	if err != nil {
		return err
	}
	appended, err := t.fill(ctx, h, *catchup)
	if err != nil {
		return err
	}
	p, err := t.serve(ctx, h)
	if err != nil {
		return err
	}
	defer p.stop()
	if err := t.measureReads(ctx, p, dir); err != nil {
		return err
	}
	return t.measureCatchUp(ctx, p, dir, appended)
}

// fill appends entries to a ledger with the engine of one's own, in this process, and
// returns how many a second.
func (t *team) fill(ctx context.Context, h home, n int) (perSecond float64, err error) {
	e, err := solo.Open(ctx, h.options())
	if err != nil {
		return 0, err
	}
	defer e.Close()
	envelopes := make([]*statement.Envelope, n)
	for i := range envelopes {
		body, err := t.body(i)
		if err != nil {
			return 0, err
		}
		if envelopes[i], err = statement.ParseEnvelope(body); err != nil {
			return 0, err
		}
	}
	var next atomic.Int64
	errs := make([]error, engineWriters)
	began := time.Now()
	var all sync.WaitGroup
	for w := range errs {
		all.Go(func() {
			for errs[w] == nil {
				i := int(next.Add(1) - 1)
				if i >= n {
					return
				}
				_, errs[w] = e.Submit(ctx, envelopes[i])
			}
		})
	}
	all.Wait()
	return float64(n) / time.Since(began).Seconds(), errors.Join(errs...)
}

// measureReads prints the table of what is read.
func (t *team) measureReads(ctx context.Context, p *process, dir string) error {
	size, err := sizeAt(ctx, p.address)
	if err != nil {
		return err
	}
	n := rand.N[uint64]
	var rows []*row
	for _, read := range []struct {
		what string
		path func() string
	}{
		{"a full tile of hashes", func() string { return "/tile/0/" + tileName(n(size/256)) }},
		{"a partial tile of hashes", func() string { return fmt.Sprintf("/tile/0/%s.p/%d", tileName(size/256), 1+n(max(size%256, 1))) }},
		{"a bundle of 256 entries", func() string { return "/tile/entries/" + tileName(n(size/256)) }},
		{"a proof of inclusion", func() string { return fmt.Sprintf("/v1/proofs/inclusion?index=%d", n(size)) }},
		{"an artifact", func() string { return fmt.Sprintf("/v1/artifacts?name=%s&version=%d", artifact, n(uint64(*catchup))) }},
	} {
		rows = append(rows, &row{what: read.what, writers: readers, run: func(ctx context.Context, _ string, readers int) (figure, error) {
			return t.read(ctx, p, readers, read.path)
		}})
	}
	if err := interleave(ctx, rows, dir); err != nil {
		return err
	}
	out := stopwatch.Table{
		Title: fmt.Sprintf("Read at random from a ledger of %d entries, by %d readers", size, readers),
		Head:  "what | a second | p50 | p99 | server's CPU each | its memory",
	}
	for _, r := range rows {
		m := r.median()
		out.Add(r.what, whole(m.perSecond), stopwatch.Short(m.p50), stopwatch.Short(m.p99), micro(m.cpu), mega(m.memory))
	}
	out.Print(os.Stdout)
	return nil
}

// read measures what many read for half as long as others write.
func (t *team) read(ctx context.Context, p *process, readers int, path func() string) (figure, error) {
	conns, err := dialAll(ctx, p.address, readers)
	if err != nil {
		return figure{}, err
	}
	defer hangUp(conns)
	m := &meter{server: p}
	err = load(m, conns, *duration/2, func(c *conn, _ int) error {
		_, err := c.get(path())
		return err
	})
	return m.figure, errors.Join(err, m.err)
}

// tileName is a tile's number as c2sp.org/tlog-tiles writes it in paths.
func tileName(n uint64) string {
	name := fmt.Sprintf("%03d", n%1000)
	for n /= 1000; n > 0; n /= 1000 {
		name = fmt.Sprintf("x%03d/%s", n%1000, name)
	}
	return name
}

// measureCatchUp prints how fast a mirror copies the ledger: alone, and while others
// write to it.
func (t *team) measureCatchUp(ctx context.Context, p *process, dir string, appended float64) error {
	out := stopwatch.Table{
		Title: fmt.Sprintf("A mirror that catches up with %d entries, the process from its start to its end", *catchup),
		Head:  "what | entries/s | mirror's CPU an entry | written meanwhile, entries/s",
	}
	out.Add(fmt.Sprintf("appended to an engine of one's own before, %d writers", engineWriters), whole(appended), "–", "–")
	alone, err := t.mirror(ctx, p, filepath.Join(dir, "alone"))
	if err != nil {
		return err
	}
	out.Add("alone", whole(alone.perSecond), micro(alone.cpu), "–")

	conns, err := dialAll(ctx, p.address, besides)
	if err != nil {
		return err
	}
	defer hangUp(conns)
	var caught atomic.Bool
	written, m := make(chan error), &meter{server: p}
	go func() {
		written <- load(m, conns, time.Hour, func(c *conn, n int) error {
			body, err := t.body(*catchup + n)
			if caught.Load() || errors.Is(err, errUsedUp) {
				return errEnough
			}
			_, err = c.post("/v1/entries", wire.EnvelopeType, 201, body)
			return err
		})
	}()
	beside, err := t.mirror(ctx, p, filepath.Join(dir, "beside"))
	caught.Store(true)
	if werr := <-written; err != nil || !errors.Is(werr, errEnough) {
		return errors.Join(err, werr)
	}
	out.Add(fmt.Sprintf("beside %d writers", besides), whole(beside.perSecond), micro(beside.cpu), whole(m.figure.perSecond))
	out.Print(os.Stdout)
	return nil
}

var errEnough = errors.New("the mirror has caught up")

// mirror lets a mirror of its own catch up once.
func (t *team) mirror(ctx context.Context, p *process, dir string) (f figure, err error) {
	h := home(dir)
	if err := os.Mkdir(dir, 0o700); err != nil {
		return f, err
	}
	trust := filepath.Join(dir, "trust")
	if err := os.WriteFile(trust, []byte("log "+t.key+"\nquorum none\n"), 0o600); err != nil {
		return f, err
	}
	c := exec.CommandContext(ctx, t.bin.stele, "mirror", "http://"+p.address, "--once", "--dir", dir, "--listen", "")
	c.Env = append(append(os.Environ(), h.env()...), "STELE_TRUST="+trust)
	began := time.Now()
	if out, err := c.CombinedOutput(); err != nil {
		return f, fmt.Errorf("stele mirror: %w\n%s", err, out)
	}
	took := time.Since(began)
	o := h.options()
	o.ReadOnly = true
	e, err := solo.Open(ctx, o)
	if err != nil {
		return f, err
	}
	defer e.Close()
	n := e.View().Size()
	f.perSecond = float64(n) / took.Seconds()
	f.cpu = (c.ProcessState.UserTime() + c.ProcessState.SystemTime()) / time.Duration(n)
	return f, nil
}
