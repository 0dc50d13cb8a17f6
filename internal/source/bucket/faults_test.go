package bucket_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stele-ml/stele/fingerprint"
	"github.com/stele-ml/stele/internal/scan"
	"github.com/stele-ml/stele/internal/source"
	"github.com/stele-ml/stele/internal/source/azure"
	"github.com/stele-ml/stele/internal/source/bucket"
	"github.com/stele-ml/stele/internal/source/gcs"
	"github.com/stele-ml/stele/internal/source/s3"
	"github.com/stele-ml/stele/internal/source/storetest"
)

// Between the scan and a real store stands a proxy that fails. Whatever it does,
// a scan gives exactly the fingerprint that the same tree has on a disk, or an
// error of the right class that names the object: never another fingerprint.
//
// What no client can notice is not here: a store that answers with other bytes
// under the same ETag, version and length, or whose listing leaves an object out
// or says that it is empty.

// stores are the kinds of store that every fault is tried on.
var stores = []struct {
	name      string
	start     func(testing.TB) *storetest.Server
	versioned bool
	open      func(ctx context.Context, name string) (bucket.Store, error)
}{
	{"S3", storetest.S3, false, openS3},
	{"S3Versioned", storetest.S3, true, openS3},
	{"GCS", storetest.GCS, false, func(ctx context.Context, name string) (bucket.Store, error) {
		return gcs.Open(ctx, name, gcs.Options{Requests: requests})
	}},
	{"Azure", storetest.Azure, false, func(ctx context.Context, name string) (bucket.Store, error) {
		return azure.Open(ctx, name, azure.Options{Requests: requests})
	}},
}

func openS3(ctx context.Context, name string) (bucket.Store, error) {
	return s3.Open(ctx, name, s3.Options{Requests: requests})
}

// requests is how many are under way at once: enough that they meet.
const requests = 8

// What the tree of the tests holds.
const (
	large = "large/two ranges.bin" // longer than a range
	small = "a/b c.txt"
	last  = "z/last.txt"
	// mega is a file that scan hashes as chunks, and no range asks for.
	mega = "mega"
)

// tree makes a folder, and what its fingerprint is.
type tree struct {
	dir   string
	files map[string][]byte
	want  fingerprint.Fingerprint
}

