package audit

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stele-ml/stele/fingerprint"
)

// The odds, by simulation. The seeds are fixed, so that a test that passes once
// passes always; the interval is four standard deviations of the binomial
// distribution to either side, within which all but one in 15,000 right
// implementations would lie.

func within(hits, of int, p float64) bool {
	n := float64(of)
	return math.Abs(float64(hits)-n*p) <= 4*math.Sqrt(n*p*(1-p))
}

func seedNumber(i int) (s Seed) {
	binary.BigEndian.PutUint64(s[:], uint64(i))
	return s
}

// lopsided are many small files of many sizes beside a few huge ones: 2,000 of
// up to 20 KB in 21 MB, and three of 40 MiB and 17 bytes.
func lopsided() []fingerprint.File {
	var files []fingerprint.File
	for i := range 2000 {
		files = append(files, fingerprint.File{Path: fmt.Sprintf("a/%04d", i), Size: uint64(1 + (i*7919)%20_000)})
	}
	for i := range 3 {
		files = append(files, fingerprint.File{Path: fmt.Sprintf("b/%d", i), Size: 40*chunk + 17})
	}
	return files
}

// chunkAt is a chunk in the concatenation of all files.
type chunkAt struct {
	file  int
	start uint64
	n     uint64
}

func chunksOf(files []fingerprint.File) (all []chunkAt) {
	at := uint64(0)
	for i, f := range files {
		for c := range fingerprint.ChunkCount(f.Size) {
			all = append(all, chunkAt{i, at + c*chunk, uint64(fingerprint.ChunkLen(f.Size, c))})
		}
		at += f.Size
	}
	return all
}

// alterations are ways to alter some of the chunks of lopsided.
var alterations = []struct {
	name    string
	altered func(i int, c chunkAt) bool
}{
	{"small files alone, half of them", func(_ int, c chunkAt) bool { return c.file < 1000 }},
	{"small files alone, a few", func(_ int, c chunkAt) bool { return c.file < 2000 && c.file%40 == 0 }},
	{"one chunk of a huge file", func(_ int, c chunkAt) bool { return c.file == 2001 && c.n == chunk && c.start%(37*chunk) < chunk }},
	{"a whole huge file", func(_ int, c chunkAt) bool { return c.file == 2002 }},
	{"the last 17 bytes of all", func(_ int, c chunkAt) bool { return c.file >= 2000 && c.n == 17 }},
	{"every tenth chunk", func(i int, _ chunkAt) bool { return i%10 == 0 }},
}

// altered returns which chunks are altered, by where they begin, and which share
// of the bytes they hold.
func altered(all []chunkAt, by func(int, chunkAt) bool) (starts map[uint64]bool, share float64) {
	starts = map[uint64]bool{}
	bytes, total := uint64(0), uint64(0)
	for i, c := range all {
		total += c.n
		if by(i, c) {
			starts[c.start] = true
			bytes += c.n
		}
	}
	return starts, float64(bytes) / float64(total)
}

func TestSimulatedOdds(t *testing.T) {
	if testing.Short() {
		t.Skip("it draws thousands of times, one after another")
	}
	const seeds = 2000
	files := lopsided()
	total, all := totalOf(files), chunksOf(files)
	for _, c := range alterations {
		bad, share := altered(all, c.altered)
		if share == 0 {
			t.Fatalf("%s: nothing is altered", c.name)
		}
		// So many draws that it is found now and then, half the time, nearly always.
		for _, p := range []float64{0.1, 0.5, 0.99} {
			draws := uint64(max(1, math.Round(math.Log1p(-p)/math.Log1p(-share))))
			rare := draws > uint64(len(all))/2 // with more draws all would be read
			if rare {
				draws = uint64(len(all)) / 2
			}
			want, hits := Detection(share, draws), 0
			for i := range seeds {
				plan, err := Draw(seq(files), total, seedNumber(i), draws)
				if err != nil {
					t.Fatal(err)
				}
				for _, s := range plan.starts {
					if bad[s] {
						hits++
						break
					}
				}
			}
			t.Logf("%s, %.3g%% of the bytes, %d draws: found %d of %d times, %.1f expected", c.name, 100*share, draws, hits, seeds, want*seeds)
			if !within(hits, seeds, want) {
				t.Errorf("%s: %d of %d, expected %.1f", c.name, hits, seeds, want*seeds)
			}
			if rare {
				break
			}
		}
	}
}

