package report

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

func entry(n uint64) *uint64 { return &n }

// sample is a report with a check of each outcome.
func sample() *Report {
	return &Report{
		Version: "1.2.3", HelpURI: "https://github.com/stele-ml/stele/blob/main/docs/command-line.md#gates",
		Name: "fraud/model", Of: "4", Fingerprint: "stele-sha256:" + strings.Repeat("ab", 32), Stage: "production", Location: "models/fraud",
		Verdict: "refused", Headline: "fraud/model@4 may not join production: 2 checks refuse it", Exit: 4, Origin: "stele.clinic", Entries: 51,
		At: time.Date(2026, 11, 22, 2, 47, 0, 0, time.FixedZone("", 3600)),
		Checks: []Check{
			{ID: "ledger/trusted-log", Group: "ledger", Title: "trusted log", Outcome: Passed, Required: true, Message: "the trust policy names the log's key"},
			{ID: "contents/fingerprint", Group: "contents", Title: "contents", Outcome: NotMade, Message: "no data was given"},
			{ID: "lineage/origin", Group: "lineage", Title: "origin", Outcome: Warning, Message: "none recorded that counts", Hint: "`stele run` says what a model was made of"},
			{ID: "contract/production/two-approvals", Group: "contracts", Title: "production@3 / two-approvals", Outcome: Failed, Required: true, Contract: "production@3", Rule: "two-approvals",
				Message: "production needs 2 approvals, found 1 (bob, entry 50)", Hint: "ask another reviewer to run `stele approve`", Entry: entry(12)},
			{ID: "contract/production/not-the-trainer", Group: "contracts", Title: "production@3 / not-the-trainer", Outcome: NotMade, Required: true, Contract: "production@3", Rule: "not-the-trainer",
				Message: "undecided: it looks at who signs", Hint: "say who would release: --by HANDLE", Entry: entry(12)},
		},
	}
}

// hostile are texts that somebody put on a ledger to be more than text.
var hostile = []string{
	"\x00\x01\x07\x1b[2J\x1b]0;title\a\x7f\u0085\u009b31m",
	"\xff\xfe\xc3(", // not UTF-8
	"]]><failure/></testcase><!-- --> <![CDATA[ &amp; &#0; &#xFFFE; \ufffe\uffff\U0001ffff",
	"::error title=x::y\n::add-mask::secret\r\n::stop-commands::x\n##[error]boo\n##[set-env name=PATH]/evil",
	"%0A::error::twice %25 %0a a%3Ab,c:d",
	"\u202egnp.exe\u202c \u2066x\u2069 \u200b\u200f\ufeff \u2028\u2029 \U000e0041",
	"{0} {foo} }} {{ [click](https://evil.example) [1](1)",
	`<script>alert(1)</script><img src=x onerror=y> </code></details> <!-- -->`,
	"| cell | **bold** _it_ `code` ``` ~~~ # h\n- item\n> quote\n| --- |\n[a]: http://evil.example \"t\"\n![i](x) @octocat #1 :tada: www.evil.example a@evil.example https://evil.example $x$",
	"[[ATTACHMENT|/etc/passwd]]",
	`"quoted" 'single' \ \" \u0000 \n`,
	"../../etc/passwd", "//evil.example/x", "https://evil.example/x?y#z", "file:///etc/passwd", "a b:c%2F\\d", "", ".", "..", "/",
	strings.Repeat("x", 1<<20), strings.Repeat("é", 1<<19), strings.Repeat("\x1b", 1<<20), strings.Repeat("::error::\n", 1<<17),
}

// withText is a report in which every text is the same.
func withText(text string) *Report {
	r := sample()
	r.Version, r.Name, r.Of, r.Fingerprint, r.Stage, r.Location, r.Verdict, r.Headline, r.Origin = text, text, text, text, text, text, text, text, text
	for i := range r.Checks {
		c := &r.Checks[i]
		c.ID, c.Group, c.Title, c.Help, c.Message, c.Hint, c.Contract, c.Rule = text, text, text, text, text, text, text, text
	}
	return r
}

