package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// machine returns what is worth knowing about the machine: its processor, and
// what one small write and fsync costs on the disk.
func machine() string {
	cpu := "unknown processor"
	if text, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(text)) {
			if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
				cpu = strings.TrimSpace(value)
				break
			}
		}
	}
	return cpu + "; one 1 KiB append and fsync: " + syncCost().String()
}

func syncCost() time.Duration {
	name := filepath.Join(*base, "append-sync")
	f, err := os.Create(name)
	if err != nil {
		return 0
	}
	defer os.Remove(name)
	defer f.Close()
	var all []time.Duration
	for range 100 {
		begin := time.Now()
		if _, err := f.Write(make([]byte, 1024)); err != nil || f.Sync() != nil {
			return 0
		}
		all = append(all, time.Since(begin))
	}
	slices.Sort(all)
	return all[len(all)/2].Round(time.Microsecond)
}

// processorTime returns what this process has used of its processors. On a
// machine that others use too, it says more than the clock.
func processorTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
