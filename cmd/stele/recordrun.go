package main

import "github.com/spf13/cobra"

func (a *app) recordRunCommand() *cobra.Command {
	return &cobra.Command{Use: "run --input NAME@VERSION --output NAME@VERSION", Short: "Record a run that was not wrapped"}
}
