//go:build unix

package solo

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"golang.org/x/sys/unix"
)

// A copy from elsewhere that holds pipes where documents should be: each is told, and
// none is opened, which would wait for ever.
func TestPipesOnAnAttackersShelf(t *testing.T) {
	dir := t.TempDir()
	id := strings.Repeat("ab", 32)
	for _, name := range []string{"attachments/ab/" + id, "attachments/pipe", "manifests/stele-sha256-" + id + ".manifest"} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := unix.Mkfifo(path, 0o600); err != nil {
			t.Skip("no pipes here:", err)
		}
	}
	var told []string
	if err := fsckShelf(t.Context(), &Shelf{vfs.Default, dir}, &Report{}, func(err error) { told = append(told, err.Error()) }); err != nil {
		t.Fatal(err)
	}
	if len(told) != 3 {
		t.Errorf("told: %q", told)
	}
	if err := copyDir(t.Context(), vfs.Default, filepath.Join(dir, "manifests"), filepath.Join(dir, "to")); err == nil {
		t.Error("a pipe was copied")
	}
}

func TestAPipeThatIsNoLedger(t *testing.T) {
	dir := t.TempDir()
	if err := unix.Mkfifo(filepath.Join(dir, fileInfo), 0o600); err != nil {
		t.Skip("no pipes here:", err)
	}
	if _, err := ReadInfo(dir); err == nil {
		t.Error("a pipe was taken for a ledger")
	}
}
