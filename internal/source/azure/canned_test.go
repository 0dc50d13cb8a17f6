package azure_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stele-ml/stele/internal/source"
	"github.com/stele-ml/stele/internal/source/azure"
	"github.com/stele-ml/stele/internal/source/bucket"
	"github.com/stele-ml/stele/internal/source/bucket/buckettest"
	"github.com/stele-ml/stele/internal/source/storetest"
)

// These answers are written by hand: what Azurite does not do (a hierarchical
// namespace, being busy, Microsoft Entra's tokens) and what no server should.

// canned is a store whose every request but that for the account's kind is
// answered by answer.
func canned(t *testing.T, answer http.HandlerFunc) bucket.Store {
	t.Helper()
	return accountOf(t, buckettest.Say(403, azureError("AuthorizationFailure", "No."), "X-Ms-Error-Code", "AuthorizationFailure"), answer)
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
	st, err := open(context.Background(), "c")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	return st
}

// tree is an account with a hierarchical namespace.
func tree(t *testing.T, answer http.HandlerFunc) bucket.Store {
	t.Helper()
	st := accountOf(t, buckettest.Say(200, "", "X-Ms-Is-Hns-Enabled", "true"), answer)
	if st.Ordered() {
		t.Fatal("a hierarchical namespace is said to list in byte order")
	}
	return st
}

// byHand is a store of such answers.
var byHand = buckettest.Canned{
	Open:   canned,
	Object: bucket.Item{Key: "d/x y", Size: buckettest.Size, ETag: "0x8D7"},
	Right:  []string{"ETag", `"0x8D7"`, "X-Ms-Blob-Type", "BlockBlob"},
	Range:  "range",
	Secret: "SECRET",
}

// azureError is an error's document. Its message goes on with the request's id.
func azureError(code, message string) string {
	return "\ufeff<?xml version=\"1.0\" encoding=\"utf-8\"?><Error><Code>" + code + "</Code><Message>" + message + "\nRequestId:1\nTime:2</Message></Error>"
}

// refuse answers with an error.
func refuse(status int, code string, headers ...string) http.HandlerFunc {
	return buckettest.Say(status, azureError(code, "In words."), append(headers, "X-Ms-Error-Code", code, "Content-Type", "application/xml")...)
}

// A read is one request, for exactly the ETag that was listed.
func TestReadAsks(t *testing.T) {
	for _, etag := range []string{`0x8D7`, `"0x8D7"`} {
		it, want := byHand.Object, byHand.Object
		it.ETag, want.Version = etag, "2026"
		byHand.Asks(t, it, want, []string{"X-Ms-Version-Id", "2026"}, func(r *http.Request, ranged string) bool {
			return r.URL.EscapedPath() == "/account/c/d%2Fx%20y" && r.URL.RawQuery == "sig=SECRET" && r.Header.Get("If-Match") == `"0x8D7"` &&
				r.Header.Get("Accept-Encoding") == "" && r.Header.Get("X-Ms-Range") == ranged && r.Header.Get("Range") == ""
		})
	}
}

// Whatever another answer is, nothing of it is used.
func TestAnswers(t *testing.T) {
	const whole, part = buckettest.Size, 10
	byHand.Answers(t, []buckettest.Answer{
		{Name: "the condition fails", N: whole, Say: refuse(412, "ConditionNotMet"), Want: source.ErrChanged, Text: "it was replaced"},
		{Name: "it is gone", N: whole, Say: refuse(404, "BlobNotFound"), Want: source.ErrChanged, Text: "it vanished"},
		{Name: "another ETag", N: whole, Say: byHand.Reply(0, 100, "ETag", `"0x8D8"`), Want: source.ErrChanged, Text: "its ETag is another"},
		{Name: "a range of another ETag", N: part, Say: byHand.Reply(0, 10, "ETag", `"0x8D8"`), Want: source.ErrChanged, Text: "its ETag is another"},
		{Name: "no ETag", N: whole, Say: byHand.Reply(0, 100, "ETag", ""), Want: source.ErrChanged, Text: "does not say which ETag"},
		{Name: "no size", N: part, Say: byHand.Reply(0, 10, "Content-Range", "bytes 0-9/*"), Want: source.ErrChanged, Text: "range"},
		{Name: "no range behind the end", N: part, Say: refuse(416, "InvalidRange"), Want: source.ErrChanged, Text: "shorter"},
		{Name: "archived", N: whole, Say: refuse(409, "BlobArchived"), Want: source.ErrArchived, Text: "409 BlobArchived: In words"},
		{Name: "on its way back", N: whole, Say: refuse(409, "BlobBeingRehydrated"), Want: source.ErrArchived, Text: "In words"},
		{Name: "denied", N: whole, Say: refuse(403, "AuthorizationPermissionMismatch"), Want: source.ErrDenied, Text: "403 AuthorizationPermissionMismatch: In words"},
		{Name: "who is it", N: whole, Say: refuse(401, "NoAuthenticationInformation"), Want: source.ErrDenied, Text: "401"},
		{Name: "the public is not let in", N: whole, Say: refuse(409, "PublicAccessNotPermitted"), Want: source.ErrDenied, Text: "In words"},
		{Name: "the customer's key", N: whole, Say: refuse(409, "BlobUsesCustomerSpecifiedEncryption"), Want: source.ErrDenied, Text: "In words"},
		{Name: "broken", N: whole, Say: refuse(500, "InternalError"), Want: source.ErrUnreachable, Text: "500 InternalError"},
	})
	// An answer without a length is no object of 100 bytes.
	st := canned(t, byHand.Reply(0, 100, "Content-Length", "", "Transfer-Encoding", "chunked"))
	r, got, err := st.Read(context.Background(), byHand.Object, 0, 100)
	if err != nil {
		t.Fatal(err)
	}
	if r.Close(); got.Size == 100 {
		t.Errorf("an answer without a length is of %+v", got)
	}
}

