package witness

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/stele-ml/stele/evidence"
)

const (
	// MaxProof is the most hashes of a consistency proof in a request.
	MaxProof = 63

	// MaxRequest is the longest request, in bytes: the old size, MaxProof
	// hashes, an empty line and a checkpoint.
	MaxRequest = len("old 9223372036854775807\n") + MaxProof*45 + 1 + evidence.MaxCheckpoint
)

// Request is the body of add-checkpoint: a checkpoint, and the proof that its
// tree begins with the tree of an older size.
type Request struct {
	Old        uint64         // what the witness cosigned last, by the client's knowledge
	Proof      tlog.TreeProof // RFC 6962 section 2.1.2; at most MaxProof hashes
	Checkpoint []byte         // a signed checkpoint
}

// Marshal returns the body of the request.
func (r Request) Marshal() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "old %d\n", r.Old)
	for _, h := range r.Proof {
		b.WriteString(h.String() + "\n")
	}
	b.WriteByte('\n')
	b.Write(r.Checkpoint)
	return b.Bytes()
}

// ParseRequest parses the body of add-checkpoint. It does not look into the
// checkpoint. Whatever Marshal would not have written is an ErrFormat.
func ParseRequest(body []byte) (Request, error) {
	bad := func(format string, args ...any) (Request, error) {
		return Request{}, fmt.Errorf("request: %w: "+format, append([]any{ErrFormat}, args...)...)
	}
	if len(body) > MaxRequest {
		return bad("longer than %d bytes", MaxRequest)
	}
	head, signed, ok := bytes.Cut(body, []byte("\n\n"))
	if !ok {
		return bad("no empty line before the checkpoint")
	}
	lines := strings.Split(string(head), "\n")
	number, ok := strings.CutPrefix(lines[0], "old ")
	old, err := strconv.ParseUint(number, 10, 63)
	if !ok || err != nil || number != strconv.FormatUint(old, 10) {
		return bad("the first line is %.40q; want \"old\" and a size", lines[0])
	}
	r := Request{Old: old, Checkpoint: signed}
	if len(lines)-1 > MaxProof {
		return bad("%d hashes in the proof, the limit is %d", len(lines)-1, MaxProof)
	}
	for _, line := range lines[1:] {
		h, err := tlog.ParseHash(line)
		if err != nil || h.String() != line {
			return bad("the proof's line %.60q is not 32 bytes of base64", line)
		}
		r.Proof = append(r.Proof, h)
	}
	return r, nil
}
