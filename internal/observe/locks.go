package observe

import (
	"crypto/sha256"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/stele-ml/stele/fingerprint"
	"github.com/stele-ml/stele/statement"
)

// lockNames are the files by which Python projects pin what they depend on.
var lockNames = []string{
	"Pipfile.lock", "conda-lock.yml", "environment.yaml", "environment.yml", "pdm.lock", "poetry.lock", "pylock.toml", "uv.lock",
	"requirements*.txt",
}

// maxLock is the largest lock file that is read, in bytes.
const maxLock = 64 << 20

// Locks finds the lock files at the root of the code, and in the folder within
// it, sorted by their path below the root. A link counts where it leads to a
// file within the root. leftOut is how many are not among them: beyond
// statement.MaxLocks, or such as cannot be read.
func Locks(root, folder string) (files []statement.LockFile, leftOut int, err error) {
	dir, err := os.OpenRoot(root)
	if err != nil {
		return nil, 0, err
	}
	defer dir.Close()
	folders := []string{"."}
	if rel, err := filepath.Rel(root, folder); err == nil && filepath.IsLocal(rel) && rel != "." {
		folders = append(folders, filepath.ToSlash(rel))
	}
	for _, folder := range folders {
		list, err := fs.ReadDir(dir.FS(), folder)
		if err != nil {
			return nil, 0, err
		}
		for _, e := range list {
			if !isLock(e.Name()) {
				continue
			}
			at := path.Join(folder, e.Name())
			sum, ok, err := sumOf(dir, at)
			if err != nil {
				return nil, 0, err
			}
			if !ok {
				leftOut++
				continue
			}
			files = append(files, statement.LockFile{Path: at, SHA256: sum})
		}
	}
	slices.SortFunc(files, func(a, b statement.LockFile) int { return strings.Compare(a.Path, b.Path) })
	if more := len(files) - statement.MaxLocks; more > 0 {
		files, leftOut = files[:statement.MaxLocks], leftOut+more
	}
	return files, leftOut, nil
}

func isLock(name string) bool {
	return slices.ContainsFunc(lockNames, func(pattern string) bool {
		ok, _ := path.Match(pattern, name)
		return ok
	})
}

// sumOf is the digest of a lock file; not ok where there is no such file that
// can be named and read.
func sumOf(dir *os.Root, at string) (sum [32]byte, ok bool, err error) {
	if fingerprint.CheckPath(at) != nil || statement.CheckText("path", at, statement.MaxLockPath) != nil {
		return sum, false, nil
	}
	info, err := dir.Stat(at)
	if err != nil || !info.Mode().IsRegular() { // a link that leads out, a folder, a pipe
		return sum, false, nil
	}
	f, err := dir.Open(at)
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, fs.ErrNotExist) {
		return sum, false, nil
	}
	if err != nil {
		return sum, false, err
	}
	defer f.Close()
	h := sha256.New()
	n, err := io.Copy(h, io.LimitReader(f, maxLock+1))
	if err != nil || n > maxLock {
		return sum, false, err
	}
	return [32]byte(h.Sum(nil)), true, nil
}
