package report

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"
	"testing"
)

// workflowCommand is what the runner takes from a line.
type workflowCommand struct {
	name, message string
	properties    map[string]string
}

// readCommand reads a line as the runner does (actions/runner,
// src/Runner.Common/ActionCommand.cs): ::name key=value,key=value::message at the
// beginning, but for white space; else ##[name key=value;key=value]message
// anywhere in the line.
func readCommand(line string) (c workflowCommand, ok bool) {
	unescape := func(s string, pairs ...string) string {
		return strings.NewReplacer(append(pairs, "%0D", "\r", "%0A", "\n", "%25", "%")...).Replace(s)
	}
	c.properties = map[string]string{}
	if text := strings.TrimLeft(line, " \t"); strings.HasPrefix(text, "::") {
		head, message, ok := strings.Cut(text[2:], "::")
		if !ok {
			return c, false
		}
		name, properties, _ := strings.Cut(head, " ")
		c.name, c.message = name, unescape(message)
		for _, p := range strings.Split(properties, ",") {
			if key, value, ok := strings.Cut(strings.TrimSpace(p), "="); ok {
				c.properties[key] = unescape(value, "%3A", ":", "%2C", ",")
			}
		}
		return c, name != ""
	}
	if i := strings.Index(line, "##["); i >= 0 {
		name, message, ok := strings.Cut(line[i+3:], "]")
		c.name, c.message = name, message
		return c, ok
	}
	return c, false
}

// checkAnnotations: nothing but the commands that are meant, and these say what
// they should.
func checkAnnotations(t *testing.T, out string, r *Report) {
	t.Helper()
	if !strings.HasSuffix(out, "\n") || strings.ContainsRune(out, '\r') {
		t.Errorf("it ends with %.20q", out[max(0, len(out)-20):])
	}
	n := r.Counts()
	var got []workflowCommand
	for line := range strings.Lines(out) {
		c, ok := readCommand(strings.TrimSuffix(line, "\n"))
		if !ok {
			t.Fatalf("a line that is no command: %.200q", line)
		}
		got = append(got, c)
	}
	if want := min(n.Closing, MaxAnnotations) + min(n.Warnings, MaxAnnotations) + 1; len(got) != want {
		t.Fatalf("%d commands, want %d", len(got), want)
	}
	for i, c := range r.closing() {
		if i >= MaxAnnotations-1 {
			break
		}
		if got[i].name != "error" || got[i].message != said(c) || got[i].properties["title"] != "stele gate: "+titled(c) || len(got[i].properties) != 1 {
			t.Errorf("%.60q is told as %.200q", c.Message, fmt.Sprint(got[i]))
		}
	}
	if last := got[len(got)-1]; last.name != "notice" || last.message != clean(r.Headline) {
		t.Errorf("the last is %.200q", fmt.Sprint(last))
	}
}

var (
	htmlTag   = regexp.MustCompile(`<[^>]*>`)
	knownTags = map[string]bool{"<br>": true, "<em>": true, "</em>": true, "<details>": true, "</details>": true, "<summary>": true, "</summary>": true, "<!-- -->": true}
	spans     = regexp.MustCompile("(?s)^(`+)(.*?[^`])(`+)$")
)

