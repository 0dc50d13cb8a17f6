package main

import (
	"context"
	"os"

	"github.com/spf13/cobra"

	"github.com/stele-ml/stele/cmd/stele/jsonv1"
	"github.com/stele-ml/stele/fingerprint"
	"github.com/stele-ml/stele/internal/scan"
	"github.com/stele-ml/stele/internal/terminal"
)

func (a *app) fingerprintCommand() *cobra.Command {
	var flags scanFlags
	var hash, manifest string
	c := &cobra.Command{
		Use:   "fingerprint PATH",
		Short: "Fingerprint a file or a folder; no ledger needed",
		Long: `Reads every byte below PATH and prints the fingerprint that stands for exactly
these names and bytes. No ledger and no key are needed.`,
		Example: "  stele fingerprint training\n  stele fingerprint model.safetensors --hash blake3",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			algorithm, err := fingerprint.ParseAlgorithm(hash)
			if err != nil {
				return usagef("--hash: %v", err)
			}
			opts := flags.options(algorithm)
			return a.fingerprint(c.Context(), args[0], manifest, opts)
		},
	}
	flags.register(c, true)
	c.Flags().StringVar(&hash, "hash", "sha256", "sha256 or blake3; a ledger takes only its own")
	c.Flags().StringVar(&manifest, "manifest", "", "also write the manifest to this `file`")
	return c
}

func (a *app) fingerprint(ctx context.Context, path, manifest string, opts scan.Options) error {
	if err := exists(path); err != nil {
		return err
	}
	var result scan.Result
	var err error
	if manifest == "" {
		result, err = a.scan(ctx, path, opts, func(fingerprint.File) error { return nil })
	} else {
		result, err = a.scanToManifest(ctx, path, opts, manifest)
	}
	if err != nil {
		return err
	}
	if a.json {
		a.printJSON(jsonv1.Fingerprint{
			Fingerprint: result.Fingerprint.String(), Path: path, Files: result.Summary.Files, Bytes: result.Summary.Bytes,
			Ignore: nonNil(result.Rules), Hidden: result.HiddenCount, Manifest: manifest,
		})
		return nil
	}
	a.term.Println(result.Fingerprint.String())
	a.term.Notef("%s, %s in %s", path, terminal.Bytes(result.Summary.Bytes), terminal.Plural(result.Summary.Files, "file"))
	a.noteHidden(result)
	return nil
}

// scanFlags are the flags of every command that reads data.
type scanFlags struct {
	ignore      []string
	followLinks bool
	workers     int
	plain       bool
}

// register adds the flags; the ignore rules are only for commands that decide
// what a fingerprint covers. Verification takes the stamp's rules.
func (f *scanFlags) register(c *cobra.Command, decides bool) {
	if decides {
		c.Flags().StringArrayVar(&f.ignore, "ignore", nil, "also leave out what this gitignore `rule` matches (repeatable)")
		c.Flags().BoolVar(&f.plain, "sha256", false, "record each file's plain SHA-256 in the manifest besides")
	}
	c.PreRunE = func(*cobra.Command, []string) error {
		if f.workers < 0 {
			return usagef("--workers %d is negative", f.workers)
		}
		return nil
	}
	c.Flags().BoolVar(&f.followLinks, "follow-links", false, "follow symbolic links that leave the folder")
	c.Flags().IntVar(&f.workers, "workers", 0, "how many `cores` to use (default all)")
}

func (f *scanFlags) options(algorithm fingerprint.Algorithm) scan.Options {
	return scan.Options{Algorithm: algorithm, Workers: f.workers, Ignore: f.ignore, FollowOutside: f.followLinks, PlainSHA256: f.plain}
}

// scan reads path with a progress line.
func (a *app) scan(ctx context.Context, path string, opts scan.Options, emit func(fingerprint.File) error) (scan.Result, error) {
	progress := new(scan.Progress)
	opts.Progress = progress
	stop := a.term.Progress(ctx, func() terminal.Snapshot {
		return terminal.Snapshot{
			Label: "reading", BytesDone: progress.BytesDone.Load(), BytesTotal: progress.BytesTotal.Load(),
			FilesDone: progress.FilesDone.Load(), FilesTotal: progress.FilesTotal.Load(),
		}
	})
	defer stop()
	return scan.Local(ctx, path, opts, emit)
}

// scanToManifest reads path and writes its manifest to a file, which appears
// whole or not at all.
func (a *app) scanToManifest(ctx context.Context, path string, opts scan.Options, to string) (scan.Result, error) {
	var result scan.Result
	err := writeWhole(to, func(f *os.File) error {
		w := fingerprint.NewWriter(f, opts.Algorithm, fingerprint.WriterOptions{PlainSHA256: opts.PlainSHA256})
		var err error
		if result, err = a.scan(ctx, path, opts, w.Add); err != nil {
			return err
		}
		_, err = w.Close()
		return err
	})
	return result, err
}

// noteHidden tells what the ignore rules left out: rules in the folder itself
// may have been written by somebody else.
func (a *app) noteHidden(result scan.Result) {
	if result.HiddenCount == 0 {
		return
	}
	a.term.Notef("left out by ignore rules: %s", terminal.Plural(result.HiddenCount, "path"))
	const shown = 5
	for i, p := range result.Hidden {
		if i == shown {
			a.term.Notef("  … and %s more", terminal.Count(result.HiddenCount-shown))
			break
		}
		a.term.Notef("  %s", p)
	}
}

func nonNil[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}
