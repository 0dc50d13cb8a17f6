package fingerprint

import (
	"errors"
	"fmt"
	"slices"
	"testing"
)

// around returns names that are not in files: before, between and after.
func around(files []File) []string {
	names := []string{"!", "\U0010FFFF"}
	for _, f := range files {
		names = append(names, f.Path+"!", f.Path+"/x", f.Path[:len(f.Path)-1]+"\x01")
	}
	return slices.DeleteFunc(names, func(name string) bool {
		return CheckPath(name) != nil || slices.ContainsFunc(files, func(f File) bool { return f.Path == name })
	})
}

// proveAndVerify goes through the encoding.
func proveAndVerify(t *testing.T, a Algorithm, files []File, path string, fp Fingerprint) PathResult {
	t.Helper()
	p, err := ProvePath(a, seq(files), path)
	if err != nil {
		t.Fatal(err)
	}
	data, err := p.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	var q PathProof
	if err := q.UnmarshalBinary(data); err != nil {
		t.Fatal(err)
	}
	r, err := q.Verify(fp)
	if err != nil {
		t.Fatalf("%d files: %v", len(files), err)
	}
	for _, name := range q.Disclosed() {
		if name == path || !slices.ContainsFunc(files, func(f File) bool { return f.Path == name }) {
			t.Errorf("says that it discloses %q", name)
		}
	}
	return r
}

func TestEveryNameIsPresentAndEveryOtherAbsent(t *testing.T) {
	r := newRand(30)
	for _, a := range algorithms {
		for n := range 35 {
			files := randomFiles(r, a, n)
			fp := naive{a}.fingerprint(files)
			for i, f := range files {
				got := proveAndVerify(t, a, files, f.Path, fp)
				if !got.Present || got.Index != uint64(i) || got.File.Path != f.Path || got.File.Size != f.Size || got.File.Digest != f.Digest {
					t.Errorf("%d files: %q: %+v", n, f.Path, got)
				}
			}
			for _, name := range around(files) {
				if got := proveAndVerify(t, a, files, name, fp); got.Present || got.File.Path != "" || got.Index != 0 {
					t.Errorf("%d files: %q: %+v", n, name, got)
				}
			}
		}
	}
}

func TestPathProofOfAMillionFilesIsSmall(t *testing.T) {
	if testing.Short() {
		t.Skip("a million files")
	}
	const n = 1_000_000
	files := func(yield func(File, error) bool) {
		for i := range n {
			f := File{Path: fmt.Sprintf("images/%07d.jpg", i), Size: 1}
			f.Digest[0], f.Digest[1], f.Digest[2] = byte(i>>16), byte(i>>8), byte(i)
			if !yield(f, nil) {
				return
			}
		}
	}
	p, err := ProvePath(SHA256, files, "images/0654321.jpg")
	if err != nil {
		t.Fatal(err)
	}
	tree := NewTree(SHA256)
	for f := range files {
		if err := tree.Add(f); err != nil {
			t.Fatal(err)
		}
	}
	r, err := p.Verify(tree.summary().Fingerprint(SHA256))
	if err != nil || !r.Present || r.Index != 654321 {
		t.Errorf("%+v, %v", r, err)
	}
	if data, _ := p.MarshalBinary(); len(data) > 1300 {
		t.Errorf("%d bytes", len(data))
	}
}

func TestProvePathErrors(t *testing.T) {
	broken := errors.New("disk on fire")
	files := []File{{Path: "a"}, {Path: "b"}}
	if _, err := ProvePath(SHA256, seqErr(files, broken), "a"); !errors.Is(err, broken) {
		t.Error(err)
	}
	if _, err := ProvePath(SHA256, seq([]File{files[1], files[0]}), "a"); !errors.Is(err, ErrOrder) {
		t.Error(err)
	}
	for _, path := range []string{"", "/a", "a/../b"} {
		if _, err := ProvePath(SHA256, seq(files), path); !errors.Is(err, ErrPath) {
			t.Errorf("%q: %v", path, err)
		}
	}
	var zero PathProof
	if _, err := zero.Verify(Fingerprint{}); !errors.Is(err, ErrFormat) {
		t.Error(err)
	}
	if _, err := zero.MarshalBinary(); !errors.Is(err, ErrFormat) {
		t.Error(err)
	}
}

func TestPathProofOneEncoding(t *testing.T) {
	files := randomFiles(newRand(31), BLAKE3, 11)
	p, err := ProvePath(BLAKE3, seq(files), files[6].Path)
	if err != nil {
		t.Fatal(err)
	}
	data, _ := p.MarshalBinary()
	for n := range data {
		if err := new(PathProof).UnmarshalBinary(data[:n]); !errors.Is(err, ErrTruncated) {
			t.Errorf("cut after %d of %d bytes: %v", n, len(data), err)
		}
	}
	if err := new(PathProof).UnmarshalBinary(append(data, 0)); !errors.Is(err, ErrFormat) {
		t.Errorf("a byte after the end: %v", err)
	}
	if err := new(PathProof).UnmarshalBinary(make([]byte, MaxPathProof+1)); !errors.Is(err, ErrFormat) {
		t.Errorf("too large: %v", err)
	}
}
