package witness

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/stele-ml/stele/internal/durable"
)

var update = flag.Bool("update", false, "write the vectors anew")

// TestVectors: a request, its answer, and the two files of the memory, byte for
// byte, and as docs/formats/witness.md shows them.
func TestVectors(t *testing.T) {
	l := newLog(t, "log.example/a", 1, "true", 4)
	w, fsys, _ := start(t, l)
	mustAdd(t, w, l.request(0, 3))
	r := l.request(3, 4)
	line := mustAdd(t, w, r)
	read := func(name string) []byte {
		t.Helper()
		data, err := durable.ReadFile(fsys, vfs.FS(fsys).PathJoin("/w", name), 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	manual, err := os.ReadFile(filepath.Join("..", "..", "docs", "formats", "witness.md"))
	if err != nil {
		t.Fatal(err)
	}
	for name, got := range map[string][]byte{
		"request": r.Marshal(), "answer": []byte(line), "record": read(logsDir + "/" + OriginID("log.example/a")), "witness.key": read(keyFile),
	} {
		file := filepath.Join("testdata", name)
		if *update {
			if err := os.WriteFile(file, got, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s:\n%s\nwant:\n%s", name, got, want)
		}
		if name != "record" && !strings.Contains(string(manual), strings.TrimRight(string(want), "\n")) {
			t.Errorf("the page does not show %s", file)
		}
	}
}
