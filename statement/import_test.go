package statement

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stele-ml/stele/fingerprint"
)

func testImport(name string, i *Import) *Statement {
	ref := testRef("hub/encoder", "1.2")
	return &Statement{Kind: KindImport, Subject: []Subject{ref.Subject()}, Ledger: testLedger, Nonce: testNonce(name), Import: i}
}

func testImportOMS() *Statement {
	return testImport("import oms", &Import{
		Format: ImportOMS, PredicateType: "https://model_signing/signature/v1.0", Document: AttachmentOf([]byte("model.sig")),
		Key:  ImportKey{Method: ImportByCertificate, SHA256: hashOf("certificate's key"), Subject: "CN=Model Signing, O=Example"},
		Hash: "blake2b", Resources: 12, Ignored: []string{"model.sig", ".git", "README.md"},
	})
}

func testImportInToto() *Statement {
	return testImport("import in-toto", &Import{
		Format: ImportInToto, PredicateType: SLSAProvenance, Document: AttachmentOf([]byte("encoder.intoto.jsonl")),
		Key:    ImportKey{Method: ImportByKey, SHA256: hashOf("builder's key")},
		Inputs: []Ref{testRef("hub/tokens", "3"), testRef("hub/base", "1")}, Builder: "https://builder.example/trusted/v2",
	})
}

func TestParseRefusesImports(t *testing.T) {
	common := func(predicate string) []change {
		return []change{
			{"an unknown format", `"format":"`, `"format":"x-`},
			{"no format", `"format":`, `"Format":`},
			{"no predicate type", `"predicateType":"` + predicate + `","document"`, `"document"`},
			{"a predicate type that clears the screen", predicate + `","document"`, `\u001b[2J","document"`},
			{"no document", `"document":`, `"x":`},
			{"an empty document", `"size":`, `"size":0,"x":`},
			{"an unknown method", `"method":"`, `"method":"x-`},
			{"no method", `"method":`, `"x":`},
			{"no digest of the key", `"method":`, `"sha256":"","method":`},
			{"an unknown member of the key", `"method":`, `"algorithm":"rsa","method":`},
			{"an unknown member", `"format":`, `"verified":true,"format":`},
			{"a case-folded name", `"format":`, `"FORMAT":`},
			{"a verdict", `"format":`, `"trusted":true,"format":`},
		}
	}
	oms := testImportOMS()
	refuses(t, oms, append(common(oms.Import.PredicateType),
		change{"the other format", `"oms"`, `"in-toto"`},
		change{"a key's digest of zeros", hexOf("certificate's key"), strings.Repeat("0", 64)},
		change{"a key's short digest", hexOf("certificate's key"), hexOf("x")[:40]},
		change{"a subject of a bare key", `"certificate"`, `"key"`},
		change{"an empty subject", `CN=Model Signing, O=Example`, ``},
		change{"a subject that turns the text", `CN=Model`, `\u202eCN=Model`},
		change{"an unknown hash", `"blake2b"`, `"md5"`},
		change{"no hash", `"hash":"blake2b",`, ``},
		change{"no resources", `"resources":12,`, ``},
		change{"no resources, said", `"resources":12`, `"resources":0`},
		change{"ignored paths out of order", `"README.md"`, `"zebra.md"`},
		change{"an ignored path twice", `"README.md"`, `".git"`},
		change{"an empty ignored path", `"README.md"`, `""`},
		change{"an ignored path of many lines", `"README.md"`, `"a\nb"`},
		change{"a long ignored path", `"README.md"`, `"` + strings.Repeat("x", MaxIgnoredPath+1) + `"`},
		change{"nothing ignored, said", `"ignored":[`, `"ignored":[],"x":[`},
		change{"inputs", `"ignored":[`, `"inputs":[{"name":"a@1","digest":` + digest(testRef("a", "1")) + `}],"ignored":[`},
	))
	intoto := testImportInToto()
	refuses(t, intoto, append(common(SLSAProvenance),
		change{"the other format", `"in-toto"`, `"oms"`},
		change{"inputs out of order", `hub/base@1`, `hub/zebra@1`},
		change{"an input twice", `hub/base@1`, `hub/tokens@3`},
		change{"itself as an input", `hub/tokens@3`, `hub/encoder@1.2`},
		change{"no inputs, said", `"inputs":[`, `"inputs":[],"x":[`},
		change{"a builder of many lines", `https://builder.example`, `\n`},
		change{"an empty builder", `"https://builder.example/trusted/v2"`, `""`},
		change{"a hash", `"inputs"`, `"hash":"sha256","inputs"`},
		change{"resources", `"inputs"`, `"resources":1,"inputs"`},
		change{"ignored paths", `"inputs"`, `"ignored":["x"],"inputs"`},
	))
}

func TestMarshalRefusesImports(t *testing.T) {
	ignored := func(n int) (list []string) {
		for i := range n {
			list = append(list, fmt.Sprint("path", i))
		}
		return list
	}
	refs := func(n int) (list []Ref) {
		for i := range n {
			list = append(list, testRef("x", fmt.Sprint(i)))
		}
		return list
	}
	for name, test := range map[string]struct {
		st     *Statement
		change func(*Import)
	}{
		"257 ignored paths":             {testImportOMS(), func(i *Import) { i.Ignored = ignored(MaxIgnored + 1) }},
		"an ignored path with a tab":    {testImportOMS(), func(i *Import) { i.Ignored[0] = "a\tb" }},
		"an ignored path that is bytes": {testImportOMS(), func(i *Import) { i.Ignored[0] = "a\xff" }},
		"a model signature's builder":   {testImportOMS(), func(i *Import) { i.Builder = "x" }},
		"no document":                   {testImportOMS(), func(i *Import) { i.Document = Attachment{} }},
		"no key":                        {testImportOMS(), func(i *Import) { i.Key.SHA256 = [32]byte{} }},
		"a long subject":                {testImportOMS(), func(i *Import) { i.Key.Subject = strings.Repeat("x", MaxURI+1) }},
		"101 inputs":                    {testImportInToto(), func(i *Import) { i.Inputs = refs(MaxReferences + 1) }},
		"an input of another hash":      {testImportInToto(), func(i *Import) { i.Inputs[0].Fingerprint.Algorithm = fingerprint.BLAKE3 }},
		"a long builder":                {testImportInToto(), func(i *Import) { i.Builder = strings.Repeat("x", MaxURI+1) }},
		"no predicate type":             {testImportInToto(), func(i *Import) { i.PredicateType = "" }},
	} {
		test.change(test.st.Import)
		if payload, err := test.st.Marshal(); !errors.Is(err, ErrFormat) {
			t.Errorf("%s: got %s, %v", name, payload, err)
		}
	}
	oms, intoto := testImportOMS(), testImportInToto()
	oms.Import.Ignored, intoto.Import.Inputs = ignored(MaxIgnored), refs(MaxReferences)
	for _, st := range []*Statement{oms, intoto} {
		if _, err := Parse(must(st.Marshal())); err != nil {
			t.Errorf("%s at its limits: %v", st.Import.Format, err)
		}
	}
}
