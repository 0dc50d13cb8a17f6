package place

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	tests := []struct {
		text   string
		remote bool
		bucket string
		key    string
		again  string // as it is written again, where not text
		base   string
	}{
		{text: "training", base: "training"},
		{text: "./training/", base: "training"},
		{text: "/srv/data", base: "data"},
		{text: "./s3://bucket/key", base: "key"},
		{text: "a b://c", base: "c"},
		{text: "://x", base: "x"},
		{text: "s3:/bucket/key", base: "key"},
		{text: "s3://bucket", remote: true, bucket: "bucket", base: "bucket"},
		{text: "s3://bucket/", remote: true, bucket: "bucket", again: "s3://bucket", base: "bucket"},
		{text: "s3://bucket/wdbc", remote: true, bucket: "bucket", key: "wdbc", base: "wdbc"},
		{text: "s3://bucket/wdbc/", remote: true, bucket: "bucket", key: "wdbc/", base: "wdbc"},
		{text: "gs://a.bucket_2/x/y.csv", remote: true, bucket: "a.bucket_2", key: "x/y.csv", base: "y.csv"},
		{text: "azblob://$root/x", remote: true, bucket: "$root", key: "x", base: "x"},
		// Keys are what they are: nothing is decoded, nothing is cut off.
		{text: "s3://bucket/a%20b?versionId=3#part", remote: true, bucket: "bucket", key: "a%20b?versionId=3#part", base: "a%20b?versionId=3#part"},
		{text: "s3://bucket//x", remote: true, bucket: "bucket", key: "/x", base: "x"},
		{text: "s3://bucket/a//b/../c", remote: true, bucket: "bucket", key: "a//b/../c", base: "c"},
		{text: "s3://bucket/Größe 1/日本", remote: true, bucket: "bucket", key: "Größe 1/日本", base: "日本"},
	}
	for _, test := range tests {
		p, err := Parse(test.text)
		if err != nil {
			t.Errorf("Parse(%q): %v", test.text, err)
			continue
		}
		again := test.again
		if again == "" {
			again = test.text
		}
		if p.Remote() != test.remote || p.bucket != test.bucket || p.key != test.key || p.String() != again || p.Base() != test.base {
			t.Errorf("Parse(%q) = %+v, written %q, base %q", test.text, p, p, p.Base())
		}
		if !test.remote && p.Path() != test.text {
			t.Errorf("Parse(%q).Path() = %q", test.text, p.Path())
		}
		if q, err := Parse(p.String()); err != nil || q != p {
			t.Errorf("Parse(%q) again: %+v, %v", p, q, err)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	tests := []struct{ text, says string }{
		{"", "empty"},
		{"https://example.org/x", "https:// is none of s3://"},
		{"S3://bucket/x", "S3:// is none of s3://"},
		{"s3a://bucket/x", "s3a:// is none of s3://"},
		{"file:///x", "file:// is none of"},
		{"s3://", "the bucket is missing"},
		{"s3:///key", "the bucket is missing"},
		{"s3://key:secret@bucket/x", `no ':'`},
		{"azblob://container?sv=secret", `no '?'`},
		{"s3://bu cket/x", `no ' '`},
		{"s3://bücket/x", `no 'ü'`},
		{"s3://" + strings.Repeat("b", 256), "256 bytes"},
		{"s3://b/" + strings.Repeat("k", 4097), "4097 bytes"},
		{"s3://b/\xff", "not UTF-8"},
		{"s3://b/x\x00y", "without NUL"},
	}
	for _, test := range tests {
		p, err := Parse(test.text)
		if !errors.Is(err, ErrAddress) || !strings.Contains(err.Error(), test.says) {
			t.Errorf("Parse(%q) = %+v, %v; want an error with %q", test.text, p, err, test.says)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("Parse(%q) repeats what may be a secret: %v", test.text, err)
		}
	}
}

func parse(t *testing.T, text string) Place {
	t.Helper()
	p, err := Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestJoin(t *testing.T) {
	for _, test := range []struct{ place, rel, want string }{
		{"s3://b", "x/y", "s3://b/x/y"},
		{"s3://b/p", "x", "s3://b/p/x"},
		{"s3://b/p/", "x", "s3://b/p/x"},
		{"gs://b/p", "a b%", "gs://b/p/a b%"},
		{"data", "x/y", filepath.Join("data", "x", "y")},
		{"data/", "x", filepath.Join("data", "x")},
	} {
		if got := parse(t, test.place).Join(test.rel); got.String() != test.want {
			t.Errorf("%s joined with %s is %s, want %s", test.place, test.rel, got, test.want)
		}
	}
}

func TestSame(t *testing.T) {
	for _, test := range []struct {
		a, b string
		want bool
	}{
		{"s3://b/p", "s3://b/p/", true},
		{"s3://b", "s3://b/", true},
		{"s3://b/p", "gs://b/p", false},
		{"s3://b/p", "s3://c/p", false},
		{"s3://b/p", "s3://b/q", false},
		{"s3://b/p//", "s3://b/p", false},
		{"/srv/data", "/srv/data/", true},
		{"/srv/data", "/srv/dat", false},
		{"/srv/data", "s3://srv/data", false},
	} {
		if got := parse(t, test.a).Same(parse(t, test.b)); got != test.want {
			t.Errorf("%s and %s are the same: %v", test.a, test.b, got)
		}
	}
}

func TestRel(t *testing.T) {
	here, err := filepath.Abs("data")
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ place, line, want string }{
		{"s3://b/t", "x/part-1", "x/part-1"},
		{"s3://b/t", "s3://b/t/x/part-1", "x/part-1"},
		{"s3://b/t/", "s3a://b/t/x", "x"},
		{"s3://b", "s3n://b/x", "x"},
		{"s3://b/t", `a\b`, `a\b`},
		{"gs://b/t", "gs://b/t/x%3D1", "x%3D1"},
		{"data", "x/y", "x/y"},
		{"data", "./x", "x"},
		{"data", filepath.Join(here, "x", "y"), "x/y"},
	} {
		if got, err := parse(t, test.place).Rel(test.line); err != nil || got != test.want {
			t.Errorf("%s below %s is %q, %v; want %q", test.line, test.place, got, err, test.want)
		}
	}
	for _, test := range []struct{ place, line string }{
		{"s3://b/t", "s3://b/tx/y"},
		{"s3://b/t", "s3://b/t"},
		{"s3://b/t", "s3://b/t/"},
		{"s3://b/t", "gs://b/t/x"},
		{"s3://b/t", "s3://c/t/x"},
		{"s3://b/t", "https://b/t/x"},
		{"s3://b/t", ""},
		{"data", "s3://b/t"},
		{"data", here},
		{"data", filepath.Join(here, "..", "other")},
	} {
		if got, err := parse(t, test.place).Rel(test.line); err == nil {
			t.Errorf("%s counts as below %s: %q", test.line, test.place, got)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, text := range []string{"s3://b/k", "gs://b", "azblob://c/a b", "./x", "/x://y", "s3://", "x://y"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := Parse(text)
		if err != nil {
			return
		}
		q, err := Parse(p.String())
		if err != nil || q != p {
			t.Fatalf("Parse(%q) is written %q, which is %+v, %v", text, p, q, err)
		}
		if !p.Remote() || len(p.key)+len("/a/b") > maxKey {
			return
		}
		for _, rel := range []string{"x", "a/b"} {
			if got, err := p.Rel(p.Join(rel).String()); err != nil || got != rel {
				t.Fatalf("%q joined with %s and back is %q, %v", text, rel, got, err)
			}
		}
	})
}
