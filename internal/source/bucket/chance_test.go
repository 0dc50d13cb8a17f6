package bucket_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"regexp"
	"testing"
	"time"

	"github.com/stele-ml/stele/internal/source"
	"github.com/stele-ml/stele/internal/source/bucket"
	"github.com/stele-ml/stele/internal/source/storetest"
)

// Hundreds of scans, each with its own faults by chance at its own places: the
// right fingerprint, or an error that says that the store could not be reached.
// What is drawn depends on the seed, which a failure names; which request draws
// it, on how the requests come.
func TestFaultsByChance(t *testing.T) {
	p := storetest.S3(t).Proxy(t)
	p.Setenv(t)
	bucket.Hurry(t)
	versioned, plain := newLab(t, p, true, openS3, fewBytes()), newLab(t, p, false, openS3, fewBytes())
	labs := []*lab{versioned, plain, newLab(t, p, true, openS3, twoRanges()), plain, versioned}
	runs := 200
	if few() {
		runs = 24
	}
	right, faults := 0, 0
	for seed := range uint64(runs) {
		l := labs[seed%5]
		l.Clear()
		random := rand.New(rand.NewPCG(seed, 7)) // used under the proxy's lock alone
		share := []float64{0.05, 0.2, 0.4, 0.8}[seed/5%4]
		met := l.On(storetest.Rule{
			Match: func(x *storetest.Exchange) bool {
				if random.Float64() >= share {
					return false
				}
				size := int64(2000)
				if x.Reading() {
					size = int64(len(l.tree.files[x.Key]))
				}
				at := random.Int64N(size + 1)
				x.Fault = []storetest.Fault{
					storetest.Drop, storetest.Truncate(at), storetest.Reset(at), storetest.Reset(at), storetest.Unframed(at),
					storetest.Refuse(503, random.IntN(2)), storetest.Refuse(500, -1), storetest.Refuse(429, -1), storetest.Delay(time.Millisecond),
				}[random.IntN(9)]
				return true
			},
			Do: func(x *storetest.Exchange) { x.Fault(x) },
		})
		got, err := l.scan()
		faults += met.Times()
		switch {
		case err == nil && got != l.tree.want:
			t.Fatalf("seed %d: A WRONG FINGERPRINT: %v, not %v", seed, got, l.tree.want)
		case err == nil:
			right++
		case !errors.Is(err, source.ErrUnreachable) && !errors.Is(err, source.ErrChanged):
			t.Errorf("seed %d: %v", seed, err)
		}
	}
	t.Logf("%d faults in %d scans, of which %d were right", faults, runs, right)
	if right < runs/4 || right == runs || faults < runs {
		t.Errorf("%d faults, and %d of %d scans right: it tries too little", faults, right, runs)
	}
}

// Somebody replaces an object while the bucket is scanned, at every moment in
// turn. What comes out is the tree before, the tree after, or ErrChanged that
// names the object.
func TestReplacedAtAnyMoment(t *testing.T) {
	for _, versioned := range []bool{false, true} {
		t.Run(fmt.Sprintf("versioned=%v", versioned), func(t *testing.T) {
			p := storetest.S3(t).Proxy(t)
			p.Setenv(t)
			bucket.Hurry(t)
			const key = "m/changing"
			before := map[string][]byte{"a": noise(1, 10), key: noise(2, bucket.RangeSize+1000), "z": noise(3, 10)}
			after := map[string][]byte{"a": before["a"], key: noise(4, bucket.RangeSize+1000), "z": before["z"]}
			l, then := newLab(t, p, versioned, openS3, before), newTree(t, after)
			olds, news, changed := 0, 0, 0
			for moment := 0; ; moment++ {
				l.restore(t, key)
				l.Clear()
				met := l.On(storetest.Rule{After: moment, Times: 1, Do: storetest.First(func(*storetest.Exchange) {
					l.Put(t, l.name, key, after[key])
				})})
				got, err := l.scan()
				if met.Times() == 0 {
					l.hold(t, got, err, nil, "") // it came too late for this scan
					break
				}
				switch {
				case err == nil && got == l.tree.want:
					olds++
				case err == nil && got == then.want:
					news++
				case err == nil:
					t.Fatalf("moment %d: A WRONG FINGERPRINT: %v, neither %v nor %v", moment, got, l.tree.want, then.want)
				default:
					changed++
					l.hold(t, got, err, source.ErrChanged, key)
				}
			}
			// Whether a reading was over by then, or under way, is chance.
			if olds+changed == 0 || news == 0 {
				t.Errorf("%d times the tree before, %d after, %d errors: a replacing before and one after the listing should come", olds, news, changed)
			}
		})
	}
}

// token is where a listing goes on.
var token = regexp.MustCompile(`<(?:NextContinuationToken|NextKeyMarker|NextVersionIdMarker)>.*?</(?:NextContinuationToken|NextKeyMarker|NextVersionIdMarker)>`)

