// Package ledgertest makes ledgers' statements for tests and benchmarks: keys
// that are the same in every run, and whatever they may sign.
package ledgertest

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/binary"
	"fmt"

	"golang.org/x/mod/sumdb/note"

	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/fingerprint"
	"github.com/stele-ml/stele/statement"
)

// Origin is the origin of the ledgers made here.
const Origin = "stele.example/test"

// Seed returns 32 bytes that follow from a name.
func Seed(name string) []byte {
	s := sha256.Sum256([]byte("ledgertest " + name))
	return s[:]
}

// Ed25519 returns the signer of a name.
func Ed25519(name string) statement.Signer {
	return must(statement.NewEd25519(ed25519.NewKeyFromSeed(Seed(name))))
}

// P256 returns the signer of a name. Its signatures are deterministic.
func P256(name string) statement.Signer {
	key := must(ecdsa.ParseRawPrivateKey(elliptic.P256(), Seed(name)))
	return must(statement.NewP256(key, nil))
}

// LogKey returns the log key of a name.
func LogKey(name string) (note.Signer, evidence.VKey) {
	s, k, err := evidence.NewSigner(Origin, LogPrivateKey(name))
	if err != nil {
		panic(err)
	}
	return s, k
}

// LogPrivateKey returns the private half of LogKey.
func LogPrivateKey(name string) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(Seed("log " + name))
}

// Maker makes statements for one ledger, each with another nonce.
type Maker struct {
	Ledger statement.LedgerID
	Hash   fingerprint.Algorithm // SHA256 if zero
	nonce  uint64
}

// Nonce returns the next nonce.
func (m *Maker) Nonce() (n statement.Nonce) {
	m.nonce++
	binary.BigEndian.PutUint64(n[:], m.nonce)
	return n
}

// Sign signs a statement whose ledger and nonce it fills in.
func (m *Maker) Sign(by statement.Signer, st *statement.Statement) *statement.Envelope {
	if st.Kind != statement.KindGenesis && st.Ledger.IsZero() {
		st.Ledger = m.Ledger
	}
	if st.Nonce.IsZero() {
		st.Nonce = m.Nonce()
	}
	return must(statement.Sign(st, by))
}

// Genesis makes the genesis: administrator "ada", a recovery key "recovery".
func (m *Maker) Genesis(ada statement.Signer, logKey evidence.VKey) *statement.Envelope {
	return m.Sign(ada, &statement.Statement{Kind: statement.KindGenesis, Genesis: &statement.Genesis{
		Origin: logKey.Name, Hash: m.hash(), Rules: statement.Rules, LogKey: logKey.String(),
		Administrators: []statement.Administrator{{Handle: "ada", Key: ada.PublicKey()}},
		Recovery:       Ed25519("recovery").PublicKey(),
	}})
}

func (m *Maker) hash() fingerprint.Algorithm {
	if m.Hash == 0 {
		return fingerprint.SHA256
	}
	return m.Hash
}

// Fingerprint returns a fingerprint that follows from some text.
func (m *Maker) Fingerprint(text string) fingerprint.Fingerprint {
	return fingerprint.Fingerprint{Algorithm: m.hash(), Sum: sha256.Sum256([]byte(text))}
}

// Ref returns name@version with the fingerprint of contents.
func (m *Maker) Ref(name, version, contents string) statement.Ref {
	return statement.Ref{Name: name, Version: version, Fingerprint: m.Fingerprint(contents)}
}

// Stamp makes a stamp; more may change it before it is signed.
func (m *Maker) Stamp(by statement.Signer, ref statement.Ref, more ...func(*statement.Stamp)) *statement.Envelope {
	s := &statement.Stamp{Kind: statement.ArtifactDataset, Files: 1, Bytes: 7, Basis: statement.Basis{Read: 7}}
	for _, f := range more {
		f(s)
	}
	return m.Sign(by, &statement.Statement{Kind: statement.KindStamp, Subject: []statement.Subject{ref.Subject()}, Stamp: s})
}

// Stamps makes n stamps of different names.
func (m *Maker) Stamps(by statement.Signer, prefix string, n int) []*statement.Envelope {
	list := make([]*statement.Envelope, n)
	for i := range list {
		v := fmt.Sprint(i)
		list[i] = m.Stamp(by, m.Ref(prefix, v, prefix+v))
	}
	return list
}

// Member is an artifact of Stamp's, under a prefix.
func (m *Maker) Member(prefix string, ref statement.Ref) statement.CollectionMember {
	return statement.CollectionMember{Prefix: prefix, Ref: ref, Files: 1, Bytes: 7}
}

// Collect makes a stamp of a collection; more may change it before it is signed.
func (m *Maker) Collect(by statement.Signer, name, version string, members []statement.CollectionMember, more ...func(*statement.Stamp)) *statement.Envelope {
	fp, files, bytes, err := statement.Collection(m.hash(), members)
	if err != nil {
		panic(err)
	}
	return m.Stamp(by, statement.Ref{Name: name, Version: version, Fingerprint: fp}, append([]func(*statement.Stamp){func(s *statement.Stamp) {
		s.Files, s.Bytes, s.Basis, s.Members = files, bytes, statement.Basis{Stamped: bytes}, members
	}}, more...)...)
}

