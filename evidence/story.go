package evidence

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/stele-ml/stele/fingerprint"
	"github.com/stele-ml/stele/lineage"
	"github.com/stele-ml/stele/statement"
)

// Told is what one entry says of one artifact, as a part of a verdict's story.
type Told struct {
	Entry uint64         `json:"entry"`
	Time  int64          `json:"time"` // Unix ms, as the ledger claims
	Kind  statement.Kind `json:"kind"`

	// Name, Version and Fingerprint are the artifact, Depth how many steps it
	// is from the claim's. Bound is true where the entry bound it: those lines
	// come first of each artifact.
	Name        string `json:"name"`
	Version     string `json:"version"`
	Fingerprint string `json:"fingerprint"`
	Depth       int    `json:"depth"`
	Bound       bool   `json:"bound,omitempty"`

	// Signer is a registered key: the signer's own, or that of the issuer of the
	// delegation through which it was signed, for Delegate.
	Signer   statement.KeyID `json:"signer"`
	Handle   string          `json:"handle,omitempty"`
	Delegate string          `json:"delegate,omitempty"`

	// Standing is the state of the signer's key for this entry, as is known at
	// the checkpoint: statement.StateGood or another.
	Standing string `json:"standing"`

	// Says is what the entry says of the artifact, in one line.
	Says string `json:"says"`

	// Command and Parameters are those of a run, where its details go along.
	Command    []string          `json:"command,omitempty"`
	Parameters map[string]string `json:"parameters,omitempty"`

	// Of is the name@version that the entry is about, where that is another one
	// with the same bytes; else it is empty.
	Of string `json:"of,omitempty"`

	// Inputs are what the entry says that the artifact was made of, each
	// name@version; Discounted is why that does not count, or empty.
	Inputs     []string `json:"inputs,omitempty"`
	Discounted string   `json:"discounted,omitempty"`

	// Unknown is true where no origin of the artifact is recorded that counts.
	// Only where Bound.
	Unknown bool `json:"unknown,omitempty"`

	// Withdrawn and Taint are the strongest effect of the withdrawals of the
	// artifact that stand, and of those of what it was made of; empty for none,
	// and Taint where its own contents are withdrawn. Only where Bound.
	Withdrawn string `json:"withdrawn,omitempty"`
	Taint     string `json:"taint,omitempty"`

	// Untrusted is true where the entry's signer has no standing for it, or for
	// that of something the artifact was made of. Only where Bound.
	Untrusted bool `json:"untrusted,omitempty"`
}

// story tells what the entries say, artifact by artifact.
func (c *verification) story() {
	about := c.about()
	taints, untrusted := c.taints()
	for i, n := range c.graph.Nodes {
		for _, e := range about[n.Ref] {
			t := c.tell(e, n)
			if t.Bound {
				for _, w := range n.Withdrawals {
					t.Withdrawn = lineage.Stronger(t.Withdrawn, w.Effect)
				}
				t.Taint, t.Unknown, t.Untrusted = taints[i], !n.Known(), untrusted[i]
			}
			c.Story = append(c.Story, t)
		}
	}
}

// about returns the entries about each artifact of the graph: that which bound
// it, then the others, in order. Control entries are among them, and those that
// say what its bytes were made of under another name.
func (c *verification) about() map[statement.Ref][]*Entry {
	about := make(map[statement.Ref][]*Entry, len(c.graph.Nodes))
	subjects := c.subjects()
	copies := c.copies()
	for _, e := range c.told() {
		refs := subjects(c.parsed[e])
		for _, ref := range refs {
			if n := c.graph.Node(ref); n != nil && n.Ref == ref {
				about[ref] = append(about[ref], e)
			}
		}
		for _, ref := range copies[e.Index] {
			if !slices.Contains(refs, ref) {
				about[ref] = append(about[ref], e)
			}
		}
	}
	for _, n := range c.graph.Nodes { // a collection's stamp, say, is later than what is said of its bytes under another name
		slices.SortStableFunc(about[n.Ref], func(a, b *Entry) int {
			switch n.Entry {
			case a.Index:
				return -1
			case b.Index:
				return 1
			}
			return 0
		})
	}
	return about
}

// told returns the entries that the story is about, in order: all but a last leaf
// that is there for its control entries alone.
func (c *verification) told() []*Entry {
	listed := make(map[uint64]bool, len(c.listed))
	for _, e := range c.listed {
		listed[e.Index] = true
	}
	all := slices.Concat(c.known, c.listed, []*Entry{c.last})
	slices.SortStableFunc(all, func(a, b *Entry) int { return cmp.Compare(a.Index, b.Index) })
	all = slices.CompactFunc(all, func(a, b *Entry) bool { return a.Index == b.Index })
	return slices.DeleteFunc(all, func(e *Entry) bool { return !listed[e.Index] && !c.parsed[e].Control() })
}

