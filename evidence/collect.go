package evidence

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/stele-ml/stele/statement"
)

// Log is what Collect needs of a ledger.
type Log interface {
	// ReadHashes reads nodes of the log's tree.
	tlog.HashReader

	// Leaf returns the leaf at index. Collect does not change it and may
	// keep it.
	Leaf(index uint64) ([]byte, error)

	// ControlEntries returns the indexes of the control entries below an
	// index, ascending, genesis first.
	ControlEntries(below uint64) ([]uint64, error)
}

// Collect makes an evidence file from a ledger: the claim, the entry it is
// about, further entries if any, and attachments, proved against a signed
// checkpoint of that ledger. What Entries, the attachments' digests and the
// order of all lists must be, it sees to itself. It does not verify; call
// Verify on the result.
func Collect(log Log, signed []byte, claim Claim, attachments [][]byte, further ...uint64) (*File, error) {
	cp, _, err := ReadCheckpoint(signed)
	if err != nil {
		return nil, fmt.Errorf("collect evidence: %w", err)
	}
	if cp.Size == 0 {
		return nil, fmt.Errorf("collect evidence: %w: the checkpoint covers no entry", ErrFormat)
	}
	f := &File{Checkpoint: bytes.Clone(signed), Claim: claim}
	hashes := &knownHashes{from: log, known: make(map[int64]tlog.Hash)}
	prove := func(index uint64) (Proven, error) {
		proof, err := ProveInclusion(cp.Size, index, hashes)
		if err != nil {
			return Proven{}, err
		}
		leaf, err := log.Leaf(index)
		return Proven{Leaf: leaf, Proof: proof}, err
	}
	genesis, err := log.Leaf(0)
	if err != nil {
		return nil, fmt.Errorf("collect evidence: %w", err)
	}
	f.Ledger = statement.LedgerID(LeafHash(genesis))
	last := cp.Size - 1
	if f.Last, err = prove(last); err != nil {
		return nil, fmt.Errorf("collect evidence: %w", err)
	}
	control, err := log.ControlEntries(last)
	if err != nil {
		return nil, fmt.Errorf("collect evidence: %w", err)
	}
	for _, index := range control {
		leaf, err := log.Leaf(index)
		if err != nil {
			return nil, fmt.Errorf("collect evidence: %w", err)
		}
		f.Control = append(f.Control, leaf)
	}
	indexes := append(slices.Clone(further), claim.Entry)
	slices.Sort(indexes)
	for _, index := range slices.Compact(indexes) {
		p, err := prove(index)
		if err != nil {
			return nil, fmt.Errorf("collect evidence: %w", err)
		}
		f.Entries = append(f.Entries, p)
	}
	for _, data := range attachments {
		f.Attachments = append(f.Attachments, Attachment{SHA256: sha256.Sum256(data), Data: data})
	}
	slices.SortFunc(f.Attachments, func(a, b Attachment) int { return bytes.Compare(a.SHA256[:], b.SHA256[:]) })
	f.Claim.Absent = slices.Compact(slices.Sorted(slices.Values(claim.Absent)))
	f.Claim.Paths = slices.SortedFunc(slices.Values(claim.Paths), func(a, b PathClaim) int {
		return cmp.Or(strings.Compare(a.Of, b.Of), strings.Compare(a.Path, b.Path))
	})
	f.Claim.Ranges = slices.SortedFunc(slices.Values(claim.Ranges), func(a, b RangeClaim) int {
		return cmp.Or(strings.Compare(a.Of, b.Of), strings.Compare(a.Path, b.Path), cmp.Compare(a.Start, b.Start))
	})
	return f, f.check()
}

// knownHashes asks for each hash once: the proofs of many entries share most of
// the upper ones, which cost the most to compute.
type knownHashes struct {
	from  tlog.HashReader
	known map[int64]tlog.Hash
}

// ReadHashes implements tlog.HashReader.
func (k *knownHashes) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	var ask []int64
	for _, i := range indexes {
		if _, ok := k.known[i]; !ok {
			ask = append(ask, i)
		}
	}
	if len(ask) > 0 {
		found, err := k.from.ReadHashes(ask)
		if err != nil {
			return nil, err
		}
		if len(found) != len(ask) {
			return nil, fmt.Errorf("%d hashes were asked for, %d came", len(ask), len(found))
		}
		for i, index := range ask {
			k.known[index] = found[i]
		}
	}
	hashes := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		hashes[i] = k.known[index]
	}
	return hashes, nil
}

// Stamp returns the entry that the claim is about and what it stamps the
// claim's artifact with, verified by nobody. A caller needs its ignore rules to
// scan the data that Options then takes. Where the entry stamps others alone, it
// is one of those: Verify tells. It is an ErrFormat if the file has no stamp
// there.
func (f *File) Stamp() (*Entry, statement.Output, error) {
	for _, p := range f.Entries {
		e, err := ParseEntry(p.Leaf)
		if err != nil {
			return nil, statement.Output{}, err
		}
		if e.Index != f.Claim.Entry {
			continue
		}
		st, err := e.Statement()
		if err != nil {
			return nil, statement.Output{}, err
		}
		if ref, stamp, ok := st.StampOf(f.Claim.Name, f.Claim.Version); ok {
			return e, statement.Output{Ref: ref, Stamp: stamp}, nil
		}
		stamps := st.Stamps()
		if len(stamps) == 0 {
			return nil, statement.Output{}, fmt.Errorf("entry %d: %w: %s that stamps nothing", e.Index, ErrFormat, st.Kind.Noun())
		}
		return e, stamps[0], nil
	}
	return nil, statement.Output{}, fmt.Errorf("evidence: %w: its claim is about entry %d, which is not in it", ErrFormat, f.Claim.Entry)
}

// Stamps returns everything that the file's entries stamp, in their order,
// verified by nobody: a collection's data is read as its members' stamps say.
func (f *File) Stamps() ([]Stamping, error) {
	var list []Stamping
	for _, p := range f.Entries {
		e, err := ParseEntry(p.Leaf)
		if err != nil {
			return nil, err
		}
		st, err := e.Statement()
		if err != nil {
			return nil, err
		}
		for _, o := range st.Stamps() {
			list = append(list, Stamping{e.Index, o})
		}
	}
	return list, nil
}

// Stamping is what an entry stamps an artifact with.
type Stamping struct {
	Entry uint64
	statement.Output
}

// TLogProof returns the proof of the claim's entry for tools from elsewhere.
// Its extra data is the leaf itself, if it is at most MaxExtra bytes.
func (f *File) TLogProof() (*TLogProof, error) {
	for _, p := range f.Entries {
		e, err := ParseEntry(p.Leaf)
		if err != nil {
			return nil, err
		}
		if e.Index != f.Claim.Entry {
			continue
		}
		t := &TLogProof{Index: e.Index, Hashes: slices.Clone(p.Proof), Checkpoint: bytes.Clone(f.Checkpoint)}
		if len(p.Leaf) <= MaxExtra {
			t.Extra = bytes.Clone(p.Leaf)
		}
		return t, nil
	}
	return nil, fmt.Errorf("tlog-proof: %w: the claim's entry %d is not in the evidence", ErrFormat, f.Claim.Entry)
}
