package main

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/stele-ml/stele/internal/gate"
	"github.com/stele-ml/stele/internal/place"
	"github.com/stele-ml/stele/internal/report"
	"github.com/stele-ml/stele/internal/terminal"
)

// The formats of a gate's report.
const (
	formatText   = "text"
	formatJSON   = "json"
	formatSARIF  = "sarif"
	formatJUnit  = "junit"
	formatGitHub = "github"
)

var gateFormatNames = []string{formatText, formatJSON, formatSARIF, formatJUnit, formatGitHub}

// gateFormats are how a gate is told, and where.
type gateFormats struct {
	format string
	output []string // FILE, or FORMAT=FILE

	files []gateFile
}

// gateFile is a file that a report goes to.
type gateFile struct{ format, path string }

// formatLike is what stands before the = of a format. A file whose name begins so is
// written with the folder that it lies in: ./a=b.
var formatLike = regexp.MustCompile(`^[A-Za-z0-9_-]*$`)

// parse tells formats and files apart. data is the place that is read, or empty.
func (f *gateFormats) parse(a *app, data string) error {
	if err := oneOf("--format", f.format, gateFormatNames...); err != nil {
		return err
	}
	for _, text := range f.output {
		file := gateFile{f.format, text}
		if format, path, ok := strings.Cut(text, "="); ok && slices.Contains(gateFormatNames, format) {
			file = gateFile{format, path}
		} else if ok && formatLike.MatchString(format) {
			if err := oneOf("--output", format, gateFormatNames...); err != nil {
				return err
			}
		}
		if file.path == "" || file.path == "-" {
			return usagef("--output %s: name a file; standard output has the report without it", text)
		}
		if info, err := os.Stat(file.path); err == nil && info.IsDir() {
			return usagef("--output %s: %s is a folder; name a file", text, file.path)
		}
		if slices.ContainsFunc(f.files, func(other gateFile) bool { return other.path == file.path }) {
			return usagef("--output %s: two reports would go to one file", text)
		}
		if err := outsideOf(data, file.path); err != nil {
			return err
		}
		f.files = append(f.files, file)
	}
	if a.json && f.format != formatText && f.format != formatJSON && len(f.files) == 0 {
		return usagef("--json and --format %s both write to standard output", f.format).withHint("name a file for the one: --output " + f.format + "=FILE")
	}
	return nil
}

// outsideOf refuses a report that would lie in the data: the next gate would find
// them changed.
func outsideOf(data, path string) error {
	p, err := place.Parse(data)
	if data == "" || err != nil || p.Remote() {
		return nil
	}
	in, err := liesIn(path, p.Path())
	if err == nil && in {
		err = usagef("--output %s lies in %s, which is checked, and would change it", path, data).withHint("put the report elsewhere")
	}
	return err
}

// tell writes the reports: to standard output what is not in a file, then the
// files. failed is why the gate came to nothing, or nil; whoever called then says
// so.
func (g *gated) tell(failed error) error {
	r := g.report()
	if err := g.tellHere(r, failed); err != nil {
		return err
	}
	for _, file := range g.o.formats.files {
		data, err := g.encode(r, file.format)
		if err == nil {
			err = g.a.writeOut(file.path, data)
		}
		if err != nil {
			return fmt.Errorf("the report: %w", err)
		}
	}
	return nil
}

// tellHere writes to standard output.
func (g *gated) tellHere(r *report.Report, failed error) error {
	a, f := g.a, &g.o.formats
	inFile := slices.ContainsFunc(f.files, func(file gateFile) bool { return file.format == f.format })
	switch {
	case a.json && failed == nil:
		a.printJSON(&g.out)
	case a.json: // the failure is the object
	case f.format == formatGitHub:
		return g.tellGitHub(r, failed)
	case f.format == formatText || inFile:
		if failed == nil && (!a.quiet || g.out.Exit != exitHolds) {
			g.print()
		}
	default:
		data, err := g.encode(r, f.format)
		if err != nil {
			return err
		}
		_, err = a.stdout.Write(data)
		return err
	}
	return nil
}

