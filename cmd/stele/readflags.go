package main

import (
	"bufio"
	"fmt"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/stele-ml/stele/fingerprint"
	"github.com/stele-ml/stele/internal/place"
	"github.com/stele-ml/stele/internal/scan"
)

// scanFlags are the flags of every command that reads data.
type scanFlags struct {
	ignore      []string
	plain       bool
	filesFrom   string
	followLinks bool
	anonymous   bool
	sortListing bool
	fresh       bool
	workers     int
	maxRead     byteSize

	watched bool // what is read is watched from then on: every file has a mark, and nothing is remembered from an earlier command
}

// register adds the flags of a command that goes on reading where it was
// interrupted; what decides which files a fingerprint covers is only for commands
// that make one. Verification takes the stamp's word.
func (f *scanFlags) register(c *cobra.Command, decides bool) {
	flags := c.Flags()
	if decides {
		flags.StringArrayVar(&f.ignore, "ignore", nil, "also leave out what this gitignore `rule` matches (repeatable)")
		flags.BoolVar(&f.plain, "sha256", false, "record each file's plain SHA-256 in the manifest besides")
		flags.StringVar(&f.filesFrom, "files-from", "", "exactly the files that this `list` names, a path a line; - is standard input")
	}
	f.registerReading(c)
	flags.BoolVar(&f.fresh, "fresh", false, "begin anew what was interrupted")
}

// registerReading adds the flags of a command that reads and, interrupted, begins
// anew.
func (f *scanFlags) registerReading(c *cobra.Command) {
	flags := c.Flags()
	c.PreRunE = func(*cobra.Command, []string) error {
		if f.workers < 0 {
			return usagef("--workers %d is negative", f.workers)
		}
		if f.filesFrom != "" && len(f.ignore) > 0 {
			return usagef("--files-from takes exactly the files of the list: no --ignore with it")
		}
		return nil
	}
	flags.BoolVar(&f.followLinks, "follow-links", false, "follow symbolic links that leave the folder")
	flags.BoolVar(&f.anonymous, "anonymous", false, "read a public bucket without credentials")
	flags.BoolVar(&f.sortListing, "sort-listing", false, "sort a bucket's listing in memory, if it is not in byte order")
	flags.IntVar(&f.workers, "workers", 0, "how many `cores` to use, or requests to have under way to a bucket (default chosen)")
	flags.Var(&f.maxRead, "max-read", "refuse to read more than this `size`, as in 500GB or 10TiB")
}

// options are what a scan is told by the flags.
func (f *scanFlags) options(algorithm fingerprint.Algorithm) scan.Options {
	return scan.Options{Algorithm: algorithm, Ignore: f.ignore, PlainSHA256: f.plain, MaxRead: uint64(f.maxRead)}
}

// reach is how a place is reached.
func (f *scanFlags) reach() place.Options {
	return place.Options{FollowLinks: f.followLinks, Anonymous: f.anonymous, SortListing: f.sortListing, Requests: f.workers, EveryMark: f.watched}
}

// byteSize is a number of bytes on the command line.
type byteSize uint64

// units of sizes: decimal ones (ISO 80000-1) and binary ones (IEC 80000-13).
var units = []struct {
	name  string
	bytes float64
}{
	{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"TiB", 1 << 40}, {"PiB", 1 << 50},
	{"kB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"TB", 1e12}, {"PB", 1e15}, {"B", 1}, {"", 1},
}

// Set reads 500GB, 1.5 TiB, 4096.
func (s *byteSize) Set(text string) error {
	for _, u := range units {
		number := strings.TrimSpace(text)
		if i := len(number) - len(u.name); i < 0 || !strings.EqualFold(number[i:], u.name) {
			continue
		} else {
			number = strings.TrimSpace(number[:i])
		}
		v, err := strconv.ParseFloat(number, 64)
		if err != nil || !(v > 0) || v*u.bytes < 1 || v*u.bytes >= math.MaxInt64 || strings.ContainsAny(number, "xXpPiInN_") {
			break
		}
		*s = byteSize(v * u.bytes)
		return nil
	}
	return fmt.Errorf("want a size such as 500GB or 10TiB")
}

func (s *byteSize) String() string {
	if *s == 0 {
		return ""
	}
	return strconv.FormatUint(uint64(*s), 10)
}

// Type implements pflag.Value.
func (*byteSize) Type() string { return "size" }

// maxListLine bounds a line of a list: the longest path, below the longest
// address.
const maxListLine = 4 * fingerprint.MaxPath

// readList reads which files of a place are meant: a path or an address a
// line, in any order, once or several times. It returns them in path order.
func (a *app) readList(from string, p place.Place) ([]string, error) {
	in := a.stdin
	if from != "-" {
		if err := exists(from); err != nil {
			return nil, err
		}
		f, err := os.Open(from)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		in = f
	}
	var list []string
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, maxListLine)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSuffix(lines.Text(), "\r")
		if line == "" {
			continue
		}
		rel, err := p.Rel(line)
		if err == nil {
			err = fingerprint.CheckPath(rel)
		}
		if err != nil {
			return nil, failf(exitError, "--files-from %s, line %d: %w", from, n, err).withPath(line).
				withHint("each line is a path below " + p.String() + ", or its whole address")
		}
		list = append(list, rel)
	}
	if err := lines.Err(); err != nil {
		return nil, failf(exitError, "--files-from %s: %w", from, err).withPath(from)
	}
	if len(list) == 0 {
		return nil, failf(exitError, "--files-from %s names no file", from).withPath(from)
	}
	slices.Sort(list)
	return slices.Compact(list), nil
}

// takesEntry adds a flag that takes an entry; -1 stands for none.
func takesEntry(c *cobra.Command, p *int64, name, usage string) {
	*p = -1
	c.Flags().Var(&entryValue{p}, name, usage)
}

// entryValue is an entry on the command line.
type entryValue struct{ p *int64 }

// Set reads the number of an entry.
func (v *entryValue) Set(text string) error {
	n, err := strconv.ParseUint(text, 10, 63)
	if err != nil {
		return fmt.Errorf("%q is no entry: entries are numbered from 0", text)
	}
	*v.p = int64(n)
	return nil
}

func (v *entryValue) String() string {
	if v.p == nil || *v.p < 0 {
		return ""
	}
	return strconv.FormatInt(*v.p, 10)
}

// Type is what help calls it.
func (v *entryValue) Type() string { return "entry" }
