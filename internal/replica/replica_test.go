package replica_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/mod/sumdb/note"

	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/internal/ledger"
	"github.com/stele-ml/stele/internal/ledger/ledgertest"
	"github.com/stele-ml/stele/internal/replica"
	"github.com/stele-ml/stele/internal/server"
	"github.com/stele-ml/stele/internal/solo"
	"github.com/stele-ml/stele/statement"
)

// served is a ledger with a server before it, which may lie.
type served struct {
	*ledgertest.Ledger
	url    string
	honest http.Handler
	lie    atomic.Pointer[func(w http.ResponseWriter, r *http.Request) bool] // true: it has answered
	source atomic.Pointer[log]                                               // what is served; the ledger's newest if nil
}

// log is what a primary serves: a view of a ledger, or what an operator makes up.
type log interface {
	server.View
	Checkpoints(from uint64) iter.Seq2[ledger.SizedCheckpoint, error]
}

func (s *served) log() log {
	if source := s.source.Load(); source != nil && *source != nil {
		return *source
	}
	return s.Ledger.View()
}

// show has the server serve that from now on; nil: the ledger's newest.
func (s *served) show(l log) { s.source.Store(&l) }

func serve(t testing.TB, l *ledgertest.Ledger) *served {
	t.Helper()
	s := &served{Ledger: l}
	tiles := server.NewHandler(server.LogFunc(func() (server.View, error) { return s.log(), nil }), server.Options{NotFound: ledger.ErrNotFound})
	mux := http.NewServeMux()
	mux.Handle("/", tiles)
	mux.HandleFunc("GET /v1/checkpoints", func(w http.ResponseWriter, r *http.Request) { history(w, r, s.log()) })
	s.honest = mux
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if lie := s.lie.Load(); lie != nil && (*lie)(w, r) {
			return
		}
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(srv.Close)
	s.url = srv.URL
	return s
}

// lies makes the server answer what fn writes, where it returns true.
func (s *served) lies(fn func(w http.ResponseWriter, r *http.Request) bool) { s.lie.Store(&fn) }

func history(w http.ResponseWriter, r *http.Request, v log) {
	from, _ := strconv.ParseUint(r.URL.Query().Get("from"), 10, 64)
	limit, _ := strconv.Atoi(r.URL.Query().Get("limit"))
	type item struct {
		Size uint64 `json:"size"`
		Note string `json:"note"`
	}
	out := struct {
		Checkpoints []item `json:"checkpoints"`
	}{[]item{}}
	for c, err := range v.Checkpoints(from) {
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		if out.Checkpoints = append(out.Checkpoints, item{c.Size, string(c.Signed)}); len(out.Checkpoints) == limit {
			break
		}
	}
	_ = json.NewEncoder(w).Encode(out)
}

func trusting(string) (*evidence.Policy, error) {
	_, vkey := ledgertest.LogKey("1")
	return evidence.NewPolicy(vkey, ""), nil
}

func options(s *served, dir string) replica.Options {
	return replica.Options{URL: s.url, Dir: dir, Trust: trusting, HTTP: &http.Client{Transport: &http.Transport{}}}
}

func open(t *testing.T, o replica.Options) *replica.Replica {
	t.Helper()
	r, err := replica.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
		o.HTTP.CloseIdleConnections()
	})
	return r
}

