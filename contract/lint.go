package contract

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/stele-ml/stele/internal/strictjson"
	"github.com/stele-ml/stele/statement"
)

// The codes of warnings.
const (
	WarnLocksOut     = "locks-out"      // nobody could change contracts or register keys any more
	WarnNeverHolds   = "never-holds"    // a rule refuses in every test
	WarnNeverRefuses = "never-refuses"  // no test has the rule refuse
	WarnRefusesByErr = "refuses-by-err" // a rule refuses in tests, but only because it cannot be evaluated
	WarnNoAllow      = "no-allow"       // no test allows anything
	WarnUntested     = "untested-kind"  // no test is about a kind of statement that is matched
	WarnOtherNames   = "other-names"    // the same thing under another name is not looked at
	WarnOtherKinds   = "other-kinds"    // the same thing stamped as another kind is not looked at
	WarnNoMatch      = "no-match"       // a part of the match can never be met
	WarnWidePattern  = "wide-pattern"   // a pattern covers more than it seems to
	WarnAnyPattern   = "any-pattern"    // a pattern covers everything
	WarnStampedByRun = "stamped-by-run" // a stamp may be a run's
	WarnStampedAlone = "stamped-alone"  // what a run would be asked is not asked of a stamp
	WarnUnused       = "unused"         // a param or a variable that nothing mentions
)

// Warning is something that a contract's author probably did not mean. It
// refuses nothing.
type Warning struct {
	Code    string // one of the Warn constants
	Path    string // in the document: spec.match.names[0]
	Message string // one line
	Hint    string // what to do, or empty
}

// Warnings returns what looks wrong in the contract: first what may lock
// everybody out, then the rest in the order of the document. It runs the
// contract's tests.
func (c *Contract) Warnings() []Warning {
	if len(c.document.Validations) == 0 || c.untested {
		return nil // it refuses nothing, and says so; or its tests are not known
	}
	l := &linter{Contract: c}
	// Tests that cost too much tell what they can; registration refuses them.
	l.results, _ = c.RunTests()
	l.lockout()
	l.match()
	l.unused()
	l.rules()
	l.tests()
	return l.list
}

type linter struct {
	*Contract
	results []TestResult
	list    []Warning
}

func (l *linter) warn(code, path, hint, format string, args ...any) {
	l.list = append(l.list, Warning{code, path, fmt.Sprintf(format, args...), hint})
}

func (l *linter) about(k statement.Kind) bool {
	return slices.Contains(l.document.Match.Statements, k)
}

func (l *linter) match() {
	m := &l.document.Match
	for i, k := range m.Statements {
		path := fmt.Sprintf("spec.match.statements[%d]", i)
		switch {
		case len(m.Stages) > 0 && !staged(k):
			l.warn(WarnNoMatch, path, "leave it out, or write a contract of its own for it", "%s names no stage, so that none matches beside stages", k.Noun())
		case len(m.Actions) > 0 && !slices.ContainsFunc(actions[k], func(a string) bool { return slices.Contains(m.Actions, a) }):
			l.warn(WarnNoMatch, path, "leave it out, or write a contract of its own for it", "no %s statement does what actions says, so that none matches", k)
		case len(m.Kinds) > 0 && !onArtifacts(k):
			l.warn(WarnNoMatch, path, "leave it out, or write a contract of its own for it", "%s is about no artifact, so that none matches beside kinds", k.Noun())
		case len(m.Names) > 0 && k == statement.KindLogKey:
			l.warn(WarnNoMatch, path, "leave it out, or write a contract of its own for it", "a log-key statement is about no name, so that none matches beside names")
		}
		switch {
		case k == statement.KindRun && !l.about(statement.KindStamp):
			l.warn(WarnStampedAlone, path, "add stamp, if what is stamped alone has to pass, too",
				"whoever stamps an artifact instead of recording its run is not asked")
		case k == statement.KindStamp && !l.about(statement.KindRun) && l.mentions("statement") && (len(m.Statements) == 1 || l.mentions(`["']stamp["']`)):
			l.warn(WarnStampedByRun, path, "look at subject, which is the artifact in either case",
				"what a run stamps is covered, too: statement is then the run, and statement.kind is \"run\"")
		}
	}
	released := l.about(statement.KindRelease) || l.about(statement.KindApproval)
	for i, p := range m.Names {
		path := fmt.Sprintf("spec.match.names[%d]", i)
		prefix, star := strings.CutSuffix(p, "*")
		switch {
		case star && prefix == "":
			l.warn(WarnAnyPattern, path, "leave names out", "* covers every name, as no names do")
		case star && !strings.HasSuffix(prefix, "/"):
			l.warn(WarnWidePattern, path, fmt.Sprintf("write %q, if that is meant", prefix+"/*"),
				"%s also covers names that only begin so, like %sulent/x; who may write names is in their keys", p, prefix)
		}
	}
	if released && len(m.Names) > 0 && len(m.Stages) == 0 && !slices.Contains(m.Names, "*") {
		l.warn(WarnOtherNames, "spec.match.names", "match a stage, and no names", "the same model under another name is not looked at, whatever stage it goes to")
	}
	if released && len(m.Kinds) > 0 {
		l.warn(WarnOtherKinds, "spec.match.kinds", "leave kinds out, and let a rule ask for subject.kind",
			"an artifact's kind is what its stamper says: under another it is not looked at")
	}
}

