package main

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"syscall"
	"time"

	"github.com/stele-ml/stele/internal/durable"
	"github.com/stele-ml/stele/internal/server"
	"github.com/stele-ml/stele/statement"
)

// entrance is what stands before the routes of a server, of a ledger or of a mirror:
// its listeners, who may come in, its log and its metrics.
type entrance struct {
	app      *app
	settings *doorSettings
	dir      string // of the ledger, where commands on this machine look for the socket
	log      *slog.Logger
	metrics  *server.Metrics
	doors    []server.Door
	url      string
}

func newEntrance(a *app, s *doorSettings, dir string) entrance {
	return entrance{app: a, settings: s, dir: dir, log: s.logger(a.stderr), metrics: server.NewMetrics()}
}

func (v *entrance) warnf(format string, args ...any) { v.log.Warn(fmt.Sprintf(format, args...)) }

// behind is what stands behind an entrance.
type behind struct {
	id     statement.LedgerID
	origin string
	jobs   *server.Sessions // of CI jobs; nil: none
	health server.HealthOptions
	routes func(*server.Front, *server.Health) (http.Handler, error)
	tell   func(l net.Listener) // that it can be reached
}

// answer answers at all doors until ctx is done.
func (v *entrance) answer(ctx context.Context, b behind) error {
	access, err := v.access(b)
	if err != nil {
		return err
	}
	defer func() {
		for _, d := range v.doors { // those that were opened before something else failed
			_ = d.Listener.Close()
		}
	}()
	main, err := listenAt(string(v.settings.listen), "listen")
	if err != nil {
		return err
	}
	v.doors = append(v.doors, server.Door{Listener: main})
	proxies, err := server.ParseProxies(v.settings.proxies.Items())
	if err != nil {
		return usagef("proxy: %v", err)
	}
	front := server.NewFront(server.FrontOptions{
		Access: access, Limits: v.settings.limits(), Proxies: proxies, Hosts: v.hosts(main), Log: v.log, Metrics: v.metrics, Now: v.app.now,
	})
	health := server.NewHealth(front, b.health)
	v.metrics.Watch(health, version)
	routes, err := b.routes(front, health)
	if err != nil {
		return err
	}
	if err := v.open(main, front.Handler(routes), proxies); err != nil {
		return err
	}
	b.tell(main)
	v.log.Info("serving", "origin", b.origin, "address", main.Addr().String(), "access", v.settings.access.Items(), "version", version)
	for _, warning := range v.settings.exposed(access.Anonymous) {
		v.app.term.Warnf("%s", warning)
	}
	return server.OpenDoors(ctx, v.doors, server.DoorOptions{Stop: time.Duration(v.settings.stopTimeout), Log: v.log})
}

// listenAt opens a listener at the address that a setting gives.
func listenAt(address, setting string) (net.Listener, error) {
	l, err := net.Listen("tcp", address)
	var malformed *net.AddrError
	var op *net.OpError
	switch {
	case errors.As(err, &malformed):
		return nil, usagef("%s %q: %s", setting, address, malformed.Err).withHint("for example 127.0.0.1:8443, or :8443 for every address of this machine")
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, failf(exitError, "%s %s: the port is taken", setting, address).withHint("another process listens there; stop it, or take another port")
	case errors.Is(err, fs.ErrPermission):
		return nil, failf(exitError, "%s %s: not allowed here", setting, address).withHint("a port below 1024 needs a right of its own (CAP_NET_BIND_SERVICE); take a higher one, such as 7777")
	case errors.As(err, &op):
		return nil, failf(exitError, "%s %s: %w", setting, address, op.Err)
	}
	return l, err
}

