package api_test

import (
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/internal/api"
	"github.com/stele-ml/stele/internal/ledger"
	"github.com/stele-ml/stele/internal/ledger/ledgertest"
	"github.com/stele-ml/stele/internal/server"
	"github.com/stele-ml/stele/internal/wire"
	"github.com/stele-ml/stele/statement"
)

type randomBytes struct{}

func (randomBytes) Read(p []byte) (int, error) { return rand.Read(p) }

func writePrivate(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestDocument(t *testing.T) {
	doc := load(t)
	if !doc.IsOpenAPI31OrLater() {
		t.Error("it is not OpenAPI 3.1")
	}
	if err := doc.Validate(t.Context()); err != nil {
		t.Error(err)
	}
	ids := map[string]bool{}
	for _, o := range api.Operations() {
		if ids[o.ID] {
			t.Errorf("two operations are %s", o.ID)
		}
		ids[o.ID] = true
		item := doc.Paths.Find(o.Path)
		if item == nil || item.GetOperation(o.Method) == nil || item.GetOperation(o.Method).OperationID != o.ID {
			t.Errorf("%s %s is not in it as %s", o.Method, o.Path, o.ID)
		}
		if o.Method != http.MethodGet && o.MaxBody == 0 {
			t.Errorf("%s has no limit of its body", o.ID)
		}
	}
	n := 0
	for _, item := range doc.Paths.Map() {
		n += len(item.Operations())
	}
	if n != len(ids) {
		t.Errorf("it has %d operations, the table %d", n, len(ids))
	}
}

// fill puts a little of everything into a ledger.
func (w *world) fill() (data, model statement.Ref) {
	bob := w.Person("bob", statement.RoleApprover, statement.RoleReleaser)
	data = w.Stamped(w.Ada, "fraud/train", "1", "train")
	model = w.Ran(w.Ada, "fraud/model", "1", "model", data)
	w.Evaluated(w.Ada, model, "auc", "0.9", data)
	w.Approved(bob, model, "production")
	w.Released(bob, model, "production")
	w.Withdrawn(w.Ada, w.Stamped(w.Ada, "fraud/old", "1", "old"), statement.TargetBinding, statement.EffectAdvise)
	w.Contract(ledgertest.Rule("prod@1", "statements: [release]", "true"))
	return data, model
}

func TestEveryOperation(t *testing.T) {
	w := stand(t, func(w *world, o *api.Options, _ *server.FrontOptions) {
		o.Delegations = http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
			rw.Header().Set("Content-Type", "application/json")
			rw.WriteHeader(http.StatusCreated)
			fmt.Fprint(rw, `{"delegation":"AA==","rule":"r"}`)
		})
	})
	data, model := w.fill()
	document := []byte("a document")
	sum := fmt.Sprintf("%x", sha256.Sum256(document))
	fp, manifest := manifestOf(t, 2)
	stamp := w.Stamp(w.Ada, w.Ref("fraud/new", "1", "new"))
	payload := w.Stamp(w.Ada, w.Ref("fraud/dry", "1", "dry")).Payload
	key := w.Ada.PublicKey().ID()
	size := w.View().Size()
	for _, c := range []struct {
		method, path string
		body         any
		status       int
		want         string
	}{
		{"GET", "/v1/ledger", nil, 200, `"software":"stele/test"`},
		{"GET", "/v1/proofs/inclusion?index=1", nil, 200, `"checkpoint":`},
		{"GET", "/v1/proofs/inclusion?index=1&size=3", nil, 200, `"size":3`},
		{"GET", "/v1/proofs/consistency?from=1", nil, 200, `"from":1`},
		{"GET", "/v1/proofs/consistency?from=2&to=3", nil, 200, `"size":3`},
		{"GET", "/v1/checkpoints", nil, 200, `"size":1,"note":`},
		{"GET", "/v1/openapi.json", nil, 200, `"openapi":"3.1.0"`},
		{"GET", "/v1/entries", nil, 200, `"kind":"genesis"`},
		{"GET", "/v1/entries?kind=release", nil, 200, `"handle":"bob"`},
		{"GET", "/v1/entries?signer=" + key.String(), nil, 200, `"kind":"run"`},
		{"GET", "/v1/entries?fingerprint=" + model.Fingerprint.String(), nil, 200, `"kind":"evaluation"`},
		{"GET", "/v1/entries?order=descending&limit=1", nil, 200, `"kind":"contract"`},
		{"GET", "/v1/entries/1", nil, 200, `"leaf":`},
		{"HEAD", "/v1/entries/1", nil, 200, ""},
		{"GET", "/v1/entries/0?size=1", nil, 200, `"inclusion":[]`},
		{"GET", "/v1/entries/1/proof", nil, 200, "c2sp.org/tlog-proof@v1"},
		{"GET", "/v1/names?prefix=fraud/m", nil, 200, `"names":["fraud/model"]`},
		{"GET", "/v1/names?prefix=", nil, 200, `"names":["fraud/model","fraud/old","fraud/train"]`},
		{"GET", "/v1/versions?name=fraud/model", nil, 200, `"version":"1"`},
		{"GET", "/v1/versions?name=nobody/knows", nil, 200, `"versions":[]`},
		{"GET", "/v1/artifacts?name=fraud/model&version=1", nil, 200, `"good":true`},
		{"GET", "/v1/artifacts?name=fraud/old&version=1", nil, 200, `"effect":"advise"`},
		{"GET", "/v1/artifacts?fingerprint=" + data.Fingerprint.String(), nil, 200, `"name":"fraud/train"`},
		{"GET", "/v1/lineage?name=fraud/model&version=1", nil, 200, `"inputs":["fraud/train@1"]`},
		{"GET", "/v1/lineage?name=fraud/train&version=1&direction=down", nil, 200, `"name":"fraud/model"`},
		{"GET", "/v1/lineage/edges?name=fraud/model&version=1", nil, 200, `"inputs":["fraud/train@1"],"counts":true`},
		{"GET", "/v1/lineage/edges?name=fraud/train&version=1", nil, 200, `"edges":[]`},
		{"GET", "/v1/lineage/edges?name=fraud/train&version=1&direction=down", nil, 200, `"output":"fraud/model@1"`},
		{"GET", "/v1/stages", nil, 200, `"stages":["production"]`},
		{"GET", "/v1/stages/production", nil, 200, `"name":"fraud/model"`},
		{"GET", "/v1/stages/nobody-knows", nil, 200, `"artifacts":[]`},
		{"GET", "/v1/contracts", nil, 200, `"id":"prod@1"`},
		{"GET", "/v1/contracts/prod", nil, 200, `"handle":"ada"`},
		{"GET", "/v1/identities", nil, 200, `"handle":"bob"`},
		{"GET", "/v1/evidence?name=fraud/model&version=1&lineage=true", nil, 200, "checkpoint"},
		{"PUT", "/v1/attachments/" + sum, document, 204, ""},
		{"GET", "/v1/attachments/" + sum, nil, 200, "a document"},
		{"HEAD", "/v1/attachments/" + sum, nil, 200, ""},
		{"PUT", "/v1/manifests/" + fp.String(), manifest, 204, ""},
		{"GET", "/v1/manifests/" + fp.String(), nil, 200, string(manifest)},
		{"HEAD", "/v1/manifests/" + fp.String(), nil, 200, ""},
		{"POST", "/v1/admission", map[string]any{"payload": payload, "key": key}, 200, `"admitted":true`},
		{"POST", "/v1/entries", envelope(t, stamp), 201, `"existed":false`},
		{"POST", "/v1/entries", envelope(t, stamp), 200, `"existed":true`},
		{"POST", "/v1/entries?wait=cosigned", envelope(t, stamp), 400, "asks no witnesses"},
		{"POST", "/v1/delegations", map[string]any{}, 201, `"rule"`},
		{"POST", "/v1/read", map[string]any{"size": size, "index": ledger.IndexVersion, "ops": []any{map[string]any{"get": []byte("e\x00\x00\x00\x00\x00\x00\x00\x01")}}}, 200, `"entries":[{`},
		{"POST", "/v1/trace", map[string]any{"size": size, "index": ledger.IndexVersion, "ops": []any{}, "lookup": map[string]any{"kind": "up", "name": "fraud/model", "version": "1"}}, 200, `"answers":[{`},
	} {
		t.Run(c.method+" "+c.path, func(t *testing.T) {
			w.t = t
			a := w.ask(c.method, c.path, c.body)
			if a.status != c.status || !strings.Contains(string(a.body), c.want) {
				t.Errorf("%d, want %d with %q:\n%.600s", a.status, c.status, c.want, a.body)
			}
			if a.header.Get("Cache-Control") == "" && a.status != http.StatusNoContent && c.path != "/v1/delegations" {
				t.Error("it does not say how long it may be kept")
			}
		})
	}
	for _, o := range api.Operations() {
		if !w.seen[o.ID] {
			t.Errorf("no request of this test succeeded at %s", o.ID)
		}
	}
}

