package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/internal/ledger/ledgertest"
	"github.com/stele-ml/stele/internal/solo"
	"github.com/stele-ml/stele/statement"
)

// five are the contracts in force, as they come with stele. Of these, licence judges
// every stamp; the others are asked whether they are about it.
var five = []string{"inputs-clean", "licence", "metrics-floor", "separation-of-duty", "two-approvals"}

// perSecondBound is how many envelopes a second are signed beforehand.
const perSecondBound = 8000

// owned is a ledger of its own with its owner's key.
type owned struct {
	dir    string
	env    []string
	bin    string
	maker  ledgertest.Maker
	signer statement.Signer
	key    string // of the log
}

func newOwned(ctx context.Context, bin, dir string) (*owned, error) {
	o := &owned{dir: dir, bin: bin, env: []string{
		"STELE_CONFIG=" + filepath.Join(dir, "config"), "STELE_STATE=" + filepath.Join(dir, "state"), "STELE_LEDGER=" + filepath.Join(dir, ".stele"),
	}}
	if err := o.stele(ctx, "init", dir, "--handle", "ada", "--recovery-out", filepath.Join(dir, "recovery.pem")); err != nil {
		return nil, err
	}
	for _, name := range five {
		file := name + ".yaml"
		if err := o.stele(ctx, "contract", "new", name, "-o", file); err != nil {
			return nil, err
		}
		if err := o.stele(ctx, "contract", "put", file, "--yes"); err != nil {
			return nil, err
		}
	}
	info, err := solo.ReadInfo(filepath.Join(dir, ".stele"))
	if err != nil {
		return nil, err
	}
	o.maker.Ledger = info.ID
	text, err := os.ReadFile(filepath.Join(dir, "config", "keys", "default.pem"))
	if err != nil {
		return nil, err
	}
	if o.signer, err = statement.ParsePrivateKey(text, rand.Reader, nil); err != nil {
		return nil, err
	}
	c := exec.CommandContext(ctx, bin, "trust", "export") // before a server has the ledger
	c.Dir, c.Env = dir, append(os.Environ(), o.env...)
	policy, err := c.Output()
	if err != nil {
		return nil, fmt.Errorf("stele trust export: %w", err)
	}
	trust, err := evidence.ParsePolicy(policy)
	if err != nil {
		return nil, err
	}
	o.key = trust.Logs[0].Key.String()
	return o, nil
}

func (o *owned) stele(ctx context.Context, args ...string) error {
	c := exec.CommandContext(ctx, o.bin, args...)
	c.Dir, c.Env = o.dir, append(os.Environ(), o.env...)
	if out, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("stele %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return nil
}

// envelope is the body of a submission: a stamp that all contracts let pass.
func (o *owned) envelope(name string, n uint64) ([]byte, error) {
	v := fmt.Sprint(n)
	return json.Marshal(o.maker.Stamp(o.signer, o.maker.Ref(name, v, name+v), func(s *statement.Stamp) {
		s.Annotations = map[string]string{"licence": "MIT"}
	}))
}

func measureStele(ctx context.Context, bin programs, dir string, writers int) ([]row, error) {
	o, err := newOwned(ctx, bin.stele, dir)
	if err != nil {
		return nil, err
	}
	bodies := make([][]byte, int(duration.Seconds())*perSecondBound+writers)
	for i := range bodies {
		if bodies[i], err = o.envelope("team/data", uint64(i)); err != nil {
			return nil, err
		}
	}
	address, err := freePort()
	if err != nil {
		return nil, err
	}
	p, err := start(dir, o.env, bin.stele, "serve", "--listen", address, "--rate-address", "0", "--rate-identity", "0",
		"--max-address-connections", "4096", "--max-reads", "1024", "--log-level", "warn")
	if err != nil {
		return nil, err
	}
	defer p.stop()
	url := "http://" + address
	if err := p.ready(ctx, url+"/health/ready"); err != nil {
		return nil, err
	}
	post := poster(writers)
	// The receipt has a checkpoint that covers the entry, and GET /checkpoint shows it
	// or a newer one from then on: it is published.
	r, err := load(p, writers, func(n int) error {
		if n >= len(bodies) {
			return errUsedUp
		}
		return post(ctx, url+"/v1/entries", "application/json", bodies[n])
	})
	if err != nil {
		return nil, fmt.Errorf("stele: %w: %s", err, &p.said)
	}
	r.what = "stele serve, submitted"
	rows := []row{r}
	for _, read := range []struct{ what, path string }{
		{"stele serve, a full tile read", "/tile/0/000"},
		{"stele serve, a proof of inclusion read", "/v1/proofs/inclusion?index=7"},
	} {
		get := getter(writers)
		r, err := load(p, writers, func(int) error { return get(ctx, url+read.path) })
		if err != nil {
			return nil, fmt.Errorf("%s: %w", read.what, err)
		}
		r.what, r.p50, r.p99 = read.what, 0, 0
		rows = append(rows, r)
	}
	if !*hammered {
		return rows, nil
	}
	hammer, err := o.hammer(ctx, bin, p, url, writers)
	return append(rows, hammer), err
}

// poster posts over connections that are kept, one for each writer.
func poster(writers int) func(ctx context.Context, url, media string, body []byte) error {
	c := keeping(writers)
	return func(ctx context.Context, url, media string, body []byte) error {
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
		if err != nil {
			return err
		}
		r.Header.Set("Content-Type", media)
		return answered(c.Do(r))
	}
}

func getter(writers int) func(ctx context.Context, url string) error {
	c := keeping(writers)
	return func(ctx context.Context, url string) error {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		return answered(c.Do(r))
	}
}

func keeping(writers int) *http.Client {
	return &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: writers, MaxIdleConns: writers}, Timeout: time.Minute}
}

func answered(resp *http.Response, err error) error {
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode/100 != 2 {
		err = fmt.Errorf("status %d: %.300s", resp.StatusCode, body)
	}
	return err
}

var errUsedUp = fmt.Errorf("all envelopes are used up: raise perSecondBound")

// load does something from that many goroutines for the length of a run.
func load(p *process, writers int, do func(n int) error) (row, error) {
	before, err := p.cpu()
	if err != nil {
		return row{}, err
	}
	var next atomic.Int64
	var failed atomic.Pointer[error]
	took := make([][]time.Duration, writers)
	begin := time.Now()
	var all sync.WaitGroup
	for w := range writers {
		all.Go(func() {
			for time.Since(begin) < *duration && failed.Load() == nil {
				asked := time.Now()
				if err := do(int(next.Add(1) - 1)); err != nil {
					failed.Store(&err)
					return
				}
				took[w] = append(took[w], time.Since(asked))
			}
		})
	}
	all.Wait()
	length := time.Since(begin)
	if err := failed.Load(); err != nil {
		return row{}, *err
	}
	flat := slices.Concat(took...)
	slices.Sort(flat)
	after, err := p.cpu()
	if err != nil {
		return row{}, err
	}
	memory, err := p.memory()
	n := len(flat)
	return row{
		writers: writers, perSecond: float64(n) / length.Seconds(), p50: flat[n/2], p99: flat[n*99/100],
		cpu: (after - before) / time.Duration(n), memory: memory,
	}, err
}
