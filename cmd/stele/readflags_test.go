package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

func TestByteSize(t *testing.T) {
	for text, want := range map[string]byteSize{
		"1": 1, "4096": 4096, "4096B": 4096, "1kB": 1000, "1KB": 1000, "1kib": 1024, "500GB": 500e9, "500 gb": 500e9,
		"1.5TiB": 3 << 39, "10TiB": 10 << 40, "2PB": 2e15, "0.5 MiB": 512 << 10, "1MiB": 1 << 20,
	} {
		var got byteSize
		if err := got.Set(text); err != nil || got != want {
			t.Errorf("%q is %d, %v; want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "0", "-1", "0.1B", "B", "lots", "10G", "10T", "1e3GB GB", "0x10", "1_000", "Inf", "infGB", "NaN", "9999999PB", "1MBB"} {
		var got byteSize
		if err := got.Set(text); err == nil {
			t.Errorf("%q is %d", text, got)
		}
	}
}

// What is told before is what somebody would not want to read by mistake.
func TestFar(t *testing.T) {
	for _, test := range []struct {
		remote       bool
		files, bytes uint64
		want         bool
	}{
		{true, 1, 1 << 30, true},
		{true, 10_000, 1, true},
		{true, 9_999, 1<<30 - 1, false},
		{false, 10_000_000, 1 << 30, false},
		{false, 1, 64 << 30, true},
	} {
		if got := far(test.remote, test.files, test.bytes); got != test.want {
			t.Errorf("%+v: %v", test, got)
		}
	}
}

// TestToldBefore reads a file with more holes than anybody waits for, until it
// has been told how large it is.
func TestToldBefore(t *testing.T) {
	p := newPerson(t)
	sparse := filepath.Join(p.dir, "sparse")
	p.write("sparse", "")
	if err := os.Truncate(sparse, announceLocal); err != nil {
		t.Skip(err)
	}
	_, stderr, status := p.inProcess("to read", "fingerprint", sparse)
	if status != exitError || !strings.Contains(stderr, sparse+" holds 1 file, 64.0 GiB to read\n") || !strings.Contains(stderr, "interrupted") {
		t.Errorf("status %d: %s", status, stderr)
	}
}

// TestEntryFlag: an entry is a number that is not negative, and where none is
// given the help shows none.
func TestEntryFlag(t *testing.T) {
	for text, want := range map[string]int64{"0": 0, "12": 12, "": -1, "-1": -1, "1.5": -1, "x": -1, "9223372036854775808": -1} {
		var entry int64
		c := new(cobra.Command)
		takesEntry(c, &entry, "after", "the last `entry`")
		if entry != -1 || strings.Contains(c.Flags().FlagUsages(), "default") {
			t.Fatalf("%d by itself:\n%s", entry, c.Flags().FlagUsages())
		}
		err := c.Flags().Set("after", text)
		if entry != want || (err != nil) != (want < 0) {
			t.Errorf("%q: %d, %v", text, entry, err)
		}
	}
}
