package statement

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stele-ml/stele/fingerprint"
)

func hashOf(label string) [32]byte { return sha256.Sum256([]byte(label)) }

func hexOf(label string) string {
	sum := hashOf(label)
	return hex.EncodeToString(sum[:])
}

// testRun is of a command that Stele started, and has all that a run can have,
// but for what the others have.
func testRun() *Statement {
	tree := testRef("tree", "0").Fingerprint
	return &Statement{Kind: KindRun, Ledger: testLedger, Nonce: testNonce("run"), Run: &Run{
		Observation: ObservationWrapped, Exit: ptr(uint64(0)),
		Inputs: []Ref{testRef("fraud/train", "2026.11"), testRef("fraud/test", "2026.11"), testRef("base/tokenizer", "3")},
		Outputs: []Output{
			{testRef("fraud/report", "2026.11"), &Stamp{Kind: ArtifactOther, Files: 1, Bytes: 4096, Basis: Basis{Read: 4096}}},
			{testRef("fraud/model", "2026.11"), &Stamp{
				Kind: ArtifactModel, Files: 3, Bytes: 1234, Ignore: []string{".git/"}, Basis: Basis{Read: 1234},
				Since: ptr(testRef("fraud/model", "2026.10")), Changes: &Changes{Same: 1, Modified: 2},
				Annotations: map[string]string{"format": "safetensors"}, Details: ptr(AttachmentOf(must(testDetails().Marshal()))),
			}},
		},
		Code:    &Code{Remote: "https://git.example/fraud/train.git", Commit: hexOf("commit")[:40], Dirty: true, Tree: &tree},
		Image:   &Image{Name: "registry.example/ml/train:3.12", SHA256: hashOf("image")},
		Locks:   []LockFile{{"uv.lock", hashOf("uv")}, {"envs/gpu/requirements.txt", hashOf("pip")}},
		Started: 1793501220042, Finished: 1793504820900,
		Details: ptr(AttachmentOf(must(runDetails().Marshal()))),
	}}
}

// testReportedRun is of what a scheduler did: no exit status is known, nor what
// it was made of. The repository is one of SHA-256, and its files were those of
// the commit.
func testReportedRun() *Statement {
	return &Statement{Kind: KindRun, Ledger: testLedger, Nonce: testNonce("reported run"), Run: &Run{
		Observation: ObservationReported,
		Outputs:     []Output{{testRef("fraud/model", "3"), testStamp("fraud/model", "3").Stamp}},
		Code:        &Code{Commit: hexOf("commit")}, Image: &Image{SHA256: hashOf("image")},
		Started: 1793501220000, Finished: 1793501220000,
	}}
}

// testFailedRun was killed: 128 and signal 9.
func testFailedRun() *Statement {
	return &Statement{Kind: KindRun, Ledger: testLedger, Nonce: testNonce("failed run"), Run: &Run{
		Observation: ObservationWrapped, Failed: true, Exit: ptr(uint64(137)), Inputs: []Ref{testRef("fraud/train", "2026.11")},
		Code:    &Code{Remote: "ssh://git@git.example:2222/fraud/train", Commit: hexOf("commit")[:40], Dirty: true},
		Started: 1, Finished: maxTime,
	}}
}

// testAttempt goes on from testFailedRun. One of its outputs was stamped before.
func testAttempt() *Statement {
	return &Statement{Kind: KindRun, Ledger: testLedger, Nonce: testNonce("attempt"), Run: &Run{
		Observation: ObservationReported, Exit: ptr(uint64(0)), AttemptOf: testNonce("failed run"),
		Inputs:  []Ref{testRef("fraud/train", "2026.11")},
		Outputs: []Output{{testRef("fraud/model", "4"), nil}, {testRef("fraud/model", "5"), testStamp("fraud/model", "5").Stamp}},
		Started: 1793501220042, Finished: 1793504820900,
	}}
}

// testBareRun says as little as a run can.
func testBareRun() *Statement {
	return &Statement{Kind: KindRun, Ledger: testLedger, Nonce: testNonce("bare run"), Run: &Run{
		Observation: ObservationWrapped, Exit: ptr(uint64(0)), Started: 1793501220042, Finished: 1793504820900,
	}}
}

// A change makes a payload that is refused.
type change struct{ name, old, new string }

