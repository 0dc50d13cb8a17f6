package main

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/stele-ml/stele/cmd/stele/jsonv1"
	"github.com/stele-ml/stele/internal/home"
	"github.com/stele-ml/stele/internal/terminal"
	"github.com/stele-ml/stele/statement"
)

func (a *app) keyCommand() *cobra.Command {
	return family(&cobra.Command{
		Use:   "key",
		Short: "Your signing keys, and who may write to this ledger",
	}, a.keyNew(), a.keyList(), a.keyRequest(), a.keyAdd(), a.keyRetire(), a.keyCompromised(), a.keyRotateLog())
}

func (a *app) keyNew() *cobra.Command {
	return &cobra.Command{
		Use:   "new [NAME]",
		Short: "Make a signing key (ECDSA P-256), kept with your own files",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			name := home.DefaultKey
			if len(args) == 1 {
				name = args[0]
			}
			path, err := a.dirs.KeyPath(name)
			if err != nil {
				return usagef("%v", err)
			}
			s, err := newKeyAt(path)
			if err != nil {
				return err
			}
			key := s.PublicKey()
			if a.json {
				a.printJSON(jsonv1.Key{Key: key.ID().String(), Algorithm: key.Algorithm(), Local: path, Public: string(key.Text())})
				return nil
			}
			if a.quiet {
				return nil
			}
			a.term.Printf("made the key %s\n", a.term.Style(terminal.Good, name))
			a.term.KeyValues([]terminal.Pair{{Key: "key", Value: key.ID().String()}, {Key: "private", Value: path}})
			a.term.Notef("to write to somebody's ledger: `stele key request --handle YOU -o request.json`, and give them that file")
			return nil
		},
	}
}

func (a *app) keyList() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List this ledger's keys with their standing, and your own",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			mine, err := a.localKeys()
			if err != nil {
				return err
			}
			var members []jsonv1.Key
			err = a.read(c.Context(), func(r *reading) error {
				members = r.memberKeys(a.now().UnixMilli())
				return nil
			})
			if len(mine) > 0 || err == nil || errors.Is(err, errNoLedger) {
				a.printKeys(members, mine) // one's own are known wherever the ledger is
			}
			if errors.Is(err, errNoLedger) {
				return nil
			}
			return err
		},
	}
}

// memberKeys lists the keys of the ledger with their standing now.
func (r *reading) memberKeys(now int64) []jsonv1.Key {
	var out []jsonv1.Key
	for _, m := range r.Control.Roster().Members() {
		k := jsonv1.Key{
			Key: m.Key.ID().String(), Algorithm: m.Key.Algorithm(), Handle: m.Handle, Roles: m.Roles, Names: m.Names, Kinds: kindWords(m.Kinds),
			Standing: r.Control.Roster().Standing(m.Key.ID(), r.Size(), now).State, Public: string(m.Key.Text()),
		}
		if m.Expires != 0 {
			k.Expires = jsonv1.At(m.Expires)
		}
		out = append(out, k)
	}
	return out
}

// localKeys lists the private keys kept here. One that cannot be read without
// a passphrase is listed by its path alone.
func (a *app) localKeys() ([]jsonv1.Key, error) {
	names, err := a.dirs.Keys()
	if err != nil {
		return nil, err
	}
	var out []jsonv1.Key
	for _, name := range names {
		path, err := a.dirs.KeyPath(name)
		if err != nil {
			return nil, err
		}
		k := jsonv1.Key{Local: path}
		if data, err := home.ReadSecret(path); err == nil {
			if s, err := statement.ParsePrivateKey(data, rand.Reader, nil); err == nil {
				k.Key, k.Algorithm, k.Public = s.PublicKey().ID().String(), s.PublicKey().Algorithm(), string(s.PublicKey().Text())
			}
		}
		out = append(out, k)
	}
	return out, nil
}

