package terminal

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

// ErrNoTerminal is returned where a question cannot be put to anybody:
// standard input or standard error is not a terminal.
var ErrNoTerminal = errors.New("no terminal to ask on")

// maxAnswer is the longest line read as an answer, in bytes.
const maxAnswer = 4096

// Confirm asks a yes-or-no question on standard error. An empty answer means
// def; anything but y, yes, n and no is asked about again, three times. The
// end of the input, and cancelling ctx, mean no, with an error.
func (t *Terminal) Confirm(ctx context.Context, question string, def bool) (bool, error) {
	if !t.CanAsk() {
		return false, ErrNoTerminal
	}
	return t.confirm(ctx, question, def)
}

func (t *Terminal) confirm(ctx context.Context, question string, def bool) (bool, error) {
	choice := "[y/N]"
	if def {
		choice = "[Y/n]"
	}
	for range 3 {
		t.write(t.err, t.err.fold(Clean(question)+" "+choice, "")+" ")
		answer, err := t.readLine(ctx)
		if err != nil {
			t.write(t.err, "\n")
			return false, fmt.Errorf("read answer: %w", err)
		}
		switch strings.ToLower(strings.TrimSpace(answer)) {
		case "":
			return def, nil
		case "y", "yes":
			return true, nil
		case "n", "no":
			return false, nil
		}
		t.write(t.err, "Please answer yes or no.\n")
	}
	return false, nil
}

// readLine reads up to a line break, a byte at a time: what follows belongs to
// whoever reads standard input next. The read goes on in the background when
// ctx is done first; the process is about to end then.
func (t *Terminal) readLine(ctx context.Context) (string, error) {
	type result struct {
		line string
		err  error
	}
	answered := make(chan result, 1)
	go func() {
		var line []byte
		var one [1]byte
		for len(line) < maxAnswer {
			n, err := t.in.Read(one[:])
			if n == 1 && one[0] == '\n' {
				answered <- result{string(line), nil}
				return
			}
			line = append(line, one[:n]...)
			if err != nil {
				if errors.Is(err, io.EOF) && len(line) > 0 {
					err = nil
				}
				answered <- result{string(line), err}
				return
			}
		}
		answered <- result{"", fmt.Errorf("answer longer than %d bytes", maxAnswer)}
	}()
	select {
	case r := <-answered:
		return r.line, r.err
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

// Passphrase asks for a passphrase on standard error and reads it from
// standard input without showing it. When ctx is done first, the terminal
// shows what is typed again before Passphrase returns. The caller wipes the
// result.
func (t *Terminal) Passphrase(ctx context.Context, prompt string) ([]byte, error) {
	f, ok := t.in.(*os.File)
	if !ok || !t.CanAsk() {
		return nil, ErrNoTerminal
	}
	fd := int(f.Fd())
	before, err := term.GetState(fd)
	if err != nil {
		return nil, fmt.Errorf("read passphrase: %w", err)
	}
	type result struct {
		pass []byte
		err  error
	}
	t.write(t.err, Clean(prompt)+" ")
	answered := make(chan result, 1)
	go func() {
		pass, err := term.ReadPassword(fd)
		answered <- result{pass, err}
	}()
	var r result
	select {
	case r = <-answered:
	case <-ctx.Done():
		_ = term.Restore(fd, before)
		r.err = ctx.Err()
	}
	t.write(t.err, "\n")
	if r.err != nil {
		return nil, fmt.Errorf("read passphrase: %w", r.err)
	}
	return r.pass, nil
}
