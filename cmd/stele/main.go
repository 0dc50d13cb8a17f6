// Command stele keeps and checks a ledger of what machine-learning models
// are made of. One file per verb; docs/command-line.md says what each prints
// and how it ends.
package main

import (
	"context"
	"errors"
	"io"
	"os"
	"os/signal"
	"slices"
	"syscall"

	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/internal/solo"
)

// version is set by the release build.
var version = "0.1.0-dev"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends it at once, whatever it waits for
	status := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr, os.Getenv)
	stop()
	os.Exit(status)
}

// run is main without the process: it parses, runs one verb, prints how it
// failed, and returns the exit status.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer, getenv func(string) string) int {
	return newApp(stdin, stdout, stderr, getenv).run(ctx, args)
}

func (a *app) run(ctx context.Context, args []string) int {
	root := a.command()
	root.SetArgs(args)
	defer a.disconnect()
	c, err := root.ExecuteContextC(ctx)
	if err == nil && !a.ran {
		err = a.term.WriteErr()
	}
	if err == nil && !a.ran {
		err = a.stdout.err
	}
	if err == nil && a.unwitnessed != nil {
		err = a.unwitnessed
	}
	if err == nil {
		err = a.waitForExisting(ctx)
	}
	if ctx.Err() != nil && err != nil && !a.ran && !errors.Is(err, evidence.ErrFork) && !errors.Is(err, solo.ErrFailed) { // what was found stays found
		err = a.errInterrupted()
	}
	var known *failure
	if errors.As(err, &known) && known.status == exitUsage && !a.json { // a wrong flag before --json kept that from being read
		own := args
		if end := slices.Index(args, "--"); end >= 0 {
			own = args[:end]
		}
		a.json = slices.Contains(own, "--json")
	}
	if err != nil && c != nil && c.Annotations[wraps] != "" {
		return a.finishWrapping(err)
	}
	return a.finish(err)
}
