package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/internal/account"
	"github.com/stele-ml/stele/statement"
)

func (a *app) contractLift() *cobra.Command {
	o := contractOrder{action: statement.ContractLift}
	c := &cobra.Command{
		Use:   "lift NAME[@VERSION]",
		Short: "End a contract: from the next entry on it refuses nothing",
		Long: `Ends the version of a contract that is in force; no earlier one takes its place.
Where several are in force, because a signer has fallen, each is lifted by its
version. An administrator may lift one, unless a contract in force refuses it.

The recovery key may, too, and nothing that it signs meets a rule: this is the
way back from a contract that locks everybody out. --key takes the file that it
was written to, which nobody else may be able to read: copy it from a USB stick
first (install -m 600).`,
		Example: `  stele contract lift production --reason 'replaced by fraud-production'
  stele contract lift production --key ./recovery.pem`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			name, version, err := parseContract(args[0])
			if err != nil {
				return err
			}
			if err := checkReason(o.reason); err != nil {
				return err
			}
			var said *statement.Contract
			err = a.read(c.Context(), func(r *reading) error {
				said, err = r.toLift(name, version)
				return err
			})
			if err != nil {
				return err
			}
			said.Reason = o.reason
			return a.enact(c.Context(), &enacting{order: &o, said: said})
		},
	}
	o.register(c)
	c.Flags().StringVar(&o.reason, "reason", "", "one line, public and for ever")
	return c
}

// parseContract reads NAME or NAME@VERSION; version 0: none is given.
func parseContract(text string) (name string, version uint64, err error) {
	name, number, given := strings.Cut(text, "@")
	if err := statement.CheckName(name); err != nil {
		return "", 0, usagef("%v", err)
	}
	if !given {
		return name, 0, nil
	}
	if name, version = splitContract(text); version == 0 || statement.ContractID(name, version) != text {
		return "", 0, usagef("%q is no version of a contract: want a number from 1, not %q", text, number)
	}
	return name, version, nil
}

// toLift is the version to be lifted: the one that is named, or the only one in
// force.
func (r *reading) toLift(name string, version uint64) (*statement.Contract, error) {
	list := r.inForceOf(name)
	var found []evidence.ContractEntry
	for _, e := range list {
		if version == 0 || e.Version == version {
			found = append(found, e)
		}
	}
	switch len(found) {
	case 1:
		e := found[0]
		return &statement.Contract{Action: statement.ContractLift, Name: e.Name, Version: e.Version, Digest: e.Digest}, nil
	case 0:
		if len(list) > 0 {
			return nil, failf(exitNotFound, "%s is not in force; %s is", statement.ContractID(name, version), idsText(list))
		}
		return nil, r.noContract(name)
	}
	return nil, usagef("of %s there are %s in force", name, idsText(found)).withHint("name one: `stele contract lift " + found[0].ID() + "`")
}

func idsText(list []evidence.ContractEntry) string {
	var ids []string
	for i := range list {
		ids = append(ids, list[i].ID())
	}
	return strings.Join(ids, ", ")
}

// noContract says that no contract of a name is in force, and what became of it,
// or which may be meant.
func (r *reading) noContract(name string) error {
	f := failf(exitNotFound, "no contract %q is in force on this ledger", name).withHint("`stele contract list` lists them")
	list := r.Control.Contracts()
	for i := len(list) - 1; i >= 0; i-- {
		if e := &list[i]; e.Name == name && e.Action != statement.ContractLift {
			s := r.contractStateOf(e)
			became := s.state + orNothing(": ", s.why)
			if s.ended != nil {
				became = s.state + " " + s.why
			}
			return failf(exitNotFound, "no version of %s is in force: %s is %s", name, e.ID(), became).
				withHint(fmt.Sprintf("`stele contract show %s` shows it, `stele contract list --all` every version", e.ID()))
		}
	}
	for _, e := range r.Control.ContractsInForce() {
		if account.Nearly(name, e.Name) {
			f.hint = "did you mean " + e.Name + "?"
		}
	}
	return f
}
