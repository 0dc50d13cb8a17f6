package statement

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stele-ml/stele/fingerprint"
)

func testApproval(decision string) *Statement {
	ref := testRef("fraud/model", "2026.11")
	a := &Approval{Stage: "production", Decision: decision, After: 21}
	if decision == DecisionReject {
		a.Reason = "recall fell below 0.5 on the drift set"
	}
	return &Statement{Kind: KindApproval, Subject: []Subject{ref.Subject()}, Ledger: testLedger, Nonce: testNonce(decision), Approval: a}
}

func testRelease() *Statement {
	ref := testRef("fraud/model", "2026.11")
	return &Statement{Kind: KindRelease, Subject: []Subject{ref.Subject()}, Ledger: testLedger, Nonce: testNonce("release"), Release: &Release{
		Stage: "production", Action: ActionJoin, Replaces: []Ref{testRef("fraud/model", "2026.10"), testRef("fraud/canary", "7")}, Reason: "ticket ML-7", After: 22,
	}}
}

func testLeave() *Statement {
	ref := testRef("fraud/model", "2026.11")
	return &Statement{Kind: KindRelease, Subject: []Subject{ref.Subject()}, Ledger: testLedger, Nonce: testNonce("leave"),
		Release: &Release{Stage: "canary.eu-west_1", Action: ActionLeave, After: 23}}
}

// stages are names that are none: they are empty, too long, or look like others.
var badStages = []string{
	"", "Production", "PRODUCTION", "prod uction", "production ", " production", "-production", ".production", "_production", "production/eu", "production@1",
	"prоduction" /* Cyrillic о */, "ｐroduction", "produc\u200btion", "production\u202e", "production\n", "prod\x00", "prod*", "productión", strings.Repeat("a", MaxStage+1),
}

func TestCheckStage(t *testing.T) {
	for _, stage := range []string{"production", "staging", "canary.eu-west_1", "0", "p", strings.Repeat("a", MaxStage)} {
		if err := CheckStage(stage); err != nil {
			t.Errorf("%s: %v", stage, err)
		}
	}
	for _, stage := range badStages {
		if err := CheckStage(stage); !errors.Is(err, ErrFormat) {
			t.Errorf("%q: %v", stage, err)
		}
		approval, release := testApproval(DecisionApprove), testRelease()
		approval.Approval.Stage, release.Release.Stage = stage, stage
		for _, st := range []*Statement{approval, release} {
			if payload, err := st.Marshal(); !errors.Is(err, ErrFormat) {
				t.Errorf("%q: got %s, %v", stage, payload, err)
			}
		}
	}
}

func TestParseRefusesApprovals(t *testing.T) {
	refuses(t, testApproval(DecisionApprove), []change{
		{"an upper-case stage", `"production"`, `"Production"`},
		{"a stage with a look-alike", `"production"`, `"prоduction"`},
		{"a stage that shows as another", `"production"`, `"produc\u200btion"`},
		{"no stage", `"stage":"production",`, ``},
		{"an unknown decision", `"approve"`, `"approved"`},
		{"an upper-case decision", `"approve"`, `"Approve"`},
		{"a rejection without a reason", `"approve"`, `"reject"`},
		{"an empty reason", `"after"`, `"reason":"","after"`},
		{"a reason of many lines", `"after"`, `"reason":"a\nb","after"`},
		{"a long reason", `"after"`, `"reason":"` + strings.Repeat("x", MaxReason+1) + `","after"`},
		{"after the genesis", `"after":21`, `"after":0`},
		{"no after", `,"after":21`, ``},
		{"an after as text", `"after":21`, `"after":"21"`},
		{"a condition", `"after"`, `"until":"2027","after"`},
		{"a case-folded name", `"stage"`, `"Stage"`},
		{"a twin", `"stage"`, `"stage":"staging","stage"`},
		{"another kind", `stele.dev/approval/v1`, `stele.dev/release/v1`},
		{"a second artifact", `"subject":[`, `"subject":[{"name":"a@1","digest":` + digest(testRef("a", "1")) + `},`},
	})
	refuses(t, testApproval(DecisionReject), []change{
		{"no reason", `"reason":"recall fell below 0.5 on the drift set",`, ``},
		{"an empty reason", `recall fell below 0.5 on the drift set`, ``},
		{"a reason that clears the screen", `recall`, `\u001b[2J`},
	})
	reasoned := testApproval(DecisionApprove)
	reasoned.Approval.Reason = "as agreed"
	if st, err := Parse(must(reasoned.Marshal())); err != nil || st.Approval.Reason != "as agreed" || st.Control() {
		t.Errorf("an approval with a reason: %v", err)
	}
}

