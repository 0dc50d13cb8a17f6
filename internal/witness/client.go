package witness

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/stele-ml/stele/evidence"
)

const (
	askTimeout = 10 * time.Second
	maxAnswer  = 64 << 10 // bytes of an answer
	maxReason  = 300      // bytes of a witness's words that are passed on
	maxAhead   = 600      // seconds that a cosignature's time may be ahead of the clock
)

// Client asks one witness for cosignatures, and believes nothing that it says:
// what comes back is checked against the key that is expected of it.
type Client struct {
	URL  string           // the submission prefix, http or https
	Key  evidence.VKey    // the witness's, of WitnessKeyType
	HTTP *http.Client     // nil: http.DefaultClient; redirects are never followed
	Now  func() time.Time // the clock; nil: times are not looked at
}

// Cosignature is a line for a signed note; it verified.
type Cosignature struct {
	Line string // with its newline
	Time int64  // Unix seconds, as the witness claims
}

// Stale says that the witness cosigned another size last: ask again from
// there. A size below one that it is known to have cosigned means that it lost
// its memory; one above the log's own, that the log did.
type Stale struct{ Size uint64 }

func (e *Stale) Error() string {
	return fmt.Sprintf("the witness cosigned %d entries last", e.Size)
}

// Refused says that the witness will not cosign, now or later: 409 without a
// size is a fork by its reckoning, 422 no proof, 404 and 403 a log or a key
// that it does not know.
type Refused struct {
	Status int
	Reason string // the witness's words: foreign text
}

func (e *Refused) Error() string {
	return fmt.Sprintf("the witness refused: status %d, %q", e.Status, e.Reason)
}

// Unreachable says that there was no answer, or none for now (429 and 5xx).
type Unreachable struct {
	Err   error
	After time.Duration // how long it wants to be left alone, by its own word; 0: it did not say
}

func (e *Unreachable) Error() string { return "the witness cannot be reached: " + e.Err.Error() }
func (e *Unreachable) Unwrap() error { return e.Err }

// False says that the witness answered, and that its answer does not hold.
type False struct{ Err error }

func (e *False) Error() string { return "the witness's answer does not hold: " + e.Err.Error() }
func (e *False) Unwrap() error { return e.Err }

// Ask submits a signed checkpoint with the proof from the old size. It returns
// the cosignatures by the expected key, at least one, or a *Stale, *Refused,
// *Unreachable or *False. It takes at most ten seconds.
func (c *Client) Ask(ctx context.Context, old uint64, proof tlog.TreeProof, signed []byte) ([]Cosignature, error) {
	checkpoint, _, err := evidence.ReadCheckpoint(signed)
	if err != nil {
		return nil, fmt.Errorf("ask witness: %w", err)
	}
	if c.Key.Type != evidence.WitnessKeyType {
		return nil, fmt.Errorf("ask witness: %w: %s is no witness's key", ErrKeys, c.Key.Short())
	}
	if len(proof) > MaxProof || old > checkpoint.Size {
		return nil, fmt.Errorf("ask witness: %w: %d hashes from size %d to %d", ErrFormat, len(proof), old, checkpoint.Size)
	}
	address, err := url.Parse(c.URL)
	if err != nil || address.Host == "" || address.Scheme != "https" && address.Scheme != "http" {
		return nil, fmt.Errorf("ask witness: %w: address %.200q", ErrFormat, c.URL)
	}
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	body := Request{Old: old, Proof: proof, Checkpoint: signed}.Marshal()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address.JoinPath("add-checkpoint").String(), bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("ask witness: %w", err)
	}
	req.Header.Set("Content-Type", "text/plain; charset=utf-8")
	resp, err := c.client().Do(req)
	if err != nil {
		return nil, &Unreachable{Err: err}
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return nil, &Unreachable{Err: err}
	}
	if len(answer) > maxAnswer {
		return nil, &False{fmt.Errorf("%w: longer than %d bytes", ErrFormat, maxAnswer)}
	}
	return c.read(resp, answer, old, checkpoint)
}

