// Serve measures servers under load: `stele serve`, with signatures checked, contracts
// that judge every entry and an index kept, without witnesses and with two; and
// Tessera's POSIX appender behind HTTP, which does none of that, with the settings of
// bench/append. Both run as processes of their own on loopback, in turn, several rounds,
// each time on a fresh directory; the figures are medians. Both answer a writer once a
// published checkpoint covers its entry, and both are driven by the same load and by
// Tessera's hammer. Then it measures what is read, and how fast a mirror catches up.
//
//	go run ./bench/serve [-rounds 3] [-time 2s] [-writers 64,1000] [-catchup 100000] [-only text] [-dir /some/disk]
//
// It is run in the module's folder. It builds stele from it, and Tessera's programs as
// they were released, which wants the network once. Linux only: the processes are
// measured by /proc.
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
	"time"

	"github.com/stele-ml/stele/bench/stopwatch"
)

var (
	rounds   = flag.Int("rounds", 3, "rounds; in each, every row is run once")
	duration = flag.Duration("time", 2*time.Second, "length of each run")
	writers  = flag.String("writers", "64,1000", "numbers of concurrent writers")
	catchup  = flag.Int("catchup", 100_000, "entries of the ledger that is read and that a mirror copies")
	only     = flag.String("only", "", "run only rows of what is written whose name contains this")
	base     = flag.String("dir", os.TempDir(), "directory on the disk to measure")
)

// tesseraVersion is what is compared with: bench/append/go.mod has the same.
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

// row is one line of a table.
type row struct {
	what    string
	writers int
	run     func(ctx context.Context, dir string, writers int) (figure, error)
	figures []figure // one a round
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
	most := int(duration.Seconds()*perSecondBound) + slices.Max(counts)
	if *catchup > 0 {
		most += *catchup
	}
	t, err := newTeam(ctx, bin, filepath.Join(dir, "team"), most)
	if err != nil {
		return err
	}
	if err := measureWrites(ctx, t, dir, counts); err != nil || *catchup <= 0 {
		return err
	}
	return measureFull(ctx, t, filepath.Join(dir, "full"))
}

// measureWrites prints the table of what is written.
func measureWrites(ctx context.Context, t *team, dir string, counts []int) error {
	var rows []*row
	for _, n := range counts {
		for _, r := range []row{
			{what: "stele serve", run: t.submitted(0, false)},
			{what: "stele serve, two witnesses", run: t.submitted(2, false)},
			{what: "stele serve, two witnesses, `wait=cosigned`", run: t.submitted(2, true)},
			{what: "Tessera", run: t.added(false)},
			{what: "Tessera, answered before it is published", run: t.added(true)},
			{what: "stele serve, by hammer", run: t.hammered},
			{what: "Tessera, by hammer", run: t.addedByHammer},
			{what: "Tessera's own server, answered before it is published", run: t.addedToStock},
		} {
			if strings.Contains(r.what, *only) {
				r.writers = n
				rows = append(rows, &r)
			}
		}
	}
	if err := interleave(ctx, rows, dir); err != nil {
		return err
	}
	fmt.Printf("%s; server and load share it; %d rounds of %s; loopback HTTP/1.1; entries of %d bytes\n", stopwatch.Machine(), *rounds, *duration, t.leaf)
	fmt.Printf("Every entry of ours is judged by %s.\n\n", t.judges)
	out := stopwatch.Table{
		Title: "Written",
		Head:  "what | writers | entries/s | lowest – highest | p50 | p99 | server's CPU an entry | its memory | the load's CPU",
	}
	for _, r := range rows {
		m, rates := r.median(), r.rates()
		out.Add(r.what, r.writers, whole(m.perSecond), whole(rates[0])+" – "+whole(rates[len(rates)-1]), orNone(m.p50), orNone(m.p99),
			micro(m.cpu), mega(m.memory), micro(m.load))
	}
	out.Print(os.Stdout)
	return nil
}

func whole(f float64) string { return strconv.FormatFloat(f, 'f', 0, 64) }

func micro(d time.Duration) string { return fmt.Sprintf("%d µs", d.Microseconds()) }

func mega(bytes int64) string { return fmt.Sprintf("%d MB", bytes>>20) }

// orNone is a time, or none where nothing was timed.
func orNone(d time.Duration) string {
	if d == 0 {
		return "–"
	}
	return stopwatch.Short(d)
}

// interleave runs every row once a round.
func interleave(ctx context.Context, rows []*row, dir string) error {
	for round := range *rounds {
		for i := range rows {
			r := rows[(i+round)%len(rows)] // no row is always first
			fresh, err := os.MkdirTemp(dir, "run-")
			if err != nil {
				return err
			}
			f, err := r.run(ctx, fresh, r.writers)
			if err != nil {
				return fmt.Errorf("%s, %d at once: %w", r.what, r.writers, err)
			}
			r.figures = append(r.figures, f)
			fmt.Fprintf(os.Stderr, "round %d: %-56s %5d %9.0f/s\n", round+1, r.what, r.writers, f.perSecond)
			if err := os.RemoveAll(fresh); err != nil {
				return err
			}
		}
	}
	return nil
}

// median is the median of each of a row's figures by itself.
func (r *row) median() figure {
	return figure{
		perSecond: middle(r, func(f figure) float64 { return f.perSecond }),
		p50:       middle(r, func(f figure) time.Duration { return f.p50 }),
		p99:       middle(r, func(f figure) time.Duration { return f.p99 }),
		cpu:       middle(r, func(f figure) time.Duration { return f.cpu }),
		load:      middle(r, func(f figure) time.Duration { return f.load }),
		memory:    middle(r, func(f figure) int64 { return f.memory }),
	}
}

// rates are the rounds' entries a second, the lowest first.
func (r *row) rates() []float64 {
	var all []float64
	for _, f := range r.figures {
		all = append(all, f.perSecond)
	}
	slices.Sort(all)
	return all
}

func middle[T float64 | int64 | time.Duration](r *row, of func(figure) T) T {
	var all []T
	for _, f := range r.figures {
		all = append(all, of(f))
	}
	slices.Sort(all)
	return all[len(all)/2]
}

// programs are the paths of what was built.
type programs struct{ stele, tessera, stock, hammer string }

func build(ctx context.Context, dir string) (programs, error) {
	p := programs{filepath.Join(dir, "stele"), filepath.Join(dir, "tessera"), filepath.Join(dir, "posix"), filepath.Join(dir, "hammer")}
	for _, args := range [][]string{
		{"build", "-o", p.stele, "./cmd/stele"},
		{"build", "-C", "bench/append", "-o", p.tessera, "./server"},
		{"install", "github.com/transparency-dev/tessera/cmd/conformance/posix@" + tesseraVersion},
		{"install", "github.com/transparency-dev/tessera/internal/hammer@" + tesseraVersion},
	} {
		c := exec.CommandContext(ctx, "go", args...)
		c.Env = append(os.Environ(), "GOBIN="+dir, "GOWORK=off")
		if out, err := c.CombinedOutput(); err != nil {
			return p, fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err, out)
		}
	}
	return p, nil
}