// mentions reports whether an expression has the word.
func (l *linter) mentions(word string) bool {
	re := regexp.MustCompile(`(^|[^A-Za-z0-9_.])` + word + `($|[^A-Za-z0-9_])`)
	return slices.ContainsFunc(l.expressions(), re.MatchString)
}

func (l *linter) expressions() (list []string) {
	for _, v := range l.document.Variables {
		list = append(list, v.Expression)
	}
	for _, v := range l.document.Validations {
		list = append(list, v.Expression, v.MessageExpression)
	}
	return list
}

func (l *linter) unused() {
	for _, p := range l.document.Params {
		if !l.mentions(`params\.` + p.Name) {
			l.warn(WarnUnused, joinPath("spec.params", p.Name), "", "no expression mentions params.%s", p.Name)
		}
	}
	for i, v := range l.document.Variables {
		if !l.mentions(`variables\.` + v.Name) {
			l.warn(WarnUnused, fmt.Sprintf("spec.variables[%d]", i), "", "no expression mentions variables.%s", v.Name)
		}
	}
}

// rules looks at what tests show of each rule.
func (l *linter) rules() {
	for i, v := range l.document.Validations {
		var holds, refuses bool
		fails := ""
		for _, t := range l.results {
			for _, r := range t.Results {
				if r.Rule == v.ID {
					holds = holds || r.OK
					refuses = refuses || !r.OK && r.Error == ""
					if fails == "" {
						fails = r.Error
					}
				}
			}
		}
		path := fmt.Sprintf("spec.validations[%d]", i)
		switch {
		case !refuses && fails == "":
			l.warn(WarnNeverRefuses, path, "add a test with deny: ["+v.ID+"]", "no test has the rule %s refuse anything", v.ID)
		case !refuses:
			l.warn(WarnRefusesByErr, path, "let the expression be false where the rule refuses: its message then says why",
				"no test has the rule %s refuse but by an error, which any statement may meet: %s", v.ID, fails)
		}
		if !holds && len(l.results) > 0 {
			l.warn(WarnNeverHolds, path, "add a test that it lets pass", "the rule %s refuses in every test", v.ID)
		}
	}
}

