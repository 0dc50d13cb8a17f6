package contract_test

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stele-ml/stele/contract"
	"github.com/stele-ml/stele/contract/contracttest"
	"github.com/stele-ml/stele/internal/strictjson"
)

// TestGolden: the same contracts over the same entries give the same verdicts,
// messages, error texts and costs on every machine. It is run on amd64, and by
// ./test on arm64 under emulation and in WebAssembly, against the same digests.
func TestGolden(t *testing.T) {
	if testing.Short() {
		t.Skip("it is a fixed corpus, one part after another")
	}
	const file = "testdata/golden.txt"
	const head = "SHA-256 of every verdict, message, error text and cost of a fixed corpus: the same\non every machine. What the parts are is in golden_test.go.\n\n"
	var got strings.Builder
	got.WriteString(head)
	all := sha256.New()
	for _, part := range []struct {
		name string
		of   func(testing.TB, hash.Hash)
	}{
		{"documents", goldenDocuments}, {"compiler", goldenCompiler}, {"adversarial", goldenAdversarial}, {"generated", goldenGenerated},
	} {
		h := sha256.New()
		part.of(t, h)
		fmt.Fprintf(&got, "%x  %s\n", h.Sum(nil), part.name)
		all.Write(h.Sum(nil))
	}
	fmt.Fprintf(&got, "%x  all\n", all.Sum(nil))
	if *update {
		if err := os.WriteFile(file, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if want := readFile(t, file); got.String() != want {
		t.Errorf("got:\n%s\nwant:\n%s\nIf a ready contract was changed, write the new digests: go test ./contract -run TestGolden -update", got.String(), want)
	}
}

// canonicalOf is the canonical form of a value.
func canonicalOf(t testing.TB, v any) []byte {
	t.Helper()
	b, err := strictjson.Marshal(v)
	if err == nil {
		b, err = strictjson.Canonical(b)
	}
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func writeVerdict(h hash.Hash, v *contract.Verdict, err error) {
	fmt.Fprintf(h, "%v\n", err)
	if v == nil {
		return
	}
	for _, r := range v.Results {
		fmt.Fprintf(h, "%s %d %s %s %t %t %q %q %q %d\n", r.Contract, r.Entry, r.Rule, r.Subject, r.OK, r.Undecided, r.Message, r.Hint, r.Error, r.Cost)
	}
	fmt.Fprintf(h, "= %d\n", v.Cost)
}

// goldenDocuments are the ready contracts with their tests and warnings, and what
// is refused of documents.
func goldenDocuments(t testing.TB, h hash.Hash) {
	files, err := filepath.Glob("../contracts/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal("no ready contracts", err)
	}
	for _, file := range append(files, "testdata/base.yaml") {
		d := read(t, readFile(t, file))
		c, err := contract.Compile(d.Document)
		if err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		fmt.Fprintf(h, "%s %x\n", c.ID(), c.Digest())
		results, err := c.RunTests()
		fmt.Fprintf(h, "%v\n", err)
		for _, r := range results {
			fmt.Fprintf(h, "%q %t %q %q %q\n", r.Name, r.OK, r.Want, r.Got, r.Message)
			writeVerdict(h, &contract.Verdict{Results: r.Results, Cost: r.Cost}, nil)
		}
		for _, w := range c.Warnings() {
			fmt.Fprintf(h, "%+v\n", w)
		}
	}
	h.Write([]byte(readFile(t, "testdata/refused.txt")))
}

// ruleOf makes a contract of one rule.
func ruleOf(expression, message string) contracttest.Item {
	d := contracttest.Contract()
	v := contracttest.Item{"id": "x", "expression": expression}
	if message == "" {
		v["message"] = "it does not hold"
	} else {
		v["messageExpression"] = message
	}
	d["spec"].(contracttest.Item)["validations"] = []contracttest.Item{v}
	return d
}

// goldenCompiler are expressions that do not compile, with what is said of them.
func goldenCompiler(t testing.TB, h hash.Hash) {
	for _, e := range []string{
		`ledger.aprovers(subject) == []`, `subject.nam == ""`, `1 +`, `"a" + 1 == "a1"`, `subject`, `signer.roles.exists(r, q == r)`,
		`ledger.approvers(subject).size() >= "2"`, `statement.metrics.exists(m, m == "auc")`, `variables.none`, `params.flor > 1`, `now() > timestamp("2026-01-01T00:00:00Z")`,
		`entry.time.getHours("America/New_York") == 1`, `dyn(1) == 1`, `type(1) == int`, `subject.name.matches("(")`, `subject.name.matches(subject.kind)`,
		`duration("1y") < duration("1h")`, `timestamp("x") < entry.time`, `[1, "a"].size() == 2`, `stele.Artifact{name: "x"} == subject`,
		`[1].all(a, [2].all(b, [3].all(c, a + b + c == 6)))`, strings.Repeat("(", 100) + "true" + strings.Repeat(")", 100), strings.Repeat("true && ", 900) + "true",
		`ledger.ancestors(subject).all(a, ledger.ancestors(a).all(b, ledger.ancestors(b).size() < 3))`, "\"\n\"", `'\u{110000}' == ''`, `9223372036854775808 > 0`,
		`1e400 > 0.0`, `subject.name.matches("` + strings.Repeat("(a{1,50}){1,50}", 3) + `")`, "é == 1", "\"\U0001F600\" + 1 == ''", `ledger.proposals(subject).size() == 0`, `has(subject)`, `true ? 1 : 2`,
	} {
		_, err := contract.Compile(canonicalOf(t, ruleOf(e, "")))
		var ce *contract.CompileError
		if !errors.As(err, &ce) {
			t.Errorf("%s: %v", e, err)
			continue
		}
		for _, p := range ce.Problems {
			fmt.Fprintf(h, "%+v\n", p)
		}
	}
}

// goldenAdversarial are expressions that fail, or answer in ways that machines
// could disagree about.
func goldenAdversarial(t testing.TB, h hash.Hash) {
	in := given(t, `
history:
  - {stamp: d@1, annotations: {b: "1", a: "2"}}
  - {stamp: m@1, kind: model, from: [d@1], basis: {claimed: 7}}
  - {evaluate: m@1, metrics: {a: 0.1, b: -0.000000001, c: "123456789012345", d: 1}, datasets: [d@1]}
statement: {release: m@1, replaces: [d@1]}`)
	for _, e := range []string{
		`1 / (subject.files - 1) == 0`, `[1][subject.files] == 0`, `subject.annotations["none"] == ""`, `9223372036854775807 + subject.files > 0`, `-9223372036854775808 - subject.files > 0`,
		`subject.bytes * 4611686018427387904 > 0`, `int("x") == 0`, `double("1e999") > 0.0`, `double("x") > 0.0`, `0.0 / double("0") == 0.0`, `double("NaN") >= 0.0 || double("NaN") < 0.0`,
		`1.0 / 0.0 > 1e308`, `-1.0 / 0.0 < 0.0`, `duration("999999h") + duration("9999999h") > duration("0s")`, `timestamp("9999-12-31T23:59:59Z") + duration("24h") > entry.time`,
		`timestamp("0001-01-01T00:00:00Z") - duration("1s") < entry.time`, `timestamp("2026-02-30T00:00:00Z" + "") < entry.time`, `duration("1h" + "x") < duration("1s")`,
		`subject.name < "n" && "Z" < "a" && "é" > "z"`, `subject.name.matches("^[a-m]$")`, `"ſ".matches("(?i)s") || "K".matches("(?i)k")`, `size("\U0001F600é") == 2`,
		`ledger.artifact("none@1").name == ""`, `ledger.artifact("none").name == ""`, `ledger.has("A@1")`, `ledger.lastRead(subject) < entry.time`, `ledger.people("king").size() == 0`,
		`ledger.approvers(subject, "no such stage").size() == 0`, `statement.exit / statement.exit == 1`, `has(subject.since) || has(statement.code)`,
		`[1, 2, 3].map(x, 10 / (x - 2)).size() == 3`, `[3, 2, 1].exists(x, 10 / (x - 2) > 0)`, `false && 1 / 0 == 1`, `1 / 0 == 1 || true`, `[1, 2].all(x, [3, 4].exists(y, x * y == 8))`,
		`join(["a", "b"], "\u202e") == ""`, `string(0.1 + 0.2) == "0.3"`, `string(1e21) == "1e+21" || string(123456789.0) == "1.23456789e+08"`, `1 == 1.0 && 1u == 1 && 9007199254740993 > 9007199254740992.0`,
		`sets.intersects(subject.ignore, ["x"]) || sets.equivalent([1, 2], [2, 1])`, `uint(subject.files) - 2u == 0u`, `int(1e300) == 0`, `int(entry.time) > 0 && string(entry.time) != ""`,
		`bool("maybe")`, `entry.time.getMilliseconds() == 0 && entry.time.getDayOfYear() >= 0`, `duration("1.5h").getMinutes() == 90`,
		`[[1, 2], [3]].map(l, l.size()) == [2, 1]`, `subject == statement.replaces[0] || subject in ledger.stamps(subject)`, `{"a": {"b": 1}}["a"]["b"] == 1`,
	} {
		for _, message := range []string{"", `"" + string(1 / (subject.files - 1))`} {
			c, err := contract.Compile(canonicalOf(t, ruleOf(e, message)))
			if err != nil {
				fmt.Fprintf(h, "%s\n%v\n", e, err)
				continue
			}
			writeVerdict(h, must(contract.Evaluate([]contract.InForce{{Contract: c, Entry: 7}}, in)), nil)
			unknown := *in
			unknown.Signer.Known = false
			writeVerdict(h, must(contract.Evaluate([]contract.InForce{{Contract: c, Entry: 7}}, &unknown)), nil)
		}
	}
	for _, e := range []string{
		`string(0.1 + 0.2)`, `string(1.0 / 3.0)`, `string(1e-320)`, `string(-0.0)`, `string(1.0 / 0.0)`, `string(123456789012345680.0)`, `string(9223372036854775807)`, `string(duration("1000000.000000001s"))`,
		`string(timestamp("2024-02-29T23:59:59.123456789Z"))`, `string(entry.time + duration("0.001s"))`, `"a\nb\u0000\u202e\U0001F600"`, `join(["x", "y", "z"], "")`, `"x" + subject.fingerprint`,
		`string(double("0.1") * 3.0)`, `string(1e15 + 0.3)`, `string(int(-7.9)) + string(-7 / 2) + string(-7 % 2)`, `string(b"\xff")`, `""`, `"` + strings.Repeat("long ", 400) + `"`, `string(subject.name == "m")`,
	} {
		c, err := contract.Compile(canonicalOf(t, ruleOf("false", e)))
		if err != nil {
			fmt.Fprintf(h, "%s\n%v\n", e, err)
			continue
		}
		writeVerdict(h, must(contract.Evaluate([]contract.InForce{{Contract: c}}, in)), nil)
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// inputOf is what a made-up history gives a contract.
func inputOf(t testing.TB, given contracttest.Item) *contract.Input {
	t.Helper()
	doc := ruleOf("true", "")
	doc["spec"].(contracttest.Item)["tests"] = []contracttest.Item{{"name": "made up", "given": given, "expect": contracttest.Item{"allow": true}}}
	data := canonicalOf(t, doc)
	d, err := contract.ParseDocument(data)
	if err != nil {
		t.Fatalf("%v\n%s", err, data)
	}
	return d.Tests[0].Given.Input()
}

// goldenGenerated are made-up histories and statements, judged by everything
// there is to ask.
func goldenGenerated(t testing.TB, h hash.Hash) {
	rules := must(contract.Compile(canonicalOf(t, contracttest.Contract())))
	texts := must(contract.Compile(canonicalOf(t, contracttest.TextContract())))
	r := rand.New(rand.NewPCG(2026, 5))
	for seed := range uint64(60) {
		in := inputOf(t, contracttest.Random(seed, 5+r.IntN(60)).Given(0))
		in.Signer.Known = r.IntN(8) > 0
		v, err := contract.Evaluate([]contract.InForce{{Contract: rules, Entry: 1}, {Contract: texts, Entry: 2}}, in)
		writeVerdict(h, v, err)
	}
}

// TestGenerated holds the corpus to being worth something: every rule of it
// holds somewhere, refuses somewhere, and few only fail.
func TestGenerated(t *testing.T) {
	if testing.Short() {
		t.Skip("it judges 60 histories, one after another")
	}
	rules := must(contract.Compile(canonicalOf(t, contracttest.Contract())))
	texts := must(contract.Compile(canonicalOf(t, contracttest.TextContract())))
	holds, refuses, said := map[string]bool{}, map[string]bool{}, map[string]map[string]bool{}
	for seed := range uint64(60) {
		in := inputOf(t, contracttest.Random(seed, 40).Given(0))
		v := must(contract.Evaluate([]contract.InForce{{Contract: rules}, {Contract: texts}}, in))
		again := must(contract.Evaluate([]contract.InForce{{Contract: rules}, {Contract: texts}}, in))
		if fmt.Sprint(v) != fmt.Sprint(again) {
			t.Fatalf("seed %d: the second time is not as the first", seed)
		}
		for _, r := range v.Results {
			holds[r.Rule] = holds[r.Rule] || r.OK
			refuses[r.Rule] = refuses[r.Rule] || !r.OK && r.Error == ""
			if said[r.Rule] == nil {
				said[r.Rule] = map[string]bool{}
			}
			said[r.Rule][r.Message] = true
		}
	}
	for i, v := range rules.Document().Validations {
		if !holds[v.ID] || !refuses[v.ID] {
			t.Errorf("%s %s: holds %t, refuses %t", v.ID, contracttest.Rules[i], holds[v.ID], refuses[v.ID])
		}
	}
	for i, v := range texts.Document().Validations {
		if len(said[v.ID]) < 2 {
			t.Errorf("%s %s: always says %v", v.ID, contracttest.Texts[i], said[v.ID])
		}
	}
}
