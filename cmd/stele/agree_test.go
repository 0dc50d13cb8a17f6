package main

import (
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// cmdAgree holds every verb to one word on an artifact, and to the exit status
// that goes with it. The artifact is the only version of its name, alone in the
// stage NAME, and its data is as stamped. An advice keeps nobody from releasing
// it, or from using it.
func cmdAgree(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, !neg && (len(args) == 3 || len(args) == 4), "agree WORD NAME@VERSION PATH [advise]")
	word, artifact, path := args[0], args[1], args[2]
	name, _, _ := strings.Cut(artifact, "@")
	exit, ok := map[string]int{"good": exitHolds, "withdrawn": exitRefused, "tainted": exitRefused, "untrusted": exitUntrusted}[word]
	usage(ts, ok, "agree WORD …: good, withdrawn, tainted or untrusted")
	may := exit
	if slices.Contains(args[3:], "advise") {
		may = exitHolds
	}
	run := func(want int, command ...string) {
		if got := exitStatus(ts, append([]string{"stele"}, command...)); got != want {
			ts.Fatalf("%s is %s: `stele %s` ends with %d, want %d", artifact, word, strings.Join(command, " "), got, want)
		}
	}
	says := func(verb, at, want string) {
		v, ok, err := lookup(readJSON(ts, "stdout"), at)
		ts.Check(err)
		if !ok || jsonText(v) != want {
			ts.Fatalf("%s is %s; %s says %q", artifact, word, verb, jsonText(v))
		}
	}
	verdict := word
	if word == "good" {
		verdict = "verified"
	}

	run(exit, "verify", artifact, path, "--json")
	says("verify", ".verdict", verdict)
	file := ts.MkAbs("agree.json")
	run(exitHolds, "prove", artifact, "-o", file, "--json")
	says("prove", ".verdict", verdict)
	run(exit, "verify", "--evidence", file, path, "--json")
	says("verify --evidence", ".verdict", verdict)
	ts.Check(os.Remove(file))
	run(exitHolds, "list", name, "--json")
	says("list", ".standing", word)
	run(exitHolds, "show", artifact, "--json")
	says("show", ".about.standing", word)
	run(exitHolds, "trace", artifact, "--json")
	says("trace", ".nodes[id="+artifact+"].standing", word)
	run(exit, "status", "--stage", name, "--json")
	says("status", ".artifacts[name="+name+"].standing", word)

	// The dry run ends as the release does, in a stage that never was before.
	n, _ := strconv.Atoi(ts.Getenv("AGREED"))
	ts.Setenv("AGREED", strconv.Itoa(n+1))
	stage := "agree-" + strconv.Itoa(n)
	run(may, "release", artifact, "--stage", stage, "--dry-run")
	run(may, "release", artifact, "--stage", stage, "-y")
	if may != exitHolds {
		run(exitOurs, "run", "--input", artifact+"="+path, "--", "touch", "started")
		if _, err := os.Stat(ts.MkAbs("started")); err == nil {
			ts.Fatalf("%s is %s, and a command was started with it", artifact, word)
		}
	}
}
