package statement

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"testing"
)

// testDocument is a contract in its canonical form. What its rules mean is for
// package contract.
const testDocument = `{"apiVersion":"stele.dev/v1","kind":"Contract","metadata":{"description":"Two people, and a score, before production","name":"production","version":3},"spec":{"engine":"cel/1","match":{"actions":["join"],"names":["fraud/*"],"stages":["production"],"statements":["release"]},"params":{"minAUC":0.9},"tests":[{"expect":{"deny":["auc","two-approvals"]},"given":{"approvers":["bob"],"statement":{"kind":"release","stage":"production"}},"name":"one approval is refused"},{"expect":{"allow":true},"given":{"approvers":["bob","carol"],"history":[{"by":"maker","kind":"model","stamp":"fraud/model@1"},{"by":"carol","evaluate":"fraud/model@1","metrics":{"auc":0.93}}],"statement":{"kind":"release","stage":"production","subject":"fraud/model@1"}},"name":"two approvals and a score"}],"validations":[{"expression":"ledger.approvers(subject).size() >= 2","hint":"ask another reviewer to run ` + "`" + `stele approve` + "`" + `","id":"two-approvals","messageExpression":"\"production needs 2 approvals, found \" + string(ledger.approvers(subject).size())"},{"expression":"ledger.evaluations(subject).exists(e, \"auc\" in e.metrics && e.metrics[\"auc\"] >= params.minAUC)","hint":"evaluate it with ` + "`" + `stele record evaluation` + "`" + `","id":"auc","message":"no evaluation has an AUC of 0.9 or more"}]}}`

func testContract(action string) *Statement {
	return &Statement{Kind: KindContract, Ledger: testLedger, Nonce: testNonce("contract " + action),
		Contract: must(NewContract(action, []byte(testDocument)))}
}

func testLift(reason string) *Statement {
	return &Statement{Kind: KindContract, Ledger: testLedger, Nonce: testNonce("lift " + reason), Contract: &Contract{
		Action: ContractLift, Name: "production", Version: 3, Digest: sha256.Sum256([]byte(testDocument)), Reason: reason}}
}

// A document says whose it is, and nothing else of it is read here.
func TestNewContract(t *testing.T) {
	c := must(NewContract(ContractPut, []byte(testDocument)))
	if c.ID() != "production@3" || c.Digest != sha256.Sum256([]byte(testDocument)) || string(c.Document) != testDocument {
		t.Errorf("got %+v", c)
	}
	header := func(rest string) string {
		return `{"apiVersion":"stele.dev/v1","kind":"Contract","metadata":{"name":"a/b","version":1}` + rest + `}`
	}
	if c, err := NewContract(ContractPropose, []byte(header(`,"spec":{"x":[-1.5,1e-7]}`))); err != nil || c.ID() != "a/b@1" {
		t.Errorf("a document of which only the header is known: %+v, %v", c, err)
	}
	deep := func(n int) string { return header(`,"x":` + strings.Repeat("[", n) + strings.Repeat("]", n)) }
	for what, document := range map[string]string{
		"nothing":                  ``,
		"no object":                `[]`,
		"white space":              header(`,"spec": {}`),
		"members out of order":     header(`,"a":1`),
		"a member twice":           header(`,"kind":"Contract"`),
		"another spelling":         header(`,"x":"\u0061"`),
		"a number with a zero":     header(`,"x":1.0`),
		"a huge exponent":          header(`,"x":1e+400`),
		"a large whole number":     header(`,"x":9007199254740993`),
		"minus zero":               header(`,"x":-0`),
		"NaN":                      header(`,"x":NaN`),
		"null":                     header(`,"x":null`),
		"something after it":       header(``) + "1",
		"an unpaired surrogate":    header(`,"x":"\ud800"`),
		"too deep":                 deep(maxDocumentDepth),
		"too long":                 header(`,"x":"` + strings.Repeat("x", MaxContract) + `"`),
		"another kind":             strings.Replace(header(``), `"Contract"`, `"contract"`, 1),
		"another version of it":    strings.Replace(header(``), `/v1`, `/v2`, 1),
		"no kind":                  strings.Replace(header(``), `"kind":"Contract",`, ``, 1),
		"a kind in other case":     strings.Replace(header(``), `"kind"`, `"Kind"`, 1),
		"no name":                  strings.Replace(header(``), `"name":"a/b",`, ``, 1),
		"an upper-case name":       strings.Replace(header(``), `a/b`, `A/b`, 1),
		"a name with a look-alike": strings.Replace(header(``), `a/b`, `а/b`, 1),
		"no version":               strings.Replace(header(``), `,"version":1`, ``, 1),
		"version 0":                strings.Replace(header(``), `"version":1`, `"version":0`, 1),
		"version 1.5":              strings.Replace(header(``), `"version":1`, `"version":1.5`, 1),
		"version -1":               strings.Replace(header(``), `"version":1`, `"version":-1`, 1),
		"a version as text":        strings.Replace(header(``), `"version":1`, `"version":"1"`, 1),
		"a version past the limit": strings.Replace(header(``), `"version":1`, `"version":1000000001`, 1),
	} {
		if c, err := NewContract(ContractPut, []byte(document)); !errors.Is(err, ErrFormat) {
			t.Errorf("%s: got %+v, %v", what, c, err)
		}
	}
	if _, err := NewContract(ContractPut, []byte(deep(maxDocumentDepth-1))); err != nil {
		t.Errorf("as deep as it may be: %v", err)
	}
	if _, err := NewContract(ContractLift, []byte(testDocument)); !errors.Is(err, ErrFormat) {
		t.Errorf("a lift of a document: %v", err)
	}
}

