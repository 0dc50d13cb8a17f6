package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/stele-ml/stele/client"
	"github.com/stele-ml/stele/cmd/stele/jsonv1"
	"github.com/stele-ml/stele/internal/home"
	"github.com/stele-ml/stele/internal/terminal"
	"github.com/stele-ml/stele/internal/wire"
	"github.com/stele-ml/stele/statement"
)

// loginLeeway is how much this machine's clock and the server's may differ.
const loginLeeway = time.Minute

// loginOrder is what a job asks for.
type loginOrder struct {
	server   string
	audience string
	idToken  string
	ledger   statement.LedgerID // of a login before this one; zero: it is asked
	out      string
	names    []string
	kinds    []string
	life     time.Duration
}

func (a *app) loginCommand() *cobra.Command {
	var o loginOrder
	c := &cobra.Command{
		Use:   "login",
		Short: "Get a CI job a key of its own for some minutes, without a secret",
		Long: `Exchanges the token by which a CI system says whose job this is for a delegation
of the ledger's issuer, for a key that is made here and lives some minutes. Both
lie in one private file, which --key and $STELE_KEY take. Run it again for
another delegation.

The token is GitHub's, in a job with the permission id-token: write; or what
$STELE_ID_TOKEN or --id-token holds, as GitLab's id_tokens do. It is never
printed.`,
		Example: "  stele login --audience https://ledger.example\n  stele stamp data --as fraud/train@7 --key ci",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return a.login(c.Context(), &o)
		},
	}
	c.Flags().StringVar(&o.server, "server", "", "the server's `address` (default that of the ledger)")
	c.Flags().StringVar(&o.audience, "audience", "", "for whom GitHub makes the token (default $STELE_AUDIENCE, then the server's address)")
	c.Flags().StringVar(&o.idToken, "id-token", "", "the `file` with the token, - for standard input (default $STELE_ID_TOKEN, then GitHub's)")
	c.Flags().StringVarP(&o.out, "output", "o", "", "the `file` to write (default the key named ci)")
	c.Flags().StringArrayVar(&o.names, "names", nil, "a `pattern` of names, within what the server gives (repeatable)")
	c.Flags().StringSliceVar(&o.kinds, "kinds", nil, "the `kinds` of statement, within what the server gives")
	c.Flags().DurationVar(&o.life, "life", 0, "how long it is to be valid, within what the server gives, for example 5m")
	return c
}

func (a *app) login(ctx context.Context, o *loginOrder) error {
	if o.life < 0 || o.life%time.Second != 0 {
		return usagef("--life %v: use whole seconds", o.life)
	}
	path, err := a.loginPath(o.out)
	if err != nil {
		return err
	}
	server, err := a.loginServer(o)
	if err != nil {
		return err
	}
	ledger, err := a.loginLedger(ctx, o, server)
	if err != nil {
		return err
	}
	token, err := a.idToken(ctx, o, server)
	if err != nil {
		return err
	}
	key, secret, err := a.jobKey(path, ledger)
	if err != nil {
		return err
	}
	d, got, err := a.delegation(ctx, server, ledger, token, key, o)
	if err != nil {
		return err
	}
	if err := o.check(d, a.now().UnixMilli()); err != nil {
		return err
	}
	if err := a.keepJobToken(server, got.Token); err != nil {
		return err
	}
	var issuer string
	// Also what a server gives out is believed as far as the ledger says.
	err = a.read(ctx, func(r *reading) (err error) {
		issuer, err = r.checkLogin(d, ledger, key.PublicKey(), a.now().UnixMilli())
		return err
	})
	if err != nil {
		return err
	}
	if err := home.Replace(path, slices.Concat(secret, d.PEM())); err != nil {
		return fmt.Errorf("write the job's key: %w", err)
	}
	if given := time.Duration(d.NotAfter-d.NotBefore) * time.Millisecond; o.life > given {
		a.term.Warnf("%v was asked for, and the server gives less: the delegation ends at %s", o.life, a.term.Time(d.NotAfter))
	}
	a.printLogin(d, issuer, got.Rule, path)
	return nil
}

