package report

import (
	"bytes"
	"encoding/json"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// published is the schema as OASIS published it: testdata/README.md.
var published = sync.OnceValues(func() (*jsonschema.Schema, error) {
	f, err := os.Open("testdata/sarif-schema-2.1.0.json")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	doc, err := jsonschema.UnmarshalJSON(f)
	if err != nil {
		return nil, err
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat() // uri, uri-reference, date-time
	if err := c.AddResource(sarifSchema, doc); err != nil {
		return nil, err
	}
	return c.Compile(sarifSchema)
})

// checkSARIF holds a log against the published schema, the standard's rules that a
// schema cannot say, and what GitHub's code scanning wants:
// https://docs.github.com/en/code-security/reference/code-scanning/sarif-files/sarif-support
func checkSARIF(t *testing.T, data []byte, r *Report, all bool) {
	t.Helper()
	schema, err := published()
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		t.Fatalf("no JSON: %v", err)
	}
	if err := schema.Validate(doc); err != nil {
		t.Fatalf("against the published schema: %v\n%.3000s", err, data)
	}
	var log sarifLog
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&log); err != nil {
		t.Fatal(err)
	}
	run := log.Runs[0]
	if run.Results == nil {
		t.Error("results is null, which says that the tool could not run")
	}
	if !strings.HasSuffix(run.Automation.ID, "/") {
		t.Errorf("the category is cut from %q", run.Automation.ID)
	}
	want := 0
	for i := range r.Checks {
		if c := &r.Checks[i]; all || !c.Holds() || c.Outcome == Warning {
			want++
		}
	}
	if len(run.Results) != want {
		t.Errorf("%d results, want %d", len(run.Results), want)
	}
	for _, result := range run.Results {
		switch {
		case result.RuleIndex >= len(run.Tool.Driver.Rules) || run.Tool.Driver.Rules[result.RuleIndex].ID != result.RuleID:
			t.Errorf("rule %d is not %q", result.RuleIndex, result.RuleID)
		case result.Kind != "fail" && result.Level != "none": // section 3.27.10
			t.Errorf("kind %q has the level %q", result.Kind, result.Level)
		case !all && result.Kind != "fail":
			t.Errorf("GitHub would raise an alert for what passed: %q", result.RuleID)
		case len(result.Locations) != 1 || result.Locations[0].Physical.Region.StartLine < 1:
			t.Errorf("a result without a place")
		}
		where := result.Locations[0].Physical.Artifact.URI
		u, err := url.Parse(where)
		if err != nil || u.Scheme != "" || u.Host != "" || u.RawQuery != "" || u.Fragment != "" || strings.HasPrefix(where, "/") || where == "" {
			t.Errorf("%q is no path below the repository: %v", where, err)
		}
		if err == nil && slices.ContainsFunc(strings.Split(u.Path, "/"), func(s string) bool { return s == ".." || s == "." }) {
			t.Errorf("%q leads out", where)
		}
		if !regexp.MustCompile(`^[0-9a-f]{16}:1$`).MatchString(result.Fingerprints["primaryLocationLineHash"]) {
			t.Errorf("fingerprints %v", result.Fingerprints)
		}
		// Placeholders: every brace is doubled, as its escape.
		rest := strings.NewReplacer("{{", "", "}}", "").Replace(result.Message.Text)
		if strings.ContainsAny(rest, "{}") || strings.Contains(result.Message.Text, "](") {
			t.Errorf("a placeholder or link in %.80q", result.Message.Text)
		}
	}
}

