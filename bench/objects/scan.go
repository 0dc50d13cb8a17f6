package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
)

// scan measures fingerprints beside the SDK alone and rclone.
func (b *bench) scan(ctx context.Context) error {
	for _, s := range []*set{b.large, b.small} {
		if ok, err := b.need(ctx, s); err != nil || !ok {
			if err != nil {
				return err
			}
			continue
		}
		if err := b.scanSet(ctx, s); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
	}
	return nil
}

func (b *bench) scanSet(ctx context.Context, s *set) error {
	say("scan: %s", s.name)
	readers := []*reader{
		{name: "the SDK alone, nothing hashed", args: b.child("sdk", s.bucket)},
		{name: "stele, SHA-256", args: b.child("-hash", "sha256", "scan", s.bucket)},
		{name: "stele, BLAKE3", args: b.child("-hash", "blake3", "scan", s.bucket)},
	}
	if b.rclone != "" {
		readers = append(readers, &reader{name: "rclone hashsum sha256 --download", args: []string{
			b.rclone, "hashsum", "sha256", "--download", "--config", "/dev/null", "--fast-list", "--checkers", strconv.Itoa(b.requests),
			":s3,provider=Other,env_auth=true,endpoint='" + os.Getenv("AWS_ENDPOINT_URL") + "',region=" + os.Getenv("AWS_REGION") + ",force_path_style=true:" + s.bucket,
		}})
	}
	if err := b.take(ctx, readers, false); err != nil {
		return err
	}
	fmt.Printf("\n| scan: %s | seconds | GB/s | objects/s | ratio to the SDK | CPU seconds | peak memory, MB |\n|---|---|---|---|---|---|---|\n", s.name)
	sdk := median(readers[0].wall)
	for _, r := range readers {
		wall := median(r.wall)
		fmt.Printf("| %s | %.2f | %.2f | %.0f | %.2f | %.2f | %.0f |\n", r.name, wall.Seconds(), float64(s.bytes())/1e9/wall.Seconds(),
			float64(s.objects)/wall.Seconds(), sdk.Seconds()/wall.Seconds(), median(r.cpu).Seconds(), float64(slices.Max(r.peak))/1e6)
	}
	if b.rclone == "" {
		fmt.Println("\nrclone is not installed: go install github.com/rclone/rclone@v1.76.0, and -rclone PATH")
	}
	return nil
}
