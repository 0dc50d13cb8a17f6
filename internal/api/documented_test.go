package api_test

import (
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stele-ml/stele/internal/api"
)

// TestEveryOperationIsShown: docs/api.md, whose commands a script of cmd/stele runs
// against a server, has one of curl for every operation, and for nothing else.
func TestEveryOperationIsShown(t *testing.T) {
	text, err := os.ReadFile("../../docs/api.md")
	if err != nil {
		t.Fatal(err)
	}
	shown := map[string]bool{}
	url := regexp.MustCompile(`\$URL(/v1/[^ "?]*)`)
	for line := range strings.Lines(string(text)) {
		command, ok := strings.CutPrefix(line, "$ ")
		if !ok || !strings.Contains(command, "curl ") {
			continue
		}
		method := http.MethodGet
		if strings.Contains(command, " -T ") {
			method = http.MethodPut
		} else if strings.Contains(command, " -d ") || strings.Contains(command, " --data-binary ") {
			method = http.MethodPost
		}
		found := url.FindAllStringSubmatch(strings.ReplaceAll(command, "$(cat fingerprint)", "F"), -1)
		if len(found) == 0 {
			t.Errorf("no address: %s", command)
			continue
		}
		// What stands in another's arguments is read; the last one is what is called.
		path := strings.TrimSpace(found[len(found)-1][1])
		known := false
		for _, o := range api.Operations() {
			pattern := regexp.MustCompile(`\{[a-z0-9]+\}`).ReplaceAllString(o.Path, `[^/]+`)
			if o.Method == method && regexp.MustCompile("^"+pattern+"$").MatchString(path) {
				shown[o.ID], known = true, true
			}
		}
		if !known {
			t.Errorf("no operation is %s %s", method, path)
		}
	}
	for _, o := range api.Operations() {
		if !shown[o.ID] {
			t.Errorf("docs/api.md does not show %s %s (%s) with curl", o.Method, o.Path, o.ID)
		}
	}
}
