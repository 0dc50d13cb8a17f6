package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
)

// licenceFile matches the names that licences and notices go by.
var licenceFile = regexp.MustCompile(`(?i)^(un)?(licen[cs]e|copying|notice|patents)([._-].*)?$`)

// gatherLicences collects the licence and notice files of every module that a
// target links in, and Go's own, in one text. A module without a licence is
// an error: it may not be shipped.
func gatherLicences(ctx context.Context, targets []string) ([]byte, error) {
	texts := map[string]string{} // "module version: file" → text
	for _, target := range targets {
		out, err := output(ctx, settings(target), "go", "list", "-trimpath", "-deps", "-json=Dir,Module,Standard", "./cmd/stele")
		if err != nil {
			return nil, err
		}
		for d := json.NewDecoder(strings.NewReader(out)); ; {
			var p struct {
				Dir      string
				Standard bool
				Module   *struct {
					Path, Version, Dir string
					Main               bool
				}
			}
			if err := d.Decode(&p); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				return nil, fmt.Errorf("go list: %w", err)
			}
			if p.Standard || p.Module == nil || p.Module.Main {
				continue
			}
			module := p.Module.Path + " " + p.Module.Version
			found, err := licencesFrom(module, p.Module.Dir, p.Dir, texts)
			if err != nil {
				return nil, err
			}
			if !found {
				return nil, fmt.Errorf("%s has no licence file", module)
			}
		}
	}
	root, err := output(ctx, nil, "go", "env", "GOROOT")
	if err != nil {
		return nil, err
	}
	if _, err := licencesFrom("Go "+runtime.Version(), root, root, texts); err != nil {
		return nil, err
	}
	var b bytes.Buffer
	b.WriteString("Stele is licensed under the Apache License 2.0 (see LICENSE). Linked into its binary\nare the Go modules below, each with its own licence.\n")
	for _, key := range slices.Sorted(maps.Keys(texts)) {
		fmt.Fprintf(&b, "\n%s\n%s\n\n%s\n", strings.Repeat("=", 80), key, texts[key])
	}
	return b.Bytes(), nil
}

// licencesFrom adds the licence files of a package's folder and those above
// it, up to its module's root: some modules hold packages of others. It
// reports whether there were any.
func licencesFrom(module, root, dir string, texts map[string]string) (bool, error) {
	found := false
	for {
		entries, err := os.ReadDir(dir)
		if err != nil {
			return false, err
		}
		for _, e := range entries {
			if !licenceFile.MatchString(e.Name()) || !e.Type().IsRegular() || strings.HasSuffix(e.Name(), ".go") {
				continue
			}
			rel, err := filepath.Rel(root, filepath.Join(dir, e.Name()))
			if err != nil {
				return false, err
			}
			text, err := os.ReadFile(filepath.Join(dir, e.Name()))
			if err != nil {
				return false, err
			}
			text = bytes.ReplaceAll(text, []byte("\r\n"), []byte("\n"))
			texts[module+": "+filepath.ToSlash(rel)] = strings.TrimSpace(string(text))
			found = true
		}
		if dir == root || len(dir) <= len(root) {
			return found, nil
		}
		dir = filepath.Dir(dir)
	}
}
