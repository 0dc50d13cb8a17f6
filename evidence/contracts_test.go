package evidence

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stele-ml/stele/statement"
)

// rulebook is a ledger on which people put contracts.
type rulebook struct {
	*testLedger
	people map[string]statement.Signer
}

// newRulebook has the administrators ada, bea and eve.
func newRulebook(t *testing.T, label string) *rulebook {
	r := &rulebook{newLedger(t, label), map[string]statement.Signer{}}
	r.people["ada"], r.people["recovery"] = r.admin, testSigner(t, label+" recovery")
	for _, handle := range []string{"bea", "eve"} {
		r.people[handle] = testSigner(t, label+" "+handle)
		r.identity(r.admin, statement.Identity{Action: statement.ActionRegister, Handle: handle, Key: r.people[handle].PublicKey(),
			Roles: []string{statement.RoleAdministrator}})
	}
	return r
}

func contractDocument(name string, version uint64) []byte {
	return fmt.Appendf(nil, `{"apiVersion":"stele.dev/v1","kind":"Contract","metadata":{"name":%q,"version":%d},"spec":{}}`, name, version)
}

// contractStatement is what "put production@3" says, or propose, or lift.
func contractStatement(words string) *statement.Statement {
	action, id, _ := strings.Cut(words, " ")
	var version uint64
	name, number, _ := strings.Cut(id, "@")
	if _, err := fmt.Sscan(number, &version); err != nil {
		panic(err)
	}
	document := contractDocument(name, version)
	if action == statement.ContractLift {
		return &statement.Statement{Kind: statement.KindContract, Contract: &statement.Contract{
			Action: action, Name: name, Version: version, Digest: sha256.Sum256(document)}}
	}
	return &statement.Statement{Kind: statement.KindContract, Contract: must(statement.NewContract(action, document))}
}

// does runs "bea: put production@3", or "eve: compromised since 7": an entry, or
// the one of an earlier step where it begins with #.
func (r *rulebook) does(step string) *Entry {
	r.t.Helper()
	who, what, _ := strings.Cut(step, ": ")
	var since uint64
	if n, _ := fmt.Sscanf(what, "compromised since %d", &since); n == 1 {
		return r.identity(r.people[who], statement.Identity{Action: statement.ActionCompromised, Handle: who,
			KeyID: r.people[who].PublicKey().ID(), Since: since})
	}
	return r.say(r.people[who], contractStatement(what))
}

func inForceIDs(c *Control) (ids []string) {
	for _, e := range c.ContractsInForce() {
		id := e.ID()
		if e.Void != "" {
			id += " (fallen)"
		}
		ids = append(ids, id)
	}
	return ids
}

