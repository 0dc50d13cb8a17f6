package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/stele-ml/stele/cmd/stele/jsonv1"
	"github.com/stele-ml/stele/fingerprint"
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

func (a *app) showManifest(m *manifestFile) error {
	algorithm := m.Algorithm()
	if a.json {
		for f, err := range m.All() {
			if err != nil {
				return m.explain(err)
			}
			line := jsonv1.File{Path: f.Path, Size: f.Size, Digest: algorithm.DigestText(f.Size, f.Digest)}
			if f.SHA256 != nil {
				line.SHA256 = f.SHA256.String()
			}
			a.printJSON(line)
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
		return m.explain(failed)
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
			if err := m.check(); err != nil {
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
			write, ok := map[string]func(*manifestFile, io.Writer) error{
				"jsonl": exportJSONL, "sha256sum": exportSums(fingerprint.SHA256), "b3sum": exportSums(fingerprint.BLAKE3), "stele": exportManifest,
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

func bufferedTo(w io.Writer, m *manifestFile, write func(*manifestFile, io.Writer) error) error {
	b := bufio.NewWriterSize(w, 1<<16)
	if err := write(m, b); err != nil {
		return err
	}
	return b.Flush()
}

func exportJSONL(m *manifestFile, w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	for f, err := range m.All() {
		if err != nil {
			return m.explain(err)
		}
		line := jsonv1.File{Path: f.Path, Size: f.Size, Digest: m.Algorithm().DigestText(f.Size, f.Digest)}
		if f.SHA256 != nil {
			line.SHA256 = f.SHA256.String()
		}
		if err := enc.Encode(line); err != nil {
			return err
		}
	}
	return nil
}

// exportSums writes plain digests as coreutils does, each file's or none: a
// tree's digest would look like one and match nothing.
func exportSums(algorithm fingerprint.Algorithm) func(*manifestFile, io.Writer) error {
	return func(m *manifestFile, w io.Writer) error {
		for f, err := range m.All() {
			if err != nil {
				return m.explain(err)
			}
			var sum fingerprint.Digest
			switch {
			case algorithm == fingerprint.SHA256 && f.SHA256 != nil:
				sum = *f.SHA256
			case algorithm == m.Algorithm() && f.Size <= fingerprint.ChunkSize:
				sum = f.Digest
			default:
				hint := "make the manifest with `stele fingerprint --sha256 --manifest FILE`, and export sha256sum"
				return failf(exitError, "the manifest has no plain %v of %s", algorithm, f.Path).withPath(f.Path).withHint(hint)
			}
			// GNU coreutils writes a backslash first where the name is escaped.
			mark, name := "", f.Path
			if strings.ContainsAny(name, "\\\n\r") {
				mark, name = `\`, strings.NewReplacer(`\`, `\\`, "\n", `\n`, "\r", `\r`).Replace(name)
			}
			if _, err := fmt.Fprintf(w, "%s%s  %s\n", mark, sum, name); err != nil {
				return err
			}
		}
		return nil
	}
}

func exportManifest(m *manifestFile, w io.Writer) error {
	out := fingerprint.NewWriter(w, m.Algorithm(), fingerprint.WriterOptions{PlainSHA256: m.PlainSHA256()})
	for f, err := range m.All() {
		if err != nil {
			return m.explain(err)
		}
		if err := out.Add(f); err != nil {
			return err
		}
	}
	_, err := out.Close()
	return err
}

// manifestFile is an open manifest.
type manifestFile struct {
	*fingerprint.Reader
	name string
	file io.Closer
}

func (m *manifestFile) Close() error { return m.file.Close() }

// check reads the manifest to its end.
func (m *manifestFile) check() error {
	for _, err := range m.All() {
		if err != nil {
			return m.explain(err)
		}
	}
	return nil
}

// explain names the manifest in an error and tells damage from the rest.
func (m *manifestFile) explain(err error) error {
	if errors.Is(err, fingerprint.ErrMismatch) || errors.Is(err, fingerprint.ErrFormat) || errors.Is(err, fingerprint.ErrTruncated) {
		return failf(exitTampered, "manifest %s: %w", m.name, err).withPath(m.name)
	}
	return fmt.Errorf("manifest %s: %w", m.name, err)
}

// readManifest opens a manifest that must hash to want (zero: any).
func readManifest(path string, want fingerprint.Fingerprint) (*manifestFile, error) {
	f, err := openRegular(path)
	if err != nil {
		return nil, err
	}
	return newManifest(path, f, want)
}

// newManifest reads a manifest from an open file, and closes it where it is
// none. People are told name.
func newManifest(name string, f *os.File, want fingerprint.Fingerprint) (m *manifestFile, err error) {
	m = &manifestFile{name: name, file: f}
	if m.Reader, err = fingerprint.NewReader(bufferedReader(f), want); err != nil {
		f.Close()
		return nil, m.explain(err)
	}
	return m, nil
}
