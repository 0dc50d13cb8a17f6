package fingerprint

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"testing"
)

func TestVectorFiles(t *testing.T) {
	v := readVectors(t)
	if len(v.Files) == 0 {
		t.Fatal("no vectors")
	}
	for _, w := range v.Files {
		a := algorithmOf(t, w.Algorithm)
		f := fileOf(a, "f", contents(w.Size, w.Seed))
		if got := a.DigestText(f.Size, f.Digest); got != w.Text {
			t.Errorf("%s of %d bytes: %s, want %s", w.Algorithm, w.Size, got, w.Text)
		}
		if f.SHA256.String() != w.SHA256 {
			t.Errorf("%d bytes: SHA-256 %v, want %s", w.Size, f.SHA256, w.SHA256)
		}
		if len(f.Chunks) != len(w.Chunks) {
			t.Fatalf("%d bytes: %d chunks, want %d", w.Size, len(f.Chunks), len(w.Chunks))
		}
		for i := range f.Chunks {
			if f.Chunks[i].String() != w.Chunks[i] {
				t.Errorf("%d bytes: chunk %d: %v, want %s", w.Size, i, f.Chunks[i], w.Chunks[i])
			}
		}
	}
}

func TestVectorTrees(t *testing.T) {
	v := readVectors(t)
	files := vectorTrees(t, v)
	if len(v.Trees) == 0 {
		t.Fatal("no vectors")
	}
	for _, w := range v.Trees {
		a := algorithmOf(t, w.Algorithm)
		list := files[w.Algorithm+"/"+w.Name]
		for i := range list {
			if list[i].Digest.String() != w.Files[i].Digest {
				t.Errorf("%s %s: %s: digest %v, want %s", w.Algorithm, w.Name, list[i].Path, list[i].Digest, w.Files[i].Digest)
			}
		}
		s := summaryOf(t, a, list)
		if s.Files != uint64(len(list)) || s.Bytes != w.Bytes || s.Root.String() != w.Root {
			t.Errorf("%s %s: %+v, want root %s and %d bytes", w.Algorithm, w.Name, s, w.Root, w.Bytes)
		}
		fp := s.Fingerprint(a)
		if fp.String() != w.Fingerprint {
			t.Errorf("%s %s: %v, want %s", w.Algorithm, w.Name, fp, w.Fingerprint)
		}
		if back, err := Parse(w.Fingerprint); err != nil || back != fp {
			t.Errorf("parse %s: %v, %v", w.Fingerprint, back, err)
		}
	}
}

func TestVectorManifests(t *testing.T) {
	v := readVectors(t)
	trees := vectorTrees(t, v)
	if len(v.Manifests) == 0 {
		t.Fatal("no vectors")
	}
	for _, w := range v.Manifests {
		a := algorithmOf(t, w.Algorithm)
		files, want := trees[w.Algorithm+"/"+w.Tree], unhex(t, w.Manifest)
		fp := summaryOf(t, a, files).Fingerprint(a)
		if got := writeManifest(t, a, files, w.PlainSHA256); !bytes.Equal(got, want) {
			t.Errorf("%s %s %v: wrote %x, want %x", w.Algorithm, w.Tree, w.PlainSHA256, got, want)
		}
		r, err := NewReader(bytes.NewReader(want), fp)
		if err != nil {
			t.Fatal(err)
		}
		for i := range files {
			f, err := r.Next()
			if err != nil {
				t.Fatal(err)
			}
			same := f.Path == files[i].Path && f.Size == files[i].Size && f.Digest == files[i].Digest && slices.Equal(f.Chunks, files[i].Chunks)
			if !same || (f.SHA256 != nil) != w.PlainSHA256 || f.SHA256 != nil && *f.SHA256 != *files[i].SHA256 {
				t.Errorf("%s %s: read %+v, want %+v", w.Algorithm, w.Tree, f, files[i])
			}
		}
		if _, err := r.Next(); err != io.EOF {
			t.Errorf("%s %s: %v at the end", w.Algorithm, w.Tree, err)
		}
		if r.Fingerprint() != fp || r.Algorithm() != a || r.PlainSHA256() != w.PlainSHA256 {
			t.Errorf("%s %s: %v %v %v", w.Algorithm, w.Tree, r.Fingerprint(), r.Algorithm(), r.PlainSHA256())
		}
	}
}

