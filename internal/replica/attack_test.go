package replica_test

import (
	"bytes"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/stele-ml/stele/client"
	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/internal/ledger"
	"github.com/stele-ml/stele/internal/ledger/ledgertest"
	"github.com/stele-ml/stele/internal/replica"
	"github.com/stele-ml/stele/statement"
)

// operator is a primary whose operator has the log's key and follows no rules: it
// signs whatever tree its leaves make.
type operator struct {
	t      *testing.T
	origin string
	signer note.Signer
	leaves [][]byte
	ends   []uint64 // of commits
	hashes []tlog.Hash
}

// takeOver begins with the first entries of a ledger, commit by commit.
func takeOver(t *testing.T, l *ledgertest.Ledger, size uint64) *operator {
	t.Helper()
	v := l.View()
	signer, _ := ledgertest.LogKey("1")
	o := &operator{t: t, origin: v.Origin(), signer: signer}
	for leaf, err := range v.Leaves(0, size) {
		if err != nil {
			t.Fatal(err)
		}
		o.add(leaf)
	}
	for c, err := range v.Checkpoints(0) {
		if err != nil {
			t.Fatal(err)
		}
		if c.Size <= size {
			o.ends = append(o.ends, c.Size)
		}
	}
	return o
}

func (o *operator) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	list := make([]tlog.Hash, len(indexes))
	for i, at := range indexes {
		list[i] = o.hashes[at]
	}
	return list, nil
}

func (o *operator) add(leaf []byte) {
	more, err := tlog.StoredHashesForRecordHash(int64(len(o.leaves)), evidence.LeafHash(leaf), o)
	if err != nil {
		o.t.Fatal(err)
	}
	o.leaves, o.hashes = append(o.leaves, leaf), append(o.hashes, more...)
}

// commit adds an envelope as an entry of that time, and signs.
func (o *operator) commit(timeMS int64, envs ...*statement.Envelope) {
	o.t.Helper()
	for _, env := range envs {
		control := evidence.NewControl()
		for i, leaf := range o.leaves {
			e, err := evidence.ParseEntry(leaf)
			if err != nil {
				o.t.Fatal(i, err)
			}
			st, err := e.Statement()
			if err != nil {
				o.t.Fatal(err)
			}
			if st.Control() {
				if err := control.Add(e); err != nil {
					o.t.Fatal(err)
				}
			}
		}
		e := evidence.Entry{Index: uint64(len(o.leaves)), Time: timeMS, ControlCount: control.Count(), ControlRoot: control.Root(), Envelope: env}
		o.add(e.Leaf())
	}
	o.ends = append(o.ends, o.Size())
}

func (o *operator) Size() uint64 { return uint64(len(o.leaves)) }

func (o *operator) Checkpoint(size uint64) ([]byte, error) {
	if !slices.Contains(o.ends, size) {
		return nil, ledger.ErrNotFound
	}
	root, err := tlog.TreeHash(int64(size), o)
	if err != nil {
		return nil, err
	}
	return evidence.SignCheckpoint(evidence.Checkpoint{Origin: o.origin, Size: size, Root: root}, o.signer)
}

func (o *operator) LatestCheckpoint() ([]byte, error) { return o.Checkpoint(o.Size()) }

func (o *operator) Tile(level int, n uint64, width int) ([]byte, error) {
	return tlog.ReadTileData(tlog.Tile{H: 8, L: level, N: int64(n), W: width}, o)
}

func (o *operator) Bundle(n uint64, width int) (b []byte, err error) {
	for _, leaf := range o.leaves[n*256 : n*256+uint64(width)] {
		b = append(b, byte(len(leaf)>>8), byte(len(leaf)))
		b = append(b, leaf...)
	}
	return b, nil
}

func (o *operator) Checkpoints(from uint64) iter.Seq2[ledger.SizedCheckpoint, error] {
	return func(yield func(ledger.SizedCheckpoint, error) bool) {
		for _, end := range o.ends {
			if end < from {
				continue
			}
			signed, err := o.Checkpoint(end)
			if !yield(ledger.SizedCheckpoint{Size: end, Signed: signed}, err) {
				return
			}
		}
	}
}

