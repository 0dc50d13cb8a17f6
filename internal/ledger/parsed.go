package ledger

import (
	"sync"

	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/statement"
)

// parsedBytes is how many bytes of leaves a generation of parsed entries stands
// for. Parsed they take some three times that; two generations are kept.
const parsedBytes = 8 << 20

// parsed keeps entries that were read lately, with their statements: the same
// data sets are named again and again, and a lineage is asked for more than
// once. Entries never change, so nothing in it goes out of date; what was not
// asked for while a generation filled is forgotten.
type parsed struct {
	mu       sync.Mutex
	young    map[uint64]parsedEntry
	old      map[uint64]parsedEntry
	youngest int // bytes of leaves in young
}

// parsedEntry is shared: not to be changed.
type parsedEntry struct {
	entry *evidence.Entry
	st    *statement.Statement
}

func (p *parsed) get(index uint64) (parsedEntry, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	e, ok := p.young[index]
	if ok {
		return e, true
	}
	if e, ok = p.old[index]; ok {
		p.put(index, e)
	}
	return e, ok
}

func (p *parsed) add(index uint64, e parsedEntry) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.put(index, e)
}

// put adds to the young. The caller holds the lock.
func (p *parsed) put(index uint64, e parsedEntry) {
	if p.young == nil || p.youngest > parsedBytes {
		p.young, p.old, p.youngest = make(map[uint64]parsedEntry), p.young, 0
	}
	p.young[index] = e
	p.youngest += len(e.entry.Envelope.Payload)
}

// keep adds what a published block says of artifacts, which is asked for soon:
// approvals, evaluations and runs when something is released. Stamps are left to
// whoever asks: many come at once, and would push the others out.
func (l *Ledger) keep(b *Block) {
	for _, p := range b.entries {
		switch p.st.Kind {
		case statement.KindRun, statement.KindEvaluation, statement.KindApproval, statement.KindRelease:
			l.parsed.add(p.entry.Index, p)
		}
	}
}

// parsed returns an entry with its statement. Both are shared.
func (v *View) parsed(index uint64) (parsedEntry, error) {
	if index < v.n {
		if e, ok := v.l.parsed.get(index); ok {
			return e, nil
		}
	}
	e, err := v.Entry(index)
	if err != nil {
		return parsedEntry{}, err
	}
	st, err := e.Statement()
	if err != nil {
		return parsedEntry{}, damaged("%w", err)
	}
	p := parsedEntry{e, st}
	v.l.parsed.add(index, p)
	return p, nil
}