func refuses(t *testing.T, st *Statement, changes []change) {
	t.Helper()
	payload := string(must(st.Marshal()))
	for _, c := range changes {
		changed := strings.Replace(payload, c.old, c.new, 1)
		if changed == payload {
			t.Fatalf("%s: %q is not in %s", c.name, c.old, payload)
		}
		if st, err := Parse([]byte(changed)); !errors.Is(err, ErrFormat) {
			t.Errorf("%s: got %+v, %v", c.name, st, err)
		}
	}
}

func digest(ref Ref) string {
	return `{"` + ref.Fingerprint.Key() + `":"` + ref.Fingerprint.Sum.String() + `"}`
}

func TestParseRefusesRuns(t *testing.T) {
	zeros, zeros16 := strings.Repeat("0", 64), strings.Repeat("0", 32)
	run, failed := testRun().Nonce.String(), testFailedRun().Nonce.String()
	outputs := func(st *Statement) string {
		p := string(must(st.Marshal()))
		from := strings.Index(p, `,"outputs":`)
		return p[from : from+strings.Index(p[from:], `},"resolved`)]
	}
	for name, test := range map[string]struct {
		st      *Statement
		changes []change
	}{
		"run": {testRun(), []change{
			{"another version of the predicate", `slsa.dev/provenance/v1`, `slsa.dev/provenance/v0.2`},
			{"a predicate type of ours", `https://slsa.dev/provenance/v1`, `https://stele.dev/run/v1`},
			{"somebody else's build type", `https://stele.dev/run/v1`, `https://actions.github.io/buildtypes/workflow/v1`},
			{"a build type that looks like ours", `https://stele.dev/run/v1`, `https://stele.dev/run/v1/`},
			{"an unknown field of SLSA's", `"runDetails":{`, `"runDetails":{"byproducts":[],`},
			{"dependencies of the builder", `"builder":{`, `"builder":{"builderDependencies":[],`},
			{"the builder's version", `"builder":{`, `"builder":{"version":{"stele":"1"},`},
			{"an unknown field of the definition", `"buildType":`, `"x":1,"buildType":`},
			{"an unknown external parameter", `"externalParameters":{`, `"externalParameters":{"workflow":"x",`},
			{"an unknown internal parameter", `"internalParameters":{`, `"internalParameters":{"note":"x",`},
			{"a parameter in the open", `"internalParameters":{`, `"internalParameters":{"command":["python"],`},
			{"a nonce besides the id", `"ledger":`, `"nonce":"` + run + `","ledger":`},
			{"a case-folded name", `"observation"`, `"Observation"`},
			{"a case-folded name of SLSA's", `"invocationId"`, `"invocationID"`},
			{"the name that protobuf also takes", `"invocationId"`, `"invocation_id"`},
			{"a twin", `"observation":`, `"observation":"reported","observation":`},
			{"another ledger's form", `"ledger":"` + testLedger.String(), `"ledger":"` + zeros},
			{"no ledger", `"ledger":"` + testLedger.String() + `",`, ``},
			{"no id", `"invocationId":"` + run, `"invocationId":"` + zeros16},
			{"an id with dashes", `"invocationId":"` + run[:8], `"invocationId":"` + run[:4] + `-` + run[4:8]},
			{"an upper-case id", `"invocationId":"` + run, `"invocationId":"` + strings.ToUpper(run)},
			{"an attempt of itself", `"details":`, `"attemptOf":"` + run + `","details":`},
			{"an attempt of nothing, said", `"details":`, `"attemptOf":"` + zeros16 + `","details":`},
			{"a builder of another observation", `builder/wrapped/v1`, `builder/reported/v1`},
			{"an observation of another builder", `"observation":"wrapped"`, `"observation":"reported"`},
			{"an unknown observation", `"observation":"wrapped"`, `"observation":"seen"`},
			{"somebody else's builder", `https://stele.dev/builder/wrapped/v1`, `https://github.com/actions/runner`},
			{"no exit status of a wrapped run", `,"exit":0`, ``},
			{"a failure that did not fail", `"exit":0`, `"failed":true,"exit":0`},
			{"no failure, said", `"exit":0`, `"failed":false,"exit":0`},
			{"an exit status of a failure", `"exit":0`, `"exit":1`},
			{"an exit status past 255", `"exit":0`, `"exit":256`},
			{"a negative exit status", `"exit":0`, `"exit":-1`},
			{"an exit status as text", `"exit":0`, `"exit":"0"`},
			{"no subject of an output", `"subject":[{"name":"fraud/model@2026.11","digest":` + digest(testRef("fraud/model", "2026.11")) + `},`, `"subject":[`},
			{"a subject that is no output", `"subject":[`, `"subject":[{"name":"a@1","digest":` + digest(testRef("a", "1")) + `},`},
			{"a subject out of order", `{"name":"fraud/model@2026.11","digest":` + digest(testRef("fraud/model", "2026.11")) + `}`, `{"name":"fraud/zebra@1","digest":` + digest(testRef("fraud/zebra", "1")) + `}`},
			{"an output that is an input", `"fraud/report@2026.11"`, `"fraud/train@2026.11"`},
			{"an input that is an output", `"fraud/test@2026.11"`, `"fraud/report@2026.11"`},
			{"twin outputs", `"fraud/report@2026.11"`, `"fraud/model@2026.11"`},
			{"an input twice", `"fraud/test@2026.11"`, `"fraud/train@2026.11"`},
			{"inputs out of order", `"base/tokenizer@3"`, `"zebra/tokenizer@3"`},
			{"an input without a version", `"base/tokenizer@3"`, `"base/tokenizer"`},
			{"an input of another hash", `"base/tokenizer@3","digest":{"stele-sha256"`, `"base/tokenizer@3","digest":{"stele-blake3"`},
			{"an input with a plain digest", `"base/tokenizer@3","digest":{"stele-sha256"`, `"base/tokenizer@3","digest":{"sha256"`},
			{"an input with two digests", `"base/tokenizer@3","digest":{`, `"base/tokenizer@3","digest":{"sha256":"` + zeros + `",`},
			{"an input without a digest", `"base/tokenizer@3","digest":` + digest(testRef("base/tokenizer", "3")), `"base/tokenizer@3","digest":{}`},
			{"an input with a place", `"name":"base/tokenizer@3"`, `"name":"base/tokenizer@3","uri":"s3://bucket"`},
			{"an input with an annotation", `"digest":` + digest(testRef("base/tokenizer", "3")), `"digest":` + digest(testRef("base/tokenizer", "3")) + `,"annotations":{"dirty":true}`},
			{"an input with contents", `"name":"base/tokenizer@3"`, `"name":"base/tokenizer@3","content":"eA=="`},
			{"an upper-case input", `"base/tokenizer@3"`, `"Base/tokenizer@3"`},
			{"no dependencies, said", `"resolvedDependencies":[`, `"resolvedDependencies":[],"x":[`},
			{"an output derived from something", `"basis":{"read":4096}`, `"basis":{"read":4096},"from":[{"name":"a@1","digest":` + digest(testRef("a", "1")) + `}]`},
			{"an output of no kind", `"kind":"other",`, ``},
			{"an output that says half", `"kind":"other","files":1,`, ``},
			{"an output of an unknown kind", `"kind":"other"`, `"kind":"file"`},
			{"an output with a ledger of its own", `"kind":"other"`, `"ledger":"` + testLedger.String() + `","kind":"other"`},
			{"an output that does not add up", `"basis":{"read":4096}`, `"basis":{"read":4095}`},
			{"an output since itself", `"fraud/model@2026.10"`, `"fraud/model@2026.11"`},
			{"an output with an unknown member", `"kind":"other"`, `"stage":"x","kind":"other"`},
			{"an output with an upper-case annotation", `"format"`, `"Format"`},
			{"an output too few", outputs(testRun()), `,"outputs":[{}]`},
			{"an output too many", `"outputs":[`, `"outputs":[{},`},
			{"the outputs left out", outputs(testRun()), ``},
			{"code that does not begin with git", `"git+https://`, `"https://`},
			{"code with a password", `https://git.example/`, `https://alice:secret@git.example/`},
			{"code with a token", `https://git.example/`, `https://ghp_token@git.example/`},
			{"code with a token in the query", `train.git"`, `train.git?token=x"`},
			{"code on one's own disk", `https://git.example/`, `file:///home/alice/`},
			{"code at no place, said", `"git+https://git.example/fraud/train.git"`, `""`},
			{"code at git+ alone", `"git+https://git.example/fraud/train.git"`, `"git+"`},
			{"a short commit", hexOf("commit")[:40], hexOf("commit")[:39]},
			{"an upper-case commit", hexOf("commit")[:40], strings.ToUpper(hexOf("commit")[:40])},
			{"a commit of another form", `"gitCommit"`, `"sha1"`},
			{"a commit with a second digest", `"gitCommit":`, `"sha256":"` + zeros + `","gitCommit":`},
			{"clean, said", `"dirty":true`, `"dirty":false`},
			{"clean, with a tree", `,"annotations":{"dirty":true}`, ``},
			{"an annotation that is none", `"dirty":true`, `"dirty":true,"by":"x"`},
			{"an empty annotation", `{"dirty":true}`, `{}`},
			{"code after its tree", `"name":"tree"`, `"name":"code"`},
			{"a tree of another hash", `"name":"tree","digest":{"stele-sha256"`, `"name":"tree","digest":{"stele-blake3"`},
			{"a tree with a plain digest", `"name":"tree","digest":{"stele-sha256"`, `"name":"tree","digest":{"sha256"`},
			{"a tree at a place", `"name":"tree"`, `"name":"tree","uri":"x"`},
			{"an image without its form", `"oci://registry`, `"registry`},
			{"an image with a space", `"oci://registry`, `"oci://regi stry`},
			{"an image with a look-alike", `"oci://registry`, `"oci://rеgistry`},
			{"an image of nothing", `"oci://registry.example/ml/train:3.12"`, `"oci://"`},
			{"an image with a short digest", hexOf("image"), hexOf("image")[:62]},
			{"lock files out of order", `"lock:envs/gpu/requirements.txt"`, `"lock:zebra.txt"`},
			{"a lock file twice", `"lock:envs/gpu/requirements.txt"`, `"lock:uv.lock"`},
			{"a lock file that climbs", `"lock:envs/gpu/requirements.txt"`, `"lock:../requirements.txt"`},
			{"a lock file anywhere", `"lock:envs/gpu/requirements.txt"`, `"lock:/etc/requirements.txt"`},
			{"a lock file of no name", `"lock:envs/gpu/requirements.txt"`, `"lock:"`},
			{"a lock file that clears the screen", `"lock:envs/gpu/requirements.txt"`, `"lock:\u001b[2J"`},
			{"a lock file that turns the text", `"lock:envs/gpu/requirements.txt"`, `"lock:\u202etxt"`},
			{"a lock file with a fingerprint", `"name":"lock:uv.lock","digest":{"sha256"`, `"name":"lock:uv.lock","digest":{"stele-sha256"`},
			{"a dependency of no kind", `"name":"image"`, `"name":"images"`},
			{"a dependency without a name", `"name":"image",`, ``},
			{"two digits of a second", `00.042Z`, `00.04Z`},
			{"no part of a second", `00.042Z`, `00Z`},
			{"six digits of a second", `00.042Z`, `00.042000Z`},
			{"a comma", `00.042Z`, `00,042Z`},
			{"an offset", `00.042Z`, `00.042+00:00`},
			{"another zone", `00.042Z`, `00.042+02:00`},
			{"a lower-case z", `00.042Z`, `00.042z`},
			{"a space for the T", `2026-11-01T02`, `2026-11-01 02`},
			{"a leap second", `:00.900Z`, `:60.900Z`},
			{"the 31st of November", `2026-11-01T02`, `2026-11-31T02`},
			{"24 o'clock", `2026-11-01T02`, `2026-11-01T24`},
			{"five digits of a year", `"2026-11-01T02`, `"12026-11-01T02`},
			{"before 1970", `"2026-11-01T02`, `"1969-11-01T02`},
			{"a time as a number", `"startedOn":"`, `"startedOn":1793501220042,"x":"`},
			{"it finished before it started", `"finishedOn":"2026-11-01`, `"finishedOn":"2026-10-31`},
			{"no start", `"startedOn"`, `"started"`},
			{"an empty attachment", `"size":` + fmt.Sprint(len(must(runDetails().Marshal()))), `"size":0`},
			{"deep nesting", `"ignore":[]`, `"ignore":[[[[]]]]`},
		}},
		"reported": {testReportedRun(), []change{
			{"wrapped, without a status", `"observation":"reported"`, `"observation":"wrapped"`},
			{"wrapped, twice, without a status", `reported`, `wrapped`},
			{"a place of an image, empty", `"name":"image"`, `"name":"image","uri":""`},
			{"a commit of 65 digits", hexOf("commit"), hexOf("commit") + "0"},
			{"a tree without code", `"name":"code","digest":{"gitCommit":"` + hexOf("commit") + `"}`, `"name":"tree","digest":` + digest(testRef("tree", "0"))},
			{"a tree of what is clean", `{"name":"image"`, `{"name":"tree","digest":` + digest(testRef("tree", "0")) + `},{"name":"image"`},
			{"an image twice", `{"name":"image"`, `{"name":"image","digest":{"sha256":"` + zeros + `"}},{"name":"image"`},
			{"the image before the code", `"name":"code"`, `"name":"image"`},
		}},
		// Mallory's run failed, and she wants its model all the same.
		"failed": {testFailedRun(), []change{
			{"a failed run with an output", `"exit":137`, `"exit":137,"outputs":[{}]`},
			{"a failed run with an output as subject", `{"name":"run/` + failed + `","digest":{"stele-run":"` + failed + `"}}`, `{"name":"m@1","digest":` + digest(testRef("m", "1")) + `}`},
			{"both", `{"name":"run/` + failed + `","digest":{"stele-run":"` + failed + `"}}`, `{"name":"run/` + failed + `","digest":{"stele-run":"` + failed + `"}},{"name":"m@1","digest":` + digest(testRef("m", "1")) + `}`},
			{"the name of another run", `"name":"run/` + failed, `"name":"run/` + run},
			{"the id of another run in the digest", `"stele-run":"` + failed, `"stele-run":"` + run},
			{"another id than the subject's", `"invocationId":"` + failed, `"invocationId":"` + run},
			{"another digest", `"stele-run"`, `"sha256"`},
			{"no outputs, said", `"exit":137`, `"exit":137,"outputs":[]`},
			{"not failed", `"failed":true,`, ``},
			{"no subject", `"subject":[{"name":"run/` + failed + `","digest":{"stele-run":"` + failed + `"}}]`, `"subject":[]`},
			{"after the end of time", `9999-12-31`, `10000-01-01`},
		}},
		"attempt": {testAttempt(), []change{
			{"an output stamped before that says something", `[{},`, `[{"kind":"model"},`},
			{"stamps in another order", `[{},{`, `[{`},
			{"a null for what was stamped before", `[{},`, `[null,`},
			{"a list for what was stamped before", `[{},`, `[[],`},
			{"an attempt with dashes", `"attemptOf":"` + failed[:8], `"attemptOf":"` + failed[:8] + `-`},
			{"a collection as an output", `"kind":"dataset"`, `"members":[],"kind":"dataset"`},
		}},
		"bare": {testBareRun(), []change{
			{"no internal parameters", `"internalParameters":`, `"internal":`},
			{"external parameters left empty", `"externalParameters":{"ledger":"` + testLedger.String() + `"}`, `"externalParameters":{}`},
		}},
	} {
		t.Run(name, func(t *testing.T) { refuses(t, test.st, test.changes) })
	}
}

