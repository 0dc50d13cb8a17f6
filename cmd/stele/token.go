package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/stele-ml/stele/cmd/stele/jsonv1"
	"github.com/stele-ml/stele/internal/durable"
	"github.com/stele-ml/stele/internal/home"
	"github.com/stele-ml/stele/internal/server"
	"github.com/stele-ml/stele/internal/solo"
	"github.com/stele-ml/stele/internal/terminal"
	"github.com/stele-ml/stele/statement"
)

// tokenFile is where the tokens of a ledger's server lie, unless --tokens says
// otherwise.
func (a *app) tokenFile(id statement.LedgerID) string {
	return filepath.Join(a.dirs.Ledger(id.String()), "tokens")
}

func (a *app) tokenCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "token",
		Short: "Who may come to the ledger's server: bearer tokens",
		Long: `Keeps the file of tokens that ` + "`stele serve --access tokens`" + ` reads: of each its
name, its scopes, when it ends, and a hash. The token itself is shown once, and
kept nowhere. A change takes effect within a second; no server is restarted.

A token says who may come to the server. It signs nothing: what the ledger takes
depends on keys alone.`,
	}
	var path string
	c.PersistentFlags().StringVar(&path, "tokens", "", "the `file` (default $STELE_SERVE_TOKENS, then with your own files, by ledger)")
	return family(c, a.tokenNew(&path), a.tokenList(&path), a.tokenRevoke(&path))
}

// tokensAt finds the token file.
func (a *app) tokensAt(path string) (string, error) {
	if path == "" {
		path = a.getenv("STELE_SERVE_TOKENS")
	}
	if path != "" {
		return path, nil
	}
	dir, err := a.findLedgerHere("token")
	if err != nil {
		return "", err
	}
	info, err := solo.ReadInfo(dir)
	if err != nil {
		return "", err
	}
	return a.tokenFile(info.ID), nil
}

// changeTokens changes the file as a whole, one process at a time.
func changeTokens(path string, change func([]server.Token) ([]server.Token, error)) error {
	fsys := durable.Private()
	if err := durable.MkdirAll(fsys, filepath.Dir(path), durable.PrivateDir); err != nil {
		return err
	}
	host, _ := os.Hostname() // for people; an empty one is no harm
	lock, err := durable.LockBriefly(fsys, path+".lock", durable.Holder{PID: os.Getpid(), Host: host, Since: time.Now().UnixMilli(), Command: "stele token"})
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	defer lock.Close()
	tokens, err := server.ReadTokens(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if tokens, err = change(tokens); err != nil {
		return err
	}
	return durable.WriteFile(fsys, path, server.FormatTokens(tokens))
}

func (a *app) tokenNew(path *string) *cobra.Command {
	var scopes, out string
	var life time.Duration
	var never bool
	c := &cobra.Command{
		Use:   "new NAME",
		Short: "Make a token, and show it once",
		Long: `Makes a token under a name that the server's log will show, and prints it, once:
on standard output, alone, so that it can be piped to where it is kept, or in a
new file (-o) that you alone can read.

Scopes: proofs (checkpoints, hashes, proofs), entries (all that can be read),
submit (entries and attachments in). A token ends after --life.`,
		Example: "  stele token new ci --scopes entries,submit\n  stele token new auditor --scopes entries --life 720h -o auditor.token",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			allowed, err := server.ParseScopes(scopes)
			switch {
			case err != nil:
				return usagef("--scopes: %v", err)
			case allowed == server.ScopeNone:
				return usagef("--scopes: a token without scopes is of no use")
			case never && c.Flags().Changed("life"):
				return usagef("--life and --no-end exclude each other")
			case !never && life < time.Minute:
				return usagef("--life %s: a minute at least", life)
			}
			var expires time.Time
			if !never {
				expires = a.now().Add(life)
			}
			return a.newToken(*path, args[0], out, allowed, expires)
		},
	}
	c.Flags().StringVar(&scopes, "scopes", "entries", "`scopes` between commas: proofs, entries, submit")
	c.Flags().StringVarP(&out, "out", "o", "", "write it to this new `file`, and show it nowhere")
	c.Flags().DurationVar(&life, "life", 90*24*time.Hour, "how long it is good, for example 720h")
	c.Flags().BoolVar(&never, "no-end", false, "it is good until it is revoked")
	return c
}

