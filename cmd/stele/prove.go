package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/stele-ml/stele/cmd/stele/jsonv1"
	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/fingerprint"
	"github.com/stele-ml/stele/internal/place"
	"github.com/stele-ml/stele/internal/solo"
	"github.com/stele-ml/stele/internal/terminal"
	"github.com/stele-ml/stele/statement"
)

type proveOrder struct {
	name, version   string
	present, absent []string
	ranges          []string
	data            string
	withhold        []string
	manifest, out   string
	tlogProof       bool
	anonymous       bool
	found           *foundManifest
}

func (a *app) proveCommand() *cobra.Command {
	var o proveOrder
	c := &cobra.Command{
		Use:   "prove NAME@VERSION -o FILE",
		Short: "Write a file that proves offline who stamped what, and when",
		Long: `Writes an evidence file: the entry, its inclusion in the log, the signed
checkpoint, the standing of the signer, and every withdrawal there is, so that
leaving one out shows. Whoever gets it checks it with

  stele verify --evidence FILE --trust TRUSTFILE [PATH]

--path proves that a file was among the data, --absent that none of that name
was, --range that bytes of a file are these. Such proofs make a few
neighbouring paths known; they are listed.`,
		Example: `  stele prove clinic/wdbc@2026-11-01 -o evidence.json
  stele prove clinic/wdbc@2026-11-01 -o evidence.json \
      --path part-03.csv --absent patients.csv
  stele prove clinic/wdbc@2026-11-01 -o evidence.json \
      --range big.bin:0:4096 --data training`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			var err error
			if o.name, o.version, err = statement.ParseNameVersion(args[0]); err != nil {
				return usagef("%v", err)
			}
			if o.out == "" {
				return usagef("prove needs -o FILE")
			}
			if len(o.ranges) > 0 && o.data == "" {
				return usagef("--range needs --data: the bytes are read there and carried in the file")
			}
			for _, w := range o.withhold {
				if w != "details" {
					return usagef("--withhold %q: only details can be left out", w)
				}
			}
			return a.prove(c.Context(), &o)
		},
	}
	f := c.Flags()
	f.StringArrayVar(&o.present, "path", nil, "prove that this `file` is among the data (repeatable)")
	f.StringArrayVar(&o.absent, "absent", nil, "prove that no `file` of this name is among the data (repeatable)")
	f.StringArrayVar(&o.ranges, "range", nil, "prove the bytes of `file:start:end`, end exclusive (repeatable)")
	f.StringVar(&o.data, "data", "", "where the data for --range lies, a `path` or a URL")
	f.StringArrayVar(&o.withhold, "withhold", nil, "leave out: `details`")
	f.StringVar(&o.manifest, "manifest", "", "the manifest, a `path` or a URL (default where it is found)")
	f.BoolVar(&o.anonymous, "anonymous", false, "read a public bucket without credentials")
	f.BoolVar(&o.tlogProof, "tlog-proof", false, "write a C2SP .tlog-proof of the entry instead")
	f.StringVarP(&o.out, "output", "o", "", "the `file` to write; required")
	return c
}

func (a *app) prove(ctx context.Context, o *proveOrder) error {
	dir, err := a.findLedger()
	if err != nil {
		return err
	}
	result := jsonv1.Prove{Name: o.name, Version: o.version, File: o.out, Present: o.present, Absent: o.absent}
	var data []byte
	err = a.readAt(ctx, dir, func(r *reading) error {
		b, st, err := r.boundBy(o.name, o.version)
		if err != nil {
			return err
		}
		result.Fingerprint, result.Entry = b.Fingerprint.String(), b.Entry
		if err := inMembers(b.Ref(), st.Stamp.Members, o); err != nil {
			return err
		}
		claim := evidence.Claim{Entry: b.Entry, Name: b.Name, Version: b.Version, Fingerprint: b.Fingerprint}
		if len(o.present)+len(o.absent)+len(o.ranges) > 0 {
			if err := a.findForProof(ctx, o, r, st); err != nil {
				return err
			}
			defer o.found.close()
		}
		if err := a.provePaths(ctx, o, &claim, &result); err != nil {
			return err
		}
		attached, err := a.attached(dir, o, st, &result)
		if err != nil {
			return err
		}
		file, err := r.Evidence(claim, attached)
		if err != nil {
			return err
		}
		if o.tlogProof {
			proof, err := file.TLogProof()
			if err != nil {
				return err
			}
			data = proof.Marshal()
			return nil
		}
		data, err = file.Marshal()
		return err
	})
	if err != nil {
		return err
	}
	if err := writeWhole(o.out, func(f *os.File) error { _, err := f.Write(data); return err }); err != nil {
		return err
	}
	result.Bytes = int64(len(data))
	a.printProve(o, &result)
	return nil
}

