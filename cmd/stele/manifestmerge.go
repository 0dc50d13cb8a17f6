package main

import (
	"iter"
	"os"

	"github.com/spf13/cobra"

	"github.com/stele-ml/stele/fingerprint"
)

func (a *app) manifestMerge() *cobra.Command {
	var out string
	c := &cobra.Command{
		Use:   "merge MANIFEST… -o FILE",
		Short: "Join the manifests of parts into one; an overlap is refused",
		Args:  cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if out == "" {
				return usagef("merge needs -o FILE")
			}
			var parts []*manifestFile
			defer func() {
				for _, p := range parts {
					p.Close()
				}
			}()
			for _, arg := range args {
				m, err := a.openManifest(c.Context(), arg)
				if err != nil {
					return err
				}
				parts = append(parts, m)
				if m.Algorithm() != parts[0].Algorithm() {
					return usagef("%s is a %v manifest and %s a %v one", arg, m.Algorithm(), args[0], parts[0].Algorithm())
				}
			}
			var summary fingerprint.Summary
			err := writeWhole(out, func(f *os.File) error {
				plain := true
				for _, p := range parts {
					plain = plain && p.PlainSHA256()
				}
				w := fingerprint.NewWriter(f, parts[0].Algorithm(), fingerprint.WriterOptions{PlainSHA256: plain})
				if err := mergeManifests(parts, w.Add); err != nil {
					return err
				}
				var err error
				summary, err = w.Close()
				return err
			})
			if err != nil {
				return err
			}
			return a.printManifest(out, summary.Fingerprint(parts[0].Algorithm()), summary)
		},
	}
	c.Flags().StringVarP(&out, "output", "o", "", "the `file` to write")
	return c
}

// mergeManifests emits the files of all parts in path order. A path that two
// parts have is an error naming it: the parts overlap.
func mergeManifests(parts []*manifestFile, emit func(fingerprint.File) error) error {
	type head struct {
		file fingerprint.File
		ok   bool
		next func() (fingerprint.File, error, bool)
	}
	heads := make([]head, len(parts))
	for i, p := range parts {
		next, stop := iter.Pull2(p.All())
		defer stop()
		heads[i].next = next
	}
	advance := func(i int) error {
		f, err, ok := heads[i].next()
		if err != nil {
			return parts[i].explain(err)
		}
		heads[i].file, heads[i].ok = f, ok
		return nil
	}
	for i := range heads {
		if err := advance(i); err != nil {
			return err
		}
	}
	for {
		least := -1
		for i := range heads {
			switch {
			case !heads[i].ok:
			case least < 0 || heads[i].file.Path < heads[least].file.Path:
				least = i
			case heads[i].file.Path == heads[least].file.Path:
				return failf(exitError, "%s stands in both %s and %s: the parts overlap", heads[i].file.Path, parts[least].name, parts[i].name).withPath(heads[i].file.Path)
			}
		}
		if least < 0 {
			return nil
		}
		if err := emit(heads[least].file); err != nil {
			return err
		}
		if err := advance(least); err != nil {
			return err
		}
	}
}
