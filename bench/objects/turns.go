package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"
)

// report is what a child of ours prints at its end, in one line of JSON. Of an
// audit, Fingerprint is empty; Files and Bytes are those of the artifact.
type report struct {
	Fingerprint  string
	Files, Bytes uint64
	Read         uint64 // bytes that came from the store, or were read from the disk
	Requests     uint64 // for objects, ranges and pages of listings; on a disk 0
	// Bytes that were not read, by how they were known again.
	Version, ETag, MTime, Resumed uint64
}

// reader is one process that reads something, and what its runs took.
type reader struct {
	name string
	args []string
	// killAt, if not 0, is after how many bytes the process is killed, which
	// tells them as it goes on.
	killAt uint64

	wall    []time.Duration
	cpu     []time.Duration
	peak    []int64  // bytes
	reports []report // of a child of ours, all runs; of one that is killed, Read alone
}

// take lets readers take turns. The first round counts only if the page cache is
// warm already.
func (b *bench) take(ctx context.Context, readers []*reader, warm bool) error {
	rounds := b.rounds
	if !warm {
		rounds++
	}
	for i := range rounds {
		note := warm || i > 0
		if note {
			say("  round %d of %d", i+1-(rounds-b.rounds), b.rounds)
		}
		for _, r := range readers {
			if err := r.once(ctx, note); err != nil {
				return fmt.Errorf("%s: %w", r.name, err)
			}
		}
	}
	return nil
}

// once runs a reader and notes what it took.
func (r *reader) once(ctx context.Context, note bool) error {
	cmd := exec.CommandContext(ctx, r.args[0], r.args[1:]...)
	var errs strings.Builder
	cmd.Stderr = &errs
	start := time.Now()
	rep, err := r.run(cmd)
	if err != nil {
		return fmt.Errorf("%w: %s", err, errs.String())
	}
	wall := time.Since(start)
	if len(r.reports) > 0 && r.reports[0].Fingerprint != rep.Fingerprint {
		return fmt.Errorf("%s, and before %s", rep.Fingerprint, r.reports[0].Fingerprint)
	}
	if note {
		r.wall = append(r.wall, wall)
		r.cpu = append(r.cpu, cmd.ProcessState.UserTime()+cmd.ProcessState.SystemTime())
		r.peak = append(r.peak, peak(cmd.ProcessState))
		r.reports = append(r.reports, rep)
	}
	return nil
}

func (r *reader) run(cmd *exec.Cmd) (rep report, err error) {
	if r.killAt > 0 {
		rep.Read, err = runAndKill(cmd, r.killAt)
		return rep, err
	}
	var out strings.Builder
	cmd.Stdout = &out
	if err := cmd.Run(); err != nil {
		return rep, err
	}
	if strings.HasPrefix(out.String(), "{") { // not the SDK's reader, nor rclone
		err = json.Unmarshal([]byte(out.String()), &rep)
	}
	return rep, err
}

// runAndKill kills a process (kill -9) as soon as it has told that it has read
// so many bytes, and returns how many it told in all.
func runAndKill(cmd *exec.Cmd, at uint64) (told uint64, err error) {
	out, err := cmd.StdoutPipe()
	if err != nil {
		return 0, err
	}
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	killed := false
	for s := bufio.NewScanner(out); s.Scan(); {
		n, err := strconv.ParseUint(s.Text(), 10, 64)
		if err != nil {
			break
		}
		if told = n; told >= at && !killed {
			killed = true
			if err := cmd.Process.Kill(); err != nil {
				return 0, errors.Join(err, cmd.Wait())
			}
		}
	}
	_, _ = io.Copy(io.Discard, out)
	var exit *exec.ExitError
	switch err := cmd.Wait(); {
	case !killed:
		return 0, fmt.Errorf("it read %d bytes, and was to be killed at %d: %w", told, at, err)
	case !errors.As(err, &exit):
		return 0, fmt.Errorf("it came to its end before it was killed: %v", err)
	}
	return told, nil
}

// agree holds readers to the same fingerprint. One that was killed has none.
func agree(readers []*reader) error {
	first := readers[0].reports[0]
	for _, r := range readers {
		for _, rep := range r.reports {
			if r.killAt == 0 && rep.Fingerprint != first.Fingerprint {
				return fmt.Errorf("%s: %s, and by %s %s", r.name, rep.Fingerprint, readers[0].name, first.Fingerprint)
			}
		}
	}
	return nil
}

// table prints what readers took that read the same data, each in its own way.
// The first reads all of it.
func table(name string, bytes int64, readers []*reader) {
	fmt.Printf("\n| %s | seconds | times as fast as the first | MB read | of all | requests | CPU seconds | peak memory, MB |\n|---|---|---|---|---|---|---|---|\n", name)
	whole := median(readers[0].wall)
	for _, r := range readers {
		wall, read := median(r.wall), r.median(func(rep report) uint64 { return rep.Read })
		fast, requests := fmt.Sprintf("%.2f", whole.Seconds()/wall.Seconds()), "–"
		if n := r.median(func(rep report) uint64 { return rep.Requests }); n > 0 {
			requests = fmt.Sprint(n)
		}
		if r.killAt > 0 {
			fast = "–"
		}
		fmt.Printf("| %s | %.2f | %s | %.4g | %.2f%% | %s | %.2f | %.0f |\n", r.name, wall.Seconds(), fast, float64(read)/1e6,
			100*float64(read)/float64(bytes), requests, median(r.cpu).Seconds(), float64(slices.Max(r.peak))/1e6)
	}
}

// median of something in the reports.
func (r *reader) median(of func(report) uint64) uint64 {
	var all []uint64
	for _, rep := range r.reports {
		all = append(all, of(rep))
	}
	return median(all)
}

func median[T cmp.Ordered](d []T) T {
	d = slices.Clone(d)
	slices.Sort(d)
	return d[len(d)/2]
}
