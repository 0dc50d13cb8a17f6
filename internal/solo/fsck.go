package solo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/fingerprint"
	"github.com/stele-ml/stele/internal/durable"
	"github.com/stele-ml/stele/internal/ledger"
	"github.com/stele-ml/stele/statement"
)

// FsckOptions say what Fsck does besides checking the database.
type FsckOptions struct {
	Rebuild  bool // write the index again first
	Progress func(done, total uint64)
}

// Report is what Fsck found.
type Report struct {
	ledger.Report
	Info        Info
	Checkpoint  []byte // the last one, if the database could be read so far
	Guarded     bool   // a guard was there and the database goes on from it
	Guard       error  // ErrBehindGuard or ErrBesideGuard: rolled back or forked, not damaged
	Attachments int    // read and compared with their names
	Manifests   int    // likewise
}

// Fsck checks a ledger that is not open: every entry through the rules again,
// every checkpoint, signature, tile and index key, the guard, and every
// attachment and manifest on the shelf. What is wrong is in the report; the
// error is of the lock, of ctx or of the machine.
func Fsck(ctx context.Context, o Options, f FsckOptions) (*Report, error) {
	o = o.withDefaults()
	o.ReadOnly = !f.Rebuild
	info, err := readInfo(o.FS, o.Dir)
	if err != nil {
		return nil, err
	}
	lock, err := lockLedger(ctx, o)
	if err != nil {
		return nil, err
	}
	defer lock.Close()
	report := &Report{Info: info}
	problem := func(err error) { report.Problems = append(report.Problems, err.Error()) }
	if err := fsckDatabase(ctx, o, f, report); err != nil {
		if !isDamage(err) {
			return nil, err
		}
		if errors.Is(err, ErrBehindGuard) || errors.Is(err, ErrBesideGuard) {
			report.Guard = err
		} else {
			problem(err)
		}
	}
	if err := fsckShelf(ctx, &Shelf{o.FS, o.Dir}, report, problem); err != nil {
		return nil, err
	}
	return report, nil
}

// isDamage tells what is wrong with the ledger from what is wrong with the
// machine.
func isDamage(err error) bool {
	for _, class := range []error{
		ledger.ErrDamaged, ErrBehindGuard, ErrBesideGuard, errDatabase,
		evidence.ErrFormat, evidence.ErrTampered, evidence.ErrUntrusted,
	} {
		if errors.Is(err, class) {
			return true
		}
	}
	return false
}

func fsckDatabase(ctx context.Context, o Options, f FsckOptions, report *Report) (err error) {
	db, err := openDatabase(o.FS, o.FS.PathJoin(o.Dir, dirDB), o.ReadOnly)
	if err != nil {
		return err
	}
	defer func() {
		if cerr := db.Close(); err == nil {
			err = cerr
		}
	}()
	if f.Rebuild {
		if err := ledger.Rebuild(ctx, db.DB, f.Progress); err != nil {
			return err
		}
	}
	checked, err := ledger.Check(ctx, db.DB, f.Progress)
	if err != nil {
		return err
	}
	report.Report = *checked
	// The identity and the guard.
	e := newEngine(o, report.Info)
	e.db = db
	e.opts.ReadOnly = true
	if e.ledger, err = ledger.Open(db.DB, ledger.Options{}); err != nil {
		return err
	}
	defer e.ledger.Close()
	if report.Checkpoint, err = e.ledger.View().LatestCheckpoint(); err != nil {
		return err
	}
	if err := e.checkIdentity(); err != nil {
		return err
	}
	err = e.checkGuard()
	if e.guard != nil {
		report.Guarded = err == nil
		e.guard.close()
	}
	return err
}

func fsckShelf(ctx context.Context, s *Shelf, report *Report, problem func(error)) error {
	list := func(elem ...string) ([]string, error) {
		names, err := s.fs.List(s.fs.PathJoin(append([]string{s.dir}, elem...)...))
		if errors.Is(err, fs.ErrNotExist) {
			return nil, nil
		}
		return names, err
	}
	dirs, err := list("attachments")
	if err != nil {
		return err
	}
	for _, dir := range dirs {
		if strings.Contains(dir, tempMark) {
			continue // of a write that was cut short
		}
		info, err := s.fs.Stat(s.fs.PathJoin(s.dir, "attachments", dir))
		if err != nil || !info.IsDir() { // opened, a pipe would wait for ever
			problem(fmt.Errorf("attachments/%s: not a directory of attachments", dir))
			continue
		}
		names, err := list("attachments", dir)
		if err != nil {
			return err
		}
		for _, name := range names {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if strings.Contains(name, tempMark) {
				continue
			}
			report.Attachments++
			if err := s.checkAttachment(dir, name); err != nil {
				problem(err)
			}
		}
	}
	names, err := list("manifests")
	if err != nil {
		return err
	}
	for _, name := range names {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if strings.Contains(name, tempMark) {
			continue
		}
		report.Manifests++
		if err := s.checkManifest(name); err != nil {
			problem(err)
		}
	}
	return nil
}

// tempMark is in the names of files that are being written.
const tempMark = ".tmp-"

// checkAttachment: the file is what its name says.
func (s *Shelf) checkAttachment(dir, name string) error {
	id, err := statement.ParseID(name) // 64 lower-case hexadecimal digits, too
	if err != nil || name[:2] != dir {
		return fmt.Errorf("attachments/%s/%s: not the name of an attachment", dir, name)
	}
	info, err := s.fs.Stat(s.path(id))
	if err != nil {
		return fmt.Errorf("attachment %s: %w", name, err)
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("attachment %s: %w", name, durable.ErrNoFile)
	}
	f, err := s.Open(statement.Attachment{SHA256: id, Size: uint64(info.Size())})
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(io.Discard, f)
	return err
}

// checkManifest: the file is what its name says.
func (s *Shelf) checkManifest(name string) error {
	base, ok := strings.CutSuffix(name, ".manifest")
	i := strings.LastIndexByte(base, '-')
	if !ok || i < 0 {
		return fmt.Errorf("manifests/%s: not the name of a manifest", name)
	}
	fp, err := fingerprint.Parse(base[:i] + ":" + base[i+1:])
	if err != nil {
		return fmt.Errorf("manifests/%s: %w", name, err)
	}
	info, err := s.fs.Stat(s.manifestPath(fp))
	if err == nil && !info.Mode().IsRegular() {
		err = durable.ErrNoFile
	}
	if err != nil {
		return fmt.Errorf("manifest of %s: %w", fp, err)
	}
	r, closer, err := s.Manifest(fp)
	if err != nil {
		return err
	}
	defer closer.Close()
	for _, err := range r.All() {
		if err != nil {
			return fmt.Errorf("manifest of %s: %w", fp, err)
		}
	}
	return nil
}
