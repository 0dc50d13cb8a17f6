package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/fingerprint"
	"github.com/stele-ml/stele/internal/hint"
	"github.com/stele-ml/stele/internal/home"
	"github.com/stele-ml/stele/internal/scan"
	"github.com/stele-ml/stele/internal/solo"
	"github.com/stele-ml/stele/internal/source"
	"github.com/stele-ml/stele/statement"
)

// submit signs stamps and puts them on the ledger.
func (p *person) submit(t *testing.T, stamps int, stamp func(i int) (statement.Ref, *statement.Stamp)) {
	t.Helper()
	getenv := func(name string) string {
		for _, e := range p.env {
			if v, ok := strings.CutPrefix(e, name+"="); ok {
				return v
			}
		}
		return ""
	}
	a := newApp(new(bytes.Buffer), io.Discard, io.Discard, getenv)
	dirs, err := home.Find(getenv)
	if err != nil {
		t.Fatal(err)
	}
	a.livesIn(dirs)
	signer, closeSigner, err := a.signer(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer closeSigner()
	e, err := a.open(t.Context(), filepath.Join(p.dir, ".stele"))
	if err != nil {
		t.Fatal(err)
	}
	defer a.close(e)
	for i := range stamps {
		ref, of := stamp(i)
		st := &statement.Statement{Kind: statement.KindStamp, Ledger: e.View().ID(), Nonce: statement.Nonce{1, byte(i), byte(i >> 8)}, Subject: []statement.Subject{ref.Subject()}, Stamp: of}
		env, err := statement.Sign(st, signer)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := e.Submit(t.Context(), env); err != nil {
			t.Fatal(err)
		}
	}
}

// falseHints puts a manifest of false digests on the shelf of the ledger in dir,
// and marks beside it that fit the data.
func falseHints(t *testing.T, dir, data string) (fingerprint.Fingerprint, *statement.Attachment) {
	t.Helper()
	shelf := solo.OpenShelf(dir)
	var manifest, marks bytes.Buffer
	w := fingerprint.NewWriter(&manifest, fingerprint.SHA256, fingerprint.WriterOptions{})
	mw := hint.NewMarksWriter(&marks)
	src, err := source.OpenLocal(data, source.LocalOptions{Clock: func() time.Time { return time.Now().Add(time.Hour) }})
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	_, err = scan.Run(context.Background(), src, scan.Options{
		Algorithm: fingerprint.SHA256,
		Kept:      func(_ fingerprint.File, m source.Mark, entry uint64) error { return mw.Add(m, entry) },
	}, func(f fingerprint.File) error {
		f.Digest = fingerprint.Digest{6, 6, 6}
		return w.Add(f)
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Close(); err != nil {
		t.Fatal(err)
	}
	m, err := fingerprint.NewReader(bytes.NewReader(manifest.Bytes()), fingerprint.Fingerprint{})
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range m.All() {
		if err != nil {
			t.Fatal(err)
		}
	}
	fp := m.Fingerprint()
	if err := mw.Close(fp); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Dir(shelf.ManifestPath(fp)), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(shelf.ManifestPath(fp), manifest.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	attached, err := shelf.Copy(&marks)
	if err != nil {
		t.Fatal(err)
	}
	details, err := (&app{servers: newServers()}).keepDetails(t.Context(), dir, &statement.Details{Salt: [32]byte{1}, Locations: []string{data}, Marks: &attached})
	if err != nil {
		t.Fatal(err)
	}
	return fp, details
}

// TestAttackHintsOfAForgedEntry: whoever can write the database, but not sign,
// puts another stamp in the place of the last one, with a manifest of false
// digests and marks that fit the data. No later stamp takes anything of it over.
func TestAttackHintsOfAForgedEntry(t *testing.T) {
	p := newPerson(t)
	p.must("init", "--handle", "ada")
	data, err := filepath.Abs("jsonv1") // files that were not written just now
	if err != nil {
		t.Fatal(err)
	}
	p.must("stamp", data, "--as", "lab/a@1")
	p.submit(t, 300, func(i int) (statement.Ref, *statement.Stamp) { // the last entries are checked when a ledger is opened
		fp := fingerprint.Fingerprint{Algorithm: fingerprint.SHA256, Sum: fingerprint.Digest{1, byte(i), byte(i >> 8)}}
		return statement.Ref{Name: "fill/x", Version: fmt.Sprint(i), Fingerprint: fp}, &statement.Stamp{Kind: statement.ArtifactDataset, Files: 1}
	})

	dir := filepath.Join(p.dir, ".stele")
	fp, details := falseHints(t, dir, data)

	// The false stamp, in the place of the one that the log commits to.
	db, err := pebble.Open(filepath.Join(dir, "db"), solo.DatabaseOptions())
	if err != nil {
		t.Fatal(err)
	}
	change := func(key []byte, to func(was []byte) []byte) {
		t.Helper()
		value, closer, err := db.Get(key)
		if err != nil {
			t.Fatal(err)
		}
		is := to(bytes.Clone(value))
		closer.Close()
		if err := db.Set(key, is, pebble.Sync); err != nil {
			t.Fatal(err)
		}
	}
	change(binary.BigEndian.AppendUint64([]byte("e"), 1), func(was []byte) []byte {
		e, err := evidence.ParseEntry(was)
		if err != nil {
			t.Fatal(err)
		}
		st, err := e.Statement()
		if err != nil {
			t.Fatal(err)
		}
		st.Subject = []statement.Subject{statement.Ref{Name: "lab/a", Version: "1", Fingerprint: fp}.Subject()}
		st.Stamp.Details = details
		if e.Envelope.Payload, err = st.Marshal(); err != nil {
			t.Fatal(err)
		}
		return e.Leaf()
	})
	change([]byte("nlab/a\x001"), func(was []byte) []byte { return slices.Concat(was[:9], fp.Sum[:]) })
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}

	p.write("other", "other")
	for _, args := range [][]string{
		{data, "--as", "lab/a@2", "--unchanged-by", "metadata", "--yes"},
		// Nor is what it says signed by anybody who refers to it.
		{"other", "--as", "lab/b@1", "--from", "lab/a@1"},
		{"other", "--as", "lab/b@1", "--since", "lab/a@1"},
		{"--as", "lab/all@1", "--member", "a=lab/a@1"},
	} {
		out, errs, status := p.stele(append([]string{"stamp"}, args...)...)
		if status != exitTampered || !strings.Contains(errs, "entry 1 is not what the log's checkpoint covers") {
			t.Errorf("stamp %v: status %d\n%s%s", args, status, out, errs)
		}
	}
}

// TestAttackMarksOfAnotherMachine: a member signs marks of a path, as if they had
// been made on this machine. A disk's marks are its own machine's alone.
func TestAttackMarksOfAnotherMachine(t *testing.T) {
	p := newPerson(t)
	p.must("init", "--handle", "ada")
	data, err := filepath.Abs("jsonv1")
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(filepath.Join(data, "jsonv1.go"))
	if err != nil {
		t.Fatal(err)
	}
	fp, details := falseHints(t, filepath.Join(p.dir, ".stele"), data)
	p.submit(t, 1, func(int) (statement.Ref, *statement.Stamp) {
		bytes := uint64(info.Size())
		return statement.Ref{Name: "lab/a", Version: "1", Fingerprint: fp},
			&statement.Stamp{Kind: statement.ArtifactDataset, Files: 1, Bytes: bytes, Basis: statement.Basis{Read: bytes}, Details: details}
	})
	out := p.must("stamp", data, "--as", "lab/a@2", "--unchanged-by", "metadata", "--yes", "--json")
	if !strings.Contains(out, `"mtime":0`) || strings.Contains(out, fp.String()+`","name"`) {
		t.Errorf("taken over from another machine: %s", out)
	}
}
