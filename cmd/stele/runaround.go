package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/stele-ml/stele/fingerprint"
	"github.com/stele-ml/stele/internal/observe"
	"github.com/stele-ml/stele/internal/scan"
	"github.com/stele-ml/stele/internal/source"
	"github.com/stele-ml/stele/internal/terminal"
	"github.com/stele-ml/stele/statement"
)

// checkSecrets refuses what a person would tell under a name, or in a form, that
// looks like a secret. A message says no value.
func (o *runOrder) checkSecrets() error {
	for _, set := range []struct {
		flag  string
		pairs map[string]string
	}{{"--param", o.given}, {"--annotation", o.notes}} {
		for _, name := range sortedKeys(set.pairs) {
			if observe.IsSecret(name, set.pairs[name]) {
				return usagef("%s %s looks like a secret", set.flag, name).withHint("leave it out; what a run is given in secret is nobody's to know")
			}
		}
	}
	return nil
}

// environment are the variables that are noted.
func (w *running) environment() (map[string]string, error) {
	env := os.Environ()
	if !w.wrapped() { // it is not known to be the run's own: only what was asked for
		asked := map[string]bool{}
		for _, name := range w.order.env {
			asked[name] = true
		}
		env = slices.DeleteFunc(env, func(kv string) bool { name, _, _ := strings.Cut(kv, "="); return !asked[name] })
	}
	noted, err := observe.Environment(env, w.order.env)
	if err != nil {
		return nil, usagef("--env: %v", err).withHint("what goes into a run's details can be read by whoever has them")
	}
	return noted, nil
}

// here is the working folder, or "" where it cannot be told.
func here() string {
	dir, err := os.Getwd()
	if err != nil {
		return ""
	}
	return strings.ToValidUTF8(dir, "\uFFFD")
}

// parseImage reads --image.
func parseImage(text string) (*statement.Image, error) {
	if text == "" {
		return nil, nil
	}
	i, ok := observe.ParseImage(text)
	if !ok {
		return nil, usagef("--image %s: want NAME@sha256:HEX", text).withHint("a tag can be moved; `docker inspect --format '{{index .RepoDigests 0}}' IMAGE` shows the digest")
	}
	return i, nil
}

// lookAround finds the code, the container image and the lock files of a run
// that is about to start.
func (w *running) lookAround(ctx context.Context) error {
	folder := w.order.code
	if folder == "" {
		folder = "."
	}
	if err := w.lookAtCode(ctx, folder); err != nil {
		return err
	}
	if w.run.Image != nil {
		return nil
	}
	m := observe.Machine{Getenv: w.app.getenv, ReadFile: os.ReadFile}
	var contained bool
	if w.run.Image, contained = m.Image(); w.run.Image == nil && contained {
		w.app.term.Notef("this is a container, whose image cannot be told from within; --image or $STELE_IMAGE names it, as NAME@sha256:HEX")
	}
	return nil
}

// lookAtCode finds the commit and the lock files of the code in a folder.
func (w *running) lookAtCode(ctx context.Context, folder string) error {
	a := w.app
	if err := exists(folder); err != nil {
		return err
	}
	abs, err := filepath.Abs(folder)
	if err != nil {
		return err
	}
	progress := new(scan.Progress)
	stop := a.term.Progress(ctx, func() terminal.Snapshot {
		return terminal.Snapshot{Label: "looking at the code", BytesDone: progress.BytesDone.Load(), FilesDone: progress.FilesDone.Load()}
	})
	code, err := observe.Git(ctx, abs, observe.GitOptions{Algorithm: w.algorithm, Beside: w.besideCode(abs), Progress: progress})
	stop()
	root := abs
	switch {
	case errors.Is(err, observe.ErrNoCode) && w.order.code != "":
		return failf(exitNotFound, "--code %s: %w", folder, err).withPath(folder).withHint("it takes a folder of a git repository that has a commit")
	case errors.Is(err, observe.ErrNoCode):
		a.term.Notef("no code is recorded: %s", strings.TrimPrefix(err.Error(), observe.ErrNoCode.Error()+": "))
	case err != nil:
		return fmt.Errorf("look at the code: %w", err)
	default:
		w.noteCode(code)
		w.run.Code, root = &code.Code, code.Root
		if real, err := filepath.EvalSymlinks(abs); err == nil {
			abs = real // as git names its own
		}
	}
	locks, leftOut, err := observe.Locks(root, abs)
	if err != nil {
		return fmt.Errorf("look for lock files: %w", err)
	}
	if leftOut > 0 {
		a.term.Notef("left out: %s", countOf(leftOut, "lock file"))
	}
	w.run.Locks = locks
	return w.addLocks(root)
}

