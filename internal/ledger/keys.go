package ledger

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/stele-ml/stele/fingerprint"
	"github.com/stele-ml/stele/statement"
)

// The families of keys: docs/formats/store.md.
const (
	famAudit       = 'a'
	famCheckpoint  = 'c'
	famEntry       = 'e'
	famFingerprint = 'f'
	famID          = 'i'
	famKind        = 'k'
	famMeta        = 'm'
	famName        = 'n'
	famResult      = 'r'
	famSigner      = 's'
	famTile        = 't'
	famVersion     = 'v'
	famControl     = 'x'
	famLineage     = 'l' // kept for later
)

// derived lists the families that follow from the entries.
const derived = "afiklnrstvx"

const (
	metaFormat = "format"
	metaIndex  = "index"

	storeFormat   = "stele store v1"
	indexVersion  = "1"
	indexBuilding = "building"
)

// sep ends a name within a key; names and versions never contain it.
const sep = 0x00

// kindBytes gives each kind its byte in the store, for ever.
var kindBytes = map[statement.Kind]byte{
	statement.KindGenesis:       1,
	statement.KindIdentity:      2,
	statement.KindStamp:         3,
	statement.KindWithdrawal:    4,
	statement.KindReinstatement: 5,
	statement.KindLogKey:        6,
	statement.KindAudit:         7,
}

func u64key(fam byte, n uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte{fam}, n)
}

func entryKey(index uint64) []byte       { return u64key(famEntry, index) }
func checkpointKey(size uint64) []byte   { return u64key(famCheckpoint, size) }
func controlKey(ordinal uint64) []byte   { return u64key(famControl, ordinal) }
func idKey(id statement.ID) []byte       { return append([]byte{famID}, id[:]...) }
func metaKey(word string) []byte         { return append([]byte{famMeta}, word...) }
func u64value(n uint64) []byte           { return binary.BigEndian.AppendUint64(nil, n) }
func tileKey(level int, n uint64) []byte { return u64key2(famTile, byte(level), n) }
func kindKey(kind byte, index uint64) []byte {
	return u64key2(famKind, kind, index)
}

func u64key2(fam, b byte, n uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte{fam, b}, n)
}

func nameKey(name, version string) []byte {
	k := make([]byte, 0, 2+len(name)+len(version))
	k = append(append(append(k, famName), name...), sep)
	return append(k, version...)
}

func versionPrefix(name string) []byte {
	k := make([]byte, 0, 10+len(name))
	return append(append(append(k, famVersion), name...), sep)
}

func versionKey(name string, index uint64) []byte {
	return binary.BigEndian.AppendUint64(versionPrefix(name), index)
}

func signerPrefix(id statement.KeyID) []byte {
	return append(append(make([]byte, 0, 41), famSigner), id[:]...)
}

func signerKey(id statement.KeyID, index uint64) []byte {
	return binary.BigEndian.AppendUint64(signerPrefix(id), index)
}

// fingerprintSize is the length of a fingerprint in the store, in bytes.
const fingerprintSize = 33

func appendFingerprint(b []byte, fp fingerprint.Fingerprint) []byte {
	return append(append(b, byte(fp.Algorithm)), fp.Sum[:]...)
}

func fingerprintPrefix(fp fingerprint.Fingerprint) []byte {
	return appendFingerprint(append(make([]byte, 0, 42), famFingerprint), fp)
}

func fingerprintKey(fp fingerprint.Fingerprint, index uint64) []byte {
	return binary.BigEndian.AppendUint64(fingerprintPrefix(fp), index)
}

func auditPrefix(fp fingerprint.Fingerprint) []byte {
	return appendFingerprint(append(make([]byte, 0, 42), famAudit), fp)
}

func auditKey(fp fingerprint.Fingerprint, announcement uint64) []byte {
	return binary.BigEndian.AppendUint64(auditPrefix(fp), announcement)
}

func resultKey(announcement uint64) []byte { return u64key(famResult, announcement) }

func bindingValue(index uint64, fp fingerprint.Fingerprint) []byte {
	return appendFingerprint(binary.BigEndian.AppendUint64(make([]byte, 0, 8+fingerprintSize), index), fp)
}

func parseBinding(v []byte) (index uint64, fp fingerprint.Fingerprint, err error) {
	if len(v) != 8+fingerprintSize || !fingerprint.Algorithm(v[8]).Valid() {
		return 0, fp, damaged("a binding of %d bytes", len(v))
	}
	fp.Algorithm = fingerprint.Algorithm(v[8])
	copy(fp.Sum[:], v[9:])
	return binary.BigEndian.Uint64(v), fp, nil
}

func parseU64(v []byte) (uint64, error) {
	if len(v) != 8 {
		return 0, damaged("a number of %d bytes", len(v))
	}
	return binary.BigEndian.Uint64(v), nil
}

// lastU64 returns the number that ends a key after prefix.
func lastU64(key, prefix []byte) (uint64, error) {
	if len(key) != len(prefix)+8 || !bytes.HasPrefix(key, prefix) {
		return 0, damaged("the key %x", key)
	}
	return binary.BigEndian.Uint64(key[len(prefix):]), nil
}

// after returns the least key that is greater than every key with the prefix.
func after(prefix []byte) []byte {
	end := bytes.Clone(prefix)
	for i := len(end) - 1; i >= 0; i-- {
		if end[i]++; end[i] != 0 {
			return end[:i+1]
		}
	}
	return nil // no bound
}

func damaged(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrDamaged}, args...)...)
}
