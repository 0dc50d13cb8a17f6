package contract

import (
	"crypto/sha256"
	"encoding/binary"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/stele-ml/stele/internal/strictjson"
	"github.com/stele-ml/stele/lineage"
	"github.com/stele-ml/stele/statement"
)

// historian makes entries of what a test says was done.
type historian struct {
	*fixture
	r      *reader
	match  *Match
	next   uint64   // the index of the next entry
	age    int64    // of entries that no item stands for, in ms
	listed []string // whose roles the test says
}

// act is an item with who does it.
type act struct {
	item
	handle string
	key    statement.KeyID
}

// defaults of who does something.
const (
	fixtureMaker         = "maker"
	fixtureApprover      = "approver"
	fixtureReleaser      = "releaser"
	fixtureAdministrator = "administrator"
)

// by reads who does something with which key, and gives them the role for it.
func (h *historian) by(it item, handle, role string) act {
	if n := it.get("by"); n.there() {
		handle = n.text()
		n.check(statement.CheckHandle(handle))
	}
	switch {
	case handle == statement.RecoveryHandle: // it has no roles
	case !slices.Contains(h.listed, handle):
		if !slices.Contains(h.people[handle], role) {
			h.people[handle] = append(slices.Clone(h.people[handle]), role)
			slices.Sort(h.people[handle])
		}
	case role == statement.RoleMember && slices.Contains(h.people[handle], statement.RoleAdministrator):
	case !slices.Contains(h.people[handle], role):
		it.hint("give them the role among people", "%s has no role %s, which %s takes", handle, role, it.verb)
	}
	return act{it, handle, fixtureKey(handle, it.get("key").text())}
}

// record adds a statement as the next entry, or keeps it as the one to be
// judged. It goes through its bytes, as on a ledger.
func (h *historian) record(a act, st *statement.Statement) {
	h.append(a, st, a.age, a.judged)
}

func (h *historian) append(a act, st *statement.Statement, age int64, judged bool) {
	number := binary.BigEndian.AppendUint64([]byte("stele fixture nonce\n"), h.next)
	st.Ledger, st.Nonce = sha256.Sum256([]byte("stele fixture ledger\n")), statement.Nonce(sum16(number))
	if st.LogKey == nil { // whose keys no test has
		payload, err := st.Marshal()
		if err == nil {
			st, err = statement.Parse(payload)
		}
		if !a.check(err) {
			return
		}
	}
	at := h.input.Time - age
	if judged {
		h.input.Statement, h.input.Entry = st, h.next
		h.input.Signer.Handle, h.input.Signer.Key = a.handle, a.key
		return
	}
	for _, o := range st.Stamps() {
		if h.artifacts[o.Ref.String()] != nil {
			a.problem("%s is stamped twice", o.Ref)
			return
		}
		h.artifacts[o.Ref.String()] = &lineage.Artifact{Ref: o.Ref, Stamp: o.Stamp, Handle: a.handle}
	}
	s := &lineage.Said{Entry: h.next, Time: at, Signer: a.key, Handle: a.handle, Statement: st}
	h.entries[s.Entry] = s
	h.order = append(h.order, s)
	h.next++
}

func sum16(b []byte) [16]byte {
	sum := sha256.Sum256(b)
	return [16]byte(sum[:16])
}

// do makes the entries of an item.
func (h *historian) do(it item) {
	switch it.verb {
	case "stamp":
		h.stamp(it)
	case "run":
		h.doRun(it)
	case "evaluate":
		h.evaluate(it)
	case "approve", "reject":
		h.approve(it)
	case "release", "leave":
		h.release(it)
	case "withdraw":
		h.withdraw(it)
	case "reinstate":
		h.reinstate(it)
	case "announce", "audit":
		h.audit(it)
	case "import":
		h.doImport(it)
	case "propose", "put", "lift":
		h.contract(it)
	case "register", "retire":
		h.identity(it)
	case "compromised":
		h.compromised(it)
	case "log-key":
		h.record(h.by(it, fixtureAdministrator, statement.RoleAdministrator), &statement.Statement{Kind: statement.KindLogKey, LogKey: &statement.LogKey{}})
	case "pass":
		if it.value.there() {
			h.next += it.value.count(1, MaxPass)
		}
	}
}

