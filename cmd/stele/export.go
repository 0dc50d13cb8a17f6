package main

import "github.com/spf13/cobra"

func (a *app) exportCommand() *cobra.Command {
	return family(&cobra.Command{
		Use:   "export",
		Short: "Write what other tools read: a model signature, provenance",
		Long: `Writes what other people's tools read and check:

  oms      an OpenSSF model signature over a stamped model
  intoto   the signed runs behind an artifact, as in-toto statements
  tiles    the whole log as files, for any C2SP client

The ledger is not changed. What it adds (when, in which order, whether the key
stood, what was withdrawn) is in neither of the first two: ` + "`stele prove`" + ` has it.`,
	}, a.exportOMS(), a.exportInToto(), a.exportTiles())
}
