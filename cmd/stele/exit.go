package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"syscall"

	"github.com/stele-ml/stele/contract"
	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/internal/home"
	"github.com/stele-ml/stele/internal/memory"
	"github.com/stele-ml/stele/internal/source"
)

// The exit statuses of the binary (docs/command-line.md).
const (
	exitHolds       = 0
	exitError       = 1
	exitUsage       = 2
	exitTampered    = 3
	exitRefused     = 4
	exitNotFound    = 5
	exitUntrusted   = 6
	exitUnreachable = 7
)

var codes = [...]string{"", "error", "usage", "tampered", "refused", "not-found", "untrusted", "unreachable"}

// failure is an error that knows how the process ends.
type failure struct {
	status  int
	message string
	hint    string
	path    string
	rule    string
	entry   *uint64
	err     error

	violations []contract.RuleResult // of a refusal by contracts
	cost       uint64                // what they spent on it
	context    string                // then: what was refused, where the message says more than the rule
	problems   []problem             // of a contract that does not compile
}

func (f *failure) Error() string { return f.message }
func (f *failure) Unwrap() error { return f.err }
func (f *failure) Hint() string  { return f.hint }

func (f *failure) withHint(hint string) *failure   { f.hint = hint; return f }
func (f *failure) withPath(path string) *failure   { f.path = path; return f }
func (f *failure) withEntry(entry uint64) *failure { f.entry = &entry; return f }

// hinted adds a hint to those that are there.
func (f *failure) hinted(hint string) *failure {
	f.hint = strings.TrimPrefix(f.hint+"; "+hint, "; ")
	return f
}

func failf(status int, format string, args ...any) *failure {
	err := fmt.Errorf(format, args...)
	return &failure{status: status, message: err.Error(), err: errors.Unwrap(err)}
}

func usagef(format string, args ...any) *failure {
	f := failf(exitUsage, format, args...)
	f.message = strings.Replace(f.message, "malformed: ", "", 1) // the class says no more to a person than the rest
	return f
}

// oneOf refuses a flag's value that is none of the words.
func oneOf(flag, value string, words ...string) error {
	if slices.Contains(words, value) {
		return nil
	}
	last := len(words) - 1
	return usagef("%s %q: use %s or %s", flag, value, strings.Join(words[:last], ", "), words[last])
}

// errInterrupted is how a command ends that was told to stop.
func (a *app) errInterrupted() error {
	if a.announced != nil {
		return failf(exitError, "interrupted").withHint(resumeHint(*a.announced))
	}
	if a.resumable {
		return failf(exitError, "interrupted; run it again to go on where it stopped")
	}
	return failf(exitError, "interrupted; nothing was left half-written")
}

// errNoKey says that the person has no key of the default name yet.
var errNoKey = errors.New("no key to sign with")

// verdictError ends a command that has printed its verdict already.
type verdictError struct{ status int }

func (v verdictError) Error() string { return fmt.Sprintf("exit status %d", v.status) }

// finish prints how a command failed, if it did, and returns its exit status.
func (a *app) finish(err error) int {
	if err == nil {
		return exitHolds
	}
	var v verdictError
	if errors.As(err, &v) {
		return v.status
	}
	f := describe(err)
	var history *evidence.HistoryError
	if f.path == "" && errors.As(err, &history) {
		f.path = a.toldConflict // where both checkpoints are
	}
	if a.json && !a.printedJSON {
		a.printJSON(failureJSON(f))
	} else {
		a.tell(f)
	}
	return f.status
}

// finishWrapping is finish of a command that runs another: a status of its own
// tells its failures from the other's.
func (a *app) finishWrapping(err error) int {
	a.toStandardError()
	status := a.finish(err)
	var v verdictError
	if errors.As(err, &v) {
		return status
	}
	return ownStatus(err)
}

// describe finds the exit status, the hint and the place of any error.
func describe(err error) *failure {
	f := &failure{status: statusOf(err), message: err.Error(), err: err}
	var known *failure
	if errors.As(err, &known) {
		f.hint, f.path, f.rule, f.entry = known.hint, known.path, known.rule, known.entry
		f.violations, f.cost, f.context, f.problems = known.violations, known.cost, known.context, known.problems
	}
	var hinted interface{ Hint() string }
	if f.hint == "" && errors.As(err, &hinted) {
		f.hint = hinted.Hint()
	}
	var pathError *fs.PathError
	if f.path == "" && errors.As(err, &pathError) {
		f.path = pathError.Path
	}
	if f.hint == "" && errors.Is(err, syscall.ENOSPC) {
		f.hint = "free some space and run it again; nothing that was acknowledged is lost"
	}
	if f.hint == "" && errors.Is(err, memory.ErrNotWritten) {
		f.hint = "$STELE_STATE names another directory for it"
	}
	if f.hint == "" && errors.Is(err, home.ErrPermissions) {
		f.hint = "chmod 600 " + f.path
	}
	var placed interface{ Place() string }
	if f.path == "" && errors.As(err, &placed) {
		f.path = placed.Place()
	}
	f.hint = strings.Replace(f.hint, "ask for links out of the tree to be followed", "follow it with --follow-links", 1)
	var unreadable *source.Error
	if f.path == "" && errors.As(err, &unreadable) {
		f.path = unreadable.Path
	}
	describeLedger(err, f)
	return f
}

// printJSON prints one object on a line of its own.
func (a *app) printJSON(v any) {
	enc := json.NewEncoder(a.stdout)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(v) // a failed write is a.stdout's to remember; run asks it
	a.printedJSON = true
}
