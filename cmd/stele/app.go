package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/stele-ml/stele/internal/home"
	"github.com/stele-ml/stele/internal/memory"
	"github.com/stele-ml/stele/internal/process"
	"github.com/stele-ml/stele/internal/terminal"
	"github.com/stele-ml/stele/statement"
)

// app is what all verbs share: the streams, the person's directories and the
// flags every command takes.
type app struct {
	stdin  io.Reader
	stdout *checked
	stderr io.Writer
	term   *terminal.Terminal
	getenv func(string) string
	now    func() time.Time

	json, quiet    bool
	ledgerFlag     string
	tokenFlag      string
	keyFlag        string
	trustFlag      string
	adopt          bool
	wait           string                        // "cosigned", or empty
	spool          bool                          // keep what no server took
	unsent         unsent                        // for that
	again          bool                          // this is a login of its own: see loginAgain
	waitTimeout    time.Duration                 // for that
	mirrorOf       map[statement.LedgerID]string // of a server that says that it is a mirror: whose
	toldConflict   string                        // the last file of two checkpoints that was told of
	askedWitnesses bool                          // for what was written
	unwitnessed    error                         // what was to be cosigned was not

	// rememberAfter is after how many bytes a scan begins to note what it has
	// read; 0: when it takes long. Only tests set it.
	rememberAfter uint64
	// looked is called between the look at the ledger and the signature of what
	// was decided. Only tests set it.
	looked func()
	// become makes this process another command: process.Replace. Only tests set
	// it to something else.
	become func(context.Context, process.Command) error

	dirs         home.Dirs
	memory       *memory.Memory
	printedJSON  bool    // an object was printed already; a failure goes to standard error alone
	resumable    bool    // what was read before an interruption is remembered
	announced    *uint64 // the entry of an audit that is announced and has not ended
	newest       bool    // what is read is the newest, cosigned or not: see readNewest
	toldCosigned bool    // that a reading is not of the newest entries
	servers      *servers
	ran          bool // another command was run: an interruption was its own
}

func newApp(stdin io.Reader, stdout, stderr io.Writer, getenv func(string) string) *app {
	return &app{stdin: stdin, stdout: &checked{w: stdout}, stderr: stderr, term: terminal.New(stdin, stdout, stderr, getenv), getenv: getenv, now: time.Now, servers: newServers(), become: process.Replace}
}

// livesIn says where the person's own directories are.
func (a *app) livesIn(dirs home.Dirs) {
	a.dirs, a.memory = dirs, memory.Of(dirs, a.pairKept)
}

// pairKept tells of two checkpoints that convict a log.
func (a *app) pairKept(path string, err error) {
	if err != nil {
		a.term.Warnf("the two checkpoints were not kept: %v", err)
		return
	}
	if a.toldConflict != path {
		a.toldConflict = path
		a.term.Warnf("both checkpoints are kept in %s", path)
	}
}

func init() { cobra.EnableCommandSorting = false } // the order of a day's work; cobra has it for all commands