// An item without an ETag is never read: nothing would pin it.
func TestReadNeedsAnETag(t *testing.T) {
	it := byHand.Object
	it.ETag = ""
	byHand.Unpinned(t, it)
}

// A store that is busy says so to its caller at once, with the time it asks for.
func TestBusy(t *testing.T) {
	byHand.Busy(t, func(status int, headers ...string) http.HandlerFunc {
		return refuse(status, "ServerBusy", headers...)
	}, refuse(500, "OperationTimedOut"))
}

// A body that breaks is its caller's to go on with.
func TestBrokenBodyIsNotGoneOnWith(t *testing.T) { byHand.Broken(t) }

// listing is a page of blobs, each with a size of 5 and what more says.
func listing(next string, blobs ...string) http.HandlerFunc {
	text := `<?xml version="1.0" encoding="utf-8"?><EnumerationResults ServiceEndpoint="x" ContainerName="c"><Blobs>`
	for _, b := range blobs {
		text += "<Blob>" + b + "</Blob>"
	}
	return buckettest.Say(200, text+"</Blobs><NextMarker>"+next+"</NextMarker></EnumerationResults>", "Content-Type", "application/xml")
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
	if got, want := buckettest.Keys(buckettest.List(t, st, "p/", "p/b")), []string{"p/b", "p/b\ufffe", "p/c & d"}; !slices.Equal(got, want) || len(asked) != 3 {
		t.Errorf("listed %q with %q, want %q", got, asked, want)
	}
}

// A listing that leaves out what a blob is pinned by, or is none, is not used.
func TestBadListings(t *testing.T) {
	byHand.Unusable(t,
		listing("", "<Name>a</Name><Properties><Content-Length>5</Content-Length></Properties>"),
		listing("", "<Name>a</Name><Properties><Etag>0x1</Etag></Properties>"),
		listing("", "<Properties><Etag>0x1</Etag><Content-Length>5</Content-Length></Properties>"),
		listing("", "<Name>a</Name>"),
		buckettest.Say(200, "<EnumerationResults></EnumerationResults>", "Content-Type", "application/xml"),
		buckettest.Say(200, "<html></html>", "Content-Type", "text/html"),
		buckettest.Say(200, "", "Content-Type", "application/xml"),
	)
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
	if got := buckettest.Keys(buckettest.List(t, st, "", "")); !slices.Equal(got, []string{"d/x", "d-x"}) {
		t.Errorf("listed %q", got)
	}
	if got := buckettest.Keys(buckettest.List(t, st, "", "d/")); !slices.Equal(got, []string{"d/x"}) {
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
				byHand.Reply(0, 100)(w, r)
			case r.URL.Path == "/account/c/d":
				byHand.Reply(0, 100, "Content-Length", "0", "X-Ms-Meta-Hdi_isfolder", "true", "X-Ms-Resource-Type", "directory")(w, r)
			default:
				refuse(404, "BlobNotFound")(w, r)
			}
		}
	}
	for _, code := range []http.HandlerFunc{refuse(400, "InvalidUri"), refuse(409, "PathConflict"), refuse(404, "PathNotFound")} {
		st := tree(t, heads(code))
		if got := buckettest.List(t, st, "d/file/", ""); len(got) != 0 {
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
	byHand.Retries(t, azure.MaxAttempts, listing("", named("a", "")), bucket.Item{Key: "a", Size: 5, ETag: "0x61"}, []buckettest.Failure{
		{Name: "503", Say: refuse(503, "ServerBusy")},
		{Name: "429", Say: refuse(429, "TooManyRequests")},
		{Name: "500", Say: refuse(500, "InternalError")},
		// For a lookup or a write, 200 is all that they need.
		{Name: "cut", Say: buckettest.Say(200, "<EnumerationResults>", "Content-Length", "1000", "Content-Type", "application/xml"), Only: "List"},
	})
}

// What will not pass is not tried again.
func TestRefusals(t *testing.T) {
	byHand.Refusals(t, []buckettest.Refusal{
		{Say: refuse(403, "AuthenticationFailed"), Want: source.ErrDenied},
		{Say: refuse(401, "InvalidAuthenticationInfo"), Want: source.ErrDenied},
		{Say: refuse(404, "ContainerNotFound"), Want: fs.ErrNotExist},
		{Say: refuse(409, "ContainerBeingDeleted"), Want: fs.ErrNotExist},
	})
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
		if _, err := open(ctx, "c"); !errors.Is(err, source.ErrUnreachable) || strings.Contains(err.Error(), "SECRET") {
			t.Errorf("Open = %v, want ErrUnreachable", err)
		}
	}
	byHand.Unreachable(t, canned(t, buckettest.Abort), "SECRET")
	why := errors.New("the user went away")
	ctx, stop := context.WithCancelCause(ctx)
	stop(why)
	if _, err := open(ctx, "c"); err != why {
		t.Errorf("Open = %v, want the cause", err)
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
				buckettest.Say(401, `{"error":"invalid_client","error_description":"AADSTS7000215: Invalid client secret provided."}`, "Content-Type", "application/json")(w, r)
			case strings.HasSuffix(r.URL.Path, "/token"):
				buckettest.Say(200, `{"access_token":"TOKEN","token_type":"Bearer","expires_in":3600}`, "Content-Type", "application/json")(w, r)
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
		if got := buckettest.Keys(buckettest.List(t, st, "", "")); !slices.Equal(got, []string{"a"}) || sent.Load() != "Bearer TOKEN" {
			t.Errorf("listed %q with %q", got, sent.Load())
		}
	}
}
