package remote_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stele-ml/stele/contract"
	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/internal/ledger"
	"github.com/stele-ml/stele/internal/ledger/ledgertest"
	"github.com/stele-ml/stele/internal/remote"
	"github.com/stele-ml/stele/internal/server"
	"github.com/stele-ml/stele/internal/wire"
	"github.com/stele-ml/stele/lineage"
	"github.com/stele-ml/stele/statement"
)

// honest is a server that answers as it should, unless change is set. What it is
// asked and what it answers passes through its form on the wire.
type honest struct {
	view   func() *ledger.View
	change func(ops []wire.ReadOp, a *wire.ReadAnswer)
	fails  error // instead of every answer

	mu             sync.Mutex
	reads, traces  int
	bytes, entries int
}

func serve(l *ledgertest.Ledger) *honest { return &honest{view: l.View} }

func (h *honest) Read(_ context.Context, r *wire.ReadRequest) (*wire.ReadAnswer, error) {
	body, err := r.Marshal()
	if err != nil {
		return nil, err
	}
	h.mu.Lock()
	h.reads++
	h.mu.Unlock()
	a, err := server.AnswerRead(h.view(), body)
	return h.answer(r.Ops, a, err)
}

func (h *honest) Trace(_ context.Context, r *wire.TraceRequest) (*wire.ReadAnswer, error) {
	body, err := r.Marshal()
	if err != nil {
		return nil, err
	}
	h.mu.Lock()
	h.traces++
	h.mu.Unlock()
	a, err := server.AnswerTrace(h.view(), body)
	return h.answer(r.Ops, a, err)
}

func (h *honest) answer(ops []wire.ReadOp, a *wire.ReadAnswer, err error) (*wire.ReadAnswer, error) {
	if h.fails != nil {
		return nil, h.fails
	}
	if err != nil {
		return nil, err
	}
	body, err := a.Marshal()
	if err != nil {
		return nil, err
	}
	h.mu.Lock()
	h.bytes, h.entries = h.bytes+len(body), h.entries+len(a.Entries)
	h.mu.Unlock()
	out, err := wire.ParseReadAnswer(body)
	if err == nil && h.change != nil {
		h.change(ops, out)
	}
	return out, err
}

func (h *honest) requests() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.reads + h.traces
}

func signed(t testing.TB, v *ledger.View) []byte {
	t.Helper()
	cp, err := v.LatestCheckpoint()
	if err != nil {
		t.Fatal(err)
	}
	return cp
}

