package report

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// element is any XML element, as a reader without a schema sees it.
type element struct {
	XMLName  xml.Name
	Attrs    []xml.Attr `xml:",any,attr"`
	Text     string     `xml:",chardata"`
	Children []element  `xml:",any"`
}

func (e *element) attr(name string) (string, bool) {
	for _, a := range e.Attrs {
		if a.Name.Local == name {
			return a.Value, true
		}
	}
	return "", false
}

func (e *element) all(name string) (list []*element) {
	for i := range e.Children {
		if e.Children[i].XMLName.Local == name {
			list = append(list, &e.Children[i])
		}
	}
	return list
}

// readCase is a test case as a CI system knows it.
type readCase struct{ suite, class, name, status, output string }

// readGitLab reads as GitLab does (lib/gitlab/ci/parsers/test/junit.rb): one
// testsuites at the top, suites in suites, of a case the first of failure, error
// and skipped. It goes through Ruby's Hash.from_xml, by which an element with
// attributes and text is its text, cast to the type that an attribute "type"
// names; and it takes [[ATTACHMENT|path]] in the output of a failed case for a
// file of the job.
func readGitLab(t *testing.T, root *element) (cases []readCase) {
	t.Helper()
	rubyTypes := "symbol yaml file date datetime duration integer float decimal boolean string base64Binary hexBinary double dateTime array hash"
	var suites func(e *element)
	suites = func(e *element) {
		for _, s := range e.all("testsuite") {
			name, _ := s.attr("name")
			for _, c := range s.all("testcase") {
				r := readCase{suite: name, status: "success"}
				r.class, _ = c.attr("classname")
				r.name, _ = c.attr("name")
				for _, kind := range []string{"skipped", "error", "failure"} {
					for _, d := range c.all(kind) {
						r.status, r.output = kind, d.Text
						if typed, _ := d.attr("type"); strings.Contains(" "+rubyTypes+" ", " "+typed+" ") {
							t.Errorf("the type %q is one of Ruby's", typed)
						}
						if strings.TrimSpace(d.Text) == "" {
							t.Errorf("%s: without text, GitLab shows a hash", r.name)
						}
					}
				}
				for _, out := range c.all("system-out") {
					if strings.Contains(out.Text, "[[ATTACHMENT|") {
						t.Errorf("%s attaches a file", r.name)
					}
				}
				cases = append(cases, r)
			}
			suites(s)
		}
	}
	if root.XMLName.Local != "testsuites" {
		t.Errorf("the root is %s", root.XMLName.Local)
	}
	suites(root)
	return cases
}

// readJenkins reads as Jenkins does (hudson.tasks.junit, SuiteResult and
// CaseResult): suites however deep, the class from the case, its package what
// stands before the last dot; a failure's attribute "message" and its text; the
// attribute "message" of skipped, or its text.
func readJenkins(t *testing.T, root *element) (cases []readCase) {
	t.Helper()
	var suites func(e *element)
	suites = func(e *element) {
		for _, s := range e.all("testsuite") {
			suites(s)
		}
		for _, c := range e.all("testcase") {
			r := readCase{status: "success"}
			r.suite, _ = e.attr("name")
			var ok bool
			if r.class, ok = c.attr("classname"); !ok {
				r.class = r.suite
			}
			r.name, _ = c.attr("name")
			if i := strings.LastIndexByte(r.class, '.'); i < 0 || strings.Count(r.class, ".") != 3 {
				t.Errorf("the class %q has another package than stele.gate.STAGE", r.class)
			}
			for _, kind := range []string{"skipped", "failure", "error"} {
				for _, d := range c.all(kind) {
					r.status = kind
					if r.output, ok = d.attr("message"); !ok {
						t.Errorf("%s has no message", r.name)
					}
				}
			}
			if time, ok := c.attr("time"); !ok || time != "0" {
				t.Errorf("time %q", time)
			}
			cases = append(cases, r)
		}
	}
	suites(root)
	return cases
}

