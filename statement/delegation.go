package statement

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/pem"
	"slices"
	"strings"
	"time"

	"github.com/stele-ml/stele/internal/strictjson"
)

// Limits of a delegation.
const (
	// MaxDelegation is the longest delegation in its binary form: what the largest
	// payload and signature leave of an entry.
	MaxDelegation = MaxEnvelope - 1 - 32 - 8 - len(PayloadType) - MaxPayload - MaxSignature
	// MaxDelegationLife is the longest time a delegation may be valid, in
	// milliseconds: one hour. There is no revoking one but by its issuer's key.
	MaxDelegationLife = int64(time.Hour / time.Millisecond)
	// MaxDelegationNames is how many name patterns a delegation may have.
	MaxDelegationNames = 16
	// MaxDelegationSubject is the longest text of whom a delegation is for.
	MaxDelegationSubject = 512
	// MaxDelegationSource is the longest text of who vouched for them.
	MaxDelegationSource = 255
)

// DelegationType is the DSSE payload type of a delegation. Another than
// [PayloadType], so that no signature under a statement is one under a delegation.
const DelegationType = "application/vnd.stele.delegation+json"

// delegationForm is how the document says what it is.
const delegationForm = "delegation/v1"

// DelegationBegin is the line with which a delegation begins in a key's file.
const DelegationBegin = "-----BEGIN " + pemDelegation + "-----"

// pemDelegation is the type of the PEM block that follows a key's in a file.
const pemDelegation = "STELE DELEGATION"

// Delegation lets a key that no ledger knows sign for a registered one, its
// issuer's, for a short time, some names and some kinds of statement. It travels
// in the envelope. It is immutable. Page: docs/formats/delegation.md.
type Delegation struct {
	DelegationClaims
	Issuer KeyID // the registered key that signed it

	payload   []byte
	signature []byte
}

// DelegationClaims are what a delegation says.
type DelegationClaims struct {
	Ledger    LedgerID
	Key       *PublicKey // ecdsa-p256 or ed25519; no registered one
	Subject   string     // whom it is for, in the issuer's words: "repo:acme/fraud@refs/heads/main"
	Source    string     // who vouched for them to the issuer, by URL, or empty
	Names     []string   // patterns; beside them those of the issuer hold, too
	Kinds     []Kind     // of [DelegableKinds]; beside them those of the issuer hold, too
	NotBefore int64      // unix ms
	NotAfter  int64      // unix ms from which it is over
}

// DelegableKinds are the kinds of statement that may be delegated, sorted: facts
// about artifacts, and a release. Who may do what, what is approved or rejected and
// what is taken back is said by registered keys alone. So nothing that is delegated
// is a control entry.
func DelegableKinds() []Kind {
	return []Kind{KindAudit, KindEvaluation, KindImport, KindRelease, KindRun, KindStamp}
}

type wireDelegation struct {
	Form      string   `json:"stele"`
	Ledger    LedgerID `json:"ledger"`
	Key       wireKey  `json:"key"`
	Subject   string   `json:"subject"`
	Source    string   `json:"source,omitzero"`
	Names     []string `json:"names"`
	Kinds     []string `json:"kinds"`
	NotBefore int64    `json:"notBefore"`
	NotAfter  int64    `json:"notAfter"`
}

// NewDelegation signs a delegation with the issuer's key. Names and kinds are
// sorted. Whether the issuer may give it is for the ledger to say
// ([Roster.CheckDelegated]).
func NewDelegation(claims DelegationClaims, issuer Signer) (*Delegation, error) {
	claims.Names = sorted(claims.Names)
	claims.Kinds = slices.Sorted(slices.Values(claims.Kinds))
	if err := claims.check(); err != nil {
		return nil, err
	}
	payload, err := claims.encode()
	if err != nil {
		return nil, err
	}
	d := &Delegation{DelegationClaims: claims, Issuer: issuer.PublicKey().ID(), payload: payload}
	if d.signature, err = issuer.Sign(PAE(DelegationType, payload)); err != nil {
		return nil, err
	}
	if n := len(d.Encode()); n > MaxDelegation {
		return nil, malformed("delegation: %d bytes, at most %d are allowed", n, MaxDelegation)
	}
	return d, nil
}

// Encode returns the binary form, which is that of an envelope with another
// payload type: u8 form = 1 ‖ issuer's key id[32] ‖ u16 len ‖ payload type ‖ u16 len
// ‖ document ‖ u16 len ‖ signature ‖ u16 0.
func (d *Delegation) Encode() []byte {
	return (&Envelope{PayloadType: DelegationType, Payload: d.payload, KeyID: d.Issuer, Signature: d.signature}).Encode()
}

