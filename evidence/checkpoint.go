package evidence

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const (
	// MaxSignatures is the most signature lines a checkpoint may carry.
	MaxSignatures = 100

	// MaxCheckpoint is the longest signed checkpoint, in bytes.
	MaxCheckpoint = 64 << 10

	// MaxSize is the most entries a log can have. A tree has nearly twice as many
	// nodes as leaves, and proofs count them in int64: with more leaves,
	// golang.org/x/mod/sumdb/tlog never comes to an end.
	MaxSize = 1<<62 - 1
)

// EmptyRoot is the root of a tree without leaves: SHA-256(""), RFC 6962
// section 2.1.
var EmptyRoot = tlog.Hash{
	0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f, 0xb9, 0x24,
	0x27, 0xae, 0x41, 0xe4, 0x64, 0x9b, 0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52, 0xb8, 0x55,
}

// Checkpoint is the size and root of a log at one moment.
// Source: c2sp.org/tlog-checkpoint. Page: docs/formats/checkpoint.md.
type Checkpoint struct {
	Origin string    // the log; CheckOrigin holds for it
	Size   uint64    // entries in the tree, at most MaxSize
	Root   tlog.Hash // RFC 6962 tree hash over them
}

// Text returns the note text that is signed: three lines.
func (c Checkpoint) Text() string {
	return c.Origin + "\n" + strconv.FormatUint(c.Size, 10) + "\n" + c.Root.String() + "\n"
}

// ParseCheckpoint parses the note text of a checkpoint. It has exactly three
// lines: extension lines, which the specification allows and advises against,
// are an ErrFormat, as is any other spelling of the same checkpoint.
func ParseCheckpoint(text string) (Checkpoint, error) {
	lines := strings.Split(text, "\n")
	if len(lines) != 4 || lines[3] != "" {
		return Checkpoint{}, fmt.Errorf("checkpoint: %w: want exactly three lines, each ended by a newline", ErrFormat)
	}
	if err := CheckOrigin(lines[0]); err != nil {
		return Checkpoint{}, fmt.Errorf("checkpoint: %w", err)
	}
	size, err := strconv.ParseUint(lines[1], 10, 62)
	if err != nil {
		return Checkpoint{}, fmt.Errorf("checkpoint: %w: size %.40q is not a decimal number up to 2^62-1", ErrFormat, lines[1])
	}
	root, err := tlog.ParseHash(lines[2])
	if err != nil {
		return Checkpoint{}, fmt.Errorf("checkpoint: %w: root %.60q is not 32 bytes of base64", ErrFormat, lines[2])
	}
	c := Checkpoint{Origin: lines[0], Size: size, Root: root}
	if c.Text() != text {
		return Checkpoint{}, fmt.Errorf("checkpoint: %w: not in its one spelling (leading zeros, or bits after the base64)", ErrFormat)
	}
	if size == 0 && root != EmptyRoot {
		return Checkpoint{}, fmt.Errorf("checkpoint: %w: an empty tree has the root %v, not %v", ErrFormat, EmptyRoot, root)
	}
	return c, nil
}

// SignCheckpoint returns the signed note of a checkpoint: the text, an empty
// line, and one signature line for each signer, in their order.
func SignCheckpoint(c Checkpoint, signers ...note.Signer) ([]byte, error) {
	if _, err := ParseCheckpoint(c.Text()); err != nil {
		return nil, fmt.Errorf("sign checkpoint: %w", err)
	}
	if len(signers) == 0 || len(signers) > MaxSignatures {
		return nil, fmt.Errorf("sign checkpoint: %w: want 1 to %d signers, have %d", ErrFormat, MaxSignatures, len(signers))
	}
	b, err := note.Sign(&note.Note{Text: c.Text()}, signers...)
	if err != nil {
		return nil, fmt.Errorf("sign checkpoint: %w", err)
	}
	return b, nil
}

// Signature is one signature line of a note, not yet verified by anybody.
type Signature struct {
	Name string // the key's name
	ID   uint32 // the key's id
	Raw  []byte // what follows the key id: a signature, or a time and one
}

// ReadCheckpoint parses a signed checkpoint and verifies nothing. Besides what
// the note format asks, base64 must be canonical and no key may sign twice:
// every bit of the note counts.
func ReadCheckpoint(signed []byte) (Checkpoint, []Signature, error) {
	text, sigs, err := splitNote(signed)
	if err != nil {
		return Checkpoint{}, nil, err
	}
	c, err := ParseCheckpoint(text)
	if err != nil {
		return Checkpoint{}, nil, err
	}
	return c, sigs, nil
}