// provePaths adds the proofs that files are among the data or are not.
func (a *app) provePaths(ctx context.Context, o *proveOrder, claim *evidence.Claim, result *jsonv1.Prove) error {
	ranges, err := parseRanges(o.ranges)
	if err != nil {
		return err
	}
	want := slices.Clone(o.present)
	for _, r := range ranges {
		if !slices.Contains(want, r.path) {
			want = append(want, r.path)
		}
	}
	if o.tlogProof && len(want)+len(o.absent) > 0 {
		return usagef("a .tlog-proof carries no path proofs; leave out --tlog-proof")
	}
	disclosed := map[string]bool{}
	for i, path := range append(want, o.absent...) {
		if err := fingerprint.CheckPath(path); err != nil {
			return usagef("%v", err)
		}
		present := i < len(want)
		proof, found, err := o.provePath(claim.Fingerprint, path)
		if err != nil {
			return err
		}
		switch list := "`stele manifest show " + o.name + "@" + o.version + "` lists the files"; {
		case present && !found.Present:
			return failf(exitNotFound, "%s is not among the files of %s@%s", path, o.name, o.version).withPath(path).withHint(list)
		case !present && found.Present:
			return failf(exitError, "%s is among the files of %s@%s, so its absence cannot be proved", path, o.name, o.version).withPath(path).withHint(list)
		}
		raw, err := proof.MarshalBinary()
		if err != nil {
			return err
		}
		claim.Paths = append(claim.Paths, evidence.PathClaim{Path: path, Present: present, Proof: raw})
		for _, p := range proof.Disclosed() {
			disclosed[p] = true
		}
		for _, r := range ranges {
			if r.path == path {
				if err := a.proveRange(ctx, o, claim, found.File, r); err != nil {
					return err
				}
			}
		}
	}
	result.Discloses = sortedKeys(disclosed)
	return nil
}

// provePath makes the proof for one path and checks it at once.
func (o *proveOrder) provePath(fp fingerprint.Fingerprint, path string) (*fingerprint.PathProof, fingerprint.PathResult, error) {
	m, err := o.found.open()
	if err != nil {
		return nil, fingerprint.PathResult{}, err
	}
	defer m.Close()
	proof, err := fingerprint.ProvePath(fp.Algorithm, m.All(), path)
	if err != nil {
		return nil, fingerprint.PathResult{}, m.explain(err)
	}
	found, err := proof.Verify(fp)
	return proof, found, err
}

// findForProof finds the manifest that the proofs are made from.
func (a *app) findForProof(ctx context.Context, o *proveOrder, r *reading, st *statement.Statement) error {
	s, err := a.searchFor(r, st, place.Options{Anonymous: o.anonymous})
	if err != nil {
		return err
	}
	s.given = o.manifest
	var bad error
	if o.found, bad, err = a.findManifest(ctx, s); err == nil && o.found == nil {
		err = s.nowhere(bad)
	}
	return err
}

