package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stele-ml/stele/internal/solo"
)

// servedEnv names a folder with a file for each server that runs, named by its
// process and holding its ledger's directory: where it is set, a ledger that the
// command makes is served from then on.
const servedEnv = "STELE_TEST_SERVED"

// mainServed is main for scripts.
func mainServed() {
	folder := os.Getenv(servedEnv)
	args := os.Args[1:]
	makes, needsNone := slices.Contains(args, "init"), slices.Contains(args, "fsck") || slices.Contains(args, "rotate-log")
	if folder == "" || !makes && !needsNone {
		main()
		return
	}
	var dirs []string
	var err error
	if needsNone { // it works on a directory that nobody has open
		dirs, err = endServed(folder)
	}
	status := run(context.Background(), args, os.Stdin, os.Stdout, os.Stderr, os.Getenv)
	if makes && status == exitHolds && !slices.Contains(args, "--help") {
		dirs = append(dirs, madeBy(args))
	}
	for _, dir := range dirs {
		if err == nil {
			err = serveFrom(folder, dir)
		}
	}
	if err != nil {
		os.Stderr.WriteString("the test's server: " + err.Error() + "\n")
		status = exitError
	}
	os.Exit(status)
}

// madeBy is the ledger that `stele init` with these arguments makes.
func madeBy(args []string) string {
	dir := "."
	for i, arg := range args {
		if !strings.HasPrefix(arg, "-") && arg != "init" && (i == 0 || !strings.HasPrefix(args[i-1], "-") || strings.Contains(args[i-1], "=")) {
			dir = arg
		}
	}
	if i := slices.Index(args, "--ledger") + 1; i > 0 && i < len(args) {
		dir = strings.TrimSuffix(strings.TrimRight(args[i], "/"), ledgerName)
	}
	return filepath.Join(dir, ledgerName)
}

// serveFrom starts a server, and returns when others on this machine find it.
func serveFrom(folder, dir string) error {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	c := exec.Command(self, "serve", "--listen", "127.0.0.1:0", "--ledger", dir, "--rate-address", "0")
	c.Args[0] = "stele"
	log, err := os.OpenFile(filepath.Join(folder, "log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	c.Stdout, c.Stderr = log, log
	if err := c.Start(); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(folder, strconv.Itoa(c.Process.Pid)), []byte(dir), 0o644); err != nil {
		return err
	}
	for began := time.Now(); runningServer(dir) == ""; time.Sleep(5 * time.Millisecond) {
		if time.Since(began) > patience {
			return errors.New("it does not answer")
		}
	}
	return c.Process.Release()
}

// endServed ends all servers of a script at once, as a failure of the machine would,
// and returns their ledgers.
func endServed(folder string) (dirs []string, err error) {
	list, err := os.ReadDir(folder)
	if err != nil {
		return nil, err
	}
	for _, e := range list {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		name := filepath.Join(folder, e.Name())
		dir, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		if p, err := os.FindProcess(pid); err == nil {
			_ = p.Kill()
		}
		for began := time.Now(); runningServer(string(dir)) != ""; time.Sleep(5 * time.Millisecond) {
			if time.Since(began) > patience {
				return nil, errors.New("it does not end")
			}
		}
		dirs = append(dirs, string(dir))
		if err := os.Remove(name); err != nil {
			return nil, err
		}
	}
	return dirs, nil
}

// TestDirectoryOfAnotherUser: who may not open a ledger's lock may not open its server's
// socket either, and is told what is left.
func TestDirectoryOfAnotherUser(t *testing.T) {
	denied := fmt.Errorf("lock ledger: %w", &fs.PathError{Op: "open", Path: "/srv/.stele/lock", Err: fs.ErrPermission})
	if f := describe(anothers(denied)); f.status != exitError || f.path != "/srv/.stele/lock" || !strings.Contains(f.hint, "--ledger https://") {
		t.Errorf("%+v", f)
	}
	if err := anothers(solo.ErrLocked); !errors.Is(err, solo.ErrLocked) || describe(err).hint != "" {
		t.Errorf("of one's own: %v", err)
	}
}
