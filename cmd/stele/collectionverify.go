package main

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/stele-ml/stele/cmd/stele/jsonv1"
	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/fingerprint"
	"github.com/stele-ml/stele/internal/account"
	"github.com/stele-ml/stele/internal/collection"
	"github.com/stele-ml/stele/internal/ledger"
	"github.com/stele-ml/stele/internal/scan"
	"github.com/stele-ml/stele/internal/terminal"
	"github.com/stele-ml/stele/statement"
)

// memberVerdict is what is known of one member of a collection without its data.
type memberVerdict struct {
	node    *collection.Node
	outcome evidence.Outcome
	why     string // the checks that failed
}

// judgeMembers checks the stamps of all members, however deep: signature, the
// signer's standing, withdrawal. That they are in the log, unfold has checked;
// that the control entries are what the log commits to, the verdict on the
// collection itself says.
func (r *reading) judgeMembers(root *collection.Node) (list []memberVerdict, err error) {
	for _, m := range root.Members {
		v := memberVerdict{node: m, outcome: evidence.Verified}
		e, err := r.Entry(m.Binding.Entry)
		if err != nil {
			return nil, err
		}
		if v.outcome, v.why = r.judgeStamp(e, m.Binding.Ref()); v.outcome != evidence.Verified {
			v.why = fmt.Sprintf("%s, entry %d", v.why, e.Index)
		}
		inner, err := r.judgeMembers(m)
		if err != nil {
			return nil, err
		}
		list = append(append(list, v), inner...)
	}
	return list, nil
}

// judgeStamp says what is known now of one stamp, as evidence.Verify would.
func (r *reading) judgeStamp(e *evidence.Entry, ref statement.Ref) (evidence.Outcome, string) {
	key, _, ok := r.Control.Roster().Key(e.Envelope.By())
	if !ok {
		return evidence.Untrusted, "its signer's key is not registered"
	}
	if err := e.Envelope.Verify(key); err != nil {
		return evidence.Tampered, err.Error()
	}
	if s := r.Standing(e); !s.OK {
		return evidence.Untrusted, "its signer's key is " + s.State + ": " + s.Detail
	}
	for _, w := range r.Control.Withdrawals(ref) {
		if w.Stands() && w.Target != statement.TargetLocation {
			return evidence.Withdrawn, fmt.Sprintf("withdrawn by entry %d, %s", w.Entry, w.Reason)
		}
	}
	return evidence.Verified, ""
}

func failedChecks(v *evidence.Verdict) string {
	var failed []string
	for _, c := range v.Checks {
		if c.OK == evidence.Failed {
			failed = append(failed, c.Name+": "+c.Detail)
		}
	}
	return strings.Join(failed, "; ")
}

// severity orders outcomes, the worst first, as evidence.Verify does.
var severity = []evidence.Outcome{evidence.Tampered, evidence.Untrusted, evidence.Withdrawn, evidence.Tainted, evidence.Unknown, evidence.Sampled, evidence.Verified}

// withMembers adds to the verdict on a collection what is known of its members:
// the stamp of each is checked as its own is, and the worst of them counts.
func withMembers(v *evidence.Verdict, list []memberVerdict) {
	if len(list) == 0 {
		return
	}
	check := evidence.Check{Name: evidence.CheckMembers, OK: evidence.Passed,
		Detail: fmt.Sprintf("%s: signed, in the log, and not withdrawn", terminal.Plural(uint64(len(list)), "member"))}
	worst := evidence.Verified
	var wrong []string
	for _, m := range list {
		if m.outcome == evidence.Verified {
			continue
		}
		wrong = append(wrong, fmt.Sprintf("%s (%s) is %s: %s", m.node.Prefix, m.node.Binding.Ref(), m.outcome, m.why))
		if worse(m.outcome, worst) {
			worst = m.outcome
		}
	}
	if len(wrong) > 0 {
		const most = 8
		if n := len(wrong) - most; n > 0 {
			wrong = append(wrong[:most], fmt.Sprintf("and %s more", terminal.Count(uint64(n))))
		}
		check.OK, check.Detail = evidence.Failed, strings.Join(wrong, "; ")
	}
	if i := slices.IndexFunc(v.Checks, func(c evidence.Check) bool { return c.Name == check.Name }); i >= 0 {
		v.Checks[i] = check
	} else {
		v.Checks = append(v.Checks, check)
	}
	if worse(worst, v.Verdict) {
		v.Verdict = worst
	}
}

