package main

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stele-ml/stele/internal/ledger/ledgertest"
	"github.com/stele-ml/stele/internal/solo"
)

// smallDisk mounts a file system of that many bytes. It takes root.
func smallDisk(t *testing.T, size int) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size="+strconv.Itoa(size)); err != nil {
		t.Skipf("no file system can be mounted here: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
	return dir
}

// fillDisk leaves that many bytes of a disk free, or a page more, and returns what makes
// room again.
func fillDisk(t *testing.T, dir string, leave int64) (room func()) {
	t.Helper()
	path := filepath.Join(dir, "filler")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var size int64
	page := make([]byte, 4096)
	for {
		n, err := f.Write(page)
		size += int64(n)
		if errors.Is(err, syscall.ENOSPC) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Truncate(max(0, size-leave)); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
}

// TestServeFillsItsDisk: a server whose disk is full, for real, refuses and says so; what
// it acknowledged is there when it is started again with room, and the rest can be sent
// again.
func TestServeFillsItsDisk(t *testing.T) {
	t.Parallel()
	disk := smallDisk(t, 16<<20)
	p := newPerson(t)
	p.dir = filepath.Join(disk, "home")
	if err := os.Mkdir(p.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	p.must("init", "--handle", "ada", "-q")
	envs := (&ledgertest.Maker{Ledger: p.ledgerID()}).Stamps(p.signs(), "team/data", 400)
	address := freeAddress(t)
	cmd := p.command("serve", "--listen", address)
	log := new(bytes.Buffer)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	p.until("it answers", func() bool {
		status, _ := fetched(t, "http://"+address+"/health/ready")
		return status == http.StatusOK
	})
	submit := func(i int) (int, string) {
		t.Helper()
		body, err := envs[i].MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		res, err := http.Post("http://"+address+"/v1/entries", "application/json", bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		text, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return res.StatusCode, string(text)
	}
	for i := range 3 {
		if status, text := submit(i); status != http.StatusCreated {
			t.Fatal(status, text)
		}
	}
	room := fillDisk(t, disk, 64<<10)
	failed := -1
	for i := 3; i < len(envs) && failed < 0; i++ {
		status, text := submit(i)
		switch {
		case status == http.StatusCreated:
		case status == http.StatusServiceUnavailable && strings.Contains(text, `"outcome-unknown"`):
			failed = i
		default:
			t.Fatalf("entry %d: %d %s", i, status, text)
		}
	}
	if failed < 0 {
		t.Fatal("the disk was never full")
	}
	if status, text := submit(failed); status != http.StatusServiceUnavailable {
		t.Errorf("after the failure: %d %s", status, text)
	}
	if status, _ := fetched(t, "http://"+address+"/health/ready"); status != http.StatusServiceUnavailable {
		t.Errorf("ready: %d", status)
	}
	if status, _ := fetched(t, "http://"+address+"/v1/names"); status != http.StatusOK {
		t.Errorf("what is there is not read: %d", status)
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	p.exits(cmd, exitError)
	if !strings.Contains(log.String(), "error: "+solo.ErrFailed.Error()) || !strings.Contains(log.String(), "no space left") {
		t.Errorf("it ends with\n%s", log.String())
	}

	room()
	cmd = p.serves(address)
	for i := range failed {
		if status, text := submit(i); status != http.StatusOK {
			t.Fatalf("entry %d was acknowledged: %d %s", i, status, text)
		}
	}
	if status, text := submit(failed); status != http.StatusCreated && status != http.StatusOK {
		t.Errorf("sent again: %d %s", status, text)
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	p.exits(cmd, exitHolds)
	p.must("fsck")
}

// TestMirrorFillsItsDisk: it says so, and goes on from there when there is room.
func TestMirrorFillsItsDisk(t *testing.T) {
	t.Parallel()
	disk := smallDisk(t, 32<<20)
	ada, bob := newPerson(t), newPerson(t)
	ada.must("init", "--handle", "ada", "-q")
	ada.fills(3000)
	address := freeAddress(t)
	ada.serves(address)
	bob.trustsLogOf(ada)
	copyOf := filepath.Join(disk, "copy")
	if err := os.Mkdir(copyOf, 0o700); err != nil {
		t.Fatal(err)
	}
	room := fillDisk(t, disk, 512<<10)
	args := []string{"mirror", "http://" + address, "--dir", copyOf, "--once"}
	_, errs, status := bob.stele(args...)
	if status != exitError || !strings.Contains(errs, "no space left") || !strings.Contains(errs, "free some space") {
		t.Errorf("on a full disk: %d %s", status, errs)
	}
	// Full still, it says the same, and damages nothing.
	if _, errs, status := bob.stele(args...); status == exitHolds || !strings.Contains(errs, "no space left") {
		t.Errorf("again: %d %s", status, errs)
	}
	room()
	if out := bob.must(args...); !strings.Contains(out, "3,0") {
		t.Errorf("with room: %s", out)
	}
	bob.must("--ledger", copyOf, "fsck")
}

// TestWitnessFillsItsDisk: it cosigns nothing that it could not store, says so, and goes
// on when there is room.
func TestWitnessFillsItsDisk(t *testing.T) {
	t.Parallel()
	disk := smallDisk(t, 1<<20)
	p := newPerson(t)
	p.must("init", "--handle", "ada", "-q")
	if err := os.Mkdir(filepath.Join(disk, "witness"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(disk, "witness"), filepath.Join(p.dir, "witness")); err != nil {
		t.Fatal(err)
	}
	trust := p.witnessed()
	p.must("--trust", trust, "cosign")
	room := fillDisk(t, disk, 0)
	p.write("data.csv", "more")
	p.must("stamp", "data.csv", "--as", "team/more@1", "-q")
	out, errs, status := p.stele("--trust", trust, "cosign", "--wait-timeout", "3s")
	if status != exitUnreachable || !strings.Contains(out+errs, "500") {
		t.Errorf("on a full disk: %d %s%s", status, out, errs)
	}
	room()
	p.must("--trust", trust, "cosign")
}