// TestUnweightedDrawsWouldNotDo: the simulation can tell a draw of files, or of
// chunks whatever their length, from one of bytes.
func TestUnweightedDrawsWouldNotDo(t *testing.T) {
	const seeds, draws = 3000, 5
	files := lopsided()
	all := chunksOf(files)
	var first []int // chunk of each file
	for i, c := range all {
		if c.file == len(first) {
			first = append(first, i)
		}
	}
	first = append(first, len(all))
	r := rand.New(rand.NewPCG(1, 2))
	for name, one := range map[string]func() int{
		"files": func() int {
			f := r.IntN(len(files))
			return first[f] + r.IntN(first[f+1]-first[f])
		},
		"chunks": func() int { return r.IntN(len(all)) },
	} {
		for _, c := range alterations[:4] {
			bad, share := altered(all, c.altered)
			hits := 0
			for range seeds {
				for range draws {
					if bad[all[one()].start] {
						hits++
						break
					}
				}
			}
			if want := Detection(share, draws); within(hits, seeds, want) {
				t.Errorf("%s, drawn by %s: %d of %d, where by bytes it is %.1f", c.name, name, hits, seeds, want*seeds)
			}
		}
	}
}

// TestEveryByteIsAsLikely: the drawn positions fill the whole evenly.
func TestEveryByteIsAsLikely(t *testing.T) {
	const bins, draws = 100, 200_000
	// A total of two thirds of 2^64, where a draw without rejection would be
	// twice as likely in the first half.
	for _, total := range []uint64{1_000_003, 12_297_829_382_473_034_411} {
		var count [bins]float64
		for _, p := range (Seed{9}).positions(total, draws) {
			count[p/(total/bins+1)]++
		}
		chi := 0.0
		for _, c := range count {
			chi += (c - draws/bins) * (c - draws/bins) / (draws / bins)
		}
		// 99 degrees of freedom: above 161 in one of 10,000.
		if chi > 161 {
			t.Errorf("of %d: chi-squared %.1f", total, chi)
		}
	}
}

// TestSimulatedAudits: Run finds something exactly when the plan holds an
// altered chunk, and so as often as the odds say.
func TestSimulatedAudits(t *testing.T) {
	const seeds, draws = 120, 12
	var objects []object
	for i := range 300 {
		objects = append(objects, object{path: fmt.Sprintf("a/%03d", i), size: uint64(100 + i*97)})
	}
	for i := range 2 {
		objects = append(objects, object{path: fmt.Sprintf("b/%d", i), size: 2*chunk + 1000})
	}
	files := filesOf(algorithm, objects)
	total, all := totalOf(files), chunksOf(files)
	bad, share := altered(all, func(i int, c chunkAt) bool { return i%25 == 0 })
	at := uint64(0)
	for i := range objects {
		o := &objects[i]
		alter(o)
		for c := range fingerprint.ChunkCount(o.size) {
			if bad[at+c*chunk] {
				o.altered[c] = true
			}
		}
		at += o.size
	}
	hits := 0
	for i := range seeds {
		plan, err := Draw(seq(files), total, seedNumber(i), draws)
		if err != nil {
			t.Fatal(err)
		}
		want := uint64(0)
		for _, s := range plan.starts {
			if bad[s] {
				want++
			}
		}
		res, err := Run(context.Background(), &memory{objects: objects, sizes: true}, seq(files), plan, Options{Algorithm: algorithm}, nil)
		if err != nil || res.ChunksAltered != want || res.Held() != (want == 0) || res.ChunksRead != plan.ToRead {
			t.Fatalf("seed %d: %+v, %v; want %d altered chunks", i, res, err, want)
		}
		if want > 0 {
			hits++
		}
	}
	if want := Detection(share, draws); !within(hits, seeds, want) {
		t.Errorf("found %d of %d times, expected %.1f", hits, seeds, want*seeds)
	}
}
