// Command contracts measures what contracts cost, and prints Markdown tables:
//
//	documents   compiling a ready contract, and running its own tests
//	admission   statements of each kind with five ready contracts in force and
//	            with none, their signatures left out; releases into a stage that
//	            holds 1, 10 and 100 artifacts
//	ancestors   a rule that looks at every ancestor's standing, by their number
//	gate        what a release of an artifact with a large lineage would meet: in
//	            process, and as a whole process
//
// All of it with one command, from the root of the repository:
//
//	go run ./bench/contracts                     a minute or two, 100 MB of disk
//	go run ./bench/contracts -rounds 3 -ancestors 10,100 -gate 100
//
// Figures are medians of rounds. Admission is of blocks of -block statements on
// a ledger in memory, from the envelope's bytes to the root, and nothing is
// committed; so the only thing that is not in it is what the disk takes.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/stele-ml/stele/bench/stopwatch"
	"github.com/stele-ml/stele/contracts"
	"github.com/stele-ml/stele/internal/draft"
)

// five are the contracts in force: one that is about stamps too, and all of them
// about releases to production.
var five = []string{"inputs-clean", "licence", "metrics-floor", "separation-of-duty", "two-approvals"}

type bench struct {
	rounds, block   int
	ancestors, gate []int
	stele, dir      string
	documents       map[string][]byte // canonical, by name
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := command(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "contracts:", err)
		os.Exit(1)
	}
}

func command(ctx context.Context) (err error) {
	var b bench
	flag.IntVar(&b.rounds, "rounds", 9, "how often each is measured")
	flag.IntVar(&b.block, "block", 100, "statements of a block")
	ancestors := flag.String("ancestors", "10,100,1000,9999", "`numbers` of ancestors that a rule looks at")
	gate := flag.String("gate", "10,100,1000", "`sizes` of the lineages before the gate, in artifacts")
	flag.StringVar(&b.stele, "stele", "", "the `program` to run (default: it is built)")
	flag.Parse()
	for text, list := range map[*string]*[]int{ancestors: &b.ancestors, gate: &b.gate} {
		if *list, err = numbers(*text); err != nil {
			return err
		}
	}
	if flag.NArg() > 0 || b.rounds < 1 || b.block < 1 {
		return fmt.Errorf("no arguments are taken, and at least one round of one statement")
	}
	if b.dir, err = os.MkdirTemp("", "stele-contracts-"); err != nil {
		return err
	}
	defer os.RemoveAll(b.dir)
	return b.run(ctx)
}

func numbers(text string) (list []int, err error) {
	for _, t := range strings.Split(text, ",") {
		n, err := strconv.Atoi(t)
		if err != nil || n < 2 {
			return nil, fmt.Errorf("%q is no number of at least 2", t)
		}
		list = append(list, n)
	}
	return list, nil
}

func (b *bench) run(ctx context.Context) error {
	if b.stele == "" {
		b.stele = filepath.Join(b.dir, "stele")
		build := exec.CommandContext(ctx, "go", "build", "-o", b.stele, "./cmd/stele")
		build.Stderr = os.Stderr
		if err := build.Run(); err != nil {
			return fmt.Errorf("build ./cmd/stele (run this from the root of the repository): %w", err)
		}
	}
	b.documents = map[string][]byte{}
	for _, name := range contracts.Names() {
		text, _, err := contracts.Read(name)
		if err != nil {
			return err
		}
		d, err := draft.Read(text)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		b.documents[name] = d.Document
	}
	raw, err := stopwatch.Signature()
	if err != nil {
		return err
	}
	fmt.Printf("%s; medians of %d rounds; one P-256 signature checks in %s\n\n", stopwatch.Machine(), b.rounds, stopwatch.Short(raw))
	for _, measure := range []func(context.Context) (*stopwatch.Table, error){b.compile, b.admission, b.ancestry, b.gates} {
		t, err := measure(ctx)
		if err != nil {
			return err
		}
		t.Print(os.Stdout)
	}
	return nil
}
