package guard

import (
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/stele-ml/stele/fingerprint"
)

const (
	// maxChecks is how many checks of a ledger's models are kept.
	maxChecks = 64

	// leftAfter is how long no check takes: what is older was left by one that was
	// killed.
	leftAfter = 7 * 24 * time.Hour
)

// The two files of a check: which files there were, and their marks.
const (
	ManifestExt = ".manifest"
	MarksExt    = ".marks"
)

// Checks are the notes of full checks of one ledger's models, in a folder of one
// person's state. Whoever may write there decides what is not read again, so it is
// nobody else's.
type Checks struct{ Dir string }

// Check is a full check of a model in one place, that has ended.
type Check struct {
	Path  string // of its files, without their extensions
	Began int64  // Unix ms
	Files fingerprint.Fingerprint
}

// Spot tells one model in one place from all others: the entry that stamps it, the
// machine, for several may share a home, and where it lies there.
func Spot(entry uint64, host, place string) string {
	sum := sha256.Sum256([]byte(host + ":" + place))
	return fmt.Sprintf("%d-%x", entry, sum[:8])
}

// Begin makes a folder for the notes of a check under way.
func (c Checks) Begin() (string, error) {
	if err := os.MkdirAll(c.Dir, 0o700); err != nil {
		return "", err
	}
	return os.MkdirTemp(c.Dir, "new-")
}

// Keep keeps the notes at a path, without extension, as those of the check of a
// spot that began then, in Unix ms. Whatever was there of the spot is older, and
// goes; so do the oldest of all, where there are too many, and what was left by
// checks that were killed before now.
func (c Checks) Keep(path, spot string, began int64, files fingerprint.Fingerprint, now time.Time) error {
	old := c.list(spot+"-", "")
	name := fmt.Sprintf("%s-%d-%s", spot, began, strings.ReplaceAll(files.String(), ":", "_"))
	for _, ext := range []string{ManifestExt, MarksExt} {
		if err := keep(path+ext, filepath.Join(c.Dir, name+ext)); err != nil {
			return err
		}
	}
	for _, path := range old {
		if !strings.HasPrefix(filepath.Base(path), name+".") {
			os.Remove(path)
		}
	}
	c.prune(now)
	return nil
}

// keep gives a file a second name, or copies it where files have but one.
func keep(from, to string) error {
	err := os.Link(from, to)
	if err == nil || errors.Is(err, fs.ErrExist) {
		return nil
	}
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, data, 0o600)
}

func (c Checks) prune(now time.Time) {
	for _, path := range c.list("new-", "") {
		if info, err := os.Stat(path); err == nil && now.Sub(info.ModTime()) > leftAfter {
			os.RemoveAll(path)
		}
	}
	list := c.list("", ManifestExt)
	slices.SortFunc(list, func(x, y string) int { return cmp.Compare(beganOf(x), beganOf(y)) })
	for ; len(list) > maxChecks; list = list[1:] {
		os.Remove(list[0])
		os.Remove(strings.TrimSuffix(list[0], ManifestExt) + MarksExt)
	}
}

// list are the paths in the folder whose names begin and end so.
func (c Checks) list(prefix, suffix string) (paths []string) {
	entries, _ := os.ReadDir(c.Dir) // without it there are none
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), prefix) && strings.HasSuffix(e.Name(), suffix) {
			paths = append(paths, filepath.Join(c.Dir, e.Name()))
		}
	}
	return paths
}

// beganOf is when the check began whose notes a file is of, in Unix ms; 0 where its
// name does not tell.
func beganOf(path string) int64 {
	parts := strings.SplitN(filepath.Base(path), "-", 4)
	if len(parts) < 4 {
		return 0
	}
	ms, err := strconv.ParseInt(parts[2], 10, 64)
	if err != nil {
		return 0
	}
	return ms
}

// Of lists the checks of a spot that are kept, the newest first; none that would
// have begun after now, in Unix ms. Whether the notes can be read is not looked at.
func (c Checks) Of(spot string, now int64) (checks []Check) {
	for _, path := range c.list(spot+"-", ManifestExt) {
		began := beganOf(path)
		_, text, _ := strings.Cut(filepath.Base(path), "-"+strconv.FormatInt(began, 10)+"-")
		fp, err := fingerprint.Parse(strings.ReplaceAll(strings.TrimSuffix(text, ManifestExt), "_", ":"))
		if began <= 0 || err != nil || began > now {
			continue
		}
		checks = append(checks, Check{Path: strings.TrimSuffix(path, ManifestExt), Began: began, Files: fp})
	}
	slices.SortFunc(checks, func(x, y Check) int { return cmp.Compare(y.Began, x.Began) })
	return checks
}
