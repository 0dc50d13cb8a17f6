package replica

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strconv"

	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/internal/ledger"
	"github.com/stele-ml/stele/internal/strictjson"
)

// Limits of a page of the checkpoint history.
const (
	pageCheckpoints = 500
	maxPage         = 32 << 20 // bytes
	pageDepth       = 4
)

// page is an answer of GET /v1/checkpoints.
type page struct {
	Checkpoints []struct {
		Size uint64 `json:"size"`
		Note string `json:"note"`
	} `json:"checkpoints"`
}

// checkpoints returns the first signed checkpoints of more than after entries, in
// order: a page of them, or none.
func (p *primary) checkpoints(ctx context.Context, after uint64) ([]ledger.SizedCheckpoint, error) {
	const path = "/v1/checkpoints"
	query := url.Values{"from": {strconv.FormatUint(after+1, 10)}, "limit": {strconv.Itoa(pageCheckpoints)}}
	body, err := p.get(ctx, path, query, maxPage)
	if errors.Is(err, errAbsent) {
		return nil, fmt.Errorf("%w: %s: %w", ErrUnreachable, path, ErrNoHistory)
	}
	if err != nil {
		return nil, err
	}
	var answer page
	if err := strictjson.UnmarshalForeign(body, &answer, maxPage, pageDepth); err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrUnreachable, path, err)
	}
	list := make([]ledger.SizedCheckpoint, 0, len(answer.Checkpoints))
	for _, c := range answer.Checkpoints {
		if c.Size <= after || len(list) == pageCheckpoints {
			return nil, fmt.Errorf("%w: %s: not the checkpoints after size %d", ErrUnreachable, path, after)
		}
		after = c.Size
		list = append(list, ledger.SizedCheckpoint{Size: c.Size, Signed: []byte(c.Note)})
	}
	return list, nil
}

// history reads the checkpoints at the ends of the commits up to a size.
type history struct {
	from  *primary
	after uint64 // the size of the last that was read
	to    uint64
	ahead []ledger.SizedCheckpoint // read and not handed on
}

// stretch returns the checkpoints of the commits of the next stretch, which
// begins with the entry from: at least one.
func (h *history) stretch(ctx context.Context, from uint64) ([]ledger.SizedCheckpoint, error) {
	var kept []ledger.SizedCheckpoint
	for {
		if len(h.ahead) == 0 && h.after < h.to {
			list, err := h.from.checkpoints(ctx, h.after)
			if err != nil {
				return nil, err
			}
			if len(list) == 0 {
				return nil, fmt.Errorf("%w: no checkpoint between the sizes %d and %d", evidence.ErrTampered, h.after, h.to)
			}
			h.ahead, h.after = list, list[len(list)-1].Size
		}
		if len(h.ahead) == 0 {
			return kept, nil
		}
		next := h.ahead[0]
		if next.Size > h.to { // it grew meanwhile
			if len(kept) > 0 {
				return kept, nil
			}
			return nil, fmt.Errorf("%w: no checkpoint of size %d in the history, which /checkpoint shows", evidence.ErrTampered, h.to)
		}
		if len(kept) > 0 && next.Size-from > stretchEntries {
			return kept, nil
		}
		kept, h.ahead = append(kept, next), h.ahead[1:]
	}
}
