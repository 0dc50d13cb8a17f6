// Command fingerprint measures how fast Stele fingerprints, beside the tools
// that people know, and prints a Markdown table.
//
//	go run ./bench/fingerprint                   the speeds: some minutes, 9 GB of disk
//	go run ./bench/fingerprint -million          also the memory for a million files
//	go run ./bench/fingerprint -large 1 -rounds 3
//
// Every tool, ours too, is run as a process of its own on the same files, warm
// in the page cache; the tools of one row take turns, and the medians are
// compared: of the time on the wall, and, since that of a busy machine says
// little, of the time on all cores. A tool that is not installed leaves its rows out, and says so.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/stele-ml/stele/fingerprint"
	"github.com/stele-ml/stele/internal/scan"
)

func main() {
	var (
		dir     = flag.String("dir", os.TempDir(), "make the data in a folder in `DIR`, and remove it at the end")
		large   = flag.Float64("large", 4, "`GiB` of the large file")
		small   = flag.Int("small", 200_000, "how many files of 4 to 16 KiB")
		medium  = flag.Int("medium", 20_000, "how many files of 110 KB")
		rounds  = flag.Int("rounds", 7, "how often each tool runs")
		million = flag.Bool("million", false, "measure the memory for a million files too")
		only    = flag.String("only", "", "only rows whose name contains `TEXT`")
		child   = flag.String("child", "", "for itself: fingerprint with this hash")
		workers = flag.Int("workers", 0, "for itself: this many workers")
	)
	flag.Parse()
	var err error
	if *child != "" {
		err = runChild(*child, *workers, flag.Arg(0))
	} else {
		b := &bench{large: int64(*large * (1 << 30)), small: *small, medium: *medium, rounds: *rounds, only: *only}
		err = b.run(*dir, *million)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

// runChild is the measured process: one scan.
func runChild(hash string, workers int, path string) error {
	a, err := fingerprint.ParseAlgorithm(hash)
	if err != nil {
		return err
	}
	res, err := scan.Local(context.Background(), path, scan.Options{Algorithm: a, Workers: workers}, nil)
	if err != nil {
		return err
	}
	fmt.Println(res.Fingerprint, res.Summary.Files, res.Summary.Bytes)
	return nil
}

type bench struct {
	large         int64
	small, medium int
	rounds        int
	only          string

	dir, self string
}

// row compares us with one peer.
type row struct {
	name  string
	bytes int64
	ours  []string // arguments for ourselves
	peer  string   // what it is called in the table
	shell string   // and how it is run; $P is the data, $CORES the cores
	bar   float64  // of the design; 0 for none
}

func (b *bench) run(parent string, million bool) error {
	var err error
	if b.self, err = os.Executable(); err != nil {
		return err
	}
	if b.dir, err = os.MkdirTemp(parent, "stele-bench-"); err != nil {
		return err
	}
	defer os.RemoveAll(b.dir)
	fmt.Println(machine())
	fmt.Println()
	rows, err := b.rows()
	if err != nil {
		return err
	}
	fmt.Println("| what | ours GB/s | peer GB/s | peer | ratio | bar | ratio of CPU time |")
	fmt.Println("|---|---|---|---|---|---|---|")
	for _, r := range rows {
		if err := b.measure(r); err != nil {
			return fmt.Errorf("%s: %w", r.name, err)
		}
	}
	if million {
		fmt.Println()
		return b.million()
	}
	return nil
}

// rows makes the data and says what is measured on it.
func (b *bench) rows() ([]row, error) {
	const (
		openssl = "openssl dgst -sha256"
		b3sum   = "b3sum"
	)
	var rows []row
	add := func(set, path string, bytes int64, hash, peer, shell string, bar float64) {
		r := row{
			name: fmt.Sprintf("%s, %s", strings.ToUpper(hash), set), bytes: bytes, bar: bar,
			ours: []string{"-child", hash, path}, peer: peer, shell: strings.ReplaceAll(shell, "$P", path),
		}
		if strings.Contains(r.name+" "+peer, b.only) {
			rows = append(rows, r)
		}
	}
	trees := []struct {
		set        string
		files      int
		least, mid int // bytes: from least to mid + (mid-least)
		folders    int
	}{
		{"small files in folders", b.small, 4 << 10, 10 << 10, 200},
		{"small files in one folder", b.small / 2, 4 << 10, 10 << 10, 1},
		{"medium files", b.medium, 110_000, 110_000, 20},
	}
	path := filepath.Join(b.dir, "large")
	if b.large > 0 {
		if err := fill(path, b.large); err != nil {
			return nil, err
		}
		set := fmt.Sprintf("one file of %.3g GiB", float64(b.large)/(1<<30))
		add(set, path, b.large, "sha256", openssl, openssl+" $P", 1.9)
		add(set, path, b.large, "blake3", b3sum, b3sum+" $P", 0.8)
	}
	for i, t := range trees {
		if t.files == 0 {
			continue
		}
		path := filepath.Join(b.dir, "tree"+strconv.Itoa(i))
		bytes, err := tree(path, t.files, t.least, 2*t.mid-t.least, t.folders)
		if err != nil {
			return nil, err
		}
		const each = "find $P -type f -print0 | xargs -0 -P $CORES "
		add(t.set, path, bytes, "sha256", "xargs -P "+openssl, each+openssl, 1)
		add(t.set, path, bytes, "blake3", "xargs b3sum", "find $P -type f -print0 | xargs -0 "+b3sum, 1)
		add(t.set, path, bytes, "blake3", "xargs -P b3sum", each+b3sum, 1)
	}
	return rows, nil
}

// measure runs both sides of a row in turn.
func (b *bench) measure(r row) error {
	tool := strings.Fields(strings.TrimPrefix(strings.TrimPrefix(r.peer, "xargs "), "-P "))[0]
	_, missing := exec.LookPath(tool)
	var ours, peer, oursCPU, peerCPU []time.Duration
	for i := range b.rounds + 1 {
		d, dCPU, err := timed(exec.Command(b.self, r.ours...))
		if err != nil {
			return err
		}
		var e, eCPU time.Duration
		if missing == nil {
			cmd := exec.Command("sh", "-c", r.shell)
			cmd.Env = append(os.Environ(), "CORES="+strconv.Itoa(runtime.NumCPU()))
			if e, eCPU, err = timed(cmd); err != nil {
				return err
			}
		}
		if i > 0 { // the first round warms the page cache
			ours, peer = append(ours, d), append(peer, e)
			oursCPU, peerCPU = append(oursCPU, dCPU), append(peerCPU, eCPU)
		}
	}
	rate := func(d time.Duration) float64 { return float64(r.bytes) / 1e9 / d.Seconds() }
	mine, theirs := median(ours), median(peer)
	bar := fmt.Sprintf("%.2g", r.bar)
	if missing != nil {
		fmt.Printf("| %s | %.2f | – | %s is not installed | – | %s | – |\n", r.name, rate(mine), tool, bar)
		return nil
	}
	ratio := theirs.Seconds() / mine.Seconds()
	if ratio < r.bar {
		bar += " missed"
	}
	cpu := median(peerCPU).Seconds() / median(oursCPU).Seconds()
	fmt.Printf("| %s | %.2f | %.2f | `%s` | %.2f | %s | %.2f |\n", r.name, rate(mine), rate(theirs), r.peer, ratio, bar, cpu)
	return nil
}

// timed runs a command and returns how long it took on the wall and on all
// cores, with the commands that it started itself.
func timed(cmd *exec.Cmd) (wall, cpu time.Duration, err error) {
	var errs strings.Builder
	cmd.Stderr = &errs
	start := time.Now()
	err = cmd.Run() // what it prints goes to the null device
	wall = time.Since(start)
	if err != nil {
		return 0, 0, fmt.Errorf("%s: %w: %s", cmd, err, errs.String())
	}
	return wall, cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime(), nil
}

func median(d []time.Duration) time.Duration {
	d = slices.Clone(d)
	slices.Sort(d)
	return d[len(d)/2]
}
