package statement

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"

	"golang.org/x/crypto/ssh"

	"github.com/stele-ml/stele/fingerprint"
)

// stream is an endless reader of bytes that depend on its label alone:
// SHA-256(label ‖ u64 counter) one after another. The vectors are made from it.
type stream struct {
	label   string
	counter uint64
	left    []byte
}

func newStream(label string) *stream { return &stream{label: label} }

func (s *stream) Read(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		if len(s.left) == 0 {
			sum := sha256.Sum256(binary.BigEndian.AppendUint64([]byte(s.label), s.counter))
			s.counter++
			s.left = sum[:]
		}
		k := copy(p, s.left)
		p, s.left = p[k:], s.left[k:]
	}
	return n, nil
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func p256Key(label string) *ecdsa.PrivateKey { return must(GenerateP256(newStream(label))) }

func edKey(label string) ed25519.PrivateKey { return must(GenerateEd25519(newStream(label))) }

func p256(label string) Signer { return must(NewP256(p256Key(label), nil)) }

func ed(label string) Signer { return must(NewEd25519(edKey(label))) }

func sshEd(label string) Signer {
	return must(NewSSH(must(ssh.NewSignerFromKey(edKey(label))), nil))
}

func sshEC(label string) Signer {
	return must(NewSSH(must(ssh.NewSignerFromKey(p256Key(label))), nil))
}

// vkey makes a log's vkey.
func vkey(origin string, key ed25519.PrivateKey) string {
	b := append([]byte{vkeyEd25519}, key.Public().(ed25519.PublicKey)...)
	sum := sha256.Sum256(append([]byte(origin+"\n"), b...))
	return origin + "+" + hex.EncodeToString(sum[:4]) + "+" + base64.StdEncoding.EncodeToString(b)
}

const testOrigin = "stele.example/fraud-4f7a20c1"

var testLedger = LedgerID(sha256.Sum256([]byte("ledger")))

func testNonce(label string) Nonce { return must(NewNonce(newStream("nonce " + label))) }

func testGenesis() *Statement {
	return &Statement{Kind: KindGenesis, Nonce: testNonce("genesis"), Genesis: &Genesis{
		Origin: testOrigin, Hash: fingerprint.SHA256, Rules: Rules, LogKey: vkey(testOrigin, edKey("log")),
		Administrators: []Administrator{{"alice", p256("alice").PublicKey()}},
		Recovery:       ed("recovery").PublicKey(),
	}}
}

func testRef(name, version string) Ref {
	return Ref{name, version, fingerprint.Fingerprint{
		Algorithm: fingerprint.SHA256, Sum: fingerprint.Digest(sha256.Sum256([]byte(name + "@" + version))),
	}}
}

func testStamp(name, version string) *Statement {
	ref := testRef(name, version)
	return &Statement{
		Kind: KindStamp, Subject: []Subject{ref.Subject()}, Ledger: testLedger, Nonce: testNonce("stamp " + ref.String()),
		Stamp: &Stamp{Kind: ArtifactDataset, Files: 3, Bytes: 1234, Ignore: []string{".git/", "*.tmp"}, Basis: Basis{Read: 1234}},
	}
}

func testRegister(handle string, key *PublicKey, roles, names []string) *Statement {
	return &Statement{Kind: KindIdentity, Ledger: testLedger, Nonce: testNonce("register " + key.ID().String()),
		Identity: &Identity{Action: ActionRegister, Handle: handle, Key: key, Roles: roles, Names: names}}
}

func testLogKey(current, next ed25519.PrivateKey) *Statement {
	st := &Statement{Kind: KindLogKey, Ledger: testLedger, Nonce: testNonce("log key"), LogKey: &LogKey{
		Current: vkey(testOrigin, current), Next: vkey(testOrigin, next),
	}}
	message := LogKeyMessage(st.Ledger, st.LogKey.Current, st.LogKey.Next, st.Nonce)
	st.LogKey.Signatures = LogKeySignatures{ed25519.Sign(current, message), ed25519.Sign(next, message)}
	return st
}

func ptr[T any](v T) *T { return &v }

// fullStamp uses every member of a stamp of files, but for those that
// testCollection and testListed have.
func fullStamp() *Statement {
	st := testStamp("fraud/train", "2026.11")
	st.Stamp.Basis = Basis{Read: 1100, Version: 100, ETag: 30, MTime: 4, Entry: ptr(uint64(7))}
	st.Stamp.From = []Ref{testRef("raw/cards", "7"), testRef("raw/accounts", "12")}
	st.Stamp.Since = ptr(testRef("fraud/train", "2026.10"))
	st.Stamp.Annotations = map[string]string{"team": "fraud", "ticket": "Überprüfung \"ML-7\" <ok>"}
	st.Stamp.Details = ptr(AttachmentOf(must(testDetails().Marshal())))
	return st
}