// What Parse would refuse is never signed.
func TestMarshalRefusesRuns(t *testing.T) {
	refs := func(n int) (list []Ref) {
		for i := range n {
			list = append(list, testRef("x", fmt.Sprint(i)))
		}
		return list
	}
	blake := testRef("b", "1")
	blake.Fingerprint.Algorithm = fingerprint.BLAKE3
	for name, change := range map[string]func(*Run){
		"no observation":                    func(r *Run) { r.Observation = "" },
		"an observation with a path":        func(r *Run) { r.Observation = "wrapped/v1" },
		"no start":                          func(r *Run) { r.Started = 0 },
		"a start before 1970":               func(r *Run) { r.Started = -1 },
		"an end past 9999":                  func(r *Run) { r.Finished = maxTime + 1 },
		"an end before the start":           func(r *Run) { r.Finished = r.Started - 1 },
		"status 256":                        func(r *Run) { r.Failed, r.Outputs, r.Exit = true, nil, ptr(uint64(256)) },
		"status 1 of a success":             func(r *Run) { r.Exit = ptr(uint64(1)) },
		"status 0 of a failure":             func(r *Run) { r.Failed, r.Outputs = true, nil },
		"a failure with outputs":            func(r *Run) { r.Failed, r.Exit = true, ptr(uint64(1)) },
		"a wrapped run without status":      func(r *Run) { r.Exit = nil },
		"an attempt of itself":              func(r *Run) { r.AttemptOf = testNonce("run") },
		"101 references":                    func(r *Run) { r.Inputs = refs(MaxReferences - 1) },
		"an input twice":                    func(r *Run) { r.Inputs = append(r.Inputs, r.Inputs[0]) },
		"an input that is an output":        func(r *Run) { r.Inputs = append(r.Inputs, r.Outputs[0].Ref) },
		"an output twice":                   func(r *Run) { r.Outputs = append(r.Outputs, r.Outputs[0]) },
		"an output of other bytes twice":    func(r *Run) { r.Outputs = append(r.Outputs, Output{Ref: blakeless(r.Outputs[0].Ref)}) },
		"an input of another hash":          func(r *Run) { r.Inputs = append(r.Inputs, blake) },
		"an output of another hash":         func(r *Run) { r.Outputs = append(r.Outputs, Output{Ref: blake}) },
		"an input without fingerprint":      func(r *Run) { r.Inputs = []Ref{{Name: "a", Version: "1"}} },
		"an input of no name":               func(r *Run) { r.Inputs[0].Name = "" },
		"an input of no version":            func(r *Run) { r.Inputs[0].Version = "" },
		"an output with from":               func(r *Run) { r.Outputs[0].Stamp.From = refs(1) },
		"an output that is a collection":    func(r *Run) { *r.Outputs[0].Stamp = *testCollection().Stamp },
		"an output since itself":            func(r *Run) { r.Outputs[1].Stamp.Since = &r.Outputs[1].Ref },
		"no commit":                         func(r *Run) { r.Code.Commit = "" },
		"a branch for a commit":             func(r *Run) { r.Code.Commit = "main" },
		"a tree of what is clean":           func(r *Run) { r.Code.Dirty = false },
		"a tree without fingerprint":        func(r *Run) { r.Code.Tree = new(fingerprint.Fingerprint) },
		"a tree of another hash":            func(r *Run) { r.Code.Tree = &blake.Fingerprint },
		"a remote with a password":          func(r *Run) { r.Code.Remote = "https://a:b@git.example/x" },
		"an image with a space":             func(r *Run) { r.Image.Name = "a b" },
		"a lock file without a digest":      func(r *Run) { r.Locks[0].SHA256 = [32]byte{} },
		"an image without a digest":         func(r *Run) { r.Image.SHA256 = [32]byte{} },
		"the null commit":                   func(r *Run) { r.Code.Commit = strings.Repeat("0", 40) },
		"a lock file twice":                 func(r *Run) { r.Locks = append(r.Locks, r.Locks[0]) },
		"33 lock files":                     func(r *Run) { r.Locks = manyLocks(MaxLocks + 1) },
		"a lock file at an absolute path":   func(r *Run) { r.Locks[0].Path = "/uv.lock" },
		"a lock file with a long path":      func(r *Run) { r.Locks[0].Path = strings.Repeat("x", MaxLockPath+1) },
		"a lock file whose name is no text": func(r *Run) { r.Locks[0].Path = "a\u200bb" },
		"an empty attachment":               func(r *Run) { r.Details = new(Attachment) },
	} {
		st := testRun()
		change(st.Run)
		if payload, err := st.Marshal(); !errors.Is(err, ErrFormat) {
			t.Errorf("%s: got %s, %v", name, payload, err)
		}
	}
	for name, change := range map[string]func(*Statement){
		"another subject":        func(st *Statement) { st.Subject = []Subject{testRef("a", "1").Subject()} },
		"a subject too few":      func(st *Statement) { st.Subject = st.Run.subject(st)[:1] },
		"no id":                  func(st *Statement) { st.Nonce = Nonce{} },
		"no ledger":              func(st *Statement) { st.Ledger = LedgerID{} },
		"a stamp besides":        func(st *Statement) { st.Stamp = testStamp("a", "1").Stamp },
		"a run that says it not": func(st *Statement) { st.Run = nil },
	} {
		st := testRun()
		change(st)
		if payload, err := st.Marshal(); !errors.Is(err, ErrFormat) {
			t.Errorf("%s: got %s, %v", name, payload, err)
		}
	}
	full := testRun()
	full.Run.Inputs, full.Run.Locks = refs(MaxReferences-len(full.Run.Outputs)), manyLocks(MaxLocks)
	full.Run.Code.Remote = "https://" + strings.Repeat("x", MaxRemote-len("https://"))
	full.Run.Image.Name = strings.Repeat("x", MaxImageName)
	if _, err := Parse(must(full.Marshal())); err != nil {
		t.Errorf("a run at its limits: %v", err)
	}
}

