package main

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stele-ml/stele/internal/ledger/ledgertest"
	"github.com/stele-ml/stele/internal/trace"
	"github.com/stele-ml/stele/statement"
)

// What a person named is found, and they are told what it was taken for.
func TestTraceOfWhatWasNamed(t *testing.T) {
	l := ledgertest.New(t)
	raw := l.Stamped(l.Ada, "raw", "1", "raw")
	two := l.Put(l.Run(l.Ada, []statement.Ref{raw}, []statement.Output{l.Made("model", "1", "model"), l.Made("report", "1", "report")}))
	l.Stamped(l.Ada, "copy", "1", "model")
	r, err := newReading(l.View())
	if err != nil {
		t.Fatal(err)
	}
	_, st, err := r.Statement(two)
	if err != nil {
		t.Fatal(err)
	}
	for arg, want := range map[string]struct{ by, roots, note string }{
		"model@1":                {byVersion, "model@1", ""},
		"model":                  {byName, "model@1", "model@1 is the latest version of model\n"},
		raw.Fingerprint.String(): {byFingerprint, "raw@1", ""},
		l.Ref("model", "1", "model").Fingerprint.String(): {byFingerprint, "model@1 copy@1", "these bytes have 2 names\n"},
		"1":               {byEntry, "raw@1", "entry 1, of kind stamp, is about raw@1\n"},
		fmt.Sprint(two):   {byEntry, "model@1 report@1", fmt.Sprintf("run %s made 2 artifacts\n", st.Nonce)},
		st.Nonce.String(): {byRun, "model@1 report@1", fmt.Sprintf("run %s made 2 artifacts\n", st.Nonce)},
	} {
		w, err := parseWanted(arg)
		if err != nil {
			t.Fatal(err)
		}
		named, err := r.lookUp(w)
		if err != nil {
			t.Fatal(err)
		}
		tr, err := r.trace(named, trace.Reach{Up: true, Down: true})
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		a := newApp(strings.NewReader(""), &out, &out, func(string) string { return "" })
		a.noteNamed(tr, named)
		if roots := strings.Join(tr.Roots, " "); tr.Asked != arg || tr.By != want.by || roots != want.roots || out.String() != want.note {
			t.Errorf("%s: by %s, %s, %q; want %+v", arg, tr.By, roots, out.String(), want)
		}
	}
}

// What an argument names is told by its form.
func TestParseWanted(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	for _, name := range []string{"folder", "12", "raw@2"} {
		if err := os.Mkdir(name, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	fp := "stele-sha256:" + strings.Repeat("0a", 32)
	for arg, want := range map[string]string{
		"raw@1": byVersion, "clinic/raw@2026-11-01": byVersion, "raw": byName, "7": byEntry, fp: byFingerprint,
		strings.Repeat("0a", 16): byRun, strings.Repeat("12", 16): byRun, strings.Repeat("0a", 32): byName,
		"./raw": byPlace, "/tmp/raw@1": byPlace, "s3://bucket/key": byPlace, "folder": byPlace, "12": byPlace, "raw@2": byPlace, ".": byPlace,
		"Raw": "", "raw@": "", "@1": "", "stele-sha256:12": "", "raw@1@2": "", "-1": "", "a b": "", "18446744073709551616": byName,
	} {
		w, err := parseWanted(arg)
		if err == nil && w.by != want || (err != nil) != (want == "") {
			t.Errorf("%s: %q, %v; want %q", arg, w.by, err, want)
		}
		if err != nil && statusOf(err) != exitUsage {
			t.Errorf("%s: %v", arg, err)
		}
	}
}
