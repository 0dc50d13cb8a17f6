package api

import (
	"errors"
	"iter"
	"net/http"
	"slices"
	"strconv"

	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/fingerprint"
	"github.com/stele-ml/stele/internal/ledger"
	"github.com/stele-ml/stele/internal/server"
	"github.com/stele-ml/stele/internal/wire"
	"github.com/stele-ml/stele/statement"
)

var paramIndex = Param{Name: "index", In: "path", Schema: "integer", Required: true, Doc: "the entry", Example: "1"}

var entryOperations = []Operation{
	{
		ID: "listEntries", Method: http.MethodGet, Path: "/v1/entries", Scope: server.ScopeEntries,
		Doc: "Entries of the log in order, all or those of a kind, by a key or about a fingerprint.",
		Params: []Param{
			{Name: "from", In: "query", Schema: "integer", Doc: "the first entry; 0, or the last with order=descending", Example: "0"},
			{Name: "kind", In: "query", Schema: "string", Doc: "statements of this kind alone", Example: "stamp"},
			{Name: "signer", In: "query", Schema: "string", Doc: "those by this key id alone, or through a delegation of its"},
			{Name: "fingerprint", In: "query", Schema: "string", Doc: "those about these contents alone"},
			{Name: "order", In: "query", Schema: "string", Enum: []string{"ascending", "descending"}, Doc: "descending is for a list without kind, signer and fingerprint"},
			paramSize, paramLimit, paramNext,
		},
		Replies: []Reply{{http.StatusOK, "a page of entries", typeJSON, wire.Entries{}}},
		handle:  (*API).entries,
	},
	{
		ID: "getEntry", Method: http.MethodGet, Path: "/v1/entries/{index}", Scope: server.ScopeEntries,
		Doc:     "One entry, its leaf, and the proof that it is in the log.",
		Params:  []Param{paramIndex, paramSize},
		Replies: []Reply{{http.StatusOK, "the entry", typeJSON, wire.Entry{}}}, Codes: []wire.Code{wire.CodeNotFound},
		handle: (*API).entry,
	},
	{
		ID: "getEntryProof", Method: http.MethodGet, Path: "/v1/entries/{index}/proof", Scope: server.ScopeProofs,
		Doc:     "The proof of an entry under the published checkpoint, as a file: c2sp.org/tlog-proof.",
		Params:  []Param{paramIndex},
		Replies: []Reply{{http.StatusOK, "a .tlog-proof", typeText, nil}}, Codes: []wire.Code{wire.CodeNotFound},
		handle: (*API).entryProof,
	},
}

// entryOf is an entry as it is listed.
func entryOf(control *evidence.Control, e *evidence.Entry) (*wire.Entry, error) {
	st, err := e.Statement()
	if err != nil {
		return nil, err
	}
	signer, err := signerOf(control, e.Envelope)
	if err != nil {
		return nil, err
	}
	return &wire.Entry{
		Index: e.Index, Time: e.Time, ID: e.Envelope.ID(), Kind: st.Kind, Signer: signer, Statement: e.Envelope.Payload,
	}, nil
}

func signerOf(control *evidence.Control, env *statement.Envelope) (wire.Signer, error) {
	by := env.By()
	s := wire.Signer{Key: by}
	if control != nil && control.Roster() != nil {
		if _, m, ok := control.Roster().Key(by); ok {
			s.Handle = m.Handle
		}
	}
	d, err := env.Delegated()
	if err != nil {
		return s, err
	}
	if d != nil {
		s.Subject = d.Subject
	}
	return s, nil
}

func (a *API) entries(w http.ResponseWriter, c *call) error {
	l, err := a.page(c)
	if err != nil {
		return err
	}
	indexes, err := l.indexes(c)
	if err != nil {
		return err
	}
	control, err := l.view.Control()
	if err != nil {
		return err
	}
	out := wire.Entries{Page: wire.Page{Size: l.view.Size()}, Entries: []wire.Entry{}}
	room := maxPageBytes
	for index, err := range indexes {
		if err != nil {
			return err
		}
		if len(out.Entries) == l.limit || room <= 0 {
			out.Next = l.next(strconv.AppendUint(nil, index, 10))
			break
		}
		e, err := l.view.Entry(index)
		if err != nil {
			return err
		}
		item, err := entryOf(control, e)
		if err != nil {
			return err
		}
		room -= len(item.Statement)
		out.Entries = append(out.Entries, *item)
	}
	return writeJSON(w, c, http.StatusOK, c.cache(), out)
}

