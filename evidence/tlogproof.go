package evidence

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/tlog"
)

const (
	tlogProofHeader = "c2sp.org/tlog-proof@v1"

	// MaxExtra is the most extra data a .tlog-proof may carry, in bytes: the
	// longest for which widely used readers, which stop at lines of 64 KiB,
	// still read the line.
	MaxExtra = 48_000

	// MaxTLogProof is the longest .tlog-proof, in bytes.
	MaxTLogProof = 256 << 10
)

// TLogProof is the proof that one entry is in a log, for tools from elsewhere.
// Source: c2sp.org/tlog-proof. Page: docs/formats/tlog-proof.md.
type TLogProof struct {
	Extra      []byte           // not authenticated; nil for none
	Index      uint64           // of the entry
	Hashes     tlog.RecordProof // from the leaf's sibling to the root's child
	Checkpoint []byte           // signed, verbatim
}

// Marshal returns the file's bytes.
func (p *TLogProof) Marshal() []byte {
	var b bytes.Buffer
	b.WriteString(tlogProofHeader + "\n")
	if len(p.Extra) > 0 {
		b.WriteString("extra " + base64.StdEncoding.EncodeToString(p.Extra) + "\n")
	}
	b.WriteString("index " + strconv.FormatUint(p.Index, 10) + "\n")
	for _, h := range p.Hashes {
		b.WriteString(h.String() + "\n")
	}
	b.WriteByte('\n')
	b.Write(p.Checkpoint)
	return b.Bytes()
}

// ParseTLogProof parses a .tlog-proof and verifies nothing. Files of older
// writers, without the first line, are an ErrFormat.
func ParseTLogProof(data []byte) (*TLogProof, error) {
	fail := func(format string, args ...any) (*TLogProof, error) {
		return nil, fmt.Errorf("tlog-proof: %w: "+format, append([]any{ErrFormat}, args...)...)
	}
	if len(data) > MaxTLogProof {
		return fail("%d bytes, the limit is %d", len(data), MaxTLogProof)
	}
	head, signed, ok := bytes.Cut(data, []byte("\n\n"))
	lines := strings.Split(string(head), "\n")
	if !ok || lines[0] != tlogProofHeader {
		return fail("the first line is not %s", tlogProofHeader)
	}
	lines = lines[1:]
	p := &TLogProof{Checkpoint: bytes.Clone(signed)}
	var err error
	if b64, ok := cutFirst(lines, "extra "); ok {
		if p.Extra, err = base64.StdEncoding.DecodeString(b64); err != nil || len(p.Extra) == 0 || len(p.Extra) > MaxExtra {
			return fail("extra is not 1 to %d bytes of base64", MaxExtra)
		}
		lines = lines[1:]
	}
	index, ok := cutFirst(lines, "index ")
	if !ok {
		return fail("no index line")
	}
	if p.Index, err = strconv.ParseUint(index, 10, 62); err != nil {
		return fail("index %.40q is not a decimal number up to 2^62-1", index)
	}
	lines = lines[1:]
	if len(lines) > MaxProof {
		return fail("%d hashes, the limit is %d", len(lines), MaxProof)
	}
	for _, line := range lines {
		h, err := tlog.ParseHash(line)
		if err != nil {
			return fail("hash %.60q is not 32 bytes of base64", line)
		}
		p.Hashes = append(p.Hashes, h)
	}
	if _, _, err := ReadCheckpoint(p.Checkpoint); err != nil {
		return nil, fmt.Errorf("tlog-proof: %w", err)
	}
	if !bytes.Equal(p.Marshal(), data) {
		return fail("not in its one spelling (leading zeros, or bits after the base64)")
	}
	return p, nil
}

func cutFirst(lines []string, prefix string) (string, bool) {
	if len(lines) == 0 {
		return "", false
	}
	return strings.CutPrefix(lines[0], prefix)
}

// Verify checks the proof for a leaf: a log that the policy names signed the
// checkpoint, its quorum of witnesses cosigned it, and the leaf with that hash
// is at the proof's index. It returns the checkpoint and its cosignatures.
func (p *TLogProof) Verify(leaf tlog.Hash, trust *Policy) (*Opened, error) {
	o, err := trust.Verify(p.Checkpoint)
	if err != nil {
		return nil, err
	}
	if !o.Quorum {
		return nil, fmt.Errorf("tlog-proof: %w: %s", ErrUntrusted, o.quorumText())
	}
	if err := CheckInclusion(o.Checkpoint, p.Index, leaf, p.Hashes); err != nil {
		return nil, err
	}
	return o, nil
}
