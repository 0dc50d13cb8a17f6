package solo

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stele-ml/stele/statement"
)

// childEnv makes the test binary a writer of the ledger in the directory that
// it names: "<directory> <round>".
const childEnv = "STELE_TEST_CHILD"

func TestMain(m *testing.M) {
	if job := os.Getenv(childEnv); job != "" {
		if err := child(job); err != nil {
			fmt.Println("error", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// killStamps are the round's envelopes: the parent can make them again.
func killStamp(h *home, round, n int) *statement.Envelope {
	h.m.Skip(uint64(round+1)<<32 | uint64(n))
	text := fmt.Sprintf("%d.%d", round, n)
	return h.m.Stamp(h.ada, h.m.Ref("kill", text, "contents "+text))
}

// child writes from several goroutines until it is killed, and says what was
// acknowledged.
func child(job string) error {
	var dir string
	var round int
	if _, err := fmt.Sscan(job, &dir, &round); err != nil {
		return err
	}
	h := homeIn(nil, dir, nil)
	h.opts.Clock = nil
	h.opts.Wait = DefaultWait
	ctx := context.Background()
	key := testKey("1")
	e, err := Create(ctx, h.opts, h.m.Genesis(h.ada, key.VKey()), key)
	if errors.Is(err, ErrExists) {
		e, err = Open(ctx, h.opts)
	}
	if err != nil {
		return err
	}
	h.m.Ledger = e.Info().ID
	fmt.Println("open", e.View().Size())
	var mu sync.Mutex // guards h.m and the output
	var wg sync.WaitGroup
	n := 0
	for range 8 {
		wg.Go(func() {
			for {
				mu.Lock()
				n++
				mine := n
				env := killStamp(h, round, mine)
				mu.Unlock()
				p, err := e.Submit(ctx, env)
				mu.Lock()
				if err != nil {
					fmt.Println("error", err)
				} else {
					fmt.Println("ack", mine, p.Index)
				}
				mu.Unlock()
				if err != nil {
					return
				}
			}
		})
	}
	if round%3 == 0 {
		// The log's key is rotated in the middle of it.
		if _, err := e.RotateLogKey(ctx, h.ada); err != nil {
			return err
		}
	}
	wg.Wait()
	return errors.New("the writers stopped")
}

// TestKill kills a writer under load at random moments, again and again.
// Whatever it acknowledged is there, and nothing else is wrong.
func TestKill(t *testing.T) {
	rounds := 25
	if text := os.Getenv("STELE_TEST_KILLS"); text != "" {
		var err error
		if rounds, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	}
	dir := t.TempDir()
	h := homeIn(t, dir, nil)
	h.opts.Clock = nil
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	acked := map[[2]int]uint64{} // round, number → index
	for round := range rounds {
		killOne(t, dir, round, time.Duration(rng.IntN(60))*time.Millisecond, acked)
		e, err := h.tryOpen()
		if errors.Is(err, ErrNoLedger) && len(acked) == 0 {
			continue
		}
		if err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		for key, index := range acked {
			if key[0] != round && round%5 != 0 {
				continue // looked at before; and again now and then
			}
			entry, err := e.View().Entry(index)
			if err != nil || entry.Envelope.ID() != killStamp(h, key[0], key[1]).ID() {
				t.Fatalf("round %d: the acknowledged entry %d is not there: %v", round, index, err)
			}
		}
		closed(t, e)
		if round%8 == 7 {
			h.sound()
		}
	}
	if len(acked) == 0 {
		t.Fatal("nothing was ever acknowledged")
	}
	r := h.sound()
	t.Logf("%d acknowledged, %d entries, %d checkpoints", len(acked), r.Entries, r.Checkpoints)
}

// killOne runs a writer and kills it a moment after it opened the ledger; in
// some rounds before that.
func killOne(t *testing.T, dir string, round int, after time.Duration, acked map[[2]int]uint64) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s %d", childEnv, dir, round))
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	timer := time.AfterFunc(time.Hour, func() { _ = cmd.Process.Kill() })
	defer timer.Stop()
	if round%5 == 4 {
		timer.Reset(after) // perhaps while it opens
	}
	for lines := bufio.NewScanner(out); lines.Scan(); {
		var n int
		var index uint64
		line := lines.Text()
		if _, err := fmt.Sscanf(line, "ack %d %d", &n, &index); err == nil {
			acked[[2]int{round, n}] = index
			continue
		}
		if _, err := fmt.Sscanf(line, "open %d", &index); err == nil {
			timer.Reset(after)
			continue
		}
		t.Fatalf("round %d: the writer says %q", round, line)
	}
	_ = cmd.Wait()
}

// TestCreateKilled: a crash while a ledger is made leaves none or a whole one.
// Every step's error is in TestEveryWriteFails; this is the process's death.
func TestCreateKilled(t *testing.T) {
	for i := range 10 {
		dir := t.TempDir()
		acked := map[[2]int]uint64{}
		killOne(t, dir, 4, time.Duration(i)*2*time.Millisecond, acked)
		h := homeIn(t, dir, nil)
		h.opts.Clock = nil
		e, err := h.tryOpen()
		if errors.Is(err, ErrNoLedger) {
			if e, err = h.tryCreate(); err != nil {
				t.Fatal(err)
			}
		}
		if err != nil {
			t.Fatal(err)
		}
		h.m.Skip(1 << 60)
		h.submit(e, h.m.Stamp(h.ada, h.m.Ref("after", "1", "x")))
		closed(t, e)
		h.sound()
		if left, _ := filepath.Glob(filepath.Join(h.opts.Dir, fileCreating+"*")); len(left) > 0 {
			t.Fatal(left)
		}
	}
}

// TestCreatingMarkLeft: the process died between the ledger's last file and the
// removal of the mark.
func TestCreatingMarkLeft(t *testing.T) {
	h := homeIn(t, t.TempDir(), nil)
	e, err := h.tryCreate()
	if err != nil {
		t.Fatal(err)
	}
	closed(t, e)
	mark := filepath.Join(h.opts.Dir, fileCreating)
	if err := os.WriteFile(mark, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if e, err = h.tryOpen(); err != nil {
		t.Fatal(err)
	}
	closed(t, e)
	if _, err := os.Stat(mark); !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("the mark is still there: %v", err)
	}
}
