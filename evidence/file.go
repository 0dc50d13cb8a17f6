package evidence

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/stele-ml/stele/fingerprint"
	"github.com/stele-ml/stele/internal/strictjson"
	"github.com/stele-ml/stele/lineage"
	"github.com/stele-ml/stele/statement"
)

// Limits of an evidence file.
const (
	// MaxFile is the longest evidence file, in bytes.
	MaxFile = 64 << 20

	// MaxEntries is the most entries in a file, beside the control entries.
	MaxEntries = 65535

	// MaxControl is the most control entries in a file.
	MaxControl = 65535

	// MaxPaths is the most path proofs, and the most range proofs, in a file:
	// the absence of one path is a proof for each artifact of files in the
	// lineage.
	MaxPaths = 16384

	// MaxLineage is the most artifacts in the lineage of a claim, its own
	// included.
	MaxLineage = lineage.MaxWalk

	// MaxAbsent is the most paths that a file claims to be nowhere in the
	// lineage.
	MaxAbsent = 1024

	// MaxAttachments is the most attachments in a file: those of a thousand
	// runs, each with a few outputs, fit.
	MaxAttachments = 16384

	fileDepth = 6 // how deep its JSON nests
)

// FileMark is the value of an evidence file's first member, "stele".
const FileMark = "evidence/v1"

// sumDomain begins what an evidence file's sum is taken over.
const sumDomain = "stele evidence v1\n"

// File is an evidence file: what somebody needs to check a claim offline,
// beside the trust that they bring. Page: docs/formats/evidence.md.
type File struct {
	// Ledger is the id of the ledger: the hash of its leaf 0.
	Ledger statement.LedgerID

	// Checkpoint is the signed checkpoint that everything is proved against.
	Checkpoint []byte

	// Control holds the leaves of all control entries before the last leaf,
	// in order. The last leaf's control root commits to them.
	Control [][]byte

	// Last is the last leaf that the checkpoint covers. It may be a control
	// entry, and it may be one of Entries too.
	Last Proven

	// Entries are the entries that the claim is about, by index.
	Entries []Proven

	// Claim is what the file is to prove.
	Claim Claim

	// Attachments are documents that entries name by digest, those that are
	// given along, in the order of their digests.
	Attachments []Attachment
}

// Proven is a leaf and the proof that it is in the checkpoint's tree, at the
// index that the leaf itself says.
type Proven struct {
	Leaf  []byte
	Proof tlog.RecordProof
}

// Claim says that an entry binds name@version to a fingerprint, what that was
// made of, and what is among the files behind it and what is not.
type Claim struct {
	Entry       uint64 // index of the stamp, or of the run that stamped it; it is one of the file's Entries
	Name        string
	Version     string
	Fingerprint fingerprint.Fingerprint

	// Lineage says that the file holds everything that is recorded about what
	// the artifact was made of: of each artifact on the way the entry that
	// bound it, and the entries that say what it was made of.
	Lineage bool

	// Absent are paths that are among the files of no artifact of the lineage,
	// the claim's own included. Each has a path proof for each artifact of
	// files. Ascending; only with Lineage.
	Absent []string

	Paths  []PathClaim  // by artifact, then path
	Ranges []RangeClaim // by artifact, then path, then start
}

// Ref returns the artifact of the claim.
func (c *Claim) Ref() statement.Ref {
	return statement.Ref{Name: c.Name, Version: c.Version, Fingerprint: c.Fingerprint}
}

// PathClaim says that a path is, or is not, among the files of an artifact.
type PathClaim struct {
	// Of is the artifact, name@version, one of the lineage: a member of the
	// claim's collection, what a model was trained on. It is empty for the
	// claim's own.
	Of      string
	Path    string
	Present bool
	Proof   []byte // a fingerprint.PathProof
}

// RangeClaim says what the bytes from Start up to and not including End of a
// file are. The file has a PathClaim that says it is present.
type RangeClaim struct {
	Of         string // as in PathClaim
	Path       string
	Start, End uint64
	Proof      []byte // a fingerprint.RangeProof
	Data       []byte // the whole chunks that cover the range
}

// Attachment is a document that an entry names by its digest.
type Attachment struct {
	SHA256 [32]byte
	Data   []byte
}