// blakeless is the same name with other bytes.
func blakeless(r Ref) Ref {
	r.Fingerprint.Sum[0]++
	return r
}

func manyLocks(n int) (list []LockFile) {
	for i := range n {
		list = append(list, LockFile{fmt.Sprintf("env%d/uv.lock", i), hashOf("uv")})
	}
	return list
}

// A run's lists have one order on the wire, whatever that of the caller.
func TestRunInOrder(t *testing.T) {
	st := testRun()
	payload := must(st.Marshal())
	r := st.Run
	r.Inputs[0], r.Inputs[2] = r.Inputs[2], r.Inputs[0]
	r.Outputs[0], r.Outputs[1] = r.Outputs[1], r.Outputs[0]
	r.Locks[0], r.Locks[1] = r.Locks[1], r.Locks[0]
	if again := must(st.Marshal()); !bytes.Equal(again, payload) {
		t.Errorf("another order\n got %s\nwant %s", again, payload)
	}
	if r.Outputs[0].Ref.Name != "fraud/model" || r.Inputs[0].Name != "base/tokenizer" {
		t.Error("the caller's lists were changed")
	}
	parsed := must(Parse(payload))
	if o := parsed.Run.Outputs; o[0].Ref.Name != "fraud/model" || o[0].Stamp.Files != 3 || o[1].Stamp.Bytes != 4096 {
		t.Errorf("outputs %+v", o)
	}
	if i := parsed.Run.Inputs; len(i) != 3 || i[0].Name != "base/tokenizer" || i[2].Name != "fraud/train" {
		t.Errorf("inputs %+v", i)
	}
	if len(parsed.Subject) != 2 || parsed.Nonce != st.Nonce || parsed.Ledger != testLedger {
		t.Errorf("got %+v", parsed)
	}
}