// ParseDelegation reads the binary form. It checks no signature: see
// [Delegation.Verify]. The error is ErrFormat.
func ParseDelegation(bin []byte) (*Delegation, error) {
	if len(bin) > MaxDelegation {
		return nil, malformed("delegation: %d bytes, at most %d are allowed", len(bin), MaxDelegation)
	}
	e, err := decodeBinary("delegation", bin)
	switch {
	case err != nil:
		return nil, err
	case e.PayloadType != DelegationType:
		return nil, malformed("delegation: payload type %s, want %s", quote(e.PayloadType), DelegationType)
	case len(e.Signature) == 0:
		return nil, malformed("delegation: no signature")
	case len(e.Delegation) > 0:
		return nil, malformed("delegation: it is itself delegated; who issues one is registered")
	}
	d := &Delegation{Issuer: e.KeyID, payload: e.Payload, signature: e.Signature}
	var w wireDelegation
	if err := strictjson.Unmarshal(d.payload, &w, MaxDelegation, 2); err != nil {
		return nil, malformed("delegation: %w", err)
	}
	if w.Form != delegationForm {
		return nil, malformed("delegation: form %s, want %s", quote(w.Form), quote(delegationForm))
	}
	key, err := w.Key.key()
	if err != nil {
		return nil, err
	}
	d.DelegationClaims = DelegationClaims{
		Ledger: w.Ledger, Key: key, Subject: w.Subject, Source: w.Source, Names: w.Names,
		NotBefore: w.NotBefore, NotAfter: w.NotAfter,
	}
	for _, kind := range w.Kinds {
		d.Kinds = append(d.Kinds, Kind(kind))
	}
	if err := d.check(); err != nil {
		return nil, err
	}
	// One spelling: it is compared as bytes, so that nobody can make a second one.
	if again, err := d.encode(); err != nil || string(again) != string(d.payload) {
		return nil, malformed("delegation: the document is not in its one form")
	}
	return d, nil
}

// DelegationRequestMessage is what a key signs to ask for a delegation in exchange
// for a CI's token, so that nobody gets one for somebody else's key:
// "stele delegation request v1\n" ‖ ledger id ‖ "\n" ‖ key id ‖ "\n" ‖ SHA-256 of the
// token ‖ "\n", all in hexadecimal.
func DelegationRequestMessage(ledger LedgerID, key KeyID, token string) []byte {
	sum := sha256.Sum256([]byte(token))
	return []byte("stele delegation request v1\n" + ledger.String() + "\n" + key.String() + "\n" + hex.EncodeToString(sum[:]) + "\n")
}

// Verify checks that the issuer signed the delegation. The error is ErrSignature.
func (d *Delegation) Verify(issuer *PublicKey) error {
	if issuer.ID() != d.Issuer {
		return refuse(ErrSignature, "", "the delegation names the issuer's key %s, not %s", d.Issuer, issuer.ID())
	}
	if err := issuer.Verify(PAE(DelegationType, d.payload), d.signature); err != nil {
		return refuse(ErrSignature, "", "the delegation for %s is not signed by its issuer: %v", quote(d.Subject), err)
	}
	return nil
}

func (c *DelegationClaims) encode() ([]byte, error) {
	w := wireDelegation{
		Form: delegationForm, Ledger: c.Ledger, Key: c.Key.wire(), Subject: c.Subject, Source: c.Source, Names: c.Names,
		NotBefore: c.NotBefore, NotAfter: c.NotAfter,
	}
	for _, kind := range c.Kinds {
		w.Kinds = append(w.Kinds, string(kind))
	}
	return strictjson.Marshal(w)
}

func (c *DelegationClaims) check() error {
	switch {
	case c.Ledger.IsZero():
		return malformed("delegation: no ledger is named")
	case c.Key == nil:
		return malformed("delegation: no key is named")
	case c.Key.Algorithm() != AlgorithmP256 && c.Key.Algorithm() != AlgorithmEd25519:
		return malformed("delegation: a key of algorithm %s, want %s or %s", quote(c.Key.Algorithm()), AlgorithmP256, AlgorithmEd25519)
	case c.NotBefore < 0 || c.NotAfter > strictjson.MaxInteger || c.NotAfter <= c.NotBefore:
		return malformed("delegation: valid from %d to %d (unix ms)", c.NotBefore, c.NotAfter)
	case c.NotAfter-c.NotBefore > MaxDelegationLife:
		return malformed("delegation: valid for %d ms, at most %d are allowed", c.NotAfter-c.NotBefore, MaxDelegationLife)
	case len(c.Names) == 0:
		return malformed("delegation: no name")
	case !slices.IsSorted(c.Names):
		return malformed("delegation: names are not sorted")
	}
	if err := CheckText("delegation: subject", c.Subject, MaxDelegationSubject); err != nil {
		return err
	}
	if c.Source != "" {
		if err := CheckText("delegation: source", c.Source, MaxDelegationSource); err != nil {
			return err
		}
	}
	if err := checkSet("delegation: names", c.Names, MaxDelegationNames, CheckPattern); err != nil {
		return err
	}
	return checkKinds("delegation: kinds", c.Kinds)
}

