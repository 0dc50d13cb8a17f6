package manifest

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/stele-ml/stele/cmd/stele/jsonv1"
	"github.com/stele-ml/stele/fingerprint"
)

// Line is a file of the manifest as --json has it.
func (m *File) Line(f fingerprint.File) jsonv1.File {
	line := jsonv1.File{Path: f.Path, Size: f.Size, Digest: m.Algorithm().DigestText(f.Size, f.Digest)}
	if f.SHA256 != nil {
		line.SHA256 = f.SHA256.String()
	}
	return line
}

// WriteJSONL writes one object a line.
func (m *File) WriteJSONL(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	for f, err := range m.All() {
		if err == nil {
			err = enc.Encode(m.Line(f))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// WriteSums writes plain digests as coreutils does, each file's or none: a tree's
// digest would look like one and match nothing. A *NoSumError says of which file it
// has none.
func (m *File) WriteSums(w io.Writer, algorithm fingerprint.Algorithm) error {
	for f, err := range m.All() {
		if err != nil {
			return err
		}
		var sum fingerprint.Digest
		switch {
		case algorithm == fingerprint.SHA256 && f.SHA256 != nil:
			sum = *f.SHA256
		case algorithm == m.Algorithm() && f.Size <= fingerprint.ChunkSize:
			sum = f.Digest
		default:
			return &NoSumError{Algorithm: algorithm, Path: f.Path}
		}
		// GNU coreutils writes a backslash first where the name is escaped.
		mark, name := "", f.Path
		if strings.ContainsAny(name, "\\\n\r") {
			mark, name = `\`, strings.NewReplacer(`\`, `\\`, "\n", `\n`, "\r", `\r`).Replace(name)
		}
		if _, err := fmt.Fprintf(w, "%s%s  %s\n", mark, sum, name); err != nil {
			return err
		}
	}
	return nil
}

// NoSumError says that a manifest has no plain digest of a file.
type NoSumError struct {
	Algorithm fingerprint.Algorithm
	Path      string
}

func (e *NoSumError) Error() string {
	return fmt.Sprintf("the manifest has no plain %v of %s", e.Algorithm, e.Path)
}

// Place is the file's path.
func (e *NoSumError) Place() string { return e.Path }

// Hint says how there would be one.
func (e *NoSumError) Hint() string {
	return "make the manifest with `stele fingerprint --sha256 --manifest FILE`, and export sha256sum"
}

// Write writes the manifest itself, anew.
func (m *File) Write(w io.Writer) error {
	out := fingerprint.NewWriter(w, m.Algorithm(), fingerprint.WriterOptions{PlainSHA256: m.PlainSHA256()})
	for f, err := range m.All() {
		if err == nil {
			err = out.Add(f)
		}
		if err != nil {
			return err
		}
	}
	_, err := out.Close()
	return err
}
