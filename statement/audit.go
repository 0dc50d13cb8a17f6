package statement

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"strings"
)

// Audit announces that random chunks of an artifact will be read, or says what
// came of it. Exactly one of Announcement and Result is set. An audit that is
// announced before its seed can be known convinces others; who audits for
// himself alone needs none of it.
type Audit struct {
	Announcement *AuditAnnouncement
	Result       *AuditResult
	Details      *Attachment // the details document, which says where the bytes lie, or nil
}

// AuditAnnouncement says what will be looked for, and binds its author to a
// nonce that is not yet shown.
type AuditAnnouncement struct {
	Altered     Fraction // of the bytes: what is to be found if that much was altered
	Confidence  Fraction // the probability of finding it
	Chunks      uint64   // how many chunks will be drawn: at least 1
	NonceSHA256 [32]byte // SHA-256 of the nonce's 32 bytes
}

// AuditResult ends an audit that was announced.
type AuditResult struct {
	Announcement uint64          // the entry that announced it
	Nonce        [32]byte        // whose hash was announced
	Checkpoint   AuditCheckpoint // the first that covers the announcement
	Seed         [32]byte        // AuditSeed of the three
	Outcome      string          // held, altered or incomplete

	ChunksAsked     uint64 // that the seed drew
	ChunksRead      uint64 // of those
	BytesRead       uint64
	FilesCompared   uint64 // by name and size
	ChunksDiffering uint64 // of those read
	NamesDiffering  uint64 // missing, added, or of another size
}

// AuditCheckpoint is what a seed takes of a checkpoint.
type AuditCheckpoint struct {
	Size uint64
	Root [32]byte
}

// The outcomes of an audit.
const (
	OutcomeHeld       = "held"       // all that was asked was read, and nothing differs
	OutcomeAltered    = "altered"    // something differs
	OutcomeIncomplete = "incomplete" // nothing that was read differs, and not all could be read
)

// AuditSeed returns what decides which chunks an announced audit reads:
//
//	SHA-256("stele audit seed v1\n" ‖ leaf hash[32] ‖ nonce[32] ‖ u64 size ‖ root[32])
//
// of the announcement's leaf hash (RFC 6962), the nonce that it is bound to, and
// the first checkpoint that covers it. Whoever announces does not know the root
// that his own entry leads to; whoever runs the ledger does not know the nonce.
func AuditSeed(leafHash, nonce [32]byte, size uint64, root [32]byte) [32]byte {
	b := []byte("stele audit seed v1\n")
	b = append(b, leafHash[:]...)
	b = append(b, nonce[:]...)
	b = binary.BigEndian.AppendUint64(b, size)
	return sha256.Sum256(append(b, root[:]...))
}

// Fraction is a number between 0 and 1, both excluded, in billionths. Its text
// has one spelling: "0." and 1 to 9 digits, the last of which is not 0.
type Fraction uint32

// fractionDigits is how many digits a fraction has at most.
const fractionDigits = 9

// one is 1 as a Fraction, which is too much.
const one Fraction = 1e9

// ParseFraction reads the one spelling of a fraction.
func ParseFraction(text string) (Fraction, error) {
	digits, ok := strings.CutPrefix(text, "0.")
	if !ok || digits == "" || len(digits) > fractionDigits || digits[len(digits)-1] == '0' {
		return 0, malformedFraction(text)
	}
	var f Fraction
	for i := range fractionDigits {
		f *= 10
		if i >= len(digits) {
			continue
		}
		if digits[i] < '0' || digits[i] > '9' {
			return 0, malformedFraction(text)
		}
		f += Fraction(digits[i] - '0')
	}
	return f, nil
}

func malformedFraction(text string) error {
	return malformed("fraction %s: want 0. and at most %d digits, between 0 and 1, without zeros at its end", quote(text), fractionDigits)
}

// String writes what ParseFraction reads.
func (f Fraction) String() string {
	var digits [fractionDigits]byte
	for i := fractionDigits - 1; i >= 0; i-- {
		digits[i] = '0' + byte(f%10)
		f /= 10
	}
	return "0." + strings.TrimRight(string(digits[:]), "0")
}

func (f Fraction) check(what string) error {
	if f == 0 || f >= one {
		return malformed("audit: %s: %d billionths, want more than 0 and less than 1", what, uint32(f))
	}
	return nil
}

// MarshalText writes what String writes.
func (f Fraction) MarshalText() ([]byte, error) { return []byte(f.String()), nil }

// UnmarshalText is ParseFraction.
func (f *Fraction) UnmarshalText(text []byte) (err error) {
	*f, err = ParseFraction(string(text))
	return err
}

type wireAudit struct {
	wireCommon
	Announcement *wireAnnouncement `json:"announcement,omitzero"`
	Result       *wireAuditResult  `json:"result,omitzero"`
	Details      *wireAttachment   `json:"details,omitzero"`
}

type wireAnnouncement struct {
	Altered     Fraction `json:"altered"`
	Confidence  Fraction `json:"confidence"`
	Chunks      uint64   `json:"chunks"`
	NonceSHA256 string   `json:"nonceSHA256"`
}

type wireAuditResult struct {
	Announcement    uint64         `json:"announcement"`
	Nonce           string         `json:"nonce"`
	Checkpoint      wireCheckpoint `json:"checkpoint"`
	Seed            string         `json:"seed"`
	Outcome         string         `json:"outcome"`
	ChunksAsked     uint64         `json:"chunksAsked"`
	ChunksRead      uint64         `json:"chunksRead"`
	BytesRead       uint64         `json:"bytesRead"`
	FilesCompared   uint64         `json:"filesCompared"`
	ChunksDiffering uint64         `json:"chunksDiffering"`
	NamesDiffering  uint64         `json:"namesDiffering"`
}

