//go:build unix

package process

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os/signal"
	"syscall"
)

// Replace makes this process the command: it keeps its id, its parent and its
// standard streams, and signals reach the command as if it had been started
// alone. What the process had ignored when it began, the command ignores. It
// returns only where that failed: ErrNotFound, ErrNotExecutable, or the cause of
// ctx's end.
func Replace(ctx context.Context, c Command) error {
	// From here on a signal ends this process, as it would the command: none is
	// taken down by a handler that the command does not have. One that came
	// before has ended ctx.
	signal.Reset()
	if len(ignored) > 0 {
		signal.Ignore(ignored...)
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	err := syscall.Exec(c.Path, c.Args, c.Env)
	if isNoProgram(err) { // as in start
		err = syscall.Exec(shell, append([]string{"sh", c.Path}, c.Args[1:]...), c.Env)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: %s: %w", ErrNotFound, c.Path, err)
	}
	return fmt.Errorf("%w: %s: %w", ErrNotExecutable, c.Path, err)
}

// CanReplace reports whether Replace can do what it says on this system.
const CanReplace = true
