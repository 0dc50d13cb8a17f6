package contract

import (
	"strings"
	"testing"
)

// Each of these would come out differently on two machines, cost more than it
// is charged for, or run away. All are refused before anybody evaluates them.
func TestRefusedAtRegistration(t *testing.T) {
	nested := func(open, inner, shut string, n int) string {
		return strings.Repeat(open, n) + inner + strings.Repeat(shut, n)
	}
	for _, x := range []struct {
		name string
		spec spec
		want string // in the first problem
		hint string
	}{
		{"a loop over a map", spec{rule: `subject.annotations.exists(k, k == "x")`}, "a loop over a map(string, string): its order is not the same every time", "loop over a list"},
		{"a loop over metrics", spec{rule: `ledger.evaluations(subject).all(e, e.metrics.all(m, m != ""))`}, "a loop over a map(string, double)", ""},
		{"a map that is written out", spec{rule: `{"a": 1}.all(k, k == "a")`}, "a loop over a map", ""},
		{"a filter of a map", spec{rule: `subject.annotations.filter(k, k == "a").size() == 0`}, "a loop over a map", ""},
		{"a time zone", spec{rule: `entry.time.getHours("America/New_York") < 12`}, "found no matching overload for 'getHours'", "times are in UTC"},
		{"a time zone as an offset", spec{rule: `entry.time.getDate("+05:00") < 12`}, "found no matching overload for 'getDate'", "times are in UTC"},
		{"the clock", spec{rule: `now() > entry.time`}, "undeclared reference to 'now'", "entry.time"},
		{"dyn", spec{rule: `dyn(1) == dyn("a")`}, "undeclared reference to 'dyn'", "type"},
		{"a type", spec{rule: `type(subject) == type(subject)`}, "undeclared reference to 'type'", ""},
		{"the name of a type", spec{rule: `stele.Artifact == stele.Artifact`}, "a type is no value here", ""},
		{"a list of several types", spec{rule: `[1, "a"].size() == 2`}, "expected type 'int' but found 'string'", ""},
		{"a map of several types", spec{rule: `{"a": 1, "b": "c"}.size() == 2`}, "expected type 'int' but found 'string'", ""},
		{"an artifact that is made up", spec{rule: `ledger.approvers(stele.Artifact{name: "x"}).size() > 0`}, "cannot be made by a rule", "ledger.artifact"},
		{"a signer that is made up", spec{rule: `stele.Signer{handle: "alice"}.handle == "alice"`}, "cannot be made by a rule", ""},
		{"a protocol buffer", spec{rule: `google.protobuf.Duration{seconds: 1} < duration("2s")`}, "undeclared reference", ""},
		{"an any", spec{rule: `google.protobuf.Any{} == google.protobuf.Any{}`}, "undeclared reference", ""},
		{"a pattern from the ledger", spec{rule: `subject.name.matches(subject.version)`}, "not written out", ""},
		{"a pattern from a param", spec{params: given{"p": "a+"}, rule: `subject.name.matches(params.p)`}, "not written out", ""},
		{"a pattern that is put together", spec{rule: `subject.name.matches("a" + "b")`}, "not written out", ""},
		{"a pattern as a function", spec{rule: `matches(subject.name, subject.version)`}, "not written out", ""},
		{"a pattern that is none", spec{rule: `subject.name.matches("(")`}, "invalid matches argument", ""},
		{"a bomb of a pattern", spec{rule: `subject.name.matches("((a{1,30}){1,30}){1,30}")`}, "invalid matches argument", ""},
		{"a large pattern", spec{rule: `subject.name.matches("(a{1,20}b?){1,20}")`}, "regex program size", ""},
		{"a class of Unicode", spec{rule: `subject.name.matches("^\\pL+$")`}, "a class of Unicode", "[a-zA-Z]"},
		{"a class of Unicode, named", spec{rule: `subject.name.matches(r"^\\\P{Greek}+$")`}, "a class of Unicode", ""},
		{"a loop in a loop in a loop", spec{rule: `subject.from.all(a, subject.from.all(b, subject.from.all(c, a == c)))`}, "comprehension exceeds nesting limit", ""},
		{"ancestors of ancestors of ancestors", spec{rule: `ledger.ancestors(subject).all(a, ledger.ancestors(a).all(b, ledger.allAuthors(b).size() < 3))`}, "on a large ledger it may cost", "loop"},
		{"calls for every pair of ancestors", spec{variables: []string{"a", `ledger.ancestors(subject)`},
			rule: `variables.a.all(x, variables.a.all(y, ledger.approvers(x, "s") == ledger.approvers(y, "s")))`}, "on a large ledger it may cost", ""},
		{"deep parentheses", spec{rule: nested("(", "subject.listed", ")", 200)}, "recursion limit exceeded", "variables"},
		{"deep lists", spec{rule: nested("[", "1", "]", 200) + ".size() == 1"}, "recursion", ""},
		{"8 KiB of parentheses", spec{rule: strings.Repeat("(", 4000) + "subject.listed" + strings.Repeat(")", 4000)}, "recursion limit exceeded", "variables"},
		{"8 KiB of open parentheses", spec{rule: strings.Repeat("(", 8000)}, "recursion limit exceeded", ""},
		{"deep calls", spec{rule: nested("string(", `"a"`, ")", 100) + ` == "a"`}, "recursion", ""},
		{"a deep chain", spec{rule: `1` + strings.Repeat(" + 1", 300) + ` == 301`}, "recursion", "variables"},
		{"a deep choice", spec{rule: strings.Repeat("subject.listed ? 1 : ", 100) + "1 == 1"}, "", ""},
		{"many nodes", spec{rule: `[` + strings.Repeat("1, ", 2500) + `1].size() == 2501`}, "node", ""},
		{"8 KiB and one of expression", spec{rule: `"` + strings.Repeat("a", MaxExpression) + `" == ""`}, "at most 8192", ""},
		{"conditions that cost nothing", spec{rule: strings.Repeat("true && ", 500) + "subject.listed"}, "always true", "leave it out"},
		{"a choice that costs nothing", spec{rule: `subject.from.all(a, (false ? a.listed : !a.listed))`}, "always false", ""},
		{"a list made each time", spec{rule: `subject.from.all(a, [a.name` + strings.Repeat(`, "x"`, 100) + `].size() > 1)`}, "101 elements", "param"},
		{"a map made each time", spec{rule: `subject.from.all(a, {` + strings.Repeat(`a.name: "x", `, 40) + `a.version: "y"}.size() > 1)`}, "82 elements", "param"},
		{"many lists added together", spec{rule: `(subject.from` + strings.Repeat(` + subject.from`, 20) + `).size() == 0`}, "more than 16 lists", ""},
		{"no condition", spec{rule: `subject.name`}, "it is of type string, and has to be bool", ""},
		{"a message that is none", spec{rule: `subject.listed`, message: `subject.files`}, "it is of type int, and has to be string", ""},
		{"an int and a double", spec{rule: `subject.files * 1.5 > 3.0`}, "found no matching overload for '_*_'", "double("},
		{"a variable of itself", spec{variables: []string{"a", `variables.a`}, rule: `subject.listed`}, "undefined field 'a'", "no variables before"},
		{"a variable after it", spec{variables: []string{"a", `variables.b`, "b", `1`}, rule: `subject.listed`}, "undefined field 'b'", ""},
		{"what a macro uses inside", spec{rule: `@result`}, "", ""},
	} {
		t.Run(x.name, func(t *testing.T) {
			p := x.spec.problems(t)[0]
			if !strings.Contains(p.Message, x.want) {
				t.Errorf("%s%s\nwant %q", p.Place(), p.Message, x.want)
			}
			if x.hint != "" && !strings.Contains(p.Hint, x.hint) {
				t.Errorf("%s\nhint: %s\nwant %q", p.Message, p.Hint, x.hint)
			}
			for _, go_ := range []string{"contract.", "main/", "github", "*types", "0x", "&{"} {
				if strings.Contains(p.Message+p.Hint, go_) {
					t.Errorf("what is said has Go in it: %s\nhint: %s", p.Message, p.Hint)
				}
			}
		})
	}
}

