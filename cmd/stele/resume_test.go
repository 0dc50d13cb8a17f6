package main

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stele-ml/stele/internal/source/storetest"
)

// noter runs commands in this process, in a home of its own; every scan begins
// at once to note what it has read.
type noter struct {
	t    *testing.T
	home string
}

func (p *noter) stele(ctx context.Context, args ...string) (status int, stdout, stderr string) {
	p.t.Helper()
	env := homeOf(p.home)
	var out, errs bytes.Buffer
	a := newApp(strings.NewReader(""), &out, &errs, func(name string) string { return env[name] })
	a.rememberAfter = 1
	status = a.run(ctx, args)
	return status, out.String(), errs.String()
}

// A scan of a bucket that is interrupted goes on where it stopped the next
// time; what changed meanwhile is read again, and with --fresh everything.
func TestInterruptedGoesOn(t *testing.T) {
	store := storetest.S3(t)
	bucket := store.NewBucket(t, true)
	proxy := store.Proxy(t)
	proxy.Setenv(t)
	random := rand.NewChaCha8([32]byte{1})
	data := func(n int) []byte {
		b := make([]byte, n)
		_, _ = random.Read(b)
		return b
	}
	const small, files = 10_000, 200
	for i := range files {
		store.Put(t, bucket, fmt.Sprintf("data/part-%03d", i), data(small))
	}
	store.Put(t, bucket, "data/large", data(40<<20))
	place := store.URL(bucket, "data")
	p := &noter{t: t, home: t.TempDir()}

	interrupt := func() {
		t.Helper()
		proxy.Clear()
		ctx, cancel := context.WithCancel(t.Context())
		proxy.On(storetest.Rule{Match: storetest.Reading, After: files * 3 / 4, Do: func(x *storetest.Exchange) {
			cancel()
			x.Drop()
		}})
		status, _, stderr := p.stele(ctx, "fingerprint", place)
		if status != exitError || !strings.Contains(stderr, "interrupted; run it again to go on where it stopped") {
			t.Fatalf("status %d: %s", status, stderr)
		}
		proxy.Clear()
	}
	// Requests of an interrupted run may still come in, and a range may be asked
	// for twice: what counts is of which objects something was read.
	objects := func() int {
		keys := map[string]bool{}
		for _, r := range proxy.Requests() {
			if r.Method == "GET" && r.Key != "" {
				keys[r.Key] = true
			}
		}
		return len(keys)
	}
	whole := func(args ...string) (fingerprint, notes string, reads int) {
		t.Helper()
		proxy.Clear()
		status, stdout, stderr := p.stele(t.Context(), append([]string{"fingerprint", place}, args...)...)
		if status != exitHolds {
			t.Fatalf("status %d: %s", status, stderr)
		}
		return stdout, stderr, objects()
	}
	want, _, all := whole()
	if all != files+1 {
		t.Fatalf("%d objects were read of %d", all, files+1)
	}

	interrupt()
	got, notes, reads := whole()
	if got != want || reads >= all || !strings.Contains(notes, "had been read before an interruption") {
		t.Errorf("%s, %d objects of %d: %s", got, reads, all, notes)
	}
	// The journal is gone with the scan that ended well.
	if got, notes, reads := whole(); got != want || reads != all || strings.Contains(notes, "interruption") {
		t.Errorf("%s, %d objects of %d: %s", got, reads, all, notes)
	}

	interrupt()
	if got, notes, reads := whole("--fresh"); got != want || reads != all || strings.Contains(notes, "interruption") {
		t.Errorf("--fresh: %s, %d objects of %d: %s", got, reads, all, notes)
	}

	// A verification rests on nothing that another command has read.
	ledger := t.TempDir()
	for _, args := range [][]string{{"init", ledger}, {"stamp", place, "--as", "lab/data@1", "--ledger", ledger}} {
		if status, _, stderr := p.stele(t.Context(), args...); status != exitHolds {
			t.Fatal(stderr)
		}
	}
	interrupt()
	if status, _, stderr := p.stele(t.Context(), "verify", "lab/data@1", "--ledger", ledger); status != exitHolds || objects() != all || strings.Contains(stderr, "interruption") {
		t.Errorf("verify: status %d, %d objects of %d: %s", status, objects(), all, stderr)
	}

	// Data without a name is looked up by its fingerprint, and then verified: it
	// is read once.
	copied := store.NewBucket(t, false)
	for i := range files {
		store.Put(t, copied, fmt.Sprintf("part-%03d", i), data(small))
	}
	if status, _, stderr := p.stele(t.Context(), "stamp", store.URL(copied, ""), "--as", "lab/copied@1", "--no-details", "--ledger", ledger); status != exitHolds {
		t.Fatal(stderr)
	}
	proxy.Clear()
	status, _, stderr := p.stele(t.Context(), "verify", store.URL(copied, ""), "--ledger", ledger)
	if status != exitHolds || proxy.Reads() >= 2*files || strings.Contains(stderr, "interruption") {
		t.Errorf("verify without a name: status %d, %d reads of %d objects: %s", status, proxy.Reads(), files, stderr)
	}

	// What changed after it was read is read again.
	for i := range files {
		store.Put(t, bucket, fmt.Sprintf("data/part-%03d", i), data(small))
	}
	changed, _, _ := whole()
	if changed == want {
		t.Error("what changed after the interruption was not read again")
	}
	p.home = t.TempDir() // nothing is remembered here
	if again, _, _ := whole(); again != changed {
		t.Errorf("%s after an interruption, %s without", changed, again)
	}
}