// checkKinds holds a list of delegable kinds to its form: some, sorted, none twice.
func checkKinds(what string, kinds []Kind) error {
	if len(kinds) == 0 {
		return malformed("%s: none", what)
	}
	for i, kind := range kinds {
		if !slices.Contains(DelegableKinds(), kind) {
			return malformed("%s: %s cannot be delegated; %v can", what, quote(string(kind)), DelegableKinds())
		}
		if i > 0 && kinds[i-1] >= kind {
			return malformed("%s: not sorted, or one is there twice", what)
		}
	}
	return nil
}

// covers says whether the statement is one of those that the delegation is for, at
// a time in unix ms. The errors are ErrStanding, where it is too early or late, and
// ErrNotAllowed.
func (d *Delegation) covers(st *Statement, timeMS int64) error {
	const again = "get another: stele login"
	switch {
	case timeMS < d.NotBefore:
		return refuse(ErrStanding, "", "the delegation for %s is valid only from %s", quote(d.Subject), utc(d.NotBefore))
	case timeMS >= d.NotAfter:
		return refuse(ErrStanding, again, "the delegation for %s was valid until %s", quote(d.Subject), utc(d.NotAfter))
	case d.Ledger != st.Ledger:
		return refuse(ErrNotAllowed, again, "the delegation is for ledger %s", d.Ledger)
	case !slices.Contains(d.Kinds, st.Kind):
		return refuse(ErrNotAllowed, "sign with a registered key", "the delegation for %s is for %v, not for %s", quote(d.Subject), d.Kinds, st.Kind.Noun())
	}
	for _, name := range touched(st) {
		if !matchesAny(d.Names, name) {
			return refuse(ErrNotAllowed, "", "the delegation for %s is for the names %v, which do not cover %s", quote(d.Subject), d.Names, name)
		}
	}
	return nil
}

// touched returns the names about which a delegable statement says something that
// counts: what it is about, all outputs of a run, what a release replaces. Inputs,
// ancestors and datasets may be of any name. Members need a pattern only for what
// they stamp; one issuer stands for many jobs, though, and each of them has the
// issuer's word behind it for whatever any of them stamped.
func touched(st *Statement) []string {
	var names []string
	for _, s := range st.Subject {
		if name, _, err := ParseNameVersion(s.Name); err == nil {
			names = append(names, name)
		}
	}
	if st.Run != nil {
		for _, o := range st.Run.Outputs {
			names = append(names, o.Ref.Name)
		}
	}
	if st.Release != nil {
		for _, ref := range st.Release.Replaces {
			names = append(names, ref.Name)
		}
	}
	return names
}

func matchesAny(patterns []string, name string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool { return MatchName(p, name) })
}

// CheckDelegated is [Roster.Check] of a statement that is signed through a
// delegation: the standing of the issuer at that entry, the delegation's time, and
// what both cover. Signatures are checked by [Envelope.Verify]. An entry that was
// once admitted has from then on the standing of its issuer ([Envelope.By]).
func (r *Roster) CheckDelegated(index uint64, timeMS int64, d *Delegation, st *Statement) error {
	if _, err := st.predicate(); err != nil {
		return err
	}
	if s := r.Standing(d.Issuer, index, timeMS); !s.OK {
		return standingError(s)
	}
	if owner := r.materials[d.Key.Material()]; owner != "" {
		return registeredDelegate(owner)
	}
	m := r.members[d.Issuer]
	if err := m.mayIssue(st); err != nil {
		return err
	}
	return d.covers(st, timeMS)
}

// CheckIssued says whether the issuer could give the delegation now, whatever is then
// signed through it: its standing and role, the kinds, the key. Its names hold beside
// those of the delegation when something is signed.
func (r *Roster) CheckIssued(index uint64, timeMS int64, d *Delegation) error {
	if s := r.Standing(d.Issuer, index, timeMS); !s.OK {
		return standingError(s)
	}
	if owner := r.materials[d.Key.Material()]; owner != "" {
		return registeredDelegate(owner)
	}
	m := r.members[d.Issuer]
	for _, kind := range d.Kinds {
		if err := m.mayDelegate(kind); err != nil {
			return err
		}
	}
	for _, name := range d.Names {
		if !slices.ContainsFunc(m.Names, func(p string) bool { return overlap(p, name) }) {
			return refuse(ErrNotAllowed, "", "%s may issue delegations for the names %v, and none of them is under %s", m.Handle, m.Names, name)
		}
	}
	return nil
}