func TestParseRefusesReleases(t *testing.T) {
	refuses(t, testRelease(), []change{
		{"an upper-case stage", `"production"`, `"Production"`},
		{"an unknown action", `"join"`, `"promote"`},
		{"no action", `"action":"join",`, ``},
		{"leaving, and replacing", `"join"`, `"leave"`},
		{"what it replaces out of order", `fraud/canary@7`, `fraud/zebra@7`},
		{"what it replaces twice", `fraud/canary@7`, `fraud/model@2026.10`},
		{"itself", `"fraud/model@2026.10"`, `"fraud/model@2026.11"`},
		{"another hash", `"fraud/canary@7","digest":{"stele-sha256"`, `"fraud/canary@7","digest":{"stele-blake3"`},
		{"a name alone", `"fraud/canary@7"`, `"fraud/canary"`},
		{"nothing replaced, said", `"replaces":[`, `"replaces":[],"x":[`},
		{"an empty reason", `"ticket ML-7"`, `""`},
		{"a reason that turns the text", `"ticket ML-7"`, `"\u202eticket"`},
		{"after the genesis", `"after":22`, `"after":0`},
		{"no after", `,"after":22`, ``},
		{"a share", `"after"`, `"weight":10,"after"`},
		{"a case-folded name", `"replaces"`, `"Replaces"`},
	})
	refuses(t, testLeave(), []change{{"nothing replaced, said", `"after"`, `"replaces":[],"after"`}, {"no reason, said", `"after"`, `"reason":"","after"`}})
	replaces := func(n int) *Statement {
		st := testRelease()
		st.Release.Replaces = nil
		for i := range n {
			st.Release.Replaces = append(st.Release.Replaces, testRef("x", fmt.Sprint(i)))
		}
		return st
	}
	if _, err := Parse(must(replaces(MaxReplaces).Marshal())); err != nil {
		t.Errorf("16 replaced: %v", err)
	}
	for name, st := range map[string]*Statement{
		"17 replaced": replaces(MaxReplaces + 1),
		"another hash replaced": func() *Statement {
			s := replaces(1)
			s.Release.Replaces[0].Fingerprint.Algorithm = fingerprint.BLAKE3
			return s
		}(),
		"nothing set replaced": func() *Statement { s := replaces(1); s.Release.Replaces[0] = Ref{}; return s }(),
		"no artifact":          func() *Statement { s := replaces(1); s.Subject = nil; return s }(),
		"two artifacts":        func() *Statement { s := replaces(1); s.Subject = append(s.Subject, s.Subject...); return s }(),
		"a huge after":         func() *Statement { s := replaces(1); s.Release.After = 1 << 53; return s }(),
	} {
		if payload, err := st.Marshal(); !errors.Is(err, ErrFormat) {
			t.Errorf("%s: got %s, %v", name, payload, err)
		}
	}
	one, two := testRelease(), testRelease()
	two.Release.Replaces[0], two.Release.Replaces[1] = two.Release.Replaces[1], two.Release.Replaces[0]
	if !bytes.Equal(must(one.Marshal()), must(two.Marshal())) {
		t.Error("the order of what is replaced says something")
	}
}
