package terminal

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write the golden files")

// screen returns a Terminal whose outputs are one buffer. A width of 0 is a
// pipe.
func screen(width int, colour bool) (*Terminal, *bytes.Buffer) {
	var b bytes.Buffer
	t := New(strings.NewReader(""), &b, &b, func(string) string { return "" })
	for _, s := range []*stream{t.out, t.err} {
		s.tty, s.fixed, s.colour = width > 0, width, colour
	}
	t.zone = time.FixedZone("", 2*3600)
	return t, &b
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s: got\n%s\nwant\n%s", name, got, want)
	}
}

const (
	hash  = "stele-sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
	night = 1795356187000 // 2026-11-22 14:03:07 UTC
)

func draw(t *Terminal) {
	t.Heading("Files")
	t.Table(
		[]Column{{Title: "path", Trim: TrimPath}, {Title: "size", Right: true}, {Title: "digest", Trim: TrimMiddle}, {Title: "change"}},
		[][]Cell{
			Row("data/train/labels.csv", Bytes(1536), "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", Cell{"modified", Bad}),
			Row("data/train/images/cats/grey/left/2026/11/22/cat-000000000000000017.png", Bytes(41<<30), "sha256-tree:0102030405060708091011121314151617181920212223242526272829303132", Cell{"added", Good}),
			Row("写真/猫と犬/とても長い名前のファイルがここにあります.jpg", Bytes(0), "–", "removed"),
			Row("👩‍👩‍👧‍👦/family 🇫🇷 é.png", Bytes(1023), "", "same"),
			Row("evil\x1b[2J\x1b]0;pwned\x07\r\nverified ✓", Bytes(1), "", "\u202everified"),
		})
	t.Heading("Lineage")
	t.Tree(&Node{Text: "fraud-model@4", Style: Bold, Marks: []Cell{{"TAINTED", Bad}}, Detail: "model, 2.1 GiB", Notes: []Cell{{"made by a run of ada", Plain}}, Children: []*Node{
		{Text: "transactions@2026-10", Marks: []Cell{{"WITHDRAWN", Bad}, {"in production", Caution}}, Detail: "dataset, 4,201,337 files, withdrawn by \x1b[31mada\x1b[0m because a consent was revoked", Style: Bad, Children: []*Node{
			{Text: "raw/transactions/europe/2026/10/with/a/very/long/path/that/does/not/fit/part-000.parquet", Trim: TrimPath},
		}},
		{Text: "trainer@1.4.0", Detail: "code"},
	}})
	t.Heading("Receipt")
	t.KeyValues([]Pair{
		{Key: "artifact", Value: "breast-cancer@1", Style: Bold},
		{Key: "fingerprint", Value: hash},
		{Key: "files", Value: "12, 124.6 KiB"},
		{Key: "nothing", Value: ""},
		{Key: "time", Value: t.Time(night)},
		{Key: "claimed", Value: "by the ledger: no witness has cosigned it, so when it happened is the operator's word alone"},
	})
	t.Heading("Checks")
	t.Checks([]Check{
		{"signature", Passed, "ecdsa-p256, ada"},
		{"contents", Failed, "2 files differ from the fingerprint that was stamped: labels.csv, images/cat.png"},
		{"fresh", NotMade, "no witnesses"},
	})
}

func TestGolden(t *testing.T) {
	for name, width := range map[string]int{"wide": 132, "80": 80, "narrow": 44, "pipe": 0} {
		term, b := screen(width, false)
		draw(term)
		golden(t, name, b.Bytes())
		if width > 0 {
			for _, line := range strings.Split(b.String(), "\n") {
				if n := Columns(line); n > width && (width >= 80 || line != hash) { // a fingerprint is never cut
					t.Errorf("%s: %d columns: %s", name, n, line)
				}
			}
		}
		for _, line := range strings.Split(b.String(), "\n") {
			if strings.HasSuffix(line, " ") {
				t.Errorf("%s: spaces at the end of %q", name, line)
			}
		}
	}
	term, b := screen(80, true)
	draw(term)
	golden(t, "colour", b.Bytes())
	term, b = screen(80, false)
	term.unicode = false
	draw(term)
	golden(t, "ascii", b.Bytes())
}

// A pipe gets every character: nothing is cut, nothing is coloured.
func TestPipeIsWhole(t *testing.T) {
	term, b := screen(0, false)
	draw(term)
	for _, want := range []string{
		"data/train/images/cats/grey/left/2026/11/22/cat-000000000000000017.png", hash,
		"sha256-tree:0102030405060708091011121314151617181920212223242526272829303132", "とても長い名前のファイルがここにあります.jpg",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("%q is missing", want)
		}
	}
	if strings.Contains(b.String(), "\x1b") {
		t.Error("an escape sequence in a pipe")
	}
}

