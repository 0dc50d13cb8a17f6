package s3_test

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stele-ml/stele/internal/source"
	"github.com/stele-ml/stele/internal/source/s3"
	"github.com/stele-ml/stele/internal/source/sourcetest"
	"github.com/stele-ml/stele/internal/source/storetest"
)

// public is a bucket that anybody may read, behind a proxy: without signatures
// the proxy can change a request.
func public(t *testing.T, keys ...string) (*storetest.FaultProxy, string) {
	t.Helper()
	p := storetest.S3(t).Proxy(t)
	p.Setenv(t)
	t.Setenv("AWS_ACCESS_KEY_ID", "")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "")
	b := p.NewBucket(t, false)
	p.Publish(t, b)
	for _, k := range keys {
		p.Put(t, b, k, []byte("at "+k))
	}
	return p, b
}

// TestAttackIgnoreIfMatch: a store that does not know If-Match gives an object
// that was replaced by one of the same size.
func TestAttackIgnoreIfMatch(t *testing.T) {
	p, b := public(t)
	data := bytes.Repeat([]byte("old!"), 5000)
	p.Put(t, b, "k", data)
	src := open(t, b, "")
	o := sourcetest.List(t, src, nil)[0]
	asked := 0
	p.On(storetest.Rule{Match: storetest.Reading, Do: func(x *storetest.Exchange) {
		if x.Header.Get("If-Match") != "" {
			asked++
		}
		x.Header.Del("If-Match")
		storetest.Pass(x)
	}})
	got, err := src.Fetch(context.Background(), o, nil)
	if err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, len(data))
	if err := got.Reader.Range(context.Background(), 0, 10_000, buf, func([]byte) {}); err != nil {
		t.Fatal(err)
	}
	p.Put(t, b, "k", bytes.Repeat([]byte("new!"), 5000))
	err = got.Reader.Range(context.Background(), 10_000, 10_000, buf, func([]byte) { t.Error("bytes of another object") })
	wantError(t, err, source.ErrChanged, "k: changed while it was read", "its ETag is another")
	wantError(t, got.Reader.Unchanged(context.Background()), source.ErrChanged)
	_, err = src.Fetch(context.Background(), o, buf)
	wantError(t, err, source.ErrChanged, "its ETag is another")
	if asked != 3 {
		t.Errorf("If-Match was asked for %d times of 3", asked)
	}
}

// TestAttackReplaceBetweenRanges: a store that does know it.
func TestAttackReplaceBetweenRanges(t *testing.T) {
	s := server(t)
	for _, versioned := range []bool{false, true} {
		b := s.NewBucket(t, versioned)
		s.Put(t, b, "k", bytes.Repeat([]byte("old!"), 5000))
		src := open(t, b, "")
		got, err := src.Fetch(context.Background(), sourcetest.List(t, src, nil)[0], nil)
		if err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, 10_000)
		if err := got.Reader.Range(context.Background(), 0, 10_000, buf, func([]byte) {}); err != nil {
			t.Fatal(err)
		}
		s.Put(t, b, "k", bytes.Repeat([]byte("new!"), 5000))
		err = got.Reader.Range(context.Background(), 10_000, 10_000, buf, func([]byte) { t.Error("bytes of another object") })
		wantError(t, err, source.ErrChanged, "k: changed while it was read: it was replaced")
		wantError(t, got.Reader.Unchanged(context.Background()), source.ErrChanged)
	}
}

