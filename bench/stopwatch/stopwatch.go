// Package stopwatch is what the programs that measure share: medians of rounds,
// times as people read them, tables, and the words about the machine.
package stopwatch

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"
)

// Median measures do so many times, each after a collection of garbage, and
// returns the median. The first error ends it.
func Median(rounds int, do func() error) (time.Duration, error) {
	var all []time.Duration
	for range rounds {
		runtime.GC()
		begin := time.Now()
		if err := do(); err != nil {
			return 0, err
		}
		all = append(all, time.Since(begin))
	}
	return Middle(all), nil
}

// Middle returns the median of some times, which it sorts; at least one.
func Middle(all []time.Duration) time.Duration {
	slices.Sort(all)
	return all[len(all)/2]
}

// Short writes a time with two or three digits and its unit.
func Short(d time.Duration) string {
	switch {
	case d < 10*time.Microsecond:
		return fmt.Sprintf("%.2f µs", float64(d)/float64(time.Microsecond))
	case d < time.Millisecond:
		return fmt.Sprintf("%.0f µs", float64(d)/float64(time.Microsecond))
	case d < 100*time.Millisecond:
		return fmt.Sprintf("%.1f ms", float64(d)/float64(time.Millisecond))
	case d < time.Second:
		return fmt.Sprintf("%.0f ms", float64(d)/float64(time.Millisecond))
	}
	return fmt.Sprintf("%.2f s", d.Seconds())
}

// Machine says in a line what it is that is measured on.
func Machine() string {
	return fmt.Sprintf("%s %s/%s, %d CPUs; %s", runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), processor())
}

// processor names the processor, where Linux says it.
func processor() string {
	text, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(text)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return "unknown processor"
}

// Signature is what checking one P-256 signature costs by the standard library
// alone.
func Signature() (time.Duration, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return 0, err
	}
	digest := sha256.Sum256([]byte("a statement"))
	signature, err := ecdsa.SignASN1(rand.Reader, key, digest[:])
	if err != nil {
		return 0, err
	}
	const n = 2000
	begin := time.Now()
	for range n {
		if !ecdsa.VerifyASN1(&key.PublicKey, digest[:], signature) {
			return 0, errors.New("a good signature does not verify")
		}
	}
	return time.Since(begin) / n, nil
}

// Table is one in Markdown.
type Table struct {
	Title string
	Head  string // the columns' names, with " | " between them
	rows  []string
}

// Add adds a row. A time.Duration is written with [Short].
func (t *Table) Add(cells ...any) {
	text := make([]string, len(cells))
	for i, c := range cells {
		if d, ok := c.(time.Duration); ok {
			c = Short(d)
		}
		text[i] = fmt.Sprint(c)
	}
	t.rows = append(t.rows, "| "+strings.Join(text, " | ")+" |")
}

// Print writes the table.
func (t *Table) Print(w io.Writer) {
	fmt.Fprintf(w, "%s:\n\n| %s |\n|%s\n", t.Title, t.Head, strings.Repeat("---|", strings.Count(t.Head, "|")+1))
	for _, r := range t.rows {
		fmt.Fprintln(w, r)
	}
	fmt.Fprintln(w)
}

// Progress says on the standard error what is under way.
func Progress(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }
