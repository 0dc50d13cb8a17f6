package gcs_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stele-ml/stele/internal/source"
	"github.com/stele-ml/stele/internal/source/bucket"
	"github.com/stele-ml/stele/internal/source/gcs"
	"github.com/stele-ml/stele/internal/source/storetest"
)

// These answers are written by hand: what fake-gcs-server does not do (enforce
// ifGenerationMatch, refuse anybody, be busy) and what no server should.

// canned is a store whose every request is answered by answer.
func canned(t *testing.T, answer http.HandlerFunc) bucket.Store {
	t.Helper()
	server := httptest.NewServer(answer)
	t.Cleanup(server.Close)
	storetest.ClearEnv(t)
	t.Setenv("STORAGE_EMULATOR_HOST", server.URL)
	gcs.Hurry(t)
	return store(t, "b")
}

// object is what the answers are about.
var object = bucket.Item{Key: "d/x y", Size: 100, Version: "7"}

// reply is a right answer to a read of n bytes at off, as far as headers go; the
// pairs of edit change it, an empty value takes a header away.
func reply(off, n int, edit ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("X-Goog-Generation", "7")
		h.Set("X-Goog-Metageneration", "1")
		h.Set("X-Goog-Stored-Content-Encoding", "identity")
		h.Set("X-Goog-Stored-Content-Length", "100")
		h.Set("Content-Length", fmt.Sprint(n))
		status := http.StatusOK
		if n < 100 {
			h.Set("Content-Range", fmt.Sprintf("bytes %d-%d/100", off, off+n-1))
			status = http.StatusPartialContent
		}
		for i := 0; i < len(edit); i += 2 {
			if h.Set(edit[i], edit[i+1]); edit[i+1] == "" {
				h.Del(edit[i])
			}
		}
		w.WriteHeader(status)
		w.Write(make([]byte, n))
	}
}

// say answers with a status and a body.
func say(status int, body string, headers ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		for i := 0; i < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		w.WriteHeader(status)
		io.WriteString(w, body)
	}
}

// xmlError is an error as the XML API, which reads come from, words it.
func xmlError(code, details string) string {
	return "<?xml version='1.0' encoding='UTF-8'?><Error><Code>" + code + "</Code><Message>In general.</Message><Details>" + details + "</Details></Error>"
}

// A read is one request, for exactly the generation that was listed, and for
// the bytes as they are stored.
func TestReadAsks(t *testing.T) {
	for _, c := range []struct {
		off, n int64
		want   string
	}{{0, 100, ""}, {0, 99, "bytes=0-98"}, {99, 1, "bytes=99-99"}} {
		var asked []*http.Request
		st := canned(t, func(w http.ResponseWriter, r *http.Request) {
			asked = append(asked, r)
			reply(int(c.off), int(c.n))(w, r)
		})
		r, got, err := st.Read(context.Background(), object, c.off, c.n)
		if err != nil {
			t.Fatal(err)
		}
		if b, err := io.ReadAll(r); err != nil || int64(len(b)) != c.n || got != object {
			t.Errorf("Read = %d bytes of %+v, %v", len(b), got, err)
		}
		r.Close()
		if len(asked) != 1 {
			t.Fatalf("%d requests", len(asked))
		}
		q := asked[0]
		if q.Method != "GET" || q.URL.EscapedPath() != "/b/d%2Fx%20y" || q.URL.RawQuery != "" || q.Header.Get("X-Goog-If-Generation-Match") != "7" ||
			q.Header.Get("Accept-Encoding") != "gzip" || q.Header.Get("Range") != c.want || q.Header.Get("Authorization") != "" {
			t.Errorf("asked %s %s with %v", q.Method, q.URL, q.Header)
		}
	}
}

