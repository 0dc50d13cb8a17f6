package scan

import (
	"context"
	"time"

	"github.com/stele-ml/stele/internal/source"
)

// countAfter is how long a reading has to take until it is worth counting how
// much there is; a shorter one shows no progress anyway.
const countAfter = 250 * time.Millisecond

// CountAhead finds out in the background, after a while, how much there is to
// read, and puts it into p.BytesTotal and p.FilesTotal; skip, which may be nil,
// says what is left out. A source that cannot be measured, or an error on the
// way, leaves both as they are. stop ends it, and returns when it has ended.
func CountAhead(ctx context.Context, src source.Source, skip source.Skip, p *Progress) (stop func()) {
	m, ok := src.(source.Measurer)
	if !ok {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		wait := time.NewTimer(countAfter)
		defer wait.Stop()
		select {
		case <-ctx.Done():
		case <-wait.C:
			measure(ctx, m, skip, p)
		}
	}()
	return func() { cancel(); <-done }
}

func measure(ctx context.Context, m source.Measurer, skip source.Skip, p *Progress) {
	var files, total uint64
	if err := m.Measure(ctx, skip, func(n uint64) { files++; total += n }); err == nil {
		p.BytesTotal.Store(total)
		p.FilesTotal.Store(files)
	}
}
