// Append measures how fast entries become durable and published: Stele's
// embedded engine, which checks a signature and every rule and keeps an index,
// beside Tessera's POSIX appender, which does neither. Both run in one process,
// in turn, several rounds, each time into a fresh directory; the figures are
// medians.
//
//	go run . [-rounds 5] [-time 3s] [-dir /some/disk]
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"runtime"
	"runtime/pprof"
	"slices"
	"strings"
	"time"
)

var (
	rounds   = flag.Int("rounds", 5, "rounds; in each, every row is run once")
	duration = flag.Duration("time", 3*time.Second, "length of each run")
	base     = flag.String("dir", os.TempDir(), "directory on the disk to measure")
	profile  = flag.String("cpuprofile", "", "write a processor profile of the runs to this file")
	only     = flag.String("only", "", "run only rows whose name contains this")
	writers  = flag.String("writers", "64,256,2048", "numbers of concurrent writers")
)

// row is one thing that is measured: entries a second with that many writers.
type row struct {
	name    string
	writers int
	run     func(ctx context.Context, dir string, writers int) (perSecond float64, err error)
	results []float64
	cpu     []float64 // processor time an entry, in microseconds
}

func main() {
	flag.Parse()
	if err := run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "append:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	fixtures, err := newFixtures(*duration)
	if err != nil {
		return err
	}
	var rows []*row
	for _, text := range strings.Split(*writers, ",") {
		var n int
		if _, err := fmt.Sscan(text, &n); err != nil {
			return fmt.Errorf("-writers: %w", err)
		}
		for _, r := range []row{
			{name: "stele, P-256", run: fixtures.stele("p256", false)},
			{name: "stele, Ed25519", run: fixtures.stele("ed25519", false)},
			{name: "stele, signatures checked before", run: fixtures.stele("p256", true)},
			{name: "tessera, published", run: fixtures.tessera(true)},
			{name: "tessera, integrated, not yet published", run: fixtures.tessera(false)},
		} {
			r.writers = n
			rows = append(rows, &r)
		}
	}
	rows = append(rows, &row{name: "stele, replay in blocks, signatures checked before", writers: 1, run: fixtures.replay()})
	rows = slices.DeleteFunc(rows, func(r *row) bool { return !strings.Contains(r.name, *only) })
	if *profile != "" {
		f, err := os.Create(*profile)
		if err != nil {
			return err
		}
		defer f.Close()
		if err := pprof.StartCPUProfile(f); err != nil {
			return err
		}
		defer pprof.StopCPUProfile()
	}
	for round := range *rounds {
		for i := range rows {
			r := rows[(i+round)%len(rows)] // no row is always first
			before := processorTime()
			rate, err := inFreshDir(ctx, r)
			if err != nil {
				return fmt.Errorf("%s, %d writers: %w", r.name, r.writers, err)
			}
			r.results = append(r.results, rate)
			r.cpu = append(r.cpu, float64((processorTime()-before).Microseconds())/(rate*duration.Seconds()))
			fmt.Fprintf(os.Stderr, "round %d: %-52s %5d writers %9.0f/s\n", round+1, r.name, r.writers, rate)
		}
	}
	report(rows, fixtures)
	if strings.Contains("latency", *only) {
		return fixtures.latency(ctx)
	}
	return nil
}

func inFreshDir(ctx context.Context, r *row) (float64, error) {
	dir, err := os.MkdirTemp(*base, "append-")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	runtime.GC()
	return r.run(ctx, dir, r.writers)
}

func median(v []float64) float64 {
	v = slices.Sorted(slices.Values(v))
	return v[len(v)/2]
}

// report prints the table: each row against Tessera's best with as many
// writers.
func report(rows []*row, f *fixtures) {
	fmt.Printf("%s %s/%s, %d CPUs; %d rounds of %s; entries of %d bytes; %s\n\n",
		runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), *rounds, *duration, f.leaf, machine())
	fmt.Println("| what | writers | entries/s (median) | lowest – highest | × tessera published | × tessera integrated | processor µs an entry |")
	fmt.Println("|---|---|---|---|---|---|---|")
	peer := func(name string, writers int) float64 {
		for _, r := range rows {
			if r.name == name && (r.writers == writers || writers == 1 && r.writers >= 2048) {
				return median(r.results)
			}
		}
		return 0
	}
	ratio := func(a, b float64) string {
		if b == 0 {
			return "–"
		}
		return fmt.Sprintf("%.2f", a/b)
	}
	for _, r := range rows {
		m := median(r.results)
		fmt.Printf("| %s | %d | %.0f | %.0f – %.0f | %s | %s | %.0f |\n", r.name, r.writers, m,
			slices.Min(r.results), slices.Max(r.results),
			ratio(m, peer("tessera, published", r.writers)),
			ratio(m, peer("tessera, integrated, not yet published", r.writers)), median(r.cpu))
	}
	fmt.Println()
}