// keeps holds a replica to showing what it had, after the primary turned bad.
func keeps(t *testing.T, r *replica.Replica, was *ledger.View) {
	t.Helper()
	same(t, r.View(), was)
	if err := r.Healthy(); err != nil {
		t.Errorf("the replica is not healthy: %v", err)
	}
}

// convicted: the error has two checkpoints of the log, signed, that differ.
func convicted(t *testing.T, err error, kind error) {
	t.Helper()
	var h *evidence.HistoryError
	if !errors.Is(err, kind) || !errors.As(err, &h) {
		t.Fatalf("want %v with two checkpoints: %v", kind, err)
	}
	_, key := ledgertest.LogKey("1")
	var cps [2]evidence.Checkpoint
	for i, signed := range [][]byte{h.Old, h.New} {
		var err error
		if cps[i], _, err = evidence.OpenCheckpoint(signed, evidence.Verifiers(key)); err != nil {
			t.Fatal(err)
		}
	}
	if cps[0] == cps[1] {
		t.Error("the checkpoints are the same")
	}
}

// The operator of the primary shows the mirror another history, which begins to
// differ at any entry.
func TestAttackerShowsTheMirrorAnotherHistory(t *testing.T) {
	l := ledgertest.New(t)
	fill(l, "data", 12)
	n := l.View().Size()
	for at := uint64(1); at <= n; at++ {
		for _, grows := range []uint64{0, 3} { // as long as the true one, or longer
			if at == n && grows == 0 {
				continue
			}
			t.Run(fmt.Sprintf("at %d, %d longer", at, grows), func(t *testing.T) {
				s := serve(t, l)
				r := open(t, options(s, filepath.Join(t.TempDir(), "m")))
				catchUp(t, r)
				was := r.View()
				other := takeOver(t, l, at)
				if at == n { // that is no fork: the log grows
					other.commit(l.Now+1000, l.Stamps(l.Ada, "more", int(grows))...)
					s.show(other)
					catchUp(t, r)
					return
				}
				if len(other.ends) == 0 || other.ends[len(other.ends)-1] != at {
					other.ends = append(other.ends, at)
				}
				other.commit(l.Now, l.Stamps(l.Ada, "other", int(n-at+grows))...)
				s.show(other)
				err := r.CatchUp(t.Context())
				convicted(t, err, evidence.ErrFork)
				keeps(t, r, was)
				if !r.Status().Stopped {
					t.Error("it would go on after a fork")
				}
				s.show(l.View()) // the true one again
				if again := r.CatchUp(t.Context()); !errors.Is(again, evidence.ErrFork) {
					t.Errorf("the fork is forgotten: %v", again)
				}
			})
		}
	}
}

// TestMirrorIsNotLetIn: a primary that wants another token is told from one that is not
// there, and what is here stays.
func TestMirrorIsNotLetIn(t *testing.T) {
	l := ledgertest.New(t)
	fill(l, "data", 12)
	s := serve(t, l)
	r := open(t, options(s, filepath.Join(t.TempDir(), "m")))
	catchUp(t, r)
	was := r.View()
	fill(l, "more", 1)
	s.show(l.View())
	for _, path := range []string{"/checkpoint", "/tile/entries/", "/v1/checkpoints"} {
		for _, status := range []int{http.StatusUnauthorized, http.StatusForbidden} {
			s.lies(func(w http.ResponseWriter, r *http.Request) bool {
				if strings.HasPrefix(r.URL.Path, path) {
					w.WriteHeader(status)
					return true
				}
				return false
			})
			if err := r.CatchUp(t.Context()); !errors.Is(err, client.ErrAccess) || errors.Is(err, replica.ErrUnreachable) {
				t.Errorf("%s, %d: %v", path, status, err)
			}
			keeps(t, r, was)
		}
	}
	s.lies(func(http.ResponseWriter, *http.Request) bool { return false })
	catchUp(t, r)
	same(t, r.View(), l.View())
}

