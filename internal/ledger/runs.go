package ledger

import (
	"encoding/hex"
	"fmt"
	"iter"
	"strings"

	"github.com/stele-ml/stele/statement"
)

// RunEntry is a run by its id, and the entry that records it.
type RunEntry struct {
	ID    statement.Nonce
	Entry uint64
}

// RunsByPrefix goes through the runs whose ids begin with these lower-case hex
// digits, in the order of the ids; none begins with anything else. The last pair
// may be an error.
func (v *View) RunsByPrefix(digits string) iter.Seq2[RunEntry, error] {
	return func(yield func(RunEntry, error) bool) {
		if err := v.l.checkIndex(); err != nil {
			yield(RunEntry{}, err)
			return
		}
		// An id ends within a byte where the digits are of an odd number.
		least, err := hex.DecodeString(digits + strings.Repeat("0", len(digits)%2))
		greatest, err2 := hex.DecodeString(digits + strings.Repeat("f", len(digits)%2))
		if err != nil || err2 != nil || digits != strings.ToLower(digits) {
			return
		}
		lower, upper := append([]byte{famRun}, least...), after(append([]byte{famRun}, greatest...))
		err = v.l.store.scan(lower, upper, func(key, value []byte) bool {
			e, err := parseRun(key, value)
			if err == nil && e.Entry >= v.n {
				return true
			}
			return yield(e, err) && err == nil
		})
		if err != nil {
			yield(RunEntry{}, err)
		}
	}
}

// parseRun reads a pair that runKey is the key of.
func parseRun(key, value []byte) (e RunEntry, err error) {
	if len(key) != 1+len(e.ID) {
		return e, damaged("the key %x", key)
	}
	copy(e.ID[:], key[1:])
	if e.Entry, err = parseU64(value); err != nil {
		err = fmt.Errorf("run %s: %w", e.ID, err)
	}
	return e, err
}
