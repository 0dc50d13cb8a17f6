package fingerprint

import (
	"encoding/binary"
	"fmt"
	"io"
)

const (
	// ChunkSize is the length of a chunk, 1 MiB. A file of at most one chunk
	// has its plain hash as digest; a longer one has a tree over its chunks.
	ChunkSize = 1 << 20

	// MaxFileSize is the most bytes that one file may have, 256 TiB.
	MaxFileSize = 1 << 48
)

// fileDomain begins what is hashed for the digest of a file of several chunks.
const fileDomain = "stele file v1\n"

// File is one entry of a tree. Values that this package hands out may be kept;
// values given to it are not kept, but for the strings.
type File struct {
	// Path is relative, with '/' between segments; see [CheckPath].
	Path string
	// Size is in bytes, at most MaxFileSize.
	Size uint64
	// Digest is H(contents) up to ChunkSize bytes, above it the FileDigest of
	// Chunks. Which of the two it is follows from Size, so a digest means
	// something only together with its size.
	Digest Digest
	// Chunks are H of each chunk, in order; nil where Size is at most
	// ChunkSize, and where they are not known.
	Chunks []Digest
	// SHA256 is the plain SHA-256 of the whole contents, where it is recorded.
	// The fingerprint does not bind it.
	SHA256 *Digest
}

// NewFile reads contents to their end and returns them as the file of that path, with its
// chunks. The path is checked where the file is added to a tree. An error is the
// reader's, or ErrFormat for more than MaxFileSize bytes.
func (a Algorithm) NewFile(path string, contents io.Reader) (File, error) {
	f := File{Path: path}
	chunk := make([]byte, ChunkSize)
	for end := false; !end; {
		n := 0
		for n < len(chunk) && !end {
			m, err := contents.Read(chunk[n:])
			if n += m; err == io.EOF {
				end = true
			} else if err != nil {
				return File{}, fmt.Errorf("file %s: %w", quote(path), err)
			}
		}
		if n > 0 {
			f.Size += uint64(n)
			f.Chunks = append(f.Chunks, a.Sum(chunk[:n]))
		}
		if f.Size > MaxFileSize {
			return File{}, fmt.Errorf("file %s: %w: more than %d bytes", quote(path), ErrFormat, uint64(MaxFileSize))
		}
	}
	switch len(f.Chunks) {
	case 0:
		f.Digest = a.Sum(nil)
	case 1:
		f.Digest, f.Chunks = f.Chunks[0], nil
	default:
		f.Digest = a.FileDigest(f.Size, f.Chunks)
	}
	return f, nil
}

// ChunkCount returns how many chunks a file of size bytes has: none if it is
// empty.
func ChunkCount(size uint64) uint64 {
	n := size / ChunkSize
	if size%ChunkSize != 0 {
		n++
	}
	return n
}

// ChunkLen returns the length in bytes of chunk i, counted from 0, of a file of
// size bytes; 0 if the file has no such chunk.
func ChunkLen(size, i uint64) int {
	switch whole := size / ChunkSize; {
	case i < whole:
		return ChunkSize
	case i == whole:
		return int(size % ChunkSize)
	}
	return 0
}

// FileDigest returns the digest of a file of several chunks,
// H("stele file v1\n" ‖ u64be(size) ‖ root), where root is the RFC 6962 Merkle
// tree hash (section 2.1) over the chunks' digests. It panics if size is at
// most ChunkSize, as the digest is then H(contents), or if there are not
// ChunkCount(size) chunks.
func (a Algorithm) FileDigest(size uint64, chunks []Digest) Digest {
	if size <= ChunkSize || uint64(len(chunks)) != ChunkCount(size) {
		panic(fmt.Sprintf("fingerprint: FileDigest of %d bytes with %d chunks", size, len(chunks)))
	}
	return a.fileDigest(size, a.chunkRoot(chunks))
}

func (a Algorithm) fileDigest(size uint64, root Digest) Digest {
	var buf [len(fileDomain) + 8 + len(root)]byte
	b := append(buf[:0], fileDomain...)
	b = binary.BigEndian.AppendUint64(b, size)
	b = append(b, root[:]...)
	return a.Sum(b)
}

// DigestText writes a file's digest with its kind: "sha256:<hex>" for a file of
// up to ChunkSize bytes, which is its plain hash, "sha256-tree:<hex>" above;
// with BLAKE3 likewise.
func (a Algorithm) DigestText(size uint64, d Digest) string {
	if size > ChunkSize {
		return a.String() + "-tree:" + d.String()
	}
	return a.String() + ":" + d.String()
}

// check reports why f cannot stand in a tree under a, but for its path.
func (f *File) check(a Algorithm) error {
	switch {
	case f.Size > MaxFileSize:
		return fmt.Errorf("file %s: %w: %d bytes, more than %d", quote(f.Path), ErrFormat, f.Size, uint64(MaxFileSize))
	case len(f.Chunks) == 0:
		return nil
	case f.Size <= ChunkSize:
		return fmt.Errorf("file %s: %w: chunk digests for %d bytes, which are one chunk", quote(f.Path), ErrFormat, f.Size)
	case uint64(len(f.Chunks)) != ChunkCount(f.Size):
		return fmt.Errorf("file %s: %w: %d chunk digests for %d bytes", quote(f.Path), ErrFormat, len(f.Chunks), f.Size)
	case a.FileDigest(f.Size, f.Chunks) != f.Digest:
		return fmt.Errorf("file %s: digest %w its chunks", quote(f.Path), ErrMismatch)
	}
	return nil
}
