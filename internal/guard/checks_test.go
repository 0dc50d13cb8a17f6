package guard_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stele-ml/stele/fingerprint"
	"github.com/stele-ml/stele/internal/guard"
)

// checked writes the notes of a check under way.
func checked(t *testing.T, c guard.Checks, text string) string {
	t.Helper()
	dir, err := c.Begin()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "check")
	for _, ext := range []string{guard.ManifestExt, guard.MarksExt} {
		if err := os.WriteFile(path+ext, []byte(text+ext), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return path
}

// TestChecks: the notes of a spot are the newest that were kept, and of that spot.
func TestChecks(t *testing.T) {
	c := guard.Checks{Dir: filepath.Join(t.TempDir(), "a [folder]")}
	now := time.Now()
	fp := fingerprint.Fingerprint{Algorithm: fingerprint.SHA256}
	spot := guard.Spot(7, "host", "/models/net")
	if list := c.Of(spot, 100); list != nil {
		t.Errorf("%v", list)
	}
	for began := int64(10); began <= 30; began += 10 {
		path := checked(t, c, fmt.Sprint(began))
		fp.Sum[0] = byte(began)
		if err := c.Keep(path, spot, began, fp, now); err != nil {
			t.Fatal(err)
		}
		os.RemoveAll(filepath.Dir(path))
	}
	list := c.Of(spot, 30)
	if len(list) != 1 || list[0].Began != 30 || list[0].Files != fp {
		t.Fatalf("%+v", list)
	}
	for _, ext := range []string{guard.ManifestExt, guard.MarksExt} {
		if data, err := os.ReadFile(list[0].Path + ext); err != nil || string(data) != "30"+ext {
			t.Errorf("%q, %v", data, err)
		}
	}
	if info, err := os.Stat(c.Dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	// A check from the future is none, nor is one of another place, machine or entry.
	if list := c.Of(spot, 29); list != nil {
		t.Errorf("%+v", list)
	}
	for _, other := range []string{guard.Spot(8, "host", "/models/net"), guard.Spot(7, "other", "/models/net"), guard.Spot(7, "host", "/models/nets")} {
		if list := c.Of(other, 100); list != nil || other == spot {
			t.Errorf("%s: %+v", other, list)
		}
	}
	// What is no name of a check is left aside.
	for _, name := range []string{spot + "-x-sha256_00.manifest", spot + "-5-nonsense.manifest", spot + ".manifest", "-.manifest"} {
		if err := os.WriteFile(filepath.Join(c.Dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if list := c.Of(spot, 100); len(list) != 1 {
		t.Errorf("%+v", list)
	}
}

// TestChecksAreFew: the oldest go, and what was left by checks that were killed.
func TestChecksAreFew(t *testing.T) {
	c := guard.Checks{Dir: t.TempDir()}
	fp := fingerprint.Fingerprint{Algorithm: fingerprint.SHA256}
	now := time.Now()
	killed := filepath.Dir(checked(t, c, "killed"))
	if err := os.Chtimes(killed, now, now.Add(-8*24*time.Hour)); err != nil {
		t.Fatal(err)
	}
	under := filepath.Dir(checked(t, c, "under way"))
	path := checked(t, c, "a check")
	const all = 70
	for i := range uint64(all) {
		if err := c.Keep(path, guard.Spot(i, "host", "/models"), int64(100+i), fp, now); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.Stat(killed); err == nil {
		t.Error("what a killed check left is there")
	}
	if _, err := os.Stat(under); err != nil {
		t.Error(err)
	}
	entries, err := os.ReadDir(c.Dir)
	if err != nil {
		t.Fatal(err)
	}
	kept := 0
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), guard.MarksExt) {
			kept++
		}
	}
	if kept != 64 || c.Of(guard.Spot(0, "host", "/models"), 1000) != nil || len(c.Of(guard.Spot(all-1, "host", "/models"), 1000)) != 1 {
		t.Errorf("%d are kept", kept)
	}
}