func worse(a, b evidence.Outcome) bool {
	return slices.Index(severity, a) < slices.Index(severity, b)
}

// partsData is the data of a collection, or of an artifact of which something
// was removed, read.
type partsData struct {
	result  scan.Result
	trees   *collection.Trees
	diff    *jsonv1.Diff // nil where the manifest of a member is nowhere
	kept    *retention   // with a removal
	members []jsonv1.Member
}

// readParts reads a place as the stamps of all parts see it: below each prefix
// with that member's rules, and outside of all of them with the default ones.
// What lies outside was added.
func (a *app) readParts(ctx context.Context, o *verifyOrder, s *subjectOf, out *jsonv1.Verify) (*evidence.Contents, error) {
	members := len(s.root.Members) > 0
	if members && o.recheck != "full" {
		return nil, usagef("--recheck %s: %s is a collection, and its members' marks are apart", o.recheck, s.root.Binding.Ref()).
			withHint("check its members one by one, or the collection with --recheck audit")
	}
	if members && o.manifest != "" {
		return nil, usagef("--manifest: %s is a collection; its members' manifests are found where their stamps say", s.root.Binding.Ref())
	}
	known := a.manifests(ctx, s.search.ledger, o.manifest, &o.flags)
	known.data = o.data
	defer known.close()
	src, inner, err := collection.SourceOf(o.data.source, s.root.Parts, known.open)
	if err != nil {
		return nil, err
	}
	o.data.source = src
	c := &partsData{trees: collection.NewTrees(s.fp.Algorithm, s.root.Parts)}
	opts := o.flags.options(s.fp.Algorithm)
	opts.UseExact, opts.Exact = true, nil
	o.watch.Begin(&opts)
	if err := a.compareParted(ctx, o, s, known, c, watched(a.scanning(ctx, o.data, opts, &c.result), c.trees.Add)); err != nil {
		return nil, err
	}
	c.result.Hidden, c.result.HiddenCount = inner.Hidden, inner.HiddenCount
	a.noteHidden(c.result)
	out.Hidden, out.Basis, out.Resumed = c.result.HiddenCount, &jsonv1.Basis{Read: c.result.Summary.Bytes}, c.result.Basis.Resumed
	if d := c.diff; d != nil {
		out.Changes, out.Counts, out.Truncated = d.Changes, &d.Counts, d.Truncated
	}
	if err := c.judge(s.root); err != nil {
		return nil, err
	}
	out.Members = c.members
	if s.removal != nil {
		c.excuse()
		out.RemovedBy = s.removal.json(c.kept)
		if text := s.removal.text(c.kept); text != "" && !c.kept.out.Same { // else the verdict says it
			a.term.Notef("%s", text)
		}
		return s.removal.contents(c.kept, s.root), nil
	}
	contents, err := c.contents(s.root)
	if err == nil {
		out.Found = contents.Fingerprint.String()
	}
	return contents, err
}

// compareParted compares what is there with the manifests of all parts.
func (a *app) compareParted(ctx context.Context, o *verifyOrder, s *subjectOf, known *manifests, c *partsData, files iter.Seq2[fingerprint.File, error]) error {
	err := collection.Check(ctx, s.root.Parts, known.open)
	switch {
	case manifestMissing(err) && s.removal == nil:
		a.term.Warnf("changes cannot be named: %v", err)
		for _, err := range files {
			if err != nil {
				return err
			}
		}
		return nil
	case err != nil:
		return err
	}
	stamped := collection.Files(s.root.Parts, known.open)
	if m := s.removal; m != nil {
		later := a.manifests(ctx, s.search.ledger, "", &o.flags)
		later.data = o.data
		defer later.close()
		if err := collection.Check(ctx, m.root.Parts, later.open); err != nil {
			return fmt.Errorf("--removed-by: %w", err)
		}
		c.kept = &retention{all: o.all, leavesOut: m.leavesOut, out: &jsonv1.Diff{Changes: []jsonv1.Change{}}}
		c.diff = c.kept.out
		return c.kept.compare(stamped, collection.Files(m.root.Parts, later.open), files)
	}
	if c.diff, err = compare(o.name, o.path, stamped, files, o.all); err != nil {
		return err
	}
	asMoved(c.diff)
	return nil
}

