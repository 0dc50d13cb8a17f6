package solo

import (
	"bytes"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/stele-ml/stele/internal/durable"
	"github.com/stele-ml/stele/statement"
)

// FuzzLogKey: what is parsed is written the same way.
func FuzzLogKey(f *testing.F) {
	f.Add(testKey("1").text())
	f.Fuzz(func(t *testing.T, text []byte) {
		if k, err := parseLogKey(text); err == nil && !bytes.Equal(k.text(), text) {
			t.Fatalf("%q is written %q", text, k.text())
		}
	})
}

// FuzzInfo: ledger.json is parsed strictly and never panics.
func FuzzInfo(f *testing.F) {
	f.Add(Info{Stele: infoVersion, ID: statement.LedgerID{1}, Origin: "stele.example/x"}.text())
	f.Add([]byte(`{"stele":"ledger/v1","Stele":"ledger/v1"}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		mem := vfs.NewMem()
		if err := durable.WriteFile(mem, fileInfo, text); err != nil {
			t.Fatal(err)
		}
		info, err := readInfo(mem, "")
		if err == nil && info.Stele != infoVersion {
			t.Fatalf("%+v", info)
		}
	})
}
