package terminal

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestProgressLine(t *testing.T) {
	term, _ := screen(80, false)
	half := Snapshot{Label: "fingerprint", BytesDone: 21 << 30, BytesTotal: 42 << 30, FilesDone: 12345, FilesTotal: 1000000}
	var b bytes.Buffer
	for _, test := range []struct {
		s       Snapshot
		rate    float64
		elapsed time.Duration
		width   int
	}{
		{Snapshot{Label: "fingerprint"}, 0, 400 * time.Millisecond, 79},
		{Snapshot{Label: "fingerprint", BytesDone: 1 << 20, FilesDone: 3}, 1 << 20, time.Second, 79},
		{half, 1.5 * (1 << 30), 14 * time.Second, 131},
		{half, 1.5 * (1 << 30), 14 * time.Second, 99},
		{half, 1.5 * (1 << 30), 14 * time.Second, 79},
		{half, 1.5 * (1 << 30), 14 * time.Second, 59},
		{half, 1.5 * (1 << 30), 14 * time.Second, 39},
		{half, 0.001, 14 * time.Second, 79},
		{Snapshot{Label: "verify", BytesDone: 5, BytesTotal: 4}, 1, time.Second, 79}, // it grew meanwhile
		{Snapshot{Label: "verify", BytesDone: 1<<30 - 1, BytesTotal: 1 << 30}, 1e9, time.Second, 79},
	} {
		line := term.progressText(test.s, test.rate, test.elapsed, test.width)
		if Columns(line) > test.width {
			t.Errorf("%d columns of %d: %s", Columns(line), test.width, line)
		}
		fmt.Fprintln(&b, line)
	}
	golden(t, "progress", b.Bytes())
}

func TestMeter(t *testing.T) {
	start := time.Unix(1e9, 0)
	m := meter{start: start}
	var rate float64
	for i := 1; i <= 100; i++ { // 100 MB/s for ten seconds
		rate, _ = m.update(start.Add(time.Duration(i)*100*time.Millisecond), uint64(i)*10e6)
	}
	if rate < 99e6 || rate > 101e6 {
		t.Errorf("steady rate %f", rate)
	}
	for i := 1; i <= 100; i++ { // then nothing for ten
		rate, _ = m.update(start.Add(10*time.Second+time.Duration(i)*100*time.Millisecond), 1000e6)
	}
	if rate > 5e6 {
		t.Errorf("the rate after a stall of ten seconds is still %f", rate)
	}
	if rate, _ = m.update(start.Add(21*time.Second), 5); rate < 0 {
		t.Errorf("a count that fell gives the rate %f", rate)
	}
}

// screenBuffer is a buffer that may be read while it is written to.
type screenBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
	ch chan struct{} // told of each write
}

func (s *screenBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case s.ch <- struct{}{}:
	default:
	}
	return s.b.Write(p)
}

// lines returns what is on the screen: text after \r and an erasure.
func (s *screenBuffer) lines() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out strings.Builder
	for _, line := range strings.SplitAfter(s.b.String(), "\n") {
		if i := strings.LastIndex(line, "\r"); i >= 0 {
			line = strings.ReplaceAll(line[i+1:], "\x1b[K", "")
		}
		out.WriteString(line)
	}
	return out.String()
}

func TestProgressCleansUp(t *testing.T) {
	term, _ := screen(80, false)
	b := &screenBuffer{ch: make(chan struct{}, 1)}
	term.out.w, term.err.w = b, b
	stop := term.Progress(t.Context(), func() Snapshot { return Snapshot{Label: "scan", FilesDone: 3} })
	<-b.ch // the line is there
	for !strings.Contains(b.lines(), "scan") {
		<-b.ch
	}
	term.Warnf("careful")
	term.Println("a result")
	if got := b.lines(); !strings.HasPrefix(got, "warning: careful\na result\nscan") {
		t.Errorf("with the line: %q", got)
	}
	second := term.Progress(t.Context(), func() Snapshot { t.Error("a second line was asked about"); return Snapshot{} })
	second()
	stop()
	stop()
	if got := b.lines(); got != "warning: careful\na result\n" {
		t.Errorf("after it: %q", got)
	}
}

func TestProgressEndsWithContext(t *testing.T) {
	term, _ := screen(80, false)
	b := &screenBuffer{ch: make(chan struct{}, 1)}
	term.err.w = b
	ctx, cancel := context.WithCancel(t.Context())
	stop := term.Progress(ctx, func() Snapshot { return Snapshot{Label: "scan"} })
	<-b.ch
	cancel()
	stop()
	if got := b.lines(); got != "" {
		t.Errorf("left behind: %q", got)
	}
}

func TestNoProgressInAPipe(t *testing.T) {
	quiet, _ := screen(80, false)
	quiet.SetQuiet(true)
	dumb, _ := screen(80, false)
	dumb.err.dumb = true
	pipe, _ := screen(0, false)
	for name, term := range map[string]*Terminal{"pipe": pipe, "quiet": quiet, "dumb": dumb} {
		stop := term.Progress(t.Context(), func() Snapshot { t.Errorf("%s: asked", name); return Snapshot{} })
		if term.line != nil {
			t.Errorf("%s: a line is shown", name)
		}
		stop()
	}
}

func TestConfirm(t *testing.T) {
	for _, test := range []struct {
		input string
		def   bool
		want  bool
		fails bool
	}{
		{"y\n", false, true, false}, {"YES\r\n", false, true, false}, {" no \n", true, false, false}, {"\n", true, true, false},
		{"\n", false, false, false}, {"what\ny\n", false, true, false}, {"a\nb\nc\ny\n", true, false, false},
		{"y", false, true, false}, {"", true, false, true}, {strings.Repeat("y", maxAnswer+1), true, false, true},
	} {
		term, b := screen(80, false)
		term.in = strings.NewReader(test.input)
		got, err := term.confirm(t.Context(), "Stamp \x1b it?", test.def)
		if got != test.want || (err != nil) != test.fails {
			t.Errorf("%.20q: %v, %v", test.input, got, err)
		}
		if !strings.HasPrefix(b.String(), `Stamp \x1b it? [`) {
			t.Errorf("asked %q", b)
		}
	}
	term, _ := screen(80, false)
	rest := strings.NewReader("y\nthe rest")
	term.in = rest
	if ok, err := term.confirm(t.Context(), "?", false); !ok || err != nil {
		t.Error(ok, err)
	}
	if left, _ := io.ReadAll(rest); string(left) != "the rest" {
		t.Errorf("it read on: %q is left", left)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r, w := io.Pipe()
	defer w.Close()
	term.in = r
	if ok, err := term.confirm(ctx, "?", true); ok || err == nil {
		t.Errorf("cancelled: %v, %v", ok, err)
	}
	if _, err := term.Confirm(t.Context(), "?", true); err != ErrNoTerminal {
		t.Errorf("no terminal: %v", err)
	}
	if _, err := term.Passphrase(t.Context(), "?"); err != ErrNoTerminal {
		t.Errorf("no terminal: %v", err)
	}
}

// TestProgressOfEntries: what is no file is not called one, and has no bytes.
func TestProgressOfEntries(t *testing.T) {
	term, _ := screen(80, false)
	got := term.progressText(Snapshot{Label: "replayed", FilesDone: 12, FilesTotal: 1204, Noun: "entry", Nouns: "entries"}, 0, 3*time.Second, 79)
	if want := "12/1,204 entries"; !strings.Contains(got, want) || strings.Contains(got, "file") || strings.Contains(got, " B") {
		t.Errorf("%q, want %q in it, and no files or bytes", got, want)
	}
}
