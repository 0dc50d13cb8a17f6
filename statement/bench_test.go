package statement

import (
	"fmt"
	"testing"
)

// runOfFive is an ordinary run: five inputs, one output, a commit.
func runOfFive() *Statement {
	st := testBareRun()
	for i := range 5 {
		st.Run.Inputs = append(st.Run.Inputs, testRef("raw/cards", fmt.Sprint(i)))
	}
	st.Run.Outputs = []Output{{testRef("fraud/model", "1"), testStamp("fraud/model", "1").Stamp}}
	st.Run.Code = &Code{Remote: "https://git.example/fraud/train.git", Commit: hexOf("commit")[:40]}
	return st
}

func BenchmarkParse(b *testing.B) {
	for _, st := range []*Statement{testStamp("raw/cards", "7"), fullStamp(), runOfFive(), testRun(), testRelease(), testRegister("bob", ed("bob").PublicKey(), []string{RoleMember}, []string{"*"})} {
		payload := must(st.Marshal())
		b.Run(fmt.Sprintf("%s-%d", st.Kind, len(payload)), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				must(Parse(payload))
			}
		})
	}
}

func BenchmarkParseReordered(b *testing.B) {
	payload := append(must(fullStamp().Marshal()), ' ')
	for b.Loop() {
		must(Parse(payload))
	}
}

func BenchmarkEnvelope(b *testing.B) {
	e := must(Sign(fullStamp(), p256("alice")))
	text, bin := must(e.MarshalJSON()), e.Encode()
	b.Run("parse-json", func(b *testing.B) {
		for b.Loop() {
			must(ParseEnvelope(text))
		}
	})
	b.Run("decode-binary", func(b *testing.B) {
		for b.Loop() {
			must(DecodeEnvelope(bin))
		}
	})
}

func BenchmarkSignVerify(b *testing.B) {
	for name, s := range map[string]Signer{"p256": p256("alice"), "ed25519": ed("bob"), "ssh-ed25519": sshEd("carol"), "ssh-p256": sshEC("ci")} {
		e := must(Sign(fullStamp(), s))
		b.Run("verify-"+name, func(b *testing.B) {
			for b.Loop() {
				if err := e.Verify(s.PublicKey()); err != nil {
					b.Fatal(err)
				}
			}
		})
		text := e.Message()
		b.Run("sign-"+name, func(b *testing.B) {
			for b.Loop() {
				must(s.Sign(text))
			}
		})
	}
}

// A roster of 5,000 identities: folding them in, and folding again with a
// compromised key.
func BenchmarkRoster(b *testing.B) {
	const members = 5000
	statements := make([]*Statement, members)
	for i := range statements {
		statements[i] = testRegister(fmt.Sprint("m", i), ed(fmt.Sprint("m", i)).PublicKey(), []string{RoleMember}, []string{"*"})
	}
	fold := func() *Roster {
		r := must(NewRoster(0, p256("alice").PublicKey().ID(), testGenesis()))
		for i, st := range statements {
			if err := r.Apply(uint64(i+1), 0, p256("alice").PublicKey().ID(), st); err != nil {
				b.Fatal(err)
			}
		}
		return r
	}
	alice := p256("alice").PublicKey().ID()
	genesis := testGenesis()
	b.Run("fold-5000", func(b *testing.B) {
		for b.Loop() {
			r := must(NewRoster(0, alice, genesis))
			for i, st := range statements {
				if err := r.Apply(uint64(i+1), 0, alice, st); err != nil {
					b.Fatal(err)
				}
			}
		}
	})
	r := fold()
	b.Run("check-stamp", func(b *testing.B) {
		st := testStamp("a", "1")
		for b.Loop() {
			if err := r.Check(members+1, 0, alice, st); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("check-compromised", func(b *testing.B) {
		st := compromised("m1", 1)
		st.Identity.Handle = "m1"
		for b.Loop() {
			if err := r.Check(members+1, 0, alice, st); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("clone", func(b *testing.B) {
		for b.Loop() {
			r.Clone()
		}
	})
}
