//go:build unix

package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"
)

var stores = []struct {
	name  string
	start func(testing.TB) *Server
}{{"S3", S3}, {"GCS", GCS}, {"Azure", Azure}}

// address is where anybody can read an object of a published bucket.
func address(s *Server, bucket, key string) string {
	if s.Scheme == "azblob" {
		return s.Endpoint + "/" + account + "/" + bucket + "/" + key
	}
	return s.Endpoint + "/" + bucket + "/" + key
}

// fetch reads without credentials on a connection of its own.
func fetch(t *testing.T, url, span string) (int, string, error) {
	t.Helper()
	req, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if span != "" {
		req.Header.Set("Range", span)
	}
	tr := &http.Transport{DisableKeepAlives: true}
	defer tr.CloseIdleConnections()
	res, err := tr.RoundTrip(req)
	if err != nil {
		return 0, "", err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	return res.StatusCode, string(body), err
}

func TestStores(t *testing.T) {
	for _, c := range stores {
		t.Run(c.name, func(t *testing.T) {
			s := c.start(t)
			bucket := s.NewBucket(t, true)
			if other := s.NewBucket(t, false); other == bucket {
				t.Error("two buckets have one name")
			}
			s.Publish(t, bucket)
			s.Put(t, bucket, "a", []byte("one"))
			s.Put(t, bucket, "a", []byte("two"))
			dir := t.TempDir()
			if err := os.MkdirAll(filepath.Join(dir, "x", "y"), 0o777); err != nil {
				t.Fatal(err)
			}
			for _, name := range []string{"top", "x/in", "x/y/deep"} {
				if err := os.WriteFile(filepath.Join(dir, name), []byte("at "+name), 0o666); err != nil {
					t.Fatal(err)
				}
			}
			s.Copy(t, bucket, "p/", dir)
			large := bytes.Repeat([]byte("0123456789abcdef"), 5<<16)
			s.PutParts(t, bucket, "large", large, []byte("end"))
			for key, want := range map[string]string{"a": "two", "p/top": "at top", "p/x/in": "at x/in", "p/x/y/deep": "at x/y/deep", "large": string(large) + "end"} {
				status, body, err := fetch(t, address(s, bucket, key), "")
				if status != 200 || body != want || err != nil {
					t.Errorf("%s: %d, %.40q, %v", key, status, body, err)
				}
			}
			s.Delete(t, bucket, "a")
			if status, _, err := fetch(t, address(s, bucket, "a"), ""); status != 404 {
				t.Errorf("a deleted object answers %d, %v", status, err)
			}
		})
	}
}

// The user's own credentials are out of the tests' reach.
func TestSetenvTakesTheUsersAway(t *testing.T) {
	s := S3(t)
	t.Setenv("AWS_PROFILE", "mine")
	t.Setenv("AZURE_STORAGE_KEY", "mine")
	t.Run("inside", func(t *testing.T) {
		s.Setenv(t)
		if v, ok := os.LookupEnv("AWS_PROFILE"); ok {
			t.Errorf("AWS_PROFILE is %q", v)
		}
		if v, ok := os.LookupEnv("AZURE_STORAGE_KEY"); ok {
			t.Errorf("AZURE_STORAGE_KEY is %q", v)
		}
		if v := os.Getenv("AWS_ENDPOINT_URL"); v != s.Endpoint {
			t.Errorf("AWS_ENDPOINT_URL is %q", v)
		}
	})
	if v := os.Getenv("AWS_PROFILE"); v != "mine" {
		t.Errorf("afterwards AWS_PROFILE is %q", v)
	}
}

// Signed requests pass the proxy, also for keys that are written in several
// ways in an address.
func TestProxyKeepsSignatures(t *testing.T) {
	s := S3(t)
	p := s.Proxy(t)
	bucket := s.NewBucket(t, false)
	client := s.objects.(*s3Objects).connect(p.Endpoint)
	for _, key := range []string{"plain", "a b", "a+b", "a%2Fb", "ü/日本", "x/~!*'()", "q?d=1&e", "semi;colon", "a:b@c,$="} {
		s.Put(t, bucket, key, []byte("at "+key))
		out, err := client.GetObject(context.Background(), &s3.GetObjectInput{Bucket: &bucket, Key: &key})
		if err != nil {
			t.Errorf("%q: %v", key, err)
			continue
		}
		body, err := io.ReadAll(out.Body)
		out.Body.Close()
		if string(body) != "at "+key || err != nil {
			t.Errorf("%q: %q, %v", key, body, err)
		}
		seen := p.Requests()
		if last := seen[len(seen)-1]; last.Key != key || last.Bucket != bucket || last.Faulty || last.Listing {
			t.Errorf("%q was seen as %+v", key, last)
		}
	}
	if _, err := client.ListObjectsV2(context.Background(), &s3.ListObjectsV2Input{Bucket: &bucket}); err != nil {
		t.Error(err)
	}
	if seen := p.Requests(); !seen[len(seen)-1].Listing {
		t.Errorf("a listing was seen as %+v", seen[len(seen)-1])
	}
}

func TestReaderIsDenied(t *testing.T) {
	s := S3(t)
	bucket := s.NewBucket(t, true)
	for _, key := range []string{"open", "closed"} {
		s.Put(t, bucket, key, []byte("x"))
	}
	reader := s.Reader(t, bucket, "closed")
	client := reader.objects.(*s3Objects).connect(s.Endpoint)
	ctx := context.Background()
	if _, err := client.ListObjectVersions(ctx, &s3.ListObjectVersionsInput{Bucket: &bucket}); err != nil {
		t.Error(err)
	}
	for _, key := range []string{"open", "closed"} {
		_, err := client.GetObject(ctx, &s3.GetObjectInput{Bucket: &bucket, Key: &key})
		var api smithy.APIError
		if key == "open" && err != nil || key == "closed" && (!errors.As(err, &api) || api.ErrorCode() != "AccessDenied") {
			t.Errorf("%s: %v", key, err)
		}
	}
	if _, err := client.PutObject(ctx, &s3.PutObjectInput{Bucket: &bucket, Key: aws.String("new"), Body: strings.NewReader("x")}); err == nil {
		t.Error("a reader may write")
	}
}

func TestFaults(t *testing.T) {
	const data = "0123456789"
	for _, c := range stores {
		t.Run(c.name, func(t *testing.T) {
			s := c.start(t)
			p := s.Proxy(t)
			bucket := s.NewBucket(t, false)
			s.Publish(t, bucket)
			s.Put(t, bucket, "k/e y", []byte(data))
			url := address(p.Server, bucket, "k/e%20y")
			for _, f := range []struct {
				name   string
				do     Fault
				span   string
				status int
				body   string
				err    error // nil, or any that wraps it
			}{
				{"Pass", Pass, "", 200, data, nil},
				{"PassRange", Pass, "bytes=2-4", 206, "234", nil},
				{"Drop", Drop, "", 0, "", io.EOF},
				{"Delay", Delay(time.Millisecond), "", 200, data, nil},
				{"Truncate", Truncate(4), "", 200, "0123", io.ErrUnexpectedEOF},
				{"TruncateRange", Truncate(1), "bytes=2-4", 206, "2", io.ErrUnexpectedEOF},
				{"Unframed", Unframed(4), "", 200, "0123", nil},
				{"Refuse", Refuse(503, 1), "", 503, "", nil},
				{"Unranged", Unranged([]byte(data)), "bytes=2-4", 200, data, nil},
				{"Edit", Edit(func(_ *Exchange, h http.Header, b []byte) []byte { return append(b, "x"...) }), "", 200, data + "x", nil},
			} {
				p.Clear()
				m := p.On(Rule{Match: Key("k/e y"), Do: f.do})
				status, body, err := fetch(t, url, f.span)
				if status != f.status || f.status != 503 && body != f.body || !errors.Is(err, f.err) {
					t.Errorf("%s: %d %q %v, want %d %q %v", f.name, status, body, err, f.status, f.body, f.err)
				}
				if m.Times() != 1 || p.Reads() != 1 || p.Requests()[0].Range != f.span {
					t.Errorf("%s: met %d exchanges of %+v", f.name, m.Times(), p.Requests())
				}
			}
			p.Clear()
			p.On(Rule{Do: Reset(4)})
			if _, body, err := fetch(t, url, ""); !errors.Is(err, syscall.ECONNRESET) || !strings.HasPrefix("0123", body) {
				t.Errorf("Reset: %q, %v", body, err)
			}
		})
	}
}

func TestRulesCount(t *testing.T) {
	s := S3(t)
	p := s.Proxy(t)
	bucket := s.NewBucket(t, false)
	s.Publish(t, bucket)
	s.Put(t, bucket, "a", []byte("x"))
	s.Put(t, bucket, "b", []byte("x"))
	first := p.On(Rule{Match: Key("a"), After: 1, Times: 2, Do: Refuse(503, -1)})
	second := p.On(Rule{Match: Key("a"), After: 1, Do: First(func(x *Exchange) { s.Put(t, bucket, "a", []byte(strconv.Itoa(x.N))) })})
	var got []string
	for range 5 {
		status, body, _ := fetch(t, address(p.Server, bucket, "a"), "")
		if status != 200 {
			body = strconv.Itoa(status)
		}
		got = append(got, body)
		if status, _, _ := fetch(t, address(p.Server, bucket, "b"), ""); status != 200 {
			t.Errorf("the rule for a met b: %d", status)
		}
	}
	// Of five, the first rule leaves one and takes two; of the other three the
	// second leaves one.
	if want := "[x 503 503 0 1]"; fmt.Sprint(got) != want {
		t.Errorf("answers %v, want %s", got, want)
	}
	if first.Times() != 2 || second.Times() != 2 || p.Reads() != 10 {
		t.Errorf("counted %d, %d, %d", first.Times(), second.Times(), p.Reads())
	}
}

// A test binary that is killed leaves no server and no files behind.
func TestServersEndWithTheirTests(t *testing.T) {
	if os.Getenv("STELE_STORETEST_CHILD") != "" {
		s := S3(t)
		fmt.Printf("server %d %s\n", s.process.cmd.Process.Pid, filepath.Dir(s.process.log))
		syscall.Kill(os.Getpid(), syscall.SIGKILL)
	}
	S3(t) // skips where it cannot be had
	cmd := exec.Command(os.Args[0], "-test.run=^TestServersEndWithTheirTests$")
	cmd.Env = append(os.Environ(), "STELE_STORETEST_CHILD=1")
	out, err := cmd.Output()
	if err == nil {
		t.Fatalf("the child was to be killed: %s", out)
	}
	var pid int
	var dir string
	if _, err := fmt.Sscanf(string(out), "server %d %s\n", &pid, &dir); err != nil {
		t.Fatalf("%v: %q", err, out)
	}
	gone := func() bool {
		if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
			return false
		}
		if syscall.Kill(pid, 0) != nil {
			return true
		}
		state, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid)) // dead, but nobody has waited for it
		return err == nil && strings.Contains(string(state), ") Z ")
	}
	for end := time.Now().Add(startTime); !gone(); time.Sleep(poll) {
		if time.Now().After(end) {
			t.Fatalf("the server %d or its folder %s is still there", pid, dir)
		}
	}
}

// forgetful acknowledges the first put of each key, and lists none of them.
type forgetful struct {
	objects
	mu   sync.Mutex
	puts map[string]int
}

func (f *forgetful) put(_, key string, _ []byte) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.puts[key]++
	return nil
}

func (f *forgetful) keys(string) (map[string]bool, error) {
	held := map[string]bool{}
	for key, n := range f.puts {
		held[key] = n > 1 || key == "in/kept"
	}
	return held, nil
}

// A store that forgets an object is given it again; the others are not put
// twice.
func TestCopyPutsAgainWhatIsNotListed(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"kept", "lost"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	f := &forgetful{puts: map[string]int{}}
	(&Server{Scheme: "azblob", objects: f}).Copy(t, "b", "in/", dir)
	if want := map[string]int{"in/kept": 1, "in/lost": 2}; !maps.Equal(f.puts, want) {
		t.Errorf("put %v; want %v", f.puts, want)
	}
}
