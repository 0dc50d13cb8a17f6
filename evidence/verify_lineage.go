package evidence

import (
	"fmt"
	"slices"
	"strings"

	"github.com/stele-ml/stele/lineage"
	"github.com/stele-ml/stele/statement"
)

// lineage checks what the claim's artifact was made of: that it is all there,
// and that none of it was taken back.
func (c *verification) lineage() {
	c.gather()
	c.root = c.facts.bound[c.f.Claim.Ref().String()]
	c.graph, _ = lineage.Up(c.facts, c.root, MaxLineage) // these facts do not fail
	c.judged, _ = lineage.Judge(c.facts, c.root)
	c.Judged = c.judged
	c.untainted(c.wholeLineage())
	c.members()
}

// wholeLineage checks that whatever a counting origin names is in the file. It
// reports whether that was claimed and is so. A file that does not claim it may
// have had its lineage taken out: then it is good for nothing but the stamp.
func (c *verification) wholeLineage() bool {
	wrong := c.facts.twice
	if c.f.Claim.Lineage {
		wrong = append(wrong, c.leftOut()...)
	}
	switch {
	case len(wrong) > 0:
		c.fail(Tampered, CheckLineage, "%s", some(wrong))
		return false
	case !c.f.Claim.Lineage && !c.opts.StampOnly && (c.graph.Cut || len(c.graph.Missing) > 0):
		c.fail(Unknown, CheckLineage, "what %s was made of is not in this file: %s", c.root.Ref, some(c.leftOut()))
		return false
	case !c.f.Claim.Lineage:
		c.skip(CheckLineage, "the file does not claim to hold what %s was made of", c.root.Ref)
		return false
	case !slices.ContainsFunc(c.graph.Root.Origins, func(o lineage.Origin) bool { return o.Counts }):
		c.pass(CheckLineage, "no origin of %s is in the file; whether the ledger has one, only the ledger tells", c.root.Ref)
		return true
	}
	c.pass(CheckLineage, "all that %s was made of is here, as the entries say: %s; whether the ledger has further entries about them that count, only the ledger tells",
		c.root.Ref, count(len(c.graph.Nodes)-1, "artifact", "artifacts"))
	return true
}

// leftOut says what is not in the file, and should be.
func (c *verification) leftOut() []string {
	if c.graph.Cut {
		return []string{fmt.Sprintf("the lineage of %s is too large: at most %d artifacts, and %d origins and inputs, are looked at", c.root.Ref, MaxLineage, lineage.MaxSteps)}
	}
	var wrong []string
	for _, m := range c.graph.Missing {
		if a := c.facts.bound[m.Ref.String()]; a != nil {
			wrong = append(wrong, fmt.Sprintf("entry %d made %s of %s as %s, and entry %d binds that to %s", m.Entry, m.Of, m.Ref, m.Ref.Fingerprint, a.Entry, a.Ref.Fingerprint))
		} else {
			wrong = append(wrong, fmt.Sprintf("entry %d made %s of %s, which is not in the file", m.Entry, m.Of, m.Ref))
		}
	}
	for _, n := range c.graph.Nodes {
		for _, o := range n.Origins {
			for _, ref := range o.Inputs {
				if a := c.facts.bound[ref.String()]; o.Counts && a != nil && a.Entry >= o.Entry {
					wrong = append(wrong, fmt.Sprintf("entry %d made %s of %s, which entry %d binds only then or later", o.Entry, n.Ref, ref, a.Entry))
				}
			}
		}
	}
	return wrong
}

// untainted checks that no contents which the artifact was made of are
// withdrawn. What is in the file may show a taint even where it does not hold
// everything.
func (c *verification) untainted(whole bool) {
	if t := c.judged.Taint; t != nil {
		c.Taint = t
		c.fail(Tainted, CheckNotTainted, "%s", c.taintText(t))
		return
	}
	// An entry has the fingerprint of what it names, be it in the file or not.
	for _, m := range c.graph.Missing {
		for _, w := range c.state.Withdrawals(statement.Ref{Fingerprint: m.Ref.Fingerprint}) {
			if w.Stands() && w.Target == statement.TargetContents {
				c.fail(Tainted, CheckNotTainted, "%s was made of %s (entry %d), which entry %d by %s withdrew (effect %s): %s",
					m.Of, m.Ref, m.Entry, w.Entry, w.Handle, w.Effect, w.Reason)
				return
			}
		}
	}
	switch {
	case !c.graph.Root.Known():
		c.skip(CheckNotTainted, "no origin of %s is recorded that counts: that is unknown, and not clean", c.root.Ref)
	case !whole:
		c.skip(CheckNotTainted, "what %s was made of is not all in the file", c.root.Ref)
	default:
		c.pass(CheckNotTainted, "none of the %s that %s was made of is withdrawn", count(len(c.graph.Nodes)-1, "artifact", "artifacts"), c.root.Ref)
	}
}

