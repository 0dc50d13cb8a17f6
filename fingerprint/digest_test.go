package fingerprint

import (
	"bytes"
	"encoding/json"
	"errors"
	"os/exec"
	"strings"
	"testing"
	"unicode/utf8"

	zeebo "github.com/zeebo/blake3"
	"lukechampine.com/blake3"
)

// hashSizes are all the lengths around which a kernel may go wrong.
func hashSizes() []int {
	sizes := []int{ChunkSize - 1, ChunkSize, ChunkSize + 1, 100_000, 250_001}
	for _, edge := range []int{0, 64, 128, 1024, 2048, 3072, 4096, 8192, 15 * 1024, 16384, 2 * 16384, 3 * 16384, 4 * 16384, 7 * 16384} {
		for d := -2; d <= 2; d++ {
			if edge+d >= 0 {
				sizes = append(sizes, edge+d)
			}
		}
	}
	for n := 0; n < 20000; n += 97 {
		sizes = append(sizes, n)
	}
	return sizes
}

func TestBLAKE3AgreesWithTwoLibraries(t *testing.T) {
	r := newRand(10)
	for i, n := range hashSizes() {
		p := contents(uint64(n), i)
		want := Digest(blake3.Sum256(p))
		if Digest(zeebo.Sum256(p)) != want {
			t.Fatalf("%d bytes: the libraries differ", n)
		}
		if got := BLAKE3.Sum(p); got != want {
			t.Errorf("%d bytes: %v, want %v", n, got, want)
		}
		// Spare capacity, with other bytes in it, changes nothing.
		if got := BLAKE3.Sum(append(bytes.Clone(p), contents(40000, 1)...)[:n]); got != want {
			t.Errorf("%d bytes of more: %v, want %v", n, got, want)
		}
		h := BLAKE3.New()
		for rest := p; len(rest) > 0; {
			k := min(r.IntN(40000), len(rest))
			h.Write(rest[:k])
			rest = rest[k:]
			if r.IntN(4) == 0 {
				h.Sum(nil) // which changes nothing
			}
		}
		if got := h.Sum([]byte("before")); string(got) != "before"+string(want[:]) {
			t.Errorf("%d bytes streamed: %x, want %v", n, got, want)
		}
		h.Reset()
		h.Write([]byte("abc"))
		if abc := BLAKE3.Sum([]byte("abc")); !bytes.Equal(h.Sum(nil), abc[:]) {
			t.Errorf("after Reset: %x", h.Sum(nil))
		}
	}
}

