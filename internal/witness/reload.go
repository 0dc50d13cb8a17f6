package witness

import (
	"fmt"
	"maps"
	"slices"

	"golang.org/x/mod/sumdb/note"

	"github.com/stele-ml/stele/evidence"
)

// withKeys makes a log that is witnessed.
func withKeys(origin string, keys []evidence.VKey) *log {
	l := &log{origin: origin}
	l.keys.Store(&keys)
	return l
}

// verifiers are those of its keys.
func (l *log) verifiers() note.Verifiers {
	if keys := l.keys.Load(); keys != nil {
		return evidence.Verifiers(*keys...)
	}
	return evidence.Verifiers() // it has just been taken off the list
}

// keysOf sorts the keys of logs by their origin.
func keysOf(logs []evidence.VKey) map[string][]evidence.VKey {
	keys := map[string][]evidence.VKey{}
	for _, k := range logs {
		keys[k.Name] = append(keys[k.Name], k)
	}
	return keys
}

// apart refuses logs that have the witness's own key.
func apart(self evidence.VKey, logs []evidence.VKey) error {
	for _, k := range logs {
		if k.Public == self.Public {
			return fmt.Errorf("%w: the log %s has the witness's own key", ErrKeys, k.Name)
		}
	}
	return nil
}

// logOf returns a log that is witnessed; nil for any other.
func (w *Witness) logOf(origin string) *log {
	w.logsMu.RLock()
	defer w.logsMu.RUnlock()
	if l := w.logs[origin]; l != nil && l.keys.Load() != nil {
		return l
	}
	return nil
}

// allLogs returns those that are witnessed.
func (w *Witness) allLogs() []*log {
	w.logsMu.RLock()
	defer w.logsMu.RUnlock()
	out := make([]*log, 0, len(w.logs))
	for _, l := range w.logs {
		if l.keys.Load() != nil {
			out = append(out, l)
		}
	}
	return out
}

// SetLogs makes those the logs that are witnessed, while the witness runs. The
// memory of the others stays, and counts if they come back. Where it fails, as
// Open would, the logs stay those that they were. It is called by one goroutine
// at a time.
//
// A log that was witnessed once stays the same object: two of them would have
// two locks, and could each cosign another history.
func (w *Witness) SetLogs(logs []evidence.VKey) error {
	if err := CheckLogs(logs); err != nil {
		return err
	}
	if err := apart(w.key.vkey, logs); err != nil {
		return err
	}
	keys := keysOf(logs)
	added := map[string]*log{}
	for origin, k := range keys {
		w.logsMu.RLock()
		l := w.logs[origin]
		w.logsMu.RUnlock()
		if l == nil {
			l = withKeys(origin, k)
			added[origin] = l
		}
		if err := w.suits(l, k); err != nil {
			return err
		}
	}
	w.logsMu.Lock()
	defer w.logsMu.Unlock()
	maps.Copy(w.logs, added)
	for origin, l := range w.logs {
		if k, ok := keys[origin]; ok {
			l.keys.Store(&k)
		} else {
			l.keys.Store(nil)
		}
	}
	return nil
}

// suits reads what is remembered of a log that is new here, and checks that one
// of the keys signed what was cosigned last: else it would be another log's.
func (w *Witness) suits(l *log, keys []evidence.VKey) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.record == nil {
		r, err := w.memory.read(l.origin)
		if err != nil {
			return err
		}
		if r == nil {
			w.mu.Lock()
			defer w.mu.Unlock()
			if slices.Contains(w.known, l.origin) {
				return withHint(newWitness, "%w: the record of %s is gone", ErrState, l.origin)
			}
			return nil
		}
		l.record = r
	}
	if _, _, err := evidence.OpenExtended(l.record.signed, evidence.Verifiers(keys...)); err != nil {
		return fmt.Errorf("%w: log %s: no key named for it signed the checkpoint of %d entries that was cosigned last", ErrKeys, l.origin, l.record.Size)
	}
	return nil
}
