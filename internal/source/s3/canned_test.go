package s3_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stele-ml/stele/internal/source/bucket"
	"github.com/stele-ml/stele/internal/source/bucket/buckettest"
	"github.com/stele-ml/stele/internal/source/storetest"
)

// byHand is a store whose answers to reads are written by hand: what every store
// is held to. What S3 says of its own is in the other tests, through a proxy.
var byHand = buckettest.Canned{
	Open: func(t *testing.T, answer http.HandlerFunc) bucket.Store {
		t.Helper()
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodHead { // for the bucket's region
				return
			}
			answer(w, r)
		}))
		t.Cleanup(server.Close)
		storetest.ClearEnv(t)
		t.Setenv("AWS_ENDPOINT_URL", server.URL)
		t.Setenv("AWS_ACCESS_KEY_ID", "x")
		t.Setenv("AWS_SECRET_ACCESS_KEY", "SECRET")
		st, err := kind.Open(context.Background(), "b")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { st.Close() })
		return st
	},
	Object: bucket.Item{Key: "d/x y", Size: buckettest.Size, ETag: `"8D7"`},
	Right:  []string{"ETag", `"8D7"`},
	Range:  "the store answered with",
	Secret: "SECRET",
}

// A read is one request, for exactly the ETag that was listed.
func TestReadAsks(t *testing.T) {
	want := byHand.Object
	want.Version = "v7"
	byHand.Asks(t, byHand.Object, want, []string{"X-Amz-Version-Id", "v7"}, func(r *http.Request, ranged string) bool {
		return r.URL.EscapedPath() == "/b/d/x%20y" && r.URL.RawQuery == "x-id=GetObject" && r.Header.Get("If-Match") == `"8D7"` && r.Header.Get("Range") == ranged
	})
}

// Whatever another answer is, nothing of it is used.
func TestAnswers(t *testing.T) { byHand.Answers(t, nil) }

// A store that is busy says so to its caller at once, with the time it asks for.
func TestBusy(t *testing.T) {
	byHand.Busy(t, func(status int, headers ...string) http.HandlerFunc {
		return buckettest.Say(status, "<Error><Code>SlowDown</Code><Message>Slower.</Message></Error>", headers...)
	}, buckettest.Say(503, ""))
}

// A body that breaks is its caller's to go on with.
func TestBrokenBodyIsNotGoneOnWith(t *testing.T) { byHand.Broken(t) }