// Whatever a name holds, the only escape sequences on a terminal are ours,
// each line is one row, and the text is not reordered.
func TestAttackerNamesAFile(t *testing.T) {
	evil := []string{
		"\x1b[2J", "\x1b]0;title\x07", "\x1b]8;;http://x\x1b\\click\x1b]8;;\x1b\\", "\u009b2J", "\x9b2J", "a\rb", "a\nverified",
		"a\x08\x08b", "\x7f", "\u202egnp.exe", "\u2066x\u2069", "\u200b", "\ufeff", "\u2028", "\u2029", "\xff\xfe", "\xed\xa0\x80",
		"\u0301mark", "\U000e0041tag", "\u3164", "\u00ad", "\u200d\u200d", "a\u200db", "\u180e", "\u061c", "\u115f",
	}
	for _, colour := range []bool{false, true} {
		term, b := screen(300, colour)
		for _, e := range evil {
			b.Reset()
			term.Println(e)
			term.Printf("%s %v %q\n", e, errors.New(e), []byte(e))
			term.Printf("%v\n", []string{e})
			term.Printf("%v\n", term.Style(Bad, e))
			term.Notef("%s", e)
			term.Warnf("%s", e)
			term.Hintf("%s", e)
			term.Error(hinted{e})
			term.Heading(e)
			term.Table([]Column{{Title: e}}, [][]Cell{{{Text: e}}})
			term.Tree(&Node{Text: e, Detail: e})
			term.KeyValues([]Pair{{Key: e, Value: e}})
			term.Checks([]Check{{e, Failed, e}})
			if n := strings.Count(b.String(), "\n"); n != 16 {
				t.Errorf("%q: %d lines:\n%s", e, n, b)
			}
			text := b.String()
			for i := range sgr {
				text = strings.ReplaceAll(text, fmt.Sprintf("\x1b[%dm", sgr[i]), "")
			}
			for _, line := range strings.Split(text, "\n") {
				if Clean(line) != line {
					t.Errorf("%q came through: %q", e, line)
				}
			}
			if text := term.progressText(Snapshot{Label: e, BytesDone: 1}, 1, 1, 79); Clean(text) != text {
				t.Errorf("%q came through the progress line: %q", e, text)
			}
		}
	}
}

type hinted struct{ text string }

func (h hinted) Error() string { return h.text }
func (h hinted) Hint() string  { return h.text }

func TestError(t *testing.T) {
	term, b := screen(80, true)
	term.Error(fmt.Errorf("stamp data: %w", hinted{"no ledger"}))
	term.Error(errors.New("plain"))
	term.Error(nil)
	want := "\x1b[31merror:\x1b[0m stamp data: no ledger\n\x1b[36mhint:\x1b[0m no ledger\n\x1b[31merror:\x1b[0m plain\n"
	if b.String() != want {
		t.Errorf("got %q, want %q", b, want)
	}
}

func TestQuiet(t *testing.T) {
	term, b := screen(80, false)
	term.SetQuiet(true)
	term.Notef("by the way")
	term.Println("result")
	term.Warnf("careful")
	term.Error(errors.New("broken"))
	if got := b.String(); got != "result\nwarning: careful\nerror: broken\n" {
		t.Errorf("quiet gave %q", got)
	}
}

// TestTableOfTimes: a time gives way when subjects have done so, and both are there.
func TestTableOfTimes(t *testing.T) {
	for width, want := range map[int]string{
		0:  "2026-11-23 06:20:13 +00:00  identity  registers carol as approver, releaser",
		60: "2026-11-23 06:20:13 +00:00  identity  registers caro…eleaser",
		48: "2026-11-23 06:20:13…  identity  registers …easer",
	} {
		term, b := screen(width, false)
		term.Table([]Column{{Title: "TIME", Trim: TrimLate}, {Title: "KIND"}, {Title: "SUBJECT", Trim: TrimMiddle}},
			[][]Cell{Row("2026-11-23 06:20:13 +00:00", "identity", "registers carol as approver, releaser")})
		if _, row, _ := strings.Cut(b.String(), "\n"); row != want+"\n" {
			t.Errorf("width %d: %q, want %q", width, row, want)
		}
	}
}

// More rows than the sample: later ones keep the layout that the first set.
func TestTableGoesOn(t *testing.T) {
	for _, width := range []int{0, 40} {
		term, b := screen(width, false)
		const rows = 5000
		term.TableSeq([]Column{{Title: "entry", Right: true}, {Title: "name", Trim: TrimMiddle}}, func(yield func([]Cell) bool) {
			for i := range rows {
				name := "short"
				if i == 400 {
					name = strings.Repeat("long ", 20)
				}
				if !yield(Row(i, name)) {
					return
				}
			}
		})
		lines := strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
		if len(lines) != rows+1 || lines[4000] != " 3999  short" {
			t.Fatalf("width %d: %d lines, line 4000 is %q", width, len(lines), lines[4000])
		}
		for i, line := range lines {
			if width > 0 && Columns(line) > width {
				t.Errorf("line %d is %d wide", i, Columns(line))
			}
		}
		if cut := strings.Contains(lines[401], "…"); cut != (width > 0) {
			t.Errorf("width %d: %q", width, lines[401])
		}
	}
}

type fullDisk struct{ writes int }

func (f *fullDisk) Write([]byte) (int, error) {
	f.writes++
	return 0, errors.New("no space left on device")
}

func TestWriteError(t *testing.T) {
	disk := new(fullDisk)
	term := New(nil, disk, disk, nil)
	term.TableSeq([]Column{{Title: "x"}}, func(yield func([]Cell) bool) {
		for yield(Row(strings.Repeat("x", 1000))) {
		}
	})
	if err := term.WriteErr(); err == nil || !strings.Contains(err.Error(), "no space left") {
		t.Errorf("WriteErr() = %v after %d writes", err, disk.writes)
	}
}

func TestLocale(t *testing.T) {
	for env, want := range map[string]bool{
		"": true, "LANG=C": false, "LANG=POSIX": false, "LANG=C.UTF-8": true, "LANG=en_GB.utf8": true, "LANG=de_DE.ISO-8859-1": false,
		"LANG=de_DE.UTF-8@euro": true, "LANG=en_US": true, "LC_ALL=C": false, "LC_CTYPE=en_US.UTF-8": true,
	} {
		name, value, _ := strings.Cut(env, "=")
		got := utf8Locale(func(n string) string {
			if n == name {
				return value
			}
			return ""
		})
		if got != want {
			t.Errorf("%s: UTF-8 %v, want %v", env, got, want)
		}
	}
}
