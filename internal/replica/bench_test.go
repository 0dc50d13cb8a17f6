package replica_test

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/stele-ml/stele/internal/ledger/ledgertest"
	"github.com/stele-ml/stele/internal/replica"
)

// BenchmarkCatchUp replays a served ledger of P-256 stamps to an empty disk, over
// loopback; the server is in the same process.
func BenchmarkCatchUp(b *testing.B) {
	const entries = 20_000
	for _, block := range []int{1, 64} {
		b.Run(fmt.Sprintf("commits of %d", block), func(b *testing.B) {
			l := ledgertest.New(b)
			for envs := l.Stamps(l.Ada, "data", entries); len(envs) > 0; {
				k := min(len(envs), block)
				l.Put(envs[:k]...)
				envs = envs[k:]
			}
			s := serve(b, l)
			for b.Loop() {
				r, err := replica.Open(b.Context(), options(s, filepath.Join(b.TempDir(), "m")))
				if err == nil {
					err = r.CatchUp(b.Context())
				}
				if err != nil {
					b.Fatal(err)
				}
				if err := r.Close(); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(entries*float64(b.N)/b.Elapsed().Seconds(), "entries/s")
		})
	}
}