func open(t testing.TB, s remote.Server, v *ledger.View) *remote.Ledger {
	t.Helper()
	r, err := remote.Open(t.Context(), s, signed(t, v))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// grown is a ledger with a bit of everything, of n artifacts at least.
func grown(t testing.TB, seed uint64, n int) *ledgertest.Ledger {
	t.Helper()
	r := rand.New(rand.NewPCG(seed, 1))
	l := ledgertest.New(t)
	people := []statement.Signer{l.Person("bob"), l.Person("ci"), l.Person("rel", statement.RoleApprover, statement.RoleReleaser), l.Ada}
	rel := people[2]
	l.Contract(ledgertest.Rule("prod@1", "statements: [release]", `ledger.approvers(subject).exists(a, a == "rel") && ledger.ancestors(subject).all(a, a.kind != "x")`))
	var refs []statement.Ref
	pick := func() statement.Ref { return refs[r.IntN(len(refs))] }
	few := func(n int, but statement.Ref) (list []statement.Ref) {
		for range r.IntN(n + 1) {
			if ref := pick(); ref != but && !slices.Contains(list, ref) {
				list = append(list, ref)
			}
		}
		return list
	}
	stages := []string{"production", "staging"}
	for len(refs) < n {
		by := people[r.IntN(len(people))]
		out := l.Made(fmt.Sprint("team/n", r.IntN(8)), fmt.Sprint(len(refs)), fmt.Sprint("bytes", r.IntN(n/2+1)))
		var env *statement.Envelope
		made := false
		if len(refs) < 4 {
			env, made = l.Stamp(by, out.Ref), true
		} else {
			ref, stage := pick(), stages[r.IntN(2)]
			switch r.IntN(16) {
			case 0, 1, 2:
				env, made = l.Stamp(by, out.Ref, func(s *statement.Stamp) { s.From = few(3, out.Ref) }), true
			case 3, 4, 5, 6:
				old := pick()
				env, made = l.Run(by, few(3, old), []statement.Output{out, ledgertest.Old(old)}), true
			case 7:
				env = l.Import(by, ref, few(2, ref)...)
			case 8:
				env = l.Withdraw(by, ref, []string{"contents", "binding", "location"}[r.IntN(3)], l.Saw(&statement.Withdrawal{}, ref))
			case 9, 10:
				env = l.Approve(rel, ref, stage, l.Saw(&statement.Approval{Stage: stage}, ref))
			case 11, 12:
				env = l.Release(rel, ref, stage, l.Saw(&statement.Release{Stage: stage}, ref))
			case 13:
				env = l.Evaluate(by, ref, "auc", "0.5", pick())
			case 14:
				env = l.Announce(by, ref, fmt.Sprint("nonce", len(refs)))
			case 15:
				env = l.Reject(rel, ref, stage, l.Saw(&statement.Approval{Stage: stage}, ref))
			}
		}
		_, errs := l.Try(env)
		var refusal *ledger.Refusal
		if errs[0] != nil && !errors.As(errs[0], &refusal) {
			t.Fatal(errs[0])
		}
		if errs[0] == nil && made {
			refs = append(refs, out.Ref)
		}
	}
	return l
}

// dump is everything that a view answers, a line each.
type dump struct {
	lines []string
}

func (d *dump) add(what string, v any, err error) {
	d.lines = append(d.lines, fmt.Sprintf("%s: %+v %v", what, v, err))
}

func all[T any](d *dump, what string, seq iter.Seq2[T, error]) (list []T) {
	for v, err := range seq {
		d.add(what, v, err)
		if err == nil {
			list = append(list, v)
		}
	}
	return list
}

// contents is what a ledger holds: what to ask about.
type contents struct {
	refs []statement.Ref
	ids  []statement.ID
}

func contentsOf(t testing.TB, v *ledger.View) (c contents) {
	t.Helper()
	for e, err := range v.Entries(0, v.Size()) {
		if err != nil {
			t.Fatal(err)
		}
		st, err := e.Statement()
		if err != nil {
			t.Fatal(err)
		}
		c.ids = append(c.ids, e.Envelope.ID())
		for _, o := range st.Stamps() {
			c.refs = append(c.refs, o.Ref)
		}
	}
	return c
}

// everything asks a view for all that it can be asked for; order shuffles the
// questions, which must change no answer.
func everything(v *ledger.View, what contents, order *rand.Rand) []string {
	var questions []func(*dump)
	ask := func(q func(*dump)) { questions = append(questions, q) }
	ask(func(d *dump) {
		root, err := v.Root()
		d.add("root", root, err)
		d.add("id", fmt.Sprint(v.ID(), v.Origin(), v.Size(), v.Time(), v.Algorithm()), nil)
		for c, err := range v.Checkpoints(0) {
			d.add("checkpoint", string(c.Signed), err)
		}
		cp, err := v.CheckpointOver(3)
		d.add("over", cp, err)
		size, err := v.AtTime(1_700_000_020_000)
		d.add("at time", size, err)
		_, err = v.At(v.Size() + 1)
		d.add("at", nil, err)
	})
	ask(func(d *dump) {
		for leaf, err := range v.Leaves(0, v.Size()) {
			d.add("leaf", leaf, err)
		}
	})
	ask(func(d *dump) {
		for i := uint64(0); i < v.Size(); i += 7 {
			p, err := v.Inclusion(i)
			d.add("inclusion", p, err)
			c, err := v.Consistency(i)
			d.add("consistency", c, err)
		}
		tile, err := v.Tile(0, 0, int(min(v.Size(), 256)))
		d.add("tile", tile, err)
		bundle, err := v.Bundle(0, int(min(v.Size(), 256)))
		d.add("bundle", bundle, err)
	})
	ask(func(d *dump) {
		for e, err := range v.ControlEntries() {
			if err != nil {
				d.add("control", nil, err)
				return
			}
			d.add("control", e.Index, nil)
		}
	})
	for _, kind := range []statement.Kind{"genesis", "identity", "stamp", "withdrawal", "run", "import", "evaluation", "approval", "release", "contract", "audit", "log-key"} {
		ask(func(d *dump) { all(d, string(kind), v.ByKind(kind)) })
	}
	for _, who := range []statement.Signer{ledgertest.Ed25519("bob"), ledgertest.Ed25519("rel"), ledgertest.P256("ada"), ledgertest.Ed25519("nobody")} {
		ask(func(d *dump) { all(d, "by", v.BySigner(who.PublicKey().ID())) })
	}
	ask(func(d *dump) {
		for _, prefix := range []string{"", "team/", "team/n3", "nothing"} {
			for _, name := range all(d, "names "+prefix, v.Names(prefix)) {
				latest, err := v.Latest(name)
				d.add("latest", latest, err)
			}
		}
		b, err := v.ByName("team/n1", "none")
		d.add("none", b, err)
	})
	ask(func(d *dump) {
		stages := append(all(d, "stages", v.Stages()), "none")
		for _, stage := range stages {
			in, err := v.InStage(stage)
			d.add("in "+stage, in, err)
			all(d, "history "+stage, v.StageHistory(stage, ""))
			all(d, "history "+stage, v.StageHistory(stage, "team/n2"))
		}
	})
	ask(func(d *dump) {
		all(d, "runs", v.RunsByPrefix("00"))
		all(d, "runs", v.RunsByPrefix("f"))
	})
	for _, id := range what.ids {
		ask(func(d *dump) {
			index, ok, err := v.ByID(id)
			d.add("id", fmt.Sprint(index, ok), err)
		})
	}
	for i, ref := range what.refs {
		ask(func(d *dump) { artifact(d, v, ref, i%9 == 0) })
	}
	order.Shuffle(len(questions), func(i, j int) { questions[i], questions[j] = questions[j], questions[i] })
	lines := make([]string, 0, 1000)
	for _, q := range questions {
		d := new(dump)
		q(d)
		lines = append(lines, strings.Join(d.lines, "\n"))
	}
	return lines
}

// artifact asks for all that is known of one artifact.
func artifact(d *dump, v *ledger.View, ref statement.Ref, deep bool) {
	b, err := v.ByName(ref.Name, ref.Version)
	d.add("name", b, err)
	all(d, "versions", v.Versions(ref.Name))
	all(d, "about", v.ByFingerprint(ref.Fingerprint))
	for _, kind := range []statement.Kind{"approval", "release", "evaluation", "import", "run"} {
		all(d, string(kind), v.About(ref.Fingerprint, kind))
	}
	for a, err := range v.Audits(ref) {
		index := uint64(0)
		if err == nil {
			index = a.Announced.Entry.Index
		}
		d.add("audit", index, err)
	}
	last, ok, err := v.LastOn(ref.Fingerprint)
	d.add("last", fmt.Sprint(last, ok), err)
	after, err := v.After(&statement.Statement{Kind: statement.KindRelease, Subject: []statement.Subject{ref.Subject()}, Release: &statement.Release{Stage: "production"}})
	d.add("after", after, err)
	x, err := v.Lineage()
	if err != nil {
		d.add("lineage", nil, err)
		return
	}
	a, err := x.Artifact(ref.Name, ref.Version)
	d.add("artifact", nil, err)
	if err != nil {
		return
	}
	d.add("artifact", fmt.Sprintf("%+v %v %v %v %v %v", a.Ref, a.Entry, a.Handle, *a.Stamp, a.Standing, a.Withdrawals), nil)
	graph := func(what string, g *lineage.Graph, err error) {
		d.add(what, nil, err)
		if err != nil {
			return
		}
		for _, n := range g.Nodes {
			d.add(what, fmt.Sprint(n.Ref, n.Entry, n.Handle, n.Withdrawals, n.Standing, n.Depth, len(n.Origins), len(n.Uses)), nil)
			for _, o := range n.Origins {
				o.Run = nil
				d.add("origin", o, nil)
			}
		}
	}
	g, err := lineage.Up(x, a, 0)
	graph("up", g, err)
	g, err = lineage.Down(x, a, 0)
	graph("down", g, err)
	entries, cut, err := v.LineageEntries(ref, 0)
	d.add("entries", fmt.Sprint(entries, cut), err)
	if !deep {
		return
	}
	f, err := v.Evidence(evidence.Claim{Name: ref.Name, Version: ref.Version, Fingerprint: ref.Fingerprint, Entry: b.Entry}, nil, entries...)
	if err == nil {
		d.add("evidence", fmt.Sprint(f.Checkpoint, f.Control, f.Entries, f.Last), nil)
	} else {
		d.add("evidence", nil, err)
	}
	trial, err := v.Try(&statement.Statement{Kind: statement.KindRelease, Subject: []statement.Subject{ref.Subject()},
		Release: &statement.Release{Stage: "production", Action: statement.ActionJoin}},
		contract.Signer{Key: ledgertest.Ed25519("rel").PublicKey().ID(), Known: true}, 0)
	d.add("try", nil, err)
	if err == nil {
		for _, r := range trial.Refusals {
			d.add("refusal", r, nil)
		}
		if trial.Verdict != nil {
			for _, r := range trial.Verdict.Results {
				d.add("result", fmt.Sprintf("%+v", r), nil)
			}
		}
	}
}
