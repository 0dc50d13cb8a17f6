package contract

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"strconv"
	"strings"
	"time"

	"github.com/stele-ml/stele/internal/strictjson"
	"github.com/stele-ml/stele/statement"
)

// audit makes the announcement of an audit and, two entries in all, its result.
func (h *historian) audit(it item) {
	ref, ok := h.subject(it)
	if !ok {
		return
	}
	const chunks = 919 // what finds 0.5 % with 99 %
	n := &statement.AuditAnnouncement{
		Altered: it.get("altered").fraction("0.005"), Confidence: it.get("confidence").fraction("0.99"),
		Chunks: it.get("chunks").number(chunks),
	}
	nonce := sha256.Sum256(binary.BigEndian.AppendUint64([]byte("stele fixture audit\n"), h.next))
	n.NonceSHA256 = sha256.Sum256(nonce[:])
	a := h.by(it, fixtureMaker, statement.RoleMember)
	announced := h.next
	said := &statement.Statement{Kind: statement.KindAudit, Subject: []statement.Subject{ref.Subject()}, Audit: &statement.Audit{Announcement: n}}
	if it.verb == "announce" {
		h.record(a, said)
		return
	}
	age := it.age
	if it.judged {
		age = h.age
	}
	h.append(a, said, age, false)
	r := &statement.AuditResult{
		Announcement: announced, Nonce: nonce, Checkpoint: statement.AuditCheckpoint{Size: announced + 1},
		Outcome: it.get("outcome").word(statement.OutcomeHeld), ChunksAsked: n.Chunks, ChunksRead: n.Chunks, FilesCompared: 1,
	}
	switch r.Outcome {
	case statement.OutcomeAltered:
		r.ChunksDiffering = 1
	case statement.OutcomeIncomplete:
		r.ChunksRead = n.Chunks / 2
	}
	h.on(a, ref, &statement.Statement{Kind: statement.KindAudit, Audit: &statement.Audit{Result: r}})
}

// fraction reads a number between 0 and 1, or the text of one.
func (n node) fraction(otherwise string) statement.Fraction {
	switch {
	case !n.there():
	case n.raw[0] == '"':
		otherwise = n.text()
	default:
		otherwise = string(n.raw)
	}
	f, err := statement.ParseFraction(otherwise)
	n.check(err)
	return f
}

func (h *historian) doImport(it item) {
	ref, ok := h.subject(it)
	if !ok {
		return
	}
	i := &statement.Import{
		Format: it.get("format").word(statement.ImportInToto), PredicateType: statement.SLSAProvenance,
		Document: statement.AttachmentOf([]byte("stele fixture document\n")),
		Key:      statement.ImportKey{Method: statement.ImportByKey, SHA256: sha256.Sum256([]byte("stele fixture foreign key\n"))},
		Inputs:   h.refs(it.get("inputs")), Builder: it.get("builder").text(),
	}
	if i.Format == statement.ImportOMS {
		i.PredicateType, i.Hash, i.Resources = "https://model_signing/signature/v1.0", "sha256", 1
	}
	h.on(h.by(it, fixtureMaker, statement.RoleMember), ref, &statement.Statement{Kind: statement.KindImport, Import: i})
}

// contract makes a statement about a contract, whose document has nothing but
// its name, its version and a number of validations.
func (h *historian) contract(it item) {
	name, version, _ := strings.Cut(it.value.word(h.exampleName()+"@1"), "@")
	number, err := strconv.ParseUint(version, 10, 64)
	if err != nil || strconv.FormatUint(number, 10) != version {
		it.problem("%s: want NAME@VERSION of a contract, whose version is a number: production@3", quoted(name+"@"+version))
		return
	}
	rules := min(it.get("rules").number(1), MaxValidations)
	document, err := strictjson.Marshal(map[string]any{
		"apiVersion": statement.ContractAPIVersion, "kind": statement.ContractDocumentKind,
		"metadata": map[string]any{"name": name, "version": number},
		"spec":     map[string]any{"validations": make([]struct{}, rules)},
	})
	if err == nil {
		document, err = strictjson.Canonical(document)
	}
	if !it.check(err) {
		return
	}
	c, err := statement.NewContract(statement.ContractPut, document)
	if !it.check(err) {
		return
	}
	c.Action = it.verb
	if it.verb == statement.ContractLift {
		c.Document, c.Reason = nil, it.get("reason").text()
	}
	h.record(h.by(it, fixtureAdministrator, statement.RoleAdministrator), &statement.Statement{Kind: statement.KindContract, Contract: c})
}

// identity makes a statement that registers a key or retires it.
func (h *historian) identity(it item) {
	id := &statement.Identity{Action: it.verb, Handle: it.value.word("newcomer")}
	seed := fixtureKey(id.Handle, "")
	public := ed25519.NewKeyFromSeed(seed[:]).Public().(ed25519.PublicKey)
	// SEQUENCE { SEQUENCE { id-Ed25519 }, BIT STRING }, RFC 8410.
	der := append([]byte("\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00"), public...)
	key, err := statement.NewPublicKey(statement.AlgorithmEd25519, der)
	if !it.check(err) {
		return
	}
	if it.verb == statement.ActionRetire {
		id.KeyID = key.ID()
	} else {
		id.Key = key
		id.Roles = it.get("roles").texts([]string{statement.RoleMember}, len(statement.FirstRoles()))
		id.Names = it.get("names").texts([]string{"*"}, statement.MaxPatterns)
		if n := it.get("expires"); n.there() {
			id.Expires = n.instant()
		}
	}
	h.record(h.by(it, fixtureAdministrator, statement.RoleAdministrator), &statement.Statement{Kind: statement.KindIdentity, Identity: id})
}

// texts reads a list of texts, or a default.
func (n node) texts(otherwise []string, max int) (list []string) {
	if !n.there() {
		return otherwise
	}
	for _, n := range n.items(max) {
		list = append(list, n.text())
	}
	return list
}

// instant reads a time in UTC, in Unix ms.
func (n node) instant() int64 {
	text := n.text()
	t, err := time.Parse(time.RFC3339, text)
	if err != nil || !strings.HasSuffix(text, "Z") || t.Nanosecond() != 0 || t.Year() < 1971 {
		n.hint(`write "`+fixtureTime+`"`, "the time %s is none in UTC, to the second, of 1971 or later", quoted(text))
		return 0
	}
	return t.UnixMilli()
}

// compromised declares the keys of a handle, or one of them, compromised.
func (h *historian) compromised(it item) {
	handle := it.value.text()
	l := loss{handle: handle, since: 1, declared: h.next}
	if n := it.get("since"); n.there() {
		l.since = n.count(1, h.next)
	}
	key := fixtureKey(handle, "")
	if n := it.get("key"); n.there() {
		key = fixtureKey(handle, n.text())
		l.key = key
	}
	h.lost = append(h.lost, l)
	// Its holder says so. A declaration, once in effect, stays, whosever it was.
	h.record(act{it, handle, key}, &statement.Statement{Kind: statement.KindIdentity, Identity: &statement.Identity{
		Action: statement.ActionCompromised, Handle: handle, KeyID: key, Since: max(l.since, 1)}})
}
