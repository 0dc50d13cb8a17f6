//go:build unix

package source_test

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/stele-ml/stele/internal/source"
)

var past = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)

// waitForTick returns once the file system's clock shows a later time than the
// file's change time: it touches another file until it does.
func waitForTick(t *testing.T, path string) {
	t.Helper()
	var st, now unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		t.Fatal(err)
	}
	other := filepath.Join(t.TempDir(), "clock")
	for now.Ctim.Nano() <= st.Ctim.Nano() {
		if err := os.WriteFile(other, nil, 0o666); err != nil {
			t.Fatal(err)
		}
		if err := unix.Stat(other, &now); err != nil {
			t.Fatal(err)
		}
	}
}

func TestIrregular(t *testing.T) {
	eachDisk(t, func(t *testing.T, p *place) {
		for name, make := range map[string]func(path string) error{
			"pipe": func(path string) error { return unix.Mkfifo(path, 0o666) },
			"socket": func(path string) error {
				l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path})
				if err == nil {
					l.SetUnlinkOnClose(false)
					err = l.Close()
				}
				return err
			},
			"link to a pipe": func(path string) error {
				if err := unix.Mkfifo(path+".pipe", 0o666); err != nil {
					return err
				}
				return os.Symlink(path+".pipe", path)
			},
		} {
			t.Run(name, func(t *testing.T) {
				p.Put(t, "a", nil)
				full := filepath.Join(p.dir, "b")
				if err := make(full); err != nil {
					t.Fatal(err)
				}
				defer func() { os.Remove(full); os.Remove(full + ".pipe") }()
				s := p.Open(t, "")
				defer s.Close()
				if _, err := read(s); !errors.Is(err, source.ErrIrregular) || !strings.HasPrefix(err.Error(), "b: ") {
					t.Errorf("got %v, want ErrIrregular at b", err)
				}
				if _, err := source.OpenLocal(full, source.LocalOptions{}); !errors.Is(err, source.ErrIrregular) {
					t.Errorf("as root: %v, want ErrIrregular", err)
				}
			})
		}
	})
}

// TestBadNames: what a fingerprint cannot hold is named, escaped where needed.
func TestBadNames(t *testing.T) {
	t.Run("not UTF-8", func(t *testing.T) {
		eachDisk(t, func(t *testing.T, p *place) {
			if err := os.WriteFile(filepath.Join(p.dir, "caf\xe9"), nil, 0o666); err != nil {
				t.Skip(err) // Darwin refuses such names itself
			}
			s := p.Open(t, "")
			defer s.Close()
			if _, err := read(s); !errors.Is(err, source.ErrName) || !strings.Contains(err.Error(), `"caf\xe9"`) {
				t.Errorf("got %v, want ErrName naming the escaped name", err)
			}
			if _, err := source.OpenLocal(filepath.Join(p.dir, "caf\xe9"), source.LocalOptions{}); !errors.Is(err, source.ErrName) {
				t.Errorf("as root: %v, want ErrName", err)
			}
		})
	})
	t.Run("a path of 10,000 characters", func(t *testing.T) {
		eachDisk(t, func(t *testing.T, p *place) {
			long := strings.Repeat("0123456789/", 10_000/11) + "end"
			p.Put(t, long, nil)
			s := p.Open(t, "")
			defer s.Close()
			_, err := read(s)
			if !errors.Is(err, source.ErrName) || !strings.Contains(err.Error(), "more than 4096 bytes") {
				t.Errorf("got %v, want ErrName", err)
			}
			if len(err.Error()) > 400 {
				t.Errorf("the message has %d bytes", len(err.Error()))
			}
		})
	})
}

