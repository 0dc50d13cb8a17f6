package main

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"path"
	"slices"

	"github.com/stele-ml/stele/cmd/stele/jsonv1"
	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/internal/home"
	"github.com/stele-ml/stele/internal/solo"
	"github.com/stele-ml/stele/internal/terminal"
	"github.com/stele-ml/stele/statement"
)

// succeed begins the ledger that comes after one of which entries were lost: its
// genesis names the old one and the last checkpoint that the copy can prove.
func (a *app) succeed(ctx context.Context, r *reading, have *knowledge, dir string, f restoreFlags) error {
	signer, closer, err := a.signer(ctx)
	if err != nil {
		return err
	}
	defer closer()
	admins, err := r.standingAdministrators(a.now().UnixMilli())
	if err != nil {
		return err
	}
	by := signer.PublicKey().ID()
	i := slices.IndexFunc(admins, func(m statement.Administrator) bool { return m.Key.ID() == by })
	if i < 0 {
		return failf(exitRefused, "your key %s is no administrator's of %s, and only one of them begins its successor", by, r.Origin()).
			withHint("--key names another of your keys")
	}
	old, err := r.last()
	if err != nil {
		return err
	}
	origin, err := nextOrigin(r.Origin())
	if err != nil {
		return err
	}
	recovery, err := a.recoveryOf(r, f.recoveryOut)
	if err != nil {
		return err
	}
	logKey, err := solo.GenerateLogKey(origin, rand.Reader)
	if err != nil {
		return err
	}
	nonce, err := statement.NewNonce(rand.Reader)
	if err != nil {
		return err
	}
	genesis, err := statement.Sign(&statement.Statement{Kind: statement.KindGenesis, Nonce: nonce, Genesis: &statement.Genesis{
		Origin: origin, Hash: r.Algorithm(), Rules: statement.Rules, LogKey: logKey.VKey().String(),
		Administrators: admins, Recovery: recovery,
		Predecessor: &statement.Predecessor{Ledger: r.ID(), Origin: r.Origin(), Size: old.Size, Root: old.Root},
	}}, signer)
	if err != nil {
		return fmt.Errorf("sign the genesis: %w", err)
	}
	if err := a.dirs.PinTrust(origin, []byte(evidence.NewPolicy(logKey.VKey(), "").String()), false); err != nil {
		return fmt.Errorf("pin the log's key: %w", err)
	}
	e, err := solo.Create(ctx, a.options(dir), genesis, logKey)
	if err != nil {
		return err
	}
	defer a.close(e)
	signed, err := e.View().LatestCheckpoint()
	if err != nil {
		return err
	}
	a.saw(e.Info().ID, signed)
	return a.printSuccessor(&jsonv1.Successor{
		Ledger: e.Info().ID.String(), Origin: origin, Directory: dir, LogKey: logKey.VKey().String(), Trust: a.dirs.TrustPath(origin),
		Signer: jsonv1.Signer{Handle: admins[i].Handle, Key: by.String()},
		Predecessor: jsonv1.Predecessor{
			Ledger: r.ID().String(), Origin: r.Origin(), Size: old.Size, Root: base64.StdEncoding.EncodeToString(old.Root[:]),
		},
	}, admins, have)
}

// last is the newest checkpoint of a reading.
func (r *reading) last() (evidence.Checkpoint, error) {
	signed, err := r.LatestCheckpoint()
	if err != nil {
		return evidence.Checkpoint{}, err
	}
	cp, _, err := evidence.ReadCheckpoint(signed)
	return cp, err
}

// standingAdministrators are those who are so now, each with the key that was registered
// last: a genesis has one for each handle.
func (r *reading) standingAdministrators(now int64) (list []statement.Administrator, err error) {
	for _, m := range r.Control.Roster().Members() {
		if m.Recovery || !slices.Contains(m.Roles, statement.RoleAdministrator) || !r.Control.Roster().Standing(m.Key.ID(), r.Size(), now).OK {
			continue
		}
		list = slices.DeleteFunc(list, func(other statement.Administrator) bool { return other.Handle == m.Handle })
		list = append(list, statement.Administrator{Handle: m.Handle, Key: m.Key})
	}
	if len(list) == 0 || len(list) > statement.MaxAdministrators {
		return nil, failf(exitRefused, "the ledger has %d administrators in standing; a successor begins with 1 to %d", len(list), statement.MaxAdministrators)
	}
	return list, nil
}

// nextOrigin is the log's name with other random bits: no two logs have one name.
func nextOrigin(origin string) (string, error) {
	var random [8]byte
	if _, err := rand.Read(random[:]); err != nil {
		return "", err
	}
	next := path.Dir(origin) + "/" + hex.EncodeToString(random[:])
	if err := statement.CheckOrigin(next); err != nil {
		return "", fmt.Errorf("the successor's origin: %w", err)
	}
	return next, nil
}

// recoveryOf is the old ledger's recovery key, which whoever keeps it keeps, or a
// new one.
func (a *app) recoveryOf(r *reading, out string) (*statement.PublicKey, error) {
	if out == "" {
		for _, m := range r.Control.Roster().Members() {
			if m.Recovery && m.Retired == nil && m.Since == nil && !m.Void {
				return m.Key, nil
			}
		}
		return nil, failf(exitRefused, "the recovery key of %s was retired", r.Origin()).withHint("--recovery-out FILE makes a new one")
	}
	private, err := statement.GenerateEd25519(rand.Reader)
	if err != nil {
		return nil, err
	}
	text, err := statement.MarshalPrivateKey(private)
	if err != nil {
		return nil, err
	}
	s, err := statement.NewEd25519(private)
	if err != nil {
		return nil, err
	}
	if err := home.WriteSecret(out, text); err != nil {
		return nil, fmt.Errorf("keep the recovery key: %w", err)
	}
	return s.PublicKey(), nil
}

func (a *app) printSuccessor(s *jsonv1.Successor, admins []statement.Administrator, have *knowledge) error {
	s.Administrators, s.Lost = []string{}, []jsonv1.Known{}
	for _, m := range admins {
		s.Administrators = append(s.Administrators, m.Handle)
	}
	for _, m := range have.missing {
		s.Lost = append(s.Lost, jsonv1.Known{Who: m.who, Size: m.size})
	}
	if a.json {
		a.printJSON(s)
		return nil
	}
	a.term.Printf("made %s, which succeeds a ledger that goes on no more\n", a.term.Style(terminal.Good, s.Directory))
	a.term.KeyValues([]terminal.Pair{
		{Key: "ledger", Value: s.Ledger},
		{Key: "origin", Value: s.Origin},
		{Key: "predecessor", Value: s.Predecessor.Ledger},
		{Key: "its origin", Value: s.Predecessor.Origin},
		{Key: "provable", Value: fmt.Sprintf("%s entries, root %s", terminal.Count(s.Predecessor.Size), s.Predecessor.Root)},
		{Key: "administrators", Value: terminal.Some(s.Administrators, 8)},
		{Key: "trust", Value: s.Trust},
	})
	for _, m := range have.missing {
		a.term.Printf("lost: %s knows %s entries (%s)\n", m.who, terminal.Count(m.size), m.why)
	}
	a.term.Notef("it is empty: keep the old copy to be read, give everybody the new trust file, and `stele adopt` stamps again what still counts")
	return nil
}
