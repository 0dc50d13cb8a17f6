package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// Door is where a server is reached.
type Door struct {
	Listener net.Listener
	Handler  http.Handler
	TLS      *tls.Config // nil: plain
	Files    *TLSFiles   // of TLS: client certificates are held to them with every request; nil: at the handshake
	Socket   bool        // the server's own socket: who can open it may do everything
	// Time is how long a request, body and all, and then its answer may each take; 0: that
	// is for the routes to say (Front.Route).
	Time time.Duration
}

// DoorOptions are what all doors share.
type DoorOptions struct {
	Stop time.Duration // for requests under way when the server stops; 0: five seconds
	Log  *slog.Logger
}

// OpenDoors answers at all doors until ctx is done or one of them fails, then lets the
// requests under way end, for a bounded time, and cuts off the others. It closes the
// listeners. When it returns, no handler is at work, but for one that does not notice
// that its client is gone.
func OpenDoors(ctx context.Context, doors []Door, o DoorOptions) error {
	if o.Stop == 0 {
		o.Stop = stopTimeout
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	failed := make(chan error, len(doors))
	servers := make([]*http.Server, len(doors))
	var atWork atomic.Int64
	for i, d := range doors {
		d.Handler = counting(d.Handler, &atWork)
		servers[i] = newServer(d, o)
		l := d.Listener
		go func() {
			if d.TLS != nil {
				failed <- servers[i].ServeTLS(l, "", "")
				return
			}
			failed <- servers[i].Serve(l)
		}()
	}
	var err error
	select {
	case err = <-failed:
		err = fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
		o.Log.Info("stopping", "bound", o.Stop)
	}
	err = errors.Join(err, stopAll(ctx, servers, o))
	// Handlers whose connections were closed end by themselves: what they use is
	// closed after this returns.
	for end := time.Now().Add(cutOffTime); atWork.Load() > 0 && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
	if n := atWork.Load(); n > 0 {
		o.Log.Warn("requests that were cut off have not ended", "requests", n)
	}
	return err
}

// cutOffTime is how long the handlers of closed connections may take to notice it.
const cutOffTime = 2 * time.Second

// counting counts the requests that a handler is at work on.
func counting(h http.Handler, n *atomic.Int64) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n.Add(1)
		defer n.Add(-1)
		h.ServeHTTP(w, r)
	})
}

func stopAll(ctx context.Context, servers []*http.Server, o DoorOptions) error {
	stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), o.Stop)
	defer cancel()
	var all sync.WaitGroup
	errs := make([]error, len(servers))
	for i, s := range servers {
		all.Go(func() {
			if s.Shutdown(stopping) != nil { // somebody is slower than that
				o.Log.Warn("requests under way were cut off", "after", o.Stop)
				errs[i] = s.Close()
			}
		})
	}
	all.Wait()
	return errors.Join(errs...)
}

// newServer bounds what a connection may take before any handler sees it.
func newServer(d Door, o DoorOptions) *http.Server {
	s := &http.Server{
		Handler:           d.Handler,
		TLSConfig:         d.TLS,
		MaxHeaderBytes:    maxHeaderBytes,
		ReadHeaderTimeout: readHeaderTimeout,
		ReadTimeout:       d.Time,
		WriteTimeout:      d.Time,
		IdleTimeout:       idleTimeout,
		ErrorLog:          serverLog(o.Log),

		DisableGeneralOptionsHandler: true, // it would answer before the front does
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams: maxStreams,
			SendPingTimeout:      idleTimeout,
			PingTimeout:          readTimeout,
			WriteByteTimeout:     writeTimeout,
		},
	}
	if d.Files != nil {
		s.BaseContext = func(net.Listener) context.Context {
			return context.WithValue(context.Background(), filesKey{}, d.Files)
		}
	}
	if d.Socket {
		s.BaseContext = func(net.Listener) context.Context { return onSocket(context.Background()) }
	}
	return s
}

// maxStreams is how many requests one HTTP/2 connection may have under way.
const maxStreams = 100

// Bounded bounds how many connections a listener has at once, in all and of one
// address. One too many is closed at once. The proxies of the configuration come for
// many, and are bounded in all alone.
func Bounded(l net.Listener, limits Limits, proxies Proxies, m *Metrics) net.Listener {
	limits = limits.withDefaults()
	return &boundedListener{Listener: l, limits: limits, proxies: proxies, metrics: m, byAddress: map[string]int{}}
}

type boundedListener struct {
	net.Listener
	limits  Limits
	proxies Proxies
	metrics *Metrics

	mu        sync.Mutex
	all       int
	byAddress map[string]int
}

// Accept implements net.Listener.
func (b *boundedListener) Accept() (net.Conn, error) {
	for {
		c, err := b.Listener.Accept()
		if err != nil {
			return nil, err
		}
		addr := remoteAddr(c.RemoteAddr().String())
		key := limitKey(addr)
		if b.proxies.has(addr) {
			key = ""
		}
		if reason := b.enter(key); reason != "" {
			b.metrics.turnedAway.WithLabelValues(reason).Inc()
			_ = c.Close()
			continue
		}
		b.metrics.connections.Inc()
		return &boundedConn{Conn: c, leave: sync.OnceFunc(func() { b.leave(key) })}, nil
	}
}

func (b *boundedListener) enter(key string) (reason string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.all >= b.limits.Connections:
		return "all"
	case key != "" && b.byAddress[key] >= b.limits.AddressConnections:
		return "address"
	}
	b.all++
	b.byAddress[key]++
	return ""
}

func (b *boundedListener) leave(key string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.all--
	if b.byAddress[key]--; b.byAddress[key] <= 0 {
		delete(b.byAddress, key)
	}
	b.metrics.connections.Dec()
}

type boundedConn struct {
	net.Conn
	leave func()
}

// Close implements net.Conn.
func (c *boundedConn) Close() error {
	c.leave()
	return c.Conn.Close()
}

// LoopbackAddress reports whether a host:port names this machine alone.
func LoopbackAddress(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	if host == "localhost" {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.IsLoopback()
}
