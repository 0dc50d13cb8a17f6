package contract

import (
	"strings"
	"testing"
)

func TestDidYouMean(t *testing.T) {
	params := given{"minAUC": 0.9, "licences": []string{"mit"}}
	variables := []string{"datasets", `ledger.ancestors(subject).filter(a, a.kind == "dataset")`}
	for rule, want := range map[string]string{
		`subject.nme == ""`:                                          "did you mean name?",
		`subject.Kind == ""`:                                         "did you mean kind?",
		`subject.basis.unred == 0`:                                   "did you mean unread?",
		`statement.stages == ""`:                                     "did you mean stage?",
		`subject.owner == ""`:                                        "stele.Artifact has name, version,",
		`subjct.name == ""`:                                          "did you mean subject?",
		`leger.approvers(subject).size() > 1`:                        "did you mean ledger?",
		`ledger.aprovers(subject).size() > 1`:                        "did you mean ledger.approvers(artifact) or ledger.approvers(artifact, stage)?",
		`ledger.ancestor(subject).size() > 1`:                        "did you mean ledger.ancestors(artifact)?",
		`ledger.frobnicate(subject)`:                                 "the ledger's functions are artifact, has, stamps,",
		`approvers(subject).size() > 1`:                              "it is called as ledger.approvers(artifact)",
		`ledger.approvers.size() > 1`:                                "ledger.approvers(artifact)",
		`ledger.approvers("example@1").size() > 1`:                   "it is called as ledger.approvers(artifact) or",
		`ledger.has(subject)`:                                        `it is called as ledger.has("name@version")`,
		`params.minAuc > 0.5`:                                        "did you mean minAUC?",
		`params.threshold > 0.5`:                                     "the params are licences, minAUC",
		`minAUC > 0.5`:                                               "did you mean params.minAUC?",
		`variables.dataset.size() > 0`:                               "did you mean datasets?",
		`variables.models.size() > 0`:                                "the variables before this one are datasets",
		`datasets.size() > 0`:                                        "did you mean variables.datasets?",
		`kind == "model"`:                                            "did you mean subject.kind?",
		`stage == "production"`:                                      "did you mean statement.stage?",
		`role == "approver"`:                                         "did you mean signer.roles?",
		`ledger.ancestors(subject).all(a, a.standng == "good")`:      "did you mean standing?",
		`variables.datasets.all(d, d.anotations["x"] == "")`:         "did you mean annotations?",
		`ledger.evaluations(subject).exists(e, e.metric["auc"] > 1)`: "did you mean metrics?",
		`ledger.runs(subject)[0].observed == "wrapped"`:              "stele.Run has id, handle",
		`subject.name.startWith("x")`:                                "did you mean startsWith?",
		`subject.name.lenght() > 1`:                                  "",
		`subject.from.exist(a, a.listed)`:                            "did you mean exists?",
		`subject.listed()`:                                           "did you mean the field listed, without parentheses?",
		`now() < entry.time`:                                         "the only time is that of the entry: entry.time",
		`ledger.approvers(subject).join(", ", "x") == ""`:            "",
		`frobnicate`:                                                 "an expression sees entry, ledger, params, signer, statement, subject, variables",
		`subject.files + 0.5 > 1.0`:                                  "make both of one type: double(…) or int(…)",
	} {
		p := spec{params: params, variables: variables, rule: rule}.problems(t)
		if !strings.HasPrefix(p[0].Hint, want) && !strings.Contains(p[0].Hint, want) || want == "" && p[0].Hint != "" && !strings.HasPrefix(p[0].Hint, "did you mean") {
			t.Errorf("%s\n%s\nhint: %s\nwant %s", rule, p[0].Message, p[0].Hint, want)
		}
	}
}

// A problem has its place in the document, and in the expression what CEL shows.
func TestProblem(t *testing.T) {
	p := spec{variables: []string{"ok", "1", "bad", "subject.nme"}, rule: "subject.name == \"x\" &&\n  ledger.approvrs(subject).size() > variables.bad && subject.kin == \"\"", message: `subject.nme`}.problems(t)
	want := []Problem{
		{"spec.variables[1].expression", 1, 8, "undefined field 'nme'\n | subject.nme\n | .......^", "did you mean name?"},
		{"spec.validations[0].expression", 2, 18, "undeclared reference to 'approvrs'\n |   ledger.approvrs(subject).size() > variables.bad && subject.kin == \"\"\n | .................^",
			"did you mean ledger.approvers(artifact) or ledger.approvers(artifact, stage)?"},
		{"spec.validations[0].expression", 2, 61, "undefined field 'kin'\n |   ledger.approvrs(subject).size() > variables.bad && subject.kin == \"\"\n | ............................................................^", "did you mean kind?"},
		{"spec.validations[0].messageExpression", 1, 8, "undefined field 'nme'\n | subject.nme\n | .......^", "did you mean name?"},
	}
	if len(p) != len(want) {
		t.Fatalf("%d problems: %+v", len(p), p)
	}
	for i := range want {
		if p[i] != want[i] {
			t.Errorf("%+v\nwant %+v", p[i], want[i])
		}
	}
	err := (&CompileError{p[:1]}).Error()
	if err != "spec.variables[1].expression:1:8: undefined field 'nme'\n | subject.nme\n | .......^\nhint: did you mean name?" {
		t.Errorf("%s", err)
	}
}

// What only a program around CEL could switch on, nobody is told to.
func TestWordsOfCEL(t *testing.T) {
	for _, rule := range []string{`optional.of(1).hasValue()`, `optional.none() == subject`, `subject.name == optional.ofNonZeroValue("x")`, `opt.of(1).hasValue()`, `optional.off(1)`} {
		for _, p := range (spec{rule: rule}).problems(t) {
			if text := p.Message + p.Hint; strings.Contains(text, "enable") || strings.Contains(text, "cel.") || strings.Contains(p.Message, "did you mean") || strings.Contains(p.Hint, "' or '") {
				t.Errorf("%s: %s\nhint: %s", rule, p.Message, p.Hint)
			}
		}
	}
}

// What is wrong with a constant stands under the constant.
func TestPlacesOfConstants(t *testing.T) {
	for rule, want := range map[string]int{
		`subject.files > 0 && int(1e308) < 3`: 25,
		`int(1e308) < 3`:                      4,
		`subject.from.exists(a, a.files > 1 || duration("5 apples") > duration("1h"))`: 48,
	} {
		p := spec{rule: rule}.problems(t)
		if len(p) != 1 || p[0].Line != 1 || p[0].Column != want {
			t.Errorf("%s: column %d, want %d: %+v", rule, p[0].Column, want, p)
		}
	}
}