// exampleName is a name that the match covers.
func (h *historian) exampleName() string {
	if len(h.match.Names) == 0 {
		return fixtureSubject
	}
	prefix, star := strings.CutSuffix(h.match.Names[0], "*")
	if !star {
		return prefix
	}
	if name := prefix + fixtureSubject; statement.CheckName(name) == nil {
		return name
	}
	return prefix + "x"
}

// example stamps the artifact that a statement is about which names none.
func (h *historian) example(judged item) {
	kind := statement.ArtifactModel
	if len(h.match.Kinds) > 0 {
		kind = h.match.Kinds[0]
	}
	ref := h.fresh(h.exampleName() + "@1")
	it := item{fields: fields{node: judged.node}, verb: "stamp", age: h.age}
	h.record(h.by(it, fixtureMaker, statement.RoleMember), &statement.Statement{
		Kind: statement.KindStamp, Subject: []statement.Subject{ref.Subject()}, Stamp: plainStamp(kind)})
}

func plainStamp(kind string) *statement.Stamp {
	const bytes = 1000
	return &statement.Stamp{Kind: kind, Files: 1, Bytes: bytes, Basis: statement.Basis{Read: bytes}}
}

// fresh is an artifact that is not there yet.
func (h *historian) fresh(name string) statement.Ref {
	ref := statement.Ref{Fingerprint: fixtureContents(name)}
	ref.Name, ref.Version, _ = strings.Cut(name, "@")
	return ref
}

// subject returns what a statement is about, which is there: what the item
// names, or the example.
func (h *historian) subject(it item) (statement.Ref, bool) {
	if it.value.there() {
		return h.ref(it.value)
	}
	if a := h.artifacts[h.exampleName()+"@1"]; a != nil {
		return a.Ref, true
	}
	it.problem("it does not say of what")
	return statement.Ref{}, false
}

// ref reads the name of an artifact that is there.
func (h *historian) ref(n node) (statement.Ref, bool) {
	name := n.text()
	if a := h.artifacts[name]; a != nil {
		return a.Ref, true
	}
	if n.is("text", `"`) && len(h.r.problems) < maxProblems {
		names := slices.Sorted(maps.Keys(h.artifacts))
		hint := "stamp it, or make it by a run, earlier in the history"
		if near := nearest(name, names); near != "" {
			hint = "did you mean " + near + "?"
		}
		n.hint(hint, "%s is not there", quoted(name))
	}
	return statement.Ref{}, false
}

func (h *historian) refs(n node) (refs []statement.Ref) {
	for _, n := range n.items(statement.MaxReferences) {
		if ref, ok := h.ref(n); ok {
			refs = append(refs, ref)
		}
	}
	return refs
}

// stage reads a stage: by itself it is the first that the contract is about.
func (h *historian) stage(n node) string {
	switch {
	case n.there():
		return n.text()
	case len(h.match.Stages) > 0:
		return h.match.Stages[0]
	}
	return fixtureStage
}

// word reads a text, or a default.
func (n node) word(otherwise string) string {
	if n.there() {
		return n.text()
	}
	return otherwise
}

// number reads a whole number, or a default.
func (n node) number(otherwise uint64) uint64 {
	if n.there() {
		return n.count(0, strictjson.MaxInteger)
	}
	return otherwise
}

func (h *historian) stamp(it item) {
	name := it.value.word(h.exampleName() + "@1")
	ref := h.fresh(name)
	if n := it.get("same"); n.there() {
		if same, ok := h.ref(n); ok {
			ref.Fingerprint = same.Fingerprint
		}
	}
	kind := statement.ArtifactDataset
	if it.judged && len(h.match.Kinds) > 0 {
		kind = h.match.Kinds[0]
	}
	s := plainStamp(it.kindOf(kind))
	it.stampBody(s)
	s.Files = it.get("files").number(s.Files)
	s.From = h.refs(it.get("from"))
	s.Listed = it.get("listed").boolean()
	if n := it.get("since"); n.there() {
		if since, ok := h.ref(n); ok {
			s.Since = &since
		}
	}
	if n := it.get("members"); n.there() {
		for _, m := range h.refs(n) {
			of := h.artifacts[m.String()].Stamp
			s.Members = append(s.Members, statement.CollectionMember{Prefix: m.Name + "/" + m.Version, Ref: m, Files: of.Files, Bytes: of.Bytes})
		}
		var err error
		ref.Fingerprint, s.Files, s.Bytes, err = statement.Collection(ref.Fingerprint.Algorithm, s.Members)
		n.check(err)
		s.Basis = statement.Basis{Stamped: s.Bytes}
	}
	h.record(h.by(it, fixtureMaker, statement.RoleMember), &statement.Statement{
		Kind: statement.KindStamp, Subject: []statement.Subject{ref.Subject()}, Stamp: s})
}