// Latest asks the witness for the newest checkpoint of a log that it cosigned:
// <prefix>/<hex SHA-256 of the origin>/checkpoint, where the monitoring prefix is
// that of submissions. What comes back is a signed note of that origin, not
// verified. It takes at most ten seconds.
func (c *Client) Latest(ctx context.Context, origin string) ([]byte, error) {
	address, err := url.Parse(c.URL)
	if err != nil {
		return nil, fmt.Errorf("ask witness: %w: address %.200q", ErrFormat, c.URL)
	}
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address.JoinPath(OriginID(origin), "checkpoint").String(), nil)
	if err != nil {
		return nil, fmt.Errorf("ask witness: %w", err)
	}
	resp, err := c.client().Do(req)
	if err != nil {
		return nil, &Unreachable{Err: err}
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, &Refused{Status: resp.StatusCode, Reason: "no checkpoint of that log"}
	}
	signed, err := io.ReadAll(io.LimitReader(resp.Body, evidence.MaxCheckpoint+1))
	if err != nil {
		return nil, &Unreachable{Err: err}
	}
	cp, _, err := evidence.ReadCheckpoint(signed)
	if err != nil {
		return nil, &False{err}
	}
	if cp.Origin != origin {
		return nil, &False{fmt.Errorf("%w: it is of the log %s", ErrFormat, cp.Origin)}
	}
	return signed, nil
}

// client is the HTTP client, made to stay at the address that it was given.
func (c *Client) client() *http.Client {
	h := http.Client{}
	if c.HTTP != nil {
		h = *c.HTTP
	}
	h.Jar = nil
	h.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &h
}

func (c *Client) read(resp *http.Response, answer []byte, old uint64, checkpoint evidence.Checkpoint) ([]Cosignature, error) {
	status := resp.StatusCode
	words := strings.TrimSpace(strings.ToValidUTF8(string(answer[:min(len(answer), maxReason)]), "?"))
	kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	switch {
	case status == http.StatusOK:
		return c.verify(answer, checkpoint)
	case status == http.StatusConflict && kind == SizeType:
		text, ok := strings.CutSuffix(string(answer), "\n")
		size, err := strconv.ParseUint(text, 10, 63)
		if !ok || err != nil || text != strconv.FormatUint(size, 10) {
			return nil, &False{fmt.Errorf("%w: %q is not a size", ErrFormat, words)}
		}
		if size == old { // it says that this is the right one, and refuses
			return nil, &Refused{Status: status, Reason: fmt.Sprintf("it cosigned %d entries last, and was asked from there", size)}
		}
		return nil, &Stale{Size: size}
	case status == http.StatusTooManyRequests || status == http.StatusRequestTimeout || status >= 500:
		return nil, &Unreachable{Err: fmt.Errorf("status %d, %q", status, words), After: retryAfter(resp, c.Now)}
	}
	return nil, &Refused{Status: status, Reason: words}
}

// retryAfter reads Retry-After, RFC 9110 section 10.2.3: seconds, or a date. It is
// never below zero, and whoever uses it bounds it: it is the witness's word.
func retryAfter(resp *http.Response, now func() time.Time) time.Duration {
	text := resp.Header.Get("Retry-After")
	if seconds, err := strconv.ParseUint(text, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second
	}
	if at, err := http.ParseTime(text); err == nil && now != nil {
		return max(0, at.Sub(now()))
	}
	return 0
}

// verify keeps the lines that the expected key signed, over exactly this
// checkpoint. One by that key that does not verify spoils the answer.
func (c *Client) verify(answer []byte, checkpoint evidence.Checkpoint) ([]Cosignature, error) {
	signed := append([]byte(checkpoint.Text()+"\n"), answer...)
	_, n, err := evidence.OpenCheckpoint(signed, evidence.Verifiers(c.Key))
	if err != nil {
		return nil, &False{err}
	}
	_, sigs, err := evidence.ReadCheckpoint(signed)
	if err != nil {
		return nil, &False{err}
	}
	var out []Cosignature
	for _, s := range sigs {
		if s.Name != n.Sigs[0].Name || s.ID != n.Sigs[0].Hash {
			continue
		}
		seconds := int64(binary.BigEndian.Uint64(s.Raw)) // it verified: 8 bytes of time, then 64
		if seconds == 0 {
			return nil, &False{fmt.Errorf("%w: it says nothing of when it was made", ErrFormat)}
		}
		if c.Now != nil && seconds > c.Now().Unix()+maxAhead {
			return nil, &False{fmt.Errorf("its time, %d, is ahead of the clock here", seconds)}
		}
		out = append(out, Cosignature{Line: signatureLine(s.Name, s.ID, s.Raw), Time: seconds})
	}
	return out, nil
}
