package main

import (
	"context"
	"fmt"
	"path/filepath"
)

// resume measures what it costs to note how far a scan has come, and what a scan
// reads that goes on where another was killed.
func (b *bench) resume(ctx context.Context) error {
	// They are not read any more, and the others take as much of the disk and of
	// the page cache.
	if err := b.drop(ctx, b.large); err != nil {
		return err
	}
	for _, s := range []*set{b.several, b.small} {
		ok, err := b.need(ctx, s)
		if err == nil && ok {
			err = b.resumeSet(ctx, s)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
	}
	return b.drop(ctx, b.several)
}

func (b *bench) resumeSet(ctx context.Context, s *set) error {
	say("resume: %s", s.name)
	total := uint64(s.bytes())
	noting := []string{"-journal", filepath.Join(b.dir, "journals")}
	noted := b.child(append(noting, "scan", s.bucket)...)
	killed := &reader{name: "the same, killed half way", args: b.child(append(noting, "-tell", "scan", s.bucket)...), killAt: total / 2}
	again := &reader{name: "run again", args: noted}
	readers := []*reader{{name: "scan, nothing noted", args: b.child("scan", s.bucket)}, {name: "scan, noted in a journal", args: noted}, killed, again}
	if err := b.take(ctx, readers, false); err != nil {
		return err
	}
	if err := agree(readers); err != nil {
		return err
	}
	table("resume: "+s.name, s.bytes(), readers)
	var left, twice []float64 // MB
	for i, first := range killed.reports {
		l := float64(total-min(total, first.Read)) / 1e6
		left, twice = append(left, l), append(twice, float64(again.reports[i].Read)/1e6-l)
	}
	fmt.Printf("\nThe killed scan left %.4g MB; the next read these and %.4g MB once more, which had been under way.\n", median(left), median(twice))
	return nil
}
