// Package boundary holds the repository to its shape: imports run inward, the
// core stays pure, each heavy dependency has one door. It has tests alone.
package boundary

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const root = "../.."

// A source is one Go file of the main module, whatever system it is for.
type source struct {
	name    string // from the root, with slashes
	folder  string // its package, from the root
	test    bool
	file    *ast.File
	fset    *token.FileSet
	imports []string
	lines   int
}

// sources parses every Go file of the main module.
func sources(t *testing.T) []source {
	t.Helper()
	var all []source
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		base := d.Name()
		if d.IsDir() {
			if name != root {
				if base == "testdata" || base[0] == '.' || base[0] == '_' || base == "dist" {
					return fs.SkipDir
				}
				if _, err := os.Stat(filepath.Join(name, "go.mod")); err == nil {
					return fs.SkipDir // another module, with rules of its own
				}
			}
			return nil
		}
		if !strings.HasSuffix(base, ".go") || base[0] == '.' || base[0] == '_' {
			return nil
		}
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		s := source{name: rel, folder: path.Dir(rel), test: strings.HasSuffix(base, "_test.go"), fset: token.NewFileSet(), lines: bytes.Count(text, []byte("\n"))}
		if s.file, err = parser.ParseFile(s.fset, rel, text, parser.ParseComments|parser.SkipObjectResolution); err != nil {
			return err
		}
		for _, i := range s.file.Imports {
			p, err := strconv.Unquote(i.Path.Value)
			if err != nil {
				return err
			}
			s.imports = append(s.imports, p)
		}
		all = append(all, s)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 10 {
		t.Fatalf("only %d Go files below %s", len(all), root)
	}
	return all
}

func standard(p string) bool {
	first, _, _ := strings.Cut(p, "/")
	return !strings.Contains(first, ".")
}

// ours returns the folder of one of our own packages.
func ours(p string) (string, bool) { return strings.CutPrefix(p, module+"/") }

func inside(folder string, patterns []string) bool {
	for _, p := range patterns {
		if prefix, all := strings.CutSuffix(p, "/..."); folder == p || all && strings.HasPrefix(folder, prefix+"/") {
			return true
		}
	}
	return false
}

func measures(folder string) bool {
	return folder == measuring || strings.HasPrefix(folder, measuring+"/")
}

func TestImportsRunInward(t *testing.T) {
	seen := map[string]bool{}
	for _, s := range sources(t) {
		if s.test || testSupport[s.folder] != "" || measures(s.folder) {
			continue
		}
		seen[s.folder] = true
		allowed, placed := flow[s.folder]
		if !placed {
			t.Errorf("%s: the package %s has no place in the flow", s.name, s.folder)
			continue
		}
		for _, p := range s.imports {
			folder, own := ours(p)
			switch {
			case !own:
			case testSupport[folder] != "", measures(folder):
				t.Errorf("%s: imports %s, which is for tests and measurements", s.name, folder)
			case !inside(folder, allowed):
				t.Errorf("%s: %s may not import %s", s.name, s.folder, folder)
			}
		}
	}
	for folder := range flow {
		if !seen[folder] {
			t.Errorf("the flow has a place for %s, which does not exist", folder)
		}
	}
}

func TestHeavyDependenciesHaveOneDoor(t *testing.T) {
	used := map[string]bool{}
	for _, s := range sources(t) {
		for _, p := range s.imports {
			if standard(p) || strings.HasPrefix(p, module+"/") {
				continue
			}
			name := ""
			for m := range doors {
				if within(p, m) {
					name = m
				}
			}
			if name == "" {
				t.Errorf("%s: imports %s, whose module has no door: add it with a reason, or do without", s.name, p)
				continue
			}
			used[name] = true
			if !s.test && testSupport[s.folder] == "" && !measures(s.folder) && !slices.Contains(doors[name].packages, s.folder) {
				t.Errorf("%s: %s may not import %s (%s: %s)", s.name, s.folder, p, strings.Join(doors[name].packages, ", "), doors[name].reason)
			}
		}
	}
	direct := directModules(t)
	for m := range used {
		if !slices.ContainsFunc(direct, func(d string) bool { return within(d, m) }) {
			t.Errorf("%s is imported, but go.mod does not list it as a direct requirement", m)
		}
	}
	for _, m := range direct {
		if !slices.ContainsFunc(slices.Collect(maps.Keys(doors)), func(d string) bool { return within(m, d) }) {
			t.Errorf("go.mod requires %s, which has no door", m)
		}
	}
}

