package witness

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/internal/durable"
)

// testLog is a log in memory, by golang.org/x/mod's tlog.
type testLog struct {
	t      *testing.T
	signer note.Signer
	vkey   evidence.VKey
	hashes []tlog.Hash
	size   int64
}

func (l *testLog) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	var out []tlog.Hash
	for _, i := range indexes {
		out = append(out, l.hashes[i])
	}
	return out, nil
}

// newLog makes a log with a key of its own; seed tells keys apart, salt the
// histories of one log.
func newLog(t *testing.T, origin string, seed byte, salt string, size int) *testLog {
	t.Helper()
	l := &testLog{t: t}
	var err error
	if l.signer, l.vkey, err = evidence.NewSigner(origin, ed25519.NewKeyFromSeed(bytes.Repeat([]byte{seed}, 32))); err != nil {
		t.Fatal(err)
	}
	for i := range size {
		l.add(fmt.Sprintf("%s %d", salt, i))
	}
	return l
}

func (l *testLog) add(entry string) {
	hashes, err := tlog.StoredHashes(l.size, []byte(entry), l)
	if err != nil {
		l.t.Fatal(err)
	}
	l.hashes = append(l.hashes, hashes...)
	l.size++
}

func (l *testLog) at(size int) evidence.Checkpoint {
	c := evidence.Checkpoint{Origin: l.vkey.Name, Size: uint64(size), Root: evidence.EmptyRoot}
	if size > 0 {
		root, err := tlog.TreeHash(int64(size), l)
		if err != nil {
			l.t.Fatal(err)
		}
		c.Root = root
	}
	return c
}

func (l *testLog) signed(size int) []byte {
	b, err := evidence.SignCheckpoint(l.at(size), l.signer)
	if err != nil {
		l.t.Fatal(err)
	}
	return b
}

func (l *testLog) request(from, to int) Request {
	p, err := evidence.ProveConsistency(uint64(from), uint64(to), l)
	if err != nil {
		l.t.Fatal(err)
	}
	return Request{Old: uint64(from), Proof: p, Checkpoint: l.signed(to)}
}

