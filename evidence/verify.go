package evidence

import (
	"errors"
	"fmt"
	"slices"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/stele-ml/stele/fingerprint"
	"github.com/stele-ml/stele/lineage"
	"github.com/stele-ml/stele/statement"
)

// Options is what a caller asks of Verify beyond the file itself. The zero
// Options asks for nothing more.
type Options struct {
	// Now is the present, in Unix milliseconds; 0 where there is no clock.
	Now int64

	// MaxAge is how old the quorum's cosignatures may be, in milliseconds; 0
	// for any age. It needs Now and a policy with witnesses: where it cannot
	// be checked, the verdict is untrusted.
	MaxAge int64

	// Ledger is the ledger that the evidence must be from; zero for any that
	// the policy trusts.
	Ledger statement.LedgerID

	// Name and Version are what was asked for; empty for whatever the
	// evidence claims.
	Name, Version string

	// Stage is a stage that the artifact must have been released to; empty: that
	// is not asked, and the check CheckReleased is not among the verdict's.
	Stage string

	// Contents is the fingerprint of the data at hand, made under the stamp's
	// ignore rules (see File.Stamp); nil if there is none.
	Contents *Contents

	// StampOnly asks about the stamp alone. Without it, evidence that names what
	// the artifact was made of, and does not hold that, leaves the verdict
	// unknown. What is in the file is checked either way.
	StampOnly bool

	// Remembered is a checkpoint of this log that the caller saw before, and
	// Proof the consistency proof between the smaller and the larger of it
	// and the file's checkpoint.
	Remembered Remembered
	Proof      tlog.TreeProof

	// Each calls do(0) to do(n-1), in whatever order and at the same time as it
	// likes, and returns when all have returned: signatures are checked by it,
	// on all cores where it uses them. Nil: one after another. What comes of
	// the verification does not depend on it.
	Each func(n int, do func(i int))

	// TrustAnyLogUnsafe lets any ledger vouch for itself where no policy is
	// given: its log key is then taken from the evidence, so that whoever
	// made the evidence could have made up everything in it.
	TrustAnyLogUnsafe bool
}

// Contents is what looking at the data at hand gave. Whoever did not read every
// byte says so: for what was not read he vouches himself, and the verdict is
// sampled at best.
type Contents struct {
	// Fingerprint, Files and Bytes are those of all the data, with what was
	// not read as the caller takes it to be.
	Fingerprint fingerprint.Fingerprint
	Files       uint64
	Bytes       uint64

	// Unread is how many of the bytes were not read now.
	Unread uint64

	// How says in a few words what was not read and why, as in "12 of 900 GB,
	// by object version", "all but 919 of 81,920 chunks drawn" or "120 files
	// removed by entry 77". It is not empty where anything was left out, be it
	// a file without bytes.
	How string

	// Differs says in a few words what was found to differ, where no
	// fingerprint was computed that would show it; else it is empty.
	Differs string
}

// maxSkew is how far ahead of ours a witness's clock may be, and how far
// behind the ledger's it may be, in milliseconds.
const maxSkew = 5 * 60 * 1000

// VerifyBytes parses an evidence file and verifies it. Bytes that do not parse
// have the verdict tampered. See Verify.
func VerifyBytes(data []byte, trust *Policy, opts Options) *Verdict {
	f, err := Parse(data)
	if err != nil {
		v := new(Verdict)
		v.fail(Tampered, CheckFormat, "%v", err)
		return v.finish(CheckFormat)
	}
	return Verify(f, trust, opts)
}

// Verify checks evidence against what the caller trusts. It never fails: what
// it found, or could not find, is in the verdict. The verdict is Verified only
// if every check was made and passed but for those that are not made by their
// nature; see the constants' documentation. It is Sampled instead if the
// caller did not read all of the data. A nil trust trusts nobody.
func Verify(f *File, trust *Policy, opts Options) *Verdict {
	c := &verification{f: f, trust: trust, opts: opts, Verdict: new(Verdict)}
	for _, step := range []struct {
		name string
		make func() bool // false: the checks after it cannot be made
	}{
		{CheckFormat, c.format},
		{CheckLedger, c.ledger},
		{CheckControl, c.control},
		{CheckTrustedLog, c.checkpoint},
		{CheckIncluded, c.entries},
		{CheckClaim, c.claim},
		{CheckContents, c.contents},
		{CheckTime, c.times},
	} {
		if !step.make() {
			return c.finish(step.name)
		}
	}
	return c.finish("")
}

// each is Options.Each, or one after another.
func (c *verification) each(n int, do func(i int)) {
	if c.opts.Each != nil {
		c.opts.Each(n, do)
		return
	}
	for i := range n {
		do(i)
	}
}

