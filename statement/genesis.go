package statement

import (
	"crypto/sha256"
	"encoding/hex"

	"github.com/stele-ml/stele/fingerprint"
)

type wireGenesis struct {
	Nonce          Nonce               `json:"nonce"`
	Hash           string              `json:"hash"`
	Rules          int                 `json:"rules"`
	LogKey         string              `json:"logKey"`
	Administrators []wireAdministrator `json:"administrators"`
	Recovery       wireKey             `json:"recovery"`
	Predecessor    *wirePredecessor    `json:"predecessor,omitzero"`
}

type wireAdministrator struct {
	Handle string  `json:"handle"`
	Key    wireKey `json:"key"`
}

type wirePredecessor struct {
	Ledger LedgerID `json:"ledger"`
	Origin string   `json:"origin"`
	Size   uint64   `json:"size"`
	Root   string   `json:"root"`
}

func (w *wireGenesis) decode(st *Statement) error {
	g := &Genesis{Origin: st.Subject[0].Name, Rules: w.Rules, LogKey: w.LogKey}
	var err error
	if g.Hash, err = fingerprint.ParseAlgorithm(w.Hash); err != nil {
		return malformed("genesis: %w", err)
	}
	if len(w.Administrators) > MaxAdministrators {
		return malformed("genesis: %d administrators, at most %d are allowed", len(w.Administrators), MaxAdministrators)
	}
	for _, a := range w.Administrators {
		key, err := a.Key.key()
		if err != nil {
			return err
		}
		g.Administrators = append(g.Administrators, Administrator{a.Handle, key})
	}
	if g.Recovery, err = w.Recovery.key(); err != nil {
		return err
	}
	if p := w.Predecessor; p != nil {
		g.Predecessor = &Predecessor{Ledger: p.Ledger, Origin: p.Origin, Size: p.Size}
		if err := decodeHex(g.Predecessor.Root[:], "predecessor root", p.Root); err != nil {
			return err
		}
	}
	st.Nonce, st.Genesis = w.Nonce, g
	return nil
}

func (g *Genesis) subject(*Statement) []Subject { return vkeySubject(g.Origin, g.LogKey) }

// vkeySubject is the subject of what names a log's key.
func vkeySubject(origin, vkey string) []Subject {
	sum := sha256.Sum256([]byte(vkey))
	return []Subject{{Name: origin, Digest: map[string]string{"sha256": hex.EncodeToString(sum[:])}}}
}

func (g *Genesis) check(*Statement) error {
	if err := CheckOrigin(g.Origin); err != nil {
		return err
	}
	if !g.Hash.Valid() {
		return malformed("genesis: the hash is not set")
	}
	if g.Rules < 1 || g.Rules > 1<<20 {
		return malformed("genesis: rules version %d", g.Rules)
	}
	if err := CheckVKey(g.LogKey, g.Origin); err != nil {
		return err
	}
	if p := g.Predecessor; p != nil {
		if p.Ledger.IsZero() {
			return malformed("genesis: the predecessor's ledger id is not set")
		}
		if err := CheckOrigin(p.Origin); err != nil {
			return err
		}
		if err := checkInteger("genesis: the predecessor's size", p.Size, 1); err != nil {
			return err
		}
	}
	return g.checkKeys()
}

// checkKeys keeps log, recovery and administrators' keys disjoint.
func (g *Genesis) checkKeys() error {
	if n := len(g.Administrators); n < 1 || n > MaxAdministrators {
		return malformed("genesis: %d administrators, 1 to %d are allowed", n, MaxAdministrators)
	}
	if g.Recovery == nil {
		return malformed("genesis: the recovery key is not set")
	}
	log, err := VKeyMaterial(g.LogKey)
	if err != nil {
		return err
	}
	owner := map[[32]byte]string{log: "the log", g.Recovery.Material(): "recovery"}
	if len(owner) != 2 {
		return malformed("genesis: the recovery key is the log's key")
	}
	handles := map[string]bool{RecoveryHandle: true}
	for _, a := range g.Administrators {
		if err := CheckHandle(a.Handle); err != nil {
			return err
		}
		if handles[a.Handle] {
			return malformed("genesis: the handle %s is taken", quote(a.Handle))
		}
		handles[a.Handle] = true
		if a.Key == nil {
			return malformed("genesis: administrator %s has no key", quote(a.Handle))
		}
		if of := owner[a.Key.Material()]; of != "" {
			return malformed("genesis: the key of %s is also the key of %s", quote(a.Handle), of)
		}
		owner[a.Key.Material()] = a.Handle
	}
	return nil
}

func (g *Genesis) wire(st *Statement) any {
	w := wireGenesis{
		Nonce:    st.Nonce,
		Hash:     g.Hash.String(),
		Rules:    g.Rules,
		LogKey:   g.LogKey,
		Recovery: g.Recovery.wire(),
	}
	for _, a := range g.Administrators {
		w.Administrators = append(w.Administrators, wireAdministrator{a.Handle, a.Key.wire()})
	}
	if p := g.Predecessor; p != nil {
		w.Predecessor = &wirePredecessor{p.Ledger, p.Origin, p.Size, hex.EncodeToString(p.Root[:])}
	}
	return w
}
