package demo

import (
	"bytes"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestOnePixelAndHalfAPercent(t *testing.T) {
	dir := t.TempDir()
	rows, err := layOut(dir)
	if err != nil {
		t.Fatal(err)
	}
	if rows != 569 {
		t.Fatalf("%d rows, not 569", rows)
	}
	parts, err := filepath.Glob(filepath.Join(dir, "measurements", "*.csv"))
	if err != nil || len(parts) != 12 {
		t.Fatalf("%d parts, %v", len(parts), err)
	}
	before := map[string][]byte{}
	for _, p := range parts {
		before[p], _ = os.ReadFile(p)
		for i, l := range strings.Split(strings.TrimSpace(string(before[p])), "\n") {
			if n := strings.Count(l, ","); n != 30 {
				t.Fatalf("%s line %d has %d commas", p, i+1, n)
			}
		}
	}
	said, err := flipLabels(dir, rows)
	if err != nil {
		t.Fatal(err)
	}
	changed := 0
	for _, p := range parts {
		after, _ := os.ReadFile(p)
		if len(after) != len(before[p]) {
			t.Fatalf("%s changed its size", p)
		}
		for i := range after {
			if after[i] != before[p][i] {
				changed++
			}
		}
	}
	if changed != 3 || len(said) != 3 { // 0.5 percent of 569 is 2.8
		t.Fatalf("%d bytes changed, %d said", changed, len(said))
	}

	photo := filepath.Join(dir, "images", "flower.png")
	old, _ := os.ReadFile(photo)
	if _, err := flipPixel(photo); err != nil {
		t.Fatal(err)
	}
	now, _ := os.ReadFile(photo)
	a, err := png.Decode(bytes.NewReader(old))
	if err != nil {
		t.Fatal(err)
	}
	b, err := png.Decode(bytes.NewReader(now))
	if err != nil {
		t.Fatal(err)
	}
	differ := 0
	for y := range a.Bounds().Dy() {
		for x := range a.Bounds().Dx() {
			if a.At(x, y) != b.At(x, y) {
				differ++
			}
		}
	}
	if differ != 1 {
		t.Fatalf("%d pixels differ", differ)
	}
}