func TestVectorPathProofs(t *testing.T) {
	v := readVectors(t)
	trees := vectorTrees(t, v)
	if len(v.PathProofs) == 0 {
		t.Fatal("no vectors")
	}
	for _, w := range v.PathProofs {
		a := algorithmOf(t, w.Algorithm)
		files, want := trees[w.Algorithm+"/"+w.Tree], unhex(t, w.Proof)
		p, err := ProvePath(a, seq(files), w.Path)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := p.MarshalBinary(); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s %s %s: %x, %v, want %x", w.Algorithm, w.Tree, w.Path, got, err, want)
		}
		var q PathProof
		if err := q.UnmarshalBinary(want); err != nil {
			t.Fatal(err)
		}
		r, err := q.Verify(summaryOf(t, a, files).Fingerprint(a))
		if err != nil || r.Present != w.Present || r.Index != w.Index {
			t.Errorf("%s %s %s: %+v, %v", w.Algorithm, w.Tree, w.Path, r, err)
		}
		if r.Present {
			f := files[r.Index]
			if r.File.Path != w.Path || r.File.Path != f.Path || r.File.Size != f.Size || r.File.Digest != f.Digest {
				t.Errorf("%s %s %s: %+v, want %+v", w.Algorithm, w.Tree, w.Path, r.File, f)
			}
		}
		if got := q.Disclosed(); !slices.Equal(got, w.Disclosed) {
			t.Errorf("%s %s %s: discloses %q, want %q", w.Algorithm, w.Tree, w.Path, got, w.Disclosed)
		}
		if q.Path() != w.Path {
			t.Errorf("path %q, want %q", q.Path(), w.Path)
		}
	}
}

func TestVectorRangeProofs(t *testing.T) {
	v := readVectors(t)
	if len(v.RangeProofs) == 0 {
		t.Fatal("no vectors")
	}
	for _, w := range v.RangeProofs {
		a := algorithmOf(t, w.Algorithm)
		data := contents(w.Size, w.Seed)
		f := fileOf(a, "f", data)
		if f.Digest.String() != w.Digest {
			t.Errorf("digest %v, want %s", f.Digest, w.Digest)
		}
		p, err := ProveRange(a, f, w.Start, w.End)
		if err != nil {
			t.Fatal(err)
		}
		want := unhex(t, w.Proof)
		if got, err := p.MarshalBinary(); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s %d-%d: %x, %v, want %x", w.Algorithm, w.Start, w.End, got, err, want)
		}
		var q RangeProof
		if err := q.UnmarshalBinary(want); err != nil {
			t.Fatal(err)
		}
		cover := q.Covering()
		if cover != (Range{w.CoveringStart, w.CoveringEnd}) || q.Range() != (Range{w.Start, w.End}) || q.Size() != w.Size {
			t.Errorf("covers %v of %v of %d", cover, q.Range(), q.Size())
		}
		if err := q.Verify(a, f.Size, f.Digest, data[cover.Start:cover.End]); err != nil {
			t.Error(err)
		}
	}
}

func TestVectorCollections(t *testing.T) {
	v := readVectors(t)
	if len(v.Collections) == 0 {
		t.Fatal("no vectors")
	}
	for _, w := range v.Collections {
		a := algorithmOf(t, w.Algorithm)
		var members []Member
		for _, m := range w.Members {
			fp, err := Parse(m.Fingerprint)
			if err != nil {
				t.Fatal(err)
			}
			members = append(members, Member{m.Prefix, fp, m.Files, m.Bytes})
		}
		fp, err := Collection(a, members)
		if err != nil || fp.String() != w.Fingerprint {
			t.Errorf("%s %s: %v, %v, want %s", w.Algorithm, w.Name, fp, err, w.Fingerprint)
		}
		doc, err := MarshalCollection(a, members)
		if want := unhex(t, w.Document); err != nil || !bytes.Equal(doc, want) {
			t.Errorf("%s %s: %x, %v, want %x", w.Algorithm, w.Name, doc, err, want)
		}
		back, got, err := ParseCollection(doc, fp)
		if err != nil || got != fp || !slices.Equal(back, members) {
			t.Errorf("%s %s: parsed %v %v %v", w.Algorithm, w.Name, back, got, err)
		}
		other := fp
		other.Sum[0] ^= 1
		if _, _, err := ParseCollection(doc, other); !errors.Is(err, ErrMismatch) {
			t.Errorf("%s %s under another fingerprint: %v", w.Algorithm, w.Name, err)
		}
	}
}
