// Command objects measures Stele on data in S3, and prints Markdown tables:
//
//	scan       the fingerprint of one object of 4 GiB and of 20,000 of 16 KiB,
//	           beside the SDK that it reads with, which does nothing but read,
//	           and beside rclone
//	audit      audits of both sets at three confidences, beside the whole scan
//	resume     a scan of 32 objects of 128 MiB, and one of the small objects:
//	           what it costs to note how far it has come, and what the next run
//	           reads when the first is killed half way
//	unchanged  a scan that takes over what has not changed: a million small
//	           files on the disk, and the small objects by ETag and by version
//
// All of it with one command, from the root of the repository:
//
//	go run ./bench/objects                       some quarter of an hour, 6 GB of disk
//	go run ./bench/objects -run audit,resume     these alone
//	go run ./bench/objects -rclone PATH -rounds 5
//	go run ./bench/objects -large 0.25 -small 2000 -several 4 -files 20000 -rounds 1
//
// What is under way is said on the standard error. The data lies in the folder
// for temporary files ($TMPDIR) and goes at the end, after an interrupt too.
//
// The store is versitygw on loopback (./test tools installs it), which shares
// the cores with whoever reads: what counts is the ratio. Every reader is a
// process of its own, timed from its start to its end; the readers of one table
// take turns, after one round that is not counted and warms the page cache, and
// medians are compared. Ours and the SDK's have as many requests under way, of
// the same length. rclone is left out, and that is said, if it is not installed.
//
// Bytes read are those of the bodies that came; requests are for objects, ranges
// and pages of listings. What a killed scan had read is known to the MiB. A range
// in every request may be under way when it is killed: 256 MiB, which are read
// again. Of a set that is not much larger, nothing is left to go on from.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"

	"github.com/stele-ml/stele/internal/source/bucket"
	"github.com/stele-ml/stele/internal/source/storetest"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := command(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

// childWord is the first argument of the processes that this program starts of
// itself.
const childWord = "child"

// allParts in the order in which they are run.
var allParts = []string{"scan", "audit", "resume", "unchanged"}

func command(ctx context.Context) error {
	if len(os.Args) > 1 && os.Args[1] == childWord {
		return runChild(ctx, os.Args[2:])
	}
	b := &bench{}
	var (
		parts   = flag.String("run", strings.Join(allParts, ","), "which `PARTS` to run")
		large   = flag.Float64("large", 4, "`GiB` of the large object")
		small   = flag.Int("small", 20_000, "how many objects of 16 KiB")
		several = flag.Int("several", 32, "how many objects of 128 MiB")
	)
	flag.IntVar(&b.files, "files", 1_000_000, "how many files on the disk")
	flag.IntVar(&b.rounds, "rounds", 3, "how often each reader runs")
	flag.IntVar(&b.requests, "requests", bucket.DefaultRequests(), "how many requests are under way at once")
	flag.StringVar(&b.rclone, "rclone", "rclone", "`PATH` of rclone")
	flag.Parse()
	b.parts = strings.Split(*parts, ",")
	for _, p := range b.parts {
		if !slices.Contains(allParts, p) {
			return fmt.Errorf("-run %s: the parts are %s", p, strings.Join(allParts, ", "))
		}
	}
	if flag.NArg() > 0 || b.rounds < 1 || b.requests < 1 {
		return fmt.Errorf("no arguments are taken, and at least one round and one request")
	}
	b.large = &set{name: fmt.Sprintf("one object of %.3g GiB", *large), bucket: "large", objects: 1, size: int64(*large * (1 << 30))}
	b.small = &set{name: fmt.Sprintf("%d objects of 16 KiB", *small), bucket: "small", objects: *small, size: 16 << 10}
	b.several = &set{name: fmt.Sprintf("%d objects of 128 MiB", *several), bucket: "several", objects: *several, size: 128 << 20}
	b.versioned = &set{name: b.small.name + " in a versioned bucket", bucket: "versioned", objects: *small, size: b.small.size, versions: true}
	return b.run(ctx)
}

type bench struct {
	large, small, several, versioned *set

	parts    []string
	files    int
	rounds   int
	requests int
	rclone   string // empty if it is not installed
	self     string
	dir      string // for stamps, journals and files on the disk
}

func (b *bench) run(ctx context.Context) (err error) {
	if b.self, err = os.Executable(); err != nil {
		return err
	}
	if b.rclone, err = exec.LookPath(b.rclone); err != nil {
		b.rclone = ""
	}
	if b.dir, err = os.MkdirTemp("", "stele-bench-"); err != nil {
		return err
	}
	defer func() {
		if e := os.RemoveAll(b.dir); err == nil {
			err = e
		}
	}()
	// Links on the way are followed now: a path is one of the journals' keys.
	if b.dir, err = filepath.EvalSymlinks(b.dir); err != nil {
		return err
	}
	store, err := storetest.StartS3()
	if err != nil {
		return err
	}
	defer store.Stop()
	for _, kv := range os.Environ() { // the user's own is for another store
		if name, _, _ := strings.Cut(kv, "="); strings.HasPrefix(name, "AWS_") {
			os.Unsetenv(name)
		}
	}
	for _, kv := range store.Env() {
		name, value, _ := strings.Cut(kv, "=")
		os.Setenv(name, value)
	}
	fmt.Println(b.machine())
	run := map[string]func(context.Context) error{"scan": b.scan, "audit": b.audit, "resume": b.resume, "unchanged": b.unchanged}
	for _, p := range allParts {
		if !slices.Contains(b.parts, p) {
			continue
		}
		if err := run[p](ctx); err != nil {
			if ctx.Err() != nil {
				err = context.Cause(ctx)
			}
			return fmt.Errorf("%s: %w", p, err)
		}
	}
	return nil
}

// machine describes what this runs on, in one line for each fact.
func (b *bench) machine() string {
	facts := []string{
		fmt.Sprintf("- %s/%s, %d cores, %s", runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), runtime.Version()),
		fmt.Sprintf("- %d requests at once, ranges of %d MiB", b.requests, bucket.RangeSize>>20),
		fmt.Sprintf("- medians; rounds: %d", b.rounds),
	}
	if out, err := exec.Command(b.rclone, "version").Output(); err == nil {
		first, _, _ := strings.Cut(string(out), "\n")
		facts = append(facts, "- "+first)
	}
	return strings.Join(facts, "\n")
}
