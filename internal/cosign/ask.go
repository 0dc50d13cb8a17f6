package cosign

import (
	"context"
	"errors"
	"fmt"

	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/internal/witness"
)

// ask asks one witness for a round's checkpoint. Old is the size from which it
// is taken to go on, known the largest that it has cosigned for certain.
func (w *Worker) ask(ctx context.Context, p *peer, r *round, signed []byte, size, old, known uint64) {
	defer w.asking.Done()
	if old > size { // what it claimed the last time; it may have thought better of it
		old = min(known, size)
	}
	out := result{peer: p, round: r, old: old}
	for range maxTurns {
		out.lines, out.err = w.turn(ctx, p, signed, size, out.old)
		var stale *witness.Stale
		if !errors.As(out.err, &stale) {
			break
		}
		out.old = stale.Size
		if stale.Size < known {
			out.forgot, out.says = known, stale.Size
		}
		if stale.Size > size {
			w.ahead(ctx, p, &out)
			break
		}
	}
	if out.err == nil && len(out.lines) > 0 {
		out.old = size
	}
	var refused *witness.Refused
	if errors.As(out.err, &refused) && (refused.Status == 409 || refused.Status == 422) {
		// It has cosigned something that does not fit: what?
		out.fork = w.contradicted(ctx, p)
	}
	w.results <- out
}

// turn is one request.
func (w *Worker) turn(ctx context.Context, p *peer, signed []byte, size, old uint64) ([]witness.Cosignature, error) {
	proof, err := w.log.Consistency(old, size)
	if err != nil {
		return nil, fmt.Errorf("the proof from %d to %d: %w", old, size, err)
	}
	return p.client.Ask(ctx, old, proof, signed)
}

// ahead: the witness says that it has cosigned more than the round's
// checkpoint. Either the log has that by now, and the witness waits for a later
// round; or it is a claim.
func (w *Worker) ahead(ctx context.Context, p *peer, out *result) {
	signed, err := w.log.Checkpoint()
	if err != nil {
		out.err = err
		return
	}
	if cp, _, err := evidence.ReadCheckpoint(signed); err == nil && out.old <= cp.Size {
		out.err = nil
		return
	}
	out.ahead = true
	out.err = fmt.Errorf("it claims to have cosigned %d entries, and the log has not as many", out.old)
	out.fork = w.contradicted(ctx, p)
}

// contradicted asks a witness for the newest checkpoint that it cosigned, and
// shows it to the log. It returns an evidence.ErrFork if the log does not contain
// what its own key signed; whatever else comes back proves nothing.
func (w *Worker) contradicted(ctx context.Context, p *peer) error {
	signed, err := p.client.Latest(ctx, w.origin)
	if err != nil {
		return nil // it may not show it: a hint remains a hint
	}
	if err := w.log.Contradict(signed); errors.Is(err, evidence.ErrFork) {
		return err
	}
	return nil
}