// tests looks at what the tests are about.
func (l *linter) tests() {
	if !slices.ContainsFunc(l.document.Tests, func(t Test) bool { return t.Expect.Allow }) {
		l.warn(WarnNoAllow, "spec.tests", "add a test with allow: true", "no test allows anything")
	}
	var untested []string
	first := 0
	for i, k := range l.document.Match.Statements {
		tested := slices.ContainsFunc(l.document.Tests, func(t Test) bool {
			st := t.Given.Input().Statement
			return !t.Expect.Ignored && (st.Kind == k || k == statement.KindStamp && len(st.Stamps()) > 0)
		})
		if tested {
			continue
		}
		if untested == nil {
			first = i
		}
		untested = append(untested, k.Noun())
	}
	if untested != nil {
		l.warn(WarnUntested, fmt.Sprintf("spec.match.statements[%d]", first), "add a test with each such statement", "no test is about %s", strings.Join(untested, ", "))
	}
}

// powers are what administrators do about contracts and keys, which a rule may
// keep them from.
var powers = []struct {
	kind         statement.Kind
	verb, action string
	words        string
}{
	{statement.KindContract, "put", statement.ContractPut, "put a contract"},
	{statement.KindContract, "lift", statement.ContractLift, "lift a contract"},
	{statement.KindIdentity, "register", statement.ActionRegister, "register a key"},
}

// lockout warns of rules under which nobody could change contracts, or register
// keys: where no test allows it, and no administrator of any test could.
func (l *linter) lockout() {
	m := &l.document.Match
	barred := map[statement.Kind][]string{}
	puts := false
	for _, p := range powers {
		if !l.about(p.kind) || len(m.Actions) > 0 && !slices.Contains(m.Actions, p.action) {
			continue
		}
		if l.possible(p.kind, p.verb, p.action) {
			puts = puts || p.action == statement.ContractPut
			continue
		}
		// Whoever can put a contract ends one with a version that refuses nothing.
		if p.action != statement.ContractLift || !puts {
			barred[p.kind] = append(barred[p.kind], p.words)
		}
	}
	for i, k := range m.Statements {
		if barred[k] == nil {
			continue
		}
		may := "may lift contracts"
		if k == statement.KindIdentity {
			may = "may register keys and lift contracts"
		}
		l.warn(WarnLocksOut, fmt.Sprintf("spec.match.statements[%d]", i), "add a test that allows it; the way back would be the recovery key alone, which "+may,
			"in none of its tests could anybody %s: it may lock everybody out", strings.Join(barred[k], " or "))
	}
}

// possible reports whether some test, or some administrator of one, could do it.
func (l *linter) possible(kind statement.Kind, verb, action string) bool {
	for i, t := range l.document.Tests {
		in := t.Given.Input()
		st := in.Statement
		same := st.Contract != nil && st.Contract.Action == action || st.Identity != nil && st.Identity.Action == action
		if st.Kind == kind && same && i < len(l.results) && slices.Equal(l.results[i].Got, []string{testAllow}) {
			return true
		}
		names := append(in.State.People(statement.RoleAdministrator), fixtureAdministrator)
		for _, handle := range slices.Compact(names) {
			if l.allows(t.Given.as(&l.document.Match, verb, handle)) {
				return true
			}
		}
	}
	return false
}

func (l *linter) allows(in *Input) bool {
	if in == nil {
		return false
	}
	v, err := l.judgeGiven(in)
	return err == nil && len(v.Refused()) == 0
}

// as is the given history with another statement: what somebody does in its
// place. It is nil where that cannot be.
func (g Given) as(m *Match, verb, handle string) *Input {
	world := *g.world
	world.people = maps.Clone(world.people)
	world.people[handle] = sortedWords(append(slices.Clone(world.people[handle]), statement.RoleAdministrator))
	r := new(reader)
	h := &historian{fixture: &world, r: r, match: m, next: world.input.Entry}
	quotedHandle := []byte(`"` + handle + `"`)
	h.do(item{fields: fields{node: node{r: r}, members: map[string]strictjson.Raw{"by": quotedHandle}}, verb: verb, judged: true})
	if r.err() != nil {
		return nil
	}
	in := &world.input
	in.Signer.Roles, in.Signer.Known, in.State = world.people[handle], true, &world
	return in
}
