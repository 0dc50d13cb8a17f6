package main

import (
	"io"

	"github.com/spf13/cobra"

	"github.com/stele-ml/stele/internal/demo"
)

// demoSteps are the programs whose runs the demo records. They are hidden:
// nobody else needs them.
func (a *app) demoSteps() []*cobra.Command {
	step := func(use, short string, program func(from, to string, out io.Writer) error) *cobra.Command {
		return &cobra.Command{
			Use: use, Short: short, Hidden: true, Args: cobra.ExactArgs(2),
			RunE: func(_ *cobra.Command, args []string) error { return program(args[0], args[1], a.stdout) },
		}
	}
	return []*cobra.Command{
		step("demo-split DATA PARTS", "Split the demo's table into rows to train on and rows held out", demo.Split),
		step("demo-train ROWS MODEL", "Train the demo's model", demo.Train),
		step("demo-evaluate MODEL ROWS", "Measure the demo's model", demo.Evaluate),
	}
}