// loginLedger is the id of the ledger that the delegation is to be for. Where a server
// keeps it, that is the server's word until the login is over: it may let nobody read
// who has not logged in. What it then gives is held to the ledger itself.
func (a *app) loginLedger(ctx context.Context, o *loginOrder, server string) (id statement.LedgerID, err error) {
	if o.ledger != id {
		return o.ledger, nil
	}
	if o.server != "" {
		err = a.read(ctx, func(r *reading) error { id = r.ID(); return nil })
		return id, err
	}
	c, err := a.loginClient(server)
	if err != nil {
		return id, err
	}
	defer c.Close()
	info, err := c.Ledger(ctx)
	if err != nil {
		return id, loginFailure(server, err)
	}
	return info.ID, nil
}

// loginPath is where the job's key goes: never over a key of somebody's own.
func (a *app) loginPath(out string) (string, error) {
	path := out
	if path == "" {
		named, err := a.dirs.KeyPath("ci")
		if err != nil {
			return "", err
		}
		path = named
	}
	data, err := home.ReadSecret(path)
	if errors.Is(err, fs.ErrNotExist) {
		return path, nil
	}
	if err != nil {
		return "", fmt.Errorf("look at the job's key: %w", err)
	}
	if s, err := statement.ParsePrivateKey(data, rand.Reader, nil); err != nil || statement.DelegationOf(s) == nil {
		return "", failf(exitError, "%s is there, and holds no key that `stele login` made", path).withPath(path).withHint("-o chooses another file")
	}
	return path, nil
}