func TestUnreadable(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("root reads everything; scan's tests inject this failure")
	}
	eachDisk(t, func(t *testing.T, p *place) {
		p.Put(t, "a/x", []byte("1"))
		for _, path := range []string{"a/x", "a"} {
			full := filepath.Join(p.dir, path)
			if err := os.Chmod(full, 0); err != nil {
				t.Fatal(err)
			}
			s := p.Open(t, "")
			_, err := read(s)
			s.Close()
			os.Chmod(full, 0o777)
			if !errors.Is(err, fs.ErrPermission) || !strings.HasPrefix(err.Error(), path+": ") {
				t.Errorf("got %v, want a permission error at %s", err, path)
			}
		}
	})
}

// TestReplacedBeforeFetch: something else stands where the listing saw a file.
func TestReplacedBeforeFetch(t *testing.T) {
	for name, replace := range map[string]func(full, out string) error{
		"file by a link out of the tree": func(full, out string) error {
			os.Remove(full)
			return os.Symlink(out, full)
		},
		"file by a pipe": func(full, _ string) error {
			os.Remove(full)
			return unix.Mkfifo(full, 0o666)
		},
		"file by a folder": func(full, _ string) error {
			os.Remove(full)
			return os.Mkdir(full, 0o777)
		},
	} {
		t.Run(name, func(t *testing.T) {
			eachDisk(t, func(t *testing.T, p *place) {
				out := filepath.Join(t.TempDir(), "secret")
				if err := os.WriteFile(out, []byte("secret"), 0o666); err != nil {
					t.Fatal(err)
				}
				p.Put(t, "d/x", []byte("1"))
				s := p.Open(t, "")
				defer s.Close()
				var o source.Object
				if err := s.List(context.Background(), nil, func(got source.Object) error { o = got; return nil }); err != nil {
					t.Fatal(err)
				}
				if err := replace(filepath.Join(p.dir, "d", "x"), out); err != nil {
					t.Fatal(err)
				}
				if got, err := s.Fetch(context.Background(), o, make([]byte, 100)); !errors.Is(err, source.ErrChanged) {
					t.Errorf("Fetch = %+v, %v; want ErrChanged", got, err)
				}
				if m, err := s.Mark(context.Background(), o); !errors.Is(err, source.ErrChanged) {
					t.Errorf("Mark = %+v, %v; want ErrChanged", m, err)
				}
			})
		})
	}
}

// TestChangedWhileRead changes a small file between its reading and the check.
func TestChangedWhileRead(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(t *testing.T, path string)
		says   string
	}{
		{"grown", func(t *testing.T, path string) { appendTo(t, path, "more") }, "size"},
		{"same size, other time", func(t *testing.T, path string) {
			if err := os.Chtimes(path, past, past); err != nil {
				t.Fatal(err)
			}
		}, "modification time"},
		{"same size, time set back", func(t *testing.T, path string) {
			info, err := os.Stat(path)
			if err != nil {
				t.Fatal(err)
			}
			appendTo(t, path, "x")
			if err := os.Truncate(path, info.Size()); err != nil {
				t.Fatal(err)
			}
			if err := os.Chtimes(path, info.ModTime(), info.ModTime()); err != nil {
				t.Fatal(err)
			}
		}, "change time"},
	} {
		t.Run(c.name, func(t *testing.T) {
			eachDisk(t, func(t *testing.T, p *place) {
				p.Put(t, "x", []byte("data"))
				full := filepath.Join(p.dir, "x")
				// Well before now, so that the change is in another tick.
				if err := os.Chtimes(full, past.AddDate(1, 0, 0), past.AddDate(1, 0, 0)); err != nil {
					t.Fatal(err)
				}
				s := p.Open(t, "").(*source.Local)
				defer s.Close()
				waitForTick(t, full)
				s.AfterRead(func(string) { c.change(t, full) })
				_, err := read(s)
				if !errors.Is(err, source.ErrChanged) || !strings.Contains(err.Error(), c.says) {
					t.Errorf("got %v, want ErrChanged with %q", err, c.says)
				}
			})
		})
	}
}

func appendTo(t *testing.T, path, data string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString(data); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}