// ReadExtended is ReadCheckpoint for what other people's logs sign: after the three
// lines there may be more, none of them empty, which the specification allows and
// advises against. They are covered by every signature, and mean nothing here.
func ReadExtended(signed []byte) (Checkpoint, []Signature, error) {
	text, sigs, err := splitNote(signed)
	if err != nil {
		return Checkpoint{}, nil, err
	}
	lines := strings.SplitAfterN(text, "\n", 4)
	if len(lines) == 4 && lines[3] != "" && (strings.HasPrefix(lines[3], "\n") || strings.Contains(lines[3], "\n\n") || !strings.HasSuffix(lines[3], "\n")) {
		return Checkpoint{}, nil, fmt.Errorf("checkpoint: %w: an empty line among its extension lines", ErrFormat)
	}
	c, err := ParseCheckpoint(strings.Join(lines[:min(3, len(lines))], ""))
	if err != nil {
		return Checkpoint{}, nil, err
	}
	return c, sigs, nil
}

// OpenExtended is OpenCheckpoint for what ReadExtended reads.
func OpenExtended(signed []byte, known note.Verifiers) (Checkpoint, *note.Note, error) {
	c, _, err := ReadExtended(signed)
	if err != nil {
		return Checkpoint{}, nil, err
	}
	return openNote(c, signed, known)
}

// OpenCheckpoint parses a signed checkpoint and verifies every signature by a
// known key. A signature by a known key that does not verify is an
// ErrTampered; a note that no known key signed is an ErrUntrusted; signatures
// by other keys are returned in the note's UnverifiedSigs and count for
// nothing.
func OpenCheckpoint(signed []byte, known note.Verifiers) (Checkpoint, *note.Note, error) {
	c, _, err := ReadCheckpoint(signed)
	if err != nil {
		return Checkpoint{}, nil, err
	}
	return openNote(c, signed, known)
}

func openNote(c Checkpoint, signed []byte, known note.Verifiers) (Checkpoint, *note.Note, error) {
	n, err := note.Open(signed, known)
	if err != nil {
		var bad *note.InvalidSignatureError
		var none *note.UnverifiedNoteError
		switch {
		case errors.As(err, &bad):
			return Checkpoint{}, nil, fmt.Errorf("checkpoint of %s: %w: the signature by %s (%08x) does not verify", c.Origin, ErrTampered, bad.Name, bad.Hash)
		case errors.As(err, &none):
			return Checkpoint{}, nil, fmt.Errorf("checkpoint of %s: %w: no key that is trusted signed it", c.Origin, ErrUntrusted)
		}
		return Checkpoint{}, nil, fmt.Errorf("checkpoint of %s: %w: %v", c.Origin, ErrFormat, err)
	}
	return c, n, nil
}

const signaturePrefix = "— " // U+2014, space

// splitNote takes a signed note apart, more strictly than note.Open.
func splitNote(signed []byte) (text string, sigs []Signature, err error) {
	fail := func(format string, args ...any) (string, []Signature, error) {
		return "", nil, fmt.Errorf("signed note: %w: "+format, append([]any{ErrFormat}, args...)...)
	}
	if len(signed) > MaxCheckpoint {
		return fail("%d bytes, the limit is %d", len(signed), MaxCheckpoint)
	}
	if !utf8.Valid(signed) || bytes.ContainsFunc(signed, func(r rune) bool { return r < 0x20 && r != '\n' }) {
		return fail("not UTF-8 text without control characters")
	}
	cut := bytes.LastIndex(signed, []byte("\n\n"))
	if cut < 0 || !bytes.HasSuffix(signed, []byte("\n")) || cut+2 == len(signed) {
		return fail("want the text, an empty line, and signature lines")
	}
	text = string(signed[:cut+1])
	lines := strings.Split(string(signed[cut+2:len(signed)-1]), "\n")
	if len(lines) > MaxSignatures {
		return fail("%d signatures, the limit is %d", len(lines), MaxSignatures)
	}
	type nameID struct {
		name string
		id   uint32
	}
	seen := make(map[nameID]bool, len(lines))
	for _, line := range lines {
		rest, ok := strings.CutPrefix(line, signaturePrefix)
		name, b64, ok2 := strings.Cut(rest, " ")
		raw, err := base64.StdEncoding.DecodeString(b64)
		if !ok || !ok2 || err != nil || len(raw) < 5 || CheckOrigin(name) != nil {
			return fail("signature line %.80q", line)
		}
		if base64.StdEncoding.EncodeToString(raw) != b64 {
			return fail("signature line %.80q: bits after the base64", line)
		}
		s := Signature{Name: name, ID: binary.BigEndian.Uint32(raw), Raw: raw[4:]}
		if seen[nameID{s.Name, s.ID}] {
			return fail("two signatures by %s (%08x)", s.Name, s.ID)
		}
		seen[nameID{s.Name, s.ID}] = true
		sigs = append(sigs, s)
	}
	return text, sigs, nil
}
