package contract

import (
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stele-ml/stele/fingerprint"
	"github.com/stele-ml/stele/lineage"
	"github.com/stele-ml/stele/statement"
)

// judged evaluates contracts on the statement of the first one's first test.
func judged(t testing.TB, change func(*Input), contracts ...*Contract) *Verdict {
	t.Helper()
	in := contracts[0].Document().Tests[0].Given.Input()
	if change != nil {
		change(in)
	}
	var list []InForce
	for i, c := range contracts {
		list = append(list, InForce{c, uint64(100 + i)})
	}
	v, err := Evaluate(list, in)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// unknownSigner is what a gate knows of who would sign.
func unknownSigner(in *Input) { in.Signer = Signer{} }

func TestUndecided(t *testing.T) {
	for rule, decided := range map[string]bool{
		`signer.handle == "judy"`:                                            false,
		`"releaser" in signer.roles`:                                         false,
		`signer.roles.exists(r, r == "releaser")`:                            false,
		`signer.roles.size() > 0`:                                            false,
		`has(signer.handle)`:                                                 true,
		`variables.mine`:                                                     false,
		`variables.mine || subject.name == "example"`:                        true,
		`signer.handle == "judy" || subject.name == "example"`:               true,
		`!(signer.handle == "judy" && subject.name != "example")`:            true,
		`ledger.approvers(subject).all(p, p != signer.handle)`:               false,
		`ledger.approvers(subject).filter(p, p != signer.handle).size() > 0`: false,
		`subject.name == "example" ? true : signer.handle == "x"`:            true,
		`(signer.handle == "x" ? 1 : 2) == 2`:                                false,
		`ledger.authors(subject).size() == 1`:                                true,
		`("by " + signer.handle).size() > 2`:                                 false,
	} {
		c := spec{variables: []string{"mine", `signer.handle == "judy"`}, rule: rule, given: onRelease}.compiled(t)
		r := judged(t, unknownSigner, c).Results[0]
		if r.Undecided == decided || r.OK == r.Undecided || r.Error != "" || decided && !r.OK {
			t.Errorf("%s: %+v", rule, r)
		}
		if r.Undecided && r.Message == "" {
			t.Errorf("%s: nothing is said: %+v", rule, r)
		}
	}
	// Of what is stamped, whoever would sign is the author.
	for _, rule := range []string{`subject.signer == "x"`, `subject.key == "x"`, `"x" in ledger.authors(subject)`, `ledger.allAuthors(subject).size() == 0`} {
		c := spec{match: given{"statements": []string{"stamp"}}, rule: rule, given: given{"statement": given{"stamp": "new@1", "from": []string{"data@1"}}, "history": history}}.compiled(t)
		if r := judged(t, unknownSigner, c).Results[0]; !r.Undecided || r.OK || r.Error != "" {
			t.Errorf("%s: %+v", rule, r)
		}
	}
	run := given{"history": history, "statement": given{"run": given{"inputs": []string{"data@1"}, "outputs": []string{"new@1"}}}}
	for _, rule := range []string{`ledger.runs(subject)[0].handle == "x"`, `ledger.authors(subject).size() == 1`} {
		c := spec{match: given{"statements": []string{"run"}}, rule: rule, given: run}.compiled(t)
		if r := judged(t, unknownSigner, c).Results[0]; !r.Undecided || r.OK || r.Error != "" {
			t.Errorf("%s: %+v", rule, r)
		}
	}
	audit := spec{match: given{"statements": []string{"audit"}}, rule: `statement.audit.handle == "x"`, given: given{"history": history, "statement": given{"audit": "data@1"}}}.compiled(t)
	if r := judged(t, unknownSigner, audit).Results[0]; !r.Undecided {
		t.Errorf("%+v", r)
	}
	v := judged(t, unknownSigner, spec{rule: `signer.handle == "judy"`}.compiled(t))
	if len(v.Refused()) != 0 {
		t.Errorf("what is not decided refuses: %v", v.Refused())
	}
}

func TestMessages(t *testing.T) {
	for _, x := range []struct{ name, message, want string }{
		{"it says so", `"found " + string(ledger.approvers(subject).size()) + ": " + ledger.approvers(subject).join(", ")`, "found 2: bob, carol"},
		{"several lines", `"a\nb\tc\r\nd"`, "a b c  d"},
		{"it turns the writing", `"safe\u202eetirw\u202c\u200b\u001b[31m"`, "safe\ufffdetirw\ufffd\ufffd\ufffd[31m"},
		{"letters of other languages", `"日本語 ü 👩‍🔬"`, "日本語 ü 👩‍🔬"},
		{"too long", `"` + strings.Repeat("ä", 2000) + `"`, strings.Repeat("ä", 510) + "…"},
		{"just long enough", `"` + strings.Repeat("ä", 512) + `"`, strings.Repeat("ä", 512)},
		{"it errs", `"found " + subject.annotations["nothing"]`, "the rule rule does not hold (its message could not be made)"},
		{"it is empty", `" " + ""`, "the rule rule does not hold (its message could not be made)"},
		{"it depends on who signs", `"by " + signer.handle`, "the rule rule does not hold (its message names who signs, and that is not known)"},
	} {
		t.Run(x.name, func(t *testing.T) {
			var change func(*Input)
			if strings.Contains(x.message, "signer") {
				change = unknownSigner
			}
			r := judged(t, change, spec{rule: `subject.listed`, message: x.message}.compiled(t)).Results[0]
			if r.OK || r.Undecided || r.Error != "" || r.Message != x.want {
				t.Errorf("%+v\nwant %q", r, x.want)
			}
			if len(r.Message) > MaxMessage {
				t.Errorf("%d bytes", len(r.Message))
			}
		})
	}
	// A message costs, too.
	plain := spec{rule: `subject.listed`}.result(t).Cost
	if dear := (spec{rule: `subject.listed`, message: `ledger.approvers(subject).join(", ")`}).result(t).Cost; dear < plain+3*priceLook {
		t.Errorf("with a message %d, without %d", dear, plain)
	}
}

// Results come in order, with where each contract was put, and the hint.
func TestOrder(t *testing.T) {
	run := given{"history": []given{{"stamp": "data@1"}}, "statement": given{"run": given{"inputs": []string{"data@1"}, "outputs": []string{"b@1", "a@1"}}}}
	first := spec{match: given{"statements": []string{"stamp"}, "names": []string{"b"}}, rule: `subject.name == "a"`, given: run}.compiled(t)
	second := spec{match: given{"statements": []string{"run"}}, rule: `subject.name == "a"`, given: run}.compiled(t)
	other := spec{match: given{"statements": []string{"release"}}, rule: `subject.name == "a"`}.compiled(t)
	v := judged(t, nil, first, other, second)
	var got []string
	for _, r := range v.Results {
		got = append(got, fmt.Sprintf("%s %d %s %v", r.Contract, r.Entry, r.Subject, r.OK))
	}
	want := []string{"example@1 100 b@1 false", "example@1 102 b@1 false", "example@1 102 a@1 true"}
	if !reflect.DeepEqual(got, want) && !reflect.DeepEqual(got, []string{want[0], "example@1 102 a@1 true", "example@1 102 b@1 false"}) {
		t.Errorf("%q", got)
	}
	if len(v.Refused()) != 2 {
		t.Errorf("refused: %v", v.Refused())
	}
	total := uint64(0)
	for _, r := range v.Results {
		total += r.Cost
	}
	if total != v.Cost {
		t.Errorf("the results cost %d, the verdict %d", total, v.Cost)
	}
}

// When all is spent, every rule after it refuses, of whichever contract.
func TestAllSpent(t *testing.T) {
	c := spec{rule: `ledger.approvers(subject).size() >= 2`}.compiled(t)
	list := []InForce{{c, 1}, {c, 2}, {c, 3}}
	v, err := evaluate(list, c.Document().Tests[0].Given.Input(), 400)
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range v.Results {
		if r.OK != (i == 0) || i > 0 && !strings.Contains(r.Error, "cost more than 400 together") {
			t.Errorf("%+v", r)
		}
	}
	if v.Cost != 400 || len(v.Results) != 3 {
		t.Errorf("%+v", v)
	}
}

// The same rules cost the same, whoever asks, how often, and at the same time.
func TestSameCosts(t *testing.T) {
	contracts := fiveContracts(t)
	in := contracts[0].Document().Tests[0].Given.Input()
	first, err := Evaluate(contracts, in)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 30 {
		wg.Go(func() {
			v, err := Evaluate(contracts, in)
			if err != nil || !reflect.DeepEqual(v, first) {
				t.Errorf("%v\n%+v\n%+v", err, v, first)
			}
		})
	}
	wg.Wait()
	// Each rule costs on its own what it costs after all the others: what is
	// remembered is not cheaper.
	for i, c := range contracts {
		alone, err := Evaluate([]InForce{c}, in)
		if err != nil || !reflect.DeepEqual(alone.Results, first.Results[3*i:3*i+3]) {
			t.Errorf("%v\n%+v\n%+v", err, alone.Results, first.Results[3*i:3*i+3])
		}
	}
}

// An artifact of a walk knows what else has to be found out; each costs what it
// costs, in whatever order they are asked about.
func TestCostsDoNotDependOnOrder(t *testing.T) {
	a, b := `ledger.ancestors(subject).all(a, ledger.standing(a) != "")`, `ledger.standing(ledger.artifact("data@1")) != ""`
	rule := func(r string) uint64 { return spec{rule: r, given: onRelease}.result(t).Cost }
	if ab, ba := rule(a+" && "+b), rule(b+" && "+a); ab != ba {
		t.Errorf("%d and %d", ab, ba)
	}
}

// A variable is evaluated when it is needed, and once.
func TestVariables(t *testing.T) {
	walk := []string{"a", `ledger.ancestors(subject)`, "n", `variables.a.size()`}
	once := spec{variables: walk, rule: `variables.n == 2`, given: onRelease}.result(t)
	twice := spec{variables: walk, rule: `variables.n == 2 && variables.a.size() == variables.n && variables.n == 2`, given: onRelease}.result(t)
	never := spec{variables: walk, rule: `subject.name == "example"`, given: onRelease}.result(t)
	if !once.OK || !twice.OK || !never.OK || twice.Cost > once.Cost+30 || never.Cost > 50 || once.Cost < 3*priceWalk {
		t.Errorf("once %+v\ntwice %+v\nnever %+v", once, twice, never)
	}
	broken := spec{variables: []string{"x", `1 / (subject.files - 1)`}, rule: `variables.x == 1`}.result(t)
	if broken.OK || broken.Error != "division by zero" {
		t.Errorf("%+v", broken)
	}
	if r := (spec{variables: []string{"x", `1 / (subject.files - 1)`}, rule: `variables.x == 1 || subject.files == 1`}).result(t); !r.OK {
		t.Errorf("%+v", r)
	}
}

func TestParams(t *testing.T) {
	params := given{"yes": true, "n": 3, "x": 0.5, "s": "text", "list": []string{"mit", "bsd"}, "ints": []int{1, 2}, "doubles": []any{1, 2.5}, "bools": []bool{true}}
	for _, rule := range []string{
		`params.yes && params.n == 3 && params.x == 0.5 && params.s == "text"`,
		`"mit" in params.list && !("gpl" in params.list) && params.list.size() == 2`,
		`params.ints.all(i, i > 0) && params.doubles[0] == 1.0 && params.doubles.exists(d, d > 2) && params.bools[0]`,
		`params.x < params.n && params.n > params.x && params.n >= 3.0`,
	} {
		if r := (spec{params: params, rule: rule}).result(t); !r.OK {
			t.Errorf("%s: %+v", rule, r)
		}
	}
}

// blind is a state that cannot be read from some call on.
type blind struct {
	State
	left int
}

var errDisk = errors.New("the disk is gone")

func (b *blind) see() error {
	if b.left--; b.left < 0 {
		return errDisk
	}
	return nil
}

func (b *blind) Artifact(name, version string) (*lineage.Artifact, error) {
	if err := b.see(); err != nil {
		return nil, err
	}
	return b.State.Artifact(name, version)
}

func (b *blind) Origins(a *lineage.Artifact) ([]lineage.Origin, error) {
	if err := b.see(); err != nil {
		return nil, err
	}
	return b.State.Origins(a)
}

func (b *blind) Bindings(fp fingerprint.Fingerprint) ([]*lineage.Artifact, error) {
	if err := b.see(); err != nil {
		return nil, err
	}
	return b.State.Bindings(fp)
}

func (b *blind) About(fp fingerprint.Fingerprint, kind statement.Kind) ([]*lineage.Said, error) {
	if err := b.see(); err != nil {
		return nil, err
	}
	return b.State.About(fp, kind)
}

func (b *blind) Said(index uint64) (*lineage.Said, error) {
	if err := b.see(); err != nil {
		return nil, err
	}
	return b.State.Said(index)
}

func (b *blind) InStage(stage, name string) ([]Placed, error) {
	if err := b.see(); err != nil {
		return nil, err
	}
	return b.State.InStage(stage, name)
}

// A ledger that cannot be read has not refused anything: whoever asks hears why,
// and not a verdict.
func TestUnreadableState(t *testing.T) {
	c := spec{given: onRelease, rule: `ledger.approvers(subject).size() > 1 && ledger.standing(subject) == "good" && ledger.allAuthors(subject).size() > 0 &&
		ledger.audits(ledger.artifact("data@1")).size() > 0 && ledger.inStage("canary").size() > 0 && ledger.lastRead(subject) < entry.time || true == subject.known`}.compiled(t)
	reads := 0
	for n := 0; ; n++ {
		in := c.Document().Tests[0].Given.Input()
		b := &blind{in.State, n}
		in.State = b
		v, err := Evaluate([]InForce{{c, 1}}, in)
		if b.left >= 0 {
			reads = n
			if err != nil || !v.Results[0].OK {
				t.Fatalf("%v %+v", err, v)
			}
			break
		}
		if !errors.Is(err, errDisk) || v != nil {
			t.Errorf("after %d reads: %v %+v", n, err, v)
		}
	}
	if reads < 8 {
		t.Errorf("only %d reads", reads)
	}
}

// amnesia is a state that lost an artifact which an entry names, or has another
// under its name.
type amnesia struct {
	State
	lost  string
	other bool
}

func (f amnesia) Artifact(name, version string) (*lineage.Artifact, error) {
	a, err := f.State.Artifact(name, version)
	if err != nil || name != f.lost {
		return a, err
	}
	if !f.other {
		return nil, lineage.ErrNotFound
	}
	b := *a
	b.Ref.Fingerprint.Sum[0] ^= 1
	return &b, nil
}

// An ancestor that is gone is no lineage with one ancestor less.
func TestLostAncestor(t *testing.T) {
	for _, rule := range []string{`ledger.ancestors(subject).all(a, a.standing == "good")`, `ledger.standing(subject) == "good"`, `ledger.allAuthors(subject).size() > 0`} {
		c := spec{given: onRelease, rule: rule}.compiled(t)
		for _, other := range []bool{false, true} {
			in := c.Document().Tests[0].Given.Input()
			in.State = amnesia{in.State, "data", other}
			if v, err := Evaluate([]InForce{{c, 1}}, in); err == nil || v != nil || !strings.Contains(err.Error(), "example@1 was made of data@1 by entry 3, and that is not there") {
				t.Errorf("%s: %v, %+v", rule, err, v)
			}
		}
	}
}

// What is looked at once is read once, however many contracts look at it.
func TestReadOnce(t *testing.T) {
	contracts := fiveContracts(t)
	in := contracts[0].Document().Tests[0].Given.Input()
	reads := func(list []InForce) int {
		again := *in
		b := &blind{in.State, 1 << 20}
		again.State = b
		if _, err := Evaluate(list, &again); err != nil {
			t.Fatal(err)
		}
		return 1<<20 - b.left
	}
	if one, five := reads(contracts[:1]), reads(contracts); one != five {
		t.Errorf("one contract reads %d times, five %d times", one, five)
	}
}

func TestGoverns(t *testing.T) {
	of := func(k statement.Kind) *statement.Statement { return &statement.Statement{Kind: k} }
	identity := func(action string) *statement.Statement {
		return &statement.Statement{Kind: statement.KindIdentity, Identity: &statement.Identity{Action: action}}
	}
	for _, x := range []struct {
		st       *statement.Statement
		recovery bool
		want     bool
	}{
		{of(statement.KindGenesis), false, false},
		{of(statement.KindRelease), false, true},
		{of(statement.KindLogKey), false, true},
		{of(statement.KindContract), false, true},
		{of(statement.KindContract), true, false},
		{identity(statement.ActionRegister), false, true},
		{identity(statement.ActionRetire), false, true},
		{identity(statement.ActionCompromised), false, false},
		{identity(statement.ActionRegister), true, false},
	} {
		if got := Governs(x.st, x.recovery); got != x.want {
			t.Errorf("%s, recovery %v: %v", x.st.Kind, x.recovery, got)
		}
	}
}

// A rule sees nothing of its own entry or after it, whatever the state says.
func TestBeyondItsHeight(t *testing.T) {
	rule := `ledger.approvers(subject) == ["frank", "grace"] && ledger.evaluations(subject).size() == 1`
	c := spec{rule: rule, given: onRelease}.compiled(t)
	if r := judged(t, nil, c).Results[0]; !r.OK {
		t.Fatalf("%+v", r)
	}
	earlier := func(in *Input) { in.Entry = 8 } // grace approves in entry 8
	if r := judged(t, earlier, c).Results[0]; r.OK {
		t.Errorf("an approval of its own entry counts: %+v", r)
	}
}

// Nobody approves twice, with however many keys.
func TestTwoKeysOfOnePerson(t *testing.T) {
	world := given{"history": []given{
		{"stamp": "example@1", "kind": "model", "by": "maker"},
		{"approve": "example@1", "stage": "production", "by": "bob"},
		{"approve": "example@1", "stage": "production", "by": "bob", "key": "second"},
		{"reject": "example@1", "stage": "production", "by": "carol"},
		{"approve": "example@1", "stage": "production", "by": "carol", "key": "second"},
		{"approve": "example@1", "stage": "production", "by": "dan"},
		{"reject": "example@1", "stage": "production", "by": "dan", "key": "second"},
	}, "statement": given{"kind": "release", "subject": "example@1", "stage": "production"}}
	for _, rule := range []string{
		`ledger.approvers(subject) == ["bob", "carol"]`, `ledger.rejecters(subject) == ["dan"]`, `ledger.approvals(subject).size() == 6`,
	} {
		if r := (spec{rule: rule, given: world}).result(t); !r.OK {
			t.Errorf("%s: %+v", rule, r)
		}
	}
}

// crowded is a state in which far too much is said of everything.
type crowded struct{ State }

func (c crowded) About(fp fingerprint.Fingerprint, kind statement.Kind) ([]*lineage.Said, error) {
	list, err := c.State.About(fp, kind)
	for err == nil && len(list) > 0 && len(list) <= MaxFound {
		list = append(list, list[0])
	}
	return list, err
}

// Whoever buries an artifact under entries does not get a rule to look away: what
// is too much to look at is an error, which refuses.
func TestTooMuchIsSaid(t *testing.T) {
	c := spec{rule: `ledger.approvers(subject).size() >= 2`}.compiled(t)
	r := judged(t, func(in *Input) { in.State = crowded{in.State} }, c).Results[0]
	if r.OK || r.Error != "10001 entries of one kind about these bytes, and a rule looks at no more than 10000" || r.Cost < MaxFound*priceLook {
		t.Errorf("%+v", r)
	}
}

// endless is a state in which everything was made of something else.
type endless struct {
	State
	of *lineage.Artifact
}

func (e endless) Artifact(name, version string) (*lineage.Artifact, error) {
	if name != "link" {
		return e.State.Artifact(name, version)
	}
	a := *e.of
	a.Ref.Name, a.Ref.Version = name, version
	return &a, nil
}

func (e endless) Origins(a *lineage.Artifact) ([]lineage.Origin, error) {
	next := statement.Ref{Name: "link", Version: "1", Fingerprint: a.Ref.Fingerprint}
	if a.Ref.Name == "link" {
		n, err := strconv.Atoi(a.Ref.Version)
		if err != nil {
			return nil, err
		}
		next.Version = strconv.Itoa(n + 1)
	}
	return []lineage.Origin{{Entry: 1, Way: lineage.WayFrom, Of: a.Ref, Inputs: []statement.Ref{next}, Counts: true}}, nil
}

// A lineage without end ends the question and not the ledger.
func TestEndlessLineage(t *testing.T) {
	if testing.Short() {
		t.Skip("it computes as long as a rule may")
	}
	for rule, want := range map[string]string{
		`ledger.ancestors(subject).size() > 0`:                                                     "example@1 was made of more than 10000 artifacts, and a rule looks at no more",
		`ledger.allAuthors(subject).size() > 0`:                                                    "example@1 was made of more than 10000 artifacts, and a rule looks at no more",
		`ledger.standing(subject) == "unknown"`:                                                    "",
		`ledger.inputs(subject)[0].standing != "bad"`:                                              "",
		`ledger.standing(subject) == "unknown" && ledger.inputs(subject)[0].standing == "unknown"`: "the rules for this statement cost more than 10,000,000 together",
	} {
		c := spec{rule: rule}.compiled(t)
		r := judged(t, func(in *Input) {
			a, err := in.State.Artifact("example", "1")
			if err != nil {
				t.Fatal(err)
			}
			in.State = endless{in.State, a}
		}, c).Results[0]
		if r.OK != (want == "") || r.Error != want {
			t.Errorf("%s: %+v", rule, r)
		}
	}
}