// Stamps and StampOf say what a statement binds, and no more.
func TestStamps(t *testing.T) {
	attempt := must(Parse(must(testAttempt().Marshal())))
	if len(attempt.Subject) != 2 || attempt.Run.Outputs[0].Stamp != nil {
		t.Fatalf("got %+v", attempt.Run)
	}
	stamps := attempt.Stamps()
	if len(stamps) != 1 || stamps[0].Ref != testRef("fraud/model", "5") || stamps[0].Stamp.Files != 3 {
		t.Errorf("a run stamps %+v", stamps)
	}
	if ref, s, ok := attempt.StampOf("fraud/model", "5"); !ok || ref != testRef("fraud/model", "5") || s == nil {
		t.Errorf("StampOf: %v %v %v", ref, s, ok)
	}
	for _, version := range []string{"4", "6"} {
		if ref, s, ok := attempt.StampOf("fraud/model", version); ok || s != nil {
			t.Errorf("a run stamps version %s, as %v", version, ref)
		}
	}
	stamp := testStamp("raw/cards", "7")
	if _, s, ok := stamp.StampOf("raw/cards", "7"); !ok || s != stamp.Stamp {
		t.Error("a stamp stamps its artifact")
	}
	if _, _, ok := stamp.StampOf("raw/cards", "8"); ok {
		t.Error("a stamp stamps another version")
	}
	for _, st := range []*Statement{testWithdrawal(), testGenesis(), testFailedRun(), testBareRun(), testEvaluation(), testRelease(), testImportOMS(),
		{Kind: KindStamp}, {Kind: KindRun}, {Kind: KindStamp, Stamp: stamp.Stamp}} {
		if got := st.Stamps(); got != nil {
			t.Errorf("a %s stamps %v", st.Kind, got)
		}
	}
}

