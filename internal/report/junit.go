package report

import (
	"encoding/xml"
	"io"
	"strconv"
	"strings"
)

// JUnit has no standard: what is written here is what the schema of Jenkins'
// xUnit plugin (junit-10.xsd) allows, and of that what Jenkins and GitLab read.

type junitSuites struct {
	XMLName  xml.Name     `xml:"testsuites"`
	Name     string       `xml:"name,attr"`
	Tests    int          `xml:"tests,attr"`
	Failures int          `xml:"failures,attr"`
	Errors   int          `xml:"errors,attr"`
	Suites   []junitSuite `xml:"testsuite"`
}

type junitSuite struct {
	Name       string          `xml:"name,attr"`
	Tests      int             `xml:"tests,attr"`
	Failures   int             `xml:"failures,attr"`
	Errors     int             `xml:"errors,attr"`
	Skipped    int             `xml:"skipped,attr"`
	Time       string          `xml:"time,attr"`
	Timestamp  string          `xml:"timestamp,attr"`
	Properties []junitProperty `xml:"properties>property"`
	Cases      []junitCase     `xml:"testcase"`
}

type junitProperty struct {
	Name  string `xml:"name,attr"`
	Value string `xml:"value,attr"`
}

type junitCase struct {
	Class   string       `xml:"classname,attr"`
	Name    string       `xml:"name,attr"`
	Time    string       `xml:"time,attr"`
	Failure *junitDetail `xml:"failure"`
	Skipped *junitDetail `xml:"skipped"`
	Out     *junitOut    `xml:"system-out"`
}

type junitDetail struct {
	Message string `xml:"message,attr"`
	Type    string `xml:"type,attr"`
	Text    string `xml:",chardata"`
}

type junitOut struct {
	Text string `xml:",chardata"`
}

// JUnit writes the report as JUnit XML, ending with a newline: a suite for each
// group, a case for each check.
//
// What closes the gate is a failure, also where it could not be made: a report of
// skipped tests alone would be green. Whatever else was not made is skipped, and
// a warning is a case that passed, with output.
func (r *Report) JUnit(w io.Writer) error {
	all := junitSuites{Name: "stele gate " + clean(r.Subject()) + " " + clean(r.Stage)}
	for _, g := range r.Grouped() {
		s := junitSuite{
			Name: "stele gate: " + clean(g.Name), Time: "0", Timestamp: r.At.UTC().Format("2006-01-02T15:04:05"), // local or UTC: without a zone, as Ant's
			Properties: []junitProperty{
				{"artifact", clean(r.Subject())}, {"fingerprint", clean(r.Fingerprint)}, {"stage", clean(r.Stage)}, {"verdict", clean(r.Verdict)},
				{"ledger", clean(r.Origin)}, {"entries", strconv.FormatUint(r.Entries, 10)},
			},
		}
		for i := range g.Checks {
			c := &g.Checks[i]
			t := junitCase{Class: "stele.gate." + class(r.Stage) + "." + class(c.Group), Name: junitPlain(clean(c.ID)), Time: "0"}
			text := junitPlain(said(c))
			if c.Contract != "" {
				text = junitPlain(titled(c)) + "\n" + text
			}
			// GitLab shows the text where there is one, else the attributes; Jenkins
			// shows both. The type is one of three words: GitLab's reader casts the
			// text by it where it is the name of a Ruby type, such as "yaml".
			detail := &junitDetail{Message: junitPlain(message(c)), Text: text}
			switch {
			case c.Outcome == NotMade && c.Required:
				detail.Type = "not-made"
				t.Failure = detail
				s.Failures++
			case !c.Holds():
				detail.Type = "refused"
				t.Failure = detail
				s.Failures++
			case c.Outcome == NotMade:
				detail.Type = "skipped"
				t.Skipped = detail
				s.Skipped++
			case c.Outcome == Warning:
				t.Out = &junitOut{"warning: " + text}
			}
			s.Tests++
			s.Cases = append(s.Cases, t)
		}
		all.Tests += s.Tests
		all.Failures += s.Failures
		all.Suites = append(all.Suites, s)
	}
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	enc := xml.NewEncoder(w)
	enc.Indent("", "  ")
	if err := enc.Encode(all); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}

// junitPlain is text in which nothing attaches a file: GitLab, and a plugin of
// Jenkins, take [[ATTACHMENT|path]] in a case's output for one.
func junitPlain(text string) string { return strings.ReplaceAll(text, "[[", "[ [") }

// class is a word in a class name, in which dots part packages.
func class(word string) string {
	return strings.Map(func(r rune) rune {
		if r > '~' || r != '-' && r != '_' && !alphanumeric(byte(r)) {
			return '_'
		}
		return r
	}, word)
}