// overlap reports whether a name can match both patterns.
func overlap(a, b string) bool {
	prefix := func(p string) (string, bool) { return strings.CutSuffix(p, "*") }
	pa, stara := prefix(a)
	pb, starb := prefix(b)
	return stara && strings.HasPrefix(pb, pa) || starb && strings.HasPrefix(pa, pb) || a == b
}

func registeredDelegate(owner string) error {
	return refuse(ErrNotAllowed, "make a new key for a delegation", "the delegation is for a key of %s; one that is registered signs for itself", owner)
}

// mayIssue says whether the issuer could give a delegation for the statement.
func (m *Member) mayIssue(st *Statement) error {
	if err := m.mayDelegate(st.Kind); err != nil {
		return err
	}
	for _, name := range touched(st) {
		if !matchesAny(m.Names, name) {
			return refuse(ErrNotAllowed, "", "%s may issue delegations for the names %v, which do not cover %s", m.Handle, m.Names, name)
		}
	}
	return nil
}

// mayDelegate says whether it is an issuer of that kind of statement.
func (m *Member) mayDelegate(kind Kind) error {
	switch {
	case m.Recovery || !m.has(RoleIssuer):
		return refuse(ErrNotAllowed, "an administrator registers a key with role "+RoleIssuer, "%s issues no delegations: its roles are %v", m.Handle, m.Roles)
	case !slices.Contains(DelegableKinds(), kind):
		return refuse(ErrNotAllowed, "sign with a registered key", "%s cannot be signed through a delegation", kind.Noun())
	case !slices.Contains(m.Kinds, kind):
		return refuse(ErrNotAllowed, "an administrator registers an issuer for it", "%s issues delegations for %v, not for %s", m.Handle, m.Kinds, kind.Noun())
	case kind == KindRelease && !m.has(RoleReleaser):
		return refuse(ErrNotAllowed, "", "%s has roles %v; of a release, the role is %s", m.Handle, m.Roles, RoleReleaser)
	}
	return nil
}

// CheckEnvelope is [Roster.Check] or [Roster.CheckDelegated] of a parsed
// envelope's statement.
func (r *Roster) CheckEnvelope(index uint64, timeMS int64, e *Envelope, st *Statement) error {
	d, err := e.Delegated()
	switch {
	case err != nil:
		return err
	case d != nil:
		return r.CheckDelegated(index, timeMS, d, st)
	}
	return r.Check(index, timeMS, e.KeyID, st)
}

// CheckSigner is the same of a statement that is yet to be signed.
func (r *Roster) CheckSigner(index uint64, timeMS int64, s Signer, st *Statement) error {
	if d := DelegationOf(s); d != nil {
		return r.CheckDelegated(index, timeMS, d, st)
	}
	return r.Check(index, timeMS, s.PublicKey().ID(), st)
}

// delegatedSigner signs with a key for which there is a delegation.
type delegatedSigner struct {
	Signer
	delegation *Delegation
}

// NewDelegated returns a Signer whose envelopes carry the delegation, which is for
// the signer's key.
func NewDelegated(s Signer, d *Delegation) (Signer, error) {
	if !s.PublicKey().Equal(d.Key) {
		return nil, malformed("the delegation is for key %s, not for %s", d.Key.ID(), s.PublicKey().ID())
	}
	return &delegatedSigner{s, d}, nil
}

// DelegationOf returns the delegation that a signer's envelopes carry, or nil.
func DelegationOf(s Signer) *Delegation {
	if s, ok := s.(*delegatedSigner); ok {
		return s.delegation
	}
	return nil
}

// By returns the registered key in whose name a signer signs: its own, or the
// issuer's of its delegation.
func By(s Signer) KeyID {
	if d := DelegationOf(s); d != nil {
		return d.Issuer
	}
	return s.PublicKey().ID()
}

// PEM returns the block that follows the key's in the file of a delegated key:
// see [ParsePrivateKey].
func (d *Delegation) PEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: pemDelegation, Bytes: d.Encode()})
}

// withDelegation reads what follows a private key in its file: nothing, or a
// delegation.
func withDelegation(s Signer, rest []byte) (Signer, error) {
	if len(rest) == 0 {
		return s, nil
	}
	block, rest := pem.Decode(rest)
	if block == nil || block.Type != pemDelegation || len(block.Headers) > 0 || len(rest) > 0 {
		return nil, malformed("private key: something follows the PEM block")
	}
	d, err := ParseDelegation(block.Bytes)
	if err != nil {
		return nil, err
	}
	return NewDelegated(s, d)
}

func utc(ms int64) string {
	return time.UnixMilli(ms).UTC().Format("2006-01-02 15:04:05 UTC")
}