type wireCheckpoint struct {
	Size uint64 `json:"size"`
	Root string `json:"root"`
}

func (w *wireAudit) decode(st *Statement) error {
	a := new(Audit)
	var err error
	if n := w.Announcement; n != nil {
		a.Announcement = &AuditAnnouncement{Altered: n.Altered, Confidence: n.Confidence, Chunks: n.Chunks}
		err = decodeHex(a.Announcement.NonceSHA256[:], "audit: nonceSHA256", n.NonceSHA256)
	}
	if w.Result != nil && err == nil {
		a.Result, err = w.Result.result()
	}
	if err != nil {
		return err
	}
	if a.Details, err = w.Details.attachment(); err != nil {
		return err
	}
	st.setCommon(w.wireCommon)
	st.Audit = a
	return nil
}

func (w *wireAuditResult) result() (*AuditResult, error) {
	r := &AuditResult{
		Announcement: w.Announcement, Checkpoint: AuditCheckpoint{Size: w.Checkpoint.Size}, Outcome: w.Outcome,
		ChunksAsked: w.ChunksAsked, ChunksRead: w.ChunksRead, BytesRead: w.BytesRead,
		FilesCompared: w.FilesCompared, ChunksDiffering: w.ChunksDiffering, NamesDiffering: w.NamesDiffering,
	}
	if err := decodeHex(r.Nonce[:], "audit: nonce", w.Nonce); err != nil {
		return nil, err
	}
	if err := decodeHex(r.Checkpoint.Root[:], "audit: root", w.Checkpoint.Root); err != nil {
		return nil, err
	}
	return r, decodeHex(r.Seed[:], "audit: seed", w.Seed)
}

func (a *Audit) subject(*Statement) []Subject { return nil }

func (a *Audit) check(st *Statement) error {
	if _, err := st.Ref(); err != nil {
		return err
	}
	if (a.Announcement == nil) == (a.Result == nil) {
		return malformed("audit: it is either an announcement or a result")
	}
	err := a.Details.check()
	switch {
	case err != nil:
	case a.Announcement != nil:
		err = a.Announcement.check()
	default:
		err = a.Result.check()
	}
	return err
}

func (n *AuditAnnouncement) check() error {
	if err := n.Altered.check("altered"); err != nil {
		return err
	}
	if err := n.Confidence.check("confidence"); err != nil {
		return err
	}
	if n.NonceSHA256 == [32]byte{} {
		return malformed("audit: the hash of the nonce is not set")
	}
	return checkInteger("audit: chunks", n.Chunks, 1)
}

func (r *AuditResult) check() error {
	if r.Nonce == [32]byte{} {
		return malformed("audit: the nonce is not set")
	}
	if err := checkInteger("audit: announcement", r.Announcement, 1); err != nil {
		return err
	}
	// A checkpoint of size n covers the entries before n.
	if err := checkInteger("audit: the checkpoint's size", r.Checkpoint.Size, r.Announcement+1); err != nil {
		return err
	}
	if err := oneOf("audit: outcome", r.Outcome, OutcomeHeld, OutcomeAltered, OutcomeIncomplete); err != nil {
		return err
	}
	for _, n := range []uint64{r.ChunksAsked, r.ChunksRead, r.BytesRead, r.FilesCompared, r.ChunksDiffering, r.NamesDiffering} {
		if err := checkInteger("audit: a count", n, 0); err != nil {
			return err
		}
	}
	differs := r.ChunksDiffering > 0 || r.NamesDiffering > 0
	switch {
	case r.ChunksRead > r.ChunksAsked:
		return malformed("audit: %d chunks read of %d asked", r.ChunksRead, r.ChunksAsked)
	case r.ChunksDiffering > r.ChunksRead:
		return malformed("audit: %d chunks differ of %d read", r.ChunksDiffering, r.ChunksRead)
	case differs != (r.Outcome == OutcomeAltered):
		return malformed("audit: the outcome is %s exactly where something differs, not %s", OutcomeAltered, r.Outcome)
	case r.Outcome == OutcomeHeld && r.ChunksRead != r.ChunksAsked:
		return malformed("audit: %s, with %d of %d chunks read", OutcomeHeld, r.ChunksRead, r.ChunksAsked)
	}
	return nil
}

func (a *Audit) wire(st *Statement) any {
	w := wireAudit{wireCommon: st.common(), Details: a.Details.wire()}
	if n := a.Announcement; n != nil {
		w.Announcement = &wireAnnouncement{n.Altered, n.Confidence, n.Chunks, hex.EncodeToString(n.NonceSHA256[:])}
	}
	if r := a.Result; r != nil {
		w.Result = &wireAuditResult{
			Announcement: r.Announcement, Nonce: hex.EncodeToString(r.Nonce[:]),
			Checkpoint: wireCheckpoint{r.Checkpoint.Size, hex.EncodeToString(r.Checkpoint.Root[:])},
			Seed:       hex.EncodeToString(r.Seed[:]), Outcome: r.Outcome,
			ChunksAsked: r.ChunksAsked, ChunksRead: r.ChunksRead, BytesRead: r.BytesRead,
			FilesCompared: r.FilesCompared, ChunksDiffering: r.ChunksDiffering, NamesDiffering: r.NamesDiffering,
		}
	}
	return w
}