// TestForkOutlivesTheMirror: a mirror that is started again on a forked log still says
// so, with the same two checkpoints, whatever it is shown now, until somebody takes the
// file away.
func TestForkOutlivesTheMirror(t *testing.T) {
	l := ledgertest.New(t)
	fill(l, "data", 12)
	s := serve(t, l)
	o := options(s, filepath.Join(t.TempDir(), "m"))
	defer o.HTTP.CloseIdleConnections()
	start := func() *replica.Replica {
		t.Helper()
		r, err := replica.Open(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	end := func(r *replica.Replica) {
		t.Helper()
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
	}
	r := start()
	catchUp(t, r)
	was := r.View().Size()
	other := takeOver(t, l, 5)
	other.commit(l.Now, l.Stamps(l.Ada, "other", int(was-5)+3)...)
	s.show(other)
	var found, again *evidence.HistoryError
	if err := r.CatchUp(t.Context()); !errors.As(err, &found) {
		t.Fatal(err)
	}
	end(r)

	s.show(l.View()) // the true one, as if nothing had been
	r = start()
	if st := r.Status(); !st.Stopped || !errors.Is(st.Behind, evidence.ErrFork) {
		t.Errorf("started again: %+v", st)
	}
	if err := r.CatchUp(t.Context()); !errors.As(err, &again) || !errors.Is(err, evidence.ErrFork) ||
		string(again.Old) != string(found.Old) || string(again.New) != string(found.New) {
		t.Errorf("started again: %v", err)
	}
	if v := r.View(); v == nil || v.Size() != was {
		t.Error("what followed is not shown")
	}
	end(r)

	// Damaged, it stops the mirror all the same.
	path := filepath.Join(o.Dir, "fork")
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, whole[:len(whole)/2], 0o600); err != nil {
		t.Fatal(err)
	}
	if r, err := replica.Open(t.Context(), o); !errors.Is(err, evidence.ErrFork) {
		t.Errorf("damaged: %v", err)
		if err == nil {
			end(r)
		}
	}
	if err := os.Remove(path); err != nil { // the operator has decided
		t.Fatal(err)
	}
	r = start()
	fill(l, "later", 2)
	s.show(l.View())
	catchUp(t, r)
	same(t, r.View(), l.View())
	end(r)
}

// The primary has fewer entries than the mirror: it was restored from an old copy.
func TestAttackerRollsThePrimaryBack(t *testing.T) {
	l := ledgertest.New(t)
	fill(l, "data", 20)
	s := serve(t, l)
	r := open(t, options(s, filepath.Join(t.TempDir(), "m")))
	catchUp(t, r)
	was := r.View()
	old, err := l.View().AsOf(9)
	if err != nil {
		t.Fatal(err)
	}
	s.show(old)
	convicted(t, r.CatchUp(t.Context()), evidence.ErrRollback)
	keeps(t, r, was)
	s.show(l.View())
	catchUp(t, r) // the right copy was put back
}

// The primary shows an older checkpoint than it has, as one does whose witnesses
// are behind: that is no rollback.
func TestPrimaryShowsAnOlderCheckpoint(t *testing.T) {
	l := ledgertest.New(t)
	fill(l, "data", 20)
	s := serve(t, l)
	r := open(t, options(s, filepath.Join(t.TempDir(), "m")))
	catchUp(t, r)
	was := r.View()
	s.lies(func(w http.ResponseWriter, req *http.Request) bool {
		if req.URL.Path != "/checkpoint" {
			return false
		}
		signed, err := l.View().Checkpoint(2)
		if err != nil {
			t.Error(err)
		}
		_, _ = w.Write(signed)
		return true
	})
	catchUp(t, r)
	same(t, r.View(), was)
}

// What is served is changed on the way, or is not what was signed.
func TestAttackerChangesWhatTheMirrorReads(t *testing.T) {
	l := ledgertest.New(t)
	fill(l, "data", 30)
	genesis, err := l.View().AsOf(2)
	if err != nil {
		t.Fatal(err)
	}
	change := func(path string, how func([]byte) []byte) func(s *served) {
		return func(s *served) {
			s.lies(func(w http.ResponseWriter, r *http.Request) bool {
				if !strings.HasPrefix(r.URL.Path, path) {
					return false
				}
				rec := &recorder{header: http.Header{}}
				r.Header.Del("Accept-Encoding")
				s.honest.ServeHTTP(rec, r)
				_, _ = w.Write(how(bytes.Clone(rec.body)))
				return true
			})
		}
	}
	flip := func(b []byte) []byte { b[len(b)/2] ^= 1; return b }
	for name, attack := range map[string]struct {
		do   func(s *served)
		want error
	}{
		"a changed byte in a bundle":    {change("/tile/entries/", flip), evidence.ErrTampered},
		"a bundle that is cut":          {change("/tile/entries/", func(b []byte) []byte { return b[:len(b)-1] }), evidence.ErrTampered},
		"a bundle that goes on":         {change("/tile/entries/", func(b []byte) []byte { return append(b, 0, 0) }), evidence.ErrTampered},
		"an endless bundle":             {endless, replica.ErrUnreachable},
		"a changed byte in the history": {change("/v1/checkpoints", func(b []byte) []byte { return bytes.Replace(b, []byte(`\n9\n`), []byte(`\n8\n`), 1) }), evidence.ErrTampered},
		"a history that leaves one out": {leaveOut, evidence.ErrTampered},
		"no history at all": {func(s *served) {
			s.lies(func(w http.ResponseWriter, r *http.Request) bool {
				if r.URL.Path == "/v1/checkpoints" {
					http.NotFound(w, r)
					return true
				}
				return false
			})
		}, replica.ErrNoHistory},
		"a history that is not JSON":     {change("/v1/checkpoints", func(b []byte) []byte { return b[:len(b)/2] }), replica.ErrUnreachable},
		"an empty history":               {change("/v1/checkpoints", func([]byte) []byte { return []byte(`{"checkpoints":[]}`) }), evidence.ErrTampered},
		"a checkpoint that is no note":   {change("/checkpoint", func(b []byte) []byte { return b[:10] }), replica.ErrUnreachable},
		"a checkpoint with another root": {change("/checkpoint", func(b []byte) []byte { b[len(b)/4] ^= 1; return b }), nil},
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, l)
			r := open(t, options(s, filepath.Join(t.TempDir(), "m")))
			s.show(genesis)
			catchUp(t, r)
			was := r.View()
			s.show(l.View())
			attack.do(s)
			err := r.CatchUp(t.Context())
			if err == nil || attack.want != nil && !errors.Is(err, attack.want) {
				t.Fatalf("want %v: %v", attack.want, err)
			}
			if errors.Is(err, evidence.ErrFork) {
				t.Errorf("it calls a fork what nobody signed: %v", err)
			}
			if now := r.View(); now.Size() < was.Size() {
				t.Errorf("it went back to %d", now.Size())
			}
			s.lies(func(http.ResponseWriter, *http.Request) bool { return false })
			s.show(nil)
			catchUp(t, r) // nothing of it has stuck
			same(t, r.View(), l.View())
		})
	}
}

