// Command lineage measures walks over a ledger and what they prove, and prints
// Markdown tables:
//
//	walks     up with taint, taint alone, and downwards, for lineages of several
//	          shapes and sizes on ledgers of several sizes
//	evidence  the whole lineage in one file: making it, its size, and checking it
//	          offline beside the raw cost of checking as many P-256 signatures
//	commands  whole processes: `stele trace`, `stele status`, `stele show`
//	stages    what is in a stage that so many artifacts were released to
//
// All of it with one command, from the root of the repository:
//
//	go run ./bench/lineage                                    some minutes, 1 GB of disk
//	go run ./bench/lineage -artifacts 1000 -nodes 10,100 -rounds 3
//	go run ./bench/lineage -artifacts 1000 -keep DIR          and leave the ledger there
//
// A ledger is filled in blocks, unsynced, with artifacts in small pipelines of
// their own (raw data, features, a model), among which the lineages lie that are
// measured. In each of these the datum that is farthest away is withdrawn.
// Figures are medians; in one process every walk begins with nothing read.
//
//	shape        of n artifacts
//	chain        each made by a run of the one before
//	wide         runs of 99 inputs each, and one run of their outputs
//	collections  collections of ten collections of ten …
//	diamond      layers of ten, each made by a run of all ten before
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/stele-ml/stele/bench/stopwatch"
)

type bench struct {
	artifacts, nodes []int
	shapes           []string
	releases         []int
	rounds           int
	stele            string // the program
	dir              string
	keep             bool
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := command(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "lineage:", err)
		os.Exit(1)
	}
}

func command(ctx context.Context) (err error) {
	var b bench
	artifacts := flag.String("artifacts", "1000,10000,100000", "`sizes` of the ledgers, in artifacts")
	nodes := flag.String("nodes", "10,100,1000", "`sizes` of the lineages, in artifacts")
	shapes := flag.String("shapes", strings.Join(allShapes, ","), "which `shapes`")
	releases := flag.String("releases", "1,10,100,1000", "`sizes` of the stages")
	keep := flag.String("keep", "", "leave the ledgers in this `folder`, to look at")
	flag.IntVar(&b.rounds, "rounds", 5, "how often each is measured")
	flag.StringVar(&b.stele, "stele", "", "the `program` to run (default: it is built)")
	flag.Parse()
	for text, list := range map[*string]*[]int{artifacts: &b.artifacts, nodes: &b.nodes, releases: &b.releases} {
		if *list, err = numbers(*text); err != nil {
			return err
		}
	}
	b.shapes = strings.Split(*shapes, ",")
	for _, s := range b.shapes {
		if !slices.Contains(allShapes, s) {
			return fmt.Errorf("-shapes %s: the shapes are %s", s, strings.Join(allShapes, ", "))
		}
	}
	if flag.NArg() > 0 || b.rounds < 1 {
		return fmt.Errorf("no arguments are taken, and at least one round")
	}
	if b.dir, b.keep = *keep, *keep != ""; !b.keep {
		if b.dir, err = os.MkdirTemp("", "stele-lineage-"); err != nil {
			return err
		}
		defer os.RemoveAll(b.dir)
	}
	if b.dir, err = filepath.Abs(b.dir); err != nil {
		return err
	}
	return b.run(ctx)
}

func numbers(text string) (list []int, err error) {
	for _, t := range strings.Split(text, ",") {
		n, err := strconv.Atoi(t)
		if err != nil || n < 1 {
			return nil, fmt.Errorf("%q is no size", t)
		}
		list = append(list, n)
	}
	return list, nil
}

func (b *bench) run(ctx context.Context) error {
	if err := os.MkdirAll(b.dir, 0o755); err != nil {
		return err
	}
	if b.stele == "" {
		b.stele = filepath.Join(b.dir, "stele")
		build := exec.CommandContext(ctx, "go", "build", "-o", b.stele, "./cmd/stele")
		build.Stderr = os.Stderr
		if err := build.Run(); err != nil {
			return fmt.Errorf("build ./cmd/stele (run this from the root of the repository): %w", err)
		}
	}
	raw, err := stopwatch.Signature()
	if err != nil {
		return err
	}
	fmt.Printf("%s; medians of %d rounds; one P-256 signature checks in %s\n\n", stopwatch.Machine(), b.rounds, stopwatch.Short(raw))
	t := newTables(raw)
	for _, n := range b.artifacts {
		if err := b.measure(ctx, n, t); err != nil {
			return fmt.Errorf("%d artifacts: %w", n, err)
		}
	}
	t.print()
	return nil
}

// median of several runs of do.
func (b *bench) median(do func() error) (time.Duration, error) {
	return stopwatch.Median(b.rounds, do)
}
