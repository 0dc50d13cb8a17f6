package main

import (
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stele-ml/stele/cmd/stele/jsonv1"
	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/internal/account"
	"github.com/stele-ml/stele/internal/memory"
	"github.com/stele-ml/stele/internal/terminal"
	"github.com/stele-ml/stele/statement"
)

// verdictOn verifies evidence by what this person trusts and has seen of the
// log before, and remembers the checkpoint where it is to be believed. trusted
// is false where no trust in the log is pinned at all.
func (a *app) verdictOn(f *evidence.File, opts evidence.Options) (v *evidence.Verdict, trusted bool, err error) {
	cp, _, err := evidence.ReadCheckpoint(f.Checkpoint)
	if err != nil {
		return nil, false, failf(exitTampered, "%w", err)
	}
	policy, _, err := a.policyFor(cp.Origin)
	if err != nil {
		return nil, false, err
	}
	if policy != nil && a.newest { // what happened is looked up in what the log has signed: see readNewest
		policy = &evidence.Policy{Logs: policy.Logs, Quorum: evidence.QuorumNone}
	}
	opts.Each = eachCore
	v = evidence.Verify(f, policy, opts)
	if err := a.memory.Compare(v, f, opts.Remembered); err != nil {
		return nil, false, err
	}
	if err := a.memory.Remember(v, f, opts.Remembered); err != nil {
		a.term.Warnf("the checkpoint was not remembered: %v", err)
	}
	return v, policy != nil, nil
}

// eachCore calls do for 0 to n-1 on all cores.
func eachCore(n int, do func(i int)) {
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(n, runtime.GOMAXPROCS(0)) {
		wg.Go(func() {
			for i := next.Add(1) - 1; i < int64(n); i = next.Add(1) - 1 {
				do(int(i))
			}
		})
	}
	wg.Wait()
}

// hintTrust says how a log comes to be trusted.
func (a *app) hintTrust(v *evidence.Verdict) {
	if v.AsOf != nil {
		a.term.Hintf("no trust in %s is pinned; get its trust file from whoever runs it, then `stele trust add FILE`, or --trust FILE", v.AsOf.Origin)
	}
}

// milliseconds rounds a length of time up: less than one is not none.
func milliseconds(d time.Duration) int64 {
	ms := d.Milliseconds()
	if d%time.Millisecond != 0 {
		ms++
	}
	return ms
}

// fillVerdict turns a verdict into what --json prints.
func (a *app) fillVerdict(out *jsonv1.Verify, v *evidence.Verdict) {
	out.Verdict, out.Unread, out.How = string(v.Verdict), v.Unread, v.How
	for _, c := range v.Checks {
		check := jsonv1.Check{Name: c.Name, Detail: c.Detail, Path: c.Path, Of: c.Of}
		if c.OK != evidence.NotMade {
			ok := c.OK == evidence.Passed
			check.OK = &ok
		}
		out.Checks = append(out.Checks, check)
	}
	for _, t := range v.Story {
		out.Story = append(out.Story, toldJSON(t))
	}
	if v.AsOf != nil {
		at := asOfJSON(v.AsOf)
		out.AsOf = &at
	}
	if st := v.Stamp; st != nil {
		out.Name, out.Version, out.Fingerprint = st.Name, st.Version, st.Fingerprint
		out.Entry, out.Time = &st.Entry, jsonv1.At(st.Time)
		signer := account.Through(jsonv1.Signer{Handle: st.Handle, Key: st.Signer.String()}, st.Delegation)
		out.Signer = &signer
	}
}

// verdictStyle colours a verdict.
func verdictStyle(o evidence.Outcome) terminal.Style {
	switch o {
	case evidence.Verified:
		return terminal.Good
	case evidence.Unknown, evidence.Sampled:
		return terminal.Caution
	}
	return terminal.Bad
}

// headline writes a verdict's first line; what would not fit it stands below.
func (a *app) headline(what string, verdict evidence.Outcome, rest string) {
	text, style := account.OutcomeText(verdict), verdictStyle(verdict)
	if w := a.term.Width(); w > 0 && terminal.Columns(terminal.Clean(what+" is "+text+" "+rest)) > w {
		a.term.Printf("%s is %s\n", what, a.term.Style(style, text))
		a.term.Printf("  %s\n", rest)
		return
	}
	a.term.Printf("%s is %s %s\n", what, a.term.Style(style, text), rest)
}