func (a *app) newToken(path, name, out string, scopes server.Scope, expires time.Time) error {
	path, err := a.tokensAt(path)
	if err != nil {
		return err
	}
	text, token, err := server.NewToken(rand.Reader, name, scopes, a.now(), expires)
	if errors.Is(err, server.ErrTokenName) {
		return usagef("%v", err)
	}
	if err != nil {
		return err
	}
	if out != "" { // first: a token that nobody has must not be known
		if err := home.WriteSecret(out, []byte(text+"\n")); err != nil {
			return notWritten(out, err)
		}
	}
	err = changeTokens(path, func(tokens []server.Token) ([]server.Token, error) {
		if slices.ContainsFunc(tokens, func(t server.Token) bool { return t.Name == name }) {
			return nil, usagef("there is a token %s already", name).withHint("names are not used again, so that the log stays clear: choose another")
		}
		if len(tokens) == server.MaxTokens {
			return nil, failf(exitError, "there are %d tokens; no more fit", len(tokens)).withPath(path)
		}
		return append(tokens, token), nil
	})
	if err != nil {
		if out != "" {
			_ = os.Remove(out)
		}
		return err
	}
	if a.json {
		made := jsonv1.NewToken{Token: text, TokenState: tokenJSON(token, a.now())}
		if out != "" {
			made.Token, made.File = "", out
		}
		a.printJSON(made)
		return nil
	}
	ends := "never ends"
	if !expires.IsZero() {
		ends = "ends on " + a.term.Time(expires.UnixMilli())
	}
	if out != "" {
		a.term.Notef("wrote %s; whoever holds it has the scopes %s; it %s", out, scopes, ends)
		return nil
	}
	a.term.Notef("this token is shown once; whoever holds it has the scopes %s; it %s", scopes, ends)
	a.term.Printf("%s\n", text)
	return nil
}

func tokenJSON(t server.Token, now time.Time) jsonv1.TokenState {
	at := func(t time.Time) jsonv1.Time {
		if t.IsZero() {
			return jsonv1.Time("")
		}
		return jsonv1.At(t.UnixMilli())
	}
	return jsonv1.TokenState{Name: t.Name, Scopes: t.Scopes.String(), State: t.State(now), Created: at(t.Created), Expires: at(t.Expires), Revoked: at(t.Revoked)}
}

func (a *app) tokenList(path *string) *cobra.Command {
	return &cobra.Command{
		Use:     "list",
		Short:   "List the tokens: names, scopes, when they end",
		Example: "  stele token list",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			at, err := a.tokensAt(*path)
			if err != nil {
				return err
			}
			tokens, err := server.ReadTokens(at)
			if err != nil && !errors.Is(err, os.ErrNotExist) {
				return err
			}
			return a.printTokens(tokens)
		},
	}
}

func (a *app) printTokens(tokens []server.Token) error {
	now := a.now()
	if a.json {
		for _, t := range tokens {
			a.printJSON(tokenJSON(t, now))
		}
		return nil
	}
	if len(tokens) == 0 {
		a.term.Notef("there are no tokens")
		return nil
	}
	when := func(t time.Time) string {
		if t.IsZero() {
			return "never"
		}
		return a.term.Time(t.UnixMilli())
	}
	rows := make([][]terminal.Cell, len(tokens))
	for i, t := range tokens {
		rows[i] = []terminal.Cell{{Text: t.Name}, {Text: t.Scopes.String()}, {Text: t.State(now)}, {Text: when(t.Expires)}}
	}
	a.term.Table([]terminal.Column{{Title: "TOKEN"}, {Title: "SCOPES"}, {Title: "STATE"}, {Title: "ENDS"}}, rows)
	return nil
}

func (a *app) tokenRevoke(path *string) *cobra.Command {
	return &cobra.Command{
		Use:     "revoke NAME",
		Short:   "End a token now",
		Example: "  stele token revoke ci",
		Args:    cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			at, err := a.tokensAt(*path)
			if err != nil {
				return err
			}
			var revoked server.Token
			err = changeTokens(at, func(tokens []server.Token) ([]server.Token, error) {
				i := slices.IndexFunc(tokens, func(t server.Token) bool { return t.Name == args[0] })
				if i < 0 {
					return nil, failf(exitNotFound, "there is no token %q", args[0]).withPath(at).withHint("`stele token list` shows them")
				}
				if tokens[i].Revoked.IsZero() {
					tokens[i].Revoked = a.now().UTC().Truncate(time.Second)
				}
				revoked = tokens[i]
				return tokens, nil
			})
			if err != nil {
				return err
			}
			if a.json {
				a.printJSON(tokenJSON(revoked, a.now()))
				return nil
			}
			a.term.Notef("%s is revoked; servers take it for a second at most", revoked.Name)
			return nil
		},
	}
}
