package main

import (
	"bufio"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/stele-ml/stele/cmd/stele/jsonv1"
	"github.com/stele-ml/stele/fingerprint"
	"github.com/stele-ml/stele/internal/manifest"
	"github.com/stele-ml/stele/internal/terminal"
)

func (a *app) manifestCommand() *cobra.Command {
	return family(&cobra.Command{
		Use:   "manifest",
		Short: "Look at, check, join and export manifests",
		Long: `A manifest lists the files behind a fingerprint: path, size, digest, and the
digests of large files' chunks. MANIFEST is a file, or NAME@VERSION of a stamp
whose manifest lies with the ledger.`,
	}, a.manifestShow(), a.manifestVerify(), a.manifestMerge(), a.manifestExport())
}

func (a *app) manifestShow() *cobra.Command {
	return &cobra.Command{
		Use:   "show MANIFEST",
		Short: "List the files of a manifest",
		Args:  cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			m, err := a.openManifest(c.Context(), args[0])
			if err != nil {
				return err
			}
			defer m.Close()
			return a.showManifest(m)
		},
	}
}

func (a *app) showManifest(m *manifest.File) error {
	algorithm := m.Algorithm()
	if a.json {
		for f, err := range m.All() {
			if err != nil {
				return err
			}
			a.printJSON(m.Line(f))
		}
		return nil
	}
	var failed error
	rows := func(yield func([]terminal.Cell) bool) {
		for f, err := range m.All() {
			if err != nil {
				failed = err
				return
			}
			if !yield(terminal.Row(f.Path, terminal.Bytes(f.Size), algorithm.DigestText(f.Size, f.Digest))) {
				return
			}
		}
	}
	a.term.TableSeq([]terminal.Column{{Title: "PATH", Trim: terminal.TrimPath}, {Title: "SIZE", Right: true}, {Title: "DIGEST", Trim: terminal.TrimMiddle}}, rows)
	if failed != nil {
		return failed
	}
	a.term.Notef("%s, %s in %s", m.Fingerprint(), terminal.Bytes(m.Summary().Bytes), terminal.Plural(m.Summary().Files, "file"))
	return nil
}

func (a *app) manifestVerify() *cobra.Command {
	var want string
	c := &cobra.Command{
		Use:   "verify MANIFEST",
		Short: "Check that a manifest is whole and hashes to its fingerprint",
		Args:  cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			var fp fingerprint.Fingerprint
			if want != "" {
				var err error
				if fp, err = fingerprint.Parse(want); err != nil {
					return usagef("--fingerprint: %v", err)
				}
			}
			m, err := a.openManifest(c.Context(), args[0])
			if err != nil {
				return err
			}
			defer m.Close()
			if err := m.Check(); err != nil {
				return err
			}
			if want != "" && m.Fingerprint() != fp {
				return failf(exitTampered, "%s: the manifest is whole, but of %s, not of %s", args[0], m.Fingerprint(), fp).withPath(args[0])
			}
			return a.printManifest(args[0], m.Fingerprint(), m.Summary())
		},
	}
	c.Flags().StringVar(&want, "fingerprint", "", "the fingerprint it must have")
	return c
}

func (a *app) printManifest(path string, fp fingerprint.Fingerprint, s fingerprint.Summary) error {
	if a.json {
		a.printJSON(jsonv1.Manifest{Manifest: path, Fingerprint: fp.String(), Files: s.Files, Bytes: s.Bytes})
		return nil
	}
	a.term.Println(fp.String())
	a.term.Notef("%s: whole, %s in %s", path, terminal.Bytes(s.Bytes), terminal.Plural(s.Files, "file"))
	return nil
}

func (a *app) manifestExport() *cobra.Command {
	var format, out string
	c := &cobra.Command{
		Use:   "export MANIFEST [-o FILE]",
		Short: "Write a manifest as a file for other tools",
		Long: `Formats:
  jsonl      one object a line: path, size, digest, sha256 where recorded
  sha256sum  what sha256sum -c reads; files over 1 MiB, and all files of a
             BLAKE3 manifest, need their plain SHA-256 recorded (--sha256)
  b3sum      what b3sum -c reads; only files up to 1 MiB of a BLAKE3 manifest
  stele      the manifest itself`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			write, ok := map[string]func(*manifest.File, io.Writer) error{
				"jsonl": (*manifest.File).WriteJSONL, "stele": (*manifest.File).Write,
				"sha256sum": func(m *manifest.File, w io.Writer) error { return m.WriteSums(w, fingerprint.SHA256) },
				"b3sum":     func(m *manifest.File, w io.Writer) error { return m.WriteSums(w, fingerprint.BLAKE3) },
			}[format]
			if !ok {
				return usagef("--format %q: use jsonl, sha256sum, b3sum or stele", format)
			}
			m, err := a.openManifest(c.Context(), args[0])
			if err != nil {
				return err
			}
			defer m.Close()
			if out == "" {
				return bufferedTo(a.stdout, m, write)
			}
			if err := writeWhole(out, func(f *os.File) error { return bufferedTo(f, m, write) }); err != nil || !a.json {
				return err
			}
			return a.printManifest(out, m.Fingerprint(), m.Summary())
		},
	}
	c.Flags().StringVar(&format, "format", "jsonl", "jsonl, sha256sum, b3sum or stele")
	c.Flags().StringVarP(&out, "output", "o", "", "the `file` to write (default standard output)")
	return c
}

func bufferedTo(w io.Writer, m *manifest.File, write func(*manifest.File, io.Writer) error) error {
	b := bufio.NewWriterSize(w, 1<<16)
	if err := write(m, b); err != nil {
		return err
	}
	return b.Flush()
}