func catchUp(t *testing.T, r *replica.Replica) {
	t.Helper()
	if err := r.CatchUp(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// same holds two ledgers to the same entries, tree and checkpoints.
func same(t *testing.T, got, want *ledger.View) {
	t.Helper()
	if got == nil {
		t.Fatal("nothing is shown")
	}
	a, err := got.Root()
	if err != nil {
		t.Fatal(err)
	}
	b, err := want.Root()
	if err != nil {
		t.Fatal(err)
	}
	if got.Size() != want.Size() || a != b || got.ID() != want.ID() {
		t.Fatalf("size %d root %v of %s, want %d %v of %s", got.Size(), a, got.ID(), want.Size(), b, want.ID())
	}
	list := func(v *ledger.View) (list []string) {
		for c, err := range v.Checkpoints(0) {
			if err != nil {
				t.Fatal(err)
			}
			list = append(list, fmt.Sprint(c.Size, string(c.Signed)))
		}
		return list
	}
	if a, b := list(got), list(want); strings.Join(a, "") != strings.Join(b, "") {
		t.Errorf("other checkpoints are kept: %d, not %d", len(a), len(b))
	}
}

// fill puts n stamps in blocks of a few sizes.
func fill(l *ledgertest.Ledger, prefix string, n int) {
	envs := l.Stamps(l.Ada, prefix, n)
	for i := 0; len(envs) > 0; i++ {
		k := min(len(envs), []int{1, 7, 300, 2}[i%4])
		l.Put(envs[:k]...)
		envs = envs[k:]
	}
}

func TestReplicaFollows(t *testing.T) {
	s := serve(t, ledgertest.New(t))
	fill(s.Ledger, "data", 900)
	bob := s.Person("bob", "member") // a key that comes into force on the way
	s.Stamped(bob, "model", "1", "weights")
	dir := filepath.Join(t.TempDir(), ".stele")
	o := options(s, dir)
	r := open(t, o)
	if r.View() != nil {
		t.Error("something is shown before anything was read")
	}
	catchUp(t, r)
	same(t, r.View(), s.Ledger.View())

	grown := r.Grown()
	s.Stamped(bob, "model", "2", "weights 2")
	catchUp(t, r)
	same(t, r.View(), s.Ledger.View())
	select {
	case <-grown:
	default:
		t.Error("nobody was told that it grew")
	}
	catchUp(t, r) // nothing new
	same(t, r.View(), s.Ledger.View())
	if st := r.Status(); st.Size != s.Ledger.View().Size() || st.Behind != nil || st.Stopped || st.Contact.IsZero() {
		t.Errorf("status %+v", st)
	}
	if _, err := r.Submit(t.Context(), s.Stamps(s.Ada, "x", 1)[0]); !errors.Is(err, solo.ErrReadOnly) || !strings.Contains(err.Error(), s.url) {
		t.Errorf("a mirror took a statement: %v", err)
	}

	// Its disk is a ledger that opens for reading, and passes fsck.
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	so := solo.Options{Dir: dir, State: t.TempDir()}
	report, err := solo.Fsck(t.Context(), so, solo.FsckOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if !report.OK() || report.Entries != s.Ledger.View().Size() {
		t.Errorf("fsck: %d entries, %v", report.Entries, report.Problems)
	}
	so.ReadOnly = true
	e, err := solo.Open(t.Context(), so)
	if err != nil {
		t.Fatal(err)
	}
	same(t, e.View(), s.Ledger.View())
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	so.ReadOnly, so.Adopt = false, true
	if e, err := solo.Open(t.Context(), so); !errors.Is(err, solo.ErrReadOnly) {
		t.Errorf("a mirror was opened for writing: %v, %v", e, err)
	}

	// And it goes on.
	s.Stamped(bob, "model", "3", "weights 3")
	again := open(t, o)
	if again.View() == nil {
		t.Error("what was there is not shown when it starts again")
	}
	catchUp(t, again)
	same(t, again.View(), s.Ledger.View())
}

// A log key that changes on the way: the replica follows, and trust in the first
// or the last key will do.
func TestReplicaFollowsARotation(t *testing.T) {
	for _, pinned := range []string{"1", "2"} {
		t.Run(pinned, func(t *testing.T) {
			s := serve(t, ledgertest.New(t))
			fill(s.Ledger, "a", 20)
			commit(t, s.Ledger, []string{"1", "2"}, s.Rotate(s.Ada, "1", "2"))
			commit(t, s.Ledger, []string{"2"}, s.Stamps(s.Ada, "b", 1)...)
			o := options(s, filepath.Join(t.TempDir(), "m"))
			o.Trust = func(string) (*evidence.Policy, error) {
				_, vkey := ledgertest.LogKey(pinned)
				return evidence.NewPolicy(vkey, ""), nil
			}
			r := open(t, o)
			catchUp(t, r)
			same(t, r.View(), s.Ledger.View())
		})
	}
}

// commit puts envelopes in one block whose checkpoint those log keys sign.
func commit(t *testing.T, l *ledgertest.Ledger, keys []string, envs ...*statement.Envelope) {
	t.Helper()
	l.Now += 1000
	b, err := l.Begin(l.Now)
	if err != nil {
		t.Fatal(err)
	}
	for _, env := range envs {
		c, err := l.Prepare(env)
		if err == nil {
			_, err = b.Admit(c)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	var signers []note.Signer
	for _, key := range keys {
		signer, _ := ledgertest.LogKey(key)
		signers = append(signers, signer)
	}
	size, root := b.Root()
	signed, err := evidence.SignCheckpoint(evidence.Checkpoint{Origin: b.Origin(), Size: size, Root: root}, signers...)
	if err == nil {
		err = b.Commit(signed)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// A catch-up that is stopped after any request goes on from there, and comes to the
// same.
func TestReplicaIsStoppedAnywhere(t *testing.T) {
	l := ledgertest.New(t)
	fill(l, "data", 9000) // three stretches
	s := serve(t, l)
	o := options(s, filepath.Join(t.TempDir(), "m"))
	o.Parallel = 2
	var size uint64
	rounds := 0
	for ; ; rounds++ {
		ctx, stop := context.WithCancel(t.Context())
		var left atomic.Int64
		left.Store(int64(12 + rounds*9))
		s.lies(func(http.ResponseWriter, *http.Request) bool {
			if left.Add(-1) < 0 {
				stop()
			}
			return false
		})
		r, err := replica.Open(ctx, o)
		if err != nil {
			t.Fatal(err)
		}
		err = r.CatchUp(ctx)
		id, there := r.ID()
		if there && id != l.View().ID() {
			t.Fatal("another ledger")
		}
		if v := r.View(); v != nil {
			if v.Size() < size {
				t.Fatalf("it went back from %d to %d", size, v.Size())
			}
			size = v.Size()
		}
		if cerr := r.Close(); cerr != nil {
			t.Fatal(cerr)
		}
		stop()
		if err == nil {
			break
		}
		if !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
	}
	if rounds == 0 {
		t.Error("nothing was stopped")
	}
	s.lies(func(http.ResponseWriter, *http.Request) bool { return false })
	r := open(t, o)
	same(t, r.View(), l.View())
}