func testDetails() *Details {
	d := must(NewDetails(newStream("salt")))
	d.Locations = []string{"/data/train", "s3://bucket/train"}
	d.Host = "worker-7"
	d.Command = []string{"python", "-c", "print('a')\nprint('b')"}
	d.Parameters = map[string]string{"lr": "1e-4", "epochs": "3"}
	d.Environment = map[string]string{"CUDA_VISIBLE_DEVICES": "0"}
	d.Manifest = ptr(AttachmentOf([]byte("manifest")))
	return d
}

// fullDetails has what testDetails leaves out.
func fullDetails() *Details {
	d := testDetails()
	d.ManifestLocations = []string{"s3://bucket/train.manifest"}
	d.Marks = ptr(AttachmentOf([]byte("marks")))
	return d
}

// runDetails are of a run: what was run, where, and where its inputs lay.
func runDetails() *Details {
	d := must(NewDetails(newStream("salt of a run")))
	d.Host, d.Directory = "worker-7", "/home/ml/fraud"
	d.Command = []string{"python", "train.py", "--epochs", "3"}
	d.Parameters = map[string]string{"lr": "1e-4", "epochs": "3"}
	d.Environment = map[string]string{"CUDA_VISIBLE_DEVICES": "0"}
	d.Inputs = map[string]string{"fraud/train@2026.11": "s3://bucket/train", "fraud/test@2026.11": "/data/test"}
	return d
}

func treeDetails() *Details {
	d := runDetails()
	d.Tree = TreeDetails{Changed: 2, Untracked: 3, Deleted: 1, LeftOut: 1, LeftOutBytes: 5 << 30}
	return d
}

// testCollection is of two members, and says what changed since an earlier one.
func testCollection() *Statement {
	members := []CollectionMember{
		{"2026-01-02", testRef("raw/day", "2026-01-02"), 2, 14},
		{"2026-01-01", testRef("raw/day", "2026-01-01"), 7, 21},
		{"2026-01-02-late", testRef("raw/late", "1"), 1, 11}, // "-" is less than "/"
	}
	ref := testRef("raw/days", "2026-01-02")
	var files, bytes uint64
	ref.Fingerprint, files, bytes, _ = Collection(fingerprint.SHA256, members)
	return &Statement{
		Kind: KindStamp, Subject: []Subject{ref.Subject()}, Ledger: testLedger, Nonce: testNonce("collection"),
		Stamp: &Stamp{Kind: ArtifactDataset, Files: files, Bytes: bytes, Basis: Basis{Stamped: bytes}, Members: members,
			Since: ptr(testRef("raw/days", "2026-01-01")), Changes: &Changes{Same: 6, Modified: 1, Added: 2, Removed: 4, Moved: 1}},
	}
}

// testListed is of the files that a list names.
func testListed() *Statement {
	st := testStamp("raw/table", "9")
	st.Stamp.Ignore, st.Stamp.Listed = nil, true
	return st
}

// testClaimed is of data that other machines have read.
func testClaimed() *Statement {
	st := testStamp("raw/table", "10")
	st.Stamp.Basis = Basis{Claimed: st.Stamp.Bytes}
	return st
}

var testAuditNonce = sha256.Sum256([]byte("the nonce of an audit"))

func testAudit(label string, audit *Audit) *Statement {
	ref := testRef("fraud/train", "2026.11")
	return &Statement{Kind: KindAudit, Subject: []Subject{ref.Subject()}, Ledger: testLedger, Nonce: testNonce(label), Audit: audit}
}

func testAnnouncement() *Statement {
	return testAudit("announcement", &Audit{
		Details: ptr(AttachmentOf(must(testDetails().Marshal()))),
		Announcement: &AuditAnnouncement{
			Altered: must(ParseFraction("0.005")), Confidence: must(ParseFraction("0.99")), Chunks: 919,
			NonceSHA256: sha256.Sum256(testAuditNonce[:]),
		},
	})
}

func testResult() *Statement {
	leafHash, root := sha256.Sum256([]byte("leaf")), sha256.Sum256([]byte("root"))
	return testAudit("result", &Audit{Result: &AuditResult{
		Announcement: 17, Nonce: testAuditNonce, Checkpoint: AuditCheckpoint{19, root}, Seed: AuditSeed(leafHash, testAuditNonce, 19, root),
		Outcome: OutcomeAltered, ChunksAsked: 919, ChunksRead: 900, BytesRead: 943718400, FilesCompared: 81920, ChunksDiffering: 2, NamesDiffering: 1,
	}})
}

