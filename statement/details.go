package statement

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/stele-ml/stele/internal/strictjson"
)

// Details is the salted document of what a statement does not put on the ledger:
// an attachment. The statement binds its digest; the salt keeps others from
// guessing what it says; deleting it is erasure.
type Details struct {
	Salt        [32]byte
	Locations   []string          // where the bytes were read
	Host        string            // on which machine
	Directory   string            // in which the command ran: its relative paths mean nothing without it
	Command     []string          // argv of what made the statement
	Parameters  map[string]string // of that command
	Environment map[string]string // of that command: only what was asked for by name
	Inputs      map[string]string // of a run: where each input was read, by name@version
	Tree        TreeDetails       // of a run: what the fingerprint of changed code is of
	Manifest    *Attachment       // the artifact's manifest, or nil
	// ManifestLocations are where else the manifest was put: it is trusted
	// because it hashes to the fingerprint, wherever it was found.
	ManifestLocations []string
	// Marks is what the bytes of each file can be known again by, beside the
	// manifest, or nil.
	Marks *Attachment
}

// TreeDetails says what Code.Tree is of: how many files, and how much was left
// out of it. The zero value says nothing.
type TreeDetails struct {
	Changed      uint64 `json:"changed,omitempty"`      // files that are not as the commit has them
	Untracked    uint64 `json:"untracked,omitempty"`    // files that it does not have
	Deleted      uint64 `json:"deleted,omitempty"`      // files of the commit that are not there, and so not in the tree
	LeftOut      uint64 `json:"leftOut,omitempty"`      // files that the commit does not have, and that are not in the tree
	LeftOutBytes uint64 `json:"leftOutBytes,omitempty"` // of them
}

func (t TreeDetails) check() error {
	for _, n := range []uint64{t.Changed, t.Untracked, t.Deleted, t.LeftOut, t.LeftOutBytes} {
		if err := checkInteger("details: tree", n, 0); err != nil {
			return err
		}
	}
	return nil
}

// NewDetails returns a document with a salt read from rand and nothing else.
func NewDetails(rand io.Reader) (*Details, error) {
	d := new(Details)
	if _, err := io.ReadFull(rand, d.Salt[:]); err != nil {
		return nil, fmt.Errorf("read random salt: %w", err)
	}
	return d, nil
}

// detailsForm is the first member of the document.
const detailsForm = "details/v1"

type wireDetails struct {
	Form        string            `json:"stele"`
	Salt        string            `json:"salt"`
	Locations   []string          `json:"locations,omitempty"`
	Host        string            `json:"host,omitempty"`
	Directory   string            `json:"directory,omitempty"`
	Command     []string          `json:"command,omitempty"`
	Parameters  map[string]string `json:"parameters,omitempty"`
	Environment map[string]string `json:"environment,omitempty"`
	Inputs      map[string]string `json:"inputs,omitempty"`
	Tree        TreeDetails       `json:"tree,omitzero"`
	Manifest    *wireAttachment   `json:"manifest,omitzero"`
	Places      []string          `json:"manifestLocations,omitempty"`
	Marks       *wireAttachment   `json:"marks,omitzero"`
}

// Marshal returns the document, whose [AttachmentOf] a stamp binds.
func (d *Details) Marshal() ([]byte, error) {
	if d.Salt == [32]byte{} {
		return nil, malformed("details: the salt is not set")
	}
	for _, a := range []*Attachment{d.Manifest, d.Marks} {
		if err := a.check(); err != nil {
			return nil, err
		}
	}
	if err := d.Tree.check(); err != nil {
		return nil, err
	}
	if err := d.checkStrings(); err != nil {
		return nil, err
	}
	data, err := strictjson.Marshal(wireDetails{
		detailsForm, hex.EncodeToString(d.Salt[:]), d.Locations, d.Host, d.Directory, d.Command, d.Parameters, d.Environment,
		d.Inputs, d.Tree, d.Manifest.wire(), d.ManifestLocations, d.Marks.wire(),
	})
	if err != nil {
		return nil, malformed("details: %w", err)
	}
	if len(data) > MaxDetails {
		return nil, malformed("details: %d bytes, at most %d are allowed", len(data), MaxDetails)
	}
	return data, nil
}

// checkStrings lets nearly anything through, since paths, commands and
// environments are what they are: whoever shows them escapes them.
func (d *Details) checkStrings() error {
	for _, list := range [][]string{d.Locations, {d.Host, d.Directory}, d.Command, pairs(d.Parameters), pairs(d.Environment), pairs(d.Inputs), d.ManifestLocations} {
		for _, s := range list {
			if !utf8.ValidString(s) || strings.ContainsRune(s, 0) {
				return malformed("details: %s is not UTF-8 without NUL", quote(s))
			}
		}
	}
	return nil
}

func pairs(m map[string]string) []string {
	var out []string
	for k, v := range m {
		out = append(out, k, v)
	}
	return out
}

// ParseDetails reads exactly the bytes that Marshal writes.
func ParseDetails(data []byte) (*Details, error) {
	var w wireDetails
	if err := strictjson.Unmarshal(data, &w, MaxDetails, MaxDepth); err != nil {
		return nil, malformed("details: %w", err)
	}
	if w.Form != detailsForm {
		return nil, malformed("details: form %s, want %s", quote(w.Form), detailsForm)
	}
	d := &Details{Locations: w.Locations, Host: w.Host, Directory: w.Directory, Command: w.Command,
		Parameters: w.Parameters, Environment: w.Environment, Inputs: w.Inputs, Tree: w.Tree, ManifestLocations: w.Places}
	if err := decodeHex(d.Salt[:], "details: salt", w.Salt); err != nil {
		return nil, err
	}
	var err error
	if d.Manifest, err = w.Manifest.attachment(); err != nil {
		return nil, err
	}
	if d.Marks, err = w.Marks.attachment(); err != nil {
		return nil, err
	}
	again, err := d.Marshal()
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(again, data) {
		return nil, malformed("details: not the one encoding of what it says")
	}
	return d, nil
}
