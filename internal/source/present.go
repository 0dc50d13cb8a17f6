package source

import (
	"context"
	"errors"
	"io/fs"
	"runtime"
	"sync"
)

// Present are those of some paths of a source that are there, in the same order; never
// nil.
func Present(ctx context.Context, src Source, paths []string) ([]string, error) {
	workers := runtime.GOMAXPROCS(0)
	if far, ok := src.(Remote); ok {
		workers = far.Requests()
	}
	errs := make([]error, len(paths))
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := w; i < len(paths) && ctx.Err() == nil; i += workers {
				_, errs[i] = src.Lookup(ctx, paths[i])
			}
		})
	}
	wg.Wait()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	there := []string{}
	for i, err := range errs {
		switch {
		case err == nil:
			there = append(there, paths[i])
		case !errors.Is(err, fs.ErrNotExist):
			return nil, err
		}
	}
	return there, nil
}
