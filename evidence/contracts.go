package evidence

import (
	"cmp"
	"fmt"
	"slices"
	"sync"

	"github.com/stele-ml/stele/statement"
)

// ContractEntry is a contract entry: one that puts a contract in force, proposes
// one or lifts one.
type ContractEntry struct {
	Entry    uint64          `json:"entry"`
	Time     int64           `json:"time"`   // Unix ms, as the ledger claims
	Action   string          `json:"action"` // statement.ContractPut, ContractPropose or ContractLift
	Name     string          `json:"name"`
	Version  uint64          `json:"version"`
	Digest   [32]byte        `json:"-"` // SHA-256 of the document; of a lift, of the one that it ends
	Document []byte          `json:"-"` // shared: not to be changed; nil for a lift
	Reason   string          `json:"reason,omitempty"`
	Signer   statement.KeyID `json:"signer"`
	Handle   string          `json:"handle"`

	// Void says why it counts for nothing, or is empty: its signer had no
	// standing then, as is known now. A put that is void goes on refusing, but
	// replaces nothing.
	Void string `json:"void,omitempty"`
}

// ID returns the contract's name and version: production@3.
func (e *ContractEntry) ID() string { return statement.ContractID(e.Name, e.Version) }

// inForce is what ContractsInForce found, kept until an entry is added that may
// change it. Folds that say the same share it.
type inForce struct {
	once sync.Once
	list []ContractEntry
}

// Contracts returns every contract entry in order, each with whether it counts,
// as of the control entries added so far.
func (c *Control) Contracts() []ContractEntry {
	list := make([]ContractEntry, len(c.contracts))
	for i, e := range c.contracts {
		list[i] = c.contract(e)
	}
	return list
}

// contract returns an entry with whether it counts.
func (c *Control) contract(e *ContractEntry) ContractEntry {
	said := *e
	said.Void = c.void(e.Signer, e.Entry, e.Time)
	return said
}

// ContractsInForce returns the puts whose contracts are in force after the
// control entries added so far, by name and then by entry. The list is shared:
// it is not to be changed. Of each name they are
//
//   - the last put whose signer stands, which replaces all before it;
//   - every put after that, whose signer has fallen since: what is fallen keeps
//     refusing and no longer replaces, so that neither a thief loosens a rule nor
//     anybody ends one by declaring his own key compromised;
//
// but those that a lift ended, whose signer stands.
func (c *Control) ContractsInForce() []ContractEntry {
	if len(c.contracts) == 0 {
		return nil
	}
	c.force.once.Do(func() { c.force.list = c.contractsInForce() })
	return c.force.list
}

func (c *Control) contractsInForce() []ContractEntry {
	standing := make(map[string][]ContractEntry) // by name
	for _, e := range c.Contracts() {
		switch {
		case e.Action == statement.ContractPut && e.Void == "":
			standing[e.Name] = []ContractEntry{e}
		case e.Action == statement.ContractPut:
			standing[e.Name] = append(standing[e.Name], e)
		case e.Action == statement.ContractLift && e.Void == "":
			standing[e.Name] = slices.DeleteFunc(standing[e.Name], func(put ContractEntry) bool { return put.Digest == e.Digest })
		}
	}
	var list []ContractEntry
	for _, puts := range standing {
		list = append(list, puts...)
	}
	slices.SortFunc(list, func(a, b ContractEntry) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Entry, b.Entry))
	})
	return list
}

// ContractProposals returns the entries that propose the document with that
// digest, by keys in good standing, in order.
func (c *Control) ContractProposals(digest [32]byte) []ContractEntry {
	var list []ContractEntry
	for _, e := range c.contracts {
		if e.Action != statement.ContractPropose || e.Digest != digest {
			continue
		}
		if said := c.contract(e); said.Void == "" {
			list = append(list, said)
		}
	}
	return list
}

// ContractBytes returns how many bytes the documents have that were put or
// proposed by signers who stand, each as often as an entry holds it.
func (c *Control) ContractBytes() int {
	total := 0
	for _, e := range c.contracts {
		if len(e.Document) > 0 && c.void(e.Signer, e.Entry, e.Time) == "" {
			total += len(e.Document)
		}
	}
	return total
}

// CheckContract says why the rules do not let a contract be put, proposed or
// lifted after the control entries added so far, or returns nil; whose contract
// stands against it is the entry, where one does. A name's version is put once,
// with a version above that of every put which counts; what is lifted is in
// force.
func (c *Control) CheckContract(said *statement.Contract) (against *ContractEntry, err error) {
	if said.Action == statement.ContractLift {
		return c.checkLift(said)
	}
	for _, e := range c.contracts {
		if e.Action != statement.ContractPut || e.Name != said.Name {
			continue
		}
		switch put := c.contract(e); {
		case put.Version == said.Version && put.Digest == said.Digest:
			return &put, fmt.Errorf("contract %s was put in entry %d", said.ID(), put.Entry)
		case put.Version == said.Version:
			return &put, fmt.Errorf("contract %s is another document since entry %d, with SHA-256 %x", said.ID(), put.Entry, put.Digest)
		case put.Version > said.Version && put.Void == "":
			return &put, fmt.Errorf("contract %s: the ledger has version %d since entry %d", said.ID(), put.Version, put.Entry)
		}
	}
	return nil, nil
}

func (c *Control) checkLift(said *statement.Contract) (against *ContractEntry, err error) {
	for _, put := range c.ContractsInForce() {
		switch {
		case put.Name != said.Name || put.Version != said.Version:
		case put.Digest != said.Digest:
			return &put, fmt.Errorf("contract %s has SHA-256 %x since entry %d, not %x", said.ID(), put.Digest, put.Entry, said.Digest)
		default:
			return nil, nil
		}
	}
	for _, e := range slices.Backward(c.contracts) {
		if e.Name == said.Name && e.Version == said.Version && e.Action == statement.ContractLift {
			return e, fmt.Errorf("contract %s is not in force: entry %d lifted it", said.ID(), e.Entry)
		}
	}
	return nil, fmt.Errorf("contract %s is not in force", said.ID())
}

func (c *Control) enact(e *Entry, said *statement.Contract) {
	entry := &ContractEntry{
		Entry: e.Index, Time: e.Time, Action: said.Action, Name: said.Name, Version: said.Version,
		Digest: said.Digest, Document: said.Document, Reason: said.Reason, Signer: e.Envelope.By(),
	}
	if _, m, ok := c.roster.Key(entry.Signer); ok {
		entry.Handle = m.Handle
	}
	c.contracts = append(c.contracts, entry)
}