// Only a contract nests as deep as it may, and has numbers that are not whole.
func TestContractsAloneHaveNumbers(t *testing.T) {
	payload := string(must(testStamp("a", "1").Marshal()))
	for _, c := range []struct{ old, new string }{
		{`"files":3`, `"files":3.5`},
		{`"files":3`, `"files":-3`},
		{`"ignore":[".git/","*.tmp"]`, `"ignore":` + strings.Repeat("[", MaxDepth) + strings.Repeat("]", MaxDepth)},
	} {
		changed := strings.Replace(payload, c.old, c.new, 1)
		if st, err := Parse([]byte(changed)); changed == payload || !errors.Is(err, ErrFormat) {
			t.Errorf("%s: got %+v, %v", c.new, st, err)
		}
	}
	// Also where its predicate's type is not seen before it is read.
	payload = string(must(testContract(ContractPut).Marshal()))
	moved := strings.Replace(payload, `"predicateType":"https://stele.dev/contract/v1",`, ``, 1)
	moved = strings.TrimSuffix(moved, "}") + `, "predicateType": "https://stele.dev/contract/v1"}`
	if st, err := Parse([]byte(moved)); err != nil || st.Contract.ID() != "production@3" || string(st.Contract.Document) != testDocument {
		t.Errorf("the same with its members in another order: %+v, %v", st, err)
	}
}

func TestContractChecked(t *testing.T) {
	for what, change := range map[string]func(*Contract){
		"another name":    func(c *Contract) { c.Name = "staging" },
		"another version": func(c *Contract) { c.Version = 4 },
		"another digest":  func(c *Contract) { c.Digest[0] ^= 1 },
		"another document": func(c *Contract) {
			c.Document = []byte(strings.Replace(testDocument, `"minAUC":0.9`, `"minAUC":0.8`, 1))
		},
		"an unknown action":  func(c *Contract) { c.Action = "amend" },
		"a reason for a put": func(c *Contract) { c.Reason = "because" },
	} {
		st := testContract(ContractPut)
		change(st.Contract)
		if payload, err := st.Marshal(); !errors.Is(err, ErrFormat) {
			t.Errorf("%s: %s, %v", what, payload, err)
		}
	}
	st := testLift("")
	st.Contract.Document = []byte(testDocument)
	if _, err := st.Marshal(); !errors.Is(err, ErrFormat) {
		t.Errorf("a lift with the document: %v", err)
	}
}

// Administrators put, propose and lift contracts. The recovery key lifts them,
// so that a rule which refuses everybody is not for ever, and does no more.
func TestWhoMayContract(t *testing.T) {
	p := newPlay(t, "alice")
	p.does("alice", testRegister("carol", ed("carol").PublicKey(), []string{RoleApprover, RoleMember, RoleReleaser}, []string{"*"}))
	for _, st := range []*Statement{testContract(ContractPut), testContract(ContractPropose), testLift("")} {
		if err := p.r.May(id("alice"), st, p.timeMS); err != nil {
			t.Errorf("an administrator: %s: %v", st.Contract.Action, err)
		}
		if err := p.r.May(id("carol"), st, p.timeMS); !errors.Is(err, ErrNotAllowed) {
			t.Errorf("no administrator: %s: %v", st.Contract.Action, err)
		}
		err := p.r.May(id("recovery"), st, p.timeMS)
		if lift := st.Contract.Action == ContractLift; lift != (err == nil) || !lift && !errors.Is(err, ErrNotAllowed) {
			t.Errorf("the recovery key: %s: %v", st.Contract.Action, err)
		}
	}
}

func ExampleContract_ID() {
	fmt.Println((&Contract{Name: "production", Version: 3}).ID())
	// Output: production@3
}