// What is about one artifact names it, what is not does not, and what no longer
// holds is a control entry.
func TestRefAndControl(t *testing.T) {
	for _, s := range samples() {
		st := must(Parse(must(s.st.Marshal())))
		ref, err := st.Ref()
		about := strings.Contains(st.Subject[0].Name, "@") && st.Kind != KindRun && st.Kind != KindContract
		if about != (err == nil) || err == nil && ref.String() != st.Subject[0].Name || err != nil && !errors.Is(err, ErrFormat) {
			t.Errorf("%s: %v, %v", s.name, ref, err)
		}
		control := strings.HasPrefix(s.name, "genesis") || strings.HasPrefix(s.name, "identity") || strings.HasPrefix(s.name, "withdrawal") ||
			strings.HasPrefix(s.name, "contract") || s.name == "reinstatement" || s.name == "log-key" || s.name == "approval-reject"
		if st.Control() != control {
			t.Errorf("%s: control entry: %v", s.name, st.Control())
		}
	}
}

func TestCheckRemote(t *testing.T) {
	for _, remote := range []string{
		"https://github.com/stele-ml/stele", "https://git.example:8443/a/b.git", "http://git.example/a", "git://git.example/a",
		"ssh://git@github.com/a/b.git", "ssh://git.example:2222/a", "https://git.example", "https://[2001:db8::1]:8443/a", "https://git.example/a@b", "https://git.example/%C3%BC",
	} {
		if err := CheckRemote(remote); err != nil {
			t.Errorf("%s: %v", remote, err)
		}
	}
	const secret = "hunter2"
	for _, remote := range []string{
		"", "https://", "https:///a", "github.com/a/b", "git@github.com:a/b.git", "/home/alice/repo", "file:///home/alice/repo", "../repo", "C:\\repo",
		"HTTPS://git.example/a", "git+https://git.example/a", "ext::sh -c x", "HTTPS://" + secret + "@git.example/a", secret + "@git.example:a/b", "https://" + secret + "@git.example/a", "https://alice:" + secret + "@git.example/a",
		"ssh://git:" + secret + "@git.example/a", "ssh://@git.example/a", "ssh://a@b@git.example/a", "https://git.example/a?token=" + secret, "https://git.example/a#" + secret,
		"https://git.example/a b", "https://git.example\\@x/a", "https://git.example/\u202e", "https://gіt.example/a" /* Cyrillic і */, "https://git.example/ü", "https://git.example/a\n", "https://git.example/<b>", "https://git.example/" + strings.Repeat("x", MaxRemote),
	} {
		err := CheckRemote(remote)
		if !errors.Is(err, ErrFormat) {
			t.Errorf("%s: %v", remote, err)
		} else if strings.Contains(err.Error(), secret) {
			t.Errorf("the refusal tells the secret: %v", err)
		}
	}
}

