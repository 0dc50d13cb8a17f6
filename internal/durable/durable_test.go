package durable

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// TestWriteFileSurvivesACrash: after a crash at any moment a file has its old
// contents or its new, whole.
func TestWriteFileSurvivesACrash(t *testing.T) {
	mem := vfs.NewCrashableMem()
	if err := MkdirAll(mem, "/a/b", SharedDir); err != nil {
		t.Fatal(err)
	}
	if err := WriteFile(mem, "/a/b/file", []byte("old")); err != nil {
		t.Fatal(err)
	}
	crashed := mem.CrashClone(vfs.CrashCloneCfg{})
	if data, err := ReadFile(crashed, "/a/b/file", 100); err != nil || string(data) != "old" {
		t.Fatalf("%q %v", data, err)
	}
	if err := WriteFile(mem, "/a/b/file", []byte("new")); err != nil {
		t.Fatal(err)
	}
	if data, err := ReadFile(mem.CrashClone(vfs.CrashCloneCfg{}), "/a/b/file", 100); err != nil || string(data) != "new" {
		t.Fatalf("%q %v", data, err)
	}
	if data, err := ReadFile(crashed, "/a/b/file", 100); err != nil || string(data) != "old" {
		t.Fatalf("%q %v", data, err)
	}
	if _, err := ReadFile(mem, "/a/b/file", 2); err == nil {
		t.Fatal("read beyond the limit")
	}
	if names, err := mem.List("/a/b"); err != nil || len(names) != 1 {
		t.Fatal(names, err)
	}
}

func TestPrivate(t *testing.T) {
	if filepath.Separator != '/' {
		t.Skip("mode bits say nothing here")
	}
	name := filepath.Join(t.TempDir(), "key")
	if err := WriteFile(Private(), name, []byte("secret")); err != nil {
		t.Fatal(err)
	}
	if fi, err := os.Stat(name); err != nil || fi.Mode().Perm() != PrivateFile {
		t.Fatal(fi.Mode(), err)
	}
	if err := CheckPrivate(Private(), name); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(name, 0o640); err != nil {
		t.Fatal(err)
	}
	var p *PermError
	if err := CheckPrivate(Private(), name); !errors.As(err, &p) || p.Hint() != "chmod 600 "+name {
		t.Fatal(err)
	}
	if err := CheckPrivate(Private(), name+"x"); !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
}

func TestLock(t *testing.T) {
	name := filepath.Join(t.TempDir(), "lock")
	h := Holder{PID: 7, Host: "here", Since: 9, Command: "a command"}
	first, err := Lock(vfs.Default, name, h, false)
	if err != nil {
		t.Fatal(err)
	}
	for _, readOnly := range []bool{false, true} {
		if _, err := Lock(vfs.Default, name, h, readOnly); !errors.Is(err, ErrLocked) {
			t.Fatal(err)
		}
	}
	if got, ok := ReadHolder(vfs.Default, name); !ok || got != h {
		t.Fatal(got, ok)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	if got, ok := ReadHolder(vfs.Default, name); ok {
		t.Fatal(got)
	}
	second, err := Lock(vfs.Default, name, h, true)
	if err != nil {
		t.Fatal(err)
	}
	if err := second.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := Lock(vfs.Default, name+"x", h, true); !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
}

// TestWhatAKilledProgramLeft: what is old and has the name goes, and nothing else does.
func TestWhatAKilledProgramLeft(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "with [brackets]")
	for _, name := range []string{".new-old/file", ".new-young/file", "old/file"} {
		if err := os.MkdirAll(filepath.Join(dir, filepath.Dir(name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	old := time.Now().Add(-2 * Abandoned)
	for _, name := range []string{".new-old", "old"} {
		if err := os.Chtimes(filepath.Join(dir, name), old, old); err != nil {
			t.Fatal(err)
		}
	}
	RemoveAbandoned(dir, ".new-", Abandoned)
	if list, err := os.ReadDir(dir); err != nil || len(list) != 2 || list[0].Name() != ".new-young" || list[1].Name() != "old" {
		t.Errorf("left are %v, %v", list, err)
	}
}

// TestPipeInPlaceOfAFile is refused, and nobody waits until somebody writes into it.
func TestPipeInPlaceOfAFile(t *testing.T) {
	dir := t.TempDir()
	if _, err := ReadFile(vfs.Default, dir, 10); !errors.Is(err, ErrNoFile) {
		t.Errorf("of a directory: %v", err)
	}
	pipe := filepath.Join(dir, "pipe")
	if err := exec.Command("mkfifo", pipe).Run(); err != nil {
		t.Skip("no mkfifo here: ", err)
	}
	if _, err := ReadFile(vfs.Default, pipe, 10); !errors.Is(err, ErrNoFile) {
		t.Errorf("of a pipe: %v", err)
	}
}