// taintText says by which withdrawals the claim's artifact is tainted, and how
// they are reached.
func (c *verification) taintText(t *lineage.Taint) string {
	var causes []string
	for _, cause := range t.Causes {
		w := cause.Withdrawal
		causes = append(causes, fmt.Sprintf("%s: entry %d by %s withdrew %s (effect %s): %s", wayText(cause.Path()), w.Entry, w.Handle, w.Ref, w.Effect, w.Reason))
	}
	text := some(causes)
	if t.More > 0 {
		text += fmt.Sprintf("; and %d more", t.More)
	}
	return text
}

// wayText writes the way to withdrawn contents, its middle left out where it is
// long.
func wayText(path []lineage.Step) string {
	const ends = 4
	var parts []string
	for i, s := range path {
		text := s.Ref.String()
		if i < len(path)-1 {
			text += fmt.Sprintf(" (%s, entry %d)", s.Way, s.Entry)
		}
		switch middle := len(path) - 2*ends; {
		case middle > 1 && i == ends:
			parts = append(parts, fmt.Sprintf("%d more", middle))
		case middle > 1 && i > ends && i < len(path)-ends:
		default:
			parts = append(parts, text)
		}
	}
	return strings.Join(parts, ", made of ")
}

// members checks the stamps of a collection's members, however deep.
func (c *verification) members() {
	if len(c.root.Stamp.Members) == 0 {
		return
	}
	var absent, wrong, withdrawn []string
	seen := map[*lineage.Artifact]bool{c.root: true}
	queue := []*lineage.Artifact{c.root}
	for i := 0; i < len(queue); i++ {
		of := queue[i]
		for _, m := range of.Stamp.Members {
			a := c.facts.bound[m.Ref.String()]
			switch {
			case a == nil:
				absent = append(absent, m.Ref.String())
				continue
			case a.Ref != m.Ref:
				wrong = append(wrong, fmt.Sprintf("%s has the member %s as %s, and entry %d binds that to %s", of.Ref, m.Ref, m.Ref.Fingerprint, a.Entry, a.Ref.Fingerprint))
			case a.Stamp.Files != m.Files || a.Stamp.Bytes != m.Bytes:
				wrong = append(wrong, fmt.Sprintf("%s has the member %s with %s, %s, and entry %d stamps %s, %s", of.Ref, m.Ref, count(m.Files, "file", "files"),
					count(m.Bytes, "byte", "bytes"), a.Entry, count(a.Stamp.Files, "file", "files"), count(a.Stamp.Bytes, "byte", "bytes")))
			case a.Entry >= of.Entry:
				wrong = append(wrong, fmt.Sprintf("%s, in entry %d, has the member %s, which entry %d binds only then or later", of.Ref, of.Entry, m.Ref, a.Entry))
			}
			if seen[a] {
				continue
			}
			seen[a] = true
			queue = append(queue, a)
			for _, w := range a.Withdrawals {
				withdrawn = append(withdrawn, fmt.Sprintf("%s by entry %d of %s (%s, effect %s): %s", a.Ref, w.Entry, w.Handle, w.Target, w.Effect, w.Reason))
			}
		}
	}
	switch {
	case len(wrong) > 0:
		c.fail(Tampered, CheckMembers, "%s", some(wrong))
	case len(absent) > 0 && c.f.Claim.Lineage:
		c.fail(Tampered, CheckMembers, "the stamps of members are left out: %s", some(absent))
	case len(withdrawn) > 0:
		c.fail(Withdrawn, CheckMembers, "members are withdrawn: %s", some(withdrawn))
	case len(absent) > 0:
		c.skip(CheckMembers, "the stamps of the members are not all in this evidence: whether each stands, and what is withdrawn inside one that is a collection, the ledger tells")
	default:
		c.pass(CheckMembers, "%s: stamped as the collection says, and not withdrawn", count(len(queue)-1, "member", "members"))
	}
}
