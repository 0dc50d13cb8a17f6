package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"
)

// set is objects of one size, alone in a bucket.
type set struct {
	name     string
	bucket   string
	objects  int
	size     int64 // bytes of each
	versions bool  // whether the bucket keeps them
	filled   bool
}

func (s *set) bytes() int64 { return int64(s.objects) * s.size }

var began = time.Now()

// say tells whoever waits what is under way, and for how long it has been.
func say(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "%6s  %s\n", time.Since(began).Round(time.Second), fmt.Sprintf(format, args...))
}

// need writes a set unless it is there, and reports whether there is one at all.
func (b *bench) need(ctx context.Context, s *set) (bool, error) {
	if s.bytes() == 0 || s.filled {
		return s.filled, nil
	}
	say("writing %s into the bucket %s", s.name, s.bucket)
	// In a process of its own: what this one holds would count as the readers'
	// peak, which Linux takes over from whoever starts a process.
	s.filled = true
	return true, b.do(ctx, "-versions="+strconv.FormatBool(s.versions), "fill", s.bucket, strconv.Itoa(s.objects), strconv.FormatInt(s.size, 10))
}

// drop removes a set that nothing will read any more.
func (b *bench) drop(ctx context.Context, s *set) error {
	if !s.filled {
		return nil
	}
	s.filled = false
	return b.do(ctx, "drop", s.bucket)
}

// child is how this program is started as one of its own processes.
func (b *bench) child(args ...string) []string {
	return append([]string{b.self, childWord, "-requests", strconv.Itoa(b.requests)}, args...)
}

// do runs a child that is not measured.
func (b *bench) do(ctx context.Context, args ...string) error {
	all := b.child(args...)
	if out, err := exec.CommandContext(ctx, all[0], all[1:]...).CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}

// stamp scans a place as a stamp does, with its manifest and marks, and returns
// the folder in which these are.
func (b *bench) stamp(ctx context.Context, place string) (string, error) {
	dir := filepath.Join(b.dir, "stamp-"+filepath.Base(place))
	if _, err := os.Stat(filepath.Join(dir, fingerprintFile)); err == nil {
		return dir, nil
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return "", err
	}
	return dir, b.do(ctx, "-stamp", dir, "scan", place)
}