// within reports whether a module or package path is another, or lies in it: an
// SDK may be many modules behind one door.
func within(path, other string) bool {
	return path == other || strings.HasPrefix(path, other+"/")
}

// directModules are go.mod's requirements not marked as indirect.
func directModules(t *testing.T) []string {
	t.Helper()
	out, err := exec.Command("go", "mod", "edit", "-json", filepath.Join(root, "go.mod")).Output()
	if err != nil {
		t.Fatalf("go mod edit: %v", err)
	}
	var mod struct {
		Require []struct {
			Path     string
			Indirect bool
		}
	}
	if err := json.Unmarshal(out, &mod); err != nil {
		t.Fatal(err)
	}
	var direct []string
	for _, r := range mod.Require {
		if !r.Indirect {
			direct = append(direct, r.Path)
		}
	}
	return direct
}

func TestCoreIsPure(t *testing.T) {
	for _, s := range sources(t) {
		if s.test || !slices.Contains(core, s.folder) {
			continue
		}
		for _, p := range s.imports {
			if standard(p) && coreStandard[p] == "" {
				t.Errorf("%s: the core may not import %s: no os, net, log, clock or chance of its own", s.name, p)
			}
		}
		names := map[string]string{} // the name in this file → import path
		for _, i := range s.file.Imports {
			p, _ := strconv.Unquote(i.Path.Value)
			name := path.Base(p)
			if i.Name != nil {
				name = i.Name.Name
			}
			if name == "." {
				t.Errorf("%s: imports %s into its own names", s.name, p)
			}
			names[name] = path.Base(p)
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.SelectorExpr:
				if x, ok := n.X.(*ast.Ident); ok && names[x.Name] != "" {
					if reason := coreForbidden[names[x.Name]+"."+n.Sel.Name]; reason != "" {
						t.Errorf("%s: %s.%s is %s, which the core has no part in", s.fset.Position(n.Pos()), x.Name, n.Sel.Name, reason)
					}
				}
			case *ast.CallExpr:
				if f, ok := n.Fun.(*ast.Ident); ok && (f.Name == "print" || f.Name == "println") {
					t.Errorf("%s: %s writes to standard error", s.fset.Position(n.Pos()), f.Name)
				}
			case *ast.FuncDecl:
				if n.Recv == nil && n.Name.Name == "init" {
					t.Errorf("%s: the core does nothing before it is called", s.fset.Position(n.Pos()))
				}
			}
			return true
		})
	}
}

// What the core needs, directly or not, on this system and in a browser.
func TestCoreNeedsFewModules(t *testing.T) {
	for _, system := range []string{"", "js/wasm"} {
		args := []string{"list", "-deps", "-json=ImportPath,Standard,Module"}
		for _, p := range core {
			args = append(args, module+"/"+p)
		}
		cmd := exec.Command("go", args...)
		cmd.Dir = root
		cmd.Env = os.Environ()
		if goos, arch, ok := strings.Cut(system, "/"); ok {
			cmd.Env = append(cmd.Env, "GOOS="+goos, "GOARCH="+arch, "CGO_ENABLED=0")
		}
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("go list %s: %v\n%s", system, err, &stderr)
		}
		n := 0
		for d := json.NewDecoder(bytes.NewReader(out)); ; n++ {
			var p struct {
				ImportPath string
				Standard   bool
				Module     *struct{ Path string }
			}
			if err := d.Decode(&p); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatal(err)
			}
			if p.Standard {
				continue // os comes with crypto/x509; that ours do not call it is TestCoreIsPure's
			}
			if p.Module == nil || coreModules[p.Module.Path] == "" {
				t.Errorf("%s: the core needs %s, of a module that it should not", system, p.ImportPath)
			}
			if folder, own := ours(p.ImportPath); own && !slices.Contains(core, folder) {
				t.Errorf("%s: the core needs %s", system, folder)
			}
		}
		if n < len(core) {
			t.Errorf("%s: go list named %d packages", system, n)
		}
	}
}

func TestFilesAreShort(t *testing.T) {
	for _, s := range sources(t) {
		if !s.test && s.lines > maxLines {
			t.Errorf("%s has %d lines, more than %d: it has more than one subject", s.name, s.lines, maxLines)
		}
	}
}

func TestPackagesAreNouns(t *testing.T) {
	for _, s := range sources(t) {
		name := strings.TrimSuffix(s.file.Name.Name, "_test")
		for _, n := range append(strings.Split(s.folder, "/"), name) {
			if slices.Contains(refusedNames, n) {
				t.Errorf("%s: %q says nothing about what is inside", s.name, n)
			}
		}
		if s.folder == "." {
			t.Errorf("%s: nothing lives at the root", s.name)
		}
	}
}

