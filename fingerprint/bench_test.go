package fingerprint

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"iter"
	"runtime"
	"slices"
	"testing"

	zeebo "github.com/zeebo/blake3"
)

var benchSizes = []int{33, 100, 1 << 10, 3 << 10, 6000, 8 << 10, 10 << 10, 16 << 10, 110_000, ChunkSize}

// BenchmarkSum: bytes per second of one thread, and allocations.
func BenchmarkSum(b *testing.B) {
	for _, a := range algorithms {
		for _, n := range benchSizes {
			b.Run(fmt.Sprintf("%v/%d", a, n), func(b *testing.B) {
				p := make([]byte, n)
				b.SetBytes(int64(n))
				b.ReportAllocs()
				for b.Loop() {
					a.Sum(p)
				}
			})
		}
	}
}

// BenchmarkSumZeebo is the kernel that BLAKE3 uses for some lengths, for all.
func BenchmarkSumZeebo(b *testing.B) {
	for _, n := range benchSizes {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			p := make([]byte, n)
			b.SetBytes(int64(n))
			for b.Loop() {
				zeebo.Sum256(p)
			}
		})
	}
}

func BenchmarkStream(b *testing.B) {
	for _, a := range algorithms {
		b.Run(a.String(), func(b *testing.B) {
			p := make([]byte, ChunkSize)
			h := a.New()
			b.SetBytes(int64(len(p)))
			for b.Loop() {
				h.Write(p)
			}
		})
	}
}

// BenchmarkFileDigest is per file of 1 GiB, from its chunk digests.
func BenchmarkFileDigest(b *testing.B) {
	for _, a := range algorithms {
		b.Run(a.String(), func(b *testing.B) {
			chunks := make([]Digest, 1024)
			b.ReportAllocs()
			for b.Loop() {
				a.FileDigest(1<<30, chunks)
			}
		})
	}
}

// record is the i-th of the benchmarks' files: a path of some 40 bytes.
func record(i int) File {
	f := File{Path: fmt.Sprintf("train/part-%05d/image-%08d.jpeg", i/1000, i), Size: uint64(i%100_000) + 1}
	binary.BigEndian.PutUint64(f.Digest[:], uint64(i)*0x9E3779B97F4A7C15)
	return f
}

func records(n int) iter.Seq2[File, error] {
	return func(yield func(File, error) bool) {
		for i := range n {
			if !yield(record(i), nil) {
				return
			}
		}
	}
}

// bulk is one benchmark over n records made before, so that an operation is a
// record.
func bulk(b *testing.B, run func(b *testing.B, a Algorithm, files []File)) {
	const n = 100_000
	files := make([]File, n)
	for i := range files {
		files[i] = record(i)
	}
	for _, a := range algorithms {
		b.Run(a.String(), func(b *testing.B) {
			b.ReportAllocs()
			run(b, a, files)
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/record")
		})
	}
}

func BenchmarkTree(b *testing.B) {
	bulk(b, func(b *testing.B, a Algorithm, files []File) {
		for b.Loop() {
			t := NewTree(a)
			for i := range files {
				if err := t.Add(files[i]); err != nil {
					b.Fatal(err)
				}
			}
		}
	})
}

func BenchmarkWriter(b *testing.B) {
	bulk(b, func(b *testing.B, a Algorithm, files []File) {
		for b.Loop() {
			w := NewWriter(io.Discard, a, WriterOptions{})
			for i := range files {
				if err := w.Add(files[i]); err != nil {
					b.Fatal(err)
				}
			}
			if _, err := w.Close(); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkReader(b *testing.B) {
	bulk(b, func(b *testing.B, a Algorithm, files []File) {
		data := writeManifest(b, a, files, false)
		b.SetBytes(int64(len(data)))
		for b.Loop() {
			r, err := NewReader(bytes.NewReader(data), Fingerprint{})
			if err != nil {
				b.Fatal(err)
			}
			for _, err := range r.All() {
				if err != nil {
					b.Fatal(err)
				}
			}
		}
	})
}

func BenchmarkDiffSame(b *testing.B) {
	bulk(b, func(b *testing.B, _ Algorithm, files []File) {
		for b.Loop() {
			if _, err := Diff(seq(files), seq(files), func(Change) error { return nil }); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkDiffMoved is the dearest comparison: every file has moved.
func BenchmarkDiffMoved(b *testing.B) {
	bulk(b, func(b *testing.B, _ Algorithm, files []File) {
		moved := slices.Clone(files)
		for i := range moved {
			moved[i].Path = "z" + moved[i].Path
		}
		for b.Loop() {
			if _, err := Diff(seq(files), seq(moved), func(Change) error { return nil }); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkProvePath(b *testing.B) {
	bulk(b, func(b *testing.B, a Algorithm, files []File) {
		for b.Loop() {
			if _, err := ProvePath(a, seq(files), files[len(files)/3].Path); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkVerifyPath(b *testing.B) {
	files := make([]File, 100_000)
	for i := range files {
		files[i] = record(i)
	}
	for _, a := range algorithms {
		b.Run(a.String(), func(b *testing.B) {
			fp := summaryOf(b, a, files).Fingerprint(a)
			p, err := ProvePath(a, seq(files), files[50_000].Path)
			if err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				if _, err := p.Verify(fp); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkTenMillion writes, reads and compares a manifest of ten million
// records, once, and reports the memory in use at the end of each step. Run it
// by name, with -benchtime 1x.
func BenchmarkTenMillion(b *testing.B) {
	const n = 10_000_000
	for _, a := range algorithms {
		var size counter
		b.Run(a.String()+"/write", func(b *testing.B) {
			for b.Loop() {
				size = 0
				w := NewWriter(&size, a, WriterOptions{})
				for f := range records(n) {
					if err := w.Add(f); err != nil {
						b.Fatal(err)
					}
				}
				reportHeap(b)
				if _, err := w.Close(); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(size), "manifest-bytes")
		})
		b.Run(a.String()+"/read", func(b *testing.B) {
			for b.Loop() {
				pr, pw := io.Pipe()
				go func() {
					w := NewWriter(pw, a, WriterOptions{})
					for f := range records(n) {
						w.Add(f)
					}
					_, err := w.Close()
					pw.CloseWithError(err)
				}()
				r, err := NewReader(pr, Fingerprint{})
				if err != nil {
					b.Fatal(err)
				}
				for _, err := range r.All() {
					if err != nil {
						b.Fatal(err)
					}
				}
				reportHeap(b)
			}
		})
	}
	b.Run("diff", func(b *testing.B) {
		for b.Loop() {
			if _, err := Diff(records(n), records(n), func(Change) error { return nil }); err != nil {
				b.Fatal(err)
			}
			reportHeap(b)
		}
	})
}

type counter int64

func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}

func reportHeap(b *testing.B) {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	b.ReportMetric(float64(m.HeapAlloc)/(1<<20), "heap-MiB")
}