func TestSARIF(t *testing.T) {
	var b bytes.Buffer
	r := sample()
	if err := r.SARIF(&b, false); err != nil {
		t.Fatal(err)
	}
	checkSARIF(t, b.Bytes(), r, false)
	var log sarifLog
	if err := json.Unmarshal(b.Bytes(), &log); err != nil {
		t.Fatal(err)
	}
	run := log.Runs[0]
	if len(run.Tool.Driver.Rules) != 5 || len(run.Results) != 3 {
		t.Fatalf("%d rules, %d results", len(run.Tool.Driver.Rules), len(run.Results))
	}
	two := run.Results[1]
	if two.RuleID != "contract/production/two-approvals" || two.Level != "error" || two.Kind != "fail" || two.Locations[0].Physical.Artifact.URI != "models/fraud" ||
		two.Message.Text != "production needs 2 approvals, found 1 (bob, entry 50)\nHint: ask another reviewer to run `stele approve`" ||
		two.Properties["contract"] != "production@3" || two.Properties["entry"] != 12.0 {
		t.Errorf("%+v", two)
	}
	if name := run.Tool.Driver.Rules[3].Name; name != "ContractProductionTwoApprovals" {
		t.Errorf("name %q", name)
	}
	if run.Results[0].Level != "warning" || run.Results[2].Level != "error" {
		t.Error("a warning, or what was required and not made, has the wrong level")
	}
	if run.Invocations[0].EndTime != "2026-11-22T01:47:00Z" || run.Invocations[0].ExitCode != 4 || !run.Invocations[0].Successful {
		t.Errorf("%+v", run.Invocations[0])
	}
	if run.Tool.Driver.SemanticVersion != "1.2.3" || run.Automation.ID != "stele-gate/fraud/model/production/" {
		t.Errorf("%q, %q", run.Tool.Driver.SemanticVersion, run.Automation.ID)
	}
	b.Reset()
	if err := r.SARIF(&b, true); err != nil {
		t.Fatal(err)
	}
	checkSARIF(t, b.Bytes(), r, true)
	if err := json.Unmarshal(b.Bytes(), &log); err != nil {
		t.Fatal(err)
	}
	if kinds := log.Runs[0].Results; kinds[0].Kind != "pass" || kinds[1].Kind != "notApplicable" || kinds[2].Kind != "fail" {
		t.Errorf("kinds %q, %q, %q", kinds[0].Kind, kinds[1].Kind, kinds[2].Kind)
	}
}

// The same finding is the same alert: on the next day, with another sentence, by
// another version of the contract. Of another artifact it is another.
func TestFingerprintsAreStable(t *testing.T) {
	same := func(change func(*Report)) string {
		r := sample()
		change(r)
		return r.sameness(&r.Checks[3])
	}
	was := same(func(*Report) {})
	for name, change := range map[string]func(*Report){
		"time":    func(r *Report) { r.At = r.At.AddDate(0, 0, 1) },
		"message": func(r *Report) { r.Checks[3].Message = "found 0" },
		"version": func(r *Report) { r.Checks[3].Contract = "production@4" },
		"entries": func(r *Report) { r.Entries++ },
		"outcome": func(r *Report) { r.Checks[3].Outcome = Passed },
	} {
		if same(change) != was {
			t.Errorf("another %s makes another alert", name)
		}
	}
	for name, change := range map[string]func(*Report){
		"artifact": func(r *Report) { r.Name = "fraud/mode" }, "its version": func(r *Report) { r.Of = "5" }, "stage": func(r *Report) { r.Stage = "staging" },
		"ledger": func(r *Report) { r.Origin = "stele.other" }, "rule": func(r *Report) { r.Checks[3].ID = "x" },
		"cut elsewhere": func(r *Report) { r.Name, r.Of = "fraud/model4", "" },
	} {
		if same(change) == was {
			t.Errorf("another %s is the same alert", name)
		}
	}
}

func TestURIs(t *testing.T) {
	for location, want := range map[string]string{
		"": "fraud/model@4", "models/fraud": "models/fraud", "models/a b": "models/a%20b", "/etc/passwd": "fraud/model@4", "../up": "fraud/model@4", "a/../../b": "fraud/model@4",
		"./here": "here", "a:b/c": "a%3Ab/c", "ä/%2e%2e/x": "%C3%A4/%252e%252e/x", "a?b#c": "a%3Fb%23c", ".": "artifact", `a\b`: "a%5Cb",
	} {
		r := sample()
		r.Location = location
		if got := r.uri(); got != want {
			t.Errorf("%q is at %q, want %q", location, got, want)
		}
	}
}

// The test can fail: the schema refuses what is no SARIF.
func TestSchemaBites(t *testing.T) {
	schema, err := published()
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{
		`{"version":"2.1.0"}`, `{"version":"2.0.0","runs":[]}`, `{"version":"2.1.0","runs":[{}]}`, `{"version":"2.1.0","runs":[{"tool":{"driver":{"name":"x"}},"extra":1}]}`,
		`{"version":"2.1.0","runs":[{"tool":{"driver":{"name":"x","informationUri":"no uri at all"}}}]}`,
		`{"version":"2.1.0","runs":[{"tool":{"driver":{"name":"x"}},"results":[{"message":{"text":"x"},"level":"fatal"}]}]}`,
	} {
		doc, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		if schema.Validate(doc) == nil {
			t.Errorf("the schema takes %s", text)
		}
	}
}
