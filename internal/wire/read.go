package wire

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/stele-ml/stele/internal/strictjson"
)

// Limits of POST /v1/read and POST /v1/trace: docs/formats/remote-reads.md.
const (
	// MaxReadRequest is the longest request, in bytes.
	MaxReadRequest = 1 << 20

	// MaxReadAnswer is the longest answer, in bytes of JSON.
	MaxReadAnswer = 48 << 20

	// MaxReadOps is the most reads that one request asks for.
	MaxReadOps = 256

	// MaxReadPage is the most pairs that one page asks for.
	MaxReadPage = 512

	// MaxReadKey is the longest key, in bytes.
	MaxReadKey = 1024

	// MaxTouched is the most reads that one answer tells of.
	MaxTouched = 16384

	// MaxSkipped is how many reads of a lookup a trace may leave out.
	MaxSkipped = 1 << 18

	// MaxReadLookup is the longest statement of a lookup, in bytes.
	MaxReadLookup = 256 << 10

	// maxReadDepth: an object, a list, an object, a list, an object.
	maxReadDepth = 6
)

// ReadOp is one read of a ledger's store: docs/formats/store.md has its keys.
// Get is one key; Lower and Upper are the keys from the one to before the other:
// the first Limit of them, or the last alone.
type ReadOp struct {
	Get   []byte `json:"get,omitempty"`
	Lower []byte `json:"lower,omitempty"`
	Upper []byte `json:"upper,omitempty"`
	Limit int    `json:"limit,omitzero"`
	Last  bool   `json:"last,omitzero"`
}

// Check reports whether the read is one.
func (o ReadOp) Check() error {
	switch {
	case len(o.Get) > MaxReadKey || len(o.Lower) > MaxReadKey || len(o.Upper) > MaxReadKey:
		return fmt.Errorf("a read: a key of more than %d bytes", MaxReadKey)
	case len(o.Get) > 0:
		if len(o.Lower) > 0 || len(o.Upper) > 0 || o.Limit != 0 || o.Last {
			return errors.New("a read: get stands alone")
		}
	case len(o.Lower) == 0 || len(o.Upper) == 0:
		return errors.New("a read: it needs get, or lower and upper")
	case bytes.Compare(o.Lower, o.Upper) > 0:
		return errors.New("a read: lower is above upper")
	case o.Last && o.Limit != 0, !o.Last && (o.Limit < 1 || o.Limit > MaxReadPage):
		return fmt.Errorf("a read: it needs last, or a limit of 1 to %d", MaxReadPage)
	}
	return nil
}

// Same reports whether two reads are the same.
func (o ReadOp) Same(p ReadOp) bool {
	return bytes.Equal(o.Get, p.Get) && bytes.Equal(o.Lower, p.Lower) && bytes.Equal(o.Upper, p.Upper) && o.Limit == p.Limit && o.Last == p.Last
}

// ReadRequest is the body of POST /v1/read.
type ReadRequest struct {
	Size  uint64   `json:"size"`  // of the log as of which is read
	Index string   `json:"index"` // the version of the index that the client knows
	Ops   []ReadOp `json:"ops"`
}

// Check reports whether the request is within its limits.
func (r *ReadRequest) Check() error { return checkRead(r.Size, r.Index, r.Ops, 1) }

// TraceRequest is the body of POST /v1/trace: what a lookup reads is answered
// besides the reads that are asked for.
type TraceRequest struct {
	Size   uint64   `json:"size"`
	Index  string   `json:"index"`
	Lookup Lookup   `json:"lookup"`
	Skip   uint64   `json:"skip,omitzero"` // of the lookup's reads: as many as were answered before
	Ops    []ReadOp `json:"ops,omitempty"`
}

// Check reports whether the request is within its limits.
func (r *TraceRequest) Check() error {
	if err := checkRead(r.Size, r.Index, r.Ops, 0); err != nil {
		return err
	}
	if r.Skip > MaxSkipped {
		return fmt.Errorf("a trace: %d reads to leave out, at most %d are allowed", r.Skip, MaxSkipped)
	}
	return r.Lookup.check()
}

func checkRead(size uint64, index string, ops []ReadOp, least int) error {
	switch {
	case size == 0:
		return errors.New("a read: size is missing")
	case index == "" || len(index) > 16:
		return errors.New("a read: index is missing, or no version")
	case len(ops) < least || len(ops) > MaxReadOps:
		return fmt.Errorf("a read: %d ops; %d to %d are allowed", len(ops), least, MaxReadOps)
	}
	for _, o := range ops {
		if err := o.Check(); err != nil {
			return err
		}
	}
	return nil
}

// Lookup names something that a client is about to look up, so that one answer
// has all that it will read: Kind is one of the kinds that
// docs/formats/remote-reads.md lists, each with the members that it takes. A
// server that does not know the kind answers the other reads alone.
type Lookup struct {
	Kind      string   `json:"kind"`
	Name      string   `json:"name,omitempty"`
	Version   string   `json:"version,omitempty"`
	Stage     string   `json:"stage,omitempty"`
	Entry     uint64   `json:"entry,omitzero"`
	Kinds     []string `json:"kinds,omitempty"` // of statements
	Statement []byte   `json:"statement,omitempty"`
	Key       string   `json:"key,omitempty"` // the key id of who would sign
	Time      uint64   `json:"time,omitzero"` // Unix ms
}

