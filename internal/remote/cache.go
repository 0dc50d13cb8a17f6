package remote

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"

	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/internal/ledger"
)

// Every command that reads over a server needs all control entries. They are kept
// in a file, so that only new ones are sent: cacheMark, and for each in order its
// leaf after its length, u32, big-endian. Nothing in it is believed: together with
// what the server sends the entries must fold to what the last leaf commits to.
const (
	cacheName = "control"
	cacheMark = "stele control cache v1\n"
	maxCache  = 64 << 20 // bytes
)

// OpenCached is [Open] with a folder of the caller's in which control entries are
// kept, and what [OpenKept] opens. It belongs to one ledger, is made if it is not
// there, and may be deleted at any time; that it cannot be read or written is no
// error.
func OpenCached(ctx context.Context, s Server, signed []byte, dir string) (*Ledger, error) {
	name := filepath.Join(dir, cacheName)
	m := newMemory()
	kept := m.takeControl(readCache(name))
	heard := &recorder{Server: s}
	l, err := open(ctx, heard, signed, m)
	if kept > 0 && errors.Is(err, evidence.ErrTampered) {
		// Whose fault it is shows without the file.
		kept = 0
		heard = &recorder{Server: s}
		l, err = open(ctx, heard, signed, newMemory())
	}
	if err != nil {
		return nil, err
	}
	l.r.server = s
	l.writeCache(name, kept)
	heard.keep(filepath.Join(dir, keptName), signed)
	return l, nil
}

// readCache returns the leaves in a file, as far as there are any.
func readCache(name string) (leaves [][]byte) {
	if info, err := os.Stat(name); err != nil || !info.Mode().IsRegular() || info.Size() > maxCache {
		return nil
	}
	data, err := os.ReadFile(name)
	if err != nil {
		return nil
	}
	data, ok := bytes.CutPrefix(data, []byte(cacheMark))
	for ok && len(data) >= 4 {
		n := binary.BigEndian.Uint32(data)
		if n > evidence.MaxLeaf || int(n) > len(data)-4 {
			break
		}
		leaves, data = append(leaves, data[4:4+n]), data[4+n:]
	}
	return leaves
}

// takeControl takes in control entries from the first on, as if they were
// verified, and returns how many. What opens a ledger on top of them verifies
// them.
func (m *memory) takeControl(leaves [][]byte) int {
	for _, leaf := range leaves {
		e, err := evidence.ParseEntry(leaf)
		if err != nil || e.ControlCount != m.control {
			break
		}
		st, err := e.Statement()
		if err != nil || !st.Control() {
			break
		}
		for _, p := range ledger.Rows(e, st) {
			m.rows.put(row{string(p.Key), p.Value, e.Index})
		}
		m.leaves[e.Index] = leaf
		m.bytes += len(leaf)
		m.control++
	}
	return int(m.control)
}

// writeCache keeps the control entries, where there are others than were kept.
func (l *Ledger) writeCache(name string, kept int) {
	data := []byte(cacheMark)
	n := 0
	for e, err := range l.View().ControlEntries() {
		if err != nil {
			return
		}
		leaf := e.Leaf()
		data = append(binary.BigEndian.AppendUint32(data, uint32(len(leaf))), leaf...)
		n++
	}
	if n <= kept || len(data) > maxCache {
		return
	}
	replace(name, data)
}

// replace writes a file of the cache, if it can be written.
func replace(name string, data []byte) {
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		return
	}
	f, err := os.CreateTemp(filepath.Dir(name), filepath.Base(name)+".tmp-*")
	if err != nil {
		return
	}
	_, err = f.Write(data)
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
}