type recorder struct {
	header http.Header
	body   []byte
}

func (r *recorder) Header() http.Header         { return r.header }
func (r *recorder) WriteHeader(int)             {}
func (r *recorder) Write(b []byte) (int, error) { r.body = append(r.body, b...); return len(b), nil }

func endless(s *served) {
	s.lies(func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.HasPrefix(r.URL.Path, "/tile/entries/") {
			return false
		}
		zeros := make([]byte, 1<<20)
		for {
			if _, err := w.Write(zeros); err != nil {
				return true
			}
		}
	})
}

// leaveOut serves a history without the first commit that it is asked about.
func leaveOut(s *served) {
	s.show(without{s.log()})
}

type without struct{ log }

func (w without) Checkpoints(from uint64) iter.Seq2[ledger.SizedCheckpoint, error] {
	return func(yield func(ledger.SizedCheckpoint, error) bool) {
		first := true
		for c, err := range w.log.Checkpoints(from) {
			if !first && !yield(c, err) {
				return
			}
			first = false
		}
	}
}

// The tiles that the primary serves lead to another root than its entries. The
// mirror makes its own of the entries; when it needs the primary's, to tell a fork
// from damage, they convict nobody.
func TestAttackerServesTilesOfAnotherTree(t *testing.T) {
	l := ledgertest.New(t)
	fill(l, "data", 12)
	s := serve(t, l)
	r := open(t, options(s, filepath.Join(t.TempDir(), "m")))
	catchUp(t, r)
	fill(l, "more", 12)
	s.lies(func(w http.ResponseWriter, req *http.Request) bool {
		if !strings.HasPrefix(req.URL.Path, "/tile/") {
			return false
		}
		rec := &recorder{header: http.Header{}}
		req.Header.Del("Accept-Encoding")
		s.honest.ServeHTTP(rec, req)
		rec.body[len(rec.body)-20] ^= 1 // of the last entry, or the last hash
		_, _ = w.Write(rec.body)
		return true
	})
	if err := r.CatchUp(t.Context()); !errors.Is(err, evidence.ErrTampered) || errors.Is(err, evidence.ErrFork) {
		t.Errorf("want tampered, and no fork: %v", err)
	}
}

