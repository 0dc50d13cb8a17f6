package observe

import (
	"encoding/hex"
	"regexp"
	"strings"

	"github.com/stele-ml/stele/statement"
)

// Machine is what Image looks at.
type Machine struct {
	Getenv   func(name string) string
	ReadFile func(path string) ([]byte, error)
}

// imageVariables name the image that a container was made of: our own, for
// whoever writes the job, and GitLab's.
var imageVariables = []string{"STELE_IMAGE", "CI_JOB_IMAGE"}

// Image is the container image that this process runs in, where its digest can
// be seen: in $STELE_IMAGE or $CI_JOB_IMAGE as NAME@sha256:HEX, or in Podman's
// /run/.containerenv. A name and a tag are no digest, nor is the id of the
// container. contained reports whether this is a container at all, as far as
// that can be seen.
func (m *Machine) Image() (image *statement.Image, contained bool) {
	for _, name := range imageVariables {
		if i, ok := ParseImage(m.Getenv(name)); ok {
			return i, true
		}
	}
	if text, err := m.ReadFile("/run/.containerenv"); err == nil {
		return podmanImage(string(text)), true
	}
	return nil, m.contained()
}

// contained looks for the traces that containers leave.
func (m *Machine) contained() bool {
	for _, name := range []string{"KUBERNETES_SERVICE_HOST", "SINGULARITY_CONTAINER", "APPTAINER_CONTAINER"} {
		if m.Getenv(name) != "" {
			return true
		}
	}
	if _, err := m.ReadFile("/.dockerenv"); err == nil {
		return true
	}
	text, err := m.ReadFile("/proc/self/cgroup")
	return err == nil && containerGroup.Match(text)
}

// containerGroup matches the control groups that engines put containers in.
var containerGroup = regexp.MustCompile(`(?m)/(docker|kubepods|libpod|containerd|crio|lxc|ecs|garden)[-./:]`)

// ParseImage reads NAME@sha256:HEX, or sha256:HEX alone.
func ParseImage(text string) (*statement.Image, bool) {
	name, digest, ok := strings.Cut(strings.TrimPrefix(text, "docker://"), "@")
	if !ok {
		name, digest = "", text
	}
	hexed, ok := strings.CutPrefix(digest, "sha256:")
	sum, err := hex.DecodeString(hexed)
	if !ok || err != nil || len(sum) != 32 || strings.ToLower(hexed) != hexed {
		return nil, false
	}
	if name != "" && statement.CheckImageName(name) != nil {
		return nil, false
	}
	return &statement.Image{Name: name, SHA256: [32]byte(sum)}, true
}

// podmanImage reads what Podman says of a container to whoever is in it: shell
// assignments. The image's id is the digest of its configuration, which lists
// the digests of its layers.
func podmanImage(text string) *statement.Image {
	values := map[string]string{}
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		values[name] = strings.Trim(value, `"`)
	}
	if i, ok := ParseImage(values["image"]); ok {
		return i
	}
	i, ok := ParseImage("sha256:" + values["imageid"])
	if ok && statement.CheckImageName(values["image"]) == nil {
		i.Name = values["image"]
	}
	return i
}