func TestCheckImageName(t *testing.T) {
	for _, name := range []string{"python", "python:3.12-slim", "ghcr.io/a/b_c:1.0+x", "localhost:5000/a@sha256:" + hexOf("image")} {
		if err := CheckImageName(name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, name := range []string{"", "/a", "a b", "a\n", "ä", "a?b", strings.Repeat("a", MaxImageName+1)} {
		if err := CheckImageName(name); !errors.Is(err, ErrFormat) {
			t.Errorf("%q: %v", name, err)
		}
	}
}

// One time has one spelling, and it is that of its millisecond.
func TestTimes(t *testing.T) {
	for ms, text := range map[int64]string{
		1: "1970-01-01T00:00:00.001Z", 1793501220042: "2026-11-01T02:47:00.042Z", 1709164800000: "2024-02-29T00:00:00.000Z", maxTime: "9999-12-31T23:59:59.999Z",
	} {
		got, err := parseTime(text)
		if err != nil || got != ms || formatTime(ms) != text {
			t.Errorf("%s: %d, %s, %v", text, got, formatTime(ms), err)
		}
	}
	for _, text := range []string{
		"", "2026-11-01", "2026-11-01T02:47:00Z", "2026-11-01T02:47:00.04Z", "2026-11-01T02:47:00.0420Z", "2026-11-01T02:47:00,042Z",
		"2026-11-01T02:47:00.042", "2026-11-01T02:47:00.042z", "2026-11-01t02:47:00.042Z", "2026-11-01T02:47:00.042+00:00", "2026-11-01T2:47:00.042Z",
		"2023-02-29T00:00:00.000Z", "2026-13-01T00:00:00.000Z", "2026-11-01T24:00:00.000Z", "2026-11-01T23:59:60.000Z", "+2026-11-01T02:47:00.042Z",
		"2026-11-01T02:47:00.042Z ", "٢٠٢٦-11-01T02:47:00.042Z", "02026-11-01T02:47:00.042Z",
	} {
		if got, err := parseTime(text); !errors.Is(err, ErrFormat) {
			t.Errorf("%q: %d, %v", text, got, err)
		}
	}
}