func TestOutcomes(t *testing.T) {
	r := sample()
	if r.Open() {
		t.Error("a gate with a refusal is open")
	}
	if got, want := r.Counts(), (Counts{Passed: 1, Failed: 1, Warnings: 1, NotMade: 2, Closing: 2}); got != want {
		t.Errorf("counts %+v, want %+v", got, want)
	}
	for _, c := range []struct {
		outcome  Outcome
		required bool
		holds    bool
	}{{Passed, true, true}, {Passed, false, true}, {Warning, false, true}, {NotMade, false, true}, {NotMade, true, false}, {Failed, true, false}, {Failed, false, false}, {"", true, false}, {"", false, false}} {
		check := Check{Outcome: c.outcome, Required: c.required}
		if check.Holds() != c.holds {
			t.Errorf("%q, required %v: holds is %v", c.outcome, c.required, check.Holds())
		}
	}
	r.Checks = r.Checks[:3]
	if !r.Open() {
		t.Error("a warning, or what nobody asked for, closes the gate")
	}
	groups := sample().Grouped()
	if names := []string{groups[0].Name, groups[1].Name, groups[2].Name, groups[3].Name}; !slices.Equal(names, []string{"ledger", "contents", "lineage", "contracts"}) || len(groups[3].Checks) != 2 {
		t.Errorf("groups %v", names)
	}
}

func TestCleanIsOneHarmlessLine(t *testing.T) {
	for _, text := range hostile {
		got := clean(text)
		if !utf8.ValidString(got) || len(got) > MaxText {
			t.Errorf("%.40q: %d bytes, valid %v", text, len(got), utf8.ValidString(got))
		}
		for _, r := range got {
			if r < ' ' || r >= 0x7f && r < 0xa0 || r == '\u202e' || r == '\u2028' || r == '\ufeff' || r == '\ufffe' {
				t.Errorf("%.40q: %U is left", text, r)
			}
		}
	}
	for text, want := range map[string]string{
		"": "", "plain text, 0.92": "plain text, 0.92", "Zoë ∑ 模型 🙂": "Zoë ∑ 模型 🙂",
		"a\nb\tc": `a\nb\tc`, "\x1b[31m": `\x1b[31m`, "\u202eevil": `\u202eevil`, "\xff": `\xff`, "\U000e0041": `\U000e0041`, "\ufffe": `\ufffe`,
	} {
		if got := clean(text); got != want {
			t.Errorf("%q became %q, want %q", text, got, want)
		}
	}
	if got := clean(strings.Repeat("é", MaxText)); !strings.HasSuffix(got, "é…") {
		t.Errorf("a long text ends with %q", got[len(got)-8:])
	}
}

// FuzzReport: no text breaks out of any format, or makes one fail.
func FuzzReport(f *testing.F) {
	for _, text := range hostile {
		if len(text) < 1<<12 {
			f.Add(text)
		}
	}
	f.Fuzz(func(t *testing.T, text string) {
		checkFormats(t, withText(text))
	})
}

// checkFormats writes a report in each format and reads it as those do that it is
// for.
func checkFormats(t *testing.T, r *Report) {
	t.Helper()
	for _, all := range []bool{false, true} {
		var b bytes.Buffer
		if err := r.SARIF(&b, all); err != nil {
			t.Fatal(err)
		}
		checkSARIF(t, b.Bytes(), r, all)
	}
	var b bytes.Buffer
	if err := r.JUnit(&b); err != nil {
		t.Fatal(err)
	}
	checkJUnit(t, b.Bytes(), r)
	b.Reset()
	if err := r.Annotations(&b); err != nil {
		t.Fatal(err)
	}
	checkAnnotations(t, b.String(), r)
	b.Reset()
	if err := r.Summary(&b); err != nil {
		t.Fatal(err)
	}
	checkSummary(t, b.String(), r)
}

func TestHostileTextStaysText(t *testing.T) {
	for _, text := range hostile {
		checkFormats(t, withText(text))
	}
	checkFormats(t, sample())
	many := sample()
	for range 3000 {
		many.Checks = append(many.Checks, withText(strings.Repeat("long & <b>text</b> ", 400)).Checks...)
	}
	var b bytes.Buffer
	if err := many.Summary(&b); err != nil || b.Len() > MaxSummary {
		t.Errorf("a summary of %d bytes: %v", b.Len(), err)
	}
	if !strings.Contains(b.String(), "There are more than fit here") || !strings.HasSuffix(b.String(), "</details>\n\n") {
		t.Error("a summary that was cut does not say so, or is not closed")
	}
}