// noteCode tells what a person should know of the code, and keeps in the details
// what its fingerprint is of.
func (w *running) noteCode(code *observe.Code) {
	for _, note := range code.Notes {
		w.app.term.Notef("%s", note)
	}
	if w.details != nil {
		w.details.Tree = code.Covers
	}
	if n := code.Covers.LeftOut; n > 0 {
		w.app.term.Notef("not in the fingerprint of the code: %s of %s that git does not track: %s; a .gitignore keeps what is no code from being looked at",
			terminal.Plural(n, "file"), terminal.Bytes(code.Covers.LeftOutBytes), someOf(code.Large, n))
	}
}

// besideCode is what lies beside the code though it may lie in its folder:
// inputs, outputs, the ledger.
func (w *running) besideCode(folder string) []string {
	list := []string{w.dir}
	for dir := folder; ; dir = filepath.Dir(dir) {
		list = append(list, filepath.Join(dir, ledgerName))
		if filepath.Dir(dir) == dir {
			break
		}
	}
	for _, in := range w.order.in {
		if in.path != "" && !in.spot.Remote() {
			list = append(list, in.spot.Path())
		}
	}
	for _, out := range w.order.out {
		if out.path != "" && !out.spot.Remote() {
			list = append(list, out.spot.Path())
		}
	}
	if w.order.receipt != "" {
		if abs, err := filepath.Abs(w.order.receipt); err == nil {
			list = append(list, abs)
		}
	}
	return list
}

// addLocks adds the files of --lock, each under its path below the code's root,
// or its base name where it lies elsewhere.
func (w *running) addLocks(root string) error {
	byPath := map[string]statement.LockFile{}
	for _, l := range w.run.Locks {
		byPath[l.Path] = l
	}
	for _, name := range w.order.locks {
		if err := exists(name); err != nil {
			return err
		}
		sum, err := sumOfFile(name)
		if err != nil {
			return failf(exitError, "--lock %s: %w", name, err).withPath(name)
		}
		rel := filepath.Base(name)
		if real, err := spotOf(name); err == nil {
			if below, err := filepath.Rel(root, real.Path()); err == nil && filepath.IsLocal(below) {
				rel = below
			}
		}
		l := statement.LockFile{Path: filepath.ToSlash(rel), SHA256: sum}
		if had, ok := byPath[l.Path]; ok && had != l {
			return usagef("--lock %s: another lock file is called %s already", name, l.Path)
		}
		if err := fingerprint.CheckPath(l.Path); err != nil {
			return usagef("--lock: %v", err)
		}
		byPath[l.Path] = l
	}
	if len(byPath) > statement.MaxLocks {
		return usagef("%d lock files: at most %d are possible", len(byPath), statement.MaxLocks)
	}
	w.run.Locks = nil
	for _, path := range slices.Sorted(maps.Keys(byPath)) {
		w.run.Locks = append(w.run.Locks, byPath[path])
	}
	return nil
}

func sumOfFile(name string) (sum [32]byte, err error) {
	f, err := source.OpenRegular(name)
	if err != nil {
		return sum, err
	}
	defer f.Close()
	h := sha256.New()
	_, err = io.Copy(h, f)
	return [32]byte(h.Sum(nil)), err
}

// countOf writes a small number of things.
func countOf(n int, noun string) string { return terminal.Plural(uint64(n), noun) }
