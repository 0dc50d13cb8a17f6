package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"github.com/stele-ml/stele/cmd/stele/jsonv1"
	"github.com/stele-ml/stele/contract"
	"github.com/stele-ml/stele/contracts"
	"github.com/stele-ml/stele/internal/account"
	"github.com/stele-ml/stele/internal/draft"
	"github.com/stele-ml/stele/internal/terminal"
)

func (a *app) contractNew() *cobra.Command {
	var out string
	c := &cobra.Command{
		Use:   "new [NAME]",
		Short: "Write a ready contract to a file; without NAME, list them",
		Long: `Writes a ready contract, with its tests, to NAME.yaml or where -o says. Read
what it is about and what its parameters are, change them, and test it. Each has
a page that says what it does not see: contracts/ in the source.`,
		Example: "  stele contract new\n  stele contract new two-approvals -o production.yaml",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				if out != "" {
					return usagef("-o: say which contract to write").withHint("`stele contract new` lists them")
				}
				return a.listTemplates()
			}
			return a.newContract(args[0], out)
		},
	}
	c.Flags().StringVarP(&out, "output", "o", "", "the `file` to write (default NAME.yaml); - is standard output")
	return c
}

// template reads a ready contract.
func template(name string) (text []byte, item jsonv1.ContractTemplate, err error) {
	text, _, err = contracts.Read(name)
	if err != nil {
		return nil, item, err
	}
	d, err := draft.Read(text)
	if err != nil {
		return nil, item, fmt.Errorf("the ready contract %s: %w", name, err)
	}
	doc, err := contract.ParseDocument(d.Document)
	if err != nil {
		return nil, item, fmt.Errorf("the ready contract %s: %w", name, err)
	}
	return text, jsonv1.ContractTemplate{Name: name, Description: doc.Description, About: about(&doc.Match)}, nil
}

func (a *app) listTemplates() error {
	var pairs []terminal.Pair
	for _, name := range contracts.Names() {
		_, item, err := template(name)
		if err != nil {
			return err
		}
		if a.json {
			a.printJSON(item)
			continue
		}
		pairs = append(pairs, terminal.Pair{Key: name, Value: item.Description})
	}
	if !a.json {
		a.term.KeyValues(pairs)
		a.term.Notef("`stele contract new NAME` writes one to a file")
	}
	return nil
}

func (a *app) newContract(name, out string) error {
	text, item, err := template(name)
	if errors.Is(err, fs.ErrNotExist) {
		f := failf(exitNotFound, "there is no ready contract %q", name).withHint("`stele contract new` lists them")
		for _, other := range contracts.Names() {
			if account.Nearly(name, other) {
				f.hint = "did you mean " + other + "?"
			}
		}
		return f
	}
	if err != nil {
		return err
	}
	if out == "-" {
		if err := a.checkOut(out); err != nil {
			return err
		}
		return a.writeOut(out, text)
	}
	if out == "" {
		out = name + ".yaml"
	}
	f, err := os.OpenFile(out, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return failf(exitError, "%s is there already", out).withPath(out).withHint("-o names another file; nothing is overwritten")
	}
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return err
	}
	item.File = out
	switch {
	case a.json:
		a.printJSON(item)
	case !a.quiet:
		a.term.Printf("wrote %s\n", a.term.Style(terminal.Good, out))
		a.term.KeyValues([]terminal.Pair{{Key: "description", Value: item.Description}, {Key: "about", Value: item.About}})
		a.term.Notef("edit it, then `stele contract test %s`", out)
	}
	return nil
}
