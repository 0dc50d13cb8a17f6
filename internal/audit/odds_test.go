package audit

import (
	"encoding/json"
	"errors"
	"math"
	"os"
	"strconv"
	"strings"
	"testing"
)

// vectors are what testdata/vectors.py, a second implementation, wrote.
type vectors struct {
	Draws []struct {
		Altered, Confidence string
		Draws               uint64
	}
	Positions []struct {
		Seed      string
		Total     uint64 `json:",string"`
		Positions []string
	}
	Trees []struct {
		Name  string
		Files []struct {
			Path string
			Size uint64
		}
	}
	Plans []struct {
		Tree, Seed   string
		Draws, Bytes uint64
		All          bool
		Chunks       []struct {
			Path       string
			Start, End uint64
		}
	}
}

func readVectors(t *testing.T) vectors {
	t.Helper()
	data, err := os.ReadFile("testdata/vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var v vectors
	if err := json.Unmarshal(data, &v); err != nil {
		t.Fatal(err)
	}
	if len(v.Draws) == 0 || len(v.Positions) == 0 || len(v.Trees) == 0 || len(v.Plans) == 0 {
		t.Fatal("no vectors")
	}
	return v
}

func shareOf(t *testing.T, text string) Share {
	t.Helper()
	s, err := ParseShare(text)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestVectorDraws(t *testing.T) {
	for _, w := range readVectors(t).Draws {
		if k, err := DrawsFor(shareOf(t, w.Altered), shareOf(t, w.Confidence)); err != nil || k != w.Draws {
			t.Errorf("%s at %s: %d draws, %v; want %d", w.Altered, w.Confidence, k, err, w.Draws)
		}
	}
}

// TestOddsTable holds the program to the table in docs/formats/audit.md.
func TestOddsTable(t *testing.T) {
	page, err := os.ReadFile("../../docs/formats/audit.md")
	if err != nil {
		t.Fatal(err)
	}
	var confidences []Share
	rows := 0
	for line := range strings.Lines(string(page)) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		for i := range cells {
			cells[i] = strings.ReplaceAll(strings.TrimSpace(cells[i]), ",", "")
		}
		switch {
		case cells[0] == "`altered`":
			for _, c := range cells[1:] {
				confidences = append(confidences, shareOf(t, strings.Trim(c, "`")))
			}
		case strings.HasPrefix(cells[0], "`0.") && len(cells) == len(confidences)+1:
			rows++
			for i, c := range confidences {
				k, err := DrawsFor(shareOf(t, strings.Trim(cells[0], "`")), c)
				if got := strconv.FormatUint(k, 10); err != nil || got != cells[i+1] {
					t.Errorf("%s at %v: %s draws, %v; the page says %s", cells[0], c, got, err, cells[i+1])
				}
			}
		}
	}
	if rows < 3 || len(confidences) < 4 {
		t.Errorf("a table of %d rows with %d confidences", rows, len(confidences))
	}
}

// TestDrawsForIsSmallest compares with plain arithmetic.
func TestDrawsForIsSmallest(t *testing.T) {
	for _, f := range []Share{1, 999, 1_000_000, 5_000_000, 123_456_789, 500_000_000, 999_999_999} {
		for _, c := range []Share{1, 10_000_000, 500_000_000, 990_000_000, 999_999_999} {
			k, err := DrawsFor(f, c)
			if err != nil {
				t.Fatal(err)
			}
			const rounding = 1e-12
			if p := Detection(f.Float(), k); p < c.Float()-rounding {
				t.Errorf("%v at %v: %d draws find it with %v", f, c, k, p)
			}
			if p := Detection(f.Float(), k-1); k > 1 && p > c.Float()+rounding {
				t.Errorf("%v at %v: %d draws would do: %v", f, c, k-1, p)
			}
		}
	}
}

func TestDetection(t *testing.T) {
	for _, w := range []struct {
		altered float64
		draws   uint64
		want    float64
	}{
		{0.005, 919, 0.9900135}, {0.005, 598, 0.9500883}, {0.5, 1, 0.5}, {0.5, 2, 0.75},
		{0, 100, 0}, {0.5, 0, 0}, {1, 1, 1}, {1e-7, 1, 1e-7}, {1e-15, 1 << 24, 1.6777216e-8},
	} {
		if got := Detection(w.altered, w.draws); math.Abs(got-w.want) > 1e-6*w.want {
			t.Errorf("%v in %d draws: %v, want %v", w.altered, w.draws, got, w.want)
		}
	}
	if got := Detectable(990_000_000, 919); got > 0.005 || Detection(got, 919) < 0.99-1e-12 || got < 0.00499 {
		t.Errorf("919 draws find %v at 99%%", got)
	}
	if got := Detectable(990_000_000, 0); got != 1 {
		t.Errorf("no draws find %v", got)
	}
}

func TestShare(t *testing.T) {
	for text, want := range map[string]string{
		"0.005": "0.005", "0.5": "0.5", "0.50": "0.5", "0.000000001": "0.000000001", "0.999999999": "0.999999999", "0.123456789": "0.123456789",
	} {
		s, err := ParseShare(text)
		if err != nil || s.String() != want {
			t.Errorf("%s: %v, %v", text, s, err)
		}
		if back, err := ParseShare(s.String()); err != nil || back != s {
			t.Errorf("%v again: %v, %v", s, back, err)
		}
	}
	for _, text := range []string{
		"", "0", "1", "1.0", "0.", "0.0", "0.000000000", ".5", "00.5", "+0.5", "-0.5", "0.5 ", "5e-3", "0.5%", "0,5", "0.1234567890", "0x.8", "0._5", "NaN", "0.٣",
		"0." + strings.Repeat("1", 10_000),
	} {
		_, err := ParseShare(text)
		if !errors.Is(err, ErrShare) || len(err.Error()) > 200 {
			t.Errorf("%.20q: %v, want ErrShare", text, err)
		}
	}
	for s, want := range map[Share]string{5_000_000: "0.5%", 1: "0.0000001%", 123_456_789: "12.3456789%", 500_000_000: "50%"} {
		if got := s.Percent(); got != want {
			t.Errorf("%d billionths: %s, want %s", s, got, want)
		}
	}
	for _, s := range []Share{0, whole, whole + 1} {
		if _, err := DrawsFor(s, 1); !errors.Is(err, ErrShare) {
			t.Errorf("altered %d: %v", s, err)
		}
		if _, err := DrawsFor(1, s); !errors.Is(err, ErrShare) {
			t.Errorf("confidence %d: %v", s, err)
		}
	}
}

// FuzzParseShare: what is read has one text, which is read as the same.
func FuzzParseShare(f *testing.F) {
	for _, text := range []string{"0.005", "0.50", "0.999999999", "0.0000000001", "1", "0.", "0.-1", ".5"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := ParseShare(text)
		if err != nil {
			return
		}
		if !s.valid() || strings.TrimRight(text, "0") != s.String() {
			t.Fatalf("%q is %d, %v", text, s, s)
		}
		if back, err := ParseShare(s.String()); err != nil || back != s {
			t.Fatalf("%q: %v, then %v, %v", text, s, back, err)
		}
	})
}