// jobKey returns the key that a login before this one made, for the same ledger, or
// a new one. A CI system that gives a job one token for all its time can so be asked
// again: a server takes a token for one key alone.
func (a *app) jobKey(path string, ledger statement.LedgerID) (statement.Signer, []byte, error) {
	if data, err := home.ReadSecret(path); err == nil {
		if s, err := statement.ParsePrivateKey(data, rand.Reader, nil); err == nil {
			if d := statement.DelegationOf(s); d != nil && d.Ledger == ledger {
				if secret, _, ok := strings.Cut(string(data), statement.DelegationBegin); ok {
					return s, []byte(secret), nil
				}
			}
		}
	}
	key, err := statement.GenerateP256(rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	secret, err := statement.MarshalPrivateKey(key)
	if err != nil {
		return nil, nil, err
	}
	s, err := statement.NewP256(key, rand.Reader)
	return s, secret, err
}

// delegation asks the server for a delegation.
func (a *app) delegation(ctx context.Context, server string, ledger statement.LedgerID, token string, key statement.Signer, o *loginOrder) (*statement.Delegation, *wire.Delegation, error) {
	proof, err := key.Sign(statement.DelegationRequestMessage(ledger, key.PublicKey().ID(), token))
	if err != nil {
		return nil, nil, err
	}
	q := wire.DelegationRequest{Token: token, Key: key.PublicKey(), Proof: proof, Names: o.names, Life: int64(o.life / time.Second)}
	for _, kind := range o.kinds {
		q.Kinds = append(q.Kinds, statement.Kind(kind))
	}
	body, err := q.Marshal()
	if err != nil {
		return nil, nil, err
	}
	c, err := a.loginClient(server)
	if err != nil {
		return nil, nil, err
	}
	defer c.Close()
	answer, err := c.Post(ctx, "/v1/delegations", body, wire.MaxDelegationAnswer)
	if err != nil {
		return nil, nil, loginFailure(server, err)
	}
	got, err := wire.ParseDelegation(answer)
	if err != nil {
		return nil, nil, fmt.Errorf("the answer of %s: %w", server, err)
	}
	d, err := statement.ParseDelegation(got.Delegation)
	if err != nil {
		return nil, nil, fmt.Errorf("the answer of %s: %w", server, err)
	}
	return d, got, nil
}

// loginFailure says why a server gave no delegation.
func loginFailure(server string, err error) error {
	status := statusOf(err)
	switch {
	case errors.Is(err, client.ErrUnreachable):
		status = exitUnreachable
	case errors.Is(err, client.ErrAccess), errors.Is(err, client.ErrRefused):
		status = exitRefused
	}
	f := failf(status, "exchange the CI's token at %s: %w", server, err)
	var said *client.Error
	if errors.As(err, &said) && f.hint == "" {
		f.hint = said.Hint()
		if said.Problem.Code == string(wire.CodeNoRoute) {
			f.hint = "does that server exchange tokens? `stele serve --ci-rules` says for whom"
		}
	}
	return f
}

// check holds a delegation to what was asked for.
func (o *loginOrder) check(d *statement.Delegation, now int64) error {
	beyond := func(given, asked []string) bool {
		return len(asked) > 0 && slices.ContainsFunc(given, func(g string) bool { return !slices.Contains(asked, g) })
	}
	until := now + (o.life + loginLeeway).Milliseconds()
	if beyond(d.Names, o.names) || beyond(kindWords(d.Kinds), o.kinds) || o.life > 0 && d.NotAfter > until {
		return failf(exitUntrusted, "the server gave a delegation for more than was asked for: names %v, kinds %v, for %v",
			d.Names, d.Kinds, time.Duration(d.NotAfter-d.NotBefore)*time.Millisecond)
	}
	return nil
}

// checkLogin holds a delegation to the job's key and to the ledger, and returns the
// issuer's handle.
func (r *reading) checkLogin(d *statement.Delegation, ledger statement.LedgerID, key *statement.PublicKey, now int64) (string, error) {
	issuer, m, ok := r.Control.Roster().Key(d.Issuer)
	switch {
	case d.Ledger != ledger || r.ID() != ledger:
		return "", failf(exitUntrusted, "the server gave a delegation for another ledger, %s", d.Ledger)
	case !d.Key.Equal(key):
		return "", failf(exitUntrusted, "the server gave a delegation for another key, %s", d.Key.ID())
	case !ok:
		return "", failf(exitUntrusted, "the server gave a delegation by key %s, which is not registered on this ledger", d.Issuer).
			withHint("an administrator registers it: `stele key add --role issuer`")
	}
	if err := d.Verify(issuer); err != nil {
		return "", failf(exitUntrusted, "the server gave a delegation that its issuer did not sign: %w", err)
	}
	if err := r.Control.Roster().CheckIssued(r.Size(), max(now, r.Time()), d); err != nil {
		return "", err
	}
	if skew := loginLeeway.Milliseconds(); now+skew < d.NotBefore || now-skew >= d.NotAfter {
		return "", failf(exitError, "the server's clock says %s, this machine's %s", jsonv1.At(d.NotBefore), jsonv1.At(now)).withHint("set the clock that is wrong")
	}
	return m.Handle, nil
}

func (a *app) printLogin(d *statement.Delegation, issuer, rule, path string) {
	kinds := kindWords(d.Kinds)
	if a.json {
		a.printJSON(jsonv1.Login{
			Issuer: issuer, Subject: d.Subject, Source: d.Source, Rule: rule, Key: d.Key.ID().String(), Names: d.Names, Kinds: kinds,
			From: jsonv1.At(d.NotBefore), Until: jsonv1.At(d.NotAfter), Path: path,
		})
		return
	}
	if a.quiet {
		return
	}
	a.term.Printf("%s signs as %s until %s\n", d.Subject, a.term.Style(terminal.Good, issuer), a.term.Time(d.NotAfter))
	a.term.KeyValues([]terminal.Pair{
		{Key: "names", Value: strings.Join(d.Names, ", ")}, {Key: "kinds", Value: strings.Join(kinds, ", ")},
		{Key: "rule", Value: rule}, {Key: "key", Value: path},
	})
}
