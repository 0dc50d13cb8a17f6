package terminal

import (
	"context"
	"math"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	progressDelay = 300 * time.Millisecond // a shorter job shows no line at all
	progressEvery = 100 * time.Millisecond
	// progressMemory is over how long the shown rate is averaged: long enough
	// not to flicker, short enough to show that a disk has stalled.
	progressMemory = 3 * time.Second
)

// A Snapshot is how far a job has come. A total of zero is not known yet.
type Snapshot struct {
	Label      string // what is being done, a word or two
	BytesDone  uint64
	BytesTotal uint64
	FilesDone  uint64
	FilesTotal uint64

	// Noun, and the word for several, is what is counted instead of files; bytes
	// are then not shown.
	Noun, Nouns string
}

// progressLine is the one line on the screen that is written over.
type progressLine struct {
	shown string // the text on the screen; "" if none
}

// clear and redraw are called with t.mu held.
func (l *progressLine) clear(t *Terminal) {
	if l.shown != "" {
		_, _ = t.err.w.Write([]byte("\r\x1b[K"))
	}
}

func (l *progressLine) redraw(t *Terminal) {
	if l.shown != "" {
		_, _ = t.err.w.Write([]byte("\r" + l.shown + "\x1b[K"))
	}
}

// Progress shows, on standard error, how far a job has come: files, bytes,
// rate and time left, asking source ten times a second. It shows nothing
// where standard error is not a terminal, or when quiet. The line goes away
// when stop is called, which may be done more than once, or ctx is done.
// Only one job is shown at a time; a second one meanwhile shows nothing.
func (t *Terminal) Progress(ctx context.Context, source func() Snapshot) (stop func()) {
	t.mu.Lock()
	if t.quiet || !t.err.tty || t.err.dumb || t.line != nil {
		t.mu.Unlock()
		return func() {}
	}
	line := new(progressLine)
	t.line = line
	t.mu.Unlock()

	done := make(chan struct{})
	finished := make(chan struct{})
	go func() {
		defer close(finished)
		defer func() {
			t.mu.Lock()
			line.clear(t)
			t.line = nil
			t.mu.Unlock()
		}()
		meter := meter{start: t.now()}
		timer := time.NewTimer(progressDelay)
		defer timer.Stop()
		for {
			select {
			case <-done:
				return
			case <-ctx.Done():
				return
			case <-timer.C:
			}
			s := source()
			rate, elapsed := meter.update(t.now(), s.BytesDone)
			text := t.progressText(s, rate, elapsed, t.err.width()-1) // the last column would wrap
			t.mu.Lock()
			line.shown = text
			line.redraw(t)
			t.mu.Unlock()
			timer.Reset(progressEvery)
		}
	}()
	var once sync.Once
	return func() {
		once.Do(func() { close(done) })
		<-finished
	}
}

// A meter smooths a rate: an exponential average whose memory is a time, not
// a number of updates.
type meter struct {
	start, last time.Time
	bytes       uint64
	rate        float64 // bytes a second
}

func (m *meter) update(now time.Time, bytes uint64) (rate float64, elapsed time.Duration) {
	elapsed = now.Sub(m.start)
	if m.last.IsZero() {
		if elapsed > 0 {
			m.rate = float64(bytes) / elapsed.Seconds()
		}
	} else if dt := now.Sub(m.last); dt > 0 {
		latest := float64(bytes-min(bytes, m.bytes)) / dt.Seconds()
		keep := math.Exp(-dt.Seconds() / progressMemory.Seconds())
		m.rate = keep*m.rate + (1-keep)*latest
	}
	m.last, m.bytes = now, bytes
	return m.rate, elapsed
}

// progressText lays the line out in at most width columns. What matters least
// is left out first: the bar, then the files, then the rate.
func (t *Terminal) progressText(s Snapshot, rate float64, elapsed time.Duration, width int) string {
	label := Clean(s.Label)
	bytes := Bytes(s.BytesDone)
	percent, left := "", seconds(elapsed.Seconds())
	if s.BytesTotal > 0 {
		done := min(s.BytesDone, s.BytesTotal)
		bytes = ofBytes(s.BytesDone, s.BytesTotal)
		percent = strings.Replace(Percent(done, s.BytesTotal), ">99.9%", "99.9%", 1)
		const longest = 1000 * 3600 // seconds; an estimate beyond it says nothing
		if need := float64(s.BytesTotal-done) / rate; rate > 0 && need > 0 && need < longest {
			left = seconds(math.Ceil(need)) + " left"
		}
	}
	noun, nouns := "file", "files"
	if s.Noun != "" {
		noun, nouns, bytes = s.Noun, s.Nouns, ""
	}
	files := ""
	switch {
	case s.FilesTotal > 0:
		files = Count(s.FilesDone) + "/" + Plural(s.FilesTotal, noun, nouns)
	case s.FilesDone > 0:
		files = Plural(s.FilesDone, noun, nouns)
	}
	speed := ""
	if rate > 0 {
		speed = Bytes(uint64(rate)) + "/s"
	}
	for drop := 0; ; drop++ {
		parts := []string{label, percent, bytes, files, speed, left}
		if drop >= 1 {
			parts[3] = ""
		}
		if drop >= 2 {
			parts[4] = ""
		}
		if drop >= 3 {
			parts[2] = ""
		}
		text := joinFields(parts)
		free := width - Columns(text) - len(gap)
		if drop == 0 && percent != "" && free >= 10 {
			done := float64(min(s.BytesDone, s.BytesTotal)) / float64(s.BytesTotal)
			parts[0] = joinFields([]string{label, t.bar(done, min(free, 24))})
			text = joinFields(parts)
		}
		if Columns(text) <= width || drop >= 3 {
			return fit(text, width, TrimEnd, t.ellipsis())
		}
	}
}

// ofBytes writes "1.5/3.0 GiB", naming a unit that both share only once.
func ofBytes(done, total uint64) string {
	all := Bytes(total)
	part := Bytes(done)
	_, unit, _ := strings.Cut(all, " ")
	return strings.TrimSuffix(part, " "+unit) + "/" + all
}

// seconds is Duration in whole seconds: what is read while it runs.
func seconds(s float64) string {
	if s < 60 {
		return strconv.Itoa(int(s)) + " s"
	}
	return Duration(time.Duration(s) * time.Second)
}

func joinFields(parts []string) string {
	var kept []string
	for _, p := range parts {
		if p != "" {
			kept = append(kept, p)
		}
	}
	return strings.Join(kept, gap)
}

func (t *Terminal) bar(done float64, width int) string {
	full, empty := "█", "░"
	if !t.unicode {
		full, empty = "#", "."
	}
	n := int(done * float64(width))
	return strings.Repeat(full, n) + strings.Repeat(empty, width-n)
}
