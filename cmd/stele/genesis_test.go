package main

import (
	"crypto/rand"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stele-ml/stele/fingerprint"
	"github.com/stele-ml/stele/internal/solo"
	"github.com/stele-ml/stele/statement"
)

// TestAttackAnotherGenesis: whoever runs a log begins it anew, with the same
// name and the same log key and administrators of their choice. Who saw the
// first ledger is told.
func TestAttackAnotherGenesis(t *testing.T) {
	const origin = "example.com/log"
	key, err := solo.GenerateLogKey(origin, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	begin := func(contents string) (p *person, data string) {
		p = newPerson(t)
		p.must("key", "new")
		home := map[string]string{}
		for _, e := range p.env {
			name, value, _ := strings.Cut(e, "=")
			home[name] = value
		}
		text, err := os.ReadFile(filepath.Join(home["STELE_CONFIG"], "keys", "default.pem"))
		if err != nil {
			t.Fatal(err)
		}
		ada, err := statement.ParsePrivateKey(text, rand.Reader, nil)
		if err != nil {
			t.Fatal(err)
		}
		recoveryKey, err := statement.GenerateEd25519(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		recovery, err := statement.NewEd25519(recoveryKey)
		if err != nil {
			t.Fatal(err)
		}
		nonce, err := statement.NewNonce(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		genesis, err := statement.Sign(&statement.Statement{Kind: statement.KindGenesis, Nonce: nonce, Genesis: &statement.Genesis{
			Origin: origin, Hash: fingerprint.SHA256, Rules: statement.Rules, LogKey: key.VKey().String(),
			Administrators: []statement.Administrator{{Handle: "ada", Key: ada.PublicKey()}}, Recovery: recovery.PublicKey(),
		}}, ada)
		if err != nil {
			t.Fatal(err)
		}
		e, err := solo.Create(t.Context(), solo.Options{Dir: filepath.Join(p.dir, ".stele"), State: filepath.Join(home["STELE_STATE"], "ledgers")}, genesis, key)
		if err != nil {
			t.Fatal(err)
		}
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
		data = filepath.Join(p.dir, "data")
		if err := os.WriteFile(data, []byte(contents), 0o644); err != nil {
			t.Fatal(err)
		}
		p.must("trust", "add", key.VKey().String())
		p.must("stamp", data, "--as", "lab/data@1")
		p.must("prove", "lab/data@1", "-o", "evidence.json")
		return p, data
	}
	first, good := begin("good")
	second, bad := begin("bad")

	bob := newPerson(t)
	bob.must("trust", "add", key.VKey().String())
	bob.must("verify", "lab/data@1", good, "--ledger", first.dir)
	for _, args := range [][]string{
		{"verify", "lab/data@1", bad, "--ledger", second.dir},
		{"verify", "--evidence", filepath.Join(second.dir, "evidence.json"), bad},
		{"list", "--ledger", second.dir},
	} {
		out, errs, status := bob.stele(args...)
		if status != exitUntrusted || !strings.Contains(errs, "two histories") {
			t.Errorf("stele %v: status %d\n%s%s", args, status, out, errs)
		}
	}
	bob.must("verify", "lab/data@1", good, "--ledger", first.dir)
	bob.must("verify", "--evidence", filepath.Join(first.dir, "evidence.json"), good)
}
