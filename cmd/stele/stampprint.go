package main

import (
	"fmt"

	"github.com/stele-ml/stele/cmd/stele/jsonv1"
	"github.com/stele-ml/stele/internal/solo"
	"github.com/stele-ml/stele/internal/terminal"
	"github.com/stele-ml/stele/statement"
)

// stampReceipt is what a stamp tells the person who made it.
type stampReceipt struct {
	st        *statement.Statement
	plan      *stampPlan
	proof     *solo.Proof  // nil: it was not written
	diff      *jsonv1.Diff // against the earlier version, or nil
	model     *modelFound  // what its files are, or nil
	resumed   uint64       // bytes that had been read before an interruption
	manifest  string       // where --manifest-to put it
	elsewhere bool         // --manifest: nothing was read
	dry       bool
}

func (a *app) printStamp(r stampReceipt) error {
	s, proof := r.st.Stamp, r.proof
	ref, err := r.st.Ref()
	if err != nil {
		return err
	}
	out := jsonv1.Stamp{
		Fingerprint: ref.Fingerprint.String(), Name: ref.Name, Version: ref.Version, Kind: s.Kind, Files: s.Files, Bytes: s.Bytes,
		Basis: basisJSON(s.Basis), Signer: r.plan.signer, Origin: r.plan.origin, DryRun: r.dry, Since: r.diff, Members: membersJSON(s.Members),
		Model: modelJSON(r.model), Listed: s.Listed, Changes: changesJSON(s.Changes), Resumed: r.resumed, ManifestTo: r.manifest, ReadElsewhere: r.elsewhere,
	}
	if proof != nil {
		out.Entry, out.Time, out.Existed = &proof.Receipt.Index, jsonv1.At(proof.Receipt.Time), proof.Receipt.Existed
		c, err := checkpointJSON(proof.Checkpoint)
		if err != nil {
			return err
		}
		out.Checkpoint = &c
	}
	if a.json {
		a.printJSON(out)
		return nil
	}
	if a.quiet {
		return nil
	}
	if r.dry {
		a.term.Printf("would stamp %s\n", ref)
	} else if out.Existed {
		a.term.Printf("%s was stamped already: the same bytes, the same name\n", ref)
	} else {
		a.term.Printf("stamped %s\n", a.term.Style(terminal.Good, ref.String()))
	}
	pairs := []terminal.Pair{
		{Key: "fingerprint", Value: out.Fingerprint},
		{Key: "artifact", Value: fmt.Sprintf("%s, %s in %s", s.Kind, terminal.Bytes(s.Bytes), terminal.Plural(s.Files, "file"))},
	}
	pairs = append(pairs, modelPairs(out.Model)...)
	if !out.Existed {
		pairs = append(pairs, basisPairs(s.Basis)...)
	}
	if s.Listed {
		pairs = append(pairs, terminal.Pair{Key: "listed", Value: "exactly the files of the list; no ignore rules"})
	}
	if proof != nil {
		pairs = append(pairs, terminal.Pair{Key: "entry", Value: entryText(*out.Entry) + " of " + r.plan.origin},
			terminal.Pair{Key: "time", Value: a.term.Time(proof.Receipt.Time) + ", as the ledger claims"})
	}
	pairs = append(pairs, terminal.Pair{Key: "signed by", Value: signedBy(r.plan.signer)})
	if out.Checkpoint != nil {
		pairs = append(pairs, terminal.Pair{Key: "checkpoint", Value: fmt.Sprintf("%s, root %s", terminal.Plural(out.Checkpoint.Size, "entry", "entries"), out.Checkpoint.Root)})
	}
	if r.manifest != "" {
		pairs = append(pairs, terminal.Pair{Key: "manifest", Value: r.manifest})
	}
	a.term.KeyValues(pairs)
	return nil
}

// basisPairs says how the bytes of a stamp are known, where they were not
// simply read.
func basisPairs(b statement.Basis) []terminal.Pair {
	taken := b.Version + b.ETag + b.MTime
	switch {
	case b.Claimed > 0:
		return []terminal.Pair{{Key: "read", Value: "elsewhere, as you claim by signing; only names and sizes were compared"}}
	case taken == 0 || b.Entry == nil:
		return nil
	}
	pairs := []terminal.Pair{{Key: "read", Value: terminal.Bytes(b.Read)}}
	for _, t := range []struct {
		bytes uint64
		by    string
	}{
		{b.Version, "by the same object version"},
		{b.ETag, "by the same ETag, which is weaker: of many stores it is an MD5"},
		{b.MTime, "by the same size, times and inode"},
	} {
		if t.bytes > 0 {
			pairs = append(pairs, terminal.Pair{Key: "not read", Value: terminal.Bytes(t.bytes) + " " + t.by})
		}
	}
	return append(pairs, terminal.Pair{Key: "last read", Value: "for entry " + entryText(*b.Entry) + ", or later"})
}

func changesJSON(c *statement.Changes) *jsonv1.Counts {
	if c == nil {
		return nil
	}
	return &jsonv1.Counts{Same: c.Same, Modified: c.Modified, Added: c.Added, Removed: c.Removed, Moved: c.Moved}
}

func basisJSON(b statement.Basis) jsonv1.Basis {
	return jsonv1.Basis{Read: b.Read, Version: b.Version, ETag: b.ETag, MTime: b.MTime, Claimed: b.Claimed, Stamped: b.Stamped, Entry: b.Entry}
}
