package ledger

import "github.com/stele-ml/stele/contract"

// ContractState returns what rules can ask while a block is being made: of the
// entries before it, and of its own so far.
func (b *Block) ContractState() contract.State {
	return newContractState(b, newFacts(b, b.control), b.tree.size, b.time)
}

// Laws returns how many documents are kept.
func (l *Ledger) Laws() int {
	l.laws.mu.Lock()
	defer l.laws.mu.Unlock()
	return len(l.laws.young) + len(l.laws.old)
}