// TestAttackWrongRange: an answer with another range than was asked for, or all
// of the object, is not used.
func TestAttackWrongRange(t *testing.T) {
	p, b := public(t)
	data := make([]byte, 1000)
	for i := range data {
		data[i] = byte(i)
	}
	p.Put(t, b, "k", data)
	src := open(t, b, "")
	got, err := src.Fetch(context.Background(), sourcetest.List(t, src, nil)[0], nil)
	if err != nil {
		t.Fatal(err)
	}
	read := func(off uint64) error {
		return got.Reader.Range(context.Background(), off, 100, make([]byte, 100), func([]byte) { t.Error("bytes of a wrong answer") })
	}
	header := func(name, value string) storetest.Fault {
		return storetest.Edit(func(_ *storetest.Exchange, h http.Header, body []byte) []byte { h.Set(name, value); return body })
	}
	other := func(to string) storetest.Fault {
		return func(x *storetest.Exchange) { x.Header.Set("Range", to); storetest.Pass(x) }
	}
	for _, c := range []struct {
		name  string
		do    storetest.Fault
		words string
	}{
		{"the whole object", storetest.Unranged(data), "the whole object instead of a range"},
		{"an earlier range", other("bytes=0-99"), "bytes 0-99/1000, not with bytes 100-199/1000"},
		{"a longer range", other("bytes=100-299"), "bytes 100-299/1000, not with"},
		{"a shorter range", other("bytes=100-198"), "bytes 100-198/1000, not with"},
		{"another total", header("Content-Range", "bytes 100-199/1001"), "bytes 100-199/1001, not with"},
		{"no total", header("Content-Range", "bytes 100-199/*"), "not with"},
		{"another ETag", header("Etag", `"0123"`), "its ETag is another"},
		{"no ETag", header("Etag", ""), "does not say which version"},
		{"more bytes", storetest.Edit(func(_ *storetest.Exchange, _ http.Header, body []byte) []byte { return append(body, 0) }), "101 bytes instead of 100"},
		{"fewer bytes", storetest.Edit(func(_ *storetest.Exchange, _ http.Header, body []byte) []byte { return body[1:] }), "99 bytes instead of 100"},
		{"no length", storetest.Unframed(100), "does not say how long"},
	} {
		p.Clear()
		met := p.On(storetest.Rule{Match: storetest.Reading, Do: c.do})
		if err := read(100); !errors.Is(err, source.ErrChanged) || !strings.Contains(err.Error(), c.words) || met.Times() != 1 {
			t.Errorf("%s: %v after %d requests, want ErrChanged: %s", c.name, err, met.Times(), c.words)
		}
	}
}

// TestKeysThatAreNoPaths: what versitygw cannot hold, in its listing.
func TestKeysThatAreNoPaths(t *testing.T) {
	p, b := public(t, "a", "b", "z")
	for _, c := range []struct{ key, path, words string }{
		{"a//b", "a//b", "empty segment"},
		{"a/../b", "a/../b", "segment .."},
		{"b/", "b/", "empty segment"}, // with bytes
	} {
		p.Clear()
		p.On(storetest.Rule{Match: storetest.Listing, Do: relist("<Key>b</Key>", "<Key>"+c.key+"</Key>")})
		src := open(t, b, "")
		n := 0
		err := src.List(context.Background(), nil, func(source.Object) error { n++; return nil })
		wantError(t, err, source.ErrName, c.path, c.words)
		if n != 1 {
			t.Errorf("%q: %d objects before the error", c.key, n)
		}
		if got := sourcetest.Paths(t, src, func(p string, _ bool) bool { return p == c.path }); !slices.Equal(got, []string{"a", "z"}) {
			t.Errorf("%q left out: %q", c.key, got)
		}
	}
	// Folder markers are no files; versitygw has them.
	p.Clear()
	p.Put(t, b, "d/", nil)
	p.Put(t, b, "e/", nil)
	p.Put(t, b, "e/f", []byte("x"))
	if got := sourcetest.Paths(t, open(t, b, ""), nil); !slices.Equal(got, []string{"a", "b", "e/f", "z"}) {
		t.Errorf("with markers: %q", got)
	}
	if got := sourcetest.Paths(t, open(t, b, "d"), nil); len(got) != 0 {
		t.Errorf("an empty folder: %q", got)
	}
}

// relist replaces a part of a listing.
func relist(old, with string) storetest.Fault {
	return storetest.Edit(func(_ *storetest.Exchange, _ http.Header, body []byte) []byte {
		return bytes.Replace(body, []byte(old), []byte(with), 1)
	})
}

