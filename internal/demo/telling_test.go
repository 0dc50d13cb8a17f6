package demo

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestLinesFitEightyColumns(t *testing.T) {
	long := "a, b, " + strings.Repeat("consistency, ", 8) + "inclusion"
	fp := "stele-sha256:" + strings.Repeat("a", 64)
	for name, line := range map[string]string{
		"a receipt":   "  ✓ passed  " + long,
		"a hint":      "hint: " + long,
		"indented":    "      entry 3: " + long,
		"fingerprint": "  fingerprint  " + fp,
		"mixed":       "  ✗ contents  FAILED: the data is " + fp + ", 14 files",
	} {
		got := fold(line)
		for _, l := range strings.Split(got, "\n") {
			if utf8.RuneCountInString(l) > width {
				t.Errorf("%s: %d columns: %s", name, utf8.RuneCountInString(l), l)
			}
		}
		if strings.Join(strings.Fields(got), " ") != strings.Join(strings.Fields(line), " ") {
			t.Errorf("%s: other words: %s", name, got)
		}
	}
	if got := fold("  ✓ passed  " + long); !strings.Contains(got, "\n"+strings.Repeat(" ", len("  v passed  "))+"consistency") {
		t.Errorf("not under its value: %s", got)
	}
	if got := fold("  fingerprint  " + fp); got != "  fingerprint\n  "+fp {
		t.Errorf("%q", got)
	}
	for _, same := range []string{"", "short", strings.Repeat("x", 200), "│   └── " + strings.Repeat("x", 60)} {
		if got := fold(same); got != same {
			t.Errorf("%q became %q", same, got)
		}
	}
}

func TestFolderWritesWholeLines(t *testing.T) {
	var out strings.Builder
	f := &folder{to: &out}
	for _, piece := range []string{"on", "e\ntw", "o\n", "\n", "three"} {
		if n, err := f.Write([]byte(piece)); n != len(piece) || err != nil {
			t.Fatal(n, err)
		}
	}
	f.end()
	f.end()
	if out.String() != "one\ntwo\n\nthree\n" {
		t.Errorf("%q", out.String())
	}
}

func TestShellWords(t *testing.T) {
	got := shellWords("stele withdraw a@1 --reason 'labels in doubt' --names 'clinic/*' -n")
	want := []string{"stele", "withdraw", "a@1", "--reason", "labels in doubt", "--names", "clinic/*", "-n"}
	if strings.Join(got, "|") != strings.Join(want, "|") {
		t.Errorf("%q", got)
	}
}

func TestWrapCommandFitsEightyColumns(t *testing.T) {
	for _, l := range strings.Split("$ "+wrapCommand("stele prove "+strings.Repeat("--path some/long/file/name.csv ", 8)), "\n") {
		if len(l) > width {
			t.Errorf("%d columns: %s", len(l), l)
		}
	}
}
