package statement

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"

	"github.com/stele-ml/stele/internal/strictjson"
)

// What a contract's document begins with.
const (
	ContractAPIVersion   = "stele.dev/v1"
	ContractDocumentKind = "Contract"
)

// The actions of a contract statement.
const (
	ContractPut     = "put"     // the document is in force from the next entry, in place of the name's version before it
	ContractPropose = "propose" // its author wants the document, too; nothing else follows
	ContractLift    = "lift"    // the version ends, and no other takes its place
)

// Contract puts a contract in force, proposes one or ends one. What this package
// knows of a document is whose it is: its rules are for package contract to
// read, when the ledger is asked to admit it.
type Contract struct {
	Action   string
	Name     string   // as [CheckName]; put, propose: what the document says
	Version  uint64   // 1 to MaxContractVersion; put, propose: what the document says; lift: the version that ends
	Document []byte   // put, propose: RFC 8785 JSON, at most MaxContract bytes; lift: nil
	Digest   [32]byte // SHA-256 of the document; lift: of the one that ends
	Reason   string   // lift: one line of text, or empty; else empty
}

// NewContract makes the contract of a document that is put or proposed. A
// document whose outermost members are not as they must be, or that is not in
// its canonical form, is an ErrFormat; its rules are not looked at.
func NewContract(action string, document []byte) (*Contract, error) {
	if err := oneOf("contract: action", action, ContractPut, ContractPropose); err != nil {
		return nil, err
	}
	name, version, err := contractHeader(document)
	if err != nil {
		return nil, err
	}
	return &Contract{Action: action, Name: name, Version: version, Document: document, Digest: sha256.Sum256(document)}, nil
}

// ID returns the contract as people name it: production@3.
func (c *Contract) ID() string { return ContractID(c.Name, c.Version) }

// ContractID returns a contract's name and version as one word: production@3.
func ContractID(name string, version uint64) string {
	return name + "@" + strconv.FormatUint(version, 10)
}

// contractHeader reads whose document it is, and checks its form.
func contractHeader(document []byte) (name string, version uint64, err error) {
	var raw strictjson.Raw
	if err := strictjson.UnmarshalNumbers(document, &raw, MaxContract, maxDocumentDepth); err != nil {
		return "", 0, malformed("contract: %w", err)
	}
	canonical, err := strictjson.Canonical(document)
	if err != nil {
		return "", 0, malformed("contract: %w", err)
	}
	if !bytes.Equal(document, canonical) {
		return "", 0, malformed("contract: the document is not in its canonical form (RFC 8785)")
	}
	var header struct {
		APIVersion string `json:"apiVersion"`
		Kind       string `json:"kind"`
		Metadata   struct {
			Name    string `json:"name"`
			Version uint64 `json:"version"`
		} `json:"metadata"`
	}
	if err := strictjson.UnmarshalForeign(document, &header, MaxContract, maxDocumentDepth); err != nil {
		return "", 0, malformed("contract: %w", err)
	}
	if header.APIVersion != ContractAPIVersion || header.Kind != ContractDocumentKind {
		return "", 0, malformed("contract: the document is %s of %s, want %s of %s",
			quote(header.Kind), quote(header.APIVersion), ContractDocumentKind, ContractAPIVersion)
	}
	return header.Metadata.Name, header.Metadata.Version, checkContractName(header.Metadata.Name, header.Metadata.Version)
}

func checkContractName(name string, version uint64) error {
	if err := CheckName(name); err != nil {
		return fmt.Errorf("contract: %w", err)
	}
	if version < 1 || version > MaxContractVersion {
		return malformed("contract %s: version %d, want 1 to %d", name, version, uint64(MaxContractVersion))
	}
	return nil
}

type wireContract struct {
	wireCommon
	Action   string         `json:"action"`
	Document strictjson.Raw `json:"document,omitzero"`
	Name     string         `json:"name,omitzero"`
	Version  uint64         `json:"version,omitzero"`
	SHA256   string         `json:"sha256,omitzero"`
	Reason   string         `json:"reason,omitzero"`
}

func (w *wireContract) decode(st *Statement) error {
	c := &Contract{Action: w.Action, Name: w.Name, Version: w.Version, Reason: w.Reason}
	switch {
	case w.Action == ContractLift:
		if err := decodeHex(c.Digest[:], "contract: sha256", w.SHA256); err != nil {
			return err
		}
	case w.Document == nil:
		return malformed("contract: no document")
	default:
		var err error
		if c, err = NewContract(w.Action, w.Document); err != nil {
			return err
		}
	}
	st.setCommon(w.wireCommon)
	st.Contract = c
	return nil
}

func (c *Contract) subject(*Statement) []Subject {
	return []Subject{{Name: c.ID(), Digest: map[string]string{"sha256": hex.EncodeToString(c.Digest[:])}}}
}

func (c *Contract) check(*Statement) error {
	if err := oneOf("contract: action", c.Action, ContractPut, ContractPropose, ContractLift); err != nil {
		return err
	}
	if c.Action != ContractLift {
		read, err := NewContract(c.Action, c.Document)
		switch {
		case err != nil:
			return err
		case read.Name != c.Name || read.Version != c.Version || read.Digest != c.Digest:
			return malformed("contract: the document is %s with SHA-256 %x, not %s with %x", read.ID(), read.Digest, c.ID(), c.Digest)
		case c.Reason != "":
			return malformed("contract: what is put or proposed has no reason; describe it in the document")
		}
		return nil
	}
	if err := checkContractName(c.Name, c.Version); err != nil {
		return err
	}
	if c.Document != nil {
		return malformed("contract: what is lifted is named, not repeated")
	}
	if c.Reason != "" {
		return CheckText("contract: reason", c.Reason, MaxReason)
	}
	return nil
}

func (c *Contract) wire(st *Statement) any {
	w := wireContract{wireCommon: st.common(), Action: c.Action, Reason: c.Reason}
	if c.Action == ContractLift {
		w.Name, w.Version, w.SHA256 = c.Name, c.Version, hex.EncodeToString(c.Digest[:])
	} else {
		w.Document = c.Document
	}
	return w
}
