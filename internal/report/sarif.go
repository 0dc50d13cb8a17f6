package report

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"path"
	"slices"
	"strings"
	"time"
)

// SARIF 2.1.0, the OASIS standard with errata 01:
// https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/sarif-v2.1.0-errata01-os-complete.html
const (
	sarifVersion = "2.1.0"
	sarifSchema  = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)

type sarifLog struct {
	Schema  string     `json:"$schema"`
	Version string     `json:"version"`
	Runs    []sarifRun `json:"runs"`
}

type sarifRun struct {
	Tool        sarifTool         `json:"tool"`
	Automation  sarifAutomation   `json:"automationDetails"`
	Invocations []sarifInvocation `json:"invocations"`
	Results     []sarifResult     `json:"results"` // never null: that would say that it could not run
	Properties  map[string]any    `json:"properties"`
}

type sarifAutomation struct {
	ID string `json:"id"`
}

type sarifInvocation struct {
	Successful bool   `json:"executionSuccessful"`
	ExitCode   int    `json:"exitCode"`
	EndTime    string `json:"endTimeUtc"`
}

type sarifTool struct {
	Driver sarifDriver `json:"driver"`
}

type sarifDriver struct {
	Name            string      `json:"name"`
	FullName        string      `json:"fullName"`
	Version         string      `json:"version"`
	SemanticVersion string      `json:"semanticVersion,omitempty"`
	Information     string      `json:"informationUri"`
	Rules           []sarifRule `json:"rules"`
}

type sarifRule struct {
	ID            string         `json:"id"`
	Name          string         `json:"name"`
	Short         sarifText      `json:"shortDescription"`
	Full          sarifText      `json:"fullDescription"`
	Help          sarifText      `json:"help"`
	HelpURI       string         `json:"helpUri"`
	Configuration sarifConfig    `json:"defaultConfiguration"`
	Properties    map[string]any `json:"properties"`
}

type sarifText struct {
	Text string `json:"text"`
}

type sarifConfig struct {
	Level string `json:"level"`
}

type sarifResult struct {
	RuleID       string            `json:"ruleId"`
	RuleIndex    int               `json:"ruleIndex"`
	Kind         string            `json:"kind"`
	Level        string            `json:"level"`
	Message      sarifText         `json:"message"`
	Locations    []sarifLocation   `json:"locations"`
	Fingerprints map[string]string `json:"partialFingerprints"`
	Properties   map[string]any    `json:"properties"`
}

type sarifLocation struct {
	Physical sarifPhysical  `json:"physicalLocation"`
	Logical  []sarifLogical `json:"logicalLocations"`
}

type sarifPhysical struct {
	Artifact sarifArtifact `json:"artifactLocation"`
	Region   sarifRegion   `json:"region"`
}

type sarifArtifact struct {
	URI string `json:"uri"`
}

type sarifRegion struct {
	StartLine int `json:"startLine"`
}

type sarifLogical struct {
	Name string `json:"name"`
	Full string `json:"fullyQualifiedName"`
	Kind string `json:"kind"`
}

// SARIF writes the report in SARIF 2.1.0, ending with a newline.
//
// What does not hold is a result of the kind "fail": an error where it closes the
// gate, else a warning. With all, so are the others, of the kinds "pass" and
// "notApplicable". Without, they stand among the rules alone: GitHub's code
// scanning does not read kinds, and would raise an alert for each check that
// passed. It also wants of each result a place in the repository, with a line.
func (r *Report) SARIF(w io.Writer, all bool) error {
	n := r.Counts()
	run := sarifRun{
		Tool: sarifTool{sarifDriver{
			Name: "stele", FullName: "Stele gate", Version: clean(r.Version), SemanticVersion: semantic(r.Version), Information: r.HelpURI, Rules: []sarifRule{},
		}},
		// What GitHub takes as the category: the next gate on this name and stage
		// takes the place of this one, and closes its alerts.
		Automation:  sarifAutomation{"stele-gate/" + sarifPlain(r.Name) + "/" + sarifPlain(r.Stage) + "/"},
		Invocations: []sarifInvocation{{Successful: !r.Broken, ExitCode: r.Exit, EndTime: r.At.UTC().Format(time.RFC3339)}},
		Results:     []sarifResult{},
		Properties: map[string]any{
			"verdict": clean(r.Verdict), "headline": clean(r.Headline), "artifact": clean(r.Subject()), "fingerprint": clean(r.Fingerprint),
			"stage": clean(r.Stage), "ledger": clean(r.Origin), "entries": r.Entries,
			"checks": map[string]int{"passed": n.Passed, "failed": n.Failed, "warnings": n.Warnings, "notMade": n.NotMade},
		},
	}
	at := map[string]int{} // rules, by id
	for i := range r.Checks {
		c := &r.Checks[i]
		id := clean(c.ID)
		rule, ok := at[id]
		if !ok {
			rule = len(run.Tool.Driver.Rules)
			at[id] = rule
			run.Tool.Driver.Rules = append(run.Tool.Driver.Rules, r.sarifRule(c))
		}
		if result := r.sarifResult(c, rule); all || result.Kind == "fail" {
			run.Results = append(run.Results, result)
		}
	}
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(sarifLog{Schema: sarifSchema, Version: sarifVersion, Runs: []sarifRun{run}})
}

