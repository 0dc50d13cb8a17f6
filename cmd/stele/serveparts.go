package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"

	"github.com/stele-ml/stele/cmd/stele/jsonv1"
	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/internal/cosign"
	"github.com/stele-ml/stele/internal/durable"
	"github.com/stele-ml/stele/internal/server"
)

// startCosigning begins to ask the witnesses that this person's trust file names for
// the ledger. A server of a ledger that is not pinned here serves it all the same:
// its clients bring their own trust.
func (v *serving) startCosigning() error {
	policy, _, err := v.app.policyFor(v.engine.Info().Origin)
	if err != nil || policy == nil || v.settings.readOnly {
		return err
	}
	v.cosigner, err = v.app.startCosigning(v.engine, policy, cosign.Options{
		Logf: func(format string, args ...any) { v.log.Warn(fmt.Sprintf(format, args...)) },
	})
	if errors.Is(err, cosign.ErrNoAddress) {
		// Somebody else may ask them; clients whose quorum it is wait for that.
		v.cosigner = nil
		v.warnf("witnesses are not asked: %v", err)
		return nil
	}
	if err != nil {
		return failf(exitUsage, "%w", err).withHint("docs/witnessing.md says how a ledger gets witnesses")
	}
	return nil
}

// access is who may come in.
func (v *serving) access() (server.Access, error) {
	scopes, err := v.settings.anonymousScopes()
	if err != nil {
		return server.Access{}, err
	}
	access := server.Access{Anonymous: scopes, Realm: v.engine.Info().Origin}
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
			path = v.app.tokenFile(v.engine.Info().ID)
		}
		access.Tokens, err = server.OpenTokens(path, v.app.now, v.warnf)
		if errors.Is(err, os.ErrNotExist) {
			return access, failf(exitNotFound, "there are no tokens so far").withPath(path).withHint("`stele token new NAME --scopes entries,submit` makes one")
		}
		if err != nil {
			return access, err
		}
	}
	return access, nil
}

func (v *serving) warnf(format string, args ...any) { v.log.Warn(fmt.Sprintf(format, args...)) }

// listen opens the main listener.
func (v *serving) listen() (net.Listener, error) {
	l, err := net.Listen("tcp", string(v.settings.listen))
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	return l, nil
}

// hosts are the names that the server answers to: on loopback those of this machine,
// so that no web page elsewhere can point a name of its own at it (DNS rebinding).
func (v *serving) hosts(l net.Listener) []string {
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
func (v *serving) open(main net.Listener, h http.Handler, proxies server.Proxies) error {
	door := server.Door{Listener: main, Handler: h}
	v.doors = append(v.doors, door)
	config, err := v.tls()
	if err != nil {
		return err
	}
	v.doors[0].Listener = server.Bounded(main, v.settings.limits(), proxies, v.metrics)
	v.doors[0].TLS = config
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
	l, err := net.Listen("tcp", string(v.settings.metricsListen))
	if err != nil {
		return fmt.Errorf("listen for metrics: %w", err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", v.metrics.Handler())
	v.doors = append(v.doors, server.Door{Listener: server.Bounded(l, server.Limits{Connections: metricsConnections}, nil, server.NewMetrics()), Handler: mux})
	v.log.Info("metrics", "address", l.Addr().String())
	return nil
}

// metricsConnections is how many connections the metrics take at once.
const metricsConnections = 32

func (v *serving) tls() (*tls.Config, error) {
	s := v.settings
	if s.tlsCert == "" {
		return nil, nil
	}
	files := &server.TLSFiles{Cert: string(s.tlsCert), Key: string(s.tlsKey), ClientCA: string(s.clientCA)}
	config, err := server.OpenTLS(files, v.app.now, v.warnf)
	if errors.Is(err, server.ErrTLSFile) {
		return nil, failf(exitUntrusted, "%w", err)
	}
	return config, err
}

// The names under which commands on this machine find the server's socket: in the
// ledger's directory, or, where that path is too long, in the owner's state, with its
// path in a file of the directory.
const (
	socketFile     = "serve.sock"
	socketAddrFile = "serve.addr"
)

func (v *serving) openSocket(h http.Handler) error {
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
		path = filepath.Join(v.app.dirs.Ledger(v.engine.Info().ID.String()), socketFile)
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

// announce says where the server is, and what that opens to whom.
func (v *serving) announce(l net.Listener) {
	a, origin := v.app, v.engine.Info().Origin
	if a.json {
		a.printJSON(jsonv1.Serve{Origin: origin, URL: v.url})
	} else {
		a.term.Printf("serving %s at %s\n", origin, v.url)
	}
	v.log.Info("serving", "origin", origin, "address", l.Addr().String(), "access", v.settings.access.Items(), "version", version)
	scopes, err := v.settings.anonymousScopes()
	if err == nil && !server.Loopback(l) && scopes.Allows(server.ScopeEntries) {
		a.term.Warnf("everybody who reaches this address can read every entry")
	}
}

// condition is how the ledger is now.
func (v *serving) condition() server.Condition {
	view := v.engine.View()
	c := server.Condition{Failed: v.engine.Healthy(), ReadOnly: bool(v.settings.readOnly), Size: view.Size(), Time: view.Time()}
	if v.cosigner == nil {
		return c
	}
	s := v.cosigner.Status()
	c.Witnesses = &server.WitnessCondition{Size: s.Cosigned.Size, Time: s.Cosigned.Time}
	for _, w := range s.Witnesses {
		c.Witnesses.Each = append(c.Witnesses.Each, server.WitnessState{Name: w.Name, State: string(w.State), Size: w.Size, Failures: w.Failures})
	}
	if errors.Is(s.Stopped, evidence.ErrFork) {
		c.Failed = s.Stopped
	}
	return c
}