type byteRange struct {
	path       string
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

// proveRange reads the chunks that cover a range and adds their proof.
func (a *app) proveRange(ctx context.Context, o *proveOrder, claim *evidence.Claim, file fingerprint.File, r byteRange) error {
	full, err := o.manifestEntry(file.Path)
	if err != nil {
		return err
	}
	if r.end > full.Size {
		return usagef("--range %s:%d:%d: the file has %d bytes", r.path, r.start, r.end, full.Size)
	}
	proof, err := fingerprint.ProveRange(claim.Fingerprint.Algorithm, full, r.start, r.end)
	if err != nil {
		return err
	}
	covering := proof.Covering()
	data, at, err := a.readRange(ctx, o, full, covering)
	if err != nil {
		return err
	}
	if err := proof.Verify(claim.Fingerprint.Algorithm, full.Size, full.Digest, data); err != nil {
		return failf(exitTampered, "%s is not what was stamped: %w", at, err).withPath(at.String())
	}
	raw, err := proof.MarshalBinary()
	if err != nil {
		return err
	}
	claim.Ranges = append(claim.Ranges, evidence.RangeClaim{Path: r.path, Start: r.start, End: r.end, Proof: raw, Data: data})
	return ctx.Err()
}

// readRange reads bytes of one file where the data lies: a folder, or that file
// itself.
func (a *app) readRange(ctx context.Context, o *proveOrder, file fingerprint.File, r fingerprint.Range) (data []byte, at place.Place, err error) {
	d, err := a.openData(ctx, "read", o.data, &scanFlags{anonymous: o.anonymous})
	if err != nil {
		return nil, at, err
	}
	defer func() { err = d.end(err) }()
	at = d.place
	path := at.Base()
	if !d.source.Single() {
		at, path = at.Join(file.Path), file.Path
	}
	object, err := d.source.Lookup(ctx, path)
	if err != nil {
		return nil, at, notThere(at, err)
	}
	buf := make([]byte, fingerprint.ChunkSize)
	got, err := d.source.Fetch(ctx, object, buf)
	if err != nil {
		return nil, at, err
	}
	size := uint64(got.N)
	if got.Reader != nil {
		defer got.Reader.Close()
		size = got.Reader.Size()
	}
	switch {
	case size != file.Size:
		return nil, at, failf(exitTampered, "%s has %d bytes, and was stamped with %d", at, size, file.Size).withPath(at.String())
	case got.Reader == nil:
		return buf[r.Start:r.End], at, nil
	}
	data = make([]byte, 0, r.Len())
	if err := got.Reader.Range(ctx, r.Start, r.Len(), buf, func(p []byte) { data = append(data, p...) }); err != nil {
		return nil, at, err
	}
	return data, at, got.Reader.Unchanged(ctx)
}

// manifestEntry finds one file in the manifest, with its chunk digests.
func (o *proveOrder) manifestEntry(path string) (found fingerprint.File, err error) {
	m, err := o.found.open()
	if err != nil {
		return found, err
	}
	defer m.Close()
	for f, err := range m.All() {
		if err != nil {
			return found, m.explain(err)
		}
		if f.Path == path {
			found = f
		}
	}
	return found, nil
}

// attached reads the details to carry along, unless they are withheld.
func (a *app) attached(dir string, o *proveOrder, st *statement.Statement, result *jsonv1.Prove) ([][]byte, error) {
	switch {
	case st.Stamp.Details == nil || o.tlogProof:
		return nil, nil
	case slices.Contains(o.withhold, "details"):
		result.Withheld = o.withhold
		return nil, nil
	}
	data, err := solo.OpenShelf(dir).Get(*st.Stamp.Details)
	if err != nil {
		a.term.Warnf("the details are left out: %v", err)
		result.Withheld = []string{"details"}
		return nil, nil
	}
	result.Carries = []string{"details"}
	return [][]byte{data}, nil
}

func (a *app) printProve(o *proveOrder, p *jsonv1.Prove) {
	if a.json {
		a.printJSON(p)
		return
	}
	if a.quiet {
		return
	}
	a.term.Printf("wrote %s, %s\n", p.File, terminal.Bytes(uint64(p.Bytes)))
	pairs := []terminal.Pair{
		{Key: "proves", Value: fmt.Sprintf("%s@%s, stamped in entry %d", p.Name, p.Version, p.Entry)},
		{Key: "fingerprint", Value: p.Fingerprint},
	}
	for _, path := range p.Present {
		pairs = append(pairs, terminal.Pair{Key: "present", Value: path})
	}
	for _, r := range o.ranges {
		pairs = append(pairs, terminal.Pair{Key: "bytes", Value: r})
	}
	for _, path := range p.Absent {
		pairs = append(pairs, terminal.Pair{Key: "absent", Value: path})
	}
	for _, path := range p.Discloses {
		pairs = append(pairs, terminal.Pair{Key: "discloses", Value: path})
	}
	pairs = append(pairs,
		terminal.Pair{Key: "carries", Value: map[bool]string{true: "the details: location and host (--withhold details leaves them out)"}[len(p.Carries) > 0]},
		terminal.Pair{Key: "leaves out", Value: strings.Join(p.Withheld, ", ")})
	a.term.KeyValues(pairs)
	if !o.tlogProof {
		a.term.Notef("to check it: stele verify --evidence %s --trust TRUSTFILE (`stele trust export` writes one)", p.File)
	}
}
