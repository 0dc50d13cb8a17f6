package client

import (
	"context"
	"io"
	"sync"
	"time"
)

// slowest is the fewest bytes per second at which a body counts as coming along,
// taken over all of it: a server that sends a byte now and then is cut off.
const slowest = 16 << 10

// pace ends an attempt that takes too long: it has its timeout, and for what was
// carried the time that this takes at the slowest.
type pace struct {
	cancel context.CancelCauseFunc
	timer  *time.Timer

	mu       sync.Mutex // a body is sent while the answer's may be read
	deadline time.Time
}

func startPace(ctx context.Context, timeout time.Duration) (context.Context, *pace) {
	ctx, cancel := context.WithCancelCause(ctx)
	p := &pace{cancel: cancel, deadline: time.Now().Add(timeout)}
	p.timer = time.AfterFunc(timeout, func() { cancel(errSlow) })
	return ctx, p
}

func (p *pace) stop() {
	p.timer.Stop()
	p.cancel(context.Canceled)
}

func (p *pace) carried(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.deadline = p.deadline.Add(time.Duration(n) * (time.Second / slowest))
	if p.timer.Stop() { // else it ended already
		p.timer.Reset(time.Until(p.deadline))
	}
}

// of counts what is read of a body.
func (p *pace) of(r io.Reader) io.Reader { return &paced{r, p} }

type paced struct {
	io.Reader
	p *pace
}

func (r *paced) Read(b []byte) (int, error) {
	n, err := r.Reader.Read(b)
	if n > 0 {
		r.p.carried(n)
	}
	return n, err
}