// The JSON of an evidence file. The order of members here is theirs there.
type (
	wireFile struct {
		Stele       string             `json:"stele"`
		Ledger      statement.LedgerID `json:"ledger"`
		Checkpoint  string             `json:"checkpoint"`
		Control     [][]byte           `json:"control"`
		Last        wireProven         `json:"last"`
		Entries     []wireProven       `json:"entries"`
		Claim       wireClaim          `json:"claim"`
		Attachments []wireAttachment   `json:"attachments"`
		Sum         string             `json:"sum"`
	}
	wireProven struct {
		Leaf  []byte   `json:"leaf"`
		Proof [][]byte `json:"proof"`
	}
	wireClaim struct {
		Entry       uint64      `json:"entry"`
		Name        string      `json:"name"`
		Version     string      `json:"version"`
		Fingerprint string      `json:"fingerprint"`
		Lineage     bool        `json:"lineage,omitzero"`
		Absent      []string    `json:"absent,omitzero"`
		Paths       []wirePath  `json:"paths"`
		Ranges      []wireRange `json:"ranges"`
	}
	wirePath struct {
		Of      string `json:"of,omitzero"`
		Path    string `json:"path"`
		Present bool   `json:"present"`
		Proof   []byte `json:"proof"`
	}
	wireRange struct {
		Of    string `json:"of,omitzero"`
		Path  string `json:"path"`
		Start uint64 `json:"start"`
		End   uint64 `json:"end"`
		Proof []byte `json:"proof"`
		Data  []byte `json:"data"`
	}
	wireAttachment struct {
		SHA256 string `json:"sha256"`
		Data   []byte `json:"data"`
	}
)

// Marshal returns the file's one encoding: JSON without white space, then a
// newline.
func (f *File) Marshal() ([]byte, error) {
	if err := f.check(); err != nil {
		return nil, err
	}
	w := wireFile{
		Stele:      FileMark,
		Ledger:     f.Ledger,
		Checkpoint: string(f.Checkpoint),
		Control:    f.Control,
		Last:       f.Last.wire(),
		Claim: wireClaim{
			Entry:       f.Claim.Entry,
			Name:        f.Claim.Name,
			Version:     f.Claim.Version,
			Fingerprint: f.Claim.Fingerprint.String(),
			Lineage:     f.Claim.Lineage,
		},
	}
	if len(f.Claim.Absent) > 0 {
		w.Claim.Absent = f.Claim.Absent
	}
	for _, e := range f.Entries {
		w.Entries = append(w.Entries, e.wire())
	}
	for _, p := range f.Claim.Paths {
		w.Claim.Paths = append(w.Claim.Paths, wirePath(p))
	}
	for _, r := range f.Claim.Ranges {
		w.Claim.Ranges = append(w.Claim.Ranges, wireRange(r))
	}
	for _, a := range f.Attachments {
		w.Attachments = append(w.Attachments, wireAttachment{hex.EncodeToString(a.SHA256[:]), a.Data})
	}
	body, err := strictjson.Marshal(&w)
	if err != nil {
		return nil, fmt.Errorf("evidence: %w", err)
	}
	// The sum stands for every byte before it: also for what only a verifier
	// with other trust could judge, as a cosignature by a witness that this
	// one does not know. Against malice there are the proofs.
	sum := fileSum(body)
	body = append(body[:len(body)-len(`"}`)], sum+"\"}\n"...)
	if len(body) > MaxFile {
		return nil, fmt.Errorf("evidence: %w: %d bytes, the limit is %d", ErrFormat, len(body), MaxFile)
	}
	return body, nil
}

// fileSum returns the sum of an encoding whose sum is still empty.
func fileSum(body []byte) string {
	h := sha256.New()
	h.Write([]byte(sumDomain))
	h.Write(body)
	return hex.EncodeToString(h.Sum(nil))
}

func (p Proven) wire() wireProven {
	w := wireProven{Leaf: p.Leaf, Proof: make([][]byte, len(p.Proof))}
	for i := range p.Proof {
		w.Proof[i] = p.Proof[i][:]
	}
	return w
}

func (w wireProven) proven() (Proven, error) {
	p := Proven{Leaf: w.Leaf}
	for _, h := range w.Proof {
		if len(h) != tlog.HashSize {
			return Proven{}, fmt.Errorf("evidence: %w: a hash of %d bytes", ErrFormat, len(h))
		}
		p.Proof = append(p.Proof, tlog.Hash(h))
	}
	return p, nil
}