// kindOf reads the kind of an artifact. Where a statement is named by its own
// kind, that is what the member says.
func (it item) kindOf(otherwise string) string {
	if it.has(it.verb) {
		return it.get("kind").word(otherwise)
	}
	return otherwise
}

// stampBody reads what stamps and the outputs of runs have in common.
func (o fields) stampBody(s *statement.Stamp) {
	if n := o.get("annotations"); n.there() {
		s.Annotations = make(map[string]string)
		for _, m := range n.members(statement.MaxAnnotations) {
			s.Annotations[m.name] = m.text()
		}
	}
	for _, n := range o.get("ignore").items(statement.MaxIgnoreRules) {
		s.Ignore = append(s.Ignore, n.text())
	}
	if n := o.get("basis"); n.there() {
		b := n.object("read", "version", "etag", "mtime", "claimed", "entry")
		s.Basis = statement.Basis{
			Read: b.get("read").number(0), Version: b.get("version").number(0), ETag: b.get("etag").number(0),
			MTime: b.get("mtime").number(0), Claimed: b.get("claimed").number(0),
		}
		s.Bytes = s.Basis.Read + s.Basis.Version + s.Basis.ETag + s.Basis.MTime + s.Basis.Claimed
		if n := b.get("entry"); n.there() {
			entry := n.count(1, strictjson.MaxInteger)
			s.Basis.Entry = &entry
		}
	}
	if n := o.get("bytes"); n.there() {
		s.Bytes = n.number(0)
		if !o.has("basis") {
			s.Basis.Read = s.Bytes
		}
	}
}

func (h *historian) doRun(it item) {
	o := it.run
	zero, failure := uint64(0), uint64(1)
	r := &statement.Run{
		Observation: o.get("observation").word(statement.ObservationWrapped), Failed: o.get("failed").boolean(),
		Inputs:   h.refs(o.get("inputs")),
		Finished: h.input.Time - it.age, Started: h.input.Time - it.age - time.Minute.Milliseconds(),
	}
	switch n := o.get("exit"); {
	case n.there():
		exit := n.number(0)
		r.Exit = &exit
	case r.Observation != statement.ObservationWrapped:
	case r.Failed:
		r.Exit = &failure
	default:
		r.Exit = &zero
	}
	outputs := o.get("outputs").items(statement.MaxReferences)
	if n := it.value; !it.has("run") && n.there() { // named by its kind
		outputs = append(outputs, n)
	} else if it.judged && !o.has("outputs") && !r.Failed && !it.has("run") {
		outputs = append(outputs, node{h.r, it.path, strictjson.Raw(strconv.Quote(h.exampleName() + "@1"))})
	}
	kind := statement.ArtifactModel
	if it.judged && len(h.match.Kinds) > 0 {
		kind = h.match.Kinds[0]
	}
	if it.has("run") {
		kind = o.get("kind").word(kind)
	}
	for _, n := range outputs {
		name := n.text()
		if a := h.artifacts[name]; a != nil { // stamped before
			r.Outputs = append(r.Outputs, statement.Output{Ref: a.Ref})
			continue
		}
		s := plainStamp(kind)
		o.stampBody(s)
		r.Outputs = append(r.Outputs, statement.Output{Ref: h.fresh(name), Stamp: s})
	}
	if n := o.get("code"); n.there() {
		c := n.object("remote", "commit", "dirty")
		r.Code = &statement.Code{Remote: c.get("remote").text(), Commit: c.need("commit").text(), Dirty: c.get("dirty").boolean()}
	}
	if n := o.get("image"); n.there() {
		r.Image = &statement.Image{Name: n.text(), SHA256: sha256.Sum256([]byte("stele fixture image\n" + n.text()))}
	}
	h.record(h.by(it, fixtureMaker, statement.RoleMember), &statement.Statement{Kind: statement.KindRun, Run: r})
}

// on records a statement about an artifact that is there.
func (h *historian) on(a act, ref statement.Ref, st *statement.Statement) {
	st.Subject = []statement.Subject{ref.Subject()}
	h.record(a, st)
}

