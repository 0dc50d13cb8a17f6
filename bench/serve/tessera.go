package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/stele-ml/stele/evidence"
)

// entryBytes is how long the entries are that Tessera gets: about as long as our
// stamps.
const entryBytes = 700

func measureTessera(ctx context.Context, bin programs, dir string, writers int) ([]row, error) {
	secret, public, err := note.GenerateKey(rand.Reader, "tessera.example/log")
	if err != nil {
		return nil, err
	}
	key := filepath.Join(dir, "key")
	if err := os.WriteFile(key, []byte(secret), 0o600); err != nil {
		return nil, err
	}
	address, err := freePort()
	if err != nil {
		return nil, err
	}
	p, err := start(dir, nil, bin.tessera, "--storage_dir", filepath.Join(dir, "log"), "--listen", address, "--private_key", key)
	if err != nil {
		return nil, err
	}
	defer p.stop()
	base := "http://" + address
	if err := p.ready(ctx, base+"/checkpoint"); err != nil {
		return nil, err
	}
	pub := &publication{url: base + "/checkpoint"}
	pub.cond.L = &pub.mu
	following, stop := context.WithCancel(ctx)
	defer stop()
	go pub.follow(following)
	c := keeping(writers)
	r, err := load(p, writers, func(int) error {
		body := make([]byte, entryBytes)
		_, _ = rand.Read(body) // never fails since Go 1.24
		resp, err := c.Post(base+"/add", "application/octet-stream", strings.NewReader(string(body)))
		if err != nil {
			return err
		}
		text, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || resp.StatusCode != http.StatusOK {
			return errors.Join(err, fmt.Errorf("status %d: %.200s", resp.StatusCode, text))
		}
		index, err := strconv.ParseUint(string(text), 10, 64)
		if err != nil {
			return err
		}
		return pub.wait(index)
	})
	if err != nil {
		return nil, fmt.Errorf("tessera: %w", err)
	}
	r.what = "tessera " + tesseraVersion + " conformance/posix, added and awaited"
	rows := []row{r}
	if !*hammered {
		return rows, nil
	}
	hammer, err := runHammer(ctx, bin, p, base, base, public, writers)
	hammer.what = "tessera " + tesseraVersion + " conformance/posix, by hammer"
	return append(rows, hammer), err
}

// publication follows a log's checkpoint, so that writers can wait for it.
type publication struct {
	url  string
	mu   sync.Mutex
	cond sync.Cond
	size uint64
	err  error
}

// follow asks every few milliseconds: a client that waits does no less.
func (p *publication) follow(ctx context.Context) {
	for {
		size, err := sizeAt(ctx, p.url)
		p.mu.Lock()
		p.size, p.err = max(p.size, size), err
		p.cond.Broadcast()
		p.mu.Unlock()
		select {
		case <-ctx.Done():
			return
		case <-time.After(5 * time.Millisecond):
		}
	}
}

func (p *publication) wait(index uint64) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.size <= index && p.err == nil {
		p.cond.Wait()
	}
	return p.err
}

func sizeAt(ctx context.Context, url string) (uint64, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, err
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err
	}
	cp, _, err := evidence.ReadCheckpoint(text)
	return cp.Size, err
}

// hammer lets Tessera's hammer write to stele: what it posts to /add becomes a stamp
// that is signed here, in this process, and submitted as any other.
func (o *owned) hammer(ctx context.Context, bin programs, p *process, base string, writers int) (row, error) {
	post := poster(writers)
	target, err := url.Parse(base)
	if err != nil {
		return row{}, err
	}
	reads := httputil.NewSingleHostReverseProxy(target)
	var next atomic.Uint64
	var sign sync.Mutex
	mux := http.NewServeMux()
	mux.Handle("GET /", reads)
	mux.HandleFunc("POST /add", func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		sign.Lock() // of the maker's nonces
		body, err := o.envelope("team/hammer", next.Add(1))
		sign.Unlock()
		if err == nil {
			err = post(r.Context(), base+"/v1/entries", "application/json", body)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		fmt.Fprint(w, next.Load()) // hammer only parses it
	})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return row{}, err
	}
	s := &http.Server{Handler: mux, ReadHeaderTimeout: time.Minute}
	go s.Serve(l)
	defer s.Close()
	r, err := runHammer(ctx, bin, p, base, "http://"+l.Addr().String(), o.key, writers)
	r.what = "stele serve, by hammer (stamps signed on its way)"
	return r, err
}

// runHammer runs the hammer for the length of a run and counts what the tree grew by.
func runHammer(ctx context.Context, bin programs, p *process, read, write, key string, writers int) (row, error) {
	first, err := sizeAt(ctx, read+"/checkpoint")
	if err != nil {
		return row{}, err
	}
	before, err := p.cpu()
	if err != nil {
		return row{}, err
	}
	c := exec.CommandContext(ctx, bin.hammer, "--log_url", read+"/", "--write_log_url", write+"/", "--log_public_key", key, "--show_ui=false",
		"--num_writers", strconv.Itoa(writers), "--max_write_ops", "100000", "--leaf_min_size", strconv.Itoa(entryBytes),
		"--num_readers_random", "0", "--num_readers_full", "0", "--max_runtime", duration.String())
	begin := time.Now()
	out, err := c.CombinedOutput()
	length := time.Since(begin)
	var ended *exec.ExitError
	if err != nil && !errors.As(err, &ended) { // it ends with 1 when its time is over
		return row{}, err
	}
	last, err := sizeAt(ctx, read+"/checkpoint")
	if err != nil {
		return row{}, err
	}
	if last <= first {
		return row{}, fmt.Errorf("hammer wrote nothing: %.2000s", out)
	}
	after, err := p.cpu()
	if err != nil {
		return row{}, err
	}
	memory, err := p.memory()
	n := last - first
	return row{writers: writers, perSecond: float64(n) / length.Seconds(), cpu: (after - before) / time.Duration(n), memory: memory}, err
}
