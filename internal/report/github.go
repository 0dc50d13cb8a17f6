package report

import (
	"fmt"
	"io"
	"strings"
)

// MaxAnnotations is how many errors, and how many warnings, GitHub shows of one
// step.
const MaxAnnotations = 10

// MaxSummary is the most bytes of the Markdown that Summary writes. GitHub takes
// 1 MiB of a step, and of more than that nothing.
const MaxSummary = 512 << 10

// Annotations writes GitHub's workflow commands for what does not hold: an error
// for each check that closes the gate, then a warning for each other, then a
// notice with the verdict. It writes no more than GitHub shows; of others the
// last tells how many there are.
func (r *Report) Annotations(w io.Writer) error {
	var b strings.Builder
	for _, list := range []struct {
		command string
		checks  []*Check
	}{{"error", r.closing()}, {"warning", r.warnings()}} {
		for i, c := range list.checks {
			if left := len(list.checks) - i; i == MaxAnnotations-1 && left > 1 {
				command(&b, list.command, "stele gate", fmt.Sprintf("%d more are in the job summary", left))
				break
			}
			command(&b, list.command, "stele gate: "+titled(c), said(c))
		}
	}
	command(&b, "notice", "stele gate", clean(r.Headline))
	_, err := io.WriteString(w, b.String())
	return err
}

// command writes a workflow command. Text is escaped as actions/toolkit does
// (packages/core/src/command.ts).
func command(b *strings.Builder, name, title, message string) {
	data := strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")
	property := strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C")
	fmt.Fprintf(b, "::%s title=%s::%s\n", name, property.Replace(title), data.Replace(message))
}

// Summary writes the report in GitHub's Markdown, for a job's summary: what does
// not hold first, each with what to do, then a table of all.
func (r *Report) Summary(w io.Writer) error {
	mark := "❌"
	if r.Open() {
		mark = "✅"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "### %s %s\n\n", mark, markdown(r.Headline))
	fmt.Fprintf(&b, "| | |\n|---|---|\n")
	for _, row := range [][2]string{
		{"artifact", code(r.Subject())}, {"fingerprint", code(r.Fingerprint)}, {"stage", code(r.Stage)},
		{"ledger", code(r.Origin) + fmt.Sprintf(", %d entries", r.Entries)}, {"verdict", markdown(r.Verdict)},
	} {
		if row[1] != "" {
			fmt.Fprintf(&b, "| %s | %s |\n", row[0], row[1])
		}
	}
	b.WriteString("\n")
	for _, c := range append(r.closing(), r.warnings()...) {
		word := map[bool]string{true: "⚠️ warning", false: "❌ refused"}[c.Holds()]
		if c.Outcome == NotMade {
			word = "❌ not decided"
		}
		item := fmt.Sprintf("- **%s: %s**<br>%s\n", word, markdown(titled(c)), markdown(c.Message))
		if c.Hint != "" {
			item = strings.TrimSuffix(item, "\n") + "<br><em>hint:</em> " + markdown(c.Hint) + "\n"
		}
		if !room(&b, item) {
			break
		}
	}
	b.WriteString("\n<details><summary>All checks</summary>\n\n| | check | found |\n|---|---|---|\n")
	for i := range r.Checks {
		c := &r.Checks[i]
		word := map[Outcome]string{Passed: "✅", Warning: "⚠️", NotMade: "➖"}[c.Outcome]
		if !c.Holds() {
			word = "❌"
		}
		if !room(&b, fmt.Sprintf("| %s | %s | %s |\n", word, markdown(titled(c)), markdown(c.Message))) {
			break
		}
	}
	b.WriteString("\n</details>\n\n")
	_, err := io.WriteString(w, b.String())
	return err
}

// room adds a line, or says that there are more than fit.
func room(b *strings.Builder, line string) bool {
	if b.Len()+len(line) > MaxSummary-1024 {
		b.WriteString("\nThere are more than fit here; the report has them.\n")
		return false
	}
	b.WriteString(line)
	return true
}

// markdown is foreign text in GitHub's Markdown, as text alone: no HTML, no
// formatting, no link, image, table cell, emoji or mention comes of it. It never
// begins a line.
func markdown(text string) string {
	var b strings.Builder
	for _, r := range clean(text) {
		switch {
		case r == '<':
			b.WriteString("&lt;")
		case r == '>':
			b.WriteString("&gt;")
		case r == '&':
			b.WriteString("&amp;")
		case r == '@': // mentions and mail addresses are found in what is rendered
			b.WriteString("@<!-- -->")
		case strings.ContainsRune("\\`*_{}[]()#.!|~^$:", r):
			b.WriteRune('\\')
			b.WriteRune(r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// code is foreign text as a code span, in which GitHub looks for nothing; the bar
// is escaped for tables, which are parted before spans.
func code(text string) string {
	if text == "" {
		return ""
	}
	text = clean(text)
	fence := "`"
	for strings.Contains(text, fence) {
		fence += "`"
	}
	if len(fence) > 1 {
		text = " " + text + " "
	}
	return fence + strings.ReplaceAll(text, "|", `\|`) + fence
}
