package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// ledgerName is what a ledger is called in the folder it stands in.
const ledgerName = ".stele"

// maxAddress bounds a .stele that is a file: one line with a path.
const maxAddress = 4096

// errNoLedger says that none is in sight; stamp makes one then, on a terminal.
var errNoLedger = failf(exitNotFound, "no ledger: neither --ledger nor $STELE_LEDGER is given, and no %s stands here or above", ledgerName).
	withHint("`stele init` makes one in this folder")

// findLedger returns where the ledger to use is: its directory, or the address of its
// server, with "://": --ledger, $STELE_LEDGER, the nearest .stele upward.
func (a *app) findLedger() (string, error) {
	if a.ledgerFlag != "" {
		return resolveLedger(a.ledgerFlag, "--ledger")
	}
	if env := a.getenv("STELE_LEDGER"); env != "" {
		return resolveLedger(env, "$STELE_LEDGER")
	}
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		at := filepath.Join(dir, ledgerName)
		if _, err := os.Lstat(at); err == nil && !onlyManifests(at) {
			found, err := resolveLedger(at, "")
			if err == nil && isAddress(found) {
				a.servers.fromFile[found] = true
			}
			return found, err
		} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errNoLedger
		}
		dir = parent
	}
}

// onlyManifests reports whether a .stele is no ledger but a folder beside data
// where manifests were put (--manifest-to).
func onlyManifests(dir string) bool {
	list, err := os.ReadDir(dir)
	return err == nil && len(list) == 1 && list[0].Name() == "manifests" && list[0].IsDir()
}

// hostAndPort is the address of a server whose scheme was left out.
var hostAndPort = regexp.MustCompile(`^[A-Za-z0-9.-]+:[0-9]{1,5}/?$`)

// resolveLedger follows a given place to a ledger: the address of its server, its
// directory, the folder it stands in, or a small file with its path or address.
func resolveLedger(place, from string) (string, error) {
	if isAddress(place) {
		address := strings.TrimRight(place, "/")
		if !isAddress(address) {
			return "", usagef("%s names no server", place).withHint("for example https://ledger.example")
		}
		return address, nil
	}
	if from != "" {
		from = " (from " + from + ")"
	}
	file := ""    // whose line place is
	for range 4 { // at most: the folder around a file, the file, the folder around the ledger, the ledger
		info, err := os.Stat(place)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			if file != "" && from != "" { // its line is not repeated: it may be a token, given as --ledger by mistake
				return "", failf(exitNotFound, "no ledger where the file %s points%s", file, from).withPath(file).withHint("it holds one line: a directory, or an address that begins with https://")
			}
			f := failf(exitNotFound, "no ledger at %s%s", place, from).withPath(place).withHint("`stele init` makes one; a server's address begins with https://")
			if hostAndPort.MatchString(place) {
				f.hint = "the address of a server begins with its scheme: https://" + place
			}
			return "", f
		case err != nil:
			return "", err
		case info.Mode().IsRegular():
			text, err := readSmall(place, maxAddress)
			if err != nil {
				return "", err
			}
			address := strings.TrimSuffix(strings.TrimSuffix(string(text), "\n"), "\r") // an editor's line end
			if address == "" || strings.ContainsAny(address, "\n\x00") || isAddress(address) && !strings.HasPrefix(address, "https://") {
				return "", failf(exitError, "%s is no ledger, nor the path or the https address of one on a single line", place).withPath(place)
			}
			if isAddress(address) {
				return strings.TrimRight(address, "/"), nil
			}
			if !filepath.IsAbs(address) {
				address = filepath.Join(filepath.Dir(place), address)
			}
			file, place = place, address
			continue
		case !info.IsDir():
			return "", failf(exitError, "%s is neither a directory nor a file", place).withPath(place)
		}
		if _, err := os.Stat(filepath.Join(place, "ledger.json")); err == nil {
			return filepath.Abs(place)
		}
		if inner := filepath.Join(place, ledgerName); filepath.Base(place) != ledgerName {
			if _, err := os.Stat(inner); err == nil {
				place = inner
				continue
			}
		}
		return "", failf(exitNotFound, "%s holds no ledger%s", place, from).withPath(place).withHint("`stele init` makes one")
	}
	return "", failf(exitError, "%s leads to another address", place).withPath(place)
}

// readSmall reads a file that must not be larger than limit bytes.
func readSmall(path string, limit int64) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, exists(path)
	}
	if !info.Mode().IsRegular() {
		return nil, failf(exitError, "%s is not a file", path).withPath(path)
	}
	if info.Size() > limit {
		return nil, failf(exitError, "%s has %d bytes; at most %d are read", path, info.Size(), limit).withPath(path)
	}
	return os.ReadFile(path)
}
