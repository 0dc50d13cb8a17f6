package fingerprint

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

func writeManifest(t testing.TB, a Algorithm, files []File, plain bool) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := NewWriter(&buf, a, WriterOptions{PlainSHA256: plain})
	for _, f := range files {
		if err := w.Add(f); err != nil {
			t.Fatal(err)
		}
	}
	s, err := w.Close()
	if err != nil {
		t.Fatal(err)
	}
	if want := summaryOf(t, a, files); s != want {
		t.Fatalf("summary %+v, want %+v", s, want)
	}
	return buf.Bytes()
}

func readManifest(r io.Reader, want Fingerprint) ([]File, *Reader, error) {
	m, err := NewReader(r, want)
	if err != nil {
		return nil, nil, err
	}
	var files []File
	for f, err := range m.All() {
		if err != nil {
			return files, m, err
		}
		files = append(files, f)
	}
	return files, m, nil
}

// withPlain gives every file a plain SHA-256.
func withPlain(a Algorithm, files []File) []File {
	files = slices.Clone(files)
	for i := range files {
		d := SHA256.Sum([]byte(files[i].Path))
		if plainIsDigest(a, files[i].Size) {
			d = files[i].Digest
		}
		files[i].SHA256 = &d
	}
	return files
}

func TestManifestRoundTrip(t *testing.T) {
	r := newRand(1)
	for _, a := range algorithms {
		for _, n := range []int{0, 1, 2, 3, 7, 64, 500, 5000} {
			files := randomFiles(r, a, n)
			for _, plain := range []bool{false, true} {
				if plain {
					files = withPlain(a, files)
				}
				data := writeManifest(t, a, files, plain)
				fp := summaryOf(t, a, files).Fingerprint(a)
				// Files are compared only when all have been read: what
				// Next hands out may be kept.
				got, m, err := readManifest(bytes.NewReader(data), fp)
				if err != nil {
					t.Fatal(err)
				}
				if len(got) != n || n > 0 && !reflect.DeepEqual(got, files) {
					t.Errorf("%v, %d files, plain %v: read other files", a, n, plain)
				}
				if m.Fingerprint() != fp || m.Summary() != summaryOf(t, a, files) {
					t.Errorf("%v, %d files: %v", a, n, m.Fingerprint())
				}
				if again := writeManifest(t, a, got, plain); !bytes.Equal(again, data) {
					t.Errorf("%v, %d files: wrote other bytes", a, n)
				}
			}
		}
	}
}