// These are let in, and come to their end.
func TestStoppedByCost(t *testing.T) {
	if testing.Short() {
		t.Skip("it computes as long as a rule may")
	}
	const limit = 300_000 // so that it does not take as long as it may
	var stamps []given
	var inputs []string
	for i := range 90 {
		id := "data-" + string(rune('a'+i/26)) + string(rune('a'+i%26)) + "@1"
		inputs = append(inputs, id)
		stamps = append(stamps, given{"stamp": id, "kind": "dataset", "by": "alice"})
	}
	for _, mid := range []string{"x@1", "y@1", "z@1"} {
		stamps = append(stamps, given{"stamp": mid, "from": inputs, "by": "alice"})
	}
	stamps = append(stamps, given{"stamp": "example@1", "from": []string{"x@1", "y@1", "z@1"}, "kind": "model", "by": "alice"})
	world := given{"history": stamps, "statement": given{"kind": "release", "subject": "example@1", "stage": "production", "by": "dave"}}
	all := []string{"a", `ledger.ancestors(subject)`,
		"b", `variables.a + variables.a + variables.a + variables.a + variables.a + variables.a + variables.a + variables.a + variables.a + variables.a`,
		"c", `variables.b + variables.b + variables.b + variables.b + variables.b + variables.b + variables.b`}
	for name, x := range map[string]struct {
		variables []string
		rule      string
		want      string
	}{
		"a loop in a loop":       {all, `variables.c.all(x, variables.c.all(y, x.name != "?" || y.name != "?"))`, "cost more than 300,000 together"},
		"it hides behind or":     {all, `variables.c.all(x, variables.c.all(y, x.name != "?" || y.name != "?")) || subject.name != ""`, "cost more than 300,000 together"},
		"in a variable":          {append(all, "d", `variables.c.all(x, variables.c.all(y, x.name != "?" || y.name != "?"))`), `variables.d || !variables.d`, "cost more than 300,000 together"},
		"texts that grow":        {[]string{"a", `"` + strings.Repeat("0123456789", 400) + `"`, "b", sixteen("a"), "c", `variables.b + variables.b`}, `variables.c != ""`, "a variable of more than 65536 bytes"},
		"lists that grow":        {append(all, "d", `variables.c + variables.c`), `variables.d.size() > 0`, "a variable of more than 10000 elements"},
		"empty lists that grow":  {[]string{"a", `[""] + [""]`, "b", sixteen("a"), "c", sixteen("b"), "d", sixteen("c"), "e", sixteen("d")}, `variables.e.size() > 0`, "a variable of more than 10000 elements"},
		"equality of lists":      {all, `variables.c.all(x, variables.c == variables.c && [variables.c, variables.c] == [variables.c, variables.c])`, "cost more than"},
		"in":                     {all, `variables.c.all(x, !(subject in variables.c))`, "cost more than"},
		"patterns":               {all, `variables.c.all(x, !(x.name + x.name).matches("(a?){20}(b?){20}!"))`, "cost more than"},
		"errors in every turn":   {all, `variables.c.all(x, variables.c.all(y, int(x.name) == 1 || x.name != ""))`, "cost more than"},
		"a text that is counted": {all, `variables.c.all(x, (variables.a.map(y, y.fingerprint)).join("").size() > 0)`, "cost more than"},
		"a text that is joined":  {append(all, "s", `"x" + variables.a.map(y, y.fingerprint).join("")`), `variables.c.map(x, variables.s).join("") != ""`, "a text of more than 65536 bytes"},
		"questions":              {all, `variables.c.all(x, variables.a.all(y, ledger.has(y.name + "@1")))`, "cost more than"},
		"walks":                  {all, `variables.c.all(x, ledger.standing(subject) == "good")`, "cost more than"},
		"fields that walk":       {all, `variables.c.all(x, ledger.artifact("example@1").standing == "good")`, "cost more than"},
	} {
		t.Run(name, func(t *testing.T) {
			c := spec{variables: x.variables, rule: x.rule, given: world}.compiled(t)
			judge := func() RuleResult {
				v, err := evaluate([]InForce{{Contract: c}}, c.Document().Tests[0].Given.Input(), limit)
				if err != nil {
					t.Fatal(err)
				}
				return v.Results[0]
			}
			r := judge()
			if r.OK || r.Undecided || !strings.Contains(r.Error, x.want) {
				t.Errorf("%+v\nwant %q", r, x.want)
			}
			if r.Cost > limit {
				t.Errorf("it cost %d of %d", r.Cost, limit)
			}
			if again := judge(); again != r {
				t.Errorf("the second time:\n%+v\n%+v", r, again)
			}
		})
	}
}

