package storetest

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// What is tried before a server counts as unable to start.
const (
	starts    = 5                     // ports, each found free a moment before
	startTime = 60 * time.Second      // for a busy machine; it is usually a second
	poll      = 20 * time.Millisecond // between two looks
	shownLog  = 2 << 10               // bytes of its log that a failed test shows
)

// errSkip says what is not installed here.
type errSkip struct{ reason string }

func (e errSkip) Error() string { return e.reason }

// process is a server's, started by this test binary.
type process struct {
	log  string // a file in its folder
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended and its folder is gone
	end  error         // how, once it has
}

// launched starts a server once for the whole test binary.
type launched struct {
	once   sync.Once
	start  func() (*Server, error)
	server *Server
	err    error
}

func (l *launched) get(t testing.TB) *Server {
	t.Helper()
	l.once.Do(func() { l.server, l.err = l.start() })
	var skip errSkip
	if errors.As(l.err, &skip) {
		t.Skip(skip.reason)
	}
	if l.err != nil {
		t.Fatal(l.err)
	}
	from := l.server.process.logSize()
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the log of %s://:\n%s", l.server.Scheme, l.server.process.tail(from))
		}
	})
	return l.server
}

// tool finds a program, as a path below one of the folders that ./test fills:
// $STELE_TEST_TOOLS, or .tools at the root of the repository.
func tool(name string) (string, error) {
	var folders []string
	if dir := os.Getenv("STELE_TEST_TOOLS"); dir != "" {
		folders = append(folders, dir)
	}
	if dir, err := os.Getwd(); err == nil {
		for {
			if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
				folders = append(folders, filepath.Join(dir, ".tools"))
			}
			parent := filepath.Dir(dir)
			if parent == dir {
				break
			}
			dir = parent
		}
	}
	for _, dir := range folders {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if _, err := os.Stat(path); err == nil {
			return path, nil
		}
	}
	if path, err := exec.LookPath(filepath.Base(name)); err == nil {
		return path, nil
	}
	return "", errSkip{fmt.Sprintf("%s is not installed: ./test tools installs it", filepath.Base(name))}
}

// launch starts a server on a free port and waits until ready returns nil.
// command gets the port and a folder for the server to write in.
func launch(command func(port, dir string) (*exec.Cmd, error), ready func(port string) error) (*process, string, error) {
	if runtime.GOOS == "windows" {
		return nil, "", errSkip{"the object stores that tests start are not run on Windows"}
	}
	var last error
	for range starts {
		port, err := freePort()
		if err != nil {
			return nil, "", err
		}
		p, err := start(port, command)
		if err != nil {
			return nil, "", err
		}
		if last = p.wait(func() error { return ready(port) }); last == nil {
			return p, port, nil
		}
		p.cmd.Process.Kill()
		<-p.done
	}
	return nil, "", last
}

func start(port string, command func(port, dir string) (*exec.Cmd, error)) (*process, error) {
	dir, err := os.MkdirTemp("", "stele-store-")
	if err != nil {
		return nil, err
	}
	p := &process{log: filepath.Join(dir, "log"), done: make(chan struct{})}
	fail := func(err error) (*process, error) {
		os.RemoveAll(dir)
		return nil, err
	}
	cmd, err := command(port, dir)
	if err != nil {
		return fail(err)
	}
	log, err := os.Create(p.log)
	if err != nil {
		return fail(err)
	}
	defer log.Close()
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, log, log
	ownGroup(cmd)
	if err := cmd.Start(); err != nil {
		return fail(err)
	}
	reaper, err := reap(cmd.Process.Pid, dir)
	if err != nil {
		cmd.Process.Kill()
		cmd.Wait()
		return fail(err)
	}
	p.cmd = cmd
	go func() {
		p.end = fmt.Errorf("the server ended: %v\n%s", cmd.Wait(), p.tail(0))
		reaper() // there is nobody left to kill; it removes the folder
		close(p.done)
	}()
	return p, nil
}

// reap starts a small process that outlives this one: when its standard input
// ends, which it does whichever way this process ends, it kills the server and
// removes its folder. now has it do so at once, and waits.
func reap(pid int, dir string) (now func(), err error) {
	cmd := exec.Command("/bin/sh", "-c", `cat >/dev/null; kill -9 "-$1" 2>/dev/null; rm -rf "$2"`, "sh", fmt.Sprint(pid), dir)
	cmd.Dir = "/"
	ownGroup(cmd) // the terminal's interrupt reaches the tests, not this
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return func() { in.Close(); cmd.Wait() }, nil
}

// wait polls until ready, the server's end, or startTime.
func (p *process) wait(ready func() error) error {
	deadline := time.Now().Add(startTime)
	for {
		err := ready()
		if err == nil {
			return nil
		}
		select {
		case <-p.done:
			return p.end
		case <-time.After(poll):
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("the server is not ready: %w\n%s", err, p.tail(0))
		}
	}
}

// Stop ends a server that no test uses and removes what it wrote.
func (s *Server) Stop() {
	s.process.cmd.Process.Kill()
	<-s.process.done
}

func (p *process) logSize() int64 {
	if info, err := os.Stat(p.log); err == nil {
		return info.Size()
	}
	return 0
}

// tail is the end of what the server logged since from.
func (p *process) tail(from int64) string {
	f, err := os.Open(p.log)
	if err != nil {
		return err.Error()
	}
	defer f.Close()
	if size := p.logSize(); size-from > shownLog {
		from = size - shownLog
	}
	text, err := io.ReadAll(io.NewSectionReader(f, from, shownLog))
	if err != nil {
		return err.Error()
	}
	return string(text)
}

func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	return port, err
}

// secret is a word that only this test binary's servers know: whoever takes it
// is no other server that took the port.
func secret() string { return "secret" + strings.ToLower(rand.Text()) }
