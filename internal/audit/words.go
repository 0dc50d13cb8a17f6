package audit

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/stele-ml/stele/fingerprint"
	"github.com/stele-ml/stele/internal/terminal"
)

// What a person is told. The sentences claim no more than docs/formats/audit.md
// does.

// WillRead says what Run is going to read of the whole: "919 of 10,485,760
// chunks, 919 MiB of 10.0 TiB".
func (p *Plan) WillRead() string {
	switch {
	case p.All && p.Chunks == 1:
		return "the only chunk, " + terminal.Bytes(p.Bytes)
	case p.All:
		return fmt.Sprintf("all %s chunks, %s", terminal.Count(p.Chunks), terminal.Bytes(p.Bytes))
	}
	return fmt.Sprintf("%s of %s chunks, %s of %s", terminal.Count(p.ToRead), terminal.Count(p.Chunks), terminal.Bytes(p.BytesToRead), terminal.Bytes(p.Bytes))
}

// WasRead says what Run has read and compared of the whole.
func (p *Plan) WasRead(r Result) string {
	if p.All && r.ChunksRead == p.Chunks {
		return p.WillRead()
	}
	return fmt.Sprintf("%s of %s chunks, %s of %s", terminal.Count(r.ChunksRead), terminal.Count(p.Chunks), terminal.Bytes(r.BytesRead), terminal.Bytes(p.Bytes))
}

// Odds says, a sentence each, with which probability an audit by this plan
// finds a share altered of the bytes, and what that share is and is not.
func (p *Plan) Odds(altered Share) []string {
	if p.Bytes == 0 {
		return []string{"there are no bytes; all names and sizes are compared"}
	}
	if p.All {
		return []string{"every chunk is read, as there are no more than the odds ask for: any altered byte is found"}
	}
	share, draws := altered.Percent(), terminal.Count(p.Draws)+" draws meet"
	if p.Draws == 1 {
		draws = "a single draw meets"
	}
	odds := []string{fmt.Sprintf("if %s of the bytes lie in altered chunks, %s one of them with a probability of %s",
		share, draws, percent(p.Detection(altered.Float())))}
	if p.Bytes > fingerprint.ChunkSize {
		one := fingerprint.ChunkSize / float64(p.Bytes)
		odds = append(odds, fmt.Sprintf("a single altered chunk of %s is met with %s", terminal.Bytes(fingerprint.ChunkSize), percent(p.Detection(one))))
	}
	return append(odds,
		"the names and sizes of all stamped files are compared, whatever is drawn",
		fmt.Sprintf("%s of the rows is not %s of the bytes: a changed byte alters its whole chunk, so scattered rows alter far more, and short rows that lie together less", share, share))
}

// Names says what came of comparing names and sizes.
func (r Result) Names() string {
	var parts []string
	for _, p := range []struct {
		n    uint64
		word string
	}{{r.Removed, "missing"}, {r.Added, "added"}, {r.Resized, "of another size"}, {r.Renamed, "renamed"}} {
		if p.n > 0 {
			parts = append(parts, terminal.Count(p.n)+" "+p.word)
		}
	}
	if len(parts) == 0 {
		return "none missing, added or of another size"
	}
	return strings.Join(parts, ", ")
}

// Differs says in a few words what was found; it is empty where the audit held.
func (r Result) Differs() string {
	var parts []string
	add := func(n uint64, text string) {
		if n > 0 {
			parts = append(parts, terminal.Plural(n, "file")+" "+text)
		}
	}
	add(r.Removed, "missing")
	add(r.Added, "more than stamped")
	add(r.Resized, "of another size")
	if r.Modified > 0 {
		parts = append(parts, fmt.Sprintf("%s of %s read altered, in %s", terminal.Count(r.ChunksAltered),
			terminal.Plural(r.ChunksRead, "chunk"), terminal.Plural(r.Modified, "file")))
	}
	return strings.Join(parts, ", ")
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