func sixteen(v string) string {
	return strings.Repeat("variables."+v+" + ", 15) + "variables." + v
}

// A rule that always errs refuses, and says why in the same words everywhere.
func TestEvaluationErrors(t *testing.T) {
	for rule, want := range map[string]string{
		`1 / (subject.files - subject.files) == 1`:                                  "division by zero",
		`subject.annotations["licence"] == "mit"`:                                   "no such key: licence",
		`subject.from[0].name == ""`:                                                "index out of bounds: 0",
		`subject.from[-1].name == ""`:                                               "index out of bounds: -1",
		`int(subject.name) == 1`:                                                    "strconv",
		`9223372036854775807 + subject.files > 0`:                                   "integer overflow",
		`int(double(subject.files) * 1e300) > 0`:                                    "integer overflow",
		`uint(-subject.files) > 0u`:                                                 "unsigned integer overflow",
		`timestamp(subject.name) < entry.time`:                                      "timestamp",
		`duration(subject.name) < duration("1h")`:                                   "google.protobuf.Duration",
		`ledger.artifact("nothing@1").name == ""`:                                   "nothing@1 is not on the ledger",
		`ledger.artifact("not a name").name == ""`:                                  "want an artifact's name and version",
		`ledger.people("emperor").size() > 0`:                                       "there is no role of that name",
		`ledger.proposals(statement.contract).size() == 0`:                          "there is no contract to ask about",
		`subject.from[0].known`:                                                     "index out of bounds",
		`[1, 2][subject.files + 5] == 1`:                                            "index out of bounds",
		`{"a": 1}[subject.name] == 1`:                                               "no such key: example",
		`ledger.audits(subject)[0].conclusive`:                                      "index out of bounds",
		`bool(subject.name)`:                                                        "type conversion error",
		`entry.time + duration(string(subject.files * 9999999) + "h") > entry.time`: "",
	} {
		r := spec{rule: rule}.result(t)
		if want == "strconv" {
			want = "type conversion error"
			if strings.Contains(r.Error, "strconv") {
				t.Errorf("%s: Go's words: %s", rule, r.Error)
			}
		}
		if r.OK || r.Undecided || r.Error == "" || !strings.Contains(r.Error, want) || r.Message != "the rule could not be evaluated: "+r.Error {
			t.Errorf("%s: %+v\nwant %q", rule, r, want)
		}
		for _, go_ := range []string{"contract.", "github", "types.", "interface", "strconv", "runtime", "0x", "internal error"} {
			if strings.Contains(r.Error, go_) {
				t.Errorf("%s: the error has Go in it: %s", rule, r.Error)
			}
		}
	}
}
