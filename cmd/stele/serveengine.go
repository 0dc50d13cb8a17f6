package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/internal/api"
	"github.com/stele-ml/stele/internal/ledger"
	"github.com/stele-ml/stele/internal/solo"
	"github.com/stele-ml/stele/statement"
)

// servedEngine is the embedded engine as the API has it.
type servedEngine struct{ *solo.Engine }

// Submit implements api.Engine.
func (s servedEngine) Submit(ctx context.Context, env *statement.Envelope) (*api.Submitted, error) {
	proof, err := s.Engine.Submit(ctx, env)
	if err != nil {
		return nil, engineError(err)
	}
	return &api.Submitted{Receipt: proof.Receipt, Checkpoint: proof.Checkpoint, View: proof.View}, nil
}

// engineError says in the API's classes what an engine's error is.
func engineError(err error) error {
	for _, c := range []struct{ from, to error }{
		{solo.ErrOutcomeUnknown, api.ErrOutcomeUnknown},
		{solo.ErrReadOnly, api.ErrReadOnly},
		{solo.ErrFailed, api.ErrStopped},
		{solo.ErrClosed, api.ErrStopped},
		{solo.ErrClock, api.ErrStopped},
		{solo.ErrNoLogKey, api.ErrStopped},
		{evidence.ErrFork, api.ErrStopped},
		{ledger.ErrRules, api.ErrStopped},
		{ledger.ErrIndex, api.ErrStopped},
		{ledger.ErrUnfinished, api.ErrOutcomeUnknown},
	} {
		if errors.Is(err, c.from) {
			return fmt.Errorf("%w: %w", c.to, err)
		}
	}
	return err
}
