// Serve measures a server under load: `stele serve`, with signatures checked, five
// contracts in force and an index kept, beside Tessera's POSIX conformance server,
// which does none of that. Both run as processes of their own on loopback, in turn,
// each with a fresh directory, and are driven in two ways: by this program, which
// waits for each entry until a published checkpoint covers it, and by Tessera's
// hammer.
//
//	go run ./bench/serve [-time 10s] [-writers 64,1000] [-dir /some/disk]
//
// It builds stele from this tree, and Tessera's two programs as they were released,
// which wants the network once. Linux only: the processes are measured by /proc.
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
	"strconv"
	"strings"
	"time"
)

var (
	duration = flag.Duration("time", 10*time.Second, "length of each run")
	writers  = flag.String("writers", "64,1000", "numbers of concurrent writers")
	base     = flag.String("dir", os.TempDir(), "directory on the disk to measure")
	hammered = flag.Bool("hammer", false, "drive both with Tessera's hammer, too")
)

// tesseraVersion is what is compared with.
const tesseraVersion = "v1.0.4"

func main() {
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "serve:", err)
		os.Exit(1)
	}
}

// row is one line of the table.
type row struct {
	what      string
	writers   int
	perSecond float64
	p50, p99  time.Duration // to a published checkpoint; 0: not measured
	cpu       time.Duration // of the server, an entry
	memory    int64         // its largest resident set, in bytes
}

func run(ctx context.Context) error {
	var counts []int
	for text := range strings.SplitSeq(*writers, ",") {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			return fmt.Errorf("-writers: %q", text)
		}
		counts = append(counts, n)
	}
	dir, err := os.MkdirTemp(*base, "serve-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	bin, err := build(ctx, dir)
	if err != nil {
		return err
	}
	var rows []row
	for _, n := range counts {
		for _, measure := range []func(context.Context, programs, string, int) ([]row, error){measureStele, measureTessera} {
			fresh, err := os.MkdirTemp(dir, "run-")
			if err != nil {
				return err
			}
			more, err := measure(ctx, bin, fresh, n)
			if err != nil {
				return err
			}
			rows = append(rows, more...)
			if err := os.RemoveAll(fresh); err != nil {
				return err
			}
		}
	}
	report(rows)
	return nil
}

// programs are the paths of what was built.
type programs struct{ stele, tessera, hammer string }

func build(ctx context.Context, dir string) (programs, error) {
	p := programs{filepath.Join(dir, "stele"), filepath.Join(dir, "posix"), filepath.Join(dir, "hammer")}
	for _, args := range [][]string{
		{"build", "-o", p.stele, "github.com/stele-ml/stele/cmd/stele"},
		{"install", "github.com/transparency-dev/tessera/cmd/conformance/posix@" + tesseraVersion},
		{"install", "github.com/transparency-dev/tessera/internal/hammer@" + tesseraVersion},
	} {
		c := exec.CommandContext(ctx, "go", args...)
		c.Env = append(os.Environ(), "GOBIN="+dir)
		if out, err := c.CombinedOutput(); err != nil {
			return p, fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err, out)
		}
	}
	return p, nil
}

func report(rows []row) {
	fmt.Printf("%s %s/%s, %d CPUs, shared by server and load; runs of %s; loopback HTTP/1.1\n\n", runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), *duration)
	fmt.Println("| what | writers | a second | p50 to a published checkpoint | p99 | server's CPU each | server's memory |")
	fmt.Println("|---|---|---|---|---|---|---|")
	for _, r := range rows {
		latency := func(d time.Duration) string {
			if d == 0 {
				return "–"
			}
			return d.Round(100 * time.Microsecond).String()
		}
		fmt.Printf("| %s | %d | %.0f | %s | %s | %d µs | %d MB |\n", r.what, r.writers, r.perSecond, latency(r.p50), latency(r.p99), r.cpu.Microseconds(), r.memory>>20)
	}
}