// A listing that ends at any place, without a word that it is cut, never passes
// for a shorter one.
func TestListingCutAtEveryPlace(t *testing.T) {
	p := storetest.S3(t).Proxy(t)
	p.Setenv(t)
	bucket.Hurry(t)
	for _, versioned := range []bool{false, true} {
		t.Run(fmt.Sprintf("versioned=%v", versioned), func(t *testing.T) {
			l := newLab(t, p, versioned, openS3, map[string][]byte{"a": {1}, "b": {2}, "c": {3}})
			list := func() (keys []string, err error) {
				// Anew each time: a store that was once answered with no listing at
				// all lists without versions from then on.
				st, err := l.open(context.Background(), l.name)
				if err != nil {
					t.Fatal(err)
				}
				defer st.Close()
				err = st.List(context.Background(), "", "", func(items []bucket.Item) error {
					for _, it := range items {
						keys = append(keys, it.Key)
					}
					return nil
				})
				return keys, err
			}
			length := 0
			l.Clear()
			l.On(storetest.Rule{Match: storetest.Listing, Times: 1, Do: storetest.Edit(func(_ *storetest.Exchange, _ http.Header, b []byte) []byte {
				length = len(b)
				return b
			})})
			if keys, err := list(); err != nil || len(keys) != 3 || length < 300 {
				t.Fatalf("%q, %v, of %d bytes", keys, err, length)
			}
			step := 13
			if few() {
				step = 50
			}
			for at := 0; at < length-1; at += step {
				l.Clear()
				l.On(storetest.Rule{Match: storetest.Listing, Do: storetest.Unframed(int64(at))})
				if keys, err := list(); err == nil {
					t.Errorf("cut after %d of %d bytes it lists %q", at, length, keys)
				}
			}
		})
	}
}

// More than a page of objects, and pages that come twice or in another order.
func TestPages(t *testing.T) {
	if few() {
		t.Skip("it writes a thousand objects")
	}
	p := storetest.S3(t).Proxy(t)
	p.Setenv(t)
	bucket.Hurry(t)
	files := map[string][]byte{}
	for i := range 1050 { // a page has a thousand
		files[fmt.Sprintf("d/%04d", i)] = []byte{byte(i)}
	}
	l := newLab(t, p, true, openS3, files)
	for _, versioned := range []bool{false, true} {
		t.Run(fmt.Sprintf("versioned=%v", versioned), func(t *testing.T) {
			second := func(x *storetest.Exchange) bool {
				return x.Listing() && (x.Query.Has("continuation-token") || x.Query.Has("key-marker"))
			}
			for _, c := range []struct {
				name  string
				match func(x *storetest.Exchange) bool
				do    storetest.Fault
				class error
				path  string
				maybe bool // the right fingerprint will do too
			}{
				{"SecondDropped", second, storetest.Cycle(storetest.Drop, storetest.Truncate(5000), storetest.Refuse(503, 1), storetest.Pass), nil, "", false},
				// The second page is the first again.
				{"Repeated", storetest.Listing, storetest.Repeat(), source.ErrOrder, l.URL(l.name, "d/0000"), false},
				// The store says that there is more, and not where: of versions, the
				// last key says it.
				{"LostItsWay", storetest.Listing, storetest.Edit(func(_ *storetest.Exchange, _ http.Header, b []byte) []byte {
					return token.ReplaceAll(b, nil)
				}), errAny, l.URL(l.name, ""), versioned},
			} {
				l.Clear()
				if !versioned {
					// Whoever may not ask for versions goes without.
					l.On(storetest.Rule{Match: func(x *storetest.Exchange) bool { return x.Query.Has("versioning") }, Do: storetest.Refuse(403, -1)})
				}
				met := l.On(storetest.Rule{Match: c.match, Do: c.do})
				got, err := l.scan()
				if met.Times() == 0 {
					t.Errorf("%s: no request met it", c.name)
				}
				if c.maybe && err == nil {
					c.class = nil
				}
				l.hold(t, got, err, c.class, c.path)
			}
		})
	}
}

// A store that stops in its middle and keeps the connection is given up after a
// while, and asked again.
func TestSilence(t *testing.T) {
	everyStore(t, func(t *testing.T, few, ranges *lab) {
		bucket.Impatient(t, 300*time.Millisecond)
		for _, f := range []fault{
			{name: "BeforeTheAnswer", match: storetest.Key(small), do: storetest.Hang},
			{name: "InItsMiddle", large: true, match: storetest.Key(large), do: storetest.Stall(100_000)},
			{name: "InTheListing", match: storetest.Listing, do: storetest.Stall(100)},
		} {
			l := few
			if f.large {
				l = ranges
			}
			l.Clear()
			met := l.On(storetest.Rule{Match: f.match, Times: 1, Do: f.do})
			got, err := l.scan()
			if met.Times() != 1 {
				t.Errorf("%s: met %d times", f.name, met.Times())
			}
			l.hold(t, got, err, nil, "")
		}
	}, "Azure") // whose connections are the same, and whose SDK waits by itself
}

// Whoever stops waiting gets why, and nothing is left waiting for the store.
func TestStoppedWhileTheStoreHangs(t *testing.T) {
	everyStore(t, func(t *testing.T, _, l *lab) {
		for _, match := range []func(*storetest.Exchange) bool{storetest.Listing, storetest.Key(small), storetest.Key(large)} {
			ctx, stop := context.WithCancelCause(context.Background())
			enough := errors.New("enough")
			l.Clear()
			l.On(storetest.Rule{Match: match, Do: func(x *storetest.Exchange) {
				stop(enough)
				storetest.Hang(x)
			}})
			if _, err := scanned(ctx, l.open, l.name); !errors.Is(err, enough) {
				t.Errorf("the scan ended with %v", err)
			}
			stop(nil)
		}
	})
}

// few reports whether fewer faults should be tried.
func few() bool { return testing.Short() || raceDetector }
