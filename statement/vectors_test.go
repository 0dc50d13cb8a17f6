package statement

import (
	"bytes"
	"encoding/hex"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stele-ml/stele/internal/strictjson"
)

var update = flag.Bool("update", false, "write testdata/vectors anew; the formats are for ever, so only for a new vector")

// vector is testdata/vectors/<name>.json; <name>.payload holds the payload and
// <name>.dsse the envelope as they are.
type vector struct {
	Key       string    `json:"key"` // as ParsePublicKey reads it
	KeyID     KeyID     `json:"keyID"`
	Material  string    `json:"material"`
	PAESHA256 string    `json:"paeSHA256"`
	ID        ID        `json:"id"`
	Binary    string    `json:"binary"` // hex of the binary envelope
	Wire      PublicKey `json:"wire"`
}

func TestVectors(t *testing.T) {
	for _, s := range samples() {
		t.Run(s.name, func(t *testing.T) {
			base := filepath.Join("testdata", "vectors", s.name)
			e := must(Sign(s.st, s.signer))
			material := s.signer.PublicKey().Material()
			pae := AttachmentOf(e.Message()).SHA256
			dsse := must(e.MarshalJSON())
			got := vector{
				Key: string(s.signer.PublicKey().Text()), KeyID: e.KeyID, Material: hex.EncodeToString(material[:]),
				PAESHA256: hex.EncodeToString(pae[:]), ID: e.ID(), Binary: hex.EncodeToString(e.Encode()), Wire: *s.signer.PublicKey(),
			}
			if *update {
				write := func(suffix string, data []byte) {
					if err := os.WriteFile(base+suffix, data, 0o644); err != nil {
						t.Fatal(err)
					}
				}
				write(".payload", e.Payload)
				write(".dsse", dsse)
				write(".json", append(must(strictjson.Marshal(&got)), '\n'))
			}
			if want := must(os.ReadFile(base + ".payload")); !bytes.Equal(e.Payload, want) {
				t.Errorf("payload\n got %s\nwant %s", e.Payload, want)
			}
			if want := must(os.ReadFile(base + ".dsse")); !bytes.Equal(dsse, want) {
				t.Errorf("envelope\n got %s\nwant %s", dsse, want)
			}
			if want := must(os.ReadFile(base + ".json")); string(must(strictjson.Marshal(&got)))+"\n" != string(want) {
				t.Errorf("vector\n got %s\nwant %s", must(strictjson.Marshal(&got)), want)
			}
		})
	}
}

// The vectors are read back from their files alone, as another implementation
// would.
func TestVectorsReadBack(t *testing.T) {
	files := must(filepath.Glob("testdata/vectors/*.json"))
	if len(files) != len(samples()) {
		t.Fatalf("%d vectors for %d samples", len(files), len(samples()))
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			var v vector
			if err := strictjson.Unmarshal(must(os.ReadFile(file)), &v, 1<<20, 3); err != nil {
				t.Fatal(err)
			}
			key, err := ParsePublicKey([]byte(v.Key))
			if err != nil {
				t.Fatal(err)
			}
			if !key.Equal(&v.Wire) || key.ID() != v.KeyID {
				t.Error("the key's two forms differ")
			}
			base := strings.TrimSuffix(file, ".json")
			e, err := ParseEnvelope(must(os.ReadFile(base + ".dsse")))
			if err != nil {
				t.Fatal(err)
			}
			if err := e.Verify(key); err != nil {
				t.Error(err)
			}
			if e.ID() != v.ID {
				t.Errorf("id %s, want %s", e.ID(), v.ID)
			}
			d, err := DecodeEnvelope(must(hex.DecodeString(v.Binary)))
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(must(d.MarshalJSON()), must(e.MarshalJSON())) || !bytes.Equal(d.Encode(), e.Encode()) {
				t.Error("the envelope's two forms differ")
			}
			payload := must(os.ReadFile(base + ".payload"))
			if !bytes.Equal(payload, e.Payload) {
				t.Error("the payload is not the envelope's")
			}
			st, err := Parse(payload)
			if err != nil {
				t.Fatal(err)
			}
			if again := must(st.Marshal()); !bytes.Equal(again, payload) {
				t.Errorf("marshalled again\n got %s\nwant %s", again, payload)
			}
		})
	}
}

func TestDetailsVectors(t *testing.T) {
	for name, details := range map[string]*Details{"details": testDetails(), "details-full": fullDetails(), "details-run": runDetails(), "details-tree": treeDetails()} {
		file := filepath.Join("testdata", "vectors", name)
		got := must(details.Marshal())
		if *update {
			if err := os.WriteFile(file, got, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want := must(os.ReadFile(file))
		if !bytes.Equal(got, want) {
			t.Errorf("%s\n got %s\nwant %s", name, got, want)
		}
		d, err := ParseDetails(want)
		if err != nil {
			t.Fatal(err)
		}
		if again := must(d.Marshal()); !bytes.Equal(again, want) {
			t.Errorf("%s marshalled again\n got %s\nwant %s", name, again, want)
		}
	}
}

// The seed of an audit is what anybody computes from its four parts.
func TestAuditSeedVector(t *testing.T) {
	type vector struct {
		LeafHash string `json:"leafHash"`
		Nonce    string `json:"nonce"`
		Size     uint64 `json:"size"`
		Root     string `json:"root"`
		Seed     string `json:"seed"`
	}
	leafHash, root := AttachmentOf([]byte("leaf")).SHA256, AttachmentOf([]byte("root")).SHA256
	const file = "testdata/audit-seed.json"
	seed := AuditSeed(leafHash, testAuditNonce, 19, root)
	got := append(must(strictjson.Marshal(&vector{hex.EncodeToString(leafHash[:]), hex.EncodeToString(testAuditNonce[:]), 19,
		hex.EncodeToString(root[:]), hex.EncodeToString(seed[:])})), '\n')
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if want := must(os.ReadFile(file)); !bytes.Equal(got, want) {
		t.Errorf("got %s, want %s", got, want)
	}
	for i, other := range [][32]byte{
		AuditSeed(root, testAuditNonce, 19, root), AuditSeed(leafHash, root, 19, root),
		AuditSeed(leafHash, testAuditNonce, 20, root), AuditSeed(leafHash, testAuditNonce, 19, leafHash),
	} {
		if other == seed {
			t.Errorf("part %d says nothing", i)
		}
	}
}