// checkJUnit reads a report as both do.
func checkJUnit(t *testing.T, data []byte, r *Report) {
	t.Helper()
	var root element
	dec := xml.NewDecoder(bytes.NewReader(data)) // strict: it refuses characters that XML has not
	if err := dec.Decode(&root); err != nil {
		t.Fatalf("no XML: %v\n%.2000s", err, data)
	}
	gitlab, jenkins := readGitLab(t, &root), readJenkins(t, &root)
	if len(gitlab) != len(r.Checks) || len(jenkins) != len(r.Checks) {
		t.Fatalf("GitLab reads %d cases, Jenkins %d, of %d checks", len(gitlab), len(jenkins), len(r.Checks))
	}
	var want []*Check // by groups
	for _, g := range r.Grouped() {
		for i := range g.Checks {
			want = append(want, &g.Checks[i])
		}
	}
	failures := 0
	for i, c := range want {
		status := "success"
		switch {
		case !c.Holds():
			status = "failure"
			failures++
		case c.Outcome == NotMade:
			status = "skipped"
		}
		for who, read := range map[string]readCase{"GitLab": gitlab[i], "Jenkins": jenkins[i]} {
			if read.status != status {
				t.Errorf("%s: %s reads %s, want %s", c.ID, who, read.status, status)
			}
			if want := junitPlain(clean(c.Message)); status != "success" && want != "" && !strings.Contains(read.output, want) {
				t.Errorf("%s: %s shows %.200q", c.ID, who, read.output)
			}
		}
	}
	if n, _ := root.attr("failures"); n != fmt.Sprint(failures) {
		t.Errorf("failures=%s, there are %d", n, failures)
	}
	if n, _ := root.attr("tests"); n != fmt.Sprint(len(want)) {
		t.Errorf("tests=%s, there are %d", n, len(want))
	}
}

func TestJUnit(t *testing.T) {
	var b bytes.Buffer
	if err := sample().JUnit(&b); err != nil {
		t.Fatal(err)
	}
	checkJUnit(t, b.Bytes(), sample())
	for _, want := range []string{
		`<testsuites name="stele gate fraud/model@4 production" tests="5" failures="2" errors="0">`,
		`<testsuite name="stele gate: contracts" tests="2" failures="2" errors="0" skipped="0" time="0" timestamp="2026-11-22T01:47:00">`,
		`<testcase classname="stele.gate.production.contracts" name="contract/production/two-approvals" time="0">`,
		`<failure message="production needs 2 approvals, found 1 (bob, entry 50)" type="refused">`,
		`type="not-made"`, `<skipped message="no data was given" type="skipped">`, `<system-out>warning: none recorded`,
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("there is no %s in\n%s", want, b.String())
		}
	}
}

// The schema that Jenkins' xUnit plugin holds reports against, by libxml2.
func TestJUnitAgainstJenkinsSchema(t *testing.T) {
	xmllint, err := exec.LookPath("xmllint")
	if err != nil {
		t.Skip("xmllint is not here")
	}
	folder := t.TempDir()
	args := []string{"--noout", "--nonet", "--huge", "--schema", "testdata/junit-10.xsd"}
	for i, r := range append([]*Report{sample(), {}}, hostileReports()...) {
		var b bytes.Buffer
		if err := r.JUnit(&b); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(folder, fmt.Sprintf("%d.xml", i))
		if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
		args = append(args, path)
	}
	if out, err := exec.Command(xmllint, args...).CombinedOutput(); err != nil {
		t.Errorf("%v\n%.4000s", err, out)
	}
	// It can fail.
	bad := filepath.Join(folder, "bad.xml")
	if err := os.WriteFile(bad, []byte(`<testsuites><testsuite name="x"/></testsuites>`), 0o644); err != nil {
		t.Fatal(err)
	}
	if exec.Command(xmllint, "--noout", "--nonet", "--schema", "testdata/junit-10.xsd", bad).Run() == nil {
		t.Error("the schema takes a suite without totals")
	}
}

func hostileReports() (list []*Report) {
	for _, text := range hostile {
		list = append(list, withText(text))
	}
	return list
}
