package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/stele-ml/stele/cmd/stele/jsonv1"
	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/internal/cosign"
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
		Logf:  v.warnf,
		Notef: func(format string, args ...any) { v.log.Info(fmt.Sprintf(format, args...)) },
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

// trustPause is how often the trust file is compared with what it was.
const trustPause = 2 * time.Second

// watchTrust says when the trust file changes while the server runs: whom it asks was
// settled when it was started.
func (v *serving) watchTrust(ctx context.Context) {
	_, path, err := v.app.policyFor(v.engine.Info().Origin)
	if err != nil || path == "" {
		return
	}
	was, _ := os.ReadFile(path) // none is none
	t := time.NewTicker(trustPause)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		if now, err := os.ReadFile(path); (err == nil || errors.Is(err, os.ErrNotExist)) && !bytes.Equal(was, now) {
			was = now
			v.warnf("the trust file has changed; witnesses are asked by it once the server is started again: %s", path)
		}
	}
}

// announce says where the server is.
func (v *serving) announce(net.Listener) {
	a, origin := v.app, v.engine.Info().Origin
	if a.json {
		a.printJSON(jsonv1.Serve{Origin: origin, URL: v.url})
	} else {
		a.term.Printf("serving %s at %s\n", origin, v.url)
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
		c.Witnesses.Each = append(c.Witnesses.Each, server.WitnessState{Name: w.Name, State: string(w.State), Size: w.Size, Failures: w.Failures, Forgot: w.Forgot})
	}
	if errors.Is(s.Stopped, evidence.ErrFork) {
		c.Failed = s.Stopped
	}
	return c
}