// command builds the tree of verbs, in the order of a day's work.
func (a *app) command() *cobra.Command {
	root := &cobra.Command{
		Use:   "stele",
		Short: "A ledger that machine-learning teams cannot quietly rewrite",
		Long: `Stele is a ledger that machine-learning teams cannot quietly rewrite.

The data stays where it is. Its fingerprint, who stamped it and when go into
an append-only Merkle log; anybody can check any of it later, offline.`,
		Version:       version,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usagef("there is no command %q", args[0]).withHint("`stele --help` lists the commands")
			}
			return nil
		},
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
		PersistentPreRunE: func(c *cobra.Command, _ []string) error {
			a.newest = readNewest[strings.TrimPrefix(c.CommandPath(), "stele ")]
			a.term.SetQuiet(a.quiet || a.json)
			dirs, err := home.Find(a.getenv)
			a.livesIn(dirs)
			return err
		},
	}
	root.SetVersionTemplate("stele {{.Version}}\n")
	root.SetOut(a.stdout)
	f := root.PersistentFlags()
	f.StringVar(&a.ledgerFlag, "ledger", "", "the ledger's `directory`, or its server's https address (default $STELE_LEDGER, then the nearest .stele upward)")
	f.StringVar(&a.tokenFlag, "token-file", "", "a `file` with the token for the ledger's server (default $STELE_TOKEN, then what is kept for its host)")
	f.StringVar(&a.keyFlag, "key", "", "`key` that signs: a name, a file, or ssh-agent[:COMMENT] (default $STELE_KEY, then \"default\")")
	f.StringVar(&a.trustFlag, "trust", "", "trust `file`, a tlog-policy (default $STELE_TRUST, then what is pinned here)")
	f.BoolVar(&a.json, "json", false, "print JSON: one object, or one a line for lists")
	f.BoolVar(&a.adopt, "adopt", false, "go on with a ledger whose guard is missing here, as it is")
	f.BoolVar(&a.spool, "spool", false, "where the server does not answer, keep what was signed for 'stele push'")
	f.StringVar(&a.wait, "wait", "", "\"cosigned\": what is written is told once the quorum of witnesses has cosigned it")
	f.DurationVar(&a.waitTimeout, "wait-timeout", defaultWaitTimeout, "how long --wait waits, for example 1m")
	f.BoolVarP(&a.quiet, "quiet", "q", false, "say nothing where all is well: no notes, no progress, no receipts")
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		var known *failure // a flag's own words
		if errors.As(err, &known) {
			return known
		}
		return usagef("%v", err).withHint(fmt.Sprintf("`%s --help` lists the flags", c.CommandPath()))
	})
	root.SetUsageTemplate(usageTemplate(root.UsageTemplate()))
	root.SetHelpCommandGroupID("keep")
	root.CompletionOptions.HiddenDefaultCmd = true
	root.AddGroup(
		&cobra.Group{ID: "work", Title: "Stamp and check:"},
		&cobra.Group{ID: "look", Title: "Look at the ledger:"},
		&cobra.Group{ID: "keep", Title: "Keep it:"},
	)
	add := func(group string, cmds ...*cobra.Command) {
		for _, c := range cmds {
			c.GroupID = group
			root.AddCommand(c)
		}
	}
	add("work", a.initCommand(), a.fingerprintCommand(), a.stampCommand(), a.verifyCommand(), a.auditCommand(), a.diffCommand(),
		a.runCommand(), a.recordCommand(),
		a.approveCommand(), a.gateCommand(), a.releaseCommand(), a.rollbackCommand(), a.guardCommand(),
		a.proveCommand(), a.withdrawCommand(), a.reinstateCommand())
	add("look", a.statusCommand(), a.listCommand(), a.logCommand(), a.showCommand(), a.traceCommand(), a.manifestCommand())
	add("keep", a.contractCommand(), a.exportCommand(), a.importCommand(), a.adoptCommand(), a.keyCommand(), a.loginCommand(), a.pushCommand(), a.trustCommand(), a.fsckCommand(), a.serveCommand(), a.tokenCommand(), a.mirrorCommand(), a.restoreCommand(), a.witnessCommand(), a.cosignCommand(), a.monitorCommand(), a.demoCommand())
	add("keep", a.demoSteps()...)
	explainArguments(root)
	return root
}

// family is a command that only has others below it.
func family(c *cobra.Command, members ...*cobra.Command) *cobra.Command {
	c.Args = cobra.NoArgs
	c.RunE = func(c *cobra.Command, _ []string) error { return c.Help() }
	c.AddCommand(members...)
	return c
}

// usageTemplate is cobra's, with flags wrapped for a terminal of 80 columns.
func usageTemplate(text string) string {
	return strings.ReplaceAll(text, "Flags.FlagUsages ", "Flags.FlagUsagesWrapped 80 ")
}

// explainArguments turns cobra's complaints about arguments into usage
// errors that show the line as it should be.
func explainArguments(c *cobra.Command) {
	for _, sub := range c.Commands() {
		if check := sub.Args; check != nil {
			line := sub.UseLine()
			sub.Args = func(c *cobra.Command, args []string) error {
				if slices.Contains(args, "") { // an unset variable, and never the current folder
					hint := "usage: " + strings.TrimSuffix(line, " [flags]")
					if strings.Contains(line, "PATH") {
						hint += "; `.` means this folder"
					}
					return usagef("an argument is empty").withHint(hint)
				}
				if check(c, args) != nil {
					return countArguments(c, check, args).withHint("usage: " + strings.TrimSuffix(line, " [flags]"))
				}
				return nil
			}
		}
		explainArguments(sub)
	}
}

// countArguments says which argument is one too many for a command, or that one
// is missing.
func countArguments(c *cobra.Command, check cobra.PositionalArgs, args []string) *failure {
	if len(args) > 0 && c.HasSubCommands() {
		return usagef("%s has no command %q", c.CommandPath(), args[0])
	}
	for n := len(args) - 1; n >= 0; n-- {
		if check(c, args[:n]) == nil {
			return usagef("%s takes no further argument: %q", c.CommandPath(), args[n])
		}
	}
	return usagef("%s: an argument is missing", c.CommandPath())
}