func (l *Lookup) check() error {
	const longest = 1024 // names, versions and stages are shorter
	switch {
	case l.Kind == "" || len(l.Kind) > 32:
		return errors.New("a lookup: kind is missing, or too long")
	case len(l.Name) > longest || len(l.Version) > longest || len(l.Stage) > longest || len(l.Key) > longest:
		return errors.New("a lookup: a name that is too long")
	case len(l.Kinds) > 64:
		return errors.New("a lookup: too many kinds")
	case len(l.Statement) > MaxReadLookup:
		return fmt.Errorf("a lookup: a statement of %d bytes, at most %d are allowed", len(l.Statement), MaxReadLookup)
	}
	return nil
}

// ReadPair is a pair of the store. That of an entry has no value: its leaf is
// among the answer's Entries.
type ReadPair struct {
	Key   []byte `json:"key"`
	Value []byte `json:"value,omitempty"`
}

// OpAnswer is what a read found: at most one pair, or a page; More says of a page
// that there are others after it.
type OpAnswer struct {
	Op    ReadOp     `json:"op"`
	Pairs []ReadPair `json:"pairs,omitempty"`
	More  bool       `json:"more,omitzero"`
}

// ReadEntry is an entry of the log.
type ReadEntry struct {
	Index uint64 `json:"index"`
	Leaf  []byte `json:"leaf"`
}

// ReadAnswer is the body of the answer to both. The first answers are those to
// the request's reads, in their order: all of them, or as many as there was room
// for, at least one; to a trace those of the lookup follow.
//
// Entries are all that the pairs lead to, by index. Hashes are nodes of the log's
// tree, ascending, each its number as golang.org/x/mod/sumdb/tlog counts stored
// hashes, in eight bytes, big-endian, before its 32 bytes: those that prove that
// the entries, and the checkpoints among the pairs, are in the tree of that size.
type ReadAnswer struct {
	Size    uint64      `json:"size"`
	Answers []OpAnswer  `json:"answers"`
	Cut     bool        `json:"cut,omitzero"` // the lookup makes more reads than these
	Entries []ReadEntry `json:"entries"`
	Hashes  []byte      `json:"hashes,omitempty"`
}

// ReadHash is the length of a node in ReadAnswer.Hashes, in bytes.
const ReadHash = 8 + 32

// ParseReadRequest reads the body of POST /v1/read.
func ParseReadRequest(body []byte) (*ReadRequest, error) {
	r := new(ReadRequest)
	if err := strictjson.Unmarshal(body, r, MaxReadRequest, maxReadDepth); err != nil {
		return nil, err
	}
	return r, r.Check()
}

// ParseTraceRequest reads the body of POST /v1/trace.
func ParseTraceRequest(body []byte) (*TraceRequest, error) {
	r := new(TraceRequest)
	if err := strictjson.Unmarshal(body, r, MaxReadRequest, maxReadDepth); err != nil {
		return nil, err
	}
	return r, r.Check()
}

// ParseReadAnswer reads an answer, and holds it to its form alone: what it says
// is for its reader to check.
func ParseReadAnswer(body []byte) (*ReadAnswer, error) {
	a := new(ReadAnswer)
	if err := strictjson.Unmarshal(body, a, MaxReadAnswer, maxReadDepth); err != nil {
		return nil, err
	}
	return a, a.Check()
}

// Check holds an answer to its form: the order of what is in it, and that each pair
// lies where its read asks.
func (a *ReadAnswer) Check() error {
	if len(a.Answers) > MaxReadOps+MaxTouched {
		return fmt.Errorf("an answer to %d reads; at most %d are allowed", len(a.Answers), MaxReadOps+MaxTouched)
	}
	for _, o := range a.Answers {
		if err := o.check(); err != nil {
			return err
		}
	}
	for i, e := range a.Entries {
		if i > 0 && e.Index <= a.Entries[i-1].Index {
			return errors.New("an answer: entries out of order")
		}
	}
	if len(a.Hashes)%ReadHash != 0 {
		return errors.New("an answer: hashes that end in between")
	}
	for i := ReadHash; i < len(a.Hashes); i += ReadHash {
		if bytes.Compare(a.Hashes[i-ReadHash:i-32], a.Hashes[i:i+8]) >= 0 {
			return errors.New("an answer: hashes out of order")
		}
	}
	return nil
}

func (o *OpAnswer) check() error {
	if err := o.Op.Check(); err != nil {
		return err
	}
	most := 1
	if o.Op.Limit > 0 {
		most = o.Op.Limit
	}
	switch {
	case len(o.Pairs) > most:
		return fmt.Errorf("an answer: %d pairs to a read of at most %d", len(o.Pairs), most)
	case o.More && (o.Op.Limit == 0 || len(o.Pairs) == 0):
		return errors.New("an answer: more, after nothing")
	}
	for i, p := range o.Pairs {
		switch {
		case len(o.Op.Get) > 0 && !bytes.Equal(p.Key, o.Op.Get),
			len(o.Op.Get) == 0 && (bytes.Compare(p.Key, o.Op.Lower) < 0 || bytes.Compare(p.Key, o.Op.Upper) >= 0):
			return errors.New("an answer: a pair that was not asked for")
		case i > 0 && bytes.Compare(p.Key, o.Pairs[i-1].Key) <= 0:
			return errors.New("an answer: pairs out of order")
		}
	}
	return nil
}

// Marshal returns the body of the request.
func (r *ReadRequest) Marshal() ([]byte, error) { return strictjson.Marshal(r) }

// Marshal returns the body of the request.
func (r *TraceRequest) Marshal() ([]byte, error) { return strictjson.Marshal(r) }

// Marshal returns the body of the answer.
func (a *ReadAnswer) Marshal() ([]byte, error) { return strictjson.Marshal(a) }