// verification is one call of Verify, while it goes on.
type verification struct {
	*Verdict
	f     *File
	trust *Policy
	opts  Options

	cp      Checkpoint
	sigs    []Signature
	known   []*Entry // control entries, before the last leaf
	last    *Entry
	listed  []*Entry
	parsed  map[*Entry]*statement.Statement
	state   *Control
	before  []error  // for each of listed, what was wrong with it as of then
	unfit   []string // what of it was that its signer might not say it
	what    string   // the entries listed, in words
	opened  *Opened  // nil without a policy
	stamped *Entry   // the claim's entry
	stamp   *statement.Stamp
	facts   *facts
	root    *lineage.Artifact  // the claim's
	graph   *lineage.Graph     // what it was made of, as far as the file has it
	judged  *lineage.Judgement // of root

	documents map[[32]byte]*statement.Details // see carried
}

// mandatory are the checks without which nothing is verified.
var mandatory = []string{
	CheckFormat, CheckLedger, CheckControl, CheckTrustedLog, CheckCheckpoint,
	CheckIncluded, CheckSignature, CheckStanding, CheckClaim, CheckNotWithdrawn,
}

// finish sets the verdict. What stopped is the step after which nothing more
// could be checked, or empty.
func (v *Verdict) finish(stopped string) *Verdict {
	if stopped != "" {
		for _, name := range checkOrder {
			if name != CheckMembers && name != CheckReleased && name != CheckAbsentFromAll && !slices.ContainsFunc(v.Checks, func(c Check) bool { return c.Name == name }) {
				v.skip(name, "not reached: the check %q failed", stopped)
			}
		}
	}
	v.skip(CheckRules, "attested by the operator; only a replay of the whole log shows it")
	slices.SortStableFunc(v.Checks, func(a, b Check) int {
		return slices.Index(checkOrder, a.Name) - slices.Index(checkOrder, b.Name)
	})
	v.Verdict = v.worst
	if v.worst == "" {
		v.Verdict = Verified
		if v.How != "" {
			v.Verdict = Sampled
		}
		for _, name := range mandatory {
			if v.Result(name) != Passed && !(name == CheckTrustedLog && v.unsafe) {
				v.Verdict = Untrusted
			}
		}
	}
	return v
}

// checkOrder lists the checks as a verdict does.
var checkOrder = []string{
	CheckFormat, CheckLedger, CheckTrustedLog, CheckCheckpoint, CheckWitnesses, CheckFresh, CheckHistory,
	CheckControl, CheckIncluded, CheckSignature, CheckStanding, CheckClaim, CheckNotWithdrawn, CheckLineage, CheckNotTainted, CheckMembers, CheckReleased,
	CheckPathPresent, CheckPathAbsent, CheckAbsentFromAll, CheckRange, CheckContents, CheckAttachments, CheckTime, CheckRules,
}

// format parses the parts of the file.
func (c *verification) format() bool {
	err := c.f.check()
	if err == nil {
		c.cp, c.sigs, err = ReadCheckpoint(c.f.Checkpoint)
	}
	if err == nil {
		err = c.parse()
	}
	for i := 1; err == nil && i < len(c.listed); i++ {
		if e, before := c.listed[i], c.listed[i-1]; e.Index <= before.Index {
			err = fmt.Errorf("entry %d after entry %d: %w: entries are in the order of their indexes, each once", e.Index, before.Index, ErrFormat)
		}
	}
	if err != nil {
		c.fail(Tampered, CheckFormat, "%v", err)
		return false
	}
	c.pass(CheckFormat, "%s, %s, %s", count(len(c.listed), "entry", "entries"),
		count(len(c.known), "control entry", "control entries"), count(len(c.f.Attachments), "attachment", "attachments"))
	c.AsOf = &AsOf{Ledger: c.f.Ledger, Origin: c.cp.Origin, Size: c.cp.Size, Root: c.cp.Root.String(), Time: c.last.Time}
	return true
}

// parse parses all leaves and their statements. The error is that of the first
// which does not parse.
func (c *verification) parse() error {
	leaves := slices.Concat(c.f.Control, [][]byte{c.f.Last.Leaf})
	for _, p := range c.f.Entries {
		leaves = append(leaves, p.Leaf)
	}
	entries := make([]*Entry, len(leaves))
	statements := make([]*statement.Statement, len(leaves))
	errs := make([]error, len(leaves))
	c.each(len(leaves), func(i int) {
		if entries[i], errs[i] = ParseEntry(leaves[i]); errs[i] == nil {
			statements[i], errs[i] = entries[i].Statement()
		}
	})
	c.parsed = make(map[*Entry]*statement.Statement, len(leaves))
	for i, e := range entries {
		if errs[i] != nil {
			return errs[i]
		}
		c.parsed[e] = statements[i]
	}
	n := len(c.f.Control)
	c.known, c.last, c.listed = entries[:n:n], entries[n], entries[n+1:]
	return nil
}

