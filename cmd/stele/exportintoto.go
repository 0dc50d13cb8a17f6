package main

import "github.com/spf13/cobra"

func (a *app) exportInToto() *cobra.Command { return &cobra.Command{Use: "intoto"} }