// checkSummary: the Markdown has the lines that are meant, and in these no HTML
// but ours, and of foreign text no character that means anything.
func checkSummary(t *testing.T, out string, r *Report) {
	t.Helper()
	if len(out) > MaxSummary {
		t.Errorf("%d bytes", len(out))
	}
	items, rows := 0, 0
	for line := range strings.Lines(out) {
		line = strings.TrimSuffix(line, "\n")
		switch {
		case strings.HasPrefix(line, "- "):
			items++
		case strings.HasPrefix(line, "| "):
			if rows++; strings.Count(strings.ReplaceAll(line, `\|`, ""), "|") > 4 {
				t.Errorf("a cell too many: %.200q", line)
			}
		case line == "", strings.HasPrefix(line, "### "), strings.HasPrefix(line, "|---|---|"), strings.HasPrefix(line, "<details><summary>"), line == "</details>":
		default:
			t.Errorf("a line that is not meant: %.200q", line)
		}
		for _, tag := range htmlTag.FindAllString(strings.ReplaceAll(line, "\\<", ""), -1) {
			if inCode(line, tag) {
				continue
			}
			if !knownTags[tag] {
				t.Errorf("HTML: %.100q in %.200q", tag, line)
			}
		}
	}
	n := r.Counts()
	if want := n.Closing + n.Warnings; items != want {
		t.Errorf("%d items, want %d", items, want)
	}
}

// inCode reports whether a piece of a line stands in one of its code spans.
func inCode(line, piece string) bool {
	for _, cell := range strings.Split(strings.ReplaceAll(line, `\|`, "\x00"), "|") {
		if m := spans.FindStringSubmatch(strings.TrimSpace(cell)); m != nil && m[1] == m[3] && strings.Contains(strings.ReplaceAll(m[2], "\x00", `\|`), piece) {
			return true
		}
	}
	return strings.Contains(line, "| ledger | ") || strings.Contains(line, "| artifact | ")
}

func TestAnnotations(t *testing.T) {
	var b bytes.Buffer
	r := sample()
	if err := r.Annotations(&b); err != nil {
		t.Fatal(err)
	}
	want := "::error title=stele gate%3A production@3 / two-approvals::production needs 2 approvals, found 1 (bob, entry 50)%0Ahint: ask another reviewer to run `stele approve`\n" +
		"::error title=stele gate%3A production@3 / not-the-trainer::undecided: it looks at who signs%0Ahint: say who would release: --by HANDLE\n" +
		"::warning title=stele gate%3A origin::none recorded that counts%0Ahint: `stele run` says what a model was made of\n" +
		"::notice title=stele gate::fraud/model@4 may not join production: 2 checks refuse it\n"
	if b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", b.String(), want)
	}
	// GitHub shows ten of a kind: the tenth says how many there are besides.
	for range 20 {
		r.Checks = append(r.Checks, r.Checks[3])
	}
	b.Reset()
	if err := r.Annotations(&b); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(b.String(), "::error "); n != MaxAnnotations || !strings.Contains(b.String(), "::error title=stele gate::13 more are in the job summary\n") {
		t.Errorf("%d errors:\n%s", n, b.String())
	}
}

func TestSummary(t *testing.T) {
	var b bytes.Buffer
	if err := sample().Summary(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"### ❌ fraud/model@<!-- -->4 may not join production\\: 2 checks refuse it\n", "| artifact | `fraud/model@4` |\n", "| ledger | `stele.clinic`, 51 entries |\n",
		"- **❌ refused: production@<!-- -->3 / two-approvals**<br>production needs 2 approvals, found 1 \\(bob, entry 50\\)<br><em>hint:</em> ask another reviewer to run \\`stele approve\\`\n",
		"- **❌ not decided: ", "- **⚠️ warning: origin**<br>", "| ✅ | trusted log |", "| ➖ | contents |",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("there is no %q in\n%s", want, b.String())
		}
	}
	// Of foreign text, every mark of Markdown is escaped.
	for _, text := range hostile {
		out := []rune(markdown(text))
		for i, r := range out {
			before := rune(0)
			if i > 0 {
				before = out[i-1]
			}
			if strings.ContainsRune("`*_{}[]()#|~$:.", r) && before != '\\' {
				t.Errorf("%.40q: %q stands alone", text, r)
			}
		}
		if c := code(text); c != "" {
			m := spans.FindStringSubmatch(c)
			if m == nil || m[1] != m[3] || strings.Contains(m[2], m[1]) {
				t.Errorf("%.40q is no code span: %.80q", text, c)
			}
		}
	}
}