// ledger checks that leaf 0 is the genesis of the ledger that the file says.
func (c *verification) ledger() bool {
	first := c.last
	if len(c.known) > 0 {
		first = c.known[0]
	}
	st := c.parsed[first]
	id := statement.LedgerID(first.LeafHash())
	switch {
	case first.Index != 0 || st.Kind != statement.KindGenesis:
		c.fail(Tampered, CheckLedger, "the first control entry is %s at %d, not a genesis at 0", st.Kind.Noun(), first.Index)
		return false
	case id != c.f.Ledger:
		c.fail(Tampered, CheckLedger, "the file is for the ledger %s, but its genesis is that of %s", c.f.Ledger, id)
		return false
	case st.Genesis.Origin != c.cp.Origin:
		c.fail(Tampered, CheckLedger, "genesis names the origin %s, the checkpoint %s", st.Genesis.Origin, c.cp.Origin)
		return false
	case st.Genesis.Rules != statement.Rules:
		c.fail(Untrusted, CheckLedger, "the ledger is under rules version %d; this program knows version %d", st.Genesis.Rules, statement.Rules)
		return false
	case !c.opts.Ledger.IsZero() && c.opts.Ledger != id:
		c.fail(Untrusted, CheckLedger, "the evidence is from the ledger %s, not from %s", id, c.opts.Ledger)
		return false
	}
	c.pass(CheckLedger, "%s, id %s: the hash of its genesis", c.cp.Origin, id)
	return true
}

// control folds the control entries, and checks that they are all there are:
// the last leaf, which is the last by its proof, commits to those before it.
func (c *verification) control() bool {
	fail := func(err error) bool {
		as := Tampered
		if errors.Is(err, ErrUntrusted) {
			as = Untrusted
		}
		c.fail(as, CheckControl, "%v", err)
		return false
	}
	if c.last.Index+1 != c.cp.Size {
		return fail(fmt.Errorf("the last leaf is entry %d, but the checkpoint covers %d entries", c.last.Index, c.cp.Size))
	}
	if err := CheckInclusion(c.cp, c.last.Index, LeafHash(c.f.Last.Leaf), c.f.Last.Proof); err != nil {
		return fail(fmt.Errorf("the last leaf: %w", err))
	}
	c.state = NewControl()
	c.before = make([]error, len(c.listed))
	next := 0 // of the entries listed
	// Each entry is judged by what was known when it was admitted; what
	// became known later is judged at the end, by standing.
	judge := func(upTo uint64) {
		for ; next < len(c.listed) && c.listed[next].Index <= upTo; next++ {
			c.before[next] = c.admissible(c.listed[next])
		}
	}
	for _, e := range c.known {
		judge(e.Index)
		if err := c.state.add(e, c.parsed[e]); err != nil {
			return fail(err)
		}
	}
	if n := len(c.known); n > 0 && c.known[n-1].Index >= c.last.Index {
		return fail(fmt.Errorf("control entry %d is not before the last leaf", c.known[n-1].Index))
	}
	if err := c.state.checkBinding(c.last); err != nil {
		return fail(fmt.Errorf("the control entries are not all there, or not those of this log: %w", err))
	}
	judge(c.last.Index)
	if st := c.parsed[c.last]; st.Control() {
		if err := c.state.add(c.last, st); err != nil {
			return fail(err)
		}
	}
	judge(MaxSize)
	c.pass(CheckControl, "the last leaf, entry %d, commits to %s before it, all that there are", c.last.Index, count(len(c.known), "control entry", "control entries"))
	return true
}

// admissible checks an entry against the control entries before it.
func (c *verification) admissible(e *Entry) error {
	if c.state.Count() == 0 && e.Index == 0 {
		return nil // genesis itself, which the fold checks
	}
	if err := c.state.checkBinding(e); err != nil {
		return err
	}
	if c.parsed[e].Control() {
		for _, k := range slices.Concat(c.known, []*Entry{c.last}) {
			if k.Index == e.Index && k.LeafHash() == e.LeafHash() {
				return nil // the fold checks that one
			}
		}
		return fmt.Errorf("entry %d: %w: a control entry that is not among the control entries", e.Index, ErrTampered)
	}
	if err := c.state.roster.CheckEnvelope(e.Index, e.Time, e.Envelope, c.parsed[e]); err != nil {
		return fmt.Errorf("entry %d: %w: %w", e.Index, ErrUntrusted, err)
	}
	return nil
}

// count writes a number of things for people.
func count[T int | uint64](n T, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