func (r *Report) sarifRule(c *Check) sarifRule {
	help := c.Help
	if clean(help) == "" {
		help = titled(c)
	}
	level := "warning"
	if c.Required {
		level = "error"
	}
	return sarifRule{
		ID: clean(c.ID), Name: pascal(c.ID), Short: sarifText{sarifPlain(titled(c))}, Full: sarifText{sarifPlain(help)}, Help: sarifText{sarifPlain(help)},
		HelpURI: r.HelpURI, Configuration: sarifConfig{level}, Properties: map[string]any{"tags": []string{"provenance", clean(c.Group)}},
	}
}

func (r *Report) sarifResult(c *Check, rule int) sarifResult {
	// Section 3.27.10: what is not of the kind "fail" has the level "none".
	kind, level := "fail", "error"
	switch {
	case c.Outcome == Passed:
		kind, level = "pass", "none"
	case c.Outcome == Warning:
		level = "warning"
	case c.Outcome == NotMade && !c.Required:
		kind, level = "notApplicable", "none"
	}
	text := sarifPlain(message(c))
	properties := map[string]any{"outcome": string(c.Outcome), "required": c.Required, "group": clean(c.Group)}
	if c.Hint != "" {
		properties["hint"] = clean(c.Hint)
		text += "\nHint: " + sarifPlain(c.Hint)
	}
	for name, value := range map[string]string{"contract": c.Contract, "rule": c.Rule} {
		if value != "" {
			properties[name] = clean(value)
		}
	}
	if c.Entry != nil {
		properties["entry"] = *c.Entry
	}
	same := r.sameness(c)
	return sarifResult{
		RuleID: clean(c.ID), RuleIndex: rule, Kind: kind, Level: level, Message: sarifText{text},
		Locations: []sarifLocation{{
			Physical: sarifPhysical{sarifArtifact{r.uri()}, sarifRegion{1}},
			Logical:  []sarifLogical{{Name: clean(r.Subject()), Full: clean(r.Subject()), Kind: "artifact"}},
		}},
		// The first is the one that GitHub matches alerts by.
		Fingerprints: map[string]string{"primaryLocationLineHash": same[:16] + ":1", "steleCheck/v1": same},
		Properties:   properties,
	}
}

// sameness is the same for the same check of the same artifact in the same stage
// of the same ledger, whatever came of it.
func (r *Report) sameness(c *Check) string {
	h := sha256.New()
	for _, part := range []string{r.Origin, r.Name, r.Of, r.Stage, c.ID} {
		h.Write([]byte(part))
		h.Write([]byte{0})
	}
	return hex.EncodeToString(h.Sum(nil))
}

// uri is where the artifact lies, as a reference below the repository's root
// (RFC 3986, section 4.2): the data where they were given, else its name. GitHub
// takes no absolute address, nothing above the root, and a path that is no file.
func (r *Report) uri() string {
	where := r.Location
	if where == "" || path.IsAbs(where) || slices.Contains(strings.Split(where, "/"), "..") {
		where = r.Subject()
	}
	var b strings.Builder
	for _, segment := range strings.Split(clean(where), "/") {
		if segment == "" || segment == "." || segment == ".." {
			continue
		}
		if b.Len() > 0 {
			b.WriteByte('/')
		}
		for i := range len(segment) {
			// Section 2.3's unreserved, and of 3.3 what is no scheme's end.
			if c := segment[i]; c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || strings.IndexByte("-._~@+", c) >= 0 {
				b.WriteByte(c)
			} else {
				const digits = "0123456789ABCDEF"
				b.Write([]byte{'%', digits[c>>4], digits[c&15]})
			}
		}
	}
	if b.Len() == 0 {
		return "artifact"
	}
	return b.String()
}

// sarifPlain is foreign text in a SARIF message. Braces are doubled (section
// 3.11.5), for they would be placeholders; and nothing is a link (3.11.6).
func sarifPlain(text string) string {
	return strings.NewReplacer("{", "{{", "}", "}}", "](", "] (").Replace(clean(text))
}

// pascal is a rule's name as the standard suggests one: "LineageNotTainted".
func pascal(id string) string {
	var b strings.Builder
	for _, word := range strings.FieldsFunc(id, func(r rune) bool { return r > '~' || !alphanumeric(byte(r)) }) {
		b.WriteString(strings.ToUpper(word[:1]) + word[1:])
	}
	if b.Len() == 0 {
		return "Check"
	}
	return b.String()
}

func alphanumeric(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z'
}

// semantic is the version where it has the form of a semantic one, else empty.
func semantic(version string) string {
	core, _, _ := strings.Cut(strings.TrimPrefix(version, "v"), "-")
	parts := strings.Split(core, ".")
	if len(parts) != 3 || slices.ContainsFunc(parts, func(p string) bool { return p == "" || strings.Trim(p, "0123456789") != "" }) {
		return ""
	}
	return clean(strings.TrimPrefix(version, "v"))
}
