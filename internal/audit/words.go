package audit

import (
	"fmt"
	"math"
	"strconv"

	"github.com/stele-ml/stele/fingerprint"
)

// What a person is told. The sentences claim no more than docs/formats/audit.md
// does. They take the spelling of counts and sizes from the caller.

// Spelling writes numbers for people.
type Spelling struct {
	Count func(uint64) string // "1,234"
	Bytes func(uint64) string // "1.2 GiB"
}

// WillRead says what Run is going to read of the whole: "919 of 10,485,760
// chunks, 919 MiB of 10.0 TiB".
func (p *Plan) WillRead(s Spelling) string {
	switch {
	case p.All && p.Chunks == 1:
		return "the only chunk, " + s.Bytes(p.Bytes)
	case p.All:
		return fmt.Sprintf("all %s chunks, %s", s.Count(p.Chunks), s.Bytes(p.Bytes))
	}
	return fmt.Sprintf("%s of %s chunks, %s of %s", s.Count(p.ToRead), s.Count(p.Chunks), s.Bytes(p.BytesToRead), s.Bytes(p.Bytes))
}

// WasRead says what Run has read and compared of the whole.
func (p *Plan) WasRead(r Result, s Spelling) string {
	if p.All && r.ChunksRead == p.Chunks {
		return p.WillRead(s)
	}
	return fmt.Sprintf("%s of %s chunks, %s of %s", s.Count(r.ChunksRead), s.Count(p.Chunks), s.Bytes(r.BytesRead), s.Bytes(p.Bytes))
}

// Odds says, a sentence each, with which probability an audit by this plan
// finds a share altered of the bytes, and what that share is and is not.
func (p *Plan) Odds(altered Share, s Spelling) []string {
	if p.Bytes == 0 {
		return []string{"there are no bytes; all names and sizes are compared"}
	}
	if p.All {
		return []string{"every chunk is read, as there are no more than the odds ask for: any altered byte is found"}
	}
	share, draws := altered.Percent(), s.Count(p.Draws)+" draws meet"
	if p.Draws == 1 {
		draws = "a single draw meets"
	}
	odds := []string{fmt.Sprintf("if %s of the bytes lie in altered chunks, %s one of them with a probability of %s",
		share, draws, percent(p.Detection(altered.Float())))}
	if p.Bytes > fingerprint.ChunkSize {
		one := fingerprint.ChunkSize / float64(p.Bytes)
		odds = append(odds, fmt.Sprintf("a single altered chunk of %s is met with %s", s.Bytes(fingerprint.ChunkSize), percent(p.Detection(one))))
	}
	return append(odds,
		"the names and sizes of all stamped files are compared, whatever is drawn",
		fmt.Sprintf("%s of the rows is not %s of the bytes: a changed byte alters its whole chunk, so scattered rows alter far more, and short rows that lie together less", share, share))
}

// percent writes a probability, rounded down, with as many digits as it takes
// to tell it from 0% and from 100%: "99.0%", "99.90%", "0.0087%".
func percent(p float64) string {
	const most = 9 // decimals
	switch {
	case p <= 0:
		return "0%"
	case p >= 1:
		return "more than 99.999999999%" // of what is drawn nothing is certain
	}
	decimals := 1
	for rest := 100 * min(p, 1-p); rest < 1-1e-6 && decimals < most; rest *= 10 {
		decimals++
	}
	scale := math.Pow10(decimals)
	// What arithmetic lost of a decimal fraction is not rounded away.
	floor := math.Floor(p*100*scale+1e-6) / scale
	if floor == 0 {
		return "less than 0.000000001%"
	}
	return strconv.FormatFloat(floor, 'f', decimals, 64) + "%"
}