// The primary admitted what the rules refuse, and signed it.
func TestOperatorBreaksARule(t *testing.T) {
	l := ledgertest.New(t)
	l.Stamped(l.Ada, "data", "1", "rows")
	mallory := ledgertest.Ed25519("mallory")
	twin := l.Ref("data", "1", "other rows")
	for name, envelope := range map[string]*statement.Envelope{
		"a signer that nobody registered": l.Stamp(mallory, l.Ref("bought", "1", "x")),
		"a version that is taken":         l.Stamp(l.Ada, twin),
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, l)
			r := open(t, options(s, filepath.Join(t.TempDir(), "m")))
			catchUp(t, r)
			was := r.View()
			bad := takeOver(t, l, l.View().Size())
			bad.commit(l.Now+1000, envelope)
			s.show(bad)
			err := r.CatchUp(t.Context())
			if !errors.Is(err, evidence.ErrTampered) || !strings.Contains(err.Error(), "breaks the rule") {
				t.Fatalf("the mirror took it, or says something else: %v", err)
			}
			keeps(t, r, was)
		})
	}
}

func TestOperatorTurnsTheClockBack(t *testing.T) {
	l := ledgertest.New(t)
	fill(l, "data", 10)
	s := serve(t, l)
	r := open(t, options(s, filepath.Join(t.TempDir(), "m")))
	catchUp(t, r)
	was := r.View()
	bad := takeOver(t, l, l.View().Size())
	bad.commit(l.Now-5000, l.Stamps(l.Ada, "late", 1)...)
	s.show(bad)
	if err := r.CatchUp(t.Context()); !errors.Is(err, evidence.ErrTampered) || !strings.Contains(err.Error(), "time") {
		t.Errorf("time went backwards, and: %v", err)
	}
	keeps(t, r, was)
}

// Somebody with another key signs the right tree.
func TestAttackerSignsTheRightRootWithTheWrongKey(t *testing.T) {
	l := ledgertest.New(t)
	fill(l, "data", 10)
	s := serve(t, l)
	bad := takeOver(t, l, l.View().Size())
	bad.signer, _ = ledgertest.LogKey("2")
	s.show(bad)
	dir := filepath.Join(t.TempDir(), "m")
	r := open(t, options(s, dir))
	err := r.CatchUp(t.Context())
	if !errors.Is(err, evidence.ErrUntrusted) && !errors.Is(err, evidence.ErrTampered) {
		t.Errorf("want untrusted: %v", err)
	}
	if r.View() != nil {
		t.Error("it is shown")
	}
	s.show(l.View())
	catchUp(t, r)
	was := r.View()
	fill(l, "more", 3)
	bad = takeOver(t, l, l.View().Size())
	bad.signer, _ = ledgertest.LogKey("2")
	s.show(bad)
	if err := r.CatchUp(t.Context()); err == nil {
		t.Error("a checkpoint by another key was followed")
	}
	keeps(t, r, was)
}

// A log that nobody trusts is not written to this disk.
func TestStrangersLogIsNotCopied(t *testing.T) {
	l := ledgertest.New(t)
	fill(l, "data", 10)
	s := serve(t, l)
	o := options(s, filepath.Join(t.TempDir(), "m"))
	o.Trust = func(string) (*evidence.Policy, error) {
		_, vkey := ledgertest.LogKey("7")
		return evidence.NewPolicy(vkey, ""), nil
	}
	r := open(t, o)
	if err := r.CatchUp(t.Context()); !errors.Is(err, evidence.ErrUntrusted) {
		t.Errorf("want untrusted: %v", err)
	}
	if _, err := os.Stat(filepath.Join(o.Dir, "ledger.json")); err == nil {
		t.Error("it was copied all the same")
	}
}