// The official vectors of BLAKE3 and of FIPS 180-4, as far as two lines go; the
// libraries hold the rest.
func TestKnownDigests(t *testing.T) {
	for _, tt := range []struct {
		a        Algorithm
		in, want string
	}{
		{SHA256, "", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
		{SHA256, "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
		{BLAKE3, "", "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"},
		{BLAKE3, "\x00", "2d3adedff11b61f14c886e35afa036736dcd87a74d27b5c1510225d0f592e213"},
	} {
		if got := tt.a.Sum([]byte(tt.in)); got.String() != tt.want {
			t.Errorf("%v %q: %v", tt.a, tt.in, got)
		}
		if h := tt.a.New(); h.Size() != 32 || h.BlockSize() != 64 {
			t.Errorf("%v: size %d, block %d", tt.a, h.Size(), h.BlockSize())
		}
	}
}

func TestSumAllocatesNothing(t *testing.T) {
	for _, a := range algorithms {
		for _, n := range []int{0, 33, 100, 1024, 1500, 5000, 10_000, 16384, 20_000, ChunkSize} {
			p := make([]byte, n)
			if got := testing.AllocsPerRun(50, func() { a.Sum(p) }); got != 0 {
				t.Errorf("%v of %d bytes: %v allocations", a, n, got)
			}
		}
	}
}

// TestSmallFilesAgreeWithCommands holds digests of small files against programs
// that have no part in this.
func TestSmallFilesAgreeWithCommands(t *testing.T) {
	for a, command := range map[Algorithm]string{SHA256: "sha256sum", BLAKE3: "b3sum"} {
		t.Run(command, func(t *testing.T) {
			if _, err := exec.LookPath(command); err != nil {
				t.Skipf("%s is not installed", command)
			}
			for i, n := range []uint64{0, 1, 1000, 1025, 5000, 9000, 16385, 123_456, ChunkSize} {
				p := contents(n, i)
				cmd := exec.Command(command)
				cmd.Stdin = bytes.NewReader(p)
				out, err := cmd.Output()
				if err != nil {
					t.Fatal(err)
				}
				want := a.String() + ":" + strings.Fields(string(out))[0]
				if got := a.DigestText(n, fileOf(a, "f", p).Digest); got != want {
					t.Errorf("%d bytes: %s, want %s", n, got, want)
				}
			}
		})
	}
}

func TestFingerprintText(t *testing.T) {
	digits := strings.Repeat("0123456789abcdef", 4)
	for _, good := range []string{"stele-sha256:" + digits, "stele-blake3:" + digits} {
		fp, err := Parse(good)
		if err != nil || fp.String() != good || fp.Key() != good[:12] || fp.IsZero() {
			t.Errorf("%s: %v, %v", good, fp, err)
		}
		data, err := json.Marshal(fp)
		var back Fingerprint
		if err != nil || json.Unmarshal(data, &back) != nil || back != fp {
			t.Errorf("%s as JSON: %s, %v", good, data, err)
		}
	}
	for _, bad := range []string{
		"", digits, "stele-sha256", "stele-sha256:", "stele-sha256:" + digits[1:], "stele-sha256:" + digits + "0",
		"stele-sha256:" + strings.ToUpper(digits), "STELE-sha256:" + digits, "sha256:" + digits, "stele-sha512:" + digits,
		"stele-sha256::" + digits[1:], " stele-sha256:" + digits, "stele-sha256:" + digits + "\n", "stele-sha256:" + digits[:63] + "g",
		"stele-sha256-tree:" + digits, "stele-:" + digits, strings.Repeat("x", 100_000),
	} {
		if fp, err := Parse(bad); !errors.Is(err, ErrFormat) || !fp.IsZero() || len(err.Error()) > 1000 {
			t.Errorf("%.80q: %v, %v", bad, fp, err)
		}
	}
	if _, err := (Fingerprint{}).MarshalText(); !errors.Is(err, ErrFormat) {
		t.Errorf("zero fingerprint: %v", err)
	}
	var d Digest
	if err := d.UnmarshalText([]byte(digits)); err != nil || d.String() != digits || d.IsZero() {
		t.Errorf("digest: %v, %v", d, err)
	}
}

func TestInvalidAlgorithm(t *testing.T) {
	for _, s := range []string{"", "SHA256", "sha-256", "sha512", "blake3 "} {
		if a, err := ParseAlgorithm(s); !errors.Is(err, ErrFormat) || a.Valid() {
			t.Errorf("%q: %v, %v", s, a, err)
		}
	}
	for name, f := range map[string]func(a Algorithm){
		"Sum":       func(a Algorithm) { a.Sum(nil) },
		"New":       func(a Algorithm) { a.New() },
		"NewTree":   func(a Algorithm) { NewTree(a) },
		"NewWriter": func(a Algorithm) { NewWriter(nil, a, WriterOptions{}) },
	} {
		for _, a := range []Algorithm{0, 3, 255} {
			func() {
				defer func() {
					if recover() == nil {
						t.Errorf("%s(%v) does not panic", name, a)
					}
				}()
				f(a)
			}()
		}
	}
}

func TestChunks(t *testing.T) {
	for _, tt := range []struct{ size, count, last uint64 }{
		{0, 0, 0}, {1, 1, 1}, {ChunkSize - 1, 1, ChunkSize - 1}, {ChunkSize, 1, ChunkSize}, {ChunkSize + 1, 2, 1},
		{3*ChunkSize + ChunkSize/2, 4, ChunkSize / 2}, {MaxFileSize, 1 << 28, ChunkSize}, {1<<64 - 1, 1 << 44, ChunkSize - 1},
	} {
		n := ChunkCount(tt.size)
		if n != tt.count {
			t.Errorf("%d bytes: %d chunks, want %d", tt.size, n, tt.count)
		}
		if n > 0 && ChunkLen(tt.size, n-1) != int(tt.last) || n > 1 && ChunkLen(tt.size, n-2) != ChunkSize || ChunkLen(tt.size, n) != 0 {
			t.Errorf("%d bytes: chunks of %d and %d bytes", tt.size, ChunkLen(tt.size, n-1), ChunkLen(tt.size, n))
		}
	}
}

func TestCheckPath(t *testing.T) {
	long := strings.Repeat("a", MaxPath)
	for _, good := range []string{"a", "a/b", "...", ".a", "a.", "..a/b..", "é", "e\u0301", "a b", "a\\b", "a\nb", "-", "a:b", "C:", long, strings.Repeat("a/", MaxPath/2-1) + "aa", "\u202e", "\x01"} {
		if err := CheckPath(good); err != nil {
			t.Error(err)
		}
	}
	for _, bad := range []string{"", "/", "/a", "a/", "a//b", ".", "..", "./a", "a/.", "a/./b", "../a", "a/..", "a/../b", "a\x00b", "\x00", "\xff", "a/\xc3", "\xed\xa0\x80", long + "a", strings.Repeat("a", 10_000)} {
		err := CheckPath(bad)
		if !errors.Is(err, ErrPath) {
			t.Errorf("%.40q: %v", bad, err)
		} else if len(err.Error()) > 1000 || strings.ContainsAny(err.Error(), "\x00\n") || !utf8.ValidString(err.Error()) {
			t.Errorf("%.40q: unprintable: %q", bad, err)
		}
	}
}

func TestFileDigestRefusesOtherCounts(t *testing.T) {
	for _, tt := range []struct {
		size uint64
		n    int
	}{{0, 0}, {1, 1}, {ChunkSize, 1}, {ChunkSize + 1, 1}, {ChunkSize + 1, 3}} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("FileDigest(%d, %d chunks) does not panic", tt.size, tt.n)
				}
			}()
			SHA256.FileDigest(tt.size, make([]Digest, tt.n))
		}()
	}
}
