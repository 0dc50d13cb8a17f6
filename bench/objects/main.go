// Command objects measures how fast Stele fingerprints what lies in S3, beside
// the SDK that it reads with, which does nothing but read, and beside rclone. It
// prints a Markdown table.
//
//	go run ./bench/objects                       some minutes, 5 GB of disk
//	go run ./bench/objects -large 0.25 -small 2000 -rounds 3
//
// The store is versitygw on loopback (./test tools installs it), which shares
// the cores with whoever reads: what counts is the ratio. Every reader is a
// process of its own; the readers of one row take turns, and medians are
// compared. Ours and the SDK's have as many requests under way, of the same
// length. rclone is left out, and that is said, if it is not installed.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/stele-ml/stele/internal/source/bucket"
	"github.com/stele-ml/stele/internal/source/storetest"
)

func main() {
	var (
		large    = flag.Float64("large", 4, "`GiB` of the large object")
		small    = flag.Int("small", 20_000, "how many objects of 16 KiB")
		rounds   = flag.Int("rounds", 5, "how often each reader runs")
		requests = flag.Int("requests", bucket.DefaultRequests(), "how many requests are under way at once")
		rclone   = flag.String("rclone", "rclone", "`PATH` of rclone")
		child    = flag.String("child", "", "for itself: read as this reader")
	)
	flag.Parse()
	var err error
	if *child != "" {
		err = runChild(context.Background(), *child, *requests, flag.Args())
	} else {
		b := &bench{large: int64(*large * (1 << 30)), small: *small, rounds: *rounds, requests: *requests, rclone: *rclone}
		err = b.run()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

type bench struct {
	large           int64
	small           int
	rounds          int
	requests        int
	rclone          string
	self            string
	rcloneIsMissing bool
}

// reader is one process that reads a set, and what its runs took.
type reader struct {
	name string
	args []string
	wall []time.Duration
	cpu  []time.Duration
	peak []int64 // bytes
}

// set is what is read.
type set struct {
	name    string
	bucket  string // and the child that fills it
	bytes   int64
	objects int
}

func (b *bench) run() error {
	var err error
	if b.self, err = os.Executable(); err != nil {
		return err
	}
	if b.rclone, err = exec.LookPath(b.rclone); err != nil {
		b.rcloneIsMissing = true
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
	sets := []set{
		{name: fmt.Sprintf("one object of %.3g GiB", float64(b.large)/(1<<30)), bucket: fillLarge, bytes: b.large, objects: min(1, int(b.large))},
		{name: fmt.Sprintf("%d objects of 16 KiB", b.small), bucket: fillSmall, bytes: int64(b.small) * smallSize, objects: b.small},
	}
	for _, s := range sets {
		if s.objects == 0 {
			continue
		}
		// In a process of its own: what this one holds would count as the readers'
		// peak, which Linux takes over from whoever starts a process.
		if out, err := exec.Command(b.self, "-child", s.bucket, strconv.FormatInt(s.bytes, 10)).CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w: %s", s.name, err, out)
		}
		if err := b.measure(s); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
	}
	return nil
}

// measure runs every reader of a set in turn and prints its table.
func (b *bench) measure(s set) error {
	self := func(kind string) []string {
		return []string{b.self, "-requests", strconv.Itoa(b.requests), "-child", kind, s.bucket}
	}
	readers := []*reader{
		{name: "the SDK alone, nothing hashed", args: self("sdk")},
		{name: "stele, SHA-256", args: self("sha256")},
		{name: "stele, BLAKE3", args: self("blake3")},
	}
	if !b.rcloneIsMissing {
		readers = append(readers, &reader{name: "rclone hashsum sha256 --download", args: []string{
			b.rclone, "hashsum", "sha256", "--download", "--config", "/dev/null", "--fast-list", "--checkers", strconv.Itoa(b.requests),
			":s3,provider=Other,env_auth=true,endpoint='" + os.Getenv("AWS_ENDPOINT_URL") + "',region=" + os.Getenv("AWS_REGION") + ",force_path_style=true:" + s.bucket,
		}})
	}
	said := map[string]string{} // what ours printed, which must not change
	for i := range b.rounds + 1 {
		for _, r := range readers {
			out, err := r.once(i > 0) // the first round warms the page cache
			if err != nil {
				return fmt.Errorf("%s: %w", r.name, err)
			}
			if before, ok := said[r.name]; ok && before != out && strings.HasPrefix(r.name, "stele") {
				return fmt.Errorf("%s: %q, and before %q", r.name, out, before)
			}
			said[r.name] = out
		}
	}
	fmt.Printf("\n| %s | seconds | GB/s | objects/s | ratio to the SDK | CPU seconds | peak memory, MB |\n|---|---|---|---|---|---|---|\n", s.name)
	sdk := median(readers[0].wall)
	for _, r := range readers {
		wall := median(r.wall)
		fmt.Printf("| %s | %.2f | %.2f | %.0f | %.2f | %.2f | %.0f |\n", r.name, wall.Seconds(), float64(s.bytes)/1e9/wall.Seconds(),
			float64(s.objects)/wall.Seconds(), sdk.Seconds()/wall.Seconds(), median(r.cpu).Seconds(), float64(slices.Max(r.peak))/1e6)
	}
	if b.rcloneIsMissing {
		fmt.Println("\nrclone is not installed: go install github.com/rclone/rclone@v1.76.0, and -rclone PATH")
	}
	return nil
}

// once runs a reader and notes what it took.
func (r *reader) once(note bool) (string, error) {
	cmd := exec.Command(r.args[0], r.args[1:]...)
	var out, errs strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errs
	start := time.Now()
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%w: %s", err, errs.String())
	}
	wall := time.Since(start)
	if note {
		r.wall = append(r.wall, wall)
		r.cpu = append(r.cpu, cmd.ProcessState.UserTime()+cmd.ProcessState.SystemTime())
		r.peak = append(r.peak, peak(cmd.ProcessState))
	}
	return out.String(), nil
}

func median(d []time.Duration) time.Duration {
	d = slices.Clone(d)
	slices.Sort(d)
	return d[len(d)/2]
}

// machine describes what this runs on, in one line for each fact.
func (b *bench) machine() string {
	facts := []string{
		fmt.Sprintf("- %s/%s, %d cores, %s", runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), runtime.Version()),
		fmt.Sprintf("- %d requests at once, ranges of %d MiB", b.requests, bucket.RangeSize>>20),
	}
	if out, err := exec.Command(b.rclone, "version").Output(); err == nil {
		first, _, _ := strings.Cut(string(out), "\n")
		facts = append(facts, "- "+first)
	}
	return strings.Join(facts, "\n")
}