func hashesOf(p [][]byte) []tlog.Hash { return wire.Hashes(p) }

// What is answered about the log holds under its signed checkpoint.
func TestProofsHold(t *testing.T) {
	w := stand(t)
	w.fill()
	_, vkey := ledgertest.LogKey("1")
	open := func(signed string) evidence.Checkpoint {
		t.Helper()
		cp, _, err := evidence.OpenCheckpoint([]byte(signed), note.VerifierList(vkey.Verifier()))
		if err != nil {
			t.Fatal(err)
		}
		return cp
	}
	for i := range w.View().Size() {
		var e wire.Entry
		w.ask("GET", fmt.Sprintf("/v1/entries/%d", i), nil).into(t, &e)
		cp := open(e.Checkpoint)
		if err := tlog.CheckRecord(hashesOf(e.Inclusion), int64(cp.Size), cp.Root, int64(i), tlog.RecordHash(e.Leaf)); err != nil {
			t.Errorf("entry %d: %v", i, err)
		}
		p, err := evidence.ParseTLogProof(w.ask("GET", fmt.Sprintf("/v1/entries/%d/proof", i), nil).body)
		if err != nil {
			t.Fatal(err)
		}
		cp = open(string(p.Checkpoint))
		if err := tlog.CheckRecord(p.Hashes, int64(cp.Size), cp.Root, int64(i), tlog.RecordHash(e.Leaf)); err != nil || p.Index != i {
			t.Errorf("proof of entry %d: %v", i, err)
		}
		if i == 0 {
			continue
		}
		var c wire.Proof
		w.ask("GET", fmt.Sprintf("/v1/proofs/consistency?from=%d", i), nil).into(t, &c)
		old, err := w.View().AsOf(i)
		if err != nil {
			t.Fatal(err)
		}
		root, err := old.Root()
		if err != nil {
			t.Fatal(err)
		}
		cp = open(c.Checkpoint)
		if err := tlog.CheckTree(hashesOf(c.Hashes), int64(cp.Size), cp.Root, int64(i), root); err != nil {
			t.Errorf("from %d: %v", i, err)
		}
	}
	file, err := evidence.Parse(w.ask("GET", "/v1/evidence?name=fraud/model&version=1&lineage=true", nil).body)
	if err != nil || file == nil {
		t.Errorf("the evidence: %v", err)
	}
}

