// Package process runs a command as if it had been run directly: its own
// standard streams, its own signals, its own exit status.
//
// The command stays in this process's group and session, so that a terminal, a
// shell and a scheduler see one job. What they send to this process alone is
// passed on to the command (docs/command-line.md says which signals), and this
// process goes on until [Keeper.Release], so that it can say how the command
// ended.
package process

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"
)

// The classes of error of a command that did not start.
var (
	// ErrNotFound: there is no such program.
	ErrNotFound = errors.New("command not found")
	// ErrNotExecutable: there is, and it cannot be executed.
	ErrNotExecutable = errors.New("command cannot be executed")
)

// The exit statuses by which shells, env and timeout tell these apart from a
// command that ran (POSIX, "Exit Status for Commands").
const (
	StatusNotExecutable = 126
	StatusNotFound      = 127
)

// Command is what is to be run, with the standard streams of this process.
type Command struct {
	Path string   // of the program: what Find returned
	Args []string // its arguments, from its own name on
	Env  []string // its environment, as os.Environ has it
}

// Result is how a command ended.
type Result struct {
	// Status is what a shell would show, 0 to 255: the exit status, or 128 and
	// the number of the signal that ended it.
	Status int
	// Signal is the name of that signal, or empty.
	Signal            string
	Started, Finished time.Time // by this machine's clock
}

// Find finds a program as a shell would: by its path, or below $PATH.
func Find(name string) (path string, err error) {
	path, err = exec.LookPath(name)
	switch {
	case err == nil, errors.Is(err, exec.ErrDot): // whoever has "." in $PATH means it
		return path, nil
	case errors.Is(err, exec.ErrNotFound), errors.Is(err, fs.ErrNotExist):
		return "", fmt.Errorf("%w: %s", ErrNotFound, name)
	}
	var e *exec.Error
	if errors.As(err, &e) {
		err = e.Err
	}
	return "", fmt.Errorf("%w: %s: %w", ErrNotExecutable, name, err)
}

// Keeper keeps signals from ending this process. While a command runs, they
// are the command's; otherwise they are told to whoever made the Keeper.
type Keeper struct {
	caught chan os.Signal
	done   chan struct{}
	told   func(os.Signal)

	mu    sync.Mutex
	child *os.Process // nil: none runs
}

// Keep begins to keep signals. told is called for each one that comes when no
// command runs, and that would have ended this process; one at a time.
func Keep(told func(os.Signal)) *Keeper {
	k := &Keeper{caught: make(chan os.Signal, 64), done: make(chan struct{}), told: told}
	catch(k.caught)
	go func() {
		defer close(k.done)
		for s := range k.caught {
			k.handle(s)
		}
	}()
	return k
}

// Release lets signals do again what they did before.
func (k *Keeper) Release() {
	release(k.caught)
	close(k.caught)
	<-k.done
}

func (k *Keeper) handle(s os.Signal) {
	k.mu.Lock()
	child := k.child
	k.mu.Unlock()
	switch {
	case child != nil:
		relay(child, s)
	case ends(s):
		k.told(s)
	}
}

// Run runs a command to its end, whatever becomes of ctx once it has started.
// The error says that it did not start: ErrNotFound, ErrNotExecutable, or the
// cause of ctx's end.
func (k *Keeper) Run(ctx context.Context, c Command) (Result, error) {
	r := Result{}
	cmd, err := k.start(ctx, &c, &r)
	if err != nil {
		return r, err
	}
	err = cmd.Wait()
	r.Finished = time.Now()
	k.mu.Lock()
	k.child = nil
	k.mu.Unlock()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return r, fmt.Errorf("wait for %s: %w", c.Path, err)
	}
	r.Status, r.Signal = statusOf(cmd.ProcessState)
	return r, nil
}

// start starts the command. No signal is handled meanwhile, so that none that
// comes now is lost: it is the command's.
func (k *Keeper) start(ctx context.Context, c *Command, r *Result) (*exec.Cmd, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	cmd := c.cmd(c.Path, c.Args)
	r.Started = time.Now()
	err := cmd.Start()
	if err != nil && isNoProgram(err) {
		// A script without a first line that says what it is for: execvp gives it
		// to the shell (POSIX, exec).
		cmd = c.cmd(shell, append([]string{"sh", c.Path}, c.Args[1:]...))
		err = cmd.Start()
	}
	switch {
	case err == nil:
		k.child = cmd.Process
		return cmd, nil
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("%w: %w", ErrNotFound, plain(err))
	}
	return nil, fmt.Errorf("%w: %w", ErrNotExecutable, plain(err))
}

// cmd is the command with this process's own files as its standard streams.
func (c *Command) cmd(path string, args []string) *exec.Cmd {
	return &exec.Cmd{Path: path, Args: args, Env: c.Env, Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr}
}

// plain leaves out which call of the system failed.
func plain(err error) error {
	var e *fs.PathError
	if errors.As(err, &e) {
		return fmt.Errorf("%s: %w", e.Path, e.Err)
	}
	return err
}

// With is an environment with one more variable, in place of any of its name.
func With(env []string, name, value string) []string {
	out := make([]string, 0, len(env)+1)
	for _, kv := range env {
		if !strings.HasPrefix(kv, name+"=") {
			out = append(out, kv)
		}
	}
	return append(out, name+"="+value)
}