// encode is a report in one of the formats. That of GitHub in a file is the
// Markdown: commands count on standard output alone.
func (g *gated) encode(r *report.Report, format string) ([]byte, error) {
	var b bytes.Buffer
	var err error
	switch format {
	case formatSARIF:
		err = r.SARIF(&b, g.o.all)
	case formatJUnit:
		err = r.JUnit(&b)
	case formatGitHub:
		err = r.Summary(&b)
	case formatJSON:
		enc := json.NewEncoder(&b)
		enc.SetEscapeHTML(false)
		err = enc.Encode(&g.out)
	default:
		plain := *g.a
		plain.term = terminal.New(strings.NewReader(""), &b, &b, g.a.getenv)
		to := *g
		to.a = &plain
		to.print()
	}
	return b.Bytes(), err
}

// tellGitHub prints the text for whoever reads the log, the annotations, and adds
// the job's summary to the file that GitHub names.
//
// The runner looks for commands in all that is printed. So the text stands between
// two commands that turn them off and on again, by a word that nobody can know.
func (g *gated) tellGitHub(r *report.Report, failed error) error {
	a := g.a
	if failed == nil && (!a.quiet || g.out.Exit != exitHolds) {
		var word [16]byte
		if _, err := rand.Read(word[:]); err != nil {
			return err
		}
		token := "stele-" + hex.EncodeToString(word[:])
		fmt.Fprintf(a.stdout, "::stop-commands::%s\n", token)
		g.print()
		fmt.Fprintf(a.stdout, "::%s::\n", token)
	}
	if err := r.Annotations(a.stdout); err != nil {
		return err
	}
	path := a.getenv("GITHUB_STEP_SUMMARY")
	if path == "" {
		return nil
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o644)
	if err == nil {
		err = r.Summary(f)
		if cerr := f.Close(); err == nil {
			err = cerr
		}
	}
	if err != nil {
		a.term.Warnf("the job's summary was not written: %v", notWritten(path, err))
	}
	return nil
}

// gateManual is the manual's page on gates.
const gateManual = "https://github.com/stele-ml/stele/blob/main/docs/command-line.md#gates"

// report is the same for other programs.
func (g *gated) report() *report.Report {
	r := &report.Report{
		Version: version, HelpURI: gateManual, Name: g.o.name, Of: g.o.version, Fingerprint: g.out.Fingerprint, Stage: g.o.stage,
		Location: belowHere(g.o.path, g.a.getenv("GITHUB_WORKSPACE")), Verdict: g.out.Verdict, Headline: g.out.Headline, Exit: g.out.Exit, Broken: g.verdict.Broken, At: g.a.now(),
	}
	if g.out.AsOf != nil {
		r.Origin, r.Entries = g.out.AsOf.Origin, g.out.AsOf.Size
	}
	for i := range g.Checks {
		r.Checks = append(r.Checks, g.Checks[i].Check)
	}
	return r
}

// belowHere is where data lie, with slashes, from the root of the repository that a
// job checked out, or else from the working folder. Elsewhere it is empty.
func belowHere(path, root string) string {
	p, err := place.Parse(path)
	if path == "" || err != nil || p.Remote() {
		return ""
	}
	at, err := filepath.Abs(p.Path())
	if err == nil && root == "" {
		root, err = os.Getwd()
	}
	if err != nil {
		return ""
	}
	if rel, err := filepath.Rel(root, at); err == nil && rel != "." && filepath.IsLocal(rel) {
		return filepath.ToSlash(rel)
	}
	return ""
}

// print writes the verdict for a person: what closes the gate first, then all by
// their groups.
func (g *gated) print() {
	t := g.a.term
	style := terminal.Good
	switch g.out.Exit {
	case exitHolds:
	case exitNotFound:
		style = terminal.Caution
	default:
		style = terminal.Bad
	}
	t.Printf("%s\n", t.Style(style, g.out.Headline))
	for _, c := range g.verdict.Closing {
		g.printRefusal(c)
	}
	for i := range g.Checks {
		if c := &g.Checks[i]; c.Outcome == report.Warning {
			g.printFinding("warning:", terminal.Caution, c)
		}
	}
	if n := g.out.Counts; n != nil && len(g.out.Changes) > 0 {
		t.Printf("\n%s\n", countsText(*n))
		g.a.printChanges(g.out.Changes, *n, g.o.all)
	}
	t.Printf("\n")
	for _, group := range g.report().Grouped() {
		if lines := g.linesOf(group); len(lines) > 0 {
			t.Printf("%s\n", t.Style(terminal.Bold, group.Name))
			t.Checks(lines)
		}
	}
	pairs := []terminal.Pair{{Key: "fingerprint", Value: g.out.Fingerprint}}
	if by := g.out.By; by != nil {
		value := by.Handle + " (key " + shortKey(by.Key) + ")"
		if len(by.Roles) > 0 {
			value += ": " + strings.Join(by.Roles, ", ")
		}
		pairs = append(pairs, terminal.Pair{Key: "would be released by", Value: value})
	} else {
		pairs = append(pairs, terminal.Pair{Key: "would be released by", Value: "nobody who is known; --by HANDLE says who", Style: terminal.Dim})
	}
	if of := g.out.AsOf; of != nil {
		value := terminal.Plural(of.Size, "entry", "entries") + " of " + of.Origin
		if of.Time != "" {
			value += ", " + g.a.timeOf(of.Time)
		}
		pairs = append(pairs, terminal.Pair{Key: "as of", Value: value})
	}
	t.Printf("\n")
	t.KeyValues(pairs)
}