// judge tells which members are what was stamped.
func (c *partsData) judge(root *collection.Node) error {
	for _, m := range root.Members {
		found, err := m.Contents(c.trees)
		if err != nil {
			return err
		}
		b := m.Binding
		item := jsonv1.Member{Prefix: m.Prefix, Name: b.Name, Version: b.Version, Fingerprint: b.Fingerprint.String(),
			Files: found.Files, Bytes: found.Bytes, Verdict: string(evidence.Verified)}
		if found.Fingerprint != b.Fingerprint {
			item.Verdict = string(evidence.Tampered)
		}
		c.members = append(c.members, item)
		if err := c.judge(m); err != nil {
			return err
		}
	}
	return nil
}

// excuse takes members that are not what was stamped for sampled, where a later
// version accounts for all that differs.
func (c *partsData) excuse() {
	for i := range c.members {
		if m := &c.members[i]; m.Verdict == string(evidence.Tampered) && c.kept.out.Same {
			m.Verdict = string(evidence.Sampled)
		}
	}
}

// contents is what the verdict is told.
func (c *partsData) contents(root *collection.Node) (*evidence.Contents, error) {
	found, err := root.Contents(c.trees)
	if err != nil {
		return nil, err
	}
	outside := c.trees.Outside
	contents := &evidence.Contents{Fingerprint: found.Fingerprint, Files: found.Files + outside.Files, Bytes: found.Bytes + outside.Bytes}
	var differ []string
	for _, m := range c.members {
		if m.Verdict == string(evidence.Tampered) && len(differ) < 3 {
			differ = append(differ, fmt.Sprintf("below %s is not %s@%s", m.Prefix, m.Name, m.Version))
		}
	}
	if outside.Files > 0 {
		differ = append(differ, terminal.Plural(outside.Files, "file")+" under no member's prefix")
	}
	contents.Differs = strings.Join(differ, "; ")
	return contents, nil
}

// memberVerdicts puts what the ledger says of the members beside what was found.
func memberVerdicts(items []jsonv1.Member, list []memberVerdict) []jsonv1.Member {
	for i, m := range list {
		if i == len(items) { // no data was read
			b := m.node.Binding
			items = append(items, jsonv1.Member{Prefix: m.node.Prefix, Name: b.Name, Version: b.Version, Fingerprint: b.Fingerprint.String(),
				Files: m.node.Stamp.Files, Bytes: m.node.Stamp.Bytes, Verdict: string(m.outcome)})
			continue
		}
		if worse(m.outcome, evidence.Outcome(items[i].Verdict)) {
			items[i].Verdict = string(m.outcome)
		}
	}
	return items
}

// printVerdicts lists the members that are not what was stamped.
func (a *app) printVerdicts(members []jsonv1.Member) {
	var rows [][]terminal.Cell
	var good uint64
	for _, m := range members {
		verdict := evidence.Outcome(m.Verdict)
		if m.Verdict == string(evidence.Verified) || m.Verdict == string(evidence.Sampled) {
			good++
			continue
		}
		if len(rows) < changesShown {
			rows = append(rows, []terminal.Cell{{Text: account.OutcomeText(verdict), Style: verdictStyle(verdict)}, {Text: m.Prefix}, {Text: m.Name + "@" + m.Version}})
		}
	}
	if len(rows) == 0 {
		return
	}
	a.term.Table([]terminal.Column{{Title: "VERDICT"}, {Title: "PREFIX", Trim: terminal.TrimPath}, {Title: "MEMBER", Trim: terminal.TrimMiddle}}, rows)
	if rest := uint64(len(members)) - good - uint64(len(rows)); rest > 0 {
		a.term.Notef("… and %s more; --json has them all", terminal.Count(rest))
	}
	if good > 0 {
		a.term.Notef("%s as stamped", terminal.Plural(good, "other member"))
	}
}

// unfoldSubject finds, for a verification, what the ledger says of members and
// of removed files.
func (a *app) unfoldSubject(r *reading, b ledger.Binding, st *statement.Stamp, o *verifyOrder, s *subjectOf) (err error) {
	if s.root, err = r.unfold(b, st); err != nil {
		return err
	}
	if s.members, err = r.judgeMembers(s.root); err != nil {
		return err
	}
	if o.removedBy != "" {
		s.removal, err = a.removalBy(r, o.removedBy, s.root)
	}
	return err
}

// parted reports whether the data is to be read by readParts.
func (s *subjectOf) parted() bool {
	return s.root != nil && (len(s.root.Members) > 0 || s.removal != nil)
}
