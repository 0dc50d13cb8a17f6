//go:build unix

package process

import (
	"errors"
	"os"
	"os/signal"

	"golang.org/x/sys/unix"
)

const shell = "/bin/sh"

// relayed are the signals that are the command's while it runs.
var relayed = []os.Signal{
	unix.SIGINT, unix.SIGTERM, unix.SIGHUP, unix.SIGQUIT, unix.SIGUSR1, unix.SIGUSR2,
	unix.SIGXCPU, // a batch system's word that the time is nearly up
	unix.SIGTSTP, unix.SIGCONT,
}

// ignored are the signals that whoever started this process had it ignore:
// nohup, or a shell's job in the background. The Go runtime knows it of these
// two, and only until somebody asks to be notified of them.
var ignored = func() (list []os.Signal) {
	for _, s := range []os.Signal{unix.SIGINT, unix.SIGHUP} {
		if signal.Ignored(s) {
			list = append(list, s)
		}
	}
	return list
}()

func catch(c chan<- os.Signal) {
	// Of a broken pipe a write then says so, and does not end this process.
	signal.Notify(c, append([]os.Signal{unix.SIGPIPE}, relayed...)...)
	if len(ignored) > 0 {
		signal.Ignore(ignored...) // the command inherits that
	}
}

func release(c chan<- os.Signal) { signal.Stop(c) }

// ends reports whether a signal is one that asks a process to end.
func ends(s os.Signal) bool {
	switch s {
	case unix.SIGINT, unix.SIGTERM, unix.SIGHUP, unix.SIGQUIT, unix.SIGXCPU:
		return true
	}
	return false
}

// relay passes a signal on, unless the terminal has sent it to the command
// itself.
func relay(child *os.Process, s os.Signal) {
	switch s {
	case unix.SIGPIPE:
		return
	case unix.SIGINT, unix.SIGQUIT, unix.SIGTSTP:
		if !foreground() {
			_ = child.Signal(s) // it may have ended
		}
	default:
		_ = child.Signal(s)
	}
	if s == unix.SIGTSTP { // this process stops with it, until SIGCONT
		_ = unix.Kill(unix.Getpid(), unix.SIGSTOP)
	}
}

// foreground reports whether this process's group is the one that has the
// terminal: what is typed there (^C, ^\, ^Z) then goes to all of the group.
func foreground() bool {
	tty, err := os.OpenFile("/dev/tty", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return false // there is none
	}
	defer tty.Close()
	group, err := unix.IoctlGetInt(int(tty.Fd()), unix.TIOCGPGRP)
	return err == nil && group == unix.Getpgrp()
}

func isNoProgram(err error) bool { return errors.Is(err, unix.ENOEXEC) }

func statusOf(p *os.ProcessState) (status int, name string) {
	if w, ok := p.Sys().(interface {
		Signaled() bool
		Signal() unix.Signal
	}); ok && w.Signaled() {
		return 128 + int(w.Signal()), unix.SignalName(w.Signal())
	}
	return p.ExitCode(), ""
}
