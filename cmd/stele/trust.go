package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/stele-ml/stele/cmd/stele/jsonv1"
	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/internal/home"
	"github.com/stele-ml/stele/internal/terminal"
)

func (a *app) trustCommand() *cobra.Command {
	return family(&cobra.Command{
		Use:   "trust",
		Short: "The logs and witnesses you trust",
		Long: `Trust is your own: it lies in your configuration directory, or where --trust or
$STELE_TRUST point, and is never taken from data that came from elsewhere. A
trust file is a tlog-policy (C2SP): log keys, witnesses, a quorum.`,
	}, a.trustShow(), a.trustAdd(), a.trustExport())
}

func (a *app) trustShow() *cobra.Command {
	return &cobra.Command{
		Use:   "show",
		Short: "Show what is pinned here, or the file that --trust names",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			paths := []string{a.trustPath()}
			if paths[0] == "" {
				var err error
				if paths, err = a.dirs.TrustFiles(); err != nil {
					return err
				}
			}
			if len(paths) == 0 && !a.json {
				a.term.Notef("nothing is pinned; `stele init` pins a new ledger's log key, `stele trust add` another's")
			}
			for _, path := range paths {
				policy, err := readPolicy(path)
				if err != nil {
					return err
				}
				if a.json {
					for _, l := range policy.Logs {
						a.printJSON(jsonv1.Trust{Origin: l.Key.Name, Path: path, Policy: policy.String()})
					}
					continue
				}
				a.printPolicy(path, policy)
			}
			return nil
		},
	}
}

func (a *app) printPolicy(path string, policy *evidence.Policy) {
	a.term.Heading(path)
	var pairs []terminal.Pair
	for _, l := range policy.Logs {
		pairs = append(pairs, terminal.Pair{Key: "log", Value: l.Key.Name}, terminal.Pair{Key: "key", Value: l.Key.String()})
		if l.URL != "" {
			pairs = append(pairs, terminal.Pair{Key: "at", Value: l.URL})
		}
	}
	for _, w := range policy.Witnesses {
		pairs = append(pairs, terminal.Pair{Key: "witness", Value: w.Name + " " + w.Key.String()})
	}
	for _, g := range policy.Groups {
		pairs = append(pairs, terminal.Pair{Key: "group", Value: fmt.Sprintf("%s: %d of %s", g.Name, g.K, strings.Join(g.Members, ", "))})
	}
	quorum := policy.Quorum
	if quorum == evidence.QuorumNone {
		quorum = "none: no witness is asked for"
	}
	a.term.KeyValues(append(pairs, terminal.Pair{Key: "quorum", Value: quorum}))
}

func (a *app) trustAdd() *cobra.Command {
	var replace bool
	c := &cobra.Command{
		Use:   "add FILE|VKEY",
		Short: "Pin a log: a trust file somebody gave you, or a log's verifier key",
		Long: `Pins a log's key for this user. Get the file or the key from whoever runs the
log, by a way you trust; whoever can hand you a false one can show you a false
log.`,
		Example: "  stele trust add clinic.policy\n  stele trust add 'example.com/log+1a2b3c4d+AQ…'",
		Args:    cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			policy, err := policyFrom(args[0])
			if err != nil {
				return err
			}
			if len(policy.Logs) == 0 {
				return failf(exitError, "%s names no log", args[0])
			}
			for _, l := range policy.Logs {
				origin := l.Key.Name
				err := a.dirs.PinTrust(origin, []byte(policy.String()), replace)
				if errors.Is(err, home.ErrPinned) {
					return failf(exitUntrusted, "another policy is pinned for %s already", origin).withPath(a.dirs.TrustPath(origin)).
						withHint("compare them with `stele trust show`; --replace puts the new one in its place")
				}
				if err != nil {
					return err
				}
				if a.json {
					a.printJSON(jsonv1.Trust{Origin: origin, Path: a.dirs.TrustPath(origin), Policy: policy.String()})
				} else if !a.quiet {
					a.term.Printf("trusting %s\n", origin)
					a.term.Notef("pinned in %s", a.dirs.TrustPath(origin))
				}
			}
			return nil
		},
	}
	c.Flags().BoolVar(&replace, "replace", false, "replace another policy that is pinned for the same log")
	return c
}

// policyFrom reads a trust file, or makes the policy that trusts one key.
func policyFrom(arg string) (*evidence.Policy, error) {
	if _, err := os.Stat(arg); errors.Is(err, fs.ErrNotExist) {
		if key, kerr := evidence.ParseVKey(arg); kerr == nil {
			p := evidence.NewPolicy(key, "")
			return p, p.Check()
		}
	}
	if err := exists(arg); err != nil {
		return nil, failf(exitNotFound, "%w, and that is no verifier key either", err).withPath(arg)
	}
	return readPolicy(arg)
}

