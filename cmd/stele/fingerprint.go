package main

import (
	"context"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/stele-ml/stele/cmd/stele/jsonv1"
	"github.com/stele-ml/stele/fingerprint"
	"github.com/stele-ml/stele/internal/scan"
	"github.com/stele-ml/stele/internal/shard"
	"github.com/stele-ml/stele/internal/terminal"
)

// fingerprintOrder is one call of `stele fingerprint`.
type fingerprintOrder struct {
	path       string
	algorithm  fingerprint.Algorithm
	manifest   string // a file to write, which may be replaced
	manifestTo string // a place to write to, where nothing is replaced
	shard      shard.Part
	flags      scanFlags
}

func (a *app) fingerprintCommand() *cobra.Command {
	var o fingerprintOrder
	var hash, part string
	c := &cobra.Command{
		Use:   "fingerprint PATH|URL",
		Short: "Fingerprint a file, a folder or a bucket; no ledger needed",
		Long: `Reads every byte below PATH and prints the fingerprint that stands for exactly
these names and bytes. No ledger and no key are needed. A URL is
s3://BUCKET/KEY, gs://BUCKET/KEY or azblob://CONTAINER/KEY, without a key the
whole bucket; the same files give the same fingerprint everywhere.`,
		Example: `  stele fingerprint training
  stele fingerprint model.safetensors --hash blake3
  stele fingerprint s3://clinic/wdbc --max-read 500GB
  stele fingerprint s3://clinic/wdbc --shard 3/16 --manifest-to s3://parts/`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			var err error
			if o.algorithm, err = fingerprint.ParseAlgorithm(hash); err != nil {
				return usagef("--hash: %v", err)
			}
			if o.shard, err = parseShard(part); err != nil {
				return err
			}
			o.path = args[0]
			d, err := a.openData(c.Context(), "read", o.path, &o.flags)
			if err != nil {
				return err
			}
			return d.end(a.fingerprint(c.Context(), d, &o))
		},
	}
	o.flags.register(c, true)
	c.Flags().StringVar(&hash, "hash", "sha256", "sha256 or blake3; a ledger takes only its own")
	c.Flags().StringVar(&o.manifest, "manifest", "", "also write the manifest to this `file`")
	c.Flags().StringVar(&o.manifestTo, "manifest-to", "", manifestToUsage)
	c.Flags().StringVar(&part, "shard", "", "read one `shard` of several, as 3/16, and write its part of the manifest")
	return c
}

func (a *app) fingerprint(ctx context.Context, d *data, o *fingerprintOrder) error {
	to, err := d.manifestTarget(o.manifestTo)
	if err != nil {
		return err
	}
	if o.shard.Count > 0 {
		return a.fingerprintShard(ctx, d, o, to)
	}
	opts := o.flags.options(o.algorithm)
	models := newModelFiles("")
	var result scan.Result
	switch {
	case o.manifest != "":
		err = writeWhole(o.manifest, func(f *os.File) error {
			if result, err = a.scanToManifest(ctx, d, opts, f, models.add); err != nil || to == nil {
				return err
			}
			return a.putManifest(ctx, to, result.Fingerprint, f)
		})
	case to != nil:
		err = withTemporary(func(f *os.File) error {
			if result, err = a.scanToManifest(ctx, d, opts, f, models.add); err != nil {
				return err
			}
			return a.putManifest(ctx, to, result.Fingerprint, f)
		})
	default:
		result, err = a.scan(ctx, d, opts, models.add)
	}
	if err != nil {
		return err
	}
	found := a.lookAtModel(ctx, d.source, models)
	a.warnModel(found)
	if a.json {
		a.printJSON(jsonv1.Fingerprint{
			Fingerprint: result.Fingerprint.String(), Path: o.path, Files: result.Summary.Files, Bytes: result.Summary.Bytes,
			Ignore: nonNil(result.Rules), Hidden: result.HiddenCount, Listed: d.only != nil, Resumed: result.Basis.Resumed,
			Manifest: o.manifest, ManifestTo: to.text(result.Fingerprint), Model: modelJSON(found),
		})
		return nil
	}
	a.term.Println(result.Fingerprint.String())
	a.term.Notef("%s, %s in %s", o.path, terminal.Bytes(result.Summary.Bytes), terminal.Plural(result.Summary.Files, "file"))
	a.noteModel(found)
	a.noteHidden(result)
	a.noteManifest(to, result.Fingerprint)
	return nil
}

// scanToManifest reads the data and writes its manifest; see, which may be nil, is
// called for each file.
func (a *app) scanToManifest(ctx context.Context, d *data, opts scan.Options, to io.Writer, see func(fingerprint.File) error) (scan.Result, error) {
	w := fingerprint.NewWriter(to, opts.Algorithm, fingerprint.WriterOptions{PlainSHA256: opts.PlainSHA256})
	result, err := a.scan(ctx, d, opts, func(f fingerprint.File) error {
		if err := w.Add(f); err != nil || see == nil {
			return err
		}
		return see(f)
	})
	if err != nil {
		return result, err
	}
	_, err = w.Close()
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
