package main

import (
	"context"
	"strings"
	"time"

	"github.com/stele-ml/stele/internal/home"
	"github.com/stele-ml/stele/statement"
)

// renewAhead is how long before its end a delegation is renewed: what is signed now
// has to be on the ledger by then.
const renewAhead = 30 * time.Second

// renewed returns a signer that can sign now. A job that has computed for hours holds
// a delegation that is over: what somebody else wrote into its file meanwhile counts,
// else the job logs in again, as it did before.
func (a *app) renewed(ctx context.Context, s statement.Signer) (statement.Signer, error) {
	d := statement.DelegationOf(s)
	if d == nil || a.now().Add(renewAhead).UnixMilli() < d.NotAfter {
		return s, nil
	}
	if again := a.sameJob(ctx, s); again != nil {
		return again, nil
	}
	if err := a.loginAgain(ctx, d, ""); err != nil {
		return nil, failf(statusOf(err), "the delegation for %s is over, and there is no other: %w", d.Subject, err).
			withHint("`stele login`, then the same again")
	}
	if again := a.sameJob(ctx, s); again != nil {
		return again, nil
	}
	return nil, failf(exitUntrusted, "the delegation for %s is over, and a second login made another key", d.Subject).withHint("`stele login`, then the same again")
}

// loginAgain logs a job in as it did before, with the same key; at an address, if it is
// not that of the ledger in use. It asks through connections of its own.
func (a *app) loginAgain(ctx context.Context, d *statement.Delegation, address string) error {
	path, err := a.jobPath()
	if err != nil {
		return err
	}
	again := *a
	again.quiet, again.json, again.again = true, false, true
	again.servers = newServers()
	again.livesIn(a.dirs)
	if address != "" {
		again.ledgerFlag = address
	}
	defer again.disconnect()
	return again.login(ctx, &loginOrder{out: path, ledger: d.Ledger, names: d.Names, kinds: kindWords(d.Kinds)})
}

// renewedToken is client.Options.Renew: the bearer token that a job got with its
// delegation is over when that is, and a server that was started again knows none.
// What somebody else wrote into its file meanwhile counts. It is for a server that the
// person named: a .stele file could name one that wants to be logged in at.
func (a *app) renewedToken(address string) func(context.Context, string) (string, error) {
	if a.again || a.servers.fromFile[address] {
		return nil
	}
	return func(ctx context.Context, refused string) (string, error) {
		if !strings.HasPrefix(refused, jobTokenPrefix) {
			return refused, nil
		}
		path, err := a.serverTokenPath(address)
		if err != nil {
			return "", err
		}
		if kept, err := home.ReadSecret(path); err == nil && strings.TrimSpace(string(kept)) != refused {
			return strings.TrimSpace(string(kept)), nil
		}
		s, closer, err := a.signer(ctx)
		if err != nil {
			return "", err
		}
		closer() // a delegated key is in a file
		d := statement.DelegationOf(s)
		if d == nil {
			return refused, nil
		}
		if err := a.loginAgain(ctx, d, address); err != nil {
			return "", err
		}
		if again, closer, err := a.signer(ctx); err != nil {
			return "", err
		} else if closer(); !again.PublicKey().Equal(s.PublicKey()) {
			return refused, nil // another ledger is there now
		}
		kept, err := home.ReadSecret(path)
		return strings.TrimSpace(string(kept)), err
	}
}

// sameJob reads the job's key again, if it is the same with a delegation that is good
// for a while.
func (a *app) sameJob(ctx context.Context, s statement.Signer) statement.Signer {
	again, closer, err := a.signer(ctx)
	if err != nil {
		return nil
	}
	closer() // a delegated key is in a file
	d := statement.DelegationOf(again)
	if d == nil || !again.PublicKey().Equal(s.PublicKey()) || a.now().Add(renewAhead).UnixMilli() >= d.NotAfter {
		return nil
	}
	return again
}

// jobPath is the file of the key that is chosen to sign.
func (a *app) jobPath() (string, error) {
	choice := a.keyFlag
	if choice == "" {
		choice = a.getenv("STELE_KEY")
	}
	if strings.ContainsAny(choice, `/\`) {
		return choice, nil
	}
	return a.dirs.KeyPath(choice)
}
