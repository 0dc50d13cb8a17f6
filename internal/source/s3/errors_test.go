package s3_test

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stele-ml/stele/internal/source"
	"github.com/stele-ml/stele/internal/source/bucket"
	"github.com/stele-ml/stele/internal/source/s3"
	"github.com/stele-ml/stele/internal/source/sourcetest"
	"github.com/stele-ml/stele/internal/source/storetest"
)

// wantError holds an error to its class, the words in it, and a hint where the
// class has one.
func wantError(t *testing.T, err, class error, words ...string) {
	t.Helper()
	var e *source.Error
	if !errors.As(err, &e) || !errors.Is(err, class) {
		t.Errorf("%v (%T), want a source.Error that is: %v", err, err, class)
		return
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("%v, want it to say %q", err, w)
		}
	}
	if e.Class != nil && e.Hint() == "" {
		t.Errorf("%v: no hint", err)
	}
}

func TestRefusals(t *testing.T) {
	s := server(t)
	b := s.NewBucket(t, false)
	s.Put(t, b, "d/k", []byte("x"))
	try := func(key string, o s3.Options) error {
		t.Helper()
		src, err := tryOpen(b, key, o)
		if err == nil {
			src.Close()
			t.Errorf("%q was opened", key)
		}
		return err
	}
	for _, c := range []struct {
		name  string
		env   map[string]string
		o     s3.Options
		words string
	}{
		{"UnknownKey", map[string]string{"AWS_ACCESS_KEY_ID": "nobody"}, s3.Options{}, "does not know this access key"},
		{"WrongSecret", map[string]string{"AWS_SECRET_ACCESS_KEY": "wrong"}, s3.Options{}, "the secret key does not belong to the access key"},
		{"NoCredentials", map[string]string{"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}, s3.Options{}, "no credentials were found"},
		{"Anonymous", nil, s3.Options{Anonymous: true}, "carried no credentials, as asked for"},
	} {
		t.Run(c.name, func(t *testing.T) {
			for k, v := range c.env {
				t.Setenv(k, v)
			}
			for _, key := range []string{"", "d", "d/", "d/k"} {
				wantError(t, try(key, c.o), source.ErrDenied, "s3://"+b+"/"+key, "permission denied", c.words)
			}
		})
	}
	wantError(t, try("no/such", s3.Options{}), fs.ErrNotExist, "s3://"+b+"/no/such", "no such object")
	wantError(t, try("d/k/", s3.Options{}), fs.ErrNotExist, "s3://"+b+"/d/k/", "nothing lies under it")
	for _, key := range []string{"", "d", "d/k/"} {
		_, err := tryOpen("no-such-bucket", key, s3.Options{})
		wantError(t, err, fs.ErrNotExist, "s3://no-such-bucket/"+key, "there is no bucket no-such-bucket")
	}
}

func TestConfigurationThatCannotBeUsed(t *testing.T) {
	s := server(t)
	b := s.NewBucket(t, false)
	t.Run("NoSuchProfile", func(t *testing.T) {
		t.Setenv("AWS_PROFILE", "nobody")
		_, err := s3.Open(context.Background(), b, s3.Options{})
		wantError(t, err, source.ErrDenied, "reading the AWS configuration", "nobody")
	})
	t.Run("CredentialsThatCannotBeHad", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "config")
		if err := os.WriteFile(file, []byte("[default]\ncredential_process = false\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		t.Setenv("AWS_CONFIG_FILE", file)
		t.Setenv("AWS_ACCESS_KEY_ID", "")
		t.Setenv("AWS_SECRET_ACCESS_KEY", "")
		_, err := s3.Open(context.Background(), b, s3.Options{})
		wantError(t, err, source.ErrDenied, "the credentials that are set up cannot be had")
	})
}

// TestProfile: keys, region and endpoint come from the shared configuration.
func TestProfile(t *testing.T) {
	s := server(t)
	b := s.NewBucket(t, false)
	s.Put(t, b, "k", []byte("x"))
	file := filepath.Join(t.TempDir(), "config")
	text := "[profile lab]\naws_access_key_id = " + os.Getenv("AWS_ACCESS_KEY_ID") + "\naws_secret_access_key = " + os.Getenv("AWS_SECRET_ACCESS_KEY") +
		"\nregion = us-east-1\nendpoint_url = " + s.Endpoint + "\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	storetest.ClearEnv(t)
	t.Setenv("AWS_CONFIG_FILE", file)
	t.Setenv("AWS_PROFILE", "lab")
	if got := contents(t, open(t, b, "")); got["k"] != "x" {
		t.Errorf("%q", got)
	}
}

// TestPublicBucket is read without credentials, as asked for and because there
// are none.
func TestPublicBucket(t *testing.T) {
	s := server(t)
	b := s.NewBucket(t, true)
	s.Put(t, b, "k", []byte("x"))
	s.Publish(t, b)
	anonymous, err := tryOpen(b, "", s3.Options{Anonymous: true})
	if err != nil {
		t.Fatal(err)
	}
	defer anonymous.Close()
	t.Setenv("AWS_ACCESS_KEY_ID", "")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "")
	for _, src := range []*bucket.Source{anonymous, open(t, b, "")} {
		if got := contents(t, src); got["k"] != "x" {
			t.Errorf("%q", got)
		}
	}
}

// TestOneKeyDenied: the error names the object, and all others are read.
func TestOneKeyDenied(t *testing.T) {
	s := server(t)
	b := s.NewBucket(t, false)
	for _, k := range []string{"a", "d/secret", "z"} {
		s.Put(t, b, k, []byte("x"))
	}
	s.Reader(t, b, "d/secret").Setenv(t)
	src := open(t, b, "")
	buf := make([]byte, 10)
	for _, o := range sourcetest.List(t, src, nil) {
		_, err := src.Fetch(context.Background(), o, buf)
		if o.Path != "d/secret" {
			if err != nil {
				t.Error(err)
			}
			continue
		}
		wantError(t, err, source.ErrDenied, "d/secret: permission denied", "AccessDenied")
		got, err := src.Fetch(context.Background(), o, nil)
		if err != nil {
			t.Fatal(err)
		}
		err = got.Reader.Range(context.Background(), 0, 1, buf, func([]byte) { t.Error("bytes of a denied object") })
		wantError(t, err, source.ErrDenied, "d/secret: permission denied")
	}
	if _, err := src.Lookup(context.Background(), "d/secret"); err != nil {
		wantError(t, err, source.ErrDenied, "d/secret")
	}
}

// TestRefusedAs: what versitygw does not say, in the words of S3.
func TestRefusedAs(t *testing.T) {
	s := storetest.S3(t)
	p := s.Proxy(t)
	p.Setenv(t)
	b := s.NewBucket(t, false)
	s.Put(t, b, "k", []byte("x"))
	src := open(t, b, "")
	o := sourcetest.List(t, src, nil)[0]
	for _, c := range []struct {
		status int
		code   string
		class  error
		words  string
	}{
		{403, "InvalidObjectState", source.ErrArchived, "k: archived"},
		{403, "AccessDenied", source.ErrDenied, "k: permission denied"},
		{403, "ExpiredToken", source.ErrDenied, "the credentials have expired"},
		{400, "ExpiredToken", source.ErrDenied, "the credentials have expired"},
		{403, "RequestTimeTooSkewed", source.ErrDenied, "clock"},
		{401, "Unauthorized", source.ErrDenied, "permission denied"},
		{404, "NoSuchKey", source.ErrChanged, "it vanished"},
		{404, "NoSuchBucket", source.ErrChanged, "it vanished"},
		{412, "PreconditionFailed", source.ErrChanged, "it was replaced"},
		{416, "InvalidRange", source.ErrChanged, "it became shorter"},
		{400, "InvalidRequest", nil, "400 InvalidRequest"}, // an object encrypted with a customer's key
		{301, "PermanentRedirect", nil, "the bucket is elsewhere"},
	} {
		p.Clear()
		p.On(storetest.Rule{Match: storetest.Reading, Do: storetest.RefuseAs(c.status, c.code)})
		_, err := src.Fetch(context.Background(), o, make([]byte, 10))
		if c.class == nil {
			var e *source.Error
			if !errors.As(err, &e) || e.Class != nil || !strings.Contains(err.Error(), c.words) {
				t.Errorf("%d %s: %v, want no class and %q", c.status, c.code, err, c.words)
			}
			continue
		}
		wantError(t, err, c.class, c.words)
		if n := p.Reads(); n != 1 {
			t.Errorf("%d %s: asked %d times", c.status, c.code, n)
		}
	}
}

// TestUnreachable: nobody listens there. It ends after some attempts.
func TestUnreachable(t *testing.T) {
	storetest.ClearEnv(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	t.Setenv("AWS_ENDPOINT_URL", "http://"+l.Addr().String())
	t.Setenv("AWS_ACCESS_KEY_ID", "x")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "x")
	_, err = s3.Open(context.Background(), "b", s3.Options{})
	wantError(t, err, source.ErrUnreachable, "s3://b: unreachable", "refused")
}

// TestRegion: the bucket's own region is found and signed for, also where the
// answer that names it is a refusal.
func TestRegion(t *testing.T) {
	s := storetest.S3(t)
	p := s.Proxy(t)
	p.Setenv(t)
	t.Setenv("AWS_REGION", "")
	b := s.NewBucket(t, false)
	for _, status := range []int{200, 301, 403} {
		p.Clear()
		p.On(storetest.Rule{Match: func(x *storetest.Exchange) bool { return x.Method == http.MethodHead }, Do: func(x *storetest.Exchange) {
			if !strings.Contains(x.Header.Get("Authorization"), "/us-east-1/s3/") {
				t.Errorf("the first request is signed %q", x.Header.Get("Authorization"))
			}
			x.Answer(x.Say(status, http.Header{"X-Amz-Bucket-Region": {"far-away-7"}}, nil))
		}})
		signed := ""
		p.On(storetest.Rule{Do: func(x *storetest.Exchange) {
			signed = x.Header.Get("Authorization")
			storetest.RefuseAs(400, "Enough")(x)
		}})
		if _, err := tryOpen(b, "", s3.Options{}); err == nil {
			t.Errorf("%d: opened", status)
		}
		if !strings.Contains(signed, "/far-away-7/s3/") {
			t.Errorf("%d: the second request is signed %q", status, signed)
		}
	}
}
