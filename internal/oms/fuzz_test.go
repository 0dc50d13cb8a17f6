package oms_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/stele-ml/stele/internal/oms"
)

// Whatever comes, a parser answers, and only with an error that it knows.
func FuzzParse(f *testing.F) {
	for _, name := range []string{"p256.sig", "p384.sig", "p521.sig", "old-v1.0.0.sig", "old-v0.2.0.sig", "certificate-signer.sig"} {
		f.Add(vector(f, name))
	}
	f.Add([]byte(`{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := oms.Parse(data)
		if err != nil {
			if !errors.Is(err, oms.ErrFormat) && !errors.Is(err, oms.ErrUnsupported) {
				t.Errorf("%v is of no class", err)
			}
			return
		}
		if (s.Method == oms.ByKey) == (len(s.Chain) > 0) {
			t.Errorf("method %q with %d certificates", s.Method, len(s.Chain))
		}
	})
}

// Any payload may be signed. One that is accepted keeps the rules, and written
// again says the same.
func FuzzStatement(f *testing.F) {
	for _, p := range []string{
		payload("", listed{"a", "1"}, listed{"b/c", "2"}),
		payload(`{"method":"shards","hash_type":"sha256","allow_symlinks":true,"shard_size":2.0,"ignore_paths":["x/",".git"]}`, listed{"a:b:2:3", "1"}, listed{"a:b:0:2", "2"}),
		`{"_type":"https://in-toto.io/Statement/v1","subject":[{"name":"a","digest":{"sha256":"0000000000000000000000000000000000000000000000000000000000000000"}}],"predicateType":"https://model_signing/Digests/v0.1","predicate":{}}`,
	} {
		f.Add([]byte(p))
	}
	f.Fuzz(func(t *testing.T, p []byte) {
		st, err := oms.ParseStatement(p)
		if err != nil {
			if !errors.Is(err, oms.ErrFormat) {
				t.Errorf("%v is of no class", err)
			}
			return
		}
		if st.Files() == 0 || st.Files() != len(st.Paths()) || len(st.Resources) < st.Files() || st.Hash.Size() == 0 {
			t.Errorf("%+v", st)
		}
		if !slices.IsSorted(st.Paths()) || len(slices.Compact(slices.Clone(st.Paths()))) != st.Files() {
			t.Errorf("%q", st.Paths())
		}
		if st.ShardSize > 0 || st.Hash != oms.SHA256 || st.Paths()[0] == "." {
			return
		}
		var found []oms.Found
		for _, path := range st.Paths() {
			found = append(found, oms.Found{Path: path, Digests: [][]byte{st.Digest(path)}})
		}
		if r, err := st.Compare(oms.SHA256, found, false); err != nil || !r.Same() {
			t.Errorf("it is not what it lists: %v %+v", err, r)
		}
		again, err := oms.NewStatement(oms.Model{Name: "m", Files: found})
		if err != nil {
			t.Fatal(err)
		}
		data, err := again.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		back, err := oms.ParseStatement(data)
		if err != nil || back.Root != again.Root || !slices.Equal(back.Paths(), st.Paths()) {
			t.Errorf("written again: %v\n%s", err, data)
		}
	})
}