// A dry run happens at the server's time, and as whom it is told.
func TestAdmission(t *testing.T) {
	now := time.UnixMilli(1_800_000_000_000)
	w := stand(t, func(_ *world, o *api.Options, _ *server.FrontOptions) { o.Now = func() time.Time { return now } })
	issuer, job := ledgertest.P256("issuer"), ledgertest.P256("job")
	w.Put(w.Sign(w.Ada, &statement.Statement{Kind: statement.KindIdentity, Identity: &statement.Identity{
		Action: statement.ActionRegister, Key: issuer.PublicKey(), Handle: "ci", Roles: []string{statement.RoleIssuer}, Names: []string{"fraud/*"},
		Kinds: []statement.Kind{statement.KindStamp}}}))
	w.Contract(ledgertest.Rule("prod@1", "names: [fraud/never], statements: [stamp]", "false", "hint: call it otherwise"))
	d, err := statement.NewDelegation(statement.DelegationClaims{
		Ledger: w.View().ID(), Key: job.PublicKey(), Subject: "repo:acme/fraud", Names: []string{"fraud/*"}, Kinds: []statement.Kind{statement.KindStamp},
		NotBefore: now.UnixMilli(), NotAfter: now.UnixMilli() + 60_000,
	}, issuer)
	if err != nil {
		t.Fatal(err)
	}
	ask := func(name string, more map[string]any) *wire.Admission {
		t.Helper()
		more["payload"] = w.Stamp(w.Ada, w.Ref(name, "1", name)).Payload
		a := w.ask("POST", "/v1/admission", more)
		out := new(wire.Admission)
		a.into(t, out)
		if a.status != http.StatusOK || out.Size != w.View().Size() {
			t.Errorf("%d: %s", a.status, a.body)
		}
		return out
	}
	size := w.View().Size()
	if a := ask("fraud/model", map[string]any{}); !a.Admitted {
		t.Errorf("nobody in particular: %+v", a)
	}
	if a := ask("fraud/never", map[string]any{}); a.Admitted || len(a.Rules) != 1 || a.Rules[0].Hint != "call it otherwise" || a.Rules[0].OK {
		t.Errorf("against a contract: %+v", a)
	}
	if a := ask("fraud/model", map[string]any{"key": ledgertest.P256("stranger").PublicKey().ID()}); a.Admitted || len(a.Refusals) == 0 {
		t.Errorf("a stranger: %+v", a)
	}
	if a := ask("fraud/model", map[string]any{"delegation": d.Encode()}); !a.Admitted {
		t.Errorf("through a delegation: %+v", a)
	}
	if a := ask("other/model", map[string]any{"delegation": d.Encode()}); a.Admitted {
		t.Errorf("a delegation for another name: %+v", a)
	}
	now = now.Add(time.Hour)
	if a := ask("fraud/model", map[string]any{"delegation": d.Encode()}); a.Admitted {
		t.Errorf("a delegation used late: %+v", a)
	}
	if w.View().Size() != size {
		t.Error("something was written")
	}
	payload := w.Stamp(w.Ada, w.Ref("fraud/x", "1", "x")).Payload
	for _, bad := range []map[string]any{
		{"payload": []byte("{}")}, {"payload": payload, "delegation": []byte("none")}, {"payload": payload, "key": "nobody"},
		{"payload": payload, "delegation": d.Encode(), "key": w.Ada.PublicKey().ID()}, {"payload": payload, "extra": 1},
	} {
		if a := w.ask("POST", "/v1/admission", bad); a.status != http.StatusBadRequest {
			t.Errorf("%v: %d %s", bad, a.status, a.body)
		}
	}
}