func testWithdrawal() *Statement {
	ref := testRef("fraud/train", "2026.11")
	return &Statement{Kind: KindWithdrawal, Subject: []Subject{ref.Subject()}, Ledger: testLedger, Nonce: testNonce("withdrawal"),
		Withdrawal: &Withdrawal{Target: TargetContents, Effect: EffectNoNewUse, Reason: "consent was revoked", After: 12}}
}

func testReinstatement() *Statement {
	ref := testRef("fraud/train", "2026.11")
	return &Statement{Kind: KindReinstatement, Subject: []Subject{ref.Subject()}, Ledger: testLedger, Nonce: testNonce("reinstatement"),
		Reinstatement: &Reinstatement{Withdrawal: 13, Reason: "consent was given again", After: 13}}
}

// sample is a statement of each form, with who signs it.
type sample struct {
	name   string
	st     *Statement
	signer Signer
}

func samples() []sample {
	location := testWithdrawal()
	location.Nonce = testNonce("withdrawal of a location")
	location.Withdrawal.Target, location.Withdrawal.Location = TargetLocation, "s3://bucket/train"
	successor := testGenesis()
	successor.Nonce = testNonce("successor")
	successor.Genesis.Predecessor = &Predecessor{testLedger, testOrigin, 41, sha256.Sum256([]byte("root"))}
	successor.Genesis.Hash = fingerprint.BLAKE3
	expiring := testRegister("ci", sshEC("ci").PublicKey(), []string{RoleMember}, []string{"fraud/*"})
	expiring.Identity.Expires = 1800000000000
	identity := func(name, action string, since uint64) *Statement {
		return &Statement{Kind: KindIdentity, Ledger: testLedger, Nonce: testNonce(name),
			Identity: &Identity{Action: action, Handle: "bob", KeyID: ed("bob").PublicKey().ID(), Since: since}}
	}
	return []sample{
		{"genesis", testGenesis(), p256("alice")},
		{"genesis-successor", successor, p256("alice")},
		{"identity-register", testRegister("bob", ed("bob").PublicKey(), []string{RoleMember, RoleApprover}, []string{"raw/*", "fraud/train"}), p256("alice")},
		{"identity-register-ssh", expiring, ed("recovery")},
		{"identity-retire", identity("retire", ActionRetire, 0), p256("alice")},
		{"identity-compromised", identity("compromised", ActionCompromised, 4), ed("bob")},
		{"stamp", testStamp("raw/cards", "7"), p256("alice")},
		{"stamp-full", fullStamp(), ed("bob")},
		{"stamp-ssh-ed25519", testStamp("fraud/model", "1"), sshEd("carol")},
		{"stamp-ssh-ecdsa", testStamp("fraud/model", "2"), sshEC("ci")},
		{"stamp-collection", testCollection(), ed("bob")},
		{"stamp-listed", testListed(), p256("alice")},
		{"stamp-claimed", testClaimed(), p256("alice")},
		{"withdrawal", testWithdrawal(), ed("bob")},
		{"withdrawal-location", location, ed("bob")},
		{"reinstatement", testReinstatement(), p256("alice")},
		{"audit-announcement", testAnnouncement(), ed("bob")},
		{"audit-result", testResult(), sshEd("carol")},
		{"run", testRun(), p256("alice")},
		{"run-reported", testReportedRun(), sshEd("carol")},
		{"run-failed", testFailedRun(), ed("bob")},
		{"run-attempt", testAttempt(), ed("bob")},
		{"run-bare", testBareRun(), p256("alice")},
		{"evaluation", testEvaluation(), ed("bob")},
		{"approval", testApproval(DecisionApprove), p256("alice")},
		{"approval-reject", testApproval(DecisionReject), p256("alice")},
		{"release", testRelease(), p256("alice")},
		{"release-leave", testLeave(), p256("alice")},
		{"import-oms", testImportOMS(), ed("bob")},
		{"import-in-toto", testImportInToto(), ed("bob")},
		{"contract", testContract(ContractPut), p256("alice")},
		{"contract-propose", testContract(ContractPropose), ed("bob")},
		{"contract-lift", testLift("the stage is closed"), p256("alice")},
		{"contract-lift-bare", testLift(""), ed("recovery")},
		{"log-key", testLogKey(edKey("log"), edKey("log 2")), p256("alice")},
	}
}
