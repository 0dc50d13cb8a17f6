package terminal

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

func TestClean(t *testing.T) {
	for in, want := range map[string]string{
		"":                       "",
		"plain name.csv":         "plain name.csv",
		`back\slash`:             `back\slash`,
		"a\tb\nc\rd":             `a\tb\nc\rd`,
		"\x1b[31mred\x1b[0m":     `\x1b[31mred\x1b[0m`,
		"\x7f":                   `\x7f`,
		"\u0085\u009b":           `\u0085\u009b`,
		"\xff\xc3(":              `\xff\xc3(`,
		"\u202etxt.exe":          `\u202etxt.exe`,
		"\U000e0041":             `\U000e0041`,
		"naïve ﬁle 写真":           "naïve ﬁle 写真",
		"e\u0301":                "e\u0301",
		"\u0301x":                `\u0301x`,
		"👩\u200d👧":               "👩\u200d👧",
		"a\u200db":               `a\u200db`,
		"می\u200cخواهم":          "می\u200cخواهم",
		"❤\ufe0f":                "❤\ufe0f",
		"x\ufe0f":                `x\ufe0f`,
		"\u0600\u0661":           "\u0600\u0661", // the Arabic number sign is seen
		"🇫🇷":                     "🇫🇷",
		"\ufffd":                 "\ufffd", // the character itself, written properly
		"\u00a0":                 "\u00a0",
		strings.Repeat("x\n", 3): `x\nx\nx\n`,
	} {
		if got := Clean(in); got != want {
			t.Errorf("Clean(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestFit(t *testing.T) {
	for _, test := range []struct {
		text  string
		width int
		trim  Trim
		want  string
	}{
		{"short", 10, TrimEnd, "short"},
		{"a sentence that goes on", 10, TrimEnd, "a sentenc…"},
		{"abcdefghijklmnopqrstuvwxyz", 10, TrimMiddle, "abcdef…xyz"},
		{"data/a/b/c/d/file.csv", 15, TrimPath, "data/…/file.csv"},
		{"data/a/b/c/d/file.csv", 17, TrimPath, "data/…/d/file.csv"},
		{"data/a/b/c/d/file.csv", 14, TrimPath, "…/c/d/file.csv"},
		{"data/a/b/c/d/file.csv", 21, TrimPath, "data/a/b/c/d/file.csv"},
		{"data/a/b/c/a-very-long-name.parquet", 12, TrimPath, "a-very-l…uet"},
		{"data/a/b/c/folder/", 14, TrimPath, "data/…/folder/"},
		{"/", 1, TrimPath, "/"},
		{"写真写真写真", 7, TrimEnd, "写真写…"},
		{"写真写真写真", 6, TrimEnd, "写真…"}, // half a character is none
		{"写真写真写真", 6, TrimMiddle, "写真…"},
		{"👩‍👩‍👧‍👦👩‍👩‍👧‍👦👩‍👩‍👧‍👦", 4, TrimEnd, "👩‍👩‍👧‍👦…"},
		{"abc", 1, TrimEnd, "a"},
		{"abc", 0, TrimEnd, ""},
	} {
		got := fit(test.text, test.width, test.trim, "…")
		if got != test.want {
			t.Errorf("fit(%q, %d, %d) = %q, want %q", test.text, test.width, test.trim, got, test.want)
		}
	}
}

func TestHuman(t *testing.T) {
	for _, test := range [][2]string{
		{Bytes(0), "0 B"}, {Bytes(1023), "1023 B"}, {Bytes(1024), "1.0 KiB"}, {Bytes(1536), "1.5 KiB"}, {Bytes(102348), "99.9 KiB"},
		{Bytes(102400), "100 KiB"}, {Bytes(1<<20 - 1), "1.0 MiB"}, {Bytes(1 << 20), "1.0 MiB"}, {Bytes(1<<64 - 1), "16.0 EiB"},
		{Count(0), "0"}, {Count(999), "999"}, {Count(1000), "1,000"}, {Count(1234567), "1,234,567"}, {Count(1<<64 - 1), "18,446,744,073,709,551,615"},
		{Plural(1, "file"), "1 file"}, {Plural(0, "file"), "0 files"}, {Plural(2048, "entry", "entries"), "2,048 entries"},
		{Percent(0, 0), "–"}, {Percent(0, 9), "0%"}, {Percent(9, 9), "100%"}, {Percent(5, 1000), "0.5%"}, {Percent(1, 1e9), "<0.01%"},
		{Percent(999999, 1e6), ">99.9%"}, {Percent(1, 3), "33.3%"},
		{Rate(3<<20, 2*time.Second), "1.5 MiB/s"}, {Rate(1, 0), "–"},
		{Duration(0), "0 µs"}, {Duration(450 * time.Microsecond), "450 µs"}, {Duration(12345 * time.Microsecond), "12 ms"},
		{Duration(1449 * time.Millisecond), "1.4 s"}, {Duration(59999 * time.Millisecond), "59 s"}, {Duration(time.Minute), "1 min"},
		{Duration(125 * time.Second), "2 min 5 s"}, {Duration(200 * time.Minute), "3 h 20 min"}, {Duration(102 * time.Hour), "4 d 6 h"}, {Duration(-time.Second), "-1.0 s"},
		{Digest(hash), "stele-sha256:9f86d081…0a08"}, {Digest("abc"), "abc"}, {Digest("\x1b" + strings.Repeat("0", 60)), `\x1b0000…0000`},
	} {
		if test[0] != test[1] {
			t.Errorf("got %q, want %q", test[0], test[1])
		}
	}
	term, _ := screen(0, false)
	if got, want := term.Time(night), "2026-11-22 16:03:07 +02:00"; got != want {
		t.Errorf("Time = %q, want %q", got, want)
	}
	if got := term.Time(0); got != "–" {
		t.Errorf("Time(0) = %q", got)
	}
}

func FuzzClean(f *testing.F) {
	for _, s := range []string{"plain", "\x1b[2J", "\u202e", "👩‍👩‍👧‍👦", "a/b/c", "\xff\u200d\u200d", "写\ufe0f\ufe0f", "e\u0301/\u0301"} {
		f.Add(s, 10)
	}
	f.Fuzz(func(t *testing.T, s string, width int) {
		clean := Clean(s)
		if !utf8.ValidString(clean) || strings.ContainsAny(clean, "\x00\x07\x08\n\r\t\x1b\x7f\u0085\u009b\u202e\u2028\u200b") {
			t.Errorf("Clean(%q) = %q", s, clean)
		}
		if again := Clean(clean); again != clean {
			t.Errorf("Clean(%q) = %q, and once more %q", s, clean, again)
		}
		if width %= 200; width < 1 {
			return
		}
		for _, trim := range []Trim{TrimEnd, TrimMiddle, TrimPath} {
			if got := fit(clean, width, trim, "…"); Columns(got) > width {
				t.Errorf("fit(%q, %d, %d) = %q: %d columns", clean, width, trim, got, Columns(got))
			}
		}
	})
}