// printRefusal tells what closes the gate, as every verb tells a refusal.
func (g *gated) printRefusal(c *gate.Check) {
	word := "refused by"
	switch {
	case c.Outcome == report.NotMade:
		word = "not decided:"
	case c.Class == gate.Tampered:
		word = "TAMPERED:"
	case c.Class == gate.Untrusted:
		word = "NOT TRUSTED:"
	}
	style := terminal.Bad
	if c.Outcome == report.NotMade {
		style = terminal.Caution
	}
	g.printFinding(word, style, c)
}

func (g *gated) printFinding(word string, style terminal.Style, c *gate.Check) {
	t := g.a.term
	t.Printf("%s %s\n", t.Style(style, word), findingTitle(c))
	t.Printf("  %s\n", inert(c.Message))
	if c.Hint != "" {
		t.Printf("  hint: %s\n", inert(c.Hint))
	}
}

// findingTitle is what a finding is about: of a contract's rule, that.
func findingTitle(c *gate.Check) string {
	if c.Group == "contracts" || c.Group == "gate" || c.Group == c.Title {
		return c.Title
	}
	return c.Group + " / " + c.Title
}

// linesOf are the lines of a group. What passed among the checks of the log is one
// line; what stands above with its message is not told again.
func (g *gated) linesOf(group report.Group) []terminal.Check {
	var lines []terminal.Check
	var passed, unmade []string
	folded := group.Name == "ledger" && !g.o.all
	for i := range group.Checks {
		c := &group.Checks[i]
		switch {
		case !c.Holds() && c.Outcome == report.NotMade:
			lines = append(lines, terminal.Check{Name: c.Title, Outcome: terminal.NotMade, Detail: "see above"})
		case !c.Holds():
			lines = append(lines, terminal.Check{Name: c.Title, Outcome: terminal.Failed, Detail: "see above"})
		case c.Outcome == report.Warning:
			lines = append(lines, terminal.Check{Name: c.Title, Outcome: terminal.Warned, Detail: "see above"})
		case folded && c.Outcome == report.Passed:
			passed = append(passed, c.Title)
		case folded:
			unmade = append(unmade, c.Title)
		case c.Outcome == report.Passed:
			lines = append(lines, terminal.Check{Name: c.Title, Outcome: terminal.Passed, Detail: terminal.Brief(inert(c.Message))})
		default:
			lines = append(lines, terminal.Check{Name: c.Title, Outcome: terminal.NotMade, Detail: terminal.Brief(inert(c.Message))})
		}
	}
	if len(passed) > 0 {
		lines = append(lines, terminal.Check{Name: "passed", Outcome: terminal.Passed, Detail: strings.Join(passed, ", ")})
	}
	if len(unmade) > 0 {
		lines = append(lines, terminal.Check{Name: "others", Outcome: terminal.NotMade, Detail: strings.Join(unmade, ", ") + " (--all says why)"})
	}
	return lines
}

// inert is text in which nothing is a command to whatever runs the job and reads
// its output: GitHub takes ::name:: at the beginning of a line, also of one that
// was broken, and ##[name] anywhere; Azure Pipelines ##vso[name].
func inert(text string) string {
	text = strings.ReplaceAll(text, "##", "# #")
	return strings.ReplaceAll(text, "::", ": :")
}
