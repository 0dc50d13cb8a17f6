package main

import (
	"context"
	"strings"
	"time"

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
	path, err := a.jobPath()
	if err != nil {
		return nil, err
	}
	quiet := *a
	quiet.quiet, quiet.json = true, false
	if err := quiet.login(ctx, &loginOrder{out: path, names: d.Names, kinds: kindWords(d.Kinds)}); err != nil {
		return nil, failf(statusOf(err), "the delegation for %s is over, and there is no other: %w", d.Subject, err).
			withHint("`stele login`, then the same again")
	}
	if again := a.sameJob(ctx, s); again != nil {
		return again, nil
	}
	return nil, failf(exitUntrusted, "the delegation for %s is over, and a second login made another key", d.Subject).withHint("`stele login`, then the same again")
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
