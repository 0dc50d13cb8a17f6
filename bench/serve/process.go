package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// process is a server that is measured.
type process struct {
	*exec.Cmd
	address string
	log     string // file of what it says
}

// start starts a server in a folder. What it logs goes to a file, so that nobody has
// to read it meanwhile.
func start(dir string, env []string, name string, args ...string) (*process, error) {
	log, err := os.CreateTemp(dir, "log-")
	if err != nil {
		return nil, err
	}
	defer log.Close()
	p := &process{Cmd: exec.Command(name, args...), log: log.Name()}
	p.Dir, p.Env = dir, append(os.Environ(), env...)
	p.Stdout, p.Stderr = log, log
	return p, p.Start()
}

// said is the end of what it has logged.
func (p *process) said() string {
	text, _ := os.ReadFile(p.log)
	return string(text[max(0, len(text)-2000):])
}

// stop ends it as an operator would.
func (p *process) stop() {
	_ = p.Process.Signal(syscall.SIGTERM)
	ended := time.AfterFunc(15*time.Second, func() { _ = p.Process.Kill() })
	_ = p.Wait() // Tessera's ends by the signal
	ended.Stop()
}

// cpu is the processor time that the process has used.
func (p *process) cpu() (time.Duration, error) {
	own, _, err := cpuOf(strconv.Itoa(p.Process.Pid))
	return own, err
}

// loadCPU is the processor time of this process, in which the load is, and of the
// programs that it has waited for.
func loadCPU() (time.Duration, error) {
	own, children, err := cpuOf("self")
	return own + children, err
}

func cpuOf(pid string) (own, children time.Duration, err error) {
	data, err := os.ReadFile("/proc/" + pid + "/stat")
	if err != nil {
		return 0, 0, err
	}
	_, rest, _ := strings.Cut(string(data), ") ") // its name may hold spaces
	fields := strings.Fields(rest)
	if len(fields) < 15 {
		return 0, 0, errors.New("/proc: too few fields")
	}
	var ticks [4]int64 // utime, stime, cutime, cstime: proc(5)
	for i := range ticks {
		if ticks[i], err = strconv.ParseInt(fields[11+i], 10, 64); err != nil {
			return 0, 0, err
		}
	}
	const tick = 10 * time.Millisecond // USER_HZ is 100 on every Linux there is
	return time.Duration(ticks[0]+ticks[1]) * tick, time.Duration(ticks[2]+ticks[3]) * tick, nil
}

// memory is its largest resident set so far, in bytes.
func (p *process) memory() (int64, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.Process.Pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(data)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kb, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			return kb << 10, err
		}
	}
	return 0, errors.New("/proc: no VmHWM")
}

// freePort is an address that was free a moment ago.
func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

// ready waits until a path is answered with 200.
func (p *process) ready(ctx context.Context, path string) error {
	return p.until(ctx, func(c *conn) error {
		_, err := c.get(path)
		return err
	})
}

// listening waits until it takes connections.
func (p *process) listening(ctx context.Context) error {
	return p.until(ctx, func(*conn) error { return nil })
}

// until tries something over new connections until it succeeds; if it does not, the
// process is ended.
func (p *process) until(ctx context.Context, try func(*conn) error) error {
	for range 500 {
		c, err := dial(ctx, p.address)
		if err == nil {
			err = try(c)
			_ = c.Close()
		}
		if err == nil || ctx.Err() != nil {
			return err
		}
		time.Sleep(20 * time.Millisecond)
	}
	p.stop()
	return fmt.Errorf("%s does not answer: %s", p.Path, p.said())
}
