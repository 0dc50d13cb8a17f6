package azure_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stele-ml/stele/internal/source"
	"github.com/stele-ml/stele/internal/source/azure"
	"github.com/stele-ml/stele/internal/source/bucket"
	"github.com/stele-ml/stele/internal/source/storetest"
)

// These answers are written by hand: what Azurite does not do (a hierarchical
// namespace, being busy, Microsoft Entra's tokens) and what no server should.

// canned is a store whose every request but that for the account's kind is
// answered by answer.
func canned(t *testing.T, answer http.HandlerFunc) bucket.Store {
	t.Helper()
	return accountOf(t, say(403, azureError("AuthorizationFailure", "No."), "X-Ms-Error-Code", "AuthorizationFailure"), answer)
}

func accountOf(t *testing.T, kind, answer http.HandlerFunc) bucket.Store {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("restype") == "account" {
			kind(w, r)
			return
		}
		answer(w, r)
	}))
	t.Cleanup(server.Close)
	storetest.ClearEnv(t)
	t.Setenv("AZURE_STORAGE_ENDPOINT", server.URL+"/account")
	t.Setenv("AZURE_STORAGE_SAS_TOKEN", "sig=SECRET")
	azure.Hurry(t)
	return store(t, "c")
}

// tree is an account with a hierarchical namespace.
func tree(t *testing.T, answer http.HandlerFunc) bucket.Store {
	t.Helper()
	st := accountOf(t, say(200, "", "X-Ms-Is-Hns-Enabled", "true"), answer)
	if st.Ordered() {
		t.Fatal("a hierarchical namespace is said to list in byte order")
	}
	return st
}

// object is what the answers are about.
var object = bucket.Item{Key: "d/x y", Size: 100, ETag: "0x8D7"}