// clock is a clock that tests set.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time { c.mu.Lock(); defer c.mu.Unlock(); return c.now }
func (c *clock) move(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func newClock() *clock { return &clock{now: time.Unix(1_800_000_000, 0)} }

func makeKey(t *testing.T, fsys vfs.FS) *Key {
	t.Helper()
	k, err := CreateKey(fsys, "/w", "witness.example/w1", bytes.NewReader(bytes.Repeat([]byte{200}, 32)))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func open(t *testing.T, fsys vfs.FS, c *clock, logs ...evidence.VKey) *Witness {
	t.Helper()
	w, err := Open(Options{FS: fsys, Dir: "/w", Logs: logs, Now: c.Now, Logf: t.Logf})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func start(t *testing.T, logs ...*testLog) (*Witness, *vfs.MemFS, *clock) {
	t.Helper()
	fsys, c := vfs.NewCrashableMem(), newClock()
	makeKey(t, fsys)
	var keys []evidence.VKey
	for _, l := range logs {
		keys = append(keys, l.vkey)
	}
	w := open(t, fsys, c, keys...)
	t.Cleanup(func() { w.Close() })
	return w, fsys, c
}

func mustAdd(t *testing.T, w *Witness, r Request) string {
	t.Helper()
	a := w.Add(r)
	if a.Status != OK {
		t.Fatalf("status %d: %s (size %d)", a.Status, a.Reason, a.Size)
	}
	return a.Line
}

func post(t *testing.T, url string, body io.Reader) (int, string, string) {
	t.Helper()
	resp, err := http.Post(url+"/add-checkpoint", "text/plain", body)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, resp.Header.Get("Content-Type"), string(b)
}

// TestStatuses: each answer of the protocol, over HTTP, from a witness that
// cosigned 5 entries of a log.
func TestStatuses(t *testing.T) {
	l := newLog(t, "log.example/a", 1, "true", 9)
	fork := newLog(t, "log.example/a", 1, "false", 9)
	thief := newLog(t, "log.example/a", 2, "true", 9)
	other := newLog(t, "log.example/b", 3, "b", 9)
	many := l.request(5, 9)
	for len(many.Proof) < MaxProof+1 {
		many.Proof = append(many.Proof, tlog.Hash{})
	}
	full := many
	full.Proof = many.Proof[:MaxProof]
	bent := l.request(5, 9)
	bent.Proof = append(tlog.TreeProof(nil), bent.Proof...)
	bent.Proof[0][3] ^= 1
	unasked := l.request(5, 5)
	unasked.Proof = tlog.TreeProof{{}}
	mangled := l.request(5, 9)
	mangled.Checkpoint = bytes.Replace(mangled.Checkpoint, []byte("\n9\n"), []byte("\n8\n"), 1)
	extended, err := note.Sign(&note.Note{Text: l.at(9).Text() + "extension\n"}, l.signer)
	if err != nil {
		t.Fatal(err)
	}
	text := func(r Request) string { return string(r.Marshal()) }
	good := text(l.request(5, 9))
	for _, c := range []struct {
		name, body string
		status     int
		kind, says string
	}{
		{"nothing", "", 400, "text/plain; charset=utf-8", ""},
		{"no proof section", string(l.signed(9)), 400, "", ""},
		{"leading zero", strings.Replace(good, "old 5", "old 05", 1), 400, "", ""},
		{"plus", strings.Replace(good, "old 5", "old +5", 1), 400, "", ""},
		{"two spaces", strings.Replace(good, "old 5", "old  5", 1), 400, "", ""},
		{"CRLF", strings.ReplaceAll(good, "\n", "\r\n"), 400, "", ""},
		{"negative", strings.Replace(good, "old 5", "old -5", 1), 400, "", ""},
		{"old too large", strings.Replace(good, "old 5", "old 9223372036854775808", 1), 400, "", ""},
		{"proof line is short", strings.Replace(good, "old 5\n", "old 5\nAAAA\n", 1), 400, "", ""},
		{"64 hashes", text(many), 400, "", ""},
		{"63 hashes that prove nothing", text(full), 422, "", ""},
		{"old above size", text(Request{Old: 10, Checkpoint: l.signed(9)}), 400, "", ""},
		{"an empty extension line", strings.Replace(text(Request{Old: 5, Checkpoint: extended}), "extension\n", "\nextension\n", 1), 400, "", ""},
		{"no signature", text(Request{Old: 5, Checkpoint: []byte(l.at(9).Text())}), 400, "", ""},
		{"another log", text(other.request(0, 9)), 404, "", ""},
		{"wrong key", text(thief.request(5, 9)), 403, "", ""},
		{"signature over another text", text(mangled), 403, "", ""},
		{"stale, too small", text(l.request(3, 9)), 409, SizeType, "5\n"},
		{"stale, too large", text(l.request(7, 9)), 409, SizeType, "5\n"},
		{"never heard of it", text(l.request(0, 9)), 409, SizeType, "5\n"},
		{"rollback", text(l.request(3, 3)), 409, SizeType, "5\n"},
		{"rollback with the right old size", text(Request{Old: 5, Checkpoint: l.signed(3)}), 400, "", ""},
		{"size 0", text(l.request(0, 0)), 409, SizeType, "5\n"},
		{"fork at the same size", text(fork.request(5, 5)), 409, "text/plain; charset=utf-8", ""},
		{"fork", text(fork.request(5, 9)), 422, "", ""},
		{"bent proof", text(bent), 422, "", ""},
		{"no proof", text(Request{Old: 5, Checkpoint: l.signed(9)}), 422, "", ""},
		{"proof of the same size", text(unasked), 422, "", ""},
		{"huge", good + strings.Repeat("A", MaxRequest), 400, "", ""},
		{"again", text(l.request(5, 5)), 200, "text/plain; charset=utf-8", "— witness.example/w1 "},
		{"on", good, 200, "text/plain; charset=utf-8", "— witness.example/w1 "},
	} {
		t.Run(c.name, func(t *testing.T) {
			w, _, _ := start(t, l)
			mustAdd(t, w, l.request(0, 5))
			s := httptest.NewServer(NewHandler(w))
			defer s.Close()
			before, err := w.Latest(OriginID("log.example/a"))
			if err != nil {
				t.Fatal(err)
			}
			status, kind, body := post(t, s.URL, strings.NewReader(c.body))
			if status != c.status || c.kind != "" && kind != c.kind || !strings.HasPrefix(body, c.says) {
				t.Fatalf("%d %s %q, want %d %s %q", status, kind, body, c.status, c.kind, c.says)
			}
			after, err := w.Latest(OriginID("log.example/a"))
			if err != nil || status != 200 && !bytes.Equal(before, after) {
				t.Fatalf("a refusal moved the memory: %v\n%s", err, after)
			}
		})
	}
}

// TestExtensionLines: what other people's logs have beside the three lines is cosigned as
// it stands, comes back after a restart, and decides nothing.
func TestExtensionLines(t *testing.T) {
	l := newLog(t, "log.example/a", 1, "true", 9)
	w, fsys, c := start(t, l)
	extended := func(size int, lines string) Request {
		signed, err := note.Sign(&note.Note{Text: l.at(size).Text() + lines}, l.signer)
		if err != nil {
			t.Fatal(err)
		}
		r := l.request(0, size)
		r.Checkpoint = signed
		return r
	}
	r := extended(5, "Timestamp: 1\nmore — of it\n")
	line := mustAdd(t, w, r)
	text, _, _ := bytes.Cut(r.Checkpoint, []byte("\n\n"))
	n, err := note.Open(append(append(text, '\n', '\n'), line...), evidence.Verifiers(w.VKey()))
	if err != nil || !strings.HasSuffix(n.Text, "\nmore — of it\n") {
		t.Fatalf("%+v %v", n, err)
	}
	// Another line beside the same tree is no fork, and another tree is.
	again := extended(5, "Timestamp: 2\n")
	again.Old, again.Proof = 5, nil
	mustAdd(t, w, again)
	other := newLog(t, "log.example/a", 1, "other", 9)
	forked, err := note.Sign(&note.Note{Text: other.at(5).Text() + "Timestamp: 2\n"}, l.signer)
	if err != nil {
		t.Fatal(err)
	}
	if a := w.Add(Request{Old: 5, Checkpoint: forked}); a.Status != Conflict || a.Stale {
		t.Fatalf("%+v", a)
	}
	// What could not be read again is not stored.
	long := extended(5, strings.Repeat("x", evidence.MaxCheckpoint-len(again.Checkpoint)-10)+"\n")
	long.Old, long.Proof = 5, nil
	if len(long.Checkpoint) > evidence.MaxCheckpoint {
		t.Fatal("too long to be read at all")
	}
	if a := w.Add(long); a.Status != BadRequest {
		t.Fatalf("%+v", a)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	w = open(t, fsys, c, l.vkey)
	defer w.Close()
	if signed, err := w.Latest(OriginID("log.example/a")); err != nil || !bytes.Contains(signed, []byte("\nTimestamp: 2\n\n")) {
		t.Fatalf("%s %v", signed, err)
	}
	mustAdd(t, w, l.request(5, 9)) // and none
}

// TestFirstCheckpoint: from nothing there is nothing to prove.
func TestFirstCheckpoint(t *testing.T) {
	l := newLog(t, "log.example/a", 1, "true", 3)
	w, _, _ := start(t, l)
	r := l.request(0, 3)
	r.Proof = tlog.TreeProof{{}}
	if a := w.Add(r); a.Status != Unprocessable {
		t.Fatal(a)
	}
	if a := w.Add(l.request(2, 3)); a.Status != Conflict || !a.Stale || a.Size != 0 {
		t.Fatal(a)
	}
	mustAdd(t, w, l.request(0, 0))
	mustAdd(t, w, l.request(0, 3))
	if a := w.Add(l.request(0, 0)); a.Status != Conflict || a.Size != 3 {
		t.Fatal(a)
	}
}

// TestConcurrentSubmissionsHaveOneOrder: of many at once from one size exactly
// one is cosigned, whichever it is, and the others are told its size.
func TestConcurrentSubmissionsHaveOneOrder(t *testing.T) {
	const n = 16
	l := newLog(t, "log.example/a", 1, "true", 5+n)
	w, _, _ := start(t, l)
	mustAdd(t, w, l.request(0, 5))
	answers := make([]Answer, n)
	var wg sync.WaitGroup
	for i := range n {
		r := l.request(5, 6+i)
		wg.Go(func() { answers[i] = w.Add(r) })
	}
	wg.Wait()
	won := -1
	for i, a := range answers {
		if a.Status == OK {
			if won >= 0 {
				t.Fatalf("both %d and %d", won, i)
			}
			won = i
		}
	}
	if won < 0 {
		t.Fatal("none was cosigned")
	}
	for i, a := range answers {
		if i != won && (a.Status != Conflict || a.Size != uint64(6+won)) {
			t.Fatalf("%d: %+v after %d", i, a, 6+won)
		}
	}
}

// TestTimeNeverGoesBack across requests, logs and restarts.
func TestTimeNeverGoesBack(t *testing.T) {
	a, b := newLog(t, "log.example/a", 1, "a", 3), newLog(t, "log.example/b", 2, "b", 3)
	w, fsys, c := start(t, a, b)
	times := func(line string, l *testLog, size int) int64 {
		t.Helper()
		r, err := w.memory.cosigned([]byte(l.at(size).Text() + "\n" + line))
		if err != nil {
			t.Fatal(err)
		}
		return r.time
	}
	first := times(mustAdd(t, w, a.request(0, 1)), a, 1)
	c.move(-30 * time.Second)
	if got := times(mustAdd(t, w, b.request(0, 1)), b, 1); got != first {
		t.Fatal(got, first)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	w = open(t, fsys, c, b.vkey) // the later time is of a log that is not asked about any more
	defer w.Close()
	if got := times(mustAdd(t, w, b.request(1, 2)), b, 2); got != first {
		t.Fatal(got, first)
	}
	c.move(-time.Hour)
	if a := w.Add(b.request(2, 3)); a.Status != Failed {
		t.Fatal(a)
	}
	c.move(2 * time.Hour)
	if got := times(mustAdd(t, w, b.request(2, 3)), b, 3); got <= first {
		t.Fatal(got, first)
	}
}

// TestClockJumpsAndReturns: a clock that is hours ahead, or behind, for a moment is not
// signed, and does not silence the witness afterwards; one that stays there is believed
// after a minute.
func TestClockJumpsAndReturns(t *testing.T) {
	right := time.Unix(1_800_000_000, 0)
	type look struct {
		steady, off time.Duration // by the steady clock, and how far the other is off
		ok          bool
	}
	for name, looks := range map[string][]look{
		"even":                    {{0, 0, true}, {time.Hour, 0, true}, {72 * time.Hour, time.Second, true}},
		"slewed":                  {{0, 0, true}, {time.Hour, 50 * time.Second, true}, {2 * time.Hour, 100 * time.Second, true}},
		"ahead and back":          {{0, 0, true}, {time.Second, 5 * time.Hour, false}, {2 * time.Second, 0, false}, {61 * time.Second, 0, false}, {62 * time.Second, 0, true}},
		"behind and back":         {{0, 0, true}, {time.Second, -5 * time.Hour, false}, {30 * time.Second, 0, false}, {90 * time.Second, 0, true}},
		"between two looks":       {{0, 0, true}, {time.Hour, 0, true}},
		"ahead for good":          {{0, 0, true}, {time.Second, time.Hour, false}, {60 * time.Second, time.Hour, false}, {61 * time.Second, time.Hour, true}},
		"off and on":              {{0, 0, true}, {50 * time.Second, time.Hour, false}, {100 * time.Second, 0, false}, {150 * time.Second, time.Hour, false}, {200 * time.Second, 0, false}, {260 * time.Second, 0, true}},
		"wrong from the start on": {{0, time.Hour, true}, {time.Second, 0, false}, {61 * time.Second, 0, true}},
	} {
		var j jumps
		for i, l := range looks {
			if err := j.look(right.Add(l.steady+l.off), l.steady); errors.Is(err, ErrClock) == l.ok {
				t.Errorf("%s, look %d: %v", name, i, err)
			}
		}
	}
}

// TestMonitor reads what was cosigned, by the log's name and no other.
func TestMonitor(t *testing.T) {
	l := newLog(t, "log.example/a", 1, "true", 3)
	w, _, _ := start(t, l)
	s := httptest.NewServer(NewHandler(w))
	defer s.Close()
	get := func(path string) (int, []byte) {
		t.Helper()
		resp, err := http.Get(s.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, b
	}
	path := "/" + OriginID("log.example/a") + "/checkpoint"
	if status, _ := get(path); status != 404 {
		t.Fatal(status)
	}
	mustAdd(t, w, l.request(0, 3))
	status, body := get(path)
	c, n, err := evidence.OpenCheckpoint(body, evidence.Verifiers(l.vkey, w.VKey()))
	if status != 200 || err != nil || c != l.at(3) || len(n.Sigs) != 2 {
		t.Fatal(status, err, n)
	}
	for _, p := range []string{"/", "/checkpoint", strings.ToUpper(path), "/" + OriginID("x") + "/checkpoint", strings.Replace(path, "/check", "/%63heck", 1)} {
		if status, _ := get(p); status != 404 {
			t.Errorf("%s: %d", p, status)
		}
	}
	if status, _ := get("/add-checkpoint"); status != 405 {
		t.Error(status)
	}
	if status, _, _ := post(t, s.URL+path, nil); status != 404 && status != 405 {
		t.Error(status)
	}
}

// TestTooManyAtOnce hear 429 at once, and no goroutine waits for them.
func TestTooManyAtOnce(t *testing.T) {
	l := newLog(t, "log.example/a", 1, "true", 3)
	w, _, _ := start(t, l)
	h := NewHandler(w).(*handler)
	for range maxInFlight {
		h.slots <- struct{}{}
	}
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, httptest.NewRequest("POST", "/add-checkpoint", bytes.NewReader(l.request(0, 3).Marshal())))
	if rec.Code != 429 || rec.Header().Get("Retry-After") == "" {
		t.Fatal(rec.Code, rec.Header())
	}
	<-h.slots
	rec = httptest.NewRecorder()
	h.ServeHTTP(rec, httptest.NewRequest("POST", "/add-checkpoint", bytes.NewReader(l.request(0, 3).Marshal())))
	if rec.Code != 200 || len(h.slots) != maxInFlight-1 {
		t.Fatal(rec.Code, len(h.slots))
	}
}

// TestLogStarvesNobody: a log that asks without end hears 429, and another is answered
// at once. What a stranger sends in a log's name counts for nothing.
func TestLogStarvesNobody(t *testing.T) {
	greedy, modest := newLog(t, "log.example/a", 1, "a", 5), newLog(t, "log.example/b", 2, "b", 5)
	w, _, c := start(t, greedy, modest)
	h := NewHandler(w)
	ask := func(r Request) *httptest.ResponseRecorder {
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, httptest.NewRequest("POST", "/add-checkpoint", bytes.NewReader(r.Marshal())))
		return rec
	}
	stranger := newLog(t, "log.example/b", 3, "b", 5)
	for range 3 * logBurst {
		if rec := ask(stranger.request(0, 5)); rec.Code != 403 {
			t.Fatal(rec.Code)
		}
	}
	mustAdd(t, w, greedy.request(0, 5))
	for range logBurst - 1 {
		mustAdd(t, w, greedy.request(5, 5))
	}
	if rec := ask(greedy.request(5, 5)); rec.Code != 429 || rec.Header().Get("Retry-After") == "" {
		t.Fatal(rec.Code, rec.Header())
	}
	mustAdd(t, w, modest.request(0, 5))
	c.move(-time.Hour) // a clock that is set back gives it nothing
	if rec := ask(greedy.request(5, 5)); rec.Code != 429 {
		t.Fatal(rec.Code)
	}
	c.move(time.Hour)
	c.move(time.Second)
	for range logRate {
		mustAdd(t, w, greedy.request(5, 5))
	}
	c.move(1000 * time.Hour) // nor does one that is set forward give it more than the burst
	for range logBurst {
		mustAdd(t, w, greedy.request(5, 5))
	}
	if rec := ask(greedy.request(5, 5)); rec.Code != 429 {
		t.Fatal(rec.Code)
	}
}

// TestAttackerSendsSlowly: a body that does not come is given up.
func TestAttackerSendsSlowly(t *testing.T) {
	l := newLog(t, "log.example/a", 1, "true", 3)
	w, _, _ := start(t, l)
	h := NewHandler(w).(*handler)
	h.timeout = 20 * time.Millisecond
	s := httptest.NewServer(h)
	defer s.Close()
	r, hold := io.Pipe()
	defer hold.Close()
	req, err := http.NewRequest("POST", s.URL+"/add-checkpoint", io.MultiReader(strings.NewReader("old 0\n"), r))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err == nil { // or the connection was closed under the request
		resp.Body.Close()
		if resp.StatusCode != http.StatusRequestTimeout {
			t.Fatal(resp.StatusCode)
		}
	}
	mustAdd(t, w, l.request(0, 3))
}

// TestKeysAreApart: what Open refuses of keys.
func TestKeysAreApart(t *testing.T) {
	fsys, c := vfs.NewMem(), newClock()
	k := makeKey(t, fsys)
	a := newLog(t, "log.example/a", 1, "a", 0).vkey
	same := a
	same.Name = "log.example/b"
	own := evidence.VKey{Name: "log.example/c", Type: evidence.LogKeyType, Public: k.VKey().Public}
	for name, o := range map[string]Options{
		"two logs with one key": {Logs: []evidence.VKey{a, same}},
		"one key twice":         {Logs: []evidence.VKey{a, a}},
		"a witness's key":       {Logs: []evidence.VKey{k.VKey()}},
		"its own as a log's":    {Logs: []evidence.VKey{own}},
		"its own is taken":      {Logs: []evidence.VKey{a}, Taken: [][32]byte{k.VKey().Public}},
	} {
		o.FS, o.Dir, o.Now = fsys, "/w", c.Now
		if _, err := Open(o); !errors.Is(err, ErrKeys) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := CreateKey(fsys, "/w", "other", bytes.NewReader(make([]byte, 32))); !errors.Is(err, ErrKeys) {
		t.Error(err)
	}
}

// TestRotation: the new key counts once it is named, and the old one must be
// named until a checkpoint by the new one was cosigned.
func TestRotation(t *testing.T) {
	older := newLog(t, "log.example/a", 1, "true", 9)
	newer := newLog(t, "log.example/a", 2, "true", 9)
	w, fsys, c := start(t, older)
	mustAdd(t, w, older.request(0, 3))
	if a := w.Add(newer.request(3, 5)); a.Status != Forbidden {
		t.Fatal(a)
	}
	w.Close()
	if _, err := Open(Options{FS: fsys, Dir: "/w", Logs: []evidence.VKey{newer.vkey}, Now: c.Now}); !errors.Is(err, ErrKeys) {
		t.Fatal(err)
	}
	w = open(t, fsys, c, older.vkey, newer.vkey)
	mustAdd(t, w, newer.request(3, 5))
	w.Close()
	w = open(t, fsys, c, newer.vkey)
	defer w.Close()
	if a := w.Add(older.request(5, 9)); a.Status != Forbidden {
		t.Fatal(a)
	}
	mustAdd(t, w, newer.request(5, 9))
}

// TestKeyFileIsPrivate on a real disk.
func TestKeyFileIsPrivate(t *testing.T) {
	dir, fsys := t.TempDir(), durable.Private()
	k, err := CreateKey(fsys, dir, "w", bytes.NewReader(bytes.Repeat([]byte{7}, 32)))
	if err != nil {
		t.Fatal(err)
	}
	if err := durable.CheckPrivate(fsys, fsys.PathJoin(dir, keyFile)); err != nil {
		t.Fatal(err)
	}
	again, err := ReadKey(fsys, dir)
	if err != nil || again.VKey() != k.VKey() || again.VKey().Type != evidence.WitnessKeyType {
		t.Fatal(err)
	}
	for i, text := range []string{"", string(k.text()) + "\n", strings.Replace(string(k.text()), "+w+", "+v+", 1), strings.TrimSuffix(string(k.text()), "\n")} {
		if _, err := parseKey([]byte(text)); !errors.Is(err, ErrFormat) {
			t.Errorf("%d: %v", i, err)
		}
	}
}

// TestParseLogs holds the file of logs to its words.
func TestParseLogs(t *testing.T) {
	a, b := newLog(t, "log.example/a", 1, "", 0).vkey, newLog(t, "log.example/b", 2, "", 0).vkey
	got, err := ParseLogs([]byte("# logs\n\n log  " + a.String() + " \nlog " + b.String() + "\n"))
	if err != nil || len(got) != 2 || got[0] != a || got[1] != b {
		t.Fatal(got, err)
	}
	for _, text := range []string{"log " + a.String(), "log\n", "witness " + a.String() + "\n", "log " + a.String() + " x y\n", "log x\n", "log " + a.String() + "\nlog " + a.String() + "\n"} {
		if _, err := ParseLogs([]byte(text)); err == nil {
			t.Errorf("%q", text)
		}
	}
}

func FuzzParseRequest(f *testing.F) {
	f.Add([]byte("old 0\n\nx"))
	f.Add([]byte("old 20852014\nPlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=\n\na\n1\nb\n\n"))
	f.Fuzz(func(t *testing.T, body []byte) {
		r, err := ParseRequest(body)
		if err == nil && !bytes.Equal(r.Marshal(), body) {
			t.Fatalf("%q became %q", body, r.Marshal())
		}
	})
}
