package main

import (
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// step is a command of a document, and what the document says that it prints.
type step struct {
	heading string
	command string
	prints  []string
}

// stepsOf finds the commands of a document: the lines of its blocks of code that
// begin with "$ ", each with what it prints below it.
func stepsOf(text string) (steps []step) {
	heading, code, shown := "", false, false // shown: a command of this block
	lines := strings.Split(text, "\n")
	for i := 0; i < len(lines); i++ {
		line := lines[i]
		command, isCommand := strings.CutPrefix(line, "$ ")
		switch {
		case strings.HasPrefix(line, "```"):
			code, shown = !code, false
		case !code && strings.HasPrefix(line, "#"):
			heading = strings.TrimLeft(line, "# ")
		case code && isCommand:
			for strings.HasSuffix(command, `\`) {
				i++
				command += "\n" + lines[i]
			}
			steps = append(steps, step{heading: heading, command: command})
			shown = true
		case code && shown:
			last := &steps[len(steps)-1]
			last.prints = append(last.prints, line)
		}
	}
	return steps
}

// cmdWalk runs the commands below one heading of a document, with the words
// replaced that stand for something else here, and holds what they print to what
// the document says: "…" is anything, alone on a line any lines. Without a
// heading it checks that all commands of the document were run.
func cmdWalk(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, !neg && len(args) >= 1, "walk FILE [HEADING [OLD=NEW…]]")
	data, err := os.ReadFile(ts.MkAbs(args[0]))
	ts.Check(err)
	walked := strings.Split(ts.Getenv("WALKED"), "\n")
	if len(args) == 1 {
		for _, s := range stepsOf(string(data)) {
			if !slices.Contains(walked, s.heading) {
				ts.Fatalf("below %q a command was not run: %s", s.heading, s.command)
			}
		}
		return
	}
	var replace []string
	for _, a := range args[2:] {
		old, now, ok := strings.Cut(a, "=")
		usage(ts, ok, "walk FILE HEADING OLD=NEW…")
		replace = append(replace, old, now)
	}
	here := strings.NewReplacer(replace...)
	found := false
	for _, s := range stepsOf(string(data)) {
		if s.heading == args[1] {
			found = true
			walk(ts, here.Replace(s.command), here.Replace(strings.Join(s.prints, "\n")))
		}
	}
	if !found {
		ts.Fatalf("%s has no commands below %q", args[0], args[1])
	}
	ts.Setenv("WALKED", strings.Join(append(walked, args[1]), "\n"))
}

// walk runs one command, in a shell as a reader would, and holds it to what it
// is said to print. It ends with 0, or with 3 or 4 where the document
// shows that, and a guard that shows an error with 125.
func walk(ts *testscript.TestScript, command, prints string) {
	status := exitStatus(ts, []string{"bash", "-uo", "pipefail", "-c", command})
	want := 0
	switch {
	case strings.HasPrefix(command, "stele guard ") && strings.Contains("\n"+prints, "\nerror: "):
		want = exitOurs
	case strings.Contains(prints, "TAMPERED"):
		want = exitTampered
	case strings.Contains(prints, "TAINTED"), strings.Contains("\n"+prints, "\nrefused by "):
		want = exitRefused
	}
	if status != want {
		ts.Fatalf("$ %s\nexit status %d, want %d", command, status, want)
	}
	// Notes go to standard error, before what is printed or after it.
	printed := ts.ReadFile("stdout") + ts.ReadFile("stderr")
	if !looksLike(printed, prints) && !looksLike(ts.ReadFile("stderr")+ts.ReadFile("stdout"), prints) {
		ts.Fatalf("$ %s\nthe document says that it prints\n%s\nand it prints\n%s", command, prints, printed)
	}
}

// looksLike compares what was printed with what a document shows of it.
func looksLike(printed, shown string) bool {
	if shown == "" {
		return true
	}
	var pattern strings.Builder
	for i, line := range strings.Split(shown, "\n") {
		switch {
		case line == "…":
			pattern.WriteString(`(?:[^\n]*\n)*?`)
			continue
		case i == 0:
			// Notes on standard error may stand before.
			pattern.WriteString(`(?:[^\n]*\n)*?`)
		}
		parts := strings.Split(line, "…")
		for i := range parts {
			parts[i] = regexp.QuoteMeta(parts[i])
		}
		pattern.WriteString(strings.Join(parts, `[^\n]*`) + `\n`)
	}
	return regexp.MustCompile(`^` + pattern.String() + `(?:[^\n]*\n)*$`).MatchString(printed)
}