func (a *app) printKeys(members, mine []jsonv1.Key) {
	here := map[string]string{}
	for _, k := range mine {
		here[k.Key] = k.Local
	}
	if a.json {
		listed := map[string]bool{}
		for _, m := range members {
			m.Local = here[m.Key]
			listed[m.Key] = true
			a.printJSON(m)
		}
		for _, k := range mine {
			if !listed[k.Key] {
				a.printJSON(k)
			}
		}
		return
	}
	if len(members) > 0 {
		var rows [][]terminal.Cell
		for _, m := range members {
			rows = append(rows, []terminal.Cell{{Text: m.Handle}, {Text: shortKey(m.Key)}, {Text: m.Algorithm}, {Text: rolesText(m.Roles, m.Kinds)},
				{Text: strings.Join(m.Names, " ")}, {Text: m.Standing, Style: standingStyle(m.Standing)}})
		}
		a.term.Table([]terminal.Column{{Title: "HANDLE"}, {Title: "KEY"}, {Title: "ALGORITHM"}, {Title: "ROLES"}, {Title: "NAMES"}, {Title: "STANDING"}}, rows)
	}
	for _, k := range mine {
		what := "needs its passphrase"
		if k.Key != "" {
			what = shortKey(k.Key)
		}
		a.term.Notef("kept here: %s (%s)", k.Local, what)
	}
	if len(members) == 0 && len(mine) == 0 {
		a.term.Notef("no ledger in sight and no key kept here; `stele key new` makes one")
	}
}

// rolesText lists roles in the width of a table: all four are too wide for it.
func rolesText(roles, kinds []string) string {
	if slices.Equal(roles, statement.FirstRoles()) {
		return "every role"
	}
	text := strings.Join(roles, ", ")
	if len(kinds) > 0 {
		text += " of " + strings.Join(kinds, ", ")
	}
	return text
}

// kindWords are the kinds that an issuer may delegate, for --json.
func kindWords(kinds []statement.Kind) (list []string) {
	for _, kind := range kinds {
		list = append(list, string(kind))
	}
	return list
}

func (a *app) keyRequest() *cobra.Command {
	var handle, out string
	c := &cobra.Command{
		Use:   "request --handle HANDLE [-o FILE]",
		Short: "Write a request for an administrator to register your key",
		Long: `Writes your public key and the handle you want, signed with the key itself, so
that nobody can have somebody else's key registered as their own.`,
		Example: "  stele key request --handle bob -o bob.json\n  stele key request --key ssh-agent --handle bob -o bob.json",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if handle == "" {
				return usagef("request needs --handle, a pseudonym")
			}
			if err := statement.CheckHandle(handle); err != nil {
				return usagef("--handle: %v", err)
			}
			signer, closeSigner, err := a.signer(c.Context())
			if err != nil {
				return err
			}
			defer closeSigner()
			request, err := statement.NewKeyRequest(handle, signer)
			if err != nil {
				return err
			}
			text, err := request.Marshal()
			if err != nil {
				return err
			}
			text = append(text, '\n')
			if out == "" {
				_, err := a.stdout.Write(text)
				return err
			}
			if err := writeWhole(out, func(f *os.File) error { _, err := f.Write(text); return err }); err != nil {
				return err
			}
			if a.json {
				a.printJSON(jsonv1.Key{Key: signer.PublicKey().ID().String(), Algorithm: signer.PublicKey().Algorithm(), Handle: handle, Public: string(signer.PublicKey().Text())})
				return nil
			}
			if a.quiet {
				return nil
			}
			a.term.Printf("wrote %s\n", out)
			a.term.KeyValues([]terminal.Pair{{Key: "key", Value: signer.PublicKey().ID().String()}, {Key: "handle", Value: handle}})
			a.term.Notef("an administrator registers it with `stele key add %s --names 'your/*'`; read the key's id to them", out)
			return nil
		},
	}
	c.Flags().StringVar(&handle, "handle", "", "the pseudonym you want, public and for ever; required")
	c.Flags().StringVarP(&out, "output", "o", "", "the `file` to write (default standard output)")
	return c
}