// copies returns the artifacts of which an entry says an origin under another name.
func (c *verification) copies() map[uint64][]statement.Ref {
	copies := make(map[uint64][]statement.Ref)
	for _, n := range c.graph.Nodes {
		for _, o := range n.Origins {
			if o.Of != n.Ref && !slices.Contains(copies[o.Entry], n.Ref) {
				copies[o.Entry] = append(copies[o.Entry], n.Ref)
			}
		}
	}
	return copies
}

// subjects returns a function that says which artifacts a statement is about.
func (c *verification) subjects() func(*statement.Statement) []statement.Ref {
	byData := make(map[fingerprint.Fingerprint][]statement.Ref)
	for _, n := range c.graph.Nodes {
		byData[n.Ref.Fingerprint] = append(byData[n.Ref.Fingerprint], n.Ref)
	}
	targets := make(map[uint64]string) // of withdrawals
	for _, w := range c.state.drawn {
		targets[w.Entry] = w.Target
	}
	return func(st *statement.Statement) (refs []statement.Ref) {
		if st.Run != nil {
			for _, o := range st.Run.Outputs {
				refs = append(refs, o.Ref)
			}
			return refs
		}
		ref, err := st.Ref()
		switch {
		case err != nil:
			return nil
		case ofContents(st, targets):
			return byData[ref.Fingerprint]
		case st.Release != nil:
			return append([]statement.Ref{ref}, st.Release.Replaces...)
		}
		return []statement.Ref{ref}
	}
}

// ofContents reports whether a control statement is about an artifact's bytes,
// under whatever name, and not about its name.
func ofContents(st *statement.Statement, targets map[uint64]string) bool {
	switch {
	case st.Withdrawal != nil:
		return st.Withdrawal.Target != statement.TargetBinding
	case st.Reinstatement != nil:
		return targets[st.Reinstatement.Withdrawal] != statement.TargetBinding
	}
	return st.Control() // a rejection
}

// tell makes the line of an entry about a node.
func (c *verification) tell(e *Entry, n *lineage.Node) Told {
	st := c.parsed[e]
	t := Told{
		Entry: e.Index, Time: e.Time, Kind: st.Kind, Depth: n.Depth, Bound: e.Index == n.Entry,
		Name: n.Ref.Name, Version: n.Ref.Version, Fingerprint: n.Ref.Fingerprint.String(),
		Signer: e.Envelope.By(), Says: says(st, n),
	}
	s := c.said(e)
	t.Handle, t.Standing = s.Handle, s.Standing.State
	if d := delegation(e); d != nil {
		t.Delegate = d.Subject
	}
	if st.Run != nil && st.Run.Details != nil {
		if d := c.carried()[st.Run.Details.SHA256]; d != nil {
			t.Command, t.Parameters = d.Command, d.Parameters
		}
	}
	for _, o := range n.Origins {
		if o.Entry != e.Index {
			continue
		}
		if o.Of != n.Ref && !t.Bound {
			t.Of = o.Of.String()
		}
		for _, ref := range o.Inputs {
			if name := ref.String(); !slices.Contains(t.Inputs, name) {
				t.Inputs = append(t.Inputs, name)
			}
		}
		if t.Discounted == "" {
			t.Discounted = o.Why
		}
	}
	return t
}

// taints returns, by node of the graph, the effect of its taint: of the
// strongest withdrawal that reaches it; and whether it is fallen, or was made of
// what is.
func (c *verification) taints() (taints []string, untrusted []bool) {
	nodes := c.graph.Nodes
	at := make(map[string]int, len(nodes))
	for i, n := range nodes {
		at[n.Ref.String()] = i
	}
	users := make([][]int, len(nodes))
	for i, n := range nodes {
		for _, o := range n.Origins {
			for _, ref := range o.Inputs {
				if to, ok := at[ref.String()]; ok && o.Counts && nodes[to].Ref == ref {
					users[to] = append(users[to], i)
				}
			}
		}
	}
	// One walk for each effect, the strongest first: what it reaches keeps it.
	taints = make([]string, len(nodes))
	for _, effect := range []string{statement.EffectStop, statement.EffectNoNewUse, statement.EffectAdvise} {
		spread(users, func(i int) bool {
			return slices.ContainsFunc(nodes[i].Withdrawn(), func(w lineage.Withdrawal) bool { return w.Effect == effect })
		}, func(i int) {
			if taints[i] == "" {
				taints[i] = effect
			}
		})
	}
	untrusted = make([]bool, len(nodes))
	for i, n := range nodes {
		untrusted[i] = !n.Standing.OK
		if len(n.Withdrawn()) > 0 {
			taints[i] = ""
		}
	}
	spread(users, func(i int) bool { return !nodes[i].Standing.OK }, func(i int) { untrusted[i] = true })
	return taints, untrusted
}

