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
	famLineage     = 'l'
	famMeta        = 'm'
	famName        = 'n'
	famOn          = 'o'
	famPlace       = 'p'
	famResult      = 'r'
	famSigner      = 's'
	famTile        = 't'
	famRun         = 'u'
	famVersion     = 'v'
	famControl     = 'x'
)

// derived lists the families that follow from the entries.
const derived = "afiklnoprstuvx"

const (
	metaFormat = "format"
	metaIndex  = "index"

	storeFormat   = "stele store v1"
	indexVersion  = "2"
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
	statement.KindRun:           8, // runs and imports stand together: claimsRange
	statement.KindImport:        9,
	statement.KindEvaluation:    10,
	statement.KindApproval:      11,
	statement.KindRelease:       12,
	statement.KindContract:      13,
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

// versionKey is unique though a run stamps several versions of a name at once.
func versionKey(name string, index uint64, version string) []byte {
	return append(binary.BigEndian.AppendUint64(versionPrefix(name), index), version...)
}

// parseVersion reads what follows the prefix in a versionKey.
func parseVersion(key, prefix []byte) (index uint64, version string, err error) {
	if len(key) < len(prefix)+8+1 || !bytes.HasPrefix(key, prefix) {
		return 0, "", damaged("the key %q", clip(key))
	}
	rest := key[len(prefix):]
	return binary.BigEndian.Uint64(rest), string(rest[8:]), nil
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

// stampValue is under famFingerprint where an entry binds a name to the
// contents. A run by their stamper that does not has one byte more.
func stampValue(kind byte) []byte { return []byte{kind} }

var stampersRun = []byte{kindBytes[statement.KindRun], 0}

// stamps reports whether a value of famFingerprint is a stampValue.
func stamps(value []byte) bool {
	return len(value) == 1 && (value[0] == kindBytes[statement.KindStamp] || value[0] == kindBytes[statement.KindRun])
}

func auditPrefix(fp fingerprint.Fingerprint) []byte {
	return appendFingerprint(append(make([]byte, 0, 42), famAudit), fp)
}

func auditKey(fp fingerprint.Fingerprint, announcement uint64) []byte {
	return binary.BigEndian.AppendUint64(auditPrefix(fp), announcement)
}

// onPrefix is what an entry of a kind that is about a fingerprint is found by.
func onPrefix(fp fingerprint.Fingerprint, kind statement.Kind) []byte {
	return append(appendFingerprint(append(make([]byte, 0, 43), famOn), fp), kindBytes[kind])
}

func onKey(fp fingerprint.Fingerprint, kind statement.Kind, index uint64) []byte {
	return binary.BigEndian.AppendUint64(onPrefix(fp, kind), index)
}

func lineagePrefix(fp fingerprint.Fingerprint) []byte {
	return appendFingerprint(append(make([]byte, 0, 42), famLineage), fp)
}

func lineageKey(fp fingerprint.Fingerprint, index uint64) []byte {
	return binary.BigEndian.AppendUint64(lineagePrefix(fp), index)
}

func runKey(id statement.Nonce) []byte { return append([]byte{famRun}, id[:]...) }

func stagePrefix(stage string) []byte {
	k := make([]byte, 0, 2+len(stage)+statement.MaxName)
	return append(append(append(k, famPlace), stage...), sep)
}

func placePrefix(stage, name string) []byte {
	return append(append(stagePrefix(stage), name...), sep)
}

func placeKey(stage string, ref statement.Ref, index uint64) []byte {
	return append(binary.BigEndian.AppendUint64(placePrefix(stage, ref.Name), index), ref.Version...)
}

// The actions of a release in the store.
const (
	placeJoin  = 1
	placeLeave = 2
)

func placeValue(action string, fp fingerprint.Fingerprint) []byte {
	b := byte(placeLeave)
	if action == statement.ActionJoin {
		b = placeJoin
	}
	return appendFingerprint([]byte{b}, fp)
}

// parsePlace reads a key and value of famPlace, whose stage's prefix is known.
func parsePlace(key, value, prefix []byte) (c StageChange, err error) {
	name, rest, ok := bytes.Cut(key[len(prefix):], []byte{sep})
	if !ok || len(rest) < 8+1 || len(value) != 1+fingerprintSize {
		return c, damaged("the key %q", clip(key))
	}
	switch value[0] {
	case placeJoin:
		c.Action = statement.ActionJoin
	case placeLeave:
		c.Action = statement.ActionLeave
	default:
		return c, damaged("the value under %q", clip(key))
	}
	c.Entry = binary.BigEndian.Uint64(rest)
	c.Ref = statement.Ref{Name: string(name), Version: string(rest[8:])}
	c.Ref.Fingerprint, err = parseFingerprint(value[1:])
	return c, err
}

func resultKey(announcement uint64) []byte { return u64key(famResult, announcement) }

// u64after is the upper bound of the keys that go on with a number below n.
func u64after(prefix []byte, n uint64) []byte {
	return binary.BigEndian.AppendUint64(bytes.Clone(prefix), n)
}

func bindingValue(index uint64, fp fingerprint.Fingerprint) []byte {
	return appendFingerprint(binary.BigEndian.AppendUint64(make([]byte, 0, 8+fingerprintSize), index), fp)
}

func parseBinding(v []byte) (index uint64, fp fingerprint.Fingerprint, err error) {
	if len(v) != 8+fingerprintSize {
		return 0, fp, damaged("a binding of %d bytes", len(v))
	}
	fp, err = parseFingerprint(v[8:])
	return binary.BigEndian.Uint64(v), fp, err
}

func parseFingerprint(v []byte) (fp fingerprint.Fingerprint, err error) {
	if len(v) != fingerprintSize || !fingerprint.Algorithm(v[0]).Valid() {
		return fp, damaged("a fingerprint of %d bytes", len(v))
	}
	fp.Algorithm = fingerprint.Algorithm(v[0])
	copy(fp.Sum[:], v[1:])
	return fp, nil
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