// seen is the last entry that an author saw, who saw everything.
func (h *historian) seen() uint64 { return max(h.next-1, 1) }

func (h *historian) evaluate(it item) {
	ref, ok := h.subject(it)
	if !ok {
		return
	}
	e := &statement.Evaluation{Metrics: make(map[string]statement.Decimal), Datasets: h.refs(it.get("datasets"))}
	for _, m := range it.need("metrics").members(statement.MaxMetrics) {
		e.Metrics[m.name] = m.decimal()
	}
	h.on(h.by(it, fixtureMaker, statement.RoleMember), ref, &statement.Statement{Kind: statement.KindEvaluation, Evaluation: e})
}

// decimal reads a metric: a number, or the text of one.
func (n node) decimal() statement.Decimal {
	if n.raw[0] == '"' {
		return statement.Decimal(n.text())
	}
	f, err := strconv.ParseFloat(string(n.raw), 64)
	if err != nil {
		n.is("a number", "-0123456789")
		return "0"
	}
	d, err := statement.NewDecimal(f)
	n.check(err)
	return d
}

func (h *historian) approve(it item) {
	ref, ok := h.subject(it)
	if !ok {
		return
	}
	a := &statement.Approval{Stage: h.stage(it.get("stage")), Decision: statement.DecisionApprove, Reason: it.get("reason").text(), After: h.seen()}
	if it.verb == "reject" {
		a.Decision, a.Reason = statement.DecisionReject, it.get("reason").word("a test")
	}
	h.on(h.by(it, fixtureApprover, statement.RoleApprover), ref, &statement.Statement{Kind: statement.KindApproval, Approval: a})
}

// approver makes an approval of what the statement is about, for its stage.
func (h *historian) approver(n node, judged item) {
	it := item{fields: fields{node: n}, verb: "approve", value: judged.value, age: h.age}
	it.members = map[string]strictjson.Raw{"by": n.raw}
	if judged.has("stage") {
		it.members["stage"] = judged.members["stage"]
	}
	if n.is("a handle", `"`) {
		h.approve(it)
	}
}

func (h *historian) release(it item) {
	ref, ok := h.subject(it)
	if !ok {
		return
	}
	r := &statement.Release{Stage: h.stage(it.get("stage")), Action: statement.ActionJoin, Replaces: h.refs(it.get("replaces")), Reason: it.get("reason").text(), After: h.seen()}
	if it.verb == "leave" {
		r.Action = statement.ActionLeave
	}
	h.on(h.by(it, fixtureReleaser, statement.RoleReleaser), ref, &statement.Statement{Kind: statement.KindRelease, Release: r})
}

func (h *historian) withdraw(it item) {
	ref, ok := h.subject(it)
	if !ok {
		return
	}
	w := &statement.Withdrawal{
		Target: it.get("target").word(statement.TargetContents), Effect: it.get("effect").word(statement.EffectNoNewUse),
		Location: it.get("location").text(), Reason: it.get("reason").word("a test"), After: h.seen(),
	}
	h.on(h.owner(it, h.artifacts[ref.String()].Handle), ref, &statement.Statement{Kind: statement.KindWithdrawal, Withdrawal: w})
}

// owner is by, of what its owner may do as a member, and others as
// administrators.
func (h *historian) owner(it item, handle string) act {
	role := statement.RoleMember
	if n := it.get("by"); n.there() && n.text() != handle {
		role = statement.RoleAdministrator
	}
	return h.by(it, handle, role)
}

// reinstate ends the last withdrawal of an artifact that nothing has ended.
func (h *historian) reinstate(it item) {
	ref, ok := h.subject(it)
	if !ok {
		return
	}
	ended := make(map[uint64]bool)
	var last *lineage.Said
	for _, s := range h.order {
		if r := s.Statement.Reinstatement; r != nil {
			ended[r.Withdrawal] = true
		}
	}
	for _, s := range h.order {
		if of, err := s.Statement.Ref(); err == nil && of == ref && s.Statement.Withdrawal != nil && !ended[s.Entry] {
			last = s
		}
	}
	if last == nil {
		it.problem("%s is not withdrawn", ref)
		return
	}
	h.on(h.owner(it, last.Handle), ref, &statement.Statement{Kind: statement.KindReinstatement, Reinstatement: &statement.Reinstatement{
		Withdrawal: last.Entry, Reason: it.get("reason").word("a test"), After: h.seen()}})
}
