package observe

import (
	"crypto/sha256"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stele-ml/stele/statement"
)

func TestImage(t *testing.T) {
	hexed := strings.Repeat("0123456789abcdef", 4)
	for _, c := range []struct {
		what      string
		env       map[string]string
		files     map[string]string
		name      string
		found     bool
		contained bool
	}{
		{what: "no container"},
		{what: "ours", env: map[string]string{"STELE_IMAGE": "ghcr.io/a/b@sha256:" + hexed, "CI_JOB_IMAGE": "c@sha256:" + hexed}, name: "ghcr.io/a/b", found: true, contained: true},
		{what: "a digest alone", env: map[string]string{"STELE_IMAGE": "sha256:" + hexed}, found: true, contained: true},
		{what: "GitLab's", env: map[string]string{"CI_JOB_IMAGE": "python:3.12@sha256:" + hexed}, name: "python:3.12", found: true, contained: true},
		{what: "a tag is no digest", env: map[string]string{"CI_JOB_IMAGE": "python:3.12"}},
		{what: "a short digest", env: map[string]string{"STELE_IMAGE": "a@sha256:" + hexed[:62]}},
		{what: "an upper-case digest", env: map[string]string{"STELE_IMAGE": "a@sha256:" + strings.ToUpper(hexed)}},
		{what: "a name that is none", env: map[string]string{"STELE_IMAGE": "a b@sha256:" + hexed}},
		{what: "Podman", files: map[string]string{"/run/.containerenv": "engine=\"podman-4\"\nname=\"x\"\nid=\"" + strings.Repeat("ff", 32) + "\"\nimage=\"docker.io/library/python:3.12\"\nimageid=\"" + hexed + "\"\n"},
			name: "docker.io/library/python:3.12", found: true, contained: true},
		{what: "Podman that says nothing", files: map[string]string{"/run/.containerenv": ""}, contained: true},
		{what: "Docker: the container's id is not the image's", files: map[string]string{"/.dockerenv": "", "/proc/self/cgroup": "12:cpu:/docker/" + hexed + "\n"}, contained: true},
		{what: "Kubernetes", env: map[string]string{"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, contained: true},
		{what: "a group of Kubernetes", files: map[string]string{"/proc/self/cgroup": "0::/kubepods.slice/kubepods-pod1.slice/cri-containerd-" + hexed + ".scope\n"}, contained: true},
		{what: "a group of a session", files: map[string]string{"/proc/self/cgroup": "0::/user.slice/user-1000.slice/session-1.scope\n"}},
	} {
		m := Machine{
			Getenv: func(name string) string { return c.env[name] },
			ReadFile: func(path string) ([]byte, error) {
				text, ok := c.files[path]
				if !ok {
					return nil, fs.ErrNotExist
				}
				return []byte(text), nil
			},
		}
		image, contained := m.Image()
		if contained != c.contained || (image != nil) != c.found {
			t.Errorf("%s: %+v, %v", c.what, image, contained)
		}
		if image != nil && (image.Name != c.name || image.SHA256[0] != 0x01) {
			t.Errorf("%s: %+v", c.what, image)
		}
	}
}

func TestLocks(t *testing.T) {
	root := t.TempDir()
	write := func(name, text string) {
		at := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(at, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("uv.lock", "a")
	write("requirements.txt", "b")
	write("requirements-gpu.txt", "c")
	write("train/poetry.lock", "d")
	write("other/poetry.lock", "not in the folder")
	write("setup.py", "no lock")
	write("notes/requirements.txt.bak", "no lock")
	if err := os.Mkdir(filepath.Join(root, "pdm.lock"), 0o755); err != nil {
		t.Fatal(err)
	}
	outside := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(outside, []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	links := os.Symlink(outside, filepath.Join(root, "Pipfile.lock"))
	list, leftOut, err := Locks(root, filepath.Join(root, "train"))
	if err != nil {
		t.Fatal(err)
	}
	if wrong := 1; links == nil && leftOut != wrong+1 || links != nil && leftOut != wrong {
		t.Errorf("%d are left out", leftOut)
	}
	want := []struct{ path, text string }{{"requirements-gpu.txt", "c"}, {"requirements.txt", "b"}, {"train/poetry.lock", "d"}, {"uv.lock", "a"}}
	if len(list) != len(want) {
		t.Fatalf("%+v (a link that leads out: %v)", list, links)
	}
	for i, w := range want {
		if list[i] != (statement.LockFile{Path: w.path, SHA256: sha256.Sum256([]byte(w.text))}) {
			t.Errorf("%+v, want %s", list[i], w.path)
		}
	}
	if list, _, err := Locks(root, t.TempDir()); err != nil || len(list) != 3 {
		t.Errorf("a folder elsewhere: %+v, %v", list, err)
	}
	if _, _, err := Locks(filepath.Join(root, "nowhere"), root); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v", err)
	}
	for i := range statement.MaxLocks + 5 {
		write("requirements-"+strings.Repeat("x", i+1)+".txt", "")
	}
	if list, leftOut, err := Locks(root, root); err != nil || len(list) != statement.MaxLocks || leftOut < 7 {
		t.Errorf("%d lock files, %v", len(list), err)
	}
}
