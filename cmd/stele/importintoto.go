package main

import "github.com/spf13/cobra"

func (a *app) importInToto() *cobra.Command { return &cobra.Command{Use: "intoto"} }
