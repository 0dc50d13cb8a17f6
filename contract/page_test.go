package contract

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// The page has every type, field and function, and the limits as they are.
func TestPage(t *testing.T) {
	data, err := os.ReadFile("../docs/formats/contract.md")
	if err != nil {
		t.Fatal(err)
	}
	page := string(data)
	for name, c := range classes {
		if c == paramsClass || c == variablesClass || c == ledgerClass {
			continue
		}
		short := strings.TrimPrefix(name, "stele.")
		row := "| `" + short + "` |"
		if c == signerClass || c == entryClass {
			row = "`" + name + "` |"
		}
		_, rest, ok := strings.Cut(page, row)
		row, _, _ = strings.Cut(rest, "\n")
		if !ok {
			t.Errorf("the page has no row for %s", name)
			continue
		}
		for _, f := range c.names() {
			if !strings.Contains(row, "`"+f+"`") {
				t.Errorf("%s: the page has no field %s", name, f)
			}
		}
	}
	for _, f := range functions {
		if !strings.Contains(page, "`"+f.name+"(") {
			t.Errorf("the page has no function %s", f.name)
		}
	}
	for _, n := range []int{MaxCost, MaxEstimate, MaxAncestors, MaxFound, MaxText, MaxNodes, MaxMessage} {
		if text := thousands(n); !strings.Contains(page, text) {
			t.Errorf("the page does not have the limit %s", text)
		}
	}
}

func thousands(n int) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