// access is who may come in.
func (v *entrance) access(b behind) (server.Access, error) {
	scopes, err := v.settings.anonymousScopes()
	if err != nil {
		return server.Access{}, err
	}
	access := server.Access{Anonymous: scopes, Realm: b.origin, Jobs: b.jobs}
	for _, text := range v.settings.clientRules.Items() {
		rule, err := server.ParseCertRule(text)
		if err != nil {
			return access, usagef("client-rule: %v", err)
		}
		access.Certs = append(access.Certs, rule)
	}
	if slices.Contains(v.settings.access.Items(), accessTokens) {
		path := string(v.settings.tokens)
		if path == "" {
			path = v.app.tokenFile(b.id)
		}
		access.Tokens, err = server.OpenTokens(path, v.app.now, v.warnf)
		const makes = "`stele token new NAME --scopes entries,submit` makes one"
		switch missing := errors.Is(err, os.ErrNotExist); {
		case missing && v.settings.tokens != "":
			return access, failf(exitNotFound, "there are no tokens so far").withPath(path).withHint(makes)
		case missing: // it is looked at again within a second, so that the server may be first
			v.warnf("there is no token so far, and nobody comes in by one: %s", makes)
			err = nil
		}
		if err != nil {
			return access, err
		}
	}
	return access, nil
}

// hosts are the names that the server answers to: on loopback those of this machine,
// so that no web page elsewhere can point a name of its own at it (DNS rebinding).
func (v *entrance) hosts(l net.Listener) []string {
	names := v.settings.hosts.Items()
	switch {
	case bool(v.settings.anyHost):
		return nil
	case server.Loopback(l):
		return append(server.LoopbackHosts(), names...)
	}
	return names
}

// open makes the doors: the main one, the socket, the metrics.
func (v *entrance) open(main net.Listener, h http.Handler, proxies server.Proxies) error {
	config, files, err := v.tls()
	if err != nil {
		return err
	}
	v.doors[0] = server.Door{Listener: server.Bounded(main, v.settings.limits(), proxies, v.metrics), Handler: h, TLS: config, Files: files}
	v.url = "http://" + main.Addr().String()
	if config != nil {
		v.url = "https://" + main.Addr().String()
	}
	if v.settings.socket.Value == socketAuto {
		if err := v.openSocket(h); err != nil {
			v.warnf("commands on this machine will not find the server by the ledger's directory: %v", err)
		}
	}
	if v.settings.metricsListen == "" {
		return nil
	}
	l, err := listenAt(string(v.settings.metricsListen), "metrics-listen")
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", v.metrics.Handler())
	v.doors = append(v.doors, server.Door{Listener: server.Bounded(l, server.Limits{Connections: metricsConnections}, nil, server.NewMetrics()), Handler: mux, Time: briefTime})
	v.log.Info("metrics", "address", l.Addr().String())
	return nil
}

// metricsConnections is how many connections the metrics take at once.
const metricsConnections = 32

func (v *entrance) tls() (*tls.Config, *server.TLSFiles, error) {
	s := v.settings
	if s.tlsCert == "" {
		return nil, nil, nil
	}
	files := &server.TLSFiles{Cert: string(s.tlsCert), Key: string(s.tlsKey), ClientCA: string(s.clientCA)}
	config, err := server.OpenTLS(files, v.app.now, v.warnf)
	return config, files, err
}

// The names under which commands on this machine find the server's socket: in the
// ledger's directory, or, where that path is too long, in the owner's state, with its
// path in a file of the directory.
const (
	socketFile     = "serve.sock"
	socketAddrFile = "serve.addr"
)

func (v *entrance) openSocket(h http.Handler) error {
	if runtime.GOOS == "windows" {
		return errors.New("this system has no sockets with permissions")
	}
	pointer := filepath.Join(v.dir, socketAddrFile)
	path, err := filepath.Abs(filepath.Join(v.dir, socketFile))
	if err != nil {
		return err
	}
	elsewhere := len(path) > server.MaxSocketPath
	if elsewhere {
		// By the directory, as a home may have a ledger and mirrors of it; and short, for
		// the state's own path may be long.
		name := sha256.Sum256([]byte(path))
		path = filepath.Join(v.app.dirs.State, "sockets", hex.EncodeToString(name[:6]))
		if err := durable.MkdirAll(durable.Private(), filepath.Dir(path), durable.PrivateDir); err != nil {
			return err
		}
	}
	l, err := server.ListenSocket(path)
	if err != nil {
		return err
	}
	if elsewhere {
		if err := durable.WriteFile(durable.Private(), pointer, []byte(path+"\n")); err != nil {
			l.Close()
			return err
		}
	} else if err := os.Remove(pointer); err != nil && !errors.Is(err, os.ErrNotExist) {
		l.Close()
		return err
	}
	v.doors = append(v.doors, server.Door{Listener: l, Handler: h, Socket: true})
	return nil
}
