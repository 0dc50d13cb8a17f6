package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/stele-ml/stele/internal/demo"
	"github.com/stele-ml/stele/internal/terminal"
)

func (a *app) demoCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "demo [DIR]",
		Short: "The main job on real data, as a story; touches nothing of yours",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			self, err := os.Executable()
			if err != nil {
				return err
			}
			var dir string
			if len(args) == 1 {
				dir, err = filepath.Abs(args[0])
			} else {
				dir, err = os.MkdirTemp("", "stele-demo-")
			}
			if err != nil {
				return err
			}
			if a.json || a.quiet {
				return usagef("the demo is for reading; it has no --json and no --quiet")
			}
			story := &demo.Story{
				Stele: self, Dir: dir, Out: a.stdout, Env: os.Environ(),
				Style: func(style, text string) string {
					return fmt.Sprint(a.term.Style(map[string]terminal.Style{
						"command": terminal.Accent, "title": terminal.Bold, "dim": terminal.Dim}[style], text))
				},
			}
			return story.Tell(c.Context())
		},
	}
}