// spread goes from the nodes that are sources to all that were made of them.
func spread(users [][]int, source func(i int) bool, reached func(i int)) {
	seen := make([]bool, len(users))
	var queue []int
	for i := range users {
		if source(i) {
			seen[i] = true
			queue = append(queue, i)
		}
	}
	for k := 0; k < len(queue); k++ {
		for _, i := range users[queue[k]] {
			reached(i)
			if !seen[i] {
				seen[i] = true
				queue = append(queue, i)
			}
		}
	}
}

// says is what a statement says of an artifact, in one line.
func says(st *statement.Statement, n *lineage.Node) string {
	switch {
	case st.Stamp != nil:
		return stampSays(n.Stamp)
	case st.Run != nil:
		if _, stamp, ok := st.StampOf(n.Ref.Name, n.Ref.Version); ok {
			return stampSays(stamp) + ", " + runSays(st.Run)
		}
		return runSays(st.Run)
	case st.Evaluation != nil:
		return evaluationSays(st.Evaluation)
	case st.Approval != nil:
		verb := map[string]string{statement.DecisionApprove: "approved for ", statement.DecisionReject: "rejected for "}[st.Approval.Decision]
		return verb + st.Approval.Stage + because(st.Approval.Reason)
	case st.Release != nil:
		if about, err := st.Ref(); err == nil && about != n.Ref {
			return "left " + st.Release.Stage + ", replaced by " + about.String() + because(st.Release.Reason)
		}
		return releaseSays(st.Release)
	case st.Withdrawal != nil:
		w := st.Withdrawal
		what := w.Target
		if w.Location != "" {
			what += " " + w.Location
		}
		return fmt.Sprintf("withdrawn: %s, effect %s%s", what, w.Effect, because(w.Reason))
	case st.Reinstatement != nil:
		return fmt.Sprintf("the withdrawal in entry %d is ended%s", st.Reinstatement.Withdrawal, because(st.Reinstatement.Reason))
	case st.Audit != nil && st.Audit.Announcement != nil:
		return "an audit of " + count(st.Audit.Announcement.Chunks, "chunk", "chunks") + " is announced"
	case st.Audit != nil && st.Audit.Result != nil:
		return fmt.Sprintf("the audit in entry %d: %s", st.Audit.Result.Announcement, st.Audit.Result.Outcome)
	case st.Import != nil:
		return importSays(st.Import)
	}
	return string(st.Kind)
}

func because(reason string) string {
	if reason == "" {
		return ""
	}
	return ": " + reason
}

func stampSays(s *statement.Stamp) string {
	text := fmt.Sprintf("%s, %s, %s", s.Kind, count(s.Files, "file", "files"), size(s.Bytes))
	if len(s.Members) > 0 {
		text += ", a collection of " + count(len(s.Members), "artifact", "artifacts")
	}
	return text
}

func runSays(r *statement.Run) string {
	text := "by a " + r.Observation + " run"
	if c := r.Code; c != nil {
		text += ", code " + c.Commit[:min(12, len(c.Commit))]
		if c.Dirty {
			text += " and changes"
		}
	}
	return text
}

// shownMetrics is how many metrics of an evaluation a line tells.
const shownMetrics = 4

func evaluationSays(e *statement.Evaluation) string {
	var metrics []string
	for name, value := range e.Metrics {
		metrics = append(metrics, name+" "+string(value))
	}
	slices.Sort(metrics)
	if n := len(metrics) - shownMetrics; n > 0 {
		metrics = append(metrics[:shownMetrics], fmt.Sprintf("%d more", n))
	}
	on := e.Datasets[0].String()
	if n := len(e.Datasets) - 1; n > 0 {
		on += fmt.Sprintf(" and %d more", n)
	}
	return strings.Join(metrics, ", ") + ", on " + on
}

func releaseSays(r *statement.Release) string {
	if r.Action == statement.ActionLeave {
		return "left " + r.Stage + because(r.Reason)
	}
	text := "joined " + r.Stage
	for i, ref := range r.Replaces {
		text += map[bool]string{true: ", replacing ", false: ", "}[i == 0] + ref.String()
	}
	return text + because(r.Reason)
}

func importSays(i *statement.Import) string {
	what := "an in-toto statement, " + i.PredicateType
	if i.Format == statement.ImportOMS {
		what = "a model signature of " + count(i.Resources, "file", "files")
	}
	text := fmt.Sprintf("%s, by the %s sha256:%x", what, i.Key.Method, i.Key.SHA256)
	if i.Key.Subject != "" {
		text += ", " + i.Key.Subject
	}
	return text
}

// size writes a number of bytes for people, with a binary unit.
func size(n uint64) string {
	if n < 1024 {
		return fmt.Sprintf("%d B", n)
	}
	v, units := float64(n)/1024, "KMGTPE"
	for len(units) > 1 && v >= 1023.95 {
		v, units = v/1024, units[1:]
	}
	if v >= 99.95 {
		return fmt.Sprintf("%.0f %ciB", v, units[0])
	}
	return fmt.Sprintf("%.1f %ciB", v, units[0])
}
