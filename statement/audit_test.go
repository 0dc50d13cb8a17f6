package statement

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/stele-ml/stele/fingerprint"
)

func TestFraction(t *testing.T) {
	for text, want := range map[string]Fraction{
		"0.5": 5e8, "0.005": 5e6, "0.99": 99e7, "0.000000001": 1, "0.999999999": 999999999, "0.100000001": 100000001,
	} {
		f, err := ParseFraction(text)
		if err != nil || f != want || f.String() != text {
			t.Errorf("%s: %d, %s, %v", text, f, f, err)
		}
	}
	for _, text := range []string{"", "0", "1", "0.", "0.0", "0.50", "0.1234567890", "0.1234567891", ".5", "00.5", "0.5 ", " 0.5", "-0.5", "0,5", "0.5e1", "0x.5", "0.-1", "0.1_1", "1.5", "0.٥"} {
		if f, err := ParseFraction(text); !errors.Is(err, ErrFormat) {
			t.Errorf("%q: %d, %v", text, f, err)
		}
	}
}

// A list of members has one order on the wire, whatever that of the caller.
func TestMembersInOrder(t *testing.T) {
	st := testCollection()
	payload := must(st.Marshal())
	m := st.Stamp.Members
	m[0], m[1], m[2] = m[2], m[0], m[1]
	if again := must(st.Marshal()); !bytes.Equal(again, payload) {
		t.Errorf("another order\n got %s\nwant %s", again, payload)
	}
	begin := bytes.Index(payload, []byte(`{"prefix":"2026-01-01"`))
	middle := bytes.Index(payload, []byte(`,{"prefix":"2026-01-02-late"`))
	end := bytes.Index(payload, []byte(`,{"prefix":"2026-01-02"`))
	if begin < 0 || middle < begin || end < middle {
		t.Fatalf("%s", payload)
	}
	swapped := strings.Join([]string{string(payload[:begin]), string(payload[middle+1 : end]), ",", string(payload[begin:middle]), string(payload[end:])}, "")
	if _, err := Parse([]byte(swapped)); len(swapped) != len(payload) || !errors.Is(err, ErrFormat) {
		t.Errorf("members swapped: %v", err)
	}
	parsed := must(Parse(payload)).Stamp
	fp, files, size, err := Collection(fingerprint.SHA256, parsed.Members)
	if err != nil || fp != must(st.Ref()).Fingerprint || files != 10 || size != 46 || parsed.Members[1].Prefix != "2026-01-02-late" {
		t.Errorf("%v, %d, %d, %v: %+v", fp, files, size, err, parsed.Members)
	}
	if _, _, _, err := Collection(fingerprint.SHA256, nil); !errors.Is(err, ErrFormat) {
		t.Errorf("a collection of nothing: %v", err)
	}
}

// A member may audit any artifact: his name patterns say what he may write.
func TestWhoMayAudit(t *testing.T) {
	p := newPlay(t, "alice")
	p.does("alice", testRegister("bob", ed("bob").PublicKey(), []string{RoleMember}, []string{"raw/*"}))
	p.does("alice", testRegister("carol", ed("carol").PublicKey(), []string{RoleApprover}, []string{"*"}))
	for _, st := range []*Statement{testAnnouncement(), testResult()} {
		if st.Control() {
			t.Error("an audit is no control entry")
		}
		for _, who := range []string{"alice", "bob"} {
			if err := p.r.Check(p.next, p.timeMS, id(who), st); err != nil {
				t.Errorf("%s: %v", who, err)
			}
		}
		p.refused(ErrNotAllowed, "carol", st)
		p.refused(ErrNotAllowed, "recovery", st)
		p.refused(ErrStanding, "eve", st)
	}
}
