package main

import "github.com/spf13/cobra"

// recordCommand is what others did, told by whoever knows: a scheduler, a
// notebook, a test.
func (a *app) recordCommand() *cobra.Command {
	return family(&cobra.Command{
		Use:   "record",
		Short: "Put on the ledger what a scheduler, a notebook or a test did",
		Long: `What was not run through ` + "`stele run`" + ` is recorded by whoever knows of it. The
ledger keeps apart what was watched and what was told.`,
	}, a.recordRunCommand(), a.recordEvaluationCommand())
}
