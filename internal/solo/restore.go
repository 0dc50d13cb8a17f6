package solo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/internal/durable"
	"github.com/stele-ml/stele/statement"
)

// LastSigned returns the checkpoint that the guard in o.State remembers as the
// last one signed here for a ledger: fs.ErrNotExist if there is no guard. One that
// is damaged is an error.
func LastSigned(o Options, id statement.LedgerID) ([]byte, error) {
	o = o.withDefaults()
	_, signed, err := readGuard(o.StateFS, o.StateFS.PathJoin(o.State, id.String(), fileGuard))
	return signed, err
}

// HasLogKey reports whether the log's private key of a ledger is in o.State.
func HasLogKey(o Options, id statement.LedgerID, key evidence.VKey) (bool, error) {
	o = o.withDefaults()
	for _, name := range []string{logKeyFile, nextKeyFile} {
		k, err := readLogKey(o.StateFS, o.StateFS.PathJoin(o.State, id.String(), name))
		if err != nil {
			return false, err
		}
		if k != nil && k.vkey == key {
			return true, nil
		}
	}
	return false, nil
}

// PutLogKey stores a log's private key, the text of a log.key file, in o.State: it
// must be that key. One that is there already is kept.
func PutLogKey(o Options, id statement.LedgerID, key evidence.VKey, text []byte) error {
	o = o.withDefaults()
	k, err := parseLogKey(text)
	if err != nil {
		return err
	}
	if k.vkey != key {
		return fmt.Errorf("%w: the file holds %s, the log's is %s", ErrNoLogKey, k.vkey.Short(), key.Short())
	}
	dir := o.StateFS.PathJoin(o.State, id.String())
	name := o.StateFS.PathJoin(dir, logKeyFile)
	switch there, err := readLogKey(o.StateFS, name); {
	case err != nil:
		return err
	case there != nil && there.vkey == key:
		return nil
	case there != nil:
		// Of before a rotation: it is the ledger that says which is in force.
		name = o.StateFS.PathJoin(dir, nextKeyFile)
	}
	if err := durable.MkdirAll(o.StateFS, dir, durable.PrivateDir); err != nil {
		return err
	}
	return durable.WriteFile(o.StateFS, name, k.text())
}

// Restore copies the ledger in from, a backup's directory or a mirror's, to o.Dir,
// which must be vacant: database, attachments and manifests. Nothing in from is
// changed, and nobody writes to it meanwhile. What is copied is a ledger of its
// own, no mirror; whether it may go on, the caller has found out before. A crash
// leaves no ledger, and Restore begins again.
func Restore(ctx context.Context, from string, o Options) error {
	o = o.withDefaults()
	if err := checkVacant(o); err != nil {
		return err
	}
	source := o
	source.Dir, source.ReadOnly = from, true
	reading, err := lockLedger(ctx, source)
	if err != nil {
		return err
	}
	defer reading.Close()
	info, err := readInfo(o.FS, from)
	if err != nil {
		return err
	}
	if err := durable.MkdirAll(o.FS, o.Dir, durable.SharedDir); err != nil {
		return fmt.Errorf("restore: %w", err)
	}
	lock, err := lockLedger(ctx, o)
	if err != nil {
		return err
	}
	defer lock.Close()
	if err := restore(ctx, o, from, info); err != nil {
		return fmt.Errorf("restore: %w", err)
	}
	return nil
}

// restore copies to a directory whose lock is held.
func restore(ctx context.Context, o Options, from string, info Info) error {
	if err := checkVacant(o); err != nil { // another may have been faster
		return err
	}
	in := func(name string) string { return o.FS.PathJoin(o.Dir, name) }
	if err := durable.WriteFile(o.FS, in(fileCreating), nil); err != nil {
		return err
	}
	if err := clearAttempt(o); err != nil {
		return err
	}
	if err := durable.WriteFile(o.FS, in(fileIgnore), []byte("*\n")); err != nil {
		return err
	}
	for _, dir := range []string{dirDB, "attachments", "manifests"} {
		err := copyDir(ctx, o.FS, o.FS.PathJoin(from, dir), in(dir))
		if err != nil && (dir == dirDB || !errors.Is(err, fs.ErrNotExist)) {
			return err
		}
	}
	if err := durable.WriteFile(o.FS, in(fileInfo), info.text()); err != nil {
		return err
	}
	if err := o.FS.Remove(in(fileCreating)); err != nil {
		return err
	}
	return durable.SyncDir(o.FS, o.Dir)
}

// copyDir copies a directory and what is below it, but for files that were being
// written. Everything is synced.
func copyDir(ctx context.Context, fsys vfs.FS, from, to string) error {
	names, err := fsys.List(from)
	if err != nil {
		return err
	}
	if err := durable.MkdirAll(fsys, to, durable.SharedDir); err != nil {
		return err
	}
	for _, name := range names {
		if err := ctx.Err(); err != nil {
			return err
		}
		if strings.Contains(name, tempMark) {
			continue
		}
		a, b := fsys.PathJoin(from, name), fsys.PathJoin(to, name)
		info, err := fsys.Stat(a)
		if err != nil {
			return err
		}
		switch {
		case info.IsDir():
			err = copyDir(ctx, fsys, a, b)
		case info.Mode().IsRegular():
			err = copyFile(fsys, a, b)
		default:
			err = durable.ErrNoFile
		}
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return durable.SyncDir(fsys, to)
}

func copyFile(fsys vfs.FS, from, to string) (err error) {
	r, err := fsys.Open(from)
	if err != nil {
		return err
	}
	defer r.Close()
	w, err := fsys.Create(to, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	_, err = io.Copy(w, r)
	if err == nil {
		err = w.Sync()
	}
	if cerr := w.Close(); err == nil {
		err = cerr
	}
	return err
}
