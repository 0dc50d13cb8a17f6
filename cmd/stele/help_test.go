package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// everyCommand calls fn for all commands that a person may find.
func everyCommand(a *app, fn func(c *cobra.Command)) {
	root := a.command()
	root.InitDefaultHelpFlag()
	root.InitDefaultHelpCmd()
	var visit func(c *cobra.Command)
	visit = func(c *cobra.Command) {
		fn(c)
		for _, sub := range c.Commands() {
			visit(sub)
		}
	}
	visit(root)
}

// TestHelpFits: every help is there, and fits a terminal of 80 columns.
func TestHelpFits(t *testing.T) {
	var out bytes.Buffer
	a := newApp(strings.NewReader(""), &out, &out, func(string) string { return "" })
	everyCommand(a, func(c *cobra.Command) {
		out.Reset()
		if err := c.Help(); err != nil {
			t.Fatal(err)
		}
		if c.Short == "" || c.Runnable() && !c.HasSubCommands() && c.Name() != "help" && !strings.Contains(out.String(), "Usage:") {
			t.Errorf("%s has no help", c.CommandPath())
		}
		for line := range strings.Lines(out.String()) {
			if line = strings.TrimSuffix(line, "\n"); utf8.RuneCountInString(line) > 80 {
				t.Errorf("%s --help: %d columns: %s", c.CommandPath(), utf8.RuneCountInString(line), line)
			}
			if strings.ContainsRune(line, '\t') {
				t.Errorf("%s --help: a tab: %q", c.CommandPath(), line)
			}
		}
	})
}

// TestManualNamesEverything: docs/command-line.md names every command and every
// flag, and none that there is not.
func TestManualNamesEverything(t *testing.T) {
	data, err := os.ReadFile(filepath.Join("..", "..", "docs", "command-line.md"))
	if err != nil {
		t.Fatal(err)
	}
	manual := string(data)
	named := map[string]bool{}
	for _, m := range regexp.MustCompile(`--([a-z][a-z0-9-]*)`).FindAllStringSubmatch(manual, -1) {
		named[m[1]] = true
	}
	there := map[string]bool{"help": true, "version": true}
	a := newApp(strings.NewReader(""), new(bytes.Buffer), new(bytes.Buffer), func(string) string { return "" })
	everyCommand(a, func(c *cobra.Command) {
		if path := strings.TrimPrefix(c.CommandPath(), "stele "); !c.Hidden && c.HasParent() && c.Name() != "help" && !strings.Contains(manual, path) {
			t.Errorf("the manual does not name `stele %s`", path)
		}
		c.LocalFlags().VisitAll(func(f *pflag.Flag) {
			there[f.Name] = true
			if f.Name != "help" && f.Name != "version" && !c.Hidden && !named[f.Name] {
				t.Errorf("the manual does not name --%s of `%s`", f.Name, c.CommandPath())
			}
		})
	})
	// What other programs take, in the manual's examples.
	for _, other := range []string{"epochs", "password", "api-key"} {
		there[other] = true
	}
	for name := range named {
		if !there[name] {
			t.Errorf("the manual names --%s, which no command has", name)
		}
	}
}