// Whatever another answer is, nothing of it is used.
func TestAnswers(t *testing.T) {
	const whole, part = 100, 10
	for _, c := range []struct {
		name   string
		n      int64
		answer http.HandlerFunc
		want   error
		text   string
	}{
		{"the condition fails", whole, say(412, xmlError("PreconditionFailed", "")), source.ErrChanged, "it was replaced"},
		{"it is gone", whole, say(404, xmlError("NoSuchKey", "No such object: b/d/x y")), source.ErrChanged, "it vanished"},
		{"another generation", whole, reply(0, 100, "X-Goog-Generation", "8"), source.ErrChanged, "generation 8, not 7"},
		{"a range of another generation", part, reply(0, 10, "X-Goog-Generation", "8"), source.ErrChanged, "generation 8, not 7"},
		{"no generation", whole, reply(0, 100, "X-Goog-Generation", ""), source.ErrChanged, "does not say which generation"},
		{"all for a range", part, reply(0, 100), source.ErrChanged, "range"},
		{"a range for all", whole, reply(0, 10), source.ErrChanged, "range"},
		{"another range", part, reply(1, 10), source.ErrChanged, "range"},
		{"a longer range", part, reply(0, 11), source.ErrChanged, "range"},
		{"another size", part, reply(0, 10, "Content-Range", "bytes 0-9/101"), source.ErrChanged, "range"},
		{"no size", part, reply(0, 10, "Content-Range", "bytes 0-9/*"), source.ErrUnreachable, "Content-Range"},
		{"no range behind the end", part, say(416, xmlError("InvalidRange", "")), source.ErrChanged, "shorter"},
		{"sent decompressed", whole, reply(0, 100, "X-Goog-Stored-Content-Encoding", "gzip"), nil, "decompressed"},
		{"no length", whole, reply(0, 100, "Content-Length", "", "Transfer-Encoding", "chunked"), source.ErrUnreachable, "how long"},
		{"denied", whole, say(403, xmlError("AccessDenied", "nobody@example.com does not have storage.objects.get access.")), source.ErrDenied, "403 Forbidden: nobody@example.com does not"},
		{"who is it", whole, say(401, xmlError("AuthenticationRequired", "Anonymous caller.")), source.ErrDenied, "401 Unauthorized: Anonymous caller"},
		{"the customer's key", whole, say(400, xmlError("ResourceIsEncryptedWithCustomerEncryptionKey", "The target object is encrypted by a customer-supplied encryption key.")), source.ErrDenied, "customer-supplied"},
		{"nobody pays", whole, say(400, xmlError("UserProjectMissing", "Bucket is a requester pays bucket but no user project provided.")), source.ErrDenied, "requester pays"},
		{"a bad request", whole, say(400, "not XML\nat all"), nil, "400 Bad Request"},
		{"broken", whole, say(500, ""), source.ErrUnreachable, "500 Internal Server Error"},
		{"elsewhere", whole, say(302, "", "Location", "/other"), source.ErrUnreachable, "elsewhere"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var n atomic.Int32
			st := canned(t, func(w http.ResponseWriter, r *http.Request) {
				n.Add(1)
				c.answer(w, r)
			})
			r, _, err := st.Read(context.Background(), object, 0, c.n)
			if err == nil {
				r.Close()
				t.Fatal("the answer is used")
			}
			e := (*source.Error)(nil)
			if !errors.As(err, &e) || e.Path != object.Key || c.want != nil && !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.text) || strings.Contains(err.Error(), "\n") {
				t.Errorf("Read = %v, want %v saying %q", err, c.want, c.text)
			}
			if c.want == nil && e != nil && e.Class != nil {
				t.Errorf("Read = %v of a class", err)
			}
			if n.Load() != 1 {
				t.Errorf("%d requests for one read", n.Load())
			}
		})
	}
}

// An item without a generation is never read: nothing would pin it.
func TestReadNeedsAGeneration(t *testing.T) {
	st := canned(t, reply(0, 100))
	for _, v := range []string{"", "null", "0", "-1"} {
		it := object
		it.Version = v
		if r, _, err := st.Read(context.Background(), it, 0, 100); err == nil {
			r.Close()
			t.Errorf("version %q is read", v)
		}
	}
}

