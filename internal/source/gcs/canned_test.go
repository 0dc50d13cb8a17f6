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

	"github.com/stele-ml/stele/internal/source"
	"github.com/stele-ml/stele/internal/source/bucket"
	"github.com/stele-ml/stele/internal/source/bucket/buckettest"
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
	return opened(t)
}

// opened is the bucket b.
func opened(t *testing.T) bucket.Store {
	t.Helper()
	st, err := open(context.Background(), "b")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	return st
}

// byHand is a store of such answers.
var byHand = buckettest.Canned{
	Open:   canned,
	Object: bucket.Item{Key: "d/x y", Size: buckettest.Size, Version: "7"},
	Right: []string{
		"X-Goog-Generation", "7", "X-Goog-Metageneration", "1",
		"X-Goog-Stored-Content-Encoding", "identity", "X-Goog-Stored-Content-Length", "100",
	},
	Range: "range",
}

// xmlError is an error as the XML API, which reads come from, words it.
func xmlError(code, details string) string {
	return "<?xml version='1.0' encoding='UTF-8'?><Error><Code>" + code + "</Code><Message>In general.</Message><Details>" + details + "</Details></Error>"
}

// A read is one request, for exactly the generation that was listed, and for
// the bytes as they are stored.
func TestReadAsks(t *testing.T) {
	byHand.Asks(t, byHand.Object, byHand.Object, nil, func(r *http.Request, ranged string) bool {
		return r.URL.EscapedPath() == "/b/d%2Fx%20y" && r.URL.RawQuery == "" && r.Header.Get("X-Goog-If-Generation-Match") == "7" &&
			r.Header.Get("Accept-Encoding") == "gzip" && r.Header.Get("Range") == ranged && r.Header.Get("Authorization") == ""
	})
}

// Whatever another answer is, nothing of it is used.
func TestAnswers(t *testing.T) {
	const whole, part = buckettest.Size, 10
	byHand.Answers(t, []buckettest.Answer{
		{Name: "the condition fails", N: whole, Say: buckettest.Say(412, xmlError("PreconditionFailed", "")), Want: source.ErrChanged, Text: "it was replaced"},
		{Name: "it is gone", N: whole, Say: buckettest.Say(404, xmlError("NoSuchKey", "No such object: b/d/x y")), Want: source.ErrChanged, Text: "it vanished"},
		{Name: "another generation", N: whole, Say: byHand.Reply(0, 100, "X-Goog-Generation", "8"), Want: source.ErrChanged, Text: "generation 8, not 7"},
		{Name: "a range of another generation", N: part, Say: byHand.Reply(0, 10, "X-Goog-Generation", "8"), Want: source.ErrChanged, Text: "generation 8, not 7"},
		{Name: "no generation", N: whole, Say: byHand.Reply(0, 100, "X-Goog-Generation", ""), Want: source.ErrChanged, Text: "does not say which generation"},
		{Name: "no size", N: part, Say: byHand.Reply(0, 10, "Content-Range", "bytes 0-9/*"), Want: source.ErrUnreachable, Text: "Content-Range"},
		{Name: "no range behind the end", N: part, Say: buckettest.Say(416, xmlError("InvalidRange", "")), Want: source.ErrChanged, Text: "shorter"},
		{Name: "sent decompressed", N: whole, Say: byHand.Reply(0, 100, "X-Goog-Stored-Content-Encoding", "gzip"), Text: "decompressed"},
		{Name: "no length", N: whole, Say: byHand.Reply(0, 100, "Content-Length", "", "Transfer-Encoding", "chunked"), Want: source.ErrUnreachable, Text: "how long"},
		{Name: "denied", N: whole, Say: buckettest.Say(403, xmlError("AccessDenied", "nobody@example.com does not have storage.objects.get access.")), Want: source.ErrDenied, Text: "403 Forbidden: nobody@example.com does not"},
		{Name: "who is it", N: whole, Say: buckettest.Say(401, xmlError("AuthenticationRequired", "Anonymous caller.")), Want: source.ErrDenied, Text: "401 Unauthorized: Anonymous caller"},
		{Name: "the customer's key", N: whole, Say: buckettest.Say(400, xmlError("ResourceIsEncryptedWithCustomerEncryptionKey", "The target object is encrypted by a customer-supplied encryption key.")), Want: source.ErrDenied, Text: "customer-supplied"},
		{Name: "nobody pays", N: whole, Say: buckettest.Say(400, xmlError("UserProjectMissing", "Bucket is a requester pays bucket but no user project provided.")), Want: source.ErrDenied, Text: "requester pays"},
		{Name: "broken", N: whole, Say: buckettest.Say(500, ""), Want: source.ErrUnreachable, Text: "500 Internal Server Error"},
		{Name: "elsewhere", N: whole, Say: buckettest.Say(302, "", "Location", "/other"), Want: source.ErrUnreachable, Text: "elsewhere"},
	})
}

