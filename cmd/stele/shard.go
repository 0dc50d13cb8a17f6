package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/stele-ml/stele/cmd/stele/jsonv1"
	"github.com/stele-ml/stele/internal/scan"
	"github.com/stele-ml/stele/internal/shard"
	"github.com/stele-ml/stele/internal/terminal"
)

// parseShard reads 3/16: the third of sixteen.
func parseShard(text string) (p shard.Part, err error) {
	if text == "" {
		return p, nil
	}
	number := func(s string) uint32 {
		n, err := strconv.ParseUint(s, 10, 32)
		if err != nil || strconv.FormatUint(n, 10) != s {
			return 0
		}
		return uint32(n)
	}
	index, count, _ := strings.Cut(text, "/")
	i, n := number(index), number(count)
	if i == 0 || i > n || n > shard.MaxCount {
		return p, usagef("--shard %q: want a shard and how many there are, such as 3/16; at most %d", text, shard.MaxCount).
			withHint("the shards of 16 workers are 1/16 to 16/16")
	}
	return shard.Part{Index: i - 1, Count: n}, nil
}

// fingerprintShard reads one shard of a place, and writes its part of the
// manifest. The fingerprint comes of all parts together.
func (a *app) fingerprintShard(ctx context.Context, d *data, o *fingerprintOrder, to *manifestTarget) error {
	if o.manifest == "" && to == nil {
		return usagef("--shard needs --manifest or --manifest-to: what a shard has read goes into a file that is merged with the others'").
			withHint("`stele manifest merge` joins them")
	}
	if to != nil && to.folder {
		to.place, to.folder = to.place.Join(fmt.Sprintf("%d-of-%d", o.shard.Index+1, o.shard.Count)), false
	}
	opts := o.flags.options(o.algorithm)
	opts.Shard = o.shard
	var result scan.Result
	err := withTemporary(func(manifest *os.File) (err error) {
		if result, err = a.scanToManifest(ctx, d, opts, manifest, nil); err != nil {
			return err
		}
		header := shard.Header{Part: o.shard, Listing: result.Listing, Rules: result.Rules, Listed: d.only != nil, Single: result.Single}
		write := func(f *os.File) error {
			if _, err := manifest.Seek(0, io.SeekStart); err != nil {
				return err
			}
			return shard.Write(f, header, manifest)
		}
		if o.manifest != "" {
			if err := writeWhole(o.manifest, write); err != nil {
				return err
			}
		}
		if to == nil {
			return nil
		}
		return withTemporary(func(f *os.File) error {
			if err := write(f); err != nil {
				return err
			}
			return a.putManifest(ctx, to, result.Fingerprint, f)
		})
	})
	if err != nil {
		return err
	}
	if a.json {
		a.printJSON(jsonv1.Shard{
			Shard: o.shard.String(), Path: o.path, Files: result.Summary.Files, Bytes: result.Summary.Bytes, Listed: result.Listing.Files,
			Ignore: nonNil(result.Rules), Hidden: result.HiddenCount, Resumed: result.Basis.Resumed,
			Manifest: o.manifest, ManifestTo: to.text(result.Fingerprint),
		})
		return nil
	}
	a.term.Printf("shard %v of %s: %s in %s of %s\n", o.shard, o.path, terminal.Bytes(result.Summary.Bytes),
		terminal.Count(result.Summary.Files), terminal.Plural(result.Listing.Files, "file"))
	a.noteHidden(result)
	a.noteManifest(to, result.Fingerprint)
	a.term.Notef("`stele manifest merge` joins the parts of all %s", terminal.Plural(uint64(o.shard.Count), "shard"))
	return nil
}