// A store that is busy says so to its caller at once, with the time it asks for.
func TestBusy(t *testing.T) {
	for _, c := range []struct {
		answer http.HandlerFunc
		want   time.Duration
	}{
		{say(429, "", "Retry-After", "3"), 3 * time.Second},
		{say(503, ""), 0},
		{say(503, "", "Retry-After", "soon"), 0},
	} {
		st := canned(t, c.answer)
		_, _, err := st.Read(context.Background(), object, 0, 100)
		var busy *bucket.Busy
		if !errors.Is(err, source.ErrUnreachable) || !errors.As(err, &busy) || busy.After != c.want {
			t.Errorf("Read = %v, want ErrUnreachable with Busy after %v", err, c.want)
		}
	}
}

// The SDK would open an object again by itself when its body breaks, and read on
// whatever comes then.
func TestBrokenBodyIsNotGoneOnWith(t *testing.T) {
	var n atomic.Int32
	st := canned(t, func(w http.ResponseWriter, r *http.Request) {
		if n.Add(1) == 1 {
			reply(0, 100)(short{w, 40}, r)
			return
		}
		reply(40, 60)(w, r)
	})
	r, _, err := st.Read(context.Background(), object, 0, 100)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	b, err := io.ReadAll(r)
	if len(b) != 40 || !errors.Is(err, io.ErrUnexpectedEOF) || n.Load() != 1 {
		t.Errorf("read %d bytes in %d requests, %v; want 40 in one and io.ErrUnexpectedEOF", len(b), n.Load(), err)
	}
}

// What does not have the checksum that the store keeps is an error at its end.
func TestChecksum(t *testing.T) {
	sum := crc32.Checksum(make([]byte, 100), crc32.MakeTable(crc32.Castagnoli))
	for _, flip := range []uint32{0, 1} {
		hash := base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, sum^flip))
		st := canned(t, reply(0, 100, "X-Goog-Hash", "crc32c="+hash+",md5=x"))
		r, _, err := st.Read(context.Background(), object, 0, 100)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(r)
		if r.Close(); len(b) != 100 || (err != nil) != (flip != 0) || flip != 0 && !errors.Is(err, source.ErrUnreachable) {
			t.Errorf("read %d bytes of a checksum with %d bits turned: %v", len(b), flip, err)
		}
	}
}

// short is an answer that ends early.
type short struct {
	http.ResponseWriter
	n int
}

func (s short) Write(p []byte) (int, error) { return s.ResponseWriter.Write(p[:min(len(p), s.n)]) }

// What may pass is tried again in a listing and a lookup, a bounded number of
// times.
func TestRetries(t *testing.T) {
	page := say(200, `{"items":[{"name":"a","size":"5","generation":"3"}]}`, "Content-Type", "application/json")
	for _, c := range []struct {
		name  string
		fails http.HandlerFunc
	}{
		{"503", say(503, "")},
		{"429", say(429, "", "Retry-After", "0")},
		{"500", say(500, "{}")},
		{"rate", say(403, `{"error":{"code":403,"message":"Slower.","errors":[{"reason":"rateLimitExceeded"}]}}`)},
		{"cut", say(200, `{"items":[{"name":"a"`, "Content-Length", "1000", "Content-Type", "application/json")},
		{"reset", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			var n atomic.Int32
			st := canned(t, func(w http.ResponseWriter, r *http.Request) {
				if n.Add(1) < 3 {
					c.fails(w, r)
					return
				}
				page(w, r)
			})
			if got := list(t, st, "", ""); len(got) != 1 || got[0] != (bucket.Item{Key: "a", Size: 5, Version: "3"}) {
				t.Errorf("listed %+v", got)
			}
			n.Store(-1000)
			for what, ask := range map[string]func() error{
				"List": func() error { return st.List(context.Background(), "p", "", nil) },
				"Head": func() error { _, err := st.Head(context.Background(), "k"); return err },
				"Put":  func() error { return st.Put(context.Background(), "k", strings.NewReader("x"), 1) },
			} {
				n.Store(-1000)
				if err := ask(); !errors.Is(err, source.ErrUnreachable) {
					t.Errorf("%s = %v, want ErrUnreachable", what, err)
				}
				// A connection that breaks before it answers anything is tried
				// again by net/http besides.
				if got := n.Load() + 1000; got != gcs.MaxAttempts && (c.name != "reset" || got > 2*gcs.MaxAttempts) {
					t.Errorf("%s was tried %d times, want %d", what, got, gcs.MaxAttempts)
				}
			}
		})
	}
}