// Parse parses an evidence file and verifies nothing but that it is whole: its
// sum, and that it is in its one encoding. What does not begin as an evidence
// file is an ErrFormat; one that does and is not whole is an ErrTampered as
// well.
func Parse(data []byte) (*File, error) {
	if !bytes.HasPrefix(data, []byte(`{"stele":"`+FileMark+`",`)) {
		return nil, fmt.Errorf("evidence: %w: not an evidence file (it does not begin with {\"stele\":%q)", ErrFormat, FileMark)
	}
	fail := func(err error) (*File, error) {
		return nil, fmt.Errorf("evidence: %w: %w: %w", ErrTampered, ErrFormat, err)
	}
	var w wireFile
	if err := strictjson.Unmarshal(data, &w, MaxFile, fileDepth); err != nil {
		return fail(err)
	}
	f := &File{
		Ledger:     w.Ledger,
		Checkpoint: []byte(w.Checkpoint),
		Control:    w.Control,
		Claim: Claim{Entry: w.Claim.Entry, Name: w.Claim.Name, Version: w.Claim.Version,
			Lineage: w.Claim.Lineage, Absent: w.Claim.Absent},
	}
	var err error
	if f.Last, err = w.Last.proven(); err != nil {
		return fail(err)
	}
	for _, e := range w.Entries {
		p, err := e.proven()
		if err != nil {
			return fail(err)
		}
		f.Entries = append(f.Entries, p)
	}
	if f.Claim.Fingerprint, err = fingerprint.Parse(w.Claim.Fingerprint); err != nil {
		return fail(err)
	}
	for _, p := range w.Claim.Paths {
		f.Claim.Paths = append(f.Claim.Paths, PathClaim(p))
	}
	for _, r := range w.Claim.Ranges {
		f.Claim.Ranges = append(f.Claim.Ranges, RangeClaim(r))
	}
	for _, a := range w.Attachments {
		sum, err := hex.DecodeString(a.SHA256)
		if err != nil || len(sum) != sha256.Size {
			return fail(fmt.Errorf("attachment %.80q: not a SHA-256 digest", a.SHA256))
		}
		f.Attachments = append(f.Attachments, Attachment{[32]byte(sum), a.Data})
	}
	again, err := f.Marshal()
	if err != nil {
		return fail(err)
	}
	if !bytes.Equal(again, data) {
		return fail(fmt.Errorf("the bytes do not fit their sum, or are not in their one encoding"))
	}
	return f, nil
}

// check reports whether the file is within its limits and in its order, so
// that it has one encoding.
func (f *File) check() error {
	bad := func(format string, args ...any) error {
		return fmt.Errorf("evidence: %w: "+format, append([]any{ErrFormat}, args...)...)
	}
	limits := []struct {
		what     string
		have, at int
	}{
		{"control entries", len(f.Control), MaxControl},
		{"entries", len(f.Entries), MaxEntries},
		{"absent paths", len(f.Claim.Absent), MaxAbsent},
		{"path proofs", len(f.Claim.Paths), MaxPaths},
		{"range proofs", len(f.Claim.Ranges), MaxPaths},
		{"attachments", len(f.Attachments), MaxAttachments},
	}
	for _, l := range limits {
		if l.have > l.at {
			return bad("%d %s, the limit is %d", l.have, l.what, l.at)
		}
	}
	if len(f.Entries) == 0 {
		return bad("no entry")
	}
	if _, _, err := ReadCheckpoint(f.Checkpoint); err != nil {
		return err
	}
	if err := f.Claim.check(); err != nil {
		return bad("%v", err)
	}
	if !slices.IsSortedFunc(f.Attachments, func(a, b Attachment) int {
		return orderOnce(string(a.SHA256[:]), string(b.SHA256[:]))
	}) {
		return bad("attachments out of order, or one twice")
	}
	return nil
}

// check reports whether the claim is in its order, and about no other artifact
// than those of its lineage.
func (c *Claim) check() error {
	if !slices.IsSortedFunc(c.Absent, orderOnce) {
		return errors.New("absent paths out of order, or one twice")
	}
	if !slices.IsSortedFunc(c.Paths, func(a, b PathClaim) int {
		if a.Of != b.Of {
			return orderOnce(a.Of, b.Of)
		}
		return orderOnce(a.Path, b.Path)
	}) {
		return errors.New("path proofs out of order, or two for one path")
	}
	if !slices.IsSortedFunc(c.Ranges, func(a, b RangeClaim) int {
		switch {
		case a.Of != b.Of:
			return orderOnce(a.Of, b.Of)
		case a.Path != b.Path:
			return orderOnce(a.Path, b.Path)
		}
		return orderOnce(a.Start, b.Start)
	}) {
		return errors.New("range proofs out of order, or two from one place")
	}
	if len(c.Absent) > 0 && !c.Lineage {
		return errors.New("paths absent from a lineage that it does not claim to hold")
	}
	of := func(other, path string) error {
		switch name, version, err := statement.ParseNameVersion(other); {
		case other == "":
			return nil
		case err != nil:
			return fmt.Errorf("the proof of %+q: %w", path, err)
		case !c.Lineage:
			return fmt.Errorf("a proof about %s, and no lineage", other)
		case name == c.Name && version == c.Version:
			return fmt.Errorf("a proof names the claim's own artifact, %s", other)
		}
		return nil
	}
	for _, p := range c.Paths {
		if err := of(p.Of, p.Path); err != nil {
			return err
		}
	}
	for _, r := range c.Ranges {
		if err := of(r.Of, r.Path); err != nil {
			return err
		}
	}
	return nil
}

// orderOnce compares for slices.IsSortedFunc such that equal neighbours are
// out of order. IsSortedFunc asks with the later element first.
func orderOnce[T string | uint64](later, earlier T) int {
	if later > earlier {
		return 1
	}
	return -1
}