// What is fallen keeps refusing and no longer replaces. The rulebook's first
// step is entry 4.
func TestContractsInForce(t *testing.T) {
	for name, c := range map[string]struct {
		steps string
		want  string
	}{
		"none":                             {"", ""},
		"a proposal is not in force":       {"ada: propose p@1", ""},
		"one":                              {"ada: put p@1", "p@1"},
		"a version replaces those before":  {"ada: put p@1; bea: put p@2; ada: put p@7", "p@7"},
		"by name":                          {"ada: put z@1; ada: put a/b@1; ada: put m@4", "a/b@1 m@4 z@1"},
		"lifted":                           {"ada: put p@1; bea: lift p@1", ""},
		"lifted, and put again":            {"ada: put p@1; bea: lift p@1; ada: put p@2", "p@2"},
		"a lift revives nothing":           {"ada: put p@1; ada: put p@2; ada: lift p@2", ""},
		"lifted by the recovery key":       {"ada: put p@1; recovery: lift p@1", ""},
		"a retired key's word stays":       {"eve: put p@1; ada: retire eve", "p@1"},
		"a thief's loosening":              {"ada: put p@1; eve: put p@2; eve: compromised since 5", "p@1 p@2 (fallen)"},
		"a thief's lift":                   {"ada: put p@1; eve: lift p@1; eve: compromised since 5", "p@1"},
		"a thief's lift of what he put":    {"ada: put p@1; eve: put p@2; eve: lift p@2; eve: compromised since 5", "p@1 p@2 (fallen)"},
		"a thief's last version":           {"ada: put p@1; eve: put p@1000000000; eve: compromised since 5; ada: put p@2", "p@2"},
		"one's own key, to end a rule":     {"eve: put p@1; eve: compromised since 4", "p@1 (fallen)"},
		"one's own key, to end a version":  {"ada: put p@1; eve: put p@2; bea: put q@1; eve: compromised since 5", "p@1 p@2 (fallen) q@1"},
		"what fell is replaced":            {"ada: put p@1; eve: put p@2; eve: compromised since 5; bea: put p@3", "p@3"},
		"what fell is lifted":              {"ada: put p@1; eve: put p@2; eve: compromised since 5; bea: lift p@2", "p@1"},
		"what fell is lifted by recovery":  {"eve: put p@1; eve: compromised since 4; recovery: lift p@1", ""},
		"lifted before it was known":       {"ada: put p@1; eve: put p@2; bea: lift p@2; eve: compromised since 5", "p@1"},
		"before the compromise":            {"eve: put p@1; ada: put q@1; eve: put p@2; eve: compromised since 6", "p@1 p@2 (fallen) q@1"},
		"all of a name fell":               {"eve: put p@1; eve: put p@2; eve: compromised since 4", "p@1 (fallen) p@2 (fallen)"},
		"a fallen one under a standing":    {"eve: put p@1; ada: put p@2; eve: compromised since 4", "p@2"},
		"two declare it":                   {"ada: put p@1; eve: put p@2; ada: accuse eve 5; bea: accuse eve 5", "p@1 p@2 (fallen)"},
		"one of three declares it":         {"ada: put p@1; eve: put p@2; ada: accuse eve 5", "p@2"},
		"an administrator of the thief's":  {"eve: register mal; mal: put p@1; eve: compromised since 4", "p@1 (fallen)"},
		"a lift by the thief's":            {"ada: put p@1; eve: register mal; mal: lift p@1; eve: compromised since 5", "p@1"},
		"a recovery key that was stolen":   {"ada: put p@1; recovery: lift p@1; recovery: compromised since 5", "p@1"},
		"what is proposed replaces nought": {"ada: put p@1; bea: propose p@2", "p@1"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRulebook(t, "in force")
			if r.size != 4 {
				t.Fatalf("the first step is entry %d", r.size)
			}
			for _, step := range strings.Split(c.steps, "; ") {
				who, what, _ := strings.Cut(step, ": ")
				var handle string
				var since uint64
				switch {
				case step == "":
				case strings.HasPrefix(what, "register "):
					handle = strings.TrimPrefix(what, "register ")
					r.people[handle] = testSigner(t, "in force "+handle)
					r.identity(r.people[who], statement.Identity{Action: statement.ActionRegister, Handle: handle,
						Key: r.people[handle].PublicKey(), Roles: []string{statement.RoleAdministrator}})
				case strings.HasPrefix(what, "retire "):
					handle = strings.TrimPrefix(what, "retire ")
					r.identity(r.people[who], statement.Identity{Action: statement.ActionRetire, Handle: handle, KeyID: r.people[handle].PublicKey().ID()})
				case strings.HasPrefix(what, "accuse "):
					must(fmt.Sscanf(what, "accuse %s %d", &handle, &since))
					r.identity(r.people[who], statement.Identity{Action: statement.ActionCompromised, Handle: handle,
						KeyID: r.people[handle].PublicKey().ID(), Since: since})
				default:
					r.does(step)
				}
				// Asked at every step, so that nothing kept goes out of date.
				r.control.ContractsInForce()
			}
			if got := strings.Join(inForceIDs(r.control), " "); got != c.want {
				t.Errorf("in force are %q, want %q", got, c.want)
			}
			// Whoever folds the same entries at once finds the same.
			again := NewControl()
			for _, i := range r.listed {
				if err := again.Add(must(ParseEntry(r.leaves[i]))); err != nil {
					t.Fatal(err)
				}
			}
			if got := strings.Join(inForceIDs(again), " "); got != c.want {
				t.Errorf("folded again, in force are %q, want %q", got, c.want)
			}
		})
	}
}