func TestManifestReaderSizesDoNotMatter(t *testing.T) {
	files := randomFiles(newRand(2), BLAKE3, 300)
	data := writeManifest(t, BLAKE3, files, false)
	for name, r := range map[string]io.Reader{
		"one byte": iotest.OneByteReader(bytes.NewReader(data)),
		"half":     iotest.HalfReader(bytes.NewReader(data)),
		"data+EOF": iotest.DataErrReader(bytes.NewReader(data)),
	} {
		if got, _, err := readManifest(r, Fingerprint{}); err != nil || !reflect.DeepEqual(got, files) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestManifestReaderErrorStays(t *testing.T) {
	data := writeManifest(t, SHA256, randomFiles(newRand(3), SHA256, 50), false)
	broken := errors.New("disk on fire")
	for _, cut := range []int{0, 10, 20, 21, len(data) / 2, len(data) - 1, len(data)} {
		r := io.MultiReader(bytes.NewReader(data[:cut]), iotest.ErrReader(broken))
		_, m, err := readManifest(r, Fingerprint{})
		if !errors.Is(err, broken) {
			t.Errorf("broken after %d bytes: %v", cut, err)
		}
		if m != nil {
			if _, again := m.Next(); again != err {
				t.Errorf("then %v", again)
			}
			if !m.Fingerprint().IsZero() || m.Summary() != (Summary{}) {
				t.Errorf("a fingerprint of what has not checked: %v", m.Fingerprint())
			}
		}
	}
	// An error that wraps io.EOF is an error, not the end.
	wrapped := fmt.Errorf("connection lost: %w", io.EOF)
	if _, _, err := readManifest(io.MultiReader(bytes.NewReader(data[:60]), iotest.ErrReader(wrapped)), Fingerprint{}); err == nil {
		t.Error("an error that wraps io.EOF passed for the end")
	}
	if _, _, err := readManifest(stuck{}, Fingerprint{}); !errors.Is(err, io.ErrNoProgress) {
		t.Errorf("a reader that gives nothing: %v", err)
	}
}

type stuck struct{}

func (stuck) Read([]byte) (int, error) { return 0, nil }

func damagedManifests(t *testing.T) map[string][]byte {
	out := map[string][]byte{}
	for _, a := range algorithms {
		files := withPlain(a, randomFiles(newRand(4), a, 6))
		for _, plain := range []bool{false, true} {
			out[fmt.Sprintf("%v plain %v", a, plain)] = writeManifest(t, a, files, plain)
		}
		out[fmt.Sprintf("%v empty", a)] = writeManifest(t, a, nil, false)
	}
	return out
}

func TestManifestEveryFlippedBitIsFound(t *testing.T) {
	for name, data := range damagedManifests(t) {
		for i := range data {
			for bit := range 8 {
				bad := bytes.Clone(data)
				bad[i] ^= 1 << bit
				// Not even the fingerprint is known.
				if _, _, err := readManifest(bytes.NewReader(bad), Fingerprint{}); err == nil {
					t.Errorf("%s: bit %d of byte %d of %d flipped and not found", name, bit, i, len(data))
				}
			}
		}
	}
}

func TestManifestCutAnywhereIsTruncated(t *testing.T) {
	for name, data := range damagedManifests(t) {
		for n := range data {
			if _, _, err := readManifest(bytes.NewReader(data[:n]), Fingerprint{}); !errors.Is(err, ErrTruncated) {
				t.Errorf("%s: cut after %d of %d bytes: %v", name, n, len(data), err)
			}
		}
		if _, _, err := readManifest(bytes.NewReader(append(bytes.Clone(data), 0)), Fingerprint{}); !errors.Is(err, ErrFormat) {
			t.Errorf("%s: a byte after the end: %v", name, err)
		}
	}
}

// rawManifest writes records as they are told, with a right summary and check
// for the digest and root given.
func rawManifest(a Algorithm, flags byte, records string, s Summary) []byte {
	b := append([]byte(manifestMagic), byte(a), flags)
	b = append(b, records...)
	b = append(b, 0)
	b = binary.BigEndian.AppendUint64(b, s.Files)
	b = binary.BigEndian.AppendUint64(b, s.Bytes)
	b = append(b, s.Root[:]...)
	sum := a.Sum(b)
	return append(b, sum[:]...)
}

func TestManifestMalformed(t *testing.T) {
	d := strings.Repeat("d", 32)
	huge := string(binary.AppendUvarint(nil, MaxFileSize+1))
	for _, tt := range []struct {
		name    string
		records string
		flags   byte
		want    error
	}{
		{"unknown flag", "", 2, ErrFormat},
		{"unsorted", "\x01\x00b\x01" + d + "\x01\x00a\x01" + d, 0, ErrOrder},
		{"prefix after the longer path", "\x02\x00ab\x01" + d + "\x01\x00a\x01" + d, 0, ErrFormat},
		{"twice", "\x01\x00a\x01" + d + "\x01\x00a\x01" + d, 0, ErrFormat},
		{"shares more than it says", "\x02\x00ab\x01" + d + "\x02\x00ac\x01" + d, 0, ErrFormat},
		{"shares more than there is", "\x01\x00a\x01" + d + "\x01\x02c\x01" + d, 0, ErrFormat},
		{"first shares", "\x01\x01a\x01" + d, 0, ErrFormat},
		{"long number", "\x81\x00\x00a\x01" + d, 0, ErrFormat},
		{"long size", "\x01\x00a\x81\x00" + d, 0, ErrFormat},
		{"number over 64 bits", "\x01\x00a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02" + d, 0, ErrFormat},
		{"size over the limit", "\x01\x00a" + huge + d, 0, ErrFormat},
		{"absolute path", "\x02\x00/a\x01" + d, 0, ErrPath},
		{"dot dot", "\x04\x00../a\x01" + d, 0, ErrPath},
		{"not UTF-8", "\x01\x00\xff\x01" + d, 0, ErrPath},
		{"path over the limit", string(binary.AppendUvarint(nil, MaxPath+1)) + "\x00" + strings.Repeat("a", MaxPath+1) + "\x01" + d, 0, ErrFormat},
		{"path over the limit by parts", "\x02\x00a/\x01" + d, 0, ErrPath},
		{"wrong summary", "\x01\x00a\x01" + d, 0, ErrMismatch},
	} {
		_, _, err := readManifest(bytes.NewReader(rawManifest(SHA256, tt.flags, tt.records, Summary{})), Fingerprint{})
		if !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
		}
	}
	for _, s := range []string{"stele manifest v2\n\x01\x00", "{}", strings.Repeat("x", 100)} {
		if _, err := NewReader(strings.NewReader(s), Fingerprint{}); !errors.Is(err, ErrFormat) {
			t.Errorf("%q: %v", s, err)
		}
	}
}

// The overflow needs more files than a test can hold by size alone: 2^16 files
// of 2^48 bytes; the tree is told to be near the edge instead.
func TestTreeBytesDoNotOverflow(t *testing.T) {
	tree := NewTree(SHA256)
	tree.bytes = 1<<64 - 10
	if err := tree.Add(File{Path: "a", Size: 10}); !errors.Is(err, ErrFormat) {
		t.Error(err)
	}
	if err := tree.Add(File{Path: "a", Size: 9}); err != nil {
		t.Error(err)
	}
}

func TestManifestClaimedSizeTakesNoMemory(t *testing.T) {
	record := "\x01\x00a" + string(binary.AppendUvarint(nil, MaxFileSize)) + strings.Repeat("c", 64)
	data := rawManifest(SHA256, 0, record, Summary{})
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, _, err := readManifest(bytes.NewReader(data), Fingerprint{})
	runtime.ReadMemStats(&after)
	if !errors.Is(err, ErrTruncated) {
		t.Error(err)
	}
	if got := after.TotalAlloc - before.TotalAlloc; got > 4<<20 {
		t.Errorf("allocated %d bytes", got)
	}
}

func TestWriterRefuses(t *testing.T) {
	small := fileOf(SHA256, "b", []byte("x"))
	large := fileOf(SHA256, "c", contents(ChunkSize+1, 0))
	wrong := small.Digest
	wrong[0] ^= 1
	lying := large
	lying.Digest = wrong
	noChunks, fewChunks, manyChunks := large, large, small
	noChunks.Chunks = nil
	fewChunks.Chunks = large.Chunks[:1]
	manyChunks.Chunks = large.Chunks
	noPlain, wrongPlain := large, small
	noPlain.SHA256 = nil
	wrongPlain.SHA256 = &wrong
	for _, tt := range []struct {
		name  string
		file  File
		plain bool
		want  error
	}{
		{"a path before the last", File{Path: "a"}, false, ErrOrder},
		{"the last path again", File{Path: "aa"}, false, ErrOrder},
		{"no path", File{}, false, ErrPath},
		{"no chunks", noChunks, false, ErrFormat},
		{"few chunks", fewChunks, false, ErrFormat},
		{"chunks of a small file", manyChunks, false, ErrFormat},
		{"a digest that is not its chunks'", lying, false, ErrMismatch},
		{"too large", File{Path: "x", Size: MaxFileSize + 1}, false, ErrFormat},
		{"no plain SHA-256", noPlain, true, ErrFormat},
		{"a plain SHA-256 that is not the digest", wrongPlain, true, ErrMismatch},
	} {
		w := NewWriter(io.Discard, SHA256, WriterOptions{PlainSHA256: tt.plain})
		if err := w.Add(fileOf(SHA256, "aa", nil)); err != nil {
			t.Fatal(err)
		}
		err := w.Add(tt.file)
		if !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
		}
		if _, closed := w.Close(); closed != err {
			t.Errorf("%s: then Close: %v", tt.name, closed)
		}
	}
	w := NewWriter(io.Discard, SHA256, WriterOptions{})
	if _, err := w.Close(); err != nil {
		t.Error(err)
	}
	if err := w.Add(small); err == nil {
		t.Error("added to a closed manifest")
	}
	if _, err := w.Close(); err == nil {
		t.Error("closed twice")
	}
}

// shortWriter fails after n bytes.
type shortWriter struct {
	n   int
	err error
}

func (s *shortWriter) Write(p []byte) (int, error) {
	if s.n -= len(p); s.n < 0 {
		return 0, s.err
	}
	return len(p), nil
}

func TestWriterReportsEveryFailedWrite(t *testing.T) {
	full := errors.New("disk full")
	files := randomFiles(newRand(5), SHA256, 5000)
	size := len(writeManifest(t, SHA256, files, false))
	for _, n := range []int{0, 1, 100_000, size / 2, size - 100, size - 1} {
		w := NewWriter(&shortWriter{n, full}, SHA256, WriterOptions{})
		for _, f := range files {
			if w.Add(f) != nil {
				break
			}
		}
		if _, err := w.Close(); !errors.Is(err, full) {
			t.Errorf("a disk of %d of %d bytes: %v", n, size, err)
		}
	}
}