// An item without a generation is never read: nothing would pin it.
func TestReadNeedsAGeneration(t *testing.T) {
	for _, v := range []string{"", "null", "0", "-1"} {
		it := byHand.Object
		it.Version = v
		byHand.Unpinned(t, it)
	}
}

// A store that is busy says so to its caller at once, with the time it asks for.
func TestBusy(t *testing.T) {
	byHand.Busy(t, func(status int, headers ...string) http.HandlerFunc { return buckettest.Say(status, "", headers...) })
}

// The SDK would open an object again by itself when its body breaks, and read on
// whatever comes then.
func TestBrokenBodyIsNotGoneOnWith(t *testing.T) { byHand.Broken(t) }

// What does not have the checksum that the store keeps is an error at its end.
func TestChecksum(t *testing.T) {
	sum := crc32.Checksum(make([]byte, 100), crc32.MakeTable(crc32.Castagnoli))
	for _, flip := range []uint32{0, 1} {
		hash := base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, sum^flip))
		st := canned(t, byHand.Reply(0, 100, "X-Goog-Hash", "crc32c="+hash+",md5=x"))
		r, _, err := st.Read(context.Background(), byHand.Object, 0, 100)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(r)
		if r.Close(); len(b) != 100 || (err != nil) != (flip != 0) || flip != 0 && !errors.Is(err, source.ErrUnreachable) {
			t.Errorf("read %d bytes of a checksum with %d bits turned: %v", len(b), flip, err)
		}
	}
}

// What may pass is tried again in a listing and a lookup, a bounded number of
// times.
func TestRetries(t *testing.T) {
	page := buckettest.Say(200, `{"items":[{"name":"a","size":"5","generation":"3"}]}`, "Content-Type", "application/json")
	byHand.Retries(t, gcs.MaxAttempts, page, bucket.Item{Key: "a", Size: 5, Version: "3"}, []buckettest.Failure{
		{Name: "503", Say: buckettest.Say(503, "")},
		{Name: "429", Say: buckettest.Say(429, "", "Retry-After", "0")},
		{Name: "500", Say: buckettest.Say(500, "{}")},
		{Name: "rate", Say: buckettest.Say(403, `{"error":{"code":403,"message":"Slower.","errors":[{"reason":"rateLimitExceeded"}]}}`)},
		{Name: "cut", Say: buckettest.Say(200, `{"items":[{"name":"a"`, "Content-Length", "1000", "Content-Type", "application/json")},
	})
}

// What will not pass is not tried again.
func TestRefusals(t *testing.T) {
	const denied = `{"error":{"code":403,"message":"nobody@example.com does not have storage.objects.list access to the Google Cloud Storage bucket.","errors":[{"reason":"forbidden"}]}}`
	byHand.Refusals(t, []buckettest.Refusal{
		{Say: buckettest.Say(403, denied, "Content-Type", "application/json"), Want: source.ErrDenied},
		{Say: buckettest.Say(401, `{"error":{"code":401,"message":"Invalid Credentials"}}`, "Content-Type", "application/json"), Want: source.ErrDenied},
		{Say: buckettest.Say(404, `{"error":{"code":404,"message":"The specified bucket does not exist."}}`, "Content-Type", "application/json"), Want: fs.ErrNotExist},
	})
}

// A listing that leaves out what an object is pinned by is not used.
func TestListingWithoutGeneration(t *testing.T) {
	for _, item := range []string{`{"name":"a","size":"5"}`, `{"name":"a","size":"5","generation":"0"}`} {
		byHand.Unusable(t, buckettest.Say(200, `{"items":[`+item+`]}`, "Content-Type", "application/json"))
	}
}

// Nobody answers: an error within bounded attempts, and the end of ctx at once.
func TestUnreachable(t *testing.T) {
	silent := httptest.NewServer(nil)
	silent.Close()
	storetest.ClearEnv(t)
	t.Setenv("STORAGE_EMULATOR_HOST", silent.URL)
	gcs.Hurry(t)
	byHand.Unreachable(t, opened(t), silent.URL)
}

// Credentials that are there and cannot be used are never passed over: what
// would be asked then is another question.
func TestBadCredentials(t *testing.T) {
	server := httptest.NewServer(buckettest.Say(400, `{"error":"invalid_grant","error_description":"Invalid JWT Signature."}`, "Content-Type", "application/json"))
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
	tokens := httptest.NewServer(buckettest.Say(200, `{"access_token":"SECRET","token_type":"Bearer","expires_in":3600}`, "Content-Type", "application/json"))
	defer tokens.Close()
	var sent atomic.Value
	google := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sent.Store(r.Host + " " + r.Header.Get("Authorization"))
		buckettest.Say(401, `{"error":{"code":401,"message":"Anonymous caller."}}`, "Content-Type", "application/json")(w, r)
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
	st := canned(t, buckettest.Say(401, `{"error":{"code":401,"message":"Anonymous caller."}}`, "Content-Type", "application/json"))
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
