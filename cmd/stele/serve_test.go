package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stele-ml/stele/internal/config"
	"github.com/stele-ml/stele/internal/server"
)

// settingsTable is a table of docs/operating.md: of the settings that others do not
// have as well.
func settingsTable(s, others *config.Section) string {
	var b strings.Builder
	b.WriteString("| setting | default | what |\n|---|---|---|\n")
	for _, x := range s.Settings {
		if slices.ContainsFunc(others.Settings, func(y config.Setting) bool { return y.Name == x.Name && y.Usage == x.Usage }) {
			continue
		}
		standard := x.Value.String()
		if list, ok := x.Value.(*config.List); ok {
			standard = strings.Join(list.Items(), " ")
		}
		if standard != "" {
			standard = "`" + standard + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", x.Name, standard, strings.ReplaceAll(x.Usage, "`", ""))
	}
	return b.String()
}

// TestOperatingNamesEverySetting: the table of docs/operating.md is that of the code.
func TestOperatingNamesEverySetting(t *testing.T) {
	data, err := os.ReadFile(filepath.Join("..", "..", "docs", "operating.md"))
	if err != nil {
		t.Fatal(err)
	}
	both := new(config.Section)
	door := newDoorSettings(server.ScopeEntries | server.ScopeSubmit)
	door.add(both)
	for _, table := range []string{
		settingsTable(both, new(config.Section)), settingsTable(newServeSettings().section(), both), settingsTable(newMirrorSettings().section(), both),
	} {
		if !strings.Contains(string(data), "\n"+table+"\n") {
			t.Errorf("docs/operating.md has another table than this:\n%s", table)
		}
	}
}

// TestConfigRoundTrip: what --print-config prints is a file that says the same.
func TestConfigRoundTrip(t *testing.T) {
	first := newServeSettings()
	s := first.section()
	for name, values := range map[string][]string{
		"listen": {"[::1]:7"}, "any-host": {"true"}, "access": {"tokens", "mtls"}, "client-rule": {"dns:*.ci.example=entries,submit", "cn:a b=proofs"},
		"tokens": {"/etc/a: b # c"}, "burst": {"7"}, "stop-timeout": {"1m"}, "ci-key": {"- x"}, "proxy": {"10.0.0.0/8"},
	} {
		for _, x := range s.Settings {
			if x.Name != name {
				continue
			}
			for _, v := range values {
				if err := x.Value.Set(v); err != nil {
					t.Fatalf("%s: %v", name, err)
				}
			}
		}
	}
	var printed bytes.Buffer
	if err := s.Print(&printed, nil); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "stele.yaml")
	if err := os.WriteFile(path, printed.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	second := newServeSettings()
	again := second.section()
	if _, err := again.Load(path, func(string) string { return "" }, func(string) bool { return false }); err != nil {
		t.Fatalf("%v in\n%s", err, printed.String())
	}
	var reprinted bytes.Buffer
	if err := again.Print(&reprinted, nil); err != nil {
		t.Fatal(err)
	}
	if printed.String() != reprinted.String() {
		t.Errorf("printed\n%s\nread again\n%s", printed.String(), reprinted.String())
	}
}

// serveSettingsOf are the settings of a server of which some are set.
func serveSettingsOf(t *testing.T, set map[string]string) *serveSettings {
	t.Helper()
	settings := newServeSettings()
	for _, x := range settings.section().Settings {
		if v, ok := set[x.Name]; ok {
			if err := x.Value.Set(v); err != nil {
				t.Fatal(err)
			}
		}
	}
	return settings
}

// TestServeExposed: what is told of a server beyond this machine.
func TestServeExposed(t *testing.T) {
	for _, c := range []struct {
		set  map[string]string
		want int
	}{
		{map[string]string{"listen": "127.0.0.1:1"}, 0},
		{map[string]string{"listen": "localhost:1"}, 0},
		{map[string]string{"listen": ":1"}, 2},
		{map[string]string{"listen": "0.0.0.0:1", "plain-http": "true"}, 1},
		{map[string]string{"listen": "10.0.0.1:1", "tls-cert": "a", "tls-key": "b"}, 1},
		{map[string]string{"listen": "10.0.0.1:1", "anonymous": "proofs"}, 1},
		{map[string]string{"listen": "10.0.0.1:1", "tls-cert": "a", "tls-key": "b", "access": "tokens"}, 0},
	} {
		settings := serveSettingsOf(t, c.set)
		anonymous, err := settings.anonymousScopes()
		if warnings := settings.exposed(anonymous); err != nil || len(warnings) != c.want {
			t.Errorf("%v: %q, %v; want %d", c.set, warnings, err, c.want)
		}
	}
}

// TestServeRefusesSettings: what does not go together, and what would let a token out.
func TestServeRefusesSettings(t *testing.T) {
	for _, c := range []struct {
		set  map[string]string
		want string
	}{
		{nil, ""},
		{map[string]string{"access": "tokens"}, ""},
		{map[string]string{"access": "tokens", "listen": "0.0.0.0:1"}, "without TLS"},
		{map[string]string{"access": "tokens", "listen": "[::]:1"}, "without TLS"},
		{map[string]string{"access": "tokens", "listen": ":1"}, "without TLS"},
		{map[string]string{"access": "tokens", "listen": "0.0.0.0:1", "plain-http": "true"}, ""},
		{map[string]string{"access": "tokens", "listen": "0.0.0.0:1", "tls-cert": "a", "tls-key": "b"}, ""},
		{map[string]string{"tls-cert": "a"}, "go together"},
		{map[string]string{"access": "mtls"}, "needs"},
		{map[string]string{"access": "mtls", "tls-cert": "a", "tls-key": "b", "client-ca": "c"}, "needs"},
		{map[string]string{"client-ca": "c"}, "for access mtls"},
		{map[string]string{"tokens": "c"}, "for access tokens"},
		{map[string]string{"anonymous": "all"}, "no scope"},
		{map[string]string{"ci-key": "k"}, "go together"},
		{map[string]string{"ci-key": "k", "ci-rules": "r", "listen": "10.0.0.1:1"}, "without TLS"},
	} {
		err := serveSettingsOf(t, c.set).check()
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v: %v, want %q", c.set, err, c.want)
		}
	}
}
