package contract

import (
	"errors"
	"reflect"
	"strings"
	"testing"
)

// FuzzRule gives the engine expressions that nobody wrote. One that compiles has
// the same outcome twice, in the same words and at the same cost, and none of Go's
// words in it.
func FuzzRule(f *testing.F) {
	for _, seed := range []string{
		`ledger.approvers(subject).size() >= 2`, `ledger.ancestors(subject).all(a, a.standing == "good")`,
		`subject.annotations["licence"] in params.list`, `variables.v.exists(x, x.name.matches("^a+$"))`,
		`[1, 2, 3].map(x, x * 2).filter(y, y > 2) == [4, 6]`, `timestamp("2026-01-01T00:00:00Z") + duration("1h") < entry.time`,
		`has(subject.annotations.x) ? 1.0 / 0.0 > 1 : int("9223372036854775808") == 1`, `{"a": [1], "b": [2]}["a"] == [1]`,
		`b"\xff" + b"a" == bytes("x")`, `-9223372036854775808 / -1 == 0`, `uint(5) % 0u == 1u`, `"\u0000\U0010ffff".size() > 1`,
		`statement.contract.rules + subject.basis.unread > 0`, `sets.contains([subject], ledger.stamps(subject))`, `signer.roles == ["a"] || signer.handle > "a"`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, rule string) {
		raw := strings.ToValidUTF8(rule, "?")
		if raw == "" || len(raw) > 1000 {
			return
		}
		doc := spec{params: given{"list": []string{"mit"}}, variables: []string{"v", `ledger.ancestors(subject)`}, rule: raw, message: `"found " + string(ledger.approvers(subject).size())`, given: onRelease}
		c, err := Compile(doc.document(t))
		if err != nil {
			var ce *CompileError
			if !errors.As(err, &ce) || len(ce.Problems) == 0 {
				t.Fatalf("%q: %v", raw, err)
			}
			return
		}
		judge := func() *Verdict {
			in := c.Document().Tests[0].Given.Input()
			in.Signer.Known = len(raw)%2 == 0
			v, err := evaluate([]InForce{{Contract: c}}, in, 100_000)
			if err != nil {
				t.Fatalf("%q: %v", raw, err)
			}
			return v
		}
		v := judge()
		if again := judge(); !reflect.DeepEqual(v, again) {
			t.Fatalf("%q:\n%+v\n%+v", raw, v, again)
		}
		r := v.Results[0]
		if strings.Contains(r.Error, "internal error") || v.Cost > 100_000 || r.OK && (r.Undecided || r.Message != "" || r.Error != "") || !r.OK && r.Message == "" {
			t.Fatalf("%q: %+v", raw, r)
		}
	})
}