func (a *app) keyRetire() *cobra.Command {
	return &cobra.Command{
		Use:   "retire KEY|HANDLE",
		Short: "Retire a key: it signs nothing more; what it signed stays good",
		Args:  cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return a.write(c.Context(), func(r *reading) (*statement.Statement, error) {
				m, err := r.member(args[0])
				if err != nil {
					return nil, err
				}
				return &statement.Statement{Kind: statement.KindIdentity,
					Identity: &statement.Identity{Action: statement.ActionRetire, Handle: m.Handle, KeyID: m.Key.ID()}}, nil
			})
		},
	}
}

func (a *app) keyCompromised() *cobra.Command {
	var since int64
	c := &cobra.Command{
		Use:   "compromised KEY|HANDLE --since ENTRY",
		Short: "Declare a key compromised since an entry (two administrators)",
		Long: `The key itself declares it, or two administrators, each with this command and
the same --since (one, where there is only one). Entries stay in the log and
names stay bound; in every check from now on they count for nothing.`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if since < 0 {
				return usagef("compromised needs --since ENTRY: the first entry that may not have been its holder's")
			}
			return a.write(c.Context(), func(r *reading) (*statement.Statement, error) {
				m, err := r.member(args[0])
				if err != nil {
					return nil, err
				}
				return &statement.Statement{Kind: statement.KindIdentity,
					Identity: &statement.Identity{Action: statement.ActionCompromised, Handle: m.Handle, KeyID: m.Key.ID(), Since: uint64(since)}}, nil
			})
		},
	}
	takesEntry(c, &since, "since", "the first `entry` that counts for nothing; required")
	return c
}

// member finds a registered key by its id, the beginning of it, or its
// holder's handle; a retired one by its handle only where no other is left.
func (r *reading) member(text string) (statement.Member, error) {
	var found, retired []statement.Member
	for _, m := range r.Control.Roster().Members() {
		id := m.Key.ID().String()
		switch {
		case id == text:
			return m, nil
		case m.Handle == text && m.Retired != nil:
			retired = append(retired, m)
		case m.Handle == text, len(text) >= 8 && isHex(text) && strings.HasPrefix(id, text):
			found = append(found, m)
		}
	}
	if len(found) == 0 {
		found = retired
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return statement.Member{}, failf(exitNotFound, "no key %q is registered on this ledger", text).withHint("`stele key list` lists them")
	}
	return statement.Member{}, usagef("%q stands for %d keys", text, len(found)).withHint("give the key's id; `stele key list` lists them")
}

func isHex(s string) bool {
	_, err := hex.DecodeString(s + strings.Repeat("0", len(s)%2))
	return err == nil
}

func (a *app) keyRotateLog() *cobra.Command {
	return &cobra.Command{
		Use:   "rotate-log",
		Short: "Give the log a new key, signed by both (administrators)",
		Long: `Gives the log a new key. The first checkpoint after it is signed by both, and
whoever pinned the old one follows. The ledger's server is stopped first. Then
copy the new log.key to where secrets are kept, and give whoever runs a witness
the line that 'stele trust export' writes: witnesses do not follow.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			dir, signer, closeSigner, err := a.writer(c.Context())
			if err != nil {
				return err
			}
			defer closeSigner()
			if isAddress(dir) {
				return notFromHere("key rotate-log", dir)
			}
			e, err := a.open(c.Context(), dir)
			if err != nil {
				return err
			}
			defer a.close(e)
			r, err := newReading(e.View())
			if err != nil {
				return err
			}
			// A log that went back must not be given a key of its own.
			policy, err := a.trustingNewest(r)
			if err != nil {
				return err
			}
			proof, err := e.RotateLogKey(c.Context(), signer)
			if err != nil {
				return err
			}
			a.saw(r.ID(), proof.Checkpoint)
			a.witnessed(c.Context(), e, policy, proof)
			if r, err = newReading(proof.View); err != nil {
				return err
			}
			next, ok := r.Control.LogKey(r.Size())
			if !ok {
				return fmt.Errorf("the log has no key after its rotation")
			}
			if err := a.printWritten(proof, statement.KindLogKey, next.Short(), r.Origin(), r.SignerBy(signer.PublicKey().ID(), nil)); err != nil {
				return err
			}
			return a.repin(r.Origin(), next)
		},
	}
}