// What will not pass is not tried again.
func TestRefusals(t *testing.T) {
	const denied = `{"error":{"code":403,"message":"nobody@example.com does not have storage.objects.list access to the Google Cloud Storage bucket.","errors":[{"reason":"forbidden"}]}}`
	for _, c := range []struct {
		answer http.HandlerFunc
		want   error
	}{
		{say(403, denied, "Content-Type", "application/json"), source.ErrDenied},
		{say(401, `{"error":{"code":401,"message":"Invalid Credentials"}}`, "Content-Type", "application/json"), source.ErrDenied},
		{say(404, `{"error":{"code":404,"message":"The specified bucket does not exist."}}`, "Content-Type", "application/json"), fs.ErrNotExist},
	} {
		var n atomic.Int32
		st := canned(t, func(w http.ResponseWriter, r *http.Request) {
			n.Add(1)
			c.answer(w, r)
		})
		ctx := context.Background()
		_, head := st.Head(ctx, "k")
		for _, err := range []error{st.List(ctx, "p", "", nil), head, st.Put(ctx, "k", strings.NewReader("x"), 1)} {
			if !errors.Is(err, c.want) || !strings.Contains(err.Error(), "the store answers 40") {
				t.Errorf("%v, want %v", err, c.want)
			}
		}
		if n.Load() != 3 {
			t.Errorf("%d requests, want 3", n.Load())
		}
	}
}

// A listing that leaves out what an object is pinned by is not used.
func TestListingWithoutGeneration(t *testing.T) {
	for _, item := range []string{`{"name":"a","size":"5"}`, `{"name":"a","size":"5","generation":"0"}`} {
		st := canned(t, say(200, `{"items":[`+item+`]}`, "Content-Type", "application/json"))
		if err := st.List(context.Background(), "", "", func([]bucket.Item) error { return nil }); err == nil {
			t.Errorf("%s is listed", item)
		}
	}
}

// Nobody answers: an error within bounded attempts, and the end of ctx at once.
func TestUnreachable(t *testing.T) {
	silent := httptest.NewServer(nil)
	silent.Close()
	storetest.ClearEnv(t)
	t.Setenv("STORAGE_EMULATOR_HOST", silent.URL)
	gcs.Hurry(t)
	st := store(t, "b")
	ctx := context.Background()
	_, head := st.Head(ctx, "k")
	_, _, read := st.Read(ctx, object, 0, 100)
	for _, err := range []error{st.List(ctx, "", "", nil), head, read, st.Put(ctx, "k", strings.NewReader("x"), 1)} {
		if !errors.Is(err, source.ErrUnreachable) || strings.Contains(err.Error(), silent.URL) {
			t.Errorf("%v, want ErrUnreachable without the address", err)
		}
	}
	why := errors.New("the user went away")
	ctx, stop := context.WithCancelCause(ctx)
	stop(why)
	_, head = st.Head(ctx, "k")
	_, _, read = st.Read(ctx, object, 0, 100)
	for _, err := range []error{st.List(ctx, "", "", nil), head, read, st.Put(ctx, "k", strings.NewReader("x"), 1)} {
		if err != why {
			t.Errorf("%v, want the cause", err)
		}
	}
}