// reply is a right answer to a read of n bytes at off, as far as headers go; the
// pairs of edit change it, an empty value takes a header away.
func reply(off, n int, edit ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("ETag", `"0x8D7"`)
		h.Set("X-Ms-Blob-Type", "BlockBlob")
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

// azureError is an error's document. Its message goes on with the request's id.
func azureError(code, message string) string {
	return "\ufeff<?xml version=\"1.0\" encoding=\"utf-8\"?><Error><Code>" + code + "</Code><Message>" + message + "\nRequestId:1\nTime:2</Message></Error>"
}

// refuse answers with an error.
func refuse(status int, code string, headers ...string) http.HandlerFunc {
	return say(status, azureError(code, "In words."), append(headers, "X-Ms-Error-Code", code, "Content-Type", "application/xml")...)
}

// A read is one request, for exactly the ETag that was listed.
func TestReadAsks(t *testing.T) {
	for _, c := range []struct {
		off, n int64
		want   string
	}{{0, 100, ""}, {0, 99, "bytes=0-98"}, {99, 1, "bytes=99-99"}} {
		for _, etag := range []string{`0x8D7`, `"0x8D7"`} {
			var asked []*http.Request
			st := canned(t, func(w http.ResponseWriter, r *http.Request) {
				asked = append(asked, r)
				reply(int(c.off), int(c.n), "X-Ms-Version-Id", "2026")(w, r)
			})
			it := object
			it.ETag = etag
			r, got, err := st.Read(context.Background(), it, c.off, c.n)
			if err != nil {
				t.Fatal(err)
			}
			want := object
			want.Version = "2026"
			if b, err := io.ReadAll(r); err != nil || int64(len(b)) != c.n || got != want {
				t.Errorf("Read = %d bytes of %+v, %v", len(b), got, err)
			}
			r.Close()
			if len(asked) != 1 {
				t.Fatalf("%d requests", len(asked))
			}
			q := asked[0]
			if q.Method != "GET" || q.URL.EscapedPath() != "/account/c/d%2Fx%20y" || q.URL.RawQuery != "sig=SECRET" || q.Header.Get("If-Match") != `"0x8D7"` ||
				q.Header.Get("Accept-Encoding") != "" || q.Header.Get("X-Ms-Range") != c.want || q.Header.Get("Range") != "" {
				t.Errorf("asked %s %s with %v", q.Method, q.URL, q.Header)
			}
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
		{"the condition fails", whole, refuse(412, "ConditionNotMet"), source.ErrChanged, "it was replaced"},
		{"it is gone", whole, refuse(404, "BlobNotFound"), source.ErrChanged, "it vanished"},
		{"another ETag", whole, reply(0, 100, "ETag", `"0x8D8"`), source.ErrChanged, "its ETag is another"},
		{"a range of another ETag", part, reply(0, 10, "ETag", `"0x8D8"`), source.ErrChanged, "its ETag is another"},
		{"no ETag", whole, reply(0, 100, "ETag", ""), source.ErrChanged, "does not say which ETag"},
		{"all for a range", part, reply(0, 100), source.ErrChanged, "range"},
		{"a range for all", whole, reply(0, 10), source.ErrChanged, "range"},
		{"another range", part, reply(1, 10), source.ErrChanged, "range"},
		{"a longer range", part, reply(0, 11), source.ErrChanged, "range"},
		{"another size", part, reply(0, 10, "Content-Range", "bytes 0-9/101"), source.ErrChanged, "range"},
		{"no size", part, reply(0, 10, "Content-Range", "bytes 0-9/*"), source.ErrChanged, "range"},
		{"no range behind the end", part, refuse(416, "InvalidRange"), source.ErrChanged, "shorter"},
		{"archived", whole, refuse(409, "BlobArchived"), source.ErrArchived, "409 BlobArchived: In words"},
		{"on its way back", whole, refuse(409, "BlobBeingRehydrated"), source.ErrArchived, "In words"},
		{"denied", whole, refuse(403, "AuthorizationPermissionMismatch"), source.ErrDenied, "403 AuthorizationPermissionMismatch: In words"},
		{"who is it", whole, refuse(401, "NoAuthenticationInformation"), source.ErrDenied, "401"},
		{"the public is not let in", whole, refuse(409, "PublicAccessNotPermitted"), source.ErrDenied, "In words"},
		{"the customer's key", whole, refuse(409, "BlobUsesCustomerSpecifiedEncryption"), source.ErrDenied, "In words"},
		{"a bad request", whole, say(400, "not XML\nat all"), nil, "400 Bad Request"},
		{"broken", whole, refuse(500, "InternalError"), source.ErrUnreachable, "500 InternalError"},
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
			if !errors.As(err, &e) || e.Path != object.Key || c.want != nil && !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.text) ||
				strings.Contains(err.Error(), "\n") || strings.Contains(err.Error(), "SECRET") {
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
	// An answer without a length is no object of 100 bytes.
	st := canned(t, reply(0, 100, "Content-Length", "", "Transfer-Encoding", "chunked"))
	r, got, err := st.Read(context.Background(), object, 0, 100)
	if err != nil {
		t.Fatal(err)
	}
	if r.Close(); got.Size == 100 {
		t.Errorf("an answer without a length is of %+v", got)
	}
}

// An item without an ETag is never read: nothing would pin it.
func TestReadNeedsAnETag(t *testing.T) {
	st := canned(t, reply(0, 100))
	it := object
	it.ETag = ""
	if r, _, err := st.Read(context.Background(), it, 0, 100); err == nil {
		r.Close()
		t.Error("it is read")
	}
}

// A store that is busy says so to its caller at once, with the time it asks for.
func TestBusy(t *testing.T) {
	for _, c := range []struct {
		answer http.HandlerFunc
		want   time.Duration
	}{
		{refuse(429, "TooManyRequests", "Retry-After", "3"), 3 * time.Second},
		{refuse(503, "ServerBusy"), 0},
		{refuse(503, "ServerBusy", "Retry-After", "soon"), 0},
		{refuse(500, "OperationTimedOut"), 0},
	} {
		st := canned(t, c.answer)
		_, _, err := st.Read(context.Background(), object, 0, 100)
		var busy *bucket.Busy
		if !errors.Is(err, source.ErrUnreachable) || !errors.As(err, &busy) || busy.After != c.want {
			t.Errorf("Read = %v, want ErrUnreachable with Busy after %v", err, c.want)
		}
	}
}

// A body that breaks is its caller's to go on with.
func TestBrokenBodyIsNotGoneOnWith(t *testing.T) {
	var n atomic.Int32
	st := canned(t, func(w http.ResponseWriter, r *http.Request) {
		n.Add(1)
		reply(0, 100)(short{w, 40}, r)
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

// short is an answer that ends early.
type short struct {
	http.ResponseWriter
	n int
}

func (s short) Write(p []byte) (int, error) { return s.ResponseWriter.Write(p[:min(len(p), s.n)]) }

// listing is a page of blobs, each with a size of 5 and what more says.
func listing(next string, blobs ...string) http.HandlerFunc {
	text := `<?xml version="1.0" encoding="utf-8"?><EnumerationResults ServiceEndpoint="x" ContainerName="c"><Blobs>`
	for _, b := range blobs {
		text += "<Blob>" + b + "</Blob>"
	}
	return say(200, text+"</Blobs><NextMarker>"+next+"</NextMarker></EnumerationResults>", "Content-Type", "application/xml")
}

// named is a blob of a listing.
func named(name, more string) string {
	return "<Name>" + name + "</Name><Properties><Etag>0x" + fmt.Sprintf("%X", name) + "</Etag><Content-Length>5</Content-Length>" + more + "</Properties><OrMetadata />"
}

// Pages follow one another, and what is asked for is no more than is needed.
func TestListing(t *testing.T) {
	var asked []string
	st := canned(t, func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		asked = append(asked, q.Get("marker"))
		if q.Get("restype") != "container" || q.Get("comp") != "list" || q.Get("prefix") != "p/" || q.Get("maxresults") != "5000" || q.Get("include") != "metadata" || q.Get("startFrom") != "p/b" {
			t.Errorf("asked for %s", r.URL)
		}
		switch q.Get("marker") {
		case "":
			// This server does not know startFrom.
			listing("m1", named("p/a", ""), named("p/b", ""), `<Name Encoded="true">p/b%EF%BF%BE</Name><Properties><Etag>0x1</Etag><Content-Length>5</Content-Length></Properties>`)(w, r)
		case "m1":
			listing("m2")(w, r) // an empty page that is not the last
		case "m2":
			listing("", named("p/c &amp; d", ""))(w, r)
		}
	})
	if got, want := keys(list(t, st, "p/", "p/b")), []string{"p/b", "p/b\ufffe", "p/c & d"}; !slices.Equal(got, want) || len(asked) != 3 {
		t.Errorf("listed %q with %q, want %q", got, asked, want)
	}
}

// A listing that leaves out what a blob is pinned by, or is none, is not used.
func TestBadListings(t *testing.T) {
	for _, answer := range []http.HandlerFunc{
		listing("", "<Name>a</Name><Properties><Content-Length>5</Content-Length></Properties>"),
		listing("", "<Name>a</Name><Properties><Etag>0x1</Etag></Properties>"),
		listing("", "<Properties><Etag>0x1</Etag><Content-Length>5</Content-Length></Properties>"),
		listing("", "<Name>a</Name>"),
		say(200, "<EnumerationResults></EnumerationResults>", "Content-Type", "application/xml"),
		say(200, "<html></html>", "Content-Type", "text/html"),
		say(200, "", "Content-Type", "application/xml"),
	} {
		st := canned(t, answer)
		if err := st.List(context.Background(), "", "", func([]bucket.Item) error { return nil }); err == nil {
			t.Error("it is used")
		}
	}
}

// A hierarchical namespace lists folders as if they were blobs, does not list in
// byte order, and calls it an error when a prefix leads through a file.
func TestHierarchicalNamespace(t *testing.T) {
	ctx := context.Background()
	st := tree(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Has("startFrom") {
			t.Error("asked to start in the middle of an order that is not that of the keys")
		}
		listing("", named("d", "<ResourceType>directory</ResourceType>"), named("d/x", "<ResourceType>file</ResourceType>"), named("d-x", "<ResourceType>file</ResourceType>"))(w, r)
	})
	if got := keys(list(t, st, "", "")); !slices.Equal(got, []string{"d/x", "d-x"}) {
		t.Errorf("listed %q", got)
	}
	if got := keys(list(t, st, "", "d/")); !slices.Equal(got, []string{"d/x"}) {
		t.Errorf("from d/: listed %q", got)
	}
	src, err := bucket.Open(ctx, st, "", bucket.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var paths []string
	if err := src.List(ctx, nil, func(o source.Object) error { paths = append(paths, o.Path); return nil }); err != nil || !slices.Equal(paths, []string{"d-x", "d/x"}) {
		t.Errorf("listed %q, %v", paths, err)
	}

	heads := func(list http.HandlerFunc) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			switch {
			case r.Method != "HEAD":
				list(w, r)
			case r.URL.Path == "/account/c/d/file":
				reply(0, 100)(w, r)
			case r.URL.Path == "/account/c/d":
				reply(0, 100, "Content-Length", "0", "X-Ms-Meta-Hdi_isfolder", "true", "X-Ms-Resource-Type", "directory")(w, r)
			default:
				refuse(404, "BlobNotFound")(w, r)
			}
		}
	}
	for _, code := range []http.HandlerFunc{refuse(400, "InvalidUri"), refuse(409, "PathConflict"), refuse(404, "PathNotFound")} {
		st := tree(t, heads(code))
		if got := list(t, st, "d/file/", ""); len(got) != 0 {
			t.Errorf("listed %v under a file", got)
		}
	}
	for prefix, answer := range map[string]http.HandlerFunc{
		"d/":       refuse(400, "InvalidUri"),           // d is a folder: something else is wrong
		"d/other/": refuse(409, "PathConflict"),         //
		"d/file/":  refuse(404, "ContainerNotFound"),    //
		"d/file":   refuse(403, "AuthorizationFailure"), //
	} {
		st := tree(t, heads(answer))
		if err := st.List(ctx, prefix, "", nil); err == nil {
			t.Errorf("an error under %s is taken for nothing", prefix)
		}
	}
	// In a flat namespace it is always an error.
	if err := canned(t, heads(refuse(400, "InvalidUri"))).List(ctx, "d/file/", "", nil); err == nil {
		t.Error("an error of a flat namespace is taken for nothing")
	}
}

// What may pass is tried again in a listing and a lookup, a bounded number of
// times.
func TestRetries(t *testing.T) {
	for _, c := range []struct {
		name  string
		fails http.HandlerFunc
	}{
		{"503", refuse(503, "ServerBusy")},
		{"429", refuse(429, "TooManyRequests")},
		{"500", refuse(500, "InternalError")},
		{"cut", say(200, "<EnumerationResults>", "Content-Length", "1000", "Content-Type", "application/xml")},
		{"reset", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			var n atomic.Int32
			st := canned(t, func(w http.ResponseWriter, r *http.Request) {
				if n.Add(1) < 3 {
					c.fails(w, r)
					return
				}
				listing("", named("a", ""))(w, r)
			})
			if got := list(t, st, "", ""); len(got) != 1 || got[0] != (bucket.Item{Key: "a", Size: 5, ETag: "0x61"}) {
				t.Errorf("listed %+v", got)
			}
			for what, ask := range map[string]func() error{
				"List": func() error { return st.List(context.Background(), "p", "", nil) },
				"Head": func() error { _, err := st.Head(context.Background(), "k"); return err },
				"Put":  func() error { return st.Put(context.Background(), "k", strings.NewReader("x"), 1) },
			} {
				if c.name == "cut" && what != "List" {
					continue // 200 without what they need is another matter
				}
				n.Store(-1000)
				if err := ask(); !errors.Is(err, source.ErrUnreachable) {
					t.Errorf("%s = %v, want ErrUnreachable", what, err)
				}
				// A connection that breaks before it answers anything is tried
				// again by net/http besides.
				if got := n.Load() + 1000; got != azure.MaxAttempts && (c.name != "reset" || got > 2*azure.MaxAttempts) {
					t.Errorf("%s was tried %d times, want %d", what, got, azure.MaxAttempts)
				}
			}
		})
	}
}

// What will not pass is not tried again.
func TestRefusals(t *testing.T) {
	for _, c := range []struct {
		answer http.HandlerFunc
		want   error
	}{
		{refuse(403, "AuthenticationFailed"), source.ErrDenied},
		{refuse(401, "InvalidAuthenticationInfo"), source.ErrDenied},
		{refuse(404, "ContainerNotFound"), fs.ErrNotExist},
		{refuse(409, "ContainerBeingDeleted"), fs.ErrNotExist},
	} {
		var n atomic.Int32
		st := canned(t, func(w http.ResponseWriter, r *http.Request) {
			n.Add(1)
			c.answer(w, r)
		})
		ctx := context.Background()
		_, head := st.Head(ctx, "k")
		for _, err := range []error{st.List(ctx, "p", "", nil), head, st.Put(ctx, "k", strings.NewReader("x"), 1)} {
			if !errors.Is(err, c.want) || !strings.Contains(err.Error(), "the store answers 4") || strings.Contains(err.Error(), "SECRET") {
				t.Errorf("%v, want %v", err, c.want)
			}
		}
		if n.Load() != 3 {
			t.Errorf("%d requests, want 3", n.Load())
		}
	}
	// What the service says to the nameless of what they may not see.
	st := canned(t, refuse(404, "ResourceNotFound"))
	azure.Lacking(st)
	if err := st.List(context.Background(), "", "", nil); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "no credentials were found") {
		t.Errorf("%v, want one that says that there were no credentials", err)
	}
}

// Nobody answers: an error within bounded attempts, and the end of ctx at once.
func TestUnreachable(t *testing.T) {
	silent := httptest.NewServer(nil)
	silent.Close()
	storetest.ClearEnv(t)
	t.Setenv("AZURE_STORAGE_ENDPOINT", silent.URL)
	t.Setenv("AZURE_STORAGE_SAS_TOKEN", "sig=SECRET")
	azure.Hurry(t)
	ctx := context.Background()
	for range 2 {
		if _, err := azure.Open(ctx, "c", azure.Options{}); !errors.Is(err, source.ErrUnreachable) || strings.Contains(err.Error(), "SECRET") {
			t.Errorf("Open = %v, want ErrUnreachable", err)
		}
	}
	st := canned(t, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	_, head := st.Head(ctx, "k")
	_, _, read := st.Read(ctx, object, 0, 100)
	for _, err := range []error{st.List(ctx, "", "", nil), head, read, st.Put(ctx, "k", strings.NewReader("x"), 1)} {
		if !errors.Is(err, source.ErrUnreachable) || strings.Contains(err.Error(), "SECRET") {
			t.Errorf("%v, want ErrUnreachable without the signature", err)
		}
	}
	why := errors.New("the user went away")
	ctx, stop := context.WithCancelCause(ctx)
	stop(why)
	_, head = st.Head(ctx, "k")
	_, _, read = st.Read(ctx, object, 0, 100)
	_, open := azure.Open(ctx, "c", azure.Options{})
	for _, err := range []error{st.List(ctx, "", "", nil), head, read, st.Put(ctx, "k", strings.NewReader("x"), 1), open} {
		if err != why {
			t.Errorf("%v, want the cause", err)
		}
	}
}

// A service principal's token travels to the store, and one that is refused is
// never passed over: what would be asked then is another question.
func TestServicePrincipal(t *testing.T) {
	for _, refused := range []bool{false, true} {
		var sent atomic.Value
		var host string
		cloud := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch {
			case strings.HasSuffix(r.URL.Path, "/discovery/instance"):
				fmt.Fprintf(w, `{"tenant_discovery_endpoint":"https://%[1]s/t/v2.0/.well-known/openid-configuration","metadata":[{"preferred_network":%[1]q,"preferred_cache":%[1]q,"aliases":[%[1]q]}]}`, host)
			case strings.HasSuffix(r.URL.Path, "/openid-configuration"):
				fmt.Fprintf(w, `{"authorization_endpoint":"https://%[1]s/t/authorize","token_endpoint":"https://%[1]s/t/token","issuer":"https://%[1]s/t"}`, host)
			case strings.HasSuffix(r.URL.Path, "/token") && refused:
				say(401, `{"error":"invalid_client","error_description":"AADSTS7000215: Invalid client secret provided."}`, "Content-Type", "application/json")(w, r)
			case strings.HasSuffix(r.URL.Path, "/token"):
				say(200, `{"access_token":"TOKEN","token_type":"Bearer","expires_in":3600}`, "Content-Type", "application/json")(w, r)
			case r.URL.Query().Get("comp") == "list":
				sent.Store(r.Header.Get("Authorization"))
				listing("", named("a", ""))(w, r)
			default:
				refuse(403, "AuthorizationPermissionMismatch")(w, r)
			}
		}))
		defer cloud.Close()
		host = cloud.Listener.Addr().String()
		storetest.ClearEnv(t)
		azure.Hurry(t)
		for name, value := range map[string]string{
			"AZURE_AUTHORITY_HOST": cloud.URL, "AZURE_TENANT_ID": "t", "AZURE_CLIENT_ID": "i", "AZURE_CLIENT_SECRET": "s",
			"AZURE_TOKEN_CREDENTIALS": "EnvironmentCredential", "AZURE_STORAGE_ACCOUNT": "account",
		} {
			t.Setenv(name, value)
		}
		over := cloud.Client().Transport.(*http.Transport).Clone()
		over.TLSClientConfig.InsecureSkipVerify = true // whatever name it goes by
		over.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, host)
		}
		st, err := azure.OpenOver("c", false, over)
		if refused {
			if !errors.Is(err, source.ErrDenied) || strings.Contains(err.Error(), "\n") {
				t.Errorf("Open = %v, want ErrDenied", err)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		defer st.Close()
		if got := keys(list(t, st, "", "")); !slices.Equal(got, []string{"a"}) || sent.Load() != "Bearer TOKEN" {
			t.Errorf("listed %q with %q", got, sent.Load())
		}
	}
}
