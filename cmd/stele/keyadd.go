package main

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/stele-ml/stele/internal/terminal"
	"github.com/stele-ml/stele/statement"
)

func (a *app) keyAdd() *cobra.Command {
	var handle, expires string
	var roles, names, kinds []string
	var asked agreement
	c := &cobra.Command{
		Use:   "add REQUEST|PUBLICKEY",
		Short: "Register somebody's key (administrators)",
		Long: `Registers the key of a request, or a public key (PEM, or a line of
authorized_keys), with its roles and the names it may write. A request may have
been swapped on its way: compare the key's id, which is shown and on a terminal
asked about, with what its holder reads to you; --id takes no other key.

An issuer's key signs nothing but delegations, which let CI jobs sign for a few
minutes under its names; it lies with the server (` + "`stele serve`" + `).`,
		Example: "  stele key add bob.json --names 'fraud/*' --role member --role approver\n" +
			"  stele key add ci.json --role issuer --names 'fraud/*' --kinds stamp,run",
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			key, requested, err := readKeyToAdd(args[0])
			if err != nil {
				return err
			}
			if handle == "" {
				handle = requested
			}
			if handle == "" {
				return usagef("a bare public key needs --handle").withHint("or ask its holder for a request: `stele key request`")
			}
			identity := statement.Identity{Action: statement.ActionRegister, Handle: handle, Key: key, KeyID: key.ID(), Roles: roles, Names: names}
			for _, kind := range kinds {
				identity.Kinds = append(identity.Kinds, statement.Kind(kind))
			}
			if slices.Contains(roles, statement.RoleIssuer) && len(kinds) == 0 {
				return usagef("an issuer needs --kinds: what its delegations may be for").withHint("for example --kinds stamp,run,evaluation")
			}
			if expires != "" {
				if identity.Expires, err = a.expiry(expires); err != nil {
					return err
				}
			}
			if err := asked.ask(c.Context(), a, &identity); err != nil {
				return err
			}
			return a.writeIdentity(c.Context(), identity)
		},
	}
	c.Flags().StringVar(&handle, "handle", "", "another pseudonym than the request's")
	c.Flags().StringArrayVar(&roles, "role", []string{statement.RoleMember}, "a `role`: member, approver, releaser, administrator or issuer (repeatable)")
	c.Flags().StringArrayVar(&names, "names", nil, "a `pattern` of names it may write, for example 'fraud/*' (repeatable)")
	c.Flags().StringSliceVar(&kinds, "kinds", nil, "of an issuer: the `kinds` it may delegate, for example stamp,run,evaluation")
	c.Flags().StringVar(&expires, "expires", "", "the `time` from which it has no standing, or a duration such as 2160h")
	c.Flags().StringVar(&asked.id, "id", "", "the key's `id`, or how it begins, as its holder read it to you")
	c.Flags().BoolVarP(&asked.yes, "yes", "y", false, "do not ask")
	return c
}

// agreement is how an administrator says that a key is whose it is said to be.
type agreement struct {
	id  string
	yes bool
}

// minID is how many digits of a key's id have to be compared at least: as many as
// `stele key list` shows.
const minID = 12

// ask compares the key's id with what its holder read, or has the administrator do it.
func (g agreement) ask(ctx context.Context, a *app, identity *statement.Identity) error {
	id := identity.KeyID.String()
	if g.id != "" {
		switch read := strings.ToLower(strings.ReplaceAll(g.id, " ", "")); {
		case len(read) < minID || len(read) > len(id) || strings.Trim(read, "0123456789abcdef") != "":
			return usagef("--id takes at least %d of the id's %d hexadecimal digits", minID, len(id))
		case !strings.HasPrefix(id, read):
			return failf(exitUntrusted, "the key's id is %s, and not %s…: it is another key", id, read).
				withHint("nothing was written; ask its holder for the request again, by another way")
		}
		return nil
	}
	if g.yes || a.json || !a.term.CanAsk() {
		a.term.Notef("registers the key %s: compare it with what its holder reads to you", id)
		return nil
	}
	a.term.KeyValues([]terminal.Pair{
		{Key: "key", Value: id}, {Key: "handle", Value: identity.Handle},
		{Key: "roles", Value: strings.Join(identity.Roles, ", ")}, {Key: "names", Value: strings.Join(identity.Names, "  ")},
	})
	ok, err := a.term.Confirm(ctx, "is this the id that "+identity.Handle+" read to you, and is that to be registered?", false)
	if err == nil && !ok {
		err = failf(exitError, "nothing was written")
	}
	return err
}

func (a *app) writeIdentity(ctx context.Context, identity statement.Identity) error {
	return a.write(ctx, func(*reading) (*statement.Statement, error) {
		return &statement.Statement{Kind: statement.KindIdentity, Identity: &identity}, nil
	})
}

// expiry is a time, or a duration from now on.
func (a *app) expiry(text string) (int64, error) {
	if d, err := time.ParseDuration(text); err == nil && d > 0 { // from now on, where other flags look back
		return a.now().Add(d).UnixMilli(), nil
	}
	ms, err := a.when("--expires", text)
	if err != nil {
		return 0, err
	}
	if ms <= a.now().UnixMilli() {
		return 0, usagef("--expires %s is past", text)
	}
	return ms, nil
}

func readKeyToAdd(path string) (key *statement.PublicKey, handle string, err error) {
	data, err := readSmall(path, statement.MaxKeyRequest)
	if err != nil {
		return nil, "", err
	}
	if trimmed := strings.TrimSpace(string(data)); strings.HasPrefix(trimmed, "{") {
		request, err := statement.ParseKeyRequest([]byte(trimmed))
		if err != nil {
			return nil, "", failf(statusOf(err), "request %s: %w", path, err).withPath(path)
		}
		return request.Key, request.Handle, nil
	}
	key, err = statement.ParsePublicKey(data)
	if err != nil {
		return nil, "", failf(exitError, "%s: %w", path, err).withPath(path)
	}
	return key, "", nil
}