// TestListingOfAnotherKind: a store's listing that is none, is in another order,
// or holds an object twice.
func TestListingOfAnotherKind(t *testing.T) {
	p, b := public(t, "a", "b")
	listing := func() (paths []string, err error) {
		src, err := tryOpen(b, "", s3.Options{})
		if err != nil {
			return nil, err
		}
		defer src.Close()
		err = src.List(context.Background(), nil, func(o source.Object) error { paths = append(paths, o.Path); return nil })
		return paths, err
	}
	p.On(storetest.Rule{Match: storetest.Listing, Do: relist("<Key>a</Key>", "<Key>c</Key>")})
	_, err := listing()
	wantError(t, err, source.ErrOrder, "s3://"+b+"/b", "it comes after c")
	p.Clear()
	p.On(storetest.Rule{Match: storetest.Listing, Do: relist("<Key>a</Key>", "<Key>b</Key>")})
	_, err = listing()
	wantError(t, err, source.ErrOrder, "s3://"+b+"/b", "listed twice")
	for name, body := range map[string]string{
		"nothing":          "",
		"another document": "<html><body>Welcome</body></html>",
		"no end":           "<ListBucketResult></ListBucketResult>",
		"goes on nowhere":  "<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>",
		"no size":          "<ListBucketResult><IsTruncated>false</IsTruncated><Contents><Key>a</Key></Contents></ListBucketResult>",
		"no decoding":      "<ListBucketResult><IsTruncated>false</IsTruncated><EncodingType>url</EncodingType><Contents><Key>%zz</Key><Size>1</Size></Contents></ListBucketResult>",
	} {
		p.Clear()
		p.On(storetest.Rule{Match: storetest.Listing, Do: func(x *storetest.Exchange) {
			x.Answer(x.Say(200, http.Header{"Content-Type": {"application/xml"}}, []byte(body)))
		}})
		var e *source.Error
		if got, err := listing(); !errors.As(err, &e) || len(got) != 0 {
			t.Errorf("%s: %q, %v, want an error", name, got, err)
		}
	}
}

// TestEncodedKeys: a store that knows encoding-type=url.
func TestEncodedKeys(t *testing.T) {
	keys := []string{"a b", "a%20b", "a+b", "control\x01", "line\r\nend", "ü"}
	p, b := public(t)
	element := regexp.MustCompile("<EncodingType>[^<]*</EncodingType>")
	p.On(storetest.Rule{Match: storetest.Listing, Do: storetest.Edit(func(x *storetest.Exchange, _ http.Header, body []byte) []byte {
		if x.Query.Get("encoding-type") != "url" {
			t.Error("keys are not asked for in percent-encoding")
		}
		list := "<EncodingType>url</EncodingType>"
		for _, k := range keys {
			list += "<Contents><ETag>\"e\"</ETag><Size>0</Size><Key>" + url.QueryEscape(k) + "</Key></Contents>"
		}
		return element.ReplaceAll(body, []byte(list))
	})})
	if got := sourcetest.Paths(t, open(t, b, ""), nil); !slices.Equal(got, keys) {
		t.Errorf("%q, want %q", got, keys)
	}
}

// TestDirectoryBucket: S3 Express lists in no order.
func TestDirectoryBucket(t *testing.T) {
	server(t)
	for name, ordered := range map[string]bool{"b": true, "b--use1-az4--x-s3": false} {
		t.Setenv("AWS_S3_DISABLE_EXPRESS_SESSION_AUTH", "true")
		st, err := s3.Open(context.Background(), name, s3.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if st.Ordered() != ordered {
			t.Errorf("%s is ordered: %v", name, st.Ordered())
		}
		st.Close()
	}
}

// TestBusyAtFirst: what goes on after a store was busy is right.
func TestBusyAtFirst(t *testing.T) {
	p, b := public(t, "a", "b", "c")
	for _, match := range []func(*storetest.Exchange) bool{storetest.Listing, storetest.Reading} {
		for _, status := range []int{429, 500, 503} {
			p.Clear()
			met := p.On(storetest.Rule{Match: match, Times: 1, Do: storetest.Refuse(status, -1)})
			if got := contents(t, open(t, b, "")); len(got) != 3 || got["b"] != "at b" || met.Times() != 1 {
				t.Errorf("%d: %q, met %d", status, got, met.Times())
			}
		}
	}
}