func (a *app) trustExport() *cobra.Command {
	var out, origin string
	c := &cobra.Command{
		Use:   "export [-o FILE]",
		Short: "Write the trust file of this ledger's log, to hand to somebody",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			var current evidence.VKey // the key in force, where the ledger is at hand
			if origin == "" {
				err := a.read(c.Context(), func(r *reading) error {
					origin = r.Origin()
					current, _ = r.Control.LogKey(r.Size())
					return nil
				})
				if err != nil {
					return err
				}
			}
			policy, path, err := a.policyFor(origin)
			if err != nil {
				return err
			}
			if policy == nil {
				return failf(exitUntrusted, "no key is pinned for %s", origin).withPath(path).withHint("`stele trust add` pins one")
			}
			if current.Name != "" && !policy.Trusts(current) {
				policy = withLogKey(policy, current)
				a.term.Notef("the log's key was rotated since it was pinned here; the new one is written")
			}
			text := []byte(policy.String())
			if out == "" && a.json {
				a.printJSON(jsonv1.Trust{Origin: origin, Path: path, Policy: string(text)})
				return nil
			}
			if out == "" {
				_, err := a.stdout.Write(text)
				return err
			}
			if err := writeWhole(out, func(f *os.File) error { _, err := f.Write(text); return err }); err != nil {
				return err
			}
			if a.json {
				a.printJSON(jsonv1.Trust{Origin: origin, Path: out, Policy: string(text)})
				return nil
			}
			if a.quiet {
				return nil
			}
			a.term.Printf("wrote %s\n", out)
			a.term.Notef("it names the key of %s; hand it over by a way the other side trusts", origin)
			return nil
		},
	}
	c.Flags().StringVarP(&out, "output", "o", "", "the `file` to write (default standard output)")
	c.Flags().StringVar(&origin, "origin", "", "of the log (default this ledger's)")
	return c
}

// trustPath is the trust file that the person pointed at, or empty.
func (a *app) trustPath() string {
	if a.trustFlag != "" {
		return a.trustFlag
	}
	return a.getenv("STELE_TRUST")
}

// policyFor finds the policy that speaks of origin: the file the person
// pointed at, else what is pinned. It is nil where neither names that log;
// path says where it was looked for.
func (a *app) policyFor(origin string) (policy *evidence.Policy, path string, err error) {
	if path = a.trustPath(); path != "" {
		if err := exists(path); err != nil {
			return nil, path, err
		}
		policy, err = readPolicy(path)
		return policy, path, err
	}
	path = a.dirs.TrustPath(origin)
	policy, err = readPolicy(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, path, nil
	}
	return policy, path, err
}

// trustedLog is policyFor a log that must be trusted.
func (a *app) trustedLog(origin string) (*evidence.Policy, error) {
	policy, path, err := a.policyFor(origin)
	if err == nil && policy == nil {
		err = failf(exitUntrusted, "the log %s is not trusted: no key is pinned for it", origin).withPath(path).
			withHint("get its trust file from whoever runs it, by a way you trust, then `stele trust add FILE`")
	}
	return policy, err
}

func readPolicy(path string) (*evidence.Policy, error) {
	data, err := readSmall(path, evidence.MaxPolicy)
	if err != nil {
		return nil, fmt.Errorf("read the trust file: %w", err)
	}
	policy, err := evidence.ParsePolicy(data)
	if err != nil {
		return nil, failf(exitError, "%s: %w", path, err).withPath(path)
	}
	return policy, nil
}

// withLogKey is the policy with the log's key replaced.
func withLogKey(p *evidence.Policy, key evidence.VKey) *evidence.Policy {
	next := *p
	next.Logs = slices.DeleteFunc(slices.Clone(p.Logs), func(l evidence.PolicyLog) bool { return l.Key.Name == key.Name })
	url := ""
	for _, l := range p.Logs {
		if l.Key.Name == key.Name {
			url = l.URL
		}
	}
	next.Logs = append(next.Logs, evidence.PolicyLog{Key: key, URL: url})
	return &next
}

// repin puts the log's new key in place of the one that is pinned here, for
// whoever rotated it. A trust file elsewhere is the person's own to change.
func (a *app) repin(origin string, key evidence.VKey) error {
	policy, path, err := a.policyFor(origin)
	if err != nil || policy == nil || policy.Trusts(key) {
		return err
	}
	if path != a.dirs.TrustPath(origin) {
		a.term.Notef("%s names the old key; put this one there: %s", path, key)
		return nil
	}
	if err := a.dirs.PinTrust(origin, []byte(withLogKey(policy, key).String()), true); err != nil {
		return err
	}
	a.term.Notef("the new key is pinned here; whoever pinned the old one follows to it, and `stele trust export` writes it")
	return nil
}
