package main

import (
	"strconv"
	"strings"

	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/fingerprint"
	"github.com/stele-ml/stele/internal/place"
)

type byteRange struct {
	path       string // as --path takes it
	start, end uint64
}

// parseRanges parses file:start:end, split on the last two colons.
func parseRanges(list []string) (out []byteRange, err error) {
	for _, text := range list {
		bad := usagef("--range %q: want file:start:end in bytes, end exclusive", text)
		rest, end, ok := cutLast(text)
		path, start, ok2 := cutLast(rest)
		if !ok || !ok2 {
			return nil, bad
		}
		r := byteRange{path: path}
		if r.start, err = strconv.ParseUint(start, 10, 64); err != nil {
			return nil, bad
		}
		if r.end, err = strconv.ParseUint(end, 10, 64); err != nil || r.end <= r.start {
			return nil, bad
		}
		out = append(out, r)
	}
	return out, nil
}

func cutLast(s string) (before, after string, ok bool) {
	i := strings.LastIndexByte(s, ':')
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+1:], true
}

// addRange reads the chunks that cover a range of a file that is proved to be
// there, and adds their proof.
func (p *prover) addRange(at *provenFile, r byteRange) error {
	full, err := p.manifestEntry(at)
	if err != nil {
		return err
	}
	if r.end > full.Size {
		return usagef("--range %s:%d:%d: the file has %d bytes", r.path, r.start, r.end, full.Size)
	}
	algorithm := p.claim.Fingerprint.Algorithm
	proof, err := fingerprint.ProveRange(algorithm, full, r.start, r.end)
	if err != nil {
		return err
	}
	data, from, err := p.read(at, full, proof.Covering())
	if err != nil {
		return err
	}
	if err := proof.Verify(algorithm, full.Size, full.Digest, data); err != nil {
		return failf(exitTampered, "%s is not what was stamped: %w", from, err).withPath(from.String())
	}
	raw, err := proof.MarshalBinary()
	if err != nil {
		return err
	}
	p.claim.Ranges = append(p.claim.Ranges, evidence.RangeClaim{Of: p.of(at.artifact), Path: at.path, Start: r.start, End: r.end, Proof: raw, Data: data})
	return p.ctx.Err()
}

// read reads bytes of one file where the data lies: below a folder, by the path
// that was asked for, or that file itself.
func (p *prover) read(at *provenFile, file fingerprint.File, r fingerprint.Range) (data []byte, from place.Place, err error) {
	d, err := p.app.openData(p.ctx, "read", p.o.data, &scanFlags{anonymous: p.o.anonymous})
	if err != nil {
		return nil, from, err
	}
	defer func() { err = d.end(err) }()
	from = d.place
	path := from.Base()
	if !d.source.Single() {
		from, path = from.Join(at.asked), at.asked
	}
	object, err := d.source.Lookup(p.ctx, path)
	if err != nil {
		return nil, from, notThere(from, err)
	}
	buf := make([]byte, fingerprint.ChunkSize)
	got, err := d.source.Fetch(p.ctx, object, buf)
	if err != nil {
		return nil, from, err
	}
	size := uint64(got.N)
	if got.Reader != nil {
		defer got.Reader.Close()
		size = got.Reader.Size()
	}
	switch {
	case size != file.Size:
		return nil, from, failf(exitTampered, "%s has %d bytes, and was stamped with %d", from, size, file.Size).withPath(from.String())
	case got.Reader == nil:
		return buf[r.Start:r.End], from, nil
	}
	data = make([]byte, 0, r.Len())
	if err := got.Reader.Range(p.ctx, r.Start, r.Len(), buf, func(b []byte) { data = append(data, b...) }); err != nil {
		return nil, from, err
	}
	return data, from, got.Reader.Unchanged(p.ctx)
}

// manifestEntry finds one file in the manifest, with its chunk digests.
func (p *prover) manifestEntry(at *provenFile) (found fingerprint.File, err error) {
	m, err := p.manifest(at.artifact)
	if err != nil {
		return found, err
	}
	defer m.Close()
	for f, err := range m.All() {
		if err != nil {
			return found, err
		}
		if f.Path == at.path {
			found = f
		}
	}
	return found, nil
}
