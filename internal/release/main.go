// Command release builds the archives that people download: one for each
// system and processor, with checksums, the same bytes whoever builds them
// with the same Go. Run it as ./release.
package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
)

// targets are the systems and processors that a release is for.
var targets = []string{
	"darwin/amd64", "darwin/arm64", "linux/amd64", "linux/arm64", "windows/amd64", "windows/arm64",
}

// documents go into every archive beside the binary.
var documents = []string{"CHANGELOG.md", "LICENSE", "README.md"}

// licences is the file with the licences of what is linked in.
const licences = "THIRD-PARTY-LICENSES.txt"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "error:", err)
		stop()
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, stdout io.Writer) error {
	flags := flag.NewFlagSet("release", flag.ContinueOnError)
	version := flags.String("version", "", "the version; the commit's tag, or its time and hash, if not given")
	only := flags.String("only", "", "targets, with commas between them; all if not given")
	out := flags.String("o", "dist", "the folder to write to")
	dirty := flags.Bool("allow-dirty", false, "build from a work tree with changes that are not committed")
	if err := flags.Parse(args); err != nil {
		return err
	}
	b := builder{stdout: stdout, out: *out, targets: targets}
	if *only != "" {
		b.targets = strings.Split(*only, ",")
		for _, t := range b.targets {
			if !slices.Contains(targets, t) {
				return fmt.Errorf("unknown target %q; there are %s", t, strings.Join(targets, ", "))
			}
		}
	}
	if err := b.identify(ctx, *version, *dirty); err != nil {
		return err
	}
	return b.build(ctx)
}

// A builder makes one release.
type builder struct {
	stdout  io.Writer
	out     string
	targets []string
	version string    // without the v of a tag
	time    time.Time // every file's time
}

// versionForm is semantic versioning without build metadata, or what stands
// for it between releases. It becomes part of file names and linker flags.
var versionForm = regexp.MustCompile(`^[0-9]+\.[0-9]+\.[0-9]+(-[0-9A-Za-z.-]+)?$`)

// identify finds the version and the time, both of the commit and not of the
// machine. SOURCE_DATE_EPOCH, in unix seconds, overrides the time.
func (b *builder) identify(ctx context.Context, version string, dirty bool) error {
	status, err := output(ctx, nil, "git", "status", "--porcelain")
	if err != nil {
		return err
	}
	if status != "" && !dirty {
		return fmt.Errorf("the work tree has changes that are not committed:\n%s", status)
	}
	commit, err := output(ctx, nil, "git", "log", "-1", "--format=%ct %H")
	if err != nil {
		return err
	}
	seconds, hash, _ := strings.Cut(commit, " ")
	if epoch := os.Getenv("SOURCE_DATE_EPOCH"); epoch != "" {
		seconds = epoch
	}
	n, err := strconv.ParseInt(seconds, 10, 64)
	if err != nil || n < 315532800 { // 1980-01-01: the first day that a zip file knows
		return fmt.Errorf("time of the release %q: not unix seconds since 1980", seconds)
	}
	b.time = time.Unix(n, 0).UTC()
	if version == "" {
		tag, err := output(ctx, nil, "git", "tag", "--points-at", "HEAD", "--list", "v[0-9]*", "--sort=-version:refname")
		if err != nil {
			return err
		}
		version, _, _ = strings.Cut(tag, "\n")
	}
	if version == "" {
		version = fmt.Sprintf("0.0.0-%s-%.12s", b.time.Format("20060102150405"), hash)
	}
	if status != "" {
		version += "-dirty"
	}
	b.version = strings.TrimPrefix(version, "v")
	if !versionForm.MatchString(b.version) {
		return fmt.Errorf("version %q is not of the form 1.2.3 or 1.2.3-pre", b.version)
	}
	return nil
}

func (b *builder) build(ctx context.Context) error {
	if err := os.MkdirAll(b.out, 0o755); err != nil {
		return err
	}
	fmt.Fprintf(b.stdout, "stele %s of %s, with %s\n", b.version, b.time.Format(time.RFC3339), runtime.Version())
	notice, err := gatherLicences(ctx, targets) // of all targets, so that each archive has the same
	if err != nil {
		return err
	}
	var sums []string
	for _, target := range b.targets {
		archive, err := b.archive(ctx, target, notice)
		if err != nil {
			return fmt.Errorf("%s: %w", target, err)
		}
		name := b.name(target)
		sums = append(sums, fmt.Sprintf("%x  %s\n", sha256.Sum256(archive), name))
		if err := os.WriteFile(filepath.Join(b.out, name), archive, 0o644); err != nil {
			return err
		}
		fmt.Fprintf(b.stdout, "%s  %d bytes\n", name, len(archive))
	}
	slices.SortFunc(sums, func(a, b string) int { return strings.Compare(a[64:], b[64:]) })
	path := filepath.Join(b.out, "SHA256SUMS")
	if err := os.WriteFile(path, []byte(strings.Join(sums, "")), 0o644); err != nil {
		return err
	}
	fmt.Fprintf(b.stdout, "%s  checksums\n", path)
	return nil
}

// folder is the one folder in an archive.
func (b *builder) folder(target string) string {
	return "stele_" + b.version + "_" + strings.ReplaceAll(target, "/", "_")
}

func (b *builder) name(target string) string {
	if strings.HasPrefix(target, "windows/") {
		return b.folder(target) + ".zip"
	}
	return b.folder(target) + ".tar.gz"
}

// archive builds one target and packs it.
func (b *builder) archive(ctx context.Context, target string, notice []byte) ([]byte, error) {
	binary, err := b.compile(ctx, target)
	if err != nil {
		return nil, err
	}
	program := "stele"
	if strings.HasPrefix(target, "windows/") {
		program += ".exe"
	}
	files := []file{{program, 0o755, binary}, {licences, 0o644, notice}}
	for _, name := range documents {
		text, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		files = append(files, file{name, 0o644, text})
	}
	slices.SortFunc(files, func(a, b file) int { return strings.Compare(a.name, b.name) })
	if strings.HasPrefix(target, "windows/") {
		return packZip(b.folder(target), b.time, files)
	}
	return packTar(b.folder(target), b.time, files)
}

// settings are what could otherwise come from the person's environment and
// change the bytes.
func settings(target string) []string {
	system, processor, _ := strings.Cut(target, "/")
	return append(os.Environ(), "GOOS="+system, "GOARCH="+processor, "CGO_ENABLED=0", "GOAMD64=v1", "GOARM64=v8.0",
		"GOEXPERIMENT=", "GOFIPS140=off", "GOFLAGS=-mod=readonly", "GOWORK=off")
}

func (b *builder) compile(ctx context.Context, target string) ([]byte, error) {
	dir, err := os.MkdirTemp("", "stele-release-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	binary := filepath.Join(dir, "stele")
	_, err = output(ctx, settings(target), "go", "build", "-trimpath", "-buildvcs=false",
		"-ldflags", "-s -w -buildid= -X main.version="+b.version, "-o", binary, "./cmd/stele")
	if err != nil {
		return nil, err
	}
	return os.ReadFile(binary)
}

// output runs a command in the repository's root and returns what it printed,
// without the last line break. env is nil for our own.
func output(ctx context.Context, env []string, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = env
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w\n%s", name, args[0], err, bytes.TrimSpace(stderr.Bytes()))
	}
	return strings.TrimRight(string(out), "\n"), nil
}