// saidElsewhere are methods whose meaning the standard library's interfaces
// fix.
var saidElsewhere = []string{"Error", "Unwrap", "Is", "String", "Len", "Less", "Swap"}

// Exported names say what they are, with units, errors and source. A method in
// internal may be said by the interface that it is there for.
func TestExportedNamesAreDocumented(t *testing.T) {
	documented := map[string]bool{} // packages
	for _, s := range sources(t) {
		if s.test {
			continue
		}
		documented[s.folder] = documented[s.folder] || s.file.Doc != nil
		complain := func(pos token.Pos, name string) {
			t.Errorf("%s: %s has no comment", s.fset.Position(pos), name)
		}
		for _, d := range s.file.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				if !d.Name.IsExported() || d.Doc != nil {
					continue
				}
				if d.Recv == nil {
					complain(d.Pos(), d.Name.Name)
				} else if exportedReceiver(d) && !strings.HasPrefix(s.folder, "internal/") && !slices.Contains(saidElsewhere, d.Name.Name) {
					complain(d.Pos(), d.Name.Name)
				}
			case *ast.GenDecl:
				for _, spec := range d.Specs {
					switch spec := spec.(type) {
					case *ast.TypeSpec:
						if spec.Name.IsExported() && d.Doc == nil && spec.Doc == nil {
							complain(spec.Pos(), spec.Name.Name)
						}
					case *ast.ValueSpec:
						if spec.Names[0].IsExported() && d.Doc == nil && spec.Doc == nil && spec.Comment == nil {
							complain(spec.Pos(), spec.Names[0].Name)
						}
					}
				}
			}
		}
	}
	for folder, ok := range documented {
		if !ok {
			t.Errorf("%s: no package comment", folder)
		}
	}
}

func exportedReceiver(d *ast.FuncDecl) bool {
	x := d.Recv.List[0].Type
	for {
		switch y := x.(type) {
		case *ast.StarExpr:
			x = y.X
		case *ast.IndexExpr:
			x = y.X
		case *ast.Ident:
			return y.IsExported()
		default:
			return false
		}
	}
}

// The rules can fail: each is shown something that breaks it.
func TestRulesBite(t *testing.T) {
	if inside("internal/ledger", flow["fingerprint"]) || inside("internal", []string{"internal/..."}) || !inside("internal/x/y", []string{"internal/..."}) {
		t.Error("inside does not tell folders apart")
	}
	if standard("github.com/x/y") || !standard("crypto/sha256") {
		t.Error("standard does not tell the library from modules")
	}
	for _, p := range []string{"os", "net", "net/http", "log", "log/slog", "math/rand", "math/rand/v2", "crypto/rand", "path/filepath", "encoding/json", "os/exec", "syscall"} {
		if coreStandard[p] != "" {
			t.Errorf("the core may import %s", p)
		}
	}
}

// The threat model names a test for each attack; each is there.
func TestThreatModelNamesTests(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, "docs", "threat-model.md"))
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string]bool{}
	for _, s := range sources(t) {
		for _, d := range s.file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && s.test && f.Recv == nil {
				tests[f.Name.Name] = true
			}
		}
	}
	named := regexp.MustCompile("`(Test[A-Za-z0-9_]+)`").FindAllSubmatch(text, -1)
	if len(named) < 20 {
		t.Errorf("only %d tests are named", len(named))
	}
	for _, m := range named {
		if !tests[string(m[1])] {
			t.Errorf("docs/threat-model.md names %s, which does not exist", m[1])
		}
	}
	for _, m := range regexp.MustCompile("`([a-z]+[.]txtar)`").FindAllSubmatch(text, -1) {
		if _, err := os.Stat(filepath.Join(root, "cmd", "stele", "testdata", "script", string(m[1]))); err != nil {
			t.Errorf("docs/threat-model.md names a script: %v", err)
		}
	}
}

// ./test and CI name the same core as this test, for the browser build.
func TestScriptBuildsTheCore(t *testing.T) {
	f, err := os.Open(filepath.Join(root, "test"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if list, ok := strings.CutPrefix(lines.Text(), "readonly core=("); ok {
			for _, p := range core {
				if !strings.Contains(list, "./"+p+"/...") {
					t.Errorf("./test does not build %s for the browser", p)
				}
			}
			return
		}
	}
	t.Error("./test does not name the core")
}
