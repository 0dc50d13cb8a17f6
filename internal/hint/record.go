package hint

import (
	"bufio"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"io"
	"slices"

	"github.com/stele-ml/stele/fingerprint"
	"github.com/stele-ml/stele/internal/source"
)

// A record of the journal is
//
//	uvarint(length) ‖ note ‖ SHA-256(note)[:8]
//	note = kind ‖ uvarint(path's length) ‖ path ‖ uvarint(group) ‖ uvarint(size) ‖ tag ‖ mark ‖ digests
//
// with group 0 where the kind has none, and the mark as in a marks file.
type record []byte // the note

var errRecord = errors.New("damaged record")

// readRecord reads the next record, into buf, and says how many bytes it has.
func readRecord(r *bufio.Reader, buf *[]byte) (record, int64, error) {
	head, err := r.Peek(3)
	if len(head) == 0 {
		return nil, 0, err
	}
	long, n := binary.Uvarint(head)
	if n <= 0 || long > maxNote {
		return nil, 0, errRecord
	}
	_, _ = r.Discard(n)
	length := int(long)
	whole := length + sumSize
	*buf = slices.Grow((*buf)[:0], whole)[:whole]
	if _, err := io.ReadFull(r, *buf); err != nil {
		return nil, 0, err
	}
	rec := record((*buf)[:length])
	if sum := sha256.Sum256(rec); string(sum[:sumSize]) != string((*buf)[length:]) {
		return nil, 0, errRecord
	}
	return rec, int64(n + whole), nil
}

// appendRecord appends a record whose note append makes.
func appendRecord(b []byte, kind byte, path string, group, size uint64, m *source.Mark, digests ...fingerprint.Digest) []byte {
	note := make([]byte, 0, 256)
	note = binary.AppendUvarint(append(note, kind), uint64(len(path)))
	note = append(note, path...)
	note = binary.AppendUvarint(note, group)
	note = binary.AppendUvarint(note, size)
	t := tag(m)
	note = append(note, t)
	note = new(coder).append(note, t, m)
	for i := range digests {
		note = append(note, digests[i][:]...)
	}
	b = binary.AppendUvarint(b, uint64(len(note)))
	b = append(b, note...)
	sum := sha256.Sum256(note)
	return append(b, sum[:sumSize]...)
}

// subject is what a record is of.
func (r record) subject() (kind byte, path []byte, group uint64, ok bool) {
	d := decoder{data: r}
	kind = d.byte()
	path = d.bytes(int(min(d.uvarint(), maxNote)))
	group = d.uvarint()
	return kind, path, group, d.err == nil
}

// decode takes a record apart.
func (r record) decode() (size uint64, m source.Mark, digests []fingerprint.Digest, ok bool) {
	d := decoder{data: r}
	d.byte()
	d.bytes(int(min(d.uvarint(), maxNote)))
	d.uvarint()
	size = d.uvarint()
	m = new(coder).read(&d, d.byte())
	if d.err != nil || size > fingerprint.MaxFileSize || len(d.data)%len(fingerprint.Digest{}) != 0 {
		return 0, source.Mark{}, nil, false
	}
	m.Size = int64(size)
	for len(d.data) > 0 {
		digests = append(digests, fingerprint.Digest(d.bytes(len(fingerprint.Digest{}))))
	}
	return size, m, digests, true
}

// find returns the newest record of a kind, path and group, or nil.
func (j *Journal) find(kind byte, path string, group uint64) record {
	if len(j.notes) == 0 {
		return nil
	}
	key := j.noteKey(kind, []byte(path), group)
	// The first note after all of this key.
	i, _ := slices.BinarySearchFunc(j.notes, key, func(n note, key uint64) int {
		if n.key <= key {
			return -1
		}
		return 1
	})
	for i--; i >= 0 && j.notes[i].key == key; i-- {
		var buf []byte
		rec, _, err := readRecord(bufio.NewReaderSize(io.NewSectionReader(j.old, j.notes[i].at, maxNote+sumSize+3), 512), &buf)
		if err != nil {
			return nil
		}
		if k, p, g, ok := rec.subject(); ok && k == kind && string(p) == path && g == group {
			return rec
		}
	}
	return nil
}

// File returns what is remembered of a file of at most one chunk. Whether it is
// still the same is for the caller to find out, by its mark.
func (j *Journal) File(path string) (Hint, bool) {
	rec := j.find(kindFile, path, 0)
	if rec == nil {
		return Hint{}, false
	}
	size, m, digests, ok := rec.decode()
	want := 1
	if j.key.Plain {
		want = 2
	}
	if !ok || size > fingerprint.ChunkSize || len(digests) != want {
		return Hint{}, false
	}
	h := Hint{File: fingerprint.File{Path: path, Size: size, Digest: digests[0]}, Mark: m}
	if j.key.Plain {
		h.File.SHA256 = &digests[1]
	}
	return h, true
}

// Chunks returns the digests of the chunks of one group, of GroupChunks or, at
// the file's end, fewer, if they are remembered under the same mark.
func (j *Journal) Chunks(path string, now source.Mark, group uint64) []fingerprint.Digest {
	digests := j.same(kindGroup, path, group, now)
	if uint64(len(digests)) != groupLen(now.Size, group) {
		return nil
	}
	return digests
}

// groupLen is how many chunks a group has.
func groupLen(size int64, group uint64) uint64 {
	chunks := fingerprint.ChunkCount(uint64(size))
	return min(GroupChunks, chunks-min(chunks, group*GroupChunks))
}

// Plain returns the plain SHA-256 of a large file, if it is remembered under the
// same mark.
func (j *Journal) Plain(path string, now source.Mark) (d fingerprint.Digest, ok bool) {
	digests := j.same(kindPlain, path, 0, now)
	if len(digests) != 1 {
		return d, false
	}
	return digests[0], true
}

// same returns the digests of a record whose mark is now's, in all that it says:
// the parts of one file are read under one mark.
func (j *Journal) same(kind byte, path string, group uint64, now source.Mark) []fingerprint.Digest {
	rec := j.find(kind, path, group)
	if rec == nil {
		return nil
	}
	if _, m, digests, ok := rec.decode(); ok && m == now && tag(&m) != tagFile {
		return digests
	}
	return nil
}

// Remember notes finished files of at most one chunk. One without a mark, that
// is to say one that could not be known again, is left out.
func (j *Journal) Remember(files []Hint) {
	var b []byte
	for i := range files {
		f, m := &files[i].File, &files[i].Mark
		if f.Size > fingerprint.ChunkSize || m.Size != int64(f.Size) || tag(m) == tagFile || j.key.Plain && f.SHA256 == nil {
			continue
		}
		digests := []fingerprint.Digest{f.Digest}
		if j.key.Plain {
			digests = append(digests, *f.SHA256)
		}
		b = appendRecord(b, kindFile, f.Path, 0, f.Size, m, digests...)
	}
	if len(b) > 0 {
		j.add(b)
	}
}

// RememberChunks notes the digests of one group of a large file's chunks.
func (j *Journal) RememberChunks(path string, m source.Mark, group uint64, digests []fingerprint.Digest) {
	if tag(&m) != tagFile {
		j.add(appendRecord(nil, kindGroup, path, group, uint64(m.Size), &m, digests...))
	}
}

// RememberPlain notes the plain SHA-256 of a large file.
func (j *Journal) RememberPlain(path string, m source.Mark, d fingerprint.Digest) {
	if tag(&m) != tagFile {
		j.add(appendRecord(nil, kindPlain, path, 0, uint64(m.Size), &m, d))
	}
}
