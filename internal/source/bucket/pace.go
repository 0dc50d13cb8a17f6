package bucket

import (
	"context"
	"runtime"
	"sync"
)

const (
	// minRequests is what hides the latency of a store across a network, which
	// is ten and more times what a request costs the machine.
	minRequests = 32
	// maxRequests is where more requests of one machine stop paying.
	maxRequests = 128
	// requestsPerCore is how many of them keep one core busy with hashing.
	requestsPerCore = 4
)

// DefaultRequests is how many requests are under way at once where nobody said.
func DefaultRequests() int {
	return min(max(requestsPerCore*runtime.GOMAXPROCS(0), minRequests), maxRequests)
}

// pace bounds the requests under way: half as many when the store says that it
// is busy, then slowly more again, as TCP does it.
type pace struct {
	mu    sync.Mutex
	free  sync.Cond
	most  float64
	limit float64
	now   int    // requests under way
	cuts  uint64 // how often the limit was halved
}

func newPace(requests int) *pace {
	p := &pace{most: float64(requests), limit: float64(requests)}
	p.free.L = &p.mu
	return p
}

// begin waits until one more request may be made, and returns how often the
// limit had been halved by then. Each begin that succeeds needs one end.
func (p *pace) begin(ctx context.Context) (cuts uint64, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.now >= int(p.limit) {
		stop := context.AfterFunc(ctx, func() {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.free.Broadcast()
		})
		defer stop()
		for p.now >= int(p.limit) && ctx.Err() == nil {
			p.free.Wait()
		}
	}
	if ctx.Err() != nil {
		p.free.Signal() // the place that this one may have been woken for
		return 0, context.Cause(ctx)
	}
	p.now++
	return p.cuts, nil
}

// end gives the place of a request back.
func (p *pace) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.now--
	p.free.Signal()
}

// busy halves the limit. The requests that were under way when it was last
// halved do not halve it again: they did not know.
func (p *pace) busy(began uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if began == p.cuts {
		p.limit = max(p.limit/2, 1)
		p.cuts++
	}
}

// good raises the limit by one for as many good answers as it is high.
func (p *pace) good() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.limit < p.most {
		p.limit = min(p.limit+1/p.limit, p.most)
		p.free.Signal()
	}
}
