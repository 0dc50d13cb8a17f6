package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestEntriesAreTypedAsTheyStand: an entry's number is printed as it is typed, and
// never as an amount, with its thousands apart.
func TestEntriesAreTypedAsTheyStand(t *testing.T) {
	if got := entryText(1234567); got != "1234567" {
		t.Error(got)
	}
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	amount := regexp.MustCompile(`terminal\.Count\([^()]*\)`)
	amounts := 0
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, call := range amount.FindAllString(string(data), -1) {
			amounts++
			if strings.HasSuffix(call, "Entry)") || strings.HasSuffix(call, ".Index)") {
				t.Errorf("%s: %s writes an entry as an amount", name, call)
			}
		}
	}
	if amounts < 10 {
		t.Errorf("%d amounts are written: this looks at nothing", amounts)
	}
}
