package source

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"unicode/utf8"

	"github.com/stele-ml/stele/fingerprint"
)

// kind is what a name in a folder stands for.
type kind uint8

const (
	kindUnknown kind = iota
	kindFile
	kindFolder
	kindLink
	kindOther
)

// entry is one name of a folder, kept small: a folder may have millions.
type entry struct {
	key  uint64 // the first eight bytes of the name, big-endian: most comparisons end here
	off  uint32 // where the name begins in names
	n    uint16 // its length, with a folder's '/'
	kind kind
}

// names is the content of one folder in memory, all names in one piece.
type names struct {
	text    []byte
	entries []entry
	links   map[string]link // by name, for entries of kindLink
}

// link is where a symbolic link leads.
type link struct {
	real   string // canonical, absolute
	folder bool
	err    error // why it cannot be followed; folder is right even so
}

// add appends a name. A folder's name gets its '/', by which it sorts.
func (l *names) add(name []byte, k kind) error {
	off := len(l.text)
	if off > math.MaxUint32-math.MaxUint16 || len(name) >= math.MaxUint16 {
		return fmt.Errorf("a folder with more than %d bytes of names", math.MaxUint32)
	}
	l.text = append(l.text, name...)
	if k == kindFolder {
		l.text = append(l.text, '/')
	}
	l.entries = append(l.entries, entry{off: uint32(off), n: uint16(len(l.text) - off), kind: k})
	return nil
}

// reset empties l for the next folder and keeps its memory.
func (l *names) reset() {
	l.text, l.entries = l.text[:0], l.entries[:0]
	clear(l.links)
}

// follow notes where the link at index i leads. One that leads to a folder is
// from here on a folder by its name, so that it sorts as one.
func (l *names) follow(i int, to link) error {
	name := l.name(l.entries[i])
	if l.links == nil {
		l.links = make(map[string]link)
	}
	l.links[string(name)] = to
	if !to.folder {
		return nil
	}
	if err := l.add(name, kindFolder); err != nil {
		return err
	}
	last := len(l.entries) - 1
	l.entries[i] = l.entries[last]
	l.entries[i].kind = kindLink
	l.entries = l.entries[:last]
	return nil
}

func (l *names) name(e entry) []byte { return l.text[e.off : e.off+uint32(e.n)] }

// sort brings the names into the order of paths.
func (l *names) sort() {
	for i := range l.entries {
		var first [8]byte
		copy(first[:], l.name(l.entries[i]))
		l.entries[i].key = binary.BigEndian.Uint64(first[:])
	}
	slices.SortFunc(l.entries, func(a, b entry) int {
		if a.key != b.key {
			return cmp.Compare(a.key, b.key)
		}
		return bytes.Compare(l.name(a), l.name(b))
	})
}

// checkName reports why a fingerprint cannot hold a name under a prefix, or "".
// What else fingerprint.CheckPath asks for holds for any name in a folder.
func checkName(prefix string, name []byte) string {
	switch {
	case !utf8.Valid(name):
		return "it is not valid UTF-8"
	case len(prefix)+len(name) > fingerprint.MaxPath:
		return fmt.Sprintf("its path has more than %d bytes", fingerprint.MaxPath)
	}
	return ""
}
