package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// alteredFiles is how many files are altered after the stamp.
const alteredFiles = 20

// settled is longer than a file must have stood still to be known again.
const settled = 3 * time.Second

// unchanged measures scans that take over what has not changed.
func (b *bench) unchanged(ctx context.Context) error {
	for _, s := range []*set{b.small, b.versioned} {
		ok, err := b.need(ctx, s)
		if err == nil && ok {
			err = b.unchangedSet(ctx, s)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
	}
	if b.files == 0 {
		return nil
	}
	return b.unchangedFiles(ctx)
}

// unchangedSet scans objects none of which has changed: nothing is left but
// their listing.
func (b *bench) unchangedSet(ctx context.Context, s *set) error {
	how, of := "ETag", func(r report) uint64 { return r.ETag }
	if s.versions {
		how, of = "version", func(r report) uint64 { return r.Version }
	}
	say("unchanged: %s, by %s", s.name, how)
	stamp, err := b.stamp(ctx, s.bucket)
	if err != nil {
		return err
	}
	known := &reader{name: "unchanged by " + how, args: b.child("-hints", stamp, "scan", s.bucket)}
	readers := []*reader{{name: "every byte read", args: b.child("scan", s.bucket)}, known}
	if err := b.take(ctx, readers, false); err != nil {
		return err
	}
	if err := agree(readers); err != nil {
		return err
	}
	for _, rep := range known.reports {
		if of(rep) != uint64(s.bytes()) {
			return fmt.Errorf("%d of %d bytes were known by %s", of(rep), s.bytes(), how)
		}
	}
	table(fmt.Sprintf("unchanged: %s, none altered", s.name), s.bytes(), readers)
	return nil
}

// unchangedFiles scans many small files on the disk, a few of which have been
// altered.
func (b *bench) unchangedFiles(ctx context.Context) error {
	say("writing %d files", b.files)
	dir := filepath.Join(b.dir, "files")
	if err := b.do(ctx, "tree", dir, strconv.Itoa(b.files)); err != nil {
		return err
	}
	time.Sleep(settled)
	say("unchanged: files on the disk")
	stamp, err := b.stamp(ctx, dir)
	if err != nil {
		return err
	}
	altered, err := alter(dir, b.files)
	if err != nil {
		return err
	}
	known := &reader{name: "unchanged by size, times and inode", args: b.child("-hints", stamp, "scan", dir)}
	readers := []*reader{{name: "every byte read", args: b.child("scan", dir)}, known}
	if err := b.take(ctx, readers, true); err != nil {
		return err
	}
	if err := agree(readers); err != nil {
		return err
	}
	for _, rep := range known.reports {
		if rep.Read != altered {
			return fmt.Errorf("%d bytes were read, and %d altered", rep.Read, altered)
		}
	}
	table(fmt.Sprintf("unchanged: %d files of %d to %d bytes in %d folders, %d altered", b.files, treeLeast, treeMost, treeFolders, alteredFiles),
		int64(readers[0].reports[0].Bytes), readers)
	return nil
}

// alter changes a byte of some files, which keep their sizes, and returns how
// many bytes these have.
func alter(dir string, files int) (bytes uint64, err error) {
	for i := range min(alteredFiles, files) {
		path := treePath(dir, i*(files/min(alteredFiles, files)))
		data, err := os.ReadFile(path)
		if err != nil {
			return 0, err
		}
		data[0]++
		if err := os.WriteFile(path, data, 0o666); err != nil {
			return 0, err
		}
		bytes += uint64(len(data))
	}
	return bytes, nil
}
