package fingerprint

import (
	"bytes"
	"errors"
	"testing"
)

// knownClass reports whether an error of a parser has a class that callers act
// on.
func knownClass(err error) bool {
	for _, class := range []error{ErrPath, ErrOrder, ErrMismatch, ErrFormat, ErrTruncated, ErrRange} {
		if errors.Is(err, class) {
			return true
		}
	}
	return false
}

func FuzzParse(f *testing.F) {
	f.Add("stele-sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
	f.Add("stele-blake3:af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262")
	f.Add("sha256:E3")
	f.Fuzz(func(t *testing.T, s string) {
		fp, err := Parse(s)
		if err != nil {
			if !knownClass(err) || !fp.IsZero() {
				t.Errorf("%v, %v", fp, err)
			}
			return
		}
		if fp.String() != s {
			t.Errorf("%q is read as %v", s, fp)
		}
	})
}

func FuzzCheckPath(f *testing.F) {
	for _, s := range []string{"a", "a/b", "/", "..", "a//b", "\xff", "é"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if got, want := CheckPath(s) == nil, plainCheckPath(s); got != want {
			t.Errorf("%q: %v, want %v", s, got, want)
		}
	})
}

func plainCheckPath(s string) bool {
	if len(s) == 0 || len(s) > 4096 || !bytes.Equal([]byte(string([]rune(s))), []byte(s)) {
		return false
	}
	for _, segment := range bytes.Split([]byte(s), []byte("/")) {
		if len(segment) == 0 || string(segment) == "." || string(segment) == ".." || bytes.Contains(segment, []byte{0}) {
			return false
		}
	}
	return true
}

// FuzzReader takes whatever it is given as a manifest, and again with a right
// digest at its end, so that the fuzzer gets past that.
func FuzzReader(f *testing.F) {
	for _, m := range readVectors(f).Manifests {
		f.Add(unhex(f, m.Manifest))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		checkManifest(t, data)
		if n := len(data) - 32; n > 0 {
			for _, a := range algorithms {
				sum := a.Sum(data[:n])
				checkManifest(t, append(bytes.Clone(data[:n]), sum[:]...))
			}
		}
	})
}

func checkManifest(t *testing.T, data []byte) {
	files, r, err := readManifest(bytes.NewReader(data), Fingerprint{})
	if err != nil {
		if !knownClass(err) {
			t.Errorf("an error without a class: %v", err)
		}
		return
	}
	if got := writeManifest(t, r.Algorithm(), files, r.PlainSHA256()); !bytes.Equal(got, data) {
		t.Errorf("read %x, wrote %x", data, got)
	}
	if (naive{r.Algorithm()}).fingerprint(files) != r.Fingerprint() {
		t.Errorf("another fingerprint")
	}
}

func FuzzPathProof(f *testing.F) {
	v := readVectors(f)
	for _, p := range v.PathProofs {
		f.Add(unhex(f, p.Proof))
	}
	var known []Fingerprint
	for _, tree := range v.Trees {
		fp, err := Parse(tree.Fingerprint)
		if err != nil {
			f.Fatal(err)
		}
		known = append(known, fp)
	}
	trees := vectorTrees(f, v)
	f.Fuzz(func(t *testing.T, data []byte) {
		var p PathProof
		if err := p.UnmarshalBinary(data); err != nil {
			if !knownClass(err) {
				t.Errorf("an error without a class: %v", err)
			}
			return
		}
		if got, err := p.MarshalBinary(); err != nil || !bytes.Equal(got, data) {
			t.Errorf("read %x, wrote %x, %v", data, got, err)
		}
		p.Disclosed()
		for i, fp := range known {
			got, err := p.Verify(fp)
			if err != nil {
				continue
			}
			there := false
			for _, file := range trees[v.Trees[i].Algorithm+"/"+v.Trees[i].Name] {
				there = there || file.Path == p.Path()
			}
			if got.Present != there {
				t.Errorf("%q in %s: %v", p.Path(), v.Trees[i].Name, got.Present)
			}
		}
	})
}

func FuzzRangeProof(f *testing.F) {
	for _, p := range readVectors(f).RangeProofs {
		f.Add(unhex(f, p.Proof))
	}
	data := contents(2*ChunkSize+9, 1)
	file := fileOf(BLAKE3, "f", data)
	f.Fuzz(func(t *testing.T, enc []byte) {
		var p RangeProof
		if err := p.UnmarshalBinary(enc); err != nil {
			if !knownClass(err) {
				t.Errorf("an error without a class: %v", err)
			}
			return
		}
		if got, err := p.MarshalBinary(); err != nil || !bytes.Equal(got, enc) || len(got) > MaxRangeProof {
			t.Errorf("read %x, wrote %x, %v", enc, got, err)
		}
		c := p.Covering()
		if c.Start > p.Range().Start || c.End < p.Range().End || c.End > p.Size() {
			t.Errorf("%v covers %v of %d", c, p.Range(), p.Size())
		}
		if c.End <= file.Size && c.Len() <= ChunkSize {
			// With one byte changed nothing verifies.
			bad := bytes.Clone(data[c.Start:c.End])
			bad[0] ^= 1
			if p.Verify(BLAKE3, file.Size, file.Digest, bad) == nil {
				t.Errorf("altered bytes verify")
			}
		}
	})
}

func FuzzCollection(f *testing.F) {
	for _, c := range readVectors(f).Collections {
		f.Add(unhex(f, c.Document))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		list, fp, err := ParseCollection(data, Fingerprint{})
		if err != nil {
			if !knownClass(err) {
				t.Errorf("an error without a class: %v", err)
			}
			return
		}
		if got, err := MarshalCollection(fp.Algorithm, list); err != nil || !bytes.Equal(got, data) {
			t.Errorf("read %x, wrote %x, %v", data, got, err)
		}
	})
}
