package solo

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/internal/durable"
	"github.com/stele-ml/stele/internal/ledger"
	"github.com/stele-ml/stele/statement"
)

// Create makes a ledger with that genesis and opens it. The log key is the one
// that genesis names.
//
// A crash leaves either no ledger or a whole one: ledger.json is written last,
// after the key and the guard, and a directory without it, marked as being
// made, is begun again. A key and a guard whose ledger was never finished are
// harmless.
func Create(ctx context.Context, o Options, genesis *statement.Envelope, key *LogKey) (*Engine, error) {
	o = o.withDefaults()
	if o.ReadOnly {
		return nil, fmt.Errorf("create ledger: %w", ErrReadOnly)
	}
	if err := checkVacant(o); err != nil {
		return nil, err
	}
	if err := durable.MkdirAll(o.FS, o.Dir, durable.SharedDir); err != nil {
		return nil, fmt.Errorf("create ledger: %w", err)
	}
	lock, err := lockLedger(ctx, o)
	if err != nil {
		return nil, err
	}
	e, err := create(o, genesis, key)
	if err != nil {
		lock.Close()
		return nil, fmt.Errorf("create ledger: %w", err)
	}
	e.lock = lock
	go e.run()
	return e, nil
}

// checkVacant: the directory is missing, empty, or one where Create was cut
// short.
func checkVacant(o Options) error {
	names, err := o.FS.List(o.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("create ledger: %w", err)
	}
	creating, other := false, ""
	for _, name := range names {
		switch {
		case name == fileInfo:
			return fmt.Errorf("create ledger: %s: %w", o.Dir, ErrExists)
		case name == fileCreating:
			creating = true
		case name == fileLock, strings.Contains(name, tempMark):
		default:
			other = name
		}
	}
	if other != "" && !creating {
		return withHint(ErrExists, "choose another directory, or look what it is",
			"create ledger: %s holds %s and no %s: it is not ours to begin again", o.Dir, other, fileInfo)
	}
	return nil
}

// create makes the ledger in a directory whose lock is held.
func create(o Options, genesis *statement.Envelope, key *LogKey) (*Engine, error) {
	if err := checkVacant(o); err != nil { // another may have been faster
		return nil, err
	}
	in := func(name string) string { return o.FS.PathJoin(o.Dir, name) }
	if err := durable.WriteFile(o.FS, in(fileCreating), nil); err != nil {
		return nil, err
	}
	if err := clearAttempt(o); err != nil {
		return nil, err
	}
	if err := durable.WriteFile(o.FS, in(fileIgnore), []byte("*\n")); err != nil {
		return nil, err
	}
	info, signed, err := createDatabase(o, genesis, key)
	if err != nil {
		return nil, err
	}
	state := o.StateFS.PathJoin(o.State, info.ID.String())
	if err := durable.MkdirAll(o.StateFS, state, durable.PrivateDir); err != nil {
		return nil, err
	}
	if err := durable.WriteFile(o.StateFS, o.StateFS.PathJoin(state, logKeyFile), key.text()); err != nil {
		return nil, err
	}
	if err := createGuard(o.StateFS, o.StateFS.PathJoin(state, fileGuard), signed); err != nil {
		return nil, err
	}
	if err := durable.WriteFile(o.FS, in(fileInfo), info.text()); err != nil {
		return nil, err
	}
	return openLocked(o) // which takes the mark away
}

// clearAttempt removes what a Create that was cut short left behind.
func clearAttempt(o Options) error {
	names, err := o.FS.List(o.Dir)
	if err != nil {
		return err
	}
	for _, name := range names {
		if name != dirDB && !strings.Contains(name, tempMark) {
			continue
		}
		if err := o.FS.RemoveAll(o.FS.PathJoin(o.Dir, name)); err != nil {
			return fmt.Errorf("clear %s: %w", name, err)
		}
	}
	return nil
}

// createDatabase makes the database with its first entry, and closes it.
func createDatabase(o Options, genesis *statement.Envelope, key *LogKey) (info Info, signed []byte, err error) {
	db, err := openDatabase(o.FS, o.FS.PathJoin(o.Dir, dirDB), false)
	if err != nil {
		return info, nil, openError(o, err)
	}
	defer func() {
		if cerr := db.Close(); err == nil {
			err = cerr
		}
	}()
	l, err := ledger.Open(db.DB, ledger.Options{Failed: db.disk.err})
	if err != nil {
		return info, nil, err
	}
	defer l.Close()
	now, err := (&timekeeper{clock: o.Clock}).next(0)
	if err != nil {
		return info, nil, err
	}
	c, err := l.Prepare(genesis)
	if err != nil {
		return info, nil, err
	}
	b, err := l.Begin(now)
	if err != nil {
		return info, nil, err
	}
	if _, err := b.Admit(c); err != nil {
		return info, nil, err
	}
	signed, err = signBlock(b, map[evidence.VKey]*LogKey{key.vkey: key})
	if err != nil {
		return info, nil, err
	}
	if err := b.Commit(signed); err != nil {
		return info, nil, err
	}
	v := l.View()
	return Info{Stele: infoVersion, ID: v.ID(), Origin: v.Origin()}, signed, nil
}