// An operator who admits what the rules do not let pass is caught by whoever
// folds the control entries.
func TestContractRulesAreFolded(t *testing.T) {
	for name, c := range map[string]struct{ steps, against string }{
		"the same document again":      {"ada: put p@1", "bea: put p@1"},
		"a version that was":           {"ada: put p@2", "ada: put p@1"},
		"proposed below what was":      {"ada: put p@2", "ada: propose p@1"},
		"proposed though it is there":  {"ada: put p@2", "ada: propose p@2"},
		"a version of a fallen one":    {"eve: put p@2; eve: compromised since 4", "ada: put p@2"},
		"lifted that never was":        {"ada: put p@1", "ada: lift p@2"},
		"lifted twice":                 {"ada: put p@1; bea: lift p@1", "ada: lift p@1"},
		"lifted though replaced":       {"ada: put p@1; bea: put p@2", "ada: lift p@1"},
		"lifted though only proposed":  {"ada: propose p@1", "ada: lift p@1"},
		"put again after it was ended": {"ada: put p@1; bea: lift p@1", "ada: put p@1"},
		"by a member":                  {"", "mara: put p@1"},
		"put by the recovery key":      {"", "recovery: put p@1"},
		"proposed by the recovery key": {"", "recovery: propose p@1"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRulebook(t, "folded")
			r.people["mara"] = r.member
			for _, step := range strings.Split(c.steps, "; ") {
				if step != "" {
					r.does(step)
				}
			}
			before := inForceIDs(r.control)
			who, what, _ := strings.Cut(c.against, ": ")
			r.admitAnyway(r.sign(r.people[who], contractStatement(what)))
			if after := inForceIDs(r.control); !slices.Equal(after, before) {
				t.Errorf("in force are %v, before it were %v", after, before)
			}
		})
	}
	// A digest that is another document's.
	r := newRulebook(t, "folded")
	r.does("ada: put p@1")
	lift := contractStatement("lift p@1")
	lift.Contract.Digest[0] ^= 1
	if against, err := r.control.CheckContract(lift.Contract); err == nil || against.Entry != 4 {
		t.Errorf("a lift of another document: %v, %v", against, err)
	}
	r.admitAnyway(r.sign(r.admin, lift))
}

func TestContractProposals(t *testing.T) {
	r := newRulebook(t, "proposals")
	r.does("ada: put p@1")
	r.does("bea: propose p@2")
	r.does("eve: propose p@2")
	r.does("bea: propose p@3")
	digest := sha256.Sum256(contractDocument("p", 2))
	by := func() (handles []string) {
		for _, p := range r.control.ContractProposals(digest) {
			handles = append(handles, p.Handle)
		}
		return handles
	}
	if got := by(); !slices.Equal(got, []string{"bea", "eve"}) {
		t.Errorf("proposed by %v", got)
	}
	r.does("eve: compromised since 6")
	if got := by(); !slices.Equal(got, []string{"bea"}) {
		t.Errorf("proposed by %v, though the key of eve fell", got)
	}
	all := r.control.Contracts()
	if len(all) != 4 || all[2].Void == "" || all[1].Void != "" || all[0].Action != statement.ContractPut || string(all[0].Document) != string(contractDocument("p", 1)) {
		t.Errorf("all are %+v", all)
	}
}

// A clone shares what was found with its original until one of them goes on,
// also while several ask at once.
func TestContractsOfAClone(t *testing.T) {
	r := newRulebook(t, "clone")
	r.does("ada: put p@1")
	before := r.control.Clone()
	var wg sync.WaitGroup
	for _, c := range []*Control{before, r.control, before, r.control} {
		wg.Go(func() {
			if got := inForceIDs(c); !slices.Equal(got, []string{"p@1"}) {
				t.Errorf("in force are %v", got)
			}
		})
	}
	wg.Wait()
	if &before.ContractsInForce()[0] != &r.control.ContractsInForce()[0] {
		t.Error("it was found twice")
	}
	r.does("ada: put p@2")
	if a, b := inForceIDs(before), inForceIDs(r.control); !slices.Equal(a, []string{"p@1"}) || !slices.Equal(b, []string{"p@2"}) {
		t.Errorf("in force are %v before and %v after", a, b)
	}
	// What changes nothing about contracts keeps the list.
	list := r.control.ContractsInForce()
	r.withdraw(r.admin, testData(t, 1).ref("scans/x", "1"), statement.TargetBinding, "")
	if &list[0] != &r.control.ContractsInForce()[0] {
		t.Error("a withdrawal had the list made anew")
	}
}

// Evidence carries contracts like all control entries, and verifies.
func TestEvidenceWithContracts(t *testing.T) {
	r := newRulebook(t, "evidence")
	d := testData(t, 1)
	r.does("ada: put p@1")
	e := r.stamp(r.member, d, "scans/train", "1")
	r.does("recovery: lift p@1")
	r.stamp(r.member, testData(t, 2), "scans/train", "2")
	f := r.prove(r.checkpoint(), e, d, "scans/train", "1")
	want(t, Verify(f, r.policy(), Options{}), Verified)
	if err := NewControl().Add(must(ParseEntry(r.leaves[4]))); !errors.Is(err, ErrTampered) {
		t.Errorf("a contract before the genesis: %v", err)
	}
}
