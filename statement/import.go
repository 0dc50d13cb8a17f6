package statement

import (
	"encoding/hex"
)

// The formats of what is imported.
const (
	ImportOMS    = "oms"     // an OpenSSF model signature
	ImportInToto = "in-toto" // an in-toto statement in a DSSE envelope
)

// The methods by which a foreign key is known.
const (
	ImportByKey         = "key"         // a bare public key
	ImportByCertificate = "certificate" // the leaf of an X.509 certificate chain
)

// Import puts a foreign signed statement on the ledger, as a claim by its key
// about the artifact. Whoever imports it has checked its signature; whether the
// key is to be believed, the ledger does not say.
type Import struct {
	Format        string     // oms or in-toto
	PredicateType string     // of the foreign statement
	Document      Attachment // the foreign file, byte for byte
	Key           ImportKey
	Hash          string   // oms: of the files: sha256, blake2b or blake3; else empty
	Resources     uint64   // oms: how many files (or shards) it lists, at least 1; else 0
	Ignored       []string // oms: the paths its signer left out, each once, at most MaxIgnored
	Inputs        []Ref    // in-toto: what it claims the artifact was made of, as far as it is on this ledger. A claim: it carries no taint
	Builder       string   // in-toto: the builder's id of SLSA provenance, or empty
}

// ImportKey is the key that a foreign statement is signed with.
type ImportKey struct {
	Method  string   // key or certificate
	SHA256  [32]byte // of the DER of its SubjectPublicKeyInfo
	Subject string   // the certificate's, one line of text, or empty
}

type wireImport struct {
	wireCommon
	Format        string         `json:"format"`
	PredicateType string         `json:"predicateType"`
	Document      wireAttachment `json:"document"`
	Key           wireImportKey  `json:"key"`
	Hash          string         `json:"hash,omitzero"`
	Resources     uint64         `json:"resources,omitzero"`
	Ignored       []string       `json:"ignored,omitzero"`
	Inputs        []wireRef      `json:"inputs,omitzero"`
	Builder       string         `json:"builder,omitzero"`
}

type wireImportKey struct {
	Method  string `json:"method"`
	SHA256  string `json:"sha256"`
	Subject string `json:"subject,omitzero"`
}

func (w *wireImport) decode(st *Statement) error {
	i := &Import{Format: w.Format, PredicateType: w.PredicateType, Key: ImportKey{Method: w.Key.Method, Subject: w.Key.Subject},
		Hash: w.Hash, Resources: w.Resources, Ignored: w.Ignored, Builder: w.Builder}
	document, err := w.Document.attachment()
	if err != nil {
		return err
	}
	i.Document = *document
	if err := decodeHex(i.Key.SHA256[:], "import: the key's digest", w.Key.SHA256); err != nil {
		return err
	}
	if i.Inputs, err = parseRefs("import: inputs", w.Inputs, MaxReferences); err != nil {
		return err
	}
	st.setCommon(w.wireCommon)
	st.Import = i
	return nil
}

func (i *Import) subject(*Statement) []Subject { return nil }

func (i *Import) check(st *Statement) error {
	self, err := st.Ref()
	if err != nil {
		return err
	}
	if err := CheckText("import: predicate type", i.PredicateType, MaxURI); err != nil {
		return err
	}
	if err := i.Document.check(); err != nil {
		return err
	}
	if err := i.Key.check(); err != nil {
		return err
	}
	switch i.Format {
	case ImportOMS:
		return i.checkOMS()
	case ImportInToto:
		return i.checkInToto(self)
	}
	return oneOf("import: format", i.Format, ImportOMS, ImportInToto)
}

func (k *ImportKey) check() error {
	if err := oneOf("import: method", k.Method, ImportByKey, ImportByCertificate); err != nil {
		return err
	}
	switch {
	case k.SHA256 == [32]byte{}:
		return malformed("import: the key's digest is not set")
	case k.Subject == "":
		return nil
	case k.Method == ImportByKey:
		return malformed("import: a bare key has no subject")
	}
	return CheckText("import: subject of the certificate", k.Subject, MaxURI)
}

func (i *Import) checkOMS() error {
	if len(i.Inputs) > 0 || i.Builder != "" {
		return malformed("import: a model signature has no inputs and no builder")
	}
	if err := oneOf("import: hash", i.Hash, "sha256", "blake2b", "blake3"); err != nil {
		return err
	}
	if err := checkInteger("import: resources", i.Resources, 1); err != nil {
		return err
	}
	return checkSet("import: ignored paths", i.Ignored, MaxIgnored, func(path string) error {
		return CheckText("import: ignored path", path, MaxIgnoredPath)
	})
}

func (i *Import) checkInToto(self Ref) error {
	if i.Hash != "" || i.Resources != 0 || len(i.Ignored) > 0 {
		return malformed("import: an in-toto statement has no hash, resources or ignored paths")
	}
	if err := checkRefs("import: inputs", i.Inputs, MaxReferences, self.Fingerprint.Algorithm); err != nil {
		return err
	}
	for _, ref := range i.Inputs {
		if ref.is(self) {
			return malformed("import: %s is an input of itself", self)
		}
	}
	if i.Builder == "" {
		return nil
	}
	return CheckText("import: builder", i.Builder, MaxURI)
}

func (i *Import) wire(st *Statement) any {
	w := wireImport{
		wireCommon: st.common(), Format: i.Format, PredicateType: i.PredicateType, Document: *i.Document.wire(),
		Key:  wireImportKey{i.Key.Method, hex.EncodeToString(i.Key.SHA256[:]), i.Key.Subject},
		Hash: i.Hash, Resources: i.Resources, Inputs: wireRefs(i.Inputs), Builder: i.Builder,
	}
	if len(i.Ignored) > 0 {
		w.Ignored = sorted(i.Ignored)
	}
	return w
}
