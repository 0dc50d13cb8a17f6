package foreign

import (
	"bytes"
	"encoding/binary"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/stele-ml/stele/internal/place"
	"github.com/stele-ml/stele/internal/server"
	"github.com/stele-ml/stele/internal/solo"
	"github.com/stele-ml/stele/internal/static"
)

// success is what Tessera's fsck says when all is well. Its exit status says
// nothing: it is 0 for a mismatch too.
const success = "Successfully fsck'd log with size "

// fsck runs Tessera's fsck over a served log. With one worker it hangs at a
// mismatch; it is stopped after some minutes either way.
func fsck(t *testing.T, l *testLedger, url string) string {
	t.Helper()
	tool := program(t, "fsck")
	key := filepath.Join(t.TempDir(), "vkey.txt")
	if err := os.WriteFile(key, []byte(l.vkey), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := output(t, 10*time.Minute, tool, "-N=4", "-ui=false", "-storage_url="+url, "-public_key="+key)
	t.Logf("%v\n%s", err, out)
	return out
}

func TestFsckAgrees(t *testing.T) {
	program(t, "fsck")
	l := newLedger(t)
	l.fill(t, 700) // two full tiles and a part
	url := serve(t, l.log(), nil)
	if out := fsck(t, l, url); !strings.Contains(out, success+"702 ") {
		t.Error("fsck does not vouch for the served log")
	}
}

// flipped is a log of which one stored bit reads wrong.
type flipped struct {
	server.View
	bundle bool // in an entry, else in a hash
}

func (f flipped) Bundle(n uint64, width int) ([]byte, error) {
	b, err := f.View.Bundle(n, width)
	if err == nil && f.bundle && n == 1 {
		b = bytes.Clone(b)
		b[2+len("stele entry v1\n")+40] ^= 1 // in the first entry's control root
	}
	return b, err
}

func (f flipped) Tile(level int, n uint64, width int) ([]byte, error) {
	b, err := f.View.Tile(level, n, width)
	if err == nil && !f.bundle && level == 0 && n == 1 {
		b = bytes.Clone(b)
		b[len(b)/2] ^= 1
	}
	return b, err
}

// The control: if fsck were happy with anything, the test above would say
// nothing.
func TestFsckFindsAFlippedBit(t *testing.T) {
	program(t, "fsck")
	l := newLedger(t)
	l.fill(t, 700)
	for name, bundle := range map[string]bool{"entry": true, "hash": false} {
		t.Run(name, func(t *testing.T) {
			url := serve(t, server.LogFunc(func() (server.View, error) {
				return flipped{l.engine.View(), bundle}, nil
			}), nil)
			out := fsck(t, l, url)
			if strings.Contains(out, success) {
				t.Error("fsck vouches for a log with a flipped bit")
			}
			if !strings.Contains(out, "checking log of size 702") {
				t.Error("fsck did not get as far as checking")
			}
		})
	}
}

// An attacker with the disk flips one bit of an entry in the store itself,
// below every checksum of the database, and starts the server again.
func TestAttackerFlipsAStoredBit(t *testing.T) {
	program(t, "fsck")
	l := newLedger(t)
	l.fill(t, 700)
	if err := l.engine.Close(); err != nil {
		t.Fatal(err)
	}
	flipStored(t, filepath.Join(l.options.Dir, "db"), 300)
	again, err := solo.Open(t.Context(), l.options)
	if err != nil {
		t.Logf("the ledger does not even open: %v", err)
		return
	}
	l.engine = again
	if out := fsck(t, l, serve(t, l.log(), nil)); strings.Contains(out, success) {
		t.Error("fsck vouches for a log with a flipped bit")
	}
}

// flipStored changes one bit in the middle of an entry where it is stored.
func flipStored(t *testing.T, dir string, index uint64) {
	t.Helper()
	db, err := pebble.Open(dir, &pebble.Options{ErrorIfNotExists: true, Logger: silent{}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}()
	want := binary.BigEndian.AppendUint64([]byte("stele entry v1\n"), index)
	it, err := db.NewIter(nil)
	if err != nil {
		t.Fatal(err)
	}
	var key, value []byte
	for ok := it.First(); ok; ok = it.Next() {
		if bytes.Contains(it.Value(), want) {
			key, value = bytes.Clone(it.Key()), bytes.Clone(it.Value())
		}
	}
	if err := it.Close(); err != nil {
		t.Fatal(err)
	}
	if key == nil {
		t.Fatalf("entry %d is not in the store", index)
	}
	value[len(value)/2] ^= 1
	if err := db.Set(key, value, pebble.Sync); err != nil {
		t.Fatal(err)
	}
}

type silent struct{}

func (silent) Infof(string, ...any)  {}
func (silent) Errorf(string, ...any) {}
func (silent) Fatalf(string, ...any) {}

// A log that was exported as files, behind a plain file server: fsck reads it as it
// would read ours.
func TestFsckAgreesOnExportedFiles(t *testing.T) {
	program(t, "fsck")
	l := newLedger(t)
	l.fill(t, 700)
	to, err := place.Parse(filepath.Join(t.TempDir(), "public"))
	if err != nil {
		t.Fatal(err)
	}
	folder, err := to.OpenFolder(t.Context(), place.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer folder.Close()
	export := func() {
		t.Helper()
		if _, err := static.Export(t.Context(), l.engine.View(), folder, static.Options{Contains: func([]byte) error { return nil }}); err != nil {
			t.Fatal(err)
		}
	}
	export()
	files := httptest.NewServer(http.FileServer(http.Dir(to.Path())))
	defer files.Close()
	if out := fsck(t, l, files.URL+"/"); !strings.Contains(out, success+"702 ") {
		t.Error("fsck does not vouch for the exported log")
	}
	if _, err := l.stamp(t.Context(), []byte("one more")); err != nil {
		t.Fatal(err)
	}
	export()
	if out := fsck(t, l, files.URL+"/"); !strings.Contains(out, success+"703 ") {
		t.Error("fsck does not vouch for what was exported later")
	}
}