// Credentials that are there and cannot be used are never passed over: what
// would be asked then is another question.
func TestBadCredentials(t *testing.T) {
	server := httptest.NewServer(say(400, `{"error":"invalid_grant","error_description":"Invalid JWT Signature."}`, "Content-Type", "application/json"))
	defer server.Close()
	dead := httptest.NewServer(nil)
	dead.Close()
	for _, c := range []struct {
		name, text string
		want       error
	}{
		{"none there", "", source.ErrDenied},
		{"no JSON", "key", source.ErrDenied},
		{"refused", serviceAccount(t, server.URL), source.ErrDenied},
		{"unreachable", serviceAccount(t, dead.URL), source.ErrUnreachable},
	} {
		t.Run(c.name, func(t *testing.T) {
			storetest.ClearEnv(t)
			path := filepath.Join(t.TempDir(), "key.json")
			t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", path)
			if c.text != "" {
				if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			st, err := gcs.Open(context.Background(), "b", gcs.Options{})
			if err == nil {
				defer st.Close()
				err = st.List(context.Background(), "", "", nil)
			}
			if !errors.Is(err, c.want) || strings.Contains(err.Error(), "\n") || strings.Contains(err.Error(), "PRIVATE") {
				t.Errorf("%v, want %v", err, c.want)
			}
		})
	}
}

// Credentials are what Google's library finds, and --anonymous leaves them out.
func TestCredentials(t *testing.T) {
	tokens := httptest.NewServer(say(200, `{"access_token":"SECRET","token_type":"Bearer","expires_in":3600}`, "Content-Type", "application/json"))
	defer tokens.Close()
	var sent atomic.Value
	google := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sent.Store(r.Host + " " + r.Header.Get("Authorization"))
		say(401, `{"error":{"code":401,"message":"Anonymous caller."}}`, "Content-Type", "application/json")(w, r)
	}))
	defer google.Close()
	storetest.ClearEnv(t)
	path := filepath.Join(t.TempDir(), "key.json")
	t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", path)
	if err := os.WriteFile(path, []byte(serviceAccount(t, tokens.URL)), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, anonymous := range []bool{false, true} {
		over := google.Client().Transport.(*http.Transport).Clone()
		over.TLSClientConfig.ServerName = "example.com" // as its certificate says
		over.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, google.Listener.Addr().String())
		}
		st, err := gcs.OpenOver("b", anonymous, over)
		if err != nil {
			t.Fatal(err)
		}
		defer st.Close()
		want := "storage.googleapis.com Bearer SECRET"
		if anonymous {
			want = "storage.googleapis.com "
		}
		err = st.List(context.Background(), "", "", nil)
		if !errors.Is(err, source.ErrDenied) || sent.Load() != want || strings.Contains(err.Error(), "no credentials were found") {
			t.Errorf("anonymous %v: sent %q, want %q; %v", anonymous, sent.Load(), want, err)
		}
	}
	// Where none were found, the refusal says so.
	st := canned(t, say(401, `{"error":{"code":401,"message":"Anonymous caller."}}`, "Content-Type", "application/json"))
	gcs.Lacking(st)
	if err := st.List(context.Background(), "", "", nil); !errors.Is(err, source.ErrDenied) || !strings.Contains(err.Error(), "Anonymous caller; no credentials were found") {
		t.Errorf("%v, want ErrDenied that says that there were none", err)
	}
}

// serviceAccount is a key file whose tokens come from address.
func serviceAccount(t *testing.T, address string) string {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(map[string]string{
		"type": "service_account", "project_id": "p", "private_key_id": "1", "client_email": "nobody@example.com", "token_uri": address,
		"private_key": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})),
	})
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