// Announce makes the announcement of an audit with the nonce of a name.
func (m *Maker) Announce(by statement.Signer, ref statement.Ref, nonce string) *statement.Envelope {
	return m.Sign(by, &statement.Statement{Kind: statement.KindAudit, Subject: []statement.Subject{ref.Subject()}, Audit: &statement.Audit{
		Announcement: &statement.AuditAnnouncement{Altered: 5_000_000, Confidence: 990_000_000, Chunks: 919, NonceSHA256: sha256.Sum256(Seed(nonce))}}})
}

// Result makes the result of an announced audit that found nothing; more may
// change it before it is signed, after which the seed is made to fit unless it
// was changed.
func (m *Maker) Result(by statement.Signer, ref statement.Ref, announced *evidence.Entry, cp evidence.Checkpoint, nonce string, more ...func(*statement.AuditResult)) *statement.Envelope {
	r := &statement.AuditResult{
		Announcement: announced.Index, Nonce: [32]byte(Seed(nonce)), Checkpoint: statement.AuditCheckpoint{Size: cp.Size, Root: cp.Root},
		Outcome: statement.OutcomeHeld, ChunksAsked: 1, ChunksRead: 1, BytesRead: 7, FilesCompared: 1,
	}
	for _, f := range more {
		f(r)
	}
	if r.Seed == [32]byte{} {
		r.Seed = statement.AuditSeed(announced.LeafHash(), r.Nonce, r.Checkpoint.Size, r.Checkpoint.Root)
	}
	return m.Sign(by, &statement.Statement{Kind: statement.KindAudit, Subject: []statement.Subject{ref.Subject()}, Audit: &statement.Audit{Result: r}})
}

// Withdraw makes a withdrawal.
func (m *Maker) Withdraw(by statement.Signer, ref statement.Ref, target string, after uint64) *statement.Envelope {
	w := &statement.Withdrawal{Target: target, Effect: statement.EffectNoNewUse, Reason: "a test", After: after}
	if target == statement.TargetLocation {
		w.Location = "s3://bucket/key"
	}
	return m.Sign(by, &statement.Statement{Kind: statement.KindWithdrawal, Subject: []statement.Subject{ref.Subject()}, Withdrawal: w})
}

// Reinstate makes a reinstatement.
func (m *Maker) Reinstate(by statement.Signer, ref statement.Ref, withdrawal, after uint64) *statement.Envelope {
	return m.Sign(by, &statement.Statement{Kind: statement.KindReinstatement, Subject: []statement.Subject{ref.Subject()},
		Reinstatement: &statement.Reinstatement{Withdrawal: withdrawal, Reason: "a test", After: after}})
}

// Register makes the identity statement that registers a key.
func (m *Maker) Register(by statement.Signer, key *statement.PublicKey, handle string, expires int64, names []string, roles ...string) *statement.Envelope {
	return m.Sign(by, &statement.Statement{Kind: statement.KindIdentity, Identity: &statement.Identity{
		Action: statement.ActionRegister, Key: key, Handle: handle, Roles: roles, Names: names, Expires: expires}})
}

// Retire makes the identity statement that retires a key.
func (m *Maker) Retire(by statement.Signer, key *statement.PublicKey, handle string) *statement.Envelope {
	return m.Sign(by, &statement.Statement{Kind: statement.KindIdentity, Identity: &statement.Identity{
		Action: statement.ActionRetire, KeyID: key.ID(), Handle: handle}})
}

// Compromised makes the identity statement that declares a key compromised.
func (m *Maker) Compromised(by statement.Signer, key *statement.PublicKey, handle string, since uint64) *statement.Envelope {
	return m.Sign(by, &statement.Statement{Kind: statement.KindIdentity, Identity: &statement.Identity{
		Action: statement.ActionCompromised, KeyID: key.ID(), Handle: handle, Since: since}})
}

// Rotate makes the log-key statement from one named log key to another.
func (m *Maker) Rotate(by statement.Signer, from, to string) *statement.Envelope {
	_, current := LogKey(from)
	_, next := LogKey(to)
	nonce := m.Nonce()
	msg := statement.LogKeyMessage(m.Ledger, current.String(), next.String(), nonce)
	return m.Sign(by, &statement.Statement{Kind: statement.KindLogKey, Nonce: nonce, LogKey: &statement.LogKey{
		Current: current.String(), Next: next.String(),
		Signatures: statement.LogKeySignatures{
			Current: ed25519.Sign(LogPrivateKey(from), msg), Next: ed25519.Sign(LogPrivateKey(to), msg)},
	}})
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// Skip makes the next nonce the one after n, so that several makers do not
// make the same.
func (m *Maker) Skip(n uint64) { m.nonce = n }