// maxPageBytes is about how many bytes of statements one page has.
const maxPageBytes = 4 << 20

// indexes are the entries of a list from where the page begins.
func (l *list) indexes(c *call) (iter.Seq2[uint64, error], error) {
	q := c.query
	filters := 0
	for _, name := range []string{"kind", "signer", "fingerprint"} {
		if q.Get(name) != "" {
			filters++
		}
	}
	if filters > 1 {
		return nil, malformed("kind, signer and fingerprint exclude each other")
	}
	descending := q.Get("order") == "descending"
	if filters > 0 && descending {
		return nil, malformed("order=descending is for a list without kind, signer and fingerprint")
	}
	from, err := c.number("from", 0)
	if err != nil {
		return nil, err
	}
	if descending && q.Get("from") == "" {
		from = max(l.view.Size(), 1) - 1
	}
	if len(l.after) > 0 {
		if from, err = decimal("cursor", string(l.after)); err != nil {
			return nil, err
		}
	}
	switch {
	case q.Get("kind") != "":
		kind := statement.Kind(q.Get("kind"))
		if !slices.Contains(statement.Kinds(), kind) {
			return nil, malformed("kind: %.40q is none", kind)
		}
		return l.view.ByKindFrom(kind, from), nil
	case q.Get("signer") != "":
		id, err := statement.ParseKeyID(q.Get("signer"))
		if err != nil {
			return nil, malformed("signer: %v", err)
		}
		return l.view.BySignerFrom(id, from), nil
	case q.Get("fingerprint") != "":
		fp, err := fingerprint.Parse(q.Get("fingerprint"))
		if err != nil {
			return nil, malformed("fingerprint: %v", err)
		}
		return l.view.ByFingerprintFrom(fp, from), nil
	}
	return all(l.view, from, descending), nil
}

func all(v *ledger.View, from uint64, descending bool) iter.Seq2[uint64, error] {
	return func(yield func(uint64, error) bool) {
		if descending {
			for i := min(from+1, v.Size()); i > 0; i-- {
				if !yield(i-1, nil) {
					return
				}
			}
			return
		}
		for i := from; i < v.Size(); i++ {
			if !yield(i, nil) {
				return
			}
		}
	}
}

func (a *API) entry(w http.ResponseWriter, c *call) error {
	index, err := decimal("index", c.PathValue("index"))
	if err != nil {
		return err
	}
	v, err := a.viewOf(c)
	if err != nil {
		return err
	}
	if index >= v.Size() {
		return notFound("entry %d: the ledger has %d", index, v.Size())
	}
	e, err := v.Entry(index)
	if err != nil {
		return err
	}
	control, err := v.Control()
	if err != nil {
		return err
	}
	out, err := entryOf(control, e)
	if err != nil {
		return err
	}
	if out.Envelope, err = e.Envelope.MarshalJSON(); err != nil {
		return err
	}
	proof, err := v.Inclusion(index)
	if err != nil {
		return err
	}
	signed, err := v.Checkpoint(v.Size())
	if err != nil && !errors.Is(err, ledger.ErrNotFound) { // of a size within one commit there is none
		return err
	}
	out.Leaf, out.Inclusion, out.Checkpoint = e.Leaf(), wire.HashBytes(proof), string(signed)
	return writeJSON(w, c, http.StatusOK, c.cacheSigned(), out)
}

func (a *API) entryProof(w http.ResponseWriter, c *call) error {
	index, err := decimal("index", c.PathValue("index"))
	if err != nil {
		return err
	}
	signed, err := a.published()
	if err != nil {
		return err
	}
	cp, _, err := evidence.ReadCheckpoint(signed)
	if err != nil {
		return err
	}
	if index >= cp.Size {
		return notFound("entry %d: the published checkpoint has %d", index, cp.Size)
	}
	v, err := a.asOf(cp.Size)
	if err != nil {
		return err
	}
	hashes, err := v.Inclusion(index)
	if err != nil {
		return err
	}
	p := evidence.TLogProof{Index: index, Hashes: hashes, Checkpoint: signed}
	return write(w, c.Request, http.StatusOK, typeText, cacheNever, p.Marshal())
}
