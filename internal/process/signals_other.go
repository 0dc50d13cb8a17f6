//go:build !unix

package process

import (
	"os"
	"os/signal"
)

const shell = ""

func catch(c chan<- os.Signal) { signal.Notify(c, os.Interrupt) }

func release(c chan<- os.Signal) { signal.Stop(c) }

func ends(os.Signal) bool { return true }

// relay does nothing: a console sends ^C to every process that is on it.
func relay(*os.Process, os.Signal) {}

func isNoProgram(error) bool { return false }

// statusOf fits a status of 32 bits into the one byte that there is elsewhere:
// one that does not fit becomes 255, and never 0.
func statusOf(p *os.ProcessState) (status int, name string) {
	if status = p.ExitCode(); status < 0 || status > 255 {
		status = 255
	}
	return status, ""
}
