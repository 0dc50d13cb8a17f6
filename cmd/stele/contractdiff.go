package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/stele-ml/stele/cmd/stele/jsonv1"
	"github.com/stele-ml/stele/contract"
	"github.com/stele-ml/stele/internal/terminal"
)

func (a *app) contractDiff() *cobra.Command {
	var exitCode bool
	c := &cobra.Command{
		Use:   "diff A [B]",
		Short: "Show what changed between two contracts, part by part",
		Long: `A and B are each a file, NAME@VERSION of this ledger, or NAME: its version in
force. With a file alone, it is held against the version in force of its name.
Changes are shown by what they change, and not as lines of text.`,
		Example: `  stele contract diff production.yaml
  stele contract diff production@2 production@3
  stele contract diff production ./production.yaml --exit-code`,
		Args: cobra.RangeArgs(1, 2),
		RunE: func(c *cobra.Command, args []string) error {
			out, err := a.diffContracts(c.Context(), args)
			if err != nil {
				return err
			}
			if a.json {
				a.printJSON(out)
			} else {
				a.printContractDiff(out)
			}
			if exitCode && !out.Same {
				return verdictError{exitTampered}
			}
			return nil
		},
	}
	c.Flags().BoolVar(&exitCode, "exit-code", false, "end with status 3 where the two differ")
	return c
}

// contractSide is one side of a comparison.
type contractSide struct {
	name     string
	document []byte
}

func (a *app) diffContracts(ctx context.Context, args []string) (*jsonv1.ContractDiff, error) {
	var sides []contractSide
	if len(args) == 1 {
		d, err := readContract(args[0])
		if err != nil {
			return nil, err
		}
		old, err := a.contractOn(ctx, d.Name())
		if err != nil {
			return nil, err
		}
		sides = []contractSide{old, d.side()}
	}
	for _, arg := range args[:len(args)&^1] { // both, or none
		side, err := a.contractSide(ctx, arg)
		if err != nil {
			return nil, err
		}
		sides = append(sides, side)
	}
	changes, err := contractChanges(sides[0].document, sides[1].document)
	if err != nil {
		return nil, err
	}
	return &jsonv1.ContractDiff{
		A: sides[0].name, B: sides[1].name, Same: bytes.Equal(sides[0].document, sides[1].document), Changes: changes,
	}, nil
}

func (d *drafted) side() contractSide {
	return contractSide{d.ID() + " (" + d.path + ")", d.draft.Document}
}

// contractSide is what a person names: a file, if there is one or it is written
// like one, or a contract of the ledger.
func (a *app) contractSide(ctx context.Context, arg string) (contractSide, error) {
	info, err := os.Stat(arg)
	isFile := err == nil && info.Mode().IsRegular() || filepath.IsAbs(arg) || strings.HasPrefix(arg, ".") ||
		slices.Contains([]string{".yaml", ".yml", ".json"}, filepath.Ext(arg))
	if !isFile {
		return a.contractOn(ctx, arg)
	}
	d, err := readContract(arg)
	if err != nil {
		return contractSide{}, err
	}
	return d.side(), nil
}

// contractOn is a contract of the ledger.
func (a *app) contractOn(ctx context.Context, text string) (side contractSide, err error) {
	name, version, err := parseContract(text)
	if err != nil {
		return side, err
	}
	err = a.read(ctx, func(r *reading) error {
		s, err := r.contractNamed(name, version)
		if err == nil {
			side = contractSide{fmt.Sprintf("%s (entry %d)", s.ID(), s.Entry), s.Document}
		}
		return err
	})
	return side, err
}

// contractChanges compares two contracts, in --json.
func contractChanges(old, now []byte) ([]jsonv1.ContractChange, error) {
	changes, err := contract.Diff(old, now)
	list := []jsonv1.ContractChange{}
	for _, c := range changes {
		list = append(list, jsonv1.ContractChange(c))
	}
	return list, err
}

func (a *app) printContractDiff(d *jsonv1.ContractDiff) {
	if a.quiet && d.Same {
		return
	}
	if d.Same {
		a.term.Printf("%s and %s are the same document\n", d.A, d.B)
		return
	}
	a.term.Printf("from %s\nto   %s\n", d.A, d.B)
	a.printContractChanges(d.Changes, true)
}

// printContractChanges shows changes, one below the other; without tests where
// only what decides is of interest.
func (a *app) printContractChanges(list []jsonv1.ContractChange, tests bool) {
	shown := 0
	var testChanges []string
	for _, c := range list {
		switch {
		case c.What == "version" || c.What == "name" && !tests:
			continue
		case c.What == "test" && !tests:
			testChanges = append(testChanges, c.Name)
			continue
		}
		shown++
		a.printContractChange(c)
	}
	testChanges = slices.Compact(testChanges)
	switch n := len(testChanges); {
	case n > 0:
		a.term.Printf("  ~ %s changed\n", countOf(n, "test"))
	case shown == 0:
		a.term.Printf("  nothing but the version\n")
	}
}

func (a *app) printContractChange(c jsonv1.ContractChange) {
	mark, style := "~", terminal.Caution
	switch c.Change {
	case "added":
		mark, style = "+", terminal.Good
	case "removed":
		mark, style = "-", terminal.Bad
	}
	head := c.What
	if c.Name != "" {
		head += " " + c.Name
	}
	if c.Part != "" {
		head += ", " + c.Part
	}
	if c.Change == "moved" {
		head += "s in another order" // of variables, rules, tests
	}
	old, now := strings.Split(strings.TrimSpace(c.Old), "\n"), strings.Split(strings.TrimSpace(c.New), "\n")
	if len(old) == 1 && len(now) == 1 && len(head)+len(c.Old)+len(c.New) < 60 {
		switch text := strings.TrimSpace(c.Old + " → " + c.New); c.Change {
		case "modified", "moved":
			a.term.Printf("  %s %s: %s\n", a.term.Style(style, mark), head, text)
		default:
			a.term.Printf("  %s %s: %s\n", a.term.Style(style, mark), head, c.Old+c.New)
		}
		return
	}
	a.term.Printf("  %s %s\n", a.term.Style(style, mark), head)
	for _, line := range old {
		if c.Old != "" {
			a.term.Printf("      - %s\n", line)
		}
	}
	for _, line := range now {
		if c.New != "" {
			a.term.Printf("      + %s\n", line)
		}
	}
}