func (a *app) printVerdict(o *verifyOrder, out *jsonv1.Verify, v *evidence.Verdict) {
	what := out.Name + "@" + out.Version
	if v.Stamp == nil {
		what = "the evidence"
	}
	switch alone := o.noLineage && v.Result(evidence.CheckLineage) == evidence.NotMade; {
	case withoutLineage(v):
		a.term.Printf("%s is %s: its lineage is not in this file\n", what, a.term.Style(verdictStyle(v.Verdict), account.OutcomeText(v.Verdict)))
	case alone && o.path == "":
		a.headline(what, v.Verdict, "(its stamp alone; no data was given, so its contents were not checked)")
	case alone:
		a.headline(what, v.Verdict, "against "+o.path+", its stamp alone")
	case o.path == "":
		a.headline(what, v.Verdict, "(no data was given, so its contents were not checked)")
	default:
		a.headline(what, v.Verdict, "against "+o.path)
	}
	if v.How != "" && out.Basis != nil {
		a.term.KeyValues([]terminal.Pair{
			{Key: "read", Value: terminal.Bytes(out.Basis.Read) + " now"},
			{Key: "not read", Value: v.How},
		})
	}
	if out.Counts != nil && v.Result(evidence.CheckContents) == evidence.Failed {
		a.term.Printf("%s\n", countsText(*out.Counts))
		a.printChanges(out.Changes, *out.Counts, o.all)
		a.term.Printf("\n")
	} else if v.Result(evidence.CheckContents) == evidence.Failed {
		a.term.Printf("which files changed cannot be told without the manifest (--manifest)\n")
	}
	a.printVerdicts(out.Members)
	if o.evidence != "" {
		a.printStory(v, o.all)
	}
	a.term.Checks(checksFor(v.Checks, o))
	// Data begin somewhere; a model is made of something.
	if st := v.Stamp; o.evidence == "" && st != nil && st.Kind == statement.ArtifactModel && v.Result(evidence.CheckLineage) == evidence.Passed &&
		v.Result(evidence.CheckNotTainted) == evidence.NotMade {
		a.term.Printf("origin: none recorded; what this model was made of is unknown, and not clean\n")
	}
	if st := v.Stamp; st != nil && v.AsOf != nil {
		a.term.Printf("stamped by %s at %s,\nas of %s of %s\n", signedBy(*out.Signer), a.term.Time(st.Time),
			terminal.Plural(v.AsOf.Size, "entry", "entries"), v.AsOf.Origin)
	}
	if withoutLineage(v) {
		a.term.Hintf("ask for evidence with it, or check the stamp alone: --no-lineage")
	}
	// Not where the log shows two histories: an old key may lead anywhere.
	if v.Followed && memory.Vouched(v) && v.Result(evidence.CheckHistory) != evidence.Failed && v.Result(evidence.CheckWitnesses) != evidence.Failed {
		a.term.Hintf("the log's key was rotated since you pinned it; pin the new one: stele trust add --replace '%s'", v.LogKey)
	}
}

// withoutLineage reports whether evidence is unknown for want of what the
// artifact was made of.
func withoutLineage(v *evidence.Verdict) bool {
	return v.Verdict == evidence.Unknown && v.Result(evidence.CheckLineage) == evidence.Failed && v.Result(evidence.CheckClaim) == evidence.Passed
}

// checksFor lists the checks for a person: the failed ones and those about
// named files with what they found, the rest by name; with --checks all of them
// as they were made, as in --json. A freshness that was asked for and could not
// be checked decides the verdict, so it is told too.
func checksFor(made []evidence.Check, o *verifyOrder) []terminal.Check {
	var failed, told, list []terminal.Check
	names := map[evidence.Result][]string{}
	var fromAll []string
	for _, c := range made {
		if c.Name == evidence.CheckAbsentFromAll {
			fromAll = append(fromAll, c.Path)
		}
	}
	// Of what is absent from everything, one line says so.
	part := func(c evidence.Check) bool {
		return c.Name == evidence.CheckPathAbsent && slices.ContainsFunc(fromAll, func(path string) bool { return path == c.Path || strings.HasSuffix(path, "/"+c.Path) })
	}
	for _, c := range made {
		outcome := map[evidence.Result]terminal.Outcome{evidence.Passed: terminal.Passed, evidence.Failed: terminal.Failed}[c.OK]
		line := terminal.Check{Name: c.Name, Outcome: outcome, Detail: terminal.Brief(c.Detail)}
		list = append(list, line)
		switch {
		case c.OK == evidence.Failed:
			failed = append(failed, line)
		case c.Path != "" && c.OK == evidence.Passed && !part(c), c.Name == evidence.CheckFresh && o.maxAge > 0:
			told = append(told, line)
		default:
			names[c.OK] = append(names[c.OK], c.Name)
		}
	}
	if o.checks {
		return list
	}
	list = append(failed, told...)
	if n := slices.Compact(names[evidence.Passed]); len(n) > 0 {
		list = append(list, terminal.Check{Name: "passed", Outcome: terminal.Passed, Detail: strings.Join(n, ", ")})
	}
	if n := names[evidence.NotMade]; len(n) > 0 {
		list = append(list, terminal.Check{Name: "others", Outcome: terminal.NotMade, Detail: strings.Join(n, ", ") + " (--checks says why)"})
	}
	return list
}