func newTree(t *testing.T, files map[string][]byte) *tree {
	t.Helper()
	tr := &tree{dir: t.TempDir(), files: files}
	for name, data := range files {
		path := filepath.Join(tr.dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, data, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	res, err := scan.Local(context.Background(), tr.dir, scan.Options{Algorithm: fingerprint.SHA256}, nil)
	if err != nil {
		t.Fatal(err)
	}
	tr.want = res.Fingerprint
	return tr
}

// noise is data in which no two places are alike.
func noise(seed byte, n int) []byte {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{seed}).Read(b)
	return b
}

// fewBytes and twoRanges are what the tests' buckets hold. Both have small and
// last.
func fewBytes() map[string][]byte {
	files := map[string][]byte{
		small: noise(3, 3000), last: []byte("the last"), "one": {1}, "none": {},
		"a.txt": noise(4, 70_000), "a-b/ü": noise(5, 100), mega: noise(2, fingerprint.ChunkSize+1),
	}
	for i := range 12 {
		files[fmt.Sprintf("many/%02d", i)] = noise(byte(10+i), 1000+i)
	}
	return files
}

func twoRanges() map[string][]byte {
	return map[string][]byte{large: noise(1, bucket.RangeSize+300_001), small: noise(3, 3000), last: []byte("the last")}
}

// scanned is the fingerprint of a bucket, read through whatever stands there.
func scanned(ctx context.Context, open func(context.Context, string) (bucket.Store, error), name string) (fingerprint.Fingerprint, error) {
	st, err := open(ctx, name)
	if err != nil {
		return fingerprint.Fingerprint{}, err
	}
	src, err := bucket.Open(ctx, st, "", bucket.Options{Requests: requests})
	if err != nil {
		return fingerprint.Fingerprint{}, err
	}
	defer src.Close()
	res, err := scan.Run(ctx, src, scan.Options{Algorithm: fingerprint.SHA256}, nil)
	return res.Fingerprint, err
}

// lab is a bucket with a tree in it, behind a proxy.
type lab struct {
	*storetest.FaultProxy
	tree      *tree
	name      string // of the bucket
	versioned bool
	slow      bool // its SDK waits by itself before another attempt, and cannot be hurried
	open      func(ctx context.Context, name string) (bucket.Store, error)
}

// newLab makes a bucket with files in it.
func newLab(t *testing.T, p *storetest.FaultProxy, versioned bool, open func(context.Context, string) (bucket.Store, error), files map[string][]byte) *lab {
	t.Helper()
	l := &lab{FaultProxy: p, tree: newTree(t, files), versioned: versioned, slow: p.Scheme != "s3", open: open}
	l.name = l.NewBucket(t, versioned)
	l.Copy(t, l.name, "", l.tree.dir)
	return l
}

// everyStore runs a test on each kind of store that is installed: with a bucket
// of small files, and with one that has a large one.
func everyStore(t *testing.T, test func(t *testing.T, few, ranges *lab), except ...string) {
	for _, s := range stores {
		if few() && s.name != "S3" || slices.Contains(except, s.name) {
			continue
		}
		t.Run(s.name, func(t *testing.T) {
			p := s.start(t).Proxy(t)
			p.Setenv(t)
			bucket.Hurry(t)
			test(t, newLab(t, p, s.versioned, s.open, fewBytes()), newLab(t, p, s.versioned, s.open, twoRanges()))
		})
	}
}

// scan scans the bucket through whatever the proxy does.
func (l *lab) scan() (fingerprint.Fingerprint, error) {
	return scanned(context.Background(), l.open, l.name)
}

// restore puts the tree's own bytes back.
func (l *lab) restore(t *testing.T, key string) {
	t.Helper()
	l.Put(t, l.name, key, l.tree.files[key])
}

// fault is one thing that goes wrong, and what must come of it.
type fault struct {
	name  string
	large bool // it concerns ranges, and needs a large object
	match func(x *storetest.Exchange) bool
	after int // leave as many
	times int // 0: for ever
	do    storetest.Fault
	class error  // of the scan's error; nil: none, but the right fingerprint
	maybe bool   // the right fingerprint will do too
	path  string // that the error names; empty: the bucket
	least int    // how often the fault is met, at least; 0: once
	most  int    // and at most, by trying again; 0: any number of times
	touch string // the object that the fault writes, to be restored
}

// errAny is any class.
var errAny = errors.New("any error that names it")

func TestFaults(t *testing.T) {
	everyStore(t, func(t *testing.T, few, ranges *lab) {
		for _, l := range []*lab{few, ranges} {
			for _, f := range slices.Concat(l.passing(), l.lasting(), l.replaced(t), l.lying(), l.listed()) {
				if f.large == (l == ranges) {
					t.Run(f.name, func(t *testing.T) { l.meets(t, f) })
				}
			}
			// The proxy alone changes nothing.
			l.Clear()
			got, err := l.scan()
			l.hold(t, got, err, nil, "")
		}
	})
}

// meets holds a scan that meets a fault to what must come of it.
func (l *lab) meets(t *testing.T, f fault) {
	l.Clear()
	met := l.On(storetest.Rule{Match: f.match, After: f.after, Times: f.times, Do: f.do})
	got, err := l.scan()
	if f.touch != "" {
		l.restore(t, f.touch)
	}
	if n := met.Times(); n < max(f.least, 1) || f.most > 0 && n > f.most {
		t.Errorf("the fault was met %d times; want %d to %d", n, max(f.least, 1), f.most)
	}
	path, class := f.path, f.class
	if path == "" {
		path = l.URL(l.name, "")
	}
	if f.maybe && err == nil {
		class = nil
	}
	l.hold(t, got, err, class, path)
}

// hold holds the outcome of a scan to what it must be.
func (l *lab) hold(t *testing.T, got fingerprint.Fingerprint, err, class error, path string) {
	t.Helper()
	if err == nil && got != l.tree.want {
		t.Fatalf("A WRONG FINGERPRINT: %v, not %v", got, l.tree.want)
	}
	if class == nil || err == nil {
		if (class == nil) != (err == nil) {
			t.Errorf("the scan ended with %v; want %v", err, class)
		}
		return
	}
	var e *source.Error
	switch {
	case !errors.As(err, &e):
		t.Errorf("the error names no object: %v", err)
	case class != errAny && !errors.Is(err, class):
		t.Errorf("the error is %v; want %v", err, class)
	case strings.TrimSuffix(e.Path, "/") != strings.TrimSuffix(path, "/"):
		t.Errorf("the error %q names %q, not %s", err, e.Path, path)
	}
}

// eachFirst matches the first n reads of every object.
func eachFirst(n int) func(x *storetest.Exchange) bool {
	seen := map[string]int{}
	return func(x *storetest.Exchange) bool {
		if !x.Reading() {
			return false
		}
		seen[x.Key]++
		return seen[x.Key] <= n
	}
}

func anything(*storetest.Exchange) bool { return true }

// passing are faults that trying again gets over.
func (l *lab) passing() []fault {
	objects := -1 // the empty one is not read
	for range l.tree.files {
		objects++
	}
	const n = 3
	first := n
	if l.slow {
		first = 1
	}
	reads := func(name string, do storetest.Fault) fault {
		return fault{name: name, match: eachFirst(n), do: do, least: objects}
	}
	listing := func(name string, do storetest.Fault) fault {
		return fault{name: name, match: storetest.Listing, times: first, do: do, least: first}
	}
	unframed := listing("ListingUnframed", storetest.Unframed(300))
	unframed.class, unframed.maybe, unframed.least = source.ErrUnreachable, true, 1
	return []fault{
		reads("ReadsDropped", storetest.Drop),
		reads("ReadsReset", storetest.Reset(700)),
		reads("ReadsResetAtOnce", storetest.Reset(0)),
		reads("ReadsTruncated", storetest.Truncate(0)),
		reads("ReadsTruncatedLate", storetest.Truncate(900)),
		reads("ReadsDelayed", storetest.Delay(time.Millisecond)),
		reads("ReadsBusy", storetest.Refuse(503, 1)),
		reads("ReadsBusyWithoutTime", storetest.Refuse(503, -1)),
		reads("ReadsTooMany", storetest.Refuse(429, 1)),
		reads("ReadsFailed", storetest.Refuse(500, -1)),
		{name: "RangesReset", large: true, match: storetest.Key(large), times: 5, least: 5, do: storetest.Reset(400_000)},
		listing("ListingDropped", storetest.Drop),
		listing("ListingReset", storetest.Reset(300)),
		listing("ListingTruncated", storetest.Truncate(300)),
		listing("ListingBusy", storetest.Refuse(503, -1)),
		listing("ListingTooMany", storetest.Refuse(429, -1)),
		listing("ListingFailed", storetest.Refuse(500, -1)),
		unframed,
		{name: "FirstDropped", match: anything, times: first, least: first, do: storetest.Drop},
		{name: "FirstBusy", match: anything, times: first, least: first, do: storetest.Refuse(503, -1)},
	}
}

// lasting are faults that do not pass: the scan gives up, after so many attempts.
func (l *lab) lasting() []fault {
	forEver := func(name string, most int, do storetest.Fault) fault {
		return fault{name: name, match: storetest.Key(small), do: do, class: source.ErrUnreachable, path: small, most: most}
	}
	f := []fault{
		forEver("DroppedForEver", 0, storetest.Drop), // net/http tries again besides, once for each idle connection
		forEver("ResetForEver", bucket.MaxAttempts, storetest.Reset(100)),
		forEver("TruncatedForEver", bucket.MaxAttempts, storetest.Truncate(0)),
		forEver("BusyForEver", bucket.MaxAttempts, storetest.Refuse(503, 1)),
		forEver("TooManyForEver", bucket.MaxAttempts, storetest.Refuse(429, 1)),
		forEver("FailedForEver", bucket.MaxAttempts, storetest.Refuse(500, -1)),
		// A few bytes each time are no progress.
		{name: "DripsForEver", large: true, match: storetest.Key(large), do: storetest.Truncate(10), class: source.ErrUnreachable, path: large, most: 4 * bucket.MaxAttempts},
		{name: "Denied", match: storetest.Key(small), do: storetest.Refuse(403, -1), class: source.ErrDenied, path: small, most: 1},
		{name: "ListingDenied", match: storetest.Listing, do: storetest.Refuse(403, -1), class: source.ErrDenied},
	}
	if !l.slow {
		f = append(f,
			fault{name: "ListingBusyForEver", match: storetest.Listing, do: storetest.Refuse(503, 1), class: source.ErrUnreachable, most: 20},
			fault{name: "ListingTruncatedForEver", match: storetest.Listing, do: storetest.Truncate(300), class: source.ErrUnreachable, most: 20},
			fault{name: "EverythingDropped", match: anything, do: storetest.Drop, class: source.ErrUnreachable},
			fault{name: "EverythingFails", match: anything, do: storetest.Refuse(500, -1), class: source.ErrUnreachable, most: 40},
		)
	}
	switch l.Scheme {
	case "s3":
		// https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html
		f = append(f, fault{name: "Archived", match: storetest.Key(small), do: storetest.RefuseAs(403, "InvalidObjectState"), class: source.ErrArchived, path: small, most: 1})
	case "azblob":
		// https://learn.microsoft.com/azure/storage/blobs/archive-blob
		f = append(f, fault{name: "Archived", match: storetest.Key(small), do: storetest.RefuseAs(409, "BlobArchived"), class: source.ErrArchived, path: small, most: 1})
	}
	return f
}

// replaced are objects that become others between their listing and their last
// range.
func (l *lab) replaced(t *testing.T) []fault {
	put := func(key string, data []byte) storetest.Fault {
		return storetest.First(func(*storetest.Exchange) { l.Put(t, l.name, key, data) })
	}
	other := func(key string) []byte { return noise(99, len(l.tree.files[key])) }
	f := []fault{
		{name: "ReplacedBeforeItIsRead", match: storetest.Key(small), times: 1, do: put(small, other(small)), class: source.ErrChanged, path: small, touch: small},
		{name: "ReplacedByTheSameBytes", match: storetest.Key(small), times: 1, do: put(small, l.tree.files[small]), class: source.ErrChanged, maybe: true, path: small},
		{name: "ShortenedBeforeItIsRead", match: storetest.Key(small), times: 1, do: put(small, []byte("x")), class: source.ErrChanged, path: small, touch: small},
		{name: "ReplacedBetweenRanges", large: true, match: storetest.Key(large), after: 1, times: 1, do: put(large, other(large)), class: source.ErrChanged, path: large, touch: large},
		{name: "ShortenedBetweenRanges", large: true, match: storetest.Key(large), after: 1, times: 1, do: put(large, []byte("x")), class: source.ErrChanged, path: large, touch: large},
		{
			name: "DeletedBeforeItIsRead", match: storetest.Key(small), times: 1, class: source.ErrChanged, path: small, touch: small,
			do: storetest.First(func(*storetest.Exchange) { l.Delete(t, l.name, small) }),
		},
		{name: "NotFound", match: storetest.Key(small), do: storetest.Refuse(404, -1), class: source.ErrChanged, path: small, most: 1},
	}
	// An answer breaks off, and the object is another when it is asked to go on.
	broken := false
	f = append(f, fault{
		name: "ReplacedBetweenAttempts", match: storetest.Key(last), times: 2, class: source.ErrChanged, path: last, touch: last,
		do: func(x *storetest.Exchange) {
			if !broken {
				broken = true
				x.Cut(x.Forward(), 3, false)
				return
			}
			l.Put(t, l.name, last, other(last))
			storetest.Pass(x)
		},
	})
	return f
}

// lying are answers that are not what was asked for.
func (l *lab) lying() []fault {
	flip := func(b []byte) []byte {
		b[len(b)/2] ^= 1
		return b
	}
	// identity are the headers that say which version an answer is of.
	identity, another := []string{"Etag", "X-Amz-Version-Id"}, `"0123456789abcdef"`
	if l.Scheme == "gs" {
		identity, another = []string{"X-Goog-Generation"}, "1234567"
	}
	// answer edits every answer of an object.
	answer := func(name, key string, class error, edit func(h http.Header, b []byte) []byte) fault {
		return fault{
			name: name, large: key == large, match: storetest.Key(key), class: class, path: key, most: 3 * bucket.MaxAttempts,
			do: storetest.Edit(func(_ *storetest.Exchange, h http.Header, b []byte) []byte { return edit(h, b) }),
		}
	}
	span := func(edit func(first, last, size int) (int, int, int)) func(h http.Header, b []byte) []byte {
		return func(h http.Header, b []byte) []byte {
			var first, last, size int
			fmt.Sscanf(h.Get("Content-Range"), "bytes %d-%d/%d", &first, &last, &size)
			first, last, size = edit(first, last, size)
			h.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", first, last, size))
			return b
		}
	}
	f := []fault{
		answer("OtherBytesOfAnotherVersion", small, source.ErrChanged, func(h http.Header, b []byte) []byte {
			h.Set(identity[0], another)
			return flip(b)
		}),
		answer("OtherBytesOfNoVersion", small, source.ErrChanged, func(h http.Header, b []byte) []byte {
			for _, name := range identity {
				h.Del(name)
			}
			return flip(b)
		}),
		answer("RangeOfAnotherVersion", large, source.ErrChanged, func(h http.Header, b []byte) []byte {
			h.Set(identity[0], another)
			return b
		}),
		answer("OneByteLess", small, errAny, func(_ http.Header, b []byte) []byte { return b[:len(b)-1] }),
		answer("OneByteMore", small, errAny, func(_ http.Header, b []byte) []byte { return append(b, 'x') }),
		answer("RangeLess", large, errAny, func(_ http.Header, b []byte) []byte { return b[:len(b)-1] }),
		answer("RangeMore", large, errAny, func(_ http.Header, b []byte) []byte { return append(b, 'x') }),
		answer("OtherRange", large, source.ErrChanged, span(func(first, last, size int) (int, int, int) { return first + 1, last + 1, size })),
		answer("OtherTotal", large, source.ErrChanged, span(func(first, last, size int) (int, int, int) { return first, last, size + 1 })),
		answer("NoRange", large, errAny, func(h http.Header, b []byte) []byte {
			h.Del("Content-Range")
			return b
		}),
		// Whoever believes it would try to decompress.
		answer("NotCompressed", small, nil, func(h http.Header, b []byte) []byte {
			h.Set("Content-Encoding", "gzip")
			return b
		}),
		{name: "WholeInsteadOfRange", large: true, match: storetest.Key(large), do: storetest.Unranged(l.tree.files[large]), class: source.ErrChanged, path: large},
		{name: "Unframed", match: storetest.Key(small), times: 1, do: storetest.Unframed(100), class: source.ErrChanged, maybe: true, path: small},
		{name: "RangeUnframed", large: true, match: storetest.Key(large), times: 1, do: storetest.Unframed(100), class: source.ErrChanged, maybe: true, path: large},
		{name: "SentElsewhere", match: storetest.Key(small), class: errAny, path: small, do: func(x *storetest.Exchange) {
			to := strings.Replace(x.Path(), strings.ReplaceAll(small, " ", "%20"), "one", 1)
			x.Answer(x.Say(http.StatusTemporaryRedirect, http.Header{"Location": {l.Endpoint + to}}, nil))
		}},
	}
	if l.versioned {
		f = append(f, answer("OtherVersionSameETag", small, source.ErrChanged, func(h http.Header, b []byte) []byte {
			h.Set("X-Amz-Version-Id", "another")
			return flip(b)
		}))
	}
	return f
}

// entry is an object in a listing's answer: XML of S3 and Azure, JSON of Google.
var entry = map[string]*regexp.Regexp{
	"s3":     regexp.MustCompile(`(?s)<(?:Contents|Version)>.*?</(?:Contents|Version)>`),
	"azblob": regexp.MustCompile(`(?s)<Blob>.*?</Blob>`),
}

// entries edits the objects of a listing's answer.
func (l *lab) entries(edit func(list []string) []string) storetest.Fault {
	return storetest.Edit(func(_ *storetest.Exchange, _ http.Header, body []byte) []byte {
		if l.Scheme == "gs" {
			var doc map[string]jsontext
			var list []jsontext
			if json.Unmarshal(body, &doc) != nil || json.Unmarshal(doc["items"], &list) != nil {
				return body
			}
			var texts []string
			for _, e := range list {
				texts = append(texts, string(e))
			}
			doc["items"] = jsontext("[" + strings.Join(edit(texts), ",") + "]")
			body, _ = json.Marshal(doc)
			return body
		}
		list := entry[l.Scheme].FindAllIndex(body, -1)
		if len(list) == 0 {
			return body
		}
		var texts []string
		for _, at := range list {
			texts = append(texts, string(body[at[0]:at[1]]))
		}
		from, to := list[0][0], list[len(list)-1][1]
		return slices.Concat(body[:from], []byte(strings.Join(edit(texts), "")), body[to:])
	})
}

type jsontext = json.RawMessage

// listed are listings that are not what they should be.
func (l *lab) listed() []fault {
	keys := slices.Sorted(maps.Keys(l.tree.files))
	listing := func(name string, class error, path string, do storetest.Fault) fault {
		return fault{name: name, match: storetest.Listing, do: do, class: class, path: path}
	}
	// entryOf edits the listing's text about one object.
	entryOf := func(key, old, new string) storetest.Fault {
		return l.entries(func(list []string) []string {
			for i, text := range list {
				if strings.Contains(text, key) || strings.Contains(text, strings.ReplaceAll(key, " ", "+")) || strings.Contains(text, strings.ReplaceAll(key, " ", "%20")) {
					list[i] = strings.ReplaceAll(text, old, new)
				}
			}
			return list
		})
	}
	size := strconv.Itoa(len(l.tree.files[small]))
	return []fault{
		listing("ListedTwice", source.ErrOrder, l.URL(l.name, keys[0]), l.entries(func(list []string) []string { return slices.Insert(list, 0, list[0]) })),
		listing("OutOfOrder", source.ErrOrder, l.URL(l.name, keys[0]), l.entries(func(list []string) []string {
			list[0], list[1] = list[1], list[0]
			return list
		})),
		listing("ListedShorter", source.ErrChanged, small, entryOf(small, size, "2999")),
		listing("ListedLonger", source.ErrChanged, small, entryOf(small, size, "3001")),
		listing("NoListing", errAny, "", func(x *storetest.Exchange) {
			x.Answer(x.Say(http.StatusOK, http.Header{"Content-Type": {"text/html"}}, []byte("<html><body>Sign in</body></html>")))
		}),
		listing("EmptyListing", errAny, "", func(x *storetest.Exchange) { x.Answer(x.Say(http.StatusOK, nil, nil)) }),
	}
}
